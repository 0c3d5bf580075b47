"""`like=`: a layer as it is, or a name and options as people write them, and what only the arrays tell."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import permutations, product
from typing import Any

from chainrule.base.errors import ArgumentError, ChainruleError
from chainrule.base.types import Array
from chainrule.layers import Layer, layer_classes
from chainrule.layers.norms.normalization import Normalization

# Names of layers as other libraries write them.
ALIASES = {
    "linear": "Dense", "affine": "Dense", "fc": "Dense", "fullyconnected": "Dense", "conv": "Conv2D",
    "convolution": "Conv2D", "convolution2d": "Conv2D", "convtranspose": "ConvTranspose2D",
    "deconv": "ConvTranspose2D", "maxpool": "MaxPool2D", "maxpooling2d": "MaxPool2D", "max_pool": "MaxPool2D",
    "avgpool": "AveragePool2D", "averagepool": "AveragePool2D", "avgpool2d": "AveragePool2D",
    "meanpool": "AveragePool2D", "averagepooling2d": "AveragePool2D", "l2pool": "L2Pool2D",
    "avgpool1d": "AveragePool1D", "avgpool3d": "AveragePool3D", "maxpooling3d": "MaxPool3D",
    **{
        f"adaptive{word}{n and f'{n}d'}": f"Adaptive{kind}Pool{n or 2}D"
        for word, kind in (
            *(("avgpool", "Average"), ("averagepool", "Average"), ("averagepooling", "Average")),
            *(("maxpool", "Max"), ("maxpooling", "Max")),
        )
        for n in ("", 1, 2, 3)
    },
    "batchnorm3d": "BatchNorm", "instancenorm3d": "InstanceNorm",
    "batchnorm1d": "BatchNorm", "batchnorm2d": "BatchNorm",
    "batchnormalization": "BatchNorm", "layernormalization": "LayerNorm", "groupnormalization": "GroupNorm",
    "instancenorm1d": "InstanceNorm", "instancenorm2d": "InstanceNorm", "lrn": "LocalResponseNorm",
    "instancenormalization": "InstanceNorm", "localnorm": "LocalResponseNorm",
    "swish": "SiLU", "leaky": "LeakyReLU", "rectifier": "ReLU", "logistic": "Sigmoid", "elman": "RNN",
    "vanillarnn": "RNN", "simplernn": "RNN", "selfattention": "MultiHeadAttention",
    "multiheadattention": "MultiHeadAttention", "mha": "MultiHeadAttention", "hardswish": "HardSwish",
    "positional": "PositionalEncoding", "globalavgpool": "GlobalAveragePool", "inverteddropout": "Dropout",
    # What people abbreviate.
    "bn": "BatchNorm", "bn1d": "BatchNorm", "bn2d": "BatchNorm", "ln": "LayerNorm", "gn": "GroupNorm",
    "rms": "RMSNorm", "lrelu": "LeakyReLU", "lin": "Dense", "ip": "Dense", "innerproduct": "Dense",
    "mhsa": "MultiHeadAttention", "emb": "Embedding", "sigm": "Sigmoid", "sm": "Softmax",
    "lsm": "LogSoftmax", "hswish": "HardSwish", "hsigmoid": "HardSigmoid", "htanh": "HardTanh",
    "tconv": "ConvTranspose2D", "convt": "ConvTranspose2D", "dwconv": "DepthwiseConv2D",
    "pe": "PositionalEncoding", "gap": "GlobalAveragePool", "gmp": "GlobalMaxPool",
}  # fmt: skip
WORDS = {
    "pad": ("padding",), "kernel": ("kernel_size", "window"), "kernel_size": ("window",),
    "pool_size": ("window",), "size": ("window",), "eps": ("epsilon",), "p": ("rate",), "drop": ("rate",),
    "num_heads": ("heads",), "n_heads": ("heads",), "num_groups": ("groups",), "hidden_size": ("units",),
    "proj_size": ("projection",), "output_size": ("size",), "divisor_override": ("divisor",),
    "num_embeddings": ("vocabulary",), "embedding_dim": ("features",), "negative_slope": ("slope",),
    "alpha": ("slope",), "is_causal": ("causal",), "strides": ("stride",), "dilation_rate": ("dilation",),
    "G": ("groups",), "margin": ("delta",), "reg": ("lam",),
    "weights": ("weight",), "class_weight": ("weight",), "padding_idx": ("padding",),
}  # fmt: skip
CAUSAL = "causal"  # padding of other libraries' convolutions along a sequence
BY_PLACE = ""  # the name under which options stand that are told by their place
NEARLY = 0.6  # how alike a name is that is proposed, of difflib
# What the arrays or their forward tell, and sizes of which each takes one whatever its padding is.
TOLD_BY_ARRAYS = frozenset(
    ("units", "filters", "kernel_size", "vocabulary", "features", "heads", "lam", "rate")
)
TRIED_SIZES = (1, 3, 9, 999)


def plain(name: str) -> str:
    """A name without what libraries differ in: case, underscores, blanks, hyphens."""
    return "".join(letter for letter in name.lower() if letter not in "_- ")


def layer_class(name: str) -> type[Layer] | None:
    """The class of layers that a name means; None: no layer's."""
    by_word = {plain(known): kind for known, kind in layer_classes.items()}
    word = plain(name)
    return by_word.get(word) or by_word.get(plain(ALIASES.get(word, "")))


def nearly(word: str, known: Iterable[str]) -> str:
    """: did you mean 'Dense'" of what is spelt nearly so, "" where nothing is."""
    by_word = {plain(name): name for name in known}
    close = [by_word[each] for each in get_close_matches(plain(word), by_word, 3, NEARLY)]
    return f": did you mean {' or '.join(map(repr, close))}" if close else ""


def called(text: str) -> tuple[str, dict[str, Any]]:
    """The name and the options of "MaxPool2D(2, stride=1)", those without a name at BY_PLACE.

    Raises ArgumentError for what is no such call.
    """
    name, sign, rest = text.strip().partition("(")
    if not sign:
        return text, {}
    try:
        call = ast.parse(f"_({rest}", mode="eval").body
        assert isinstance(call, ast.Call)
        by_place = tuple(map(_plain_value, call.args))
        options = {str(word.arg): _plain_value(word.value) for word in call.keywords if word.arg}
        assert len(options) == len(call.keywords)
    except (SyntaxError, ValueError, AssertionError):
        raise ArgumentError(
            f"like is {text!r}: write a name with options, 'maxpool2d(2, stride=1)', or the layer itself, "
            "like=cr.MaxPool2D(2, stride=1)"
        ) from None
    return name.strip(), {**({BY_PLACE: by_place} if by_place else {}), **options}


def _plain_value(node: ast.expr) -> Any:
    """A number, a tuple, a text; a word without quotes is a text."""
    words = {"true": True, "false": False, "none": None}
    if isinstance(node, ast.Name):
        return words.get(node.id.lower(), node.id)
    return ast.literal_eval(node)


def own_options(make: Any, title: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options by our names. Raises ArgumentError for one that `make` does not take."""
    accepted = [name for name in inspect.signature(make).parameters if name != "name"]
    by_place = options.get(BY_PLACE, ())
    if len(by_place) > len(accepted):
        raise ArgumentError(f"like is {title} with {len(by_place)} options; it takes {', '.join(accepted)}")
    named = dict(zip(accepted, by_place, strict=False))
    for name, value in options.items():
        if name == BY_PLACE:
            continue
        word = next((word for word in (name, *WORDS.get(name, ())) if word in accepted), None)
        if word is None:
            also = [other for other, ours in WORDS.items() if any(each in accepted for each in ours)]
            said = nearly(name, [*accepted, *also]) or _advice(make, name, value)
            raise ArgumentError(
                f"verify takes no {name!r} for {title}{said}; its options are {', '.join(accepted)}"
            )
        if word in named:
            raise ArgumentError(f"verify takes {word} for {title} once, and it is told twice")
        named[word] = value
    return named


def _advice(make: Any, name: str, value: Any) -> str:
    """What the layer itself says of an argument that it has not, where it knows what to write instead."""
    try:
        make(**{name: value})
    except TypeError as error:
        _, sign, advice = str(error).partition("; write ")
        return f": {advice}" if sign else ""
    except Exception:  # of another argument
        return ""
    return ""


def checked(make: Any, title: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options by our names, of which `make` can be made.

    Raises ArgumentError for one that it does not take, for a value that it refuses, and for one that is
    missing and that no array tells.
    """
    named = own_options(make, title, options)
    needed = [
        parameter.name
        for parameter in inspect.signature(make).parameters.values()
        if parameter.default is parameter.empty and parameter.name in TOLD_BY_ARRAYS - set(named)
    ]
    said: Exception | None = None
    for size in TRIED_SIZES:
        try:
            sizes = {word: 0.5 if word == "rate" else size for word in needed}
            make(**_padded(make, {**sizes, **named}))
            return named
        except (ChainruleError, TypeError, ValueError) as error:
            said = error
    raise ArgumentError(f"like is {title!r}: {said}") from said


def layers_like(
    make: Callable[..., Layer], options: dict[str, Any], args: Sequence[Array]
) -> Iterator[Layer]:
    """The layers that a class and options may mean, its sizes read off the arguments."""
    made = set()
    for words in _sizes(make.__name__, args, options):
        for bias in _biases(make, words, options, len(args)):
            try:
                layer = make(**_padded(make, {**words, **bias, **options}))
            except (TypeError, ValueError, ChainruleError):
                continue
            if repr(layer) not in made:
                made.add(repr(layer))
                yield layer


def _of_lstm(units: int, given: Sequence[Array], options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Projections and peepholes that arrays of these shapes may be, and that nobody told."""
    shapes = [value.shape for value in given]
    vectors = sum(shape == (units,) for shape in shapes)
    seen = (False, True)[: 1 + ((3 * units,) in shapes or vectors > 2)]
    sizes = {k for shape in shapes if len(shape) == 2 and units in shape for k in shape}
    states = [k for k in sorted(sizes) if {(4 * units, k), (k, 4 * units), (k, units)} & set(shapes)]
    for peepholes, projection in product(seen, [None, *states]):
        told = {"peepholes": peepholes, "projection": projection}
        made = {name: value for name, value in told.items() if value and name not in options}
        if made:
            yield made


def _padded(make: Any, options: dict[str, Any]) -> dict[str, Any]:
    """With padding="causal" as the zeros before the first step that it is, of this kernel."""
    kernel, dilation = options.get("kernel_size"), options.get("dilation", 1)
    causal = getattr(make, "__name__", "") == "Conv1D" and options.get("padding") == CAUSAL
    if causal and isinstance(kernel, int) and isinstance(dilation, int):
        return {**options, "padding": (dilation * (kernel - 1), 0)}
    return options


def _biases(make: Any, words: Any, options: Any, count: int) -> list[dict[str, bool]]:
    """Which parameters may be missing where so few arrays are given."""
    if isinstance(make, type) and issubclass(make, Normalization):
        known = [word for word in ("scale", "shift") if word in inspect.signature(make).parameters]
        alone = [{word: word == kept for word in known} for kept in known] if count == 2 else []
        none = [dict.fromkeys(known, False)] if count == 1 else []
        return [{}, *(made for made in (*alone, *none) if not set(made) & set(options))]
    if "bias" in options or "bias" not in inspect.signature(make).parameters:
        return [{}]
    if make.__name__ == "MultiHeadAttention":
        return [{"bias": count > 5}]
    return [{"bias": count > 2}]


def _sizes(name: str, args: Sequence[Array], options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Arguments that only the arrays tell: units of a dense layer, filters and kernel of a convolution."""
    rest = [value for value in args[1:] if value.ndim] or list(args[1:])
    axes = list(dict.fromkeys(size for value in args for size in value.shape))
    if name == "Dense":
        yield from ({"units": size} for size in axes)
    elif "Conv" in name:
        spatial = int(name[-2])
        for weights in (value for value in rest if value.ndim == spatial + 2 or value.ndim == spatial + 1):
            kernels = dict.fromkeys(permutations(weights.shape, spatial))
            for kernel in kernels:
                size = kernel if spatial > 1 else kernel[0]
                if name == "DepthwiseConv2D":
                    yield {"kernel_size": size}
                else:
                    yield from (
                        {"filters": filters, "kernel_size": size} for filters in dict.fromkeys(weights.shape)
                    )
    elif name in ("RNN", "LSTM", "GRU"):
        outputs = [options["outputs"]] if "outputs" in options else ["all", "last"]
        resets = [True, False] if name == "GRU" and "reset_after" not in options else [None]
        for size, what, reset in product(axes, outputs, resets):
            yield {"units": size, "outputs": what, **({} if reset is None else {"reset_after": reset})}
        if name == "LSTM":
            for size, what in product(axes, outputs):
                for more in _of_lstm(size, rest, options):
                    yield {"units": size, "outputs": what, **more}
    elif name == "Embedding":
        tables = [value for value in args if value.dtype.kind == "f" and value.ndim == 2]
        for table, order in product(tables, (1, -1)):
            yield dict(zip(("vocabulary", "features"), table.shape[::order], strict=True))
    elif name == "MultiHeadAttention" and "heads" not in options:
        yield {"heads": 1}
    else:
        yield {}
