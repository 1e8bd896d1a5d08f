"""Captions that are right or wrong, with the facts they are about: ``tests/captions/labelled/*.yaml``.

A file is a list of patches: facts in short form, and captions in which braces mark variants. ``{three|two:wrong_number}``
makes a right caption with "three" and a wrong one with "two" and the reason to be found. ``arguable: true`` marks
captions of which only the wrong variants count.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.evidence import (
    Arrangement,
    Axis,
    Evidence,
    Fact,
    Relation,
    RelationKind,
    Shape,
    Sinuosity,
    Task,
)
from pipeline.types import GeometryKind, Reason

_FOLDER = Path(__file__).resolve().parent / "captions" / "labelled"
_FACT = re.compile(
    r"(?P<kind>[alp]) (?:(?P<count>\d+) )?(?:\[(?P<qualifiers>[^]]*)\] )?(?P<noun>.*?)(?= \w+=|$)(?P<rest>.*)"
)
_KINDS = {"a": GeometryKind.AREA, "l": GeometryKind.LINE, "p": GeometryKind.POINT}
_AXES = {
    "NS": Axis.NORTH_SOUTH,
    "EW": Axis.EAST_WEST,
    "NESW": Axis.NORTHEAST_SOUTHWEST,
    "NWSE": Axis.NORTHWEST_SOUTHEAST,
}
_SHAPES = {"L": Shape.L_SHAPED}
_SINUOSITIES = {"curving": Sinuosity.CURVING}
_TASKS = {
    "area": Task.AREA,
    "non_area": Task.NON_AREA,
    "revision": Task.REVISION,
    "scene": Task.SCENE,
    "title": Task.TITLE,
}
_VARIANTS = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A caption, its facts, and the reason to refuse it (None for a right one)."""

    text: str
    evidence: Evidence
    task: Task
    focus: tuple[str, ...]
    original: str
    reason: Reason | None


def labelled(name: str) -> tuple[Labelled, ...]:
    """The captions of a file, "development" or "held_out"."""
    patches = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return tuple(one for patch in patches for one in _of_patch(patch))


def fact_of(text: str, number: int) -> Fact:
    """A fact from its short form."""
    match = _FACT.fullmatch(text)
    assert match, text
    singular, _, plural = match["noun"].partition("|")
    given = dict(part.split("=", 1) for part in match["rest"].split())
    count = int(match["count"] or 1)
    length, _, width = given.get("ext", "0x0").partition("x")
    ends = given.get("ends", "")
    return Fact(
        id=f"f{number}",
        tag="",
        kind=_KINDS[match["kind"]],
        singular=singular,
        plural=plural or f"{singular}s",
        count=count,
        positions=tuple(given["at"].split(",")),
        share=float(given.get("share", 0)),
        length_m=float(given.get("len", 0)),
        edges=tuple(filter(None, given.get("edges", "").split(","))),
        elements=(f"w{number}",),
        qualifiers=tuple((match["qualifiers"] or "").split()),
        area_m2=float(given.get("m2", 0)),
        extent_m=(float(length), float(width)),
        shape=_SHAPES.get(given["shape"]) or Shape(given["shape"]) if given.get("shape") else None,
        axis=_AXES[given["axis"]] if given.get("axis") else None,
        sinuosity=_SINUOSITIES.get(given["sin"]) or Sinuosity(given["sin"]) if given.get("sin") else None,
        ends=tuple(ends.split(",")) if ends else (),
        arrangement=Arrangement(given["arr"]) if given.get("arr") else None,
        relations=tuple(_relation(r) for r in given.get("rel", "").split(",") if r and not r.endswith(":")),
    )


def _relation(text: str) -> Relation:
    words, _, distance = text.partition("/")
    kind, other, *third = words.split(":")
    return Relation(
        RelationKind(kind.replace("_", " ")), other, third[0] if third else "", float(distance or 0)
    )


def _of_patch(patch: dict[str, Any]) -> Iterator[Labelled]:
    facts = tuple(fact_of(text, n) for n, text in enumerate(patch["facts"], 1))
    evidence = Evidence(facts, float(patch["side_m"]), tuple(str(name) for name in patch["names"]))
    for caption in patch["captions"]:
        task = _TASKS[caption.get("task", "area" if caption.get("focus") else "scene")]
        focus = tuple(filter(None, caption.get("focus", "").split(",")))
        for text, reason in _variants(caption["t"]):
            if reason is not None or not caption.get("arguable"):
                yield Labelled(text, evidence, task, focus, caption.get("original", ""), reason)


def _variants(text: str) -> Iterator[tuple[str, Reason | None]]:
    parts = _VARIANTS.split(text)
    options = [part.split("|") for part in parts[1::2]]

    def filled(chosen: int, words: str) -> str:
        inner = [words if n == chosen else option[0] for n, option in enumerate(options)]
        joined = "".join(piece for pair in zip(parts[::2], [*inner, ""], strict=True) for piece in pair)
        return joined.strip()

    yield filled(-1, ""), None
    for n, (_, *wrong) in enumerate(options):
        for variant in wrong:
            words, _, reason = variant.rpartition(":")
            yield filled(n, words), Reason(reason)
