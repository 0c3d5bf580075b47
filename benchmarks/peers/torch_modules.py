"""A problem's network as PyTorch modules, with chainrule's parameters copied into their layouts."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.workloads import Problem

Shape = tuple[int, ...]


class Builder:
    """Modules for layers in words, one after another; the weights and the shape in between are kept.

    Images are (N, C, H, W) here, `shape` is chainrule's (H, W, C). Softmax belongs to the loss.
    """

    def __init__(self, problem: Problem) -> None:
        self.shape: Shape = problem.input_shape
        self.flattened: Shape | None = None  # the image's shape at Flatten: chainrule's order is H, W, C
        self.weights = iter(problem.weights)

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
        if self.flattened is not None:
            W = W.reshape(-1, *self.flattened).permute(0, 3, 1, 2).reshape(W.shape)
            self.flattened = None
        module = nn.Linear(W.shape[1], units)
        fill(module, weight=W, bias=own["b"])
        self.shape = (*self.shape[:-1], units)
        return module

    def conv1d(self, filters: int, kernel: int) -> nn.Module:
        own = self.parameters()
        steps, channels = self.shape
        module = nn.Conv1d(channels, filters, kernel)
        fill(module, weight=own["W"].permute(0, 2, 1), bias=own["b"])
        self.shape = (steps - kernel + 1, filters)
        return OverSteps(module)

    def embedding(self, vocabulary: int, features: int) -> nn.Module:
        module = nn.Embedding(vocabulary, features)
        fill(module, weight=self.parameters()["E"])
        self.shape = (*self.shape, features)
        return module

    def largest(self) -> nn.Module:
        self.shape = self.shape[-1:]
        return Largest()

    def pool(self, window: int, stride: int | None = None) -> nn.Module:
        height, width, channels = self.shape
        step = stride or window
        self.shape = ((height - window) // step + 1, (width - window) // step + 1, channels)
        return nn.MaxPool2d(window, stride)

    def average(self) -> nn.Module:
        axes = (2, 3) if len(self.shape) == 3 else (1,)
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

    def lstm(self, units: int) -> nn.Module:
        own = self.parameters()
        module = LastState(nn.LSTM(self.shape[-1], units, batch_first=True))
        fill(module.cell, weight_ih_l0=own["W"], weight_hh_l0=own["U"], bias_ih_l0=own["b"])
        # chainrule has one bias, PyTorch two whose sum it is: learning both would double its rate.
        nn.init.zeros_(module.cell.bias_hh_l0).requires_grad_(False)
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

    def gelu(self) -> nn.Module:
        return nn.GELU()

    def relu(self) -> nn.Module:
        return nn.ReLU()

    def sigmoid(self) -> nn.Module:
        return nn.Sigmoid()


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


class LastState(nn.Module):
    """The state after the last step of a sequence."""

    def __init__(self, cell: nn.LSTM) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cell(x)[1][0][0]


class OverSteps(nn.Module):
    """A module of (N, channels, steps) for (N, steps, channels)."""

    def __init__(self, within: nn.Module) -> None:
        super().__init__()
        self.within = within

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.within(x.transpose(1, 2)).transpose(1, 2)


class Largest(nn.Module):
    """The largest of all steps."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax(1)


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
