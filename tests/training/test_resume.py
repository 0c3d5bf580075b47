"""Training that goes on: two fits are one, bit for bit, when the second is given the history of the first."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from training_problems import blobs, classifier, regressor, same_bits, snapshot

import chainrule as cr
from chainrule.training.progress import TerminalProgress

OPTIMIZERS: list[Any] = [
    None,
    cr.SGD(0.1),
    cr.SGD(cr.CosineDecay(0.1, epochs=5, warmup_epochs=1), momentum=0.9, nesterov=True),
    cr.Adam(cr.StepDecay(0.01, 0.5, 2), clip_norm=0.5),
    cr.AdamW(0.01),
    cr.RMSProp(0.01, momentum=0.5),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_fits_are_one(optimizer: Any, dtype: str) -> None:
    X, y = blobs(50)
    options = {
        "batch_size": 8, "seed": 3, "validation": 0.2, "penalty": cr.L2(0.01), "optimizer": optimizer,
        "sample_weight": np.linspace(0.5, 2, 50),
    }  # fmt: skip
    once, twice = classifier(dtype=dtype), classifier(dtype=dtype)
    whole = cr.fit(once, X, y, epochs=5, **options)
    first = cr.fit(twice, X, y, epochs=2, **options)
    second = cr.fit(twice, X, y, epochs=3, resume=first, **options)
    assert same_bits(twice.parameters, once.parameters)
    assert second.epoch == [1, 2, 3, 4, 5]
    for column in ("loss", "accuracy", "validation_loss", "validation_accuracy", "rate"):
        assert second.column(column) == whole.column(column)
    assert first.epoch == [1, 2]  # left as it was
    assert twice.history is second


def test_without_resume_the_second_fit_starts_afresh() -> None:
    X, y = blobs(50)
    once, twice = classifier(), classifier()
    cr.fit(once, X, y, epochs=4)
    cr.fit(twice, X, y, epochs=2)
    cr.fit(twice, X, y, epochs=2)
    assert not same_bits(twice.parameters, once.parameters)


def test_the_optimizer_of_the_first_fit_goes_on_unless_told() -> None:
    X, y = blobs(30)
    network = classifier()
    history = cr.fit(network, X, y, epochs=1, optimizer=cr.SGD(0.03, momentum=0.5), shuffle=False)
    assert cr.fit(network, X, y, epochs=1, resume=history).optimizer == cr.SGD(0.03, momentum=0.5)
    slower = cr.fit(network, X, y, epochs=1, resume=history, optimizer=cr.SGD(0.01, momentum=0.5))
    assert slower.rate == [0.03, 0.01]


def test_callbacks_and_progress_see_all_epochs() -> None:
    X, y = blobs(30)
    network, seen = classifier(), []
    history = cr.fit(network, X, y, epochs=2)
    stream = io.StringIO()
    cr.fit(
        network, X, y, epochs=2, resume=history, progress=TerminalProgress(stream),
        callbacks=[lambda context: seen.append((context.epoch, context.epochs))],
    )  # fmt: skip
    assert seen == [(3, 4), (4, 4)]
    assert "epoch 3/4" in stream.getvalue()


def test_an_interrupted_fit_goes_on_from_its_last_whole_step() -> None:
    X, y = blobs(30)
    network = classifier()

    def interrupt(context: Any) -> None:
        if context.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cr.fit(network, X, y, epochs=4, callbacks=interrupt)
    assert cr.fit(network, X, y, epochs=2, resume=network.history).epoch == [1, 2, 3, 4]
    whole = classifier()
    cr.fit(whole, X, y, epochs=4)
    assert same_bits(network.parameters, whole.parameters)


def test_what_cannot_be_resumed() -> None:
    X, y = blobs(30)
    network = classifier()
    history = cr.fit(network, X, y, epochs=1)
    before = snapshot(network)
    for wrong, error, message in (
        (3, TypeError, "resume must be the history that fit returned, received 3"),
        (True, TypeError, "resume must be the history"),
        (cr.History(), ValueError, "resume holds no state of an optimizer"),
    ):
        with pytest.raises(error, match=message):
            cr.fit(network, X, y, resume=wrong)
    with pytest.raises(ValueError, match="does not fit this network and Adam"):
        cr.fit(regressor(), X, X[:, :2], resume=history)
    with pytest.raises(ValueError, match=r"another network or optimizer: it has first/dense1\.W"):
        cr.fit(network, X, y, resume=history, optimizer=cr.SGD())
    with pytest.raises(cr.NonFiniteError):
        cr.fit(network, X, y, optimizer=cr.SGD(1e38))
    with pytest.raises(ValueError, match="of a fit that ended in NaN, has none"):
        cr.fit(network, X, y, resume=network.history)
    network.set_parameters(before)
    with pytest.raises(TypeError, match="resume=history goes on with the optimizer's moments"):
        cr.fit(network, X, y, warm_start=True)


@pytest.mark.parametrize("optimizer", OPTIMIZERS[2:])
@pytest.mark.parametrize("patience", [1, 2, 3])
def test_after_early_stopping_it_goes_on_from_the_epoch_whose_parameters_were_given_back(
    optimizer: Any, patience: int
) -> None:
    """Bit for bit what a fit of that many epochs, resumed, would have become; dropout's numbers as well."""
    X, y = blobs(60)
    noise = np.random.default_rng(0).permutation(y)

    def net() -> cr.Network:
        return cr.Network([cr.Dense(7), cr.Tanh(), cr.Dropout(0.2), cr.Dense(3), cr.Softmax()], input_shape=4)

    options: dict[str, Any] = {"batch_size": 8, "seed": 3, "validation": 0.3, "optimizer": optimizer}
    stopped, short = net(), net()
    history = cr.fit(stopped, X, noise, epochs=30, early_stopping=patience, **options)
    best = history.best.epoch
    assert history.restored_epoch == best
    assert len(history) == (best + patience if history.stopped else 30)
    plain = cr.fit(short, X, noise, epochs=best, **options)
    assert same_bits(stopped.parameters, short.parameters)
    assert history.optimizer_state is not None
    assert plain.optimizer_state is not None
    assert history.optimizer_state["steps"] == plain.optimizer_state["steps"]
    for key, array in plain.optimizer_state.items():
        assert np.array_equal(array, history.optimizer_state[key])
    ahead, behind = (
        cr.fit(net_, X, noise, epochs=2, resume=one, **options)
        for net_, one in ((stopped, history), (short, plain))
    )
    assert same_bits(stopped.parameters, short.parameters)
    assert ahead.epoch == behind.epoch == list(range(1, best + 3))
    assert ahead.loss == behind.loss
    assert ahead.restored_epoch is None


def test_early_stopping_that_keeps_the_last_parameters_resumes_from_the_last() -> None:
    X, y = blobs(60)
    noise = np.random.default_rng(0).permutation(y)
    stopping = cr.EarlyStopping(2, restore_best=False)
    own, whole = classifier(), classifier()
    options: dict[str, Any] = {"validation": 0.3, "optimizer": cr.SGD(0.5, momentum=0.9)}
    history = cr.fit(own, X, noise, epochs=50, early_stopping=stopping, **options)
    assert history.restored_epoch is None
    cr.fit(own, X, noise, epochs=2, resume=history, **options)
    cr.fit(whole, X, noise, epochs=len(history) + 2, **options)
    assert same_bits(own.parameters, whole.parameters)


@pytest.mark.parametrize("ends", [KeyboardInterrupt, RuntimeError, cr.NonFiniteError])
def test_an_end_by_an_error_leaves_the_best_epoch_to_go_on_from(ends: type[BaseException]) -> None:
    X, y = blobs(60)
    noise = np.random.default_rng(0).permutation(y)

    def end(context: Any) -> None:
        if context.epoch == 6:
            if ends is not cr.NonFiniteError:
                raise ends
            context.network.parameters["dense2.W"] = np.full((3, 7), 3e38)

    own, short = classifier(), classifier()
    options: dict[str, Any] = {"validation": 0.3, "optimizer": cr.SGD(1.0, momentum=0.9)}
    with pytest.raises(ends):
        cr.fit(own, X, noise, epochs=9, early_stopping=20, callbacks=end, **options)
    best = own.history.restored_epoch
    assert best == own.history.best.epoch <= 6
    plain = cr.fit(short, X, noise, epochs=best, **options)
    assert same_bits(own.parameters, short.parameters)
    for network, history in ((own, own.history), (short, plain)):
        cr.fit(network, X, noise, epochs=2, resume=history, **options)
    assert same_bits(own.parameters, short.parameters)
