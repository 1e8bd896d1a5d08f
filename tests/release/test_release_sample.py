"""The JSON of a sample."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.grid import patch_id
from pipeline.release.read import read_sample
from pipeline.release.sample import Sample, place, place_box, sample_schema
from tests.small_release import COLLECTION, SCENE, make_release

KEY = patch_id(COLLECTION, SCENE.id, 384, 0, 64)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return read_sample(make_release(tmp_path_factory.mktemp("store")), KEY).members[f"{KEY}.json"]


def test_the_shape_is_rstellers_and_more(data: bytes) -> None:
    values = json.loads(data)
    assert set(values) == {"metadata", "annotations", "facts", "title", "title_multi_objects"}
    assert values["metadata"]["patch_id"] == KEY
    assert values["metadata"]["image_name"] == SCENE.id
    assert values["metadata"]["date"] == "2021-06-15"
    assert values["metadata"]["window"] == {"col": 384, "row": 0, "size": 64}
    assert values["metadata"]["transform"] == [0.6, 0, 340_000 + 384 * 0.6, 0, -0.6, 4_372_000]
    assert values["metadata"]["osm"]["license"] == "ODbL-1.0"
    assert values["metadata"]["license"] == "public domain"
    assert {"task", "text", "annotator"} <= set(values["annotations"][0])
    assert values["annotations"][0] == {
        "task": 1, "text": "Forest number 1 lies in the top-left of the image.", "annotator": "template",
        "model_revision": "0.1.0", "prompt": "area@0123456789ab", "sampling": {}, "seed": 1, "prompt_tokens": 0, "output_tokens": 0,
        "facts": ["f1"], "elements": ["w11"], "checks": {"claims": 2, "supported": 2, "attempt": 0},
    }  # fmt: skip
    assert [fact["tag"] for fact in values["facts"]] == ["landuse=forest", "building=house"]


def test_the_json_is_canonical_and_comes_back_the_same(data: bytes) -> None:
    values = json.loads(data)
    assert data == json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert Sample.model_validate_json(data, strict=True).encode() == data


@pytest.mark.parametrize(
    ("where", "value"),
    [("annotations", []), ("title", None), ("metadata", {}), ("surprise", 1), ("facts", [{"tag": "a=b"}])],
)
def test_what_does_not_follow_the_schema_is_refused(data: bytes, where: str, value: object) -> None:
    values = json.loads(data) | {where: value}
    with pytest.raises(ValidationError):
        Sample.model_validate_json(json.dumps(values), strict=True)


def test_the_schema_names_every_key(data: bytes) -> None:
    schema = json.loads(sample_schema())
    assert set(schema["properties"]) == set(json.loads(data))
    assert schema["additionalProperties"] is False
    assert set(schema["$defs"]["Metadata"]["required"]) == set(json.loads(data)["metadata"])


boxes = st.tuples(st.floats(-180, 179), st.floats(-90, 89), st.floats(0, 1), st.floats(0, 1))


@given(boxes)
@example((-0.06, 0.0, 0.9, 0.0))
def test_a_stated_box_covers_what_it_is_a_box_of(box: tuple[float, float, float, float]) -> None:
    west, south, width, height = box
    east, north = west + width, south + height
    w, s, e, n = place_box((west, south, east, north))
    assert w <= west
    assert s <= south
    assert e >= east
    assert n >= north
    assert max(west - w, south - s, e - east, n - north) < 1.1e-7


@given(st.floats(-180, 180))
def test_a_stated_place_is_near_and_stays(degrees: float) -> None:
    assert abs(place(degrees) - degrees) <= 0.51e-7
    assert place(place(degrees)) == place(degrees)
    assert not str(place(degrees)).startswith("-0.0") or place(degrees) != 0


def test_a_release_holds_the_schema(tmp_path: Path) -> None:
    assert (make_release(tmp_path) / "sample.schema.json").read_text() == sample_schema()
