"""Parentheses: random formulas are printed, a small parser reads the print, and both have the same value."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule.formulas import (
    Expression,
    Symbol,
    evaluate,
    exp,
    latex,
    maximum,
    sqrt,
    sum_features,
    tanh,
    text,
)

NAMES = "ABCD"
GIVEN = {name: 2 + np.random.default_rng(ord(name)).uniform(0, 1, (3, 3)) for name in NAMES}
TREES = 400


def random_tree(rng: np.random.Generator, depth: int) -> Expression:
    """A formula over square matrices, of every kind of operation that needs parentheses somewhere."""
    if depth == 0 or rng.uniform() < 0.15:
        return Symbol(str(rng.choice(list(NAMES))))
    a, b = random_tree(rng, depth - 1), random_tree(rng, depth - 1)
    makers: list[Callable[[], Expression]] = [
        lambda: a + b, lambda: a - b, lambda: a * b, lambda: a / (2 + abs(b)), lambda: -a, lambda: a @ b,
        lambda: a.T, lambda: a**2, lambda: 2 * a, lambda: a * -3, lambda: a * 5, lambda: tanh(a),
        lambda: exp(-abs(a)), lambda: maximum(a, b), lambda: sqrt(abs(a)), lambda: 0.5 * sum_features(a),
        lambda: sum_features(a) * b, lambda: b * sum_features(a), lambda: b / sum_features(abs(a) + 1),
        lambda: sum_features(a) - b,
    ]  # fmt: skip
    return makers[rng.integers(len(makers))]()


class Reader:
    """Reads a printed line with the conventions of mathematics, from loose to tight:

    + and −;  a / b;  ⊙;  products by juxtaposition;  ², ᵀ.  Σ_k extends over the products behind it, and
    under it letters with an index are entries, so that juxtaposition multiplies them.
    """

    def __init__(self, line: str) -> None:
        self.tokens = re.findall(r"\d+\.\d+|\d+|½|Σ_\w|_\w|[A-Za-z]+|\S", line)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        assert not expected or token == expected, (expected, self.tokens, self.at)
        self.at += 1
        return token

    def line(self) -> Any:
        value = self.sum(False)
        assert not self.peek(), self.tokens[self.at :]
        return value

    def sum(self, entries: bool) -> Any:
        if self.peek() == "−":
            self.take()
            value = -self.slash(entries)
        else:
            value = self.slash(entries)
        while self.peek() in ("+", "−"):
            sign, term = self.take(), self.slash(entries)
            value = value + term if sign == "+" else value - term
        return value

    def slash(self, entries: bool) -> Any:
        value = self.hadamard(entries)
        if self.peek() == "/":
            self.take()
            value = value / self.power(entries)
        return value

    def hadamard(self, entries: bool) -> Any:
        value = self.product(entries)
        while self.peek() == "⊙":
            self.take()
            value = value * self.product(entries)
        return value

    def product(self, entries: bool) -> Any:
        value = self.power(entries)
        while self.peek() and self.peek() not in "+−/⊙,)|_":
            if self.peek() == "·":
                self.take()
            factor = self.power(entries)
            plain = entries or np.ndim(value) == 0 or np.ndim(factor) == 0
            value = value * factor if plain else value @ factor
        return value

    def power(self, entries: bool) -> Any:
        value = self.atom(entries)
        while self.peek() in ("²", "ᵀ"):
            value = value**2 if self.take() == "²" else value.T
        return value

    def atom(self, entries: bool) -> Any:
        token = self.take()
        if token == "½":
            return 0.5
        if token[0].isdigit():
            return float(token)
        if token.startswith("Σ_"):
            return self.hadamard(True).sum(axis=0, keepdims=True)
        if token == "|":
            value = np.abs(self.sum(entries))
            self.take("|")
            return value
        if token == "(":
            return self.group(entries)
        if token in GIVEN:
            if entries:
                assert self.take().startswith("_")
            return GIVEN[token]
        return self.call(token, entries)

    def group(self, entries: bool) -> Any:
        """( … ), or ( … )_k: an entry of what the parentheses compute as a whole."""
        depth, end = 1, self.at
        while depth:
            depth += {"(": 1, ")": -1}.get(self.tokens[end], 0)
            end += 1
        whole = end < len(self.tokens) and self.tokens[end].startswith("_")
        value = self.sum(entries and not whole)
        self.take(")")
        if whole:
            self.take()
        return value

    def call(self, name: str, entries: bool) -> Any:
        self.take("(")
        arguments = [self.sum(entries)]
        while self.peek() == ",":
            self.take()
            arguments.append(self.sum(entries))
        self.take(")")
        return {"tanh": np.tanh, "exp": np.exp, "sqrt": np.sqrt, "max": np.maximum}[name](*arguments)


def plain(line: str) -> str:
    """LaTeX as a line of text: braces become parentheses, a fraction a parenthesised quotient."""
    for command, sign in {
        r"\left": "", r"\right": "", r"\,": "", r"\odot": "⊙", r"\cdot": "·", r"\tanh": "tanh",
        r"\max": "max", r"\sum_{k}": "Σ_k", r"\sum_{j}": "Σ_j", "_{k}": "_k", "_{j}": "_j",
        r"^{\top}": "ᵀ", "^{2}": "²", "-": "−", r"\frac{1}{2}": "½",
    }.items():  # fmt: skip
        line = line.replace(command, sign)
    for command, opening in {r"\frac": "(({", r"\sqrt": "sqrt", "e^": "exp"}.items():
        while command in line:
            start = line.index(command)
            end = braces(line, start + len(command))
            inner = line[start + len(command) + 1 : end - 1]
            if command == r"\frac":
                second = braces(line, end)
                line = f"{line[:start]}(({inner})/({line[end + 1 : second - 1]})){line[second:]}"
            else:
                line = f"{line[:start]}{opening}({inner}){line[end:]}"
    return line.replace("{", "(").replace("}", ")")


def braces(line: str, start: int) -> int:
    """The end of the {…} that begins at start."""
    depth, end = 0, start
    while True:
        depth += {"{": 1, "}": -1}.get(line[end], 0)
        end += 1
        if not depth:
            return end


@pytest.mark.parametrize("printer", [text, lambda tree: plain(latex(tree))], ids=["text", "latex"])
def test_print_reads_back_to_the_same_value(printer: Callable[[Expression], str]) -> None:
    for seed in range(TREES):
        tree = random_tree(np.random.default_rng(seed), 4)
        try:
            value = evaluate(tree, GIVEN)
        except ValueError:
            continue  # a sum over the rows leaves one row, which a matrix on its left does not fit
        line = printer(tree).replace("√", "sqrt")
        np.testing.assert_allclose(Reader(line).line(), value, rtol=1e-9, err_msg=f"{seed}: {line}")


A, B, C = (Symbol(name) for name in "ABC")


@pytest.mark.parametrize(
    ("tree", "line"),
    [
        (A - (B - C), "A − (B − C)"),
        (A - B - C, "A − B − C"),
        (A + (B + C), "A + B + C"),
        (A + -B, "A + (−B)"),
        (A + (-B + C), "A + (−B + C)"),
        (-(A + B), "−(A + B)"),
        ((A @ B) * C, "(A B) ⊙ C"),
        (A @ (B * C), "A (B ⊙ C)"),
        (A @ B @ C, "A B C"),
        (A @ (B + C), "A (B + C)"),
        ((A + B).T @ C, "(A + B)ᵀ C"),
        ((A @ B).T, "(A B)ᵀ"),
        ((A.T) ** 2, "(Aᵀ)²"),
        ((-A) ** 2, "(−A)²"),
        (-(A**2), "−A²"),
        ((2 * A) ** 2, "(2 A)²"),
        (A / (B * C), "A / (B ⊙ C)"),
        (A / B / C, "(A / B) / C"),
        (A * (B / C), "A ⊙ (B / C)"),
        (A * 3, "A · 3"),
        (2 * (A + B), "2 (A + B)"),
        (sum_features(A) * B, "(Σ_k A_k) ⊙ B"),
        (B * sum_features(A), "B ⊙ Σ_k A_k"),
        (sum_features(A * B), "Σ_k A_k B_k"),
        (sum_features(A + B), "Σ_k (A_k + B_k)"),
        (sum_features(A @ B), "Σ_k (A B)_k"),
        (sum_features(A * sum_features(B)), "Σ_k A_k Σ_j B_j"),
        (sum_features(A) + B, "Σ_k A_k + B"),
    ],
)
def test_parentheses_by_hand(tree: Expression, line: str) -> None:
    assert text(tree) == line
