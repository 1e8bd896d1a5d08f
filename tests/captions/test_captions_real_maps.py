"""Template texts about real maps: all pass the checks, scenes hardly ever repeat, no name is said."""

import re

import pytest

from pipeline.captions.checks.review import review
from pipeline.evidence import Task
from tests.captions.real_maps import DATA, FILES, subjects_of, written

PATCHES = 150
WANTED = 0.995
"""Share of the texts that must pass at the first try; one more try is made of the others."""


@pytest.mark.parametrize("name", FILES)
def test_real_maps(name: str) -> None:
    if not (DATA / name).exists():
        pytest.skip(f"{DATA / name} is absent")
    subjects = subjects_of(name, PATCHES)
    evidence = {subject.patch: subject.evidence for subject in subjects}
    texts = list(written(subjects))
    assert len(texts) > 6 * PATCHES * 0.8
    refused = []
    for text in texts:
        asked = text.assignment
        known = evidence[asked.patch]
        verdict = review(text.draft.text, known, task=asked.task, focus=asked.focus, original=asked.original)
        if not verdict.ok:
            refused.append((text.draft.text, asked.original, verdict.findings))
        for said in (text.draft.text, *text.titles):
            words = set(re.findall(r"[A-Z]\w+", re.sub(r"(?:^|(?<=[.:] ))\w+|\bL-shaped", "", said)))
            assert not words, said  # nothing but the first word and L has a capital
    assert len(refused) <= (1 - WANTED) * len(texts), refused
    scenes = [text.draft.text for text in texts if text.assignment.task is Task.SCENE]
    assert len(set(scenes)) >= 0.95 * len(scenes)
