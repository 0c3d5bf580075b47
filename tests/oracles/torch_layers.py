"""Every layer and loss of chainrule as PyTorch computes it, at our face: samples first, channels last.

A layer is a function of (its description, x, its parameters): a torch tensor from torch tensors. Gradients
are PyTorch's own. Only `generate.py` imports this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F

import chainrule as cr

Tensor = torch.Tensor
Parameters = Mapping[str, Tensor]


def channels_first(x: Tensor) -> Tensor:
    return x.movedim(-1, 1)


def channels_last(x: Tensor) -> Tensor:
    return x.movedim(1, -1)


def dense(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    W = p["W"] / p["W"].shape[1] ** 0.5 if layer.ntk else p["W"]
    return F.linear(x, W, p.get("b"))


def padded(x: Tensor, pads: Any, value: float = 0.0) -> Tensor:
    """Channels first; pads as our grids give them, first axis first."""
    flat = [size for pair in reversed(pads) for size in pair]
    return F.pad(x, flat, value=value)


def convolution(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    images = padded(channels_first(x), layer.pads(tuple(x.shape[1:])))
    convolve = F.conv2d if layer.axes == 2 else F.conv1d
    groups = layer.groups_of(x.shape[-1])
    grid = layer.grid
    weights = channels_first(p["W"])
    return channels_last(convolve(images, weights, p.get("b"), grid.stride, 0, grid.dilation, groups))


def transposed(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    """All of it, then the part that the padding leaves."""
    grid = layer.grid
    convolve = F.conv_transpose2d if layer.axes == 2 else F.conv_transpose1d
    whole = convolve(
        channels_first(x),
        channels_first(p["W"]),
        None,
        grid.stride,
        0,
        0,
        groups=layer.groups_of(x.shape[-1]),
        dilation=grid.dilation,
    )
    sizes = layer.output_shape(tuple(x.shape[1:]))[:-1]
    pads = grid.pads(sizes)
    crops = [
        (-before, size - (whole.shape[axis + 2] - before))
        for axis, ((before, _), size) in enumerate(zip(pads, sizes, strict=True))
    ]
    z = channels_last(padded(whole, crops))
    return z + p["b"] if "b" in p else z


def pooled(layer: Any, x: Tensor, fill: float) -> tuple[Tensor, Tensor]:
    """The pixels of every window, (N, C, windows..., pixels), and how many of them lie inside the picture."""
    pads = layer.pads(tuple(x.shape[1:]))

    def windows(images: Tensor, value: float) -> Tensor:
        unfolded = padded(images, pads, value)
        for axis, (size, step) in enumerate(zip(layer.grid.kernel, layer.grid.stride, strict=True)):
            unfolded = unfolded.unfold(axis + 2, size, step)
        return unfolded.flatten(2 + layer.axes)

    images = channels_first(x)
    return windows(images, fill), windows(torch.ones_like(images), 0.0).sum(-1)


def max_pool(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    return channels_last(pooled(layer, x, float("-inf"))[0].amax(-1))


def average_pool(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    pixels, inside = pooled(layer, x, 0.0)
    return channels_last(pixels.mean(-1) if layer.count_padding else pixels.sum(-1) / inside)


def l2_pool(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    pixels, inside = pooled(layer, x, 0.0)
    squares = (pixels**2).sum(-1)
    return channels_last(torch.sqrt(squares / inside if layer.mean else squares))


def positions(x: Tensor) -> tuple[int, ...]:
    return tuple(range(1, x.ndim - 1))


def flatten(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    return x.reshape(len(x), -1)


def composite(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    outputs = []
    for own in layer.chains:
        outputs.append(chain(own, x, p))
    return torch.cat(outputs, -1) if layer.join == "concat" else sum(outputs[1:], outputs[0])


def prelu(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    return channels_last(F.prelu(channels_first(x), p["alpha"]))


def parametric(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    return (1 - p["alpha"]) * x + p["alpha"] * LAYERS[type(layer.f).__name__](layer.f, x, {})


def periodic(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    n, hidden = x.shape[1], layer.hidden
    angles = 2 * torch.pi * x[:, :, None] * p["W"].reshape(n, hidden) + p["b"].reshape(n, hidden)
    made = torch.einsum("nih,ioh->nio", torch.cos(angles), p["V"].reshape(n, -1, hidden))
    return torch.cat([x, made.reshape(len(x), -1) + p["c"]], 1)


def embedding(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    return F.embedding(x, p["E"], padding_idx=layer.padding) * (
        1 if layer.padding is None else (x != layer.padding)[..., None]
    )


def sinusoids(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    steps, features = x.shape[1:]
    angle = torch.arange(steps)[:, None] / 10000 ** (torch.arange(0, features, 2).double() / features)
    waves = torch.stack([angle.sin(), angle.cos()], -1).flatten(1)
    return x + waves[:, :features]


def batch_norm(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    return channels_last(
        F.batch_norm(channels_first(x), None, None, p["gamma"], p["beta"], training=True, eps=layer.epsilon)
    )


def group_norm(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    """By hand: F.group_norm refuses groups of one value."""
    parts = x.reshape(len(x), -1, layer.groups, x.shape[-1] // layer.groups)
    variance, mean = torch.var_mean(parts, (1, 3), correction=0, keepdim=True)
    return ((parts - mean) / torch.sqrt(variance + layer.epsilon)).reshape(x.shape) * p["gamma"] + p["beta"]


def layer_norm(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], p["gamma"], p["beta"], layer.epsilon)


def rms_norm(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], p["gamma"], layer.epsilon)


def attention(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    """Scaled dot products by hand, with 0 where a step sees none; (N, heads, steps, features of a head)."""
    samples, steps, _ = x.shape

    def heads(W: str, b: str) -> Tensor:
        return F.linear(x, p[W], p.get(b)).reshape(samples, steps, layer.heads, -1).transpose(1, 2)

    q, k, v = heads("W_q", "b_q"), heads("W_k", "b_k"), heads("W_v", "b_v")
    seen = torch.ones(samples, 1, steps, steps, dtype=torch.bool)
    seen = seen.tril() if layer.causal else seen
    seen = seen & p["mask"][:, None, None, :].bool() if "mask" in p else seen
    scores = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).masked_fill(~seen, -1e9)
    weights = torch.softmax(scores, -1) * seen
    return F.linear((weights @ v).transpose(1, 2).reshape(x.shape), p["W_o"], p.get("b_o"))


def global_average(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    if "mask" not in p:
        return x.mean(positions(x))
    there = p["mask"][..., None]
    return (x * there).sum(1) / there.sum(1).clamp(min=1)


def global_max(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    if "mask" not in p:
        return x.amax(positions(x))
    there = p["mask"][..., None].bool()
    return x.masked_fill(~there, -1e9).amax(1) * there.any(1)


def recurrent(layer: Any, x: Tensor, p: Parameters) -> Tensor:
    """PyTorch's cells, step by step; a step that is padding leaves the state as it is."""
    state = [x.new_zeros(len(x), layer.units) for _ in layer.states]
    after = {}
    order = range(x.shape[1])
    for number, t in enumerate(reversed(order) if layer.reverse else order):
        if layer.truncate and number and number % layer.truncate == 0:
            state = [part.detach() for part in state]
        new = CELLS[type(layer).__name__](layer, x[:, t], state, p)
        there = p["mask"][:, t, None].bool() if "mask" in p else torch.tensor(True)
        state = [torch.where(there, own, old) for own, old in zip(new, state, strict=True)]
        after[t] = torch.where(there, new[0], 0.0)
    return state[0] if layer.outputs == "last" else torch.stack([after[t] for t in order], 1)


def rnn_cell(layer: Any, x: Tensor, state: list[Tensor], p: Parameters) -> list[Tensor]:
    z = F.linear(x, p["W"], p["b"]) + F.linear(state[0], p["U"])
    return [
        {"tanh": torch.tanh, "relu": F.relu, "sigmoid": torch.sigmoid, "identity": lambda z: z}[
            layer.activation
        ](z)
    ]


def lstm_cell(layer: Any, x: Tensor, state: list[Tensor], p: Parameters) -> list[Tensor]:
    cell = torch._VF.lstm_cell  # type: ignore[attr-defined]
    return list(cell(x, state, p["W"], p["U"], p["b"], torch.zeros_like(p["b"])))


def gru_cell(layer: Any, x: Tensor, state: list[Tensor], p: Parameters) -> list[Tensor]:
    within = torch.cat([torch.zeros(2 * layer.units, dtype=x.dtype), p["v"]])
    return [torch._VF.gru_cell(x, state[0], p["W"], p["U"], p["b"], within)]  # type: ignore[attr-defined]


CELLS = {"RNN": rnn_cell, "LSTM": lstm_cell, "GRU": gru_cell}

LAYERS: dict[str, Callable[[Any, Tensor, Parameters], Tensor]] = {
    "Dense": dense,
    "Conv2D": convolution,
    "Conv1D": convolution,
    "DepthwiseConv2D": convolution,
    "ConvTranspose2D": transposed,
    "ConvTranspose1D": transposed,
    "MaxPool2D": max_pool,
    "MaxPool1D": max_pool,
    "AveragePool2D": average_pool,
    "AveragePool1D": average_pool,
    "L2Pool2D": l2_pool,
    "L2Pool1D": l2_pool,
    "GlobalAveragePool": global_average,
    "GlobalMaxPool": global_max,
    "Flatten": flatten,
    "Residual": composite,
    "Parallel": composite,
    "PReLU": prelu,
    "ParametricActivation": parametric,
    "Features": lambda layer, x, p: x[..., layer.start : layer.stop],
    "Scale": lambda layer, x, p: x * p["s"],
    "PeriodicEmbedding": periodic,
    "Clamp": lambda layer, x, p: x,
    "Identity": lambda layer, x, p: x,
    "Sigmoid": lambda layer, x, p: torch.sigmoid(x),
    "Tanh": lambda layer, x, p: torch.tanh(x),
    "ReLU": lambda layer, x, p: F.relu(x),
    "LeakyReLU": lambda layer, x, p: F.leaky_relu(x, layer.slope),
    "Softplus": lambda layer, x, p: F.softplus(x),
    "Softsign": lambda layer, x, p: F.softsign(x),
    "GELU": lambda layer, x, p: F.gelu(x),
    "ELU": lambda layer, x, p: F.elu(x, layer.alpha),
    "SELU": lambda layer, x, p: F.selu(x),
    "SiLU": lambda layer, x, p: F.silu(x),
    "Mish": lambda layer, x, p: F.mish(x),
    # Not F.hardsigmoid: its gradient in float64 is that of float32's 1/6, wrong by 3e-8 (PyTorch 2.13).
    "HardSigmoid": lambda layer, x, p: torch.clamp(x / 6 + 0.5, 0, 1),
    "HardTanh": lambda layer, x, p: F.hardtanh(x),
    "HardSwish": lambda layer, x, p: F.hardswish(x),
    "MultiHeadAttention": attention,
    "Embedding": embedding,
    "PositionalEncoding": sinusoids,
    "LearnedPositions": lambda layer, x, p: x + p["P"],
    "Masking": lambda layer, x, p: x,
    "BatchNorm": batch_norm,
    "LayerNorm": layer_norm,
    "GroupNorm": group_norm,
    "RMSNorm": rms_norm,
    "RNN": recurrent,
    "LSTM": recurrent,
    "GRU": recurrent,
    "Softmax": lambda layer, x, p: F.softmax(x, -1),
}


def chain(layers: Any, x: Tensor, parameters: Parameters) -> Tensor:
    """The layers in order; `parameters` are the whole network's, by name."""
    for layer in layers:
        own: dict[str, Tensor] = dict(parameters)
        if not isinstance(layer, cr.layers.Composite):
            prefix = f"{layer.name}."
            own = {name.removeprefix(prefix): p for name, p in parameters.items() if name.startswith(prefix)}
        if "mask" in parameters:
            own["mask"] = parameters["mask"]
        found = mask_of(layer, x)
        x = LAYERS[type(layer).__name__](layer, x, own)
        parameters = parameters if found is None else {**parameters, "mask": found}
        if "mask" in parameters and (x.ndim != 3 or x.shape[1] != parameters["mask"].shape[1]):
            parameters = {name: p for name, p in parameters.items() if name != "mask"}  # the steps end here
    return x


def mask_of(layer: Any, x: Tensor) -> Tensor | None:
    """(N, steps): which steps are there, where the layer says so."""
    if isinstance(layer, cr.layers.Masking):
        return (x != layer.value).any(-1)
    padded = isinstance(layer, cr.layers.Embedding) and layer.padding is not None
    return x != layer.padding if padded else None


def per_sample(entries: Tensor) -> Tensor:
    """Summed over the outputs, mean over the samples."""
    return entries.reshape(len(entries), -1).sum(1).mean()


def cross_entropy(loss: Any, a: Tensor, y: Tensor) -> Tensor:
    """Class numbers of every sample, or of every position of it."""
    logits, labels = torch.log(a).reshape(-1, a.shape[-1]), y.reshape(-1)
    smoothed = F.cross_entropy(logits, labels, reduction="sum", label_smoothing=loss.label_smoothing)
    return smoothed / len(a)


def binary_cross_entropy(loss: Any, a: Tensor, y: Tensor) -> Tensor:
    e = loss.label_smoothing
    return per_sample(F.binary_cross_entropy(a, (1 - e) * y + e / 2, reduction="none"))


def share(loss: Any, a: Tensor) -> int:
    """What the sum over the outputs is divided by."""
    return a[0].numel() if loss.mean_outputs else 1


def hinge(loss: Any, a: Tensor, y: Tensor) -> Tensor:
    lack = F.relu(1 - (2 * y - 1) * a)
    return per_sample(lack**2 if loss.squared else lack)


def categorical_hinge(loss: Any, a: Tensor, y: Tensor) -> Tensor:
    own = a.gather(-1, y[..., None])
    others = a.masked_fill(F.one_hot(y, a.shape[-1]).bool(), float("-inf")).amax(-1, keepdim=True)
    lack = F.relu(1 + others - own)
    return per_sample(lack**2 if loss.squared else lack)


LOSSES: dict[str, Callable[[Any, Tensor, Tensor], Tensor]] = {
    "SquaredError": lambda loss, a, y: per_sample((a - y) ** 2) / (2 * share(loss, a)),
    "MeanAbsoluteError": lambda loss, a, y: per_sample((a - y).abs()) / share(loss, a),
    "Huber": lambda loss, a, y: (
        per_sample(F.huber_loss(a, y, reduction="none", delta=loss.delta)) / share(loss, a)
    ),
    "Poisson": lambda loss, a, y: per_sample(
        F.poisson_nll_loss(a, y, log_input=loss.log_input, eps=0.0, reduction="none")
    ),
    "Hinge": hinge,
    "CategoricalHinge": categorical_hinge,
    "BinaryCrossEntropy": binary_cross_entropy,
    "CrossEntropy": cross_entropy,
}
