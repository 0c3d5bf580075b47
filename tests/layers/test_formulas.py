"""One formula, proved four ways for every layer case:

tree evaluated = functions on arrays = adjoint derived mechanically from forward = finite difference.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule.formulas import Expression, Named, Operation, adjoint, evaluate, replace_at, text, trace, walk
from chainrule.layers import Recurrent, call_formula, layer_classes
from tests.cases import LAYER_CASES, LayerCase, drawn, inputs, output_delta, parameters, to_formula
from tests.pairwise import some

EPS = np.finfo(np.float64).eps
EXACT = 1e-12  # two float64 evaluations of the same sums, in another order
STEP = 1e-3  # of the stencil; its error is STEP^4/30 of the fifth derivative, below 1e-11 for these functions
PER_ENTRY = 60  # arrays up to this size are also differenced entry by entry

cases = pytest.mark.parametrize("case", LAYER_CASES, ids=lambda case: case.id)
# A layer with a cell prints the equations of one step: test_recurrent.py proves those.
trees = pytest.mark.parametrize(
    "case",
    [case for case in LAYER_CASES if not isinstance(case.make(), Recurrent)],
    ids=lambda case: case.id,
)


class Numbers:
    """A case computed by the functions on arrays, and everything its formulas may ask for."""

    def __init__(self, case: LayerCase) -> None:
        self.layer = case.make()
        self.x, self.parameters = to_formula(inputs(case)), parameters(case)
        self.given: dict[str, Any] = {"x": self.x, **self.parameters, **drawn(case)}
        self.output = call_formula(self.layer.forward, self.given)
        self.d = to_formula(output_delta(case))
        self.given |= {"z": self.output, "a": self.output, "d": self.d}
        self.below = call_formula(self.layer.delta, self.given)
        self.derivatives = {"x": self.below} if self.layer.differentiable_input else {}
        self.derivatives |= call_formula(self.layer.gradients, self.given)

    def objective(self, name: str, value: Any) -> float:
        """Σ d · forward, with one quantity replaced: its derivative is δ or the gradient."""
        return float((call_formula(self.layer.forward, {**self.given, name: value}) * self.d).sum())


def assert_close(actual: Any, expected: Any, tolerance: float = EXACT) -> None:
    assert np.shape(actual) == np.shape(expected)
    scale = max(float(np.max(np.abs(expected), initial=0)), 1.0)
    assert float(np.max(np.abs(np.asarray(actual) - expected), initial=0)) <= tolerance * scale


def stencil(function: Callable[[float], float], step: float) -> float:
    """Derivative at 0, fourth order."""
    return (8 * (function(step) - function(-step)) - function(2 * step) + function(-2 * step)) / (12 * step)


@trees
def test_tree_evaluates_to_the_same_numbers(case: LayerCase) -> None:
    numbers, formulas = Numbers(case), trace(case.make())
    assert_close(evaluate(formulas.forward, numbers.given), numbers.output)
    assert_close(evaluate(formulas.delta, numbers.given), numbers.below)
    specs = numbers.layer.parameters(case.input_shape)
    assert set(formulas.gradients) == {name for name in numbers.parameters if specs[name].learned}
    for name, tree in formulas.gradients.items():
        assert_close(evaluate(tree, numbers.given), numbers.derivatives[name])


@trees
def test_hand_derived_formula_is_the_mechanical_adjoint(case: LayerCase) -> None:
    numbers, formulas = Numbers(case), trace(case.make())
    for name, expected in numbers.derivatives.items():
        derived = adjoint(formulas.forward, formulas.symbols[name], formulas.symbols["d"])
        value = evaluate(derived, numbers.given)
        if np.ndim(value) == 0:  # nothing flows: Floor
            assert value == 0
            value = np.zeros_like(expected)
        assert_close(value, expected)


@cases
def test_finite_difference(case: LayerCase) -> None:
    numbers = Numbers(case)
    rng = np.random.default_rng(7)
    for name, derivative in numbers.derivatives.items():
        value = numbers.given[name]
        direction = np.clip(rng.standard_normal(value.shape), -2, 2)
        step = STEP if not case.kinked else min(STEP, 0.2 / value.size)
        slope = stencil(lambda t: numbers.objective(name, value + t * direction), step)  # noqa: B023
        terms = float(np.abs(numbers.output * numbers.d).sum())
        tolerance = 1e-9 * max(1.0, float(np.abs(derivative * direction).sum())) + 10 * EPS * terms / step
        assert abs(slope - float((derivative * direction).sum())) <= tolerance, name


@pytest.mark.parametrize(
    "case", some(LAYER_CASES, 70, lambda case: type(case.make())), ids=lambda case: case.id
)
def test_finite_difference_of_every_entry(case: LayerCase) -> None:
    numbers = Numbers(case)
    terms = float(np.abs(numbers.output * numbers.d).sum())
    for name, derivative in numbers.derivatives.items():
        value = np.ascontiguousarray(numbers.given[name])
        if value.size > PER_ENTRY:
            continue
        step = STEP if not case.kinked else min(STEP, 0.2 / value.size)
        for entry in np.ndindex(value.shape):
            bump = np.zeros(value.shape)
            bump[entry] = 1
            slope = stencil(lambda t: numbers.objective(name, value + t * bump), step)  # noqa: B023
            tolerance = 1e-9 * max(1.0, abs(derivative[entry])) + 10 * EPS * terms / step
            assert abs(slope - derivative[entry]) <= tolerance, (name, entry)


@cases
def test_shapes_follow_the_rule(case: LayerCase) -> None:
    numbers = Numbers(case)
    assert numbers.output.shape == (*numbers.layer.output_shape(case.input_shape), case.samples)
    assert numbers.below.shape == numbers.x.shape
    # Matrix notes: a gradient has the shape of its variable.
    for name, derivative in numbers.derivatives.items():
        assert derivative.shape == numbers.given[name].shape


@cases
def test_float32_stays_float32(case: LayerCase) -> None:
    numbers = Numbers(case)
    single = {name: np.asarray(value, np.float32) for name, value in numbers.given.items()}
    results = [call_formula(numbers.layer.forward, single), call_formula(numbers.layer.delta, single)]
    results += call_formula(numbers.layer.gradients, single).values()
    gradients = (value for name, value in numbers.derivatives.items() if name != "x")
    wide = [numbers.output, numbers.below, *gradients]
    for result, expected in zip(results, wide, strict=True):
        assert result.dtype == np.float32
        assert_close(result, expected, 1e-4)


@pytest.mark.parametrize("formula", ["forward", "infer"])
@cases
def test_samples_do_not_influence_each_other(case: LayerCase, formula: str) -> None:
    """But where the layer says that they do: then they must, in a training pass, and only there."""
    numbers = Numbers(case)
    function = getattr(numbers.layer, formula) or numbers.layer.forward
    output = call_formula(function, numbers.given)
    influence = []
    for sample in range(case.samples):
        own = {name: value[..., [sample]] for name, value in {"x": numbers.x, **drawn(case)}.items()}
        alone = call_formula(function, {**numbers.given, **own})
        influence.append(np.abs(alone - output[..., [sample]]).max() > 1e-3)
        if not numbers.layer.mixes_samples or formula == "infer":
            assert_close(alone, output[..., [sample]])
    assert any(influence) == (numbers.layer.mixes_samples and formula == "forward" and case.samples > 1)


@cases
def test_config_makes_the_same_layer(case: LayerCase) -> None:
    layer = case.make()
    again = type(layer)(**json.loads(json.dumps(layer.config())))
    assert repr(again) == repr(layer)
    assert again.config() == layer.config()
    assert trace(again).equations == trace(layer).equations


MUTABLE = {
    "matmul",
    "multiply",
    "transpose",
    "add",
    "subtract",
    "divide",
    "power",
    "negative",
    "sum_features",
}


SHAPES = ("max_features", "count_features", "not_later", "seen_by", "sloped")


def is_unfelt(tree: Expression, path: tuple[int, ...]) -> bool:
    """Whether a mutant at this place is the formula: in the maximum that the softmax of attention subtracts
    against overflow (or that difference itself), or in an array of which only the shape matters.
    """
    node = tree
    for depth, child in enumerate(path):
        if isinstance(node, Named) and node.name == "E" and len(path) - depth <= 3:
            return True
        if isinstance(node, Operation) and node.rule.name in SHAPES:
            return True
        if isinstance(node, Operation) and node.rule.name == "by_distance" and child > 0:
            return True
        node = node.children[child]
    return False


@trees
def test_every_operation_of_the_formulas_matters(case: LayerCase) -> None:
    """A dropped factor, term, transpose or sign is seen: no such mutant gives the same numbers."""
    numbers, formulas = Numbers(case), trace(case.make())
    for name, tree in {"x": formulas.delta, **formulas.gradients}.items():
        if name not in numbers.derivatives:  # of ids
            assert not numbers.below.any()
            continue
        for path, node in walk(tree):
            if not isinstance(node, Operation) or node.rule.name not in MUTABLE or is_unfelt(tree, path):
                continue
            for operand in node.operands:
                try:
                    with np.errstate(invalid="ignore"):  # the root of what is no square
                        value = evaluate(replace_at(tree, path, operand), numbers.given)
                except (ValueError, TypeError, IndexError):
                    continue  # shapes do not even fit, or a number stands where an array must
                expected = numbers.derivatives[name]
                same = np.shape(value) == expected.shape and np.allclose(value, expected, rtol=1e-6, atol=0)
                assert not same or case.id in EQUIVALENT, (name, text(tree), text(operand))


# Cases in which a mutant is the formula: f' = 1 of the identity, also as a gate, 1x1 matrices and windows,
# p = 1, a factor of 1.
SMALL = {
    "identity-vector",
    "identity-image",
    "wrap-vector",
    "wrap-image",
    "maxpool-one",
    "avgpool-one",
    "lppool-one",
    "upsample1d-single",
    "dense-one",
    "conv1d-one",
    "dropout-nothing",
    "dense-ntk-no-bias",
    "glu-wide",
}
# One kernel per channel: a diagonal matrix is its own transpose.
DIAGONAL = {
    "conv-groups-depthwise",
    "depthwise-",
    "depthwise-stride",
    "depthwise-ragged",
    "depthwise-dilation",
    "depthwise-long",
    "depthwise-many-taps",
    "depthwise-single",
}
# The inputs of the cases hold no padding (tests/engine/test_masks.py has some).
WHOLE = {"masking", "masking-value", "masking-single"}
# Of the angles the blocks of V ask for nothing but how many there are.
ANGLES = {"periodic", "periodic-default", "periodic-one", "periodic-wide"}
EQUIVALENT = SMALL | DIAGONAL | WHOLE | ANGLES


def test_every_layer_class_has_a_case() -> None:
    assert {type(case.make()).__name__ for case in LAYER_CASES} == set(layer_classes)


def test_case_names_are_unique_and_inputs_avoid_kinks() -> None:
    assert len({case.id for case in LAYER_CASES}) == len(LAYER_CASES)
    for case in LAYER_CASES:
        x = inputs(case).reshape(case.samples, -1)
        if case.ids:
            assert set(x.ravel()) <= set(range(case.ids))
            continue
        assert np.abs(x).min() > 0.9 / x.shape[1]
        assert np.diff(np.sort(x, axis=1), axis=1).min(initial=4) > 3.9 / x.shape[1]
        np.testing.assert_array_equal(inputs(case), inputs(case))
