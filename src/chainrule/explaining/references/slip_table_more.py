"""What seeds 002, 003 and 004 print and how it is to be read; see slip_table.py."""

from __future__ import annotations

from chainrule.base.languages import Say
from chainrule.explaining.references.slip_table import Slip

SEED_002_SLIPS = (
    Slip(
        "2-03", "1.1.1", "slip",
        Say("a of layer 1 is x with the index i.", "第 1 层的 a 是带上标 i 的 x。"),
        Say(
            "The sample is numbered b everywhere else: x with the index b.",
            "其余各处样本编号都是 b：应为带上标 b 的 x。",
        ),
        ("dense",),
    ),
    Slip(
        "2-03b", "2.2.3", "slip",
        Say("z of layer 2 is made with Θ⁽²⁾.", "第 2 层的 z 用 Θ⁽²⁾ 计算。"),
        Say(
            "With Θ⁽¹⁾, as 1.1.2 has it: Θ⁽ˡ⁾ leads from layer l to l+1.",
            "应为 Θ⁽¹⁾，与 1.1.2 一致：Θ⁽ˡ⁾ 从第 l 层通向第 l+1 层。",
        ),
        ("dense",),
    ),
    Slip(
        "2-04", "1.1, 1.2.1", "limit",
        Say(
            "The figure ends in softmax; the derivation has a sigmoid per output and the cost with log(1 − "
            "h).",
            "图中最后是 softmax，推导则每个输出用 sigmoid，代价中含 log(1 − h)。",
        ),
        Say(
            "a − y belongs to sigmoid with that binary cost, or to softmax with the categorical one, −Σ y "
            "log a. Softmax with the binary cost does not give a − y.",
            "a − y 只对两种搭配成立：sigmoid 配这里的二元交叉熵，或 softmax 配多类交叉熵 −Σ y log a。"
            "softmax 配二元交叉熵得不到 a − y。",
        ),
        ("softmax output", "cross-entropy"),
    ),
    Slip(
        "2-07", "1.2.4, 1.3.2", "slip",
        Say("λ is the weight of the penalty and the learning rate.", "λ 既是正则化系数，又是学习率。"),
        Say("The learning rate is η here, λ the penalty's alone.", "这里学习率记为 η，λ 只用于正则化。"),
        ("penalty",),
    ),
    Slip(
        "2-09", "2.1.7", "slip",
        Say(
            "The derivative by x_i, and on the right by x_j, under a sum over i.",
            "左边对 x_i 求导，右边却对 x_j，而求和下标又是 i。",
        ),
        Say(
            "One free index on both sides: by x_j, summed over the functions y_i in between.",
            "两边的自由下标应相同：对 x_j 求导，对中间的函数 y_i 求和。",
        ),
        ("any",),
    ),
    Slip(
        "2-10", "2.2.5, 2.2.7", "slip",
        Say(
            "The weight (1, 2) is paired with z of unit 2; further on its indices are twice the same.",
            "权重 (1, 2) 与第 2 个单元的 z 配对；后面两个下标又写成相同的。",
        ),
        Say(
            "The target is the first index: Θ_12 is in z_1 alone, and in general Θ_ij is in z_i.",
            "第一个下标是终点：Θ_12 只出现在 z_1 中，一般地 Θ_ij 只出现在 z_i 中。",
        ),
        ("dense",),
    ),
    Slip(
        "2-11", "2.3.3", "slip",
        Say("The third term begins with ∂J/∂z of unit 2.", "第三项以第 2 个单元的 ∂J/∂z 开头。"),
        Say(
            "With that of unit 3: one term for every unit of the next layer.",
            "应为第 3 个单元的：下一层的每个单元各占一项。",
        ),
        ("hidden",),
    ),
    Slip(
        "2-13", "2.4.3", "limit",
        Say("∂J/∂a divides by a and by 1 − a.", "∂J/∂a 要除以 a 和 1 − a。"),
        Say(
            "Right on paper. In numbers a saturated output would divide by 0, so only the product, a − y "
            "(2.4.6), is computed.",
            "纸面上正确；但输出饱和时数值上会除以 0，所以只计算两者之积 a − y（2.4.6）。",
        ),
        ("cross-entropy+pair",),
    ),
    Slip(
        "2-14", "2.5.3", "slip",
        Say(
            "A sum over units of layer l ends at the size of layer l+1.",
            "对第 l 层单元的求和，上限写成第 l+1 层的大小。",
        ),
        Say(
            "At the size of layer l. The bias unit 0 is not among them: nothing flows back into it.",
            "上限应为第 l 层的大小。第 0 个单元是偏置，不在其中：没有误差传回给它。",
        ),
        ("hidden",),
    ),
    Slip(
        "2-15", "2.6.1", "slip",
        Say("Both cases read i ≠ 0.", "两种情形都写成 i ≠ 0。"),
        Say(
            "The second is i = 0, the bias, which is not penalised (3.1.3 has it right).",
            "第二种情形应为 i = 0，即偏置，不受惩罚（3.1.3 写得正确）。",
        ),
        ("penalty",),
    ),
    Slip(
        "2-16", "3.1.1", "limit",
        Say("Δ is the gradient of one sample.", "Δ 是单个样本的梯度。"),
        Say(
            "In Ng's course Δ is the accumulator over the samples; here 3.1.2 does the adding.",
            "吴恩达课程中的 Δ 是对样本的累加量；此处的累加在 3.1.2 中进行。",
        ),
        ("dense",),
    ),
    Slip(
        "2-17", "3.1.3", "slip",
        Say(
            "Announced as the total cost; the passes are said to begin at the bottom layer.",
            "称为“总的代价函数”；又说反向传播从最底层开始。",
        ),
        Say(
            "It is the gradient of the total cost, and the way back begins at the last layer.",
            "它是总代价的梯度；反向传播从最后一层开始。",
        ),
        ("dense",),
    ),
    Slip(
        "2-19", "3.2", "overclaim",
        Say("ReLU does not make gradients vanish.", "ReLU 不会造成梯度消失。"),
        Say(
            "Its derivative is 1 or 0: where z > 0 it does not shrink δ, where z ≤ 0 nothing goes on, and a "
            "unit that is closed for every sample learns nothing any more. The weights can still shrink δ "
            "from layer to layer.",
            "它的导数是 1 或 0：z > 0 处不缩小 δ，z ≤ 0 处什么也传不下去；对所有样本都关闭的单元不再学习（死"
            "亡单元）。此外，权重仍可能使 δ 逐层缩小。",
        ),
        ("relu",),
    ),
    Slip(
        "2-19b", "3.2", "limit",
        Say(
            "Recurrent networks with their cases follow from the forward graph, without much ado.",
            "循环神经网络等含许多分支的结构，只要画出前向网络就能推导，并不复杂。",
        ),
        Say(
            "True of the graph unrolled through time, with two things to add: h_t is read above and by step "
            "t+1, so both δ add up; and a weight used at every step gets the sum over the steps.",
            "对沿时间展开的计算图是对的，但要补充两点：h_t 既被上层读取又被第 t+1 步读取，两个 δ 要相加；每"
            "一步共用的权重，梯度要对各步求和。",
        ),
        ("recurrent",),
    ),
)  # fmt: skip

SEED_003_SLIPS = (
    Slip(
        "3-01", "conv", "limit",
        Say(
            "The formulas were pictures and are not in the text; nor is the number of filters.",
            "公式原是图片，文本中已经缺失；过滤器的个数也没有写出。",
        ),
        Say(
            "They are reconstructed from what is said of them. Indices count from 1 there, from 0 here.",
            "这里根据文字叙述还原。原文下标从 1 开始，这里从 0 开始。",
        ),
        ("conv",),
    ),
    Slip(
        "3-03", "pooling", "limit",
        Say("The input of the pooling layer equals its output.", "池化层的输入等于输出。"),
        Say(
            "Said of one pooled cell: its activation is the identity, a = z. The layer as a whole makes one "
            "number of every window.",
            "这是就一个池化单元而言：它的激活是恒等函数，a = z。整个层则把每个窗口变成一个数。",
        ),
        ("pool",),
    ),
    Slip(
        "3-09", Say("δ of the convolution", "卷积层的 δ"), "slip",
        Say(
            "The last factor is called the derivative of z by a of the filter's unit.",
            "最后一个因子说成是过滤器单元的 z 对 a 的导数。",
        ),
        Say(
            "Of a by z: f′(z). The derivative of z by a would be one over it.",
            "应为 a 对 z 的导数 f′(z)；z 对 a 的导数是它的倒数。",
        ),
        ("conv+activation",),
    ),
    Slip(
        "3-09b", Say("δ of the convolution", "卷积层的 δ"), "limit",
        Say(
            "The unit (i, j) of the map and the pooled cell it goes to are told apart by context only.",
            "特征图的单元 (i, j) 与它所属的池化单元只能靠上下文区分。",
        ),
        Say(
            "They are two pairs of indices: δ comes from the cell (i′, j′) of the window that holds (i, j).",
            "这是两对不同的下标：δ 来自包含 (i, j) 的那个窗口对应的单元 (i′, j′)。",
        ),
        ("conv+pool",),
    ),
    Slip(
        "3-12", Say("gradient descent", "梯度下降"), "overclaim",
        Say("Gradient descent approaches the global minimum.", "梯度下降逼近全局最低点。"),
        Say(
            "It goes downhill from where it stands: to a point at which the gradient is 0, which need not "
            "be the lowest, nor even a minimum.",
            "它只是从当前位置往下走，走向梯度为 0 的点；那一点不一定是全局最低点，甚至不一定是极小点。",
        ),
        ("any",),
    ),
)  # fmt: skip

SEED_004_SLIPS = (
    Slip(
        "4-04", "§0, §5", "overclaim",
        Say("Samples, the columns, never act on each other.", "样本（列）与样本（列）之间毫无影响。"),
        Say(
            "True of every layer but batch normalisation in training: its mean and variance are those of "
            "the batch, so δ of one sample depends on all of them.",
            "除训练时的批归一化外都成立：批归一化的均值和方差取自整个批量，一个样本的 δ 依赖全部样本。",
        ),
        ("batchnorm",),
    ),
    Slip(
        "4-07", "§4", "slip",
        Say(
            "m is the number of samples and the index of the sum over them; the number is M elsewhere.",
            "m 既是样本数，又是对样本求和的下标；样本数在别处写作 M。",
        ),
        Say("1/M times the sum over m = 1 ... M.", "应为 1/M 乘以对 m = 1 … M 的求和。"),
        ("any",),
    ),
    Slip(
        "4-09", "§5", "slip",
        Say("It opens by asking for ∂C/∂Z of layer L.", "开头写成求第 L 层的 ∂C/∂Z。"),
        Say(
            "Of layer l: that of L is known from §4, and what is asked for is the step down.",
            "应为第 l 层：第 L 层的已在第 4 节求得，这里求的是逐层递推。",
        ),
        ("hidden",),
    ),
    Slip(
        "4-09b", "§4", "slip",
        Say("An intermediate step joins ∂C/∂A and ∂A/∂Z by a dot.", "中间一步用点乘号连接 ∂C/∂A 与 ∂A/∂Z。"),
        Say(
            "Entry by entry, ⊙, as in the result: the full ∂A/∂Z is no matrix of the shape of Z.",
            "应为逐元素相乘 ⊙，与结果一致：完整的 ∂A/∂Z 并不是与 Z 同形状的矩阵。",
        ),
        ("elementwise output",),
    ),
    Slip(
        "4-12", "§4", "limit",
        Say(
            "∂C/∂Z = ∂C/∂A ⊙ σ′(Z) is extended to any loss.",
            "把 ∂C/∂Z = ∂C/∂A ⊙ σ′(Z) 推广到任意损失函数。",
        ),
        Say(
            "To any loss, but not to any activation: σ must work entry by entry, which softmax does not.",
            "对任意损失成立，但不是对任意激活函数：σ 必须逐元素作用，softmax 不满足。",
        ),
        ("softmax",),
    ),
    Slip(
        "4-15", "§8", "limit",
        Say(
            "A Transformer computes in parallel, recurrent networks do not.",
            "Transformer 可以并行计算，RNN 家族不能。",
        ),
        Say(
            "In training, where all steps are known. Generating step by step both wait for the step before; "
            "and within one step a recurrent layer is parallel over samples and units.",
            "这是指训练时，各步均已知。逐步生成时两者都要等上一步；而在一步之内，循环层对样本和单元也是并行"
            "的。",
        ),
        ("attention", "recurrent"),
    ),
)  # fmt: skip
