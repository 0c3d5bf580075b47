"""Pictures of a document as blocks: maps with one symmetric scale, bars, matrices, curves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from chainrule.base.languages import COLON, COMMA, Say
from chainrule.base.types import Array
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
from chainrule.explaining.words.catalogues import PICTURES
from chainrule.formulas.printing.boxes import Box


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
        return Curve(PICTURES["curve"], z, f, df, edges, counts, id=name)
    values = _values(document, picture)
    symbol, title = letter(picture["quantity"]), _title(picture, document)
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
        return [np.array(array, np.float64) for array in picture["values"]]
    tensor = decode(document["tensors"][picture["quantity"]])
    assert tensor is not None  # of a frozen tensor the picture has the numbers
    return shown(picture, tensor)


def _title(picture: ArrayPicture, document: Document) -> Say:
    quantity = picture["quantity"]
    if quantity in ("input", "delta:input"):
        return PICTURES["input" if quantity == "input" else "delta_of_input"]
    if quantity.startswith("delta:"):
        return PICTURES.say("delta", name=quantity.removeprefix("delta:"))
    if quantity.startswith("gradient:"):
        return PICTURES.say("gradient", name=quantity.removeprefix("gradient:"))
    if "marks" in picture:
        return _windows(picture)
    if "." in quantity and not any(card["layer"] == quantity for card in document["cards"]):
        return PICTURES.say("parameter", name=quantity)
    return PICTURES.say("output", name=quantity)


def _first(document: Document, picture: ArrayPicture) -> tuple[int, ...]:
    """Where the indices of a picture's tensor begin."""
    tensor = document["tensors"].get(picture["quantity"])
    return tuple(tensor["origin"]) if tensor is not None and "origin" in tensor else (0,) * 5


def _windows(picture: PoolPicture) -> Say:
    """The title of a pool's input, with the signs that are on it: a mean has no winners."""
    there = {mark["kind"] for mark in picture["marks"]}
    signs = [sign for kind, sign in PICTURES.within("mark").items() if kind in there]
    title = PICTURES["windows_with_winners" if "winner" in there else "windows"]
    return title + COLON + COMMA.join(signs) if signs else title


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
    scale = max((float(np.nanmax(np.abs(array), initial=0.0)) for array in values), default=0.0)
    panels = tuple(
        Panel(label, array, marks, tuple(fixed))
        for label, array, fixed in zip(picture["titles"], values, picture["fixed"], strict=True)
    )
    axes = (picture["axes"][0], picture["axes"][1])
    scale = scale if math.isfinite(scale) else 0.0
    begin = (first[axes[0]], first[axes[1]])
    return Maps(symbol, title, panels, scale, left_out, picture["quantity"], axes, begin, id=name)
