"""The table of a network: a row per layer, the layers within a composite indented below it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from chainrule.layers import Composite, Layer, Wiring
from chainrule.layers.precision import BFLOAT16
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
