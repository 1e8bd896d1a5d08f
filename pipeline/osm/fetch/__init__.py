"""Gets the map: downloads and updates of extracts, states out of history files, Overpass servers."""

from pipeline.osm.fetch.download import Progress, silent
from pipeline.osm.fetch.harvest import map_day, squares_of
from pipeline.osm.fetch.resolve import answered, ask, fetch, present, refresh, survey

__all__ = [
    "Progress",
    "answered",
    "ask",
    "fetch",
    "map_day",
    "present",
    "refresh",
    "silent",
    "squares_of",
    "survey",
]
