"""Collections by any of their names, and what a dataset says of them."""

from typing import Any

import pytest

from pipeline.errors import Misconfigured
from pipeline.imagery.collections import find_collection, known_collections, product_of
from pipeline.sources import Collection
from pipeline.types import Product, Stretch
from tests.imagery.ee_assets import source

SKYSCRIPT = {
    "US": "USDA/NAIP/DOQQ",
    "CH": "Switzerland/SWISSIMAGE/orthos/10cm",
    "DE": "Germany/Brandenburg/orthos/20cm",
    "FI": "Finland/SMK/V/50cm",
    "ES": "Spain/PNOA/PNOA10",
    "P3": "SKYSAT/GEN-A/PUBLIC/ORTHO/RGB",
    "P5": "SKYSAT/GEN-A/PUBLIC/ORTHO/MULTISPECTRAL",
    "S2": "COPERNICUS/S2_SR_HARMONIZED",
    "L8": "LANDSAT/LC08/C02/T1_TOA",
    "L9": "LANDSAT/LC09/C02/T1_TOA",
}
OWN: dict[str, Any] = {
    "id": "projects/mine/assets/flights",
    "bands": ["red", "green", "blue"],
    "gsd_m": 0.25,
    "license": "CC0-1.0",
    "attribution": "me",
}


def test_all_collections_of_skyscript_are_known() -> None:
    assert {record.code: record.id for record in known_collections()} == SKYSCRIPT


def test_every_name_means_one_collection() -> None:
    names = [name for r in known_collections() for name in (r.id, r.name, *r.aliases)]
    assert len({str(name).lower() for name in names}) == len(names)
    assert None not in names


def test_imagery_of_more_than_8_bits_has_a_range() -> None:
    with_range = {record.code for record in known_collections() if record.value_range is not None}
    assert with_range == {"P5", "S2", "L8", "L9"}
    assert {record.code for record in known_collections() if record.cloud is not None} == {"S2", "L8", "L9"}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("naip", "US"),
        ("NAIP", "US"),
        ("USDA/NAIP/DOQQ", "US"),
        ("swissimage", "CH"),
        ("ORTHO/Switzerland/SWISSIMAGE/10cm", "CH"),  # the id that SkyScript used, retired
        ("pnoa", "ES"),
        ("sentinel-2", "S2"),
        ("LANDSAT/LC09/C02/T1_TOA/", "L9"),
    ],
)
def test_short_names_ids_and_retired_ids(name: str, code: str) -> None:
    found = find_collection(source(name))
    assert found.code == code
    assert found.id == SKYSCRIPT[code]  # never the retired id


def test_a_record_of_ones_own() -> None:
    found = find_collection(source(OWN))
    assert found == Collection.model_validate(OWN)
    assert product_of(source(OWN), found) == Product(OWN["id"], "CC0-1.0", "me", None, year_only=False)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"collection": "swisimage"},
            ["swisimage is not a known", "did you mean swissimage?", "bands: [red"],
        ),
        ({"collection": "USDA/NAIP/DOQ"}, ["did you mean USDA/NAIP/DOQQ?"]),
        ({"collection": "zzz"}, ["known are naip, swissimage, ", "landsat-9.", "give a record"]),
        ({"bands": ["R", "G", "B", "NIR"]}, ["USDA/NAIP/DOQQ has no band NIR", "there are R, G, B, N"]),
        ({"max_cloud": 20}, ["imagery.max_cloud", "does not tell the clouds"]),
    ],
)
def test_what_cannot_be_meant_is_one_clear_error(values: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(Misconfigured) as raised:
        find_collection(source(**values))
    assert all(word in str(raised.value) for word in words), raised.value


@pytest.mark.parametrize(
    ("name", "values", "stretch", "year_only"),
    [
        ("naip", {}, None, False),
        ("naip", {"value_range": [10, 200]}, Stretch(10, 200), False),
        ("swissimage", {}, None, True),
        ("sentinel-2", {}, Stretch(0, 3000, 1.4), False),
        ("sentinel-2", {"value_range": [0, 10_000]}, Stretch(0, 10_000, 1.4), False),
        ("landsat-8", {}, Stretch(0, 0.4, 1.2), False),
    ],
)
def test_how_a_product_is_shown(
    name: str, values: dict[str, Any], stretch: Stretch | None, *, year_only: bool
) -> None:
    config = source(name, **values)
    product = product_of(config, find_collection(config))
    assert (product.stretch, product.year_only) == (stretch, year_only)
    assert product.id == find_collection(config).id
