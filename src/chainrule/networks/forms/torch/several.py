"""Modules for layers that read several values, which lie side by side in a row, and for values that several
read. Imports PyTorch: only `writing` imports this.
"""

# mypy: disable-error-code="misc"
# (PyTorch is not there where types are checked: its classes are Any)

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from chainrule.networks.forms.torch.modules import JOINED

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError:  # `writing` has said so before it imports this
    torch = nn = F = None

Tensor = Any
Module: Any = object if nn is None else nn.Module
Place = tuple[int, int, tuple[int, ...]]  # of a row: begin, end, and the shape of what lies there


def taken(row: Tensor, place: Place) -> Tensor:
    start, stop, shape = place
    return row[:, start:stop].reshape(len(row), *shape)


class Part(Module):
    """What lies somewhere in a row, ids as whole numbers."""

    def __init__(self, place: Place, ids: bool) -> None:
        super().__init__()
        self.place, self.ids = place, ids

    def forward(self, x: Tensor) -> Tensor:
        part = taken(x, self.place)
        return part.long() if self.ids else part


class Join(Module):
    """Several values as one, entry by entry as `JOINED` has it, in a "row", or their features side by side
    along `dim`; turns: how the channels of each come to where they are wanted.
    """

    def __init__(self, how: str, dim: int, turns: Sequence[nn.Module]) -> None:
        super().__init__()
        self.how, self.dim, self.turns = how, dim, nn.ModuleList(turns)

    def forward(self, values: Sequence[Tensor]) -> Tensor:
        values = [turn(value) for turn, value in zip(self.turns, values, strict=True)]
        if self.how == "row":
            return torch.cat([value.flatten(1) for value in values], 1)
        if self.how == "concat":
            return torch.cat(list(values), self.dim)
        return functools.reduce(JOINED[self.how], values)


class Unpool(Module):
    """Values put back where the maxima of a pool were, of what that read: the two parts of a row, channels
    last.
    """

    def __init__(self, pool: nn.Module, places: Sequence[Place], frame: Sequence[int]) -> None:
        super().__init__()
        self.pool, self.places, self.frame = pool, list(places), list(frame)

    def forward(self, row: Tensor) -> Tensor:
        values, pooled = (taken(row, place).movedim(-1, 1) for place in self.places)
        padded = F.pad(pooled, self.frame, value=-float("inf"))
        where = self.pool(padded)[1].flatten(2)
        put = torch.zeros_like(padded).flatten(2).scatter(2, where, values.flatten(2))
        return F.pad(put.reshape(padded.shape), [-side for side in self.frame])


class Wired(Module):
    """Chains that read what comes in, 0, or what chains before them made, from 1 on; the last is put out."""

    def __init__(self, chains: Sequence[nn.Module], reads: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.chains, self.reads = nn.ModuleList(chains), [tuple(sources) for sources in reads]

    def forward(self, x: Tensor) -> Tensor:
        made = [x]
        for chain, sources in zip(self.chains, self.reads, strict=True):
            made.append(chain(made[sources[0]] if len(sources) == 1 else [made[n] for n in sources]))
        return made[-1]


class Recurrence(Module):
    """nn.RNN, nn.LSTM or nn.GRU that begins with states that it reads, or puts its states out."""

    def __init__(
        self, cell: nn.Module, every: bool, reverse: bool, places: Sequence[Place], ends: bool
    ) -> None:
        super().__init__()
        self.cell, self.every, self.reverse, self.places, self.ends = cell, every, reverse, places, ends

    def forward(self, x: Tensor) -> Tensor:
        x, *first = [taken(x, place) for place in self.places] if self.places else [x]
        states = tuple(state[None].contiguous() for state in first)
        begin = (states if len(states) > 1 else states[0]) if states else None
        out, last = self.cell(x.flip(1) if self.reverse else x, begin)
        shown = out[:, -1] if not self.every else out.flip(1) if self.reverse else out
        if not self.ends:
            return shown
        ends = last if isinstance(last, tuple) else (last,)
        return torch.cat([shown.flatten(1), *(state[0] for state in ends)], 1)


class Attention(Module):
    """Attention of any kind that chainrule has. Its weights are those of an nn.MultiheadAttention where that
    has as many heads of keys as of queries and turns nothing, or of linear maps.
    """

    seen: Tensor
    distances: Tensor

    def __init__(
        self,
        features: Sequence[int],
        heads: int,
        shared: int,
        *,
        bias: bool,
        causal: bool,
        base: float | None,
        seen: Any,
        places: Sequence[Place],
        given: bool,
        row: bool,
        zero: bool,
        distances: Any,
        numbers: Any,
    ) -> None:
        """row, zero: whether there is a key and value more, learned and of zeros. distances: which of the
        numbers, (heads, numbers), or learned so many, is added to the score of a query and a key.
        """
        super().__init__()
        of_q, of_k, of_v = features
        self.heads, self.shared, self.causal, self.base = heads, shared, causal, base
        self.places, self.given, self.zero = places, given, zero
        self.register_buffer("seen", None if seen is None else torch.as_tensor(seen), persistent=False)
        at = None if distances is None else torch.as_tensor(distances)
        self.register_buffer("distances", at, persistent=False)
        if isinstance(numbers, int):
            self.relative_position_bias = nn.Parameter(torch.zeros(heads, numbers))
        else:
            fixed = None if numbers is None else torch.as_tensor(numbers, dtype=torch.get_default_dtype())
            self.register_buffer("relative_position_bias", fixed, persistent=False)
        self.attention = None
        if shared == 1 and base is None:
            self.attention = nn.MultiheadAttention(
                of_q, heads, bias=bias, kdim=of_k, vdim=of_v, batch_first=True, add_bias_kv=row
            )
            return
        fewer = of_q // shared
        self.q_proj = nn.Linear(of_q, of_q, bias=bias)
        self.bias_k, self.bias_v = (nn.Parameter(torch.zeros(1, 1, fewer)) if row else None for _ in "kv")
        self.k_proj = nn.Linear(of_k, fewer, bias=bias and (row or zero or base is not None))
        self.v_proj = nn.Linear(of_v, fewer, bias=bias)
        self.out_proj = nn.Linear(of_q, of_q, bias=bias)

    def projected(self, values: Sequence[Tensor]) -> list[Tensor]:
        held = self.attention
        if held is None:
            maps = (self.q_proj, self.k_proj, self.v_proj)
            return [linear(value) for linear, value in zip(maps, values, strict=True)]
        weights = (held.q_proj_weight, held.k_proj_weight, held.v_proj_weight)
        if held.in_proj_weight is not None:
            weights = held.in_proj_weight.chunk(3)
        biases = (None,) * 3 if held.in_proj_bias is None else held.in_proj_bias.chunk(3)
        return [F.linear(value, W, b) for value, W, b in zip(values, weights, biases, strict=True)]

    def turned(self, x: Tensor) -> Tensor:
        steps, half = x.shape[2], x.shape[3] // 2
        powers = torch.arange(half, dtype=x.dtype, device=x.device) / half
        angles = torch.arange(steps, dtype=x.dtype, device=x.device)[:, None] * self.base**-powers
        first, second = x.split(half, -1)
        cosine, sine = angles.cos(), angles.sin()
        return torch.cat([first * cosine - second * sine, second * cosine + first * sine], -1)

    def extra(self, like: Tensor, row: Tensor | None) -> Tensor:
        """Keys or values that are not of the sequence, for every sample and head: (N, heads, count, n)."""
        rows = [] if row is None else [row.reshape(-1, 1, like.shape[-1]).repeat_interleave(self.shared, 0)]
        rows += [like.new_zeros(self.heads, 1, like.shape[-1])] if self.zero else []
        return torch.cat(rows, 1).expand(len(like), -1, -1, -1) if rows else like[:, :, :0]

    def forward(self, x: Tensor) -> Tensor:
        parts = [taken(x, place) for place in self.places] if self.places else [x] * 3
        given = parts.pop()[:, None] != 0 if self.given else None
        q, k, v = (
            part.unflatten(-1, (heads, -1)).transpose(1, 2)
            for part, heads in zip(
                self.projected([parts[0], parts[1], parts[-1]]),
                (self.heads, *[self.heads // self.shared] * 2),
                strict=True,
            )
        )
        if self.base is not None:
            q, k = self.turned(q), self.turned(k)
        k, v = (part.repeat_interleave(self.shared, 1) for part in (k, v))
        rows = self if self.attention is None else self.attention
        more, v = self.extra(k, rows.bias_k), torch.cat([self.extra(v, rows.bias_v), v], 2)
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
        if self.distances is not None:
            scores = scores + self.relative_position_bias[:, self.distances]
        seen = torch.ones_like(scores, dtype=torch.bool)
        seen = seen.tril() if self.causal else seen
        for says in (self.seen, given):
            seen = seen if says is None else seen & says
        hidden = scores.masked_fill(~seen, torch.finfo(scores.dtype).min)
        count = more.shape[2]
        every = torch.cat([q @ more.transpose(2, 3) / q.shape[-1] ** 0.5, hidden], -1)
        weights = torch.softmax(every, -1) * F.pad(seen, (count, 0), value=True)
        made = (weights @ v).transpose(1, 2).flatten(2)
        return (self.out_proj if self.attention is None else self.attention.out_proj)(made)
