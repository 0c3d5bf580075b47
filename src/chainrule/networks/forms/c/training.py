"""One step of stochastic gradient descent on one sample, for dense networks: forward, δ, and the updates.

Every layer's output is kept; δ goes down by δ ← Wᵀ δ and δ ← δ ⊙ f'(z), and every W and b moves against its
gradient δ xᵀ and δ as soon as δ has passed it. For the pairs (softmax and cross-entropy, sigmoid and binary
cross-entropy, no activation and squared error) δ of the last layer is a - y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from chainrule.base.errors import ArgumentError
from chainrule.layers import Activation, Dense, Flatten, Identity, Layer, Sigmoid, Softmax
from chainrule.networks.forms.c.layers import Body, Place, write
from chainrule.networks.forms.written import positions
from chainrule.networks.model import Model

# What is fitted, by the last layer as `fit` chooses it: J and δ of a sample.
LOSSES = {
    Softmax: ("-sum of y log a", "-y[i] * logf(a[i] > FLT_MIN ? a[i] : FLT_MIN)"),
    Sigmoid: (
        "-sum of y log a + (1 - y) log(1 - a)",
        "-y[i] * logf(a[i] > FLT_MIN ? a[i] : FLT_MIN)"
        " - (1.0f - y[i]) * logf(a[i] < 1.0f ? 1.0f - a[i] : FLT_MIN)",
    ),
}
SQUARED = ("half the sum of (a - y)^2", "0.5f * (a[i] - y[i]) * (a[i] - y[i])")


def check_dense(network: Model) -> None:
    """ArgumentError for a network that has a layer whose training is not written."""
    if network.shares:
        name, uses = next((name, uses) for name, uses in network.parameter_uses().items() if len(uses) > 1)
        raise ArgumentError(
            f"to_c(training=True) updates every layer as δ passes it, and {name} is shared by "
            f"{', '.join(uses)}: write to_c(path), which predicts"
        )
    for number, layer in enumerate(network.layers, 1):
        last = number == len(network.layers)
        plain = isinstance(layer, Flatten | Identity) or (isinstance(layer, Dense) and not layer.ntk)
        entry = isinstance(layer, Activation) and type(layer).forward is Activation.forward
        dense_of_steps = isinstance(layer, Dense) and positions(network.shapes[str(layer.name)]) > 1
        if dense_of_steps or not (plain or entry or (last and isinstance(layer, Softmax))):
            raise ArgumentError(
                f"to_c(training=True) writes the training of Dense layers on vectors, activations and a "
                f"Softmax at the end; {layer.name} is {layer!r}: write to_c(path), which predicts"
            )


def training(network: Model, body: Body) -> tuple[str, int]:
    """The text of `net_train`, and how many numbers of work it takes."""
    layers = [layer for layer in network.layers if not isinstance(layer, Flatten | Identity)]
    places, size = [Place("x", (math.prod(network.input_shape),))], 0
    body.lines = []
    for layer in layers:
        count = math.prod(network.shapes[str(layer.name)])
        places.append(Place(f"(work + {size})", (count,)))
        size += count
        write(body, layer, places[-2], places[-1], network.layer_parameters(layer))
    widest = max(math.prod(place.shape) for place in places)
    forward, body.lines = body.lines, []
    backward = _backward(body, layers, places)
    outputs = math.prod(network.output_shape)
    last = network.layers[-1]
    said, loss = LOSSES.get(type(last), SQUARED)
    lines = [
        f"float *d = work + {size}, *below = work + {size + widest};",
        f"const float *const a = {places[-1].name};",
        "float loss = 0.0f;",
        *forward,
        f"for (int i = 0; i < {outputs}; i++) {{",
        f"    loss += {loss};",
        "    d[i] = a[i] - y[i];",
        "}",
        *backward,
        "return loss;",
    ]
    text = "".join(f"    {line}\n" for line in lines)
    head = (
        f"/* one step of gradient descent on one sample: J = {said} before it; y is as a is (one-hot), */\n"
        "/* and work holds NET_TRAINING_WORK numbers */\n"
        "static float net_train(const float x[NET_INPUTS], const float y[NET_OUTPUTS], float rate,\n"
        "                       float work[NET_TRAINING_WORK]) {\n"
    )
    return f"{head}{text}}}\n", size + 2 * widest


def _backward(body: Body, layers: Sequence[Layer], places: Sequence[Place]) -> list[str]:
    lines: list[str] = []
    for number in reversed(range(len(layers))):
        layer, x = layers[number], places[number]
        size = math.prod(x.shape)
        last = number == len(layers) - 1
        if isinstance(layer, Dense):
            below = "below" if number else "NULL"
            bias = f"net_{layer.name}_b" if layer.bias else "NULL"
            parameters = f"net_{layer.name}_W, {bias}"
            lines.append(f"net_dense_step({x.name}, d, {parameters}, {size}, {layer.units}, rate, {below});")
            if number:
                lines.append("{ float *const passed = d; d = below; below = passed; }")
        elif not (last and isinstance(layer, Softmax | Sigmoid)):
            name = body.derivative(layer)
            lines.append(f"for (int i = 0; i < {size}; i++) d[i] *= {name}({x.name}[i]);")
    return lines
