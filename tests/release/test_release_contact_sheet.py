"""The contact sheet."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFont

from pipeline.release.contact_sheet import Tile, draw_sheet, wrap

FONT = ImageFont.load_default(19)


def tile(color: tuple[int, int, int], caption: str = "A house.") -> Tile:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(buffer, "PNG")
    return Tile(buffer.getvalue(), caption, "key · 2021-06-15 · train")


@pytest.mark.parametrize("n", [1, 4, 5, 8])
def test_every_sample_is_on_the_sheet_once(n: int) -> None:
    colors = [(250, 30 * i, 255 - 30 * i) for i in range(n)]
    sheet = draw_sheet([tile(color) for color in colors], "Images: nobody.")
    assert sheet == draw_sheet([tile(color) for color in colors], "Images: nobody.")
    pixels = np.asarray(Image.open(io.BytesIO(sheet)).convert("RGB")).astype(int)
    for color in colors:
        close = (abs(pixels - color) < 8).all(axis=-1)
        assert close.sum() == pytest.approx(330 * 330, rel=0.03)
    assert pixels.shape[1] == 26 + min(n, 4) * 356


def test_the_paper_holds_long_captions() -> None:
    words = "several residential buildings " * 40
    short, long = (
        Image.open(io.BytesIO(draw_sheet([tile((0, 0, 0), text)], "c"))) for text in ("A house.", words)
    )
    assert short.height < long.height < 800
    last_rows = np.asarray(long.convert("L"))[-8:]
    assert last_rows.min() > 240  # nothing is cut off at the foot


def test_lines_fit_and_lose_no_word() -> None:
    text = "A forest spreads over the upper left of the image and runs on beyond its edge."
    lines = wrap(text, FONT, 330)
    assert " ".join(lines) == text
    assert all(FONT.getlength(line) <= 330 for line in lines)


def test_what_does_not_fit_ends_in_an_ellipsis() -> None:
    lines = wrap("words and more words " * 40, FONT, 330)
    assert len(lines) == 8
    assert lines[-1].endswith(" …")
    assert all(FONT.getlength(line) <= 330 for line in lines)


def test_only_glyphs_of_the_font_are_drawn() -> None:
    assert wrap("Kanton Zürich – © 2014, 10°", FONT, 900) == ["Kanton Zurich - © 2014, 10?"]
