"""What the ground is painted with: materials, their colours, and the class each of them counts as."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from pipeline.demo.texture import DIRECTIONS, rows_texture

RGBN = tuple[int, int, int, int]
"""Red, green, blue and near infrared, 0 to 255."""

GROUND = "ground"
"""Class of everything that the map does not draw."""


@dataclass(frozen=True, slots=True)
class Material:
    """One way to paint a polygon.

    Attributes
    ----------
    name
        Unique name.
    ground_class
        What its pixels count as.
    tones
        Colours, in the order in which the texture numbers them.
    texture
        Name of the texture (see `pipeline.demo.texture`).
    relief
        Grey levels per step of shade; the near infrared moves by half of it.
    """

    name: str
    ground_class: str
    tones: tuple[RGBN, ...]
    texture: str = "grain"
    relief: float = 0.8


_CROPS: Mapping[str, tuple[RGBN, RGBN]] = {
    "maize": ((96, 128, 60, 196), (120, 122, 80, 158)),
    "wheat": ((202, 180, 112, 140), (182, 160, 100, 124)),
    "fallow": ((154, 122, 90, 84), (138, 108, 78, 76)),
    "soy": ((122, 150, 70, 184), (142, 134, 90, 166)),
}

_MATERIALS: tuple[Material, ...] = (
    # ground that the map leaves blank
    Material("lawn", GROUND, ((130, 144, 98, 118),), "grain", 0.8),
    Material("shadow", GROUND, ((66, 76, 62, 64),), "grain", 0.6),
    Material("dirt", GROUND, ((158, 142, 114, 46),), "grain", 0.8),
    Material("paving", GROUND, ((158, 158, 152, 118),), "asphalt", 0.7),
    # vegetation
    Material("broadleaved", "forest", ((72, 98, 54, 82), (46, 64, 40, 112)), "broadleaved"),
    Material("needleleaved", "forest", ((52, 80, 56, 112), (34, 50, 40, 92)), "needleleaved"),
    Material("scrub", "scrub", ((92, 106, 66, 118), (136, 132, 92, 134)), "scrub"),
    *(
        Material(f"{crop}{k}", "farmland", tones, rows_texture(k))
        for crop, tones in _CROPS.items()
        for k in range(DIRECTIONS)
    ),
    Material("meadow", "meadow", ((146, 162, 88, 214),), "grain"),
    Material("orchard", "orchard", ((70, 110, 48, 232), (138, 162, 98, 232)), "orchard"),
    *(
        Material(f"vineyard{k}", "vineyard", ((90, 110, 60, 216), (166, 144, 110, 27)), rows_texture(k))
        for k in range(DIRECTIONS)
    ),
    Material(
        "allotments",
        "allotments",
        ((112, 128, 70, 92), (150, 120, 92, 118), (126, 158, 82, 104), (96, 92, 66, 16)),
        "plots",
    ),
    Material("park", "park", ((112, 156, 84, 248), (58, 92, 48, 250)), "park"),
    Material("cemetery", "cemetery", ((116, 150, 96, 140), (196, 196, 188, 196)), "graves"),
    Material("tree", "tree", ((70, 104, 52, 148),), "grain"),
    Material("tree shade", "tree", ((46, 74, 40, 142),), "grain", 0.6),
    # water and bare ground
    Material("water", "water", ((46, 80, 98, 22),), "ripples", 0.9),
    Material("wetland", "wetland", ((92, 106, 84, 60), (60, 86, 86, 16)), "scrub"),
    Material("sand", "sand", ((224, 206, 166, 208),), "grain", 0.8),
    Material("quarry", "quarry", ((208, 194, 168, 150),), "rubble"),
    Material("quarry wall", "quarry", ((166, 152, 128, 124),), "rubble", 0.8),
    Material("quarry floor", "quarry", ((188, 172, 144, 60),), "rubble", 0.8),
    # sport and leisure
    Material("rough", "golf course", ((100, 136, 66, 154), (58, 90, 46, 196)), "park", 0.8),
    Material("fairway", "golf course", ((126, 170, 82, 150),), "mown", 0.8),
    Material("green", "golf course", ((150, 198, 104, 170),), "mown", 0.5),
    Material("turf", "pitch", ((84, 154, 72, 204),), "mown", 0.8),
    Material("court", "pitch", ((70, 118, 156, 110),), "asphalt", 0.7),
    Material("hard court", "pitch", ((156, 92, 82, 130),), "asphalt", 0.7),
    Material("infield", "pitch", ((192, 142, 98, 150),), "grain", 0.6),
    Material("pitch line", "pitch", ((232, 238, 226, 232),), "grain", 0.4),
    Material("tartan", "track", ((178, 86, 70, 60),), "asphalt", 0.7),
    Material("tartan line", "track", ((214, 150, 134, 60),), "asphalt", 0.4),
    Material("playground", "playground", ((216, 164, 112, 92),), "grain", 0.7),
    Material("pool", "pool", ((94, 200, 218, 40),), "ripples", 0.7),
    # buildings
    *(
        Material(f"{name} {side}", "house", (tone,), "asphalt", 0.6)
        for name, tones in {
            "red roof": ((166, 100, 82, 96), (122, 70, 58, 78)),
            "brown roof": ((136, 108, 88, 48), (98, 76, 62, 36)),
            "grey roof": ((136, 134, 134, 66), (94, 92, 96, 52)),
        }.items()
        for side, tone in zip(("sun", "shade"), tones, strict=True)
    ),
    Material("slab roof", "apartments", ((182, 158, 138, 88),), "asphalt", 0.7),
    Material("slab roof edge", "apartments", ((148, 124, 108, 184),), "asphalt", 0.5),
    Material("flat roof", "commercial", ((212, 212, 208, 128),), "asphalt", 0.7),
    Material("dark flat roof", "commercial", ((88, 90, 98, 124),), "asphalt", 0.7),
    Material("roof plant", "commercial", ((172, 176, 180, 136),), "asphalt", 0.5),
    Material("metal roof", "industrial building", ((150, 172, 192, 110),), "asphalt", 0.7),
    Material("metal roof shade", "industrial building", ((116, 138, 160, 80),), "asphalt", 0.6),
    Material("copper roof", "civic building", ((120, 164, 146, 60),), "asphalt", 0.7),
    Material("copper roof shade", "civic building", ((86, 128, 114, 76),), "asphalt", 0.6),
    Material("barn roof", "farm building", ((150, 64, 56, 150),), "asphalt", 0.6),
    Material("barn roof shade", "farm building", ((108, 46, 44, 128),), "asphalt", 0.6),
    # industry, energy, parking
    Material("yard", "industrial", ((174, 168, 156, 76),), "asphalt", 0.8),
    Material("red box", "industrial", ((170, 70, 60, 210),), "asphalt", 0.5),
    Material("blue box", "industrial", ((60, 92, 150, 180),), "asphalt", 0.5),
    Material("green box", "industrial", ((70, 122, 92, 30),), "asphalt", 0.5),
    Material("tank", "storage tank", ((236, 236, 230, 60),), "asphalt", 0.5),
    Material("tank shade", "storage tank", ((196, 198, 198, 40),), "asphalt", 0.5),
    Material("solar gap", "solar farm", ((128, 134, 108, 212),), "grain", 0.7),
    Material("solar panel", "solar farm", ((38, 46, 80, 74),), "asphalt", 0.6),
    Material("parking", "parking", ((116, 116, 120, 112),), "asphalt", 0.7),
    Material("parking line", "parking", ((204, 204, 204, 235),), "asphalt", 0.3),
    Material("white car", "parking", ((236, 238, 240, 150),), "asphalt", 0.3),
    Material("black car", "parking", ((38, 40, 48, 40),), "asphalt", 0.3),
    Material("red car", "parking", ((156, 48, 48, 60),), "asphalt", 0.3),
    Material("blue car", "parking", ((60, 84, 130, 120),), "asphalt", 0.3),
    # lines
    Material("motorway", "road", ((152, 150, 144, 40),), "asphalt", 0.8),
    Material("road", "road", ((136, 134, 134, 92),), "asphalt", 0.8),
    Material("road line", "road", ((226, 214, 160, 90),), "asphalt", 0.3),
    Material("white traffic", "road", ((238, 238, 238, 200),), "asphalt", 0.3),
    Material("dark traffic", "road", ((44, 44, 50, 140),), "asphalt", 0.3),
    Material("farm track", "farm track", ((182, 164, 130, 106),), "grain", 0.8),
    Material("footway", "footway", ((200, 192, 178, 100),), "asphalt", 0.6),
    Material("ballast", "railway", ((126, 112, 102, 100),), "asphalt", 0.7),
    Material("rail", "railway", ((84, 76, 72, 100),), "asphalt", 0.4),
    Material("stream", "stream", ((64, 98, 106, 70),), "ripples", 0.6),
    Material("hedge", "hedge", ((62, 90, 46, 178),), "grain", 0.8),
    Material("wire", "power line", ((190, 192, 194, 170),), "asphalt", 0.2),
    Material("tower", "power tower", ((216, 218, 222, 247),), "asphalt", 0.2),
)

MATERIALS: Mapping[str, Material] = MappingProxyType({each.name: each for each in _MATERIALS})
"""Materials by name. Their order numbers them in a painter's canvas."""


def palette() -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Every tone with the class it stands for: what a pixel is told by, nearest colour first.

    Returns
    -------
    Class names, and colours of shape ``(n, 4)`` (red, green, blue, near infrared), without repeats.
    """
    tones = dict.fromkeys((each.ground_class, tone) for each in _MATERIALS for tone in each.tones)
    return tuple(name for name, _ in tones), np.array([tone for _, tone in tones])
