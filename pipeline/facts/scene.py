"""What facts are found from: elements and patches of one scene, ready to be joined."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.facts.classify import Rules
from pipeline.facts.ground import Ground
from pipeline.facts.layer import Layer
from pipeline.facts.qualify import Qualified
from pipeline.grid import Floats, Ints

__all__ = ["GRAINS", "KINDS", "Elements", "Frames", "Rules", "grains"]

KINDS = 3
"""Points, lines and areas."""

GRAINS = 1_000_000
"""Weights and positions are compared in millionths of the patch or its side: what is equal, or on the line between
two positions, by construction stays so, whatever the last bits of the projection are."""


@dataclass(frozen=True, slots=True)
class Elements:
    """Visible elements: sorted by id.

    Attributes
    ----------
    ids
        "n1", "w2", "r3".
    rule
        Index into `Rules` of each element.
    qualified
        What can be seen of each element beside its class.
    layer
        The elements in the CRS of the patches.
    """

    ids: pa.StringArray
    rule: Ints
    qualified: Qualified
    layer: Layer


@dataclass(frozen=True, slots=True)
class Frames:
    """Patches of one scene.

    Attributes
    ----------
    ids
        Patch ids.
    boxes
        Bounds in CRS units, shape (n, 4): xmin, ymin, xmax, ymax.
    ground
        The ground below them.
    gsd_m
        Ground sample distance of the scene.
    """

    ids: pa.StringArray
    boxes: Floats
    ground: Ground
    gsd_m: float


def grains(values: Floats) -> Ints:
    """Values in whole millionths."""
    whole: Ints = np.rint(values * GRAINS).astype(np.int64)
    return whole
