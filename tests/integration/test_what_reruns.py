"""A change re-runs what depends on it and nothing else."""

import os
from collections import Counter
from pathlib import Path

import pytest

from pipeline.configfile import load_config
from pipeline.engine import build
from pipeline.inventory import take_inventory
from pipeline.ledger import Ledger
from pipeline.plan import make_plan
from tests.small_world import make_world, write_config, write_imagery, write_osm


@pytest.fixture
def world(tmp_path: Path) -> Path:
    config = make_world(tmp_path)
    assert rerun(config)
    return tmp_path


def rerun(config: Path) -> set[str]:
    """Build; the stages that ran."""
    ran: Counter[str] = Counter()
    outcome = build(
        take_inventory(load_config(config), config.parent),
        lambda stage, units, _total: ran.update({stage: units}),
    )
    assert outcome.exit_code == 0
    assert outcome.plan.finished
    return set(ran)


def test_nothing_changed(world: Path) -> None:
    assert rerun(world / "dataset.yaml") == set()


def test_captions(world: Path) -> None:
    config = write_config(
        world, name="tiny-2", captions={"type": "template", "min_area_share": 0.01, "seed": 7}
    )
    assert rerun(config) == {"captions", "samples", "shards", "release"}


def test_sampling_seed(world: Path) -> None:
    config = write_config(world, name="tiny-2", sampling={"patch_px": 64, "fraction": 0.7, "seed": 5})
    ran = rerun(config)
    assert ran >= {"patches", "facts", "pixels"}
    assert "elements" not in ran


def test_image_quality_keeps_captions(world: Path) -> None:
    config = write_config(world, name="tiny-2", shards={"max_samples": 4, "quality": 80})
    assert rerun(config) == {"pixels", "shards", "release"}


def test_splits(world: Path) -> None:
    splits = {"train": 0.0, "val": 0.5, "test": 0.5, "block_km": 1}
    assert rerun(write_config(world, name="tiny-2", splits=splits)) == {"samples", "shards", "release"}


def test_limit(world: Path) -> None:
    config = write_config(world, name="tiny-2", sampling={"patch_px": 64, "limit": 3})
    assert rerun(config) == {"select", "pixels", "captions", "samples", "shards", "release"}
    plan = make_plan(context := take_inventory(load_config(config), world), Ledger(context.store))
    counts = {stage.stage.name: stage.counts for stage in plan.stages}
    assert counts["pixels"].kept == 3
    assert counts["release"].kept == 3


def test_osm_content_reruns_what_depends_on_it(world: Path) -> None:
    write_osm(world / "town.osm.pbf", wood_px=50)
    assert rerun(write_config(world, name="tiny-2")) >= {
        "elements",
        "facts",
        "captions",
        "samples",
        "shards",
        "release",
    }


def test_an_osm_file_with_the_same_elements_shields_what_is_behind_them(world: Path) -> None:
    data = (world / "town.osm.pbf").read_bytes()
    write_osm(world / "town.osm.pbf", version=1)
    os.utime(world / "town.osm.pbf", ns=(1, 1))
    if (world / "town.osm.pbf").read_bytes() == data:
        assert rerun(world / "dataset.yaml") == set()
    write_osm(world / "town.osm.pbf", version=2)
    ran = rerun(write_config(world, name="tiny-2"))
    assert "elements" in ran
    assert "pixels" not in ran  # other versions of the ways, the same patches with facts


def test_imagery_content(world: Path) -> None:
    write_imagery(world / "imagery" / "scene_20210615.tif", seed=99)
    ran = rerun(write_config(world, name="tiny-2"))
    assert ran >= {"pixels", "shards", "release"}
    assert not ran & {"elements", "patches", "facts"}


def test_one_more_scene_leaves_the_others_patches_alone(world: Path) -> None:
    write_imagery(world / "imagery" / "east_20210615.tif", west=340_000 + 192 * 0.6, columns=1)
    ran = rerun(write_config(world, name="tiny-2"))
    assert "elements" not in ran
    assert "patches" in ran
