"""What one forward and backward pass yields: loss, activations, δ and gradients of every layer, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.tables import html_table, text_table

Array = NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Step:
    """One backpropagation.  Arrays have samples as rows, images are (N, H, W, C).

    loss: J = data_loss + penalty. data_loss: (1/m) Σ w_i · value_i.
    activations: layer name -> its output; "input" is what the network was given, as numbers.
    deltas: layer name -> ∂J/∂(output of the layer), 1/m included; "input" is ∂J/∂x. Where loss and output
        activation form a pair (sigmoid + BinaryCrossEntropy, softmax + CrossEntropy) the two are one
        formula, δ = (a - y)/m at the layer below, and the output activation has no entry.
    gradients: "conv1.W" -> ∂J/∂W of W's shape, penalty included.
    """

    loss: float
    data_loss: float
    activations: Mapping[str, Array]
    deltas: Mapping[str, Array]
    gradients: Mapping[str, Array]

    @property
    def output(self) -> Array:
        """a^L, what the network predicts for these samples."""
        return self.activations[next(reversed(list(self.activations)))]

    def _rows(self) -> list[list[str]]:
        rows = [["layer", "shape", "‖activation‖", "‖δ‖", "‖gradients‖"]]
        for name, activation in self.activations.items():
            delta = _norm(self.deltas[name]) if name in self.deltas else "in the loss"
            own = [key for key in self.gradients if key.rpartition(".")[0] == name]
            gradients = "  ".join(f"{key.rpartition('.')[2]} {_norm(self.gradients[key])}" for key in own)
            rows.append([name, str(activation.shape), _norm(activation), delta, gradients])
        return rows

    def __repr__(self) -> str:
        return f"{self._title()}\n{text_table(self._rows(), right=(2, 3))}"

    def _repr_html_(self) -> str:
        return html_table(self._rows(), right=(2, 3), caption=self._title())

    def _title(self) -> str:
        penalty = self.loss - self.data_loss
        parts = f" (data {self.data_loss:.6g} + penalty {penalty:.6g})" if penalty else ""
        return f"Step: loss {self.loss:.6g}{parts}"


def _norm(array: Array) -> str:
    return f"{float(np.linalg.norm(array.astype(np.float64).ravel())):.4g}"
