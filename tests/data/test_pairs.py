"""Rows of X and y are paired by their place; an index of pandas that says otherwise is told."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas
import pytest

import chainrule as cr

rng = np.random.default_rng(0)
X = pandas.DataFrame(rng.normal(size=(20, 2)), columns=pandas.Index(list("ab")))
Y = pandas.Series(np.arange(20) % 2, name="label")
OTHER = rng.permutation(20)


def network() -> cr.Network:
    return cr.Network([cr.Dense(2), cr.Softmax()], input_shape=2)


CALLS: dict[str, Any] = {
    "fit": lambda X, y: cr.fit(network(), X, y, epochs=1),
    "validation": lambda A, b: cr.fit(network(), X, Y, epochs=1, validation=(A, b)),
    "loss": lambda X, y: network().loss(X, y),
    "backpropagate": lambda X, y: network().backpropagate(X, y),
    "accuracy": lambda X, y: network().accuracy(X, y),
}


@pytest.mark.parametrize("call", CALLS)
def test_an_index_in_another_order_is_told_and_nothing_else(call: str) -> None:
    for labels in (Y.iloc[OTHER], Y.iloc[OTHER].to_frame()):
        with pytest.warns(UserWarning, match="y has the index of X in another order") as told:
            CALLS[call](X, labels)
        assert [warning.filename for warning in told] == [__file__]
        assert len(told) == 1
    meant: list[tuple[Any, Any]] = [
        (X, Y), (X.iloc[OTHER], Y.iloc[OTHER]), (X, Y.iloc[OTHER].loc[X.index]),
        (X, Y.iloc[OTHER].to_numpy()),
        (X, Y.set_axis(list("abcdefghijklmnopqrst"))), (X, Y.set_axis(np.arange(20) + 5)), (X.to_numpy(), Y),
        (X, Y.tolist()), (X.set_axis([0] * 20), Y.set_axis([0] * 20)),
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for given in meant:
            CALLS[call](*given)
