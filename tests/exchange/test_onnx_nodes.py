"""Single nodes with options drawn at random: the network of each computes what onnxruntime computes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from chainrule.base.errors import ChainruleError
from chainrule.networks.taking.onnx.model import Nodes
from tests.pairwise import some

onnxruntime = pytest.importorskip("onnxruntime")
Draw = np.random.Generator
Drawn = tuple[str, dict[str, Any], tuple[int, ...], dict[str, Any], int]
# (operator, attributes, a sample as the model has it, further inputs by name, version of the operators)


def _image(r: Draw, least: int = 4, most: int = 8, axes: int = 2) -> tuple[int, ...]:
    return (int(r.integers(1, 5)), *(int(n) for n in r.integers(least, most, axes)))


def _any_shape(r: Draw) -> tuple[int, ...]:
    return tuple(int(n) for n in r.integers(1, 6, r.integers(1, 4)))


def _window(r: Draw, dilations: bool = True, axes: int = 2) -> dict[str, Any]:
    kernel = [int(n) for n in r.integers(1, 4, axes)]
    options: dict[str, Any] = {"kernel_shape": kernel, "strides": [int(n) for n in r.integers(1, 4, axes)]}
    if dilations:
        options["dilations"] = [int(n) for n in r.integers(1, 3, axes)]
    how = r.integers(3)
    if how == 0:
        options["auto_pad"] = str(r.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
        if options["auto_pad"] != "VALID":  # where onnxruntime reckons without dilation, against onnx's words
            options.pop("dilations", None)
            options["strides"] = [min(both) for both in zip(options["strides"], kernel, strict=True)]
    elif how == 1:
        apart = options.get("dilations", [1] * axes)
        spans = [(k - 1) * d for k, d in zip(kernel, apart, strict=True)]
        most = [min(k, span + 1) for k, span in zip(kernel * 2, spans * 2, strict=True)]
        options["pads"] = [int(r.integers(0, n)) for n in most]
    return options


def _pool(r: Draw) -> Drawn:
    kind = str(r.choice(["MaxPool", "AveragePool", "LpPool"]))
    axes = int(r.integers(2, 4))
    options = _window(r, axes=axes)
    if "auto_pad" not in options and r.integers(2):
        options["ceil_mode"] = 1
    if kind == "AveragePool":
        options["count_include_pad"] = int(r.integers(2))
    if kind == "LpPool":
        options["p"] = int(r.integers(1, 5))
        options.pop("ceil_mode", None)  # onnxruntime differs from onnx there
    return kind, options, _image(r, 5, 9, axes), {}, 22


def _conv(r: Draw) -> Drawn:
    axes = int(r.integers(1, 4))
    options, shape = _window(r, axes=axes), _image(r, 5, 8, axes)
    options["group"] = int(r.choice([1, shape[0]]))
    W = r.normal(size=(2 * shape[0], shape[0] // options["group"], *options["kernel_shape"]))
    return "Conv", options, shape, {"W": W.astype(np.float32)}, 22


def _resize(r: Draw) -> Drawn:
    shape = _image(r, 2, 7)
    options: dict[str, Any] = {"mode": str(r.choice(["nearest", "linear", "cubic"]))}
    how = ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"]
    options["coordinate_transformation_mode"] = str(r.choice(how))
    if options["mode"] == "nearest":
        rounds = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
        options["nearest_mode"] = str(r.choice(rounds))
    elif options["mode"] == "cubic":
        options["cubic_coeff_a"] = float(r.choice([-0.75, -0.5]))
        options["exclude_outside"] = int(r.integers(2))
    sizes = [1, shape[0], *(int(n) for n in r.integers(2, 9, 2))]
    return "Resize", options, shape, {"roi": None, "scales": None, "sizes": np.array(sizes)}, 18


def _pad(r: Draw) -> Drawn:
    shape = _any_shape(r)
    mode = str(r.choice(["constant", "reflect", "edge"]))
    least = -1 if mode == "constant" and min(shape) > 2 else 0
    most = [min(3, n) if mode == "reflect" else 3 for n in shape]
    sides = [[0, *(int(r.integers(least, m)) for m in most)] for _ in range(2)]
    value = {"value": np.float32(r.choice([0, 1.5]))} if mode == "constant" else {}
    return "Pad", {"mode": mode}, shape, {"pads": np.array([*sides[0], *sides[1]]), **value}, 18


def _slice(r: Draw) -> Drawn:
    shape = _any_shape(r)
    axis = int(r.integers(1, len(shape) + 1))
    size = shape[axis - 1]
    start, step = int(r.integers(0, size)), int(r.choice([1, 1, 2, -1]))
    end = size if step > 0 else -(10**9)
    return "Slice", {}, shape, {k: np.array([v]) for k, v in zip(
        ("starts", "ends", "axes", "steps"), (start, end, axis, step), strict=True)}, 13  # fmt: skip


def _over_axes(r: Draw) -> Drawn:
    shape = _any_shape(r)
    kind = str(
        r.choice(["ReduceMean", "ReduceSum", "Softmax", "LogSoftmax", "Transpose", "Gather", "Unsqueeze"])
    )
    axis = int(r.integers(1, len(shape) + 1))
    if kind.startswith("Reduce"):
        axes = sorted({axis, int(r.integers(1, len(shape) + 1))})
        return kind, {"keepdims": int(r.integers(2))}, shape, {"axes": np.array(axes)}, 18
    if kind == "Transpose":
        perm = [0, *(int(n) + 1 for n in r.permutation(len(shape)))]
        return kind, {"perm": perm}, shape, {}, 13
    if kind == "Gather":
        places = r.integers(-shape[axis - 1], shape[axis - 1], r.integers(1, 4, r.integers(0, 3)))
        return kind, {"axis": axis}, shape, {"indices": np.asarray(places)}, 13
    if kind == "Unsqueeze":
        return kind, {}, shape, {"axes": np.array([int(r.integers(1, len(shape) + 2))])}, 13
    shape = tuple(n + (place == axis - 1) for place, n in enumerate(shape))  # no softmax of one value
    return (
        kind,
        {"axis": axis if r.integers(2) else axis - len(shape) - 1},
        shape,
        {},
        int(r.choice([11, 13])),
    )


def _norm(r: Draw) -> Drawn:
    shape = (*_any_shape(r), 3)
    axis = int(r.integers(1, len(shape) + 1))
    gamma = r.normal(size=shape[axis - 1 :]).astype(np.float32)
    options = {"axis": axis, "epsilon": float(r.choice([1e-5, 0.1]))}
    return "LayerNormalization", options, shape, {"scale": gamma, "b": gamma[::-1].copy()}, 17


def _by_constant(r: Draw) -> Drawn:
    shape = _any_shape(r)
    kind = str(r.choice(["Add", "Sub", "Mul", "Div", "Concat", "PRelu", "MatMul", "Max", "Min", "Pow"]))
    if kind == "MatMul":
        shape = (*shape, 3) if r.integers(2) else (3,)
        return kind, {}, shape, {"W": r.normal(size=(3, 2)).astype(np.float32)}, 13
    sizes = tuple(n if r.integers(2) else 1 for n in shape)
    if kind == "Concat":
        axis = int(r.integers(1, len(shape) + 1))
        sizes = (1, *shape[: axis - 1], 2, *shape[axis:])
        return kind, {"axis": axis}, shape, {"c": r.normal(size=sizes).astype(np.float32)}, 13
    if kind == "Pow" or r.integers(4) == 0:  # a number, of as many axes or none
        sizes = (1,) * int(r.integers(len(shape) + 1))
    if kind == "Pow":
        exponents = r.integers(1, 5, shape if r.integers(2) else sizes)  # one, or as many as entries
        exponents = exponents if exponents.size == 1 else np.broadcast_to(exponents, shape)
        return kind, {}, shape, {"c": np.asarray(exponents, np.float32)}, 13
    if kind in ("Max", "Min"):
        named = {"c": r.normal(size=sizes).astype(np.float32)} if r.integers(3) else {}
        return kind, {}, shape, named, 13
    return kind, {}, shape, {"c": (1 + r.random(sizes)).astype(np.float32)}, 13


def _conv_transpose(r: Draw) -> Drawn:
    axes = int(r.integers(1, 4))
    options = _window(r, dilations=False, axes=axes)
    kernel, shape = options["kernel_shape"], _image(r, 3, 6, axes)
    options.pop("pads", None)
    if "auto_pad" in options and options["auto_pad"] != "VALID":
        options.pop("auto_pad")
        options["output_shape"] = [n * s for n, s in zip(shape[1:], options["strides"], strict=True)]
    W = r.normal(size=(shape[0], 2, *kernel)).astype(np.float32)
    return "ConvTranspose", options, shape, {"W": W}, 11


DRAWN: tuple[Callable[[Draw], Drawn], ...] = (
    *(_pool, _resize, _pad, _slice, _over_axes, _norm, _by_constant, _conv_transpose, _conv),
)


def model_of(drawn: Drawn) -> Any:
    operator, attributes, shape, constants, version = drawn
    names = ["X", *("" if array is None else name for name, array in constants.items())]
    tensors = [
        onnx.numpy_helper.from_array(array, name) for name, array in constants.items() if array is not None
    ]
    node = helper.make_node(operator, names, ["a"], name="node", **attributes)
    given = [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", *shape])]
    made = [helper.make_tensor_value_info("a", TensorProto.FLOAT, None)]
    graph = helper.make_graph([node], "one", given, made, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_operatorsetid("", version)], ir_version=8)


def differs(drawn: Drawn) -> float:
    """The largest difference from onnxruntime; samples go as rows, whatever the axes behind them."""
    model, X = model_of(drawn), np.random.default_rng(3).normal(size=(2, *drawn[2])).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    one = operator_of_one(drawn[0])
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        rows = (
            [session.run(None, {"X": x})[0] for x in (X[:1], X[1:])] if one else session.run(None, {"X": X})
        )
    except Exception:  # an option that onnxruntime lacks, or a window larger than the image
        return -1.0
    expected = np.concatenate(rows) if one else rows[0]
    if not expected.size:
        return -1.0
    reading = Nodes(onnx, model, None)
    outputs = reading.read(["a"])
    (value,), network = outputs.values(), reading.building.network(outputs, "float64")
    ours = reading.building.input
    made = network.predict(np.moveaxis(X, 1, -1) if ours.layout.first and len(ours.theirs) > 1 else X)
    if value.layout.first and len(value.theirs) > 1 and not value.ones:
        made = np.moveaxis(made, -1, 1)
    made = made.reshape(len(made), *value.theirs)
    assert made.shape == expected.shape, (made.shape, expected.shape)
    return float(np.abs(made - expected).max() / max(1, np.abs(expected).max()))


def operator_of_one(operator: str) -> bool:
    """Whether its constants are of one sample: rows go one by one."""
    return operator in ("Resize", "Concat")


@pytest.mark.parametrize("seed", some(range(400), 32))
def test_a_node_of_any_options(seed: int) -> None:
    drawn = DRAWN[seed % len(DRAWN)](np.random.default_rng(seed))
    assert differs(drawn) < 1e-5, drawn


def test_every_operator_is_reached() -> None:
    """What is drawn is computed, not skipped or refused."""
    with pytest.raises(ChainruleError):  # and a refusal is one
        differs(("Flatten", {"axis": 2}, (2, 3), {}, 13))
    operators = {DRAWN[seed % len(DRAWN)](np.random.default_rng(seed))[0] for seed in range(400)}
    assert len(operators) == 26
