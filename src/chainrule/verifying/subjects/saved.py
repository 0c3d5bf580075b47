"""Gradients that somebody saved, in a dict or a file, beside forward code or one of our networks."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, FileError, MissingExtraError, ShapeError, describe
from chainrule.base.files.disk import first_line
from chainrule.base.shown import quoted
from chainrule.base.types import Array
from chainrule.networks.model import Model
from chainrule.verifying.subjects.calls.arguments import arguments_of
from chainrule.verifying.subjects.calls.carriers import as_array
from chainrule.verifying.subjects.calls.returned import Wanted, by_argument, key_of
from chainrule.verifying.subjects.calls.running import call, quiet, quietly
from chainrule.verifying.subjects.subject import Subject

_LETTERS = {
    "W": "W",
    "weight": "W",
    "weights": "W",
    "kernel": "W",
    "w": "W",
    "b": "b",
    "bias": "b",
    "biases": "b",
}


@dataclass(frozen=True, eq=False)
class Saved:
    """A saved gradient beside the right one. name: theirs; ours: of the parameter here; theirs, right: of one
    shape, theirs transposed where it was saved so.
    """

    name: str
    ours: str
    theirs: Array
    right: Array


def read_gradients(source: Any) -> dict[str, Array]:
    """name -> array, of a dict, an .npz or a .safetensors file.

    Raises ArgumentError for anything else, FileError for a file that cannot be read, DataError for what is no
    array of numbers.
    """
    if isinstance(source, Mapping):
        arrays = {str(name): value for name, value in source.items()}
    elif isinstance(source, (str, os.PathLike)):
        arrays = _read(Path(source))
    else:
        raise ArgumentError(
            f"grads is {describe(source)}: write a dict, grads={{'W1': dW1}}, or the path of an .npz or "
            ".safetensors file"
        )
    if not arrays:
        raise DataError("grads holds no array")
    return {name: as_array(value, f"grads[{quoted(name, 60)!r}]") for name, value in arrays.items()}


def beside_forward(
    forward: Callable[..., Any], grads: Any, args: Sequence[Any], delta: Any, names: Sequence[str] | None
) -> Subject:
    """Saved gradients as a Subject of one probe: args, and the δ that they were computed for.

    delta: None where forward returns a number, whose δ is 1.
    """
    arguments = arguments_of(forward, args, names)
    wanted = Wanted(arguments.names, arguments.arrays, arguments.tree)
    given = read_gradients(grads)
    for name in given:
        if not any(key_of(label, {name: 0}) for label in arguments.names):
            first = arguments.names[0]
            form = f"call it d{first}, or " if first.isidentifier() else ""
            raise DataError(
                f"grads holds {quoted(name, 60)}, which is the gradient of none of the arguments "
                f"({wanted.label()}): {form}name the arguments with names=[...]"
            )
    taken = None if delta is None else as_array(delta, "delta")
    with quiet():
        out = _first(call("forward", forward, *arguments.build([a.copy() for a in arguments.arrays])))
    if taken is None:
        if out.size != 1:
            raise ArgumentError(
                f"delta is missing: forward returns the shape {out.shape}, and gradients belong to its δ: "
                "verify(forward, grads=..., args=..., delta=dout)"
            )
        taken = np.ones(out.shape, out.dtype if out.dtype.kind == "f" else np.float64)
    elif taken.shape != out.shape:
        raise ShapeError(f"delta has the shape {taken.shape}, and the output of forward {out.shape}")
    made = by_argument(given, wanted, "grads")

    def run(values: Sequence[Array]) -> Array:
        return _first(call("forward", forward, *arguments.build(values)))

    return Subject(
        str(getattr(forward, "__name__", "forward")),
        arguments.names,
        quietly(run),
        lambda values, delta: made,
        takes_delta=delta is not None,
        precision=arguments.precision,
        args=arguments.arrays,
        delta=taken,
    )


def beside_network(
    grads: Any,
    net: Any,
    batch: Any,
    *,
    loss: Any = None,
    penalty: Any = None,
    names: Mapping[str, str] | None = None,
) -> list[Saved]:
    """Saved gradients beside those of one of our networks, by the parameters they belong to.

    names: theirs -> ours, where that cannot be told: by equal names, by number and letter (W1: the first
    layer with a W), by shape.
    """
    if not isinstance(net, Model):
        raise ArgumentError(
            f"net is {describe(net)}: write one of our networks, net=cr.Network([...], input_shape=4)"
        )
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise ArgumentError(f"batch is {describe(batch)}: write the inputs and targets, batch=(X, y)")
    given = read_gradients(grads)
    network: Any = net
    right = dict(network.backpropagate(*batch, loss=loss, penalty=penalty).gradients)
    chosen = _matched(given, right, names or {})
    return [
        Saved(name, ours, *_of_shape(name, given[name], ours, np.asarray(right[ours])))
        for name, ours in chosen.items()
    ]


def _matched(
    given: Mapping[str, Array], right: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, str]:
    """Theirs -> ours. Raises ArgumentError where that cannot be told."""
    numbered: dict[str, list[str]] = {}
    for ours in right:
        numbered.setdefault(ours.rpartition(".")[2], []).append(ours)
    first = min((int(m[0]) for name in given if (m := re.search(r"\d+", name))), default=1)
    chosen: dict[str, str] = {}
    for name, array in given.items():
        meant = names.get(name)
        if meant is None:
            meant = next((label for label in right if key_of(label, {name: 0}) is not None), None)
        if meant is None:
            meant = _by_number(name, numbered, first)
        if meant is None or meant in chosen.values():
            fitting = [
                label for label, value in right.items()
                if sorted(np.shape(value)) == sorted(array.shape) and label not in chosen.values()
            ]  # fmt: skip
            meant = fitting[0] if len(fitting) == 1 and name not in names else None
        if meant is None or meant not in right:
            raise ArgumentError(
                f"grads holds {quoted(name, 60)}, and it is not known which parameter that is: the network "
                f"has {', '.join(right)}; write names={{{quoted(name, 60)!r}: {next(iter(right))!r}}}"
            )
        chosen[name] = meant
    return chosen


def _by_number(name: str, numbered: Mapping[str, list[str]], first: int) -> str | None:
    """W1, dW1, grad_W1, W_1: the first layer's W, be they counted from 0 or 1."""
    match = re.fullmatch(r"(?:d|d_|grad_|g_)?([A-Za-z]+?)_?\[?(\d+)\]?(?:_grad|\.grad)?", name)
    if match is None:
        match_plain = re.fullmatch(r"(?:d|d_|grad_|g_)?([A-Za-z]+?)(?:_grad|\.grad)?", name)
        letter = None if match_plain is None else _LETTERS.get(match_plain[1], match_plain[1])
        listed = numbered.get(letter or "", [])
        return listed[0] if len(listed) == 1 else None
    listed = numbered.get(_LETTERS.get(match[1], match[1]), [])
    place = int(match[2]) - min(first, 1)
    return listed[place] if 0 <= place < len(listed) else None


def _of_shape(name: str, theirs: Array, ours: str, right: Array) -> tuple[Array, Array]:
    """Both of one shape: a right array that was saved with its axes in another order is turned."""
    if theirs.shape == right.shape:
        return theirs, right
    for axes in permutations(range(right.ndim)):
        turned = right.transpose(axes)
        if turned.shape == theirs.shape:
            return theirs, turned
    flat = [size for size in theirs.shape if size != 1]
    if flat == [size for size in right.shape if size != 1]:
        return theirs, right.reshape(theirs.shape)
    raise ShapeError(
        f"grads[{quoted(name, 60)!r}] has the shape {theirs.shape}, and {ours} has {right.shape}: in "
        "no order of axes are they the same"
    )


def _read(path: Path) -> dict[str, Any]:
    if path.suffix not in (".npz", ".safetensors"):
        raise FileError(f"{path}: gradients are read from .npz and .safetensors files")
    if not path.is_file():
        raise FileError(f"{path}: there is no such file")
    try:
        return _from_safetensors(path) if path.suffix == ".safetensors" else _from_npz(path)
    except MissingExtraError:
        raise
    except Exception as error:  # zipfile's, NumPy's and safetensors' own are of a dozen kinds
        raise FileError(f"{path}: cannot be read as {path.suffix} ({first_line(error)})") from error


def _from_npz(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _from_safetensors(path: Path) -> dict[str, Any]:
    try:
        from safetensors.numpy import load_file
    except ImportError:
        raise MissingExtraError("safetensors", "save", "reading gradients from .safetensors") from None
    return dict(load_file(path))


def _first(given: Any) -> Array:
    value = given[0] if isinstance(given, tuple) and len(given) >= 2 else given
    return as_array(value, "the output of forward")
