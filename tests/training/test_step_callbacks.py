"""Callbacks between steps: they see every step, change parameters or stop, and watching changes no bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from training_problems import Array, blobs, same_bits, snapshot

import chainrule as cr
from chainrule.training.callbacks import Context

OPTIMIZERS = [
    cr.SGD(cr.CosineDecay(0.1, warmup_epochs=1), momentum=0.9),
    cr.Adam(cr.ExponentialDecay(0.01, 0.5), clip_norm=0.5),
    cr.RMSProp(0.01, momentum=0.5, clip_norm=1.0),
]


def network(seed: int = 0, dtype: str = "float32") -> cr.Network:
    layers = [cr.Dense(6), cr.BatchNorm(), cr.ReLU(), cr.Dropout(0.4), cr.Dense(3), cr.Softmax()]
    return cr.Network(layers, input_shape=4, seed=seed, dtype=dtype)


class Watch(cr.Callback):
    def __init__(self, every: int = 1) -> None:
        self.every_steps = every
        self.seen: list[tuple[int, int, int, float, float | None]] = []
        self.parameters: list[dict[str, Array]] = []

    def on_step_end(self, context: Context) -> None:
        self.seen.append((context.epoch, context.step, context.steps, context.loss, context.accuracy))
        self.parameters.append(snapshot(context.network))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("every", "threads"), [(1, 1), (1, 2), (3, 2), (7, None)])
def test_watching_changes_no_bit(optimizer: Any, dtype: str, every: int, threads: int | None) -> None:
    X, y = blobs(50)
    options: dict[str, Any] = {
        "batch_size": 8, "epochs": 3, "seed": 3, "validation": 0.2, "penalty": cr.L2(0.01),
        "optimizer": optimizer, "sample_weight": np.linspace(0.5, 2, len(X)), "constraint": cr.MaxNorm(2.0),
    }  # fmt: skip
    plain, watched, watch = network(dtype=dtype), network(dtype=dtype), Watch(every)
    whole = cr.fit(plain, X, y, **options, threads=1)
    same = cr.fit(watched, X, y, **options, threads=threads, callbacks=watch)
    assert same_bits(plain.parameters, watched.parameters)
    for column in ("epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "rate"):
        assert same.column(column) == whole.column(column)
    steps = -(-round(len(X) * 0.8) // 8)  # the last of an epoch is a smaller batch, or not
    due = [n for n in range(1, 3 * steps + 1) if n % every == 0]
    assert [(epoch * steps + step, count) for epoch, step, count, *_ in watch.seen] == [
        (n, steps) for n in due
    ]
    state = whole.optimizer_state
    assert state is not None
    assert state.keys() == same.optimizer_state.keys()  # type: ignore[union-attr]
    assert all(np.array_equal(state[key], same.optimizer_state[key]) for key in state)  # type: ignore[index]


def test_the_last_step_of_an_epoch_has_its_means() -> None:
    X, y = blobs(50)
    watch = Watch()
    history = cr.fit(network(), X, y, epochs=4, batch_size=9, callbacks=watch)
    last = {epoch: (loss, accuracy) for epoch, _, _, loss, accuracy in watch.seen}
    assert list(last.values()) == list(zip(history.loss, history.accuracy, strict=True))


def test_the_parameters_after_a_step_are_those_of_a_fit_that_ends_there() -> None:
    X, y = blobs(40)
    watch = Watch()
    cr.fit(network(), X, y, epochs=1, batch_size=8, shuffle=False, callbacks=watch)
    for steps in range(1, 6):
        by_hand = network()
        plan = cr.Plan(by_hand, cr.CrossEntropy(), None, cr.Adam(1e-3), batch_size=8)
        plan.set_seed(0)
        plan.train_epoch(X.astype("float32"), y, np.arange(8 * steps), np.full(steps, 1e-3))
        plan.store()
        assert same_bits(by_hand.parameters, watch.parameters[steps - 1])


@pytest.mark.parametrize("stop_at", range(1, 13))
def test_stopping_ends_after_the_step_and_training_goes_on_from_there(stop_at: int) -> None:
    X, y = blobs(40)

    class Stop(Watch):
        def on_step_end(self, context: Context) -> None:
            super().on_step_end(context)
            if len(self.seen) == stop_at:
                context.stop("enough")

    own, stop = network(), Stop()
    history = cr.fit(own, X, y, epochs=3, batch_size=10, callbacks=stop)
    assert len(stop.seen) == stop_at
    assert (history.stopped, len(history)) == ("enough", stop_at // 4)
    assert same_bits(own.parameters, stop.parameters[-1])
    assert history.optimizer_state is not None
    assert history.optimizer_state["steps"] == stop_at
    assert len(cr.fit(own, X, y, epochs=1, batch_size=10, resume=history)) == stop_at // 4 + 1


def test_a_callback_may_change_the_parameters_after_a_step() -> None:
    X, y = blobs(40)

    class Zero(cr.Callback):
        def on_step_end(self, context: Context) -> None:
            values = {name: np.zeros_like(array) for name, array in context.network.parameters.items()}
            context.network.set_parameters({**values, "batchnorm1.gamma": np.ones(6)})

    own = network()
    history = cr.fit(own, X, y, epochs=2, batch_size=10, callbacks=Zero())
    assert not any(array.any() for name, array in own.parameters.items() if name != "batchnorm1.gamma")
    assert history.loss[1] == pytest.approx(np.log(3), rel=1e-6)  # every class as likely, at every step


def test_a_network_may_be_asked_trained_and_saved_between_steps(tmp_path: Any) -> None:
    X, y = blobs(40)

    class Ask(cr.Callback):
        def on_step_end(self, context: Context) -> None:
            context.network.predict(X)
            context.network.backpropagate(X[:5], y[:5])
            cr.fit(context.network.copy(), X, y, epochs=1, batch_size=20)
            context.network.save(tmp_path / "net.npz")

    plain, asked = network(), network()
    cr.fit(plain, X, y, epochs=2, batch_size=10)
    cr.fit(asked, X, y, epochs=2, batch_size=10, callbacks=Ask())
    assert same_bits(plain.parameters, asked.parameters)
    assert same_bits(cr.load(tmp_path / "net.npz").parameters, plain.parameters)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_in_a_step_leaves_that_step(error: type[BaseException]) -> None:
    X, y = blobs(40)

    class Fail(Watch):
        def on_step_end(self, context: Context) -> None:
            super().on_step_end(context)
            if len(self.seen) == 6:
                raise error("mine")

    own, fail = network(), Fail()
    with pytest.raises(error, match="mine"):
        cr.fit(own, X, y, epochs=3, batch_size=10, callbacks=fail)
    assert same_bits(own.parameters, fail.parameters[-1])
    assert own.history.epoch == [1]
    assert own.history.stopped.endswith("in epoch 2, near step 2 of 4")


def test_a_step_that_overflows_names_what_is_kept() -> None:
    X, y = blobs(40)

    class Watching(cr.Callback):
        def on_step_end(self, context: Context) -> None:
            if context.step == 2:
                context.network.parameters["dense2.W"] = np.full((3, 6), 3e38)

    with pytest.raises(cr.NonFiniteError, match=r"epoch 1, step 3 of 4"):
        cr.fit(network(), X, y, epochs=1, batch_size=10, optimizer=cr.SGD(0.1), callbacks=Watching())


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "1"])
def test_how_often_is_a_number_of_steps(every: Any) -> None:
    X, y = blobs(20)
    with pytest.raises(ValueError, match="every_steps must be a whole number of at least 1"):
        cr.fit(network(), X, y, callbacks=Watch(every))


# -- methods that are never called

FOREIGN = {
    "on_fit_begin": ["on_train_begin", "on_fit_start", "before_fit", "on_train_start"],
    "on_fit_end": ["on_train_end", "after_fit"],
    "on_step_end": ["on_batch_end", "on_train_batch_end", "after_batch", "on_step_ends", "on_stepend"],
    "on_epoch_end": ["after_epoch", "on_validation_end", "on_train_epoch_end", "on_epoch_ends"],
    "no call before an epoch": ["on_epoch_begin", "on_epoch_start", "before_epoch"],
    "no call before a step": ["on_batch_begin", "on_train_batch_begin", "before_batch"],
    "no call in predictions": ["on_predict_begin"],
    "context.network is the network": ["set_model"],
    "it calls on_fit_begin, on_step_end, on_epoch_end, on_fit_end": ["on_something", "on_loss"],
}


@pytest.mark.parametrize(
    ("named", "method"), [(key, name) for key, several in FOREIGN.items() for name in several]
)
def test_a_method_that_fit_never_calls_is_refused_before_training(named: str, method: str) -> None:
    X, y = blobs(20)
    kind = type("Mine", (cr.Callback,), {method: lambda self, *args: None})
    own = network()
    before = snapshot(own)
    with pytest.raises(TypeError, match=f"fit calls no {method} of a callback, as Mine has one") as caught:
        cr.fit(own, X, y, callbacks=[kind()])
    assert named in str(caught.value)
    assert same_bits(before, own.parameters)


@pytest.mark.parametrize(
    "method",
    [lambda self, epoch, logs=None: None, lambda self, epoch, logs: None, lambda self: None,
     lambda self, *, context: None, lambda self, context, logs=None: None],
)  # fmt: skip
@pytest.mark.parametrize("name", ["on_epoch_end", "on_step_end", "on_fit_begin", "on_fit_end"])
def test_a_method_with_other_arguments_is_refused_before_training(name: str, method: Any) -> None:
    X, y = blobs(20)
    kind = type("Mine", (cr.Callback,), {name: method})
    with pytest.raises(TypeError, match=rf"write def {name}\(self, context\) in Mine"):
        cr.fit(network(), X, y, callbacks=[kind()])


def test_what_is_a_callback_but_for_its_base_is_told_so() -> None:
    X, y = blobs(20)

    class Keras:
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None: ...

    with pytest.raises(TypeError, match=r"write class Keras\(chainrule.Callback\)"):
        cr.fit(network(), X, y, callbacks=[Keras()])  # type: ignore[list-item]


def test_attributes_and_methods_of_ones_own_are_no_concern_of_fit() -> None:
    X, y = blobs(20)

    class Mine(cr.Callback):
        on_paper = "yes"

        def helper(self, a: int, b: int) -> int:
            return a + b

        def on_epoch_end(self, context: Context, weight: float = 1.0) -> None:
            self.sum = self.helper(1, 2)

    mine = Mine()
    cr.fit(network(), X, y, epochs=1, callbacks=mine)
    assert mine.sum == 3


def test_steps_of_batches_that_come_one_by_one_are_watched_too() -> None:
    X, y = blobs(50)
    parts = [(X[start : start + 8], y[start : start + 8]) for start in range(0, 50, 8)]
    watch, plain, arrays = Watch(2), network(), network()
    batched = cr.fit(plain, parts, epochs=2, callbacks=watch)
    other = Watch(2)
    whole = cr.fit(arrays, X, y, epochs=2, batch_size=8, shuffle=False, callbacks=other)
    assert same_bits(plain.parameters, arrays.parameters)
    assert watch.seen == other.seen
    assert len(watch.seen) == 7
    assert batched.loss == whole.loss
    unwatched = network()
    cr.fit(unwatched, parts, epochs=2)
    assert same_bits(plain.parameters, unwatched.parameters)
