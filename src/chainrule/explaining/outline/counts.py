"""What the letters N, H, P and n_out of a formula count, and how many that is here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chainrule.base.languages import COLON, SEMICOLON, Say, same
from chainrule.explaining.words.catalogues import CARDS
from chainrule.formulas import Equation, Named, Symbol, walk
from chainrule.formulas.rules import Trait

Shape = Sequence[int]
# Of an operand whose last axis is that of the samples: the letter, its number, what it counts.
_COUNTS: dict[Trait, tuple[str, Callable[[Shape], int], str]] = {
    Trait.COUNTS_VALUES: ("N", lambda shape: math.prod(shape) // shape[-2], "values"),
    Trait.COUNTS_FEATURES: ("H", lambda shape: shape[-2], "features"),
    Trait.COUNTS_POSITIONS: ("P", lambda shape: math.prod(shape[:-2]), "positions"),
    Trait.COUNTS_OUTPUTS: ("n_out", lambda shape: math.prod(shape[:-1]), "outputs"),
}


def counted(equation: Equation, shapes: Mapping[str, Shape]) -> Say | None:
    """ "N = 64: the values of a feature, ..."; None where nothing is counted.

    shapes: of the formula's names, the last axis that of the samples.
    """
    meanings: dict[str, Say] = {}
    known: dict[str, int] = {}
    for _, node in walk(equation.right):
        if Trait.AVERAGES_GROUPS in node.traits:
            meanings["mean_g"] = CARDS["mean_of_groups"]
        for trait in node.traits & _COUNTS.keys():
            letter, count, meaning = _COUNTS[trait]
            meanings[letter] = CARDS[f"counts.{meaning}"]
            shape = _shape(node.children[0], shapes)
            if shape is not None:
                known.setdefault(letter, count(shape))
    return SEMICOLON.join(_text(*of, known) for of in meanings.items()) if meanings else None


def _text(letter: str, meaning: Say, known: Mapping[str, int]) -> Say:
    if letter == "mean_g":
        return meaning
    return same(f"{letter} = {known[letter]}" if letter in known else letter) + COLON + meaning


def _shape(operand: Any, shapes: Mapping[str, Shape]) -> Shape | None:
    shape = shapes.get(operand.name) if isinstance(operand, Symbol | Named) else None
    return shape if shape is not None and len(shape) > 1 else None
