"""Predictions keep the parameters where the kernels read them, and are never made with old ones."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ArgumentError
from chainrule.engine.executor import NativeExecutor
from chainrule.engine.plan import Plan

X = np.random.default_rng(0).standard_normal((5, 9)).astype("float32")


def _network(**options: Any) -> cr.Network:
    return cr.Network([cr.Dense(17), cr.LeakyReLU(0.1), cr.Dense(3)], input_shape=9, seed=0, **options)


def _fresh(network: cr.Network) -> Any:
    return Plan(network, batch_size=len(X)).predict(X)


def _copies(monkeypatch: pytest.MonkeyPatch, network: cr.Network, call: Callable[[], object]) -> int:
    """How many parameters are copied into an arena by a call."""
    count = 0
    parameters = type(network.parameters)
    real = parameters.copied

    def counted(self: Any, name: str, copy: Any) -> None:
        nonlocal count
        count += 1
        real(self, name, copy)

    with monkeypatch.context() as patched:
        patched.setattr(parameters, "copied", counted)
        call()
    return count


def test_parameters_that_nobody_touches_are_copied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = _network()
    assert _copies(monkeypatch, network, lambda: network.predict(X)) == 4
    for _ in range(3):
        assert _copies(monkeypatch, network, lambda: network.predict(X)) == 0
        assert _copies(monkeypatch, network, lambda: network.classify(X)) == 0
    assert _copies(monkeypatch, network, lambda: network.predict(X[:1])) == 4  # another plan
    assert _copies(monkeypatch, network, lambda: network.predict(X[:1])) == 0


def test_what_is_held_is_copied_again_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    network = _network()
    network.predict(X)
    W = network.parameters["dense1.W"]
    assert _copies(monkeypatch, network, lambda: network.predict(X)) == 4  # somebody has looked
    assert _copies(monkeypatch, network, lambda: network.predict(X)) == 1
    row = W[0]
    del W
    assert _copies(monkeypatch, network, lambda: network.predict(X)) == 1  # by a view
    del row
    assert (
        _copies(monkeypatch, network, lambda: network.predict(X)) == 1
    )  # once more: it may have changed until now
    assert _copies(monkeypatch, network, lambda: network.predict(X)) == 0


def _assign(network: cr.Network, kept: dict[str, Any]) -> None:
    network.parameters["dense1.W"] = network.parameters["dense1.W"] * 2


def _update(network: cr.Network, kept: dict[str, Any]) -> None:
    network.set_parameters({"dense2.b": np.ones(3)})


def _in_place(network: cr.Network, kept: dict[str, Any]) -> None:
    network.parameters["dense1.b"] += 1


def _held(network: cr.Network, kept: dict[str, Any]) -> None:
    kept["W"][...] *= 1.5


def _view(network: cr.Network, kept: dict[str, Any]) -> None:
    kept["row"][0] += 1


def _buffer(network: cr.Network, kept: dict[str, Any]) -> None:
    kept["buffer"][0, 0] = 3.0


def _within(network: cr.Network, kept: dict[str, Any]) -> None:
    network.layer_parameters("dense2")["W"].flat[0] += 1


def _values(network: cr.Network, kept: dict[str, Any]) -> None:
    for array in network.parameters.values():
        array *= 0.5


def _thread(network: cr.Network, kept: dict[str, Any]) -> None:
    thread = threading.Thread(target=_in_place, args=(network, kept))
    thread.start()
    thread.join()


def _fitted(network: cr.Network, kept: dict[str, Any]) -> None:
    cr.fit(network, X, np.ones((5, 3), "float32"), loss=cr.SquaredError(), epochs=1, progress=False)


def _drawn(network: cr.Network, kept: dict[str, Any]) -> None:
    network.reinitialise(5)


def _flat(network: cr.Network, kept: dict[str, Any]) -> None:
    network.set_flat_parameters(np.arange(network.count_parameters()) / 100)


def _attribute(network: cr.Network, kept: dict[str, Any]) -> None:
    network.layers[1].slope = 0.7


CHANGES = [
    _assign,
    _update,
    _in_place,
    _held,
    _view,
    _buffer,
    _within,
    _values,
    _thread,
    _fitted,
    _drawn,
    _flat,
]


@pytest.mark.parametrize("change", [*CHANGES, _attribute], ids=lambda change: change.__name__.strip("_"))
@pytest.mark.parametrize("holding", [False, True])
def test_a_change_is_in_the_next_prediction(change: Callable[..., None], holding: bool) -> None:
    network, kept = _network(), {}
    if holding or change in (_held, _view, _buffer):
        W = network.parameters["dense1.W"]
        kept = {"W": W, "row": W[3], "buffer": memoryview(W.data)}
        if change is not _held:
            del kept["W"]
        del W
    before = network.predict(X)
    for _ in range(2):
        change(network, kept)
        after = network.predict(X)
        np.testing.assert_array_equal(after, _fresh(network))
        np.testing.assert_array_equal(network.predict(X[2:3]), after[2:3])
        np.testing.assert_array_equal(network.activations(X, "dense2"), after)
    assert not np.array_equal(before, after)


def test_memory_that_is_another_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pickle can make arrays of buffers that somebody else has, and no reference tells."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(_network(), protocol=5, buffer_callback=buffers.append)
    memory = [bytearray(buffer) for buffer in buffers]
    assert memory, "NumPy hands its arrays over out of band"
    network = pickle.loads(data, buffers=memory)
    before = network.predict(X)
    for part in memory:
        part[:] = np.frombuffer(part, "float32").__mul__(2).tobytes()
    after = network.predict(X)
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, _fresh(network))


@pytest.mark.parametrize(
    "made", [copy.copy, copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))]
)
def test_copies(made: Callable[[cr.Network], cr.Network]) -> None:
    network = _network()
    before = network.predict(X)
    other = made(network)
    np.testing.assert_array_equal(other.predict(X), before)
    other.parameters["dense1.b"] += 1
    np.testing.assert_array_equal(other.predict(X), _fresh(other))
    np.testing.assert_array_equal(network.predict(X), _fresh(network))


def test_threads_predict_at_once_and_keep_their_plans() -> None:
    """Four threads on one network while a fifth changes it: every answer is that of some state it had."""
    network = _network()
    states = [network.parameters["dense2.b"] + shift for shift in range(4)]
    answers = []
    for state in states:
        network.parameters["dense2.b"] = state
        answers.append(network.predict(X))
    wrong: list[Any] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            seen = network.predict(X)
            if not any(np.array_equal(seen, answer) for answer in answers):
                wrong.append(seen)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(200):
        network.parameters["dense2.b"] = states[turn % 4]
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    executor = network.executor()
    assert isinstance(executor, NativeExecutor)
    network.parameters["dense2.b"] = states[0]
    np.testing.assert_array_equal(network.predict(X), answers[0])


# -- the short way ---------------------------------------------------------------------------------------


def test_the_short_way_says_what_the_long_way_says() -> None:
    network = _network()
    expected = network.predict(X)
    np.testing.assert_array_equal(network.predict(X), expected)
    for other in (X.astype("float64"), X.tolist(), np.asfortranarray(X), X[::-1][::-1]):
        np.testing.assert_array_equal(network.predict(other), expected)
    for wrong, message in (
        (X[:, :8], "shape"),
        (X[0], "shape"),
        (X[:0], "empty"),
        (np.where(X > 1, np.nan, X), "NaN"),
        (np.where(X > 1, np.inf, X), "inf"),
        (X.astype(complex), "complex"),
    ):
        with pytest.raises(cr.DataError if message != "shape" else cr.ShapeError, match=message):
            network.predict(wrong)
    with pytest.raises(ArgumentError, match="allow_nonfinite"):
        network.predict(X, allow_nonfinite="no")  # type: ignore[arg-type]


def test_a_number_beyond_the_range_is_still_refused() -> None:
    network = _network()
    network.predict(X)
    network.set_parameters({"dense1.W": np.full((17, 9), 3e38)})
    with pytest.raises(cr.NonFiniteError):
        network.predict(np.abs(X))
    hidden = cr.Network([cr.Dense(2), cr.Sigmoid()], input_shape=2)
    hidden.set_parameters({"dense1.W": np.full((2, 2), 3e38)})
    for _ in range(2):
        with pytest.raises(cr.NonFiniteError, match="beyond the range"):
            hidden.predict(np.ones((1, 2), "float32"))


def test_preparations_on_the_short_way() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), dtype=np.uint8)
    layers = [cr.Flatten(), cr.Dense(2)]
    network = cr.Network(layers, input_shape=(4, 4, 1), preparation="pixels")
    plain = network.copy()
    plain.preparation = None
    expected = plain.predict((images / 255).astype("float32"))
    for _ in range(2):
        np.testing.assert_allclose(network.predict(images), expected, rtol=1e-5, atol=1e-6)
        with pytest.raises(cr.DataError, match="divided"):
            network.predict((images / 255).astype("float32"))
    y = np.arange(6.0)[:, None] * 100
    scaled = cr.Network(
        [cr.Dense(1)], input_shape=2, preparation=cr.Preparation(targets=cr.data.Standardizer.learn(y))
    )
    rows = np.ones((3, 2), "float32")
    first = scaled.predict(rows)
    np.testing.assert_array_equal(scaled.predict(rows), first)
    assert first.dtype == np.float64
    trained = cr.Network(layers, input_shape=(4, 4, 1))
    trained.preparation = cr.Preparation(inputs=cr.data.preparation.scales.Numbers(0.0, 1.0))
    trained.predict((images / 255).astype("float32"))
    with pytest.raises(cr.DataError, match="pixels"):
        trained.predict(images.astype("float32"))


def test_a_plan_that_predicts_has_no_gradients() -> None:
    plan = Plan(_network(), batch_size=3)
    with pytest.raises(ValueError, match="built to predict"):
        plan._native.get_gradient(0, np.empty((17, 9), "float32"))
    assert plan._native.arena_bytes < Plan(_network(), cr.SquaredError(), batch_size=3)._native.arena_bytes
