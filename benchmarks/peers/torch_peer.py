"""PyTorch: eager, channels_last, compile, and both together ("compile channels_last").

Compiled is the forward pass with the loss, and through it the backward pass. The update is the fused one; the
default and foreach were within 5 % of it.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.workloads import RATE, Problem


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}


def build(problem: Problem) -> nn.Sequential:
    """The network with the weights to start from; softmax belongs to the loss, images are (N, C, H, W)."""
    modules: list[nn.Module] = []
    weights = iter(problem.weights)
    image = problem.input_shape if problem.convolutional else None
    flattened = None  # the image's shape at Flatten: chainrule's order is H, W, C, PyTorch's C, H, W
    for kind, *sizes in problem.layers:
        if kind == "conv":
            W, b = (torch.from_numpy(array) for array in next(weights))
            filters, kernel, padding = sizes
            module = nn.Conv2d(W.shape[3], filters, kernel, padding=padding)
            fill(module, W.permute(0, 3, 1, 2), b)
            height, width = (size + 2 * padding - kernel + 1 for size in image[:2])
            image = (height, width, filters)
        elif kind == "dense":
            W, b = (torch.from_numpy(array) for array in next(weights))
            if flattened is not None:
                W = W.reshape(-1, *flattened).permute(0, 3, 1, 2).reshape(W.shape)
                flattened = None
            module = nn.Linear(W.shape[1], W.shape[0])
            fill(module, W, b)
        elif kind == "pool":
            module = nn.MaxPool2d(sizes[0])
            image = (image[0] // sizes[0], image[1] // sizes[0], image[2])
        elif kind == "flatten":
            module, flattened = nn.Flatten(), image
        elif kind == "softmax":
            continue
        else:
            module = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}[kind]()
        modules.append(module)
    return nn.Sequential(*modules)


def fill(module: nn.Conv2d | nn.Linear, W: torch.Tensor, b: torch.Tensor) -> None:
    with torch.no_grad():
        module.weight.copy_(W)
        module.bias.copy_(b)


class Session:
    def __init__(self, problem: Problem, configuration: str, threads: int) -> None:
        torch.set_num_threads(threads)
        torch._dynamo.reset()
        self.batch, self.samples = problem.batch, len(problem.X)
        self.net = build(problem)
        self.X, self.y = torch.from_numpy(problem.X), torch.from_numpy(problem.y)
        if problem.convolutional:
            self.X = self.X.permute(0, 3, 1, 2).contiguous()
        if "channels_last" in configuration:
            self.net = self.net.to(memory_format=torch.channels_last)
            self.X = self.X.contiguous(memory_format=torch.channels_last)
        self.forward = self.whole if "compile" not in configuration else torch.compile(self.whole)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=RATE, fused=True)

    def whole(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return cross_entropy(self.net(x), y)

    def epoch(self) -> None:
        for first in range(0, self.samples, self.batch):
            x, y = self.X[first : first + self.batch], self.y[first : first + self.batch]
            self.optimizer.zero_grad()
            self.forward(x, y).backward()
            self.optimizer.step()

    def loss(self) -> float:
        with torch.no_grad():
            return float(self.whole(self.X[: self.batch], self.y[: self.batch]))
