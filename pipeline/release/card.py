"""The dataset card: ``README.md`` with the front matter that Hugging Face reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice

import yaml
from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

import pipeline
from pipeline.config import DatasetConfig
from pipeline.release.measures import SAMPLE
from pipeline.release.report import BLEU_SAMPLE, TASKS, Report
from pipeline.release.sample import OSM_ATTRIBUTION, OSM_LICENSE, Sample
from pipeline.release.statistics import Figures
from pipeline.types import Product, Snapshot

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
)
"""Size categories of the Hugging Face hub, by their upper end."""

_STAGES = {
    "elements": "OpenStreetMap elements",
    "patches": "windows of the images",
    "facts": "patches: what the map shows in them",
    "select": "patches: the limit of the config",
    "pixels": "patches: reading and judging the pixels",
    "captions": "patches: captions",
    "samples": "samples",
}
"""Stages of the table of counts; the later ones only pack what is there."""

_TOP = 20
"""Tags listed by frequency."""

_WIDTH = 100
"""Columns of the JSON that is shown."""


@dataclass(frozen=True, slots=True)
class Card:
    """What the card tells.

    Attributes
    ----------
    config
        The dataset's config.
    product
        What all images have in common.
    figures
        Where, when and how much.
    report
        Measures of the texts and classes, and what became of the items.
    snapshot
        Identity of the OSM extract.
    example
        A sample to show.
    """

    config: DatasetConfig
    product: Product
    figures: Figures
    report: Report
    snapshot: Snapshot
    example: Sample


def write_card(card: Card) -> str:
    """The text of ``README.md``."""
    environment = SandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,  # Markdown, read as text; what strangers wrote passes the filter `cell`
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "cell": _cell,
        "thousands": _thousands,
        "megabytes": _megabytes,
        "reasons": _reasons,
        "percent": _percent,
    }
    text = (files("pipeline.release") / "card.md.jinja").read_text(encoding="utf-8")
    figures = card.figures
    return environment.from_string(text).render(
        card=card,
        config=card.config,
        figures=figures,
        ext=card.config.shards.image_format,
        report=card.report,
        stages=[
            (label, card.report.stages[name]) for name, label in _STAGES.items() if name in card.report.stages
        ],
        top=dict(islice(card.report.classes.samples.items(), _TOP)),
        tasks=TASKS,
        mtld_sample=SAMPLE,
        bleu_sample=BLEU_SAMPLE,
        gsd=_range(*(f"{g:.3g}" for g in (min(figures.gsd_m), max(figures.gsd_m)))),
        span=_range(*figures.span) if figures.span else None,
        example=_excerpt(card.example),
        title=card.config.name.replace("-", " ").capitalize(),
        size_category=next((name for end, name in _SIZES if figures.samples < end), "n>1B"),
        version=pipeline.__version__,
        osm_license=OSM_LICENSE,
        osm_attribution=OSM_ATTRIBUTION,
    )


def front_matter(text: str) -> object:
    """The front matter of a card as YAML values.

    Raises
    ------
    ValueError
        The card has none, or it is not YAML.
    """
    start, found, rest = text.partition("---\n")
    body, closed, _ = rest.partition("\n---\n")
    if start or not found or not closed:
        msg = "has no front matter between two lines of ---"
        raise ValueError(msg)
    try:
        values: object = yaml.safe_load(body)
    except yaml.YAMLError as error:
        msg = f"has a front matter that is not YAML: {' '.join(str(error).split())}"
        raise ValueError(msg) from error
    return values


def _excerpt(sample: Sample) -> str:
    """The JSON of a sample with its long lists cut, laid out for reading."""
    values = sample.model_dump(mode="json")
    facts = [fact | {"elements": fact["elements"][:3]} for fact in values["facts"][:2]]
    notes = [note | {"elements": note["elements"][:3]} for note in values["annotations"]]
    return _lay_out(values | {"facts": facts, "annotations": notes}, "")


def _lay_out(value: object, indent: str) -> str:
    """JSON with every object and list that fits a line on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= _WIDTH or not isinstance(value, dict | list):
        return line
    deeper = indent + "  "
    if isinstance(value, list):
        parts, ends = [deeper + _lay_out(item, deeper) for item in value], "[]"
    else:
        parts = [f"{deeper}{json.dumps(key)}: {_lay_out(item, deeper)}" for key, item in value.items()]
        ends = "{}"
    return f"{ends[0]}\n" + ",\n".join(parts) + f"\n{indent}{ends[1]}"


def _cell(text: object) -> str:
    """A text for a cell of a Markdown table: one line, and nothing that ends the cell or starts markup."""
    line = " ".join(str(text).split())
    return "".join(f"\\{char}" if char in r"\`*_[]<>|#" else char for char in line)


def _thousands(number: int) -> str:
    return f"{number:,}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason.replace('_', ' ')} {n:,}" for reason, n in counts.items()) or "-"


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"
