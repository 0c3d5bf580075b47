"""Pictures of a document as blocks: maps with one symmetric scale, bars, matrices, curves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chainrule.base.languages import Say
from chainrule.explaining.blocks.kinds import Bars, Block, Curve, Maps, Mark, Matrix, Panel
from chainrule.explaining.facts.pictures import EDGE, shown
from chainrule.explaining.facts.tensors import decode
from chainrule.explaining.schema import (
    ArrayPicture,
    BarsPicture,
    Document,
    LayerCard,
    MapsPicture,
    MatrixPicture,
    PictureRecord,
    PoolPicture,
    Tensor,
)
from chainrule.formulas.printing.boxes import Box

Array = NDArray[np.float64]


def picture_blocks(
    document: Document, card: LayerCard, on: tuple[str, ...], letter: Callable[[str], Box]
) -> list[Block]:
    """The pictures of a card that belong to these passes.  letter: of a tensor, by its id."""
    return [
        _block(document, picture, f"{card['layer']}-picture{number + 1}", letter)
        for number, picture in enumerate(card["pictures"])
        if picture["on"] in on
    ]


def _block(document: Document, picture: PictureRecord, name: str, letter: Callable[[str], Box]) -> Block:
    if picture["kind"] == "curve":
        z, f, df, edges, counts = (
            np.array([float(v) for v in picture[key]]) for key in ("z", "f", "df", "edges", "counts")
        )
        title = Say("f and f′, and where this layer's z lie", "f 与 f′，以及本层 z 的分布")
        return Curve(title, z, f, df, edges, counts, id=name)
    values = _values(document, picture)
    symbol, title = letter(picture["quantity"]), _title(picture)
    if picture["kind"] == "bars":
        first = _first(document, picture)
        made = _bars(values[0], picture, symbol, title, first, name)
        # There i numbers the units, and b the samples.
        groups = tuple(f"b = {sample}" for sample in picture["samples"])
        return replace(made, groups=groups) if "theta" in document else made
    if picture["kind"] == "matrix":
        return _matrix(values[0], picture, symbol, document["tensors"][picture["quantity"]], name)
    return _maps(values, picture, symbol, title, _first(document, picture), name)


def _values(document: Document, picture: ArrayPicture) -> list[Array]:
    """The arrays a picture shows."""
    if "values" in picture:
        return [np.array(one, np.float64) for one in picture["values"]]
    tensor = decode(document["tensors"][picture["quantity"]])
    assert tensor is not None  # of a frozen tensor the picture has the numbers
    return shown(picture, tensor)


_INPUT = {
    "input": Say("the input of the network", "网络的输入"),
    "delta:input": Say("the derivative of J by the input", "J 对输入的导数"),
}


def _title(picture: ArrayPicture) -> Say:
    quantity = picture["quantity"]
    if quantity in _INPUT:
        return _INPUT[quantity]
    if quantity.startswith("delta:"):
        name = quantity.removeprefix("delta:")
        return Say(f"δ at the output of {name}", f"{name} 输出处的 δ")
    if quantity.startswith("gradient:"):
        name = quantity.removeprefix("gradient:")
        return Say(f"the gradient of {name}", f"{name} 的梯度")
    if "marks" in picture:
        return _windows(picture)
    if "." in quantity:
        return Say(f"the parameter {quantity}", f"参数 {quantity}")
    return Say(f"the output of {quantity}", f"{quantity} 的输出")


def _first(document: Document, picture: ArrayPicture) -> tuple[int, ...]:
    """Where the indices of a picture's tensor begin."""
    tensor = document["tensors"].get(picture["quantity"])
    return tuple(tensor["origin"]) if tensor is not None and "origin" in tensor else (0,) * 4


_SIGNS = {
    "winner": Say("● won a window", "● 在窗口中取胜"),
    "tie": Say("◇ ties", "◇ 并列"),
    "overlap": Say("×n lies in n windows", "×n 位于 n 个窗口中"),
}


def _windows(picture: PoolPicture) -> Say:
    """The title of a pool's input, with the signs that are on it: a mean has no winners."""
    there = {mark["kind"] for mark in picture["marks"]}
    signs = [said for kind, said in _SIGNS.items() if kind in there]
    title = (
        Say("The input with its winners", "输入及其胜者") if "winner" in there else Say("The input", "输入")
    )
    if not signs:
        return title
    return title + Say(": " + ", ".join(one.en for one in signs), "：" + "，".join(one.zh for one in signs))


def _bars(
    values: Array, picture: BarsPicture, symbol: Box, title: Say, first: tuple[int, ...], name: str
) -> Bars:
    return Bars(
        symbol,
        title,
        labels=tuple(str(entry + first[0]) for entry in picture["entries"]),
        values=values,
        groups=tuple(f"i = {sample}" for sample in picture["samples"]),
        left_out=picture["left_out"],
        quantity=picture["quantity"],
        id=name,
    )


def _matrix(values: Array, picture: MatrixPicture, symbol: Box, tensor: Tensor, name: str) -> Matrix:
    rows, columns = tensor["shape"]
    minimum, mean, maximum, norm = (float(tensor["stats"][key]) for key in ("min", "mean", "max", "norm"))
    return Matrix(
        symbol,
        values,
        (rows, columns),
        _gap(picture["rows"], rows),
        _gap(picture["columns"], columns),
        (minimum, mean, maximum, norm),
        picture["quantity"],
        id=name,
    )


def _gap(shown_: list[int], size: int) -> int | None:
    """Behind how many of those shown the gap is."""
    return EDGE if len(shown_) < size else None


def _maps(
    values: list[Array],
    picture: MapsPicture | PoolPicture,
    symbol: Box,
    title: Say,
    first: tuple[int, ...],
    name: str,
) -> Maps:
    signs, left_out = (picture["marks"], 0) if "marks" in picture else ([], picture["left_out"])
    marks = tuple(Mark(m["row"], m["column"], m["kind"], m["text"]) for m in signs)
    scale = max((float(np.nanmax(np.abs(one), initial=0.0)) for one in values), default=0.0)
    panels = tuple(
        Panel(label, one, marks, tuple(own))
        for label, one, own in zip(picture["titles"], values, picture["fixed"], strict=True)
    )
    axes = (picture["axes"][0], picture["axes"][1])
    scale = scale if math.isfinite(scale) else 0.0
    begin = (first[axes[0]], first[axes[1]])
    return Maps(symbol, title, panels, scale, left_out, picture["quantity"], axes, begin, id=name)
