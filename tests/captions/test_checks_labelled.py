"""The checks on captions labelled right or wrong: how many wrong ones are caught, how many right ones are refused.

``development`` and ``held_out`` were written along with the checks. ``strangers_a`` came from an independent hand; when
the checks first met it (its first 465 captions), they caught 299 of 313 wrong ones (95.5 %) and refused 55 of 152
right ones (36 %). It has been used for development since: what it gives now says little of captions unseen.
``strangers_b`` is from the same hand. At first sight 308 of its 320 wrong captions were caught (96.2 %) and 55 of its 170
right ones refused (32 %): what is to be expected of texts as varied. It is not tested here until both are as wanted.
"""

from collections import Counter

import pytest

from pipeline.captions.checks.review import Review, review
from tests.labelled_captions import Labelled, labelled

LEAST_CAUGHT = 0.97
MOST_REFUSED = 0.03


def check(one: Labelled) -> Review:
    return review(one.text, one.evidence, task=one.task, focus=one.focus, original=one.original)


@pytest.mark.parametrize("name", ["development", "held_out", "strangers_a"])
def test_wrong_captions_are_caught_and_right_ones_kept(name: str) -> None:
    captions = labelled(name)
    reviews = [(one, check(one)) for one in captions]
    wrong = [(one, result) for one, result in reviews if one.reason is not None]
    right = [(one, result) for one, result in reviews if one.reason is None]
    missed = [one for one, result in wrong if result.ok]
    refused = [(one, result) for one, result in right if not result.ok]
    confusion = Counter(
        (str(one.reason), str(result.findings[0].reason) if result.findings else "kept")
        for one, result in wrong
    )
    for (label, found), count in sorted(confusion.items()):
        print(f"{label:24} {found:24} {count}")
    for one in missed:
        print("missed:", one.reason, one.text)
    for one, result in refused:
        print("refused:", result.findings, one.text)
    assert len(missed) <= (1 - LEAST_CAUGHT) * len(wrong)
    assert len(refused) <= MOST_REFUSED * len(right)


def test_the_set_is_large_and_varied() -> None:
    captions = [*labelled("development"), *labelled("held_out")]
    assert len(captions) >= 500
    assert len({one.evidence.facts for one in captions}) >= 40
    assert len({one.reason for one in captions}) >= 12


def test_claims_are_counted_and_wrong_ones_are_not_supported() -> None:
    for one in labelled("development"):
        result = check(one)
        assert 0 <= result.supported <= result.claims
        if result.ok:
            assert result.supported == result.claims
