"""Notations: the same formulas in the letters and numbers of every text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from chainrule import layers as L
from chainrule.formulas import (
    MATRIX,
    NG,
    NIELSEN,
    NOTATIONS,
    SEED_000,
    SEED_004,
    TUTORIAL,
    UFLDL,
    Equation,
    Notation,
    Symbol,
    latex,
    mathml,
    notation_from,
    tanh,
    text,
    trace,
)
from chainrule.losses import SquaredError
from chainrule.losses.penalties import L2

# δ below = (W^T δ) ⊙ f'(z below), the Tutorial's ③: one equation over two layers
RECURSION = Equation(
    Symbol("e", "gradient of preactivation below"),
    (Symbol("W", "parameter W").T @ Symbol("d", "gradient of preactivation"))
    * tanh(Symbol("z", "preactivation below")),
)

# (notation, forward, activation, ③, ∂W; the same with numbers at layer 2 of 4)
LINES: list[tuple[Notation, str, str, str, str]] = [
    (TUTORIAL, "zˡ = Wˡ xˡ⁻¹ + b̂ˡ", "aˡ = tanh(zˡ)", "δˡ⁻¹ = ((Wˡ)ᵀ δˡ) ⊙ tanh(zˡ⁻¹)", "∂J/∂Wˡ = δˡ (xˡ⁻¹)ᵀ"),
    (UFLDL, "zˡ⁺¹ = Wˡ aˡ + b̂ˡ", "aˡ⁺¹ = tanh(zˡ⁺¹)", "δˡ = ((Wˡ)ᵀ δˡ⁺¹) • tanh(zˡ)", "∂J/∂Wˡ = δˡ⁺¹ (aˡ)ᵀ"),
    (
        NG,
        "z⁽ˡ⁺¹⁾ = W⁽ˡ⁾ a⁽ˡ⁾ + b̂⁽ˡ⁾",
        "a⁽ˡ⁺¹⁾ = tanh(z⁽ˡ⁺¹⁾)",
        "∂J/∂z⁽ˡ⁾ = ((W⁽ˡ⁾)ᵀ ∂J/∂z⁽ˡ⁺¹⁾) .* tanh(z⁽ˡ⁾)",
        "∂J/∂W⁽ˡ⁾ = ∂J/∂z⁽ˡ⁺¹⁾ (a⁽ˡ⁾)ᵀ",
    ),
    (
        MATRIX,
        "Zˡ = Wˡ Aˡ⁻¹ + b̂ˡ",
        "Aˡ = tanh(Zˡ)",
        "∂C/∂Zˡ⁻¹ = ((Wˡ)ᵀ ∂C/∂Zˡ) ⊙ tanh(Zˡ⁻¹)",
        "∂C/∂Wˡ = ∂C/∂Zˡ (Aˡ⁻¹)ᵀ",
    ),
    (NIELSEN, "zˡ = wˡ aˡ⁻¹ + b̂ˡ", "aˡ = tanh(zˡ)", "δˡ⁻¹ = ((wˡ)ᵀ δˡ) ⊙ tanh(zˡ⁻¹)", "∂C/∂wˡ = δˡ (aˡ⁻¹)ᵀ"),
]
IDS = [line[0].name for line in LINES]


@pytest.mark.parametrize(("notation", "forward", "activation", "recursion", "gradient"), LINES, ids=IDS)
def test_lines(notation: Notation, forward: str, activation: str, recursion: str, gradient: str) -> None:
    dense = trace(L.Dense(3)).equations
    assert text(dense["forward"], notation) == forward
    assert text(trace(L.Tanh()).equations["forward"], notation) == activation
    assert text(RECURSION, notation) == recursion
    assert text(dense["W"], notation) == gradient


# The first layer with parameters is layer 1 behind the input, layer 0.
NUMBERED = {
    "tutorial": ("z² = W² x¹ + b̂²", "δ² = ((W³)ᵀ δ³) ⊙ tanh(z²)"),
    "ufldl": ("z² = W¹ a¹ + b̂¹", "δ² = ((W²)ᵀ δ³) • tanh(z²)"),
    "ng": ("z⁽²⁾ = W⁽¹⁾ a⁽¹⁾ + b̂⁽¹⁾", "∂J/∂z⁽²⁾ = ((W⁽²⁾)ᵀ ∂J/∂z⁽³⁾) .* tanh(z⁽²⁾)"),
    "matrix": ("Z¹ = W¹ A⁰ + b̂¹", "∂C/∂Z¹ = ((W²)ᵀ ∂C/∂Z²) ⊙ tanh(Z¹)"),
    "nielsen": ("z² = w² a¹ + b̂²", "δ² = ((w³)ᵀ δ³) ⊙ tanh(z²)"),
}


@pytest.mark.parametrize("name", NOTATIONS)
def test_numbers_are_in_the_notations_own_count(name: str) -> None:
    notation = NOTATIONS[name]
    forward, recursion = NUMBERED[name]
    assert text(trace(L.Dense(3)).equations["forward"], notation.at(1)) == forward
    assert text(RECURSION, notation.at(2)) == recursion
    a = Symbol("a", "prediction")
    assert text(a, notation.at(2)) == text(a, notation)  # L stays L
    last = str(4 + notation.input_number)
    bracketed = f"({last})" if notation.brackets else last
    assert latex(a, notation.at(2, 4)) == f"{notation.letters['prediction'].base}^{{{bracketed}}}"


def test_layer_numbers_reach_every_kind_of_letter() -> None:
    lstm = trace(L.LSTM(3)).equations
    assert text(lstm["c"], TUTORIAL.at(1)) == "c²_t = f ⊙ c²_{t−1} + i ⊙ g"
    assert text(lstm["c"], NG.at(1)) == "c⁽²⁾_t = f .* c⁽²⁾_{t−1} + i .* g"
    assert text(lstm["W"], UFLDL.at(1)) == "∂J/∂W¹ = Σ_t dz (a¹_t)ᵀ"
    conv = trace(L.Conv2D(3, 3)).equations["delta"]
    assert text(conv, MATRIX.at(1)) == "∂C/∂A⁰_{u,v} = Σ_{m,n} (W¹_{m,n})ᵀ ∂C/∂Z¹_{u−m,v−n}"
    assert text(trace(L2(0.1)).equations["gradient"], TUTORIAL.at(1)) == "∂Ω/∂W² = λ W²"
    assert text(trace(L2(0.1)).equations["gradient"], UFLDL.at(1)) == "∂Ω/∂W¹ = λ W¹"
    assert text(trace(SquaredError()).equations["gradient"], MATRIX.at(2, 2)) == "∂C/∂A² = A² − Y"


@pytest.mark.parametrize(
    ("role", "tutorial", "ufldl"),
    [
        ("preactivation below", "zˡ⁻¹", "zˡ"),
        ("gradient of preactivation below", "δˡ⁻¹", "δˡ"),
        ("gradient of preactivation below at t", "δˡ⁻¹_t", "δˡ_t"),
        ("activation below", "xˡ⁻¹", "aˡ"),
        ("gradient of activation below", "∂J/∂xˡ⁻¹", "∂J/∂aˡ"),
        ("input below", "xˡ⁻²", "aˡ⁻¹"),
        ("input below below", "xˡ⁻³", "aˡ⁻²"),
        ("parameter W below", "Wˡ⁻¹", "Wˡ⁻¹"),
        ("state h below at t-1", "hˡ⁻¹_{t−1}", "hˡ_{t−1}"),
        ("gradient of state h at t below", "∂J/∂hˡ⁻¹_t", "∂J/∂hˡ_t"),
        ("prediction below", "aᴸ⁻¹", "aᴸ⁻¹"),
        ("target below", "y", "y"),
        ("preactivation above", "zˡ⁺¹", "zˡ⁺²"),
        ("parameter W above", "Wˡ⁺¹", "Wˡ⁺¹"),
        ("gradient of preactivation above at t", "δˡ⁺¹_t", "δˡ⁺²_t"),
        ("gradient of preactivation at t above", "δˡ⁺¹_t", "δˡ⁺²_t"),
        ("function of preactivation", "f(zˡ)", "f(zˡ⁺¹)"),
        ("slope of preactivation below", "f'(zˡ⁻¹)", "f'(zˡ)"),
        ("slope of preactivation below at t", "f'(zˡ⁻¹_t)", "f'(zˡ_t)"),
        ("derivative by preactivation", "∂J/∂zˡ", "∂J/∂zˡ⁺¹"),
        ("derivative by logits", "∂J/∂zᴸ", "∂J/∂zᴸ"),
    ],
)
def test_prefixes_and_suffixes_of_roles(role: str, tutorial: str, ufldl: str) -> None:
    symbol = Symbol("q", role)
    assert text(symbol) == tutorial
    assert text(symbol, UFLDL) == ufldl


def test_functions_carry_the_layer_in_the_matrix_notation_alone() -> None:
    slope = Symbol("s", "slope of preactivation")
    printed = [text(slope, notation) for notation in NOTATIONS.values()]
    assert printed == ["f'(zˡ)", "f'(zˡ⁺¹)", "g'(z⁽ˡ⁺¹⁾)", "σ'ˡ(Zˡ)", "σ'(zˡ)"]
    assert text(slope, MATRIX.at(2)) == "σ'²(Z²)"
    assert text(Symbol("s", "slope of logits"), MATRIX.at(2, 3)) == "σ'³(Z³)"
    assert latex(slope, MATRIX) == r"\sigma'^{l}(Z^{l})"
    ElementTree.fromstring(mathml(slope, MATRIX))


def test_the_batch_and_the_training_set_have_letters_of_their_own_where_the_source_has() -> None:
    symbols = [Symbol("m", f"{what} size") for what in ("batch", "training")]
    sizes = [[text(symbol, notation) for symbol in symbols] for notation in NOTATIONS.values()]
    assert sizes == [["m", "m"], ["m", "m"], ["m", "m"], ["M", "m"], ["m", "n"]]


def test_what_a_notation_says_of_itself() -> None:
    assert SEED_004 is MATRIX
    assert SEED_000 is TUTORIAL
    assert notation_from("seed000") is TUTORIAL
    assert [(n.name, n.input_number, n.hadamard, n.parameter_number) for n in NOTATIONS.values()] == [
        ("tutorial", 1, "⊙", "l"),
        ("ufldl", 1, "•", "l-1"),
        ("ng", 1, ".*", "l-1"),
        ("matrix", 0, "⊙", "l"),
        ("nielsen", 1, "⊙", "l"),
    ]
    assert {role for n in NOTATIONS.values() for role in n.letters} >= {"input", "gradient of penalty"}


@pytest.mark.parametrize("name", NOTATIONS)
def test_every_notation_prints_in_every_form(name: str) -> None:
    notation = NOTATIONS[name].at(2, 3)
    for target in (L.Dense(2), L.Tanh(), L.MaxPool2D(2), L.Softmax(), SquaredError(), L2(0.1)):
        for equation in trace(target).equations.values():
            ElementTree.fromstring(mathml(equation, notation))
            source = latex(equation, notation)
            assert not re.search(r"\^\{\(?[lL]", source)  # every letter has its number
            assert "•" not in source
    assert r"\bullet" in latex(RECURSION, UFLDL)
    assert r"\mathbin{.*}" in latex(RECURSION, NG)


def test_lookup() -> None:
    assert notation_from("ng") is NG
    own = Notation(TUTORIAL.letters, sizes=False)
    assert notation_from(own) is own
    names = "'tutorial', 'ufldl', 'ng', 'matrix', 'nielsen'"
    wrong: Any
    for wrong, shown in (("s0", "'s0'"), (None, "None"), (3, "3")):
        with pytest.raises(ValueError, match=f"one of {names}, or a Notation; received {shown}"):
            notation_from(wrong)
