"""Pictures of a document as blocks: maps with one symmetric scale, bars, matrices, curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.explaining.blocks import Bars, Block, Curve, Maps, Mark, Matrix, Panel, Say
from chainrule.explaining.tensors import decode
from chainrule.formulas.boxes import Box, Word

Array = NDArray[np.float64]
Json = Mapping[str, Any]
ROWS, COLUMNS = 6, 8
EDGE = 3  # rows and columns of a larger matrix that are shown at its beginning


def picture_blocks(document: Json, card: Json, on: tuple[str, ...]) -> list[Block]:
    """The pictures of a card that belong to these passes."""
    if card["folded"]:
        return []
    made = []
    for number, picture in enumerate(card["pictures"]):
        if picture["on"] in on:
            block = _block(document, picture, f"{card['layer']}-picture{number + 1}")
            made += [block] if block is not None else []
    return made


def _block(document: Json, picture: Json, name: str) -> Block | None:
    if picture["kind"] == "curve":
        z, f, df, edges, counts = (
            np.array([float(v) for v in picture[key]]) for key in ("z", "f", "df", "edges", "counts")
        )
        title = Say("f and f′, and where this layer's z lie", "f 与 f′，以及本层 z 的分布")
        return Curve(title, z, f, df, edges, counts, id=name)
    values = _values(document, picture)
    if values is None:
        return None
    symbol = Word(picture["quantity"])
    title = _title(picture)
    if picture["kind"] == "bars":
        return _bars(values, picture, symbol, title, name)
    if picture["kind"] == "matrix":
        return _matrix(values, symbol, picture["quantity"], name)
    return _maps(values, picture, symbol, title, name)


def _values(document: Json, picture: Json) -> Array | None:
    """The tensor a picture shows; None where it is frozen or was never there."""
    if "values" in picture:
        return np.empty(0)
    tensor = document["tensors"].get(picture["quantity"])
    return None if tensor is None else decode(tensor)


def _title(picture: Json) -> Say:
    quantity = picture["quantity"]
    if quantity.startswith("delta:"):
        name = quantity.removeprefix("delta:")
        return Say(f"δ at the output of {name}", f"{name} 输出处的 δ")
    if quantity.startswith("gradient:"):
        name = quantity.removeprefix("gradient:")
        return Say(f"∂J/∂{name}", f"∂J/∂{name}")
    if quantity == "input of":
        return Say(
            "The input with its winners: ● won a window, ◇ ties, ×n lies in n windows",
            "输入及其胜者：● 在窗口中取胜，◇ 并列，×n 位于 n 个窗口中",
        )
    if "." in quantity:
        return Say(f"the parameter {quantity}", f"参数 {quantity}")
    return Say(f"the output of {quantity}", f"{quantity} 的输出")


def _bars(values: Array, picture: Json, symbol: Box, title: Say, name: str) -> Bars:
    """A group per sample, at most four: the one in focus first."""
    sample, most = picture["sample"], picture["most"]
    samples = [sample, *(s for s in range(values.shape[-1]) if s != sample)][:4]
    order = np.arange(len(values))
    if len(values) > most:
        order = np.sort(np.argsort(-np.abs(values[:, sample]), kind="stable")[:most])
    return Bars(
        symbol,
        title,
        labels=tuple(str(int(i)) for i in order),
        values=values[order][:, samples],
        groups=tuple(str(s) for s in samples),
        left_out=len(values) - len(order),
        quantity=picture["quantity"],
        id=name,
    )


def _matrix(values: Array, symbol: Box, quantity: str, name: str) -> Matrix:
    rows, row_gap = _edges(values.shape[0], ROWS)
    columns, column_gap = _edges(values.shape[1], COLUMNS)
    stats = (
        float(values.min()), float(values.mean()), float(values.max()), float(np.linalg.norm(values))
    )  # fmt: skip
    shown = values[np.ix_(rows, columns)]
    shape = (values.shape[0], values.shape[1])
    return Matrix(symbol, shown, shape, row_gap, column_gap, stats, quantity, id=name)


def _edges(size: int, most: int) -> tuple[list[int], int | None]:
    """(which are shown, behind how many the gap is): all, or the first three and the last."""
    if size <= most:
        return list(range(size)), None
    return [*range(EDGE), size - 1], EDGE


def _maps(values: Array, picture: Json, symbol: Box, title: Say, name: str) -> Maps | None:
    if "values" in picture:
        shown = [np.array(one, np.float64) for one in picture["values"]]
        fixed, titles, left = picture["fixed"], picture["titles"], 0
    elif "fixed" in picture:
        fixed, titles, left = picture["fixed"], picture["titles"], 0
        shown = [values[(slice(None), slice(None), *own)] for own in fixed]
    else:
        fixed, titles, left = _strongest(values, picture)
        shown = [_slice(values, picture["axes"], own) for own in fixed]
    marks = tuple(Mark(m["row"], m["column"], m["kind"], m["text"]) for m in picture.get("marks", ()))
    scale = max((float(np.nanmax(np.abs(one), initial=0.0)) for one in shown), default=0.0)
    panels = tuple(
        Panel(label, one, marks, tuple(own)) for label, one, own in zip(titles, shown, fixed, strict=True)
    )
    axes = (picture["axes"][0], picture["axes"][1])
    scale = scale if math.isfinite(scale) else 0.0
    return Maps(symbol, title, panels, scale, left, picture["quantity"], axes, id=name)


def _strongest(values: Array, picture: Json) -> tuple[list[list[int]], list[str], int]:
    """The maps of largest norm: channels of a sample, or kernels."""
    axes = tuple(picture["axes"])
    if "sample" in picture:
        norms = np.linalg.norm(values[..., picture["sample"]], axis=axes)
        candidates = [[c, picture["sample"]] for c in range(len(norms))]
        titles = [f"c = {c}" for c in range(len(norms))]
        sizes = list(norms)
    else:
        norms = np.sqrt((values**2).sum(axis=axes))
        pairs = list(np.ndindex(*norms.shape))
        candidates = [list(map(int, pair)) for pair in pairs]
        titles = [f"k = {k}, c = {c}" for k, c in pairs]
        sizes = [norms[pair] for pair in pairs]
    order = sorted(sorted(range(len(sizes)), key=lambda i: -sizes[i])[: picture["channels"]])
    return [candidates[i] for i in order], [titles[i] for i in order], len(sizes) - len(order)


def _slice(values: Array, axes: list[int], fixed: list[int]) -> Array:
    rest: Iterator[int] = iter(fixed)
    place = tuple(slice(None) if axis in axes else next(rest) for axis in range(values.ndim))
    return values[place]
