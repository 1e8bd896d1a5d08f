"""Counts the demo's pixels by palette, and measures its map without the pipeline's facts."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import osmium
import rasterio
import shapely
from pyproj import Transformer
from rasterio.windows import Window

from pipeline.demo.palette import palette
from pipeline.osm.vocabulary import TagRule, load_vocabulary
from pipeline.types import GeometryKind

SIZE = 448

CLASS_OF_TAG: Mapping[str, str] = {
    "landuse=allotments": "allotments",
    "building=apartments": "apartments",
    "landuse=cemetery": "cemetery",
    "building=church": "civic building",
    "building=school": "civic building",
    "building=commercial": "commercial",
    "building=office": "commercial",
    "building=retail": "commercial",
    "building=barn": "farm building",
    "landuse=farmland": "farmland",
    "landuse=forest": "forest",
    "natural=wood": "forest",
    "leisure=golf_course": "golf course",
    "building=detached": "house",
    "building=farm": "house",
    "building=garage": "house",
    "building=house": "house",
    "building=shed": "house",
    "landuse=industrial": "industrial",
    "building=industrial": "industrial building",
    "building=warehouse": "industrial building",
    "landuse=meadow": "meadow",
    "landuse=orchard": "orchard",
    "leisure=park": "park",
    "amenity=parking": "parking",
    "leisure=pitch": "pitch",
    "sport=baseball": "pitch",
    "sport=basketball": "pitch",
    "sport=soccer": "pitch",
    "sport=tennis": "pitch",
    "leisure=playground": "playground",
    "leisure=swimming_pool": "pool",
    "landuse=quarry": "quarry",
    "golf=bunker": "sand",
    "natural=beach": "sand",
    "natural=scrub": "scrub",
    "plant:source=solar": "solar farm",
    "man_made=storage_tank": "storage tank",
    "leisure=track": "track",
    "landuse=vineyard": "vineyard",
    "natural=water": "water",
    "water=lake": "water",
    "water=pond": "water",
    "water=river": "water",
    "natural=wetland": "wetland",
    "wetland=reedbed": "wetland",
}
"""What an area with a tag is painted as; tags that others refine (water=lake) may stand for both."""

AREA_CLASSES = tuple(sorted(set(CLASS_OF_TAG.values())))


@dataclass(frozen=True)
class Counted:
    """One window: shares and centroids (col, row in pixels) of the area classes in it.

    `unsaid` is the share of parts that the vocabulary holds to be too small for a mention.
    """

    shares: Mapping[str, float]
    centroids: Mapping[str, tuple[float, float]]
    unsaid: Mapping[str, float] = field(default_factory=dict)


class Pixels:
    """The class of every pixel of a scene: that of the nearest palette colour."""

    def __init__(self, path: Path) -> None:
        names, colours = palette()
        self.classes = sorted(set(names))
        number = np.array([self.classes.index(name) for name in names], dtype=np.uint8)
        with rasterio.open(path) as file:
            self.transform = file.transform
            self.valid = file.read_masks(1) > 0
            self.kind = np.empty(file.shape, dtype=np.uint8)
            for top in range(0, file.height, 512):
                window = Window(0, top, file.width, min(512, file.height - top))
                pixels = np.ascontiguousarray(np.moveaxis(file.read(window=window), 0, -1))
                packed, where = np.unique(pixels.view("<u4")[..., 0], return_inverse=True)
                unique = packed.view(np.uint8).reshape(-1, 4).astype(np.int64)
                nearest = ((unique[:, None] - colours[None]) ** 2).sum(-1).argmin(-1)
                self.kind[top : top + window.height] = number[nearest][where].reshape(pixels.shape[:2])

    def windows(self) -> Iterator[tuple[int, int]]:
        """Columns and rows of all windows on the grid that hold data in every pixel."""
        height, width = self.valid.shape
        for row in range(0, height - SIZE + 1, SIZE):
            for col in range(0, width - SIZE + 1, SIZE):
                if self.valid[row : row + SIZE, col : col + SIZE].all():
                    yield col, row

    def count(self, col: int, row: int) -> Counted:
        """Count the pixels of a window."""
        part = self.kind[row : row + SIZE, col : col + SIZE]
        y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
        flat, n = part.ravel(), len(self.classes)
        count = np.bincount(flat, minlength=n)
        east = np.bincount(flat, weights=x.ravel(), minlength=n)
        south = np.bincount(flat, weights=y.ravel(), minlength=n)
        found = {name: k for k, name in enumerate(self.classes) if count[k] and name in AREA_CLASSES}
        return Counted(
            {name: float(count[k]) / SIZE**2 for name, k in found.items()},
            {name: (float(east[k] / count[k]), float(south[k] / count[k])) for name, k in found.items()},
        )


class Geometry:
    """The areas of the OSM file by class, assembled by libosmium, measured by shapely in EPSG:26918."""

    def __init__(self, path: Path) -> None:
        to_utm = Transformer.from_crs("EPSG:4326", "EPSG:26918", always_xy=True)
        make = osmium.geom.WKBFactory()
        vocabulary = load_vocabulary()
        shapes, self.classes, self.smallest_m2 = [], [], []
        for area in osmium.FileProcessor(path).with_areas():
            if isinstance(area, osmium.osm.Area):
                known = {CLASS_OF_TAG.get(f"{tag.k}={tag.v}") for tag in area.tags} - {None}
                if known:
                    assert len(known) == 1, dict(area.tags)
                    self.classes.append(known.pop())
                    rule = vocabulary.classify({tag.k: tag.v for tag in area.tags}, GeometryKind.AREA)
                    assert isinstance(rule, TagRule)
                    self.smallest_m2.append(rule.min_area_m2)
                    shapes.append(shapely.from_wkb(bytes.fromhex(make.create_multipolygon(area))))
        degrees = np.array(shapes, dtype=object)
        self.shapes: npt.NDArray[np.object_] = shapely.transform(
            degrees, lambda xy: np.column_stack(to_utm.transform(xy[:, 0], xy[:, 1]))
        )
        self.tree = shapely.STRtree(self.shapes)

    def measure(self, transform: rasterio.Affine, col: int, row: int) -> Counted:
        """Measure what lies in a window."""
        west, north = transform @ (col, row)
        east, south = transform @ (col + SIZE, row + SIZE)
        box = shapely.box(west, south, east, north)
        inside: dict[str, list[shapely.Geometry]] = {}
        unsaid: Counter[str] = Counter()
        for k in np.sort(self.tree.query(box, predicate="intersects")):
            part = shapely.intersection(self.shapes[k], box)
            if part.area:
                inside.setdefault(str(self.classes[k]), []).append(part)
            if part.area < self.smallest_m2[k]:
                unsaid[str(self.classes[k])] += part.area / box.area
        merged = {name: shapely.union_all(parts) for name, parts in inside.items()}
        return Counted(
            {name: float(shape.area / box.area) for name, shape in merged.items()},
            {
                name: ((shape.centroid.x - west) / transform.a, (shape.centroid.y - north) / transform.e)
                for name, shape in merged.items()
            },
            unsaid,
        )


def thirds(x: float, y: float) -> tuple[int, int]:
    """Column and row, 0 to 2, of a position in the 3x3 grid of a window."""
    return min(int(3 * x / SIZE), 2), min(int(3 * y / SIZE), 2)


def near_a_border(x: float, y: float, pixels: float = 3.0) -> bool:
    """Whether a position lies so near a line of the 3x3 grid that rounding may decide its cell."""
    return any(abs(value - line) <= pixels for value in (x, y) for line in (SIZE / 3, 2 * SIZE / 3))
