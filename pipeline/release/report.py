"""``report.json``: the measures of a release and what became of its items, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import Misconfigured
from pipeline.release.diversity import entropy_bits, mtld, self_bleu
from pipeline.release.measures import COLUMNS, SAMPLE, Measures, NamesIn, Wording
from pipeline.release.read import open_metadata
from pipeline.types import Counts

REPORT = "report.json"

TASKS = {1: "area", 2: "line or point", 3: "revision", 4: "scene", 5: "title in other words"}
"""What the captions of a task are about."""

BLEU_SAMPLE = 500
"""Captions that self-BLEU compares with each other."""

_DECIMALS = 4
_EXAMPLES = 10
_BATCH = 10_000


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Items(_Record):
    """What became of the items of a stage; seen = kept + rejected + failed."""

    seen: int
    kept: int
    rejected: dict[str, int] = Field(description="By reason.")
    failed: dict[str, int] = Field(description="By reason.")


class Asked(_Record):
    """What became of the texts that an annotator was asked for; asked = kept + dropped."""

    annotator: str
    task: int
    asked: int
    kept: int
    regenerated: dict[str, int] = Field(description="Made again, by the reason why the first was refused.")
    dropped: dict[str, int] = Field(description="Given up, by the reason why the second was refused.")
    prompt_tokens: int
    output_tokens: int


class Length(_Record):
    """Words of a caption. A quantile is the number that at least this share of the captions does not exceed."""

    mean: float
    q05: int
    q25: int
    median: int
    q75: int
    q95: int
    longest: int


class Language(_Record):
    """How long and how varied captions are. Words are told apart by spaces, in small letters."""

    captions: int
    duplicates: float = Field(
        description="Share of captions that say, letter by letter, what another one says."
    )
    length: Length
    vocabulary: int = Field(description="Different words.")
    distinct_1: float = Field(
        description="Different words over all words; falls with the number of captions."
    )
    distinct_2: float = Field(description="Likewise for two words in a row.")
    mtld: float = Field(description=f"Of up to {SAMPLE:,} captions, drawn and put in order by hash.")
    self_bleu: float | None = Field(
        description="Of the first `self_bleu_of` of these; none for a single one."
    )
    self_bleu_of: int


class Spoken(_Record):
    """The captions of one annotator and task."""

    annotator: str
    task: int
    captions: int
    claims: int = Field(description="Claims that the checks found in them.")
    supported: int = Field(description="Claims that the facts bear out.")
    with_names: int = Field(description="Captions with a proper noun or a reference number.")


class Classes(_Record):
    """The tags that samples show."""

    different: int
    entropy_bits: float = Field(description="Entropy of the tag of a random pair of sample and tag.")
    samples: dict[str, int] = Field(description="Samples that show a tag, most frequent first.")


class Report(_Record):
    """All of it."""

    samples: int
    captions: int
    claims: int
    supported: int
    with_names: int = Field(description="Captions with a proper noun or a reference number; must be 0.")
    names: tuple[str, ...] = Field(description="The most frequent of these.")
    language: Language = Field(description="Of all captions.")
    tasks: dict[int, Language] = Field(description="Of the captions of one task.")
    spoken: tuple[Spoken, ...]
    classes: Classes
    stages: dict[str, Items]
    asked: tuple[Asked, ...]

    @property
    def faithfulness(self) -> float | None:
        """Share of the claims that the facts bear out; None where there is no claim."""
        return self.supported / self.claims if self.claims else None

    def encode(self) -> str:
        """The text of ``report.json``."""
        return self.model_dump_json(indent=2) + "\n"


def make_report(measures: Measures, counts: Mapping[str, Counts], asked: Sequence[object]) -> Report:
    """Put the measures of a release together.

    Parameters
    ----------
    measures
        Texts and classes; at least one caption.
    counts
        What became of the items, by stage.
    asked
        What became of the texts, as in the commits of captions: values of `Asked`.
    """
    stages = {name: Items.model_validate(asdict(of)) for name, of in counts.items()}
    return _report(measures, stages, tuple(map(Asked.model_validate, asked)))


def measure_release(folder: Path, names_in: NamesIn) -> Report:
    """Measure the captions and tags of a release in a folder anew; what was dropped is read from ``report.json``.

    Parameters
    ----------
    folder
        The release.
    names_in
        Finds names in a text.

    Raises
    ------
    Misconfigured
        The folder is not a release, or cannot be read.
    """
    path = open_metadata(folder)
    built = read_report(folder)
    measures = Measures(names_in)
    with pq.ParquetFile(path) as table:
        missing = set(COLUMNS) - set(table.schema_arrow.names)
        if missing or not table.metadata.num_rows:
            msg = f"{path}: has no {', '.join(sorted(missing)) or 'rows'}; not made by this version of Skyteller"
            raise Misconfigured(msg)
        for batch in table.iter_batches(_BATCH, columns=list(COLUMNS)):
            measures.add(batch)
    return _report(measures, built.stages, built.asked)


def read_report(folder: Path) -> Report:
    """The report in a release.

    Raises
    ------
    Misconfigured
        There is none, or it is damaged.
    """
    path = folder / REPORT
    try:
        return Report.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read; `skyteller verify {folder}` tells what is damaged: {error}"
        raise Misconfigured(msg) from error


def _report(measures: Measures, stages: dict[str, Items], asked: tuple[Asked, ...]) -> Report:
    sources = sorted(measures.sources.items())
    return Report(
        samples=measures.samples,
        captions=measures.captions,
        claims=sum(source.claims for _, source in sources),
        supported=sum(source.supported for _, source in sources),
        with_names=sum(source.with_names for _, source in sources),
        names=tuple(most_frequent(measures.names))[:_EXAMPLES],
        language=_language(measures.whole()),
        tasks={task: _language(wording) for task, wording in sorted(measures.wording.items())},
        spoken=tuple(
            Spoken(
                annotator=annotator,
                task=task,
                captions=source.captions,
                claims=source.claims,
                supported=source.supported,
                with_names=source.with_names,
            )
            for (annotator, task), source in sources
        ),
        classes=Classes(
            different=len(measures.tags),
            entropy_bits=round(entropy_bits(measures.tags.values()), _DECIMALS),
            samples=most_frequent(measures.tags),
        ),
        stages=stages,
        asked=asked,
    )


def _language(wording: Wording) -> Language:
    drawn = wording.drawn()
    compared = drawn[:BLEU_SAMPLE]
    words = wording.words
    pairs = words - sum(n for length, n in wording.lengths.items() if length)
    return Language(
        captions=wording.captions,
        duplicates=round(1 - wording.distinct / wording.captions, _DECIMALS),
        length=Length(
            mean=round(words / wording.captions, 2),
            q05=wording.quantile(0.05),
            q25=wording.quantile(0.25),
            median=wording.quantile(0.5),
            q75=wording.quantile(0.75),
            q95=wording.quantile(0.95),
            longest=max(wording.lengths),
        ),
        vocabulary=len(wording.vocabulary),
        distinct_1=round(len(wording.vocabulary) / max(words, 1), _DECIMALS),
        distinct_2=round(len(wording.pairs) / max(pairs, 1), _DECIMALS),
        mtld=round(mtld([word for text in drawn for word in text]), 1),
        self_bleu=round(self_bleu(compared), _DECIMALS) if len(compared) > 1 else None,
        self_bleu_of=len(compared),
    )


def most_frequent(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts in order: the largest first, equal ones by name."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
