"""Sentences in the letters of a notation: texts have those of the Tutorial, J, x, z, W, δ and 1/m."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from operator import is_
from typing import Any, TypeVar

from chainrule.base.languages import Say
from chainrule.explaining.blocks.kinds import Card, Chain, Code, Section
from chainrule.formulas import Notation
from chainrule.formulas.printing.boxes import Box

T = TypeVar("T")
# Sections whose texts are about other notations too.
_AS_WRITTEN = ("notation", "errata", "references")
_BEFORE, _BEHIND = r"(?<![A-Za-z0-9_.`])", r"(?![A-Za-z0-9_`]|\.\w)"


def in_letters(section: Section, notation: Notation) -> Section:
    """The section with the sentences of its blocks in the letters of the notation."""
    if section.id in _AS_WRITTEN:
        return section
    rules = [(re.compile(pattern), letter) for pattern, letter in _rules(notation)]
    return _blocks(section, rules)


def _rules(notation: Notation) -> list[tuple[str, str]]:
    letters, J = notation.letters, notation.loss
    x, X, z = (letters[role].base for role in ("input", "image", "preactivation"))
    delta = "δ" if "gradient of preactivation" in letters else f"∂{J}/∂{z}"
    W = notation.parameters.get("W", "W")
    return [
        (rf"∂J/∂x{_BEHIND}", f"∂J/∂{x}"),
        (rf"∂J/∂X{_BEHIND}", f"∂J/∂{X}"),
        (rf"∂J/∂W{_BEHIND}", f"∂J/∂{W}"),
        (r"∂J_data/∂W", f"∂{J}_data/∂{W}"),
        (rf"{_BEFORE}J{_BEHIND}", J),
        (rf"{_BEFORE}1/m{_BEHIND}", f"1/{letters['batch size'].base}"),
        (r"\bW_kj\b", f"{W}_kj"),
        (r"(?<![A-Za-z])z_k\b", f"{z}_k"),
        (r"(?<![A-Za-z])x_j\b", f"{x}_j"),
        (r"δ_k x_j|δ_k [aA]_j", f"{delta}_k {x}_j"),
        (r"δ_k(?= 对样本之和| over the samples)", f"{delta}_k"),
    ]


def _blocks(block: T, rules: list[tuple[re.Pattern[str], str]]) -> T:
    """The block with its sentences rewritten: no names (a card's title, what reads alike in both languages),
    no code, no formulas.
    """

    def walk(value: Any) -> Any:
        if isinstance(value, Say):
            if value.en == value.zh:
                return value
            said = Say(_text(value.en, rules), _text(value.zh, rules))
            return value if said == value else said
        if isinstance(value, tuple):
            walked = tuple(map(walk, value))
            return value if all(map(is_, walked, value)) else walked
        if isinstance(value, Card | Section):
            return replace(value, blocks=walk(value.blocks))
        if isinstance(value, Box | Code | Chain) or not is_dataclass(value) or isinstance(value, type):
            return value
        changed = {}  # most blocks have no such letter, and stay as they are
        for attribute in fields(value):
            if attribute.init:
                old = getattr(value, attribute.name)
                new = walk(old)
                if new is not old:
                    changed[attribute.name] = new
        return replace(value, **changed) if changed else value

    rewritten: T = walk(block)
    return rewritten


def _text(text: str, rules: list[tuple[re.Pattern[str], str]]) -> str:
    for pattern, letter in rules:
        text = pattern.sub(letter, text)
    return text
