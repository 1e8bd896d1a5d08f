"""How the elements of a real map are drawn: tags to materials, widths and levels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.demo.texture import DIRECTIONS
from pipeline.osm.vocabulary import FEATURE_KEYS
from pipeline.types import GeometryKind

_Table: TypeAlias = Mapping[tuple[str, int, float], str]
"""Tags by material, level and width."""

_CROPS = ("maize", "wheat", "fallow", "soy")
_ROOFS = ("red roof", "brown roof", "grey roof")
_LARGE_ROOF_M2 = 500.0

ROOF_LEVEL = 80
"""Level of buildings; what has it casts a shadow."""


@dataclass(frozen=True, slots=True)
class Look:
    """How one element is drawn.

    Attributes
    ----------
    material
        Name of a material, or one of the families "crop", "vines", "wood" and "roof", see `Look.for_element`.
    level
        Higher levels cover lower ones: use of land, natural cover, water, grounds, roads, buildings, points.
    width_m
        Width of a line, diameter of a point.
    """

    material: str
    level: int
    width_m: float = 0.0

    def for_element(self, number: int, tags: Mapping[str, str], area_m2: float) -> str:
        """The material of one element: families vary by id, by the kind of leaves, by the size of the roof."""
        if self.material == "crop":
            return f"{_CROPS[_mixed(number) % len(_CROPS)]}{_mixed(number) // 7 % DIRECTIONS}"
        if self.material == "vines":
            return f"vineyard{_mixed(number) % DIRECTIONS}"
        if self.material == "wood":
            return "needleleaved" if tags.get("leaf_type") == "needleleaved" else "broadleaved"
        if self.material == "roof":
            if area_m2 > _LARGE_ROOF_M2:
                return "flat roof" if _mixed(number) % 3 else "dark flat roof"
            return f"{_ROOFS[_mixed(number) % len(_ROOFS)]} sun"
        return self.material


def find_look(rule_tag: str, tags: Mapping[str, str], kind: GeometryKind) -> Look | None:
    """The look of an element, or None where it is too small to be drawn.

    Parameters
    ----------
    rule_tag
        ``key=value`` of its vocabulary rule.
    tags
        All its tags; its feature keys are tried when the rule's tag has no look of its own.
    kind
        How it is drawn.
    """
    looks = _LOOKS[kind]
    return next((looks[tag] for tag in _candidates(rule_tag, tags) if tag in looks), None)


def shaded_side(material: str) -> str | None:
    """The shaded side of a roof, or None for what has no sides."""
    return f"{material[:-4]} shade" if material.endswith(" sun") else None


def _candidates(rule_tag: str, tags: Mapping[str, str]) -> Iterator[str]:
    yield rule_tag
    yield f"{rule_tag.split('=', maxsplit=1)[0]}=*"
    for key in FEATURE_KEYS:
        if key in tags:
            yield f"{key}={tags[key]}"
            yield f"{key}=*"


def _mixed(number: int) -> int:
    """A hash of an OSM id: neighbours in the file get different looks."""
    return (number * 2654435761 % 2**32) >> 7


def _expand(table: _Table) -> dict[str, Look]:
    """One look per tag from ``(material, level, width): "key=value|value ..."``."""
    looks: dict[str, Look] = {}
    for (material, level, width), text in table.items():
        for word in text.split():
            key, values = word.split("=")
            looks |= {f"{key}={value}": Look(material, level, width) for value in values.split("|")}
    return looks


# fmt: off
_AREAS: _Table = {
    ("yard", 1, 0): "landuse=industrial|commercial|railway|depot|port|landfill|military aeroway=apron",
    ("paving", 1, 0): "landuse=retail|garages amenity=marketplace man_made=bridge|pier|breakwater",
    ("crop", 2, 0): "landuse=farmland|greenhouse_horticulture|plant_nursery",
    ("meadow", 2, 0): "landuse=meadow natural=grassland|fell|heath landcover=grass",
    ("park", 3, 0): "leisure=park|garden|common|dog_park|nature_reserve landuse=village_green|recreation_ground",
    ("lawn", 3, 0): (
        "landuse=grass|flowerbed|greenfield leisure=* aeroway=aerodrome golf=* "
        "amenity=school|kindergarten|college|university|hospital"
    ),
    ("orchard", 3, 0): "landuse=orchard",
    ("vines", 3, 0): "landuse=vineyard",
    ("allotments", 3, 0): "landuse=allotments",
    ("cemetery", 3, 0): "landuse=cemetery amenity=grave_yard",
    ("dirt", 3, 0): "landuse=farmyard|construction|brownfield",
    ("quarry", 4, 0): "landuse=quarry natural=scree|bare_rock|shingle|rock|stone|cliff",
    ("rough", 4, 0): "leisure=golf_course golf=rough",
    ("solar gap", 4, 0): "plant:source=solar",
    ("wood", 5, 0): "landuse=forest natural=wood|tree_group landcover=trees",
    ("scrub", 5, 0): "natural=scrub",
    ("hedge", 6, 0): "barrier=hedge",
    ("sand", 6, 0): "natural=sand|beach|dune golf=bunker",
    ("wetland", 6, 0): "natural=wetland wetland=*",
    ("water", 7, 0): (
        "natural=water water=* landuse=basin|reservoir|salt_pond waterway=riverbank|dock basin=* "
        "golf=water_hazard|lateral_water_hazard amenity=fountain leisure=marina"
    ),
    ("fairway", 8, 0): "golf=fairway",
    ("green", 9, 0): "golf=green|tee|driving_range",
    ("turf", 9, 0): "leisure=pitch|stadium sport=*",
    ("court", 9, 0): "sport=tennis",
    ("hard court", 9, 0): "sport=basketball|multi|handball|volleyball|skateboard",
    ("infield", 9, 0): "sport=beachvolleyball|equestrian leisure=horse_riding",
    ("tartan", 10, 0): "leisure=track",
    ("playground", 10, 0): "leisure=playground",
    ("pool", 11, 0): "leisure=swimming_pool amenity=swimming_pool",
    ("parking", 11, 0): "amenity=parking|bicycle_parking|motorcycle_parking parking=*",
    ("solar panel", 11, 0): "generator:source=solar",
    ("footway", 12, 0): "highway=pedestrian|footway|platform|steps|path|cycleway railway=platform",
    ("road", 12, 0): "highway=* area:highway=* aeroway=runway|taxiway|helipad",
    ("tank", ROOF_LEVEL, 0): "man_made=storage_tank|silo|gasometer|reservoir_covered|water_tower",
    ("metal roof", ROOF_LEVEL, 0): "building=industrial|warehouse|hangar|factory|manufacture|roof aeroway=hangar",
    ("slab roof", ROOF_LEVEL, 0): "building=apartments|dormitory|hotel|hospital",
    ("flat roof", ROOF_LEVEL, 0): "building=commercial|retail|office|supermarket|parking parking=multi-storey",
    ("copper roof", ROOF_LEVEL, 0): (
        "building=school|church|cathedral|chapel|mosque|temple|public|civic|university|government"
    ),
    ("barn roof", ROOF_LEVEL, 0): "building=barn|farm_auxiliary|stable|cowshed|sty|greenhouse",
    ("roof", ROOF_LEVEL, 0): "building=* building:part=* historic=castle amenity=shelter",
}

_LINES: _Table = {
    ("stream", 20, 1.6): "waterway=ditch|drain",
    ("stream", 20, 3.0): "waterway=stream",
    ("water", 20, 8.0): "waterway=river|canal",
    ("hedge", 21, 3.0): "barrier=hedge natural=tree_row",
    ("yard", 21, 0.8): (
        "barrier=wall|city_wall|retaining_wall|fence|guard_rail man_made=embankment|dyke|breakwater"
    ),
    ("footway", 30, 1.4): "highway=footway|steps|platform|corridor footway=*",
    ("farm track", 30, 1.3): "highway=path|bridleway",
    ("farm track", 31, 2.8): "highway=track",
    ("footway", 31, 2.4): "highway=cycleway|pedestrian man_made=pier public_transport=platform",
    ("road", 32, 3.2): "highway=service service=*",
    ("tartan", 32, 6.0): "leisure=track highway=raceway",
    ("road", 33, 5.5): "highway=residential|unclassified|living_street|road|construction junction=*",
    ("road", 34, 6.5): "highway=tertiary|tertiary_link|secondary_link|primary_link",
    ("road", 35, 7.5): "highway=secondary|trunk_link|motorway_link",
    ("road", 36, 8.5): "highway=primary",
    ("motorway", 37, 11.0): "highway=trunk|motorway",
    ("ballast", 40, 4.0): "railway=*",
    ("road", 41, 14.0): "aeroway=taxiway",
    ("road", 42, 30.0): "aeroway=runway",
    ("wire", 90, 0.7): "power=line|minor_line aerialway=*",
}

_POINTS: _Table = {
    ("water", 20, 4.0): "amenity=fountain",
    ("road", 38, 14.0): "highway=turning_circle|turning_loop|mini_roundabout",
    ("tree", 85, 6.0): "natural=tree",
    ("tank", 85, 8.0): "man_made=storage_tank|water_tower",
    ("tower", 91, 4.0): "power=tower man_made=silo|tower|mast|chimney|communications_tower aerialway=pylon",
}
# fmt: on

_LOOKS: Mapping[GeometryKind, Mapping[str, Look]] = {
    GeometryKind.AREA: _expand(_AREAS),
    GeometryKind.LINE: _expand(_LINES),
    GeometryKind.POINT: _expand(_POINTS),
}
