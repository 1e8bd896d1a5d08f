"""Captions checked per second on one core, on the labelled captions.

Predicted: 5,000 to 8,000 captions/s on an idle core of about 3 GHz (some 150 us a caption: 24 words, 6 claims). The
time of a plain loop is printed beside it: on a core shared with others both grow alike. Measured with the loop at
2.2 s per ten million additions (an idle core of 3 GHz takes about 0.4 s): 1,900 captions/s, some 10,000 on such a core.
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
