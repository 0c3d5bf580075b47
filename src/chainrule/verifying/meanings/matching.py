"""From `like=`, its options and somebody's forward to a Meaning: the first that gives the same output."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ChainruleError, describe
from chainrule.base.types import Array
from chainrule.layers import GELU, GLU, Composite, Identity, Layer, LearnedPositions, layer_classes
from chainrule.layers.sequences.recurrent import Recurrent
from chainrule.losses import (
    BinaryCrossEntropy,
    CategoricalHinge,
    CosineDistance,
    CrossEntropy,
    GaussianNLL,
    Hinge,
    Huber,
    KLDivergence,
    Loss,
    MeanAbsoluteError,
    MultiMargin,
    NegativeLogLikelihood,
    Poisson,
    SoftMargin,
    SquaredError,
    loss_for,
    loss_from,
)
from chainrule.losses.penalties import L1, L2, ElasticNet, Penalty, penalty_from
from chainrule.networks.model import Model
from chainrule.verifying.meanings.forms import AGREE, agreement
from chainrule.verifying.meanings.function import function_meaning
from chainrule.verifying.meanings.functions.known import functions
from chainrule.verifying.meanings.functions.norms import NORMS, norms
from chainrule.verifying.meanings.layer import (
    EPSILONS,
    SMALL,
    Forward,
    LayerMeaning,
    closest,
    layer_meaning,
    options_read,
)
from chainrule.verifying.meanings.losses import (
    BinaryFocal,
    CountedCrossEntropy,
    Divergence,
    Focal,
)
from chainrule.verifying.meanings.meaning import Meaning
from chainrule.verifying.meanings.named import (
    ALIASES,
    BY_PLACE,
    called,
    checked,
    layer_class,
    layers_like,
    nearly,
    plain,
)
from chainrule.verifying.meanings.objective import Wanted, network_meaning, wanted_for
from chainrule.verifying.meanings.penalty import penalty_meaning
from chainrule.verifying.meanings.recurrent import recurrent_meaning
from chainrule.verifying.probes import Probe

# Losses by the words that people use; several where a word has several meanings.
_LOSS_WORDS: list[tuple[tuple[type[Loss], ...], str]] = [
    (
        (CrossEntropy,),
        "crossentropy softmaxcrossentropy crossentropyloss softmaxloss softmaxcrossentropywithlogits "
        "categoricalcrossentropy softmaxwithloss crossentropywithlogits fusedcrossentropy "
        "sparsecategoricalcrossentropy fusedsoftmaxcrossentropy softmaxregression ce celoss xent "
        "softmaxce softmaxxent",
    ),
    (
        (BinaryCrossEntropy,),
        "binarycrossentropy bce bceloss bcewithlogits bcewithlogitsloss sigmoidcrossentropy logisticloss "
        "logisticregression binarycrossentropywithlogits sigmoidcrossentropywithlogits",
    ),
    ((BinaryCrossEntropy, CrossEntropy), "logloss"),
    ((SquaredError,), "squarederror mse sse mseloss meansquarederror l2loss linearregression"),
    ((MeanAbsoluteError,), "meanabsoluteerror mae l1loss"),
    ((Huber,), "huber huberloss smoothl1 smoothl1loss"),
    ((Hinge, MultiMargin, CategoricalHinge), "hinge hingeloss"),
    ((MultiMargin, CategoricalHinge, Hinge), "svm svmloss"),
    ((MultiMargin, CategoricalHinge), "multiclasshinge multiclasssvm"),
    ((MultiMargin,), "multimargin multimarginloss"),
    ((CategoricalHinge,), "categoricalhinge"),
    ((Poisson,), "poisson poissonnll"),
    ((NegativeLogLikelihood, CrossEntropy), "nll nllloss negativeloglikelihood"),
    ((GaussianNLL,), "gaussiannll gaussiannllloss gaussianlikelihood"),
    ((SoftMargin, BinaryCrossEntropy), "softmargin softmarginloss"),
    ((CosineDistance,), "cosinedistance cosineloss cosinesimilarity cosineembedding"),
    ((Focal, BinaryFocal), "focal focalloss"),
    ((Divergence, KLDivergence), "kldiv kldivergence kldivloss kl kld kullbackleibler"),
]
LOSSES = {word: losses for losses, words in _LOSS_WORDS for word in words.split()}
COUNTED = {"weight", "weights", "class_weight", "ignore_index"}
SHORT = 3  # letters of abbreviations, which are near to anything
HUBERS = (1.0, 2.0, 0.5, 1.35, 1.345, 1.5, 0.1, 5.0, 10.0)  # where people put δ, if it is not told
NEAR_BY, FAR_OUT = 1e-3, 1e4  # residuals on both sides of every δ
SMOOTHINGS = (0.1, 0.2, 0.05, 0.01)  # of labels, if it is not told
ROUGHLY = 0.05  # of the largest output: forwards that may be the same but for ε
PENALTIES: dict[str, type[Penalty]] = {
    "l2": L2, "weightdecay": L2, "ridge": L2, "l2penalty": L2, "l2regularization": L2, "l1": L1, "lasso": L1,
    "l1penalty": L1, "l1regularization": L1, "elasticnet": ElasticNet,
}  # fmt: skip
# As messages name them; `functions` knows more words.
FUNCTIONS = (
    "attention", "flash_attention", "swiglu", "geglu", "glu", "rotary", "gelu_tanh", "maximum", "minimum",
)  # fmt: skip


@dataclass(frozen=True)
class Named:
    """A class of layers with its options by our names; what is missing the arrays tell."""

    kind: type[Layer]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Like:
    """What is meant, as it was given.  loss, penalty: where `like` is a network whose J comes back.

    kind: what it is, a `Named`, a layer, a penalty, the losses or the functions of several inputs that it
    may be.  Raises ArgumentError for a `like` that is none of these or takes no such option: nothing of
    somebody's code has run by then.
    """

    like: Any
    options: Mapping[str, Any]
    loss: Any = None
    penalty: Penalty | None = None
    kind: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", self._kind())
        network = isinstance(self.kind, list) and isinstance(self.kind[0], Wanted)
        ends = network and not isinstance(self.like, (str, Loss, type))
        given = "loss" if self.loss is not None and not ends else "penalty"
        if (self.loss is not None and not ends) or (self.penalty is not None and not network):
            raise ArgumentError(
                f"{given} is given, and like is {self.title}: it belongs behind a network, "
                f"like=[cr.Dense(5), cr.ReLU(), cr.Dense(3)], {given}=..."
            )

    @property
    def title(self) -> str:
        if isinstance(self.like, type):
            return self.like.__name__
        if not isinstance(self.like, str):
            return repr(self.like)
        told = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return self.like if "(" in self.like and not told else f"{self.like}({told})"

    def meaning(
        self,
        args: Sequence[Array],
        names: Sequence[str],
        out: Array,
        forward: Callable[[Sequence[Array]], Array],
        precision: str | None = None,
        loosely: bool = False,
    ) -> Meaning | None:
        """The first meaning under which our forward gives `out`; None where there is none.

        loosely: but for a small constant that guards a logarithm or a quotient.
        """
        tolerance = agreement([out, *args], precision, loosely)
        kind = self.kind
        if isinstance(kind, Named):
            if issubclass(kind.kind, GLU) and len(args) > 1 and isinstance(self.like, str):
                known = functions(plain(called(self.like)[0]), {})  # z and its gates come apart
                return function_meaning(known, args, out, tolerance)
            if issubclass(kind.kind, Recurrent):
                layers = layers_like(kind.kind, dict(kind.options), args)
                cells = [layer for layer in layers if isinstance(layer, Recurrent)]
                _single(cells, self.title)
                return recurrent_meaning(cells, args, out, tolerance)
            _single(layers_like(kind.kind, dict(kind.options), args), self.title)
            made = _named_meaning(kind, args, out, tolerance, forward)
            if kind.kind is GELU:  # or by its usual approximations
                approximate = [*functions("gelutanh", {}), *functions("geluquick", {})]
                others = (function_meaning([each], args, out, tolerance) for each in approximate)
                return nearest([made, *others], args, forward)
            if made is None and kind.kind is LearnedPositions:  # with the tokens that they are added to
                return function_meaning(functions("positionembedding", {}), args, out, tolerance)
            return made
        if isinstance(kind, Recurrent):
            return recurrent_meaning([kind], args, out, tolerance)
        if isinstance(kind, Layer):
            return layer_meaning([kind], args, out, tolerance, forward)
        if isinstance(kind, (Penalty, tuple)):
            return penalty_meaning(kind, args, out, forward, tolerance)
        if isinstance(kind[0], Wanted):
            ways = (kind, self._ignored(args), *self._smoothed(), *self._bent(args, forward))
            tried = (
                network_meaning(way, args, names, out, forward, tolerance, self.penalty)
                for way in ways
                if way
            )
            return next((made for made in tried if made is not None), None)
        if kind[0].name != "geglu":
            return function_meaning(kind, args, out, tolerance)
        return nearest((function_meaning([each], args, out, tolerance) for each in kind), args, forward)

    def _smoothed(self) -> Iterator[list[Wanted]]:
        """Cross-entropy by its name with the usual smoothings of its labels."""
        by_name = isinstance(self.like, str) and not self.options and "(" not in self.like
        if by_name and LOSSES.get(plain(self.like)) == (CrossEntropy,):
            yield from (wanted_for(CrossEntropy(label_smoothing=share)) for share in SMOOTHINGS)

    def _bent(self, args: Sequence[Array], forward: Forward) -> Iterator[list[Wanted]]:
        """Huber's loss by its name with the δ that their forward has: the slope far out, beside how it bends
        at 0.
        """
        by_name = isinstance(self.like, str) and not self.options and "(" not in self.like
        wide = [value.astype(np.float64) if value.dtype.kind == "f" else value for value in args]
        pair = [value for value in wide if value.dtype.kind == "f" and value.ndim]
        alike = len(pair) == 2 and pair[0].shape == pair[1].shape
        if not by_name or LOSSES.get(plain(self.like)) != (Huber,) or not alike:
            return
        first, second = (number for number, value in enumerate(wide) if any(value is each for each in pair))

        def J(off: float) -> float:
            """Of the same numbers twice, but for one that is off."""
            given = [value.copy() for value in wide]
            given[second] = given[first].copy()
            given[first].reshape(-1)[0] += off
            return float(np.sum(forward(given)))

        try:
            bend, slope = 2 * J(NEAR_BY) / NEAR_BY**2, (J(2 * FAR_OUT) - J(FAR_OUT)) / FAR_OUT
        except (ArithmeticError, IndexError, TypeError, ValueError, ChainruleError):
            return
        if bend > 0 and slope > 0:
            yield wanted_for(Huber(float(f"{slope / bend:.6g}")))

    def _ignored(self, args: Sequence[Array]) -> list[Wanted] | None:
        """Cross-entropy by its name with the one negative number among classes as what is ignored."""
        by_name = isinstance(self.like, str) and not self.options and "(" not in self.like
        if not by_name or LOSSES.get(plain(self.like)) != (CrossEntropy,):
            return None
        marks = {int(mark) for value in args if value.dtype.kind == "i" for mark in value[value < 0].flat}
        return wanted_for(CountedCrossEntropy(ignore_index=marks.pop())) if len(marks) == 1 else None

    def _kind(self) -> Any:
        like, options = self.like, dict(self.options)
        if isinstance(like, str):
            name, told = called(like)
            if twice := [word for word in told if word in options]:
                raise ArgumentError(f"like is {like!r}, and {twice[0]}={options[twice[0]]!r} is told beside")
            return _by_name(name, {**told, **options})
        if isinstance(like, type):
            return _of_class(like, like.__name__, options)
        if options:
            raise ArgumentError(f"like is {like!r}, which has its options: leave out {', '.join(options)}")
        if isinstance(like, Model):
            like = list(like.layers)
        if isinstance(like, Layer) and like.unfolded() != (like,):
            like = list(like.unfolded())
        if isinstance(like, Penalty) or (isinstance(like, Layer) and not isinstance(like, Composite)):
            return like
        return _wanted(like, self.loss)


def nearest(meanings: Iterable[Meaning | None], args: Sequence[Array], forward: Forward) -> Meaning | None:
    """The one whose output is nearest to theirs in float64, where several give it: GELU and its approximation
    by tanh are 3·10⁻⁴ apart, which float32 shows and a tolerance for ten thousand roundings does not.
    """
    found = [meaning for meaning in meanings if meaning is not None]
    if len(found) < 2:
        return found[0] if found else None
    exact = tuple(value.astype(np.float64) if value.dtype.kind == "f" else value for value in args)
    try:
        out = forward([value.copy() for value in exact])
    except ChainruleError:
        return found[0]
    probe = Probe(exact, np.ones_like(out))
    return min(found, key=lambda meaning: meaning.off(probe, out) or 0.0)


def _single(layers: Iterable[Layer], title: str) -> None:
    """ArgumentError where the layers of a name are short for several layers each."""
    first = next(iter(layers), None)
    if first is not None and first.unfolded() != (first,):
        raise ArgumentError(
            f"like is {title}, several layers in one: write the layer itself, like=cr.{first!r}"
        )


def _named_meaning(
    kind: Named, args: Sequence[Array], out: Array, tolerance: float, forward: Forward
) -> Meaning | None:
    """Of the layers as they are by themselves; else with the options that were not told read off forward.

    ε is always read off, in float64 where forward takes it: 1e-5 and 1e-8 are one number in the output of
    float32, or beside a variance of 10^4, and two in the last digits of the gradient.
    """
    found: Meaning | None = layer_meaning(
        layers_like(kind.kind, dict(kind.options), args), args, out, tolerance, forward
    )
    options = set(inspect.signature(kind.kind).parameters) - set(kind.options)
    if found is not None and "epsilon" not in options:
        return found
    exact = [value.astype(np.float64) if value.dtype.kind == "f" else value for value in args]
    try:
        wide = forward([value.copy() for value in exact])
    except ChainruleError:
        return found
    if isinstance(found, LayerMeaning):
        return closest(found, exact, forward) or _norm_meaning(kind, exact, wide, forward) or found
    for more in options_read(options, exact, forward):
        layers = layers_like(kind.kind, {**kind.options, **more}, args)
        tolerance = ROUGHLY if "epsilon" in more else AGREE["float64"]
        near = layer_meaning(layers, exact, wide, tolerance, forward)
        if near is not None:
            made = closest(near, exact, forward) if "epsilon" in more else near
            return made or _norm_meaning(kind, exact, wide, forward)
    return _norm_meaning(kind, exact, wide, forward)


def _norm_meaning(kind: Named, args: Sequence[Array], out: Array, forward: Forward) -> Meaning | None:
    """Of a normalisation as people write it beside ours, its ε read off where x is small and ε shows.

    args: in float64, as far as forward keeps it.
    """
    name, x, tolerance = kind.kind.__name__, args[0], agreement([out])
    if name not in NORMS or len(args) > 3 or any(value.dtype.kind != "f" for value in args) or x.ndim < 2:
        return None
    small = [x * (SMALL / (float(x.std()) or 1.0)), *args[1:]]
    try:
        of_small = forward([value.copy() for value in small])
    except ChainruleError:
        return None
    told = kind.options.get("epsilon")
    for epsilon in EPSILONS if told is None else (told,):
        for function in norms(name, args, epsilon):
            if function_meaning([function], small, of_small, tolerance) is not None:
                found = function_meaning([function], args, out, tolerance)
                if found is not None:
                    return found
    return None


def _by_name(name: str, options: dict[str, Any]) -> Any:
    """What a name with options means, as `Like.kind` has it."""
    word = plain(name)
    kind: Any = layer_class(name) or PENALTIES.get(word)
    if kind is not None:
        return _of_class(kind, name, options)
    if word in ("squaredhinge", "squaredhingeloss"):
        word, options = "hinge", {"squared": True, **options}
    if LOSSES.get(word) == (CrossEntropy,) and COUNTED & set(options):
        return wanted_for(CountedCrossEntropy(**checked(CountedCrossEntropy, name, options)))
    if LOSSES.get(word) == (Huber,) and not options:
        return [want for delta in HUBERS for want in wanted_for(Huber(delta))]
    if word in LOSSES:
        made: list[Loss] = []
        for loss in LOSSES[word]:
            try:
                made.append(loss(**checked(loss, name, options)))
            except ArgumentError:
                if not made and loss is LOSSES[word][-1]:
                    raise
        return [want for loss in made for want in wanted_for(loss)]
    by_place = options.pop(BY_PLACE, ())
    try:
        known = functions(word, options)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"like is {name!r}: {error}") from error
    if known:
        if options or by_place:
            other = repr(next(iter(options))) if options else f"option by its place, {by_place[0]!r}"
            near = nearly(next(iter(options), ""), ("causal", "base"))
            raise ArgumentError(f"verify takes no {other} for {name}{near}")
        return known
    known_words = [each for each in (*ALIASES, *LOSSES) if len(each) > SHORT]
    if near := nearly(name, [*layer_classes, *known_words, *PENALTIES, *FUNCTIONS]):
        raise ArgumentError(f"like is {name!r}{near}")
    raise ArgumentError(
        f"like is {name!r}; the layers are {', '.join(layer_classes)}; the losses cross_entropy, "
        "binary_cross_entropy, squared_error, mean_absolute_error, huber, hinge, svm, poisson, nll, "
        "kl_divergence, gaussian_nll, soft_margin, cosine_distance; the penalties l2, l1; and "
        + ", ".join(FUNCTIONS)
    )


def _of_class(kind: type[Any], title: str, options: dict[str, Any]) -> Any:
    if issubclass(kind, Composite):
        raise ArgumentError(f"like is the class {title}: write one with its layers, {title}([...])")
    if issubclass(kind, Layer):
        return Named(kind, checked(kind, title, options))
    if issubclass(kind, Penalty):
        return (kind, checked(kind, title, options))
    if issubclass(kind, Loss):
        return wanted_for(kind(**checked(kind, title, options)))
    raise ArgumentError(
        f"like is the class {title}: write a layer, MaxPool2D(2), a loss, a network, or a name"
    )


def named_penalty(penalty: Any) -> tuple[Penalty | None, bool]:
    """(the penalty, whether it is one): of a name None, its strength being read off forward.

    Raises ArgumentError for what is neither.
    """
    if isinstance(penalty, str) and PENALTIES.get(plain(penalty)) in (L1, L2):
        return None, True
    try:
        return penalty_from(penalty), penalty is not None
    except TypeError:
        raise ArgumentError(
            f"penalty is {describe(penalty)}: write 'l2' or 'l1', of which the strength is read off the "
            "forward pass, or with it, cr.L2(1e-4), cr.L2(1e-4, per_sample=True), cr.ElasticNet(1e-5, 1e-4)"
        ) from None


def named_loss(loss: Any) -> Loss:
    """A loss as it is, or by the first meaning of its name."""
    kinds = LOSSES.get(plain(loss)) if isinstance(loss, str) else None
    return loss_from(loss, Identity()) if kinds is None else kinds[0]()


def _wanted(like: Any, loss: Any) -> list[Wanted]:
    """Networks with losses that `like` may mean."""
    if isinstance(like, Loss):
        return wanted_for(like)
    if isinstance(like, Composite):
        return [Wanted([like], loss)]
    given = list(like) if isinstance(like, (list, tuple)) else []
    if given and all(isinstance(entry, Layer) for entry in given):
        return [Wanted(given, loss), *([] if loss is not None else [Wanted(given, loss_for(given[-1]))])]
    if given:
        other = next(entry for entry in given if not isinstance(entry, Layer))
        raise ArgumentError(
            f"like is a list with {describe(other)} in it: of a network write its layers, "
            "like=[cr.Dense(5), cr.ReLU(), cr.Dense(3)], and its loss as loss="
        )
    raise ArgumentError(
        f"like is {describe(like)}: write a layer, MaxPool2D(2), a loss, a network, or a name"
    )
