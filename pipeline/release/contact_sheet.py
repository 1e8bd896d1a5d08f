"""The contact sheet: some samples of a release as one picture, images with their captions."""

import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

_Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

TILES = 8
"""Samples on a sheet."""

_COLUMNS = 4
_TILE = 330  # side of an image on the sheet; a full sheet is then 1450 pixels wide
_GAP = 26
_LINES = 8
_TEXT_SIZE, _NOTE_SIZE, _LEADING = 19, 15, 26
_PAPER, _INK, _PALE = (255, 255, 255), (31, 35, 40), (101, 109, 118)


@dataclass(frozen=True, slots=True)
class Tile:
    """One sample on the sheet: encoded image, caption, and a short note such as date and GSD."""

    image: bytes
    caption: str
    note: str


def draw_sheet(tiles: Sequence[Tile], credit: str) -> bytes:
    """Draw samples in a grid, four in a row.

    Parameters
    ----------
    tiles
        At least one.
    credit
        Attribution of what is shown, at the foot.

    Returns
    -------
    A JPEG file.
    """
    font = ImageFont.load_default(_TEXT_SIZE)
    small = ImageFont.load_default(_NOTE_SIZE)
    rows = [tiles[i : i + _COLUMNS] for i in range(0, len(tiles), _COLUMNS)]
    texts = [[wrap(tile.caption, font, _TILE) for tile in row] for row in rows]
    heights = [_TILE + _LEADING * (max(map(len, lines)) + 2) + _GAP for lines in texts]
    width = _GAP + max(map(len, rows)) * (_TILE + _GAP)
    foot = wrap(credit, small, width - 2 * _GAP)
    sheet = Image.new("RGB", (width, _GAP + sum(heights) + _LEADING * len(foot) + _GAP // 2), _PAPER)
    draw = ImageDraw.Draw(sheet)
    top = _GAP
    for row, lines_of, height in zip(rows, texts, heights, strict=True):
        for column, (tile, lines) in enumerate(zip(row, lines_of, strict=True)):
            left = _GAP + column * (_TILE + _GAP)
            with Image.open(io.BytesIO(tile.image)) as image:
                scaled = image.convert("RGB").resize((_TILE, _TILE), Image.Resampling.LANCZOS)
            sheet.paste(scaled, (left, top))
            _write(draw, (left, top + _TILE + _LEADING // 2), [tile.note], _PALE, small)
            _write(draw, (left, top + _TILE + _LEADING // 2 + _LEADING), lines, _INK, font)
        top += height
    _write(draw, (_GAP, top), foot, _PALE, small)
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=90, subsampling="4:2:0")
    return buffer.getvalue()


def _write(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    lines: Sequence[str],
    ink: tuple[int, int, int],
    font: _Font,
) -> None:
    for number, line in enumerate(lines):
        draw.text((at[0], at[1] + number * _LEADING), line, ink, font)


def wrap(text: str, font: _Font, width: int) -> list[str]:
    """Break a text into lines of at most `width` pixels; what does not fit ends in an ellipsis."""
    lines: list[str] = [""]
    for word in _drawable(text).split():
        longer = f"{lines[-1]} {word}".lstrip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) <= _LINES:
        return lines
    last = lines[_LINES - 1].split()
    while len(last) > 1 and font.getlength(" ".join(last) + " …") > width:
        last.pop()
    return [*lines[: _LINES - 1], " ".join(last) + " …"]


def _drawable(text: str) -> str:
    """The text in the glyphs that Pillow's bundled font has: ASCII and a few more; letters lose their accents."""
    drawn = []
    for char in unicodedata.normalize("NFKD", text):
        if char.isascii() or char in "·’“”©":
            drawn.append(char)
        elif not unicodedata.combining(char):
            drawn.append("-" if unicodedata.category(char) == "Pd" else "?")
    return "".join(drawn)
