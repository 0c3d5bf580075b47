"""JAX: a jitted step with donated weights ("jit"), and lax.scan over all the batches in one call ("scan").

The data lies on the device; a step slices its batch out of it. Images are (N, H, W, C), faster here than
(N, C, H, W). Pools are reduce_window, as in the JAX libraries, or with "reshape-pool" a maximum over two
axes of a reshaped array, whose gradient avoids the slow select-and-scatter; after a ReLU the two are equal.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.workloads import RATE, Problem

Weights = list[tuple[jax.Array, jax.Array]]


def versions() -> dict[str, str]:
    return {"jax": jax.__version__, "jaxlib": jax.lib.__version__}


def forward(
    layers: tuple[tuple[Any, ...], ...], weights: Weights, x: jax.Array, reshape_pool: bool
) -> jax.Array:
    """The logits: softmax belongs to the loss."""
    following = iter(weights)
    for kind, *sizes in layers:
        if kind == "conv":
            W, b = next(following)
            pads = [(sizes[2], sizes[2])] * 2
            strides = (sizes[3], sizes[3]) if len(sizes) > 3 else (1, 1)
            x = lax.conv_general_dilated(x, W, strides, pads, dimension_numbers=("NHWC", "HWIO", "NHWC")) + b
        elif kind == "dense":
            W, b = next(following)
            x = x @ W + b
        elif kind == "pool" and reshape_pool:
            n, height, width, channels = x.shape
            x = x.reshape(n, height // sizes[0], sizes[0], width // sizes[0], sizes[0], channels).max((2, 4))
        elif kind == "pool":
            window, steps = ((1, size, size, 1) for size in (sizes[0], sizes[-1]))
            x = lax.reduce_window(x, -jnp.inf, lax.max, window, steps, "VALID")
        elif kind == "flatten":
            x = x.reshape(len(x), -1)
        elif kind == "relu":
            x = jax.nn.relu(x)
        elif kind == "sigmoid":
            x = jax.nn.sigmoid(x)
    return x


class Session:
    def __init__(self, problem: Problem, configuration: str, threads: int) -> None:
        batch, steps, layers = problem.batch, problem.steps, problem.layers
        self.steps, self.scanned = steps, configuration.startswith("scan")
        reshape_pool = configuration.endswith("reshape-pool")
        self.X = jnp.asarray(problem.X).reshape(steps, batch, *problem.input_shape)
        self.y = jnp.asarray(problem.y, dtype=jnp.int32).reshape(steps, batch)
        # A copy: donated weights are overwritten in place.
        self.weights = [(jnp.array(turned(own["W"])), jnp.array(own["b"])) for own in problem.weights]

        def loss(weights: Weights, x: jax.Array, y: jax.Array) -> jax.Array:
            logits = jax.nn.log_softmax(forward(layers, weights, x, reshape_pool))
            return -jnp.take_along_axis(logits, y[:, None], axis=1).mean()

        def update(weights: Weights, x: jax.Array, y: jax.Array) -> tuple[Weights, jax.Array]:
            value, gradients = jax.value_and_grad(loss)(weights, x, y)
            return jax.tree.map(lambda w, g: w - RATE * g, weights, gradients), value

        @partial(jax.jit, donate_argnums=0)
        def step(weights: Weights, X: jax.Array, y: jax.Array, at: int) -> tuple[Weights, jax.Array]:
            return update(weights, X[at], y[at])

        @partial(jax.jit, donate_argnums=0)
        def scan(weights: Weights, X: jax.Array, y: jax.Array) -> tuple[Weights, jax.Array]:
            return lax.scan(lambda w, one: update(w, *one), weights, (X, y))

        self.step, self.scan, self.value = step, scan, jax.jit(loss)

    def epoch(self) -> None:
        if self.scanned:
            self.weights, _ = self.scan(self.weights, self.X, self.y)
        else:
            for at in range(self.steps):
                self.weights, _ = self.step(self.weights, self.X, self.y, at)
        jax.block_until_ready(self.weights)

    def check(self) -> float:
        return float(self.value(self.weights, self.X[0], self.y[0]))


def turned(W: Any) -> Any:
    """chainrule's order to JAX's: (units, inputs) to (inputs, units), (K, k, k, C) to (k, k, C, K)."""
    return W.T if W.ndim == 2 else W.transpose(1, 2, 3, 0)
