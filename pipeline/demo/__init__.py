"""A small synthetic world: OSM file and imagery that agree with each other to the pixel."""

from pipeline.demo.fromosm import draw_osm
from pipeline.demo.world import make_world

__all__ = ["draw_osm", "make_world"]
