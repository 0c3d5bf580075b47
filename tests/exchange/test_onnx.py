"""Networks as ONNX models: onnxruntime predicts from the file what the network predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import chainrule as cr
from chainrule.base.errors import ArgumentError, ChainruleError, DataError, MissingExtraError
from chainrule.formulas import exp, sum_samples
from tests.cases import LAYER_CASES, LayerCase, inputs, parameters
from tests.checking.random_problems import problem
from tests.graphs.test_sources import OPTIONS as ATTENTIONS
from tests.graphs.test_sources import batch as reading_batch
from tests.graphs.test_sources import begun, sentences, states
from tests.graphs.test_sources import network as reading
from tests.pairwise import each, some

onnxruntime = pytest.importorskip("onnxruntime")
TOLERANCE = 1e-5  # relative to the largest output; both compute in float32


def run(model: Any, X: Any) -> list[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {"X": X}))


def given(network: cr.Network, X: Any) -> Any:
    """X as the model takes it."""
    return np.asarray(X).astype(np.float32 if network.vocabulary is None else np.int64)


def check(network: cr.Network, X: Any, **options: Any) -> None:
    """onnxruntime's prediction beside that of the network, and beside its formulas in float64."""
    X = given(network, X)
    (a,) = run(network.to_onnx(**options), X)
    exact = network.copy(dtype="float64").predict(X)
    assert a.shape == exact.shape
    scale = max(1, np.abs(exact).max())
    ours = np.abs(network.copy(dtype="float32").predict(X) - exact).max()
    assert np.abs(a - exact).max() <= max(TOLERANCE * scale, 4 * ours)


@pytest.mark.parametrize(
    ("case", "opset"),
    [
        (case, (13, 17, 18, 22)[number % 4])
        for number, case in enumerate(some(LAYER_CASES, 60, lambda case: type(case.make())))
    ],
    ids=lambda value: getattr(value, "id", str(value)),
)
def test_every_layer(case: LayerCase, opset: int) -> None:
    network = cr.Network([case.make()], input_shape=case.input_shape)
    name = network.layers[0].name
    network.set_parameters({f"{name}.{key}": value for key, value in parameters(case).items()})
    check(network, inputs(case), opset=opset)


def test_nodes_that_read_several_values() -> None:
    """Attention to another sequence, and states from node to node, under masks and without."""
    for net, (X, _) in (
        *((reading(number), reading_batch(number, 5)) for number in range(len(ATTENTIONS))),
        *((states(cell), sentences(5)) for cell in (cr.LSTM, cr.GRU)),
        (begun(), ({"x": np.random.default_rng(1).normal(size=(5, 4, 2)).astype(np.float32)}, None)),
    ):
        session = onnxruntime.InferenceSession(
            net.to_onnx().SerializeToString(), providers=["CPUExecutionProvider"]
        )
        feed = {
            given.name: array.astype(np.int64 if given.type == "tensor(int64)" else np.float32)
            for given, array in zip(session.get_inputs(), X.values(), strict=True)
        }
        (a, *_) = session.run(None, feed)
        expected = net.predict(X if len(X) > 1 else X["x"])
        np.testing.assert_allclose(a, expected, atol=1e-5)


@pytest.mark.parametrize("seed", some(range(300), 40))
def test_random_networks(seed: int) -> None:
    of = problem(seed, ordinary=True)
    check(of.network, of.X)


READERS = {
    "RNN": lambda **options: [cr.RNN(3, activation="relu", **options)],
    "LSTM": lambda **options: [cr.LSTM(3, **options)],
    "LSTM projected": lambda **options: [cr.LSTM(3, projection=2, peepholes=True, **options)],
    "GRU": lambda **options: [cr.GRU(3, **options)],
    "attention": lambda **options: [cr.MultiHeadAttention(2, causal="reverse" in options)],
    "mean": lambda **options: [cr.GlobalAveragePool()],
    "largest": lambda **options: [cr.GlobalMaxPool()],
    "two branches": lambda **options: [cr.Residual([cr.GRU(4, outputs="all")]), cr.LSTM(2, **options)],
}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"reverse": True},
    {"outputs": "all"},
    {"outputs": "all", "reverse": True},
]


@pytest.mark.parametrize(("reader", "options"), each(READERS, OPTIONS, turns=2))
@pytest.mark.parametrize("ids", [False, True])
def test_steps_of_padding_wherever_they_stand(reader: str, options: dict[str, Any], ids: bool) -> None:
    first: list[Any] = [cr.Embedding(9, 4, padding=0)] if ids else [cr.Masking(value=0.5)]
    layers = [*first, *READERS[reader](**options)]
    network = cr.Network(layers, input_shape=(6,) if ids else (6, 4), seed=3)
    r = np.random.default_rng(1)
    there = r.random((5, 6)) < 0.6
    there[0], there[1] = False, True
    X = r.integers(1, 9, (5, 6)) * there if ids else np.where(there[..., None], r.normal(size=(5, 6, 4)), 0.5)
    check(network, X)


@pytest.mark.parametrize("shape", [(6, 5, 3), (7, 3)])
def test_channels_first_as_in_pytorch(shape: tuple[int, ...]) -> None:
    conv = cr.Conv2D(4, 2) if len(shape) == 3 else cr.Conv1D(4, 2)
    network = cr.Network([conv, cr.ReLU()], input_shape=shape)
    X = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    (a,) = run(network.to_onnx(channels="first"), np.ascontiguousarray(np.moveaxis(X, -1, 1)))
    np.testing.assert_allclose(np.moveaxis(a, 1, -1), network.predict(X), atol=1e-6)


def test_float64() -> None:
    network = cr.Network([cr.Dense(4), cr.Tanh(), cr.Dense(2)], input_shape=3, dtype="float64")
    X = np.random.default_rng(0).normal(size=(5, 3))
    (a,) = run(network.to_onnx(dtype="float64"), X)
    np.testing.assert_allclose(a, network.predict(X), rtol=1e-13)


def test_an_activation_of_ones_own() -> None:
    class Bump(cr.Activation):
        def f(self, z: Any) -> Any:
            return exp(-(z**2))

        def df(self, z: Any) -> Any:
            return -2 * z * exp(-(z**2))

    network = cr.Network([cr.Dense(4), Bump(), cr.Dense(2)], input_shape=3)
    check(network, np.random.default_rng(0).normal(size=(5, 3)))


class ByNumPy(cr.Layer):
    def forward(self, x: Any) -> Any:
        return np.cumsum(x, axis=0)

    def delta(self, d: Any) -> Any:
        return np.cumsum(d[::-1], axis=0)[::-1]


class OverSamples(cr.Layer):
    def forward(self, x: Any) -> Any:
        return x - sum_samples(x)

    def delta(self, d: Any) -> Any:
        return d


@pytest.mark.parametrize("layer", [ByNumPy, OverSamples])
def test_what_cannot_be_written_is_named(layer: type[cr.Layer]) -> None:
    network = cr.Network([cr.Dense(3), layer()], input_shape=3)
    with pytest.raises(
        ArgumentError, match=f"cannot write {layer.kind}1, {layer.__name__}.*: its formula uses"
    ):
        network.to_onnx()


# -- labels and preparation ----------------------------------------------------------------------------------
@pytest.mark.parametrize("classes", [["a", "b", "c"], [3, 5, 9], None, ["猫", "狗", "鸟"]])
@pytest.mark.parametrize("end", ["softmax", "scores"])
def test_labels(classes: Any, end: str) -> None:
    last = [cr.Softmax()] if end == "softmax" else []
    network = cr.Network([cr.Dense(3), *last], input_shape=4, classes=classes)
    X = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    _, label = run(network.to_onnx(labels=True), X)
    assert label.tolist() == network.classify(X).tolist()


@pytest.mark.parametrize("classes", [["no", "yes"], None])
def test_the_labels_of_one_sigmoid(classes: Any) -> None:
    network = cr.Network([cr.Dense(1), cr.Sigmoid()], input_shape=4, classes=classes)
    X = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    _, label = run(network.to_onnx(labels=True), X)
    assert label.tolist() == network.classify(X).tolist()


def test_several_labels() -> None:
    network = cr.Network([cr.Dense(3), cr.Sigmoid()], input_shape=4)
    network.several_labels = True
    X = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    _, label = run(network.to_onnx(labels=True), X)
    assert label.tolist() == network.classify(X).tolist()


def test_no_labels_of_a_number() -> None:
    with pytest.raises(DataError, match="predicts one number"):
        cr.Network([cr.Dense(1)], input_shape=4).to_onnx(labels=True)


def test_pixels_and_targets_in_their_own_unit() -> None:
    from chainrule.data.preparation.scales import Standardizer

    targets = Standardizer(np.array([3.0]), np.array([10.0]))
    network = cr.Network(
        [cr.Flatten(), cr.Dense(1)],
        input_shape=(3, 3, 1),
        preparation=cr.Preparation(inputs="pixels", targets=targets),  # type: ignore[arg-type]
    )
    X = np.random.default_rng(0).integers(0, 256, (4, 3, 3, 1)).astype(np.uint8)
    (a,) = run(network.to_onnx(preparation=True), X.astype(np.float32))
    np.testing.assert_allclose(a, network.predict(X), rtol=1e-5)


def test_standardized_inputs() -> None:
    from chainrule.data.preparation.scales import Standardizer

    X = np.random.default_rng(0).normal(5, 3, (20, 4))
    network = cr.Network(
        [cr.Dense(2)], input_shape=4, preparation=cr.Preparation(inputs=Standardizer.learn(X))
    )
    (a,) = run(network.to_onnx(preparation=True), X.astype(np.float32))
    np.testing.assert_allclose(a, network.predict(X), atol=1e-5)


def test_a_table_is_refused_with_what_to_write() -> None:
    preparation = cr.Preparation.learn({"age": [1.0, 2, 3], "sex": ["m", "f", "m"]})
    network = cr.Network([cr.Dense(2)], input_shape=preparation.width, preparation=preparation)
    with pytest.raises(DataError, match=r"network\.preparation\(table\)"):
        network.to_onnx(preparation=True)
    assert network.to_onnx() is not None


def _of_house(preparation: Any) -> cr.Graph:
    return cr.Graph(
        {
            "pixels": ([cr.Conv2D(2, 3), cr.ReLU(), cr.Flatten()], "image"),
            "both": (cr.Concat(), "pixels", "row", "age"),
            "price": (cr.Dense(1), "both"),
            "kind": ([cr.Dense(3), cr.Softmax()], "both"),
            "tags": ([cr.Dense(2), cr.Sigmoid()], "both"),
        },
        inputs={"image": (5, 4, 2), "row": 3, "age": 1},
        outputs=["price", "kind", "tags"],
        preparation=preparation,
        classes={"kind": ["flat", "house"]},
    )


def test_every_input_and_output_of_a_graph_in_its_own_unit() -> None:
    rng = np.random.default_rng(0)
    X = {
        "image": rng.integers(0, 256, (6, 5, 4, 2)).astype(np.uint8),
        "row": rng.normal(50, 9, (6, 3)),
        "age": rng.normal(size=(6, 1)),
    }
    scale = cr.data.Standardizer.learn
    network = _of_house({"image": "pixels", "row": scale(X["row"]), "price": scale(rng.normal(9e4, 5e3, 20))})
    model = network.to_onnx(preparation=True, labels=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    outputs = session.run(None, {name: np.asarray(x, np.float32) for name, x in X.items()})
    told = dict(zip(names, outputs, strict=True))
    wanted = network.predict(X) | {f"{n}_label": labels for n, labels in network.classify(X).items()}
    assert set(names) == set(wanted)
    assert told["price"].mean() > 1e4
    for name, value in wanted.items():
        if value.dtype.kind == "f":
            np.testing.assert_allclose(told[name], value, rtol=2e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(told[name], value, err_msg=name)


def test_a_table_among_several_inputs_is_refused_by_its_name() -> None:
    table = cr.Preparation.learn({"age": [1.0, 2, 3], "rooms": [1.0, 4, 2], "sex": ["m", "f", "m"]})
    network = _of_house({"row": table})
    with pytest.raises(DataError, match=r"'row' is made of a table.*preparation\.part\('row'\)\(table\)"):
        network.to_onnx(preparation=True)


def test_no_labels_of_outputs_that_are_numbers() -> None:
    network = cr.Graph({"a": cr.Dense(1), "b": (cr.Dense(2), "input")}, input_shape=3, outputs=["a", "b"])
    with pytest.raises(DataError, match="an output with Softmax or Sigmoid"):
        network.to_onnx(labels=True)


# -- the file ------------------------------------------------------------------------------------------------
def test_the_file_is_the_model(tmp_path: Path) -> None:
    network = cr.Network([cr.Dense(2)], input_shape=3, name="small")
    made = network.to_onnx(tmp_path / "net.onnx")
    read = onnx.load(tmp_path / "net.onnx")
    assert read == made
    assert read.graph.name == "small"
    assert [(value.name, value.type.tensor_type.shape.dim[0].dim_param) for value in read.graph.input] == [
        ("X", "N")
    ]
    assert read.opset_import[0].version == 13


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"opset": 12}, "opset"),
        ({"opset": 99}, "opset"),
        ({"dtype": "float16"}, "dtype"),
        ({"channels": "middle"}, "channels"),
        ({"labels": 1}, "labels"),
    ],
)
def test_arguments_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ChainruleError, match=f"to_onnx {said}"):
        cr.Network([cr.Dense(2)], input_shape=3).to_onnx(**options)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"chainrule\[onnx\]"):
        cr.Network([cr.Dense(2)], input_shape=3).to_onnx()
