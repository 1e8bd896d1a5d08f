"""Time and memory of measuring a release: 100,000 captions of 25,000 samples, and twice as many.

Predicted: on an idle core of about 3 GHz some 30 us a caption for words, pairs, hashes and names (4 s with the samples
for MTLD and self-BLEU), and memory that grows with the different captions by 8 bytes each.
"""

import random
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.captions.checks.proper import proper_nouns
from pipeline.evidence import Task
from pipeline.release.measures import Measures
from pipeline.release.report import make_report
from tests.labelled_captions import labelled

ROUNDS = 3
SAMPLES = 25_000
BATCH = 1000


def main() -> None:
    """Print the medians, and the memory at the end."""
    for samples in (SAMPLES, 2 * SAMPLES):
        seconds = [_seconds(samples) for _ in range(ROUNDS)]
        add, report = (median(of) for of in zip(*seconds, strict=True))
        rate = 4 * samples / add
        print(f"{4 * samples:,} captions: {add:.1f} s ({rate:,.0f} captions/s), report {report:.1f} s")
    for samples in (SAMPLES // 5, SAMPLES // 5 * 2):
        tracemalloc.start()
        measures = _measure(samples)
        print(f"{4 * samples:,} captions: {tracemalloc.get_traced_memory()[0] / 1e6:.1f} MB")
        tracemalloc.stop()
        del measures


def _seconds(samples: int) -> tuple[float, float]:
    """Processor time of gathering and of the report."""
    measures = Measures(lambda text, task: proper_nouns(text, Task(task)))
    gathering = 0.0
    for rows in _rows(samples):
        start = time.process_time()
        measures.add(rows)
        gathering += time.process_time() - start
    start = time.process_time()
    make_report(measures, {}, [])
    return gathering, time.process_time() - start


def _measure(samples: int) -> Measures:
    measures = Measures(lambda text, task: proper_nouns(text, Task(task)))
    for rows in _rows(samples):
        measures.add(rows)
    return measures


def _rows(samples: int) -> Iterator[pa.Table]:
    """Metadata with captions that are mixed from the sentences of the labelled ones."""
    draw = random.Random(1)
    texts = [one.text for one in labelled("development") if one.reason is None]
    parts = [part.lower() for text in texts for part in text.rstrip(".").split(", ")]
    for start in range(0, samples, BATCH):
        yield pa.Table.from_pylist(
            [
                {
                    "key": f"{n:x}",
                    "tags": draw.sample(
                        ["building=house", "highway=residential", "natural=wood", "landuse=grass"], 2
                    ),
                    "captions": [f"{', '.join(draw.sample(parts, 3)).capitalize()}." for _ in range(4)],
                    "tasks": [1, 3, 3, 4],
                    "annotators": ["template"] * 4,
                    "claims": [7] * 4,
                    "supported": [7] * 4,
                }
                for n in range(start, start + BATCH)
            ]
        )


if __name__ == "__main__":
    main()
