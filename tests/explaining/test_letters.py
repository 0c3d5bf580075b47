"""One letter, one meaning: in every notation, under every loss and penalty, with and without weights."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.languages import Say
from chainrule.explaining.blocks.kinds import Block, Formula, Paragraph, Table
from chainrule.formulas.printing import render_text
from chainrule.formulas.printing.boxes import Box
from chainrule.formulas.printing.notation import NOTATIONS
from tests.pairwise import CHOICE

# A loss and the layer that the network ends in.
LOSSES: dict[str, tuple[Any, list[cr.Layer]]] = {
    "squared": (cr.SquaredError(), []),
    "squared, mean": (cr.SquaredError(mean_outputs=True), []),
    "absolute": (cr.MeanAbsoluteError(), [cr.Tanh()]),
    "absolute, mean": (cr.MeanAbsoluteError(mean_outputs=True), []),
    "Huber": (cr.Huber(0.5), []),
    "Huber, mean": (cr.Huber(0.5, mean_outputs=True), []),
    "binary": (cr.BinaryCrossEntropy(), [cr.Sigmoid()]),
    "categorical": (cr.CrossEntropy(label_smoothing=0.1), [cr.Softmax()]),
    "squared, softmax": (cr.SquaredError(mean_outputs=True), [cr.Softmax()]),
    "hinge": (cr.Hinge(squared=True), []),
    "categorical hinge": (cr.CategoricalHinge(squared=True), []),
    "counts": (cr.Poisson(log_input=True), []),
}
PENALTIES = {
    "free": None,
    "L2, per sample": cr.L2(3.0, per_sample=True),
    "elastic net, per sample": cr.ElasticNet(0.1, 0.2, per_sample=True),
}
HIDDEN: dict[str, list[cr.Layer]] = {
    "dense": [cr.Flatten(), cr.Dense(4), cr.LayerNorm(), cr.Tanh()],
    "lstm": [cr.LSTM(3)],
    "pooling": [cr.GlobalAveragePool(), cr.RMSNorm()],
    "positions": [cr.PositionalEncoding(), cr.GlobalAveragePool()],
    "attention": [cr.MultiHeadAttention(1), cr.Flatten()],
    "attention, rows": [
        cr.MultiHeadAttention(1, key_value_bias=True, zero_key_value=True, relative_positions="t5"),
        cr.MultiHeadAttention(1, relative_positions="alibi"),
        cr.Flatten(),
    ],
}
WEIGHTS = {"alike": None, "weighted": [1.0, 2.0, 3.0]}


def report_of(loss: str, penalty: str, weights: str, hidden: str) -> cr.Report:
    own, end = LOSSES[loss]
    network = cr.Network([*HIDDEN[hidden], cr.Dense(2), *end], input_shape=(4, 3), seed=1)
    X = np.random.default_rng(0).standard_normal((3, 4, 3))
    classes = loss in ("categorical", "categorical hinge")
    y = np.array([0, 1, 1]) if classes else np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    return cr.explain(
        network, X, y, loss=own, penalty=PENALTIES[penalty], sample_weight=WEIGHTS[weights],
        training_size=20, check=False, language="en",
    )  # fmt: skip


def definitions(shown: tuple[Block, ...], scope: str = "") -> Iterator[tuple[str, str, str]]:
    """(scope, letter, meaning) of the table of letters, of notes under formulas, of intermediates, of what a
    sum counts, of sizes in sentences, and of what is added to a layer's input.  Scope: "" for all of the
    report, a step for the abbreviations of a layer, which hold within its card, "index" for what a sum
    counts.
    """
    for block in shown:
        step = getattr(block, "step", scope)
        inner = "" if step in ("L", "U") else step  # the loss and the update are of no layer
        yield from definitions(getattr(block, "blocks", ()), inner)
        if isinstance(block, Table) and block.id == "letters":
            for meaning, letter, *_ in block.rows:
                if isinstance(letter, Box):
                    assert isinstance(meaning, Say)
                    yield "", render_text.render(letter), meaning.en
        if isinstance(block, Formula):
            left, _, right = render_text.render(block.box).partition(" = ")
            if block.reading == "definition":
                yield scope, left, f"short for {right}"
            for indices in re.findall(r"Σ_([a-z]\b|{[a-z](?:,[a-z])*})", right):
                yield from (("index", one, "a number") for one in indices.strip("{}").split(","))
            said = block.note.en if block.note is not None else ""
            added = re.findall(r"^\S+ \+ ([A-Z]+)$", right)
            yield from (("", letter, "the waves of positions") for letter in added)
            counts = re.findall(r"(\w+) = \d+: ([^;]+)", said)
            counts += re.findall(r"^(\w+_\w) is (the weight of sample)", said)
            yield from (("", letter, meaning) for letter, meaning in counts)
        if isinstance(block, Paragraph) and block.id == "update-penalty":
            found = re.findall(r"divided by (\S+) = \d+, (the size of the training set)", block.text.en)
            yield from (("", letter, meaning) for letter, meaning in found)


@pytest.mark.turns(4)
@pytest.mark.parametrize("loss", LOSSES)
def test_no_letter_is_defined_twice(loss: str) -> None:
    place = list(LOSSES).index(loss)  # every pair of loss, penalty and weights meets, not every three
    weightings = itertools.islice(itertools.cycle(WEIGHTS), place, None)
    cases = [(penalty, weights, "dense") for penalty, weights in zip(PENALTIES, weightings, strict=False)]
    cases += [("L2, per sample", "alike", "lstm"), ("free", "alike", "pooling")][place % 2 :][:1]
    if loss in ("squared, mean", "categorical"):
        cases += [("free", "alike", "positions"), ("free", "alike", "attention")]
    for number, (penalty, weights, hidden) in enumerate(cases):
        report = report_of(loss, penalty, weights, hidden)
        turn = (place + 2 * number) % len(NOTATIONS)  # two notations each, so that every loss meets all
        for notation in NOTATIONS if CHOICE["whole"] else [*NOTATIONS, *NOTATIONS][turn : turn + 2]:
            meanings: dict[str, set[str]] = defaultdict(set)
            within: set[str] = set()
            outline = report.outline(notation=notation, linear=True)
            for scope, letter, meaning in definitions(outline.sections):
                if scope:
                    within.add(letter)
                else:
                    meanings[letter].add(meaning.removeprefix("the "))
            twice = {letter: found for letter, found in meanings.items() if len(found) > 1}
            assert not twice, (notation, penalty, weights, hidden)
            assert not meanings.keys() & within, (notation, penalty, weights, hidden)
            assert len(meanings) > 8
