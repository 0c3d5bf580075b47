"""What the doctor says of a case, in English and Chinese: what is wrong, why it thinks so (the numbers), what
to do.

Keyed by the rule, and by "rule.text" where a case names a text of its own; the fields are the case's numbers.
A key "rule.text" may leave out sentences: then the rule's own stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.base.languages import Say
from chainrule.base.numbers import equals, short

SENTENCES: dict[str, dict[str, Say]] = {
    "non_finite": {
        "what": Say("{what} of `{layer}` is not finite.", "`{layer}` 的 {what} 不是有限数。"),
        "why": Say(
            "{nan} entries are NaN, {inf} overflow in {dtype}; everything computed from them is lost.",
            "{nan} 个元素为 NaN，{inf} 个在 {dtype} 中溢出；由它们算出的一切都失去意义。",
        ),
        "cure": Say(
            "Start again with a smaller learning rate or `clip_norm=1.0`, and check the scale of X and of "
            "the first "
            "weights.",
            "用更小的学习率或 `clip_norm=1.0` 重新开始，并检查 X 与初始权重的尺度。",
        ),
    },
    "non_finite.value": {
        "what": Say("`{layer}` has entries that are not finite.", "`{layer}` 中有非有限数。"),
        "why": Say(
            "{nan} of its entries are NaN, {inf} are infinite; everything computed from them is lost.",
            "其中 {nan} 个元素为 NaN，{inf} 个为无穷；由它们算出的一切都失去意义。",
        ),
        "cure": Say(
            "These numbers cannot be mended by training: start again, with a smaller learning rate or "
            "`clip_norm=1.0`.",
            "训练无法修复这些数：请重新开始，用更小的学习率或 `clip_norm=1.0`。",
        ),
    },
    "non_finite.output": {
        "what": Say("The output of `{layer}` is not finite.", "`{layer}` 的输出不是有限数。"),
    },
    "exploding": {
        "what": Say("δ explodes at `{layer}`.", "δ 在 `{layer}` 处爆炸。"),
        "why": Say(
            "From `{layer}` down to `{below}` it grows {gain} times, to {total} times what it was at the "
            "output.",
            "从 `{layer}` 传到 `{below}` 时 δ 变为 {gain} 倍，达到输出处的 {total} 倍。",
        ),
        "cure": Say(
            "Start with smaller weights (leave `initializer` out: He or Glorot), clip (`clip_norm=1.0`), or "
            "lower the "
            "learning rate.",
            "用更小的初始权重（不写 `initializer`，即 He 或 Glorot）、梯度裁剪（`clip_norm=1.0`）或降低学习"
            "率。",
        ),
    },
    "exploding.in_time": {
        "what": Say("δ explodes through time in `{layer}`.", "δ 在 `{layer}` 中沿时间爆炸。"),
        "why": Say(
            "Over {steps} steps back it grows {total} times: `U` stretches it at every step.",
            "向后经过 {steps} 步，δ 变为 {total} 倍：`U` 每一步都将它放大。",
        ),
        "cure": Say(
            "Clip (`clip_norm=1.0`), start U as `Orthogonal`, or use `LSTM` or `GRU`.",
            "梯度裁剪（`clip_norm=1.0`），U 用 `Orthogonal` 初始化，或改用 `LSTM`、`GRU`。",
        ),
    },
    "vanishing_by_activations": {
        "what": Say(
            "δ vanishes on the way from `{top}` to `{layer}`.", "δ 从 `{top}` 到 `{layer}` 的途中消失。"
        ),
        "why": Say(
            "Only {total} of it arrives; {share:%} of the decline (in log10) is due to the factors f′, whose "
            "median ρ_f′ is {slope}: "
            "the z are so far off centre that f is flat.",
            "只有 {total} 到达，衰减（按 log10）的 {share:%} 来自因子 f′，其 ρ_f′ 的中位数为 {slope}：z 偏"
            "离中心太远，f 几乎是平的。",
        ),
        "cure": Say(
            "Start with smaller weights, scale the inputs, put `BatchNorm()` in front of the activations, "
            "or use `ReLU()`.",
            "用更小的初始权重、缩放输入、在激活前加 `BatchNorm()`，或改用 `ReLU()`。",
        ),
    },
    "vanishing_by_activations.bounded": {
        "why": Say(
            "Only {total} of it arrives; {share:%} of the decline (in log10) is due to the factors f′, whose "
            "median ρ_f′ is {slope}. "
            "A sigmoid's f′ is never above 1/4: every layer takes its factor.",
            "只有 {total} 到达，衰减（按 log10）的 {share:%} 来自因子 f′，其 ρ_f′ 的中位数为 {slope}。"
            "sigmoid 的 f′ 不超过 1/4：每一层都乘一次。",
        ),
        "cure": Say(
            "Use `ReLU()` or `Tanh()` in the hidden layers, fewer layers, or `Residual` around them.",
            "隐藏层改用 `ReLU()` 或 `Tanh()`，减少层数，或用 `Residual` 包住它们。",
        ),
    },
    "vanishing_by_weights": {
        "what": Say(
            "δ vanishes on the way from `{top}` to `{layer}`.", "δ 从 `{top}` 到 `{layer}` 的途中消失。"
        ),
        "why": Say(
            "Only {total} of it arrives; the median ρ_W is {weights}. The smallest weights: `{weight}` has "
            "the standard "
            "deviation {std}, and would start with {suited}.",
            "只有 {total} 到达；ρ_W 的中位数为 {weights}。最小的权重：`{weight}` 的标准差为 {std}，合适的初"
            "始值为 {suited}。",
        ),
        "cure": Say(
            "Start with larger weights: leave `initializer` out (He or Glorot), or take a smaller penalty.",
            "用更大的初始权重：不写 `initializer`（He 或 Glorot），或减小惩罚。",
        ),
    },
    "vanishing_in_time": {
        "what": Say("δ vanishes through time in `{layer}`.", "δ 在 `{layer}` 中沿时间消失。"),
        "why": Say(
            "Over {steps} steps back {total} of it is left: what happened early in a sequence is not "
            "learned.",
            "向后经过 {steps} 步只剩 {total}：序列早期的内容学不到。",
        ),
        "cure": Say(
            "Use `LSTM` or `GRU`, start U as `Orthogonal`, or shorten the sequences.",
            "改用 `LSTM` 或 `GRU`，U 用 `Orthogonal` 初始化，或缩短序列。",
        ),
    },
    "symmetry": {
        "what": Say(
            "Units of `{layer}` are the same and stay the same.", "`{layer}` 中有相同的单元，而且会一直相同。"
        ),
        "why": Say(
            "In `{parameter}`, {equal} of {of} units share both their weights and their gradient with "
            "another one; all that have such units: {parameters}.",
            "`{parameter}` 的 {of} 个单元中有 {equal} 个与另一个单元的权重和梯度都相同；"
            "有此类单元的参数：{parameters}。",
        ),
        "cure": Say(
            "Weights must start at random: leave `initializer` out. `Zeros()` and `Constant()` are for "
            "biases.",
            "权重必须随机初始化：不写 `initializer`。`Zeros()` 和 `Constant()` 只用于偏置。",
        ),
    },
    "unlearnable": {
        "what": Say("{parameters} cannot learn: no δ arrives.", "{parameters} 无法学习：没有 δ 到达。"),
        "why": Say(
            "The gradient is exactly 0 on every sample; δ ends at `{blocking}`.",
            "在所有样本上梯度恰为 0；δ 止于 `{blocking}`。",
        ),
        "cure": Say(
            "Look at `{blocking}`: weights that are all 0, or an activation with f′ = 0 everywhere (dead "
            "ReLU units).",
            "检查 `{blocking}`：权重全为 0，或激活处处 f′ = 0（死亡的 ReLU 单元）。",
        ),
    },
    "unlearnable.weights": {
        "cure": Say(
            "Look at the weights of `{blocking}`: if they all start as 0, leave `initializer` out (He or "
            "Glorot).",
            "检查 `{blocking}` 的权重：若全部以 0 开始，就不写 `initializer`（He 或 Glorot）。",
        ),
    },
    "unlearnable.activation": {
        "cure": Say(
            "`{blocking}` has f′ = 0 at every sample: look at the biases and the scale of what goes in, "
            "start again with a smaller learning rate, or use `LeakyReLU()`.",
            "`{blocking}` 在所有样本上 f′ = 0：检查偏置和输入的尺度，"
            "用更小的学习率重新开始，或改用 `LeakyReLU()`。",
        ),
    },
    "unlearnable.no_input": {
        "what": Say("{parameters} cannot learn: the input is 0.", "{parameters} 无法学习：输入为 0。"),
        "why": Say(
            "δ arrives at `{layer}`, but what the layer reads is 0 at every sample, so the gradient δ xᵀ "
            "is exactly 0.",
            "δ 到达了 `{layer}`，但它读到的输入在所有样本上都是 0，梯度 δ xᵀ 恰为 0。",
        ),
        "cure": Say(
            "Look at the layers in front of `{layer}`, and at X: something there is 0 always.",
            "检查 `{layer}` 前面的层以及 X：其中某处恒为 0。",
        ),
    },
    "dead_units": {
        "what": Say(
            "{units} of {of} units are dead, in {layers}.", "{layers} 的 {of} 个单元中有 {units} 个死亡。"
        ),
        "why": Say(
            "They are inactive (f′ = 0) on all of {samples} samples: no δ passes them, and they do not "
            "come back.",
            "它们在全部 {samples} 个样本上都不激活（f′ = 0）：δ 无法通过，也无法恢复。",
        ),
        "cure": Say(
            "Start again with a smaller learning rate; `LeakyReLU()` or `ELU()` cannot die; scale the "
            "inputs.",
            "用更小的学习率重新开始；`LeakyReLU()`、`ELU()` 不会死亡；缩放输入。",
        ),
    },
    "dead_units.few": {
        "what": Say(
            "{units} of {of} units are inactive in this batch, in {layers}.",
            "{layers} 的 {of} 个单元中有 {units} 个在这个批量中不激活。",
        ),
        "why": Say(
            "f′ = 0 on all of {samples} samples; units for which that is so on 1 000 samples are dead.",
            "在全部 {samples} 个样本上 f′ = 0；若在 1 000 个样本上都如此，就是死亡单元。",
        ),
        "cure": Say(
            "Look at more samples: `cr.diagnose(network, X, y)`.",
            "用更多样本检查：`cr.diagnose(network, X, y)`。",
        ),
    },
    "dead_units.drifted": {
        "why": Say(
            "They are inactive (f′ = 0) on all of {samples} samples: the biases in front are "
            "{bias} on average.",
            "它们在全部 {samples} 个样本上都不激活（f′ = 0）：前面的偏置平均为 {bias}。",
        ),
    },
    "saturated": {
        "what": Say("`{layer}` is saturated.", "`{layer}` 已饱和。"),
        "why": Say(
            "{share:%} of its entries lie where f′ is below {limit}; what goes in has the RMS {rms}. Layers "
            "of which most entries do: {layers}.",
            "{share:%} 的元素 f′ 小于 {limit}；输入的均方根为 {rms}。多数元素如此的层：{layers}。",
        ),
        "cure": Say(
            "Start with smaller weights, scale the inputs, lower the learning rate, or put `BatchNorm()` "
            "in front.",
            "用更小的初始权重、缩放输入、降低学习率，或在前面加 `BatchNorm()`。",
        ),
    },
    "step_too_large": {
        "what": Say("The steps are large.", "步长偏大。"),
        "why": Say(
            "A step of {optimizer} (η {rate:=}) moves `{parameter}` by {ratio} of its norm; about 0.001 is "
            "usual.",
            "{optimizer}（η {rate:=}）的一步使 `{parameter}` 移动其范数的 {ratio}；通常约为 0.001。",
        ),
        "cure": Say(
            "Divide the learning rate by 3 to 10, or warm it up.",
            "把学习率减小到 1/3 至 1/10，或使用预热。",
        ),
    },
    "step_too_large.rises": {
        "what": Say("The steps are too large.", "步长太大。"),
        "why": Say(
            "A step of {optimizer} (η {rate:=}) raises J on the very batch from {before} to {after}; it "
            "moves `{parameter}` "
            "by {ratio} of its norm.",
            "{optimizer}（η {rate:=}）的一步使同一批数据上的 J 从 {before} 升到 {after}；`{parameter}` 移动"
            "了其范数的 {ratio}。",
        ),
    },
    "step_too_small": {
        "what": Say("The steps are too small.", "步长太小。"),
        "why": Say(
            "A step of {optimizer} (η {rate:=}) moves weights by {ratio} of their norm (median; about 0.001 "
            "is usual) and "
            "lowers J by {gained} of itself.",
            "{optimizer}（η {rate:=}）的一步使权重移动其范数的 {ratio}（中位数；通常约为 0.001），J 只降低"
            "其自身的 {gained}。",
        ),
        "cure": Say("Multiply the learning rate by 10 and look again.", "把学习率乘以 10 再看。"),
    },
    "no_progress": {
        "what": Say("Training makes no progress.", "训练没有进展。"),
        "why": Say(
            "After {epochs} epochs the loss is {last}, in the first it was {first}; the best constant "
            "output has {constant}.",
            "{epochs} 轮之后损失为 {last}，第一轮为 {first}；最好的常数输出的损失为 {constant}。",
        ),
        "cure": Say(
            "Try the learning rate times 10 and divided by 10; check that rows of X and y belong together; "
            "try to fit 20 "
            "samples alone first.",
            "把学习率分别乘以和除以 10 试试；检查 X 与 y 的行是否对应；先试着只拟合 20 个样本。",
        ),
    },
    "penalty_dominates": {
        "what": Say("The penalty outweighs the data.", "惩罚项压过了数据项。"),
        "why": Say(
            "‖∂penalty‖ {penalty:=} against ‖∂data‖ {data:=}: {share} times as much.",
            "‖∂惩罚‖ {penalty:=}，‖∂数据‖ {data:=}：前者是后者的 {share} 倍。",
        ),
        "cure": Say(
            "Train without the penalty first, then raise λ while the validation loss falls. λ divided by m "
            "is "
            "`per_sample=True`.",
            "先不加惩罚训练，再在验证损失下降时逐步增大 λ。λ 除以 m 请写 `per_sample=True`。",
        ),
    },
    "loss_at_start": {
        "what": Say("The network does worse than guessing.", "网络比瞎猜还差。"),
        "why": Say(
            "Its loss is {data}; outputs that are all the same would have {start}. The z in front of the "
            "output have the "
            "RMS {rms}.",
            "损失为 {data}；所有输出都相同时为 {start}。输出层之前 z 的均方根为 {rms}。",
        ),
        "cure": Say(
            "Before training: start the last layer with smaller weights and scale the inputs. After it: "
            "check the labels, "
            "and lower the learning rate.",
            "训练之前：减小最后一层的初始权重，并缩放输入。训练之后：检查标签，并降低学习率。",
        ),
    },
    "inputs_not_scaled": {
        "what": Say("{what} is not scaled.", "{what} 没有缩放。"),
        "why": Say(
            "Its RMS is {rms} (mean {mean}, deviation {std}); initial weights and usual rates expect about "
            "1.",
            "均方根为 {rms}（均值 {mean}，标准差 {std}）；初始权重和常用学习率都假定约为 1。",
        ),
        "cure": Say(
            "Subtract the mean and divide by the deviation: `chainrule.data.Standardizer.learn(X)`; pixels "
            "as uint8.",
            "减去均值再除以标准差：`chainrule.data.Standardizer.learn(X)`；像素用 uint8。",
        ),
    },
    "inputs_not_scaled.spread": {
        "what": Say("The features of {what} have different scales.", "{what} 各特征的尺度不同。"),
        "why": Say(
            "Feature {feature} has the RMS {rms}, {spread} times the median {median}: it alone decides z "
            "and the rate.",
            "第 {feature} 个特征的均方根为 {rms}，是中位数 {median} 的 {spread} 倍：z 和学习率都由它决定。",
        ),
    },
    "inputs_not_scaled.offset": {
        "what": Say("The features of {what} are off centre.", "{what} 的特征偏离中心。"),
        "why": Say(
            "Their mean is {offset} times their deviation (median over the features): all samples look "
            "alike to a unit.",
            "均值是标准差的 {offset} 倍（各特征的中位数）：在单元看来所有样本都差不多。",
        ),
    },
    "noisy": {
        "what": Say("The gradient is mostly noise.", "梯度大部分是噪声。"),
        "why": Say(
            "‖mean‖² is {snr} of the variance between batches (samples in each: {batch}).",
            "‖均值‖² 只有各批（每批样本数 {batch}）之间方差的 {snr}。",
        ),
        "cure": Say(
            "Take a larger batch, or a smaller rate at the end of training.",
            "用更大的批量，或在训练后期用更小的学习率。",
        ),
    },
    "noisy.none": {
        "why": Say(
            "The mean of the gradients cannot be told from 0: what the batches (samples in each: {batch}) "
            "have in common is not above what their differences alone would give.",
            "梯度的均值与 0 无法区分：各批（每批样本数 {batch}）的共同部分不超过仅由差异就会产生的大小。",
        ),
    },
}


def sentence(rule: str, part: str, case: Mapping[str, Any]) -> Say:
    """One of "what", "why" and "cure" of a case, its numbers filled in."""
    special = SENTENCES.get(f"{rule}.{case['text']}", {}) if case.get("text") else {}
    template = special.get(part) or SENTENCES[rule][part]
    shown = {name: _Shown(value) for name, value in case.items()}
    return Say(template.en.format_map(shown), template.zh.format_map(shown))


class _Shown:
    """A value of a case in a template: numbers with three digits, with ":%" as percent, with ":=" behind = or
    ≈.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __format__(self, form: str) -> str:
        if form == "%":
            return f"{100 * self.value:.0f} %"
        if form == "=":
            return equals(self.value, 3)
        if isinstance(self.value, float):
            return short(self.value, 3)
        return str(self.value)
