"""Where kinds of imagery meet their adapters: which scenes there are, and how their pixels are read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from shapely.geometry.base import BaseGeometry

from pipeline.config import DatasetConfig
from pipeline.configfile import resolve
from pipeline.imagery.earthengine.exported import ExportReader
from pipeline.imagery.earthengine.source import export_store, find_assets, open_pixels
from pipeline.imagery.files import FileReader
from pipeline.imagery.geotiff import find_scenes
from pipeline.imagery.places import PixelReader
from pipeline.imagery.windows import WindowReader
from pipeline.sources import GeotiffSource
from pipeline.store import Store
from pipeline.types import Product, Scene, Stretch


@dataclass(frozen=True, slots=True)
class Imagery:
    """The imagery of a dataset.

    Attributes
    ----------
    product
        What all scenes have in common.
    scenes
        The scenes, best first.
    rejected
        Images that cannot be used: id and reason.
    listed
        Day on which the service was asked which images there are; None for local files.
    """

    product: Product
    scenes: tuple[Scene, ...]
    rejected: tuple[tuple[str, str], ...] = ()
    listed: date | None = None


def find_imagery(
    config: DatasetConfig,
    base: Path,
    store: Store,
    area: BaseGeometry,
    hash_file: Callable[[Path], str],
    *,
    relist: bool = False,
) -> Imagery:
    """Look at the headers of files, or ask the service, which scenes there are.

    Parameters
    ----------
    config
        The config.
    base
        Folder that its relative paths start from.
    store
        Keeps what a service answered.
    area
        The area asked for, EPSG:4326.
    hash_file
        Gives the SHA-256 of a file.
    relist
        Ask the service again even where an answer is kept.

    Raises
    ------
    Misconfigured
        Nothing usable is there; the message says why.
    """
    source = config.imagery
    if isinstance(source, GeotiffSource):
        listed = [source.paths] if isinstance(source.paths, str) else source.paths
        stretch = None if source.value_range is None else Stretch(*source.value_range)
        product = Product(source.collection, source.license, source.attribution, stretch)
        return Imagery(product, find_scenes([resolve(base, path) for path in listed], source, hash_file))
    product, listing = find_assets(config, base, store, area, relist=relist)
    return Imagery(product, listing.scenes, listing.rejected, listing.fetched)


@contextmanager
def open_imagery(config: DatasetConfig, base: Path, product: Product, folder: Path) -> Iterator[PixelReader]:
    """A reader of pixels; closed at the end.

    Parameters
    ----------
    config
        The config.
    base
        Folder that its relative paths start from.
    product
        What all scenes have in common.
    folder
        Scratch folder.
    """
    source = config.imagery
    if isinstance(source, GeotiffSource):
        with WindowReader(product.stretch) as reader:
            yield FileReader(reader)
    elif source.bucket is not None:
        yield ExportReader(export_store(config, base), source.bucket, folder, product.stretch)
    else:
        yield open_pixels(config, base, product)
