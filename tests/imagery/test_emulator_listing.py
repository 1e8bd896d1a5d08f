"""The filter language of listAssets, and its pages."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.imagery.emulator.assets import CollectionAsset, ImageAsset
from pipeline.imagery.emulator.catalog import load_catalog
from pipeline.imagery.emulator.listing import list_page, parse_filter
from pipeline.imagery.emulator.values import RequestError
from tests.emulator_world import entry, make_world, world_pixels, write_catalogue, write_image

SQUARE = "{'type': 'Polygon', 'coordinates': [[[-80, 39], [-70, 39], [-70, 40], [-80, 40], [-80, 39]]]}"
ELSEWHERE = "POLYGON ((0 0, 1 0, 1 1, 0 0))"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageAsset, ...]:
    """Tiles of 2019-06-10, 2020-07-15 and 2021-08-20, NUMBER 1, 2, 3, each a day long."""
    asset = load_catalog(make_world(tmp_path_factory.mktemp("listing"))).find("USDA/NAIP/DOQQ")
    assert isinstance(asset, CollectionAsset)
    return tuple(asset.images)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [1, 2, 3]),
        ('startTime >= "2020-07-15T00:00:00Z"', [2, 3]),
        ('startTime > "2020-07-15T00:00:00.000Z"', [3]),
        ('startTime>="2020-07-15"', [2, 3]),
        ('startTime <= "2020-07-15T02:00:00+02:00"', [1, 2]),
        ('endTime < "2020-07-16T00:00:00Z"', [1]),  # strictly before the asset's own end
        ('endTime <= "2020-07-16T00:00:00Z"', [1, 2]),
        ('startTime >= "2020-01-01T00:00:00Z" AND endTime < "2021-01-01T00:00:00Z"', [2]),
        (f'intersects("{SQUARE}")', [1, 2, 3]),
        (f'intersects("{ELSEWHERE}")', []),
        (f'startTime < "2020-01-01T00:00:00Z" AND intersects("{SQUARE}") AND properties.STATE="MD"', [1]),
        ("properties.NUMBER=2", [2]),
        ("properties.NUMBER != 2", [1, 3]),
        ("properties.NUMBER>=2 AND properties.NUMBER < 3.5", [2, 3]),
        ("properties.STATE=MD", [1, 2, 3]),
        ("properties.STATE='VA'", []),
        ('properties.NUMBER="2"', []),  # a string is no number
        ("properties.NOTHING=1", []),
        ("properties.system:index=m_2_20200715", [2]),
    ],
)
def test_filters(images: tuple[ImageAsset, ...], text: str, expected: list[int]) -> None:
    test = parse_filter(text)
    assert [image.properties["NUMBER"] for image in images if test(image)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "nonsense", 'startTime ~ "2020"', 'startTime > "soon"', 'colour = "red"', "AND", 'intersects("CIRCLE (1)")',
        "intersects(\"{'type': 'Polygon'\")", 'startTime > "2020-01-01" OR endTime > "2020-01-01"',
        'startTime > "2020-01-01" endTime > "2020-01-01"', 'startTime > "2020-01-01" AND', '"',
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_filter(text)
    assert caught.value.code == 400
    assert "Invalid filter" in caught.value.message


@given(st.text())
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    with suppress(RequestError):
        parse_filter(text)


def test_an_image_without_an_end_passes_no_test_of_it(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", world_pixels(0, 0, 4, 4, 1))
    asset = load_catalog(write_catalogue(tmp_path, entry("a.tif", end=None))).find("USDA/NAIP/DOQQ/a")
    assert isinstance(asset, ImageAsset)
    assert not parse_filter('endTime > "1990-01-01"')(asset)


def ids(page: dict[str, Any]) -> list[str]:
    return [asset["id"].rpartition("/")[2] for asset in page.get("assets", [])]


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_pages_hold_everything_once(images: tuple[ImageAsset, ...], size: int) -> None:
    query = {"filter": "properties.NUMBER>=1", "pageSize": str(size)}
    page = list_page(images, query)
    found = ids(page)
    while "nextPageToken" in page:
        page = list_page(images, query | {"pageToken": page["nextPageToken"]})
        assert len(ids(page)) <= size
        found += ids(page)
    assert found == ["m_1_20190610", "m_2_20200715", "m_3_20210820"]


def test_an_empty_page_is_an_empty_object(images: tuple[ImageAsset, ...]) -> None:
    assert list_page(images, {"filter": "properties.NUMBER>9"}) == {}


def test_pages_are_limited_by_the_view(images: tuple[ImageAsset, ...]) -> None:
    many = images * 500
    assert len(ids(list_page(many, {"pageSize": "5000"}))) == 1000
    assert len(ids(list_page(many, {"pageSize": "5000", "view": "BASIC"}))) == 1500


@pytest.mark.parametrize(
    "query",
    [
        {"pageToken": "xyz"},
        {"pageToken": "MTpub25l"},
        {"pageSize": "-1"},
        {"pageSize": "many"},
        {"view": "ALL"},
    ],
)
def test_queries_that_make_no_sense(images: tuple[ImageAsset, ...], query: dict[str, str]) -> None:
    with pytest.raises(RequestError):
        list_page(images, query)


def test_a_token_is_good_for_its_filter_only(images: tuple[ImageAsset, ...]) -> None:
    token = list_page(images, {"pageSize": "1"})["nextPageToken"]
    with pytest.raises(RequestError, match="page token"):
        list_page(images, {"pageToken": token, "filter": "properties.NUMBER=1"})
