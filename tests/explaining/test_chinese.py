"""Documents that are all Chinese: no English words but names, and Chinese punctuation between words."""

from __future__ import annotations

import re

import numpy as np
import pytest

import chainrule as cr
from chainrule.explaining.render.terminal.document import render
from chainrule.explaining.report import Report

NETWORKS: dict[str, tuple[list[cr.Layer], tuple[int, ...]]] = {
    "image": (
        [cr.Conv2D(2, 3, padding=1), cr.PReLU(), cr.MaxPool2D(2), cr.BatchNorm(), cr.Flatten(), cr.Dense(2)],
        (6, 6, 1),
    ),
    "steps": (
        [cr.MultiHeadAttention(2, relative_positions="t5"), cr.Residual([cr.Dense(4), cr.ELU()]), cr.LSTM(2)],
        (4, 4),
    ),
    "branches": ([cr.Parallel([cr.Dense(3), cr.Dense(2)], join="concat"), cr.Dense(2)], (3,)),
}
SAID = "with shapes mean winner tie otherwise if sum$ layer gain dead samples batches"
WORDS = re.compile(rf"\b({SAID.replace(' ', '|')})\b")
MARKS = re.compile(r"[一-鿿][,;:?!]|[,;:?!][一-鿿]|[一-鿿]\.(?=\s|$)|[。，；：、]{2}")


def reports() -> dict[str, Report]:
    rng = np.random.default_rng(0)
    made = {}
    for name, (layers, shape) in NETWORKS.items():
        network = cr.Network(layers, input_shape=shape, seed=1)
        X, y = rng.standard_normal((5, *shape)), rng.standard_normal((5, *network.output_shape))
        made[name] = cr.explain(network, X, y, language="zh")
    return made


@pytest.fixture(scope="module")
def of_networks() -> dict[str, Report]:
    return reports()


@pytest.mark.parametrize("name", NETWORKS)
def test_no_english_is_left(name: str, of_networks: dict[str, Report]) -> None:
    report = of_networks[name]
    text = render(report.outline(language="zh", linear=True), width=100)
    assert ("其中" in text and "形状" in text) or name == "branches"
    lines = [line for line in text.split("\n") if "reduction=" not in line]
    assert not [line for line in lines if WORDS.search(line)]
    assert not [line for line in lines if MARKS.search(line)]
    markdown = re.sub(r"`[^`]*`|\$+[^$]*\$+|\]\(.*?\)", "", report.markdown(language="zh"))
    assert not [line for line in markdown.split("\n") if MARKS.search(line)]
    assert r"\text{otherwise}" not in report.markdown(language="zh")


def test_conditions_are_in_the_documents_language(of_networks: dict[str, Report]) -> None:
    report = of_networks["image"]
    english = "if", "otherwise"
    for language, (before, last) in {"zh": ("若", "其他"), "en": english, "en+zh": english}.items():
        assert f"<mtext>{last}</mtext>" in report.html(language=language)
        assert rf"\text{{{before} }}" in report.latex(language=language)
        assert rf"\text{{{last}}}" in report.markdown(language=language)


def test_a_diagnosis_is_chinese_throughout() -> None:
    network = cr.Network([cr.Dense(3), cr.Sigmoid(), cr.Dense(1), cr.Sigmoid()], input_shape=2, seed=0)
    X = np.random.default_rng(0).standard_normal((20, 2))
    diagnosis = cr.diagnose(network, X, np.arange(20) % 2, penalty=cr.L2(0.1))
    text = diagnosis.text("zh")
    assert text.startswith("诊断：")
    assert "惩罚" in text
    assert not WORDS.search(text)
    assert not MARKS.search(text)
    assert diagnosis.text("en+zh").split("\n")[:2] == [diagnosis.text().split("\n")[0], text.split("\n")[0]]


@pytest.mark.parametrize(
    ("options", "formula", "note"),
    [
        ({"relative_positions": "alibi"}, "slope |k − i|", "0.0625, 0.00390625"),
        ({"relative_positions": "t5"}, "P²_{ρ(k − i)}", "up to 128"),
        ({"relative_positions": "learned"}, "P²_{k − i}", ""),
        ({"relative_positions": "learned", "grid": (2, 2)}, "P²_{ρ(i, k)}", "2×2 pixels"),
    ],
)
def test_which_number_a_distance_has(options: dict[str, object], formula: str, note: str) -> None:
    network = cr.Network([cr.MultiHeadAttention(2, **options), cr.Flatten(), cr.Dense(1)], input_shape=(4, 4))  # type: ignore[arg-type]
    X = np.random.default_rng(0).standard_normal((2, 4, 4))
    outline = cr.explain(network, X, np.zeros((2, 1))).outline(language="en", linear=True)
    line = next(line for line in render(outline, width=300).split("\n") if "S = Q Kᵀ" in line)
    assert formula in line
    assert note in line
