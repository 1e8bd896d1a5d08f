"""Drawing imagery for an OSM extract."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import shapely
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from pipeline.configfile import load_config
from pipeline.demo import draw_osm, osmstyle
from pipeline.demo.osmfile import write_osm
from pipeline.demo.palette import MATERIALS
from pipeline.errors import Misconfigured, StoreError
from pipeline.ids import file_sha256
from pipeline.inventory import take_inventory
from pipeline.sources import GeotiffSource
from tests.imagery.tiffs import file_of

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "osm"

Elements = list[tuple[BaseGeometry, Mapping[str, str]]]


def box(x: float, y: float, width: float, height: float) -> BaseGeometry:
    """A rectangle in metres east and north of 9.5 E, 47.2 N, in degrees."""
    to_utm = Transformer.from_crs("EPSG:4326", "EPSG:32632", always_xy=True)
    east, north = to_utm.transform(9.5, 47.2)
    metres = shapely.box(east + x, north + y, east + x + width, north + y + height)
    return shapely.transform(
        metres, lambda xy: np.column_stack(to_utm.transform(xy[:, 0], xy[:, 1], direction="INVERSE"))
    )


def write_map(path: Path, elements: Elements, bounds: BaseGeometry | None = None) -> Path:
    outline = bounds or shapely.union_all([geometry for geometry, _ in elements])
    west, south, east, north = outline.bounds
    write_osm(path, elements, (west, south, east, north), seed=0)
    return path


def colour(folder: Path, geometry: BaseGeometry) -> npt.NDArray[np.float64]:
    """Mean colour of the middle of a geometry."""
    (path,) = (folder / "imagery").iterdir()
    with rasterio.open(path) as file:
        x, y = Transformer.from_crs("EPSG:4326", file.crs, always_xy=True).transform(
            geometry.centroid.x, geometry.centroid.y
        )
        row, col = file.index(x, y)
        pixels = file.read()[:, row - 6 : row + 6, col - 6 : col + 6]
    return np.asarray(pixels.mean(axis=(1, 2)))


def tone(name: str) -> npt.NDArray[np.float64]:
    return np.array(MATERIALS[name].tones[0][:3], dtype=np.float64)


def test_what_is_on_the_map_is_where_it_should_be_in_the_picture(tmp_path: Path) -> None:
    lake, court, house = box(20, 20, 80, 60), box(150, 30, 40, 20), box(150, 120, 60, 40)
    tunnel = shapely.LineString([(box(0, 230, 1, 1).bounds[:2]), box(300, 230, 1, 1).bounds[:2]])
    road = shapely.LineString([(box(0, 200, 1, 1).bounds[:2]), box(300, 200, 1, 1).bounds[:2]])
    elements: Elements = [
        (lake, {"natural": "water", "name": "Blue Lake"}),
        (court, {"leisure": "pitch", "sport": "tennis"}),
        (house, {"building": "retail"}),
        (road, {"highway": "primary"}),
        (tunnel, {"highway": "primary", "tunnel": "yes"}),
    ]
    path = write_map(tmp_path / "small.osm.pbf", elements, box(-20, -20, 360, 300))
    folder = draw_osm(path, tmp_path / "out", gsd_m=0.5).parent
    assert np.abs(colour(folder, lake) - tone("water")).max() < 12
    assert np.abs(colour(folder, court) - tone("court")).max() < 12
    assert np.abs(colour(folder, road) - tone("road")).max() < 12
    assert np.abs(colour(folder, tunnel) - tone("lawn")).max() < 12
    assert min(np.abs(colour(folder, house) - tone(name)).max() for name in ("flat roof", "roof plant")) < 12


def test_the_drawing_says_that_it_is_one(tmp_path: Path) -> None:
    path = write_map(tmp_path / "Small Town_2.osm.pbf", [(box(0, 0, 300, 300), {"landuse": "forest"})])
    config_path = draw_osm(path, tmp_path / "out")
    config = load_config(config_path)
    assert config.name == "small-town-2"
    assert isinstance(config.imagery, GeotiffSource)
    assert "synthetic drawing, not a photograph" in config.imagery.license
    assert "synthetic drawing, not a photograph" in config.imagery.attribution
    assert "(c) OpenStreetMap contributors" in config.imagery.attribution
    (scene,) = take_inventory(config, config_path.parent).scenes
    assert scene.id == "synthetic_r000_c000_20220701"
    assert str(scene.date) == "2022-07-01"
    assert scene.crs == "EPSG:32632"
    with rasterio.open(file_of(scene).path) as file:
        assert file.tags()["SYNTHETIC"] == "YES"
        assert "not a photograph" in file.tags()["TIFFTAG_IMAGEDESCRIPTION"]
        assert "OpenStreetMap contributors" in file.tags()["TIFFTAG_IMAGEDESCRIPTION"]


def test_scenes_with_nothing_on_them_are_not_written_and_seams_fit_the_patches(tmp_path: Path) -> None:
    elements: Elements = [
        (box(0, 0, 200, 200), {"landuse": "forest"}),
        (box(20_000, 0, 200, 200), {"landuse": "forest"}),
    ]
    path = write_map(tmp_path / "wide.osm.pbf", elements)
    heard: list[tuple[str, int, int]] = []
    folder = draw_osm(path, tmp_path / "out", gsd_m=1.0, progress=lambda *words: heard.append(words)).parent
    names = sorted(file.stem for file in (folder / "imagery").iterdir())
    assert names == ["synthetic_r000_c000_20220701", "synthetic_r000_c003_20220701"]
    assert heard == [("drawing", 1, 2), ("drawing", 2, 2)]
    lefts = []
    for name in names:
        with rasterio.open(folder / "imagery" / f"{name}.tif") as file:
            lefts.append(file.bounds.left)
            assert file.width <= 6000
    assert (lefts[1] - lefts[0]) / 3 % 448 == 0


def test_the_same_map_gives_the_same_bytes_and_a_box_a_part_of_them(tmp_path: Path) -> None:
    path = write_map(tmp_path / "map.osm.pbf", [(box(0, 0, 900, 900), {"natural": "scrub"})])
    one, other = (draw_osm(path, tmp_path / name).parent for name in ("one", "other"))
    name = "imagery/synthetic_r000_c000_20220701.tif"
    assert file_sha256(one / name) == file_sha256(other / name)
    west, south, east, north = box(300, 300, 400, 300).bounds
    config = load_config(draw_osm(path, tmp_path / "part", bbox=(west, south, east, north)))
    with rasterio.open(tmp_path / "part" / name) as file:
        assert abs(file.width * 0.6 - 400) < 12
        assert abs(file.height * 0.6 - 300) < 12
    assert config.area is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gsd_m": 0.0}, "ground sample distance"),
        ({"bbox": (1.0, 1.0, 2.0, 2.0)}, "does not meet"),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_error(
    tmp_path: Path, arguments: dict[str, float], message: str
) -> None:
    path = write_map(tmp_path / "map.osm.pbf", [(box(0, 0, 900, 900), {"natural": "scrub"})])
    with pytest.raises(Misconfigured, match=message):
        draw_osm(path, tmp_path / "out", **arguments)  # type: ignore[arg-type]  # one of several keywords
    assert not (tmp_path / "out" / "dataset.yaml").exists()


def test_every_look_has_its_materials() -> None:
    for kind, looks in osmstyle._LOOKS.items():
        for tag, look in looks.items():
            for number in range(200):
                name = look.for_element(number, {}, 50.0 * number)
                assert name in MATERIALS, (kind, tag)
                assert osmstyle.shaded_side(name) is None or osmstyle.shaded_side(name) in MATERIALS


def test_a_map_without_anything_visible_is_one_clear_error(tmp_path: Path) -> None:
    path = write_map(tmp_path / "map.osm.pbf", [(box(0, 0, 900, 900), {"boundary": "protected_area"})])
    with pytest.raises(Misconfigured, match="nothing that can be seen"):
        draw_osm(path, tmp_path / "out")


def test_a_drawing_that_is_too_large_is_refused_before_any_work(tmp_path: Path) -> None:
    path = write_map(tmp_path / "map.osm.pbf", [(box(0, 0, 900_000, 900_000), {"natural": "scrub"})])
    with pytest.raises(Misconfigured, match="billion pixels"):
        draw_osm(path, tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    path = write_map(tmp_path / "map.osm.pbf", [(box(0, 0, 900, 900), {"natural": "scrub"})])
    with pytest.raises(StoreError, match="cannot be written"):
        draw_osm(path, path)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no OSM extracts at {DATA}")
def test_a_real_extract_is_drawn(tmp_path: Path) -> None:
    town = (-116.775, 36.895, -116.745, 36.915)
    config = load_config(draw_osm(DATA / "beatty-nv-2017.osm.pbf", tmp_path, gsd_m=1.0, bbox=town))
    (scene,) = take_inventory(config, tmp_path).scenes
    assert scene.crs == "EPSG:32611"
    with rasterio.open(file_of(scene).path) as file:
        assert file.read(1).std() > 6  # houses and roads; a lawn alone has 4
