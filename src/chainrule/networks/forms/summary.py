"""The table of a network: a row per layer, the layers within a composite indented below it."""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.layers import Composite, Layer, Wiring
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
                count = counts.get(name)
                rows.append([indent + name, repr(layer) + of, shape, f"{count:,}" if count else ""])
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
    if network.several_labels:
        lines.append(("labels", "several per sample, every output above ½"))
    return lines


def _learned(network: Model) -> dict[str, int]:
    """Layer name -> how many numbers it learns."""
    counts: dict[str, int] = {}
    for name, spec in network.parameter_specs.items():
        layer = name.rpartition(".")[0]
        counts[layer] = counts.get(layer, 0) + (network.parameters[name].size if spec.learned else 0)
    return counts
