"""Embeddings, dropout with its mask, residual branches, gated units, rotary positions."""

from __future__ import annotations

import numpy as np
from tests.verifying.museum.case import Cases, Made, normal

import chainrule as cr

CASES = Cases(__name__)
bug = CASES.bug
IDS = np.array([[1, 3, 1, 0], [2, 1, 1, 4], [4, 4, 0, 3]])
TABLE = normal(61, (6, 3))[0]


def look_up(x, W):
    return W[x], (x, W)


@bug("tenstorrent/tt-metal#6232", "ids that come twice: = for +=", "embedding", "overwritten")
def embedding_assigned() -> Made:
    def backward(dout, cache):
        x, W = cache
        dW = np.zeros_like(W)
        dW[x] += dout  # NumPy adds once to an index that is listed twice
        return None, dW

    return (look_up, backward), (IDS, TABLE)


@bug("pytorch/pytorch#473", "ids are written in turn, the last one stays", "embedding", "overwritten")
def embedding_last_id() -> Made:
    def backward(dout, cache):
        x, W = cache
        dW = np.zeros_like(W)
        for n in range(x.shape[0]):
            for t in range(x.shape[1]):
                dW[x[n, t]] = dout[n, t]
        return None, dW

    return (look_up, backward), (IDS, TABLE)


@bug(
    "sql-machine-learning/elasticdl#2367",
    "every id's row is the mean of its gradients",
    "embedding",
    ("averaged rows",),
)
def embedding_averaged_by_count() -> Made:
    def backward(dout, cache):
        x, W = cache
        dW, count = np.zeros_like(W), np.zeros(len(W))
        np.add.at(dW, x, dout)
        np.add.at(count, x, 1)
        return None, dW / np.maximum(count, 1)[:, None]

    return (look_up, backward), (IDS, TABLE)


@bug("course: cs231n word_embedding_backward", "only the first step's words", "embedding", ("first", "step"))
def embedding_of_the_first_step() -> Made:
    def backward(dout, cache):
        x, W = cache
        dW = np.zeros_like(W)
        np.add.at(dW, x[:, 0], dout[:, 0])
        return None, dW

    return (look_up, backward), (IDS, TABLE)


RATE = 0.4
INPUT = normal(62, (5, 6))[0]
MASK = (np.random.default_rng(3).random((5, 6)) >= RATE).astype(float)


def inverted(x, mask):
    return x * mask / (1 - RATE), mask


@bug("ddbourgin/numpy-ml#94", "the mask is left out of δ", "dropout", "multiply only", rate=RATE)
def dropout_without_mask() -> Made:
    return (inverted, lambda d, mask: d / (1 - RATE)), (INPUT, MASK)


@bug(
    "course: inverted dropout",
    "the scale is left out of δ",
    "dropout",
    ("divide only", "ratio only", "factor"),
    rate=RATE,
)
def dropout_without_scale() -> Made:
    return (inverted, lambda d, mask: d * mask), (INPUT, MASK)


@bug(
    "course: inverted dropout",
    "times 1 - p in place of divided by it",
    "dropout",
    ("divide as multiply", "factor", "product"),
    rate=RATE,
)
def dropout_multiplied() -> Made:
    return (inverted, lambda d, mask: d * mask * (1 - RATE)), (INPUT, MASK)


@bug("course: dropout", "the mask of what was dropped", "dropout", ("complement",), rate=RATE)
def dropout_inverted_mask() -> Made:
    return (inverted, lambda d, mask: d * (1 - mask) / (1 - RATE)), (INPUT, MASK)


# in = 0 is taken as kept, and x may be 0
@bug(
    "kaldi-asr/kaldi#3890",
    "δ passes where the input is 0",
    "dropout",
    ("at zero",),
    rate=RATE,
)
def dropout_mask_from_values() -> Made:
    def forward(x, mask):
        return x * mask / (1 - RATE), (x, x * mask / (1 - RATE))

    def backward(d, cache):
        x, out = cache
        return d * np.where(x == 0, 1, out / np.where(x == 0, 1, x))

    x = INPUT.copy()
    x[MASK == 0] *= np.arange((MASK == 0).sum()) % 2
    return (forward, backward), (x, MASK)


def relu(x):
    return np.maximum(x, 0)


def block(x, w, b):
    z = x @ w + b
    return x + relu(z), (x, w, z)


RESIDUAL = cr.Residual([cr.Dense(4), cr.ReLU()])
BLOCK = normal(63, (5, 4), (4, 4), (4,))


def block_back(dx):
    def backward(dout, cache):
        x, w, z = cache
        dz = dout * (z > 0)
        return dx(dout, dz, w), x.T @ dz, dz.sum(0)

    return backward


@bug("paiml/entrenar#313", "the skip's gradient is not added", RESIDUAL, ("add only", "branch"))
def residual_skip_missing() -> Made:
    return (block, block_back(lambda d, dz, w: dz @ w.T)), BLOCK


@bug("course: resnet", "the branch's gradient is missing", RESIDUAL, ("add only", "branch"))
def residual_branch_missing() -> Made:
    return (block, block_back(lambda d, dz, w: d)), BLOCK


@bug("yakhyo/darknet-pytorch#2", "the skip is counted twice", RESIDUAL, ("twice", "branch", "factor"))
def residual_skip_twice() -> Made:
    return (block, block_back(lambda d, dz, w: 2 * d + dz @ w.T)), BLOCK


@bug("course: resnet", "the skip is masked by ReLU, too", RESIDUAL, ("branch", "symbol", "f'"))
def residual_skip_masked() -> Made:
    return (block, block_back(lambda d, dz, w: dz + dz @ w.T)), BLOCK


def sigma(x):
    return 1 / (1 + np.exp(-x))


def swiglu(gate, up):
    return gate * sigma(gate) * up, (gate, up)


def glu_args():
    return normal(64, (4, 5), (4, 5))


@bug("unslothai/unsloth#3314", "the two gradients are exchanged", "swiglu", ("another",))
def swiglu_gradients_exchanged() -> Made:
    def backward(d, cache):
        gate, up = cache
        s = sigma(gate)
        return d * gate * s, d * up * s * (1 + gate * (1 - s))

    return (swiglu, backward), glu_args()


@bug("unslothai/unsloth#3314", "∂up with σ in place of x σ", "swiglu", ("multiply only",))
def swiglu_up_without_gate() -> Made:
    def backward(d, cache):
        gate, up = cache
        s = sigma(gate)
        return d * up * s * (1 + gate * (1 - s)), d * s

    return (swiglu, backward), glu_args()


@bug(
    "ByteDance-Seed/Triton-distributed#185",
    "every row is written to row 0",
    "swiglu",
    ("written to one", "written to one"),
)
def swiglu_rows_to_row_zero() -> Made:
    def backward(d, cache):
        gate, up = cache
        s, dgate, dup = sigma(gate), np.zeros_like(gate), np.zeros_like(up)
        for i in range(len(d)):
            dgate[0] = (d * up * s * (1 + gate * (1 - s)))[i]
            dup[0] = (d * gate * s)[i]
        return dgate, dup

    return (swiglu, backward), glu_args()


@bug("course: swiglu", "SiLU' without its second term", "swiglu", ("add only", "only"))
def swiglu_gate_constant() -> Made:
    return (swiglu, lambda d, c: (d * c[1] * sigma(c[0]), d * c[0] * sigma(c[0]))), glu_args()


@bug("course: glu", "σ for σ' in the gate", "glu", ("multiply only", "only"))
def glu_gate_not_derived() -> Made:
    def forward(a, b):
        return a * sigma(b), (a, sigma(b))

    return (forward, lambda d, c: (d * c[1], d * c[0] * c[1])), glu_args()


def angles(x):
    half = x.shape[-1] // 2
    rate = 10000.0 ** (-np.arange(half) / half)
    turned = np.arange(x.shape[-2])[:, None] * rate
    return np.cos(turned), np.sin(turned)


def rotate(x, cos, sin):
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


SEQUENCE = normal(65, (2, 5, 6))


def rope(x):
    return rotate(x, *angles(x)), x


@bug(
    "huggingface/candle#3612",
    "turned forward once more: sin is not negated",
    "rotary",
    ("subtract", "sin", "sign"),
)
def rotary_not_turned_back() -> Made:
    def apply_rotary(x, cos, sin):
        return rotate(x, cos, sin), (cos, sin)

    return (apply_rotary, lambda d, cache: rotate(d, *cache)), (*SEQUENCE, *angles(SEQUENCE[0]))


@bug("huggingface/candle#3612", "δ is handed on as it is", "rotary", ("rotat", "turned", "identity"))
def rotary_left_out() -> Made:
    return (rope, lambda d, x: d), SEQUENCE


@bug(
    "PaddlePaddle/Paddle#74716",
    "sin is multiplied after the halves are exchanged",
    "rotary",
    ("definitions",),
)
def rotary_of_unequal_halves() -> Made:
    def forward(x, cos, sin):
        first, second = np.split(x, 2, axis=-1)
        return x * cos + np.concatenate([-second, first], -1) * sin, (cos, sin)

    def backward(d, cache):
        first, second = np.split(d, 2, axis=-1)
        return d * cache[0] - np.concatenate([-second, first], -1) * cache[1]

    return (forward, backward), (*SEQUENCE, *normal(66, (5, 6), (5, 6)))
