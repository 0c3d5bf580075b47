"""A problem's network as PyTorch modules, with chainrule's parameters copied into their layouts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.workloads import Problem

Shape = tuple[int, ...]
ALONG_CHANNELS = {"conv1d", "relu", "residual", "average", "largest", "softmax", "dense"}


def flat(layers: Any) -> Iterator[Any]:
    """Layers in words, and those within residual ones."""
    for layer in layers:
        yield layer
        if layer[0] == "residual":
            yield from flat(layer[1:])



class Builder:
    """Modules for layers in words, one after another; the weights and the shape in between are kept.

    Images are (N, C, H, W) here, `shape` is chainrule's (H, W, C). Softmax belongs to the loss.
    """

    def __init__(self, problem: Problem) -> None:
        self.shape: Shape = problem.input_shape
        self.flattened: Shape | None = None  # the image's shape at Flatten: chainrule's order is H, W, C
        self.weights = iter(problem.weights)
        # Sequences of a convolutional network are (N, C, T) throughout, others (N, T, C).
        kinds = {kind for kind, *_ in flat(problem.layers)}
        self.channels_first = problem.layers[0][0] == "conv1d" and kinds <= ALONG_CHANNELS

    def chain(self, layers: Any) -> nn.Sequential:
        return nn.Sequential(*(getattr(self, kind)(*sizes) for kind, *sizes in layers if kind != "softmax"))

    def parameters(self) -> dict[str, torch.Tensor]:
        """Of the next layer that has any."""
        return {name: torch.from_numpy(array) for name, array in next(self.weights).items()}

    def conv(self, filters: int, kernel: int, padding: int, stride: int = 1, groups: int = 1) -> nn.Module:
        own = self.parameters()
        height, width, channels = self.shape
        module = nn.Conv2d(channels, filters, kernel, stride, padding, groups=groups)
        fill(module, weight=own["W"].permute(0, 3, 1, 2), bias=own["b"])
        self.shape = (*((size + 2 * padding - kernel) // stride + 1 for size in (height, width)), filters)
        return module

    def depthwise(self, kernel: int, padding: int, stride: int) -> nn.Module:
        channels = self.shape[-1]
        return self.conv(channels, kernel, padding, stride, groups=channels)

    def dense(self, units: int) -> nn.Module:
        own = self.parameters()
        W = own["W"]
        if self.flattened is not None and len(self.flattened) == 3:
            W = W.reshape(-1, *self.flattened).permute(0, 3, 1, 2).reshape(W.shape)
            self.flattened = None
        module = nn.Linear(W.shape[1], units)
        fill(module, weight=W, bias=own["b"])
        self.shape = (*self.shape[:-1], units)
        return module

    def convtranspose(self, filters: int, kernel: int, stride: int) -> nn.Module:
        own = self.parameters()
        height, width, channels = self.shape
        module = nn.ConvTranspose2d(channels, filters, kernel, stride)
        fill(module, weight=own["W"].permute(0, 3, 1, 2), bias=own["b"])
        self.shape = (*((size - 1) * stride + kernel for size in (height, width)), filters)
        return module

    def upsample(self, factor: int) -> nn.Module:
        height, width, channels = self.shape
        self.shape = (factor * height, factor * width, channels)
        return nn.Upsample(scale_factor=factor)

    def conv1d(
        self, filters: int, kernel: int, padding: int = 0, stride: int = 1, dilation: int = 1
    ) -> nn.Module:
        own = self.parameters()
        steps, channels = self.shape
        module = nn.Conv1d(channels, filters, kernel, stride, padding, dilation)
        fill(module, weight=own["W"].permute(0, 2, 1), bias=own["b"])
        self.shape = ((steps + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1, filters)
        return module if self.channels_first else OverSteps(module)

    def embedding(self, vocabulary: int, features: int) -> nn.Module:
        module = nn.Embedding(vocabulary, features)
        fill(module, weight=self.parameters()["E"])
        self.shape = (*self.shape, features)
        return module

    def largest(self) -> nn.Module:
        self.shape = self.shape[-1:]
        return Largest(2 if self.channels_first else 1)

    def pool(self, window: int, stride: int | None = None) -> nn.Module:
        height, width, channels = self.shape
        step = stride or window
        self.shape = ((height - window) // step + 1, (width - window) // step + 1, channels)
        return nn.MaxPool2d(window, stride)

    def average(self) -> nn.Module:
        axes = (2, 3) if len(self.shape) == 3 else (2,) if self.channels_first else (1,)
        self.shape = self.shape[-1:]
        return Average(axes)

    def flatten(self) -> nn.Module:
        self.flattened = self.shape
        return nn.Flatten()

    def batchnorm(self) -> nn.Module:
        own = self.parameters()
        module = nn.BatchNorm2d(self.shape[-1])
        fill(
            module,
            weight=own["gamma"],
            bias=own["beta"],
            running_mean=own["mean"],
            running_var=own["variance"],
        )
        return module

    def lstm(self, units: int, layers: int = 1) -> nn.Module:
        return self.recurrent(nn.LSTM, units, layers)

    def gru(self, units: int, layers: int = 1) -> nn.Module:
        return self.recurrent(nn.GRU, units, layers)

    def recurrent(self, kind: Any, units: int, layers: int) -> nn.Module:
        module = LastState(kind(self.shape[-1], units, layers, batch_first=True))
        for number in range(layers):
            own = self.parameters()
            values = {"weight_ih": own["W"], "weight_hh": own["U"], "bias_ih": own["b"]}
            fill(module.cell, **{f"{name}_l{number}": value for name, value in values.items()})
            # chainrule has one bias, PyTorch two whose sum it is: learning both would double its rate. (The
            # GRU's v, which begins at 0, chainrule alone learns.)
            nn.init.zeros_(getattr(module.cell, f"bias_hh_l{number}")).requires_grad_(False)
        self.shape = (units,)
        return module

    def layernorm(self) -> nn.Module:
        own = self.parameters()
        module = nn.LayerNorm(self.shape[-1])
        fill(module, weight=own["gamma"], bias=own["beta"])
        return module

    def attention(self, heads: int) -> nn.Module:
        own = self.parameters()
        module = Attention(self.shape[-1], heads)
        # chainrule's keys have no bias: its gradient is 0, here too, and so it stays what it is.
        biases = (own["b_q"], torch.zeros_like(own["b_q"]), own["b_v"])
        fill(module.inward, weight=torch.cat([own["W_q"], own["W_k"], own["W_v"]]), bias=torch.cat(biases))
        fill(module.outward, weight=own["W_o"], bias=own["b_o"])
        return module

    def residual(self, *layers: Any) -> nn.Module:
        return Residual(self.chain(layers))

    def concat(self, *chains: Any) -> nn.Module:
        before, after, modules = self.shape, [], []
        for chain in chains:
            self.shape = before
            modules.append(self.chain(chain))
            after.append(self.shape)
        self.shape = (*after[0][:-1], sum(shape[-1] for shape in after))
        return SideBySide(modules)

    def gelu(self) -> nn.Module:
        return nn.GELU()

    def relu(self) -> nn.Module:
        return nn.ReLU()

    def sigmoid(self) -> nn.Module:
        return nn.Sigmoid()

    def tanh(self) -> nn.Module:
        return nn.Tanh()


class Attention(nn.Module):
    """Self-attention with one product for queries, keys and values, and PyTorch's own for the rest.

    nn.MultiheadAttention computes the same with a few more copies.
    """

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inward, self.outward = nn.Linear(features, 3 * features), nn.Linear(features, features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        samples, steps, features = x.shape
        parts = self.inward(x).reshape(samples, steps, 3, self.heads, features // self.heads)
        mixed = scaled_dot_product_attention(*parts.permute(2, 0, 3, 1, 4).unbind(0))
        return self.outward(mixed.transpose(1, 2).reshape(samples, steps, features))


class Residual(nn.Module):
    """x + F(x)"""

    def __init__(self, within: nn.Module) -> None:
        super().__init__()
        self.within = within

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.within(x)


class SideBySide(nn.Module):
    """The channels of several images, one after another."""

    def __init__(self, chains: list[nn.Sequential]) -> None:
        super().__init__()
        self.chains = nn.ModuleList(chains)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([chain(x) for chain in self.chains], 1)


class LastState(nn.Module):
    """The state after the last step of a sequence, of the last layer."""

    def __init__(self, cell: nn.LSTM | nn.GRU) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cell(x)[0][:, -1]


class OverSteps(nn.Module):
    """A module of (N, channels, steps) for (N, steps, channels)."""

    def __init__(self, within: nn.Module) -> None:
        super().__init__()
        self.within = within

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.within(x.transpose(1, 2)).transpose(1, 2)


class Largest(nn.Module):
    """The largest of all steps."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax(self.axis)


class Average(nn.Module):
    """The mean over all positions: faster on the CPU than AdaptiveAvgPool2d(1), and for sequences too."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(self.axes)


def fill(module: nn.Module, **tensors: torch.Tensor) -> None:
    """Copy values into parameters and buffers by name."""
    with torch.no_grad():
        for name, tensor in tensors.items():
            getattr(module, name).copy_(tensor)
