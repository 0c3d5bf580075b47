"""What PyTorch has no module for, or not with our options. Imports PyTorch: only `writing` imports this.

Values have their samples first; `first` says whether channels stand right behind them.
"""

# mypy: disable-error-code="misc"
# (PyTorch is not there where types are checked: its classes are Any)

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

from chainrule.networks.forms.torch.reading import read_back

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError:  # `writing` has said so before it imports this
    torch = nn = F = None

Tensor = Any
Module: Any = object if nn is None else nn.Module
Sequential: Any = object if nn is None else nn.Sequential
Linear: Any = object if nn is None else nn.Linear
# Of what is joined so far and the next, by our words. Of equal ones the first has δ: torch.maximum halves it.
JOINED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": operator.add,
    "product": operator.mul,
    "maximum": lambda joined, value: torch.where(value > joined, value, joined),
    "minimum": lambda joined, value: torch.where(value < joined, value, joined),
    "quotient": operator.truediv,
    "power": operator.pow,
}
# (our name, how the arrays are turned, PyTorch's names): how a parameter of ours is read from theirs.
Reading = tuple[str, str, tuple[str, ...]]


class Own(Module):
    """A module that prints its numbers, as PyTorch's do."""

    def extra_repr(self) -> str:
        held = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return ", ".join(f"{name}={value}" for name, value in held.items() if name != "training")


class Translated(Sequential):
    """A network of chainrule as a module. `by_name()` gives its parameters under their names there, and
    `state_dict()` has PyTorch's tensors under the names of the layers, wherever these stand.

    calls: what a tensor is called within -> its key in `state_dict`.
    origin: the network, which `from_torch` makes again as long as the module is what it was, `made`.
    takes: the shape of a sample as the module has it.
    """

    readings: Sequence[Reading] = ()
    shapes: dict[str, tuple[int, ...]]
    calls: dict[str, str] = {}  # noqa: RUF012 (an nn.Module sets what is its own)
    origin: Any = None
    made: str = ""
    takes: tuple[int, ...] = ()

    def forward(self, *values: Tensor) -> Tensor:
        """Of several inputs each by itself, in their order, or all side by side in a row."""
        if len(values) == 1:
            return super().forward(*values)
        dtype = next((p.dtype for p in self.parameters()), torch.get_default_dtype())
        return super().forward(torch.cat([value.flatten(1).to(dtype) for value in values], 1))

    def state_dict(self, *args: Any, prefix: str = "", **options: Any) -> Any:
        made = super().state_dict(*args, prefix=prefix, **options)
        for within, called in self.calls.items():
            if prefix + within in made:
                made[prefix + called] = made.pop(prefix + within)
        return made

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *others: Any) -> None:
        for within, called in self.calls.items():
            if prefix + called in state_dict:
                state_dict[prefix + within] = state_dict.pop(prefix + called)
        super()._load_from_state_dict(state_dict, prefix, *others)

    def described(self) -> str:
        """What the module is apart from its tensors: its parts, each with what it keeps."""
        others = ("training", *Translated.__annotations__)
        parts = [
            (name, type(part), [(key, kept) for key, kept in vars(part).items() if key not in others])
            for name, part in self.named_modules()
        ]
        return repr([(name, kind, [k for k in kept if k[0][0] != "_"]) for name, kind, kept in parts])

    def by_name(self, gradients: bool = False) -> dict[str, Any]:
        """NumPy arrays by chainrule's names, for `set_parameters`; gradients: those of `backward()`."""
        held = dict(self.named_parameters()) | dict(self.named_buffers())

        def array(name: str) -> Any:
            tensor = held[name].grad if gradients else held[name]
            return None if tensor is None else tensor.detach().cpu().numpy()

        return read_back(self.readings, array, gradients, self.shapes)


class Permute(Own):
    """Axes of a sample in another order."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = (0, *(axis + 1 for axis in order))

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(*self.order)


class LocalResponse(Own):
    """nn.LocalResponseNorm with other sides, and of vectors too."""

    def __init__(self, before: int, after: int, alpha: float, beta: float, k: float) -> None:
        super().__init__()
        self.before, self.after, self.numbers = before, after, (alpha, beta, k)

    def forward(self, x: Tensor) -> Tensor:
        alpha, beta, k = self.numbers
        count, squares = self.before + self.after + 1, x.reshape(*x.shape[:2], -1) ** 2
        sums = F.pad(squares, (0, 0, self.before, self.after)).unfold(1, count, 1).sum(-1).reshape(x.shape)
        return x * (k + alpha / count * sums) ** -beta


class Reshape(Own):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, *self.shape)


class Along(Own):
    """A product by a fixed matrix (made, size) along an axis, that of samples being 0."""

    matrix: Tensor

    def __init__(self, axis: int, matrix: Any) -> None:
        super().__init__()
        self.axis = axis
        self.register_buffer("matrix", torch.as_tensor(matrix))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.transpose(self.axis, -1), self.matrix).transpose(self.axis, -1)


class PowerPool(Own):
    """The p-th root of sums of |x|^p, the sums by matrices along the axes of positions."""

    def __init__(self, p: float, sums: Sequence[nn.Module], factor: float) -> None:
        super().__init__()
        self.p, self.factor = p, factor
        self.sums = nn.Sequential(*sums)

    def forward(self, x: Tensor) -> Tensor:
        total = self.factor * self.sums(x.abs() ** self.p)
        there = total > 0  # δ is 0 where all is 0
        return torch.where(there, torch.where(there, total, 1) ** (1 / self.p), 0)


class DenseTranspose(Own):
    """W^T x + b, W (inputs, units)."""

    def __init__(self, inputs: int, units: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, units))
        self.bias = nn.Parameter(torch.empty(units)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight.t(), self.bias)


class Branches(Own):
    """Branches on the same input: joined entry by entry, or their features in a row along the axis `dim`."""

    def __init__(self, branches: Sequence[nn.Module], how: str, dim: int) -> None:
        super().__init__()
        self.branches, self.how, self.dim = nn.ModuleList(branches), how, dim

    def forward(self, x: Tensor) -> Tensor:
        made = [branch(x) for branch in self.branches]
        if self.how == "concat":
            return torch.cat(made, self.dim)
        return functools.reduce(JOINED[self.how], made)


class Recurrence(Own):
    """nn.RNN, nn.LSTM or nn.GRU, of which the states after every step or after the last go on."""

    def __init__(self, cell: nn.Module, every: bool, reverse: bool) -> None:
        super().__init__()
        self.cell, self.every, self.reverse = cell, every, reverse

    def forward(self, x: Tensor) -> Tensor:
        out = self.cell(x.flip(1) if self.reverse else x)[0]
        if not self.every:
            return out[:, -1]
        return out.flip(1) if self.reverse else out


class PeepholeLSTM(Own):
    """An LSTM of one layer as nn.LSTM has it, with what that has not: gates i, f, o that see the cell, and
    projections of as many numbers as the cell or more.
    """

    def __init__(self, inputs: int, units: int, projection: int | None, bias: bool, peepholes: bool) -> None:
        super().__init__()
        self.units, self.size = units, projection or units
        self.weight_ih_l0 = nn.Parameter(torch.zeros(4 * units, inputs))
        self.weight_hh_l0 = nn.Parameter(torch.zeros(4 * units, self.size))
        self.bias_ih_l0 = nn.Parameter(torch.zeros(4 * units)) if bias else None
        self.bias_hh_l0 = nn.Parameter(torch.zeros(4 * units)) if bias else None
        self.weight_hr_l0 = nn.Parameter(torch.zeros(projection, units)) if projection else None
        self.peepholes_l0 = nn.Parameter(torch.zeros(3 * units)) if peepholes else None

    def forward(self, x: Tensor, begin: Any = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(h of every step, (h, c) of the last), of sequences (N, steps, inputs)."""
        h, c = begin or (x.new_zeros(1, len(x), size) for size in (self.size, self.units))
        h, c, every = h[0], c[0], []
        of_i, of_f, of_o = (0, 0, 0) if self.peepholes_l0 is None else self.peepholes_l0.chunk(3)
        of_x = F.linear(x, self.weight_ih_l0, self.bias_ih_l0)
        for t in range(x.shape[1]):
            z = of_x[:, t] + F.linear(h, self.weight_hh_l0, self.bias_hh_l0)
            i, f, g, o = z.chunk(4, 1)
            c = torch.sigmoid(f + of_f * c) * c + torch.sigmoid(i + of_i * c) * torch.tanh(g)
            h = torch.sigmoid(o + of_o * c) * torch.tanh(c)
            if self.weight_hr_l0 is not None:
                h = F.linear(h, self.weight_hr_l0)
            every.append(h)
        return torch.stack(every, 1), (h[None], c[None])


class SelfAttention(Own):
    """nn.MultiheadAttention of a sequence with itself; causal: a step sees itself and those before it."""

    def __init__(self, features: int, heads: int, bias: bool, causal: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(features, heads, bias=bias, batch_first=True)
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:
        if not self.causal:
            return self.attention(x, x, x, need_weights=False)[0]
        steps = x.shape[1]
        later = torch.ones(steps, steps, dtype=torch.bool, device=x.device).triu(1)
        return self.attention(x, x, x, need_weights=False, attn_mask=later)[0]


class Scaled(Own):
    """x times s, or x plus s, s a parameter of the last axes; in front of the positions where `first`."""

    def __init__(self, shape: Sequence[int], plus: bool, first_axes: int = 0) -> None:
        super().__init__()
        self.plus, self.ones = plus, first_axes
        self.weight = nn.Parameter(torch.zeros(*shape))

    def forward(self, x: Tensor) -> Tensor:
        s = self.weight.reshape(*self.weight.shape, *(1,) * self.ones)
        return x + s if self.plus else x * s


class NtkLinear(Linear):
    """A linear map whose weights are divided by √inputs."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight / self.in_features**0.5, self.bias)


class Positions(Own):
    """A fixed table added to every sequence."""

    table: Tensor

    def __init__(self, table: Any) -> None:
        super().__init__()
        self.register_buffer("table", torch.as_tensor(table))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table


class Features(Own):
    def __init__(self, start: int, stop: int, dim: int) -> None:
        super().__init__()
        self.start, self.stop, self.dim = start, stop, dim

    def forward(self, x: Tensor) -> Tensor:
        return x.narrow(self.dim, self.start, self.stop - self.start)


class HardSigmoid(Own):
    """Not nn.Hardsigmoid: its gradient in float64 is that of float32's 1/6, 3e-8 off (PyTorch 2.13)."""

    def __init__(self, slope: float, shift: float) -> None:
        super().__init__()
        self.slope, self.shift = slope, shift

    def forward(self, x: Tensor) -> Tensor:
        return (self.slope * x + self.shift).clamp(0, 1)


class Floor(Own):
    """Whole numbers at or below, or without what lies behind the point."""

    def __init__(self, toward_zero: bool) -> None:
        super().__init__()
        self.toward_zero = toward_zero

    def forward(self, x: Tensor) -> Tensor:
        return torch.trunc(x) if self.toward_zero else torch.floor(x)


class Wrap(Own):
    """Numbers that go round, from low to high."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        period = self.high - self.low
        r = x - period * torch.floor((x - self.low) / period)
        r = torch.where(r < self.high, r, r.clamp(max=self.high) - period).clamp(min=self.low)
        return r.detach() + (x - x.detach())  # of derivative 1, also at the ends


class Selu(Own):
    def __init__(self, alpha: float, scale: float) -> None:
        super().__init__()
        self.alpha, self.scale = alpha, scale

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * F.elu(x, self.alpha)


class Gated(Own):
    """The first half of the features times a function of the other half."""

    def __init__(self, gate: nn.Module, dim: int, behind: bool) -> None:
        super().__init__()
        self.gate, self.dim, self.behind = gate, dim, behind

    def forward(self, x: Tensor) -> Tensor:
        first, other = x.chunk(2, self.dim)
        return first * self.gate(other) if self.behind else self.gate(first) * other


class Parametric(Own):
    """(1 - α) x + α f(x), α of every feature."""

    def __init__(self, f: nn.Module, features: int, first_axes: int) -> None:
        super().__init__()
        self.f, self.ones = f, first_axes
        self.alpha = nn.Parameter(torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        alpha = self.alpha.reshape(-1, *(1,) * self.ones)
        return (1 - alpha) * x + alpha * self.f(x)


class Periodic(Own):
    """PeriodicEmbedding: every number, and linear maps of cosines of it."""

    def __init__(self, numbers: int, hidden: int, features: int) -> None:
        super().__init__()
        made = numbers * (features - 1)
        self.W, self.b = (
            nn.Parameter(torch.zeros(numbers, hidden)),
            nn.Parameter(torch.zeros(numbers, hidden)),
        )
        self.V = nn.Parameter(torch.zeros(numbers, features - 1, hidden))
        self.c = nn.Parameter(torch.zeros(made))

    def forward(self, x: Tensor) -> Tensor:
        waves = torch.cos(2 * torch.pi * x[:, :, None] * self.W + self.b)
        made = torch.einsum("nih,ioh->nio", waves, self.V)
        return torch.cat([x, made.reshape(len(x), -1) + self.c], 1)


class Clamp(Own):
    """Numbers held within limits by predictions; training passes them on."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        return x if self.training else x.clamp(self.low, self.high)
