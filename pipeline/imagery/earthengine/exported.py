"""Windows cut from exported files."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import rasterio
from pyproj import CRS
from rasterio.errors import RasterioIOError

from pipeline.errors import Permanent
from pipeline.imagery.earthengine.exports import export_key
from pipeline.imagery.earthengine.tasks import asset_of
from pipeline.imagery.files import FileReader
from pipeline.imagery.places import Batch, Place
from pipeline.imagery.usage import Usage
from pipeline.imagery.windows import Window, WindowReader
from pipeline.store import Store
from pipeline.types import Asset, RasterFile, Scene, Stretch

_COPY_BYTES = 8 * 2**20
_NAME = "export.tif"


class ExportReader:
    """Reads windows of exported files, one file on the scratch disk at a time.

    Parameters
    ----------
    store
        Where the exported files are.
    bucket
        ``bucket/prefix`` that they were exported to.
    folder
        Scratch folder.
    stretch
        How values become 8 bits.
    """

    costly = False
    usage = Usage()

    def __init__(self, store: Store, bucket: str, folder: Path, stretch: Stretch | None) -> None:
        self._store, self._bucket, self._folder, self._stretch = store, bucket, folder, stretch

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
                batches = FileReader(reader).read([place._replace(scene=scene) for place in inside])
                for batch in batches:
                    yield [(place, None if window is None else _told(window)) for place, window in batch]
            (self._folder / _NAME).unlink()

    def _local(self, scene: Scene) -> Scene:
        """The scene with its pixels in a file on the scratch disk."""
        path, key = self._folder / _NAME, export_key(scene, self._bucket)
        where = f"{self._store.url}/{key}"
        again = "delete commits/exports in the store and run again, it is exported once more"
        try:
            with self._store.open(key) as source, path.open("wb") as target:
                while chunk := source.read(_COPY_BYTES):
                    target.write(chunk)
        except FileNotFoundError as error:
            msg = f"{where}: the exported file of {scene.id} is gone; {again}"
            raise Permanent(msg) from error
        asset = asset_of(scene)
        if wrong := _difference(path, scene, asset):
            msg = f"{where}: not the export of {scene.id} ({wrong}); delete the file, then {again}"
            raise Permanent(msg)
        bands = len(asset.bands)
        return replace(scene, pixels=RasterFile(str(path), "", tuple(range(1, bands + 1)), bands + 1))


def _told(window: Window) -> Window:
    """A window judged as one that was asked for: 0 in all bands everywhere counts as missing."""
    return window._replace(valid=np.zeros_like(window.valid)) if not window.pixels.any() else window


def _difference(path: Path, scene: Scene, asset: Asset) -> str | None:
    """What tells an exported file from the scene."""
    try:
        with rasterio.open(path, driver="GTiff") as dataset:
            if (dataset.width, dataset.height) != (scene.width, scene.height):
                return f"{dataset.width} x {dataset.height} pixels instead of {scene.width} x {scene.height}"
            if dataset.count != len(asset.bands) + 1:
                return f"{dataset.count} bands instead of {len(asset.bands)} and a validity band"
            if set(dataset.dtypes) != {asset.dtype}:
                return f"pixels of {dataset.dtypes[0]} instead of {asset.dtype}"
            if dataset.crs is None or not CRS.from_wkt(dataset.crs.to_wkt()).equals(
                CRS(scene.crs), ignore_axis_order=True
            ):
                return f"another CRS than {scene.crs}"
            if not dataset.transform.almost_equals(
                rasterio.Affine(*scene.transform), 1e-6 * scene.transform[0]
            ):
                return f"another grid: {tuple(dataset.transform)[:6]} instead of {scene.transform}"
    except RasterioIOError as error:
        return f"not a GeoTIFF: {' '.join(str(error).split())}"
    return None
