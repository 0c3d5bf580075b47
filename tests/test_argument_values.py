"""Whatever value an argument is given: the object works, or an error of chainrule's own says what is allowed.

Every argument of every public class is given every value of VALUES in place of a right one; what is accepted
must also predict, backpropagate or train, or be refused there. The functions get a seeded part of them.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ArgumentError, describe
from chainrule.data import Standardizer
from tests.public_classes import CLASSES, LAYERS, OTHERS, arguments

HUGE = 10**400
VALUES: list[Any] = [
    *(True, False, None, "x", "", b"2", float("nan"), float("inf"), -1, 0, 1, 2),
    *(HUGE, 10**5000, -HUGE, 1e300, -1e300, 1e-300, 1e-46, 1e39, 2**31, 2**62, 0.5, 1.5),
    *(np.float32(0.5), np.float64(2.0), np.int64(2), np.uint8(2), np.True_, np.longdouble(2)),
    *(np.array(2), np.array(0.5), np.array([1, 2]), [1], (2, 2), [], [None], {}, {1: 2}, (2**62, 2**62)),
    *(2 + 1j, Fraction(1, 2), Decimal("0.5"), object(), type, np.ma.masked),
]

X = np.random.default_rng(0).standard_normal((6, 3))
Y = np.abs(np.random.default_rng(1).standard_normal((6, 2)))


def refused(call: Callable[[], Any], asked: str) -> Any:
    """What the call returns, or None where it ends in an error that chainrule raises in words."""
    try:
        return call()
    except (cr.ChainruleError, ValueError, TypeError, IndexError) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        if "chainrule" in last.filename and (last.line or "").startswith("raise") and len(str(error)) < 600:
            return None
        raise AssertionError(f"{asked}: {error} ({last.filename}:{last.lineno})") from error
    except Exception as error:
        raise AssertionError(f"{asked}: {type(error).__name__}: {error}") from error


def small(**options: Any) -> cr.Network:
    return cr.Network([cr.Dense(2, **options)], input_shape=3)


def run_layer(layer: cr.Layer, shape: tuple[int, ...]) -> None:
    network = cr.Network([layer], input_shape=shape)
    inputs = np.full((3, *shape), 0.0 if network.vocabulary else 0.5)
    y = np.zeros((3, *network.output_shape))
    y[..., 0] = 1
    network.backpropagate(inputs, y)
    network.predict(inputs)


def run_loss(loss: cr.Loss) -> None:
    y: Any = Y
    if isinstance(loss, (cr.CrossEntropy, cr.CategoricalHinge)):
        y = [0, 1, 0, 1, 0, 1]
    elif isinstance(loss, (cr.BinaryCrossEntropy, cr.Hinge)):
        y = (Y > 1).astype(int)
    network = cr.Network([cr.Dense(2), *([loss.output()] if loss.output else [])], input_shape=3)
    network.loss(X, y, loss=loss)
    network.backpropagate(X, y, loss=loss)


def train(made: Any) -> None:
    """Two epochs with an optimizer, a schedule, a penalty, a constraint or a callback."""
    options: dict[str, Any] = {"callbacks": [made]}
    for kind, name in ((cr.Optimizer, "optimizer"), (cr.Penalty, "penalty"), (cr.MaxNorm, "constraint")):
        if isinstance(made, kind):
            options = {name: made}
    if isinstance(made, cr.Schedule):
        options = {"optimizer": cr.SGD(made)}
    cr.fit(small(), X, Y, epochs=2, batch_size=3, validation=0.4, progress=False, **options)


def use(made: Any, shape: tuple[int, ...]) -> None:
    if isinstance(made, cr.Layer):
        run_layer(made, shape)
    elif isinstance(made, cr.Loss):
        run_loss(made)
    elif isinstance(made, cr.Initializer):
        small(initializer=made).predict(X)
    else:
        train(made)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_uses_every_value_rightly_or_refuses_it_in_words(name: str) -> None:
    cls = getattr(cr, name)
    right, shape = LAYERS.get(name, (OTHERS.get(name, {}), (4,)))
    for argument in arguments(cls):
        for value in VALUES:
            given = {**right, argument: value}
            asked = f"{name}({argument}={describe(value)})"
            made = refused(lambda given=given: cls(**given), asked)  # type: ignore[misc]
            if made is not None:
                refused(lambda made=made: use(made, shape), f"{asked}, used")  # type: ignore[misc]


FUNCTIONS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "Network": (cr.Network, {"layers": [cr.Dense(2)], "input_shape": 3}),
    "fit": (cr.fit, {"network": small, "X": X, "y": Y, "epochs": 1, "progress": False}),
    "fit_full_batch": (
        cr.fit_full_batch,
        {"network": small, "X": X, "y": Y, "iterations": 1, "progress": False},
    ),
    "check_gradients": (cr.check_gradients, {"net": small, "X": X[:2], "y": Y[:2], "entries": 1}),
    "check_layer": (cr.check_layer, {"layer": cr.Dense(2), "input_shape": 3, "entries": 1}),
    "explain": (cr.explain, {"net": small, "X": X[:2], "y": Y[:2], "check": False}),
    "diagnose": (cr.diagnose, {"network": small, "X": X, "y": Y}),
    "Plan": (cr.Plan, {"network": small}),
    "predict": (cr.Network.predict, {"self": small, "X": X}),
    "classify": (cr.Network.classify, {"self": small, "X": X}),
    "accuracy": (cr.Network.accuracy, {"self": small, "X": X, "y": [0, 1, 0, 1, 0, 1]}),
    "loss": (cr.Network.loss, {"self": small, "X": X, "y": Y}),
    "backpropagate": (cr.Network.backpropagate, {"self": small, "X": X, "y": Y}),
    "reinitialise": (cr.Network.reinitialise, {"self": small}),
    "copy": (cr.Network.copy, {"self": small}),
    "set_parameters": (cr.Network.set_parameters, {"self": small, "values": {}}),
    "flat_parameters": (cr.Network.flat_parameters, {"self": small}),
    "set_flat_parameters": (cr.Network.set_flat_parameters, {"self": small, "vector": np.ones(8)}),
    "set_theta": (cr.Network.set_theta, {"self": small, "values": [np.ones((2, 4))]}),
    "from_theta": (cr.Network.from_theta, {"values": [np.ones((2, 3))]}),
    "split": (cr.data.split, {"X": X, "y": Y}),
    "Standardizer.from_json": (Standardizer.from_json, {"stored": {"mean": [0], "scale": [1]}}),
    "set_threads": (cr.set_threads, {"count": 1}),
}
LONG = ("epochs", "iterations")  # which would take the number of 2**31 at its word


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_uses_every_value_rightly_or_refuses_it_in_words(name: str) -> None:
    function, right = FUNCTIONS[name]
    chosen = np.random.default_rng(list(name.encode()))
    threads = cr.threads()
    for argument in arguments(function):
        for place in chosen.permutation(len(VALUES))[: len(VALUES) // 2]:
            value = VALUES[place]
            if argument == "self" or (argument in LONG and isinstance(value, int) and value > 2):
                continue
            given = {**right, argument: value}
            given = {key: small() if one is small else one for key, one in given.items()}
            refused(lambda given=given: function(**given), f"{name}({argument}={describe(value)})")  # type: ignore[misc]
    cr.set_threads(threads)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: run_layer(cr.LeakyReLU(1e300), (3,)),
            r"slope=1e\+300\): a slope of 1e\+300 becomes inf in flo",
        ),
        (lambda: run_layer(cr.BatchNorm(epsilon=1e-60), (3,)), "an epsilon of 1e-60 becomes 0 in float32"),
        (lambda: run_layer(cr.ELU(1e300), (3,)), r"an alpha of 1e\+300 becomes inf in float32"),
        (lambda: train(cr.Adam(epsilon=1e-300)), "Adam.*: an epsilon of 1e-300 becomes 0 in float32"),
        (lambda: train(cr.L2(1e300)), r"L2\(lam=1e\+300.*: a penalty of 1e\+300 becomes inf in float32"),
        (lambda: train(cr.MaxNorm(1e300)), r"a max-norm of 1e\+300 becomes inf"),
        (
            lambda: cr.diagnose(small(), X, Y, thresholds=7),
            "thresholds must be a dict of dicts .* received 7",
        ),
        (lambda: cr.diagnose(small(), X, Y, thresholds={"exploding": 7}), "received 7 for 'exploding'"),
        (
            lambda: cr.fit(small(), X, [0, 1] * 3, class_weight={0: HUGE}),
            "class_weight of 0 must be finite .* 401",
        ),
        (
            lambda: Standardizer.from_json({"mean": [HUGE], "scale": [1]}),
            "mean and scale must be as many numbers",
        ),
    ],
)
def test_what_is_refused_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(cr.ChainruleError, match=message):
        make()


def test_float64_holds_what_the_message_says_it_holds() -> None:
    for layer in (cr.LeakyReLU(1e300), cr.BatchNorm(epsilon=1e-60), cr.ELU(1e300)):
        network = cr.Network([layer], input_shape=3, dtype="float64")
        assert np.isfinite(network.predict(X)).all()
        with pytest.raises(cr.ChainruleError, match="write dtype='float64' in Network"):
            network.copy(dtype="float32").predict(X)


@pytest.mark.parametrize(
    "layer", [cr.LeakyReLU(1e300), cr.LeakyReLU(10**300), cr.PReLU(1e300), cr.LayerNorm(epsilon=1e-60)]
)
def test_a_network_that_its_dtype_does_not_hold_is_not_built(layer: cr.Layer) -> None:
    with pytest.raises(ArgumentError, match="in float32; write dtype='float64' in Network, or --precision"):
        cr.Network([cr.Dense(2), cr.Residual([layer])], input_shape=3)
    cr.Network([cr.Dense(2), cr.Residual([layer])], input_shape=3, dtype="float64")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: small(initializer=cr.initializers.Normal(HUGE)),
            "Normal std .* integer of about 401 digits",
        ),
        (lambda: cr.L1(float("inf")), "L1 lam must be a number at least 0, received inf"),
        (lambda: cr.LeakyReLU(float("nan")), "LeakyReLU slope must be a finite number, received nan"),
        (lambda: cr.CrossEntropy(label_smoothing=1), "label_smoothing must be .* less than 1, received 1"),
        (lambda: cr.SGD(nesterov=True), "nesterov=True needs momentum"),
        (lambda: cr.fit(small(), X, Y, loss="nonsense"), "loss 'nonsense' is unknown"),
        (lambda: cr.fit(small(), X, Y, optimizer="nonsense"), "optimizer 'nonsense' is unknown"),
        (lambda: cr.fit(small(), X, Y, optimizer="n" * 60), f"optimizer '{'n' * 60}' is unknown"),
        (lambda: cr.explain(small(), X, Y, sample="best"), "sample must be 'worst' or .* received 'best'"),
        (lambda: cr.explain(small(), X, Y, notation="greek"), "notation must be .* received 'greek'"),
        (lambda: cr.diagnose(small(), X, Y, thresholds={"a": {}}), "thresholds has no rule 'a'"),
        (lambda: cr.fit_full_batch(small(), X, Y, method="Newton"), "method must be .* received 'Newton'"),
    ],
)
def test_arguments_of_one_kind_are_refused_by_one_kind_of_error(
    make: Callable[[], Any], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_numpy_numbers_of_an_initializer_become_json() -> None:
    made = cr.initializers.Normal(np.float32(0.5))
    assert json.dumps(made.config()) == '{"initializer": "Normal", "std": 0.5}'


def test_a_long_text_is_quoted_by_its_ends() -> None:
    text = "layers/" + "x" * 60
    assert describe(text) == repr(text)
    assert describe("a" * 10**6).startswith("'aaaa")
    assert len(describe("a" * 10**6)) <= 90
    assert describe(b"a" * 50) == repr(b"a" * 50)
    assert "\x1b" not in describe("\x1b" + "y" * 50)
    with pytest.raises(ArgumentError, match=r"mode must be .* received 'per_sample, then"):
        small().backpropagate(X, Y, mode="per_sample, then the sum of all of them together")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: cr.Network([cr.ReLU()], input_shape=[10**9, 10**9]),
            r"its output of shape \(1,000,000,000, 1,0.* EB",
        ),
        (
            lambda: cr.Network([cr.Dense(2**31 - 1)], input_shape=2**31),
            r"parameter W of shape .* takes 18.4 EB",
        ),
        (
            lambda: cr.Network([cr.Dense(2)], input_shape=HUGE),
            r"shape \(2, 10\^400\) takes at least 10\^400 bytes",
        ),
        (lambda: cr.Network([cr.Embedding(2**24, 2**31 - 1)], input_shape=2), "parameter .* takes .* PB"),
        (lambda: cr.Network([cr.Conv2D(2**24, 2**12)], input_shape=(2**13, 2**13, 3)), "takes .* [PE]B"),
        (lambda: cr.check_layer(cr.ReLU(), 3, samples=2**50), "a batch of .* takes .* PB"),
    ],
)
def test_sizes_beyond_any_memory_are_refused_before_they_are_asked_for(
    make: Callable[[], Any], message: str
) -> None:
    with pytest.raises(cr.ShapeError, match=message) as caught:
        make()
    assert "check the sizes of the layers and of input_shape" in str(caught.value)


def test_what_does_not_fit_into_the_memory_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(cr.Zeros, "__call__", full)
    with pytest.raises(cr.ShapeError, match="a network of 8 parameters does not fit into the memory that is"):
        small(initializer="zeros")


def test_labels_as_bytes_are_read_as_text_or_refused_with_what_to_write(tmp_path: Path) -> None:
    path = tmp_path / "labels.npz"
    np.savez(path, X=X, y=np.array(["ä".encode(), b"b"] * 3))
    labels = cr.data.load_npz(path)[1]
    assert labels is not None
    assert labels.tolist() == ["ä", "b"] * 3
    np.savez(path, X=X, y=np.array([b"\xff", b"b"] * 3))
    with pytest.raises(cr.FileError, match="'y' holds bytes that are no UTF-8 text"):
        cr.data.load_npz(path)
    network = cr.Network([cr.Dense(2), cr.Softmax()], input_shape=3)
    y = np.array(["ä".encode(), b"b"] * 3)
    with pytest.raises(cr.DataError, match=r"write y\.astype\(str\), or numpy\.char\.decode\(y, 'utf-8'\)"):
        cr.fit(network, X, y, progress=False)
    cr.fit(network, X, np.char.decode(y, "utf-8"), epochs=1, progress=False)  # as the message says
