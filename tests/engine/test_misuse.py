"""What can be asked wrongly of the native plan: an error that says what is wrong, never a crash or a
silent copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import _native
from chainrule.engine import Plan
from tests.engine.harness import LEVELS, same_bits

X, Y = np.ones((6, 4), np.float32), np.ones((6, 2), np.float32)
LABELS = np.array([0, 1, 0, 1, 1, 1])
LEVEL = LEVELS[0]
HALO = (0, 0, 0, 0)


def network() -> cr.Network:
    return cr.Network([cr.Dense(3), cr.ReLU(), cr.Dense(2)], input_shape=4)


def plan(**options: Any) -> Plan:
    given = {"loss": cr.SquaredError(), "optimizer": cr.SGD(), "batch_size": 4, **options}
    return Plan(network(), **given)


def empty(*shape: int) -> Any:
    return np.empty(shape, np.float32)


def train(p: Plan, **changes: Any) -> Any:
    given = {
        "x": X,
        "scale": 1.0,
        "targets": Y,
        "weights": None,
        "order": np.arange(6),
        "rates": np.ones(2),
        "poll": None,
    }
    return p._native.train_epoch(**{**given, **changes})


Call = Callable[[Plan], Any]
ARRAYS: list[tuple[Call, type[Exception], str]] = [
    (lambda p: train(p, decays=np.ones(3)), ValueError, "one decay and one factor"),
    (lambda p: train(p, decays=np.array([1.0, np.inf])), ValueError, "must be finite"),
    (lambda p: train(p, decays=np.array([1.0, -1.0])), ValueError, "at least 0"),
    (lambda p: train(p, dropouts=np.ones(1)), ValueError, "one decay and one factor"),
    (lambda p: train(p, dropouts=np.array([1.0, 1.5])), ValueError, "from 0 to 1"),
    (lambda p: train(p, dropouts=np.array([np.nan, 1.0])), ValueError, "from 0 to 1"),
    (lambda p: p.predict(X[:, :3]), ValueError, "features"),
    (lambda p: p.predict(np.ones((6, 5))), ValueError, "features"),
    (
        lambda p: p._native.predict(X.astype(np.float64), 1.0, p._built.output, empty(6, 2)),
        TypeError,
        "dtype or be uint8",
    ),
    (
        lambda p: p._native.predict(X.astype(np.int8), 1.0, p._built.output, empty(6, 2)),
        TypeError,
        "dtype or be uint8",
    ),
    (
        lambda p: p._native.predict(np.array(3, np.float32), 1.0, p._built.output, empty(1, 2)),
        ValueError,
        "features",
    ),
    (lambda p: p._native.predict(X, 1.0, p._built.output, empty(5, 2)), ValueError, "elements"),
    (lambda p: p._native.predict(X, 1.0, p._built.output, empty(12, 2)[::2]), TypeError, "incompatible"),
    (lambda p: p._native.predict(X, 1.0, p._built.output, np.empty((6, 2))), TypeError, "incompatible"),
    (
        lambda p: p._native.predict(X, 1.0, p._built.output, np.broadcast_to(np.float32(1), (6, 2))),
        TypeError,
        "incompatible",
    ),
    (lambda p: p.evaluate(X, Y[:5]), ValueError, "targets"),
    (lambda p: p.evaluate(X, Y[:, :1]), ValueError, "targets"),
    (lambda p: p.evaluate(X, Y, np.ones(5)), ValueError, "weights"),
    (lambda p: p.evaluate(X, np.zeros(5, np.int64)), ValueError, "labels"),
    (
        lambda p: p._native.evaluate(X, 1.0, Y.astype(np.float64), None, False),
        TypeError,
        "int64 labels or have the plan's",
    ),
    (lambda p: p.gradients(X, Y), ValueError, "batch size"),
    (lambda p: train(p, order=np.array([0, 6])), IndexError, "order"),
    (lambda p: train(p, order=np.array([-1])), IndexError, "order"),
    (lambda p: train(p, order=np.array([2**40])), IndexError, "order"),
    (lambda p: train(p, rates=np.ones(1)), ValueError, "rate"),
    (lambda p: train(p, rates=np.ones(3)), ValueError, "rate"),
    (lambda p: train(p, rates=np.empty(0)), ValueError, "rate"),
    (lambda p: train(p, weights=np.ones(7)), ValueError, "weights"),
    (lambda p: train(p, weights=np.ones((6, 2))), ValueError, "or for every sample and output"),
    (lambda p: train(p, before=[1.0, 2.0]), ValueError, "sums of this plan are 4, .* received 2"),
    (lambda p: train(p, before=np.ones(7).tolist()), ValueError, "sums of this plan are 4, .* received 7"),
    (lambda p: train(p, targets=Y[:5]), ValueError, "targets"),
    (lambda p: train(p, order=None), TypeError, "incompatible"),
    (lambda p: p.evaluate(X, LABELS + 1), ValueError, "class numbers must be from 0 to 1, received 2"),
    (lambda p: p.gradients(X[:4], LABELS[:4] - 1), ValueError, "from 0 to 1, received -1"),
    (lambda p: train(p, targets=LABELS + 2**40), ValueError, "from 0 to 1, received 1099511627776"),
    (lambda p: p.evaluate(X[:0], Y[:0]), ValueError, "at least one sample"),
    (lambda p: p.gradients(X[:0], LABELS[:0]), ValueError, "at least one sample"),
    (lambda p: train(p, order=np.arange(0), rates=np.ones(0)), ValueError, "at least one is needed"),
]

NUMBERS: list[tuple[Call, type[Exception], str]] = [
    *(
        (lambda p, i=i: p._native.get_parameter(i, empty(2)), IndexError, "no such parameter")
        for i in (99, 4, -1)
    ),
    (lambda p: p._native.set_parameter(99, empty(2)), IndexError, "no such parameter"),
    (lambda p: p._native.get_gradient(99, empty(2)), IndexError, "no such parameter"),
    (lambda p: p._native.set_gradient(-1, empty(2)), IndexError, "no such parameter"),
    (lambda p: p._native.get_parameter(0, empty(11)), ValueError, "elements"),
    (lambda p: p._native.get_parameter(0, empty(6, 4)[::2]), TypeError, "incompatible"),
    (lambda p: p._native.set_parameter(0, empty(13)), ValueError, "elements"),
    (lambda p: p._native.get_state(0, 2, empty(12)), IndexError, "slots"),
    (lambda p: p._native.set_state(0, -1, empty(12)), IndexError, "slots"),
    (lambda p: p._native.get_state(9, 0, empty(12)), IndexError, "no such parameter"),
    *(
        (lambda p, i=i: p._native.read_value(i, False, empty(1, 2)), IndexError, "no such value")
        for i in (99, -1)
    ),
    (lambda p: p._native.read_value(0, True, empty(1, 4)), ValueError, "keeps no δ"),
    (lambda p: p._native.write_value(0, True, empty(1, 4)), ValueError, "keeps no δ"),
    (lambda p: p._native.read_value(0, False, empty(5, 4)), ValueError, "batch size"),
    (lambda p: p._native.read_value(0, False, empty(0, 4)), ValueError, "one sample"),
    (lambda p: p._native.write_value(0, False, empty(1, 5)), ValueError, "fit"),
    (lambda p: p._native.predict(X, 1.0, 99, empty(6, 2)), IndexError, "no such value"),
    (lambda p: p._native.read_batch(0, empty(5, 2), np.empty(5)), ValueError, "batch size"),
    (lambda p: p._native.read_batch(0, empty(1, 2), np.empty(2)), ValueError, "elements"),
    (lambda p: p._native.set_losses(0, np.empty(5)), ValueError, "loss"),
    (lambda p: p._native.finish(), ValueError, "finished already"),
    (lambda p: p._native.set_decay_factor(0, 1.0), ValueError, "finished already"),
    (lambda p: p._native.add_slice(0, 1, 0), ValueError, "finished already"),
    (lambda p: p._native.set_rate_factor(0, 1.0), ValueError, "finished already"),
    (lambda p: plan(rate_factors={"dense3.W": 1.0}), ValueError, "names no parameter 'dense3.W'"),
    (lambda p: plan(rate_factors={"dense1.W": -1.0}), ValueError, "at least 0, received -1"),
    (lambda p: plan(rate_factors=[1.0]), TypeError, "must be a dict"),
]


@pytest.mark.parametrize(
    ("number", "factor", "error"),
    [(0, -1.0, ValueError), (0, np.nan, ValueError), (0, np.inf, ValueError), (-1, 1.0, IndexError)],
)
def test_a_factor_that_is_none_is_refused(number: int, factor: float, error: type[Exception]) -> None:
    native = _native.PlanFloat32(LEVEL, 4)
    native.add_parameter(3, 0, 0, False, True)
    native.set_rate_factor(0, 0.5)
    with pytest.raises(error):
        native.set_rate_factor(number, factor)


@pytest.mark.parametrize(("call", "error", "message"), ARRAYS + NUMBERS)
def test_wrong_arguments_are_told_and_change_nothing(
    call: Call, error: type[Exception], message: str
) -> None:
    used = plan()
    with pytest.raises(error, match=message):
        call(used)
    assert same_bits(used.parameters(), plan().parameters())
    loss, gradients = used.gradients(X[:4], Y[:4])
    expected, others = plan().gradients(X[:4], Y[:4])
    assert loss == expected
    assert same_bits(gradients, others)


def test_a_plan_without_a_loss_or_an_optimizer_says_so() -> None:
    only_predicts, labels = Plan(network(), batch_size=4), np.zeros(6, np.int64)
    for call in (
        lambda: only_predicts.evaluate(X, Y),
        lambda: only_predicts.gradients(X[:4], Y[:4]),
        lambda: train(only_predicts),
        lambda: train(only_predicts, targets=labels),
        lambda: only_predicts._native.evaluate(X, 1.0, labels, None, False),
        lambda: only_predicts._native.read_batch(0, empty(2, 2), np.empty(2)),
        lambda: only_predicts._native.set_losses(0, np.ones(2)),
    ):
        with pytest.raises(ValueError, match="no loss"):
            call()
    with pytest.raises(ValueError, match="no optimizer"):
        plan(optimizer=None).train_epoch(X, Y, np.arange(6), np.ones(2))
    with pytest.raises(ValueError, match="keep=True"):
        plan().inspect(X, Y)


def test_a_plan_in_building_cannot_run() -> None:
    built = _native.PlanFloat32(LEVEL, 4)
    built.add_value(1, 1, 4, HALO, False, HALO)
    for call in (
        lambda: built.predict(X, 1.0, 0, empty(6, 4)),
        lambda: built.evaluate(X, 1.0, Y, None, False),
        lambda: built.read_value(0, False, empty(1, 4)),
        lambda: built.first_nonfinite(False),
        lambda: built.first_nonfinite_parameter(False),
        lambda: built.first_at_rest(),
        lambda: built.get_parameter(0, empty(1)),
    ):
        with pytest.raises(ValueError, match="finished"):
            call()
    built.add_dense(0, 7, 3, -1)  # a value and a parameter that do not exist
    with pytest.raises(IndexError):
        built.finish()


HUGE: list[tuple[int, tuple[int, int, int]]] = [
    (1, (2**20, 2**20, 1)),
    (1, (2**31 - 1, 2**31 - 1, 2**31 - 1)),
    (2**24, (2**14, 2**15, 1)),
    (2**20, (2**13, 2**13, 1)),
    (2**24, (1, 1, 2**30)),
]


@pytest.mark.parametrize(("batch", "shape"), HUGE)
@pytest.mark.parametrize("cls", [_native.PlanFloat32, _native.PlanFloat64])
def test_what_cannot_be_allocated_is_an_error(cls: Any, batch: int, shape: tuple[int, int, int]) -> None:
    def build() -> None:
        built = cls(LEVEL, batch)
        built.add_value(*shape, HALO, True, HALO)
        built.finish()

    with pytest.raises((ValueError, MemoryError)):
        build()


def test_sizes_that_overflow_are_errors() -> None:
    built = _native.PlanFloat32(LEVEL, 4)
    built.add_parameter(2**62, 2**31, 2**31, True, True)
    with pytest.raises((ValueError, MemoryError)):
        built.finish()
    for shape in ((0, 1, 1), (1, -1, 1), (1, 1, 0)):
        with pytest.raises(ValueError, match="at least one entry"):
            _native.PlanFloat32(LEVEL, 4).add_value(*shape, HALO, False, HALO)
    for batch in (2**24 + 1, 2**31, 2**40, 10**5000):
        with pytest.raises(
            ValueError, match="batch_size must be a whole number of at least 1, at most 16777216"
        ):
            plan(batch_size=batch)
    for batch in (0, -1, 2.5, "4", None, True):
        with pytest.raises(ValueError, match=r"batch_size must be a whole number of at least 1, received"):
            plan(batch_size=batch)
    with pytest.raises(ValueError, match="batch_size must be between 1 and"):
        _native.PlanFloat32(LEVEL, 2**24 + 1)
    for shape in (2**31, 2**40, (2**16, 2**16, 1)):
        with pytest.raises(cr.ShapeError, match="more than 1073741824 numbers per sample"):
            Plan(cr.Network([cr.ReLU()], input_shape=shape))
    with pytest.raises((ValueError, MemoryError)):  # the sum of size and halo is beyond 32 bits
        _native.PlanFloat32(LEVEL, 4).add_value(2**30, 1, 1, (2**30, 2**30, 0, 0), False, HALO)


TOO_SMALL_OR_LARGE: list[tuple[dict[str, Any], cr.Layer, str]] = [
    ({"optimizer": cr.Adam(epsilon=1e-60)}, cr.ReLU(), "an epsilon of 1e-60 becomes 0 in float32"),
    ({"optimizer": cr.RMSProp(epsilon=1e-60)}, cr.ReLU(), "an epsilon of 1e-60 becomes 0 in float32"),
    (
        {"optimizer": cr.AdamW(weight_decay=1e60)},
        cr.ReLU(),
        r"a weight decay of 1e\+60 becomes inf in float32",
    ),
    ({"penalty": cr.L2(1e60)}, cr.ReLU(), r"a penalty of 1e\+60 becomes inf in float32"),
    ({}, cr.LeakyReLU(1e300), r"a slope of 1e\+300 becomes inf in float32"),
    ({"keep": True}, cr.LeakyReLU(-1e300), r"a slope of -1e\+300 becomes -inf in float32"),
]


@pytest.mark.parametrize(("options", "layer", "message"), TOO_SMALL_OR_LARGE)
def test_numbers_that_float32_does_not_hold(options: Any, layer: cr.Layer, message: str) -> None:
    network = cr.Network([cr.Dense(3), layer, cr.Dense(2)], input_shape=4, dtype="float64")
    given = {"loss": cr.SquaredError(), "optimizer": cr.SGD(), **options}
    with pytest.raises(ValueError, match=message + "; write dtype='float64'"):
        Plan(network, dtype="float32", **given)
    Plan(network, **given)


def test_options_that_do_not_exist() -> None:
    for call, message in (
        (lambda: plan(level="x86-64-v9"), "ISA level 'x86-64-v9' cannot run here; choose one of"),
        (lambda: plan(dtype="float16"), "dtype must be 'float32' or 'float64', received 'float16'"),
        (lambda: plan(penalty=cr.L2(1.0, per_sample=True)), "training_size"),
        (lambda: _native.lanes("nothing"), "ISA level"),
        (lambda: _native.set_threads(0), "between 1 and 256"),
        (lambda: _native.set_threads(257), "between 1 and 256"),
    ):
        with pytest.raises(ValueError, match=message):
            call()

    class Own(cr.Penalty):
        pass

    class Strange(cr.SGD):
        kind = "strange"

    with pytest.raises(TypeError, match="L2"):
        plan(penalty=Own())
    with pytest.raises(TypeError, match="SGD, Adam, AdamW, NAdam, RAdam, Lion, LAMB"):
        plan(optimizer=Strange())
    with pytest.raises(TypeError, match="RMSProp, Adagrad and Adadelta, received 3"):
        plan(optimizer=3)
    with pytest.raises(TypeError, match=r"loss must be an object such as CrossEntropy\(\), received 3"):
        plan(loss=3)


def test_class_numbers_for_a_loss_of_ones_own() -> None:
    class Own(cr.SquaredError):
        pass

    for labels in (LABELS - 1, LABELS + 1):
        with pytest.raises(ValueError, match="class numbers must be from 0 to 1, received"):
            plan(loss=Own()).evaluate(X, labels)
