"""The file of networks that PyTorch has computed: what it holds, how it is read and written.

A network is a list of layers in words, a loss in words, and numbers: what goes in (inputs, targets,
parameters, 16-bit integers times a step, so that they are exact in every type) and what comes out (J,
outputs, gradients, float64). Everything lies in one array per type, in the order of the networks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr

Array = NDArray[Any]
FILE = Path(__file__).parent / "pytorch_networks.npz"
STEP = 2.0**-13  # of the numbers that go in: (-4, 4)


@dataclass(frozen=True, eq=False)
class StoredNetwork:
    """One network, and what PyTorch says of it.

    layers: [class, arguments] each; a list of such lists among the arguments is a branch.
    inputs: "X", "y", and the parameters by name, all float64 or, for class numbers and ids, int64.
    expected: "J", "output", "X" (∂J/∂X, where there is one), and ∂J/∂(parameter) by name.
    """

    layers: list[Any]
    loss: list[Any]
    inputs: dict[str, Array]
    expected: dict[str, Array]

    def network(self, dtype: str) -> cr.Network:
        # Past the check of new networks: some have a softmax of one value, always 1, as PyTorch computes it.
        made = cr.Network.__new__(cr.Network)
        made._build([layer(one) for one in self.layers], self.inputs["X"].shape[1:], dtype, None)
        made.reinitialise(0)
        made.set_parameters({name: self.inputs[name] for name in made.parameters if name in self.inputs})
        return made

    def loss_object(self) -> cr.Loss:
        name, arguments = self.loss
        made = getattr(cr, name)(**arguments)
        assert isinstance(made, cr.Loss)
        return made


def layer(words: list[Any]) -> cr.Layer:
    """The layer that [class, arguments] names."""
    name, arguments = words

    def value(given: Any) -> Any:
        if (
            isinstance(given, list)
            and len(given) == 2
            and isinstance(given[0], str)
            and isinstance(given[1], dict)
        ):
            return layer(given)
        return [value(entry) for entry in given] if isinstance(given, list) else given

    made = getattr(cr.layers, name)(**{key: value(given) for key, given in arguments.items()})
    assert isinstance(made, cr.Layer)
    return made


def class_names(words: list[Any]) -> list[str]:
    """The classes in a list of layers, those in branches too."""
    found = []
    for entry in words:
        if (
            isinstance(entry, list)
            and len(entry) == 2
            and isinstance(entry[0], str)
            and isinstance(entry[1], dict)
        ):
            found += [entry[0], *class_names(list(entry[1].values()))]
        elif isinstance(entry, list):
            found += class_names(entry)
    return found


def quantised(values: Array) -> Array:
    """The nearest numbers that the file can hold."""
    whole = np.clip(np.round(np.asarray(values) / STEP), -32767, 32767)
    return np.asarray(whole * STEP)


def write(networks: Iterable[StoredNetwork], path: Path = FILE) -> None:
    """Write the file; numbers that go in are written as 16-bit integers."""
    records, short, double = [], [], []
    for one in networks:
        records.append(
            {
                "layers": one.layers,
                "loss": one.loss,
                "inputs": {n: [list(a.shape), a.dtype.kind] for n, a in one.inputs.items()},
                "expected": {n: list(a.shape) for n, a in one.expected.items()},
            }
        )
        for array in one.inputs.values():
            short.append((array if array.dtype.kind == "i" else array / STEP).astype(np.int16).ravel())
        double += [array.astype(np.float64).ravel() for array in one.expected.values()]
    words = np.frombuffer(json.dumps(records, separators=(",", ":")).encode(), np.uint8)
    np.savez_compressed(path, records=words, short=np.concatenate(short), double=np.concatenate(double))


def read(path: Path = FILE) -> Iterator[StoredNetwork]:
    """The networks of the file, in order."""
    with np.load(path) as file:
        records, short, double = json.loads(file["records"].tobytes()), file["short"], file["double"]
    at = {"short": 0, "double": 0}

    def take(source: Array, which: str, shape: list[int]) -> Array:
        count = int(np.prod(shape))
        at[which] += count
        return source[at[which] - count : at[which]].reshape(shape)

    for record in records:
        inputs = {}
        for name, (shape, kind) in record["inputs"].items():
            whole = take(short, "short", shape)
            inputs[name] = whole.astype(np.int64) if kind == "i" else whole * STEP
        expected = {name: take(double, "double", shape) for name, shape in record["expected"].items()}
        yield StoredNetwork(record["layers"], record["loss"], inputs, expected)
