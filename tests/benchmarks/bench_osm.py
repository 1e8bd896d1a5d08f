"""OSM extraction against osmium-tool and against a plain pyosmium loop, on Liechtenstein and Reisterstown merged.

"Extraction" is file to Arrow batches: keys, geometry, tags, versions, timestamps. "Partition" is the whole way to
the tables of all cells, extraction included. "osmium export" writes the same features as PostgreSQL text (its
own areas by the same rule, only the tags of the filter), which would still have to be parsed. "Plain loop" does
the job of the extraction one object at a time: ``for o in FileProcessor``, ``dict(o.tags)``, ``shapely.from_wkb``;
untagged nodes are left to libosmium's filter, or it would take twice as long.

Predicted: extraction at least 0.35 of the speed of osmium export (its C++ part alone does about the same work,
and Arrow parses as much text as it writes), at least 2 times the plain loop, and partition at most 0.5 on top.

Run with ``python tests/benchmarks/bench_osm.py``. CPU time is the figure to compare on a busy machine.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import osmium
import pyarrow as pa
import shapely
from osmium.osm import Area, Node, Way

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.grid import cells_in
from pipeline.osm.areas import AREA_RULES, Mode, is_area
from pipeline.osm.partition import partition
from pipeline.osm.pbf import KEYS, read_elements

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "osm"
BOXES = ((9.39, 46.82, 9.70, 47.53), (-76.85, 39.31, -76.58, 39.49))
ROUNDS = 3


def main() -> None:
    """Run all competitors in turn and print medians and ratios."""
    if not DATA.exists() or not shutil.which("osmium"):
        sys.exit("needs the shared test data and osmium-tool")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        path = scratch / "merged.osm.pbf"
        sources = [str(DATA / f"{name}.osm.pbf") for name in ("liechtenstein-2022", "reisterstown-md")]
        subprocess.run(["osmium", "merge", *sources, "-o", str(path)], check=True)
        export = _export_command(path, scratch)
        competitors: dict[str, Callable[[], int]] = {
            "extraction": lambda: _extract(path, scratch),
            "partition": lambda: _partition(path, scratch),
            "osmium export": lambda: _export(export, scratch / "out.pg"),
            "plain loop": lambda: _plain_loop(path),
        }
        features = {
            name: run() for name, run in competitors.items()
        }  # also warms up imports and the disk cache
        times = [{name: _timed(run) for name, run in competitors.items()} for _ in range(ROUNDS)]
    for clock, label in ((0, "wall"), (1, "CPU")):
        median = {name: statistics.median(each[name][clock] for each in times) for name in competitors}
        for name, seconds in median.items():
            print(f"{label:4} {name:14} {seconds:6.2f} s  {features[name]:6d} features")
        for other, one in (
            ("osmium export", "extraction"),
            ("plain loop", "extraction"),
            ("partition", "extraction"),
        ):
            ratio = statistics.median(each[other][clock] / each[one][clock] for each in times)
            print(f"{label:4} {other} / {one}: {ratio:.2f}")


def _timed(run: Callable[[], int]) -> tuple[float, float]:
    """Wall and CPU seconds, those of child processes included."""
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    run()
    return time.perf_counter() - wall, sum(os.times()[:4]) - cpu


def _extract(path: Path, scratch: Path) -> int:
    return sum(chunk.elements.num_rows for chunk in read_elements(path, scratch))


def _partition(path: Path, scratch: Path) -> int:
    cells = [cell for box in BOXES for cell in cells_in(box, 12)]
    return sum(found.counts.kept for found in partition(read_elements(path, scratch), 12, cells, scratch))


def _export(command: list[str], output: Path) -> int:
    subprocess.run(command, check=True)
    with output.open("rb") as file:
        return sum(1 for _ in file)


def _export_command(path: Path, scratch: Path) -> list[str]:
    """The area rule in osmium-tool's words, as far as they go: it cannot say "all values but these"."""
    areas = [
        word
        for key, rule in AREA_RULES.items()
        for word in ([f"{key}={value}" for value in sorted(rule.values)] if rule.mode is Mode.ONLY else [key])
    ]
    config = {
        "attributes": dict.fromkeys(("type", "id", "version", "timestamp"), True),
        "area_tags": areas,
        "linear_tags": [key for key in KEYS if key not in AREA_RULES or AREA_RULES[key].mode is Mode.ONLY],
        "include_tags": list(KEYS),
    }
    (scratch / "export.json").write_text(json.dumps(config))
    options = ["-c", str(scratch / "export.json"), "-f", "pg", "-O", "-o", str(scratch / "out.pg")]
    return ["osmium", "export", *options, str(path)]


def _plain_loop(path: Path) -> int:
    factory = osmium.geom.WKBFactory()
    wanted = set(KEYS)
    rings: set[int] = set()
    rows = []
    for o in osmium.FileProcessor(path).with_areas().with_filter(osmium.filter.EmptyTagFilter()):
        if not isinstance(o, Node | Way | Area):
            continue
        tags = dict(o.tags)
        if not wanted & tags.keys():
            continue
        try:
            if isinstance(o, Node):
                name, shape = f"n{o.id}", factory.create_point(o)
            elif isinstance(o, Area):
                if o.from_way() and o.orig_id() not in rings:
                    continue
                name, shape = f"{'w' if o.from_way() else 'r'}{o.orig_id()}", factory.create_multipolygon(o)
            elif o.is_closed() and is_area(tags, closed=True):
                rings.add(o.id)
                continue
            else:
                name, shape = f"w{o.id}", factory.create_linestring(o)
        except (RuntimeError, osmium.InvalidLocationError):
            continue
        geometry = shapely.from_wkb(shape)
        rows.append((name, o.version, o.timestamp, list(tags.items()), geometry.bounds, geometry.wkb))
    names, versions, times, tags_, boxes, shapes = zip(*rows, strict=True)
    kinds = [pa.string(), pa.int32(), pa.timestamp("s", tz="UTC"), pa.map_(pa.string(), pa.string())]
    columns = [pa.array(c, kind) for c, kind in zip((names, versions, times, tags_), kinds, strict=True)]
    table = pa.table([*columns, pa.array(boxes), pa.array(shapes)], names=list("abcdef"))
    return len(table)


if __name__ == "__main__":
    main()
