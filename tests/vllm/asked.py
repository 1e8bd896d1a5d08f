"""Texts to ask a model for: made-up patches with facts, one prompt each."""

import random

from pipeline.captions.prompting import choose_prompt
from pipeline.captions.writer import Assignment
from pipeline.evidence import Evidence, Fact, Task
from pipeline.types import GeometryKind

THINGS = (
    "wood", "lake", "meadow", "orchard", "vineyard", "quarry", "sports pitch", "parking lot", "farmland", "house",
)  # fmt: skip
PLACES = ("top-left", "top", "top-right", "left", "center", "right", "bottom-left", "bottom", "bottom-right")


def scene(number: int, *, facts: int = 6) -> Assignment:
    """The text about a made-up patch; the same number gives the same."""
    draw = random.Random(number)
    found = tuple(_fact(f"f{n + 1}", draw) for n in range(facts))
    seed = draw.getrandbits(48)
    prompt = choose_prompt(Task.SCENE, seed)
    return Assignment(f"{number:016x}", Task.SCENE, 0, Evidence(found, 268.8), (), prompt, seed)


def _fact(id_: str, draw: random.Random) -> Fact:
    thing = draw.choice(THINGS)
    return Fact(
        id=id_,
        tag="landuse=thing",
        kind=GeometryKind.AREA,
        singular=thing,
        plural=thing + "s",
        count=draw.randint(1, 9),
        positions=(draw.choice(PLACES),),
        share=draw.random() / 3,
        length_m=0.0,
        edges=(),
        elements=(f"w{draw.randint(1, 99999)}",),
    )
