"""Graphs drawn at random: every node reads one or several before it, of every kind of layer that fits,
and some have the layers of another one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr

Shape = tuple[int, ...]


def graph(seed: int, kind: str, **options: Any) -> cr.Graph:
    """A graph of 3 to 9 nodes and an end; kind: "features", "image" or "sequence"."""
    rng = np.random.default_rng(seed)
    shape: Shape = {"features": (5,), "image": (6, 5, 2), "sequence": (4, 3)}[kind]
    nodes: dict[str, Any] = {}
    shapes: dict[str, Shape] = {"input": shape}
    unread: list[str] = ["input"]
    drawn: dict[Shape, Any] = {}

    def read(source: str) -> str:
        if source in unread:
            unread.remove(source)
        return source

    def put(spec: Any, shape: Shape) -> str:
        name = f"n{len(nodes)}"
        nodes[name], shapes[name] = spec, shape
        unread.append(name)
        return name

    def join(sources: list[str]) -> str:
        """Entry by entry where the shapes are one, and else, or by lot, features side by side."""
        of = [shapes[read(source)] for source in sources]
        if len(set(of)) == 1 and (lot := rng.random()) < 0.6:
            how = next(join for join, end in JOINS.items() if lot < end)
            return put((how(), *sources), of[0])
        return put((cr.Concat(), *sources), (*of[0][:-1], sum(size[-1] for size in of)))

    for _ in range(int(rng.integers(3, 10))):
        names = list(shapes)
        if len(names) > 1 and rng.random() < 0.4:
            join([names[i] for i in rng.integers(0, len(names), int(rng.integers(2, 4)))])
        else:
            source = names[int(rng.integers(0, len(names)))]
            again = drawn.get(shapes[source])  # the layers of another node: one W for both
            block = again if again is not None and rng.random() < 0.5 else layers(rng, kind)
            drawn[shapes[source]] = block
            put((block, read(source)), (*shapes[source][:-1], 4))
    while len(unread) > 1 or unread == ["input"]:
        join([unread[0], unread[1 % len(unread)]])
    nodes["end"] = ([cr.Flatten(), cr.Dense(3), cr.Softmax()], unread[0])
    return cr.Graph(nodes, input_shape=shape, seed=seed, **options)


JOINS = {cr.Multiply: 0.1, cr.Maximum: 0.2, cr.Minimum: 0.25, cr.Add: 0.6}


def layers(rng: np.random.Generator, kind: str) -> Any:
    """A layer or a few, with 4 features, or channels, at the end."""
    if kind == "features":
        drawn: list[Any] = [cr.Dense(4), [cr.Dense(4), cr.Tanh()], [cr.Dense(4), cr.GELU(), cr.LayerNorm()]]
        drawn += [cr.Residual([cr.Dense(2)], shortcut=[cr.Dense(2)]), [cr.Dense(4), cr.Identity()]]
        drawn[3] = [drawn[3], cr.Dense(4)]
    elif kind == "image":
        conv, after = (cr.Conv2D(4, 3, padding="same") for _ in range(2))
        drawn = [conv, [conv, cr.Softplus()], [cr.Conv2D(4, 1), cr.BatchNorm()], [conv, cr.Tanh(), after]]
        drawn += [[cr.Pad2D(1), cr.Conv2D(4, 3)], [conv, cr.AveragePool2D(3, 1, padding=1)]]
    else:
        drawn = [cr.Dense(4), cr.LSTM(4, outputs="all"), [cr.Dense(4), cr.MultiHeadAttention(2)]]
        drawn += [cr.Conv1D(4, 3, padding="same"), [cr.Dense(4), cr.Tanh(), cr.LayerNorm()]]
    return drawn[int(rng.integers(0, len(drawn)))]


def batch(network: cr.Network, samples: int, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(samples, *network.input_shape)), rng.integers(0, 3, samples)
