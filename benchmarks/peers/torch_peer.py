"""PyTorch: eager, channels_last, compile, and both together ("compile channels_last").

Compiled is the forward pass with the loss, and through it the backward pass. The update is the fused one; the
default and foreach were within 5 % of it.

Norms of the samples' gradients: vmap(grad(loss)) of all samples, of 32 at a time, or of all, compiled; then
the root of the sum of all squares. Predictions: in inference mode, with the softmax.
"""

from __future__ import annotations

import torch
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from benchmarks.peers.torch_modules import Builder
from benchmarks.workloads import RATE, Problem

CHUNK = 32  # samples at a time, in "vmap(grad) by 32"


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}


class Session:
    def __init__(self, problem: Problem, configuration: str, threads: int) -> None:
        torch.set_num_threads(threads)
        torch._dynamo.reset()
        self.batch, self.samples = problem.batch, len(problem.X)
        builder = Builder(problem)
        self.net = builder.chain(problem.layers)
        self.X, self.y = torch.from_numpy(problem.X), torch.from_numpy(problem.y)
        if len(problem.input_shape) == 3:
            self.X = self.X.permute(0, 3, 1, 2).contiguous()
        if builder.channels_first:
            self.X = self.X.transpose(1, 2).contiguous()
        if "channels_last" in configuration:
            self.net = self.net.to(memory_format=torch.channels_last)
            self.X = self.X.contiguous(memory_format=torch.channels_last)
        if problem.layers[0][0] == "embedding":
            self.X = self.X.long()
        learned = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.SGD(learned, lr=RATE, fused=True)
        own = vmap(
            grad(self.of_one), in_dims=(None, 0, 0), chunk_size=CHUNK if "by" in configuration else None
        )
        self.own_gradients = own
        self.forward, self.own_norms = self.loss, self.norms
        if "compile" in configuration:
            self.forward, self.own_norms = torch.compile(self.loss), torch.compile(self.norms)
        self.task = problem.task
        if self.task == "predict":
            self.net.eval()

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return cross_entropy(self.net(x), y)

    def of_one(self, parameters: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return cross_entropy(functional_call(self.net, parameters, (x[None],)), y[None])

    def norms(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        parameters = {name: value.detach() for name, value in self.net.named_parameters()}
        gradients = self.own_gradients(parameters, x, y)
        return sum(g.flatten(1).square().sum(1) for g in gradients.values()).sqrt()

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return self.net(x).softmax(-1)

    def epoch(self) -> None:
        for first in range(0, self.samples, self.batch):
            x, y = self.X[first : first + self.batch], self.y[first : first + self.batch]
            if self.task == "predict":
                self.predict(x)
                continue
            if self.task == "norms":
                self.own_norms(x, y)
                continue
            self.optimizer.zero_grad()
            self.forward(x, y).backward()
            self.optimizer.step()

    def check(self) -> float:
        x, y = self.X[: self.batch], self.y[: self.batch]
        if self.task == "predict":
            return float(self.predict(x).square().mean())
        with torch.no_grad():
            return float(self.own_norms(x, y).mean() if self.task == "norms" else self.loss(x, y))
