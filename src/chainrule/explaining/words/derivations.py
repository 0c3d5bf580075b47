"""What is said beside a formula: where it stands in the seeds, and why it is so, in one sentence.

Keyed by a layer's family (the nearest that has an entry) and the part of its derivation: "forward",
"delta", or a parameter.  What has no entry lies beyond the seeds and gets the sentence of its part.
"""

from __future__ import annotations

from chainrule.base.languages import Say
from chainrule.layers import Layer

# Where the seeds derive it: S0 = seed 000, ..., S4 = seed 004.
REFERENCES: dict[tuple[str, str], str] = {
    ("dense", "forward"): "S0 FC · S1 · S2 1.1 · S4 §3",
    ("dense", "delta"): "S0 FC ③ · S1 · S2 2.5.8 · S4 §5",
    ("dense", "W"): "S0 FC ① · S1 · S2 2.2.8 · S4 §6",
    ("dense", "b"): "S0 FC ② · S1 · S2 3.1.3 · S4 §6",
    ("conv", "forward"): "S0 conv · S3",
    ("conv", "delta"): "S0 conv ①",
    ("conv", "W"): "S0 conv ② · S3",
    ("conv", "b"): "S0 conv ③ · S3",
    ("pool", "forward"): "S0 pooling · S3",
    ("pool", "delta"): "S0 pooling · S3",
    ("activation", "forward"): "S0 · S2 2.1.2",
    ("activation", "delta"): "S0 FC ③④ · S2 2.1.2",
    ("softmax", "delta"): "S2 3.2",
    ("residual", "delta"): "S2 2.1.7",
    ("parallel", "delta"): "S2 2.1.7",
    ("recurrent", "delta"): "S2 3.2",
}

# Who wins where a window's maximum occurs twice.
AT_A_TIE = Say("the first in row-major order", "按行优先顺序的第一个")
WHY: dict[tuple[str, str], Say] = {
    ("dense", "forward"): Say(
        "Every unit adds up all inputs, each times its weight, and its bias.",
        "每个单元把所有输入乘以各自的权重后相加，再加上偏置。",
    ),
    ("dense", "delta"): Say(
        "Chain rule: input i reaches J only through the units of this layer, so its derivative is the sum "
        "over them "
        "of weight times δ: a column of W, hence the transpose.",
        "链式法则：第 i 个输入只通过本层的各单元影响 J，所以它的导数是各单元“权重 × δ”之和，用到的是 W 的一"
        "列，因此出现转置。",
    ),
    ("dense", "W"): Say(
        "W_kj meets J only in z_k, where it stands before x_j: its derivative is δ_k x_j, added up over "
        "the samples.",
        "W_kj 只出现在 z_k 中，与 x_j 相乘：导数为 δ_k x_j，再对样本求和。",
    ),
    ("dense", "b"): Say(
        "b_k is added to z_k of every sample, so its derivative is the sum of δ_k over the samples; 1/m is "
        "in δ.",
        "b_k 加到每个样本的 z_k 上，所以它的导数是 δ_k 对样本之和；1/m 已在 δ 中。",
    ),
    ("conv", "forward"): Say(
        "The kernel is laid on the input at every position, products are added up: a cross-correlation, no "
        "flip.",
        "卷积核依次放在输入的每个位置上，对应相乘再相加：这是互相关，没有翻转。",
    ),
    ("conv", "delta"): Say(
        "The pixel (u, v) was read by exactly the windows (i, j) whose offset to it lies within the "
        "kernel: their δ "
        "comes back with the weight that read it. Seen from the pixel the kernel is turned by 180°.",
        "像素 (u, v) 恰好被那些与它的偏移落在卷积核内的窗口 (i, j) 读取：它们的 δ 乘以当时读取它的权重传回"
        "来。"
        "从像素看去，卷积核转了 180°。",
    ),
    ("conv", "W"): Say(
        "A weight is used at every position: its derivative adds up δ times the pixel it met there, "
        "without a flip.",
        "同一个权重在每个位置都被使用：导数是各位置的 δ 乘以它在那里遇到的像素之和，不翻转。",
    ),
    ("conv", "b"): Say(
        "One number per kernel, added at every position: the sum of the map's δ.",
        "每个卷积核一个偏置，加在每个位置上：导数是该特征图的 δ 之和。",
    ),
    ("pool", "forward"): Say(
        "Every window becomes one number; there is nothing to learn.",
        "每个窗口变成一个数；没有需要学习的参数。",
    ),
    ("pool", "delta"): Say(
        "A pixel gets the δ of every window that it took part in, as far as it did; windows that overlap "
        "add up. "
        "δ is ∂J/∂X here: pooling has no activation.",
        "一个像素按它在各窗口中的贡献得到这些窗口的 δ；重叠的窗口相加。这里的 δ 是 ∂J/∂X：池化没有激活函数。",
    ),
    ("max pool", "delta"): Say(
        "Only the pixel that won a window gets its δ; one that won several gets the sum. At a tie "
        f"{AT_A_TIE.en} wins.",
        f"只有在窗口中取胜的像素得到该窗口的 δ；在几个窗口中取胜就把它们相加。相等时取{AT_A_TIE.zh}。",
    ),
    ("l2 pool", "delta"): Say(
        "The derivative of √Σx² is x / √Σx²; where the window is all zero it is set to 0.",
        "√Σx² 的导数是 x / √Σx²；窗口全为零时规定为 0。",
    ),
    ("activation", "forward"): Say("Entry by entry; entries do not mix.", "逐元素计算，各元素互不影响。"),
    ("activation", "delta"): Say(
        "Entry by entry, so the chain rule multiplies by f′ at the same z: the Hadamard factor.",
        "逐元素，所以链式法则只乘以同一个 z 处的 f′：这就是 Hadamard 因子。",
    ),
    ("softmax", "forward"): Say(
        "Positive numbers that sum to 1; every output depends on every z.",
        "全为正且和为 1；每个输出依赖所有的 z。",
    ),
    ("softmax", "delta"): Say(
        "Every output depends on every z, so the Jacobian is full: diag(a) − a aᵀ, and ⊙ f′ would be wrong.",
        "每个输出依赖所有 z，雅可比矩阵是满的：diag(a) − a aᵀ，写成 ⊙ f′ 就错了。",
    ),
    ("flatten", "forward"): Say(
        "The same numbers as one column, row by row, the channel running fastest.",
        "同样的数排成一列，按行优先，通道变化最快。",
    ),
    ("flatten", "delta"): Say("The same numbers put back in their places.", "同样的数放回原来的位置。"),
    ("batchnorm", "forward"): Say(
        "Mean and variance are over the batch: the one place where samples mix.",
        "均值和方差对整个批量计算：这是唯一使样本相互影响的地方。",
    ),
    ("batchnorm", "delta"): Say(
        "Mean and variance depend on every sample, so δ of one sample depends on all of them.",
        "均值和方差依赖每个样本，所以一个样本的 δ 依赖整个批量。",
    ),
    ("residual", "forward"): Say(
        "The input goes past the layers and is added to what they make of it.",
        "输入绕过这些层，再与它们的输出相加。",
    ),
    ("residual", "delta"): Say(
        "x is read twice, so the two derivatives add up: one way is open whatever the layers do.",
        "x 被使用两次，两个导数相加：无论这些层怎样，总有一条通路是畅通的。",
    ),
    ("parallel", "delta"): Say(
        "x is read by every branch: its δ is the sum of what they hand down.",
        "x 被每个分支读取：它的 δ 是各分支传回的 δ 之和。",
    ),
    ("recurrent", "forward"): Say(
        "The same equations at every step, with the same weights; the state goes on from step to step.",
        "每一步用同样的方程和同样的权重；状态一步步传下去。",
    ),
    ("recurrent", "delta"): Say(
        "Backpropagation through time: h_t is read above and by step t+1, so both derivatives add up.",
        "沿时间反向传播：h_t 既被上层读取，又被第 t+1 步读取，两个导数相加。",
    ),
    ("lstm", "c"): Say(
        "The cell keeps the share f of what it held, and takes in the share i of what is new.",
        "细胞保留原有内容的 f 份，并加入新内容的 i 份。",
    ),
    ("dropout", "forward"): Say(
        "Drawn entries are set to 0, the others divided by the share that stays.",
        "抽中的元素置 0，其余除以保留的比例。",
    ),
}
GENERAL: dict[str, Say] = {
    "forward": Say("What the layer computes.", "本层的计算。"),
    "delta": Say("What the layer hands down.", "本层向下传回的 δ。"),
    "delta of": Say("What goes back to where this was computed.", "传回到计算它的地方的 δ。"),
    "gradient": Say("What the parameter gets, added up over the samples.", "参数得到的梯度，对样本求和。"),
}
INPUT_GRADIENT = Say(
    "The chain ends here: below is the input, which has no z and no f′. The result is ∂J/∂x itself.",
    "链到此为止：下面是输入，没有 z 也没有 f′。结果就是 ∂J/∂x 本身。",
)
HADAMARD = Say(
    "Both steps in one line: back through the layer, then times f′ of the one below at its own z.",
    "两步合成一行：先经过本层传回，再乘以下层在自己的 z 处的 f′。",
)


def of_branch(number: int) -> Say:
    """Behind the first layer of a branch: what it hands down is a share."""
    return Say(
        f"This is what branch {number} hands down; the shares of all branches add up to the derivative by "
        "their input.",
        f"这是第 {number} 个分支传回的份额；各分支的份额相加才是对它们共同输入的导数。",
    )


def reference(layer: Layer | None, part: str) -> str:
    """Where the seeds have the formula; "" beyond the seeds."""
    return next((REFERENCES[key] for key in _keys(layer, part) if key in REFERENCES), "")


def why(layer: Layer | None, part: str) -> Say:
    """One sentence on why the formula is so."""
    found = next((WHY[key] for key in _keys(layer, part) if key in WHY), None)
    return found or GENERAL.get("delta of" if part.startswith("delta of ") else part, GENERAL["gradient"])


def _keys(layer: Layer | None, part: str) -> list[tuple[str, str]]:
    return [] if layer is None else [(family, part) for family in layer.families]
