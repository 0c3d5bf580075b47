"""RNN, LSTM, GRU: the equations of a step proved as those of other layers; passages through time, cut, masked
and reversed, against what they mean.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.formulas import (
    Number,
    Operation,
    adjoint,
    evaluate,
    latex,
    mathml,
    replace_at,
    text,
    trace,
    walk,
)
from chainrule.layers import Recurrent, call_formula
from tests import by_formula
from tests.layers.test_formulas import EXACT, MUTABLE, assert_close

UNITS, FEATURES, SAMPLES = 3, 2, 4
LAYERS: dict[str, Any] = {
    "rnn": lambda **options: cr.RNN(UNITS, **options),
    "rnn-relu": lambda **options: cr.RNN(UNITS, activation="relu", **options),
    "rnn-sigmoid": lambda **options: cr.RNN(UNITS, activation="sigmoid", **options),
    "lstm": lambda **options: cr.LSTM(UNITS, **options),
    "lstm-projected": lambda **options: cr.LSTM(UNITS, projection=2, **options),
    "lstm-peepholes": lambda **options: cr.LSTM(UNITS, peepholes=True, **options),
    "lstm-both": lambda **options: cr.LSTM(UNITS, projection=5, peepholes=True, bias=False, **options),
    "gru": lambda **options: cr.GRU(UNITS, **options),
}
layers = pytest.mark.parametrize("kind", LAYERS)


class Step:
    """One step in numbers: everything its formulas may ask for, and what they give."""

    def __init__(self, kind: str) -> None:
        r = np.random.default_rng(3)
        self.layer: Recurrent = LAYERS[kind]()
        specs = self.layer.parameters((5, FEATURES))
        self.given: dict[str, Any] = {name: r.standard_normal(spec.shape) for name, spec in specs.items()}
        self.given["x"] = r.standard_normal((FEATURES, SAMPLES))
        for name, size in zip(self.layer.states, self.layer.state_sizes, strict=True):
            self.given[name] = r.standard_normal((size, SAMPLES))
            self.given[f"d{name}"] = r.standard_normal((size, SAMPLES))
        self.after = call_formula(self.layer.step, self.given)
        self.derivatives = {
            **call_formula(self.layer.step_delta, self.given),
            **call_formula(self.layer.step_gradients, self.given),
        }
        self.formulas = trace(self.layer)
        self.trees = {
            "x": self.formulas["delta"],
            **{name: self.formulas[f"delta of {name}"] for name in self.layer.states},
            **{name: self.formulas[name] for name in specs},
        }


@layers
def test_trees_evaluate_to_the_same_numbers(kind: str) -> None:
    step = Step(kind)
    names = ("forward", *step.layer.states[1:])
    for name, value in zip(names, step.after, strict=True):
        assert_close(evaluate(step.formulas[name], step.given), value)
    assert set(step.trees) == set(step.derivatives)
    for name, tree in step.trees.items():
        assert_close(evaluate(tree, step.given), step.derivatives[name])


@layers
def test_hand_derived_formulas_are_the_mechanical_adjoints(kind: str) -> None:
    step = Step(kind)
    symbols = step.formulas.symbols
    states = zip(step.layer.states, ("forward", *step.layer.states[1:]), strict=True)
    ahead = [(symbols[f"d{name}"], step.formulas[equation]) for name, equation in states]
    for name, expected in step.derivatives.items():
        shares = (adjoint(tree, symbols[name], d) for d, tree in ahead)
        derived = functools.reduce(operator.add, (s for s in shares if s != Number(0)))
        assert_close(evaluate(derived, step.given), expected)


@pytest.mark.parametrize(
    "kind", [kind for kind in LAYERS if kind != "rnn-relu"]
)  # of z only the sign matters
def test_every_operation_of_a_step_matters(kind: str) -> None:
    step = Step(kind)
    for name, tree in step.trees.items():
        places = [
            (path, node)
            for path, node in walk(tree)
            if isinstance(node, Operation) and node.rule.name in MUTABLE
        ]
        # What is shared stands at every place that reads it: of more than 200 an even part (50 s otherwise).
        for path, node in places[:: 1 + len(places) // 200]:
            for operand in node.operands:
                try:
                    value = evaluate(replace_at(tree, path, operand), step.given)
                except ValueError:
                    continue
                expected = step.derivatives[name]
                same = value.shape == expected.shape and np.allclose(value, expected, rtol=1e-6, atol=0)
                assert not same, (name, text(tree), text(operand))


def test_the_equations_of_a_step_print() -> None:
    lstm, gru, rnn = (trace(LAYERS[kind]()).equations for kind in ("lstm", "gru", "rnn"))
    assert text(lstm["forward"]) == "hˡ_t = o ⊙ tanh(c)"
    assert text(lstm["c"]) == "cˡ_t = f ⊙ cˡ_{t−1} + i ⊙ g"
    assert [text(line) for line in lstm["c"].definitions] == [
        "z = Wˡ xˡ⁻¹_t + Uˡ hˡ_{t−1} + b̂ˡ",
        "f = 1 / (1 + exp(−z_f))",
        "i = 1 / (1 + exp(−z_i))",
        "g = tanh(z_g)",
    ]
    assert text(lstm["delta of c"]) == "∂J/∂cˡ_{t−1} = e ⊙ f"
    assert text(lstm["delta of c"].definitions[-1]) == "e = ∂J/∂cˡ_t + ∂J/∂hˡ_t ⊙ o ⊙ (1 − s²)"
    assert text(lstm["U"]) == "∂J/∂Uˡ = Σ_t dz (hˡ_{t−1})ᵀ"
    assert text(gru["forward"]) == "hˡ_t = u ⊙ hˡ_{t−1} + (1 − u) ⊙ n"
    assert text(gru["delta of h"]) == "∂J/∂hˡ_{t−1} = (Uˡ)ᵀ dq + ∂J/∂hˡ_t ⊙ u"
    assert latex(rnn["forward"]) == r"h^{l}_{t} = \tanh(z)"
    assert latex(rnn["delta of h"]).startswith(r"\frac{\partial J}{\partial h^{l}_{t-1}} = {U^{l}}^{\top}")
    for equations in (lstm, gru, rnn):
        assert all(latex(line) and mathml(line) for line in equations.values())


# -- passages --------------------------------------------------------------------------------------------


def passed(layer: Recurrent, X: Any, y: Any, given: Any) -> cr.Step:
    """Backpropagation of Σ (a − y)²/2 over the samples, by the formulas; `given`: parameters."""
    network = cr.Network([layer], input_shape=X.shape[1:], dtype="float64")
    network.set_parameters({f"{network.layers[0].name}.{name}": value for name, value in given.items()})
    return by_formula.backpropagate(network, X, y, cr.SquaredError())


def problem(kind: str, steps: int, outputs: str = "all") -> tuple[Any, Any, dict[str, Any]]:
    r = np.random.default_rng(8)
    layer = LAYERS[kind](outputs=outputs)
    specs = layer.parameters((steps, FEATURES))
    given = {name: r.standard_normal(spec.shape) * 0.7 for name, spec in specs.items()}
    y = r.standard_normal((SAMPLES, *layer.output_shape((steps, FEATURES))))
    return r.standard_normal((SAMPLES, steps, FEATURES)), y, given


@layers
def test_reversed_is_the_layer_on_the_reversed_sequence(kind: str) -> None:
    X, y, given = problem(kind, 5)
    there = passed(LAYERS[kind](outputs="all"), X[:, ::-1], y[:, ::-1], given)
    back = passed(LAYERS[kind](outputs="all", reverse=True), X, y, given)
    assert_close(back.output, there.output[:, ::-1])
    assert_close(back.deltas["input"], there.deltas["input"][:, ::-1])
    for mine, other in zip(back.gradients.values(), there.gradients.values(), strict=True):
        assert_close(mine, other)
    last = passed(LAYERS[kind](reverse=True), X, y[:, 0], given)
    assert_close(last.output, back.output[:, 0])


@layers
@pytest.mark.parametrize(("steps", "k"), [(6, 2), (7, 3), (5, 1), (4, 4), (3, 9)])
@pytest.mark.parametrize("reverse", [False, True])
def test_truncated_is_the_layer_on_pieces_with_the_state_carried_over(
    kind: str, steps: int, k: int, reverse: bool
) -> None:
    """Every piece by itself, from states that are given numbers; the gradients are the sum of the pieces'."""
    X, y, given = problem(kind, steps)
    whole = passed(LAYERS[kind](outputs="all", truncate=k, reverse=reverse), X, y, given)
    x, target = (np.moveaxis(a[:, ::-1] if reverse else a, 0, -1) for a in (X, y))
    layer = LAYERS[kind](outputs="all")
    sizes = dict(zip(layer.states, layer.state_sizes, strict=True))
    states = {name: np.zeros((size, SAMPLES)) for name, size in sizes.items()}
    deltas, total = [], dict.fromkeys(given, 0.0)
    for begin in range(0, steps, k):
        before = []
        for t in range(begin, min(begin + k, steps)):
            before.append({"x": x[t], **states, **given})
            states = dict(zip(layer.states, call_formula(layer.step, before[-1]), strict=True))
            before[-1]["y"] = (states["h"] - target[t]) / SAMPLES
        d = {name: np.zeros((size, SAMPLES)) for name, size in sizes.items()}
        piece = []
        for step in reversed(before):
            d["h"] = d["h"] + step.pop("y")
            step |= {f"d{name}": value for name, value in d.items()}
            d = call_formula(layer.step_delta, step)
            piece.append(d["x"])
            for name, share in call_formula(layer.step_gradients, step).items():
                total[name] = total[name] + share
        deltas += piece[::-1]
    below = np.moveaxis(np.stack(deltas), -1, 0)
    assert_close(whole.deltas["input"], below[:, ::-1] if reverse else below)
    for name, expected in total.items():
        assert_close(whole.gradients[f"{layer.kind}1.{name}"], expected, 10 * EXACT)
    untruncated = passed(LAYERS[kind](outputs="all", reverse=reverse), X, y, given)
    assert_close(whole.output, untruncated.output)
    same = np.allclose(whole.deltas["input"], untruncated.deltas["input"], rtol=1e-9)
    assert same == (k >= steps)


@layers
@pytest.mark.parametrize("outputs", ["last", "all"])
@pytest.mark.parametrize("reverse", [False, True])
def test_masked_steps_are_as_if_they_were_not_there(kind: str, outputs: str, reverse: bool) -> None:
    """Every sample is the shorter sequence of its own steps; padding puts out 0 and gets δ 0."""
    X, y, given = problem(kind, 6, outputs)
    there = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [0, 1, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1]], bool)
    X = np.where(there[..., None], X, 0)
    layer = LAYERS[kind](outputs=outputs, reverse=reverse)
    network = cr.Network([cr.Masking(), layer], input_shape=X.shape[1:], dtype="float64")
    network.set_parameters({f"{network.layers[1].name}.{name}": value for name, value in given.items()})
    step = by_formula.backpropagate(network, X, y, cr.SquaredError())
    total: dict[str, Any] = dict.fromkeys(given, 0.0)
    for n in range(SAMPLES):
        own = there[n]
        target = y[[n]][:, own] if outputs == "all" else y[[n]]
        alone = passed(LAYERS[kind](outputs=outputs, reverse=reverse), X[[n]][:, own], target, given)
        output, below = step.output[n], step.deltas["input"][n]
        assert_close(output[own] if outputs == "all" else output, alone.output[0])
        assert_close(below[own] * SAMPLES, alone.deltas["input"][0])
        assert not below[~own].any()
        assert outputs == "last" or not output[~own].any()
        for name, gradient in alone.gradients.items():
            short = name.partition(".")[2]
            total[short] = total[short] + gradient / SAMPLES
    for name, expected in total.items():
        assert_close(step.gradients[f"{layer.kind}1.{name}"], expected)


@layers
def test_a_sample_that_is_all_padding_puts_out_zeros(kind: str) -> None:
    network = cr.Network([cr.Masking(), LAYERS[kind]()], input_shape=(4, FEATURES), seed=1)
    assert not network.predict(np.zeros((2, 4, FEATURES))).any()


def test_start() -> None:
    """W Glorot and U orthogonal, every gate by itself; the forget gate's bias 1."""
    network = cr.Network([cr.LSTM(8)], input_shape=(5, 3), seed=0, dtype="float64")
    p = network.parameters
    np.testing.assert_array_equal(p["lstm1.b"].reshape(4, 8), np.repeat([[0], [1], [0], [0]], 8, axis=1))
    for U in p["lstm1.U"].reshape(4, 8, 8):
        np.testing.assert_allclose(U @ U.T, np.eye(8), atol=1e-14)
    assert np.abs(p["lstm1.W"]).max() <= np.sqrt(6 / (3 + 8))
    assert np.abs(p["lstm1.W"]).max() > np.sqrt(6 / (3 + 32))
    given = cr.Network([cr.GRU(4, initializer="zeros", recurrent_initializer="ones")], input_shape=(5, 3))
    assert not given.parameters["gru1.W"].any()
    assert (given.parameters["gru1.U"] == 1).all()


def test_errors_say_what_to_write() -> None:
    for words, make in {
        r"outputs='all'": lambda: cr.LSTM(4, return_sequences=True),  # type: ignore[call-arg]
        r"units=10": lambda: cr.GRU(hidden_size=3),  # type: ignore[call-arg]
        r"layers=2": lambda: cr.LSTM(4, num_layers=2),  # type: ignore[call-arg]
        r"join='sum'": lambda: cr.Bidirectional(cr.LSTM(4), merge_mode="sum"),  # type: ignore[call-arg]
        r"LSTM\(\) takes 1 by position": lambda: cr.LSTM(3, 4),  # type: ignore[misc]
        r"activation='relu'": lambda: cr.RNN(3, nonlinearity="relu"),  # type: ignore[call-arg]
    }.items():
        with pytest.raises(TypeError, match=words):
            make()
    with pytest.raises(ValueError, match=r"'last'.*'all'.*received 'first'"):
        cr.LSTM(3, outputs="first")
    with pytest.raises(ValueError, match=r"'tanh', 'relu', 'sigmoid', 'identity', received 'swish'"):
        cr.RNN(3, activation="swish")
    with pytest.raises(cr.ShapeError, match="LSTM truncate must be a positive integer"):
        cr.LSTM(3, truncate=0)
    with pytest.raises(cr.ShapeError, match=r"GRU needs a sequence.*received \(7,\).*write \(7, 1\).*'all'"):
        cr.Network([cr.GRU(3)], input_shape=7)
    with pytest.raises(cr.ShapeError, match=r"received \(4,\).*outputs='all'"):
        cr.Network([cr.LSTM(4), cr.LSTM(3)], input_shape=(5, 2))


def test_a_truncated_gradient_is_not_checked_by_differences() -> None:
    layer = cr.LSTM(3, truncate=2)
    with pytest.raises(ValueError, match=r"cuts δ.*truncate=None"):
        cr.check_layer(layer, (5, 2))
    network = cr.Network([layer, cr.Dense(2)], input_shape=(5, 2))
    with pytest.raises(ValueError, match=r"cuts δ.*truncate=None"):
        cr.check_gradients(network, np.ones((3, 5, 2)), np.ones((3, 2)))
