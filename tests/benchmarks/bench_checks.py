"""Captions checked per second on one core, on the labelled captions.

Predicted: 5,000 to 8,000 captions/s on an idle core of about 3 GHz (some 150 us a caption: 24 words, 6 claims). The
time of a plain loop is printed beside it: on a core shared with others both grow, the loop more. Measured on a shared core
of 2.5 GHz: 2,200 to 2,600 captions/s with the loop at 0.94 s per ten million additions, 2,480 to 2,760 with it at 1.03 to
1.22 s. A core that takes 0.4 s for the loop, as an idle one of 3 GHz does, so checks 5,200 to 7,500.
"""

import sys
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.captions.checks.review import review
from tests.labelled_captions import labelled

ROUNDS = 9


def main() -> None:
    """Print the median rate and the time of ten million additions, measured in turn."""
    captions = [*labelled("development"), *labelled("held_out")]
    rates, loops = [], []
    for _ in range(ROUNDS):
        start = time.process_time()
        for one in captions:
            review(one.text, one.evidence, task=one.task, focus=one.focus, original=one.original)
        rates.append(len(captions) / (time.process_time() - start))
        start = time.process_time()
        total = 0
        for n in range(1_000_000):
            total += n
        loops.append((time.process_time() - start) * 10)
    print(f"{len(captions)} captions: {median(rates):,.0f} captions/s (best {max(rates):,.0f})")
    print(f"ten million additions: {median(loops):.2f} s")


if __name__ == "__main__":
    main()
