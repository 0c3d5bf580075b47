"""What a backward pass may be meant to be where nobody says: by the words in its title, then its arguments.

A guess counts only where it gives the same output, and is asked only where something is wrong for no known
cause.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chainrule.base.errors import ArgumentError
from chainrule.base.types import Array
from chainrule.layers import Dense, Layer
from chainrule.layers.activations.rectifiers import ReLU
from chainrule.layers.activations.smooth import GELU, Identity, Sigmoid, SiLU, Tanh
from chainrule.layers.activations.softmax import Softmax
from chainrule.verifying.meanings.matching import Like, named_loss
from chainrule.verifying.meanings.named import plain

MOST_NUMBERS = 20_000  # in all arguments: of more each guess takes its time
# Strides and paddings, and windows of pooling, as people choose them.
WINDOWS = tuple(
    f"conv2d(stride={stride}, padding={padding})" for stride in (1, 2, 3) for padding in (0, 1, 2)
)[1:]
POOLS = ("(2)", "(3)", "(3, stride=2)", "(2, stride=1)", "(3, stride=1)")
MAXIMA = tuple(f"maxpool2d{each}" for each in POOLS)
MEANS = tuple(f"avgpool2d{each}" for each in POOLS)
# In a title, without case and underscores: what it is a sign of.
WORDS = (
    ("rms", ("rmsnorm",)), ("layernorm", ("layernorm",)), ("ln", ("layernorm",)),
    ("batchnorm", ("batchnorm",)), ("bn", ("batchnorm",)), ("groupnorm", ("groupnorm",)),
    ("instancenorm", ("instancenorm",)),
    ("logsoftmax", ("log_softmax",)), ("softmax", ("softmax", "cross_entropy")), ("swiglu", ("swiglu",)),
    ("geglu", ("geglu",)), ("gelu", ("gelu",)), ("silu", ("silu",)), ("swish", ("silu",)),
    ("rope", ("rotary",)), ("rotary", ("rotary",)), ("gqa", ("gqa",)), ("flash", ("flash_attention",)),
    ("attention", ("attention",)), ("attn", ("attention",)), ("embed", ("embedding",)),
    ("crossentropy", ("cross_entropy",)), ("ce", ("cross_entropy",)), ("lstm", ("lstm",)), ("gru", ("gru",)),
    ("rnn", ("rnn",)), ("conv1d", ("conv1d", "conv1d(padding='causal')")), ("conv", ("conv2d", *WINDOWS)),
    ("maxpool", MAXIMA), ("avgpool", MEANS), ("meanpool", MEANS), ("pool", (*MAXIMA, *MEANS)),
    ("linear", ("dense",)), ("affine", ("dense",)), ("mse", ("mse",)),
)  # fmt: skip
# By how many arguments of real numbers there are, and whether one of whole numbers is.
COUNTED = {
    (1, False): (
        "softmax", "log_softmax", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh", "relu", "softplus", "mish",
        "rotary", "rmsnorm", "layernorm",
    ),
    (1, True): ("embedding", "cross_entropy", "svm"),
    (2, False): ("rmsnorm", "swiglu", "geglu", "dense", "mse", "binary_cross_entropy", "rnn"),
    (2, True): ("positional_embedding", "cross_entropy"),
    (3, False): (
        "layernorm", "batchnorm", "instancenorm", "dense", "attention", "attention(causal=True)", "rotary",
        "rnn",
    ),
    (4, False): ("swiglu", "rnn"),
    (5, False): ("gru", "rnn"),
    (6, False): ("lstm", "gru"),
}  # fmt: skip
ACTIVATIONS = (ReLU, Tanh, GELU, Sigmoid, SiLU)


def guesses(title: str, args: Sequence[Array], out: Array) -> Iterator[Like]:
    """What it may be, the likeliest first."""
    if sum(value.size for value in args) > MOST_NUMBERS:
        return
    real = [value for value in args if value.dtype.kind == "f"]
    whole = any(value.dtype.kind in "iu" for value in args)
    said = plain(title)
    by_title = (name for word, names in WORDS if word in said for name in names)
    for name in dict.fromkeys((*by_title, *COUNTED.get((len(real), whole), ()))):
        try:
            yield Like(name, {})
        except ArgumentError:
            continue
    yield from _chains(real, whole, out)


def _chains(real: Sequence[Array], whole: bool, out: Array) -> Iterator[Like]:
    """Dense layers with one kind of activation between them, by their biases; of one layer, behind it."""
    sizes = [value.size for value in real if value.ndim == 1]
    if not 1 <= len(sizes) <= 3 or len(real) - len(sizes) not in (len(sizes) + 1, len(sizes) + 2):
        return
    for activation in ACTIVATIONS:
        layers: list[Layer] = []
        for size in sizes:
            layers += [Dense(size), activation()]
        if out.size > 1:
            for chain in (layers, layers[:-1]) if len(sizes) > 1 else (layers,):
                yield Like(chain, {})
        elif whole:
            yield Like([*layers[:-1], Softmax()], {}, named_loss("cross_entropy"))
        else:
            yield Like([*layers[:-1], Identity()], {}, named_loss("mse"))
