"""Local GeoTIFF and COG files as scenes. Looks at headers and a few probes only; pixels are read elsewhere."""

import datetime as dt
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyproj
import rasterio
from pyproj.exceptions import ProjError
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.io import DatasetReader

from pipeline.errors import Misconfigured
from pipeline.grid import to_lonlat
from pipeline.imagery.bands import band_problems, find_band, mask_bands
from pipeline.imagery.ground import MAX_SKEW_PX, footprint, goodness, gsd_m, skew_px
from pipeline.sources import GeotiffSource
from pipeline.types import Affine6, RasterFile, Scene

_SUFFIXES = (".tif", ".tiff")


def find_scenes(
    paths: Sequence[Path], source: GeotiffSource, hash_file: Callable[[Path], str]
) -> tuple[Scene, ...]:
    """Look at the files and make them scenes, best first (see `pipeline.imagery.ground.goodness`).

    Parameters
    ----------
    paths
        Files, and folders that are searched for ``.tif`` and ``.tiff`` at any depth.
    source
        Bands, value range and date as configured.
    hash_file
        Gives the SHA-256 of a file.

    Raises
    ------
    Misconfigured
        With one line for every path or file that cannot be used: what is wrong and what to do.
    """
    problems: list[str] = []
    scenes: dict[str, Scene] = {}
    places: dict[str, Path] = {}
    for path in _files(paths, problems):
        try:
            scene = _scene(path, source, hash_file)
        except Misconfigured as error:
            problems.append(f"imagery: {path}: {error}")
            continue
        if scene.id in scenes:
            problems.append(
                f"imagery: {path}: has the same name as {places[scene.id]}, and the name is the scene's id; "
                "rename one of them"
            )
            continue
        scenes[scene.id], places[scene.id] = scene, path
    if problems:
        raise Misconfigured("\n".join(problems))
    return tuple(sorted(scenes.values(), key=goodness))


def _files(paths: Sequence[Path], problems: list[str]) -> list[Path]:
    """The files behind files and folders, each once, in the order given; what is missing is a problem."""
    found: dict[Path, Path] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if _is_image(p))
            if not inside:
                problems.append(
                    f"imagery: {path}: holds no .tif or .tiff file; set imagery.paths to the folder of the images"
                )
        elif path.exists():
            inside = [path]
        else:
            inside = []
            problems.append(f"imagery: {path}: no such file or folder; correct imagery.paths")
        for file in inside:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _is_image(path: Path) -> bool:
    """Whether a file of a folder is meant as an image; names with a leading dot are leftovers of file managers."""
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and path.is_file()


def _scene(path: Path, source: GeotiffSource, hash_file: Callable[[Path], str]) -> Scene:
    """One file as a scene. Raises `Misconfigured` with all that is wrong with it, in one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # said below, as an error
            with rasterio.open(path, driver="GTiff") as dataset:
                masks = mask_bands(dataset)
                problems = [*_grid_problems(dataset), *band_problems(dataset, source, masks)]
                if problems:
                    raise Misconfigured("; ".join(problems))
                return _describe(path, dataset, source, masks, hash_file)
    except (RasterioIOError, OSError) as error:
        msg = (
            f"cannot be read as a GeoTIFF ({_one_line(error)}); it is not a TIFF or it is damaged: "
            "fetch it again or take it out of imagery.paths"
        )
        raise Misconfigured(msg) from error


def _grid_problems(dataset: DatasetReader) -> Iterator[str]:
    """What is wrong with the georeference."""
    t = dataset.transform
    if t.is_identity:
        yield (
            "has no georeference (no transform from pixels to the map); "
            "georeference it, for example with gdalwarp if it has ground control points"
        )
    elif skew_px(_affine(dataset), dataset.width, dataset.height) > MAX_SKEW_PX:
        yield "its grid is rotated or sheared; make it north-up with gdalwarp"
    elif t.a < 0 or t.e > 0:
        yield "its grid is not north-up (rows must run south, columns east); make it north-up with gdalwarp"
    if dataset.crs is None:
        yield "has no CRS; assign the right one with: rio edit-info --crs EPSG:<code> FILE"
    elif not t.is_identity:
        try:
            to_lonlat(_crs(dataset))
        except ProjError as error:
            yield (
                f"its CRS cannot be placed on the globe ({_one_line(error)}); "
                "assign the right one with: rio edit-info --crs EPSG:<code> FILE"
            )


def _affine(dataset: DatasetReader) -> Affine6:
    t = dataset.transform
    return (t.a, t.b, t.c, t.d, t.e, t.f)


def _describe(
    path: Path,
    dataset: DatasetReader,
    source: GeotiffSource,
    masks: frozenset[int],
    hash_file: Callable[[Path], str],
) -> Scene:
    """The scene of a file that has passed all checks of its grid and bands."""
    a, _, c, _, e, f = _affine(dataset)
    transform: Affine6 = (a, 0.0, c, 0.0, e, f)
    crs, width, height = _crs(dataset), dataset.width, dataset.height
    ground = footprint(transform, crs, width, height)
    if ground is None:
        msg = "its coordinates do not fit its CRS; assign the right CRS with: rio edit-info --crs EPSG:<code> FILE"
        raise Misconfigured(msg)
    bands = tuple(band for name in source.bands if (band := find_band(dataset, name)) is not None)
    return Scene(
        id=path.stem,
        pixels=RasterFile(str(path), hash_file(path), bands, min(masks, default=None)),
        crs=crs,
        transform=transform,
        width=width,
        height=height,
        date=source.date or _date(dataset, path),
        gsd_m=gsd_m(transform, crs, width, height),
        footprint=ground,
    )


def _crs(dataset: DatasetReader) -> str:
    """The CRS as an authority code where it is exactly that one, else as WKT."""
    crs = pyproj.CRS.from_wkt(dataset.crs.to_wkt())
    authority = crs.to_authority(min_confidence=100)
    return ":".join(authority) if authority else crs.to_wkt()


def _date(dataset: DatasetReader, path: Path) -> dt.date | None:
    """Capture date from the file's tags (acquisition first), else the first 8-digit date in its name."""
    tags = dataset.tags(ns="IMAGERY") | dataset.tags()
    for tag in ("ACQUISITIONDATETIME", "TIFFTAG_DATETIME"):
        digits = re.match(r"\s*(\d{4})[-:/]?(\d{2})[-:/]?(\d{2})", tags.get(tag, ""))
        if digits and (date := _valid_date("".join(digits.groups()))):
            return date
    names = re.findall(r"(?<!\d)\d{8}(?!\d)", path.stem)
    return next((date for name in names if (date := _valid_date(name))), None)


def _valid_date(digits: str) -> dt.date | None:
    """YYYYMMDD as a date between 1950 and 2100, or None."""
    try:
        date = dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
    return date if 1950 <= date.year <= 2100 else None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
