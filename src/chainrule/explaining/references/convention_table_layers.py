"""Conventions of layers: convolutions, pools, kinks, normalisation, sequences; see convention_table.py."""

from __future__ import annotations

from chainrule.base.languages import Say
from chainrule.explaining.references.convention_table import Choice, Convention
from chainrule.explaining.words.derivations import AT_A_TIE

IMAGES = (
    Convention(
        "flip",
        Say("Flip of the kernel", "卷积核是否翻转"),
        (
            Choice(
                Say(
                    "Not flipped going forward (cross-correlation); flipped by 180° on the way back.",
                    "前向不翻转（互相关）；反向时翻转 180°。",
                ),
                "S0, PyTorch, TensorFlow",
            ),
        ),
        (
            Choice(
                Say(
                    "Flipped going forward (convolution), not on the way back.",
                    "前向翻转（卷积），反向不翻转。",
                ),
                "Theano, MATLAB",
            ),
        ),
        ("conv",),
    ),
    Convention(
        "stride and padding",
        Say("Stride and padding", "步幅与填充"),
        (
            Choice(
                Say(
                    "As each layer states; `same` puts an odd zero at the bottom or right. δ is spread over "
                    "the stride by zeros, and what falls on the padding is dropped.",
                    "由各层给定；`same` 把多出的一个零放在下边或右边。反向时 δ 之间按步幅补零，落在填充上的部"
                    "分舍去。",
                ),
                "TensorFlow",
                when=("beyond stride 1",),
            ),
            Choice(Say("Stride 1, no padding.", "步幅 1，无填充。"), "S0, S3"),
        ),
        (
            Choice(
                Say(
                    "An odd zero goes to both sides by turns, or is refused.",
                    "多出的零两侧轮流放置，或不允许。",
                ),
                "PyTorch",
                when=("padding",),
            ),
        ),
        ("conv",),
    ),
    Convention(
        "channels",
        Say("Axis of the channels", "通道所在的轴"),
        (Choice(
                Say(
                    "The last: rows, columns, channels; of a kernel's W its number stands before them.",
                    "最后：行、列、通道；卷积核 W 的下标中，核的编号在它们之前。",
                ),
                "S0, TensorFlow",
            ),),
        (Choice(Say("The first: channels, rows, columns.", "最前：通道、行、列。"), "PyTorch, Theano"),),
        ("image",),
    ),
    Convention(
        "flatten",
        Say("Order of Flatten", "展平的顺序"),
        (
            Choice(
                Say("Row by row, the channel running fastest.", "按行优先，通道变化最快。"),
                "NumPy, TensorFlow",
            ),
        ),
        (
            Choice(
                Say("Channel by channel, the column running fastest.", "逐个通道，列变化最快。"), "PyTorch"
            ),
            Choice(Say("Column by column.", "按列优先。"), "Octave, MATLAB"),
        ),
        ("flatten+image",),
    ),
    Convention(
        "ties",
        Say("Ties of max pooling", "最大池化的并列"),
        (
            Choice(
                Say(
                    f"Of equal values {AT_A_TIE.en} gets all of δ.",
                    f"相等的值中{AT_A_TIE.zh}得到全部 δ。",
                ),
                "PyTorch",
            ),
        ),
        (
            Choice(Say("Every one of them gets δ.", "每个并列的值都得到 δ。"), "Theano"),
            Choice(Say("They share δ equally.", "并列的值平分 δ。")),
            Choice(Say("Left open.", "没有规定。"), "S0, S3"),
        ),
        ("max pool",),
    ),
    Convention(
        "overlap",
        Say("Overlapping windows", "重叠的窗口"),
        (Choice(Say("The δ of all windows over a pixel add up.", "覆盖同一像素的各窗口的 δ 相加。"), "S0"),),
        (
            Choice(
                Say(
                    "The last window overwrites the others: a frequent mistake, not a choice.",
                    "后一个窗口覆盖前面的结果：这是常见的错误，不是一种约定。",
                ),
            ),
        ),
        ("overlap",),
    ),
    Convention(
        "padded pools",
        Say("Padding of pools", "池化的填充"),
        (
            Choice(
                Say(
                    "It never wins a maximum; a mean counts the pixels inside only, unless told otherwise.",
                    "填充不参与取最大值；取平均时默认只计图像内的像素。",
                ),
                "TensorFlow",
            ),
        ),
        (
            Choice(
                Say("Zeros of the padding count in the mean.", "取平均时填充的零也计入。"),
                "PyTorch",
                "`count_padding=True`",
                ("average pool",),
            ),
        ),
        ("padded pool",),
    ),
    Convention(
        "l2 pool",
        Say("L2 pooling", "L2 池化"),
        (
            Choice(
                Say(
                    "√Σx² of a window (or the root of the mean, where the layer says mean=True); its "
                    "derivative is 0 where the window is all zero.",
                    "窗口内的 √Σx²（层中写明 mean=True 时为均方根）；窗口全为零时导数取 0。",
                ),
                "S3",
            ),
        ),
        (
            Choice(
                Say("The root of the mean square.", "均方根。"), "", "`L2Pool2D(2, mean=True)`"
            ),
            Choice(Say("Without a rule the derivative at 0 is 0/0.", "若不规定，在 0 处导数为 0/0。"), "S3"),
        ),
        ("l2 pool",),
    ),
)  # fmt: skip

FUNCTIONS = (
    Convention(
        "kinks",
        Say("Derivative at a kink", "折点处的导数"),
        (
            Choice(
                Say("That of the lower side: ReLU′(0) = 0.", "取折点下侧的导数：ReLU′(0) = 0。"),
                "PyTorch, TensorFlow",
                when=("relu",),
            ),
            Choice(Say(
                "Stated for every activation; the side below its kink.",
                "每种激活都有规定，一般取折点下侧的导数。",
            )),
        ),
        (Choice(Say(
            "½ or 1: any number in between is a subgradient.",
            "½ 或 1：两侧导数之间的任何数都是次梯度。",
        ), when=("relu",)),),
        ("kinks",),
    ),
    Convention(
        "batchnorm",
        Say("Batch normalisation", "批归一化"),
        (
            Choice(
                Say(
                    "Training takes mean and variance of the batch, Σ(x − μ)²/N, and δ goes through both: "
                    "samples mix. Predictions take running numbers.",
                    "训练时用批量的均值与方差 Σ(x − μ)²/N，δ 也经过它们传播：样本相互影响。预测时用滑动平"
                    "均。",
                ),
                "Ioffe, Szegedy 2015",
            ),
        ),
        (
            Choice(Say("Samples never act on each other.", "样本之间毫无影响。"), "S4"),
            Choice(
                Say(
                    "The running variance is that of the batch, not the unbiased one.",
                    "滑动方差直接取批量方差，而不是无偏估计。",
                ),
                "Keras",
            ),
        ),
        ("batchnorm",),
    ),
    Convention(
        "dropout",
        Say("Dropout", "随机失活"),
        (
            Choice(
                Say(
                    "What stays is divided by 1 − rate in training; a prediction changes nothing.",
                    "训练时保留的值除以保留比例；预测时不作改动。",
                ),
                "PyTorch, Keras",
            ),
        ),
        (
            Choice(
                Say("Predictions are multiplied by the share that stays.", "预测时乘以保留比例。"),
                "Srivastava 2014",
            ),
        ),
        ("dropout",),
    ),
    Convention(
        "time",
        Say("Backpropagation through time", "沿时间反向传播"),
        (
            Choice(
                Say(
                    "Gradients are sums over the steps, not divided by their number, and δ is cut between "
                    "pieces of the length that the layer states.",
                    "梯度对各步求和，不除以步数；δ 在该层规定的段长处截断。",
                ),
                when=("truncated",),
            ),
            Choice(
                Say(
                    "Gradients are sums over the steps, not divided by their number; δ goes back to the "
                    "first step.",
                    "梯度对各步求和，不除以步数；δ 一直传到第一步。",
                ),
            ),
        ),
        (
            Choice(
                Say("δ is cut after k steps.", "每 k 步截断 δ。"),
                "",
                "`truncate=k`",
            ),
            Choice(Say("Gradients are averaged over the steps.", "梯度对各步取平均。")),
        ),
        ("recurrent",),
    ),
    Convention(
        "branches",
        Say("A value with several readers", "被多处使用的值"),
        (
            Choice(
                Say("Its δ is the sum of what all readers hand down.", "它的 δ 是各处传回的 δ 之和。"),
                "S2 2.1.7",
            ),
        ),
        (),
        ("composite",),
    ),
    Convention(
        "masks",
        Say("Padding of sequences", "序列的填充"),
        (
            Choice(
                Say(
                    "Masked steps are passed over: they change no state and get δ 0.",
                    "被掩蔽的步直接跳过：不改变状态，δ 为 0。",
                ),
                "Keras",
            ),
        ),
        (Choice(Say("Padding is read like any other step.", "填充与普通的步一样参与计算。")),),
        ("masking",),
    ),
)  # fmt: skip
