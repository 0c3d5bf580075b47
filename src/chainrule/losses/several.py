r"""Losses: of several outputs, the weighted sum of a loss of each.

    value = Σ_k w_k · value_k(a_k, y_k)        ∂value/∂a = (w_1 ∂value_1/∂a_1 ; w_2 ∂value_2/∂a_2 ; …)

Where an output's activation and loss are a pair its δ is w_k (a_k - y_k), as of a single output.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError, PairError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_number
from chainrule.base.types import Shape
from chainrule.formulas import beside, flatten
from chainrule.layers import Layer
from chainrule.layers.parts import Heads, activation_delta, part_of
from chainrule.losses.base import PAIRS, Loss


@dataclass(frozen=True)
class LossPart:
    """The loss of one output, its weight, the output's activation, its place among the features, and the
    shape of one sample.
    """

    loss: Loss
    weight: float
    activation: Layer
    start: int
    stop: int
    shape: Shape

    @property
    def pair(self) -> bool:
        return self.loss.pairs_with(self.activation)

    @property
    def alone(self) -> BehindActivation:
        """Its loss as a function of what stands in front of the activation, without its weight."""
        return BehindActivation(self.loss, self.activation)

    def of(self, *values: Any) -> tuple[Any, ...]:
        """This output, in its own shape, of each of these values."""
        return tuple(part_of(value, self.start, self.stop, self.shape) for value in values)

    def row(self, value: Any) -> Any:
        """What is of this output's shape as features again."""
        return flatten(value) if len(self.shape) > 1 else value


@dataclass(frozen=True)
class BehindActivation:
    """The formulas of a loss from z, the activation within: of a pair those of the pair.  z is called `a`, as
    what a `Loss` reads is.  Targets have been prepared.
    """

    loss: Loss
    activation: Layer
    affine: ClassVar[bool] = False

    def value(self, a: Any, y: Any) -> Any:
        if self.loss.pairs_with(self.activation):
            return self.loss.value_from_z(a, y)
        return self.loss.value(self.activation.forward(a), y)

    def gradient(self, a: Any, y: Any) -> Any:
        return self.residual(self.activation.forward(a), y)

    def residual(self, a: Any, y: Any) -> Any:
        """The gradient from what the activation puts out."""
        if self.loss.pairs_with(self.activation):
            return self.loss.residual(a, y)
        return activation_delta(self.activation, self.loss.gradient(a, y), a)


@teach()
@dataclass(frozen=True)
class Losses(Loss):
    """J of several outputs: Losses({"kind": CrossEntropy(), "price": Huber()}, weights={"price": 0.5}).

    losses: output -> its loss, or the name of one; an output that is not named has the one that belongs to
    its activation. weights: output -> what its loss is multiplied by in the sum, 1 where it is not named.
    """

    output: ClassVar[type[Layer] | None] = Heads

    losses: Any = None
    weights: Any = None
    parts: tuple[LossPart, ...] = field(default=(), repr=False)  # of a network's outputs, by `for_outputs`

    def __repr__(self) -> str:
        given = {} if self.losses is None else dict(self.losses)
        weights = f", weights={dict(self.weights)!r}" if self.weights else ""
        return f"Losses({given!r}{weights})"

    def __hash__(self) -> int:
        return hash(repr(self))

    def for_outputs(self, heads: Heads, chosen: Callable[[Any, Layer], Loss]) -> Losses:
        """The same for these outputs; `chosen` makes a loss of what was given for an output.

        Raises ArgumentError for a name that is no output, and PairError where a loss does not belong to an
        output's activation.
        """
        losses, weights = _by_name(self.losses, "losses", heads), _by_name(self.weights, "weights", heads)
        parts = []
        ends = zip(heads.names, heads.activations, heads.places, heads.shapes, strict=True)
        for name, f, (start, stop), shape in ends:
            loss = chosen(losses.get(name), f)
            try:
                loss.check_output([f])
            except PairError as error:
                raise PairError(f"output {name!r}: {error}") from error
            weight = weights.get(name, 1.0)
            check_number(f"weights[{name!r}]", weight, include_low=True)
            parts.append(LossPart(loss, float(weight), f, start, stop, shape))
        of = dict(zip(heads.names, (part.loss for part in parts), strict=True))
        return replace(self, losses=of, weights=weights or None, parts=tuple(parts))

    @property
    def by_output(self) -> dict[str, LossPart]:
        """The parts by the outputs' names."""
        return dict(zip(self.losses, self._bound(), strict=True))

    def alone(self, output: str) -> Losses:
        """The loss of one output: the others weigh nothing."""
        names = list(self.losses)
        weights = {name: float(name == output) for name in names}
        parts = [replace(part, weight=weights[name]) for name, part in zip(names, self._bound(), strict=True)]
        return replace(self, weights=weights, parts=tuple(parts))

    def pairs_with(self, last: Layer) -> bool:
        return isinstance(last, Heads)

    @property
    def affine(self) -> bool:
        return False

    def value(self, a: Any, y: Any) -> Any:
        return self._sum(lambda part, a, y: part.loss.value(a, y), a, y)

    def value_from_z(self, z: Any, y: Any) -> Any:
        return self._sum(lambda part, z, y: part.alone.value(z, y), z, y)

    def weighted_values(self, z: Any, y: Any) -> Any:
        """What `value_from_z` sums: of every output and sample, (outputs, m), the loss times its weight."""
        return np.stack([_times(part.weight, part.alone.value(*part.of(z, y))) for part in self._bound()])

    def spread(self, shares: Any) -> Any:
        """What is of outputs, (outputs, m), for each of their numbers, (numbers, m)."""
        return np.repeat(shares, [part.stop - part.start for part in self._bound()], axis=0)

    def gradient(self, a: Any, y: Any) -> Any:
        return self._beside(lambda part, a, y: _times(part.weight, part.loss.gradient(a, y)), a, y)

    def residual(self, a: Any, y: Any) -> Any:
        return self._beside(lambda part, a, y: _times(part.weight, part.alone.residual(a, y)), a, y)

    def prepared(self, y: Any) -> Any:
        return self._beside(lambda part, y: part.loss.prepared(y), y)

    def branches(self, a: Any, y: Any) -> Any:
        taken = [part.loss.branches(*part.of(a, y)) for part in self.parts]
        known = [np.ravel(branch) for branch in taken if branch is not None]
        return np.concatenate(known) if known else None

    def _sum(self, of: Callable[..., Any], *values: Any) -> Any:
        return functools.reduce(
            lambda total, term: total + term,
            (_times(part.weight, of(part, *part.of(*values))) for part in self._bound()),
        )

    def _beside(self, of: Callable[..., Any], *values: Any) -> Any:
        return functools.reduce(
            beside, [part.row(of(part, *part.of(*values))) for part in self._bound()]
        )

    def _bound(self) -> tuple[LossPart, ...]:
        if not self.parts:
            raise ArgumentError(
                f"{self!r} belongs to a network of several outputs: Graph({{...}}, outputs=[...])"
            )
        return self.parts


def several_losses(value: Any, heads: Heads, chosen: Callable[[Any, Layer], Loss]) -> Losses:
    """The loss of a network of several outputs: from Losses, losses by name, or None."""
    if isinstance(value, Losses):
        return value if value.parts else value.for_outputs(heads, chosen)
    if isinstance(value, (tuple, list)) and len(value) == len(heads.names):
        value = dict(zip(heads.names, value, strict=True))
    if value is None or isinstance(value, Mapping):
        return Losses(value).for_outputs(heads, chosen)
    first, usual = heads.names[0], PAIRS.get(type(heads.activations[0]))
    raise ArgumentError(
        f"the network has the outputs {', '.join(map(repr, heads.names))}: write a loss for each, "
        f"loss={{{first!r}: {'SquaredError' if usual is None else usual.__name__}(), ...}}, or "
        f"Losses({{...}}, weights={{{first!r}: 0.5}}); received {describe(value)}"
    )


def _by_name(given: Any, what: str, heads: Heads) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ArgumentError(f"{what} are by output, {{{heads.names[0]!r}: ...}}, received {describe(given)}")
    wrong = [name for name in given if name not in heads.names]
    if wrong:
        known = ", ".join(map(repr, heads.names))
        raise ArgumentError(f"{what} has {wrong[0]!r}, and the outputs are {known}")
    return dict(given)


def _times(weight: float, value: Any) -> Any:
    return value if weight == 1 else weight * value
