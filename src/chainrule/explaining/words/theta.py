"""What is said in the form z = Θ a of seed 002 where the texts of W and b say it otherwise."""

from __future__ import annotations

from typing import Any

from chainrule.base.languages import Say
from chainrule.explaining.words.derivations import WHY

Json = dict[str, Any]
_FORWARD = Say(
    "Every unit adds up all inputs, each times its weight; its bias is the weight Θ_i0 of the input a₀, "
    "which is always 1.",
    "每个单元把所有输入乘以各自的权重后相加；偏置就是恒为 1 的输入 a₀ 的权重 Θ_i0。",
)
_FORWARD_UNBIASED = Say(
    "Every unit adds up all inputs, each times its weight. The layer has no bias, so there is no a₀ and no "
    "column 0.",
    "每个单元把所有输入乘以各自的权重后相加。这一层没有偏置，因此没有 a₀，也没有第 0 列。",
)
_DELTA = Say(
    "Chain rule: input j reaches J only through the units of this layer, so its derivative is the sum over "
    "them of Θ_ij times ∂J/∂z_i: a column of Θ, hence the transpose. Column 0 is left out: a₀ = 1 "
    "depends on nothing, and nothing flows back into it.",
    "链式法则：第 j 个输入只通过本层的各单元影响 J，所以它的导数是各单元 Θ_ij·∂J/∂z_i 之和，用到的是 Θ 的一"
    "列，因此出现转置。第 0 列不参与：a₀ = 1 不依赖任何量，没有误差传回给它。",
)
_DELTA_UNBIASED = Say(
    "Chain rule: input j reaches J only through the units of this layer, so its derivative is the sum over "
    "them of Θ_ij times ∂J/∂z_i: a column of Θ, hence the transpose.",
    "链式法则：第 j 个输入只通过本层的各单元影响 J，所以它的导数是各单元 Θ_ij·∂J/∂z_i 之和，用到的是 Θ 的一"
    "列，因此出现转置。",
)
_SAMPLES = Say(
    " D is the mean of Δ over the batch. ∂J/∂z has the samples as columns, with 1/m (and the weight of the "
    "sample, if it has one) in it, so one product adds them all up: a term of the sum below is what one "
    "sample's Δ_ij contributes to the mean.",
    "D 是 Δ 对整批的平均。∂J/∂z 的每一列是一个样本，1/m（以及样本的权重，若有）已在其中，所以一次乘积就把它们"
    "全部相加：下面和式中的每一项就是一个样本的 Δ_ij 在平均中的份额。",
)
_ONE_SAMPLE = Say(
    "Θ_ij meets J only in z_i, where it stands before a_j: for one sample b its derivative is "
    "Δ_ij = ∂J_b/∂z_i · a_j",
    "Θ_ij 只出现在 z_i 中，与 a_j 相乘：对单个样本 b，导数为 Δ_ij = ∂J_b/∂z_i · a_j",
)
DATA = (
    _ONE_SAMPLE
    + Say(
        ", and for the bias, j = 0, it is ∂J_b/∂z_i itself, since a₀ = 1.",
        "；对偏置（j = 0）就是 ∂J_b/∂z_i 本身，因为 a₀ = 1。",
    )
    + _SAMPLES
)
DATA_UNBIASED = _ONE_SAMPLE + Say(".", "。") + _SAMPLES
TOTAL = Say(
    "The penalty adds its own derivative to every column but column 0: the bias is not penalised.",
    "惩罚项把自己的导数加到第 0 列以外的各列上：偏置不受惩罚。",
)
TOTAL_UNBIASED = Say(
    "The penalty adds its own derivative to every column: the layer has no bias.",
    "惩罚项把自己的导数加到每一列上：这一层没有偏置。",
)
OF_BIAS = Say(
    "the entry of column 0, the bias, that is largest in magnitude", "第 0 列（偏置）中绝对值最大的元素"
)
NO_PENALTY = Say("There is no penalty: D is the whole gradient.", "没有惩罚项：D 就是全部的梯度。")
INDICES = Say(
    "Units count from 1, a₀ = 1 is the bias unit; samples, positions, steps and kernel offsets count from 0.",
    "单元从 1 计数，a₀ = 1 是偏置单元；样本、位置、时间步与卷积核内的偏移从 0 计数。",
)
FORM = Say(
    "A dense layer is written with one matrix Θ = [b, W] of S_(l+1) × (S_l + 1): column 0 is the bias, and a "
    "has a₀ = 1 in front.",
    "全连接层写成一个矩阵 Θ = [b, W]，大小为 S_(l+1) × (S_l + 1)：第 0 列是偏置，a 的最前面是 a₀ = 1。",
)
UNBIASED = Say(
    "{} has no bias: there Θ has no column 0, and there is no a₀.",
    "{} 没有偏置：那里的 Θ 没有第 0 列，也没有 a₀。",
)
BEYOND = Say(
    "{} lies beyond that text, which has dense layers on vectors only: its parameters keep their letters.",
    "{} 超出该文的范围（该文只有作用于向量的全连接层）：参数保留原来的字母。",
)


def said(why: Json, bias: bool) -> Json:
    """A text of a dense layer in this form."""
    pairs = (
        (Say("∂J/∂W", "∂J/∂W"), Say("∂J/∂Θ", "∂J/∂Θ")),
        (WHY["dense", "forward"], _FORWARD if bias else _FORWARD_UNBIASED),
        (WHY["dense", "delta"], _DELTA if bias else _DELTA_UNBIASED),
    )
    en, zh = why["en"], why["zh"]
    for old, new in pairs:
        en, zh = en.replace(old.en, new.en), zh.replace(old.zh, new.zh)
    return {"en": en, "zh": zh}


# Conventions whose choice is another one here: (its text, its source, code that asks for it).
_CONVENTIONS: dict[str, tuple[Say, str, str]] = {
    "weights": (
        Say(
            "Θ is (outputs, 1 + inputs): Θ_ij leads from unit j to unit i, and z = Θ a.",
            "Θ 的形状为（输出，1 + 输入）：Θ_ij 从单元 j 指向单元 i，z = Θ a。",
        ),
        "S2",
        "",
    ),
    "bias": (
        Say(
            "Column 0 of Θ = [b, W], beside a constant input a₀ = 1.",
            "Θ = [b, W] 的第 0 列，对应恒为 1 的输入 a₀。",
        ),
        "S2",
        "`network.theta()`",
    ),
    "input origin": (INDICES, "S2", ""),
    "engine": (
        Say(
            "All samples of the batch at once: z and a become matrices, J a mean; Θ stays as it is.",
            "批量中的样本一次算完：z、a 变成矩阵，J 取平均；Θ 不变。",
        ),
        "S4",
        "",
    ),
}
# What is done here otherwise is done elsewhere: these list it, without the choices that are the one in force.
_ELSEWHERE = ("weights", "bias", "input origin")


def convention(one: Json) -> Json:
    """A convention (explaining/references/conventions.py) with the choice that is in force in this form."""
    if one["id"] not in _CONVENTIONS:
        return one
    text, source, write = _CONVENTIONS[one["id"]]
    others = one["others"]
    if one["id"] in _ELSEWHERE:
        others = [one["choice"], *(other for other in others if source not in other["source"])]
    choice = {"text": {"en": text.en, "zh": text.zh}, "source": source, "write": write}
    return {**one, "choice": choice, "others": others}
