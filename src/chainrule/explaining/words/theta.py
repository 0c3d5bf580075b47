"""What is said in the form z = Θ a of Dezeming where the texts of W and b say it otherwise."""

from __future__ import annotations

from chainrule.base.languages import SayRecord, same, say_json
from chainrule.explaining.schema import ChoiceRecord, ConventionRecord
from chainrule.explaining.words.catalogues import DERIVATIONS, THETA_FORM


def said(why: SayRecord, bias: bool) -> SayRecord:
    """A text of a dense layer in this form."""
    kind = "biased" if bias else "unbiased"
    pairs = (
        (same("∂J/∂W"), same("∂J/∂Θ")),
        (DERIVATIONS["why.dense.forward"], THETA_FORM[f"forward.{kind}"]),
        (DERIVATIONS["why.dense.delta"], THETA_FORM[f"delta.{kind}"]),
    )
    en, zh = why["en"], why["zh"]
    for old, new in pairs:
        en, zh = en.replace(old.en, new.en), zh.replace(old.zh, new.zh)
    return {"en": en, "zh": zh}


# Conventions whose choice is another one here: (the key of its text, its source, code that asks for it).
_CONVENTIONS = {
    "weights": ("convention.weights", "Dezeming", ""),
    "bias": ("convention.bias", "Dezeming", "`network.theta()`"),
    "input origin": ("indices", "Dezeming", ""),
    "engine": ("convention.engine", "Matrix notes", ""),
}
# What is done here otherwise is done elsewhere: these list it, without the choices that are the one in force.
_ELSEWHERE = ("weights", "bias", "input origin")


def convention(record: ConventionRecord) -> ConventionRecord:
    """A convention (explaining/references/conventions.py) with the choice that is in force in this form."""
    if record["id"] not in _CONVENTIONS:
        return record
    key, source, write = _CONVENTIONS[record["id"]]
    text = THETA_FORM[key]
    others = record["others"]
    if record["id"] in _ELSEWHERE:
        others = [record["choice"], *(other for other in others if source not in other["source"])]
    choice: ChoiceRecord = {"text": say_json(text), "source": source, "write": write}
    return {**record, "choice": choice, "others": others}
