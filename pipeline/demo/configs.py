"""The demo's configs and the catalogue that the Earth Engine emulator serves its scenes from."""

import json
import re
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from pipeline.demo.files import writing

COLLECTION = "SKYTELLER/DEMO/TOWN"
"""Collection of the demo's scenes."""

PORT = 8900
"""Port of the emulator in the demo's config."""

_LICENSE = "CC0-1.0 (synthetic picture, not a photograph)"
_ATTRIBUTION = "Skyteller demo world: drawn by a program, no real place"

_COMMON = """\
store: ./store
cell_zoom: {zoom}
osm: {{type: pbf, path: town.osm.pbf}}
captions: {{type: template}}
splits: {{block_km: 1}}
"""

_EARTHENGINE = """\
# A synthetic town, its imagery read through Earth Engine's protocol from the local emulator:
#   skyteller emulate-ee --catalog catalog.jsonl --port {port}
name: demo
imagery:
  type: earthengine
  collection: {{id: {collection}, bands: [R, G, B], gsd_m: 0.6,
    license: "{license}",
    attribution: "{attribution}"}}
  start: 2021-01-01
  end: 2022-12-31
  project: demo
  url: http://127.0.0.1:{port}
  credentials: anonymous
"""

_GEOTIFF = """\
# The same town, its imagery read from the files.
name: demo-geotiff
imagery:
  type: geotiff
  paths: imagery
  collection: {collection}
  bands: [R, G, B]
  license: "{license}"
  attribution: "{attribution}"
"""


def write_configs(folder: Path, scenes: Sequence[str], *, zoom: int) -> Path:
    """Write ``dataset.yaml``, ``geotiff.yaml`` and ``catalog.jsonl``.

    Parameters
    ----------
    folder
        The demo's folder; the scenes are in its ``imagery``.
    scenes
        File stems of the scenes; each holds its date as eight digits.
    zoom
        Zoom of the cells.

    Returns
    -------
    The path of ``dataset.yaml``.
    """
    texts = {
        "dataset.yaml": (_EARTHENGINE + _COMMON).format(
            port=PORT, collection=COLLECTION, license=_LICENSE, attribution=_ATTRIBUTION, zoom=zoom
        ),
        "geotiff.yaml": (_GEOTIFF + _COMMON).format(
            collection=COLLECTION, license=_LICENSE, attribution=_ATTRIBUTION, zoom=zoom
        ),
        "catalog.jsonl": "".join(json.dumps(_entry(name)) + "\n" for name in scenes),
    }
    for name, text in texts.items():
        with writing(folder / name):
            (folder / name).write_text(text, encoding="utf-8")
    return folder / "dataset.yaml"


def point_at(config: Path, port: int) -> None:
    """Make the demo's config use another port of this machine."""
    with writing(config):
        text = re.sub(r"(127\.0\.0\.1:|--port )\d+", rf"\g<1>{port}", config.read_text(encoding="utf-8"))
        config.write_text(text, encoding="utf-8")


def _entry(name: str) -> dict[str, object]:
    """A line of the catalogue."""
    digits = re.findall(r"\d{8}", name)[-1]
    day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    return {
        "collection": COLLECTION,
        "index": name,
        "path": f"imagery/{name}.tif",
        "bands": ["R", "G", "B", "N"],
        "start": f"{day}T00:00:00Z",
        "end": f"{day + timedelta(days=1)}T00:00:00Z",
        "updated": f"{day + timedelta(days=1)}T00:00:00Z",  # part of the release: not the time of the file
        "properties": {},
    }
