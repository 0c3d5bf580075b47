"""The steps of the sample outline: a convolution, an activation, the loss, the way back, the update."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.languages import Say
from chainrule.explaining.blocks.kinds import (
    Bars,
    Block,
    Card,
    Code,
    Curve,
    Formula,
    Maps,
    Mark,
    Matrix,
    Panel,
    Paragraph,
    Table,
    Worked,
)
from chainrule.formulas.expression import Expression, Symbol
from chainrule.formulas.printing import compose
from chainrule.formulas.printing.boxes import (
    SUM,
    Box,
    Fence,
    Numeral,
    Scripts,
    Sign,
    Tagged,
    Word,
    phrase,
    row,
    tight,
)
from chainrule.formulas.printing.compose import Composer
from chainrule.formulas.tracing import trace
from chainrule.layers import Conv2D, Dense, MaxPool2D, ReLU
from tests.explaining.sample_network import sample_network

n = sample_network()


def letter(base: str, layer: str = "", sub: str = "", reference: str = "") -> Box:
    """x, x^3, x^3_{2,0}; with a reference, tagged."""
    box: Box = Scripts(Word(base), phrase(sub) if sub else None, phrase(layer) if layer else None)
    return Tagged(box, reference) if reference else box


def _formula(layer: Any, name: str, references: dict[str, str], **options: Any) -> Formula:
    """An equation of a layer of the library, its symbols pointing at tensors."""

    def reference(node: Expression) -> str | None:
        return references.get(node.name) if isinstance(node, Symbol) else None

    return Formula(compose(trace(layer).equations[name], Composer(reference=reference)), **options)


def number(value: float) -> str:
    return f"{value:.4f}".replace("-", "−")


def _worked(
    left: Box,
    factors: list[tuple[Box, float, float]],
    why: Say,
    quantity: str,
    index: tuple[int, ...],
) -> Worked:
    """A sum of products, the printed products of which add up to the printed total."""
    rows = tuple((what, (number(a), number(b)), number(round(a, 4) * round(b, 4))) for what, a, b in factors)
    total = sum(float(product.replace("−", "-")) for _, _, product in rows)
    symbols = row(Sign("∑"), letter("w", "5", "k,8"), letter("δ", "6", "k"))
    numbers: list[Box] = []
    for _, (a, b), _ in rows[:3]:
        numbers += [Sign("+")] if numbers else []
        numbers += [row(*(Fence(Numeral(f)) if f[0] == "−" else Numeral(f) for f in (a, b)))]
    dots = [Sign("+"), Sign("⋯")] if len(rows) > 3 else []
    numbers_box = row(*numbers, *dots, binds=SUM)
    return Worked(
        left,
        symbols,
        numbers_box,
        number(total),
        False,
        rows,
        number(total),
        why,
        quantity,
        index,
    )


def _forward_conv() -> Card:
    references = {"x": "input", "W": "conv1.W", "b": "conv1.b"}
    terms = [
        (letter("w", "2", f"{m},{k}"), float(n.W1[0, 0, m, k]), float(n.x[3 + m, 4 + k, 0, 0]))
        for m in range(2)
        for k in range(2)
    ]
    marks = (Mark(3, 4, "worked", "z(3,4)"),)
    return Card(
        "F2",
        Say("Convolution forward", "卷积的前向"),
        "l = 2  Conv2D(3, 5)  (12, 12, 1) → (8, 8, 3)",
        "conv1",
        (
            Paragraph(
                Say(
                    "The kernel slides over the image; every position reads a window of 5 × 5 pixels.",
                    "卷积核在图像上滑动，每个位置读取一个 5 × 5 的窗口。",
                )
            ),
            _formula(Conv2D(3, 5), "forward", references, tag="Tutorial conv", id="f2-forward"),
            Formula(row(Fence(phrase("3×25")), Sign("·"), Fence(phrase("25×64m"))), "shape"),
            _worked(
                letter("z", "2", "3,4"),
                terms,
                Say("the largest |z|", "最大的 |z|"),
                "conv1",
                (3, 4, 0, 0),
            ),
            Maps(
                letter("X", "1"),
                Say("The image", "输入图像"),
                (Panel("c = 0", n.x[:, :, 0, 0], index=(0, 0)),),
                1.0,
                quantity="input",
                id="f2-x",
            ),
            Maps(
                letter("W", "2"),
                Say("Kernels", "卷积核"),
                tuple(Panel(f"k = {k}", n.W1[k, 0], index=(k, 0)) for k in range(3)),
                float(abs(n.W1).max()),
                quantity="conv1.W",
                axes=(2, 3),
                id="f2-w",
            ),
            Maps(
                letter("z", "2"),
                Say("Feature maps", "特征图"),
                tuple(Panel(f"k = {k}", n.z1[:, :, k, 0], marks if k == 0 else (), (k, 0)) for k in range(3)),
                float(abs(n.z1).max()),
                quantity="conv1",
                left_out=13,
                id="f2-z",
            ),
        ),
        "Tutorial conv",
        id="card-F2",
    )


def _forward_relu() -> Card:
    z = np.linspace(-2, 2, 81)
    counts, edges = np.histogram(n.z1[..., 0], bins=24, range=(-2, 2))
    return Card(
        "F3",
        Say("Activation", "激活函数"),
        "l = 3  ReLU  (8, 8, 3)",
        "relu1",
        (
            _formula(ReLU(), "forward", {"z": "conv1"}),
            Curve(
                Say("f, f′ and where the z of this layer lie", "f、f′ 以及这一层的 z 的分布"),
                z,
                np.maximum(z, 0),
                (z > 0).astype(float),
                edges,
                counts.astype(float),
                (("z(3,4)", float(n.z1[3, 4, 0, 0])), ("dead", -0.4)),
                id="f3-curve",
            ),
        ),
        id="card-F3",
    )


def _loss() -> Card:
    left, y = letter("δ", "6", reference="delta:dense1"), letter("y", reference="y")
    rows = tuple((str(k), number(n.a2[k, 0]), f"{n.y[k, 0]:.0f}", number(n.d2[k, 0])) for k in range(10))
    return Card(
        "L",
        Say("Loss and residual", "损失与残差"),
        "cross-entropy with softmax",
        "softmax1",
        (
            Formula(
                row(left, Sign("="), letter("a", "L"), Sign("−"), y),
                "boxed",
                "Ning Yu",
                Say("a − y", "a − y"),
            ),
            Table(
                ("k", "a", "y", letter("δ", "6", "k")),
                rows,
                (0, 1, 2, 3),
                Say("Sample 0", "样本 0"),
                id="ay",
            ),
            Bars(
                letter("δ", "6"),
                Say("Residuals of the last layer", "最后一层的残差"),
                tuple(str(k) for k in range(10)),
                n.d2,
                ("sample 0", "sample 1"),
                2,
                "delta:dense1",
                id="bars",
            ),
        ),
        "Ning Yu",
        id="card-L",
    )


def _backward_dense() -> Card:
    references = {"d": "delta:dense1", "x": "flatten1", "W": "dense1.W", "b": "dense1.b"}
    terms = [(letter("W", "5", f"{k},8"), float(n.W2[k, 8]), float(n.d2[k, 0])) for k in range(10)]
    return Card(
        "B5",
        Say("Dense backward", "全连接层的反向"),
        "l = 5  Dense(10)  48 → 10",
        "dense1",
        (
            _formula(
                Dense(10),
                "delta",
                references,
                tag="Tutorial FC ③",
                note=Say("W is transposed", "W 要转置"),
            ),
            Formula(row(Fence(phrase("48×10")), Sign("·"), Fence(phrase("10×m"))), "shape"),
            _worked(
                letter("δ", "4", "8"),
                terms,
                Say("largest |δ|", "最大的 |δ|"),
                "delta:flatten1",
                (8, 0),
            ),
            _formula(Dense(10), "W", references, reading="sized", tag="Tutorial FC ①"),
            _formula(Dense(10), "b", references, tag="Tutorial FC ②"),
            Matrix(
                letter("∂W", "5"),
                np.block([[n.dW2[:3, :3], n.dW2[:3, -3:]], [n.dW2[-3:, :3], n.dW2[-3:, -3:]]]),
                (10, 48),
                3,
                3,
                (
                    float(n.dW2.min()),
                    float(n.dW2.max()),
                    float(n.dW2.mean()),
                    float(np.linalg.norm(n.dW2)),
                ),
                "gradient:dense1.W",
                id="b5-dw",
            ),
            Matrix(letter("δ", "6"), n.d2[:4], (4, 2), quantity="delta:dense1"),
            Maps(
                letter("W", "5"),
                Say("The whole matrix", "整个矩阵"),
                (Panel("", np.kron(n.W2, np.ones((3, 3)))),),
                float(abs(n.W2).max()),
                quantity="dense1.W",
                id="b5-w",
            ),
        ),
        "Tutorial FC ①②③",
        id="card-B5",
    )


def _backward_pool() -> Card:
    rows, columns = np.nonzero(n.da1[:, :, 0, 0])
    marks = tuple(Mark(int(i), int(j), "winner", "1×") for i, j in zip(rows, columns, strict=True))
    kinds = (Mark(0, 0, "tie", "2"), Mark(0, 1, "overlap", "×4"), Mark(1, 0, "dead", "0"))
    return Card(
        "B4",
        Say("Pooling backward", "池化层的反向"),
        "l = 4  MaxPool2D(2)  (8, 8, 3) → (4, 4, 3)",
        "pool1",
        (
            _formula(MaxPool2D(2), "delta", {"d": "delta:pool1", "x": "relu1"}, tag="Tutorial pooling"),
            Maps(
                letter("δ", "3"),
                Say("δ goes to the winners", "δ 只传给最大值所在的位置"),
                (
                    Panel("k = 0", n.da1[:, :, 0, 0], (*marks, *kinds), (0, 0)),
                    Panel("k = 1", n.da1[:, :, 1, 0], (), (1, 0)),
                ),
                float(abs(n.da1).max()),
                quantity="delta:relu1",
                id="b4-d",
            ),
        ),
        "Tutorial pooling",
        folded=True,
        id="card-B4",
    )


def _update() -> Card:
    eta = row(letter("W"), Sign("←"), letter("W"), Sign("−"), tight(letter("η"), letter("∂W")))
    code = "for name, gradient in gradients.items():\n    theta[name] -= 0.1 * gradient  # η < 1 & small\n"
    note = Say("J falls from 2.40 to 2.21.", "J 从 2.40 降到 2.21。")
    return Card(
        "U",
        Say("Update", "更新"),
        "η = 0.1",
        "",
        (Formula(eta), Code(code), Paragraph(note, True)),
        id="card-U",
    )


def forward_cards() -> tuple[Block, ...]:
    return (_forward_conv(), _forward_relu())


def loss_cards() -> tuple[Block, ...]:
    return (_loss(),)


def backward_cards() -> tuple[Block, ...]:
    return (_backward_dense(), _backward_pool())


def update_cards() -> tuple[Block, ...]:
    return (_update(),)
