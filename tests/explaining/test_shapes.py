"""The line of shapes: the Matrix notes' proofs by dimensions, with the numbers of the network at hand."""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule.explaining.blocks.kinds import Card, Formula
from chainrule.formulas.printing import render_text
from chainrule.formulas.printing.boxes import Box

M = 5


def lines(layers: list[Any], shape: Any) -> dict[str, list[str]]:
    """Step -> its lines of shapes."""
    network = cr.Network([*layers, cr.Dense(2)], input_shape=shape, seed=0)
    X = np.random.default_rng(0).standard_normal((M, *np.atleast_1d(shape)))
    report = cr.explain(network, X, np.zeros((M, *network.output_shape)), check=False)
    sections = report.outline(linear=True).sections
    cards = [block for one in sections for block in one.blocks if isinstance(block, Card)]
    return {card.step: [render_text.render(box) for box in shape_boxes(card)] for card in cards}


def shape_boxes(card: Card) -> list[Box]:
    return [one.box for one in card.blocks if isinstance(one, Formula) and one.reading == "shape"]


def test_dense_layers() -> None:
    found = lines([cr.Dense(4), cr.Tanh()], 3)
    assert found["F1"] == ["(4×3) (3×5) + 4 → (4×5)"]
    down, weights, bias = found["B3"]
    assert down.startswith("((2×4)ᵀ (2×5))")
    assert down.endswith("→ (4×5)")
    assert weights == "(2×5) (4×5)ᵀ → (2×4)"
    assert bias == "(2×5) (5×1) → (2×1)"  # ∂C/∂Z ones(M, 1)
    assert found["B1"] == ["(4×3)ᵀ (4×5) → (3×5)", "(4×5) (3×5)ᵀ → (4×3)", "(4×5) (5×1) → (4×1)"]
    assert found.get("F2", []) == []  # entry by entry


def test_convolutions_at_one_position() -> None:
    found = lines([cr.Conv2D(3, 2), cr.Flatten()], (4, 4, 1))
    assert found["B1"][-1] == "Σ_{i,j} (3×5) (5×1) → (3×1)"


def test_sums_over_positions_that_are_not_written_have_no_line() -> None:
    found = lines([cr.Dense(3), cr.LayerNorm(), cr.Flatten()], (6, 2))
    assert not [line for step in ("B1", "B2") for line in found[step] if "(5×1)" in line]
