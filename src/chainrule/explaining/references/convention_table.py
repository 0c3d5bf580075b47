"""Where sources differ by a factor or a form: the choice in force here, and the others with their source."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.base.languages import Say


@dataclass(frozen=True)
class Choice:
    """A way to have it: in words, who has it, how to ask for it (code, "" where it cannot be asked for), and
    for the choice in force the words of features_of under which it is.
    """

    text: Say
    source: str = ""
    write: str = ""
    when: tuple[str, ...] = ("any",)


@dataclass(frozen=True)
class Convention:
    """An option.  own: what is done here, the first that holds; others: what is done elsewhere or could be
    asked for, as far as their conditions hold; when: the networks it concerns, as in slip_table.py.
    """

    id: str
    option: Say
    own: tuple[Choice, ...]
    others: tuple[Choice, ...]
    when: tuple[str, ...] = ("any",)


DENSE = (
    Convention(
        "weights",
        Say("Order of a weight's indices", "权重下标的顺序"),
        (
            Choice(
                Say(
                    "W is (outputs, inputs): w_ij leads from unit j to unit i, and z = W x.",
                    "W 的形状为（输出，输入）：w_ij 从单元 j 指向单元 i，z = W x。",
                ),
                "S0, S2, S4",
            ),
        ),
        (
            Choice(
                Say(
                    "W is (inputs, outputs), for samples in rows: z = x W.",
                    "W 的形状为（输入，输出），样本按行：z = x W。",
                ),
                "CS231n, Keras",
            ),
            Choice(
                Say("W_ji in the cost, W_ij in the gradients.", "代价中用 W_ji，梯度中用 W_ij。"),
                "S1",
            ),
        ),
        ("dense",),
    ),
    Convention(
        "samples",
        Say("Axis of the samples", "样本所在的轴"),
        (
            Choice(
                Say(
                    "In formulas a sample is a column, the last axis; what is passed to the program has a "
                    "sample per row.",
                    "公式中每个样本占一列（最后一个轴）；传给程序的数组每个样本占一行。",
                ),
                "S4",
            ),
        ),
        (
            Choice(
                Say("Samples are rows in formulas too.", "公式中样本也按行排列。"),
                "CS231n, PyTorch, scikit-learn",
            ),
            Choice(
                Say("One sample at a time, a vector.", "每次一个样本，即一个向量。"),
                "S0, S1, S2, Nielsen",
                '`backpropagate(X, y, mode="per_sample")`',
            ),
        ),
    ),
    Convention(
        "bias",
        Say("Bias", "偏置"),
        (
            Choice(
                Say("A vector b of its own, added to every column.", "单独的向量 b，加到每一列上。"),
                "S0, S1, S4",
            ),
        ),
        (
            Choice(
                Say(
                    "Column 0 of Θ = [b, W], beside a constant input a₀ = 1.",
                    "Θ = [b, W] 的第 0 列，对应恒为 1 的输入 a₀。",
                ),
                "S2",
                "`network.theta()`",
                ("dense",),
            ),
        ),
        ("bias",),
    ),
    Convention(
        "input origin",
        Say("First index", "下标起点"),
        (Choice(Say(
            "Units, positions and kernel offsets count from 0.",
            "单元、位置与卷积核内的偏移都从 0 计数。",
        ), "S0"),),
        (Choice(Say("They count from 1.", "都从 1 计数。"), "S1, S2, S3, S4"),),
    ),
)  # fmt: skip

AVERAGES = (
    Convention(
        "one over m",
        Say("Where 1/m enters", "1/m 出现的位置"),
        (
            Choice(
                Say(
                    "Once, in δ at the output; gradients of parameters are sums over the samples.",
                    "只在输出层的 δ 中出现一次；参数的梯度是对样本求和。",
                ),
                "S4",
            ),
        ),
        (
            Choice(
                Say(
                    "At the end: the gradients of single samples are added up and divided by m.",
                    "放在最后：先把各样本的梯度累加，再除以 m。",
                ),
                "S1, S2",
                '`backpropagate(X, y, mode="per_sample")`',
            ),
            Choice(
                Say("In the gradients of W and b of every layer.", "放在每一层 W 与 b 的梯度中。"),
                "deeplearning.ai",
            ),
            Choice(Say("In the update, with η/m.", "放在更新式中，用 η/m。"), "Nielsen"),
        ),
    ),
    Convention(
        "loss reduction",
        Say("Reduction of the loss", "损失的归约方式"),
        (
            Choice(
                Say("Mean over the outputs and over the samples.", "对输出取平均，再对样本取平均。"),
                "PyTorch, Keras, scikit-learn",
                when=("mean over outputs",),
            ),
            Choice(
                Say("Sum over the outputs, mean over the samples.", "对输出求和，对样本取平均。"),
                "S1, S2, S4",
            ),
        ),
        (
            Choice(
                Say("Mean over all numbers, outputs and samples.", "对输出和样本的所有数取平均。"),
                "PyTorch, Keras, scikit-learn",
                "`SquaredError(mean_outputs=True)`",
                ("squared+sum over outputs",),
            ),
            Choice(
                Say("Sum over the outputs, mean over the samples.", "对输出求和，对样本取平均。"),
                "S1, S2, S4",
                "`SquaredError()`",
                ("squared+mean over outputs",),
            ),
            Choice(
                Say("Sum over the samples, without a mean.", "对样本求和，不取平均。"),
                "PyTorch (`reduction=\"sum\"`)",
            ),
        ),
    ),
    Convention(
        "half",
        Say("Factor of the squared error", "平方误差的系数"),
        (Choice(Say("½, so that the gradient has no 2.", "½，使导数中不出现 2。"), "S1, S3, S4"),),
        (Choice(Say("1, and a gradient twice as large.", "1，梯度为两倍。"), "PyTorch, Keras"),),
        ("squared",),
    ),
    Convention(
        "output delta",
        Say("δ at the output", "输出层的 δ"),
        (
            Choice(
                Say(
                    "Activation and loss are one formula, (a − y)/m: nothing is divided by a.",
                    "激活与损失合成一个公式 (a − y)/m：不除以 a。",
                ),
                "S2",
                when=("pair",),
            ),
            Choice(
                Say(
                    "∂J/∂a through the whole Jacobian of softmax, since every output depends on every z.",
                    "∂J/∂a 经过 softmax 的整个雅可比矩阵，因为每个输出依赖所有的 z。",
                ),
                when=("softmax output",),
            ),
            Choice(
                Say("∂J/∂a ⊙ f′(z): f works entry by entry.", "∂J/∂a ⊙ f′(z)：f 逐元素作用。"),
                "S0 ④, S1, S4",
                when=("elementwise output",),
            ),
            Choice(
                Say("∂J/∂a as it is: there is no activation behind it.", "就是 ∂J/∂a：后面没有激活函数。"),
            ),
        ),
        (
            Choice(
                Say(
                    "∂J/∂a ⊙ f′(z), first the division by a, then the product.",
                    "∂J/∂a ⊙ f′(z)：先除以 a，再相乘。",
                ),
                "S0 ④",
                when=("pair+elementwise output",),
            ),
            Choice(
                Say("∂J/∂a ⊙ f′(z), which is wrong for softmax.", "∂J/∂a ⊙ f′(z)，对 softmax 是错的。"),
                "S0 ④",
                when=("softmax output",),
            ),
        ),
    ),
    Convention(
        "label smoothing",
        Say("Targets", "目标值"),
        (
            Choice(
                Say(
                    "Smoothed: a share of every label is spread over all classes, and δ is a − y′.",
                    "标签平滑：每个标签的一部分均摊到所有类别上，δ 为 a − y′。",
                ),
                "Szegedy 2016",
            ),
        ),
        (Choice(Say("As they are, 0 and 1.", "不作改动，取 0 和 1。"), "S2", "`label_smoothing=0`"),),
        ("label smoothing",),
    ),
    Convention(
        "delta",
        Say("What δ is of", "δ 是对谁的导数"),
        (
            Choice(
                Say(
                    "Of the output of every layer; an activation is a layer of its own, so that δ of a "
                    "layer with weights is ∂J/∂z.",
                    "对每一层的输出；激活自成一层，所以带权重的层的 δ 就是 ∂J/∂z。",
                ),
                "S0",
            ),
        ),
        (
            Choice(Say("Always of z.", "总是对 z。"), "S1, S2, S3, S4, Nielsen"),
            Choice(
                Say("Of X where a layer pools.", "池化层处是对 X。"),
                "S0",
                when=("pool",),
            ),
        ),
    ),
    Convention(
        "engine",
        Say("How a batch is computed", "批量的计算方式"),
        (
            Choice(
                Say(
                    "All samples of the batch at once: x, z and a become matrices, J a mean; W and b stay as "
                    "they are.",
                    "批量中的样本一次算完：x、z、a 变成矩阵，J 取平均；W 与 b 不变。",
                ),
                "S4",
            ),
        ),
        (
            Choice(
                Say("Sample by sample, gradients accumulated.", "逐个样本计算，梯度累加。"),
                "S1, S2, Nielsen",
                '`backpropagate(X, y, mode="per_sample")`',
                ("samples apart",),
            ),
        ),
    ),
)  # fmt: skip

PENALTIES = (
    Convention(
        "penalty scale",
        Say("Scale of λ", "λ 的尺度"),
        (
            Choice(
                Say("λ/2m · ΣW², gradient λ/m · W.", "λ/2m · ΣW²，梯度 λ/m · W。"),
                "S2, Nielsen",
                when=("l2+per sample",),
            ),
            Choice(
                Say("λ/2 · ΣW², gradient λ W, without 1/m.", "λ/2 · ΣW²，梯度 λ W，不除以 m。"),
                "S1",
                when=("l2",),
            ),
            Choice(
                Say("Divided by m, the size of the training set.", "除以训练集大小 m。"),
                when=("per sample",),
            ),
            Choice(Say("Not divided by m.", "不除以 m。")),
        ),
        (
            Choice(
                Say("λ/2m · ΣW², gradient λ/m · W.", "λ/2m · ΣW²，梯度 λ/m · W。"),
                "S2, Nielsen",
                "`L2(lam, per_sample=True)`",
                ("l2+not per sample",),
            ),
            Choice(
                Say("λ/2 · ΣW², gradient λ W, without 1/m.", "λ/2 · ΣW²，梯度 λ W，不除以 m。"),
                "S1",
                "`L2(lam)`",
                ("l2+per sample",),
            ),
            Choice(Say("λ ΣW², without the half.", "λ ΣW²，没有 ½。"), "Keras", when=("l2",)),
            Choice(
                Say("Divided by m.", "除以 m。"),
                "",
                "`per_sample=True`",
                ("l1+not per sample", "elastic net+not per sample"),
            ),
            Choice(
                Say("Not divided by m.", "不除以 m。"),
                "",
                "`per_sample=False`",
                ("l1+per sample", "elastic net+per sample"),
            ),
        ),
        ("penalty",),
    ),
    Convention(
        "penalty size",
        Say("m of the penalty", "惩罚项中的 m"),
        (Choice(Say(
            "The size of the whole training set, whatever the batch.",
            "整个训练集的大小，与批量无关。",
        ), "S2, Nielsen"),),
        (Choice(Say("The size of the batch.", "批量的大小。"), "scikit-learn"),),
        ("per sample",),
    ),
    Convention(
        "bias decay",
        Say("Penalty on biases", "偏置是否受惩罚"),
        (Choice(Say("None.", "不受惩罚。"), "S1, S2, Nielsen"),),
        (Choice(Say("As on weights.", "与权重一样受惩罚。"), "PyTorch (`weight_decay`)"),),
        ("penalty",),
    ),
    Convention(
        "l1 at 0",
        Say("Derivative of |W| at 0", "|W| 在 0 处的导数"),
        (Choice(Say("0.", "取 0。")),),
        (Choice(Say("Any number from −1 to 1 is a subgradient.", "−1 到 1 之间的任何数都是次梯度。"),),),
        ("l1", "elastic net"),
    ),
)  # fmt: skip
