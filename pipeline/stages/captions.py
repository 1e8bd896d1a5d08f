"""Stage `captions`: captions and two titles for every patch whose pixels are good.

The units of a lane share one engine: their patches flow through it without a pause between units, and each unit is
finished with its last patch.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import __version__
from pipeline.annotators import annotators_of
from pipeline.captions.assign import Subject, annotator_of
from pipeline.captions.checks.lexicon import tables_digest
from pipeline.captions.checks.review import review
from pipeline.captions.compose import compose
from pipeline.captions.desk import Desk, Finished, Rules
from pipeline.captions.engines import chooser, costly, engines, examine, identity, open_writer
from pipeline.captions.journal import Journal, Place, kept_places
from pipeline.captions.tally import Tallies
from pipeline.captions.template import titles_of
from pipeline.captions.usage import Usage, put_usage
from pipeline.errors import Transient
from pipeline.evidence import Evidence
from pipeline.facts.io import facts_of
from pipeline.ids import Json, digest
from pipeline.ledger import Commit, Ledger, Unit
from pipeline.stages.base import Commits, Context, Reads, Result, Stage, Work, put_table, read_table
from pipeline.stages.basis import scenes_basis, shared_basis
from pipeline.tables import CAPTIONS
from pipeline.types import Counts, Scene

_ABANDONED = timedelta(days=30)
"""Age of answers of another config that are not waited for any more."""


def _basis(context: Context, _commits: Commits, cell: str) -> Json:
    return f"{shared_basis(context, _shared)} {scenes_basis(context, cell, _about)}"


def _shared(context: Context) -> Json:
    return {
        "captions": identity(context.config.captions, dict(context.models)),
        "checks": tables_digest(),
        "engine": __version__,
    }


def _about(scene: Scene) -> Json:
    return [scene.id, scene.gsd_m]


def _inputs(_context: Context, _commits: Commits, cell: str) -> Sequence[Reads]:
    return Reads("facts", ("patches", "facts", "names"), (cell,)), Reads("pixels", ("index",), (cell,))


def _run(context: Context, works: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
    journal = Journal(context.store) if costly(context.config.captions) else None
    ledger = Ledger(context.store)
    units = []
    for work in works:
        unit = _Unit(work, _kept(context, work))
        if not unit.patches:
            yield work, _result(_outcome(context, unit, by_content=False))
        elif journal is None or ledger.find(work.unit, work.fingerprint) is None:
            units.append(unit)  # of a lane whose worker died, some units may be done
    if not units:
        return
    try:
        yield from _captioned(context, units, journal)
    finally:
        if journal is not None:
            journal.flush()


def _captioned(
    context: Context, units: "Sequence[_Unit]", journal: Journal | None
) -> Iterator[tuple[Work, Result]]:
    """Caption units, one annotator after the other; the last one finishes what the others began.

    What the others wrote is in the journal by then, so only one engine is open at a time, and no more than the
    patches under way is in memory.
    """
    captions = context.config.captions
    rules = Rules(captions, review, titles_of)
    by_place = {unit.place: unit for unit in units}
    annotators = annotators_of(captions)
    desks: list[Desk] = []
    seconds = 0.0
    for number, annotator in enumerate(annotators):
        last = number + 1 == len(annotators)
        subjects = _subjects(context, units, journal, None if last else number)
        with open_writer(annotator, context.base) as writer:
            since = time.monotonic()
            desks.append(Desk.of(writer, chooser(annotator)))
            for finished in compose(subjects, writer, desks, rules, journal):
                unit = by_place[finished.place]
                unit.waiting -= 1
                unit.fresh += finished.fresh
                if last:
                    unit.finished[finished.patch] = finished
                if unit.waiting:
                    continue
                if last:
                    yield unit.work, _result(_agreed(context, unit, journal))
                if journal is not None:
                    seconds, since = seconds + time.monotonic() - since, time.monotonic()
                    _close(context, journal, unit, seconds if last else None)
                    seconds = 0.0 if last and unit.fresh.texts else seconds
                unit.finished.clear()


def require_engines(context: Context) -> str:
    """Look at the engines before any work, so that what can never work is said before hours of other stages.

    Returns
    -------
    What is not ready yet and may be when captions begin; empty where everything is.

    Raises
    ------
    Misconfigured
        See `pipeline.captions.engines.examine`.
    """
    try:
        for _ in examine(context.config.captions, context.base, context.config.runtime.gpus):
            continue
    except Transient as error:
        return str(error)
    return ""


def sweep_answers(ledger: Ledger) -> None:
    """Delete the answers of finished units: a worker that is killed after its commit leaves them behind.

    Also those that a build with another config left behind, where the cell has been finished with another and
    nothing was added for a month. What a build may still come back to stays.
    """
    now = datetime.now(UTC)
    for place, written in kept_places(ledger.store).items():
        done = ledger.find(Unit(STAGE.name, place.cell), place.fingerprint) is not None
        if done or (now - written > _ABANDONED and _finished_otherwise(ledger, place)):
            Journal(ledger.store).delete(place)


def _finished_otherwise(ledger: Ledger, place: Place) -> bool:
    """Whether a cell has captions of any config."""
    return next(ledger.store.list(f"commits/{STAGE.name}/{place.cell}"), None) is not None


@dataclass(slots=True)
class _Unit:
    """A unit under way.

    Attributes
    ----------
    work
        What to make.
    patches
        The patches whose pixels are good, in the order of the table.
    waiting
        Patches that the annotator at work has not finished.
    finished
        What came of patches.
    fresh
        What this worker asked for.
    """

    work: Work
    patches: Sequence[str]
    waiting: int = 0
    finished: dict[str, Finished] = field(default_factory=dict)
    fresh: Usage = field(default_factory=Usage)

    @property
    def place(self) -> Place:
        """Where answers are kept."""
        return Place(self.work.unit.cell, self.work.fingerprint)

    @property
    def fresh_patches(self) -> int:
        """Patches that the fresh texts make up, of a unit that is finished."""
        texts = sum(finished.texts for finished in self.finished.values())
        return round(len(self.patches) * self.fresh.texts / texts) if texts else len(self.patches)


def _subjects(
    context: Context, units: Sequence[_Unit], journal: Journal | None, only: int | None
) -> Iterator[tuple[Place, Subject]]:
    """The patches of all units, each with its evidence; `only` those of one annotator."""
    for unit in units:
        patches = [
            patch
            for patch in unit.patches
            if only is None or annotator_of(patch, context.config.captions) == only
        ]
        if not patches:
            continue
        if journal is not None:
            journal.open(unit.place)
            if _committed(context, unit.work) is not None:  # by another build, which deleted the answers
                journal.delete(unit.place)
                journal.close(unit.place)
                continue
        unit.waiting = len(patches)
        evidence = _evidence(context, unit.work)
        for patch in patches:
            yield unit.place, Subject(patch, evidence[patch])


def _close(context: Context, journal: Journal, unit: _Unit, seconds: float | None) -> None:
    """A unit is committed and took so long; or, without a time, all answers of one annotator about it are there."""
    if seconds is None:
        journal.flush()
    else:
        if unit.fresh.texts:
            usage = replace(unit.fresh, patches=unit.fresh_patches, seconds=seconds)
            put_usage(context.store, unit.work.unit, unit.work.fingerprint, usage)
        journal.delete(unit.place)
    journal.close(unit.place)


def _agreed(context: Context, unit: _Unit, journal: Journal | None) -> Commit:
    """The commit of a unit: of two builds at work on it that of the first, for a model may write something else twice.

    What was agreed on is deleted when one of them has committed it; then the commit itself is there. The table is
    named by its content, so that the second build leaves the first one's alone.
    """
    if journal is None:
        return _outcome(context, unit, by_content=False)
    own = _outcome(context, unit, by_content=True)
    first = Commit.decode(journal.agree(unit.place, own.encode()))
    return _committed(context, unit.work) or first


def _committed(context: Context, work: Work) -> Commit | None:
    """The commit of a unit, if another build has written it by now."""
    try:
        return Commit.decode(context.store.get(Commit(work.unit, work.fingerprint, Counts()).key))
    except FileNotFoundError:
        return None


def _kept(context: Context, work: Work) -> Sequence[str]:
    """The patches whose pixels are good."""
    output = work.inputs[Unit("pixels", work.unit.cell)].outputs["index"]
    index = read_table(context, output, ["patch", "verdict"])
    kept: list[str] = index.filter(pc.is_null(index["verdict"])).column("patch").to_pylist()
    return kept


def _evidence(context: Context, work: Work) -> dict[str, Evidence]:
    """What is known about each patch of a unit."""
    outputs = work.inputs[Unit("facts", work.unit.cell)].outputs
    patches = read_table(context, outputs["patches"], ["id", "scene", "size"]).to_pylist()
    facts = dict(facts_of(read_table(context, outputs["facts"])))
    names = {row["patch"]: tuple(row["names"]) for row in read_table(context, outputs["names"]).to_pylist()}
    return {
        row["id"]: Evidence(
            facts.get(row["id"], ()),
            row["size"] * context.scenes_by_id[row["scene"]].gsd_m,
            names.get(row["id"], ()),
        )
        for row in patches
    }


def _outcome(context: Context, unit: _Unit, *, by_content: bool) -> Commit:
    """The captions of a unit, in the order of its patches; written under a name that tells their content, if wanted."""
    tallies = Tallies()
    rows: list[dict[str, object]] = []
    for patch in unit.patches:
        finished = unit.finished[patch]
        for annotator, task, tally in finished.tallies:
            tallies.add(annotator, task, tally)
        titles = {"title": finished.title, "title_multi_objects": finished.title_multi_objects}
        rows += ({"patch": patch, **asdict(caption), **titles} for caption in finished.captions)
    table = pa.Table.from_pylist(rows, schema=CAPTIONS)
    counts = Counts.of(unit.finished[patch].rejected for patch in unit.patches)
    name = f"captions-{digest(table.to_pylist())[:16]}" if by_content else "captions"
    output = put_table(context, unit.work, name, table)
    return Commit(
        unit.work.unit, unit.work.fingerprint, counts, {"captions": output}, {"texts": tallies.plain()}
    )


def _result(commit: Commit) -> Result:
    return Result(commit.counts, dict(commit.outputs), dict(commit.info))


STAGE = Stage(
    name="captions",
    version=5,
    cells=lambda context, _commits: context.cells,
    basis=_basis,
    inputs=_inputs,
    run=_run,
    lanes=lambda config: engines(config.captions, config.runtime.gpus),
)
