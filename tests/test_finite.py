"""Finite inputs that overflow are refused wherever numbers come out; allow_nonfinite=True gives them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.data import Standardizer
from chainrule.networks.finite import check_output
from chainrule.networks.step import Step
from chainrule.reference import ReferenceExecutor

X = np.array([[0.5, -1.0], [0.0, 0.0], [3e38, 3e38], [1.0, 2.0], [3e38, -3e38]])
LABELS = [0, 1, 2, 0, 1]

Call = Callable[..., Any]
DOORS: dict[str, Call] = {
    "predict": lambda net, y, **options: net.predict(X, **options),
    "classify": lambda net, y, **options: net.classify(X, **options),
    "activations": lambda net, y, **options: net.activations(X, **options),
    "accuracy": lambda net, y, **options: net.accuracy(X, LABELS, **options),
    "loss": lambda net, y, **options: net.loss(X, y, **options),
    "backpropagate": lambda net, y, **options: net.backpropagate(X, y, **options),
    "per_sample": lambda net, y, **options: net.backpropagate(X, y, mode="per_sample", **options),
    "per_sample_norms": lambda net, y, **options: seen(net, y).per_sample_norms(**options),
    "per_sample_gradients": lambda net, y, **options: seen(net, y).per_sample_gradients(**options),
}
_METHODS = ("predict", "classify", "activations", "accuracy", "loss", "backpropagate")


def seen(net: cr.Network, y: Any) -> Step:
    return net.backpropagate(X, y, allow_nonfinite=True)


def network(*last: cr.Layer, dtype: str = "float32") -> cr.Network:
    net = cr.Network([cr.Dense(4, name="wide"), cr.Dense(3), *last], input_shape=2, dtype=dtype)
    net.set_parameters({"wide.W": np.full((4, 2), 2.0), "dense1.W": np.ones((3, 4))})
    return net


@pytest.mark.parametrize("ending", ["softmax", "numbers"])
@pytest.mark.parametrize("door", DOORS)
def test_what_overflows_is_refused_at_every_door(door: str, ending: str) -> None:
    net = network(*[cr.Softmax()] * (ending == "softmax"))
    y = LABELS if ending == "softmax" else np.ones((5, 3))
    with pytest.raises(cr.NonFiniteError) as caught:
        DOORS[door](net, y)
    message = str(caught.value)
    assert "sample 2" in message
    assert "allow_nonfinite=True" in message
    if not door.startswith("per_sample_"):
        assert "the output of wide" in message
    DOORS[door](net, y, allow_nonfinite=True)
    with pytest.raises(ValueError, match=r"allow_nonfinite must be True or False, received 1"):
        DOORS[door](net, y, allow_nonfinite=1)


def test_the_numbers_that_are_allowed_are_those_that_were_computed() -> None:
    net = network()
    found = net.predict(X, allow_nonfinite=True)
    fine = [0, 1, 3]
    assert np.isinf(found[2]).all()
    assert np.array_equal(found[fine], net.predict(X[fine]))
    assert net.loss(X, np.ones((5, 3)), allow_nonfinite=True) == np.inf
    assert not np.isfinite(seen(net, np.ones((5, 3))).activations["wide"][2]).any()


def test_float64_is_advised_only_where_it_holds_the_numbers() -> None:
    for door in ("predict", "loss", "backpropagate"):
        with pytest.raises(cr.NonFiniteError, match=r"dtype='float64'") as caught:
            DOORS[door](network(cr.Softmax()), LABELS)
        assert "diagnose(network, X, y)" in str(caught.value)
        DOORS[door](network(cr.Softmax()).copy(dtype="float64"), LABELS)  # as the message says
    for net in (network(), network(dtype="float64")):
        net.parameters["dense1.b"][1] = np.inf
        with pytest.raises(cr.NonFiniteError, match=r"the parameter dense1\.b holds NaN or inf") as caught:
            net.predict(X[:1])
        assert "float64'" not in str(caught.value)


def test_parameters_changed_in_place_are_named_by_every_door() -> None:
    net = network(cr.Softmax())
    net.parameters["wide.W"][1, 0] = np.nan
    for door in ("predict", "loss", "backpropagate"):
        with pytest.raises(cr.NonFiniteError, match=r"parameter wide\.W holds NaN"):
            DOORS[door](net, LABELS)


def test_the_sample_is_counted_over_all_batches() -> None:
    net, many = network(), np.zeros((1000, 2))
    many[[700, 900]] = 3e38
    with pytest.raises(cr.NonFiniteError, match=r"sample 700 of X is inf \(the first of 2 such samples\)"):
        net.predict(many)
    with pytest.raises(cr.NonFiniteError, match=r"sample 700"):
        net.loss(many, np.ones((1000, 3)))


def test_a_loss_that_overflows_on_finite_outputs() -> None:
    net = cr.Network([cr.Dense(1, bias=False, initializer="ones")], input_shape=1)
    inputs, y = np.array([[1.0], [1e30], [2.0]]), np.zeros((3, 1))
    assert net.loss(inputs, y) == pytest.approx(1e60 / 6, rel=1e-6)  # formed in double, as its sum
    with pytest.raises(cr.NonFiniteError, match=r"backpropagate: the gradient of dense1.W holds inf"):
        net.backpropagate(inputs, y)
    wide = net.copy(dtype="float64")
    assert wide.loss(inputs, y) == pytest.approx(1e60 / 6, rel=1e-12)
    wide.parameters["dense1.W"][:] = 1e130
    with pytest.raises(cr.NonFiniteError, match=r"loss: the loss of sample 1 is inf while its output is fin"):
        wide.loss(inputs, y)
    with pytest.raises(cr.NonFiniteError, match=r"backpropagate: the loss of the data is inf"):
        wide.backpropagate(inputs, y)
    wide.parameters["dense1.W"][:] = 1e200
    for door in (wide.loss, wide.backpropagate):
        with pytest.raises(cr.NonFiniteError, match=r"the penalty is inf while the loss of the data is"):
            door(np.full((1, 1), 1e-200), [[1.0]], penalty=cr.L2(1.0))


def test_a_delta_that_overflows_below_finite_outputs() -> None:
    net = cr.Network([cr.Dense(1, bias=False), cr.Dense(1, bias=False)], input_shape=1)
    net.set_parameters({"dense1.W": [[1e-30]], "dense2.W": [[1e30]]})
    with pytest.raises(cr.NonFiniteError, match=r"δ of dense1 for sample 0 of X is -?inf while every output"):
        net.backpropagate(np.ones((1, 1)), [[1e15]])


def test_the_formulas_refuse_without_a_warning() -> None:
    net = network(cr.Softmax(), dtype="float64")
    net.set_executor(ReferenceExecutor())
    huge = np.array([[1e308, 1e308]])
    for call in (
        lambda **o: net.predict(huge, **o),
        lambda **o: net.loss(huge, [0], **o),
        lambda **o: net.backpropagate(huge, [0], **o),
    ):
        with pytest.raises(cr.NonFiniteError, match=r"output of wide"):
            call()
        call(allow_nonfinite=True)


def test_a_layer_of_ones_own_overflows_without_a_warning() -> None:
    class Log(cr.Layer):
        def forward(self, x):
            return np.log(x)

        def delta(self, d, x):
            return d / x

    net = cr.Network([Log()], input_shape=1)
    with pytest.raises(cr.NonFiniteError, match=r"sample 1 of X is -inf: in float32 the output of log1"):
        net.predict([[1.0], [0.0]])


def test_the_check_and_the_report_refuse_and_the_doctor_looks() -> None:
    net = network(dtype="float64")
    inputs, y = np.full((2, 2), 1e200), np.ones((2, 3))
    for engine in (None, "reference"):
        with pytest.raises(cr.NonFiniteError, match=r"check_gradients: J is NaN or infinite"):
            cr.check_gradients(net, inputs, y, engine=engine)
    with pytest.raises(cr.NonFiniteError, match=r"J is infinite or NaN"):
        cr.explain(net, inputs, y)
    # In float32 alone it overflows: the report is computed in float64, the doctor says so.
    narrow = network()
    inputs = np.full((2, 2), 2e38)
    assert "non_finite" in cr.diagnose(narrow, inputs, y).rules
    assert cr.check_gradients(narrow, np.full((2, 2), 1e30), y)


def test_a_validation_that_overflows_ends_the_training() -> None:
    net = network()
    with pytest.raises(cr.NonFiniteError, match=r"the validation loss became"):
        cr.fit(net, np.ones((4, 2)), np.ones((4, 3)), epochs=1, validation=(X, np.ones((5, 3))))


def test_an_ending_that_bounds_an_overflow_is_refused_and_float64_gives_the_value() -> None:
    """σ(1e40) = 1 is right, but of an infinite z nothing says how large it is in truth."""
    for layer, expected in ((cr.Sigmoid(), [1, 0]), (cr.Tanh(), [1, -1])):
        net = cr.Network([cr.Dense(1, bias=False, initializer=cr.Constant(1e10)), layer], input_shape=1)
        with pytest.raises(cr.NonFiniteError, match=r"output of dense1 for sample 0 of X is inf.*float64"):
            net.predict([[1e30], [-1e30]])
        found = net.predict([[1e30], [-1e30]], allow_nonfinite=True)
        assert found.ravel().tolist() == expected
        assert net.copy(dtype="float64").predict([[1e30], [-1e30]]).ravel().tolist() == expected


def test_standardized_values_beyond_the_range_are_refused() -> None:
    learned = Standardizer(np.zeros(2), np.array([1.0, 1e-30]))
    far = np.array([[1.0, 1.0], [0.0, 1e30]])
    assert learned(far)[1, 1] == 1e60
    for dtype in ("float32", "float64"):
        preparation = cr.Preparation(inputs=learned)
        net = cr.Network([cr.Dense(1)], input_shape=2, dtype=dtype, preparation=preparation)
        for given in (far, preparation(far)):
            if dtype == "float64":
                assert np.isfinite(net.predict(given)).all()
                continue
            with pytest.raises(cr.DataError, match=r"sample 1 of X is so far from the training data"):
                net.predict(given)
    with pytest.raises(cr.DataError, match=r"sample 0 is so far from the training data that float64"):
        learned([[0.0, 1e300]])
    assert np.isnan(learned(np.array([[np.nan, 0.0]]))[0, 0])  # the door says what is wrong with these
    with pytest.raises(cr.NonFiniteError, match=r"too large to be brought back"):
        Standardizer(np.zeros(1), np.array([1e300])).undo([[1e30]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", ["dense", "conv"])
def test_a_weight_that_meets_only_zeros_is_refused_beside_any_number_of_samples(
    layers: str, dtype: str
) -> None:
    """Kernels leave zeros out in some batches, and NaN times 0 with them; written in place, past the door."""
    if layers == "dense":
        net = cr.Network([cr.Dense(64), cr.Tanh(), cr.Dense(3)], input_shape=32, dtype=dtype, seed=0)
        name, at = "dense1.W", (5, 3)
    else:
        net = cr.Network([cr.Conv2D(8, 3, padding=1)], input_shape=(1, 6, 8), dtype=dtype, seed=0)
        name, at = "conv1.W", (0, 0, 0, 0)  # type: ignore[assignment]
    for samples in (1, 5, 32, 64, 300):
        x = np.random.default_rng(samples).normal(size=(samples, *net.input_shape)).astype(dtype)
        x[:, 3 if layers == "dense" else 0] *= layers != "dense"
        net.predict(x)  # the plan is there, and keeps its parameters
        weight = net.parameters[name][at]
        net.parameters[name][at] = np.nan
        y = np.zeros((samples, *net.output_shape))
        for call in (net.predict, net.predict, net.activations, lambda x, y=y: net.loss(x, y, loss="mse"),
                     lambda x, y=y: net.backpropagate(x, y, loss="mse")):  # fmt: skip
            with pytest.raises(cr.NonFiniteError, match=f"parameter {name} holds NaN or infinity"):
                call(x)
        net.predict(x, allow_nonfinite=True)
        net.parameters[name][at] = weight
        assert np.isfinite(net.predict(x)).all()


def test_every_method_that_gives_numbers_has_the_option() -> None:
    named = {
        f"{owner.__name__}.{name}"
        for owner in (cr.Network, Step)
        for name, member in inspect.getmembers(owner, inspect.isfunction)
        if "allow_nonfinite" in inspect.signature(member).parameters and not name.startswith("_")
    }
    assert named == {
        *(f"Network.{name}" for name in _METHODS),
        *(f"Step.{name}" for name in ("per_sample_norms", "per_sample_gradients")),
    }


def test_nothing_is_searched_while_all_is_finite() -> None:
    class Blind:
        """An executor that cannot be asked."""

    net = network()
    net.set_executor(Blind())  # type: ignore[arg-type]
    check_output(net, X, np.ones((5, 3)), "predict")


def test_a_network_that_is_broken_before_it_is_trained() -> None:
    """Nothing of the training's is to blame: no rate, no scale."""
    X, y = np.ones((6, 3)), np.ones((6, 2))
    for bad in (np.nan, np.inf):
        net = cr.Network([cr.Dense(4), cr.BatchNorm(), cr.Dense(2)], input_shape=3)
        net.parameters["batchnorm1.mean"][1] = bad
        with pytest.raises(cr.NonFiniteError, match=r"batchnorm1\.mean holds .* before training .* anew"):
            cr.fit(net, X, y)
        with pytest.raises(cr.NonFiniteError, match=r"write finite numbers into it, or load"):
            net.predict(X)


def test_a_variance_below_zero_is_taken_by_no_door() -> None:
    net = cr.Network([cr.Dense(4), cr.BatchNorm(), cr.Dense(2)], input_shape=3)
    with pytest.raises(cr.DataError, match=r"variance must be at least 0: entry \(2,\) is -1e-06"):
        net.set_parameters({"batchnorm1.variance": np.array([0, 1, -1e-6, 1])})
    net.set_parameters({"batchnorm1.variance": np.zeros(4), "batchnorm1.mean": -np.ones(4)})
