"""The table of a network: a row per layer, the layers within a composite indented below it."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence

from chainrule.layers import Composite, Heads, Identity, Layer, Part, Wiring
from chainrule.layers.precision import BFLOAT16
from chainrule.layers.wiring import Join, Row
from chainrule.networks.architecture import INPUT
from chainrule.networks.model import Model


def summary_rows(network: Model) -> list[list[str]]:
    """name, layer, output shape, number of learned numbers; the first row is the head, the last the total."""
    rows = [["name", "layer", "output shape", "parameters"], [INPUT, "", str(network.input_shape), ""]]
    shapes, counts = network.shapes, _learned(network)

    def add(chain: Iterable[Layer], indent: str, given: str, told: bool = False) -> None:
        """given: what the chain reads, which is told where the row before is not that."""
        for layer in chain:
            name = str(layer.name)
            shape, of = str(shapes[name]), f" of {given}" if told else ""
            if isinstance(layer, Composite):
                rows.append([indent + name, layer.title(), shape, ""])
                add_branches(layer, indent, given)
            else:
                rows.append([indent + name, repr(layer) + of, shape, counts.get(name, "")])
            given, told = name, False

    def add_branches(composite: Composite, indent: str, given: str) -> None:
        if composite.several:
            return  # its title has its sources
        names = composite.named([given])
        for number, (branch, sources) in enumerate(zip(composite.chains, composite.reads, strict=True)):
            if not branch:
                rows.append([f"{indent}  (branch {number + 1})", "the input as it is", "", ""])
            add(branch, indent + "  ", names[sources[0]], told=isinstance(composite, Wiring))

    add(network.layers, "", INPUT)
    return [*rows, ["total", f"{network.dtype}", "", f"{network.count_parameters():,}"]]


def nodes_shown(network: Model) -> str:
    """The nodes of a network in which ways cross, as `Graph` takes them, and its inputs and outputs."""
    nodes: dict[str, list[str]] = {}
    sources: dict[str, list[str]] = {}
    called = {INPUT: INPUT}  # a layer -> the node that it ends
    rows: dict[str, list[str]] = {}  # what lies side by side for a layer behind
    heads = network.heads
    outputs = () if heads is None else heads.names
    hidden = {f"{name}.row" for name in outputs}  # what only puts the outputs side by side
    joined = [*_leaves(network.layers)][-2] if outputs else None

    def add(chain: Iterable[Layer], given: Sequence[str]) -> None:
        for layer in chain:
            name = str(layer.name)
            if isinstance(layer, Wiring):
                names = layer.named(given)
                for branch, read in zip(layer.chains, layer.reads, strict=True):
                    add(branch, [names[source] for source in read])
                called[name], rows[name] = called.get(names[-1], ""), rows.get(names[-1], [names[-1]])
            elif isinstance(layer, Part):
                called[name] = name if name in network.input_parts else name.removesuffix(".output")
            elif name in hidden:
                called[name] = called[given[0]]
            elif isinstance(layer, Row | Heads) or layer is joined:
                rows[name] = list(given)
            else:
                of = [called.get(one, one) for source in given for one in rows.get(source, [source])]
                node = name.rpartition(".")[0] or name
                if node in nodes and of == [node]:
                    nodes[node].append(_shown(layer))
                else:
                    node = name if node in nodes else node
                    nodes[node], sources[node] = [_shown(layer)], of
                called[name] = node
            given = [name]

    add(network.layers, [INPUT])
    for name, f in zip(outputs, heads.activations if heads else (), strict=True):
        nodes[name] += [] if isinstance(f, Identity) or nodes[name][-1] == repr(f) else [repr(f)]
    shown = []
    for node, layers in nodes.items():
        inside = layers[0] if len(layers) == 1 else f"[{', '.join(layers)}]"
        shown.append(f"{node!r}: ({', '.join([inside, *map(repr, sources[node])])})")
    ends = f"inputs={dict(network.inputs)!r}" if network.input_parts else f"input_shape={network.input_shape}"
    ends += f", outputs={list(outputs)!r}" if outputs else ""
    return f"Graph({{{', '.join(shown)}}}, {ends}"


def _shown(layer: Layer) -> str:
    """A layer as it is written as a node, which fills in what it reads and puts out."""
    written = copy.copy(layer)
    for name, usual in (("sources", ()), ("ends", False)):
        if name in vars(written) and not isinstance(written, Join):
            vars(written)[name] = usual
    return repr(written)


def _leaves(chain: Iterable[Layer]) -> Iterable[Layer]:
    """The layers of a graph's wirings; what else holds layers is one, as it is one in a node."""
    for layer in chain:
        if isinstance(layer, Wiring):
            for branch in layer.chains:
                yield from _leaves(branch)
        else:
            yield layer


def summary_lines(network: Model) -> list[tuple[str, str]]:
    """(what, how): what the network's outputs stand for, and how its inputs are made."""
    lines = [] if network.preparation is None else network.preparation.lines()
    if network.classes is not None:
        labels = [str(label) for label in network.classes.tolist()]
        shown = ", ".join(labels[:10]) + (f", … ({len(labels)})" if len(labels) > 10 else "")
        lines.append(("classes", shown))
    for name, known in network.output_labels.items():
        told = [str(label) for label in known.tolist()]
        more = f", … ({len(told)})" if len(told) > 10 else ""
        lines.append((f"classes of {name}", ", ".join(told[:10]) + more))
    if network.precision == BFLOAT16:
        lines.append(("precision", f"products of {BFLOAT16} in Dense and convolutions, summed in float32"))
    if network.several_labels:
        lines.append(("labels", "several per sample, every output above ½"))
    return lines


def _learned(network: Model) -> dict[str, str]:
    """Layer name -> how many numbers it learns, and which it shares with an earlier layer."""
    counts: dict[str, int] = {}
    shared: dict[str, list[str]] = {}
    specs = network.parameter_specs
    for name, layers in network.parameter_uses().items():
        if specs[name].learned:
            owner = name.rpartition(".")[0]
            counts[owner] = counts.get(owner, 0) + math.prod(specs[name].shape)
            for layer in layers:
                if layer != owner:
                    shared.setdefault(layer, []).append(name)
    told = {layer: [f"{count:,}"] for layer, count in counts.items()}
    for layer, names in shared.items():
        owners = {name.rpartition(".")[0] for name in names}
        whole = layer not in told and len(owners) == 1
        told.setdefault(layer, []).append(f"as {owners.pop()}" if whole else f"and {', '.join(names)}")
    return {layer: " ".join(parts) for layer, parts in told.items()}
