"""What one forward and backward pass yields: loss, activations, δ and gradients of every layer, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from chainrule.base.errors import describe
from chainrule.base.norms import norm
from chainrule.base.tables import html_table, text_table
from chainrule.base.types import Array


class Samples(Protocol):
    """The gradients of a step's samples, one by one: per_sample.py, which knows this file."""

    def gradients(self, allow_nonfinite: bool = False) -> Mapping[str, Array]:
        """name -> (N, *shape)."""

    def norms(self, allow_nonfinite: bool = False) -> Array:
        """(N,) float64."""


class Arrays(Mapping[str, Array]):
    """name -> array, read-only; prints as a table, and a wrong name is answered with the nearest one."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = dict(arrays)

    def __getitem__(self, name: str) -> Array:
        if name not in self._arrays:
            import difflib

            close = difflib.get_close_matches(str(name), self._arrays, n=1, cutoff=0.5)
            hint = (
                f"did you mean {close[0]!r}?" if close else f"there are {', '.join(self._arrays) or 'none'}"
            )
            raise KeyError(f"there is no array {describe(name)}; {hint}")
        return self._arrays[name]

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def _rows(self) -> list[list[str]]:
        rows = [[name, str(array.shape), _norm(array)] for name, array in self._arrays.items()]
        return [["name", "shape", "‖·‖"], *rows]

    def __repr__(self) -> str:
        return text_table(self._rows(), right=(2,))

    def _repr_html_(self) -> str:
        return html_table(self._rows(), right=(2,))


@dataclass(frozen=True, eq=False, repr=False)
class Step:
    """One backpropagation.  Arrays have samples as rows, images are (N, H, W, C).

    loss: J = data_loss + penalty. data_loss: (1/m) Σ w_i · value_i.
    activations: layer name -> its output; "input" is what the network was given, as numbers.
    deltas: layer name -> ∂J/∂(output of the layer), 1/m included (not in the mode "per_sample", where the row
        of sample i is ∂J_i/∂(output)); "input" is ∂J/∂x. Where loss and output
        activation form a pair (sigmoid + BinaryCrossEntropy, softmax + CrossEntropy) the two are one
        formula, δ = (a - y)/m at the layer below, and the output activation has no entry.
    gradients: "conv1.W" -> ∂J/∂W of W's shape, penalty included.
    """

    loss: float
    data_loss: float
    activations: Mapping[str, Array]
    deltas: Mapping[str, Array]
    gradients: Mapping[str, Array]
    samples: Samples | None = None

    def per_sample_gradients(self, *, allow_nonfinite: bool = False) -> Mapping[str, Array]:
        """g_i = ∂(w_i · value_i)/∂θ of every sample, name -> (N, *shape), without the penalty; their mean is
        the gradient of the data's loss.

        Raises ValueError where a layer mixes samples (BatchNorm), and where the network's parameters have
        changed since this step; NonFiniteError where one is NaN or infinite, unless allow_nonfinite is True.
        """
        return Arrays(self._samples().gradients(allow_nonfinite))

    def per_sample_norms(self, *, allow_nonfinite: bool = False) -> Array:
        """‖g_i‖ over all parameters together, (N,) float64; errors as for `per_sample_gradients`.

        Dense layers and convolutions give them without forming the gradients: ‖δ‖ ‖x‖ of a dense layer, and
        the lanes' own sums of a convolution.
        """
        return self._samples().norms(allow_nonfinite)

    def _samples(self) -> Samples:
        if self.samples is None:
            raise ValueError("this step was not made by network.backpropagate: its batch is not known")
        return self.samples

    def __post_init__(self) -> None:
        for name in ("activations", "deltas", "gradients"):
            object.__setattr__(self, name, Arrays(getattr(self, name)))

    @property
    def output(self) -> Array:
        """a^L, what the network predicts for these samples."""
        return self.activations[list(self.activations)[-1]]

    def _rows(self) -> list[list[str]]:
        rows = [["layer", "shape", "‖activation‖", "‖δ‖", "‖gradients‖"]]
        for name, activation in self.activations.items():
            delta = _norm(self.deltas[name]) if name in self.deltas else "in the loss"
            keys = [key for key in self.gradients if key.rpartition(".")[0] == name]
            gradients = "  ".join(f"{key.rpartition('.')[2]} {_norm(self.gradients[key])}" for key in keys)
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
    return f"{norm(array):.4g}"
