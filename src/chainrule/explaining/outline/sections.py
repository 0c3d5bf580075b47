"""From the document of a report to its sections, in reading order: a pure function.

Sections: verdict, network, notation and conventions, loss and output residual, forward, backward, gradients
and update, gradient check, gradient flow, the algorithm's steps, how to reproduce it, errata of the
references where they are asked for, references.  The cards of layers are laid out in cards.py, what is looked
up in reference.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, cast

from chainrule.base.languages import AND, NOTHING, SPACE, Say, same
from chainrule.base.numbers import short
from chainrule.base.scalars import check_choice
from chainrule.base.shown import shown_tree
from chainrule.checking.compare import REASONS
from chainrule.diagnosing.schema import Level
from chainrule.explaining import document as documents
from chainrule.explaining.blocks.kinds import (
    Badge,
    Block,
    Cell,
    Chain,
    ChainNode,
    Code,
    Outline,
    Paragraph,
    Section,
    Strip,
    Table,
)
from chainrule.explaining.outline.cards import Layout, backward_card, forward_card, told_apart
from chainrule.explaining.outline.ends import loss_blocks, update_blocks, weight_of_sample
from chainrule.explaining.outline.flow import finding_block, flow_blocks
from chainrule.explaining.outline.lettered import in_letters
from chainrule.explaining.outline.reference import (
    algorithm_section,
    errata_section,
    notation_section,
    references_section,
)
from chainrule.explaining.schema import (
    CheckRecord,
    CheckRow,
    Document,
    LayerRecord,
    Meta,
    NoCheck,
    Tensor,
)
from chainrule.explaining.theta.form import in_form_of
from chainrule.explaining.words.catalogues import SECTIONS, TABLES, THETA_FORM
from chainrule.formulas.printing.notation import notation_from

Language = Literal["en", "zh", "en+zh"]
LANGUAGES = {"en": "en", "zh": "zh", "en+zh": "en+zh", "zh+en": "en+zh", "both": "en+zh"}
FOLDED_ABOVE = 40  # layers: equal neighbours in the picture of the network become one with a count


def outline(
    document: Mapping[str, Any],
    *,
    language: str | None = None,
    notation: str | None = None,
    linear: bool = False,
) -> Outline:
    """The report's sections.  language, notation: instead of the document's own.

    linear: formulas are laid out for lines of text (the terminal), fractions with a slash.
    Raises ValueError for a document of another schema, an unknown language or notation.
    """
    shown = cast(Document, shown_tree(documents.read(document)))
    meta = shown["meta"]
    spoken = language_from(language or meta["language"])
    name = notation_from(notation or meta["notation"]).name
    shown = in_form_of(shown, notation_from(name))
    last = max((card["number"] for card in shown["cards"]), default=1)
    layout = Layout(shown, told_apart(notation_from(name), meta), linear, last)
    m = layout.notation.letters["batch size"].base
    forward = [forward_card(layout, card) for card in shown["cards"]]
    backward = [backward_card(layout, card) for card in reversed(shown["cards"])]
    sections = (
        _verdict(shown),
        _network(shown, layout),
        notation_section(layout),
        Section(SECTIONS["title.loss"], loss_blocks(layout), id="loss"),
        Section(SECTIONS["title.forward"], tuple(forward), id="forward"),
        Section(SECTIONS["title.backward"], tuple(filter(None, backward)), id="backward"),
        Section(SECTIONS["title.update"], update_blocks(layout), id="update"),
        _check(shown, layout.notation.loss),
        Section(SECTIONS["title.flow"], flow_blocks(shown, m, weight_of_sample(layout.notation)), id="flow"),
        algorithm_section(layout),
        _reproduce(shown),
        *filter(None, [errata_section(layout)]),
    )
    sections = (*sections, references_section(sections))
    lettered = tuple(in_letters(section, layout.notation) for section in sections)
    return Outline(_title(meta), lettered, spoken, name, dict(shown))


def language_from(language: str) -> Language:
    """ "en", "zh" or "en+zh"; ValueError for another."""
    check_choice("language", language, LANGUAGES, meaning="'en', 'zh' or 'en+zh' (both)")
    return cast(Language, LANGUAGES[language])


def _title(meta: Meta) -> Say:
    if meta["title"]:
        return SECTIONS.say("title.named_report", name=meta["title"])
    return SECTIONS["title.report"]


def _verdict(document: Document) -> Section:
    meta, check, kernels = document["meta"], document["check"], document["kernels"]
    worst = max((float(error) for error in kernels["layers"].values()), default=0.0)
    level: Level = "note" if check is None or "ok" not in check else "good" if check["ok"] else "bad"
    badges = [
        Badge(SECTIONS["verdict.loss"], same(short(float(document["loss"]["J"]), 6)), "note"),
        Badge(TABLES["parameters_of_network"], same(f"{meta['parameters']:,}"), "note"),
        Badge(SECTIONS["verdict.check"], check_text(check), level),
        Badge(SECTIONS["verdict.kernels"], same(f"{worst:.0e}"), "good" if worst < 1e-9 else "bad"),
    ]
    counted = THETA_FORM["indices"] if "theta" in document else SECTIONS["verdict.counted_from_0"]
    about = SECTIONS.say(
        "verdict.about",
        samples=_samples(meta["samples"]),
        sample=meta["sample"],
        counted=counted + SPACE + SECTIONS["verdict.sample_index"],
    )
    bad = [finding for finding in document["findings"] if finding["level"] in ("bad", "warning")]
    blocks: list[Block] = [Strip(tuple(badges), id="strip")]
    blocks += [finding_block(finding) for finding in bad[:3]]
    blocks += [Paragraph(about, quiet=True), Paragraph(SECTIONS["verdict.cited"], quiet=True)]
    return Section(SECTIONS["title.verdict"], tuple(blocks), id="verdict")


def _samples(count: int) -> Say:
    return SECTIONS["verdict.one_sample"] if count == 1 else SECTIONS.say("verdict.samples", count=count)


def check_text(check: CheckRecord | NoCheck | None) -> Say:
    """The gradient check in two words."""
    if not check:
        return SECTIONS["check.not_made"]
    if "ok" not in check:
        return SECTIONS["check.not_possible"]
    difference = f"{float(check['relative_difference']):.1e}"
    return SECTIONS.say("check.ok", difference=difference) if check["ok"] else SECTIONS["check.wrong"]


def _network(document: Document, layout: Layout) -> Section:
    nodes = _folded(_nodes(document["graph"]["layers"], document))
    head: tuple[Cell, ...] = (
        same(layout.notation.output_number),
        TABLES["name"], TABLES["layer"], TABLES["output"], TABLES["parameters"],
        same(f"‖{layout.notation.letters['output'].base}‖"), same("‖δ‖"), TABLES["check"],
    )  # fmt: skip
    counts = _counts(document["graph"]["layers"], document["tensors"])
    rows, levels = [], []
    for card in document["cards"]:
        level, mark = layer_verdict(card["layer"], document)
        tensors = document["tensors"]
        norm = short(float(tensors[card["layer"]]["stats"]["norm"]))
        delta = tensors.get(f"delta:{card['layer']}")
        rows.append(
            (
                str(card["number"] + layout.notation.input_number),
                "  " * card["depth"] + card["layer"],
                card["title"],
                "×".join(map(str, card["shape"])),
                f"{counts[card['layer']]:,}" if counts[card["layer"]] else "",
                norm,
                TABLES["in_the_loss"] if delta is None else short(float(delta["stats"]["norm"])),
                mark,
            )
        )  # fmt: skip
        levels.append(level)
    table = Table(head, tuple(rows), right=(0, 4, 5, 6), levels=tuple(levels), id="layers")
    return Section(SECTIONS["title.network"], (Chain(tuple(nodes), id="chain"), table), id="network")


def _counts(layers: list[LayerRecord], tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Layer name -> how many numbers it learns, branches included."""
    counts = {}
    for layer in layers:
        counts[layer["name"]] = _learned(layer, tensors)
        for branch in layer.get("branches", ()):
            counts |= _counts(branch, tensors)
    return counts


def _learned(layer: LayerRecord, tensors: Mapping[str, Tensor]) -> int:
    """How many numbers a layer learns: running means and variances are not among them, nor what it has of
    another layer.
    """
    parameters = layer.get("parameters", {})
    own = [parameters[name] for name in layer.get("learned", parameters)]
    return sum(math.prod(tensors[id_]["shape"]) for id_ in own if id_.startswith(f"{layer['name']}."))


def _held(layers: list[LayerRecord]) -> dict[str, set[str]]:
    """Layer name -> its parameters."""
    held = {}
    for layer in layers:
        held[layer["name"]] = set(layer.get("parameters", {}).values())
        for branch in layer.get("branches", ()):
            held |= _held(branch)
    return held


def layer_verdict(name: str, document: Document) -> tuple[Level, Say]:
    """formula = code = difference for one layer."""
    error = float(document["kernels"]["layers"].get(name, 0.0))
    if error > 1e-9:
        return "bad", SECTIONS.say("layer.kernel_differs", error=f"{error:.0e}")
    check = document["check"]
    checked = check["rows"] if check is not None and "rows" in check else []
    held = _held(document["graph"]["layers"]).get(name, set())
    rows = [row for row in checked if row["name"] in held or row["name"].rpartition(".")[0] == name]
    if any(row["kind"] == "WRONG" for row in rows):
        return "bad", SECTIONS["layer.gradient_wrong"]
    if rows:
        return "good", SECTIONS["layer.checked"]
    return "good", SECTIONS["layer.unchecked"]


def _node(layer: LayerRecord, document: Document, given: str) -> ChainNode:
    """given: the name of what comes in."""
    branches: list[tuple[ChainNode, ...]] = []
    reads, names = [], [given]
    parts = [] if "several" in layer else layer.get("branches", [])
    for number, branch in enumerate(parts):
        of = [names[source] for source in layer["reads"][number]] if "reads" in layer else [given]
        reads.append(tuple(of))
        branches.append(tuple(_nodes(branch, document, of[0])))
        names.append(branch[-1]["name"] if branch else given)
    tensors = document["tensors"]
    samples = document["meta"]["samples"]
    stats = tensors[layer["name"]]["stats"]
    size = max(math.prod(tensors[layer["name"]]["shape"]), 1)
    delta = tensors.get(f"delta:{layer['name']}")
    level, _ = layer_verdict(layer["name"], document)
    return ChainNode(
        name=layer["name"],
        title=layer["title"],
        shape="×".join(map(str, layer["shape"])),
        parameters=_learned(layer, tensors),
        size_x=float(stats["norm"]) / size**0.5,
        size_delta=float("nan") if delta is None else float(delta["stats"]["norm"]) * samples / size**0.5,
        level=level,
        branches=tuple(branches),
        join=layer.get("join", ""),
        reads=tuple(reads) if "reads" in layer else (),
    )


def _nodes(layers: list[LayerRecord], document: Document, given: str = "input") -> list[ChainNode]:
    before = [given, *(layer["name"] for layer in layers)]
    return [_node(layer, document, name) for layer, name in zip(layers, before, strict=False)]


def _folded(nodes: list[ChainNode]) -> list[ChainNode]:
    """In a long network runs of equal pairs of layers as one, with a count."""
    if len(nodes) <= FOLDED_ABOVE:
        return nodes
    folded: list[list[ChainNode]] = []
    counts: list[int] = []
    at = 0
    while at < len(nodes):
        period, times = _repeat(nodes, at)
        folded.append(nodes[at : at + period])
        counts.append(times)
        at += period * times
    return [
        ChainNode(**{**vars(node), "times": times})
        for group, times in zip(folded, counts, strict=True)
        for node in group
    ]


def _repeat(nodes: list[ChainNode], at: int) -> tuple[int, int]:
    """(length of the block that starts here and repeats most, how often it stands)."""
    best = (1, 1)
    for period in range(1, 9):
        block = [(node.title, node.shape) for node in nodes[at : at + period]]
        times = 1
        while [(n.title, n.shape) for n in nodes[at + times * period : at + (times + 1) * period]] == block:
            times += 1
        if times > 1 and period * times > best[0] * best[1]:
            best = (period, times)
    return best


def _check(document: Document, J: str) -> Section:
    title = SECTIONS["title.check"]
    check = document["check"]
    if check is None:
        return Section(title, (Paragraph(SECTIONS["check.not_asked"]),), id="check")
    if "ok" not in check:
        return Section(title, (Paragraph(same(check["reason"])),), id="check")
    head: tuple[Cell, ...] = (
        TABLES["gradient"], TABLES["shape"], SECTIONS["check.entries"],
        SECTIONS["check.max_error"], SECTIONS["check.worst"], SECTIONS["check.formula"],
        SECTIONS["check.difference"], same("h"), SECTIONS["check.kinks"], SECTIONS["check.verdict"],
    )  # fmt: skip
    together = SECTIONS["check.together"]
    rows: list[tuple[Cell, ...]] = []
    levels: list[Level] = []
    for row in check["rows"]:
        worst = row["worst"]
        together_error = row["direction_error"] if row["entries"] == 0 else None
        along = together_error is not None
        error = row["max_error"] if together_error is None else together_error
        rows.append(
            (
                together if row["name"] == "everything" else f"∂{J}/∂{row['name']}",
                "×".join(map(str, row["shape"])), str(row["entries"] or ""),
                f"{float(error):.1e}" if math.isfinite(float(error)) else "",
                "" if worst is None or along else ",".join(map(str, worst["index"])),
                "" if worst is None else short(worst["analytic"], 6),
                "" if worst is None else short(worst["numeric"], 6),
                f"{float(row['step']):.0e}", str(row["kinks"] or ""), _verdict_of(row),
            )
        )  # fmt: skip
        kinds: dict[str, Level] = {"ok": "good", "WRONG": "bad"}
        levels.append(kinds.get(row["kind"], "note"))
    of_first = NOTHING
    if check["samples"] != document["meta"]["samples"]:
        of_first = SPACE + SECTIONS.say("check.first_samples", count=check["samples"])
    said = SECTIONS.say(
        "check.about",
        of_first=of_first,
        relative=f"{float(check['relative_difference']):.1e}",
        tolerance=f"{check['tolerance']:.0e}",
    )
    right: tuple[int, ...] = (2, 3, 5, 6, 7, 8)
    if not any(row["kinks"] for row in check["rows"]):  # a column that says nothing
        kinks = 8
        head, rows = head[:kinks] + head[kinks + 1 :], [row[:kinks] + row[kinks + 1 :] for row in rows]
        right = right[:-1]
    table = Table(head, tuple(rows), right, levels=tuple(levels), id="check-table")
    return Section(title, (Paragraph(said, id="check-text"), table), id="check")


def _verdict_of(row: CheckRow) -> Say:
    reason = REASONS.recognised(row["reason"]) or same(row["reason"])
    if row["kind"] == "ok" and row["reason"]:
        return SECTIONS.say("judged.ok_with_remark", remark=reason)
    return SECTIONS.say(f"judged.{row['kind'].replace(' ', '_')}", reason=reason)


def _reproduce(document: Document) -> Section:
    meta = document["meta"]
    arguments = [f"loss=cr.{meta['loss']}"]
    if meta["penalty"]:
        arguments.append(f"penalty=cr.{meta['penalty']}")
        if meta["training_size"] != meta["samples"]:
            arguments.append(f"training_size={meta['training_size']}")
    if document["loss"]["weights"]:
        arguments.append("sample_weight=sample_weight")
    arguments += [
        f"sample={meta['sample']}",
        f"learning_rate={meta['eta']}",
        f"notation={meta['notation']!r}",
        f"language={meta['language']!r}",
        *(["errata=True"] if meta["errata"] else []),
    ]
    code = "\n".join(
        [
            "import chainrule as cr",
            "",
            f'network = cr.load("network.npz")  # seed {meta["seed"]}, {meta["dtype"]}',
            "report = cr.explain(",
            "    network,",
            "    X,",
            "    y,",
            *(f"    {argument}," for argument in arguments),
            ")",
            'report.html("report.html")',
        ]
    )
    made_by = {"chainrule": meta["chainrule"], "NumPy": meta["numpy"], "Python": meta["python"]}
    versions = AND.join(same(f"{name} {version}") for name, version in made_by.items())
    said = SECTIONS.say("reproduce.versions", versions=versions, dtype=meta["dtype"])
    lines = [Paragraph(said, id="versions")]
    if meta["precision"] != meta["dtype"]:
        lines.append(Paragraph(SECTIONS.say("reproduce.rounded", precision=meta["precision"]), id="rounded"))
    return Section(SECTIONS["title.reproduce"], (*lines, Code(code)), id="reproduce")
