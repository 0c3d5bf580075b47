"""`diagnose`: what stands in a network's way of learning, by rules on its gradient flow, with cause and
cure.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.keywords import teach
from chainrule.base.languages import COMMA, SPACE, Say, same, say_from, say_json
from chainrule.base.numbers import equality, equals, short
from chainrule.base.scalars import check_choice, check_number, finite_number
from chainrule.base.tables import html_table, text_table
from chainrule.diagnosing.flow import SAMPLES, flow_of
from chainrule.diagnosing.rules import RULES
from chainrule.diagnosing.schema import FindingRecord, FlowRecord
from chainrule.diagnosing.texts import TEXTS, sentence

if TYPE_CHECKING:
    from chainrule.losses import Loss
    from chainrule.losses.penalties import Penalty
    from chainrule.networks.network import Network
    from chainrule.training.history import History
    from chainrule.training.optimizers import Optimizer

SIGNS = {"bad": "✗", "warning": "!", "note": "·"}
COLUMNS = 9  # of the table, by said.head of texts.toml
LANGUAGES = ("en", "zh", "en+zh")


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """True where nothing bad was found; prints as the table of the flow and the findings.

    flow: what was measured, findings: the worst first; both as JSON, see schema.py.
    """

    flow: FlowRecord
    findings: tuple[FindingRecord, ...]

    def __bool__(self) -> bool:
        return not any(finding["level"] == "bad" for finding in self.findings)

    @property
    def rules(self) -> tuple[str, ...]:
        """The names of the rules that found something."""
        return tuple(dict.fromkeys(finding["rule"] for finding in self.findings))

    def table(self, language: str = "en") -> str:
        """A line per layer: its output, its δ, gain (ρ_W of weights, ρ_f′ of activations), flat and dead
        entries, the relative step of its weights and the penalty's share of their gradient.
        """
        return text_table(self._rows("zh" if language == "zh" else "en"), right=range(2, COLUMNS))

    def text(self, language: str = "en") -> str:
        """Headline, table and findings; language: "en", "zh" or "en+zh"."""
        check_choice("language", language, LANGUAGES, meaning="'en', 'zh' or 'en+zh'")
        headline = self._headline()
        headlines = [getattr(headline, code) for code in language.split("+")]
        lines = [*headlines, "", self.table(language), ""]
        for finding in self.findings:
            lines += finding_lines(finding, language)
        return "\n".join(lines).rstrip()

    def _headline(self) -> Say:
        flow = self.flow
        levels = [finding["level"] for finding in self.findings]
        counts = [
            TEXTS.say(f"said.{level}", count=levels.count(level)) for level in SIGNS if level in levels
        ]
        verdict = COMMA.join(counts) if counts else TEXTS["said.nothing"]
        loss = same(_number(flow["loss"]["J"]))
        sign = "=" if flow["loss"]["J"] is None else equality(loss.en, flow["loss"]["J"])
        if flow["has_penalty"]:
            parts = {part: _number(flow["loss"][part]) for part in ("data", "penalty")}
            loss += SPACE + TEXTS.say("said.parts", **parts)
        return TEXTS.say(
            "said.headline",
            verdict=verdict,
            sign=sign,
            loss=loss,
            samples=flow["samples"],
            optimizer=flow["optimizer"]["name"],
            rate=equals(flow["optimizer"]["rate"], 3),
            batch=flow["batch_size"],
        )

    def _rows(self, language: str = "en") -> list[list[str]]:
        rows = [getattr(TEXTS["said.head"], language).split("|")]
        in_loss = getattr(TEXTS["said.in_loss"], language)
        for layer in self.flow["layers"]:
            indent = "  " * layer["place"].count("/")
            dead = layer["dead"]
            weights = [
                parameter
                for parameter in self.flow["parameters"]
                if parameter["layer"] == layer["name"] and len(parameter["shape"]) > 1
            ]
            ratios = [weight["step_ratio"] for weight in weights if weight["step_ratio"] is not None]
            shares = [weight["penalty_share"] for weight in weights if weight["penalty_share"] is not None]
            rows.append(
                [
                    indent + layer["name"],
                    {"weights": "ρ_W", "activation": "ρ_f′"}.get(layer["kind"], ""),
                    _number(layer["output"]["rms"]),
                    _number(layer["delta"]["rms"]) if layer["delta"] else in_loss,
                    _number(layer["gain"]) if layer["delta"] else "",
                    "" if layer["saturated"] is None else f"{100 * layer['saturated']:.0f} %",
                    f"{dead['units']}/{dead['of']}" if dead and dead["units"] else "",
                    _number(max(ratios)) if ratios else "",
                    _number(max(shares)) if shares else "",
                ]
            )
        return rows

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        items = "".join(
            f"<li><b>{SIGNS[finding['level']]} {what}</b><br>{why}<br><i>{cure}</i></li>"
            for finding in self.findings
            for what, why, cure in [[_marked(finding[part]["en"]) for part in ("what", "why", "cure")]]
        )
        listing = f"<ul>{items}</ul>" if items else ""
        return html_table(self._rows(), right=range(2, COLUMNS), caption=self._headline().en) + listing


@teach("diagnose(network, X, y), and the others by name")
def diagnose(
    network: Network,
    X: Any,
    y: Any,
    *,
    loss: Loss | str | None = None,
    penalty: Penalty | None = None,
    optimizer: Optimizer | str | None = None,
    history: History | None = None,
    sample_weight: Any = None,
    training_size: int | None = None,
    batch_size: int = 32,
    samples: int = SAMPLES,
    thresholds: Mapping[str, Mapping[str, float]] | None = None,
) -> Diagnosis:
    """Look at how δ flows through a network on a batch, and say what stands in the way of learning.

    X, y, loss, penalty, optimizer, sample_weight, batch_size: as of `fit`; without an optimizer that of
    `history`, else Adam(1e-3).  history: what `fit` returned, for a network that has been trained.
    training_size: m of a penalty that is divided by it.  samples: at most so many are looked at; 1 000 are
    needed to call a unit dead.
    thresholds: {"exploding": {"gain": 20.0}} in place of the defaults; the names are those of `rules()`.
    The parameters are left as they are.
    """
    limits = thresholds_from(thresholds)
    flow = flow_of(
        network,
        X,
        y,
        loss=loss,
        penalty=penalty,
        optimizer=optimizer,
        history=history,
        sample_weight=sample_weight,
        training_size=training_size,
        batch_size=batch_size,
        samples=samples,
    )
    return diagnosis_of(flow, limits)


def diagnosis_of(flow: FlowRecord, limits: Mapping[str, Mapping[str, float]] | None = None) -> Diagnosis:
    """The diagnosis of a flow; limits: all thresholds, by default `rules()`."""
    limits = rules() if limits is None else limits
    findings: list[FindingRecord] = []
    for rule in RULES:
        for case in rule.test(flow, limits[rule.name]):
            what, why, cure = (say_json(sentence(rule.name, part, case)) for part in ("what", "why", "cure"))
            findings.append(
                {
                    "rule": rule.name,
                    "level": case.get("level", rule.level),
                    "layer": case.get("layer", ""),
                    "what": what,
                    "why": why,
                    "cure": cure,
                    "evidence": {
                        key: _plain(value) for key, value in case.items() if key not in ("level", "text")
                    },
                }
            )
        if rule.name == "non_finite" and findings:
            break  # what is not finite makes every other number meaningless
    order = list(SIGNS)
    return Diagnosis(flow, tuple(sorted(findings, key=lambda finding: order.index(finding["level"]))))


def rules() -> dict[str, dict[str, float]]:
    """The rules by name, and their thresholds."""
    return {rule.name: dict(rule.thresholds) for rule in RULES}


def thresholds_from(given: Mapping[str, Mapping[str, float]] | None) -> dict[str, dict[str, float]]:
    """All thresholds, with the given ones in place of the defaults. ValueError lists the names."""
    limits = rules()
    form = "thresholds must be a dict of dicts such as {'exploding': {'gain': 20.0}}"
    if given is not None and not isinstance(given, Mapping):
        raise ArgumentError(f"{form}, received {describe(given)}")
    for rule, values in (given or {}).items():
        if rule not in limits:
            raise ArgumentError(f"thresholds has no rule {describe(rule)}: write one of {', '.join(limits)}")
        if not isinstance(values, Mapping):
            raise ArgumentError(f"{form}, received {describe(values)} for {rule!r}")
        for name, value in values.items():
            if name not in limits[rule]:
                names = ", ".join(limits[rule]) or "none"
                raise ArgumentError(f"the rule {rule!r} has no threshold {describe(name)}; there are {names}")
            check_number(f"thresholds[{rule!r}][{name!r}]", value, -math.inf)
            limits[rule][name] = float(value)
    return limits


def finding_lines(finding: FindingRecord, language: str) -> list[str]:
    """One finding as lines of text: what, then indented why and cure."""
    lines = []
    for code in language.split("+"):
        texts = (say_from(finding[part]) for part in ("what", "why", "cure"))
        what, why, cure = (getattr(text, code).replace("`", "") for text in texts)
        lines += [f"{SIGNS[finding['level']]} {what}", f"    {why}", f"    → {cure}"]
    return lines


def _number(value: float | None) -> str:
    return "–" if value is None else short(value, 3)


def _plain(value: Any) -> Any:
    """JSON has no infinity."""
    return None if isinstance(value, float) and not finite_number(value) else value


def _marked(text: str) -> str:
    """HTML of a sentence: what stands in backquotes as code."""
    pieces = html.escape(text, quote=False).split("`")
    return "".join(f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces))
