"""The README's ten patches: their facts and captions as Markdown, ready to be pasted.

``python -m tests.benchmarks.ten_patches``
"""

from collections.abc import Iterator

from pipeline.captions.assign import Subject
from pipeline.captions.factline import fact_lines
from tests.captions.real_maps import FILES, subjects_of, written

FACTS, EACH = 5, 5


def main() -> None:
    """Five patches of each extract, drawn at random among those with five to eleven facts."""
    number = 0
    for name in FILES:
        place = name.partition("-")[0].capitalize()
        telling = [s for s in subjects_of(name, 40, seed=5) if FACTS <= len(s.evidence.facts) <= 11]
        for subject in telling[:EACH]:
            number += 1
            print(f"**{number}. {place}**\n")
            print("\n".join(_lines(subject)), end="\n\n")


def _lines(subject: Subject) -> Iterator[str]:
    yield "```text"
    yield from fact_lines(subject.evidence.facts, subject.evidence.side_m).splitlines()[:FACTS]
    yield "```\n"
    told: set[str] = set()
    for text in written([subject]):
        task = text.assignment.task.name.lower().replace("_", "-")
        if task not in told:
            told.add(task)
            yield f"- *{task}*: {text.draft.text}"


if __name__ == "__main__":
    main()
