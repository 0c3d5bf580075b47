"""The quiz of a page: order, hints, hidden numbers, and mistakes that NumPy makes on its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.browser.chromium import Browser
from tests.browser.page import Page
from tests.browser.test_page_edit import open_report

PENALTY = cr.L2(0.2)
SEEDS = range(1, 120)


@dataclass
class Made:
    """A network with everything NumPy needs to make mistakes: W and b, z, x and δ with samples last."""

    report: cr.Report
    W: list[Any]
    b: list[Any]
    x: list[Any]
    z: list[Any]
    y: Any
    delta: list[Any]  # of z
    gradient: list[Any]  # of the data alone


def squares() -> Made:
    """Dense 4-4-4-3, tanh and softmax, derived by hand: the hidden weights are square."""
    layers = [cr.Dense(4), cr.Tanh(), cr.Dense(4), cr.Tanh(), cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=4, seed=3)
    rng = np.random.default_rng(1)
    for name in ("dense1.b", "dense2.b", "dense3.b"):
        network.parameters[name][...] = rng.uniform(0.3, 0.8, network.parameters[name].shape)
    X, y = rng.standard_normal((5, 4)), np.eye(3)[[0, 1, 2, 1, 0]].T
    W = [network.parameters[f"dense{n}.W"].astype(float) for n in (1, 2, 3)]
    b = [network.parameters[f"dense{n}.b"].astype(float) for n in (1, 2, 3)]
    x, z = [X.T], []
    for n in range(3):
        z.append(W[n] @ x[n] + b[n][:, None])
        x.append(np.tanh(z[n]) if n < 2 else np.exp(z[n]) / np.exp(z[n]).sum(axis=0))
    delta = [np.zeros(0)] * 3
    delta[2] = (x[3] - y) / 5
    for n in (1, 0):
        delta[n] = (W[n + 1].T @ delta[n + 1]) * (1 - np.tanh(z[n]) ** 2)
    gradient = [delta[n] @ x[n].T for n in range(3)]
    report = cr.explain(network, X, y.T, check=False, penalty=PENALTY, sample=1)
    return Made(report, W, b, x, z, y, delta, gradient)


MADE = squares()
D1 = 1 - np.tanh(MADE.z[0]) ** 2
DOWN = MADE.W[1].T @ MADE.delta[1]  # ∂J/∂x of the second layer

# quantity, what a mistaken hand computes there, what the page says of it
MISTAKES: dict[str, tuple[str, Any, str]] = {
    "W for its transpose": ("delta:dense1", (MADE.W[1] @ MADE.delta[1]) * D1, "you used W, not Wᵀ"),
    "no slope": ("delta:dense1", DOWN, "f′ is forgotten"),
    "f for its slope": ("delta:dense1", DOWN * np.tanh(MADE.z[0]), "you used f for f′"),
    "slope at x": ("delta:dense1", DOWN * (1 - np.tanh(MADE.x[1]) ** 2), "f′ is taken at x"),
    "sign": ("delta:dense2", -MADE.delta[1], "the sign is wrong"),
    "the layer above": ("delta:dense1", MADE.delta[1], "δ of the layer above"),
    "no mean": ("delta:dense2", 5 * MADE.delta[1], "1/m is missing"),
    "two means": ("delta:dense1", MADE.delta[0] / 5, "1/m is there twice"),
    "reversed": ("delta:dense3", (MADE.y - MADE.x[3]) / 5, "prediction − target is reversed"),
    "target forgotten": ("delta:dense3", MADE.x[3] / 5, "the target is not subtracted"),
    "no bias": ("dense2", MADE.W[1] @ MADE.x[1], "the bias is forgotten"),
    "activated": ("dense1", np.tanh(MADE.z[0]), "that is f(z)"),
    "other side": ("dense2", MADE.W[1].T @ MADE.x[1] + MADE.b[1][:, None], "you used W, not Wᵀ"),
    "slope for f": ("tanh2", 1 - np.tanh(MADE.z[1]) ** 2, "f′(z), not f(z)"),
    "another sample": ("dense1", np.roll(MADE.z[0], 1, axis=1), "the value of another sample"),
    "indices": ("gradient:dense2.W", (MADE.gradient[1] + 0.2 * MADE.W[1]).T, "the indices are swapped"),
    "first sample": (
        "gradient:dense2.W",
        MADE.delta[1][:, :1] @ MADE.x[1][:, :1].T + 0.2 * MADE.W[1],
        "only the first sample",
    ),
    "no penalty": ("gradient:dense2.W", MADE.gradient[1], "the penalty is forgotten"),
    "divided penalty": (
        "gradient:dense2.W",
        MADE.gradient[1] + 0.2 / 5 * MADE.W[1],
        "the penalty is divided by m",
    ),
    "z below": ("gradient:dense2.W", MADE.delta[1] @ MADE.z[0].T + 0.2 * MADE.W[1], "z of the layer below"),
    "no mean of data": ("gradient:dense1.W", 5 * MADE.gradient[0] + 0.2 * MADE.W[0], "1/m is missing"),
    "bias penalised": (
        "gradient:dense2.b",
        MADE.delta[1].sum(axis=1) + 0.2 * MADE.b[1],
        "the bias is penalised",
    ),
    "first sample of b": ("gradient:dense1.b", MADE.delta[0][:, 0], "only the first sample"),
    "behind": ("gradient:dense1.b", DOWN.sum(axis=1), "δ is taken behind the activation"),
    "J without penalty": ("J", None, "the penalty is forgotten"),
    "J as a sum": ("J", None, "1/m is missing"),
}


def objective(mistake: str) -> float:
    losses = -(MADE.y * np.log(MADE.x[3])).sum(axis=0)
    penalty = 0.1 * sum(float((W**2).sum()) for W in MADE.W)
    return float(losses.mean() if mistake == "J without penalty" else losses.sum() + penalty)


def ask(page: Page, quantity: str) -> Any:
    """Go to a question about this quantity, under whatever seed has one."""
    found = page.evaluate(
        f"""(() => {{
          const quiz = chainrule.page.quiz;
          chainrule.page.dock.open("quiz");
          for (let seed = {SEEDS.start}; seed < {SEEDS.stop}; seed++) {{
            quiz.start(seed);
            const place = quiz.round().findIndex((one) => one.quantity === {quantity!r});
            for (let n = 0; n < place; n++) quiz.next();
            if (place >= 0) return quiz.question();
          }}
          return null;
        }})()"""
    )
    assert found is not None, f"no seed asks for {quantity}"
    return found


def answer(page: Page, text: str) -> str:
    """Type an answer and hear the verdict."""
    page.click("#dock form input")
    page.press("Control+a")
    page.type(text)
    page.press("Enter")
    return page.text("#dock .verdict")


@pytest.fixture(scope="module")
def quiz(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One page for all tests: each of them starts a round anew."""
    page = browser.page()
    open_report(page, MADE.report, tmp_path_factory.mktemp("quiz"))
    page.click('[data-tab="quiz"]')
    yield page
    page.close()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told(mistake: str, quiz: Page) -> None:
    quantity, wrong, said = MISTAKES[mistake]
    question = ask(quiz, quantity)
    value = objective(mistake) if wrong is None else float(wrong[tuple(question["index"])])
    if abs(value - question["value"]) < 0.02 * abs(question["value"]):
        pytest.fail("the mistake gives the right number at this entry: choose another network")
    verdict = answer(quiz, f"{value:.5g}")
    assert "Wrong" in verdict
    assert said in verdict
    assert "✓" in answer(quiz, f"{question['value']:.4g}")
    assert quiz.errors == quiz.requests == []


def test_the_kernel_that_is_turned(page: Page, tmp_path: Path) -> None:
    layers = [cr.Conv2D(2, 2), cr.Tanh(), cr.Conv2D(1, 2), cr.Flatten(), cr.Dense(1)]
    network = cr.Network(layers, input_shape=(4, 4, 1), seed=1)
    X, y = np.random.default_rng(0).standard_normal((3, 4, 4, 1)), np.array([[1.0], [0.0], [2.0]])
    report = cr.explain(network, X, y, check=False, sample=0)
    open_report(page, report, tmp_path)
    page.click('[data-tab="quiz"]')
    question = ask(page, "delta:conv1")
    step = network.copy(dtype="float64").backpropagate(X, y)
    delta, z = step.deltas["conv2"][0], step.activations["conv1"][0]
    kernel = network.parameters["conv2.W"].astype(float)
    below = np.zeros((3, 3, 2))
    for i, j, m, n in np.ndindex(2, 2, 2, 2):  # scattered with the kernel turned
        below[i + m, j + n] += delta[i, j, 0] * kernel[0, 1 - m, 1 - n]
    wrong = below * (1 - np.tanh(z) ** 2)
    assert "the kernel is turned the wrong way" in answer(page, f"{wrong[tuple(question['index'][:3])]:.5g}")
    assert page.errors == page.requests == []


def test_an_unknown_and_an_ambiguous_answer(quiz: Page) -> None:
    question = ask(quiz, "delta:dense1")
    assert "no known mistake gives this number" in answer(quiz, f"{question['value'] * 1.37:.5g}")
    assert "Type a number" in answer(quiz, "abc")
    # Two mistakes that give the same number are both said.
    twin = {**question["mistakes"][0], "name": "twin", "en": "the other one", "zh": "另一个"}
    quiz.evaluate(f"chainrule.page.quiz.question().mistakes.push({twin!r})")
    verdict = answer(quiz, f"{twin['value']:.5g}")
    assert question["mistakes"][0]["en"] in verdict
    assert "; or the other one" in verdict
    assert "；或者另一个" in verdict


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("0.5204", True), ("0.52", True), (".5204", True), ("0,5204", True), ("5.204e-1", True),
        ("5.204·10^-1", True), ("0.5207", True), ("0.525", False), ("0.5210", False), ("−0.5204", False),
        ("0.5", False), ("1041/2000", True), ("1/2", False), ("0.48", False),
    ],
)  # fmt: skip
def test_what_counts_as_right(text: str, right: bool, quiz: Page) -> None:
    ask(quiz, "delta:dense1")
    quiz.evaluate("Object.assign(chainrule.page.quiz.question(), {value: 0.52043, mistakes: []})")
    assert ("✓" in answer(quiz, text)) is right


def test_the_order_is_that_of_the_seed(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    MADE.report.html(path)
    orders = []
    for seed in (7, 7, 8):
        page.open(path, f"quiz={seed}")
        assert page.evaluate("chainrule.page.dock.at") == "quiz"
        orders.append(page.evaluate("chainrule.page.quiz.round().map((one) => one.quantity + one.index)"))
    assert orders[0] == orders[1] != orders[2]
    assert len(orders[0]) == 10
    page.click("#dock .another")
    assert page.evaluate("location.hash") == "#quiz=9"
    assert page.errors == page.requests == []


def test_numbers_are_hidden_until_answered(quiz: Page) -> None:
    question = ask(quiz, "gradient:dense2.W")
    index = ",".join(map(str, question["index"]))
    cell = f'figure[data-quantity="gradient:dense2.W"] td[data-index="{index}"]'
    assert quiz.style(cell, "filter") == "blur(7px)"
    assert quiz.count('figure[data-quantity="gradient:dense2.W"] td.quizzed') == 1
    answer(quiz, f"{question['value']:.4g}")
    assert quiz.style(cell, "filter") == "none"
    ask(quiz, "J")
    assert quiz.style("#dock .objective", "filter") == "blur(7px)"
    assert quiz.style("#verdict .badge .value", "filter") == "blur(7px)"
    quiz.click('[data-tab="quiz"]')
    assert quiz.count(".quizzed") == 0


def test_hints_and_score(quiz: Page) -> None:
    question = ask(quiz, "delta:dense1")
    quiz.click("#dock .hint-button")
    assert quiz.count("#dock .clue math") > 0
    quiz.click("#dock .hint-button")
    k, s = question["index"]
    product = f"{MADE.W[1][0, k]:.4g} · {MADE.delta[1][0, s]:.4g}".replace("-", "−")
    said = quiz.text("#dock .clue:nth-child(2)").replace("(", "").replace(")", "")
    assert product in said
    assert f"f′ ≈ {D1[k, s]:.4g}" in said
    quiz.click("#dock .hint-button")
    terms = MADE.W[1][:, k] * MADE.delta[1][:, s]
    assert f"≈ {terms[:2].sum():.4g}".replace("-", "−") in quiz.text("#dock .clue:nth-child(3)")
    assert quiz.evaluate("document.querySelector('#dock .hint-button').disabled")
    answer(quiz, f"{question['value']:.4g}")
    assert quiz.evaluate("chainrule.page.quiz.score()") == {"right": 1, "asked": 1, "hints": 3}
    quiz.click("#dock .next")
    answer(quiz, "123456")
    quiz.click("#dock .show")
    assert "It is" in quiz.text("#dock .verdict")
    assert quiz.evaluate("chainrule.page.quiz.score()") == {"right": 1, "asked": 2, "hints": 3}
    assert "right 1 of 2" in quiz.text("#dock .score")


def test_the_hints_of_a_gradient_lead_to_the_answer_penalty_included(quiz: Page) -> None:
    """∂J_data/∂W = δ xᵀ and ∂J/∂W = ∂J_data/∂W + λ W are shown, and the terms add up to what is asked for."""
    question = ask(quiz, "gradient:dense2.W")
    quiz.click("#dock .hint-button")
    formulas = quiz.evaluate("document.querySelector('#dock .clue').textContent")
    assert "data" in formulas
    assert "λ" in formulas
    terms = quiz.evaluate("chainrule.page.quiz.question().terms.map(term => term.value)")
    assert sum(terms) == pytest.approx(question["value"], rel=1e-9)
    W, (k, j) = MADE.W[1], question["index"]
    assert terms[-1] == pytest.approx(question["value"] - (MADE.delta[1] @ MADE.x[1].T)[k, j], abs=1e-12)
    assert W[k, j] * terms[-1] > 0


def test_every_question_and_mistake_of_many_rounds(quiz: Page) -> None:
    found = quiz.evaluate(
        """(() => {
          const wrong = [];
          for (let seed = 1; seed < 40; seed++) {
            chainrule.page.quiz.start(seed);
            for (; chainrule.page.quiz.question(); chainrule.page.quiz.next()) {
              const {value, mistakes, quantity} = chainrule.page.quiz.question();
              if (!chainrule.page.quiz.judge(String(value)).right) wrong.push([seed, quantity]);
              for (const one of mistakes) {
                const {right, mistakes: told} = chainrule.page.quiz.judge(String(one.value));
                if (right || !told.some(({name}) => name === one.name)) wrong.push([seed, quantity, one]);
              }
            }
          }
          return wrong;
        })()"""
    )
    assert found == []
