"""Numbers that no float holds, and counts that no array has: an error that names the argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.scalars import check_count, check_number
from chainrule.training import schedules

HUGE = 10**400

CALLS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda n: cr.SGD(n), "rate"),
    (lambda n: cr.SGD(0.1, clip_norm=n), "clip_norm"),
    (lambda n: cr.SGD(0.1, momentum=n), "momentum"),
    (lambda n: cr.Adam(beta1=n), "beta1"),
    (lambda n: cr.Adam(beta2=n), "beta2"),
    (lambda n: cr.Adam(epsilon=n), "epsilon"),
    (lambda n: cr.AdamW(weight_decay=n), "weight_decay"),
    (lambda n: cr.RMSProp(rho=n), "rho"),
    (lambda n: cr.CosineDecay(n), "rate"),
    (lambda n: cr.CosineDecay(0.1, floor=n), "floor"),
    (lambda n: cr.CosineDecay(0.1, epochs=n), "epochs"),
    (lambda n: cr.CosineDecay(0.1, warmup_epochs=n), "warmup_epochs"),
    (lambda n: cr.StepDecay(0.1, factor=n), "factor"),
    (lambda n: cr.StepDecay(0.1, every_epochs=n), "every_epochs"),
    (lambda n: cr.ExponentialDecay(0.1, n), "factor_per_epoch"),
    (lambda n: cr.L2(n), "lam"),
    (lambda n: cr.LeakyReLU(n), "slope"),
    (lambda n: cr.ELU(n), "alpha"),
    (lambda n: cr.Constant(n), "value"),
    (lambda n: cr.Normal(n), "std"),
    (lambda n: cr.Uniform(n), "limit"),
    (lambda n: cr.EarlyStopping(n), "patience"),
    (lambda n: cr.EarlyStopping(min_delta=n), "min_delta"),
    (lambda n: cr.Checkpoint("net.npz", every=n), "every"),
    (lambda n: cr.Dense(n), "units"),
    (lambda n: cr.Conv2D(n, 3), "filters"),
    (lambda n: cr.Conv2D(2, n), "kernel_size"),
    (lambda n: cr.Conv2D(2, (3, n)), r"kernel_size\[1\]"),
    (lambda n: cr.Conv2D(2, 3, stride=n), "stride"),
    (lambda n: cr.MaxPool2D(n), "window"),
    (lambda n: cr.AveragePool2D(2, stride=(n, 1)), r"stride\[0\]"),
]


@pytest.mark.parametrize(("call", "argument"), CALLS)
def test_an_integer_that_is_no_float_and_no_size(call: Callable[[Any], Any], argument: str) -> None:
    for digits, value in (("401", HUGE), ("5001", 10**5000)):  # Python prints no more than 4300 digits
        with pytest.raises(
            ValueError, match=f"{argument} must be .*received an integer of about {digits} dig"
        ):
            call(value)


@pytest.mark.parametrize("value", [2**31, 2**33])
def test_sizes_beyond_32_bits(value: int) -> None:
    for call in (cr.Dense, cr.MaxPool2D, lambda n: cr.Conv2D(2, n), lambda n: cr.Conv2D(2, 3, stride=n)):
        with pytest.raises(cr.ShapeError, match=f"at most [0-9]+, received {value}"):
            call(value)


def test_a_window_that_never_moves() -> None:
    """The largest stride there is: one window, whatever the image."""
    for layer in (
        cr.Conv2D(1, 2, stride=2**24),
        cr.MaxPool2D(2, stride=2**24),
        cr.AveragePool2D(2, stride=2**24),
    ):
        network = cr.Network([layer], input_shape=(5, 5, 1))
        step = network.backpropagate(np.ones((2, 5, 5, 1)), np.ones((2, 1, 1, 1)))
        assert np.count_nonzero(step.activations[network.layers[0].name]) == 2


def test_what_is_a_number_and_a_count() -> None:
    for value in (1, 0.5, np.float32(0.5), np.int64(3)):
        check_number("rate", value)
    for bad in (True, "1", None, float("nan"), float("inf"), -1.0, 0):
        with pytest.raises(ValueError, match="rate must be a number greater than 0, received"):
            check_number("rate", bad)  # type: ignore[arg-type]
    assert check_count("epochs", np.int32(3)) == 3
    with pytest.raises(ValueError, match=r"epochs must be .* at least 1, received 2\.0"):
        check_count("epochs", 2.0)  # type: ignore[arg-type]


def test_the_schedule_that_had_an_initializers_name() -> None:
    with pytest.raises(AttributeError, match=r"called ConstantRate.*chainrule\.Constant is an initializer"):
        schedules.Constant  # noqa: B018
    with pytest.raises(ImportError):
        from chainrule.training.schedules import Constant  # noqa: F401


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cr.L2(0.1, 5000), "L2 per_sample must be True or False, received 5000"),
        (lambda: cr.SquaredError(mean_outputs="mean"), "SquaredError mean_outputs must be True or False"),
        (lambda: cr.Poisson(log_input=3), "Poisson log_input must be True or False, received 3"),
        (lambda: cr.CrossEntropy(label_smoothing=2), "label_smoothing"),
        (lambda: cr.Dense(3, bias="no"), "Dense bias must be True or False, received 'no'"),
        (lambda: cr.Conv2D(3, 3, bias=None), "Conv2D bias must be True or False"),
        (lambda: cr.AveragePool2D(2, divisor=0), "divisor must be a number other than 0"),
        (lambda: cr.AveragePool1D(2, divisor="all"), "AveragePool1D divisor must be a finite number"),
        (lambda: cr.AveragePool2D(2, divisor=3, count_padding=True), "write it without count_padding=True"),
        (lambda: cr.AveragePool2D(2, count_padding="yes"), "AveragePool2D count_padding must be True"),
        (lambda: cr.LSTM(3, reverse=2), "LSTM reverse must be True or False, received 2"),
        (lambda: cr.MultiHeadAttention(2, causal="x"), "MultiHeadAttention causal must be True or False"),
        (lambda: cr.initializers.Constant(float("nan")), "value must be a finite number, received"),
    ],
)
def test_flags_are_true_or_false(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_flags_of_numpy_are_flags() -> None:
    assert cr.L2(0.1, per_sample=np.True_).per_sample  # type: ignore[arg-type]
    assert not cr.Dense(3, bias=np.False_).bias  # type: ignore[arg-type]
