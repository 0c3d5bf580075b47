"""What the letters N, H, P and K of a formula count, and how many that is here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chainrule.base.languages import Say
from chainrule.formulas import Equation, Named, Symbol, walk
from chainrule.formulas.rules import Trait

Shape = Sequence[int]
# Of an operand whose last axis is that of the samples: the letter, its number, and what it counts.
_COUNTS: dict[Trait, tuple[str, Callable[[Shape], int], Say]] = {
    Trait.COUNTS_VALUES: (
        "N",
        lambda shape: math.prod(shape) // shape[-2],
        Say("the values of a feature, samples times positions", "每个特征的取值个数，即样本数 × 位置数"),
    ),
    Trait.COUNTS_FEATURES: ("H", lambda shape: shape[-2], Say("the features", "特征的个数")),
    Trait.COUNTS_POSITIONS: ("P", lambda shape: math.prod(shape[:-2]), Say("the positions", "位置的个数")),
    Trait.COUNTS_OUTPUTS: (
        "K",
        lambda shape: math.prod(shape[:-1]),
        Say("the outputs of one sample", "单个样本的输出个数"),
    ),
}
_GROUPS = Say(
    "mean_g is over all positions and the channels of a group", "mean_g 对所有位置与一组内的通道求平均"
)


def counted(equation: Equation, shapes: Mapping[str, Shape]) -> Say | None:
    """ "N = 64: the values of a feature, ..."; None where nothing is counted.

    shapes: of the formula's names, the last axis that of the samples.
    """
    said: dict[str, Say] = {}
    known: dict[str, int] = {}
    for _, node in walk(equation.right):
        if Trait.AVERAGES_GROUPS in node.traits:
            said["mean_g"] = _GROUPS
        for trait in node.traits & _COUNTS.keys():
            letter, count, meaning = _COUNTS[trait]
            said[letter] = meaning
            shape = _shape(node.children[0], shapes)
            if shape is not None:
                known.setdefault(letter, count(shape))
    texts = [_text(letter, known.get(letter), meaning) for letter, meaning in said.items()]
    if not texts:
        return None
    return Say("; ".join(text.en for text in texts), "；".join(text.zh for text in texts))


def _text(letter: str, value: int | None, meaning: Say) -> Say:
    if meaning is _GROUPS:
        return meaning
    here = letter if value is None else f"{letter} = {value}"
    return Say(f"{here}: {meaning.en}", f"{here}：{meaning.zh}")


def _shape(operand: Any, shapes: Mapping[str, Shape]) -> Shape | None:
    found = shapes.get(operand.name) if isinstance(operand, Symbol | Named) else None
    return found if found is not None and len(found) > 1 else None
