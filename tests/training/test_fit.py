"""fit: what it computes, and what it leaves behind however it ends."""

from __future__ import annotations

import _thread
import gc
import threading
from typing import Any

import numpy as np
import pytest
from training_problems import blobs, classifier, regressor, same_bits, snapshot, train_by_formula

from chainrule.base.errors import DataError, NonFiniteError, PairError, ShapeError
from chainrule.data import Preparation
from chainrule.layers import Activation, Dense, Sigmoid, Softmax
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from chainrule.losses.penalties import L2
from chainrule.networks.network import Network
from chainrule.training.fit import fit
from chainrule.training.optimizers import SGD, Adam, AdamW, RMSProp
from chainrule.training.parts import random_stream
from chainrule.training.schedules import CosineDecay, ExponentialDecay, Schedule, StepDecay


def orders(count: int, epochs: int, seed: int = 0) -> list[np.ndarray]:
    rng = random_stream(seed, "order")
    return [rng.permutation(np.arange(count)) for _ in range(epochs)]


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        (SGD(0.1), {}),
        (SGD(CosineDecay(0.2, warmup_epochs=1), momentum=0.9), {}),
        (SGD(ExponentialDecay(0.1, 0.5), momentum=0.5, nesterov=True), {"penalty": L2(0.1)}),
        (SGD(0.5, clip_norm=0.05), {"penalty": L2(2.0, per_sample=True)}),
        (Adam(0.01, clip_norm=0.1), {"penalty": L2(0.5)}),
        (AdamW(StepDecay(0.02, 0.5, 1), weight_decay=0.3), {}),
        (Adam(0.02, epsilon=1e-2, early_epsilon=True), {}),
        (RMSProp(0.01), {}),
        (RMSProp(0.01, momentum=0.5), {"weighted": True}),
        (SGD(0.1, momentum=0.9), {"weighted": True, "penalty": L2(0.01)}),
    ],
)
def test_fit_is_the_formulas_step_by_step(optimizer: Any, options: dict[str, Any]) -> None:
    X, y = blobs(23)
    X = X.astype(np.float64)
    network = classifier(dtype="float64")
    penalty = options.get("penalty")
    weights = np.random.default_rng(5).uniform(0.1, 3.0, 23) if options.get("weighted") else None
    expected = train_by_formula(
        network, X, y, optimizer=optimizer, batch_size=5, orders=orders(23, 3), penalty=penalty,
        weights=None if weights is None else weights / weights.mean(),
    )  # fmt: skip
    fit(network, X, y, optimizer=optimizer, batch_size=5, epochs=3, penalty=penalty, sample_weight=weights)
    for name, array in network.parameters.items():
        # 15 steps of float64 rounding; RMSProp and Adam divide small gradients by their own size.
        np.testing.assert_allclose(array, expected[name], rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("loss", ["squared_error", "mse", SquaredError(mean_outputs=True), None])
def test_regression(loss: Any) -> None:
    X, _ = blobs(20)
    y = np.stack([X[:, 0] - X[:, 1], X[:, 2]], axis=1).astype(np.float64)
    network = regressor(dtype="float64")
    chosen = loss if isinstance(loss, SquaredError) else SquaredError()
    expected = train_by_formula(
        network, X, y, optimizer=SGD(0.01), batch_size=8, orders=orders(20, 2), loss=chosen
    )
    history = fit(network, X, y, loss=loss, optimizer=SGD(0.01), batch_size=8, epochs=2)
    assert history.accuracy == [None, None]
    for name, array in network.parameters.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-10, atol=1e-13, err_msg=name)


def test_it_learns_and_says_so() -> None:
    X, y = blobs(120)
    network = classifier()
    history = fit(
        network, X[:90], y[:90], epochs=20, validation=(X[90:], y[90:]), optimizer=SGD(0.1, momentum=0.9)
    )
    assert network.history is history
    assert history.epoch == list(range(1, 21))
    assert history.loss[-1] < 0.1 * history.loss[0]
    assert history.last.accuracy is not None
    assert history.last.accuracy > 0.95
    assert history.rate == [0.1] * 20
    assert min(history.seconds) > 0
    assert history.stopped is None
    assert history.last.validation_loss == pytest.approx(network.loss(X[90:], y[90:]), rel=1e-5)
    assert history.last.validation_accuracy == network.accuracy(X[90:], y[90:])


def test_class_labels_without_softmax_warn_of_squared_error() -> None:
    X, y = blobs(30)
    network = Network([Dense(3)], input_shape=4)
    advice = r"end the network in Softmax\(\).*pass loss=SquaredError\(\)"
    with pytest.warns(UserWarning, match=advice) as caught:
        history = fit(network, X, y, epochs=1, optimizer=SGD(0.1))
    assert caught[0].filename == __file__
    assert history.loss_function == SquaredError()
    assert history.optimizer == SGD(0.1)
    assert "; SquaredError(mean_outputs=False), SGD(" in repr(history).splitlines()[-1]
    fit(network, X, y, epochs=1, loss=SquaredError())  # warnings are errors here: it is meant
    fit(Network([Dense(1)], input_shape=4), X, y, epochs=1)  # regression


def test_labels_may_be_text_and_are_kept_by_the_network() -> None:
    X, y = blobs(30)
    names = np.array(["cat", "dog", "eel"])[y]
    network = classifier()
    fit(network, X, names, epochs=20, optimizer=SGD(0.1, momentum=0.9))
    assert network.classes is not None
    assert network.classes.tolist() == ["cat", "dog", "eel"]
    assert (network.classify(X) == names).mean() > 0.9


def test_binary_targets() -> None:
    X, y = blobs(40, classes=2)
    network = Network([Dense(1), Sigmoid()], input_shape=4, seed=0)
    history = fit(
        network, X, y.astype(np.float32), epochs=40, validation=0.25, optimizer=SGD(0.1, momentum=0.9)
    )
    assert history.last.accuracy == 1.0
    assert history.last.validation_accuracy == 1.0


def test_pixels_equal_their_floats() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 4), dtype=np.uint8)
    y = rng.integers(0, 3, 20)
    parameters = []
    for X in (pixels, (pixels / np.float32(255)).astype(np.float32)):
        network = classifier()
        if X is pixels:
            network.preparation = Preparation(inputs="pixels")
        fit(network, X, y, epochs=2, batch_size=8)
        parameters.append(snapshot(network))
    for name in parameters[0]:
        np.testing.assert_allclose(parameters[0][name], parameters[1][name], rtol=1e-5, atol=1e-6)


def test_a_batch_larger_than_the_data_is_one_smaller_batch() -> None:
    X, y = blobs(10)
    results = []
    for batch_size in (10, 1000):
        network = classifier()
        fit(network, X, y, batch_size=batch_size, epochs=3)
        results.append(snapshot(network))
    assert same_bits(*results)


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_same_seed_same_bits_for_any_number_of_threads(batch_size: int) -> None:
    from chainrule import engine

    before = engine.threads()
    X, y = blobs(70)
    results, losses = [], []
    for threads in (1, 2, 3, 4, None):
        network = classifier()
        history = fit(network, X, y, batch_size=batch_size, epochs=2, validation=0.2, threads=threads)
        results.append(snapshot(network))
        losses.append((history.loss, history.validation_loss))
    assert all(same_bits(results[0], other) for other in results[1:])
    assert all(other == losses[0] for other in losses[1:])
    assert engine.threads() == before


def test_seed_and_shuffle_decide_the_order() -> None:
    X, y = blobs(40)
    results = {}
    for options in ({"seed": 0}, {"seed": 1}, {"shuffle": False, "seed": 0}, {"shuffle": False, "seed": 1}):
        network = classifier()
        fit(network, X, y, epochs=1, batch_size=8, **options)  # type: ignore[arg-type]
        results[str(options)] = snapshot(network)
    first, second, third, fourth = results.values()
    assert not same_bits(first, second)
    assert not same_bits(first, third)
    assert same_bits(third, fourth)


def test_a_second_fit_continues_from_the_parameters_with_a_fresh_optimizer() -> None:
    X, y = blobs(40)

    def run(optimizer: SGD, *epochs: int) -> dict[str, np.ndarray]:
        network = classifier()
        for count in epochs:
            fit(network, X, y, optimizer=optimizer, epochs=count, shuffle=False)
        return snapshot(network)

    assert same_bits(run(SGD(0.1), 2), run(SGD(0.1), 1, 1))
    assert not same_bits(run(SGD(0.1, momentum=0.9), 2), run(SGD(0.1, momentum=0.9), 1, 1))


def test_sample_weights_are_ratios() -> None:
    X, y = blobs(24)
    weights = np.random.default_rng(1).integers(1, 5, 24).astype(np.float64)
    results = []
    for scale in (1.0, 8.0):  # a power of two: the same bits
        network = classifier()
        history = fit(network, X, y, sample_weight=scale * weights, epochs=2, validation=0.25)
        results.append(snapshot(network))
    assert same_bits(*results)
    unweighted = classifier()
    fit(unweighted, X, y, epochs=2, validation=0.25)
    assert not same_bits(results[0], snapshot(unweighted))
    assert history.last.validation_loss is not None


def test_validation_weights() -> None:
    X, y = blobs(30)
    weights = np.where(np.arange(10) == 3, 6.0, 0.0)
    network = classifier()
    history = fit(network, X[:20], y[:20], epochs=1, validation=(X[20:], y[20:], weights))
    alone = network.loss(X[23:24], y[23:24])
    assert history.last.validation_loss == pytest.approx(alone, rel=1e-5)


def test_validation_is_evaluated_in_pieces() -> None:
    X, y = blobs(2500)
    network = classifier()
    history = fit(network, X[:50], y[:50], epochs=1, validation=(X, y))
    assert history.last.validation_loss == pytest.approx(network.loss(X, y), rel=1e-5)
    assert history.last.validation_accuracy == pytest.approx(network.accuracy(X, y), abs=1e-12)


# -- wrong arguments


@pytest.mark.parametrize(
    ("keyword", "advice"),
    [
        ("lr", r"write optimizer=SGD\(0\.1\)"),
        ("learning_rate", r"write optimizer=SGD\(0\.1\)"),
        ("momentum", r"write optimizer=SGD\(0\.1, momentum=0\.9\)"),
        ("validation_data", r"write validation=\(X_val, y_val\)"),
        ("validation_split", r"write validation=0\.1"),
        ("verbose", "write progress=False, True or 'tqdm'"),
        ("n_epochs", "write epochs=10"),
        ("max_iter", "write epochs=10"),
        ("random_state", "write seed=0"),
        ("alpha", r"write penalty=L2\(1e-4\)"),
        ("weight_decay", r"write penalty=L2\(1e-4\)"),
        ("criterion", "write loss='cross_entropy'"),
        ("n_jobs", "write threads=2"),
        ("metrics", "write nothing: the accuracy is always measured"),
        ("epoch", "write epochs"),
        ("batch_sizes", "write batch_size"),
        ("qqq", "it takes network, X, y, loss, penalty"),
    ],
)
def test_keywords_of_other_libraries_are_answered(keyword: str, advice: str) -> None:
    X, y = blobs(6)
    with pytest.raises(TypeError, match=rf"fit\(\) has no argument '{keyword}'; {advice}"):
        # Of these the value decides: tests/test_foreign_values.py has the others.
        fit(classifier(), X, y, **{keyword: {"verbose": "auto", "metrics": ["accuracy"]}.get(keyword, 1)})


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"epochs": 0}, ValueError, "epochs must be a whole number of at least 1, received 0"),
        ({"epochs": 2.5}, ValueError, "epochs must be a whole number"),
        ({"batch_size": 0}, ValueError, "batch_size must be a whole number of at least 1"),
        ({"seed": -1}, ValueError, "seed must be a whole number of at least 0"),
        ({"seed": None}, ValueError, "seed must be a whole number"),
        ({"threads": 0}, ValueError, "threads must be"),
        ({"loss": "focal"}, ValueError, "loss 'focal' is unknown: write one of 'cross_entropy'"),
        ({"loss": CrossEntropy}, TypeError, "received the class CrossEntropy"),
        ({"loss": BinaryCrossEntropy()}, PairError, r"Sigmoid\(\)"),
        ({"loss": "binary_cross_entropy"}, PairError, r"Sigmoid\(\)"),
        ({"penalty": 1e-4}, TypeError, r"penalty must be L2\(1e-4\), .* or None"),
        ({"optimizer": "sdg"}, ValueError, "optimizer 'sdg' is unknown"),
        ({"optimizer": SGD(CosineDecay(0.1, warmup_epochs=9)), "epochs": 5}, ValueError, "leaves no epoch"),
        ({"validation": 1.5}, ValueError, "validation must be a number greater than 0 and less than 1"),
        ({"validation": True}, TypeError, r"validation must be \(X_val, y_val\)"),
        ({"validation": np.zeros((3, 4))}, TypeError, "received ndarray"),
        ({"validation": (1, 2, 3, 4)}, ValueError, "received 4 parts"),
        ({"validation": (np.zeros((3, 5)), ["a", "b", "c"])}, ShapeError, "validation X"),
        ({"validation": (np.zeros((3, 4)), ["a", "b"])}, DataError, "validation y"),
        ({"validation": (np.zeros((1, 4)), ["b"], [0.0])}, DataError, "weight"),
        ({"sample_weight": np.zeros(6)}, DataError, "weight"),
        ({"early_stopping": "5"}, TypeError, "early_stopping must be a number of epochs to wait"),
        ({"early_stopping": True}, TypeError, "received True"),
        ({"early_stopping": 5}, ValueError, "needs validation data: give fit validation=0.1"),
        ({"callbacks": 5}, TypeError, "callbacks takes functions"),
        ({"progress": "bar"}, ValueError, "progress must be"),
    ],
)
def test_wrong_arguments_change_nothing(options: dict[str, Any], error: type[Exception], words: str) -> None:
    X, y = blobs(6)
    network = classifier()
    before = snapshot(network)
    with pytest.raises(error, match=words):
        fit(network, X, np.array(["a", "b", "c"])[y], **{"epochs": 2, **options})
    assert same_bits(before, snapshot(network))
    assert network.history is None
    assert network.classes is None


def test_arguments_in_the_order_of_scikit_learn() -> None:
    X, y = blobs(6)
    with pytest.raises(TypeError, match=r"fit takes the network first, fit\(network, X, y\): received nd"):
        fit(X, y, classifier())  # type: ignore[arg-type]


def test_a_schedule_of_ones_own_is_checked() -> None:
    class Wrong(Schedule):
        def rates(self, first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> np.ndarray:
            return np.full(steps, -1.0)

    X, y = blobs(6)
    with pytest.raises(ValueError, match=r"must give 1 finite rates >= 0 for epoch 1, it gave \[-1\.\]"):
        fit(classifier(), X, y, optimizer=SGD(Wrong(0.1)))


# -- ends


class Counting(Activation):
    """The identity, on the host; does something when its forward pass is run for the n-th time."""

    def __init__(self, act: Any = None, at: int = 0, name: str | None = None) -> None:
        self.act, self.at, self.name = act, at, name

    def f(self, z: Any) -> Any:
        z = np.asarray(z)  # not a formula: it must run in every step
        count = calls[id(calls)] = calls.get(id(calls), 0) + 1
        if count == self.at:
            self.act()
        return z

    def df(self, z: Any) -> Any:
        return 0 * z + 1.0


calls: dict[int, int] = {}


def interrupt() -> None:
    raise KeyboardInterrupt


def counted(act: Any = None, at: int = 0) -> Network:
    calls.clear()
    return Network([Dense(5), Counting(act, at), Dense(3), Softmax()], input_shape=4, seed=3)


def test_interrupt_leaves_the_parameters_of_the_last_whole_step() -> None:
    X, y = blobs(12)
    whole = counted()
    fit(whole, X[:8], y[:8], batch_size=4, epochs=1, shuffle=False, optimizer=SGD(0.1))
    network = counted(interrupt, at=3)  # in the third step of the first epoch
    with pytest.raises(KeyboardInterrupt):
        fit(network, X, y, batch_size=4, epochs=5, shuffle=False, optimizer=SGD(0.1))
    assert same_bits(snapshot(whole), snapshot(network))
    assert len(network.history) == 0
    assert network.history.stopped.startswith("interrupted in epoch 1")


def test_interrupt_keeps_the_finished_epochs() -> None:
    X, y = blobs(12)
    network = counted(interrupt, at=8)
    with pytest.raises(KeyboardInterrupt):
        fit(network, X, y, batch_size=4, epochs=5)
    assert network.history.epoch == [1, 2]
    assert network.history.stopped.startswith("interrupted in epoch 3")
    fit(network, X, y, epochs=1)  # usable
    assert network.history.stopped is None


def test_ctrl_c_during_native_epochs() -> None:
    X, y = blobs(3000)
    network = classifier()
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        fit(network, X, y, epochs=10**6, optimizer=SGD(0.001))
    timer.join()
    assert network.history.stopped.startswith("interrupted")
    assert len(network.history) < 10**6
    assert np.isfinite(network.predict(X)).all()
    assert not same_bits(snapshot(classifier()), snapshot(network))


def test_an_error_in_a_layer_keeps_the_last_step_too() -> None:
    def fail() -> None:
        raise ZeroDivisionError("my layer")

    X, y = blobs(12)
    network = counted(fail, at=2)
    before = snapshot(network)
    with pytest.raises(ZeroDivisionError, match="my layer"):
        fit(network, X, y, batch_size=4, epochs=5)
    assert not same_bits(before, snapshot(network))
    assert network.history.stopped.startswith("ZeroDivisionError in epoch 1")


@pytest.mark.parametrize("rate", [1e12, 1e38])
def test_divergence_names_the_place_and_leaves_finite_parameters(rate: float) -> None:
    X, _ = blobs(40)
    y = np.stack([X[:, 0] - X[:, 1], X[:, 2]], axis=1)
    network = regressor()
    with pytest.raises(NonFiniteError) as caught:
        fit(network, X, y, optimizer=SGD(rate), batch_size=8, epochs=2)
    text = str(caught.value)
    assert "in epoch 1, step " in text
    assert " of 5, first in " in text
    assert any(name in text for name in ("dense1", "relu1", "dense2", "the loss"))
    assert f"Lower the rate (it was {rate:g}, try 0.1), clip the gradients (clip_norm=1.0)" in text
    assert all(np.isfinite(array).all() for array in network.parameters.values())
    assert network.history.stopped.startswith("NonFiniteError in epoch 1")


def test_progress_lines_are_written_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    X, y = blobs(30)
    fit(classifier(), X, y, epochs=2, validation=0.2, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("epoch 2/2  loss ")
    assert "validation loss" in err
    fit(classifier(), X, y, epochs=2)
    assert capsys.readouterr().err == ""


def test_squared_error_on_labels_reports_an_accuracy() -> None:
    X, y = blobs(90)
    network = Network([Dense(3), Sigmoid()], input_shape=4, seed=0)
    history = fit(network, X, y, loss="squared_error", epochs=30, validation=(X, y), optimizer=SGD(1.0))
    assert history.last.validation_accuracy == pytest.approx(network.accuracy(X, y))
    assert history.last.validation_accuracy > 0.9


def test_shuffle_is_a_bool_and_patience_without_validation_is_answered() -> None:
    X, y = blobs(12)
    with pytest.raises(TypeError, match="shuffle must be True or False, received 'yes'"):
        fit(classifier(), X, y, shuffle="yes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"or write EarlyStopping\(3, monitor='loss'\)"):
        fit(classifier(), X, y, early_stopping=3)


def test_a_fit_leaves_no_circles() -> None:
    """What lies in one lives on until Python looks for it: the plan's memory, the data in another type."""
    X, y = blobs(12)
    gc.collect()
    gc.disable()
    try:
        fit(classifier(), X, y, epochs=2, validation=(X, y), progress=False)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = {type(it).__name__ for it in gc.garbage if type(it).__module__.startswith("chainrule")}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left
