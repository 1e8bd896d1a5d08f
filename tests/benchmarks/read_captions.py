"""Template texts of 1,000 patches of each extract: figures, and a hundred captions to be read aloud.

``python tests/benchmarks/read_captions.py [patches] [captions to print] [seed]``

Measured: see the README's page of captions. A text that the checks refuse is printed first, with what they found.
"""

import random
import sys
import time
from collections import Counter

from pipeline.captions.checks.review import review
from pipeline.evidence import Evidence, Task
from tests.captions.real_maps import DATA, FILES, Written, subjects_of, written


def main(patches: int, shown: int, seed: int) -> None:
    """Write, check, count and print."""
    for name in FILES:
        if not (DATA / name).exists():
            sys.exit(f"{DATA / name} is absent")
        subjects = subjects_of(name, patches)
        start = time.process_time()
        texts = list(written(subjects, seed))
        seconds = time.process_time() - start
        print(f"== {name}: {len(subjects)} patches, {len(texts)} texts, {len(texts) / seconds:.0f} texts/s")
        _figures(texts, {subject.patch: subject.evidence for subject in subjects})
        mains = [text for text in texts if not text.assignment.original]
        for text in random.Random(seed).sample(mains, min(shown, len(mains))):
            print(f"{text.assignment.task.name.lower():8} {text.draft.text}")


def _figures(texts: list[Written], evidence: dict[str, Evidence]) -> None:
    passed: Counter[Task] = Counter()
    reasons: Counter[str] = Counter()
    said: dict[Task, list[str]] = {}
    for text in texts:
        asked = text.assignment
        verdict = review(
            text.draft.text,
            evidence[asked.patch],
            task=asked.task,
            focus=asked.focus,
            original=asked.original,
        )
        passed[asked.task] += verdict.ok
        said.setdefault(asked.task, []).append(text.draft.text)
        for finding in verdict.findings:
            reasons[str(finding.reason)] += 1
            print(f"refused: {text.draft.text} [{finding.reason}: {finding.said}] {asked.original}")
    for task, every in sorted(said.items()):
        words = sum(len(text.split()) for text in every) / len(every)
        print(
            f"{task.name.lower():8} {len(every):5d} texts, {passed[task] / len(every):7.2%} pass the checks,"
            f" {len(set(every)) / len(every):6.1%} distinct, {words:.1f} words"
        )
    print(f"names said: {reasons['name']}; refused by reason: {dict(reasons)}")


if __name__ == "__main__":
    numbers = [int(value) for value in sys.argv[1:]]
    main(*(numbers + [1000, 100, 0][len(numbers) :]))
