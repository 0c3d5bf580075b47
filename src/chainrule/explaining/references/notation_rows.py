"""The rows of the notation table: quantities and formulas of a network, which every notation can write."""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.base.languages import Say, say_json
from chainrule.explaining.facts.equations import (
    SAMPLE_WEIGHT,
    activation,
    dense,
    equation_json,
    recursion,
    residual,
)
from chainrule.explaining.facts.penalised import data_gradient, with_penalty
from chainrule.explaining.references.features import features_of
from chainrule.explaining.references.slips import concerns
from chainrule.explaining.schema import LetterRow, NotationTable
from chainrule.formulas import Equation, Expression, Symbol
from chainrule.formulas.exchange import pack
from chainrule.losses import Loss, loss_for
from chainrule.losses.penalties import Penalty
from chainrule.networks.network import Network

# Meaning, the symbol, and the networks it concerns, as in slip_table.py.
_LETTERS: tuple[tuple[Say, Symbol, tuple[str, ...]], ...] = (
    (Say("input of a layer", "层的输入"), Symbol("x", "input"), ("any",)),
    (Say("the same, with positions", "层的输入（带位置）"), Symbol("X", "image", "image"), ("image",)),
    (Say("weights", "权重"), Symbol("W", "parameter W"), ("dense", "conv")),
    (Say("bias", "偏置"), Symbol("b", "parameter b"), ("bias",)),
    (Say("pre-activation", "带权输入"), Symbol("z", "preactivation"), ("dense", "conv")),
    (Say("output of an activation", "激活值"), Symbol("a", "activation"), ("activation", "softmax")),
    (
        Say("residual (error term), ∂J/∂z", "残差（误差项）∂J/∂z"),
        Symbol("dz", "gradient of preactivation"),
        ("dense", "conv"),
    ),
    (
        Say("residual one layer down", "下一层（靠近输入）的残差"),
        Symbol("dz below", "gradient of preactivation below"),
        ("hidden",),
    ),
    (
        Say("derivative of the activation", "激活函数的导数"),
        Symbol("f'", "slope of preactivation"),
        ("activation",),
    ),
    (Say("prediction", "预测值"), Symbol("a", "prediction"), ("any",)),
    (Say("target", "目标值"), Symbol("y", "target"), ("any",)),
    (Say("cost (loss)", "代价（损失）"), Symbol("J", "loss", "scalar"), ("any",)),
    (
        Say("the same without the penalty", "不含惩罚项的代价"),
        Symbol("J data", "data loss", "scalar"),
        ("penalty",),
    ),
    (Say("size of the batch", "批量的样本数"), Symbol("m", "batch size", "scalar"), ("any",)),
    (
        Say("size of the training set", "训练集的样本数"),
        Symbol("m", "training size", "scalar"),
        ("per sample",),
    ),
    (
        Say("weights of the samples, their mean 1", "样本的权重，均值为 1"),
        SAMPLE_WEIGHT,
        ("sample weights",),
    ),
)  # fmt: skip


def notation_rows(
    network: Network, loss: Loss | None = None, penalty: Penalty | None = None, weighted: bool = False
) -> NotationTable:
    """Trees, which are laid out in any notation.  weighted: whether samples have weights."""
    features = features_of(network, loss or loss_for(network.layers[-1]), penalty)
    features |= {"sample weights"} if weighted else set()
    letters: list[LetterRow] = []
    for meaning, symbol, when in _LETTERS:
        if concerns(when, features):
            nodes, (root,) = pack([symbol])
            letters.append({"meaning": say_json(meaning), "nodes": nodes, "root": root})
    return {"letters": letters, "formulas": [equation_json(one) for one in _formulas(features, penalty)]}


def _formulas(features: frozenset[str], penalty: Penalty | None) -> Iterator[Equation]:
    """What the same step looks like in every notation: forward, δ, δ handed down, ∂W, ∂b."""
    if "dense" not in features:
        return
    yield dense("forward")
    if "activation" in features:
        yield activation()
    yield residual()
    if "hidden" in features:
        yield recursion()
    if penalty is None:
        yield dense("W")
    else:
        yield data_gradient(dense("W"))
        yield with_penalty(penalty)
    if "bias" in features:
        yield dense("b")


def symbols_in_order(tree: Expression) -> tuple[Symbol, ...]:
    """The symbols of a tree, each once, in the order in which they are read."""
    found: dict[Symbol, None] = {}
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, Symbol):
            found[node] = None
        stack.extend(reversed(node.children))
    return tuple(found)
