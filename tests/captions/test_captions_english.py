"""English helpers: what they say is true and grammatical."""

import re
from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.captions.english import (
    edge_list,
    exact_count,
    indefinite,
    joined,
    lengths,
    loose_counts,
    places,
    shares,
    third_person,
)

CELLS = {
    "top-left": (0, 0),
    "top": (0, 1),
    "top-right": (0, 2),
    "left": (1, 0),
    "center": (1, 1),
    "right": (1, 2),
    "bottom-left": (2, 0),
    "bottom": (2, 1),
    "bottom-right": (2, 2),
}

FRACTIONS = {
    "a tenth": 1 / 10,
    "a fifth": 1 / 5,
    "a quarter": 1 / 4,
    "a third": 1 / 3,
    "half": 1 / 2,
    "two thirds": 2 / 3,
    "three quarters": 3 / 4,
}


@pytest.mark.parametrize(
    "phrase",
    [
        "a university campus",
        "an oak",
        "an hourglass",
        "a hospital",
        "a one-way street",
        "an onion field",
        "an S-shaped pond",
        "a U-shaped building",
        "an RV park",
        "a BMX track",
        "a used car lot",
        "an unused quarry",
        "an uninhabited island",
        "an underground station",
        "an urban area",
        "a utility pole",
        "a European park",
        "an herb garden",
        "an 18-hole golf course",
        "an 8 m wide canal",
        "an 80 m stretch",
        "an 11 m wall",
        "a 110 m wall",
        "an 11,500 m wall",
        "a 1,100 m wall",
        "a 100 m wall",
        "an ice rink",
    ],
)
def test_article_follows_the_sound(phrase: str) -> None:
    assert indefinite(phrase.split(" ", 1)[1]) == phrase


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("cover", "covers"),
        ("cross", "crosses"),
        ("reach beyond", "reaches beyond"),
        ("take up", "takes up"),
        ("occupy", "occupies"),
        ("lie", "lies"),
        ("are", "is"),
        ("are partly cut off", "is partly cut off"),
    ],
)
def test_third_person(plural: str, singular: str) -> None:
    assert third_person(plural) == singular


def test_lists_and_edges() -> None:
    assert [joined(items) for items in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert edge_list(["right"]) == "the right edge"
    assert edge_list(["top", "left"]) == "the left and top edges"
    assert edge_list(["top", "left", "bottom", "right"]) == "all four edges"


def test_counts_in_words_up_to_twelve() -> None:
    assert [exact_count(n) for n in (1, 2, 12, 13, 1234)] == ["one", "two", "twelve", "13", "1,234"]


@given(st.integers(2, 5000))
def test_loose_counts_are_true(n: int) -> None:
    phrases = loose_counts(n)
    assert phrases or n < 13
    for phrase in phrases:
        number = int((re.search(r"[\d,]+", phrase) or ["0"])[0].replace(",", ""))
        assert not phrase[0].isdigit()
        if phrase.startswith("more than"):
            number = (
                number
                or {"a dozen": 12, "a hundred": 100}[phrase.removeprefix("more than ").removesuffix(" of")]
            )
            assert number < n <= 1.5 * number
        elif phrase.startswith("about"):
            number = number or {"two dozen": 24}[phrase.removeprefix("about ")]
            assert abs(n - number) <= 0.1 * n
        else:
            low, high = {
                "a pair of": (2, 2),
                "a few": (3, 5),
                "several": (3, 9),
                "a dozen": (12, 12),
                "dozens of": (30, 100),
                "hundreds of": (200, 5000),
            }[phrase]
            assert low <= n <= high


@given(st.floats(0, 1))
@example(1.0)
@example(1.0 + 1e-12)
@example(0.08)
@example(0.9)
@example(0.0825)
def test_shares_are_true(share: float) -> None:
    phrases = shares(share)
    assert phrases
    for phrase in phrases:
        assert share_is_true(phrase, share), (phrase, share)


def share_is_true(phrase: str, share: float) -> bool:
    """An independent reading of a phrase: what a person would accept."""
    percent = re.fullmatch(r"about (\d+)% of", phrase)
    if percent:
        return abs(share - int(percent[1]) / 100) <= 0.025 + 1e-9
    whole = {
        "a tiny part of": (0, 0.02),
        "a small part of": (0.01, 0.1),
        "most of": (0.55, 0.95),
        "nearly all of": (0.9, 1),
        "almost the whole of": (0.9, 1),
        "virtually all of": (0.98, 1.01),
        "all of": (0.99, 1.01),
        "the whole of": (0.99, 1.01),
    }
    if phrase in whole:
        low, high = whole[phrase]
        return low <= share <= high
    hedge, name = re.fullmatch(r"(about|more than|less than|nearly) (.+) of", phrase).groups()  # type: ignore[union-attr]
    value = FRACTIONS[name]
    return {
        "about": abs(share - value) <= 0.15 * value + 1e-9,
        "more than": value < share <= value + 0.12,
        "less than": value - 0.06 <= share < value,
        "nearly": value - 0.08 <= share < value,
    }[hedge]


@given(st.floats(0.5, 30_000))
@example(999.9)
@example(994.9)
@example(995.1)
@example(9_950.0)
@example(1_000.0)
@example(19.6)
def test_lengths_are_near_the_truth(length: float) -> None:
    for phrase in lengths(length):
        number, unit = re.fullmatch(r"about ([\d,.]+) (m|meters|km|kilometers?)", phrase).groups()  # type: ignore[union-attr]
        meters = float(number.replace(",", "")) * (1000 if unit.startswith("k") else 1)
        assert abs(meters - length) <= 0.13 * length
        assert (unit == "kilometer") == (number == "1" and unit not in ("m", "meters", "km"))
        assert not number.endswith(".0") or length < 5


def test_one_place() -> None:
    assert places(["top-left"]) == ("in the top left", "in the upper left")
    assert places(["top-left"], wide=True) == ("toward the top left", "toward the upper left")
    assert places(["top-left"], wide=True, line=True) == ("in the upper left part",)
    assert places(["center"], wide=True) == ("in the central part",)
    assert places(["right"]) == ("on the right", "on the right side")
    assert places(["top"]) == ("at the top", "in the top center")


@pytest.mark.parametrize(
    ("positions", "phrase"),
    [
        (["top-left", "top", "top-right"], "along the top"),
        (["left", "top-left", "bottom-left"], "along the left side"),
        (["top-left", "bottom-right"], "in the top left and bottom right"),
        (["left", "right"], "on the left and right"),
        (["center", "left"], "on the left and in the center"),
        (["bottom-right", "bottom", "right"], "toward the bottom right"),
        (["left", "center", "right"], "across the middle"),
        (["top-left", "top-right", "bottom-left", "bottom-right"], "in the corners"),
        (list(CELLS), "scattered across the image"),
        (["top-left", "bottom", "right"], "in different places"),
    ],
)
def test_several_places(positions: list[str], phrase: str) -> None:
    assert phrase in places(positions)


ALL_SETS = [cells for size in range(1, 10) for cells in combinations(CELLS, size)]


@pytest.mark.parametrize("line", [False, True])
@pytest.mark.parametrize("wide", [False, True])
def test_every_set_of_positions_has_a_true_name(*, line: bool, wide: bool) -> None:
    for positions in ALL_SETS:
        rows, cols = ({CELLS[name][axis] for name in positions} for axis in (0, 1))
        phrases = places(positions, line=line, wide=wide)
        assert phrases
        for phrase in phrases:
            assert "  " not in phrase
            assert 0 in rows or not re.search(r"\b(top|upper)\b", phrase)
            assert 2 in rows or not re.search(r"\b(bottom|lower)\b", phrase)
            assert 0 in cols or "left" not in phrase
            assert 2 in cols or "right" not in phrase
            if re.search(r"\b(scattered|throughout|across much)\b", phrase):
                assert len(positions) >= 5
                assert rows == cols == {0, 1, 2} or len(positions) > 5
            if re.fullmatch(r"(toward|through|in) the \w+ (left|right)( part)?", phrase):
                assert len(rows) < 3
                assert len(cols) < 3
            assert not line or not re.search(r"\b(toward|along|down|scattered|spread)\b", phrase)


def test_only_the_first_position_counts_more_than_the_others() -> None:
    for positions in ALL_SETS:
        assert places(positions) == places((positions[0], *reversed(positions[1:])))
    assert places(["top-left", "top", "left", "center"]) == ("toward the top left", "toward the upper left")
    assert places(["center", "top", "left", "top-left"]) == ("spread across the top and middle",)
