"""Versions of what decides the bytes of tables and images: the same on all machines of a build."""

import importlib.metadata
import platform
from collections.abc import Mapping

import pipeline
from pipeline.errors import Misconfigured

_LIBRARIES = ("numpy", "pyarrow", "shapely", "pyproj", "rasterio", "pillow", "jinja2", "distributed")
"""What decides the bytes of tables and images, and how machines talk to each other."""


def versions() -> dict[str, str]:
    """Versions of Python, Skyteller and the libraries that matter, on this machine."""
    python = ".".join(platform.python_version_tuple()[:2])
    found = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"python": python, "skyteller": pipeline.__version__} | found


def check_versions(worker: str, wanted: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Raise Misconfigured where a worker has other versions than the build: its bytes could differ."""
    if other := [
        f"{name} {found.get(name)} for {wanted[name]}" for name in wanted if found.get(name) != wanted[name]
    ]:
        msg = (
            f"worker {worker} has {', '.join(other)}: its tables could differ from those made elsewhere; install the "
            "same versions on all machines, from the constraints file"
        )
        raise Misconfigured(msg)
