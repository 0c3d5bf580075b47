"""Every printed number of a report beside the quantity that its label names.

`Audit(case).run()` walks the blocks of the outline.  A block with numbers has a checker by its type or its
id; one without is named in `unvisited`, so that a new number needs a checker.  A printed number is right if
it is the true one rounded to the digits that are shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.explaining.blocks.kinds import (
    Bars,
    Block,
    Card,
    Chain,
    ChainNode,
    Code,
    Curve,
    Finding,
    Formula,
    Maps,
    Matrix,
    Paragraph,
    Section,
    Strip,
    Table,
    Worked,
)
from chainrule.explaining.blocks.printed import TOKEN
from chainrule.explaining.references.sources import SOURCES
from chainrule.formulas.printing import render_text
from tests.explaining.audit_compare import close, floats, letter_fits, number, shows, text_in, text_of, unit
from tests.explaining.audit_networks import Case
from tests.explaining.audit_truth import Truth

Array = np.ndarray[Any, np.dtype[Any]]
# What is cited and what is counted: sections of texts, steps, layers, shapes.
_NAMES = "|".join(re.escape(source.name) for source in SOURCES)
_CITED = re.compile(rf"\((?:{_NAMES})[^)]*\)|(?:{_NAMES})(?: (?:FC|conv|pooling|§))?[ \d.①-④]*")
_WITHOUT = {
    "letters",
    "same-formulas",
    "conventions",
    "errata-table",
    "reference-list",
    "trace",
    "steps",
}  # formulas and citations


class Audit:
    """The numbers of one report."""

    def __init__(self, case: Case, **asked: Any) -> None:
        self.truth, self.report = Truth(case), case.report
        self.outline = self.report.outline(linear=True, **asked)
        self.sample = int(self.report.document["meta"]["sample"])
        self.wrong: list[str] = []
        self.unvisited: list[str] = []
        self.compared = 0
        self.cards: list[Card] = []

    def run(self) -> Audit:
        for section in self.outline.sections:
            self._visit(section.blocks, section.id)
        return self

    # -- comparing -------------------------------------------------------------------------------------------
    def equal(self, label: str, text: str, value: float) -> None:
        self.compared += 1
        if not shows(text, float(value)):
            self.wrong.append(f"{label} is printed as {text}, and is {value!r}")

    def holds(self, label: str, true: bool) -> None:
        self.compared += 1
        if not true:
            self.wrong.append(label)

    # -- walking ---------------------------------------------------------------------------------------------
    def _visit(self, blocks: Iterable[Block], place: str) -> None:
        for block in blocks:
            match block:
                case Section() | Card():
                    self.cards += [block] if isinstance(block, Card) else []
                    self._visit(block.blocks, block.id or place)
                case Worked():
                    self.worked(block)
                case Matrix():
                    self.matrix(block)
                case Maps():
                    self.maps(block)
                case Bars():
                    self.bars(block)
                case Curve():
                    self.curve(block)
                case Chain():
                    self.chain(block.nodes)
                case Strip():
                    self.strip(block)
                case Finding():
                    self.finding(block)
                case Formula() | Code():
                    pass  # letters; the arguments of the report
                case _:
                    self._by_name(block, place)

    def _by_name(self, block: Block, place: str) -> None:
        checker = getattr(self, block.id.replace("-", "_") or "nothing", None)
        if checker is not None:
            checker(block)
        elif block.id not in _WITHOUT and self._has_numbers(block):
            self.unvisited.append(f"{type(block).__name__} {block.id or text_in(block)[:60]!r} in {place}")

    def _has_numbers(self, block: Block) -> bool:
        """Whether a text has measured numbers: those with a decimal point."""
        return any("." in token for token in TOKEN.findall(_CITED.sub("", text_in(block))))

    # -- worked elements -------------------------------------------------------------------------------------
    def worked(self, block: Worked) -> None:
        left, printed = render_text.render(block.left), render_text.render(block.numbers)
        value = self._named(block, left)
        if value is not None:
            self.equal(f"{block.id}: {left}", block.result, value)
            if block.exact:
                self.holds(f"{block.id}: = before {block.result}", close(printed, block.result))
        for what, factors, product in block.terms:
            if len(factors) > 1:
                true = math.prod(float(number(factor)) for factor in factors)
                label = f"{block.id}: {render_text.render(what)}"
                slack = abs(true) * 5e-4 * len(factors)
                self.holds(
                    f"{label} = {product}", abs(float(number(product)) - true) <= slack + unit(product)
                )
        if block.terms:
            total = sum((number(product) for *_, product in block.terms), Decimal(0))
            self.holds(f"{block.id}: Σ {block.total}", (total == number(block.total)) == block.adds_up)
            if printed == block.total and value is not None:
                self.equal(f"{block.id}: {left} {block.signs[1]} {printed}", printed, value)
                self.holds(
                    f"{block.id}: = before {printed}",
                    block.signs[1] == "≈" or number(printed) == Decimal(value),
                )

    def _named(self, block: Worked, left: str) -> float | None:
        """The value of what the left side names; None for what only a step of a sequence gives."""
        if block.id == "U-worked":
            name, place = block.quantity, block.index
            return float(
                self.truth.arrays[name][place] - self.truth.eta * self.truth.arrays[f"gradient:{name}"][place]
            )
        if block.id.startswith("L-value"):
            return float(self.truth.per_sample[block.index[-1]])
        if block.id.startswith("L-gradient"):
            return float(self.truth.by_prediction[block.index])
        if block.id.startswith("L-residual"):
            delta = self.truth.arrays.get(f"delta:{self._last(self.truth.pair)}")
            return float(delta[block.index]) if delta is not None else None
        if not block.quantity:
            self.holds(f"{block.id}: {left}", not re.match("∂[JC]/∂[WwUXxAa]", left) or "t" in left)
            return None
        quantity = block.quantity
        if "gradient:" in quantity:  # of ∂J/∂W that of J, of ∂J_data/∂W that of the data: by what is printed
            quantity = re.sub("^(data )?", "data " if "data" in left else "", quantity)
        return float(self.truth.arrays[quantity][block.index])

    def _last(self, pair: bool) -> str:
        names = [str(layer.name) for layer in self.truth.network.layers]
        return names[-2] if pair else names[-1]

    # -- pictures --------------------------------------------------------------------------------------------
    def matrix(self, block: Matrix) -> None:
        if block.id == "jacobian":
            a = self.truth.arrays[self._last(False)][:, self.sample]
            softmax = type(self.truth.network.layers[-1]).__name__ == "Softmax"
            whole = np.diag(a) - np.outer(a, a) if softmax else np.diag(a * (1 - a))
        else:
            whole = self.truth.arrays[block.quantity]
            self.holds(
                f"{block.id}: {render_text.render(block.symbol)}", letter_fits(block.symbol, block.quantity)
            )
        shown = whole
        for axis, gap in ((0, block.row_gap), (1, block.column_gap)):
            if gap is not None:
                shown = np.take(shown, [*range(gap), -1], axis)
        for texts, values in zip(block.texts, shown, strict=True):
            for text, value in zip(texts, values, strict=True):
                self.equal(f"{block.id} of {block.quantity}", text, value)
        stats = (whole.min(), whole.mean(), whole.max(), np.linalg.norm(whole))
        for name, told, value in zip(("min", "mean", "max", "norm"), block.stats, stats, strict=True):
            self.holds(f"{block.id}: {name} {told}, is {value}", abs(told - value) <= 1e-9 * (1 + abs(value)))

    def maps(self, block: Maps) -> None:
        largest = 0.0
        for panel in block.panels:
            quantity = block.quantity
            whole = self.truth.arrays["input" if quantity == "input of" else quantity]
            if quantity == "input of":  # of a pool: the output of the layer before it
                whole = self.truth.arrays[self._before(block.id.partition("-picture")[0])]
            rest = iter(panel.index)
            place = tuple(slice(None) if axis in block.axes else next(rest) for axis in range(whole.ndim))
            self.holds(
                f"{block.id}: {panel.title}", np.allclose(panel.values, whole[place], rtol=1e-5, atol=1e-12)
            )
            largest = max(largest, float(np.abs(panel.values).max()))
        self.holds(f"{block.id}: scale {block.scale}", block.scale == largest)

    def _before(self, name: str) -> str:
        return self.truth.before[name]

    def bars(self, block: Bars) -> None:
        if block.id == "flow-chart":
            for label, value in zip(block.labels, block.values[:, 0], strict=True):
                true = math.log10(self.truth.rms(f"delta:{label}") * self.truth.m)
                self.holds(f"log₁₀ of the RMS of m·δ at {label}", abs(value - true) < 1e-9)
            return
        whole = self.truth.arrays[block.quantity]
        samples = [int(group.removeprefix("i = ")) for group in block.groups]
        true_values = whole[[int(label) for label in block.labels]][:, samples]
        self.holds(
            f"{block.id} of {block.quantity}", np.allclose(block.values, true_values, rtol=1e-5, atol=1e-15)
        )

    def curve(self, block: Curve) -> None:
        name = block.id.partition("-picture")[0]
        layer: Any = self.truth.layers[name]
        z = self.truth.arrays[self._before(name)]
        h = 1e-6
        slope = (layer.f(block.z + h) - layer.f(block.z - h)) / (2 * h)
        smooth = np.abs(slope - (layer.f(block.z + 2 * h) - layer.f(block.z)) / (2 * h)) < 1e-4
        self.holds(f"{block.id}: f", np.allclose(block.f, layer.f(block.z), rtol=1e-5, atol=1e-9))
        self.holds(f"{block.id}: f′", np.allclose(block.df[smooth], slope[smooth], rtol=1e-4, atol=1e-5))
        counts = np.histogram(np.clip(z, block.edges[0], block.edges[-1]), bins=len(block.counts),
                              range=(block.edges[0], block.edges[-1]))[0]  # fmt: skip
        self.holds(f"{block.id}: counts", np.abs(block.counts - counts).sum() <= 2)

    def chain(self, nodes: Iterable[ChainNode]) -> None:
        for node in nodes:
            self.holds(
                f"RMS of x at {node.name}", math.isclose(node.size_x, self.truth.rms(node.name), rel_tol=1e-9)
            )
            delta = f"delta:{node.name}"
            if delta in self.truth.arrays:
                true = self.truth.rms(delta) * self.truth.m
                self.holds(f"RMS of m·δ at {node.name}", math.isclose(node.size_delta, true, rel_tol=1e-9))
            for branch in node.branches:
                self.chain(branch)

    # -- the verdict -----------------------------------------------------------------------------------------
    def strip(self, block: Strip) -> None:
        told = {badge.label.en: badge.value.en for badge in block.badges}
        J = "C" if self.outline.notation in ("matrix", "nielsen") else "J"
        self.equal("the loss", told[f"loss {J}"], self.truth.step.loss)
        self.equal("parameters", told["parameters"], sum(v.size for v in self.truth.step.gradients.values()))
        checked = re.fullmatch(r"ok, (\d\.\de-\d+)", told["gradient check"])
        self.holds("gradient check", checked is not None and float(checked[1]) < 1e-6)
        self.holds("kernel = formula", float(told["kernel = formula"]) < 1e-12)

    def finding(self, block: Finding) -> None:
        """Its numbers are those of the gradient flow, which the tables below are compared with."""
        pool = [abs(value) for value in floats(self.report.document["flow"])]
        pool += [a / b for a in pool for b in pool if b] if len(pool) < 400 else []
        pool += [math.hypot(*own) for own in self._norms()]
        pool += [a / b for a in pool[-2:] for b in pool[-2:] if b]
        texts = TOKEN.findall(block.what.en + " " + block.why.en)
        for text in texts:
            value = abs(float(number(text)))
            near = any(shows(text.lstrip("−"), one) for one in pool) or float(value).is_integer()
            self.holds(f"finding {block.what.en!r}: {text}", near)

    def _norms(self) -> Iterator[list[float]]:
        own = [one for one in self.report.document["flow"]["parameters"] if one["penalty"] is not None]
        for key in ("penalty", "gradient"):
            yield [one[key] for one in own]

    # -- tables and texts with a name ------------------------------------------------------------------------
    def layers(self, block: Table) -> None:
        for row in block.rows:
            name = str(row[1]).strip()
            own = [v.size for key, v in self.truth.step.gradients.items() if key.rpartition(".")[0] == name]
            self.equal(f"parameters of {name}", str(row[4]) or "0", sum(own))
            self.equal(f"‖x‖ of {name}", str(row[5]), float(np.linalg.norm(self.truth.arrays[name])))
            delta = self.truth.arrays.get(f"delta:{name}")
            if delta is not None:
                self.equal(f"‖δ‖ of {name}", str(row[6]), float(np.linalg.norm(delta)))

    def objective(self, block: Paragraph) -> None:
        text = block.text.en
        J, signs = self.truth.step.loss, re.findall("[=≈]", text)
        printed = TOKEN.findall(text.partition(signs[0])[2])
        values = [J] if self.truth.penalty is None else [self.truth.data_loss, self.truth.penalty_value, J]
        names = ("J_data", "Ω", "J")[-len(values) :]
        for name, shown, value in zip(names, printed, values, strict=True):
            self.equal(f"{name} in {text!r}", shown, value)
        self.holds(
            f"= in {text!r}",
            signs[0] == "≈" or all(number(p) == Decimal(v) for p, v in zip(printed, values, strict=True)),
        )
        if len(values) > 1:
            exact = number(printed[0]) + number(printed[1]) == number(printed[2])
            self.holds(f"= of the sum in {text!r}", exact == (signs[1] == "="))

    def losses(self, block: Table) -> None:
        for sample, loss in block.rows:
            self.equal(f"loss of sample {sample}", str(loss), self.truth.per_sample[int(str(sample))])
        assert block.caption is not None
        self.equal("mean loss", TOKEN.findall(block.caption.en)[-1], self.truth.data_loss)

    def outputs(self, block: Table) -> None:
        last, below = self._last(False), self._before(self._last(False))
        a, z, y = self.truth.arrays[last], self.truth.arrays[below], self.truth.targets
        by_a = self.truth.by_prediction
        residual = a - y if self.truth.pair else by_a
        share = self.truth.weights / self.truth.m
        letter = {"ng": "w_b ", "nielsen": "ω_i "}.get(self.outline.notation, "w_i ")
        weight = letter if (self.truth.weights != 1).any() else ""
        m = "M" if self.outline.notation == "matrix" else "m"
        J = "C" if self.outline.notation in ("matrix", "nielsen") else "J"
        delta = "δ" if self.truth.pair else f"∂{J}/∂a"
        columns = {
            "z_k": z, "a_k": a, "y_k": y, "∂/∂a_k": by_a, "a_k − y_k": residual, "∂/∂a_k of the loss": by_a,
            f"{delta}_k = {weight}(…)/{m}": residual * share,
            "④ entry by entry (wrong)": by_a * a * (1 - a) * share,
        }  # fmt: skip
        heads = [text_of(cell) for cell in block.head]
        for row in block.rows:
            for head, cell in zip(heads[1:], row[1:], strict=True):
                value = columns[head][int(str(row[0])), self.sample]
                self.equal(f"{head}, k = {row[0]}", str(cell), float(f"{value:.15g}"))

    def update_penalty(self, block: Paragraph) -> None:
        text = block.text.en.partition(" adds ")[2]
        self.equal("Ω", TOKEN.findall(text)[0], self.truth.penalty_value)
        if self.truth.penalty.per_sample:
            self.equal("size of the training set", TOKEN.findall(text)[1], self.truth.size)

    def update_table(self, block: Table) -> None:
        for name, theta, data, added, step, ratio in (map(str, row) for row in block.rows):
            W, g = self.truth.network.parameters[name], self.truth.arrays[f"gradient:{name}"]
            of_penalty = self.truth.penalty_of(W)[1] if name in self.truth.penalised else 0 * W
            norm, moved = float(np.linalg.norm(W)), self.truth.eta * float(np.linalg.norm(g))
            self.equal(f"‖θ‖ of {name}", theta, norm)
            self.equal(f"‖∇‖ of the data of {name}", data, float(np.linalg.norm(g - of_penalty)))
            self.equal(f"‖∇‖ of the penalty of {name}", added or "0", float(np.linalg.norm(of_penalty)))
            self.equal(f"η‖∇‖ of {name}", step, moved)
            self.equal(f"η‖∇‖/‖θ‖ of {name}", ratio or "0", moved / norm if norm else 0.0)

    def update_loss(self, block: Paragraph) -> None:
        before, eta, after, change = TOKEN.findall(block.text.en)
        for name, text, value in (
            ("J before", before, self.truth.step.loss), ("η", eta, self.truth.eta),
            ("J after", after, self.truth.after),
            ("change of J", change, self.truth.after - self.truth.step.loss),
        ):  # fmt: skip
            self.equal(name, text, value)

    def versions(self, block: Paragraph) -> None:
        self.holds("versions", f"chainrule {cr.__version__}, NumPy {np.__version__}" in block.text.en)

    def check_text(self, block: Paragraph) -> None:
        for text in TOKEN.findall(block.text.en):
            self.holds(
                f"gradient check: {text}", float(number(text)) in (1.0, 2.0) or float(number(text)) <= 1e-6
            )

    def check_table(self, block: Table) -> None:
        heads = [text_of(cell) for cell in block.head]
        for row in (list(map(text_of, row)) for row in block.rows):
            told = dict(zip(heads, row, strict=True))
            name = re.sub("^∂[JC]/∂", "", told["gradient"])
            formula, difference = told["formula"], told["difference"]
            near = (
                abs(float(number(formula)) - float(number(difference)))
                <= 1e-5 * abs(float(number(formula))) + 1e-9
            )
            self.holds(f"difference of {name}", near)
            if told["worst entry"]:
                place = tuple(map(int, told["worst entry"].split(",")))
                step = self.truth.step  # samples first, as X is
                whole = step.deltas["input"] if name == "input" else step.gradients[name]
                self.equal(f"formula of {name}", formula, float(whole[place]))

    def flow_text(self, block: Paragraph) -> None:
        limits = {"Sigmoid": 0.01, "Tanh": 0.04, "HardTanh": 1e-12, "HardSigmoid": 1e-12}
        for name, text in re.findall(r"(\w+) (\d[\d.e−]*\d)", block.text.en.partition("limit:")[2]):
            self.equal(f"limit of {name}", text, limits[name])

    def flow_layers(self, block: Table) -> None:
        top = float(np.linalg.norm(self.truth.arrays[f"delta:{self._last(self.truth.pair)}"]))
        for row in (list(map(text_of, row)) for row in block.rows):
            name = row[0].strip()
            self.equal(f"RMS of {name}", row[1], self.truth.rms(name))
            delta = self.truth.arrays.get(f"delta:{name}")
            if delta is None:
                continue
            self.equal(f"RMS of m·δ of {name}", row[2], self.truth.rms(f"delta:{name}") * self.truth.m)
            self.equal(f"δ of {name} relative to the top", row[3], float(np.linalg.norm(delta)) / top)
            self.equal(
                f"zeros of δ of {name}", row[7].removesuffix(" %"), round(100 * float(np.mean(delta == 0)))
            )
            gain = row[4].split()[-1] if row[4] else ""
            below = self._input_delta(name)
            if gain and below is not None:
                self.equal(
                    f"gain of {name}", gain, float(np.linalg.norm(below)) / float(np.linalg.norm(delta))
                )

    def _input_delta(self, name: str) -> Array | None:
        """δ of what a layer reads, where it alone reads it."""
        own = self.truth.alone.get(name)
        return None if own is None else self.truth.arrays.get(f"delta:{own}")

    def flow_parameters(self, block: Table) -> None:
        assert block.caption is not None
        self.equal("η", TOKEN.findall(block.caption.en)[-1], self.truth.eta)
        for name, step, added, snr in (map(text_of, row) for row in block.rows):
            W, g = self.truth.network.parameters[name], self.truth.arrays[f"gradient:{name}"]
            of_penalty = self.truth.penalty_of(W)[1] if name in self.truth.penalised else 0 * W
            norm = float(np.linalg.norm(W))
            if norm:
                self.equal(f"step ratio of {name}", step, self.truth.eta * float(np.linalg.norm(g)) / norm)
            if added:
                data = float(np.linalg.norm(g - of_penalty))
                self.equal(f"penalty share of {name}", added, float(np.linalg.norm(of_penalty)) / data)
            true = self.truth.noise([name])
            if true is not None and snr:
                self.equal(f"signal to noise of {name}", "0" if snr == "not above 0" else snr, true)
