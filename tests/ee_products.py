"""The known collections of Earth Engine as synthetic assets: ids, bands, types, CRSs, dates and properties as live."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.ee_world import Place, entry

Pixels = npt.NDArray[Any]
SIDE = 3 * 64

# A CRS without a code, as SkySat's assets have it.
OWN_CRS = "+proj=tmerc +lat_0=41.5 +lon_0=-70.9 +k=0.99987 +x_0=1000 +y_0=2000 +ellps=GRS80 +units=m +no_defs"


def shown(values: Pixels, low: float, high: float, gamma: float) -> Pixels:
    """The documented stretch: 255 * clip((v - low) / (high - low)) ** (1 / gamma), halves up."""
    share = np.minimum(np.maximum((values.astype(np.float64) - low) / (high - low), 0), 1)
    return np.floor(255 * np.power(share, 1 / gamma) + 0.5).astype(np.uint8)


@dataclass(frozen=True)
class Product:
    """A collection as the live catalogue has it, and what a sample of it must say."""

    id: str
    index: str
    place: Place
    file_bands: tuple[str, ...]
    rgb: tuple[str, str, str]
    dates: tuple[str, str]
    date: str
    license: str
    attribution: str
    dtype: str = "uint8"
    values: tuple[float, float] = (40, 200)
    stretch: tuple[float, float, float] | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    other_bands: Mapping[str, tuple[float, Mapping[str, Any]]] = field(default_factory=dict)
    """Bands on other grids or of other types: pixel size and data type."""

    def make_pixels(self, seed: int = 1) -> Pixels:
        rng = np.random.default_rng(seed)
        shape = (len(self.file_bands), self.place.side, self.place.side)
        return rng.uniform(*self.values, size=shape).astype(self.dtype)

    def expected(self, pixels: Pixels) -> Pixels:
        """What the pixels (C, H, W) of a window of the file must look like."""
        picture = pixels[[self.file_bands.index(band) for band in self.rgb]].transpose(1, 2, 0)
        return picture if self.stretch is None else shown(picture, *self.stretch)

    def write(self, folder: Path, index: str | None = None, seed: int = 1, **changes: Any) -> dict[str, Any]:
        """Write an asset's file; its line in the catalogue."""
        name = (index or self.index).replace("/", "-")
        self.place.write_image(folder / f"{name}.tif", self.make_pixels(seed))
        start, end = self.dates
        return entry(
            f"{name}.tif", collection=self.id, index=index or self.index, bands=list(self.file_bands),
            start=start, end=end, properties=dict(self.properties),
        ) | changes  # fmt: skip


U8, U16 = {"precision": "INT", "range": {"max": 255}}, {"precision": "INT", "range": {"max": 65535}}
I16 = {"precision": "INT", "range": {"min": -32768, "max": 32767}}
FLOAT = {"precision": "FLOAT"}

NAIP = Product(
    "USDA/NAIP/DOQQ", "m_3907617_ne_18_060_20210615", Place("EPSG:26918", 340_000, 4_372_000, 0.6, SIDE),
    ("R", "G", "B", "N"), ("R", "G", "B"), ("2021-06-15T00:00:00Z", "2021-06-16T00:00:00Z"), "2021-06-15",
    "public domain", "USDA",
)  # fmt: skip
SWISSIMAGE = Product(
    "Switzerland/SWISSIMAGE/orthos/10cm", "2017", Place("EPSG:2056", 2_600_000, 1_200_000, 0.1, SIDE),
    ("R", "G", "B"), ("R", "G", "B"), ("2017-01-01T00:00:00Z", "2018-01-01T00:00:00Z"), "2017",
    "swisstopo", "swisstopo",
)  # fmt: skip
BRANDENBURG = Product(
    "Germany/Brandenburg/orthos/20cm", "dop_33380-5800", Place("EPSG:25833", 380_000, 5_801_000, 0.2, SIDE),
    ("N", "R", "G", "B"), ("R", "G", "B"), ("2022-07-04T00:00:00Z", "2022-07-05T00:00:00Z"), "2022-07-04",
    "dl-de/by-2-0", "GeoBasis-DE/LGB",
)  # fmt: skip
FINLAND = Product(
    "Finland/SMK/V/50cm", "2020", Place("EPSG:3067", 385_000, 6_672_000, 0.5, SIDE),
    ("R", "G", "B"), ("R", "G", "B"), ("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"), "2020",
    "CC-BY-4.0", "National Land Survey of Finland",
)  # fmt: skip
SPAIN_30 = Product(
    "Spain/PNOA/PNOA10", "h30_2012", Place("EPSG:25830", 440_000, 4_474_000, 0.1, SIDE),
    ("R", "G", "B"), ("R", "G", "B"), ("2012-01-01T00:00:00Z", "2013-01-01T00:00:00Z"), "2012",
    "IGN", "Instituto Geografico Nacional",
)  # fmt: skip
SPAIN_31 = Product(
    "Spain/PNOA/PNOA10", "h31_2018", Place("EPSG:25831", 430_000, 4_582_000, 0.1, SIDE),
    ("R", "G", "B"), ("R", "G", "B"), ("2018-01-01T00:00:00Z", "2019-01-01T00:00:00Z"), "2018",
    "CC-BY-4.0", "PNOA",
)  # fmt: skip
SKYSAT_RGB = Product(
    "SKYSAT/GEN-A/PUBLIC/ORTHO/RGB", "s02_20150501T150812Z", Place(OWN_CRS, 900, 2_100, 0.8, SIDE),
    ("R", "G", "B"), ("R", "G", "B"), ("2015-05-01T15:08:12Z", "2015-05-01T15:08:12Z"), "2015-05-01",
    "CC-BY-4.0", "Planet Labs",
)  # fmt: skip
SKYSAT_MS = Product(
    "SKYSAT/GEN-A/PUBLIC/ORTHO/MULTISPECTRAL", "s01_20150305T081019Z",
    Place("EPSG:32631", 500_000, 5_700_000, 2.0, SIDE),
    ("B", "G", "R", "N"), ("R", "G", "B"), ("2015-03-05T08:10:19.250Z", "2015-03-05T08:10:19.250Z"), "2015-03-05",
    "CC-BY-4.0", "Planet Labs",
    dtype="uint16", values=(150, 6500), stretch=(200, 6000, 1),
    other_bands={"P": (0.8, U16)},
)  # fmt: skip
SENTINEL_2 = Product(
    "COPERNICUS/S2_SR_HARMONIZED", "20210615T155829_20210615T160416_T18SUJ",
    Place("EPSG:32618", 340_020, 4_372_020, 10.0, SIDE),
    ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12"), ("B4", "B3", "B2"),
    ("2021-06-15T16:04:20.318Z", "2021-06-15T16:04:20.318Z"), "2021-06-15",
    "Copernicus", "modified Copernicus Sentinel data",
    dtype="uint16", values=(1, 3300), stretch=(0, 3000, 1.4),
    properties={"CLOUDY_PIXEL_PERCENTAGE": 3.2, "MGRS_TILE": "18SUJ", "SPACECRAFT_NAME": "Sentinel-2A"},
    other_bands={
        **dict.fromkeys(("B5", "B6", "B7", "B8A", "B11", "B12", "AOT", "WVP"), (20.0, U16)),
        **dict.fromkeys(("B1", "B9", "QA60"), (60.0, U16)), "SCL": (20.0, U8), "TCI_R": (10.0, U8),
    },
)  # fmt: skip
LANDSAT_8 = Product(
    "LANDSAT/LC08/C02/T1_TOA", "LC08_015033_20210612", Place("EPSG:32618", 339_885, 4_372_215, 30.0, SIDE),
    tuple(f"B{n}" for n in range(1, 12)), ("B4", "B3", "B2"),
    ("2021-06-12T15:46:12.123Z", "2021-06-12T15:46:12.123Z"), "2021-06-12",
    "public domain", "U.S. Geological Survey",
    dtype="float32", values=(0.01, 0.44), stretch=(0, 0.4, 1.2),
    properties={"CLOUD_COVER": 11.5, "WRS_PATH": 15, "WRS_ROW": 33, "SUN_ELEVATION": 66.1},
    other_bands={"B8": (15.0, FLOAT), "QA_PIXEL": (30.0, U16), "SAA": (30.0, I16)},
)  # fmt: skip
LANDSAT_9 = Product(  # south of the equator: Landsat keeps the northern zones, with negative northings
    "LANDSAT/LC09/C02/T1_TOA", "LC09_171060_20220207", Place("EPSG:32636", 360_015, -12_015, 30.0, SIDE),
    tuple(f"B{n}" for n in range(1, 12)), ("B4", "B3", "B2"),
    ("2022-02-07T07:58:01Z", "2022-02-07T07:58:01Z"), "2022-02-07",
    "public domain", "Landsat-9",
    dtype="float32", values=(0.01, 0.44), stretch=(0, 0.4, 1.2),
    properties={"CLOUD_COVER": 24}, other_bands=LANDSAT_8.other_bands,
)  # fmt: skip
PRODUCTS = (
    NAIP, SWISSIMAGE, BRANDENBURG, FINLAND, SPAIN_30, SPAIN_31, SKYSAT_RGB, SKYSAT_MS, SENTINEL_2, LANDSAT_8, LANDSAT_9,
)  # fmt: skip
