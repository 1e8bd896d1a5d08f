"""Names in a text by itself."""

import pytest

from pipeline.captions.checks.proper import proper_nouns
from pipeline.captions.checks.review import review
from pipeline.evidence import Task
from pipeline.types import Reason
from tests.labelled_captions import labelled


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("A pond lies next to the Hannah More Park.", ("Hannah", "More", "Park")),
        ("Maple trees stand in a row along Main Street, north of a pond.", ("Main", "Street")),
        ("Reisterstown lies around a pond.", ("Reisterstown",)),
        ("A motorway, the A38, crosses the image.", ("A38",)),
        ("A road crosses the image. Highway 140 is its name.", ("Highway 140",)),
        ("A lake, called der Große See, fills the image.", ("Große", "See")),
        ("A pond and 12 houses lie in the top-left. The rest is an L-shaped forest.", ()),
        ("Two-lane roads cross. Houses: a row of 14. Is it a park? Grass covers 30% of it.", ()),
    ],
)
def test_names(text: str, names: tuple[str, ...]) -> None:
    found = {word.lower() for name in proper_nouns(text, Task.SCENE) for word in name.split()}
    assert found == {word.lower() for name in names for word in name.split()}


def test_titles_may_have_capitals() -> None:
    assert not proper_nouns("A Forest Beside a Winding Road", Task.TITLE)
    assert proper_nouns("A Forest Beside a Winding Road", Task.SCENE)


def test_it_finds_what_the_review_finds_without_knowing_the_place() -> None:
    examples = [*labelled("development"), *labelled("held_out")]
    named = [
        one
        for one in examples
        if Reason.NAME
        in {finding.reason for finding in review(one.text, one.evidence, task=one.task).findings}
    ]
    found = [one for one in named if proper_nouns(one.text, one.task)]
    assert len(found) >= 0.9 * len(named) > 20
    right = [one for one in examples if one.reason is None]
    assert not [one.text for one in right if proper_nouns(one.text, one.task)]
