"""Activations and norms that an exporter has taken apart into single operations, put together again.

What several nodes make of one value is computed on a few numbers and compared with what our layers make of
them: the form in which an exporter writes x σ(x) does not matter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.layers import (
    CELU,
    ELU,
    GELU,
    SELU,
    HardShrink,
    HardSigmoid,
    HardSwish,
    Layer,
    LayerNorm,
    LogSigmoid,
    Mish,
    RMSNorm,
    SiLU,
    Softplus,
    SoftShrink,
    Softsign,
    TanhShrink,
)  # fmt: skip
from chainrule.networks.taking.onnx.attending import Attending

# Operators of single entries, and means over features.
ENTRIES = {
    *(
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Pow",
        "Sqrt",
        "Reciprocal",
        "Erf",
        "Exp",
        "Log",
        "Tanh",
        "Sigmoid",
        "Softplus",
    ),
    *(
        "Relu",
        "Neg",
        "Abs",
        "Clip",
        "Max",
        "Min",
        "HardSigmoid",
        "Where",
        "Greater",
        "Less",
        "GreaterOrEqual",
    ),
    *(
        "LessOrEqual",
        "LeakyRelu",
        "Elu",
        "Softsign",
        "Identity",
        "Cast",
        "ReduceMean",
        "Sign",
        "Celu",
        "Not",
        "Or",
    ),
}
# Where a chain of them may end.
ENDS = {"Add", "Sub", "Mul", "Div", "Where", "Neg", "Log", "Max", "Min", "Celu"}
MOST = 24  # nodes of one layer: GELU by its tanh has 9
NUMBERS = np.random.default_rng(0).uniform(-6, 6, (4, 24))
TOLERANCE = 2e-6  # relative: constants are written with the digits of a float32
PLAIN: tuple[Layer, ...] = (
    *(GELU(), GELU(approximate="tanh"), SiLU(), Mish(), HardSwish(), TanhShrink(), LogSigmoid(), Softsign()),
    *(Softplus(), ELU(), SELU(), CELU(), HardSigmoid()),
)


@dataclass(frozen=True)
class Fused:
    """The layer that nodes are, the value it reads, and over which axis of the model a norm goes."""

    layer: Layer
    root: str
    axis: int | None = None

    @property
    def roots(self) -> tuple[str, ...]:
        return (self.root,)


def fused(
    nodes: Sequence[Any], constants: Mapping[str, Any], inputs: Collection[str], others: set[int]
) -> dict[str, Fused]:
    """By the name of a value, the layer that makes it; `nodes` are in their order, and `others` are not asked
    after.
    """
    maker = {name: number for number, node in enumerate(nodes) for name in node.output}
    varying = set(inputs)
    for node in nodes:
        if any(name in varying for name in node.input):
            varying.update(node.output)
    found: dict[str, Fused] = {}
    within = set(others)
    for number in reversed(range(len(nodes))):
        if nodes[number].op_type in ENDS and number not in within:
            made = _chain(nodes, number, maker, varying, constants)
            if made is not None:
                found[nodes[number].output[0]] = made[0]
                within |= made[1]
    return found


def _chain(
    nodes: Sequence[Any], last: int, maker: Mapping[str, int], varying: set[str], constants: Mapping[str, Any]
) -> tuple[Fused, set[int]] | None:
    """What the nodes up to `last` are, from the farthest value on that they make a layer of."""
    region, best = {last}, None
    while len(region) <= MOST:
        reads = {name for n in region for name in nodes[n].input if name in varying}
        edge = {name for name in reads if maker.get(name) not in region}
        if len(edge) == 1 and len(region) > 1:
            (root,) = edge
            layer = _matched([nodes[n] for n in sorted(region)], root, constants)
            if layer is not None:
                best = Fused(layer[0], root, layer[1]), set(region)
        number = max((maker.get(name, -1) for name in edge), default=-1)
        if number < 0 or nodes[number].op_type not in ENTRIES:
            break
        region.add(number)
    return best


def _matched(
    nodes: Sequence[Any], root: str, constants: Mapping[str, Any]
) -> tuple[Layer, int | None] | None:
    """The layer that computes on a few numbers what the nodes do."""
    from onnx.reference import ReferenceEvaluator

    known: dict[str, Any] = {root: NUMBERS, "": None}
    axis: int | None = None
    single: list[float] = []
    for node in nodes:
        inputs: list[Any] = []
        for name in node.input:
            value: Any = known[name] if name in known else constants.get(name)
            if name not in known:
                if value is None or np.size(value) != 1:
                    axes = node.op_type == "ReduceMean" and value is not None
                    if not axes:
                        return None
                single += [float(v) for v in np.ravel(value)] if np.size(value) == 1 else []
                value = np.asarray(value, np.float64) if np.asarray(value).dtype.kind == "f" else value
            inputs.append(value)
        if node.op_type == "ReduceMean":
            told = _axes(node, inputs)
            if told is None:
                return None
            axis = told
            known[node.output[0]] = inputs[0].mean(-1, keepdims=True)
        elif node.op_type == "Cast":
            known[node.output[0]] = inputs[0]
        else:
            given = dict(zip(node.input, inputs, strict=True))
            try:
                (known[node.output[0]],) = ReferenceEvaluator(node).run(None, given)
            except Exception:  # what onnx cannot compute is no layer of ours
                return None
    made = known[nodes[-1].output[0]]
    for layer in _candidates(axis is not None, single):
        expected = layer.forward(NUMBERS.T).T
        if np.shape(made) == expected.shape and np.allclose(made, expected, rtol=TOLERANCE, atol=TOLERANCE):
            return layer, axis
    return None


def _axes(node: Any, inputs: Sequence[Any]) -> int | None:
    """The single axis of a mean that keeps it."""
    at = {held.name: held for held in node.attribute}
    if "keepdims" in at and not at["keepdims"].i:
        return None
    axes = list(at["axes"].ints) if "axes" in at else [] if len(inputs) < 2 else np.ravel(inputs[1]).tolist()
    return int(axes[0]) if len(axes) == 1 else None


def _candidates(norm: bool, single: Sequence[float]) -> Iterator[Layer]:
    numbers = sorted({abs(number) for number in single if 0 < abs(number) < 1e3})
    if norm:
        for epsilon in (number for number in numbers if number < 0.5):
            yield LayerNorm(epsilon=epsilon, scale=False, shift=False)
            yield RMSNorm(epsilon=epsilon, scale=False)
        return
    yield from PLAIN
    for number in numbers:
        yield CELU(number)
        yield SoftShrink(number)
        yield HardShrink(number)
        yield Softplus(number)


def pruned(nodes: Sequence[Any], found: Mapping[str, Fused | Attending], outputs: Sequence[str]) -> list[Any]:
    """The nodes that are still read."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & {name for name in node.output if name}:
            kept.append(node)
            held = found.get(node.output[0])
            wanted |= set(node.input) if held is None else set(held.roots)
    return kept[::-1]


def constants_of(nodes: Sequence[Any], known: Mapping[str, Any], onnx: Any) -> dict[str, Array]:
    """What stands in the model as numbers: initializers, and Constant nodes."""
    made = {name: value for name, value in known.items() if isinstance(value, np.ndarray)}
    for node in nodes:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            made[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type == "Constant":
            made[node.output[0]] = np.asarray(onnx.helper.get_attribute_value(node.attribute[0]))
    return made
