"""What callbacks say of an epoch's order and of the optimizer's state, and rows that are sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from training_problems import Array, blobs, same_bits

import chainrule as cr
from chainrule.data import mapped
from chainrule.training.callbacks import Context


def network(dtype: str = "float32") -> cr.Network:
    return cr.Network([cr.Dense(6), cr.ReLU(), cr.Dense(3), cr.Softmax()], input_shape=4, dtype=dtype)


class Ordered(cr.Callback):
    def __init__(self, order: Any) -> None:
        self.order = order

    def change_order(self, order: Array, context: Context) -> Array:
        made = self.order(order) if callable(self.order) else self.order
        return np.asarray(made) if isinstance(made, list) else made


@pytest.mark.parametrize("steps_watched", [False, True])
def test_an_order_of_ones_own_is_the_data_in_that_order(steps_watched: bool) -> None:
    X, y = blobs(40)
    order = np.random.default_rng(1).permutation(40)

    class Watch(cr.Callback):
        def on_step_end(self, context: Context) -> None:
            pass

    callbacks = [Ordered(order), *([Watch()] if steps_watched else [])]
    by_order, by_data = network(), network()
    cr.fit(by_order, X, y, epochs=2, batch_size=7, progress=False, callbacks=callbacks)
    cr.fit(by_data, X[order], y[order], epochs=2, batch_size=7, shuffle=False, progress=False)
    assert same_bits(by_order.parameters, by_data.parameters)


def test_rows_may_be_taken_repeatedly_and_held_out_ones_are_told_apart() -> None:
    X, y = blobs(40)
    seen: list[Array] = []

    def doubled(order: Array) -> Array:
        seen.append(order)
        return np.repeat(order[: len(order) // 2], 2)

    cr.fit(network(), X, y, epochs=2, validation=0.25, progress=False, callbacks=Ordered(doubled))
    assert all(len(order) == 30 for order in seen)
    assert sorted(seen[0]) == sorted(seen[1])


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (np.arange(39), r"40 rows of X, an array of whole numbers, .*of shape \(39,\)"),
        (np.arange(40.0), "an array of whole numbers"),
        (np.arange(1, 41), "rows of X, from 0 to 39"),
        (-np.arange(40), "rows of X, from 0 to 39"),
        (None, "40 rows of X"),
    ],
)
def test_what_is_no_order_is_refused(order: Any, message: str) -> None:
    X, y = blobs(40)
    with pytest.raises(cr.ChainruleError, match=r"Ordered\.change_order must return .*" + message):
        cr.fit(network(), X, y, progress=False, callbacks=Ordered(order))


def test_a_callback_may_change_the_moments() -> None:
    """A velocity that is set to zero before every epoch is a fit of single epochs."""
    X, y = blobs(40)

    class Forget(cr.Callback):
        def change_rates(self, rates: Array, context: Context) -> Array:
            assert context.state is not None
            assert context.set_state is not None
            state = context.state()
            context.set_state({**state, **{name: 0 * state[name] for name in state if "/" in name}})
            return rates

    options: dict[str, Any] = {"optimizer": cr.SGD(0.1, momentum=0.9), "shuffle": False, "progress": False}
    once, thrice = network(), network()
    cr.fit(once, X, y, epochs=3, callbacks=Forget(), **options)
    for _ in range(3):
        cr.fit(thrice, X, y, epochs=1, **options)
    assert same_bits(once.parameters, thrice.parameters)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_array])
@pytest.mark.parametrize("large", [False, True])
def test_sparse_rows_give_the_bits_of_dense_ones(
    dtype: str, kind: Any, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = blobs(60)
    X = np.where(np.abs(X) > 0.5, X, 0)
    plain, thin = network(dtype), network(dtype)
    expected = cr.fit(plain, X, y, epochs=2, validation=0.2, progress=False)
    if large:
        monkeypatch.setattr(mapped, "_LARGEST_DENSE", 10)
        monkeypatch.setattr(mapped, "_PIECE", 4 * 7)
    found = cr.fit(thin, kind(X), y, epochs=2, validation=0.2, progress=False)
    assert same_bits(plain.parameters, thin.parameters)
    assert found.validation_loss == expected.validation_loss
    np.testing.assert_allclose(thin.predict(kind(X)), plain.predict(X), rtol=1e-6)  # in pieces, to rounding
    assert thin.accuracy(kind(X), y) == plain.accuracy(X, y)
    cr.fit_full_batch(plain, X, y, iterations=3, progress=False)
    cr.fit_full_batch(thin, kind(X), y, iterations=3, progress=False)
    assert same_bits(plain.parameters, thin.parameters)
    X[31, 2] = np.nan
    with pytest.raises(cr.DataError, match="NaN"):
        cr.fit(thin, kind(X), y, progress=False)


def test_a_full_batch_ends_by_evaluations_and_by_the_least_decrease() -> None:
    X, y = blobs(60)

    def run(**options: Any) -> cr.History:
        convex = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=4)
        return cr.fit_full_batch(convex, X, y, penalty=cr.L2(0.1), progress=False, **options)

    whole = run(iterations=200)
    assert whole.converged
    few = run(iterations=200, evaluations=3)
    assert len(few) <= 3
    assert few.converged is False
    assert "J has been computed" in str(few.stopped)
    short = run(iterations=200, least_decrease=1e-2)
    assert short.converged
    assert len(short) < len(whole)
    limited = run(iterations=2)
    assert (limited.converged, limited.stopped) == (False, None)
    for name in ("evaluations", "least_decrease"):
        with pytest.raises(ValueError, match=f"{name} is of method='L-BFGS-B'"):
            cr.fit_full_batch(network(), X, y, method="CG", **{name: 3})
    with pytest.raises(ValueError, match="evaluations"):
        cr.fit_full_batch(network(), X, y, evaluations=0)


def test_an_early_epsilon_shortens_the_first_steps_of_tiny_gradients() -> None:
    gradient = np.array([1e-9, 1.0])
    state = {"mean": np.zeros(2), "square": np.zeros(2)}
    late, early = (
        cr.Adam(0.1, early_epsilon=flag).update(np.zeros(2), gradient, dict(state), 0.1, 1)
        for flag in (False, True)
    )
    root = np.sqrt(1 - 0.999)
    np.testing.assert_allclose(late, -0.1 * gradient / (gradient + 1e-8))
    np.testing.assert_allclose(early, -0.1 * gradient / (gradient + 1e-8 / root))
    with pytest.raises(ValueError, match="early_epsilon"):
        cr.Adam(0.1, early_epsilon="yes")
