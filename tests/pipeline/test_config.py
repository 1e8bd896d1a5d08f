"""A wrong config says what is wrong, where, and what to do; the right ones of the documentation load."""

from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from pipeline.config import DatasetConfig
from pipeline.configfile import load_config, parse_config, resolve
from pipeline.errors import Misconfigured

GOOD = """
name: town
area: {bbox: [-76.86, 39.42, -76.78, 39.49]}
osm: {type: pbf, path: town.osm.pbf}
imagery: {type: geotiff, paths: ./imagery, license: public domain, attribution: USDA}
"""


def broken(change: str) -> str:
    """Good values with some replaced, as YAML."""
    values = yaml.safe_load(GOOD)
    for key, value in yaml.safe_load(change).items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            values[key] |= value
        else:
            values[key] = value
    return yaml.safe_dump(values)


def test_a_small_config_has_the_documented_defaults() -> None:
    config = parse_config(GOOD, "x.yaml")
    assert (config.sampling.patch_px, config.sampling.stride, config.cell_zoom) == (448, 1.0, 12)
    assert config.captions.tasks == {"area": 0.4, "non_area": 0.3, "scene": 0.3}
    assert (config.splits.train, config.splits.block_km, config.shards.max_samples) == (0.9, 20, 1000)


def test_the_example_that_init_writes_is_valid() -> None:
    text = (files("pipeline") / "dataset.example.yaml").read_text(encoding="utf-8")
    assert isinstance(parse_config(text, "example"), DatasetConfig)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sampling: {patchpx: 256}", "unknown key `sampling.patchpx`; did you mean `patch_px`?"),
        ("smapling: {patch_px: 256}", "unknown key `smapling`; did you mean `sampling`?"),
        ("runtime: {wrokers: 3}", "unknown key `runtime.wrokers`; did you mean `workers`?"),
        ("imagery: {licence: CC0}", "did you mean `license`?"),
        ("splits: {zzz: 1}", "valid keys here: block_km, seed, test, train, val"),
        ("name: My Town", "`name`: String should match pattern"),
        ("area: {bbox: [1, 2, 3]}", "key `area.bbox.3` is missing"),
        ("area: {bbox: [10, 50, 12, 48]}", "needs -90 <= south < north <= 90"),
        ("area: {bbox: [190, 40, 191, 41]}", "longitudes must lie in -180..180"),
        ("area: {bbox: [10, 40, 10, 41]}", "the box is empty"),
        ("sampling: {stride: 0}", "`sampling.stride`: Input should be greater than or equal to 0.25"),
        ("sampling: {fraction: 1.5}", "less than or equal to 1"),
        ("sampling: {limit: 0}", "`sampling.limit`"),
        ("splits: {train: 0.9, val: 0.2}", "must sum to 1, got 1.15"),
        ("captions: {type: template, tasks: {area: 0}}", "at least one task a weight above zero"),
        ("captions: {type: template, tasks: {aera: 1}}", "`captions.tasks.aera"),
        ("osm: {type: shapefile}", "`osm.type`: must be one of 'pbf', 'overpass' (got 'shapefile')"),
        ("imagery: {type: wms}", "`imagery.type`: must be one of"),
        ("imagery: {bands: [R, G]}", "at least three different bands"),
        ("imagery: {value_range: [100, 10]}", "the first value must be smaller"),
        ("shards: {quality: 101}", "`shards.quality`"),
        ("shards: {image_format: tiff}", "`shards.image_format`"),
        ("runtime: {workers: 0}", "`runtime.workers`"),
    ],
)
def test_mistakes_are_named(change: str, message: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        parse_config(broken(change), "dataset.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("dataset.yaml: ")
    assert caught.value.exit_code == 2


def test_all_mistakes_are_listed_at_once() -> None:
    with pytest.raises(Misconfigured) as caught:
        parse_config("name: X\nosm: {type: pbf}\nfoo: 1", "d.yaml")
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert any("`osm`: give exactly one of path, url and region, got none" in line for line in lines)
    assert "d.yaml: key `imagery` is missing" in lines


@pytest.mark.parametrize("text", ["name: [", "- a\n- b", "just words", ""])
def test_what_is_no_config_at_all(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"^d.yaml: (not valid YAML|expected keys and values)"):
        parse_config(text, "d.yaml")


def test_yaml_cannot_make_objects() -> None:
    with pytest.raises(Misconfigured, match="not valid YAML"):
        parse_config("name: !!python/object/apply:os.system [true]", "d.yaml")


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="skyteller init"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "bin.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Misconfigured, match=r"bin.yaml: cannot be read as a config"):
        load_config(tmp_path / "bin.yaml")


def test_paths_start_from_the_configs_folder(tmp_path: Path) -> None:
    assert resolve(tmp_path, "a/b.tif") == tmp_path / "a/b.tif"
    assert resolve(tmp_path, "/x/b.tif") == Path("/x/b.tif")
