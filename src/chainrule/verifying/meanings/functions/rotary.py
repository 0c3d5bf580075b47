"""Rotary positions (Su et al. 2021) as a Function: every pair of features turned by the angle of its step.

A pair are the features k and k + n/2, halves side by side (GPT-NeoX), or 2k and 2k + 1, interleaved (GPT-J).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from chainrule.base.languages import Say
from chainrule.formulas import (
    beside,
    even_features,
    first_features,
    gate,
    interleave,
    named,
    odd_features,
    other_features,
)
from chainrule.verifying.meanings.forms import Form
from chainrule.verifying.meanings.functions.function import Function, Layout, Shape

WORDS = {"rotary", "rope", "rotarypositions", "rotarypositionembedding", "rotaryembedding"}
BASE = 10_000.0


@dataclass(frozen=True)
class Turn:
    """interleaved: which features are pairs.  whole: c and s have a number for every feature, not for every
    pair.  part: the features behind as many as R has stay as they are.
    """

    interleaved: bool
    whole: bool = False
    part: bool = False

    def halves(self, x: Any) -> tuple[Any, Any]:
        if self.interleaved:
            return even_features(x), odd_features(x)
        return gate(x, gate="1", gates="12"), gate(x, gate="2", gates="12")

    def angles(self, c: Any) -> tuple[Any, Any]:
        return self.halves(c) if self.whole else (c, c)

    def joined(self, a: Any, b: Any) -> Any:
        return interleave(a, b) if self.interleaved else beside(a, b)

    def _of_part(self, turned: Callable[[Any], Any], x: Any, R: Any) -> Any:
        return beside(turned(first_features(x, R)), other_features(x, R)) if self.part else turned(x)

    def forward(self, x: Any, c: Any, s: Any, R: Any = None, **beside_: Any) -> Any:
        (c1, c2), (s1, s2) = self.angles(c), self.angles(s)

        def turned(x: Any) -> Any:
            first, second = self.halves(x)
            return self.joined(first * c1 - second * s1, second * c2 + first * s2)

        return self._of_part(turned, x, R)

    def backward(self, d: Any, c: Any, s: Any, R: Any = None) -> dict[str, Any]:
        (c1, c2), (s1, s2) = self.angles(c), self.angles(s)
        if self.whole:  # which of both halves stands where may be mistaken
            c1, c2, s1, s2 = (named(*each) for each in (("c1", c1), ("c2", c2), ("s1", s1), ("s2", s2)))

        def turned(d: Any) -> Any:
            d1, d2 = (named(f"d{n}", half) for n, half in enumerate(self.halves(d), 1))
            return self.joined(d1 * c1 + d2 * s2, d2 * c2 - d1 * s1)

        return {"x": self._of_part(turned, d, R)}

    # -- what is written in its place
    def mistaken(self, computed: bool) -> Iterator[tuple[Say, Callable[..., dict[str, Any]]]]:
        """(what it is, formula) of other turns; computed: whether c and s are those of positions."""
        other = replace(self, interleaved=not self.interleaved)
        names = Say("halves", "前后两半"), Say("interleaved pairs", "交错的特征对")
        pairs = names[not self.interleaved]

        def again(turn: Turn) -> Callable[..., dict[str, Any]]:
            return lambda d, c, s, R: {"x": turn.forward(d, c, s, R)}

        yield Say("the turn of the forward pass, not its inverse", "前向的旋转，而不是它的逆"), again(self)
        yield Say(f"the turn of {pairs.en}", f"{pairs.zh}的旋转"), other.backward
        yield (
            Say(f"the turn of {pairs.en}, not inverted", f"{pairs.zh}的旋转，且没有取逆"),
            again(other),
        )
        yield Say("cos and sin exchanged", "cos 与 sin 互换"), lambda d, c, s, R: self.backward(d, s, c, R)
        yield (
            Say("the turn by the angles of the step before", "按前一步的角度旋转"),
            lambda d, c_before, s_before, R: self.backward(d, c_before, s_before, R),
        )
        yield (
            Say("the turn by the angles of the step behind", "按后一步的角度旋转"),
            lambda d, c_behind, s_behind, R: self.backward(d, c_behind, s_behind, R),
        )
        if computed:
            yield (
                Say("the turn by positions that begin at 0", "位置从 0 开始的旋转"),
                lambda d, c_zero, s_zero, R: self.backward(d, c_zero, s_zero, R),
            )
            yield (
                Say(f"the turn with the base {BASE:g}", f"底数为 {BASE:g} 的旋转"),
                lambda d, c_base, s_base, R: self.backward(d, c_base, s_base, R),
            )
            if self.part:
                yield (
                    Say("the angles of all features", "按全部特征计算的角度"),
                    lambda d, c_all, s_all, R: self.backward(d, c_all, s_all, R),
                )


@dataclass(frozen=True)
class Positions:
    """cos and sin of (offset + t) base^(-2k/n), t the step (axis `steps` of x as ours) and k the pair of the
    first n features; `given`: positions are the argument p.
    """

    steps: int
    base: float = BASE
    offset: float = 0.0
    features: int | None = None
    whole: bool = False
    interleaved: bool = False
    given: bool = False

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        x = values["x"]
        n = self.features or x.shape[-2]
        if n % 2 or n > x.shape[-2] or x.ndim < -self.steps:
            raise ValueError("no such features")
        positions = values["p"] if self.given else self.offset + np.arange(x.shape[self.steps])[:, None]
        made = {"R": np.zeros((*(1,) * (x.ndim - 2), n, 1))}
        rates = _rates(self.base, n)
        kinds = {
            "": (positions, rates), "_before": (positions - 1, rates), "_behind": (positions + 1, rates),
            "_zero": (positions - self.offset, rates), "_base": (positions, _rates(BASE, n)),
            "_all": (positions, _rates(self.base, x.shape[-2])[: n // 2]),
        }  # fmt: skip
        for word, (at, by) in kinds.items():
            angles = np.moveaxis(np.multiply.outer(at, by), -1, -2)  # (T, n/2, m or 1)
            spread = [angles.shape[0], *(1,) * (-self.steps - 3), *angles.shape[1:]]
            angles = angles.reshape([*(1,) * (x.ndim - len(spread)), *spread])
            made |= {f"c{word}": np.cos(angles), f"s{word}": np.sin(angles)}
        return made


def _rates(base: float, features: int) -> Any:
    half = features // 2
    return np.asarray(base, dtype=np.float64) ** (-np.arange(half) / half)


def _beside(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of angles that are arguments those of other steps."""
    c, s = values["c"], values["s"]
    steps = max(range(c.ndim - 2), key=lambda axis: c.shape[axis], default=0)
    n = values["x"].shape[-2]
    made = {"R": np.zeros((*(1,) * (values["x"].ndim - 2), n, 1))}
    for word, by in (("_before", 1), ("_behind", -1)):
        made |= {f"c{word}": np.roll(c, by, axis=steps), f"s{word}": np.roll(s, by, axis=steps)}
    return made


def _part_of(features: int | None, whole: bool) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """The same, of as many features as there are angles."""

    def constants(values: Mapping[str, Any]) -> dict[str, Any]:
        x, c = values["x"], values["c"]
        n = c.shape[-2] if whole else 2 * c.shape[-2]
        if n > x.shape[-2] or (features is None and n != x.shape[-2]) or (features not in (None, n)):
            raise ValueError("other features")
        return {**_beside(values), "R": np.zeros((*(1,) * (x.ndim - 2), n, 1))}

    return constants


# -- how the arrays lie: x with samples first, none or last; c, s and p with the axes that they need
def _layouts() -> Iterator[Layout]:
    for samples, spread in product(("first", "none", "last"), (False, True)):
        yield _layout(samples, spread)


def _layout(samples: str, spread: bool) -> Layout:
    """spread: x has the steps before the heads, and what has none of the heads gets an axis of one."""

    def of_x(shape: Shape) -> Form:
        axes = tuple(range(len(shape)))
        if samples == "none":
            return Form(axes, (*shape, 1), tuple(shape))
        if samples == "last":
            return Form(axes, tuple(shape), tuple(shape))
        return Form((*axes[1:], 0), (*shape[1:], shape[0]), tuple(shape))

    def of_angles(shape: Shape, x: Form) -> Form:
        if len(shape) == len(x.theirs):  # an axis for everything that x has
            if spread:
                raise ValueError("nothing to spread")
            return of_x(shape)
        axes = tuple(range(len(shape)))
        if spread and len(shape) != 2:
            raise ValueError("nothing to spread")
        ours = (shape[0], 1, shape[1], 1) if spread else (*shape, 1)
        return Form(axes, ours, tuple(shape))

    def of_positions(shape: Shape, x: Form) -> Form:
        if len(shape) == 1:
            return Form((0,), (shape[0], 1), tuple(shape))
        if len(shape) != 2:
            raise ValueError("no positions")
        return Form((1, 0), (shape[1], shape[0]), tuple(shape))

    def forms(shapes: Sequence[Shape]) -> list[Form]:
        x = of_x(shapes[0])
        if len(shapes) == 2:
            return [x, of_positions(shapes[1], x)]
        return [x, *(of_angles(shape, x) for shape in shapes[1:])]

    def counted(shapes: Sequence[Shape]) -> list[tuple[int, int]]:
        if samples == "none":
            return []
        axis = 0 if samples == "first" else len(shapes[0]) - 1
        positions = len(shapes) == 2 and len(shapes[1]) == 2 and shapes[1][0] == shapes[0][axis] > 1
        return [(0, axis), *([(1, 0)] if positions else [])]

    return Layout(forms, counted)


def rotary(options: dict[str, Any]) -> list[Function]:
    """The functions that the options may mean; what was read is taken out.

    base, offset: of the positions.  features: how many are turned.  interleaved: None, either.
    """
    base = float(options.pop("base", options.pop("theta", options.pop("rope_theta", BASE))))
    offset = float(options.pop("offset", options.pop("start_pos", options.pop("start", 0))))
    features = options.pop("features", options.pop("rotary_dim", options.pop("rotary_dims", None)))
    paired = options.pop("interleaved", None)
    layouts = tuple(_layouts())
    made = []
    for interleaved in (False, True) if paired is None else (bool(paired),):
        for whole, part in product((False, True), (False, True)):
            turn = Turn(interleaved, whole, part)
            made.append(_function(turn, ("x", "c", "s"), _part_of(features, whole), layouts))
        turn = Turn(interleaved, False, features is not None)
        for steps, given in product((-3, -4), (False, True)):
            angles = Positions(steps, base, offset, features, given=given)
            made.append(_function(turn, ("x", "p") if given else ("x",), angles, layouts, computed=True))
    return sorted(made, key=lambda function: "p" in function.inputs)


def _function(
    turn: Turn, inputs: tuple[str, ...], constants: Any, layouts: tuple[Layout, ...], computed: bool = False
) -> Function:
    return Function(
        "rotary", inputs, turn.forward, turn.backward, constants, (), layouts, tuple(turn.mistaken(computed))
    )
