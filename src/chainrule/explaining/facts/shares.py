"""What a gradient is the sum of: the data's share, with a symbol of its own, ∂J_data/∂W, and the penalty's,
∂J/∂W = ∂J_data/∂W + λ W; and what every layer gives that shares W.  Each is a formula with its numbers.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.explaining.facts import choose
from chainrule.formulas import Equation, Symbol, substitute, trace
from chainrule.formulas.elements.reader import Reader
from chainrule.losses.penalties import Penalty
from chainrule.networks.network import Network
from chainrule.reference import Derivation

# Behind a parameter's name: the part that adds the penalty's share, and the one that adds the layers' shares.
PENALTY, USES = " and penalty", " of all uses"
PENALTY_REFERENCE, USES_REFERENCE = "Ning Yu · Dezeming 2.6.1", "Dezeming 2.1.7"


@dataclass(frozen=True)
class Penalised:
    """A penalty and what it acts on.  weights, data: by the full name of a parameter, its array and the
    data's share of its gradient.
    """

    penalty: Penalty | None = None
    training_size: int = 1
    weights: Mapping[str, Array] = field(default_factory=dict)
    data: Mapping[str, Array] = field(default_factory=dict)

    def part(self, name: str, parameter: str) -> tuple[Equation, Reader, choose.Chosen] | None:
        """∂J/∂W = ∂J_data/∂W + (what the penalty adds), its numbers, and the entry that is worked out: where
        ∂J/∂W is largest in magnitude.  None for a parameter that is free.
        """
        if self.penalty is None or name not in self.weights:
            return None
        equation = with_penalty(self.penalty, parameter)
        bindings: dict[str, Any] = {_data(parameter).name: self.data[name], parameter: self.weights[name]}
        bindings |= {"training_size": float(self.training_size), **constants(self.penalty)}
        reader = Reader(bindings)
        return equation, reader, choose.largest(np.asarray(reader.value(equation.right)), None)


NO_PENALTY = Penalised()


def constants(penalty: Penalty) -> dict[str, float]:
    """The numbers of a penalty, λ and others, by name."""
    numbers = {
        name: value
        for name, value in vars(penalty).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return {name: float(value) for name, value in numbers.items()}


def data_gradient(equation: Equation) -> Equation:
    """The equation of a layer's gradient as that of the data's share."""
    left = equation.left
    assert isinstance(left, Symbol)
    role = left.role.removeprefix("gradient of ")
    return replace(equation, left=Symbol(f"data {left.name}", f"data gradient of {role}", left.kind))


def with_penalty(penalty: Penalty, parameter: str = "W") -> Equation:
    """∂J/∂W = ∂J_data/∂W + λ W, or what else the penalty adds."""
    formulas = trace(penalty)
    W = Symbol(parameter, f"parameter {parameter}")
    added = substitute(formulas["gradient"], {formulas.symbols["W"]: W})
    return Equation(Symbol(f"d{parameter}", f"gradient of parameter {parameter}"), _data(parameter) + added)


def _data(parameter: str) -> Symbol:
    return Symbol(f"data d{parameter}", f"data gradient of parameter {parameter}")


@dataclass(frozen=True)
class Shared:
    """Whose parameters are whose.

    names: layer -> own name -> full name. shares: full name of a parameter that several layers use -> layer
    -> what it gives of the gradient, in the order of computation.
    """

    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    shares: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)

    @classmethod
    def of(cls, network: Network, derived: Derivation) -> Shared:
        given = {layer.forward.name: layer.gradients for layer in derived.backward}
        uses = network.parameter_uses()
        names = {name: network.parameter_names(name) for name in network.shapes}
        shares = {
            full: {
                layer: given[layer][key]
                for layer in layers
                for key, name in names[layer].items()
                if name == full and key in given.get(layer, {})
            }
            for full, layers in uses.items()
            if len(layers) > 1
        }
        return cls(names, shares)

    def full(self, layer: str, key: str) -> str:
        """The name of a layer's parameter in the network."""
        return self.names.get(layer, {}).get(key, f"{layer}.{key}")

    def of_layer(self, equation: Equation, layer: str, key: str) -> Equation:
        """The equation of a layer's gradient as that of its share."""
        return replace(equation, left=_share(layer, key))

    def total(self, full: str, key: str) -> tuple[Equation, Reader]:
        """∂J/∂W = Σ over the layers, and its numbers."""
        symbols = [_share(layer, key) for layer in self.shares[full]]
        whole = Symbol(f"d{key}", f"gradient of parameter {key}")
        numbers = dict(zip((s.name for s in symbols), self.shares[full].values(), strict=True))
        return Equation(whole, functools.reduce(operator.add, symbols)), Reader(numbers)


NOTHING = Shared()


def _share(layer: str, key: str) -> Symbol:
    return Symbol(f"d{key} in {layer}", f"gradient in {layer} of parameter {key}")
