"""Small OSM files written by hand."""

from collections.abc import Mapping
from pathlib import Path


def write_xml(path: Path, *lines: str) -> Path:
    """An OSM file of the lines, in their order."""
    path.write_text("\n".join(['<osm version="0.6">', *lines, "</osm>"]), encoding="utf-8")
    return path


def node(number: int, lon: float, lat: float, **tags: str) -> str:
    return f'<node id="{number}" lon="{lon}" lat="{lat}">{_tags(tags)}</node>'


def way(number: int, *nodes: int, **tags: str) -> str:
    refs = "".join(f'<nd ref="{ref}"/>' for ref in nodes)
    return f'<way id="{number}">{refs}{_tags(tags)}</way>'


def relation(number: int, *ways: int, **tags: str) -> str:
    members = "".join(f'<member type="way" ref="{ref}" role=""/>' for ref in ways)
    return f'<relation id="{number}">{members}{_tags(tags)}</relation>'


def _tags(tags: Mapping[str, str]) -> str:
    return "".join(f'<tag k="{key}" v="{value}"/>' for key, value in tags.items())
