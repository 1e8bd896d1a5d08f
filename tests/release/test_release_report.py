"""The report of a release: measures of its captions and classes, and what was dropped."""

import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.captions.checks.proper import proper_nouns
from pipeline.cli import main
from pipeline.errors import Misconfigured
from pipeline.evidence import Task
from pipeline.release.diversity import mtld, self_bleu
from pipeline.release.measures import SAMPLE, Measures
from pipeline.release.report import make_report, measure_release, read_report
from pipeline.release.verify import verify
from pipeline.types import Counts
from tests import small_release
from tests.small_release import make_release


def names_in(text: str, task: int) -> tuple[str, ...]:
    return proper_nouns(text, Task(task))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("store"))


def rows(
    captions: Sequence[Sequence[tuple[str, int, str, int, int]]], tags: Sequence[str] = ("a=b",)
) -> pa.Table:
    """Metadata of samples with captions (text, task, annotator, claims, supported)."""
    names = ("captions", "tasks", "annotators", "claims", "supported")
    return pa.Table.from_pylist(
        [
            {
                "key": f"k{n}",
                "tags": list(tags),
                **{name: [values[i] for values in of] for i, name in enumerate(names)},
            }
            for n, of in enumerate(captions)
        ]
    )


def test_counts_by_hand() -> None:
    measures = Measures(names_in)
    measures.add(rows([[("A pond, a road.", 1, "x", 3, 3), ("A road.", 3, "y", 1, 1)]], tags=["a=1", "b=2"]))
    measures.add(
        rows([[("A pond, a road.", 1, "x", 4, 3)], [("A road near Bristol.", 1, "y", 2, 1)]], tags=["a=1"])
    )
    report = make_report(measures, {"captions": Counts(3, 3)}, [])
    assert (report.samples, report.captions) == (3, 4)
    assert (report.claims, report.supported, report.faithfulness) == (10, 8, 0.8)
    assert (report.with_names, report.names) == (1, ("Bristol",))
    assert [tuple(of.model_dump().values()) for of in report.spoken] == [
        ("x", 1, 2, 7, 6, 0), ("y", 1, 1, 2, 1, 1), ("y", 3, 1, 1, 1, 0),
    ]  # fmt: skip
    # tags: a three times, b once
    assert report.classes.samples == {"a=1": 3, "b=2": 1}
    assert report.classes.entropy_bits == pytest.approx(0.75 * math.log2(4 / 3) + 0.25 * 2, abs=1e-4)
    area, every = report.tasks[1], report.language
    # words of task 1: "a pond a road" twice, "a road near bristol": 12 words, of them a, pond, road, near, bristol;
    # pairs: a-pond, pond-a, a-road twice, a-road, road-near, near-bristol: 5 different of 9
    assert (area.captions, area.vocabulary) == (3, 5)
    assert area.distinct_1 == pytest.approx(5 / 12, abs=1e-4)
    assert area.distinct_2 == pytest.approx(5 / 9, abs=1e-4)
    assert area.duplicates == pytest.approx(1 / 3, abs=1e-4)
    assert (area.length.mean, area.length.median, area.length.longest) == (4, 4, 4)
    assert (every.captions, every.vocabulary, every.self_bleu_of) == (4, 5, 4)
    assert every.duplicates == 0.25
    assert (every.length.mean, every.length.q05, every.length.median, every.length.q95) == (3.5, 2, 4, 4)
    assert report.tasks[3].self_bleu is None


def test_claims_of_nothing() -> None:
    measures = Measures(names_in)
    measures.add(rows([[("A pond.", 1, "x", 0, 0)]]))
    assert make_report(measures, {}, []).faithfulness is None


def test_the_sample_does_not_depend_on_order_or_pieces() -> None:
    samples = [[(f"Text number {n} of {n % 7} kinds.", 1 + n % 2, "x", 1, 1)] for n in range(3 * SAMPLE)]
    whole = rows(samples)
    one, other = Measures(names_in), Measures(names_in)
    one.add(whole)
    for start in (5000, 3000, 0):
        other.add(whole.slice(start, {5000: 1000, 3000: 2000, 0: 3000}[start]))
    assert make_report(one, {}, []) == make_report(other, {}, [])
    drawn = one.whole().drawn()
    assert len(drawn) == SAMPLE
    numbers = [int(words[2]) for words in drawn]
    assert numbers != sorted(numbers)
    assert sum(numbers) / SAMPLE == pytest.approx(1.5 * SAMPLE, rel=0.05)  # from all of them alike


def test_the_report_of_a_release(release: Path) -> None:
    report = read_report(release)
    texts, annotated = [], Counter[int]()
    for of in pq.read_table(release / "metadata.parquet", columns=["captions", "tasks"]).to_pylist():
        texts += of["captions"]
        annotated.update(of["tasks"])
    assert (report.samples, report.captions) == (29, 43)
    assert {task: of.captions for task, of in report.tasks.items()} == annotated
    assert (report.claims, report.supported) == (86, 86)  # by the fixture: two claims a caption
    assert report.with_names == 0
    words = [word.strip(".,").lower() for text in texts for word in text.split()]
    assert report.language.vocabulary == len(set(words))
    assert report.language.length.mean == pytest.approx(len(words) / 43, abs=0.01)
    assert report.language.duplicates == 0
    assert report.language.self_bleu == pytest.approx(self_bleu([t.lower().split() for t in texts]), abs=0.1)
    assert report.language.mtld == pytest.approx(mtld(words), rel=0.3)  # another order
    # by the fixture: for each kept revision one was given up, that of the patch without a caption aside
    asked = {of.task: of for of in report.asked}
    assert asked[3].dropped == asked[3].regenerated == {"too_close_to_original": 14}
    assert [of.asked for of in report.asked] == [annotated[1], annotated[2], 28]
    assert all(of.asked == of.kept + sum(of.dropped.values()) for of in report.asked)
    assert report.stages["elements"].rejected == {"broken_geometry": 12}


def test_measured_anew_it_is_the_same(release: Path) -> None:
    assert measure_release(release, names_in) == read_report(release)


def test_the_command(
    release: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["skyteller", "stats", str(release), *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 0
        return capsys.readouterr().out

    assert run("--json") == (release / "report.json").read_text()
    shown = run()
    assert "29 with 43 captions" in shown
    assert "86, of which the facts bear out 86 (100.00%)" in shown
    assert "in 0 captions" in shown
    assert "too_close_to_original" in shown
    assert "building=house" in shown


def test_names_that_got_through_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def captions(n: int) -> list[dict[str, object]]:
        found = plain(n)
        return (
            [row | {"text": "A pond lies in Owings Mills, beside a road."} for row in found]
            if n == 2
            else found
        )

    plain = small_release._captions
    monkeypatch.setattr(small_release, "_captions", captions)
    folder = make_release(tmp_path)
    report = read_report(folder)
    assert report.with_names == 1
    assert {name.lower() for name in report.names} == {"owings", "mills"}
    assert "1 caption with a\nproper noun" in (folder / "README.md").read_text()


def test_a_changed_report_is_noticed(tmp_path: Path) -> None:
    folder = make_release(tmp_path)
    path = folder / "report.json"
    values: Any = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"supported": 85}))
    assert [problem for problem in verify(folder).problems if problem.startswith("report.json")]
    path.unlink()
    with pytest.raises(Misconfigured, match=r"report\.json"):
        measure_release(folder, names_in)


def test_not_a_release(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="not a release"):
        measure_release(tmp_path, names_in)
