"""Which closed ways are areas: the polygon features of the OSM wiki as a data table."""

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


class Mode(StrEnum):
    """Which values of a key make a closed way an area."""

    ALL = "all"
    ONLY = "only"
    EXCEPT = "except"


@dataclass(frozen=True, slots=True)
class AreaRule:
    """What one key says about a closed way.

    Attributes
    ----------
    mode
        Every value, only the listed ones, or all except these. The value ``no`` never makes an area.
    values
        The listed values.
    """

    mode: Mode
    values: frozenset[str]

    def admits(self, value: str) -> bool:
        """Whether a way with this value of the key is an area."""
        if value == "no":
            return False
        return self.mode is Mode.ALL or (value in self.values) == (self.mode is Mode.ONLY)


def read_rules(text: str) -> dict[str, AreaRule]:
    """Read the rules by key from CSV with the columns ``key``, ``mode``, ``values`` (space-separated)."""
    rules = {}
    for row in csv.DictReader(text.splitlines()):
        rules[row["key"]] = AreaRule(Mode(row["mode"]), frozenset(row["values"].split()))
    return rules


_TEXT = files("pipeline.osm").joinpath("area_rules.csv").read_text(encoding="utf-8")

AREA_RULES: Mapping[str, AreaRule] = read_rules(_TEXT)
"""The rules by key: https://wiki.openstreetmap.org/wiki/Overpass_turbo/Polygon_Features."""

AREA_RULES_SHA256 = hashlib.sha256(_TEXT.encode()).hexdigest()
"""Hash of the table, for fingerprints."""


def is_area(tags: Mapping[str, str], *, closed: bool) -> bool:
    """Whether a way is an area and not a line.

    Parameters
    ----------
    tags
        Tags of the way.
    closed
        Whether its first node is also its last. An open way is never an area.

    Returns
    -------
    True when any key qualifies by its rule and ``area`` is not ``no``. Relations need no rule: those of
    type multipolygon and boundary are areas, others are not.
    """
    if not closed or tags.get("area") == "no":
        return False
    for key, value in tags.items():
        rule = AREA_RULES.get(key)
        if rule is not None and rule.admits(value):
            return True
    return False


def are_areas(tags: pa.MapArray) -> npt.NDArray[np.bool_]:
    """`is_area` for the tags of many closed ways at once."""
    offsets = np.asarray(tags.offsets)
    keys, values = (part.slice(offsets[0], offsets[-1] - offsets[0]) for part in (tags.keys, tags.items))
    row = np.repeat(np.arange(len(tags)), np.diff(offsets))
    relevant = pc.is_in(keys, pa.array(list(AREA_RULES)))
    pairs = pc.binary_join_element_wise(
        keys.filter(relevant), values.filter(relevant), "="
    ).dictionary_encode()
    row, pair = row[np.asarray(relevant)], np.asarray(pairs.indices)
    distinct = [str(text).partition("=")[::2] for text in pairs.dictionary.to_pylist()]
    qualifies = np.array([AREA_RULES[key].admits(value) for key, value in distinct], bool)
    vetoes = np.array([(key, value) == ("area", "no") for key, value in distinct], bool)
    areas = np.zeros(len(tags), bool)
    areas[row[qualifies[pair]]] = True
    areas[row[vetoes[pair]]] = False
    return areas
