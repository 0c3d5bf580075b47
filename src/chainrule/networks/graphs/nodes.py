"""Nodes that name their sources, checked, put in the order of computation, and made a list of layers: where
one way leads on, its layers; where several do, a Wiring of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.base.errors import ShapeError, describe
from chainrule.layers import Layer, Sequential, Wiring
from chainrule.layers.structure import chain
from chainrule.layers.wiring import Join
from chainrule.networks.names import meant

_FORM = "'node': Dense(8), 'node': [Dense(8), ReLU()], or with what it reads, 'node': (Dense(8), 'source')"


@dataclass(frozen=True)
class Node:
    """A node by its name: the layer it computes, a block where it was given several, and what it reads."""

    name: str
    layer: Layer
    sources: tuple[str, ...]


def nodes_from(given: Any, inputs: Sequence[str]) -> list[Node]:
    """The nodes as they were written; one without sources reads the node before it, the first the input."""
    if not isinstance(given, Mapping):
        raise TypeError(
            "Graph takes its nodes by name, Graph({'a': Dense(8), 'b': (ReLU(), 'a')}, input_shape=784), "
            f"received {describe(given)}"
        )
    if not given:
        raise ShapeError("Graph needs at least one node: Graph({'a': Dense(8)}, input_shape=784)")
    nodes: list[Node] = []
    for name, spec in given.items():
        if not isinstance(name, str):
            raise TypeError(f"Graph nodes have names, received {describe(name)}: write {_FORM}")
        if name in inputs:
            raise ShapeError(f"node {name!r} has the name of an input: give it another one")
        before = (nodes[-1].name,) if nodes else (inputs[0],) if len(inputs) == 1 else ()
        nodes.append(_node(name, spec, before, inputs))
    return nodes


def _node(name: str, spec: Any, before: tuple[str, ...], inputs: Sequence[str]) -> Node:
    layers, sources = (spec[0], spec[1:]) if isinstance(spec, tuple) and spec else (spec, ())
    if isinstance(spec, tuple) and not all(isinstance(source, str) for source in sources):
        raise TypeError(
            f"node {name!r}: behind its layers stand the names of what it reads, received {describe(spec)}; "
            f"write {_FORM}"
        )
    made = chain(layers, f"node {name!r}")
    joins = len(made) == 1 and isinstance(made[0], Join)
    if not joins and any(isinstance(layer, Join) for layer in made):
        at = next(layer for layer in made if isinstance(layer, Join))
        raise ShapeError(
            f"node {name!r}: {at!r} is a node by itself, 'joined': ({at!r}, 'a', 'b'), whose name the next "
            "one reads"
        )
    if not sources:
        if joins:
            raise ShapeError(f"node {name!r} joins several nodes: write {name!r}: ({made[0]!r}, 'a', 'b')")
        if not before:
            written = layers if isinstance(layers, Layer) else "[...]"
            raise ShapeError(
                f"node {name!r} comes first and there are several inputs, {_listed(inputs)}: write which one "
                f"it reads, {name!r}: ({written!r}, {inputs[0]!r})"
            )
        sources = before
    if joins and len(sources) < 2:
        raise ShapeError(
            f"node {name!r}: {made[0]!r} joins at least two nodes, received {sources[0]!r} alone"
        )
    if not joins and len(sources) > made[0].most_sources:
        most = made[0].most_sources
        if most > 1:
            raise ShapeError(
                f"node {name!r}: {made[0]!r} reads at most {most} values, received {_listed(sources)}"
            )
        raise ShapeError(
            f"node {name!r} reads one value, received {_listed(sources)}: join them in a node before it, "
            f"'joined': (Concat(), {', '.join(map(repr, sources))}) or Add()"
        )
    return Node(name, _named(made, name, sources), tuple(sources))


def _named(layers: Sequence[Layer], name: str, sources: tuple[str, ...]) -> Layer:
    if len(layers) > 1:
        return Sequential(layers, name=name)
    layer = copy.copy(layers[0])
    layer.name = name
    return layer.joining(sources) if isinstance(layer, Join) else layer


def in_order(nodes: Sequence[Node], inputs: Sequence[str], outputs: Sequence[str]) -> list[Node]:
    """The nodes in the order of computation, as written where that is one; ShapeError for a source that is
    none, a circle, and what no output depends on.
    """
    known = {node.name: node for node in nodes}
    _check_sources(nodes, inputs)
    for output in outputs:
        if output not in known:
            raise ShapeError(_unknown(f"outputs has {output!r}", output, known, ()))
    ordered: dict[str, Node] = {}

    def visit(node: Node, way: tuple[str, ...]) -> None:
        if node.name in ordered:
            return
        if node.name in way:
            circle = " reads ".join(map(repr, (*way[way.index(node.name) :], node.name)))
            raise ShapeError(f"nodes read each other in a circle, {circle}: no one of them comes first")
        for source in node.sources:
            if source in known:
                visit(known[source], (*way, node.name))
        ordered[node.name] = node

    for node in nodes:
        visit(node, ())
    _check_used(list(ordered.values()), inputs, outputs)
    return list(ordered.values())


def _check_sources(nodes: Sequence[Node], inputs: Sequence[str]) -> None:
    known = [node.name for node in nodes]
    for node in nodes:
        for source in node.sources:
            if source not in known and source not in inputs:
                raise ShapeError(_unknown(f"node {node.name!r} reads {source!r}", source, known, inputs))


def _unknown(what: str, name: str, known: Iterable[str], inputs: Sequence[str]) -> str:
    names = [*inputs, *known]
    return f"{what}, and there are {_listed(names)}{meant(name, names)}"


def _check_used(ordered: Sequence[Node], inputs: Sequence[str], outputs: Sequence[str]) -> None:
    needed = set(outputs)
    for node in reversed(ordered):
        needed |= set(node.sources) if node.name in needed else set()
    unused = [node.name for node in ordered if node.name not in needed]
    if unused:
        read = {source for node in ordered for source in node.sources}
        at = next((name for name in reversed(unused) if name not in read), unused[-1])
        raise ShapeError(
            f"node {at!r} leads to no output, {_listed(outputs)}: let a node read it, leave it out, or name "
            f"it as one, outputs={[*outputs, at]}"
        )
    unread = [name for name in inputs if name not in needed]
    if unread:
        raise ShapeError(f"input {unread[0]!r} is read by no node: write 'node': (Dense(8), {unread[0]!r})")


def ending(nodes: Sequence[Node], inputs: Sequence[str]) -> str:
    """The node that none reads; ShapeError where there are several, or a source is none."""
    _check_sources(nodes, inputs)
    read = {source for node in nodes for source in node.sources}
    ends = [node.name for node in nodes if node.name not in read] or [nodes[-1].name]
    if len(ends) > 1:
        raise ShapeError(
            f"nodes {_listed(ends)} are read by none: let a node read them, leave out what is not needed, or "
            f"name the outputs, outputs={ends}"
        )
    return ends[0]


def layers_of(ordered: Sequence[Node], begin: str) -> list[Layer]:
    """The nodes, which begin with one value and end with the last, as the layers of a network."""
    last = {name: number for number, node in enumerate(ordered) for name in node.sources}
    layers: list[Layer] = []
    first, alive = 0, {begin}
    for number, node in enumerate(ordered):
        alive = {name for name in alive | {node.name} if last.get(name, -1) > number or name == node.name}
        if len(alive) > 1:
            continue  # more than one way leads on from here
        part = ordered[first : number + 1]
        layers += _part(part, begin, node.name)
        first, begin = number + 1, node.name
    return layers


def _part(nodes: Sequence[Node], begin: str, end: str) -> list[Layer]:
    """The layers between two values through which all ways lead."""
    if len(nodes) == 1 and len(nodes[0].sources) == 1:
        return [nodes[0].layer]
    uses = [source for node in nodes for source in node.sources]
    chains: list[list[Layer]] = []
    reads: list[tuple[int, ...]] = []
    place = {begin: 0}
    for node in nodes:
        source = node.sources[0]
        if len(node.sources) == 1 and source != begin and uses.count(source) == 1:
            chains[place[source] - 1].append(node.layer)  # it goes on from the end of a chain
            place[node.name] = place[source]
            continue
        chains.append([node.layer])
        reads.append(tuple(place[name] for name in node.sources))
        place[node.name] = len(chains)
    return [Wiring(chains, reads)]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
