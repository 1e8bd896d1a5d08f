"""Blocks of assets cut into windows: what is read, what is missing, and what goes wrong on the way."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from ee import _cloud_api_utils
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import recfunctions

from pipeline.errors import Exhausted, Misconfigured, Permanent, Transient
from pipeline.imagery.blocks import legal
from pipeline.imagery.earthengine.fetch import Fetcher, asset_name
from pipeline.imagery.earthengine.gate import ByteGate
from pipeline.imagery.earthengine.pixels import AssetReader
from pipeline.imagery.earthengine.session import Session
from pipeline.imagery.earthengine.tasks import plan_tasks
from pipeline.imagery.earthengine.transport import Statistics
from pipeline.imagery.earthengine.verdicts import TooLarge
from pipeline.imagery.places import Place
from pipeline.types import Asset, Scene, Stretch

SIZE = 32


class Image:
    """A picture in memory that answers getPixels and computePixels, as Earth Engine would, on its own grid."""

    def __init__(self, pixels: Any, valid: Any = None) -> None:
        self.pixels = pixels
        self.valid = np.ones(pixels.shape[:2], dtype=np.uint8) if valid is None else valid.astype(np.uint8)
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.refuse: Callable[[Mapping[str, Any]], None] = lambda _body: None
        self.project = "p"
        self.gate = ByteGate(10**9)
        self.statistics = Statistics()

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        decode: Callable[[Any], Any],
        _what: str,
        *,
        gated: bool,
        expect: int,
    ) -> Any:
        self.asked.append((path, body))
        self.refuse(body)
        grid = body["grid"]
        affine, size = grid["affineTransform"], grid["dimensions"]
        level = round(affine["scaleX"] / 0.5)
        col, row = (
            (affine["translateX"] - 1000) / affine["scaleX"],
            (affine["translateY"] - 2000) / affine["scaleY"],
        )
        assert col == round(col)
        assert row == round(row)
        picture = np.where(self.valid[:, :, None] > 0, self.pixels, 0)
        layers = {"valid": self.valid, **{band: picture[:, :, i] for i, band in enumerate("RGB")}}
        part = np.s_[round(row) * level :, round(col) * level :]
        bands = [
            layers[band][part][::level, ::level][: size["height"], : size["width"]]
            for band in body["bandIds"]
        ]
        table = recfunctions.unstructured_to_structured(
            np.stack(bands, axis=-1), np.dtype([(band, bands[0].dtype) for band in body["bandIds"]])
        )
        sink = io.BytesIO()
        np.save(sink, table)
        data = sink.getvalue()
        assert expect == table.nbytes
        if gated:
            self.gate.acquire(len(data))
        return decode(memoryview(data))

    def mask(self, ids: Sequence[str], _bands: Sequence[str]) -> dict[str, Any]:
        return {"mask of": list(ids)}

    def mosaic(self, ids: Sequence[str], _bands: Sequence[str], dtype: str) -> dict[str, Any]:
        return {"mosaic of": list(ids), "dtype": dtype}


def scene(image: Image, *, factor: int = 1, level: int = 1, name: str = "a") -> Scene:
    height, width = image.pixels.shape[:2]
    asset = Asset(f"C/{name}", "2024", ("R", "G", "B"), image.pixels.dtype.name, factor, level)
    n = asset.native_px
    return Scene(
        name, asset, "EPSG:26918", (0.5 * n, 0.0, 1000.0, 0.0, -0.5 * n, 2000.0), width // n,
        height // n, None, 0.5 * n, (0.0, 0.0, 0.0, 0.0),
    )  # fmt: skip


def reader(image: Image, stretch: Stretch | None = None, threads: int = 3) -> AssetReader:
    session = Session(access=image, transport=image, gate=image.gate)  # type: ignore[arg-type]  # one stands for all
    return AssetReader(Fetcher(session, image, "tag"), threads, 2.0, stretch)


def places(of: Scene, *corners: tuple[int, int], others: tuple[Scene, ...] = ()) -> list[Place]:
    return [Place(f"p{n}", of, col, row, SIZE, others) for n, (col, row) in enumerate(corners)]


def texture(side: int, *, low: int = 1, seed: int = 0, dtype: str = "uint8", high: int = 255) -> Any:
    return np.random.default_rng(seed).integers(low, high, (side, side, 3)).astype(dtype)


def collect(image: Image, asked: Sequence[Place], stretch: Stretch | None = None) -> dict[str, Any]:
    return {place.patch: window for batch in reader(image, stretch).read(asked) for place, window in batch}


GRID = [(x, y) for y in (0, 32, 64) for x in (0, 32, 64)]


def test_neighbours_come_in_one_request_and_are_the_pixels_of_the_asset() -> None:
    image = Image(texture(96))
    found = collect(image, places(scene(image), *GRID))
    assert len(image.asked) == 1
    path, body = image.asked[0]
    assert path == "/v1/projects/earthengine-public/assets/C/a:getPixels"
    assert body["bandIds"] == ["R", "G", "B"]
    assert body["workloadTag"] == "tag"
    assert body["grid"]["crsCode"] == "EPSG:26918"
    for n, (col, row) in enumerate(GRID):
        assert (found[f"p{n}"].pixels == image.pixels[row : row + 32, col : col + 32]).all()
        assert found[f"p{n}"].valid.all()
    assert image.gate.held == 0


def test_black_is_told_from_missing_by_asking_for_the_mask() -> None:
    pixels, valid = texture(64), np.ones((64, 64), dtype=bool)
    pixels[3, 3] = 0  # black, and there
    valid[40:, 40:] = False  # missing
    image = Image(pixels, valid)
    found = collect(image, places(scene(image), (0, 0), (32, 32)))
    assert [path.rpartition(":")[2] for path, _ in image.asked] == ["getPixels", "computePixels"]
    assert image.asked[1][1]["expression"] == {"mask of": ["C/a"]}
    assert image.asked[1][1]["grid"] == image.asked[0][1]["grid"]
    assert found["p0"].valid.all()
    assert (found["p1"].valid == valid[32:, 32:]).all()


@given(st.sets(st.sampled_from(GRID), min_size=1), st.floats(1, 4), st.integers(0, 99))
@settings(max_examples=30)
def test_what_is_missing_does_not_depend_on_the_block(
    corners: set[tuple[int, int]], waste: float, seed: int
) -> None:
    """Whatever else is asked for with a patch, it comes out the same."""
    rng = np.random.default_rng(seed)
    pixels, valid = texture(96, seed=seed), np.ones((96, 96), dtype=bool)
    for x, y in rng.integers(0, 96, (4, 2)):
        pixels[y, x] = 0  # black, and there
    for x, y in rng.integers(0, 96, (2, 2)):
        pixels[y, x, 1] = 0  # black in one band
    valid[:32, 32:64] = False
    valid[70:, :3] = False
    image = Image(pixels, valid)
    asked = places(scene(image), *sorted(corners))
    session = Session(access=image, transport=image, gate=image.gate)  # type: ignore[arg-type]
    together = AssetReader(Fetcher(session, image, "tag"), 2, waste, None)
    found = {place.patch: window for batch in together.read(asked) for place, window in batch}
    for place in asked:
        ((_, alone),) = next(iter(reader(image).read([place])))
        window = found[place.patch]
        assert alone is not None
        assert window is not None
        assert (window.pixels == alone.pixels).all()
        assert (window.valid == alone.valid).all()
        inside = np.s_[place.row : place.row + SIZE, place.col : place.col + SIZE]
        assert (window.valid == valid[inside]).all()


def test_a_reader_that_is_closed_early_ends() -> None:
    """Finished blocks that nobody takes must not keep others waiting for their memory."""
    image = Image(texture(96 * 4))
    image.gate = ByteGate(20_000)
    session = Session(access=image, transport=image, gate=image.gate)  # type: ignore[arg-type]
    corners = [(x * 150 % 350, x * 97 % 350) for x in range(40)]
    batches = AssetReader(Fetcher(session, image, "tag"), 8, 1.0, None).read(places(scene(image), *corners))
    next(batches)
    batches.close()  # type: ignore[attr-defined]  # a generator
    assert image.gate.held == 0


def test_a_wholly_empty_patch_needs_no_second_question() -> None:
    valid = np.ones((64, 64), dtype=bool)
    valid[:32, :32] = False
    image = Image(texture(64), valid)
    found = collect(image, places(scene(image), (0, 0), (32, 0)))
    assert len(image.asked) == 1
    assert not found["p0"].valid.any()
    assert found["p1"].valid.all()


@pytest.mark.parametrize(("factor", "rest"), [(1, 1), (2, 1), (3, 3), (4, 1), (6, 3), (12, 3), (5, 5)])
def test_coarser_pixels_are_a_level_and_a_local_mean(factor: int, rest: int) -> None:
    image = Image(texture(SIZE * factor, dtype="uint8"))
    coarse = scene(image, factor=rest, level=factor // rest)
    (window,) = collect(image, places(coarse, (0, 0))).values()
    grid = image.asked[0][1]["grid"]
    assert grid["affineTransform"]["scaleX"] == pytest.approx(0.5 * factor / rest)
    assert grid["dimensions"] == {"width": SIZE * rest, "height": SIZE * rest}
    level = image.pixels[:: factor // rest, :: factor // rest].astype(float)
    for row, col in ((0, 0), (5, 9), (31, 31)):
        square = level[row * rest : (row + 1) * rest, col * rest : (col + 1) * rest]
        assert window.pixels[row, col].tolist() == np.floor(square.mean(axis=(0, 1)) + 0.5).tolist()


def test_a_coarser_pixel_is_missing_when_any_part_of_it_is() -> None:
    valid = np.ones((96, 96), dtype=bool)
    valid[4, 4] = False
    image = Image(texture(96), valid)
    (window,) = collect(image, places(scene(image, factor=3), (0, 0))).values()
    assert np.argwhere(~window.valid).tolist() == [[1, 1]]


def test_reflectances_are_stretched() -> None:
    image = Image(texture(32, dtype="uint16", high=4000))
    (window,) = collect(image, places(scene(image), (0, 0)), Stretch(0, 3000)).values()
    expected = np.floor(np.clip(image.pixels / 3000, 0, 1) * 255 + 0.5)
    assert (window.pixels == expected).all()
    assert window.pixels.dtype == np.uint8


def test_fractions_are_stretched_with_gamma() -> None:
    image = Image((texture(32) / 512).astype("float32"))
    (window,) = collect(image, places(scene(image), (0, 0)), Stretch(0.0, 0.4, 1.5)).values()
    expected = np.floor(255 * np.clip(image.pixels.astype(float) / 0.4, 0, 1) ** (1 / 1.5) + 0.5)
    assert (window.pixels == expected).all()


def test_a_mosaic_names_its_assets_best_first_and_tells_what_is_missing() -> None:
    valid = np.ones((32, 32), dtype=bool)
    valid[:, :2] = False
    image = Image(texture(32, low=0), valid)
    primary, other = scene(image), scene(image, name="b")
    (window,) = collect(image, places(primary, (0, 0), others=(other,))).values()
    ((path, body),) = image.asked
    assert path == "/v1/projects/p/image:computePixels"
    assert body["expression"] == {"mosaic of": ["C/a", "C/b"], "dtype": "uint8"}
    assert body["bandIds"] == ["R", "G", "B", "valid"]
    assert (window.valid == valid).all()
    assert window.pixels.shape == (32, 32, 3)


def test_what_the_service_calls_too_large_is_asked_for_in_quarters() -> None:
    image = Image(texture(96))

    def refuse(body: Mapping[str, Any]) -> None:
        if body["grid"]["dimensions"]["width"] > 60:
            message = "User memory limit exceeded."
            raise TooLarge(message)

    image.refuse = refuse
    found = collect(image, places(scene(image), *GRID))
    assert len(image.asked) == 1 + 4
    assert all(
        (found[f"p{n}"].pixels == image.pixels[y : y + 32, x : x + 32]).all() for n, (x, y) in enumerate(GRID)
    )
    assert image.gate.held == 0


def test_a_patch_over_the_limit_is_asked_for_in_legal_pieces() -> None:
    assert legal(2896, 2896, 6)
    assert not legal(2897, 2896, 6)
    assert legal(2508, 2508, 8)
    assert not legal(2509, 2508, 8)
    image = Image(np.tile(texture(100), (30, 30, 1)))
    of = scene(image)
    (window,) = (w for batch in reader(image).read([Place("p", of, 0, 0, 3000)]) for _, w in batch)
    assert window is not None
    assert (window.pixels == image.pixels).all()
    assert len(image.asked) == 4


def test_what_can_never_be_read_is_said_and_the_rest_goes_on() -> None:
    image = Image(texture(96))
    far, near = scene(image, name="gone"), scene(image)

    class Half(Image):
        def post(self, path: str, *args: Any, **kwargs: Any) -> Any:
            if "gone" in path:
                message = "C/gone: not found"
                raise Permanent(message)
            return super().post(path, *args, **kwargs)

    half = Half(image.pixels)
    found = {
        place.patch: window
        for batch in reader(half).read([Place("x", far, 0, 0, SIZE), Place("y", near, 0, 0, SIZE)])
        for place, window in batch
    }
    assert found["x"] is None
    assert found["y"] is not None


@pytest.mark.parametrize(
    ("kind", "message"), [(Transient, "3 of 9"), (Exhausted, "budget"), (Misconfigured, "no")]
)
def test_what_was_read_is_handed_out_before_the_error(kind: type[Exception], message: str) -> None:
    image = Image(texture(96 * 4))
    corners = [(x * 150, y * 150) for y in range(3) for x in range(3)]  # too far apart for blocks

    def refuse(body: Mapping[str, Any]) -> None:
        if body["grid"]["affineTransform"]["translateX"] == 1000 + 0.5 * 300:
            raise kind(message)

    image.refuse = refuse
    got: list[str] = []
    batches = reader(image).read(places(scene(image), *corners))

    def read_all() -> None:
        for batch in batches:
            got.extend(place.patch for place, window in batch if window is not None)

    with pytest.raises(kind, match=message):
        read_all()
    assert not {"p2", "p5", "p8"} & set(got)
    assert len(got) == 6 if kind is Transient else 1 <= len(got) <= 6
    assert image.gate.held == 0


def test_the_plan_does_not_depend_on_the_order_of_the_places() -> None:
    image = Image(texture(96))
    asked = places(scene(image), *GRID)
    assert list(plan_tasks(asked, 2.0)) == list(plan_tasks(asked[::-1], 2.0))


@pytest.mark.parametrize(
    "id_",
    [
        "USDA/NAIP/DOQQ/m_1",
        "users/me/folder/image",
        "projects/my-project/assets/image",
        "projects/sat-io/open-datasets/image",
    ],
)
def test_assets_are_named_as_the_client_names_them(id_: str) -> None:
    assert asset_name(id_) == _cloud_api_utils.convert_asset_id_to_asset_name(id_)


def test_what_is_no_part_of_a_path_is_encoded() -> None:
    assert asset_name("a/b c?d#e") == "projects/earthengine-public/assets/a/b%20c%3Fd%23e"
