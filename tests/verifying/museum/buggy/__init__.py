"""Backwards with a mistake, one file per family; every case says its public source."""

from __future__ import annotations

from tests.verifying.museum.buggy import (
    activations,
    attention,
    classifiers,
    convolution,
    dense,
    gates,
    losses,
    networks,
    normalization,
    pooling,
    recurrent,
)

FAMILIES = (
    dense, activations, losses, classifiers, convolution, pooling, normalization, gates, recurrent, attention,
    networks,
)  # fmt: skip
CASES = [case for family in FAMILIES for case in family.CASES]
