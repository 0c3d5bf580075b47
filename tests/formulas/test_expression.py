"""Trees: structure, traversal, substitution, evaluation, and derivation with sums inside of sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.formulas import (
    Expression,
    Grid,
    Index,
    Named,
    Number,
    Operation,
    Over,
    Symbol,
    adjoint,
    evaluate,
    exp,
    named,
    replace_at,
    substitute,
    sum_over,
    tanh,
    text,
    trace,
    walk,
    where,
    window,
)
from chainrule.layers import Conv2D, Dense

x, y, W = Symbol("x"), Symbol("y"), Symbol("W")
M = np.random.default_rng(3).standard_normal((3, 3))


def test_nodes_compare_by_structure() -> None:
    assert W @ x + y == W @ x + y
    assert hash(W @ x + y) == hash(W @ x + y)
    assert W @ x + y != W @ y + x
    assert x**2 != x**3
    assert Symbol("x") != Symbol("x", kind="image")
    assert trace(Conv2D(2, 3)).forward == trace(Conv2D(5, 3)).forward  # K is in the data
    assert trace(Conv2D(2, 3)).forward != trace(Conv2D(2, 4)).forward
    assert len({x, Symbol("x"), y}) == 2


def test_operators_build_what_numpy_computes() -> None:
    given = {"x": M, "y": M.T + 2, "W": np.ones((3, 3))}
    trees: dict[str, Expression] = {
        "W @ x + y": W @ x + y, "1 - x * y": 1 - x * y, "x / 2": x / 2, "2 / y": 2 / y, "-x": -x,
        "abs(x)": abs(x), "x ** 2": x**2, "x.T @ y": x.T @ y, "x - 1": x - 1, "3 + x": 3 + x, "x * 2": x * 2,
        "x > 0": x > 0, "x < y": x < y,
    }  # fmt: skip
    for source, tree in trees.items():
        np.testing.assert_array_equal(evaluate(tree, given), eval(source, {}, given))


def test_walk_and_replace_at() -> None:
    tree = W @ x + tanh(y)
    paths = dict(walk(tree))
    assert paths[()] == tree
    assert paths[(0, 1)] == x
    assert paths[(1, 0)] == y
    assert replace_at(tree, (0, 1), y) == W @ y + tanh(y)
    assert replace_at(tree, (), x) == x
    for path, node in walk(tree):
        assert replace_at(tree, path, node) == tree


def test_mutants_of_a_layer_evaluate() -> None:
    """What verify needs: drop the transpose of W in Dense's δ, and the numbers are W δ."""
    delta = trace(Dense(3)).delta
    path, transposed = next(
        (p, n) for p, n in walk(delta) if isinstance(n, Operation) and n.rule.name == "transpose"
    )
    mutant = replace_at(delta, path, transposed.operands[0])
    assert text(mutant) == "Wˡ δˡ"
    np.testing.assert_array_equal(evaluate(mutant, {"W": M, "d": M}), M @ M)


def test_substitute_respects_bound_indices() -> None:
    assert substitute(W @ x + x, {x: y}) == W @ y + y
    assert substitute(exp(x), {x: exp(x)}) == exp(exp(x))  # not searched again
    image = Symbol("x", kind="image")
    inner = sum_over("mn", (2, 2), lambda m, n: window(image, m, n, grid=Grid((2, 2))))
    assert substitute(inner, {Index("m"): Index("k")}) == inner
    assert isinstance(inner, Over)
    assert substitute(inner.body, {Index("m"): Index("k")}).free_indices == {"k", "n"}
    assert inner.free_indices == frozenset()
    assert inner.symbols == {image}


def test_shared_nodes_are_computed_and_derived_once() -> None:
    calls: list[Any] = []
    tree = exp(x)
    for _ in range(40):  # 2^40 paths from root to leaf
        tree = tree + tree
    rule = next(
        node for _, node in zip(range(200), _operations(tree), strict=False) if node.rule.name == "exp"
    ).rule
    original = rule.evaluate

    def counted(value: Any) -> Any:
        calls.append(value)
        return original(value)

    object.__setattr__(rule, "evaluate", counted)
    try:
        np.testing.assert_allclose(evaluate(tree, {"x": np.zeros(1)}), 2.0**40)
        derived = adjoint(tree, x, Symbol("d"))
        np.testing.assert_allclose(evaluate(derived, {"x": np.zeros(1), "d": np.ones(1)}), 2.0**40)
    finally:
        object.__setattr__(rule, "evaluate", original)
    assert len(calls) == 2


def _operations(tree: Expression) -> Any:
    return (node for _, node in walk(tree) if isinstance(node, Operation))


def test_named_intermediates_are_transparent() -> None:
    tree = named("t", tanh(x)) * y
    assert isinstance(tree, Operation)
    assert tree.operands[0] == Named("t", tanh(x))
    given = {"x": M, "y": M, "d": M}
    np.testing.assert_array_equal(evaluate(tree, given), np.tanh(M) * M)
    derived = evaluate(adjoint(tree, x, Symbol("d")), given)
    np.testing.assert_allclose(derived, M * M * (1 - np.tanh(M) ** 2))
    assert named("t", M) is M


def test_sums_inside_of_sums_keep_their_indices_apart() -> None:
    """Σ_{m,n} x_{mn}-windows of Σ_{m,n} windows: the derivative renames the inner indices."""
    grid = Grid((2, 2))
    image = Symbol("x", kind="image")

    def twice(value: Any) -> Any:
        inner = sum_over("mn", (2, 2), lambda m, n: window(value, m, n, grid=grid) ** 2)
        return sum_over("mn", (2, 2), lambda m, n: tanh(window(inner, m, n, grid=grid)))

    rng = np.random.default_rng(4)
    X = rng.standard_normal((4, 4, 1, 1))
    np.testing.assert_allclose(evaluate(twice(image), {"x": X}), twice(X))
    d, v = rng.standard_normal((2, 2, 1, 1)), rng.standard_normal(X.shape)
    derived = evaluate(adjoint(twice(image), image, Symbol("d", kind="image")), {"x": X, "d": d})
    h = 1e-5
    numeric = ((twice(X + h * v) - twice(X - h * v)) / (2 * h) * d).sum()
    np.testing.assert_allclose((derived * v).sum(), numeric, rtol=1e-7)


def test_derivative_of_what_does_not_occur_is_zero() -> None:
    assert adjoint(exp(x), y, Symbol("d")) == Number(0)


def test_misuse_is_explained() -> None:
    with pytest.raises(TypeError, match="give the array a Symbol and bind it"):
        x + M
    with pytest.raises(TypeError, match="array"):
        M * x
    with pytest.raises(TypeError, match="where"):
        bool(x > 0)
    with pytest.raises(TypeError, match="sum_over"):
        list(x)
    with pytest.raises(KeyError, match="needs a value for 'y'; bindings has x"):
        evaluate(x + y, {"x": M})


def test_where_keeps_the_branch_type() -> None:
    single = M.astype(np.float32)
    for value in (where(single > 0, single, 0.1 * single), where(single > 0, single, 0.0)):
        assert value.dtype == np.float32
