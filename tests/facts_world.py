"""Elements drawn in the pixels of a scene: what tests of facts are made of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import shapely

from pipeline.evidence import Fact
from pipeline.facts.find import find_facts
from pipeline.facts.io import facts_of
from pipeline.grid import pixel_to_crs, to_lonlat
from pipeline.osm.vocabulary import Vocabulary
from pipeline.types import RasterFile, Scene

SIZE = 400


def scene(name: str = "one", *, west: float = 340_000.0, gsd: float = 0.5) -> Scene:
    transform = (gsd, 0.0, west, 0.0, -gsd, 4_372_000.0)
    box = (-77.0, 39.0, -76.0, 40.0)
    return Scene(
        name, RasterFile("", "", (1, 2, 3), None), "EPSG:26918", transform, 4000, 4000, None, gsd, box
    )


ONE = scene()


@dataclass(frozen=True)
class Thing:
    """An element drawn in pixels of a scene."""

    id: str
    tags: dict[str, str]
    shape: shapely.Geometry
    scene: Scene = ONE

    @property
    def kind(self) -> str:
        return ("point", "line", "area")[int(shapely.get_dimensions(self.shape))]


def table_of(things: Iterable[Thing]) -> pa.Table:
    rows = list(things)

    def lonlat(thing: Thing) -> bytes:
        def move(pixels: np.ndarray) -> np.ndarray:
            x, y = pixel_to_crs(thing.scene.transform, pixels[:, 0], pixels[:, 1])
            return np.column_stack(to_lonlat(thing.scene.crs).transform(x, y))

        wkb: bytes = shapely.to_wkb(shapely.transform(thing.shape, move))
        return wkb

    return pa.table(
        {
            "id": pa.array([thing.id for thing in rows], pa.string()),
            "kind": pa.array([thing.kind for thing in rows], pa.string()),
            "tags": pa.array([list(thing.tags.items()) for thing in rows], pa.map_(pa.string(), pa.string())),
            "geometry": pa.array([lonlat(thing) for thing in rows], pa.binary()),
        }
    )


def patches_at(corners: Sequence[tuple[int, int]], of: Scene = ONE) -> pa.Table:
    return pa.table(
        {
            "id": [f"{of.id}-{col}-{row}" for col, row in corners],
            "scene": [of.id] * len(corners),
            "col": pa.array([col for col, _ in corners], pa.int32()),
            "row": pa.array([row for _, row in corners], pa.int32()),
            "size": pa.array([SIZE] * len(corners), pa.int32()),
        }
    )


def found(things: Iterable[Thing], vocabulary: Vocabulary, scene_: Scene = ONE) -> list[Fact]:
    """The facts of the patch at (0, 0)."""
    tables = list(find_facts(patches_at([(0, 0)], scene_), table_of(things), {scene_.id: scene_}, vocabulary))
    patches = [facts for each in tables for _, facts in facts_of(each.facts)]
    return list(patches[0]) if patches else []
