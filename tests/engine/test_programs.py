"""Formulas compiled to programs: random trees, layers and losses of one's own, and what is no program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import formulas as F
from chainrule.engine import Plan
from chainrule.engine.compiler import NUMBERS
from chainrule.engine.programs import layer_programs, loss_programs
from chainrule.formulas.rules import Trait
from tests import by_formula
from tests.engine import own_layers as own
from tests.engine.harness import MACHINES, Problem, assert_like_reference, batch_sizes, width

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)


def native(plan: Plan) -> bool:
    return not plan._built.hosts and plan._built.lost is None


def check(problem: Problem, level: str, dtype: str) -> None:
    """As the formulas, at batches around the lanes, all of it natively."""
    assert native(problem.plan(level, dtype, keep=False))
    for samples in (n for n in batch_sizes(width(level, dtype)) if n <= len(problem.X)):
        part = problem.first(samples)
        assert_like_reference(part, level, dtype, samples, part.step())
    assert_like_reference(problem, level, dtype, 3 * len(problem.X), problem.step())


def problem_of(layers: list[cr.Layer], shape: tuple[int, ...], loss: cr.Loss, samples: int = 35) -> Problem:
    network = cr.Network(layers, input_shape=shape, seed=3)
    r = np.random.default_rng(4)
    X = r.standard_normal((samples, *shape)).astype(np.float32)
    y = r.standard_normal((samples, *network.output_shape)).astype(np.float32)
    weights = r.random(samples)
    return Problem(network, X, y, loss, None, weights / weights.mean())


# -- random trees --------------------------------------------------------------------------------------------

Env = dict[str, Any]
Term = Callable[[Env], Any]
# Every operation is kept where it is well conditioned: the compiler is compared, not the formulas' rounding.
UNARY: list[Callable[[Any], Any]] = [
    F.cos,
    F.sin,
    lambda a: -a,
    lambda a: F.sqrt(1 + a**2),
    lambda a: F.exp(-(a**2)),
    lambda a: F.expm1(F.tanh(a)),
    lambda a: F.log(2 + F.tanh(a)),
    lambda a: F.log1p(a**2),
    F.tanh,
    F.erf,
    abs,
    lambda a: a * F.floor(2.5 + 0.4 * F.tanh(a)),
    lambda a: (1 + abs(a)) ** -1.5,
    lambda a: F.tanh(a) ** 3,
    lambda a: (1 + a**2) ** (1 / 3),
    lambda a: F.named("t", F.tanh(a)) * F.tanh(a),
    F.sum_features,
    F.mean_features,
    F.max_features,
    lambda a: F.ones_like(a) / F.count_features(a),
    lambda a: a - F.zeros_like(a),
]
BINARY: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: F.tanh(a) * b,
    lambda a, b: a / (1 + b**2),
    F.maximum,
    F.minimum,
    lambda a, b: F.raised(1 + a**2, F.tanh(b)),
    lambda a, b: F.stretch(F.sum_features(a), a + b),
    lambda a, b: F.fit(a + b, F.max_features(a + b)),
    lambda a, b: F.xlogy(F.tanh(a), 2 + F.tanh(b)),
]
LEAVES: list[Term] = [
    lambda e: e["x"],
    lambda e: e["x"],
    lambda e: F.broadcast_samples(e["s"]),
    lambda e: F.broadcast_samples(F.exp(-e["s"]) + 1),
    lambda e: F.broadcast_samples(e["q"]),
    lambda e: F.broadcast_samples(e["t"]),
    lambda e: F.largest_feature(e["x"]),
    lambda e: F.where(F.greater(e["x"], 0.5), e["x"] ** 2, -0.25),
    lambda e: F.where(F.greater(e["x"], F.mean_features(e["x"])), e["t"], e["x"]),
    lambda e: 1.5 + 0 * e["x"],
]


def term(r: np.random.Generator, depth: int) -> Term:
    if depth == 0:
        return LEAVES[r.integers(len(LEAVES))]
    one = term(r, depth - 1)
    if r.random() < 0.4:
        unary = UNARY[r.integers(len(UNARY))]
        return lambda e: unary(one(e))
    other, binary = term(r, depth - 1), BINARY[r.integers(len(BINARY))]
    return lambda e: binary(one(e), other(e))


class Random(cr.Layer):
    """Random formulas. δ and gradients belong to no forward: both sides compute what stands there."""

    def __init__(self, seed: int, name: str | None = None) -> None:
        self.name = name
        r = np.random.default_rng(seed)
        self.ahead, self.down = term(r, 4), term(r, 3)
        self.each, self.all, self.here = term(r, 2), term(r, 2), term(r, 2)

    def parameters(self, input_shape: tuple[int, ...]) -> dict[str, cr.Parameter]:
        return {"s": own.learned(input_shape[-1:]), "t": own.learned((1,)), "q": own.learned(input_shape)}

    def forward(self, x: Any, s: Any, t: Any, q: Any) -> Any:
        return x + self.ahead({"x": x, "s": s, "t": t, "q": q})

    def delta(self, d: Any, x: Any, s: Any, t: Any, q: Any) -> Any:
        return d * self.down({"x": x, "s": s, "t": t, "q": q})

    def gradients(self, d: Any, x: Any, s: Any, t: Any, q: Any) -> dict[str, Any]:
        env = {"x": x, "s": s, "t": t, "q": q}
        return {
            "s": F.sum_samples(F.sum_positions(d * self.each(env))),
            "t": F.sum_samples(F.sum_positions(F.sum_features(d * self.all(env)))),
            "q": F.sum_samples(d * self.here(env)),
        }


TREE_SHAPES = [(3,), (1,), (70,), (5, 3), (3, 5, 1), (3, 37, 3), (2, 3, 9)]


@pytest.mark.parametrize("seed", range(28))
def test_random_trees(seed: int) -> None:
    shape = TREE_SHAPES[seed % len(TREE_SHAPES)]
    problem = problem_of([Random(seed)], shape, cr.SquaredError(), 19)
    step = problem.step()
    for level, dtype in MACHINES:
        assert native(problem.plan(level, dtype, keep=False)), seed
        assert_like_reference(problem, level, dtype, 19, step)


def test_every_operation_is_among_the_random_trees() -> None:
    seen: set[int] = set()
    for seed in range(28):
        shape = TREE_SHAPES[seed % len(TREE_SHAPES)]
        layer = Random(seed)
        shapes = {name: spec.shape for name, spec in layer.parameters(shape).items()}
        programs = layer_programs(layer, shape, shape, shapes, delta=True, gradients=True)
        assert programs is not None
        seen |= {step[0] for program in programs for step in program.steps}
    assert set(NUMBERS.values()) - seen == {NUMBERS["copy"]}  # own.Same is one


# -- layers and losses ---------------------------------------------------------------------------------------

NETWORKS: dict[str, tuple[tuple[int, ...], list[cr.Layer]]] = {
    "activation": ((6,), [cr.Dense(9), own.Swish(), cr.Dense(3)]),
    "activation, alone": ((1,), [own.Swish()]),
    "copies": ((4, 5), [own.Same(), own.Swish(), own.Same()]),
    "one channel": ((3, 5, 1), [own.ScaleShift(), own.Swish()]),
    "three channels": ((7, 23, 3), [own.ScaleShift(), own.LayerNorm()]),
    "many channels": ((1000,), [own.LayerNorm(), own.Swish(), own.ScaleShift()]),
    "behind a fused z": (
        (6,),
        [cr.Dense(9), cr.GELU(), own.ScaleShift(), cr.Dense(3), cr.LeakyReLU(-0.2), own.Slopes()],
    ),
    "between convolutions": (
        (5, 6, 8),
        [
            cr.Conv2D(8, 3, padding=1),
            cr.Tanh(),
            own.LayerNorm(),
            cr.Conv2D(9, 3, padding=2),
            own.Everywhere(),
        ],
    ),
    "behind winograd": (
        (5, 6, 8),
        [cr.Conv2D(8, 3), cr.Sigmoid(), own.Sharp(), cr.Flatten(), own.PerPosition()],
    ),
    "sequence": ((7, 6), [own.Everywhere(), own.PerPosition(), own.Slopes(), own.Norm(), own.Spread()]),
    "one channel out and in": ((4, 3, 11), [own.Norm(), own.Spread(), own.ScaleShift(), own.Norm()]),
    "first, before a flatten": ((4, 3, 2), [own.Everywhere(), cr.Flatten(), own.Sharp(), cr.Dense(2)]),
}
LOSSES = {
    "Huber": own.Huber(),
    "log cosh": own.LogCosh(),
    "angle": own.Angle(),
    "chainrule's": cr.SquaredError(),
}


@machines
@pytest.mark.parametrize("name", NETWORKS)
def test_layers_of_ones_own(name: str, level: str, dtype: str) -> None:
    shape, layers = NETWORKS[name]
    check(problem_of(layers, shape, cr.SquaredError()), level, dtype)


@machines
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("last", ["Dense", "GELU", "image", "Swish"])
def test_losses_of_ones_own(last: str, loss: str, level: str, dtype: str) -> None:
    layers: dict[str, list[cr.Layer]] = {
        "Dense": [cr.Dense(1)],
        "GELU": [cr.Dense(5), cr.GELU()],
        "image": [cr.Conv2D(3, 2, padding=1), cr.Tanh()],
        "Swish": [cr.Dense(130), own.Swish()],
    }
    check(problem_of(layers[last], (3, 5, 2) if last == "image" else (4,), LOSSES[loss]), level, dtype)


@machines
def test_training(level: str, dtype: str) -> None:
    """Labels reach a loss of one's own as one-hot rows; parameters of programs are updated like others."""
    layers = [cr.Dense(7), own.Swish(), own.LayerNorm(), cr.Dense(3), own.Slopes()]
    network = cr.Network(layers, input_shape=5, dtype=dtype, seed=2)
    r = np.random.default_rng(7)
    X, y = r.standard_normal((13, 5)), r.integers(0, 3, 13)
    plan = Plan(network, own.Huber(), None, cr.SGD(), batch_size=13, level=level)
    assert native(plan)
    theta = {key: array.astype(np.float64) for key, array in network.parameters.items()}
    for _ in range(3):
        assert plan.train_epoch(X, y, np.arange(13), np.array([0.05])).accuracy is None
        gradients = by_formula.backpropagate(network, X, y, own.Huber(), parameters=theta).gradients
        theta = {key: array - 0.05 * gradients[key] for key, array in theta.items()}
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    for key, array in plan.parameters().items():
        np.testing.assert_allclose(array, theta[key], rtol=0, atol=tolerance, err_msg=key)


# -- functions, measured -------------------------------------------------------------------------------------


class Function(cr.Layer):
    def __init__(self, function: Any = None, name: str | None = None) -> None:
        self.function, self.name = function, name

    def forward(self, x: Any) -> Any:
        return self.function(x)


def apply(function: Any, x: Any, level: str, dtype: str) -> Any:
    network = cr.Network([Function(function)], input_shape=len(x), dtype=dtype)
    plan = Plan(network, batch_size=1, level=level)
    assert native(plan)
    return plan.predict(x[None])[0]


# Bounds in units in the last place, of normal results, as arithmetic/math.inl and program.inl of
# native/kernels/ state them.
FUNCTIONS: dict[str, tuple[Any, Any, float]] = {
    "exp": (F.exp, np.exp, 2.5),
    "expm1": (F.expm1, np.expm1, 4),
    "log": (F.log, np.log, 2.5),
    "log1p": (F.log1p, np.log1p, 3),
    "sqrt": (F.sqrt, np.sqrt, 0.5),
    "cube root": (lambda x: x ** (1 / 3), lambda x: x ** np.longdouble(1 / 3), 1),
    "power 1.5": (lambda x: x**1.5, lambda x: x ** np.longdouble(1.5), 2),
    "power -0.5": (lambda x: x**-0.5, lambda x: x ** np.longdouble(-0.5), 1.5),
    "power -1.75": (lambda x: x**-1.75, lambda x: x ** np.longdouble(-1.75), 4),
    "power 7": (lambda x: x**7, lambda x: x ** np.longdouble(7), 4),
}


@machines
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_over_their_range(name: str, level: str, dtype: str) -> None:
    function, exact, ulps = FUNCTIONS[name]
    info, r = np.finfo(dtype), np.random.default_rng(0)
    sizes = 10.0 ** r.uniform(np.log10(info.tiny) + 0.1, np.log10(info.max) - 0.1, 4000)
    near = 1 + 10.0 ** r.uniform(-16, 0, 1000) * r.choice([-1, 1], 1000)
    points = [sizes, near, r.uniform(0, 3, 4000), info.tiny * r.random(200), [info.tiny, info.max]]
    x = np.unique(np.concatenate(points).astype(dtype))
    if name in ("exp", "expm1", "log1p", "power 7"):
        x = np.concatenate([x, -x])
    if name == "cube root":  # the exponent as the plan's type rounds it
        exact = lambda x: x ** np.longdouble(np.dtype(dtype).type(1 / 3))  # noqa: E731
    with np.errstate(all="ignore"):
        expected = exact(x.astype(np.longdouble))
        rounded = expected.astype(dtype)
    found = apply(function, x, level, dtype)
    normal = np.isfinite(rounded) & (np.abs(expected) >= info.tiny)
    if name.startswith("power"):  # products of what is subnormal have lost digits
        normal &= np.abs(x) >= info.tiny
    error = np.abs(found[normal].astype(np.longdouble) - expected[normal]) / np.spacing(
        np.abs(rounded[normal])
    )
    assert float(error.max()) <= ulps, (x[normal][error.argmax()], float(error.max()))
    if name not in ("exp", "expm1"):  # those reach infinity and 0 within their error of where the type ends
        np.testing.assert_array_equal(found[~np.isfinite(rounded)], rounded[~np.isfinite(rounded)])


INF, NAN = np.inf, np.nan


@machines
@pytest.mark.parametrize(
    "function",
    [
        F.exp, F.expm1, F.log, F.log1p, F.sqrt, F.tanh, F.erf, abs,
        lambda x: x**0.3,
        lambda x: x**-2,
        lambda x: F.maximum(x, 1), lambda x: F.maximum(1, x),
        lambda x: F.minimum(x, 1), lambda x: F.minimum(1, x),
        lambda x: F.greater(x, 1),
        lambda x: F.where(x, 1, 2),
        lambda x: F.where(F.greater(x, 0), 7, 1 / x),  # the branch not taken is infinite
        lambda x: F.xlogy(F.greater(x, 0), x),
        lambda x: F.ratio(F.ones_like(x), x),
        lambda x: F.max_features(x) + 0 * F.ones_like(x),
        F.largest_feature,
    ],
)  # fmt: skip
def test_special_values_are_numpys(function: Any, level: str, dtype: str) -> None:
    smallest = float(np.finfo(dtype).smallest_subnormal)
    rows = [
        [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, smallest, -smallest],
        [2.0, NAN, 3.0, NAN, 3.0, 1.0],
        [2.0, 3.0, 3.0, 1.0],
        [-INF, -INF],
    ]
    for row in rows:
        x = np.array(row, dtype)
        with np.errstate(all="ignore"):
            expected = np.asarray(function(x[:, None]))[:, 0].astype(dtype)
        np.testing.assert_allclose(apply(function, x, level, dtype), expected, rtol=1e-6, atol=0)


# -- what is compiled, and what is not -----------------------------------------------------------------------


def programs_of(layer: cr.Layer, shape: tuple[int, ...] = (4,)) -> Any:
    shapes = {name: spec.shape for name, spec in layer.parameters(shape).items()}
    return layer_programs(layer, shape, layer.output_shape(shape), shapes, delta=True, gradients=True)


def test_equal_terms_are_computed_once_and_temporaries_reused() -> None:
    forward, backward, _ = programs_of(cr.Sigmoid())
    assert [step[0] for step in forward.steps] == [NUMBERS[op] for op in ("negative", "exp", "add", "divide")]
    assert forward.full == 1
    assert len(backward.steps) == len(forward.steps) + 3  # 1 - s, its product with s, and with d
    _, backward, _ = programs_of(own.LayerNorm())
    operations = [step[0] for step in backward.steps]
    assert operations.count(NUMBERS["sqrt"]) == 1
    assert backward.full <= 4


def test_every_entrywise_primitive_is_known() -> None:
    """A primitive added to primitives/elementwise.py needs a line in the compiler."""
    from chainrule.formulas.primitives import elementwise

    names = {name for name, rule in F.rules.items() if rule.evaluate.__module__ == elementwise.__name__}
    entrywise = {name for name, rule in F.rules.items() if Trait.ENTRYWISE in rule.traits}
    assert names - {"fit", "stretch", "ones_like", "zeros_like"} == entrywise
    assert entrywise - NUMBERS.keys() == {"ratio", "raised"}  # a division and a choice; a power


def layer(forward: Any, gradient: Any = None, shape: Any = None) -> cr.Layer:
    """A layer with one formula of interest."""

    class Made(cr.Layer):
        def parameters(self, input_shape: tuple[int, ...]) -> dict[str, cr.Parameter]:
            return {} if shape is None else {"p": own.learned(shape)}

        def forward(self, x: Any, p: Any = None) -> Any:
            return forward(x, p)

        def delta(self, d: Any) -> Any:
            return d

        def gradients(self, d: Any, x: Any, p: Any = None) -> dict[str, Any]:
            return {} if gradient is None else {"p": gradient(d, x, p)}

    return Made()


def same(x: Any, p: Any) -> Any:
    return x


NO_PROGRAMS: dict[str, tuple[Any, ...]] = {
    "NumPy": (lambda x, p: np.sin(x),),
    "a NumPy sum": (lambda x, p: x / np.sum(x),),
    "a NumPy mean": (lambda x, p: x - np.mean(x),),
    "an array": (lambda x, p: x * np.ones((4, 1)),),
    "a method": (lambda x, p: x - x.mean(),),
    "a branch": (lambda x, p: x if x > 0 else -x,),
    "a matrix": (lambda x, p: p @ x, lambda d, x, p: d @ x.T, (4, 4)),
    "a transposed": (lambda x, p: x.T.T,),
    "samples mixed": (lambda x, p: x - F.broadcast_samples(F.sum_samples(x)),),
    "random numbers": (lambda x, p: x * np.random.default_rng().random(),),
    "a constant": (lambda x, p: 1.0,),
    "another shape than stated": (lambda x, p: F.sum_features(x),),
    "a parameter not repeated": (lambda x, p: x * p, lambda d, x, p: F.sum_samples(d * x), (4,)),
    "a parameter of a strange shape": (lambda x, p: x * p, lambda d, x, p: F.sum_samples(d * x), (4, 1)),
    "no gradient": (same, lambda d, x, p: 0, (4,)),
    "a gradient not summed": (same, lambda d, x, p: d * x, (4,)),
    "a gradient of another shape": (same, lambda d, x, p: F.sum_samples(F.sum_features(d)), (4,)),
    "a gradient summed too far": (same, lambda d, x, p: F.sum_entries(d), (1,)),
    "a gradient not summed enough": (same, lambda d, x, p: F.sum_samples(d), (1,)),
    "a gradient of a sum squared": (same, lambda d, x, p: F.sum_samples(d) ** 2, (4,)),
    "a gradient without samples": (same, lambda d, x, p: F.sum_samples(F.broadcast_samples(p)), (4,)),
}


@pytest.mark.parametrize("what", NO_PROGRAMS)
def test_everything_else_stays_on_the_host(what: str) -> None:
    assert programs_of(layer(*NO_PROGRAMS[what])) is None


@pytest.mark.parametrize("name", ["infer", "draw", "running", "mask"])
def test_layers_that_are_more_than_three_formulas_stay_on_the_host(name: str) -> None:
    more = type("More", (own.Swish,), {name: lambda self, *arguments: arguments[0]})
    assert programs_of(more()) is None


def test_a_formula_that_asks_for_a_mask_stays_on_the_host() -> None:
    class Masked(own.Same):
        def forward(self, x: Any, mask: Any = None) -> Any:
            return x if mask is None else x * mask

    assert programs_of(Masked()) is None


@pytest.mark.parametrize(
    "value",
    [
        lambda a, y: np.zeros(a.shape[-1]),
        lambda a, y: F.sum_features((a - y) ** 2),
        lambda a, y: F.sqrt(F.sum_outputs((a - y) ** 2)),
        lambda a, y: F.sum_entries((a - y) ** 2),
        lambda a, y: F.sum_outputs(a) * F.sum_outputs(y),
    ],
)
def test_a_loss_that_is_no_sum_of_entries_stays_on_the_host(value: Any) -> None:
    class Made(cr.Loss):
        def value(self, a: Any, y: Any) -> Any:
            return value(a, y)

        def gradient(self, a: Any, y: Any) -> Any:
            return a - y

    assert loss_programs(Made(), (4,)) is None


def test_numpy_scalars_are_numbers() -> None:
    assert programs_of(layer(lambda x, p: np.float64(2) * x + x * np.float32(3) - np.float64(1))) is not None
