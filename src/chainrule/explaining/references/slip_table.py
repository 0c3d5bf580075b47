"""What seeds 000 and 001 print and how it is to be read: slips, claims that go too far, and formulas with
limits that are not stated.

The identifier begins with the seed; the seed's rows are counted as it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chainrule.base.languages import Say
from chainrule.explaining.words.derivations import AT_A_TIE

# "slip": printed wrong.  "limit": right within a limit that is not stated.  "overclaim": says too much.
Kind = Literal["slip", "limit", "overclaim"]


@dataclass(frozen=True)
class Slip:
    """One place.  when: words of features_of, any of which makes it concern a network; "a+b": both."""

    id: str
    where: str | Say  # "2.2.3", or words
    kind: Kind
    printed: Say
    read_as: Say
    when: tuple[str, ...]

    @property
    def seed(self) -> str:
        """ "S0" ... "S4"."""
        return f"S{self.id[0]}"


SEED_000_SLIPS = (
    Slip(
        "0-04", "FC ②", "limit",
        Say("∂J/∂b = δ, without a sum.", "∂J/∂b = δ，没有求和。"),
        Say(
            "That is one sample. For a batch b is added to every column, so ∂J/∂b is the sum of δ over the "
            "samples (seed 004, §6).",
            "这是单个样本的情形。对一个批量，b 加到每一列上，所以 ∂J/∂b 是 δ 对样本求和（种子 004 第 6 "
            "节）。",
        ),
        ("dense+bias",),
    ),
    Slip(
        "0-05", "FC ③", "slip",
        Say(
            "Wᵀ · δ ⊙ f′ without parentheses, and the remark that ③ is a Hadamard product.",
            "Wᵀ · δ ⊙ f′ 没有括号，并说 ③ 是 Hadamard 积。",
        ),
        Say(
            "First the matrix product Wᵀ δ of layer l, then entry by entry times f′ of layer l−1 at z of "
            "layer l−1. Only the second product is a Hadamard product.",
            "先做第 l 层的矩阵乘积 Wᵀ δ，再逐元素乘以第 l−1 层的 f′（在第 l−1 层的 z 处取值）。只有后一个乘"
            "积是 Hadamard 积。",
        ),
        ("hidden",),
    ),
    Slip(
        "0-06", "FC ④", "limit",
        Say("δ at the output is ∂J/∂x ⊙ f′(z), whatever f is.", "输出层的 δ 等于 ∂J/∂x ⊙ f′(z)，未限定 f。"),
        Say(
            "Only where f works entry by entry. Softmax does not: its whole Jacobian counts, which together "
            "with the cross-entropy leaves a − y.",
            "只有当 f 逐元素作用时才成立。softmax 不是逐元素的，要用整个雅可比矩阵；与交叉熵合在一起恰好剩下"
            " a − y。",
        ),
        ("softmax",),
    ),
    Slip(
        "0-07", "FC 4)", "slip",
        Say(
            "For every layer from L down to 2: first ③, then ① and ②.",
            "从第 L 层到第 2 层，每层先用 ③，再用 ①②。",
        ),
        Say(
            "③ makes δ of layer l−1, so it stops at δ of layer 2. Layer 1 is the input and has no z and no "
            "f′: there is no δ of layer 1. The gradient of the input is Wᵀ δ of layer 2, without f′.",
            "③ 由第 l 层得到第 l−1 层的 δ，所以算出第 2 层的 δ 就停止。第 1 层是输入，没有 z，也没有 f′，因"
            "此没有第 1 层的 δ；对输入的梯度是第 2 层的 Wᵀ δ，不乘 f′。",
        ),
        ("dense",),
    ),
    Slip(
        "0-08", "conv", "slip",
        Say(
            "k stands for the number of kernels, for the kernel at hand, and with 1 and 2 for their size; a "
            "sum over k ends at k−1.",
            "k 既表示卷积核的个数，又表示第几个卷积核，加下标 1、2 还表示核的大小；对 k 的求和上限写成 k−1。",
        ),
        Say(
            "The number is K, the index k: the sum ends at K−1, as the next line of the seed has it.",
            "个数记为 K，下标记为 k：求和到 K−1，种子的下一行就是这样写的。",
        ),
        ("conv",),
    ),
    Slip(
        "0-08b", "conv", "limit",
        Say("The derivation takes stride 1 and no padding.", "推导只取步幅 1、无填充。"),
        Say(
            "With stride s and padding p the pixel (u, v) meets the windows (u+p−m)/s, (v+p−n)/s, as far as "
            "they are whole numbers on the grid.",
            "步幅为 s、填充为 p 时，像素 (u, v) 对应的窗口是 (u+p−m)/s、(v+p−n)/s，只取网格内的整数。",
        ),
        ("beyond stride 1",),
    ),
    Slip(
        "0-11", "conv", "slip",
        Say("The forward pass is written with ∗ and called a convolution.", "前向计算写作 ∗，称为卷积。"),
        Say(
            "What is computed is a cross-correlation: the kernel is not flipped. Only the way back, ①, "
            "flips it.",
            "实际计算的是互相关：卷积核没有翻转。只有反向的 ① 才需要翻转。",
        ),
        ("conv",),
    ),
    Slip(
        "0-13", "conv ①", "slip",
        Say(
            "Before the change of indices w is said to be 0 out of its range; of δ nothing is said.",
            "换下标之前说明 w 超出范围时为 0，对 δ 却没有说明。",
        ),
        Say(
            "After the change it is δ that leaves its range: δ is 0 outside of its grid, which makes ① a "
            "full correlation. f′ multiplies the finished sum.",
            "换下标之后超出范围的是 δ：网格之外 δ 取 0，因此 ① 是“完全”互相关。f′ 乘在整个和上。",
        ),
        ("conv",),
    ),
    Slip(
        "0-14", "conv ①", "limit",
        Say(
            "The kernel turned upside down and left to right is convolved with δ, channels left aside.",
            "不考虑通道，把卷积核上下、左右翻转后与 δ 做卷积。",
        ),
        Say(
            "Both flips are over positions. Channels are never flipped: for every input channel the maps of "
            "all kernels are added up. With the flip done the rest is a correlation; to flip and to "
            "convolve would flip twice.",
            "两次翻转都只对位置进行，通道从不翻转：对每个输入通道，要把所有卷积核的结果相加。翻转之后剩下的"
            "是互相关；既翻转又做（真正的）卷积，就翻转了两次。",
        ),
        ("conv",),
    ),
    Slip(
        "0-15", "conv ②", "slip",
        Say("∂J/∂w is again written with ∗.", "∂J/∂w 又写成 ∗。"),
        Say(
            "A cross-correlation of X with δ at the places where δ fits (valid), without a flip, for every "
            "pair of kernel and channel.",
            "这是 X 与 δ 的互相关（只取 δ 能完全放下的位置），不翻转，对每一对卷积核与通道各做一次。",
        ),
        ("conv",),
    ),
    Slip(
        "0-18", "pooling", "limit",
        Say("The windows over pixel u are i = u−1 and i = u.", "覆盖像素 u 的窗口是 i = u−1 和 i = u。"),
        Say(
            "That holds for windows of two pixels, one apart. With another window or stride these two are "
            "the wrong ones, and the numbers come out wrong: window i covers u where 0 ≤ u − s·i < k.",
            "这只对窗口为 2、步幅为 1 成立。换了窗口或步幅，这两个就不对，数值也就错了：当 0 ≤ u − s·i < k "
            "时窗口 i 覆盖 u。",
        ),
        ("other windows",),
    ),
    Slip(
        "0-18b", "pooling", "slip",
        Say("The sum over i has no limits at the borders.", "对 i 的求和在边界处没有限制。"),
        Say(
            "i runs over the windows there are, 0 ... q−1: a border pixel has fewer.",
            "i 只取存在的窗口 0 … q−1：边界像素被较少的窗口覆盖。",
        ),
        ("pool",),
    ),
    Slip(
        "0-19", "pooling", "limit",
        Say(
            "A factor is 1 where the maximum came from pixel u; equal pixels are not mentioned.",
            "最大值来自像素 u 时因子为 1；没有说明相等的情形。",
        ),
        Say(
            "A pixel that wins several windows gets the sum of their δ, += and not =. Of equal pixels "
            f"{AT_A_TIE.en} wins here.",
            f"在几个窗口中取胜的像素得到这些 δ 之和（是 += 而不是 =）。并列时，这里取{AT_A_TIE.zh}。",
        ),
        ("max pool",),
    ),
    Slip(
        "0-20", "pooling", "slip",
        Say(
            "δ is ∂J/∂z before, and ∂J/∂X in the section on pooling.",
            "前文的 δ 是 ∂J/∂z，池化一节的 δ 却是 ∂J/∂X。",
        ),
        Say(
            "Pooling has no activation, so z and X are the same there. What it hands down is ∂J/∂X of the "
            "layer below: times f′ it is that layer's δ.",
            "池化没有激活函数，在那里 z 与 X 相同。它传下去的是下层的 ∂J/∂X：再乘以 f′ 才是下层的 δ。",
        ),
        ("pool",),
    ),
    Slip(
        "0-21", "①②③", "slip",
        Say(
            "①②③ number formulas of the dense layer and, again, of the convolution.",
            "①②③ 在全连接层和卷积层中各编了一次。",
        ),
        Say("Here: FC ①–④ and conv ①–③.", "这里分别称为全连接层 ①–④ 与卷积层 ①–③。"),
        ("conv+dense",),
    ),
)  # fmt: skip

SEED_001_SLIPS = (
    Slip(
        "1-05", Say("δ at the output", "输出层的 δ"), "slip",
        Say(
            "In words: the difference of prediction and target, times f′; the formula has −(y − a).",
            "文字说成预估值与真实值之差乘以 f′，公式则是 −(y − a)。",
        ),
        Say("(a − y) ⊙ f′(z): the minus of the formula counts.", "(a − y) ⊙ f′(z)：以公式中的负号为准。"),
        ("squared+elementwise output",),
    ),
    Slip(
        "1-06", Say("δ below the output", "输出层之下的 δ"), "slip",
        Say("The heading speaks of layer n with subscript l−1.", "标题把层号写成 n 加下标 l−1。"),
        Say(
            "The layer before the last, number n_l − 1. It is derived for that layer; for every other one "
            "the same holds with l and l+1.",
            "指倒数第二层，即第 n_l − 1 层。推导只针对这一层；其余各层把层号换成 l 与 l+1，结论相同。",
        ),
        ("hidden",),
    ),
    Slip(
        "1-07", Say("δ below the output", "输出层之下的 δ"), "slip",
        Say(
            "z within the derivation is Σ_k W_jk f(z_k), without b_j.",
            "推导中的 z 写成 Σ_k W_jk f(z_k)，缺 b_j。",
        ),
        Say(
            "The derivative is the same, since b_j does not depend on z_k; as a forward formula b_j is "
            "missing.",
            "b_j 与 z_k 无关，导数不受影响；但作为前向公式缺了 b_j。",
        ),
        ("hidden",),
    ),
    Slip(
        "1-08", Say("cost, gradients", "代价、梯度"), "slip",
        Say(
            "The cost adds up W_ji with i the source; the gradients are by W_ij with i the target.",
            "代价函数中的 W_ji 以 i 为起点，梯度中的 W_ij 却以 i 为终点。",
        ),
        Say(
            "One order throughout: the target first, W_ij from unit j to unit i.",
            "始终用同一顺序：终点在前，W_ij 从单元 j 指向单元 i。",
        ),
        ("dense",),
    ),
    Slip(
        "1-09", Say("cost", "代价"), "slip",
        Say(
            "The size of a layer is s_l here and S with the layer's number there; J has x and y behind a "
            "comma or a semicolon.",
            "层的大小时而记作 s_l，时而记作大写 S；J 的参数与样本之间时而用逗号，时而用分号。",
        ),
        Say(
            "They are the same: parameters before the semicolon, the sample behind it.",
            "含义相同：分号之前是参数，之后是样本。",
        ),
        ("dense",),
    ),
)  # fmt: skip
