"""The page's engine, the second implementation of the formulas: the same numbers as the first, to 1e-12."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.explaining.blocks.worked import element_json
from chainrule.explaining.facts.model import PassFacts
from chainrule.explaining.facts.tensors import encode
from chainrule.formulas import Symbol, erf, rules
from chainrule.formulas.elements.reader import Reader
from chainrule.formulas.exchange import pack, plain
from chainrule.formulas.primitives import arrays as A
from chainrule.formulas.primitives import elementwise as E
from chainrule.formulas.primitives import over as O
from chainrule.formulas.rules import binders
from tests import cases
from tests.explaining.modelled import modelled
from tests.explaining.node import array, run
from tests.formulas.test_rules import EXAMPLES, MODULES
from tests.networks import lenet
from tests.oracles import stored
from tests.pairwise import some

Json = dict[str, Any]
RNG = np.random.default_rng(5)
CLOSE = 1e-12
ETA = 0.1
PENALTIES = (
    None,
    cr.L2(0.1),
    cr.L1(0.05),
    cr.ElasticNet(0.05, 0.1, per_sample=True),
    cr.L2(2.0, per_sample=True),
)


def with_step(network: cr.Network, found: PassFacts, X: Any, y: Any, **options: Any) -> Json:
    """The document with J after a step, computed by the reference."""
    batch, objective = network.problem(X, y, **options)
    values = {name: array.astype(np.float64) for name, array in network.parameters.items()}
    for name in values:
        if f"gradient:{name}" in found.arrays:
            values[name] = values[name] - ETA * found.arrays[f"gradient:{name}"]
    with np.errstate(all="ignore"):  # a step may be far too long
        after = reference.backpropagate(network, batch, objective, values).loss
    return {**found.document, "update": {"eta": ETA, "J_after": plain(after)}}


def case_documents() -> Iterator[tuple[str, Json]]:
    """A network of one layer for every case of every layer."""
    for case in cases.LAYER_CASES:
        layer = case.make()
        network = cr.Network([layer], input_shape=case.input_shape, dtype="float64")
        for name, value in cases.parameters(case).items():
            network.parameters[f"{network.layers[0].name}.{name}"] = value
        X = cases.inputs(case)
        y = np.random.default_rng(3).standard_normal((len(X), *network.output_shape))
        if isinstance(layer, cr.Sigmoid | cr.Softmax | cr.LogSoftmax):
            y = np.abs(y) / np.abs(y).sum(axis=-1, keepdims=True)
        if isinstance(layer, cr.Softmax) and network.output_shape == (1,):
            continue  # the loss asks for two classes
        yield case.id, with_step(network, modelled(network, X, y), X, y)


def network_documents() -> Iterator[tuple[str, Json]]:
    """Every sixth of the stored random networks, with all losses, penalties, and weights."""
    for number, one in enumerate(stored.read()):
        if number % 6:
            continue
        network = one.network("float32" if number % 4 else "float64")
        X, y = one.inputs["X"], one.inputs["y"]
        options: Json = {
            "loss": one.loss_object(),
            "penalty": PENALTIES[number // 6 % len(PENALTIES)],
            "sample_weight": np.linspace(0.5, 1.5, len(X)) if number % 12 else None,
            "training_size": 17,
        }
        yield f"network {number}", with_step(network, modelled(network, X, y, **options), X, y, **options)


def used(documents: Mapping[str, Json]) -> tuple[set[str], set[str]]:
    """(classes of the layers, primitives and binders of the formulas) in documents."""
    classes, names = set(), set()

    def visit(value: Any) -> None:
        if isinstance(value, dict):
            if "kind" in value and "class" in value:
                classes.add(value["class"])
            names.update(value[key] for key in ("apply", "over") if key in value)
            for entry in value.values():
                visit(entry)
        elif isinstance(value, list):
            for entry in value:
                visit(entry)

    for document in documents.values():
        visit({key: value for key, value in document.items() if key != "tensors"})
    return classes, names


def test_every_layer_loss_and_penalty() -> None:
    """Outputs, δ, gradients, J, and J after a step, of networks with every layer there is."""
    documents = dict((*case_documents(), *network_documents()))
    classes, _ = used(documents)
    assert set(cr.layers.layer_classes) <= classes
    assert {"Residual", "Parallel"} <= classes
    assert {one["loss"]["class"] for one in documents.values()} >= {
        "CrossEntropy", "BinaryCrossEntropy", "SquaredError", "MeanAbsoluteError", "Huber", "Poisson",
        "Hinge", "CategoricalHinge",
    }  # fmt: skip
    answers = run({"do": "selftest", "document": document} for document in documents.values())
    for name, answer in zip(documents, answers, strict=True):
        assert answer["frozen"] is None, name
        assert answer["worst"]["error"] <= CLOSE, (name, answer)
        numbers = len(documents[name]["tensors"])
        starts = len([key for key in documents[name]["tensors"] if key in ("input", "y", "weights")])
        assert answer["compared"] > (numbers - starts) // 3, name  # parameters and what is given are not


def test_a_wrong_number_is_found() -> None:
    """The comparison itself: one entry of one array changed."""
    network = lenet(seed=1)
    found = modelled(network, RNG.standard_normal((3, 10, 8, 2)), [0, 1, 2], penalty=cr.L2(0.1))
    jobs = []
    for name in ("relu1", "delta:conv1", "gradient:dense1.W"):
        wrong = found.arrays[name].copy()
        wrong.flat[3] += 1e-6 * np.abs(wrong).max()
        changed = {**found.document["tensors"], name: encode(wrong)}
        jobs.append({"do": "selftest", "document": {**found.document, "tensors": changed}})
    jobs.append({"do": "selftest", "document": {**found.document, "update": {"eta": 0.1, "J_after": 3.0}}})
    for answer, name in zip(run(jobs), ("relu1", "delta:conv1", "gradient:dense1.W", "J_after"), strict=True):
        assert answer["worst"]["id"] == name
        assert answer["worst"]["error"] > 1e-8


def test_every_primitive() -> None:
    """The examples on which the first implementation is tested, and reductions."""
    jobs, expected = [], []
    for name, examples in EXAMPLES.items():
        function: Any = next(getattr(module, name) for module in MODULES if hasattr(module, name))
        for example in examples:
            arrays = {f"v{i}": value for i, value in enumerate(example.operands) if np.ndim(value)}
            operands = (Symbol(f"v{i}") if np.ndim(v) else v for i, v in enumerate(example.operands))
            nodes, (root,) = pack([function(*operands, **example.options)])
            bindings = {key: encode(value) for key, value in arrays.items()}
            jobs.append({"do": "evaluate", "nodes": nodes, "root": root, "bindings": bindings})
            expected.append((name, rules[name].evaluate(*example.operands, **example.options)))
    kernel = RNG.integers(0, 3, (2, 3, 2, 4)).astype(np.float64)  # with ties
    for name in binders:
        reduce: Any = getattr(O, name)
        nodes, (root,) = pack([reduce("mn", (3, 2), lambda m, n: A.kernel_at(Symbol("w"), m, n))])
        jobs.append({"do": "evaluate", "nodes": nodes, "root": root, "bindings": {"w": encode(kernel)}})
        expected.append((name, reduce("mn", (3, 2), lambda m, n: A.kernel_at(kernel, m, n))))
    for answer, (name, value) in zip(run(jobs), expected, strict=True):
        np.testing.assert_allclose(array(answer), value, rtol=1e-14, atol=1e-15, err_msg=name)


def test_one_rule_says_which_is_the_largest() -> None:
    """Along positions and along features: of equal ones, and where one of them is no number."""
    for values in ([1.0, 3.0, 3.0], [1.0, math.nan, 2.0]):
        jobs = []
        for operation, shape in ((A.first_position, (3, 1, 1)), (A.largest_feature, (3, 1))):
            nodes, (root,) = pack([operation(Symbol("x"))])
            bindings = {"x": encode(np.reshape(values, shape))}
            jobs.append({"do": "evaluate", "nodes": nodes, "root": root, "bindings": bindings})
        along_positions, along_features = (array(answer).ravel().tolist() for answer in run(jobs))
        assert along_positions == along_features


def test_functions_at_their_limits() -> None:
    """erf to the last digits from 1e-300 to 7; exp, log, ratio, power where they end."""
    x = np.concatenate([np.linspace(-7, 7, 1401), [1e-300, -1e-9, 1e-4, 2.9999999, 3.0000001, 5.9999, 30.0]])
    edges = np.array([0.0, 1.0, 800.0, -800.0, 1e-320])
    trees = {
        "erf": (erf(Symbol("x")), x),
        "exp": (E.exp(Symbol("x")), edges),
        "log": (E.log(E.absolute(Symbol("x"))), edges),
        "ratio": (E.ratio(1.0, Symbol("x")), np.array([0.0, 2.0])),
        "power": (E.power(Symbol("x"), exponent=-1), np.array([0.25, -4.0])),
        "xlogy": (E.xlogy(Symbol("x"), Symbol("x")), np.array([0.0, 0.5])),
    }
    jobs = []
    for tree, values in trees.values():
        nodes, (root,) = pack([tree])
        jobs.append({"do": "evaluate", "nodes": nodes, "root": root, "bindings": {"x": encode(values)}})
    found = dict(zip(trees, map(array, run(jobs)), strict=True))
    expected = np.array([math.erf(value) for value in x])
    np.testing.assert_allclose(found["erf"], expected, rtol=2e-15, atol=0)
    np.testing.assert_array_equal(found["exp"][[0, 2, 3]], [1.0, np.inf, 0.0])
    np.testing.assert_allclose(found["log"], [-np.inf, 0.0, *np.log([800.0, 800.0, 1e-320])], rtol=1e-15)
    np.testing.assert_array_equal(found["ratio"], [0.0, 0.5])
    np.testing.assert_array_equal(found["power"], [4.0, -0.25])
    np.testing.assert_allclose(found["xlogy"], [0.0, 0.5 * math.log(0.5)], rtol=1e-15)


def test_changed_numbers_and_another_step() -> None:
    """What the page is for: a weight, a pixel and η changed."""
    network = lenet(seed=1, dtype="float64")
    X = RNG.standard_normal((2, 10, 8, 2))
    penalty = cr.L2(0.1)
    document = modelled(network, X, [0, 2], penalty=penalty).document
    moved, W = X.copy(), network.parameters["conv1.W"].copy()
    moved[1, 3, 4, 1] += 0.5
    W[2, 1, 1, 0] = -1.25
    changes = {"input": encode(np.moveaxis(moved, 0, -1)), "conv1.W": encode(W)}
    (answer,) = run([{"do": "passes", "document": document, "changes": changes, "eta": 0.03}])
    network.parameters["conv1.W"] = W
    step = network.backpropagate(moved, [0, 2], penalty=penalty)
    assert answer["J"] == pytest.approx(step.loss, rel=CLOSE)
    assert answer["data"] == pytest.approx(step.data_loss, rel=CLOSE)
    for name, gradient in step.gradients.items():
        np.testing.assert_allclose(array(answer["gradients"][name]), gradient, rtol=1e-9, atol=1e-13)
        network.parameters[name] = network.parameters[name] - 0.03 * gradient
        np.testing.assert_allclose(
            array(answer["updated"][name]), network.parameters[name], rtol=1e-12, atol=1e-14
        )
    np.testing.assert_allclose(
        array(answer["deltas"]["input"]), np.moveaxis(step.deltas["input"], 0, -1), rtol=1e-9, atol=1e-13
    )
    assert answer["J_after"] == pytest.approx(network.loss(moved, [0, 2], penalty=penalty), rel=CLOSE)


def test_what_entries_are_read_with() -> None:
    """The passes hand out the bindings of every leaf, and of every step of a recurrence."""
    layers = [cr.Dense(3), cr.LSTM(2, reverse=True), cr.Dense(2)]
    network = cr.Network(layers, input_shape=(4, 3), dtype="float64")
    found = modelled(network, RNG.standard_normal((2, 4, 3)), np.zeros((2, 2)))
    (answer,) = run([{"do": "passes", "document": found.document, "changes": {}}])
    for name in ("dense1", "dense2"):
        expected = found.bindings(name)
        assert set(answer["bindings"][name]) == set(expected)
        for key, value in expected.items():
            np.testing.assert_allclose(array(answer["bindings"][name][key]), value, rtol=1e-9, atol=1e-15)
    steps = answer["steps"]["lstm1"]
    assert [one["t"] for one in steps] == [3, 2, 1, 0]
    assert set(steps[1]["bindings"]) == {"x", "h", "c", "dh", "dc", "W", "U", "b"}
    np.testing.assert_array_equal(array(steps[0]["bindings"]["h"]), np.zeros((2, 2)))
    last = array(steps[-1]["bindings"]["dh"])
    np.testing.assert_allclose(last, found.arrays["delta:lstm1"], rtol=1e-9)


class Cube(cr.Layer):
    """Written with NumPy alone: it takes no symbols."""

    def forward(self, x: Any) -> Any:
        return np.power(np.asarray(x), 3)

    def delta(self, d: Any, x: Any) -> Any:
        return d * 3 * np.square(np.asarray(x))


def test_what_is_missing_is_said() -> None:
    """A layer without formulas, a parameter over the budget: nothing is invented behind it."""
    X, y = np.arange(12.0).reshape(3, 4), np.ones((3, 2))  # 4 bytes each: they fit into the small page
    own = cr.Network([cr.Dense(5), Cube(), cr.Dense(2)], input_shape=4)
    small = cr.Network([cr.Dense(5), cr.Tanh(), cr.Dense(2)], input_shape=4)
    documents = [modelled(own, X, y).document, modelled(small, X, y, budget=200).document]
    one, other = run({"do": "passes", "document": document, "changes": {}} for document in documents)
    assert one["frozen"]["id"] == "cube1"
    assert list(one["outputs"]) == ["dense1"]
    assert "J" not in one
    assert other["frozen"] == {
        "id": "dense1.W",
        "reason": "the numbers of dense1.W are not in this page",
    }
    assert other["outputs"] == {}


def same_element(found: Any, expected: Any) -> None:
    """Equal but for the rounding of sums."""
    assert set(found) == set(expected)
    for key, value in expected.items():
        if key == "value":
            assert found[key] == pytest.approx(value, rel=1e-11, abs=1e-12)
        elif key == "of":
            assert len(found["of"]) == len(value)
            for left, right in zip(found["of"], value, strict=True):
                same_element(left, right)
        else:
            assert found[key] == value


def test_entries_worked_out() -> None:
    """Entries of every formula of every layer, taken apart as the first implementation does."""
    jobs, expected = [], []
    for case in some(cases.LAYER_CASES, 70, lambda case: type(case.make())):
        network = cr.Network([case.make()], input_shape=case.input_shape, dtype="float64")
        if isinstance(network.layers[0], cr.layers.Recurrent | cr.Softmax):
            continue
        X = cases.inputs(case, min(case.samples, max(2, case.fewest)))
        y = np.ones((len(X), *network.output_shape))
        sigmoid = case.id.startswith("sigmoid")
        found = modelled(network, X, y, loss=cr.BinaryCrossEntropy() if sigmoid else cr.SquaredError())
        (layer,) = found.document["graph"]["layers"]
        name = layer["name"]
        bindings = {**found.bindings(name), "d": RNG.standard_normal(found.arrays[name].shape)}
        trees = found.trees[name]
        assert trees is not None
        reader, wanted = Reader(bindings), []
        for key, tree in trees.items():
            value = np.asarray(reader.value(tree))
            for flat in RNG.choice(value.size, size=min(2, value.size), replace=False):
                index = [int(i) for i in np.unravel_index(int(flat), value.shape)]
                wanted.append([layer["formulas"]["roots"][key], index])
                expected.append((case.id, key, element_json(reader.element(tree, index))))
        arrays = {key: encode(value) for key, value in bindings.items()}
        job = {"do": "elements", "nodes": layer["formulas"]["nodes"], "bindings": arrays, "wanted": wanted}
        jobs.append(job)
    answers = [element for answer in run(jobs) for element in answer]
    for answer, (_, _, element) in zip(answers, expected, strict=True):
        same_element(answer, element)


@pytest.mark.parametrize(
    "layer",
    [cr.Conv2D(2, 3, stride=2, padding=1), cr.AveragePool2D(3, 2), cr.Conv2D(4, 2, groups=2), cr.Dense(3)],
    ids=lambda layer: type(layer).__name__,
)
def test_what_an_input_reaches(layer: cr.Layer) -> None:
    """`influence` by the δ formula: exactly the outputs that move when the entry does."""
    shape = (4,) if isinstance(layer, cr.Dense) else (6, 5, 2)
    network = cr.Network([layer], input_shape=shape, dtype="float64")
    X = RNG.standard_normal((2, *shape))
    found = modelled(network, X, np.zeros((2, *network.output_shape)))
    (one,) = found.document["graph"]["layers"]
    formulas, bindings = one["formulas"], found.bindings(one["name"])
    arrays = {key: encode(value) for key, value in bindings.items()}
    jobs, expected = [], []
    for index in np.ndindex(bindings["x"].shape):
        moved = bindings["x"].copy()
        moved[index] += 1.0
        change = network.predict(reference.to_rows(moved)) - network.predict(X)
        expected.append({(*place, int(sample)) for sample, *place in np.argwhere(change).tolist()})
        job = {"nodes": formulas["nodes"], "root": formulas["roots"]["delta"], "symbol": "d"}
        jobs.append({"do": "influence", **job, "index": list(index), "bindings": arrays})
    for answer, places in zip(run(jobs), expected, strict=True):
        assert {tuple(one["index"]) for one in answer} == places


def test_windows_a_pixel_did_not_win_are_among_those_it_lies_in() -> None:
    network = cr.Network([cr.MaxPool2D(2, 1)], input_shape=(3, 3, 1), dtype="float64")
    found = modelled(network, np.arange(9.0).reshape(1, 3, 3, 1), np.zeros((1, 2, 2, 1)))
    (layer,) = found.document["graph"]["layers"]
    arrays = {key: encode(value) for key, value in found.bindings("maxpool1").items()}
    formulas = layer["formulas"]
    job = {"do": "influence", "nodes": formulas["nodes"], "root": formulas["roots"]["delta"], "symbol": "d"}
    (answer,) = run([{**job, "index": [1, 1, 0, 0], "bindings": arrays}])
    assert {tuple(one["index"][:2]) for one in answer} == {(0, 0), (0, 1), (1, 0), (1, 1)}
