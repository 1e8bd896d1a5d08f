"""Kampala: the true end-to-end case, where map and pixels are both real."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import geopandas
import numpy as np
import osmium
import pytest
import rasterio
import shapely
import yaml
from PIL import Image, ImageDraw
from pyproj import Geod

from pipeline.engine import Outcome
from tests.small_world import run

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "kampala"
FILLED = {(6, 0), (7, 0), (8, 0), (6, 1), (7, 1), (8, 1), (0, 4)}  # windows with pixels, seen by eye

GEOD = Geod(ellps="WGS84")

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="needs the shared test data")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    folder = tmp_path_factory.mktemp("kampala")
    values = {
        "name": "kampala",
        "store": "./store",
        "area": {"bbox": [32.58, 0.34, 32.60, 0.36]},
        "osm": {"type": "pbf", "path": str(DATA / "kampala-buildings.osm.pbf")},
        "imagery": {
            "type": "geotiff", "paths": str(DATA / "kampala-30cm.tif"), "collection": "OpenAerialMap",
            "license": "CC BY 4.0", "attribution": "OpenAerialMap contributors",
        },
        "sampling": {"patch_px": 256},
    }  # fmt: skip
    (folder / "dataset.yaml").write_text(yaml.safe_dump(values))
    return folder / "store" / "releases" / "kampala", run(folder / "dataset.yaml")


def samples(release: Path) -> Iterator[dict[str, bytes]]:
    for shard in sorted((release / "shards").glob("*.tar")):
        found: dict[str, dict[str, bytes]] = {}
        with tarfile.open(shard) as tar:
            for member in tar:
                key, _, kind = member.name.partition(".")
                content = tar.extractfile(member)
                assert content is not None
                found.setdefault(key, {})[kind] = content.read()
        yield from found.values()


def buildings() -> geopandas.GeoDataFrame:
    """The buildings in the image's CRS, read without the pipeline."""
    ways = osmium.FileProcessor(str(DATA / "kampala-buildings.osm.pbf")).with_locations()
    rows = [
        (f"w{way.id}", shapely.Polygon([(node.lon, node.lat) for node in way.nodes]))
        for way in ways
        if isinstance(way, osmium.osm.Way) and "building" in way.tags
    ]
    frame = geopandas.GeoDataFrame(rows, columns=["id", "geometry"], crs="EPSG:4326")
    return frame.to_crs("EPSG:3857")


def test_exactly_the_patches_with_pixels_are_kept(built: tuple[Path, Outcome]) -> None:
    release, outcome = built
    assert outcome.exit_code == 0
    metadata = [json.loads(sample["json"])["metadata"] for sample in samples(release)]
    windows = {(m["window"]["col"] // 256, m["window"]["row"] // 256) for m in metadata}
    assert windows == FILLED
    assert len(metadata) == 7
    counts = {stage.stage.name: stage.counts for stage in outcome.plan.stages}
    assert counts["patches"].kept == 45
    assert all(count.balanced for count in counts.values())


def test_building_counts_equal_an_independent_count(built: tuple[Path, Outcome]) -> None:
    release, outcome = built
    frame = buildings()
    broken = frame[~frame.is_valid]  # outlines that cross themselves are rejected with a reason, not repaired
    frame = frame[frame.is_valid]
    counts = {stage.stage.name: stage.counts for stage in outcome.plan.stages}
    assert counts["elements"].rejected == {"broken_geometry": len(broken)}
    assert counts["elements"].kept == len(frame)
    with rasterio.open(DATA / "kampala-30cm.tif") as image:
        transform = image.transform
    for sample in samples(release):
        content = json.loads(sample["json"])
        col, row = content["metadata"]["window"]["col"], content["metadata"]["window"]["row"]
        left, top = transform @ (col, row)
        right, bottom = transform @ (col + 256, row + 256)
        clipped = geopandas.clip(frame, shapely.box(left, bottom, right, top))
        # 20 m2 on the ground is the smallest visible part of a building in the vocabulary
        on_ground = [
            abs(GEOD.geometry_area_perimeter(shape)[0]) for shape in clipped.to_crs("EPSG:4326").geometry
        ]
        expected = set(clipped[np.array(on_ground) >= 20]["id"])
        found = {
            id_
            for fact in content["facts"]
            if fact["tag"].startswith("building=")
            for id_ in fact["elements"]
        }
        count = sum(fact["count"] for fact in content["facts"] if fact["tag"].startswith("building="))
        assert found == expected
        assert count == len(expected) > 0


def test_outlines_lie_on_the_edges_of_the_pixels(built: tuple[Path, Outcome], tmp_path: Path) -> None:
    """The mean gradient under the outlines is largest where they are, of all shifts up to 20 pixels."""
    release, _ = built
    with rasterio.open(DATA / "kampala-30cm.tif") as image:
        to_pixel = ~image.transform
    outlines = shapely.transform(
        buildings().geometry.to_numpy(), lambda xy: np.stack(to_pixel @ (xy[:, 0], xy[:, 1]), axis=-1)
    )
    shifts = [(dx, dy) for dx in range(-20, 21, 2) for dy in range(-20, 21, 2)]
    score = dict.fromkeys(shifts, 0.0)
    for number, sample in enumerate(samples(release)):
        window = json.loads(sample["json"])["metadata"]["window"]
        picture = Image.open(io.BytesIO(sample["jpg"]))
        assert picture.size == (256, 256)
        gy, gx = np.gradient(np.asarray(picture, dtype=np.float64).mean(axis=2))
        strength = np.hypot(gx, gy)
        drawing = ImageDraw.Draw(picture)
        under = []
        for outline in outlines:
            ring = shapely.get_coordinates(outline) - (window["col"], window["row"])
            drawing.line([tuple(point) for point in ring], fill=(255, 255, 0))
            line = shapely.LineString(ring)
            under.append(
                shapely.get_coordinates(shapely.line_interpolate_point(line, np.arange(0, line.length)))
            )
        points = np.concatenate(under)
        for dx, dy in shifts:
            col, row = np.floor(points + np.array([dx, dy])).astype(int).T
            inside = (col >= 0) & (col < 256) & (row >= 0) & (row < 256)
            score[dx, dy] += float(strength[row[inside], col[inside]].sum())
        picture.resize((1024, 1024)).save(tmp_path / f"outlines-{number}.png")
    assert max(score, key=lambda shift: score[shift]) == (0, 0)
