"""Graphs drawn at random whose nodes read several values: attention to other sequences, decoders, states,
with padding of both inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr

Shape = tuple[int, ...]
INPUTS: dict[str, Shape] = {"ids": (5,), "x": (4, 3)}


def _projected(units: int, **options: Any) -> cr.LSTM:
    return cr.LSTM(units + 2, projection=units, peepholes=True, **options)


CELLS: tuple[Callable[..., Any], ...] = (cr.LSTM, cr.GRU, cr.RNN, _projected)


class _Drawing:
    """The nodes so far, what each puts out, and which nobody reads yet."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: dict[str, Any] = {}
        self.shapes: dict[str, Shape] = {}
        self.cells: dict[str, Callable[..., Any]] = {}
        self.unread: list[str] = []

    def put(self, layers: Any, sources: tuple[str, ...], shape: Shape) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes[name], self.shapes[name] = (layers, *sources), shape
        read = {source.partition(".")[0] for source in sources}
        self.unread = [*(node for node in self.unread if node not in read), name]
        return name

    def one(self, like: Shape = ()) -> str:
        """A node, of a shape, or of as many steps where one size is told."""
        fits = [name for name, shape in self.shapes.items() if shape[: len(like)] == like]
        return fits[int(self.rng.integers(len(fits)))]

    def by_lot(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def attention(self) -> None:
        a, b = self.one(), self.one()
        options: dict[str, Any] = {"causal": self.by_lot(0.4), "rotary": self.by_lot(0.4)}
        if self.by_lot(0.4):
            options["key_value_heads"] = 1
        if self.by_lot(0.3):
            options["seen"] = self.rng.random((self.shapes[a][0], self.shapes[b][0])) < 0.6
        options |= {name: self.by_lot(0.25) for name in ("key_value_bias", "zero_key_value")}
        if self.by_lot(0.4):
            options["relative_positions"] = ("alibi", "t5", "learned")[int(self.rng.integers(3))]
        layer = cr.MultiHeadAttention(2, **options)
        values = (self.one(self.shapes[b][:1]),) if self.by_lot(0.4) else ()
        self.put([layer, cr.Tanh()] if self.by_lot(0.4) else layer, (a, b, *values), self.shapes[a])

    def decoder(self) -> None:
        a, b = self.one(), self.one()
        block = cr.TransformerDecoder(2, 5, norm_first=self.by_lot(0.5), activation="gelu")
        self.put(block, (a, b), self.shapes[a])

    def recurrence(self) -> None:
        a, cell = self.one(), CELLS[int(self.rng.integers(4))]
        begun = [name for name, kind in self.cells.items() if kind is cell]
        states: tuple[str, ...] = ()
        if begun and self.by_lot(0.7):
            from_ = begun[int(self.rng.integers(len(begun)))]
            states = tuple(f"{from_}.{state}" for state in cell(1).states)
        layer = cell(4, outputs="all", reverse=self.by_lot(0.4))
        self.cells[self.put(layer, (a, *states), self.shapes[a])] = cell

    def other(self) -> None:
        a = self.one()
        if self.by_lot(0.5):
            self.put(
                cr.Add() if self.by_lot(0.5) else cr.Multiply(), (a, self.one(self.shapes[a])), self.shapes[a]
            )
        else:
            layers = cr.Conv1D(4, 3, padding="same") if self.by_lot(0.5) else [cr.Dense(4), cr.GELU()]
            self.put(layers, (a,), self.shapes[a])


def graph(seed: int, *, padded: bool = True, **options: Any) -> cr.Graph:
    """padded: whether ids and steps of zeros are padding."""
    d = _Drawing(seed)
    d.put(cr.Embedding(6, 4, padding=0 if padded else None), ("ids",), (5, 4))
    d.put([cr.Masking(), cr.Dense(4)] if d.by_lot(0.5) and padded else cr.Dense(4), ("x",), (4, 4))
    for _ in range(int(d.rng.integers(3, 9))):
        d.rng.choice([d.attention, d.attention, d.decoder, d.recurrence, d.recurrence, d.other])()  # type: ignore[arg-type]
    ends = list(d.unread)
    for number, node in enumerate(ends):
        pooled = cr.GlobalAveragePool() if d.by_lot(0.5) else cr.GRU(3)
        d.nodes[f"e{number}"] = ([pooled, cr.Dense(3)], node)
    if len(ends) > 1:
        d.nodes["sum"] = (cr.Add(), *(f"e{number}" for number in range(len(ends))))
    d.nodes["out"] = cr.Softmax()
    return cr.Graph(d.nodes, inputs=INPUTS, seed=seed, **options)


def batch(samples: int, seed: int) -> tuple[dict[str, Any], Any]:
    r = np.random.default_rng(seed)
    X = {"ids": r.integers(0, 6, (samples, 5)), "x": r.standard_normal((samples, 4, 3)).astype(np.float32)}
    X["x"][r.random((samples, 4)) < 0.3] = 0
    return X, r.integers(0, 3, samples)
