"""What is shown of a layer's tensors, as JSON: which maps, bars, matrices and curves.

A picture names its tensor ("quantity") and what of it is shown; its numbers are in the document's tensors,
and in the picture itself ("values", "stats") where the tensor was too large for the document.  Maps: the
channels with the largest norm, for each tensor one symmetric scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NotRequired, final

import numpy as np

from chainrule.base.norms import row_norms
from chainrule.base.types import Array
from chainrule.explaining.facts import choose
from chainrule.explaining.schema import (
    BarsPicture,
    CurvePicture,
    MapsPicture,
    MarkRecord,
    PictureRecord,
    PoolPicture,
    ShownPicture,
    Tensor,
    TensorPicture,
)
from chainrule.layers import Activation
from chainrule.reference import Pass

MOST_MAPS = 8  # of one picture; the rest is counted
MOST_CELLS = 64 * 64  # of one map: larger images are left to their statistics
ROWS, COLUMNS = 6, 8  # of a matrix printed in full
MOST_BARS = 24
EDGE = 3  # rows and columns of a larger matrix that are shown at its beginning


@final
class WholeMapAsked(TensorPicture):
    """One map of all there is, but for the sample."""

    kind: Literal["maps"]
    axes: list[int]
    fixed: list[list[int]]
    titles: list[str]
    sample: NotRequired[int]
    channels: NotRequired[int]


@final
class LargestMapsAsked(TensorPicture):
    """The `channels` largest maps."""

    kind: Literal["maps"]
    axes: list[int]
    channels: int
    sample: NotRequired[int]


@final
class BarsAsked(TensorPicture):
    """The `most` largest entries."""

    kind: Literal["bars"]
    sample: int
    most: int


@final
class MatrixAsked(TensorPicture):
    """Rows and columns of a matrix."""

    kind: Literal["matrix"]


MapsAsked = WholeMapAsked | LargestMapsAsked
PictureAsked = MapsAsked | BarsAsked | MatrixAsked


def pictures_of(
    layer_pass: Pass,
    sample: int,
    tensors: Mapping[str, Tensor],
    arrays: Mapping[str, Array],
    full: Callable[[str, str], str],
    *,
    first: bool = False,
) -> list[PictureRecord]:
    """The pictures of a layer, but for those of tensors that there are not. full: of a layer and a parameter
    of its own, what the network calls it.
    """
    pictures: list[PictureRecord] = []
    for picture in _asked(layer_pass, sample, first, full):
        if picture["kind"] == "curve" or "marks" in picture:
            pictures.append(picture)
        elif (made := resolved(picture, tensors, arrays)) is not None:
            pictures.append(made)
    return pictures


def _asked(
    layer_pass: Pass, sample: int, first: bool, full: Callable[[str, str], str]
) -> list[PictureAsked | PoolPicture | CurvePicture]:
    """What came out, its δ, its weights and their gradients, pooling's winners, f and f'; of the first layer
    also what goes in, and ∂J/∂x.
    """
    name, layer = layer_pass.name, layer_pass.layer
    asked: list[PictureAsked | PoolPicture | CurvePicture] = []
    if first and layer.differentiable_input:
        asked += _output(layer_pass.x, "input", sample, "forward")
        asked += _output(layer_pass.x, "delta:input", sample, "backward")
    if isinstance(layer, Activation) and not layer_pass.given:
        asked.append(curve(layer, layer_pass.x, name))
    asked += _output(layer_pass.output, name, sample, "forward")
    asked += _output(layer_pass.output, f"delta:{name}", sample, "backward")
    grid = getattr(layer, "grid", None)
    if grid is not None and hasattr(layer, "window") and layer_pass.x.ndim == 4:
        asked += _winners(layer_pass, sample)
    for key, value in layer_pass.given.items():
        if key in layer.parameters(layer_pass.x.shape[:-1]):
            asked += of_parameter(np.asarray(value), full(name, key), "forward")
            asked += of_parameter(np.asarray(value), f"gradient:{full(name, key)}", "gradients")
    return asked


def curve(layer: Any, z: Array, name: str) -> CurvePicture:
    """f and f' over the range of this layer's z, and a histogram of z."""
    finite = z[np.isfinite(z)]
    reach = float(np.clip(np.abs(finite).max() if finite.size else 1.0, 1.0, 12.0)) * 1.1
    at = np.linspace(-reach, reach, 121)
    with np.errstate(all="ignore"):
        f, df = np.asarray(layer.f(at)), np.broadcast_to(layer.df(at), at.shape)
    counts, edges = np.histogram(np.clip(finite, -reach, reach), bins=30, range=(-reach, reach))
    return {
        "kind": "curve", "on": "forward", "layer": name, "z": rounded(at), "f": rounded(f), "df": rounded(df),
        "edges": rounded(edges), "counts": [int(count) for count in counts],
    }  # fmt: skip


def _output(value: Array, quantity: str, sample: int, on: str) -> list[PictureAsked]:
    """An image as maps per channel, a volume as maps per plane and channel, a sequence as one map, a vector
    as bars; the shape of `value` is what counts.
    """
    shape = value.shape[:-1]
    if len(shape) == 1 and shape[0] > 1:
        return [{"kind": "bars", "quantity": quantity, "sample": sample, "on": on, "most": MOST_BARS}]
    if len(shape) == 2 and math.prod(shape) <= MOST_CELLS:
        return [
            {
                "kind": "maps", "quantity": quantity, "sample": sample, "on": on, "axes": [0, 1],
                "fixed": [[sample]], "titles": [""],
            }
        ]  # fmt: skip
    across = [len(shape) - 3, len(shape) - 2]  # rows and columns; of a volume planes stand in front
    if len(shape) in (3, 4) and 1 < math.prod(shape[axis] for axis in across) <= MOST_CELLS:
        return [
            {
                "kind": "maps", "quantity": quantity, "sample": sample, "on": on, "axes": across,
                "channels": MOST_MAPS,
            }
        ]  # fmt: skip
    return []


def of_parameter(value: Array, quantity: str, on: str) -> list[PictureAsked]:
    """Kernels as maps, a matrix as numbers where it is small and as one map where it is not."""
    across = [value.ndim - 3, value.ndim - 2]
    if value.ndim in (4, 5) and math.prod(value.shape[axis] for axis in across) > 1:
        return [{"kind": "maps", "quantity": quantity, "on": on, "axes": across, "channels": MOST_MAPS}]
    if value.ndim == 2:
        small = value.shape[0] <= ROWS and value.shape[1] <= COLUMNS
        if small or math.prod(value.shape) > MOST_CELLS:
            return [{"kind": "matrix", "quantity": quantity, "on": on}]
        return [
            {"kind": "maps", "quantity": quantity, "on": on, "axes": [0, 1], "fixed": [[]], "titles": [""]}
        ]
    return []


def _winners(layer_pass: Pass, sample: int) -> list[PoolPicture]:
    """The input of a pooling layer with the pixels that won, ties, and how many windows cover a pixel."""
    layer: Any = layer_pass.layer
    size = layer_pass.x.shape[:2]
    if math.prod(size) > MOST_CELLS:
        return []
    channel = int(np.abs(layer_pass.x[..., sample]).sum(axis=(0, 1)).argmax())
    x = layer_pass.x[..., [channel], :][..., [sample]]
    covered = choose.coverage(layer.grid, size)
    marks = _winner_marks(layer, x)
    for row, column in np.argwhere(covered > 1):
        text = f"×{covered[row, column]}"
        marks.append({"row": int(row), "column": int(column), "kind": "overlap", "text": text})
    if not marks:  # the plain input is shown already
        return []
    return [
        {
            "kind": "maps", "quantity": "input of", "layer": layer_pass.name, "sample": sample,
            "on": "backward", "axes": [0, 1], "fixed": [[channel, sample]],
            "titles": [f"c = {channel}"], "marks": marks, "values": [rounded(x[..., 0, 0])],
        }
    ]  # fmt: skip


def _winner_marks(layer: Any, x: Array) -> list[MarkRecord]:
    """A mark for the winner of every window, and for the pixels that tie with it; x: (H, W, 1, 1)."""
    winners = layer.winners(x)
    if winners is None:
        return []
    grid, top = layer.grid, layer.forward(x)
    won, ties = np.zeros(x.shape, bool), np.zeros(x.shape, bool)
    for place, offset in enumerate(np.ndindex(*grid.kernel)):
        pixels, windows = grid.meet(x.shape[:2], offset)
        won[pixels] |= winners[windows] == place
        ties[pixels] |= x[pixels] == top[windows]
    return [
        {"row": int(row), "column": int(column), "kind": "winner" if won[row, column] else "tie", "text": ""}
        for row, column, _, _ in np.argwhere(won | ties)
    ]


def resolved(
    picture: PictureAsked, tensors: Mapping[str, Tensor], arrays: Mapping[str, Array]
) -> ShownPicture | None:
    """The picture with what it shows chosen: its maps, bars, rows and columns; None where there is no such
    tensor.

    Where the document has no room for the tensor the shown numbers are in the picture itself.
    """
    value = arrays.get(picture["quantity"])
    if value is None:
        return None
    chosen = _chosen(picture, value)
    if "data" not in tensors[picture["quantity"]]:
        chosen["values"] = [rounded(part) for part in shown(chosen, value)]
    return chosen


def _chosen(picture: PictureAsked, value: Array) -> ShownPicture:
    if picture["kind"] == "maps":
        return _maps(picture, value)
    if picture["kind"] == "bars":
        return _bars(picture, value)
    return {**picture, "rows": _edges(value.shape[0], ROWS), "columns": _edges(value.shape[1], COLUMNS)}


def shown(picture: ShownPicture, value: Array) -> list[Array]:
    """The arrays that a picture shows of its tensor: a map each, else one."""
    if picture["kind"] == "maps":
        return [_slice(value, picture["axes"], fixed) for fixed in picture["fixed"]]
    if picture["kind"] == "bars":
        return [value[picture["entries"]][:, picture["samples"]]]
    return [value[np.ix_(picture["rows"], picture["columns"])]]


def _maps(picture: MapsAsked, value: Array) -> MapsPicture:
    if "fixed" in picture:
        return {**picture, "left_out": 0}
    axes = tuple(picture["axes"])
    of_sample = [picture["sample"]] if "sample" in picture else []
    norms = _norms(value[..., picture["sample"]] if of_sample else value, axes)
    others = [list(map(int, place)) for place in np.ndindex(*norms.shape)]
    letters = ("d", "c")[-norms.ndim :] if of_sample else ("k", "d", "c") if norms.ndim == 3 else ("k", "c")
    titles = [", ".join(f"{k} = {at}" for k, at in zip(letters, place, strict=True)) for place in others]
    places, sizes = [[*place, *of_sample] for place in others], norms.ravel()
    order = sorted(int(i) for i in np.argsort(-sizes, kind="stable")[: picture["channels"]])
    return {
        **picture,
        "fixed": [places[i] for i in order],
        "titles": [titles[i] for i in order],
        "left_out": len(sizes) - len(order),
    }


def _norms(value: Array, axes: tuple[int, ...]) -> Array:
    """‖·‖ over the axes, at every place of the others."""
    moved = np.moveaxis(value, axes, range(-len(axes), 0))
    rest = moved.shape[: moved.ndim - len(axes)]
    return row_norms(moved.reshape(*rest, -1).reshape(math.prod(rest), -1)).reshape(rest)


def _bars(picture: BarsAsked, value: Array) -> BarsPicture:
    """A group per sample, at most four: the one in focus first."""
    sample, most = picture["sample"], picture["most"]
    samples = [sample, *(s for s in range(value.shape[-1]) if s != sample)][:4]
    entries = np.sort(np.argsort(-np.abs(value[:, sample]), kind="stable")[:most])
    chosen = [int(i) for i in entries]
    return {**picture, "samples": samples, "entries": chosen, "left_out": len(value) - len(chosen)}


def _edges(size: int, most: int) -> list[int]:
    """Which are shown: all, or the first three and the last."""
    return list(range(size)) if size <= most else [*range(EDGE), size - 1]


def _slice(value: Array, axes: list[int], fixed: list[int]) -> Array:
    rest = iter(fixed)
    return np.asarray(value[tuple(slice(None) if axis in axes else next(rest) for axis in range(value.ndim))])


def rounded(values: Any, digits: int = 6) -> Any:
    """Numbers for a picture, as nested lists with so many significant digits."""
    array = np.asarray(values, np.float64)
    if array.ndim:
        return [rounded(part, digits) for part in array]
    return float(f"{float(array):.{digits}g}") if np.isfinite(array) else str(float(array))
