"""Write `pytorch_networks.npz`: random networks with all their gradients by PyTorch 2.13, in float64.

    python -m tests.oracles.generate [--networks 600]

Needs PyTorch beside chainrule; the tests that read the file do not.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch

import chainrule as cr
from chainrule import reference
from chainrule.base.errors import PairError
from chainrule.networks.architecture import leaves
from tests import by_formula
from tests.oracles import torch_layers
from tests.oracles.random_networks import random_layers, random_loss
from tests.oracles.stored import FILE, StoredNetwork, class_names, layer, quantised, write

NUDGE = 2e-4  # relative: no branch (ReLU, winner of a maximum) may change within it


def inputs_for(r: np.random.Generator, network: cr.Network, loss: list[Any]) -> dict[str, Any]:
    """Inputs, targets and parameters, as the file can hold them."""
    mixed = any(layer.mixes_samples for layer in leaves(network.layers))
    samples = int(r.integers(3 if mixed else 1, 5))  # one value has no variance, and two have always the same
    inputs: dict[str, Any] = {"X": quantised(r.standard_normal((samples, *network.input_shape)))}
    first = network.layers[0]
    if isinstance(first, cr.layers.Embedding):
        low = 0 if first.padding is None else 1
        inputs["X"] = r.integers(low, first.vocabulary, inputs["X"].shape)
    if isinstance(first, (cr.layers.Embedding, cr.layers.Masking)):  # sequences of several lengths
        lengths = r.integers(1, network.input_shape[0] + 1, samples)
        if getattr(first, "padding", 0) == 0:
            inputs["X"][np.arange(network.input_shape[0]) >= lengths[:, None]] = 0
    shape = (samples, *network.output_shape)
    if loss[0] in ("CrossEntropy", "CategoricalHinge"):
        inputs["y"] = r.integers(0, shape[-1], shape[:-1])
    elif loss[0] == "Hinge":
        inputs["y"] = r.integers(0, 2, shape).astype(float)
    elif loss[0] == "Poisson":
        inputs["y"] = r.integers(0, 4, shape).astype(float)
    elif loss[0] == "BinaryCrossEntropy":
        inputs["y"] = quantised(r.random(shape))
    else:
        inputs["y"] = quantised(r.standard_normal(shape))
    for name, spec in network.parameter_specs.items():
        if spec.learned:
            inputs[name] = quantised(r.standard_normal(spec.shape) * min(1.0, 1.5 / spec.fan_in**0.5))
    return inputs


def away_from_kinks(
    network: cr.Network, loss: cr.Loss, inputs: dict[str, Any], r: np.random.Generator
) -> bool:
    """Whether the same branches are taken when everything moves a little."""
    targets = loss.prepared(reference.target_columns(inputs["y"], network, np.float64))

    def branches(moved: float) -> list[Any]:
        def nudge(array: Any) -> Any:
            return array if array.dtype.kind == "i" else array * (1 + moved * r.uniform(-1, 1, array.shape))

        values = {name: nudge(array) for name, array in network.parameters.items()}
        x = reference.to_columns(nudge(inputs["X"]), np.float64)
        passes = reference.run_forward(network, x, values, np.float64)
        taken = [one.layer.branches(one.x) for one in reference.leaf_passes(passes)]
        return [*taken, loss.branches(passes[-1].output, targets)]

    here = branches(0.0)
    return all(all(map(np.array_equal, here, branches(NUDGE))) for _ in range(4))


def computed(
    words: list[Any], loss: list[Any], network: cr.Network, inputs: dict[str, Any]
) -> dict[str, Any]:
    """J, the output and all gradients, by PyTorch."""
    p = {
        name: torch.tensor(inputs.get(name, array), dtype=torch.float64, requires_grad=name in inputs)
        for name, array in network.parameters.items()
    }
    X, y = (torch.tensor(inputs[name]) for name in ("X", "y"))
    X.requires_grad_(X.is_floating_point())
    a = torch_layers.chain(network.layers, X, p)
    J = torch_layers.LOSSES[loss[0]](StoredNetwork(words, loss, inputs, {}).loss_object(), a, y)
    if J.requires_grad:
        J.backward()
    expected = {"J": J.detach(), "output": a.detach()}
    expected |= {name: tensor.grad for name, tensor in {"X": X, **p}.items() if tensor.grad is not None}
    return {name: tensor.numpy() for name, tensor in expected.items()}


def saturated(loss: list[Any], a: Any) -> bool:
    """Whether a probability is so near to 0 or 1 that PyTorch's logarithm of it is rough or cut off."""
    return loss[0].endswith("CrossEntropy") and not (a.min() > 1e-5 and a.max() < 1 - 1e-5)


def well_conditioned(
    network: cr.Network, loss: cr.Loss, inputs: dict[str, Any], expected: dict[str, Any]
) -> bool:
    """Whether float32 carries the network at all: the formulas computed in float32, and with numbers that
    differ by float32's rounding, come close.
    """
    X, scale = (
        inputs["X"],
        max(float(np.abs(a).max()) for n, a in expected.items() if n not in ("J", "output")),
    )
    r = np.random.default_rng(0)

    def close(step: cr.Step) -> bool:
        found = {"output": step.output, "X": step.deltas["input"], **step.gradients}
        return all(
            float(np.abs(found[name] - array).max()) < 1e-6 * max(float(np.abs(array).max()), scale / 100)
            for name, array in expected.items()
            if name in found
        )

    def rounded(array: Any) -> Any:
        return array if array.dtype.kind == "i" else array * (1 + 6e-8 * r.uniform(-1, 1, array.shape))

    steps = [by_formula.backpropagate(network, X, inputs["y"], loss, dtype=np.float32)]
    for _ in range(3):
        values = {name: rounded(array) for name, array in network.parameters.items()}
        steps.append(by_formula.backpropagate(network, rounded(X), inputs["y"], loss, parameters=values))
    return all(map(close, steps))


def random_network(seed: int) -> StoredNetwork | None:
    """The network of a seed; None where it came out too short, at a kink, or with numbers out of hand."""
    r = np.random.default_rng(seed)
    words, shape = random_layers(r)
    if len(words) < 2:
        return None
    last, loss = random_loss(r, cr.Network(list(map(layer, words)), input_shape=shape).output_shape)
    words = [*words, *last]
    network = cr.Network(list(map(layer, words)), input_shape=shape, dtype="float64")
    inputs = inputs_for(r, network, loss)
    network.set_parameters({name: inputs[name] for name in network.parameters if name in inputs})
    chosen = StoredNetwork(words, loss, inputs, {}).loss_object()
    try:
        chosen.check_output(network.layers)
    except PairError:
        return None
    if not away_from_kinks(network, chosen, inputs, r):
        return None
    expected = computed(words, loss, network, inputs)
    gradients = [array for name, array in expected.items() if name not in ("J", "output")]
    largest = max(float(np.abs(array).max()) for array in expected.values())
    smallest = max(float(np.abs(array).max()) for array in gradients)
    if not (largest < 1e4 and smallest > 1e-4) or saturated(loss, expected["output"]):
        return None
    if not well_conditioned(network, chosen, inputs, expected):
        return None
    return StoredNetwork(words, loss, inputs, expected)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=600)
    wanted = parser.parse_args().networks
    torch.manual_seed(0)
    networks: list[StoredNetwork] = []
    seed = 0
    while len(networks) < wanted:
        made = random_network(seed)
        seed += 1
        if made is not None:
            networks.append(made)
    write(networks)
    used = {name for one in networks for name in class_names(one.layers)}
    size = FILE.stat().st_size / 1e6
    print(f"{len(networks)} networks of {seed} seeds, {size:.2f} MB: {', '.join(sorted(used))}")


if __name__ == "__main__":
    main()
