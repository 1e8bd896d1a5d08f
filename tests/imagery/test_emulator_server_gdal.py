"""The emulator as GDAL's driver for Earth Engine sees it."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from pipeline.imagery.emulator.server import serve
from tests.emulator_world import CRS, HEIGHT, WIDTH, make_world, world_pixels


def test_gdal_reads_the_same_pixels(tmp_path: Path) -> None:
    make_world(tmp_path)
    with (
        serve(tmp_path) as server,
        rasterio.Env(EEDA_URL=f"{server.url}/v1/", EEDA_BEARER="any", GDAL_HTTP_MAX_RETRY="0"),
        rasterio.open("EEDAI:USDA/NAIP/DOQQ/m_2_20200715") as remote,
    ):
        assert (remote.width, remote.height, remote.count) == (WIDTH, HEIGHT, 4)
        assert remote.crs == CRS
        assert remote.dtypes == ("uint8",) * 4
        assert remote.descriptions == ("R", "G", "B", "N")
        assert tuple(remote.transform)[:6] == pytest.approx((0.6, 0, 340_240, 0, -0.6, 4_372_000))
        expected = world_pixels(400, 0, WIDTH, HEIGHT, 2)
        np.testing.assert_array_equal(
            remote.read(window=Window(37, 101, 300, 200)), expected[:, 101:301, 37:337]
        )
        np.testing.assert_array_equal(remote.read(1), expected[0])
        assert remote.tags()["NUMBER"] == "2"
