"""Networks from ONNX models: they compute what onnxruntime computes, or are refused by node and attribute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import chainrule as cr
from chainrule.base.errors import ArgumentError, FileError, MissingExtraError
from tests.cases import LAYER_CASES, LayerCase, inputs, parameters
from tests.checking.random_problems import problem
from tests.exchange.test_onnx import onnxruntime, run
from tests.pairwise import some


def model_of(
    nodes: list[Any],
    shape: list[Any],
    constants: dict[str, Any] | None = None,
    opset: int = 13,
    output: str = "a",
) -> Any:
    tensors = [
        onnx.numpy_helper.from_array(
            np.asarray(array, np.float32) if np.asarray(array).dtype.kind == "f" else np.asarray(array), name
        )
        for name, array in (constants or {}).items()
    ]
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", *shape])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_operatorsetid("", opset)], ir_version=8)


def same(model: Any, network: cr.Network, shape: tuple[int, ...], tolerance: float = 1e-5) -> None:
    """The network beside onnxruntime, on images with their channels where each has them."""
    X = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    (a,) = run(model, X)
    ours = network.predict(np.moveaxis(X, 1, -1) if network.input_shape != shape else X)
    ours = np.moveaxis(ours, -1, 1) if ours.shape != a.shape else ours
    np.testing.assert_allclose(ours, a, atol=tolerance * max(1, np.abs(a).max()))


# Written by their formulas, as operators that are no layers, and not put together again.
BY_FORMULA = {
    *("Masking", "PeriodicEmbedding", "LpPool1D", "LpPool2D", "LpPool3D", "Threshold"),
}
BY_FORMULA_TOO = {"glu", "glu-one", "attention-given"}
# Nothing tells where the channels of their inputs are: the network takes them where the model has them.
EITHER_WAY = (
    *("Activation", "PReLU", "AveragePool1D", "AveragePool2D", "Permute", "Resample", "Dropout", "Scale"),
    *("GroupNorm", "Bias", "L2Pool1D", "L2Pool2D", "L2Pool3D", "AdaptiveAveragePool2D"),
)
REFUSED = [
    case for case in LAYER_CASES if type(case.make()).__name__ in BY_FORMULA or case.id in BY_FORMULA_TOO
]
TAKEN = [case for case in LAYER_CASES if case not in REFUSED]


def alone(case: LayerCase) -> cr.Network:
    network = cr.Network([case.make()], input_shape=case.input_shape, dtype="float64")
    name = network.layers[0].name
    network.set_parameters({f"{name}.{key}": value for key, value in parameters(case).items()})
    return network


@pytest.mark.parametrize("case", some(TAKEN, 50, lambda case: type(case.make())), ids=lambda case: case.id)
@pytest.mark.filterwarnings("ignore:from_onnx. nothing in the model")
def test_every_layer_comes_back(case: LayerCase) -> None:
    network = alone(case)
    back = cr.from_onnx(network.to_onnx(dtype="float64", channels="first"))
    X = inputs(case)
    if back.input_shape == network.input_shape:
        made, expected = back.predict(X), network.predict(X)
        made = made if made.shape == expected.shape else np.moveaxis(made, 1, -1)
        np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-6)
    else:
        assert {cls.__name__ for cls in type(network.layers[0]).__mro__} & {*EITHER_WAY}


@pytest.mark.parametrize("case", some(REFUSED, 14, lambda case: type(case.make())), ids=lambda case: case.id)
def test_what_is_no_layer_is_refused(case: LayerCase) -> None:
    with pytest.raises(ArgumentError, match=r"node|layer between"):
        cr.from_onnx(alone(case).to_onnx(dtype="float64", channels="first"))


def test_where_the_channels_are_is_told_or_asked_for() -> None:
    """A model that pads columns alone reads no channels: what it takes is said, and can be chosen."""
    columns = {"pads": np.array([0, 0, 0, 1, 0, 0, 0, 2])}
    model = model_of(steps_of("p Pad X pads", "a Relu p"), [2, 3, 4], columns)
    X = np.random.default_rng(0).normal(size=(5, 2, 3, 4)).astype(np.float32)
    (a,) = run(model, X)
    with pytest.warns(UserWarning, match=r"channels of its input 'X', \(2, 3, 4\).*takes \(3, 4, 2\)"):
        guessed = cr.from_onnx(model)
    first, last = cr.from_onnx(model, channels="first"), cr.from_onnx(model, channels="last")
    assert [one.input_shape for one in (guessed, first, last)] == [(3, 4, 2), (3, 4, 2), (2, 3, 4)]
    np.testing.assert_allclose(np.moveaxis(first.predict(np.moveaxis(X, 1, -1)), -1, 1), a, rtol=1e-6)
    np.testing.assert_allclose(last.predict(X), a, rtol=1e-6)
    with pytest.raises(ValueError, match="from_onnx channels must be one of 'first', 'last'"):
        cr.from_onnx(model, channels="front")


@pytest.mark.parametrize("seed", some(range(300), 30))
@pytest.mark.filterwarnings("ignore:from_onnx. nothing in the model")
def test_random_networks_come_back_or_are_refused(seed: int) -> None:
    of = problem(seed, ordinary=True)
    network = of.network.copy(dtype="float64")
    try:
        back = cr.from_onnx(network.to_onnx(dtype="float64"))
    except ArgumentError:
        return
    if back.input_shape == network.input_shape:
        X = of.X if network.vocabulary else of.X.astype(np.float64)
        np.testing.assert_allclose(back.predict(X), network.predict(X), rtol=1e-6, atol=1e-6)


# -- models as PyTorch writes them ---------------------------------------------------------------------------
R = np.random.default_rng(5)


def test_a_convolutional_network() -> None:
    constants = {
        "W": R.normal(size=(4, 3, 3, 3)),
        "b": R.normal(size=4),
        "V": R.normal(size=(2, 36)),
        "c": R.normal(size=2),
    }
    constants |= {"g": R.random(4), "h": R.normal(size=4), "m": R.normal(size=4), "v": R.random(4) + 0.5}
    nodes = [
        helper.make_node("Conv", ["X", "W", "b"], ["z"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("BatchNormalization", ["z", "g", "h", "m", "v"], ["n"], epsilon=1e-3, momentum=0.8),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "V", "c"], ["a"], transB=1),
    ]
    model = model_of(nodes, [3, 6, 6], constants)
    network = cr.from_onnx(model)
    assert network.input_shape == (6, 6, 3)
    assert [layer.kind for layer in network.layers] == [
        "conv",
        "batchnorm",
        "relu",
        "maxpool",
        "flatten",
        "dense",
    ]
    assert network.layers[1].momentum == pytest.approx(0.2)
    same(model, network, (3, 6, 6))


def test_a_residual_block_and_a_mean_over_positions() -> None:
    sizes = {"W": (3, 3, 1, 1), "V": (5, 3, 3, 3), "U": (5, 3, 1, 1), "M": (5, 2)}
    constants = {name: R.normal(size=size) for name, size in sizes.items()}
    nodes = [
        helper.make_node("Conv", ["X", "W"], ["z"]),
        helper.make_node("Add", ["z", "X"], ["s"]),
        helper.make_node("Conv", ["s", "V"], ["left"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Conv", ["s", "U"], ["right"], strides=[2, 2]),
        helper.make_node("Sigmoid", ["right"], ["gate"]),
        helper.make_node("Concat", ["left", "gate"], ["both"], axis=1),
        helper.make_node("GlobalAveragePool", ["left"], ["unused"]),
        helper.make_node("ReduceMean", ["left"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "M"], ["a"]),
    ]
    model = model_of(nodes, [3, 7, 5], constants)
    network = cr.from_onnx(model)
    assert [layer.kind for layer in network.layers] == ["residual", "conv", "globalavgpool", "dense"]
    same(model, network, (3, 7, 5))
    both = cr.from_onnx(model, output="both")
    assert [layer.kind for layer in both.layers] == ["residual", "parallel"]


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("after", [0, 1])
def test_recurrences(kind: str, direction: str, after: int) -> None:
    gates, ways = {"RNN": 1, "LSTM": 4, "GRU": 3}[kind], 1 + (direction == "bidirectional")
    constants = {
        "W": R.normal(size=(ways, gates * 3, 2)),
        "R": R.normal(size=(ways, gates * 3, 3)),
        "B": R.normal(size=(ways, gates * 6)),
    }
    options = {"linear_before_reset": after} if kind == "GRU" else {}
    weights = ["t", "W", "R", "B"][: 4 if kind == "GRU" or after else 3]
    if ways == 1:
        nodes = [
            helper.make_node("Transpose", ["X"], ["t"], perm=[1, 0, 2]),
            helper.make_node(kind, weights, ["Y", ""], hidden_size=3, direction=direction, **options),
            helper.make_node("Squeeze", ["Y", "one"], ["s"]),
            helper.make_node("Transpose", ["s"], ["a"], perm=[1, 0, 2]),
        ]
        model = model_of(nodes, [5, 2], {**constants, "one": np.array([1])})
        same(model, cr.from_onnx(model), (5, 2))
    else:
        nodes = [
            helper.make_node("Transpose", ["X"], ["t"], perm=[1, 0, 2]),
            helper.make_node(kind, weights, ["Y"], hidden_size=3, direction=direction, **options),
            helper.make_node("Transpose", ["Y"], ["q"], perm=[0, 2, 1, 3]),
            helper.make_node("Reshape", ["q", "shape"], ["s"]),
            helper.make_node("Transpose", ["s"], ["a"], perm=[1, 0, 2]),
        ]
        model = model_of(nodes, [5, 2], {**constants, "shape": np.array([0, 0, -1])})
        network = cr.from_onnx(model)
        assert [layer.kind for layer in network.layers] == ["bidirectional"]
        same(model, network, (5, 2))


@pytest.mark.parametrize("seed", range(12))
def test_peepholes_and_coupled_gates_of_an_lstm(seed: int) -> None:
    """Gates that see the cell, and a gate f that is 1 - i: one whose weights are those of i with a minus."""
    r = np.random.default_rng(seed)
    steps, features, units = (int(n) for n in r.integers(1, 6, 3))
    way, coupled, seeing = ("forward", "reverse", "bidirectional")[seed % 3], seed // 3 % 2, seed // 6
    ways = 1 + (way == "bidirectional")
    sizes = {"W": (4 * units, features), "R": (4 * units, units), "B": (8 * units,), "P": (3 * units,)}
    constants = {name: r.normal(size=(ways, *size)) for name, size in sizes.items()}
    given = ["t", "W", "R", "B" if seed % 2 else "", "", "", "", *(["P"] if seeing else [])]
    options = {"hidden_size": units, "direction": way, "input_forget": coupled}
    nodes = [
        helper.make_node("Transpose", ["X"], ["t"], perm=[1, 0, 2]),
        helper.make_node("LSTM", given, ["Y"], **options),
        helper.make_node("Transpose", ["Y"], ["q"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["q", "shape"], ["s"]),
        helper.make_node("Transpose", ["s"], ["a"], perm=[1, 0, 2]),
    ]
    model = model_of(nodes, [steps, features], {**constants, "shape": np.array([0, 0, -1])})
    network = cr.from_onnx(model)
    assert ("peepholes=True" in repr(network.layers)) == bool(seeing)
    same(model, network, (steps, features))


def test_pixels_that_move() -> None:
    lists = {"pads": [1, 0, 2, 1], "axes": [3, 2], "sizes": [10, 18], "start": [-2, 1], "end": [99, -1]}
    lists |= {"of": [2, -1], "all": [0, 0, -1, 2, 0, 0, 0, 0]}
    constants = {"W": R.normal(size=(8, 2, 2, 2)), "scales": np.array([1, 1, 2, 3.0])}
    constants |= {name: np.array(values) for name, values in lists.items()}
    repeated = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    nodes = [
        helper.make_node("Conv", ["X", "W"], ["c"]),
        helper.make_node("Pad", ["c", "pads", "", "axes"], ["p"], mode="reflect"),
        helper.make_node("Resize", ["p", "", "", "sizes"], ["r"], mode="linear", axes=[2, 3]),
        helper.make_node("DepthToSpace", ["r"], ["d"], blocksize=2, mode="CRD"),
        helper.make_node("Slice", ["d", "start", "end", "of"], ["s"]),
        helper.make_node("Resize", ["s", "", "scales"], ["q"], **repeated),
        helper.make_node("Pad", ["q", "all"], ["a"]),
    ]
    model = model_of(nodes, [2, 5, 7], constants, opset=18)
    network = cr.from_onnx(model)
    kinds = ["conv", "pad", "upsample", "pixelshuffle", "crop", "upsample", "crop", "pad"]
    assert [layer.kind for layer in network.layers] == kinds
    same(model, network, (2, 5, 7))


# -- what exporters take apart -------------------------------------------------------------------------------
def steps_of(*steps: str) -> list[Any]:
    """Nodes from lines: "output Operator input input"."""
    made = []
    for step in steps:
        output, operator, *inputs = step.split()
        made.append(helper.make_node(operator, inputs, [output], name=f"the_{output}"))
    return made


APART = {
    "gelu": ["d Div X root", "e Erf d", "f Add e one", "m Mul X f", "a Mul m half"],
    "gelu, halves first": ["h Mul X half", "d Div X root", "e Erf d", "f Add one e", "a Mul h f"],
    "silu": ["s Sigmoid X", "a Mul s X"],
    "mish": ["p Softplus X", "t Tanh p", "a Mul X t"],
    "hardswish": ["f Add X three", "c Clip f zero six", "m Mul X c", "a Div m six"],
    "logsigmoid": ["s Sigmoid X", "a Log s"],
    "celu": [
        "p Relu X",
        "d Div X half",
        "e Exp d",
        "f Sub e one",
        "g Mul f half",
        "n Min g zero",
        "a Add p n",
    ],
}
NUMBERS = {
    "root": 2**0.5,
    "one": 1.0,
    "half": 0.5,
    "three": 3.0,
    "zero": 0.0,
    "six": 6.0,
    "small": 1e-3,
    "two": 2.0,
}


@pytest.mark.parametrize("name", APART)
def test_an_activation_that_was_taken_apart_is_one_layer(name: str) -> None:
    model = model_of(steps_of(*APART[name]), [5], NUMBERS)
    network = cr.from_onnx(model)
    assert [layer.kind for layer in network.layers] == [name.partition(",")[0]]
    same(model, network, (5,))


@pytest.mark.parametrize("rms", [False, True])
@pytest.mark.parametrize("axis", [-1, 2])
def test_a_norm_that_was_taken_apart_is_one_layer(rms: bool, axis: int) -> None:
    mean = helper.make_node("ReduceMean", ["X"], ["m"], axes=[axis])
    square = helper.make_node("ReduceMean", ["p"], ["v"], axes=[axis])
    centred = "X" if rms else "c"
    nodes = [
        *([] if rms else [mean, *steps_of("c Sub X m")]),
        *steps_of(f"p Pow {centred} two"),
        square,
        *steps_of("e Add v small", "r Sqrt e", f"n Div {centred} r", "g Mul n gamma", "a Add g beta"),
    ]
    model = model_of(nodes, [3, 5], {**NUMBERS, "gamma": R.random(5), "beta": R.random(5)})
    network = cr.from_onnx(model)
    assert [layer.kind for layer in network.layers] == ["rmsnorm" if rms else "layernorm", "scale", "bias"]
    same(model, network, (3, 5))


def attention_of(heads: int, packed: bool, operator: bool) -> tuple[list[Any], dict[str, Any]]:
    """Causal self-attention of steps of 6 features, as an exporter writes it, or by opset 23's operator."""
    r = np.random.default_rng(heads)
    constants = {name: r.normal(size=(6, 6)) for name in ("W_q", "W_k", "W_v", "W_o")}
    constants |= {f"b_{key}": r.normal(size=6) for key in "qkvo"}
    nodes = [
        node
        for key in "qkv"
        for node in (
            helper.make_node("MatMul", ["X", f"W_{key}"], [f"p_{key}"]),
            helper.make_node("Add", [f"b_{key}", f"p_{key}"], [key]),
        )
    ]
    if packed:
        constants |= {"W": np.hstack([constants.pop(f"W_{key}") for key in "qkv"])}
        constants |= {"b": np.hstack([constants.pop(f"b_{key}") for key in "qkv"])}
        nodes = [
            helper.make_node("MatMul", ["X", "W"], ["p"]),
            helper.make_node("Add", ["p", "b"], ["pb"]),
            helper.make_node("Split", ["pb"], ["q", "k", "v"], axis=-1, num_outputs=3),
        ]
    if operator:
        options = {"q_num_heads": heads, "kv_num_heads": heads, "is_causal": 1, "scale": 0.3}
        nodes.append(helper.make_node("Attention", ["q", "k", "v"], ["o"], **options))
    else:
        constants |= {"sizes": np.array([0, 0, heads, 6 // heads]), "back": np.array([0, 0, 6])}
        constants |= {"scale": np.array(0.3), "mask": np.triu(np.full((4, 4), -1e9), 1)}
        for key in "qkv":
            nodes.append(helper.make_node("Reshape", [key, "sizes"], [f"{key}_r"]))
            perm = [0, 2, 3, 1] if key == "k" else [0, 2, 1, 3]
            nodes.append(helper.make_node("Transpose", [f"{key}_r"], [f"{key}_h"], perm=perm))
        nodes += [
            helper.make_node("MatMul", ["q_h", "k_h"], ["s"]),
            helper.make_node("Mul", ["s", "scale"], ["scaled"]),
            helper.make_node("Add", ["scaled", "mask"], ["masked"]),
            helper.make_node("Softmax", ["masked"], ["weights"], axis=-1),
            helper.make_node("MatMul", ["weights", "v_h"], ["sums"]),
            helper.make_node("Transpose", ["sums"], ["sums_t"], perm=[0, 2, 1, 3]),
            helper.make_node("Reshape", ["sums_t", "back"], ["o"]),
        ]
    nodes += [
        helper.make_node("MatMul", ["o", "W_o"], ["z"]),
        helper.make_node("Add", ["z", "b_o"], ["z_b"]),
        helper.make_node("Add", ["z_b", "X"], ["a"]),
    ]
    return nodes, constants


@pytest.mark.parametrize("operator", [False, True])
@pytest.mark.parametrize("heads", [1, 3])
def test_attention_that_was_taken_apart_is_one_layer(heads: int, operator: bool) -> None:
    nodes, constants = attention_of(heads, heads == 3, operator)
    model = model_of(nodes, [4, 6], constants, 23 if operator else 18)
    network = cr.from_onnx(model)
    (block,) = network.layers
    assert isinstance(block, cr.Residual)
    ((layer,),) = (chain for chain in block.chains if chain)
    assert isinstance(layer, cr.MultiHeadAttention)
    assert (layer.heads, layer.causal) == (heads, True)
    X = np.random.default_rng(3).normal(size=(3, 4, 6)).astype(np.float32)
    from onnx.reference import ReferenceEvaluator  # onnxruntime may be older than opset 23

    (a,) = ReferenceEvaluator(model).run(None, {"X": X})
    np.testing.assert_allclose(network.predict(X), a, rtol=1e-4, atol=1e-5)


NEAR = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
SLOPES = np.array([1 / 16, 1 / 256, 1 / 4])  # of three heads: of two, and the first of four
ADDED: dict[str, tuple[Any, dict[str, Any]]] = {
    "band": (np.where(NEAR <= 1, 0, -1e9), {"relative_positions": None}),
    "slopes": (-SLOPES[:, None, None] * NEAR, {"relative_positions": "alibi"}),
    "table": (np.array([0.5, -1, 2, 0.1])[NEAR], {"relative_positions": "learned", "max_distance": 3}),
    "later": (np.where(np.tri(4), 0.5 - NEAR, -np.inf), {"relative_positions": "learned", "causal": True}),
    "pixels": (np.array([[0, 1, 2, 3], [4, 0, 5, 2], [6, 7, 0, 1], [8, 6, 4, 0]]) / 4, {"grid": (2, 2)}),
}


@pytest.mark.parametrize("operator", [False, True])
@pytest.mark.parametrize("kind", ADDED)
def test_what_is_added_to_scores(kind: str, operator: bool) -> None:
    """Opset 23's operator reads it as attn_mask; exporters write a sum before the softmax."""
    added, options = ADDED[kind]
    nodes, constants = attention_of(3, False, operator)
    constants["mask"] = added
    if operator:
        (at,) = (n for n, node in enumerate(nodes) if node.op_type == "Attention")
        told = {"q_num_heads": 3, "kv_num_heads": 3, "scale": 0.3}
        nodes[at] = helper.make_node("Attention", ["q", "k", "v", "mask"], ["o"], **told)
    model = model_of(nodes, [4, 6], constants, 23 if operator else 18)
    network = cr.from_onnx(model)
    block: Any = network.layers[0]
    ((layer,),) = (chain for chain in block.chains if chain)
    assert {name: getattr(layer, name) for name in options} == options
    X = np.random.default_rng(3).normal(size=(3, 4, 6)).astype(np.float32)
    from onnx.reference import ReferenceEvaluator  # onnxruntime may be older than opset 23

    (a,) = ReferenceEvaluator(model).run(None, {"X": X})
    np.testing.assert_allclose(network.predict(X), a, rtol=1e-4, atol=1e-5)


def test_attention_that_is_no_layer_is_refused() -> None:
    """What is added to scores is a number of its own for every query and key."""
    nodes, constants = attention_of(3, False, False)
    constants["mask"] = np.random.default_rng(0).normal(size=(4, 4))
    with pytest.raises(ArgumentError, match="must be a constant of the model"):
        cr.from_onnx(model_of(nodes, [4, 6], constants, 18))


@pytest.mark.parametrize("options", [{}, {"rotary": True, "relative_positions": "learned"}, {"causal": True}])
def test_attention_under_a_mask_of_steps_that_are_compared_is_refused(options: dict[str, Any]) -> None:
    """Drawn numbers never are what a Masking looks for, and do not show that steps would be left out."""
    layers = [cr.Masking(0.5), cr.MultiHeadAttention(2, **options), cr.Flatten(), cr.Dense(2)]
    model = cr.Network(layers, input_shape=(3, 8)).to_onnx()
    with pytest.raises(ArgumentError, match="Equal of anything but ids"):
        cr.from_onnx(model)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("outputs", ["all", "last"])
def test_a_projected_lstm_comes_back_as_two_layers(outputs: str, reverse: bool) -> None:
    layers = [
        cr.LSTM(5, projection=2, peepholes=True, outputs="all"),
        cr.LSTM(3, projection=4, outputs=outputs, reverse=reverse),
    ]
    network = cr.Network(layers, input_shape=(4, 3), seed=2, dtype="float64")
    model = network.to_onnx(dtype="float64")
    assert "Scan" not in {node.op_type for node in model.graph.node}
    back = cr.from_onnx(model)
    assert [layer.kind for layer in back.layers] == ["lstm", "dense"] * 2
    X = R.normal(size=(5, 4, 3))
    np.testing.assert_allclose(back.predict(X), network.predict(X), rtol=1e-12, atol=1e-12)


def test_a_scan_is_refused_wherever_sizes_are_computed() -> None:
    """The states of a mask's Scan have the sizes of the sequence, behind which an attention stands."""
    layers = [
        *(cr.Masking(), cr.LSTM(3, projection=2, outputs="all")),
        *(cr.LSTM(4, projection=2, outputs="all", reverse=True), cr.MultiHeadAttention(2)),
    ]
    with pytest.raises(ArgumentError, match="has no layer in chainrule"):
        cr.from_onnx(cr.Network(layers, input_shape=(4, 3)).to_onnx())


def test_shapes_that_are_computed() -> None:
    """x.flatten(2) of an exporter: the sizes of the input, put together anew."""
    nodes = [
        helper.make_node("Shape", ["X"], ["sizes"]),
        helper.make_node("Slice", ["sizes", "first", "second"], ["front"]),
        helper.make_node("Concat", ["front", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["X", "shape"], ["f"]),
        helper.make_node("Transpose", ["f"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["t", "W"], ["a"]),
    ]
    constants = {"first": np.array([0]), "second": np.array([2]), "rest": np.array([-1])}
    model = model_of(nodes, [3, 2, 4], {**constants, "W": R.normal(size=(3, 5))})
    same(model, cr.from_onnx(model), (3, 2, 4))


def test_values_that_cross_are_a_graph() -> None:
    nodes = [
        helper.make_node("Relu", ["X"], ["r"]),
        helper.make_node("Tanh", ["r"], ["t"]),
        helper.make_node("Sigmoid", ["t"], ["s"]),
        helper.make_node("Add", ["r", "t"], ["u"]),
        helper.make_node("Sub", ["u", "s"], ["d"]),
        helper.make_node("Mul", ["d", "t"], ["p"]),
        helper.make_node("Pow", ["p", "two"], ["a"]),
    ]
    model = model_of(nodes, [4], {"two": np.array(2.0)})
    network = cr.from_onnx(model)
    assert isinstance(network, cr.Graph)
    same(model, network, (4,))


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (("Flatten", {"axis": 2}), "axis=2"),
        (("Softmax", {"axis": 0}), "axis 0"),
        (("Sin", {}), "the operator Sin"),
    ],
)
def test_a_refusal_names_the_node_and_the_attribute(node: tuple[str, dict[str, Any]], said: str) -> None:
    operator, attributes = node
    made = helper.make_node(operator, ["X"], ["a"], name="the_node", **attributes)
    with pytest.raises(ArgumentError, match=f"the_node.*{said}"):
        cr.from_onnx(model_of([made], [3, 6, 6], opset=13 if operator != "LpPool" else 18))


def test_open_sizes_want_an_input_shape() -> None:
    nodes = [helper.make_node("Conv", ["X", "W"], ["a"])]
    model = model_of(nodes, ["C", "H", "W"], {"W": R.normal(size=(4, 3, 2, 2))})
    with pytest.raises(ArgumentError, match="needs input_shape"):
        cr.from_onnx(model)
    same(model, cr.from_onnx(model, input_shape=(3, 5, 6)), (3, 5, 6))


def test_files(tmp_path: Path) -> None:
    network = cr.Network([cr.Dense(3), cr.ReLU(), cr.Dense(2)], input_shape=4)
    network.to_onnx(tmp_path / "net.onnx")
    X = R.normal(size=(5, 4)).astype(np.float32)
    assert np.array_equal(cr.from_onnx(tmp_path / "net.onnx").predict(X), network.predict(X))
    (tmp_path / "no.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(FileError, match="is no ONNX model"):
        cr.from_onnx(tmp_path / "no.onnx")
    with pytest.raises(FileError, match="cannot be read"):
        cr.from_onnx(tmp_path / "absent.onnx")


def test_without_the_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"chainrule\[onnx\]"):
        cr.from_onnx("net.onnx")
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"chainrule\[torch\]"):
        cr.from_torch(object())


@pytest.mark.parametrize(("kind", "ways", "fixed"), [("LSTM", 2, True), ("GRU", 1, False), ("RNN", 2, True)])
def test_a_recurrence_that_begins_with_states_and_puts_them_out(kind: str, ways: int, fixed: bool) -> None:
    """As older exporters write it, of steps in front: constant states for as many samples as there are, every
    step read and the last states, too.
    """
    rows = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind] * 4
    W, U = R.normal(size=(ways, rows, 3)), R.normal(size=(ways, rows, 4))
    constants = {"W": W, "U": U, "B": R.normal(size=(ways, 2 * rows)), "h": R.normal(size=(ways, 1, 4))}
    constants |= {"one": np.array([1]), "n": np.array(1), "front": np.array([ways]), "units": np.array([4])}
    constants |= {"last": np.array(-1), "V": R.normal(size=(4 * ways, 2)), "back": np.array([0, 0, -1])}
    cells = kind == "LSTM"
    nodes = [
        helper.make_node("Shape", ["X"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "n"], ["samples"], axis=0),
        helper.make_node("Unsqueeze", ["samples", "z"], ["N"]),
        helper.make_node("Concat", ["front", "N", "units"], ["wide"], axis=0),
        helper.make_node("Expand", ["h", "wide"], ["first"]),
        helper.make_node(
            kind,
            ["X", "W", "U", "B", "", "first", *(["first"] if cells else [])],
            ["Y", "Y_h", *(["Y_c"] if cells else [])],
            hidden_size=4,
            direction="bidirectional" if ways == 2 else "forward",
            **({"linear_before_reset": 1} if kind == "GRU" else {}),
        ),
        helper.make_node("Transpose", ["Y"], ["turned"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["turned", "back"], ["steps"]),
        helper.make_node("Gather", ["steps", "last"], ["at_end"], axis=0),
        helper.make_node("MatMul", ["at_end", "V"], ["shown"]),
        helper.make_node("Gather", ["Y_c" if cells else "Y_h", "last"], ["state"], axis=0),
        helper.make_node("Concat", ["shown", "state"], ["a"], axis=1),
    ]
    model = model_of(nodes, [3, 3], {**constants, "z": np.array([0])})
    given = model.graph.input[0].type.tensor_type.shape.dim
    given[0].Clear(), given[1].Clear()
    given[0].dim_value = 5
    if fixed:
        given[1].dim_value = 2
    network = cr.from_onnx(model, input_shape=(5, 3), samples=1)
    X = np.random.default_rng(1).normal(size=(5, 2, 3)).astype(np.float32)
    (a,) = run(model, X)
    np.testing.assert_allclose(network.predict(np.moveaxis(X, 1, 0)), a, rtol=1e-5, atol=1e-5)


def test_keys_that_a_mask_or_ids_call_padding() -> None:
    """Attention whose scores are hidden by an input, or where ids are one of them, as exporters write it."""
    r, node = np.random.default_rng(0), helper.make_node
    weights = {f"W{key}": r.normal(size=(4, 4)).astype(np.float32) for key in "qkvo"}
    constants = {**weights, "low": np.float32(-np.inf), "two": np.int64(2), "at": np.array([1])}
    constants |= {"half": np.float32(0.5), "E": r.normal(size=(9, 4)).astype(np.float32)}
    types, x = onnx.TensorProto, r.normal(size=(3, 5, 4)).astype(np.float32)
    hidden = np.array([[0, 0, 0, 1, 1], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
    ids = np.where(hidden, 2, r.integers(3, 9, (3, 5)))
    for of_ids in (False, True):
        begin = [node("Gather", ["E", "ids"], ["x"]), node("Equal", ["ids", "two"], ["mask"])]
        nodes = [
            *(begin if of_ids else []),
            *(node("MatMul", ["x", f"W{key}"], [key]) for key in "qkv"),
            node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
            node("MatMul", ["q", "kt"], ["s"]),
            node("Mul", ["s", "half"], ["scaled"]),
            node("Unsqueeze", ["mask", "at"], ["wide"]),
            node("Where", ["wide", "low", "scaled"], ["read"]),
            node("Softmax", ["read"], ["A"], axis=-1),
            node("MatMul", ["A", "v"], ["o"]),
            node("MatMul", ["o", "Wo"], ["a"]),
        ]
        info = helper.make_tensor_value_info
        given = [info("ids", types.INT64, ["N", 5])] if of_ids else []
        given = given or [info("x", types.FLOAT, ["N", 5, 4]), info("mask", types.BOOL, ["N", 5])]
        tensors = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
        graph = helper.make_graph(nodes, "padded", given, [info("a", types.FLOAT, None)], tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_operatorsetid("", 17)], ir_version=8)
        session = pytest.importorskip("onnxruntime").InferenceSession(model.SerializeToString())
        (a,) = session.run(None, {"ids": ids} if of_ids else {"x": x, "mask": hidden})
        network = cr.from_onnx(model)
        X: Any = ids if of_ids else {"x": x, "mask": hidden.astype(np.float32)}
        np.testing.assert_allclose(network.predict(X), a, rtol=1e-5, atol=1e-5)
        assert cr.check_gradients(network, X, a.astype(np.float64), loss="mse")


def test_products_and_differences_of_values() -> None:
    """Squeeze and excitation with a difference: a convolution of single pixels behind a pool over all."""
    weights = {"W": R.normal(size=(4, 3, 3, 3)), "V": R.normal(size=(4, 4, 1, 1))}
    nodes = [
        helper.make_node("Conv", ["X", "W"], ["z"]),
        *steps_of("p GlobalAveragePool z", "v Conv p V", "g Sigmoid v", "s Mul z g", "a Sub s z"),
    ]
    model = model_of(nodes, [3, 5, 6], weights)
    same(model, cr.from_onnx(model), (3, 5, 6))


@pytest.mark.parametrize(
    ("kind", "nodes", "said"),
    [
        ("INT64", "a ReduceMean X", "ReduceMean of whole numbers, which is rounded"),
        ("UINT64", "a Sub X c", "Sub of uint64"),
        ("INT64", "a Div X c", ""),
        ("UINT8", "a Sub X c", ""),
        ("INT32", "a Mul X c", ""),
        ("FLOAT", "r Relu X,a Cast r", "Cast to whole numbers"),
    ],
)
def test_whole_numbers_are_cut_and_go_round_or_are_refused(kind: str, nodes: str, said: str) -> None:
    types = onnx.TensorProto
    of_kind = getattr(types, kind)
    options: dict[str, Any] = {"Cast": {"to": types.INT64}, "ReduceMean": {"axes": [1]}}
    made = [
        helper.make_node(operator, inputs, [output], **options.get(operator, {}))
        for output, operator, *inputs in map(str.split, nodes.split(","))
    ]
    end = types.INT64 if kind == "FLOAT" else of_kind
    graph = helper.make_graph(
        made,
        "whole",
        [helper.make_tensor_value_info("X", of_kind, ["N", 6])],
        [helper.make_tensor_value_info("a", end, ["N", 6])],
        [onnx.numpy_helper.from_array(np.array(3, helper.tensor_dtype_to_np_dtype(of_kind)), "c")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_operatorsetid("", 14)])
    if not said:  # as NumPy has the type; a quotient goes to 0
        held = helper.tensor_dtype_to_np_dtype(of_kind)
        X = np.array([[-7, -3, -1, 0, 49, 2]]).astype(held) + np.array(0, held)
        X[0, 4] = np.iinfo(held).max if held.itemsize < 8 else 49
        with np.errstate(over="ignore"):
            made = {"Div": np.trunc(X / 3), "Sub": X - held.type(3), "Mul": X * held.type(3)}
        np.testing.assert_array_equal(
            cr.from_onnx(model).predict(X.astype(np.float64)), made[nodes.split()[1]].astype(np.float64)
        )
        return
    with pytest.raises(ArgumentError, match=said):
        cr.from_onnx(model)


def test_pixels_as_whole_numbers_and_a_pool_that_is_cut() -> None:
    """A cast to real numbers, constants of no axes, and a reshape behind a pool over all positions."""
    constants = {"m": np.array(127.5), "s": np.array(58.0), "two": np.array([-1, 2, 2])}
    nodes = steps_of("d Sub X m", "q Div d s", "p GlobalAveragePool q", "a Reshape p two")
    model = model_of(nodes, [4, 3, 5], constants)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    cast = helper.make_node("Cast", ["X"], ["real"], to=onnx.TensorProto.FLOAT)
    model.graph.node[0].input[0] = "real"
    model.graph.node.insert(0, cast)
    X = np.random.default_rng(0).integers(0, 256, (2, 4, 3, 5), np.uint8)
    (a,) = run(model, X)
    made = cr.from_onnx(model).predict(np.moveaxis(X, 1, -1).astype(np.float32))
    np.testing.assert_allclose(made, a, rtol=1e-5, atol=1e-5)


# Of x, the features of ids (N, 6, 3): what steps that are padding, 0, have no part in.
UNPADDED = {
    "mean": ["f Not e", "n Cast f", "m Unsqueeze n last", "y Mul x m", "t ReduceSum y steps",
             "k ReduceSum m steps", "a Div t k"],
    "mean, cast last": ["f Not e", "u Unsqueeze f last", "m Cast u", "y Mul x m", "t ReduceSum y steps",
                        "k ReduceSum m steps", "a Div t k"],
    "sum": ["u Unsqueeze e last", "y Where u zero x", "a ReduceSum y steps"],
    "sum, the other way round": ["f Not e", "u Unsqueeze f last", "y Where u x zero", "a ReduceSum y steps"],
    "largest": ["u Unsqueeze e last", "y Where u low x", "a ReduceMax y"],
    "how many": ["f Not e", "n Cast f", "m Unsqueeze n last", "y Mul x m", "s ReduceSum y steps",
                 "k ReduceSum m steps", "a Mul s k"],
}  # fmt: skip


def unpadded(lines: list[str], embedded: bool = True) -> Any:
    options: dict[str, Any] = {"Cast": {"to": TensorProto.FLOAT}, "ReduceSum": {"keepdims": 0}}
    options["ReduceMax"] = {"keepdims": 0, "axes": [1]}
    nodes = [helper.make_node("Equal", ["ids", "nothing"], ["e"])]
    if embedded:
        nodes.insert(0, helper.make_node("Gather", ["E", "ids"], ["x"]))
    for line in lines:
        output, operator, *read = line.split()
        made = options.get(operator, {})
        nodes.append(helper.make_node(operator, read, [output], name=f"the_{output}", **made))
    constants = {
        "E": np.random.default_rng(2).normal(size=(7, 3)).astype(np.float32),
        "nothing": np.array(0), "last": np.array([-1]), "steps": np.array([1]),
        "zero": np.zeros((), np.float32), "low": np.array(-1e9, np.float32),
    }  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["N", 6])],
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_operatorsetid("", 13)], ir_version=8)


@pytest.mark.parametrize("kind", UNPADDED)
def test_ids_that_are_padding_have_no_part(kind: str) -> None:
    """Masks that a comparison of ids makes, as PyTorch's exporter writes (ids != 0).float(), masked_fill."""
    model = unpadded(UNPADDED[kind])
    ids = np.random.default_rng(0).integers(0, 7, (5, 6))
    ids[:, 2], ids[1, 3:] = 4, 0
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (a,) = session.run(None, {"ids": ids})
    network = cr.from_onnx(model)
    np.testing.assert_allclose(network.predict(ids), a, atol=1e-5)
    before = {name: array.copy() for name, array in network.parameters.items()}
    cr.fit(network, ids, np.zeros_like(a), loss="mse", epochs=1, progress=False)
    changed = {name for name, array in network.parameters.items() if not np.array_equal(array, before[name])}
    assert {name.rpartition(".")[2] for name in changed} == {"E"}  # the mask is not learned


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["u Unsqueeze e steps", "n Cast u", "a ReduceMax n"], "new axis that is not behind"),
        (["a ReduceSum e steps"], "node the_a: ReduceSum of a comparison of ids"),
        (["u Unsqueeze e last", "i Where u endless x", "a ReduceMax i"], "no finite number"),
        (["f Not x", "n Cast f", "a ReduceMax n"], "Not of anything but a comparison of ids"),
        (["u Unsqueeze e last", "y Where u zero x", "a ReduceMax y"], ""),
    ],
)
def test_masks_of_ids_that_are_refused(lines: list[str], said: str) -> None:
    model = unpadded(lines)
    endless = onnx.numpy_helper.from_array(np.array(-np.inf, np.float32), "endless")
    model.graph.initializer.append(endless)
    if said:
        with pytest.raises(ArgumentError, match=said):
            cr.from_onnx(model)
        return
    cr.from_onnx(model)
    with pytest.raises(ArgumentError, match="a sequence of ids of an embedding"):
        cr.from_onnx(unpadded(["n Cast e", "m Unsqueeze n last", "a ReduceMax m"], embedded=False))
