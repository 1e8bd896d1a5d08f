"""The command that measures a release: how its captions are worded, whether they are true, what it shows."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Column, Table

from pipeline.captions.checks.proper import proper_nouns
from pipeline.cli.app import app
from pipeline.evidence import Task
from pipeline.release.fetch import release_folder
from pipeline.release.report import TASKS, Language, Report, measure_release
from pipeline.show import console

_TOP = 20
"""Tags listed by frequency."""


@app.command
def stats(
    release: Annotated[str, Parameter(help="Folder of a release, or its s3:// or gs:// URL.")],
    *,
    json: Annotated[bool, Parameter(help="Print report.json as it is measured now.", negative="")] = False,
) -> None:
    """Measure the captions and tags of a release: length, variety, faithfulness, names, classes, rejections."""
    with release_folder(release, shards=False) as folder:
        report = measure_release(folder, lambda text, task: proper_nouns(text, Task(task)))
    if json:
        console.out(report.encode(), end="", highlight=False)
        return
    console.print(f"samples    {report.samples:,} with {report.captions:,} captions")
    if report.faithfulness is None:
        console.print("claims     none found")
    else:
        share = f"{report.faithfulness:.2%}"
        console.print(
            f"claims     {report.claims:,}, of which the facts bear out {report.supported:,} ({share})"
        )
    said = f": {', '.join(report.names)}" if report.names else ""
    console.print(f"names      in {report.with_names:,} captions{said}", markup=False)
    classes = report.classes
    console.print(f"tags       {classes.different:,} different, entropy {classes.entropy_bits:.2f} bits")
    for table in _tables(report):
        console.print()
        console.print(table)


def _tables(report: Report) -> Iterator[Table]:
    yield _languages(report)
    yield _spoken(report)
    if report.asked:
        yield _asked(report)
    top = _table("tag", ["samples", "share"])
    for tag, n in islice(report.classes.samples.items(), _TOP):
        top.add_row(escape(tag), f"{n:,}", f"{n / report.samples:.1%}")
    yield top


def _languages(report: Report) -> Table:
    columns = {TASKS[task]: _language(of) for task, of in report.tasks.items()}
    columns["all"] = _language(report.language)
    table = _table("", list(columns))
    for measure in columns["all"]:
        table.add_row(measure, *(of[measure] for of in columns.values()))
    return table


def _language(of: Language) -> dict[str, str]:
    """Measures as text, by name."""
    length = of.length
    return {
        "captions": f"{of.captions:,}",
        "exact duplicates": f"{of.duplicates:.2%}",
        "words, mean": f"{length.mean:.1f}",
        "words, median": f"{length.median}",
        "words, 5 to 95 %": f"{length.q05} to {length.q95}",
        "vocabulary": f"{of.vocabulary:,}",
        "distinct-1": f"{of.distinct_1:.4f}",
        "distinct-2": f"{of.distinct_2:.4f}",
        "MTLD": f"{of.mtld:.1f}",
        "self-BLEU": "-" if of.self_bleu is None else f"{of.self_bleu:.3f}",
    }


def _spoken(report: Report) -> Table:
    table = _table("annotator", ["task", "captions", "claims", "supported", "with names"])
    for of in report.spoken:
        numbers = (of.task, of.captions, of.claims, of.supported, of.with_names)
        table.add_row(escape(of.annotator), *(f"{n:,}" for n in numbers))
    return table


def _asked(report: Report) -> Table:
    table = _table("annotator", ["task", "asked", "kept"], ["made again", "given up"])
    for of in report.asked:
        numbers = (f"{n:,}" for n in (of.task, of.asked, of.kept))
        table.add_row(escape(of.annotator), *numbers, _reasons(of.regenerated), _reasons(of.dropped))
    return table


def _table(first: str, numbers: list[str], texts: list[str] | None = None) -> Table:
    return Table(first, *(Column(name, justify="right") for name in numbers), *(texts or []), box=None)


def _reasons(counts: Mapping[str, int]) -> str:
    return "\n".join(f"{reason} {n:,}" for reason, n in counts.items()) or "-"
