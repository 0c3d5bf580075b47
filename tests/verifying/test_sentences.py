"""Every mistake that can be named has a sentence in English and in Chinese, with nothing left to fill in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import chainrule.verifying
from chainrule.formulas.neighbours import neighbours
from chainrule.formulas.tracing import trace
from chainrule.verifying.judge import _sentence
from chainrule.verifying.meanings.meaning import Edit
from chainrule.verifying.mutants.examples import EXAMPLES
from chainrule.verifying.texts import TEXTS

SOURCES = sorted((Path(chainrule.verifying.__file__).parent / "meanings").glob("*.py"))


def kinds_of_formulas() -> set[str]:
    traced = [trace(examples[0].layer(kind)) for kind, examples in EXAMPLES.items()]
    return {wrong.kind for formulas in traced for name in formulas for wrong in neighbours(formulas[name])}


def kinds_of_meanings() -> set[str]:
    """Kinds that meanings write themselves: Edit(place, "kind", ...)."""
    text = " ".join(path.read_text(encoding="utf-8") for path in SOURCES)
    return set(re.findall(r'Edit\(\s*[^,()]+(?:\([^()]*\))?,\s*"(\w+)"', text))


def test_every_kind_of_mistake_has_its_sentence() -> None:
    kinds = kinds_of_formulas() | kinds_of_meanings()
    assert len(kinds) > 60
    missing = [kind for kind in sorted(kinds) if kind.replace(" ", "_") not in TEXTS.within("mistake")]
    assert not missing


@pytest.mark.parametrize("kind", ["stride", "multiply only", "symbol", "turned"])
def test_a_sentence_names_the_part(kind: str) -> None:
    said = _sentence(Edit("delta", kind, {}, "THE NODE", "THE PART"))
    for language in (said.en, said.zh):
        assert "THE NODE" in language or "THE PART" in language
        assert "{" not in language
