"""Stage `captions`: captions and two titles for every patch whose pixels are good.

The units of a lane share one engine: their patches flow through it without a pause between units, and each unit is
finished with its last patch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import __version__
from pipeline.annotators import annotators_of
from pipeline.captions.assign import Subject, annotator_of
from pipeline.captions.checks.lexicon import tables_digest
from pipeline.captions.checks.review import review
from pipeline.captions.compose import Desk, Finished, Rules, compose
from pipeline.captions.engines import chooser, costly, engines, identity, open_writer
from pipeline.captions.journal import Journal, Place, kept_places
from pipeline.captions.tally import Tallies
from pipeline.captions.template import titles_of
from pipeline.captions.usage import Metered, Usage, put_usage
from pipeline.evidence import Evidence
from pipeline.facts.io import facts_of
from pipeline.ids import Json
from pipeline.ledger import Ledger, Unit
from pipeline.stages.base import Commits, Context, Result, Stage, Work, put_table, read_table, scenes_near
from pipeline.tables import CAPTIONS
from pipeline.types import Counts


def _basis(context: Context, _commits: Commits, cell: str) -> Json:
    return {
        "captions": identity(context.config.captions, dict(context.models)),
        "checks": tables_digest(),
        "engine": __version__,
        "gsd_m": {scene.id: scene.gsd_m for scene in scenes_near(context, cell)},
    }


def _inputs(_context: Context, _commits: Commits, cell: str) -> Mapping[Unit, tuple[str, ...]]:
    return {Unit("facts", cell): ("patches", "facts", "names"), Unit("pixels", cell): ("index",)}


def _run(context: Context, works: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
    journal = Journal(context.store) if costly(context.config.captions) else None
    ledger = Ledger(context.store)
    units = []
    for work in works:
        unit = _Unit(work, _kept(context, work))
        if not unit.patches:
            yield work, _result(context, unit)
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
    usage = Usage()
    for number, annotator in enumerate(annotators):
        last = number + 1 == len(annotators)
        subjects = _subjects(context, units, journal, None if last else number)
        with open_writer(annotator, context.base) as opened:
            writer = Metered(opened)
            desks.append(Desk.of(writer, chooser(annotator)))
            for finished in compose(subjects, writer, desks, rules, journal):
                unit = by_place[finished.place]
                unit.waiting -= 1
                if last:
                    unit.finished[finished.patch] = finished
                if unit.waiting:
                    continue
                if last:
                    yield unit.work, _result(context, unit)
                    unit.finished.clear()
                if journal is not None:
                    usage += writer.take(len(unit.patches) if last else 0)
                    _settle(context, journal, unit, usage if last else None)
                    usage = Usage() if last else usage


def sweep_answers(ledger: Ledger) -> None:
    """Delete the answers of finished units: a worker that is killed after its commit leaves them behind."""
    for place in kept_places(ledger.store):
        if ledger.find(Unit(STAGE.name, place.cell), place.fingerprint) is not None:
            Journal(ledger.store).delete(place)


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
    """

    work: Work
    patches: Sequence[str]
    waiting: int = 0
    finished: dict[str, Finished] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        """Where answers are kept."""
        return Place(self.work.unit.cell, self.work.fingerprint)


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
        unit.waiting = len(patches)
        if journal is not None:
            journal.open(unit.place)
        evidence = _evidence(context, unit.work)
        for patch in patches:
            yield unit.place, Subject(patch, evidence[patch])


def _settle(context: Context, journal: Journal, unit: _Unit, usage: Usage | None) -> None:
    """A unit is committed, or all answers of one annotator about it are there."""
    if usage is None:
        journal.flush()
    else:
        put_usage(context.store, unit.work.unit, unit.work.fingerprint, usage)
        journal.delete(unit.place)
    journal.close(unit.place)


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


def _result(context: Context, unit: _Unit) -> Result:
    """The captions of a unit, in the order of its patches."""
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
    output = put_table(context, unit.work, "captions", table)
    return Result(counts, {"captions": output}, {"texts": tallies.plain()})


STAGE = Stage(
    name="captions",
    version=3,
    cells=lambda context, _commits: context.cells,
    basis=_basis,
    inputs=_inputs,
    run=_run,
    lanes=lambda config: engines(config.captions, config.runtime.gpus),
)
