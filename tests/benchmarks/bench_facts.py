"""Full facts for patches against `geopandas.sjoin` + `shapely.intersection`, and the memory they take.

The elements of a real extract and patches of 448 px at 0.6 m in the CRS of a scene over it, both starting from
the same elements table (WKB, EPSG:4326). Two cases: every window once, side by side; and windows at a stride that
gives 10,000 over the same ground. Ours goes all the way from the table to ranked facts and names: classification,
projection, join, grouping, outlines, relations, ranking. Theirs gets the elements that ours finds visible, and ends
with area and length per pair: WKB, projection, sjoin, intersection. Variants alternate in one run; medians; one core.
``python tests/benchmarks/bench_facts.py memory N`` prints the peak memory at N patches over Reisterstown.

Predicted for the full facts: 2,000 patches/s on Reisterstown; the peak memory at 20,000 patches is that at 2,000.

Measured on two shared cores under a load that changes, in processor time, in turn with the state before and at the
same minute: 1.03 to 1.28 times as fast as before at 9,870 patches over Reisterstown, 800 to 920 patches/s where the
state before made 660 to 860 (on a quieter day that one made 890 to 1,090). The prediction failed by a factor of 2. What
is left is spread over many steps: of 11 s the join has 2.3 (clipping, lengths and areas of the pieces), gaps between 12 things a patch 0.8 (`shapely.distance`, 7 us each), smallest rectangles
0.8, containment 0.7, groups 0.7, lines as geometries 0.6, arrangements 0.5, names 0.4, and reading and projecting the
elements once 1.2. Neither smaller chunks (256 to 2,048), nor blocks of other sizes, nor fewer facts or things to be
related (8 for 10, 4 for 6), nor tests of the boxes of single segments before the gaps made it faster: it is bound by work
in GEOS and numpy for each of some 18 couples of facts, 12 gaps and 11 clipped geometries a patch. Peak memory before: 379 MB at 2,000 patches, 483 at 7,938 and 504 at 19,701;
now 421 at 9,800: patches are handled 4,096 at a time, so it rises up to there and hardly afterwards.
"""

import math
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import geopandas
import numpy as np
import osmium
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from osmium.osm.types import Area, Node, Way

from pipeline.facts.classify import classify
from pipeline.facts.find import find_facts, window_boxes
from pipeline.osm.areas import is_area
from pipeline.osm.vocabulary import FEATURE_KEYS, Vocabulary, load_vocabulary
from pipeline.types import RasterFile, Scene

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "osm"
FILES = {"reisterstown-md.osm.pbf": "EPSG:26918", "liechtenstein-2022.osm.pbf": "EPSG:2056"}
SIZE, GSD, PATCHES, ROUNDS = 448, 0.6, 10_000, 5


def elements_of(path: Path) -> pa.Table:
    """Id, kind, tags and geometry of the elements of a file that carry a feature key; broken ones left out."""
    factory = osmium.geom.WKBFactory()
    rows: list[tuple[str, str, list[tuple[str, str]], str]] = []
    keys = osmium.filter.KeyFilter(*FEATURE_KEYS)
    for item in osmium.FileProcessor(path).with_areas(keys).with_filter(keys):
        tags = [(tag.k, tag.v) for tag in item.tags]
        try:
            if isinstance(item, Node):
                rows.append((f"n{item.id}", "point", tags, factory.create_point(item)))
            elif isinstance(item, Area) and (not item.from_way() or is_area(dict(tags), closed=True)):
                name = f"{'w' if item.from_way() else 'r'}{item.orig_id()}"
                rows.append((name, "area", tags, factory.create_multipolygon(item)))
            elif isinstance(item, Way) and not is_area(dict(tags), closed=item.is_closed()):
                rows.append((f"w{item.id}", "line", tags, factory.create_linestring(item)))
        except (osmium.InvalidLocationError, RuntimeError):
            continue
    ids, kinds, tags_, shapes = zip(*rows, strict=True)
    return pa.table(
        {
            "id": ids,
            "kind": kinds,
            "tags": pa.array(tags_, pa.map_(pa.string(), pa.string())),
            "geometry": pa.array([bytes.fromhex(shape) for shape in shapes], pa.binary()),
        }
    )


def windows(scene: Scene, stride: float, size: int = SIZE) -> pa.Table:
    """All windows of a scene."""
    step = round(size * stride)
    rows, cols = np.meshgrid(
        np.arange(0, scene.height - size + 1, step), np.arange(0, scene.width - size + 1, step), indexing="ij"
    )
    n = rows.size
    return pa.table(
        {
            "id": [f"{i:016x}" for i in range(n)], "scene": [scene.id] * n,
            "col": cols.ravel(), "row": rows.ravel(), "size": np.full(n, size),
        }
    )  # fmt: skip


def scene_over(shapes: geopandas.GeoSeries, crs: str, gsd: float = GSD) -> Scene:
    """A scene over the middle 98 % of the elements."""
    bounds = shapes.to_crs(crs).bounds
    west, south = bounds[["minx", "miny"]].quantile(0.01)
    east, north = bounds[["maxx", "maxy"]].quantile(0.99)
    size = int((east - west) / gsd), int((north - south) / gsd)
    transform = (gsd, 0.0, west, 0.0, -gsd, north)
    return Scene(
        "s", RasterFile("", "", (1, 2, 3), None), crs, transform, *size, None, gsd, (0.0, 0.0, 0.0, 0.0)
    )


def count_members(elements: pa.Table, scene: Scene, patches: pa.Table, vocabulary: Vocabulary) -> int:
    """All the way to the tables of facts; the members of all groups."""
    found = find_facts(patches, elements, {scene.id: scene}, vocabulary)
    return sum(pc.sum(pc.list_value_length(each.facts.column("elements"))).as_py() or 0 for each in found)


def theirs(visible: pa.Table, scene: Scene, patches: pa.Table) -> int:
    """The pairs with area and length, as most scripts compute them."""
    wkb = visible.column("geometry").to_numpy()
    elements = geopandas.GeoDataFrame(geometry=shapely.from_wkb(wkb), crs="EPSG:4326").to_crs(scene.crs)
    boxes = window_boxes(scene, patches)
    frames = geopandas.GeoDataFrame(geometry=shapely.box(*boxes.T), crs=scene.crs)
    pairs = geopandas.sjoin(frames, elements, predicate="intersects")
    left = frames.geometry.to_numpy()[pairs.index.to_numpy()]
    right = elements.geometry.to_numpy()[pairs.index_right.to_numpy()]
    parts = shapely.intersection(left, right)
    area, length = shapely.area(parts), shapely.length(parts)
    return len(area) if len(length) else 0


def peak_memory(n: int) -> None:
    """Print the peak memory of this process after about n patches over Reisterstown."""
    name, crs = next(iter(FILES.items()))
    elements = elements_of(DATA / name)
    shapes = geopandas.GeoSeries(shapely.from_wkb(elements.column("geometry").to_numpy()), crs="EPSG:4326")
    scene = scene_over(shapes, crs)
    patches = windows(scene, math.sqrt(len(windows(scene, 1.0)) / n) * 0.99).slice(0, n)
    count_members(elements, scene, patches, load_vocabulary())
    print(f"{len(patches)} patches: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def timed(run: Callable[[], int]) -> tuple[float, int]:
    """Seconds and result."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def main() -> None:
    """Run both on each extract and each case."""
    vocabulary = load_vocabulary()
    for name, crs in FILES.items():
        path = DATA / name
        if not path.exists():
            sys.exit(f"{path} is absent")
        elements = elements_of(path)
        order = classify(elements, vocabulary)
        gsd = np.array([rule.max_gsd_m for rule in vocabulary.rules])[order]
        seen = elements.filter(pa.array((order >= 0) & (gsd >= GSD)))
        shapes = geopandas.GeoSeries(shapely.from_wkb(seen.column("geometry").to_numpy()), crs="EPSG:4326")
        scene = scene_over(shapes, crs)
        side_by_side = len(windows(scene, 1.0))
        print(f"{name}: {len(elements)} elements, {len(seen)} visible at {GSD} m")
        for stride in (1.0, math.sqrt(side_by_side / PATCHES) * 0.99):
            patches = windows(scene, stride)

            ours = partial(count_members, elements, scene, patches, vocabulary)
            other = partial(theirs, seen, scene, patches)
            runs = [(timed(ours), timed(other)) for _ in range(ROUNDS)]
            mine = statistics.median(run[0][0] for run in runs)
            reference = statistics.median(run[1][0] for run in runs)
            print(
                f"  stride {stride:.2f}, {len(patches):6d} patches: facts {mine:6.2f} s ({len(patches) / mine:6.0f}"
                f" patches/s, {runs[0][0][1]} members), sjoin + intersection {reference:6.2f} s"
                f" ({runs[0][1][1]} pairs), ratio {reference / mine:.1f}"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        peak_memory(int(sys.argv[2]))
    else:
        main()
