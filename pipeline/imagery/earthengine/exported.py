"""Windows cut from exported files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import rasterio
from rasterio.errors import RasterioIOError

from pipeline.errors import Permanent
from pipeline.imagery.earthengine.tasks import asset_of
from pipeline.imagery.files import FileReader
from pipeline.imagery.places import Batch, Place
from pipeline.imagery.usage import Usage
from pipeline.imagery.windows import WindowReader
from pipeline.store import Store
from pipeline.types import RasterFile, Scene, Stretch

_COPY_BYTES = 8 * 2**20


class ExportReader:
    """Reads windows of exported files, one file on the scratch disk at a time.

    Parameters
    ----------
    store
        Where the exported files are.
    keys
        Their keys by scene id.
    folder
        Scratch folder.
    stretch
        How values become 8 bits.
    """

    costly = False
    usage = Usage()

    def __init__(self, store: Store, keys: Mapping[str, str], folder: Path, stretch: Stretch | None) -> None:
        self._store, self._keys, self._folder, self._stretch = store, keys, folder, stretch

    def read(self, places: Sequence[Place]) -> Iterator[Batch]:
        """Every place once, scene by scene.

        Raises
        ------
        Permanent
            An exported file is not what was asked for.
        """
        for _, group in groupby(places, key=lambda place: place.scene.id):
            inside = list(group)
            scene = self._local(inside[0].scene)
            with WindowReader(self._stretch) as reader:
                yield from FileReader(reader).read([place._replace(scene=scene) for place in inside])
            Path(_file(scene).path).unlink()

    def _local(self, scene: Scene) -> Scene:
        """The scene with its pixels in a file on the scratch disk."""
        path = self._folder / "export.tif"
        with self._store.open(self._keys[scene.id]) as source, path.open("wb") as target:
            while chunk := source.read(_COPY_BYTES):
                target.write(chunk)
        bands = len(asset_of(scene).bands)
        wrong = _difference(path, scene, bands)
        if wrong:
            msg = (
                f"{self._store.url}/{self._keys[scene.id]}: not the export of {scene.id} ({wrong}); "
                "delete the file and its commit under commits/exports, and run again"
            )
            raise Permanent(msg)
        return replace(scene, pixels=RasterFile(str(path), "", tuple(range(1, bands + 1)), bands + 1))


def _difference(path: Path, scene: Scene, bands: int) -> str | None:
    """What tells an exported file from the scene."""
    try:
        with rasterio.open(path, driver="GTiff") as dataset:
            if (dataset.width, dataset.height) != (scene.width, scene.height):
                return f"{dataset.width} x {dataset.height} pixels instead of {scene.width} x {scene.height}"
            if dataset.count != bands + 1:
                return f"{dataset.count} bands instead of {bands} and a validity band"
            if not dataset.transform.almost_equals(
                rasterio.Affine(*scene.transform), 1e-6 * scene.transform[0]
            ):
                return f"another grid: {tuple(dataset.transform)[:6]} instead of {scene.transform}"
    except RasterioIOError as error:
        return f"not a GeoTIFF: {' '.join(str(error).split())}"
    return None


def _file(scene: Scene) -> RasterFile:
    if not isinstance(scene.pixels, RasterFile):
        msg = f"{scene.id}: not a file"
        raise TypeError(msg)
    return scene.pixels
