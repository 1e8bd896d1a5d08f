"""Shapes, extents and sinuosities of the areas and lines of a real extract, in microseconds of one core each.

Buildings are what a patch is full of, so they are measured apart from the other areas. `shapely.oriented_envelope`
and `shapely.convex_hull` run interleaved with ours for comparison; processor time, medians.

Predicted: at most 15 us for the shape of a building, of which the hull takes a third; extents faster than
`oriented_envelope`; lines 25 us, most of it in `shapely.simplify`.

Measured on two shared and busy cores, Liechtenstein (7.6 vertices a building) and Reisterstown (10.7): shapes of
buildings 16 and 21 us (15 when little else runs), of which the hulls take 5 and 8; their extents 8 and 11, against 10
and 12 of `oriented_envelope`; shapes of other areas 42 and 33; sinuosities 25 and 23.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import shapely

from pipeline.facts.shape import extents_of, shapes_of, sinuosities_of
from pipeline.grid import from_lonlat
from tests.benchmarks.bench_facts import DATA, FILES, elements_of

ROUNDS = 5


def main() -> None:
    for name, crs in FILES.items():
        if not (DATA / name).exists():
            sys.exit(f"{DATA / name} is absent")
        elements = elements_of(DATA / name)
        shapes = in_metres(shapely.from_wkb(elements.column("geometry").to_numpy()), crs)
        dimension = shapely.get_dimensions(shapes)
        built = np.array(["building" in dict(tags) for tags in elements.column("tags").to_pylist()])
        kinds = {
            "buildings": shapes[(dimension == 2) & built],
            "other areas": shapes[(dimension == 2) & ~built],
            "lines": shapes[dimension == 1],
        }
        for kind, these in kinds.items():
            vertices = shapely.get_num_coordinates(these).mean()
            print(f"{name}: {len(these):,} {kind} of {vertices:.1f} vertices")
            ours = (sinuosities_of, extents_of) if kind == "lines" else (shapes_of, extents_of)
            report((*ours, shapely.oriented_envelope, shapely.convex_hull), these)


def in_metres(shapes: Any, crs: str) -> Any:
    project = from_lonlat(crs)
    return shapely.transform(shapes, lambda xy: np.stack(project.transform(xy[:, 0], xy[:, 1]), axis=1))


def report(functions: tuple[Callable[..., Any], ...], shapes: Any) -> None:
    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for function in functions:
            start = time.process_time()
            function(shapes)
            times.setdefault(function.__name__, []).append(time.process_time() - start)
    for name, each in times.items():
        print(f"  {name:20}{statistics.median(each) / len(shapes) * 1e6:8.1f} us")


if __name__ == "__main__":
    main()
