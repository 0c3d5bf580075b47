"""Parameters that several layers share: what each gives has a symbol of its own, and ∂J/∂W is their sum."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from chainrule.base.types import Array
from chainrule.formulas import Equation, Symbol
from chainrule.formulas.elements.reader import Reader
from chainrule.networks.network import Network
from chainrule.reference import Derivation

PART = " of all uses"  # behind a parameter's name: the part that adds the layers' shares
REFERENCE = "Dezeming 2.1.7"


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
