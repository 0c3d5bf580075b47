"""Every primitive of the table: its adjoint is the derivative of its evaluation, on arrays and as a tree.

A primitive without an example here fails the suite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from chainrule.formulas import Grid, Symbol, adjoint, binders, evaluate, latex, mathml, rules, text
from chainrule.formulas.primitives import arrays as A
from chainrule.formulas.primitives import axes as X
from chainrule.formulas.primitives import bias_column as B
from chainrule.formulas.primitives import distances as D
from chainrule.formulas.primitives import edges as G
from chainrule.formulas.primitives import elementwise as E
from chainrule.formulas.primitives import over as O
from chainrule.formulas.primitives import paths as P
from chainrule.formulas.primitives import steps as T
from chainrule.formulas.primitives.edges import MODES

MODULES = (E, A, T, B, D, G, X, P)
RNG = np.random.default_rng(11)
M, N = RNG.standard_normal((4, 3)), RNG.standard_normal((4, 3))  # features x samples
COLUMN, ROW = RNG.standard_normal((4, 1)), RNG.standard_normal((1, 3))
POSITIVE = np.abs(M) + 0.5
IMAGE, OTHER = RNG.standard_normal((5, 4, 3, 2)), RNG.standard_normal((5, 4, 2, 2))  # H, W, C, samples
KERNEL = RNG.standard_normal((2, 3, 2, 3))  # K, k1, k2, C
GRID = Grid((3, 2), (2, 1), ((1, 0), (0, 1)))
WINDOWS = RNG.standard_normal((2, 4, 3, 2))  # what GRID sees of IMAGE

STEPS = RNG.standard_normal((5, 6, 4))  # T, F, samples
WAYS, READ = np.random.default_rng(3).normal(size=(5, 3, 3)), np.zeros((5, 3, 3))  # T, K, samples
READ[[0, 1, 2], [0, 0, 2], 0] = 1  # three labels, two of them alike; one, in three steps; none
READ[[0, 3, 4], [2, 1, 1], 1] = 1


@dataclass(frozen=True)
class Example:
    """Operands, the positions of those that have a derivative, static options."""

    operands: tuple[Any, ...]
    smooth: tuple[int, ...] = (0,)
    options: dict[str, Any] = field(default_factory=dict)


NEAR = {"logarithmic": 0, "both": True, "grid": None}  # of distances: a number each
FAR = NEAR | {"logarithmic": 6}
BEFORE, PIXELS = FAR | {"both": False}, NEAR | {"grid": (2, 3)}

EXAMPLES: dict[str, list[Example]] = {
    "add": [
        Example((M, N), (0, 1)),
        Example((M, COLUMN), (0, 1)),
        Example((ROW, M), (0, 1)),
        Example((M, 2.0)),
    ],
    "subtract": [Example((M, N), (0, 1)), Example((COLUMN, M), (0, 1)), Example((1.0, M), (1,))],
    "multiply": [Example((M, N), (0, 1)), Example((M, ROW), (0, 1)), Example((0.5, M), (1,))],
    "divide": [
        Example((M, POSITIVE), (0, 1)),
        Example((M, POSITIVE[:1]), (0, 1)),
        Example((1.0, POSITIVE), (1,)),
    ],
    "ratio": [Example((M, POSITIVE), (0, 1)), Example((M, np.zeros((4, 3))), ())],
    "negative": [Example((M,))],
    "power": [Example((M,), options={"exponent": 2}), Example((POSITIVE,), options={"exponent": -1.5})],
    "raised": [Example((POSITIVE, M), (0, 1))],
    "floor": [Example((M,), ())],
    "sqrt": [Example((POSITIVE,))],
    "exp": [Example((M,))],
    "expm1": [Example((M,))],
    "log": [Example((POSITIVE,))],
    "log1p": [Example((POSITIVE,))],
    "xlogy": [Example((M, POSITIVE), (0, 1))],
    "tanh": [Example((M,))],
    "cos": [Example((M,))],
    "sin": [Example((M,))],
    "erf": [Example((M,))],
    "absolute": [Example((M,))],
    "maximum": [Example((M, N), (0, 1)), Example((M, 0.0))],
    "minimum": [Example((M, N), (0, 1)), Example((M, 0.0))],
    "greater": [Example((M, N), ())],
    "where": [Example((M > 0, M, N), (1, 2)), Example((M > 0, 1.0, N), (2,))],
    "ones_like": [Example((M,), ())],
    "fit": [Example((M, COLUMN)), Example((IMAGE, np.zeros((3, 1)))), Example((M, N))],
    "stretch": [Example((COLUMN, M)), Example((RNG.standard_normal((3, 1)), IMAGE))],
    "zeros_like": [Example((M,), ())],
    "one_hot": [
        Example((np.array([[2.0, 0.0], [1.0, 2.0]]), KERNEL[:, 0, 0]), ()),
        Example((np.array([2.0, 0.0, 3.0]), M), (), {"skip": 3}),
    ],
    "sinusoids": [Example((IMAGE[0],), ())],
    "split_heads": [Example((STEPS,), options={"heads": 2})],
    "join_heads": [Example((RNG.standard_normal((2, 5, 3, 4)),), options={"heads": 2})],
    "step_products": [Example((STEPS, STEPS[:3]), (0, 1)), Example((IMAGE, IMAGE[:, :2]), (0, 1))],
    "mix_steps": [Example((RNG.standard_normal((3, 5, 4)), STEPS), (0, 1))],
    "swap_steps": [Example((STEPS,)), Example((IMAGE,))],
    "not_later": [Example((STEPS,), ())],
    "seen_by": [Example((STEPS[:2, :2],), (), options={"mask": ((True, False), (True, True))})],
    "sloped": [Example((RNG.standard_normal((3, 4, 5, 2)),), ())],
    "by_distance": [
        Example((RNG.standard_normal((2, 5)), RNG.standard_normal((2, 3, 6, 2))), options=NEAR),
        Example((RNG.standard_normal((2, 8)), RNG.standard_normal((2, 9, 7, 1))), options=FAR),
        Example((RNG.standard_normal((1, 8)), RNG.standard_normal((1, 9, 7, 1))), options=BEFORE),
        Example((RNG.standard_normal((2, 15)), RNG.standard_normal((2, 6, 6, 1))), options=PIXELS),
    ],
    "sum_distances": [
        Example((RNG.standard_normal((2, 3, 6, 2)), RNG.standard_normal((2, 5))), options=NEAR),
        Example((RNG.standard_normal((2, 9, 7, 1)), RNG.standard_normal((2, 8))), options=FAR),
    ],
    "repeat_heads": [Example((STEPS,), options={"times": 2})],
    "sum_heads": [Example((RNG.standard_normal((4, 3, 2)),), options={"times": 2})],
    "turned": [Example((RNG.standard_normal((2, 3, 4, 2)),), options={"base": 100.0})],
    "transpose": [Example((M,))],
    "beside": [Example((M, N), (0, 1)), Example((IMAGE, OTHER), (0, 1)), Example((ROW, M), (0, 1))],
    "first_features": [Example((IMAGE, OTHER)), Example((M, ROW))],
    "other_features": [Example((IMAGE, OTHER)), Example((M, ROW))],
    "even_features": [Example((M,)), Example((STEPS,))],
    "odd_features": [Example((M,)), Example((STEPS,))],
    "interleave": [Example((M, N), (0, 1)), Example((IMAGE, IMAGE[::-1]), (0, 1))],
    "features_between": [
        Example((M,), options={"start": 1, "stop": 3}),
        Example((IMAGE,), options={"start": 0, "stop": 1}),
    ],
    "features_placed": [Example((M, np.zeros((12, 3))), options={"start": 5, "stop": 9})],
    "gate": [Example((M,), options={"gate": "f", "gates": "if"})],
    "gate_place": [Example((M, np.zeros((12, 3))), options={"gate": "b", "gates": "abc"})],
    "sum_steps": [Example((M,))],
    "per_feature": [Example((M,), (), options={"weights": tuple(map(float, range(len(M)))), "letter": "w"})],
    "matmul": [Example((N.T, M), (0, 1)), Example((KERNEL[:, 0, 0], IMAGE), (0, 1))],
    "correlate": [Example((M, N), (0, 1)), Example((IMAGE, OTHER), ())],
    "broadcast_samples": [Example((COLUMN[:, 0],)), Example((M,))],
    "sum_samples": [Example((M,)), Example((IMAGE,))],
    "sum_positions": [Example((IMAGE,)), Example((M,))],
    "inside": [Example((IMAGE,), ())],
    "every_feature": [Example((M,), ())],
    "count_positions": [Example((IMAGE,), ())],
    "max_positions": [Example((IMAGE,))],
    "first_position": [Example((IMAGE,), ())],
    "sum_features": [Example((M,)), Example((IMAGE,))],
    "sum_near": [
        Example((IMAGE,), options={"before": 1, "after": 0}),
        Example((M,), options={"before": 0, "after": 2}),
        Example((M,), options={"before": 7, "after": 9}),
    ],
    "log_paths": [Example((WAYS, READ), options={"blank": 1, "nothing": False})],
    "path_shares": [
        Example((WAYS, READ), (), {"blank": 1, "nothing": False}),
        Example((WAYS[:2], READ[:2]), (), {"blank": 1, "nothing": True}),
    ],
    "count_labels": [Example((READ,), (), {"blank": 1})],
    "mean_features": [Example((M,)), Example((IMAGE,))],
    "mean_samples": [Example((M,)), Example((IMAGE,))],
    "mean_groups": [
        Example((M,), options={"groups": 2}),
        Example((IMAGE,), options={"groups": 3}),
        Example((OTHER,), options={"groups": 1}),
    ],
    "count_features": [Example((M,), ())],
    "max_features": [Example((M,)), Example((IMAGE,))],
    "largest_feature": [Example((M,), ())],
    "sum_outputs": [Example((M,)), Example((IMAGE,))],
    "count_outputs": [Example((IMAGE,), ())],
    "count_values": [Example((M,), ()), Example((IMAGE,), ())],
    "sum_entries": [Example((M,)), Example((KERNEL,))],
    "flatten": [Example((IMAGE,))],
    "arranged": [Example((RNG.standard_normal((60, 2)),), options={"shape": (5, 4, 3)})],
    "permuted": [Example((IMAGE,), options={"order": (2, 0, 1)})],
    "reshaped": [Example((IMAGE,), options={"shape": (-1, 2)}), Example((M,), options={"shape": (2, -1)})],
    "merged": [Example((IMAGE,), options={"axes": 2}), Example((IMAGE,), options={"axes": 3})],
    "along": [
        Example(
            (IMAGE,),
            options={"axis": 1, "taps": (((0, 0.5), (2, 2.0)), ((1, -1.0),)), "size": IMAGE.shape[1]},
        )
    ],
    "unflatten": [
        Example((RNG.standard_normal((60, 2)), IMAGE)),
        Example((RNG.standard_normal((5, 12, 2)), IMAGE)),
    ],
    "window": [Example((IMAGE, m, n), options={"grid": GRID}) for m in range(3) for n in range(2)],
    "place": [Example((WINDOWS, IMAGE, m, n), options={"grid": GRID}) for m in range(3) for n in range(2)],
    "framed": [
        *(Example((IMAGE,), options={"pads": ((1, 0), (1, 2)), "mode": mode}) for mode in MODES),
        Example((STEPS,), options={"pads": ((2, 1),), "mode": "reflect"}),
    ],
    "unframed": [
        Example((RNG.standard_normal((6, 7, 3, 2)), IMAGE), options={"pads": ((1, 0), (1, 2)), "mode": mode})
        for mode in MODES
    ],
    **{
        name: [
            Example(
                (RNG.standard_normal((*(made if back else IMAGE.shape[:2]), 3, 2)), IMAGE)[:many],
                options={"sizes": sizes},
            )
            for sizes, made in (((3, 2), (3, 2)), ((2, "same"), (2, 4)), ((6, 3), (6, 3)))
        ]
        for name, many, back in (
            *(("mean_parts", 1, False), ("spread_parts", 2, True)),
            *(("largest_parts", 2, False), ("placed_parts", 2, True)),
        )
    },
    "tent": [Example((np.arange(2.0 * size - size % 2),), (), {"size": size}) for size in (1, 2, 3)],
    "shuffled": [Example((RNG.standard_normal((2, 3, 8, 2)),), options={"block": 2})],
    "unshuffled": [Example((RNG.standard_normal((4, 2, 3, 2)),), options={"block": 2})],
    "canvas": [Example((WINDOWS,), (), {"grid": GRID, "features": 3})],
    "block_diagonal": [Example((KERNEL[:, 0, 0, :2], RNG.standard_normal((4, 3))))],
    "diagonal_blocks": [Example((RNG.standard_normal((2, 4)), KERNEL[:, 0, 0, :2]))],
    "kernel_at": [Example((KERNEL, 2, 1))],
    "kernel_place": [Example((KERNEL[:, 0, 0], KERNEL, 2, 1))],
    "with_ones": [Example((M,))],
    "without_bias": [Example((M,))],
    "with_zero_bias": [Example((M,))],
    "chosen": [Example((np.arange(6).reshape(2, 3), 1, 0), (), {"grid": Grid((3, 2))})],
}

every = pytest.mark.parametrize(
    ("name", "example"), [(name, example) for name, examples in EXAMPLES.items() for example in examples]
)


def slope(function: Any, at: Any, direction: Any, step: float = 1e-4) -> Any:
    ahead, behind, ahead2, behind2 = (function(at + k * step * direction) for k in (1, -1, 2, -2))
    return (8 * (ahead - behind) - ahead2 + behind2) / (12 * step)


def test_every_primitive_has_an_example() -> None:
    assert set(EXAMPLES) == set(rules)


@every
def test_adjoint_is_the_derivative(name: str, example: Example) -> None:
    rule, operands = rules[name], list(example.operands)
    value = rule.evaluate(*operands, **example.options)
    d = RNG.standard_normal(np.shape(value))
    cotangents = rule.adjoint(d, value, *operands, **example.options)
    assert len(cotangents) == len(operands)
    for position in example.smooth:
        direction = RNG.standard_normal(np.shape(operands[position]))

        def shifted(operand: Any, position: int = position) -> Any:
            return rule.evaluate(*operands[:position], operand, *operands[position + 1 :], **example.options)

        numeric = (slope(shifted, operands[position], direction) * d).sum()
        assert np.shape(cotangents[position]) == np.shape(operands[position])
        np.testing.assert_allclose((cotangents[position] * direction).sum(), numeric, rtol=1e-7, atol=1e-8)


@every
def test_tree_of_a_primitive_evaluates_derives_and_prints(name: str, example: Example) -> None:
    arrays = {f"v{i}": value for i, value in enumerate(example.operands) if np.ndim(value)}
    kinds = {
        key: "image" if np.ndim(value) == 4 and value is not KERNEL else "array"
        for key, value in arrays.items()
    }
    symbols = {key: Symbol(key, kind=kinds[key]) for key in arrays}
    function: Any = next(getattr(module, name) for module in MODULES if hasattr(module, name))
    tree = function(*(symbols.get(f"v{i}", v) for i, v in enumerate(example.operands)), **example.options)
    value = rules[name].evaluate(*example.operands, **example.options)
    np.testing.assert_array_equal(evaluate(tree, arrays), value)
    d = RNG.standard_normal(np.shape(value))
    expected = rules[name].adjoint(d, value, *example.operands, **example.options)
    for position in example.smooth:
        derived = adjoint(
            tree, symbols[f"v{position}"], Symbol("d", kind="image" if np.ndim(d) == 4 else "array")
        )
        np.testing.assert_allclose(
            evaluate(derived, {**arrays, "d": d}), expected[position], rtol=1e-13, atol=1e-13
        )
        assert latex(derived)
    assert text(tree)
    assert latex(tree)
    assert mathml(tree)


def test_every_rule_says_what_it_means() -> None:
    assert all(rule.meaning for rule in rules.values())


# -- reductions over offsets ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sum_over", "mean_over", "max_over"])
def test_reduction_over_offsets(name: str) -> None:
    reduce: Any = getattr(O, name)

    def formula(x: Any) -> Any:
        return reduce("mn", GRID.kernel, lambda m, n: E.tanh(A.window(x, m, n, grid=GRID)))

    x, d = Symbol("x", kind="image"), Symbol("d", kind="image")
    value = formula(IMAGE)
    np.testing.assert_array_equal(evaluate(formula(x), {"x": IMAGE}), value)
    cotangent, direction = RNG.standard_normal(value.shape), RNG.standard_normal(IMAGE.shape)
    derived = evaluate(adjoint(formula(x), x, d), {"x": IMAGE, "d": cotangent})
    numeric = (slope(formula, IMAGE, direction) * cotangent).sum()
    np.testing.assert_allclose((derived * direction).sum(), numeric, rtol=1e-8)


def test_stack_is_the_inverse_of_kernel_at() -> None:
    np.testing.assert_array_equal(O.stack_over("mn", (3, 2), lambda m, n: A.kernel_at(KERNEL, m, n)), KERNEL)
    w, d = Symbol("w"), Symbol("d")
    tree = O.stack_over("mn", (3, 2), lambda m, n: E.tanh(A.kernel_at(w, m, n)))
    cotangent = RNG.standard_normal(KERNEL.shape)
    derived = evaluate(adjoint(tree, w, d), {"w": KERNEL, "d": cotangent})
    np.testing.assert_allclose(derived, cotangent * (1 - np.tanh(KERNEL) ** 2), rtol=1e-13)


def test_reductions_are_in_the_table() -> None:
    assert set(binders) == {"sum_over", "mean_over", "max_over", "argmax_over", "stack_over"}


# -- values --------------------------------------------------------------------------------------------------


def test_erf_is_exact_and_keeps_the_type() -> None:
    x = np.linspace(-6, 6, 25).reshape(5, 5)
    assert (E.erf(x) == np.vectorize(math.erf)(x)).all()
    assert E.erf(x.astype(np.float32)).dtype == np.float32
    assert E.erf(np.zeros((0, 3))).shape == (0, 3)


def test_limits_come_without_warnings() -> None:
    big = np.array([-1e4, 1e4])
    np.testing.assert_array_equal(E.exp(big), [0, np.inf])
    np.testing.assert_array_equal(E.expm1(big), [-1, np.inf])
    assert E.log(np.zeros(1)) == -np.inf
    np.testing.assert_array_equal(E.xlogy(np.array([0.0, 1.0]), np.zeros(2)), [0, -np.inf])


def test_stated_derivatives_at_kinks() -> None:
    zero, one = np.zeros(1), np.ones(1)
    assert rules["maximum"].adjoint(one, zero, zero, 0.0)[0] == 0
    assert rules["minimum"].adjoint(one, zero, zero, 0.0)[0] == 0
    assert rules["absolute"].adjoint(one, zero, zero)[0] == 0
    tie = np.array([[1.0], [1.0]])
    np.testing.assert_array_equal(rules["largest_feature"].evaluate(tie), [[1], [0]])


def test_one_rule_says_whose_a_tie_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(A, "winner", lambda values: len(values) - 1 - values[::-1].argmax(axis=0))
    tie = np.array([1.0, 3.0, 3.0, 0.0])
    for name, shape in (("first_position", (4, 1, 1)), ("largest_feature", (4, 1))):
        assert rules[name].evaluate(tie.reshape(shape)).ravel().tolist() == [0, 0, 1, 0]


def test_window_and_place_are_adjoint_for_every_geometry() -> None:
    """<window(x), d> = <x, place(d)>, strides larger than the kernel and uneven padding included."""
    for size in range(1, 7):
        for kernel in range(1, 5):
            for stride in range(1, 5):
                for pads in [(0, 0), (1, 0), (0, 2), (2, 1)]:
                    grid = Grid((kernel, 1), (stride, 1), (pads, (0, 0)))
                    count = grid.positions((size, 2))[0]
                    if count < 1:
                        continue
                    x, d = RNG.standard_normal((size, 2, 1, 1)), RNG.standard_normal((count, 2, 1, 1))
                    padded = np.pad(x, (pads, (0, 0), (0, 0), (0, 0)))
                    for m in range(kernel):
                        seen = A.window(x, m, 0, grid=grid)
                        np.testing.assert_array_equal(seen, padded[m : m + (count - 1) * stride + 1 : stride])
                        back = A.place(d, x, m, 0, grid=grid)
                        np.testing.assert_allclose((seen * d).sum(), (x * back).sum(), atol=1e-13)
