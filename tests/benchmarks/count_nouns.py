"""Count how common nouns are and write ``pipeline/facts/commonness.csv``.

Every extract of real OSM data is covered with square patches of 268.8 m side by side, seen at 0.3 m; counted is the
share of the patches with a fact in which a noun occurs, over all extracts together. A noun that occurs n times in N
patches has the share ``(n + 1) / (N + 2)``, to four digits; those that never occur are left out, and count as the rarest. The
extracts are small places of Europe and North America: the table tells a stadium from a street, not one kind of
field from another.

Run again after changes of the vocabulary that add or rename common nouns.
"""

import csv
from collections import Counter
from pathlib import Path

import geopandas
import shapely

import pipeline.facts
from pipeline.facts.find import find_facts
from pipeline.osm.vocabulary import load_vocabulary
from tests.benchmarks.bench_facts import DATA, elements_of, scene_over, windows

GSD, SIZE = 0.3, 896


def main() -> None:
    """Count and write."""
    vocabulary = load_vocabulary()
    seen: Counter[str] = Counter()
    patches = 0
    for path in sorted(DATA.glob("*.osm.pbf")):
        elements = elements_of(path)
        shapes = geopandas.GeoSeries(
            shapely.from_wkb(elements.column("geometry").to_numpy()), crs="EPSG:4326"
        )
        scene = scene_over(shapes, str(shapes.estimate_utm_crs()), gsd=GSD)
        for found in find_facts(windows(scene, 1.0, size=SIZE), elements, {scene.id: scene}, vocabulary):
            rows = set(
                zip(found.facts["patch"].to_pylist(), found.facts["singular"].to_pylist(), strict=True)
            )
            seen.update(noun for _, noun in rows)
            patches += len({patch for patch, _ in rows})
        print(path.name, patches, len(seen))
    table = Path(pipeline.facts.__file__).with_name("commonness.csv")
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["noun", "share"])
        for noun, n in sorted(seen.items(), key=lambda item: (-item[1], item[0])):
            writer.writerow([noun, f"{(n + 1) / (patches + 2):.4f}"])


if __name__ == "__main__":
    main()
