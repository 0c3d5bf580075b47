"""Networks as C: compiled without a warning as C99 and as C++, they predict what the network predicts."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ArgumentError
from chainrule.formulas import exp
from tests.cases import LAYER_CASES, inputs, parameters
from tests.checking.random_problems import problem
from tests.graphs.drawn import graph
from tests.graphs.test_sources import OPTIONS as ATTENTIONS
from tests.graphs.test_sources import batch as reading_batch
from tests.graphs.test_sources import begun, sentences, states
from tests.graphs.test_sources import network as reading
from tests.pairwise import some

# C99 to the letter, and as C++, into which such a header may be included, too.
COMPILERS = {
    "c99": ["cc", "-std=c99", "-pedantic-errors"],
    "c++": ["c++", "-x", "c++", "-std=c++11"],
}
STRICT = ["-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
EPSILON = float(np.finfo(np.float32).eps)


def compiled(networks: list[cr.Network], folder: Path, language: str = "c99") -> list[Any]:
    """The `predict` of every network, from one library."""
    parts = []
    for number, network in enumerate(networks):
        name = f"net{number}"
        network.to_c(folder / f"{name}.h", prefix=name)
        parts.append(
            f'#include "{name}.h"\n'
            f"void predict{number}(const float *x, float *a, float *work) {{ {name}_predict(x, a, work); }}\n"
            f"int work{number}(void) {{ return {name.upper()}_WORK; }}\n"
        )
    numbers = range(len(networks))
    declared = [f"void predict{n}(const float *, float *, float *); int work{n}(void);\n" for n in numbers]
    named = ['extern "C" {\n', *declared, "}\n"] if language == "c++" else declared
    source = folder / "all.c"
    source.write_text("".join([*named, *parts]), encoding="utf-8")
    library = folder / f"all-{language}.so"
    made = subprocess.run(
        [*COMPILERS[language], *STRICT, str(source), "-o", str(library), "-lm"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    loaded = ctypes.CDLL(str(library))
    return [(getattr(loaded, f"predict{n}"), getattr(loaded, f"work{n}")()) for n in range(len(networks))]


def run(function: Any, network: cr.Network, X: Any) -> Any:
    predict, size = function
    X = np.ascontiguousarray(X, np.float32)
    a, work = np.zeros((len(X), *network.output_shape), np.float32), np.full(size + 8, np.nan, np.float32)
    for x, row in zip(X, a, strict=True):
        work[:] = np.nan  # nothing is read before it is written
        predict(*(ctypes.c_void_p(array.ctypes.data) for array in (x, row, work)))
        assert np.isnan(work[size:]).all()
    return a


def check(function: Any, network: cr.Network, X: Any) -> None:
    exact = network.copy(dtype="float64").predict(X)
    ours = np.abs(network.copy(dtype="float32").predict(np.asarray(X, network.dtype)) - exact).max()
    scale = max(1, np.abs(exact).max())
    assert np.abs(run(function, network, X) - exact).max() <= max(40 * EPSILON * scale, 8 * ours)


@pytest.fixture(scope="module", params=sorted(COMPILERS))
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_layer(tmp_path: Path, language: str) -> None:
    cases = some(LAYER_CASES, 60, lambda case: type(case.make()))
    networks = []
    for case in cases:
        network = cr.Network([case.make()], input_shape=case.input_shape)
        name = network.layers[0].name
        network.set_parameters({f"{name}.{key}": value for key, value in parameters(case).items()})
        networks.append(network)
    for function, network, case in zip(compiled(networks, tmp_path, language), networks, cases, strict=True):
        check(function, network, inputs(case).astype(np.float32))


def test_nodes_that_read_several_values(tmp_path: Path) -> None:
    """Attention to another sequence, and states from node to node, under masks and without."""
    numbers = range(len(ATTENTIONS))
    made = [reading(number) for number in numbers] + [states(cell) for cell in (cr.LSTM, cr.GRU)] + [begun()]
    batches = [reading_batch(number, 4)[0] for number in numbers] + [sentences(4)[0]] * 2
    batches.append({"x": np.random.default_rng(1).normal(size=(4, 4, 2))})
    for function, net, X in zip(compiled(made, tmp_path), made, batches, strict=True):
        row = np.concatenate([array.reshape(len(array), -1) for array in X.values()], 1).astype(np.float32)
        found = run(function, net, row)
        np.testing.assert_allclose(found, net.predict(X if len(X) > 1 else X["x"]), atol=1e-5)


def test_random_networks(tmp_path: Path) -> None:
    problems = [problem(seed, ordinary=True) for seed in some(range(300), 40)]
    functions = compiled([of.network for of in problems], tmp_path)
    for function, of in zip(functions, problems, strict=True):
        X = of.X.astype(np.float32)
        if of.network.vocabulary is None and X.ndim == 3:
            X[0, -1] = X[1, 0] = 0
        check(function, of.network, X)


def test_graphs(tmp_path: Path) -> None:
    """Values that several read are there until the last has read them; several ends lie side by side."""
    made = [graph(seed, kind) for seed, kind in ((0, "image"), (2, "features"), (1, "sequence"))]
    several = cr.Graph(
        {"a": ([cr.Conv2D(2, 2), cr.Tanh()], "x"), "b": ([cr.Flatten(), cr.Dense(2), cr.Softmax()], "a"),
         "c": (cr.Dense(2), "y"), "d": (cr.Multiply(), "b", "c"), "e": ([cr.Dense(1), cr.Sigmoid()], "d")},
        inputs={"x": (3, 4, 1), "y": 3},
        outputs=["b", "e"],
    )  # fmt: skip
    functions = compiled([*made, several], tmp_path)
    r = np.random.default_rng(0)
    for function, network in zip(functions[:-1], made, strict=True):
        check(function, network, r.normal(size=(3, *network.input_shape)))
    X = r.normal(size=(4, 15)).astype(np.float32)
    a = several.predict({"x": X[:, :12].reshape(4, 3, 4, 1), "y": X[:, 12:]})
    expected = np.hstack([a["b"], a["e"]])
    np.testing.assert_allclose(run(functions[-1], several, X), expected, atol=1e-6)


def test_steps_of_padding_wherever_they_stand(tmp_path: Path) -> None:
    readers: list[list[Any]] = [
        [cr.RNN(3, activation="relu")],
        [cr.LSTM(3, outputs="all")],
        [cr.LSTM(3, projection=5, peepholes=True, outputs="all")],
        [cr.GRU(3, reverse=True)],
        [cr.MultiHeadAttention(2, causal=True)],
        [cr.MultiHeadAttention(2), cr.GlobalMaxPool()],
        [cr.Residual([cr.GRU(4, outputs="all")]), cr.LSTM(2, reverse=True, outputs="all")],
        [cr.GlobalAveragePool()],
        [cr.Parallel([[cr.Masking(value=0.25), cr.LSTM(2)], [cr.GRU(2)]], join="concat")],
    ]
    made = [cr.Network([cr.Masking(value=0.5), *reader], input_shape=(6, 4), seed=3) for reader in readers]
    made += [
        cr.Network([cr.Embedding(9, 4, padding=0), *reader], input_shape=(6,), seed=3) for reader in readers
    ]
    r = np.random.default_rng(1)
    there = r.random((5, 6)) < 0.6
    there[0], there[1] = False, True
    for function, network in zip(compiled(made, tmp_path), made, strict=True):
        X = np.where(there[..., None], r.normal(size=(5, 6, 4)), 0.5).astype(np.float32)
        X[2, 3] = 0.25
        check(function, network, r.integers(1, 9, (5, 6)) * there if network.vocabulary else X)


ENDS: dict[str, list[Any]] = {
    "softmax": [cr.Softmax()],
    "sigmoid": [cr.Sigmoid()],
    "tanh": [cr.Tanh()],
    "nothing": [],
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("language", COMPILERS)
def test_a_step_of_training(end: str, language: str, tmp_path: Path) -> None:
    layers = [
        cr.Flatten(),
        cr.Dense(5),
        cr.ELU(),
        cr.Dense(4, bias=False),
        cr.GELU(),
        cr.Dense(3),
        *ENDS[end],
    ]
    network = cr.Network(layers, input_shape=(2, 3, 1), seed=2)
    text = network.to_c(tmp_path / "net.h", training=True)
    whole = "".join(
        f"void get_{name.replace('.', '_')}(float *to) {{ for (int i = 0; i < {array.size}; i++) "
        f"to[i] = net_{name.replace('.', '_')}[i]; }}\n"
        for name, array in network.parameters.items()
    )
    (tmp_path / "net.c").write_text(
        '#include "net.h"\n#ifdef __cplusplus\nextern "C" {\n#endif\n'
        "float train(const float *x, const float *y, float rate);\n"
        "void predict(const float *x, float *a);\n"
        + "".join(f"{line.split(' {')[0]};\n" for line in whole.splitlines())
        + "float train(const float *x, const float *y, float rate)"
        " { float work[NET_TRAINING_WORK]; return net_train(x, y, rate, work); }\n"
        "void predict(const float *x, float *a) { float work[NET_WORK]; net_predict(x, a, work); }\n"
        + whole
        + "#ifdef __cplusplus\n}\n#endif\n",
        encoding="utf-8",
    )
    library = tmp_path / "net.so"
    command = [*COMPILERS[language], *STRICT, str(tmp_path / "net.c"), "-o", str(library), "-lm"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr + text
    loaded = ctypes.CDLL(str(library))
    loaded.train.restype = ctypes.c_float
    loaded.train.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_float]
    r, exact = np.random.default_rng(0), network.copy(dtype="float64")
    for _ in range(5):
        x = r.normal(size=(1, 2, 3, 1)).astype(np.float32)
        y = np.eye(3, dtype=np.float32)[r.integers(3, size=1)]
        step = exact.backpropagate(x, y)
        assert loaded.train(x.ctypes.data, y.ctypes.data, 0.1) == pytest.approx(step.loss, rel=1e-5)
        for name, gradient in step.gradients.items():
            exact.parameters[name] = exact.parameters[name] - 0.1 * gradient
    for name, array in exact.parameters.items():
        held = np.empty(array.shape, np.float32)
        getattr(loaded, f"get_{name.replace('.', '_')}")(ctypes.c_void_p(held.ctypes.data))
        np.testing.assert_allclose(held, array, atol=1e-5)
    a = np.empty((1, 3), np.float32)
    loaded.predict(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(a.ctypes.data))
    np.testing.assert_allclose(a, exact.predict(x), atol=1e-5)


@pytest.mark.parametrize("layer", [cr.Conv1D(2, 1), cr.Dropout(0.5), cr.LayerNorm()])
def test_training_of_dense_networks_alone(layer: Any) -> None:
    network = cr.Network([layer, cr.Flatten(), cr.Dense(2)], input_shape=(4, 3))
    with pytest.raises(ArgumentError, match=r"to_c\(training=True\) writes the training of Dense"):
        network.to_c(training=True)


class Bump(cr.Activation):
    def f(self, z: Any) -> Any:
        return exp(-(z**2))

    def df(self, z: Any) -> Any:
        return -2 * z * exp(-(z**2))


def test_an_activation_of_ones_own(tmp_path: Path) -> None:
    network = cr.Network([cr.Dense(4), Bump(), cr.Dense(2)], input_shape=3)
    (function,) = compiled([network], tmp_path)
    check(function, network, np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))


def test_pools_whose_squares_and_powers_are_beyond_float(tmp_path: Path) -> None:
    layers = [cr.L2Pool2D(2), cr.L2Pool2D(2, mean=True), cr.LpPool2D(3, 2), cr.LpPool2D(64, 2)]
    networks = [cr.Network([layer], input_shape=(4, 4, 2)) for layer in layers]
    X = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype(np.float32)
    for function, network in zip(compiled(networks, tmp_path), networks, strict=True):
        for scale in (2.0**-100, 1.0, 2.0**100):
            found = run(function, network, X * np.float32(scale)) / scale
            np.testing.assert_allclose(found, network.copy(dtype="float64").predict(X), rtol=8 * EPSILON)


def test_what_cannot_be_written_is_named() -> None:
    class Sorted(cr.Layer):
        def forward(self, x: Any) -> Any:
            return np.sort(x, axis=0)

        def delta(self, d: Any) -> Any:
            return d

    with pytest.raises(ArgumentError, match="cannot write sorted1, Sorted"):
        cr.Network([cr.Dense(4), Sorted()], input_shape=3).to_c()


@pytest.mark.parametrize("prefix", ["", "2net", "my-net", "int", None, "a b"])
def test_a_prefix_is_a_name_of_c(prefix: Any) -> None:
    with pytest.raises(ArgumentError, match="to_c prefix"):
        cr.Network([cr.Dense(4)], input_shape=3).to_c(prefix=prefix)


def test_the_file_says_what_it_holds(tmp_path: Path) -> None:
    network = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=4, classes=['a "b"', "猫", "c*/"])
    text = network.to_c(tmp_path / "net.h")
    assert (tmp_path / "net.h").read_text(encoding="utf-8") == text
    assert "15 parameters (60 bytes of constants)" in text
    assert "about 12 multiplications" in text
    assert r'"a \"b\"", "\347\214\253"' in text
    compiled([network], tmp_path)


def test_there_are_two_compilers() -> None:
    assert all(shutil.which(command[0]) for command in COMPILERS.values())


def test_a_bound_beyond_float_is_none() -> None:
    network = cr.Network([cr.HardTanh(0.5, 1e300), cr.Dense(2)], input_shape=3, dtype="float64")
    text = network.to_c()
    assert "INFINITY" in text
    assert "inff" not in text
