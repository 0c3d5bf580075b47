"""Random builds of native plans: what real networks ask of the builder, with something wrong, and then run.

`python -m tests.engine.random_builds SEED COUNT` builds COUNT of them and says how many were refused.  Run it
in a process of its own: what it looks for ends the process.
"""

from __future__ import annotations

import faulthandler
import random
import resource
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import _native
from chainrule.engine import Plan, building
from chainrule.engine.lowering import convolutions, walk
from chainrule.engine.lowering.lanes import CHANNELS, SAMPLES
from chainrule.losses import loss_from
from tests.engine import own_layers as own

ROOM = 2**29  # bytes of memory beyond those of the interpreter: what asks for more is an error, and soon
NUMBERS = (-(2**31), -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 64, 2**16, 2**24, 2**30, 2**31 - 1, 2**31, 2**62, 2**64)
FLOATS = (0.0, -1.0, 0.5, 1e300, -1e300, 1e-300, float("inf"), float("nan"))
REFUSED = (ValueError, IndexError, TypeError, MemoryError, OverflowError)

PREDICTING: dict[str, Any] = {"loss": None}  # with channels in the lanes

Call = tuple[str, tuple[Any, ...], dict[str, Any]]
Recording = tuple[str, list[Call]]  # name of the class, calls from the constructor to finish


class Sine(cr.Layer):
    """No program: NumPy's sine knows no symbols, so the host computes it."""

    def forward(self, x: Any) -> Any:
        return np.sin(np.asarray(x, float))

    def delta(self, d: Any, x: Any) -> Any:
        return d * np.cos(np.asarray(x, float))


class OwnLoss(cr.SquaredError):
    """No kernel: a program."""


class HostLoss(cr.SquaredError):
    """No program either: the host computes it."""

    def value(self, a: Any, y: Any) -> Any:
        return np.asarray(super().value(np.asarray(a), y))


def networks() -> list[tuple[list[cr.Layer], Any, dict[str, Any]]]:
    """(layers, input_shape, options of the plan): every operation of the builder is in one of them."""
    image, steps, per_sample = (5, 6, 4), (6, 4), {"per_sample": True}
    branch = [cr.Conv2D(4, 3, padding=1), cr.GELU(), cr.Conv2D(4, 3, padding=1, groups=2)]
    momentum = {"optimizer": cr.SGD(momentum=0.9)}
    adam = {"optimizer": cr.Adam(), "constraint": cr.MaxNorm(1.0), "penalty": cr.L2(0.1)}
    inception = cr.Parallel([cr.Conv2D(2, 1), []], join="concat")
    table, dense = cr.Embedding(7, 5), cr.Dense(5)
    return [
        ([table, dense, cr.Tanh(), dense, cr.Dense(7, tied=table)], 4, adam),
        ([cr.Dense(5), cr.GELU(), cr.Dense(3), cr.Softmax()], 4, {"loss": cr.CrossEntropy(), **adam}),
        ([cr.Conv2D(8, 3, padding=1), cr.ReLU(), cr.MaxPool2D(2), cr.Flatten()], (6, 6, 8), adam),
        ([cr.Conv2D(9, 3, padding=2), cr.Tanh(), cr.GlobalAveragePool()], (5, 5, 8), per_sample),
        ([cr.Conv2D(8, 3, padding=1), cr.Flatten(), cr.Dense(2)], (3, 4, 8), {}),
        ([cr.DepthwiseConv2D(3, dilation=2, padding=2), cr.BatchNorm(), cr.L2Pool2D(2)], image, {}),
        ([cr.ConvTranspose2D(4, 3, stride=2, padding=1, groups=2), cr.LeakyReLU(-0.1)], image, {}),
        ([cr.ConvTranspose2D(4, 3, groups=4), cr.AveragePool2D(3, 1, padding=1)], image, {"keep": True}),
        ([cr.Residual(branch), inception, cr.GroupNorm(2)], image, {}),
        ([cr.Conv2D(3, 2), cr.AdaptiveMaxPool2D((3, 4)), cr.AdaptiveAveragePool2D((2, "same"))], image, {}),
        ([cr.Masking(0.0), cr.LSTM(3, outputs="all"), cr.GlobalMaxPool(), cr.Dense(2)], steps, per_sample),
        ([cr.GRU(3, outputs="last"), cr.Dropout(0.5), cr.Dense(2)], steps, {"loss": cr.BinaryCrossEntropy()}),
        ([cr.Conv1D(3, 3, padding=1), cr.RNN(3, outputs="all"), cr.Softplus()], steps, momentum),
        ([cr.PositionalEncoding(), cr.MultiHeadAttention(2), cr.GlobalMaxPool()], steps, {}),
        (
            [cr.MultiHeadAttention(2, key_value_bias=True, zero_key_value=True, relative_positions="t5")],
            *(steps, adam),
        ),
        ([cr.MultiHeadAttention(4, relative_positions="alibi", zero_key_value=True)], steps, {}),
        ([cr.MultiHeadAttention(2, rotary=True, key_value_heads=1, seen=np.tri(6) > 0)], steps, {}),
        ([cr.Dense(9), cr.LayerNorm(), cr.GlobalAveragePool(), cr.Dense(2)], (33, 8), {}),
        ([cr.Embedding(7, 3, padding=0), cr.MultiHeadAttention(1), cr.Flatten()], 4, {"keep": True}),
        (
            [
                cr.Parallel(
                    [[cr.Features(1, 3), cr.PeriodicEmbedding(hidden=3)], cr.Features(3, 6)], join="concat"
                ),
                cr.Scale(),
                cr.Dense(4, ntk=True),
                cr.ParametricActivation("mish"),
                cr.Clamp(-1, 1),
            ],
            6,
            {"optimizer": cr.AdamW(), "decay_factors": {"scale1.s": 2.0, "dense1.W": 0.0}, "keep": True},
        ),
        (
            [
                cr.Pad2D(2, mode="reflect"),
                cr.Conv2D(8, 3),
                cr.PixelShuffle(2),
                cr.UpSample2D(2),
                cr.Crop2D(1),
            ],
            image,
            {},
        ),
        ([cr.GRU(3, reset_after=False, outputs="all"), cr.LSTM(2, bias=False), cr.Dense(2)], steps, {}),
        (
            [cr.LSTM(5, projection=3, peepholes=True, outputs="all"), cr.LSTM(2, projection=4), cr.Dense(2)],
            steps,
            {**adam, **per_sample},
        ),
        (
            [cr.BatchNorm(None, scale=False), cr.Conv2D(2, 2), cr.InstanceNorm(shift=False), cr.Flatten()],
            image,
            {},
        ),
        ([cr.Dense(4), Sine(), own.Slopes(), own.LayerNorm(), own.ScaleShift()], 3, {"loss": OwnLoss()}),
        (
            [cr.Conv2D(3, 2), cr.BatchNorm(), cr.Conv2D(2, 2), cr.BatchNorm(), cr.Flatten(), cr.Dense(2)],
            image,
            {"rate_factors": _frozen("conv1", "batchnorm1", "batchnorm2") | {"dense1.W": 0.5}, **adam},
        ),
        (
            [cr.LSTM(3, outputs="all"), own.Slopes(), cr.LayerNorm(), cr.GRU(2), cr.Dense(2)],
            steps,
            {"rate_factors": {"lstm1.W": 0.0, **_frozen("gru1", "slopes1")}, **per_sample, **momentum},
        ),
        ([cr.Dense(5), cr.GELU(), cr.LayerNorm(), cr.Dense(3), cr.Softmax()], 4, PREDICTING),
        (
            [cr.Conv2D(9, 3, padding=1), cr.BatchNorm(), cr.MaxPool2D(2), cr.Flatten(), cr.Dense(2)],
            (6, 6, 8),
            PREDICTING,
        ),
        ([cr.Residual(branch), inception, own.Slopes(), cr.Conv2D(3, 2)], image, PREDICTING),
        (
            [cr.PositionalEncoding(), cr.MultiHeadAttention(2), cr.LSTM(5, outputs="all"), cr.GRU(3)],
            steps,
            PREDICTING,
        ),
        ([cr.Embedding(7, 4, padding=0), cr.MultiHeadAttention(1), cr.Conv1D(3, 2)], 4, PREDICTING),
        ([cr.Conv2D(2, 2), own.Swish(), cr.Softmax(), cr.Flatten()], image, {"loss": HostLoss()}),
        _several_ends(),
    ]


def _several_ends() -> tuple[list[cr.Layer], Any, dict[str, Any]]:
    """A graph of two inputs, a product, and outputs with a loss each: kernels, a program, the host's."""
    nodes = {
        "gate": ([cr.Dense(3), cr.Sigmoid()], "x"),
        "gated": (cr.Multiply(), "gate", "y"),
        "kind": ([cr.Dense(3), cr.Softmax()], "gated"),
        "price": (cr.Dense(2), "gated"),
        "level": ([cr.Dense(2), cr.Sigmoid()], "gated"),
        "own": (cr.Dense(1), "gated"),
    }
    graph = cr.Graph(nodes, inputs={"x": 4, "y": 3}, outputs=["kind", "price", "level", "own"])
    loss = loss_from({"price": cr.Huber(), "level": cr.SquaredError(), "own": HostLoss()}, graph.layers[-1])
    return list(graph.layers), graph.input_shape, {"loss": loss, "optimizer": cr.Adam()}


_PARAMETERS = {
    "conv1": "W b",
    "batchnorm1": "gamma beta mean variance",
    "batchnorm2": "gamma beta mean variance",
    "gru1": "W U b v",
    "slopes1": "left right",
}


def _frozen(*layers: str) -> dict[str, float]:
    return {f"{layer}.{name}": 0.0 for layer in layers for name in _PARAMETERS[layer].split()}


class Recorder:
    """Stands for a native plan, and keeps what it is asked while it is built."""

    def __init__(self, calls: list[Call], native: Any) -> None:
        self._calls, self._native = calls, native

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._native, name)
        if not name.startswith(("add_", "set_", "share_", "finish")) or self._calls[-1][0] == "finish":
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            self._calls.append((name, arguments, options))
            return found(*arguments, **options)

        return call


def recorded() -> list[Recording]:
    """The builds of the networks, in both types."""
    recordings = []
    for dtype, title in (("float32", "PlanFloat32"), ("float64", "PlanFloat64")):
        for layers, shape, options in networks():
            calls: list[Call] = []

            def build(*arguments: Any, calls: list[Call] = calls, title: str = title) -> Recorder:
                calls.append(("", arguments, {}))
                return Recorder(calls, getattr(_native, title)(*arguments))

            given = {"loss": cr.SquaredError(), "batch_size": 5, "dtype": dtype, **options}
            stand_in = SimpleNamespace(**vars(_native) | dict.fromkeys(("PlanFloat32", "PlanFloat64"), build))
            lanes = CHANNELS if given["loss"] is None else SAMPLES
            with (
                replaced(building, "_native", stand_in),
                replaced(walk, "chosen", lambda *_, lanes=lanes: lanes),
            ):
                Plan(cr.Network(layers, input_shape=shape), **given)
            recordings.append((title, calls))
    return recordings


@contextmanager
def replaced(place: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)


def _another(r: random.Random, value: Any) -> Any:
    """A value of the same kind, as a rule a wrong one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, Enum):
        return r.choice(list(type(value)))
    if isinstance(value, int):
        return r.choice((value + 1, value - 1, 2 * value, -value, r.choice(NUMBERS)))
    if isinstance(value, float):
        return r.choice(FLOATS)
    if isinstance(value, (tuple, list)) and value:
        place = r.randrange(len(value))
        changed = [_another(r, one) if i == place else one for i, one in enumerate(value)]
        if isinstance(value, list) and r.random() < 0.3:
            changed = r.choice((changed[1:], changed * 2, []))
        return type(value)(changed)
    return r.choice((None, "", 3))


def _programs(r: random.Random) -> Any:
    """A program of random numbers, some of which exist."""
    slots = [(r.randrange(6), r.randrange(3), r.choice((0, 1, 4)), r.choice((0, 1, 2))) for _ in range(5)]
    count = r.randrange(6)
    steps = [(r.randrange(27), r.randrange(2), *(r.randrange(6) for _ in range(4))) for _ in range(count)]
    return _native.Program(steps, slots, [1.0], r.choice((0, 2, 2**31 - 1)), 2, r.random() < 0.5)


def _spoilt(r: random.Random, calls: list[Call]) -> list[Call]:
    """A build with one to three things wrong: arguments, order, calls left out or twice."""
    calls = list(calls)
    for _ in range(r.randint(1, 3)):
        place = r.randrange(len(calls))
        name, arguments, options = calls[place]
        way = r.random()
        if way < 0.7 and arguments:
            which = r.randrange(len(arguments))
            program = isinstance(arguments[which], _native.Program)
            value = _programs(r) if program else _another(r, arguments[which])
            calls[place] = (name, (*arguments[:which], value, *arguments[which + 1 :]), options)
        elif way < 0.8 and place:
            del calls[place]
        elif way < 0.9 and place:
            calls.insert(r.randrange(1, len(calls) + 1), calls[place])
        elif place:
            other = r.randrange(1, len(calls))
            calls[place], calls[other] = calls[other], calls[place]
    return calls


def _arrays(r: random.Random, features: Any, dtype: Any) -> Any:
    """Rows of so many features, or of others, in this type or in another."""
    samples = r.choice((0, 1, 3, 5, 5, 9))
    others = [(samples, features + 1), (samples,), (), (features, samples)]
    shape = r.choice([(samples, features)] * 6 + others)
    if r.random() < 0.1:
        return np.zeros(shape, r.choice((np.uint8, np.int64, np.float16, np.complex128)))
    return (np.arange(int(np.prod(shape))) % 5).reshape(shape).astype(dtype)


def _run(r: random.Random, native: Any, calls: list[Call], dtype: Any, refused: Counter[str]) -> None:
    """Everything a plan can be asked, in any order, with arrays that fit or do not."""
    values = [arguments for name, arguments, _ in calls if name == "add_value"]
    sizes = [arguments[0] for name, arguments, _ in calls if name == "add_parameter"]
    count = len(values) + sum(name in ("add_view", "add_reader") for name, *_ in calls)
    features = [int(np.prod([min(max(n, 0), 2**12) for n in given[:3]])) for given in values] or [1]
    last = next((args[1] for name, args, _ in calls if name == "set_loss"), len(values) - 1)
    outputs = features[last] if isinstance(last, int) and 0 <= last < len(features) else 1

    def batch() -> tuple[Any, float, Any, Any]:
        x, y = _arrays(r, features[0], dtype), _arrays(r, outputs, dtype)
        y = y if r.random() < 0.8 else np.arange(r.choice((0, 1, 5))) - r.choice((0, 0, 1))
        rows = len(x) if x.ndim else 1
        return x, 1.0, y, r.choice((None, None, np.ones(rows), np.ones(3), np.ones((rows, r.choice((2, 4))))))

    def predict() -> None:
        x, number = _arrays(r, features[0], dtype), r.randrange(-1, count + 1)
        own = features[number] if 0 <= number < len(features) else 1
        native.predict(x, 1.0, number, np.empty((len(x) if x.ndim else 1, own), dtype))

    def epoch() -> None:
        order = np.array([r.choice((0, 1, 2, 2, 4, 9, -1)) for _ in range(r.randrange(9))], np.int64)
        native.train_epoch(*batch(), order, np.ones(-(-len(order) // 5)) * 1e-3, None)

    def value() -> None:
        number, delta = r.randrange(-1, count + 1), r.random() < 0.5
        own = features[number] if 0 <= number < len(features) else 1
        array = np.ones((r.choice((0, 1, 5, 6)), own), dtype)
        (native.read_value if r.random() < 0.5 else native.write_value)(number, delta, array)

    def parameter() -> None:
        number = r.randrange(-1, len(sizes) + 1)
        size = sizes[number] if 0 <= number < len(sizes) and 0 < sizes[number] < 2**16 else 1
        array = np.ones(size if r.random() < 0.8 else size + 1, dtype)
        name = r.choice(("set_", "get_")) + r.choice(("parameter", "gradient", "state"))
        slot = (r.choice((0, 1, 2, -1)),) if name.endswith("state") else ()
        getattr(native, name)(number, *slot, array)

    asked = (
        predict,
        epoch,
        value,
        parameter,
        lambda: native.evaluate(*batch(), r.random() < 0.5),
        lambda: native.backpropagate(*batch(), r.random() < 0.5, True),
        lambda: native.norms(*batch(), np.empty(r.choice((1, 5)))),
        lambda: native.set_losses(0, np.ones(r.randrange(7))),
        lambda: native.read_batch(0, np.empty((3, outputs), dtype), np.empty(3)),
        lambda: native.first_nonfinite(r.random() < 0.5),
        lambda: native.first_nonfinite_parameter(r.random() < 0.5),
        lambda: native.first_at_rest(),
        lambda: native.set_profiling(r.random() < 0.5),
        lambda: native.add_value(1, 1, 3, (0, 0, 0, 0), True, (0, 0, 0, 0)),
        lambda: native.add_flatten(0, count - 1),
        lambda: native.finish(),
    )
    for _ in range(8):
        try:
            r.choice(asked)()
            refused["done"] += 1
        except REFUSED as error:
            refused[type(error).__name__] += 1


def build(number: int, recordings: list[Recording], refused: Counter[str]) -> None:
    """One random build: spoilt, replayed as far as it goes, finished and run."""
    r = random.Random(number)
    title, calls = r.choice(recordings)
    calls = _spoilt(r, calls)
    dtype = np.dtype(title.removeprefix("Plan").lower())
    try:
        native = getattr(_native, title)(*calls[0][1])
        skip = r.random() < 0.7  # what was refused is left out, so that what follows is seen as well
        for name, arguments, options in calls[1:]:
            if name == "set_host":
                arguments = (lambda *asked: native.current_pass(),)
            try:
                getattr(native, name)(*arguments, **options)
            except REFUSED as error:
                refused[type(error).__name__] += 1
                if not skip:
                    raise
        _run(r, native, calls, dtype, refused)
    except REFUSED as error:
        refused[type(error).__name__] += 1
    else:
        refused["built"] += 1


def main(seed: int, count: int) -> None:
    faulthandler.enable()
    # Small maps run by Winograd as well.
    for name in vars(convolutions).copy():
        if name.startswith("WINOGRAD_"):
            setattr(convolutions, name, 1)
    recordings = recorded()
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM,) * 2)
    np.seterr(all="ignore")
    refused: Counter[str] = Counter()
    for number in range(seed, seed + count):
        print(number, end="\r", flush=True)  # the last one printed is the one that crashed
        build(number, recordings, refused)
    print(f"{count} builds: {dict(sorted(refused.items()))}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
