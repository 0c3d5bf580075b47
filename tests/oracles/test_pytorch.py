"""Random networks that PyTorch 2.13 has computed (`generate.py`): values and gradients by the formulas and by
the kernels, kept apart and fused, in float64 and float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import Plan
from tests import by_formula
from tests.engine.harness import LEVELS
from tests.oracles.stored import FILE, StoredNetwork, class_names, read
from tests.pairwise import pairwise

NETWORKS = list(read())
TOLERANCE = {"float64": 1e-9, "float32": 1e-5}
# A number is compared with its own size, or with a hundredth of the network's largest gradient, which is what
# it was summed from.
SHARE = 1e-2


def assert_agrees(actual: Mapping[str, Any], one: StoredNetwork, tolerance: float, what: str) -> None:
    """Everything that is in `actual`, on the scale of its largest entry."""
    gradients = [a for n, a in one.expected.items() if n not in ("J", "output")]
    floor = SHARE * max(float(np.abs(a).max(initial=0)) for a in gradients)
    for name, array in actual.items():
        expected = one.expected[name]
        assert np.shape(array) == expected.shape, f"{what}: {name}"
        scale = max(float(np.abs(expected).max(initial=0)), floor)
        error = float(np.abs(np.asarray(array, np.float64) - expected).max(initial=0))
        assert error <= tolerance * scale, (
            f"{what}: {name} is wrong by {error:.2g} of {scale:.2g}: {one.layers}"
        )


def by_step(step: cr.Step, one: StoredNetwork) -> dict[str, Any]:
    found = {"J": step.loss, "output": step.output, "X": step.deltas["input"], **step.gradients}
    return {name: found[name] for name in one.expected}


def by_plan(one: StoredNetwork, dtype: str, level: str) -> dict[str, Any]:
    """By the fused kernels, and what those do not show (∂J/∂X, the output) by those that keep everything."""
    network, loss = one.network(dtype), one.loss_object()
    X, y = one.inputs["X"], one.inputs["y"]
    J, gradients = Plan(network, loss, batch_size=len(X), level=level).gradients(X, y)
    kept = Plan(network, loss, batch_size=len(X), level=level, keep=True)
    _, activations, deltas, kept_gradients = kept.inspect(X, y)
    largest = max((float(np.abs(gradient).max(initial=0)) for gradient in gradients.values()), default=0.0)
    floor = SHARE * largest
    for name, gradient in gradients.items():  # where one is 0 in truth, its rounding is beside the largest
        scale = max(float(np.abs(gradient).max(initial=0)), floor) + 1e-6
        assert float(np.abs(kept_gradients[name] - gradient).max(initial=0)) <= 100 * TOLERANCE[dtype] * scale
    found = {"J": J, "output": list(activations.values())[-1], "X": deltas["input"], **gradients}
    return {name: found[name] for name in one.expected}


@pytest.mark.parametrize("part", range(20))
def test_formulas(part: int) -> None:
    for one in NETWORKS[part::20]:
        step = by_formula.backpropagate(
            one.network("float64"), one.inputs["X"], one.inputs["y"], one.loss_object()
        )
        assert_agrees(by_step(step, one), one, TOLERANCE["float64"], "formulas")


@pytest.mark.parametrize(("level", "dtype", "part"), pairwise(LEVELS, ["float64", "float32"], range(20)))
def test_kernels(level: str, dtype: str, part: int) -> None:
    """Every network by every level and in every type, not in every type by every level."""
    for one in NETWORKS[part::20]:
        assert_agrees(by_plan(one, dtype, level), one, TOLERANCE[dtype], f"{dtype} {level}")


def test_the_file_holds_what_it_should() -> None:
    assert len(NETWORKS) >= 500
    assert FILE.stat().st_size <= 4_000_000
    assert all(2 <= len(one.layers) <= 8 for one in NETWORKS)
    assert len({str(one.layers) for one in NETWORKS}) > 490
    used = {name for one in NETWORKS for name in class_names(one.layers)}
    missing = set(cr.layers.layer_classes) | {"Residual", "Parallel"}
    assert not missing - used - NOT_COMPARED, f"no network has {missing - used}: add it to random_networks.py"
    assert {one.loss[0] for one in NETWORKS} == LOSSES


# Draws other numbers than PyTorch; layers that came after the file, beside formulas and differences alone.
NOT_COMPARED = {
    *("Dropout", "ReLU6", "LogSigmoid", "LogSoftmax", "CELU", "Threshold", "GLU", "SwiGLU"),
    *("HardShrink", "SoftShrink", "TanhShrink", "ParametricActivation", "Floor", "Wrap"),
    *("Features", "Scale", "PeriodicEmbedding", "Clamp", "InstanceNorm", "LocalResponseNorm"),
    *("Pad1D", "Pad2D", "Crop1D", "Crop2D", "UpSample1D", "UpSample2D", "PixelShuffle"),
    *("Permute", "Reshape", "Resample", "Bias", "LpPool1D", "LpPool2D", "DenseTranspose"),
    *("MaxUnpool1D", "MaxUnpool2D", "MaxUnpool3D", "Conv3D", "ConvTranspose3D", "Pad3D", "Crop3D"),
    *(f"Adaptive{kind}Pool{n}D" for kind in ("Average", "Max") for n in (1, 2, 3)),
    *("AveragePool3D", "MaxPool3D", "L2Pool3D", "LpPool3D", "UpSample3D"),
}
LOSSES = {
    "SquaredError",
    "MeanAbsoluteError",
    "Huber",
    "Poisson",
    "Hinge",
    "CategoricalHinge",
    "BinaryCrossEntropy",
    "CrossEntropy",
}
