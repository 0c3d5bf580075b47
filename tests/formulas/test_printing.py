"""Formulas in print: the tutorials' lines, and parentheses exactly where they are needed."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from chainrule import formulas as formulas_package
from chainrule import layers as L
from chainrule.formulas import (
    SEED_004,
    TUTORIAL,
    Notation,
    Symbol,
    adjoint,
    latex,
    mathml,
    tanh,
    text,
    trace,
    walk,
)
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from chainrule.losses.penalties import L2
from tests.cases import LAYER_CASES
from tests.pairwise import some

# (what, which equation, text, LaTeX)
GOLDEN: list[tuple[Any, str, str, str]] = [
    (L.Dense(3), "forward", "zˡ = Wˡ xˡ⁻¹ + b̂ˡ", r"z^{l} = W^{l} x^{l-1} + \hat{b}^{l}"),
    (
        L.Dense(3),
        "delta",
        "∂J/∂xˡ⁻¹ = (Wˡ)ᵀ δˡ",
        r"\frac{\partial J}{\partial x^{l-1}} = {W^{l}}^{\top} \delta^{l}",
    ),
    (
        L.Dense(3),
        "W",
        "∂J/∂Wˡ = δˡ (xˡ⁻¹)ᵀ",
        r"\frac{\partial J}{\partial W^{l}} = \delta^{l} {x^{l-1}}^{\top}",
    ),
    (L.Dense(3), "b", "∂J/∂bˡ = δˡ 𝟏", r"\frac{\partial J}{\partial b^{l}} = \delta^{l} \mathbf{1}"),
    (
        L.Conv2D(3, 3),
        "forward",
        "zˡ_{i,j} = Σ_{m,n} Wˡ_{m,n} Xˡ⁻¹_{i+m,j+n} + b̂ˡ",
        r"z^{l}_{i,j} = \sum_{m,n} W^{l}_{m,n} X^{l-1}_{i+m,j+n} + \hat{b}^{l}",
    ),
    (
        L.Conv2D(3, 3),
        "delta",
        "∂J/∂Xˡ⁻¹_{u,v} = Σ_{m,n} (Wˡ_{m,n})ᵀ δˡ_{u−m,v−n}",
        r"\frac{\partial J}{\partial X^{l-1}_{u,v}} = \sum_{m,n} {W^{l}_{m,n}}^{\top} \delta^{l}_{u-m,v-n}",
    ),
    (
        L.Conv2D(3, 3),
        "W",
        "∂J/∂Wˡ_{m,n} = Σ_{i,j} δˡ_{i,j} (Xˡ⁻¹_{i+m,j+n})ᵀ",
        r"\frac{\partial J}{\partial W^{l}_{m,n}} = \sum_{i,j} \delta^{l}_{i,j} {X^{l-1}_{i+m,j+n}}^{\top}",
    ),
    (
        L.Conv2D(3, 3),
        "b",
        "∂J/∂bˡ = Σ_{i,j} δˡ_{i,j} 𝟏",
        r"\frac{\partial J}{\partial b^{l}} = \sum_{i,j} \delta^{l}_{i,j} \mathbf{1}",
    ),
    (
        L.Conv2D(3, 3, stride=(2, 3), padding=(1, 0)),
        "forward",
        "zˡ_{i,j} = Σ_{m,n} Wˡ_{m,n} Xˡ⁻¹_{2i+m−1,3j+n} + b̂ˡ",
        r"z^{l}_{i,j} = \sum_{m,n} W^{l}_{m,n} X^{l-1}_{2i+m-1,3j+n} + \hat{b}^{l}",
    ),
    (
        L.Conv2D(3, 3, stride=(2, 3), padding=(1, 0)),
        "delta",
        "∂J/∂Xˡ⁻¹_{u,v} = Σ_{m,n} (Wˡ_{m,n})ᵀ δˡ_{(u+1−m)/2,(v−n)/3}",
        r"\frac{\partial J}{\partial X^{l-1}_{u,v}} = \sum_{m,n} {W^{l}_{m,n}}^{\top} "
        r"\delta^{l}_{(u+1-m)/2,(v-n)/3}",
    ),
    (
        L.MaxPool2D(2),
        "forward",
        "Xˡ_{i,j} = max_{m,n} Xˡ⁻¹_{2i+m,2j+n}",
        r"X^{l}_{i,j} = \max_{m,n} X^{l-1}_{2i+m,2j+n}",
    ),
    (
        L.MaxPool2D(2, 1),
        "delta",
        "∂J/∂Xˡ⁻¹_{u,v} = Σ_{m,n} δˡ_{u−m,v−n} ⊙ [w_{u−m,v−n} = (m,n)]",
        r"\frac{\partial J}{\partial X^{l-1}_{u,v}} = \sum_{m,n} "
        r"\delta^{l}_{u-m,v-n} \odot [w_{u-m,v-n} = (m,n)]",
    ),
    (
        L.AveragePool2D((2, 3)),
        "forward",
        "Xˡ_{i,j} = (1/6) Σ_{m,n} Xˡ⁻¹_{2i+m,3j+n}",
        r"X^{l}_{i,j} = \frac{1}{6} \sum_{m,n} X^{l-1}_{2i+m,3j+n}",
    ),
    (
        L.Conv1D(3, 3, stride=2, dilation=3, padding=1),
        "delta",
        "∂J/∂Xˡ⁻¹_u = Σ_m (Wˡ_m)ᵀ δˡ_{(u+1−3m)/2}",
        r"\frac{\partial J}{\partial X^{l-1}_{u}} = \sum_{m} {W^{l}_{m}}^{\top} \delta^{l}_{(u+1-3m)/2}",
    ),
    (
        L.DepthwiseConv2D(3),
        "forward",
        "zˡ_{i,j} = Σ_{m,n} diag(Wˡ_{m,n}) Xˡ⁻¹_{i+m,j+n} + b̂ˡ",
        r"z^{l}_{i,j} = \sum_{m,n} \operatorname{diag}(W^{l}_{m,n}) X^{l-1}_{i+m,j+n} + \hat{b}^{l}",
    ),
    (
        L.ConvTranspose2D(3, 3, stride=2),
        "forward",
        "zˡ_{u,v} = Σ_{m,n} (Wˡ_{m,n})ᵀ Xˡ⁻¹_{(u−m)/2,(v−n)/2} + b̂ˡ",
        r"z^{l}_{u,v} = \sum_{m,n} {W^{l}_{m,n}}^{\top} X^{l-1}_{(u-m)/2,(v-n)/2} + \hat{b}^{l}",
    ),
    (
        L.L2Pool1D(2),
        "delta",
        "∂J/∂Xˡ⁻¹_u = Xˡ⁻¹_u ⊙ Σ_m (δˡ_{(u−m)/2} / Xˡ_{(u−m)/2})",
        r"\frac{\partial J}{\partial X^{l-1}_{u}} = X^{l-1}_{u} \odot "
        r"\sum_{m} \frac{\delta^{l}_{(u-m)/2}}{X^{l}_{(u-m)/2}}",
    ),
    (
        L.GlobalMaxPool(),
        "forward",
        "xˡ = max_i Xˡ⁻¹_i",
        r"x^{l} = \max_{i} X^{l-1}_{i}",
    ),
    (L.Flatten(), "forward", "xˡ = vec(Xˡ⁻¹)", r"x^{l} = \operatorname{vec}(X^{l-1})"),
    (
        L.Flatten(),
        "delta",
        "∂J/∂Xˡ⁻¹ = vec⁻¹(δˡ)",
        r"\frac{\partial J}{\partial X^{l-1}} = \operatorname{vec}^{-1}(\delta^{l})",
    ),
    (L.Sigmoid(), "forward", "aˡ = 1 / (1 + exp(−zˡ))", r"a^{l} = \frac{1}{1 + e^{-z^{l}}}"),
    (
        L.Sigmoid(),
        "delta",
        "δˡ = ∂J/∂aˡ ⊙ σ ⊙ (1 − σ)",
        r"\delta^{l} = \frac{\partial J}{\partial a^{l}} \odot \sigma \odot (1 - \sigma)",
    ),
    (
        L.Tanh(),
        "delta",
        "δˡ = ∂J/∂aˡ ⊙ (1 − tanh(zˡ)²)",
        r"\delta^{l} = \frac{\partial J}{\partial a^{l}} \odot (1 - \tanh(z^{l})^{2})",
    ),
    (L.ReLU(), "forward", "aˡ = max(zˡ, 0)", r"a^{l} = \max(z^{l}, 0)"),
    (
        L.LeakyReLU(),
        "forward",
        "aˡ = {zˡ if zˡ > 0; 0.01 zˡ otherwise}",
        r"a^{l} = \begin{cases} z^{l} & \text{if } z^{l} > 0 \\ 0.01 z^{l} & \text{otherwise} \end{cases}",
    ),
    (
        L.ELU(0.3),
        "forward",
        "aˡ = {zˡ if zˡ > 0; 0.3 (exp(zˡ) − 1) otherwise}",
        r"a^{l} = \begin{cases} z^{l} & \text{if } z^{l} > 0 \\ "
        r"0.3 \, (e^{z^{l}} - 1) & \text{otherwise} \end{cases}",
    ),
    (
        L.PReLU(),
        "alpha",
        "∂J/∂αˡ = (∂J/∂aˡ ⊙ {0 if zˡ > 0; zˡ otherwise}) 𝟏",
        r"\frac{\partial J}{\partial\alpha^{l}} = \left( \frac{\partial J}{\partial a^{l}} \odot "
        r"\begin{cases} 0 & \text{if } z^{l} > 0 \\ z^{l} & \text{otherwise} \end{cases} \right) \mathbf{1}",
    ),
    (L.HardTanh(), "forward", "aˡ = min(max(zˡ, −1), 1)", r"a^{l} = \min(\max(z^{l}, -1), 1)"),
    (
        L.Softplus(),
        "forward",
        "aˡ = max(zˡ, 0) + log(1 + exp(−|zˡ|))",
        r"a^{l} = \max(z^{l}, 0) + \log(1 + e^{-|z^{l}|})",
    ),
    (
        L.Softsign(),
        "delta",
        "δˡ = ∂J/∂aˡ ⊙ (1 / (1 + |zˡ|))²",
        r"\delta^{l} = \frac{\partial J}{\partial a^{l}} \odot \left( \frac{1}{1 + |z^{l}|} \right)^{2}",
    ),
    (
        L.Softmax(),
        "delta",
        "δˡ = aˡ ⊙ (∂J/∂aˡ − Σ_k aˡ_k ∂J/∂aˡ_k)",
        r"\delta^{l} = a^{l} \odot \left( \frac{\partial J}{\partial a^{l}} - "
        r"\sum_{k} a^{l}_{k} \frac{\partial J}{\partial a^{l}_{k}} \right)",
    ),
    (SquaredError(), "value", "J = ½ Σ_k (aᴸ_k − y_k)²", r"J = \frac{1}{2} \sum_{k} (a^{L}_{k} - y_{k})^{2}"),
    (
        BinaryCrossEntropy(),
        "value",
        "J = −Σ_k (y_k log(aᴸ_k) + (1 − y_k) log(1 − aᴸ_k))",
        r"J = -\sum_{k} (y_{k} \log(a^{L}_{k}) + (1 - y_{k}) \log(1 - a^{L}_{k}))",
    ),
    (BinaryCrossEntropy(), "residual", "δᴸ = aᴸ − y", r"\delta^{L} = a^{L} - y"),
    (CrossEntropy(), "gradient", "∂J/∂aᴸ = −y / aᴸ", r"\frac{\partial J}{\partial a^{L}} = -\frac{y}{a^{L}}"),
    (
        CrossEntropy(),
        "value_from_z",
        "J = Σ_k y_k (log(1 + Σ_j (1 − 𝟏_{arg max_k zᴸ_k}) exp(s_j)) − s_k)",
        r"J = \sum_{k} y_{k} \, \left( \log\left( 1 + \sum_{j} (1 - "
        r"\mathbf{1}_{\operatorname*{arg\,max}_{k} z^{L}_{k}}) e^{s_{j}} \right) - s_{k} \right)",
    ),
    (
        L2(0.1),
        "value",
        "Ω = (λ / 2) Σ_{j,k} (Wˡ_{j,k})²",
        r"\Omega = \frac{\lambda}{2} \sum_{j,k} (W^{l}_{j,k})^{2}",
    ),
]


@pytest.mark.parametrize(("target", "equation", "plain", "tex"), GOLDEN)
def test_golden(target: Any, equation: str, plain: str, tex: str) -> None:
    formula = trace(target).equations[equation]
    assert text(formula) == plain
    assert latex(formula) == tex


def test_definitions_and_remarks() -> None:
    delta = trace(L.MaxPool2D(2)).equations["delta"]
    assert [text(line) for line in delta.definitions] == ["w_{i,j} = arg max_{m,n} Xˡ⁻¹_{2i+m,2j+n}"]
    assert "δ is 0 outside of its grid and at indices that are not whole" in delta.remarks
    assert trace(L.MaxPool2D(2, padding=1)).equations["forward"].remarks == ("X is −∞ outside of the image",)
    back = trace(L.ConvTranspose1D(2, 3)).equations
    assert back["forward"].remarks == ("X is 0 outside of its grid and at indices that are not whole",)
    assert back["delta"].remarks == ("δ is 0 outside of the image",)
    gelu = trace(L.GELU()).equations["delta"]
    assert [text(line) for line in gelu.definitions] == [
        "Φ = ½ (1 + erf(zˡ / √2))",
        "φ = exp(−(zˡ)² / 2) / √(2 π)",
    ]
    assert not gelu.remarks


def test_activation_functions_print_as_functions_of_one_entry() -> None:
    z = Symbol("z", kind="scalar")
    assert text(L.GELU().f(z)) == "z Φ"
    assert text(L.Sigmoid().df(z)) == "σ (1 − σ)"
    assert (
        latex(L.LeakyReLU(0.2).df(z))
        == r"\begin{cases} 1 & \text{if } z > 0 \\ 0.2 & \text{otherwise} \end{cases}"
    )


def test_other_notations() -> None:
    assert str(text(trace(L.Dense(3)).equations["W"], SEED_004)) == "∂C/∂Wˡ = ∂C/∂Zˡ (Aˡ⁻¹)ᵀ"
    general = Notation(TUTORIAL.letters, sizes=False)
    conv = trace(L.Conv2D(3, 3, stride=2, padding="same"))
    assert text(conv.forward, general) == "Σ_{m,n} Wˡ_{m,n} Xˡ⁻¹_{si+m−p,sj+n−q} + b̂ˡ"
    assert text(conv.delta, general) == "Σ_{m,n} (Wˡ_{m,n})ᵀ δˡ_{(u+p−m)/s,(v+q−n)/s}"
    assert text(trace(L.AveragePool2D(3)).forward, general) == "(1 / (k_1 k_2)) Σ_{m,n} Xˡ⁻¹_{si+m,sj+n}"


def test_mechanical_derivations_read_like_the_hand_derived() -> None:
    for layer in (L.Dense(3), L.Conv2D(3, 3, stride=2), L.MaxPool2D(3, 1)):
        formulas = trace(layer)
        derived = adjoint(formulas.forward, formulas.symbols["x"], formulas.symbols["d"])
        assert latex(derived) == latex(formulas.delta)


# -- MathML -------------------------------------------------------------------------------------------------

CORE = {
    "math", "mrow", "mi", "mn", "mo", "mtext", "mfrac", "msqrt", "msup", "msub", "msubsup", "munder", "mover",
    "mpadded", "mtable", "mtr", "mtd",
}  # fmt: skip
CHILDREN = {"mfrac": 2, "msup": 2, "msub": 2, "msubsup": 3, "munder": 2, "mover": 2}


def _check_mathml(source: str) -> ElementTree.Element:
    root = ElementTree.fromstring(source)
    for element in root.iter():
        name = element.tag.removeprefix("{http://www.w3.org/1998/Math/MathML}")
        assert name in CORE
        if name in CHILDREN:
            assert len(element) == CHILDREN[name]
    return root


@pytest.mark.parametrize("case", LAYER_CASES, ids=lambda case: case.id)
def test_mathml_of_every_layer_is_core(case: Any) -> None:
    for equation in trace(case.make()).equations.values():
        for line in (equation, *equation.definitions):
            _check_mathml(mathml(line))


def test_mathml_by_hand() -> None:
    x = Symbol("x", role="input")
    source = mathml(tanh(x), display="block")
    assert source == (
        '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mrow><mi>tanh</mi>'
        "<mo>&#x2061;</mo>"
        '<mrow><mo form="prefix" fence="true" stretchy="false">(</mo>'
        "<msup><mi>x</mi><mrow><mi>l</mi>"
        '<mo lspace="0em" rspace="0em">−</mo><mn>1</mn></mrow></msup>'
        '<mo form="postfix" fence="true" stretchy="false">)</mo></mrow></mrow></math>'
    )


def test_mathml_points_at_quantities() -> None:
    formula = trace(L.Dense(3)).equations["forward"]
    source = mathml(formula, reference=lambda node: node.name if isinstance(node, Symbol) else None)
    references = [
        element.get("data-ref") for element in _check_mathml(source).iter() if element.get("data-ref")
    ]
    assert references == ["z", "W", "x", "b"]
    # tags change nothing but the reference
    for layer in (L.Softmax(), L.GELU(), L.Conv2D(2, 3), L.MaxPool2D()):
        for equation in trace(layer).equations.values():
            tagged = mathml(equation, reference=lambda node: "r")
            assert _texts(_check_mathml(tagged)) == _texts(_check_mathml(mathml(equation)))


def _texts(root: ElementTree.Element) -> list[str]:
    return [element.text for element in root.iter() if element.text]


@pytest.mark.parametrize(
    "case", some(LAYER_CASES, 110, lambda case: type(case.make())), ids=lambda case: case.id
)
def test_reprs_are_the_printed_text(case: Any) -> None:
    formulas = trace(case.make())
    assert repr(formulas) == "\n".join(formulas.lines())
    assert repr(formulas.equations["forward"]) == text(formulas.equations["forward"])
    html = formulas._repr_html_()
    assert html.count("<math") >= len(list(formulas))
    ElementTree.fromstring(f"<div>{html}</div>")
    nodes = {id(node): node for name in formulas for _, node in walk(formulas[name])}  # each of them once
    for node in nodes.values():
        assert repr(node) == text(node)


def test_a_definition_that_several_equations_need_is_shown_once() -> None:
    """LSTM: six equations share the gates, 17 lines in all."""
    for layer in (L.LSTM(3), L.BatchNorm(), L.GELU()):
        formulas = trace(layer)
        lines = formulas.lines()
        assert len(set(lines)) == len(lines)
        assert formulas._repr_html_().count("<math") == len(lines)
    assert len(trace(L.LSTM(3)).lines()) == 17


def test_lazy_names_are_listed() -> None:
    assert {"trace", "latex", "mathml", "text"} <= set(dir(formulas_package))
