"""From `like=`, its options and somebody's forward to a Meaning: the first that gives the same output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.types import Array
from chainrule.layers import GLU, Composite, Identity, Layer, layer_classes
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
from chainrule.losses.penalties import L1, L2, ElasticNet, Penalty
from chainrule.networks.model import Model
from chainrule.verifying.meanings.forms import AGREE
from chainrule.verifying.meanings.function import function_meaning
from chainrule.verifying.meanings.known import functions
from chainrule.verifying.meanings.layer import layer_meaning
from chainrule.verifying.meanings.meaning import Meaning
from chainrule.verifying.meanings.named import layer_class, layers_like, own_options, plain
from chainrule.verifying.meanings.objective import Wanted, network_meaning, wanted_for
from chainrule.verifying.meanings.penalty import penalty_meaning
from chainrule.verifying.meanings.recurrent import recurrent_meaning

# Losses by the words that people use; several where a word has several meanings.
_LOSS_WORDS: list[tuple[tuple[type[Loss], ...], str]] = [
    (
        (CrossEntropy,),
        "crossentropy softmaxcrossentropy crossentropyloss softmaxloss softmaxcrossentropywithlogits "
        "categoricalcrossentropy softmaxwithloss crossentropywithlogits fusedcrossentropy "
        "sparsecategoricalcrossentropy fusedsoftmaxcrossentropy softmaxregression",
    ),
    (
        (BinaryCrossEntropy,),
        "binarycrossentropy bce bceloss bcewithlogits bcewithlogitsloss sigmoidcrossentropy logisticloss "
        "logisticregression binarycrossentropywithlogits sigmoidcrossentropywithlogits",
    ),
    ((BinaryCrossEntropy, CrossEntropy), "logloss"),
    ((SquaredError,), "squarederror mse mseloss meansquarederror l2loss linearregression"),
    ((MeanAbsoluteError,), "meanabsoluteerror mae l1loss"),
    ((Huber,), "huber huberloss smoothl1 smoothl1loss"),
    ((Hinge, MultiMargin, CategoricalHinge), "hinge hingeloss"),
    ((MultiMargin, CategoricalHinge, Hinge), "svm svmloss"),
    ((MultiMargin, CategoricalHinge), "multiclasshinge multiclasssvm"),
    ((MultiMargin,), "multimargin multimarginloss"),
    ((CategoricalHinge,), "categoricalhinge"),
    ((Poisson,), "poisson poissonnll"),
    ((NegativeLogLikelihood, CrossEntropy), "nll nllloss negativeloglikelihood"),
    ((KLDivergence,), "kldivergence kldiv kldivloss kl kullbackleibler"),
    ((GaussianNLL,), "gaussiannll gaussiannllloss gaussianlikelihood"),
    ((SoftMargin, BinaryCrossEntropy), "softmargin softmarginloss"),
    ((CosineDistance,), "cosinedistance cosineloss cosinesimilarity cosineembedding"),
]
LOSSES = {word: losses for losses, words in _LOSS_WORDS for word in words.split()}
PENALTIES: dict[str, type[Penalty]] = {
    "l2": L2, "weightdecay": L2, "ridge": L2, "l2penalty": L2, "l2regularization": L2, "l1": L1, "lasso": L1,
    "l1penalty": L1, "l1regularization": L1, "elasticnet": ElasticNet,
}  # fmt: skip


@dataclass(frozen=True)
class Like:
    """What is meant, as it was given.  loss, penalty: where `like` is a network whose J comes back."""

    like: Any
    options: Mapping[str, Any]
    loss: Any = None
    penalty: Penalty | None = None

    @property
    def title(self) -> str:
        if not isinstance(self.like, str):
            return repr(self.like)
        return f"{self.like}({', '.join(f'{name}={value!r}' for name, value in self.options.items())})"

    def meaning(
        self,
        args: Sequence[Array],
        names: Sequence[str],
        out: Array,
        forward: Callable[[Sequence[Array]], Array],
        precision: str | None = None,
    ) -> Meaning | None:
        """The first meaning under which our forward gives `out`; None where there is none.

        Raises ArgumentError for a `like` that is none, or options that it has not.
        """
        tolerance = AGREE.get(precision or out.dtype.name, 1e-7)
        like, options = self.like, dict(self.options)
        if not isinstance(like, str) and options:
            raise ArgumentError(f"like is {like!r}, which has its options: leave out {', '.join(options)}")
        if isinstance(like, str):
            like = self._named(like, options, len(args))
        if isinstance(like, Model):
            like = list(like.layers)
        if isinstance(like, type) and issubclass(like, Layer):
            options = own_options(like, self.like, options)
            layers = list(layers_like(like, options, args))
            if issubclass(like, Recurrent):
                cells = [layer for layer in layers if isinstance(layer, Recurrent)]
                return recurrent_meaning(cells, args, out, tolerance)
            return layer_meaning(layers, args, out, tolerance)
        if isinstance(like, Recurrent):
            return recurrent_meaning([like], args, out, tolerance)
        if isinstance(like, Layer) and not isinstance(like, Composite):
            return layer_meaning([like], args, out, tolerance)
        if isinstance(like, (Penalty, tuple)) and like and _is_penalty(like):
            return penalty_meaning(like, args, out, forward, tolerance)
        wanted = _wanted(like, self.loss)
        if wanted:
            return network_meaning(wanted, args, names, out, forward, tolerance, self.penalty)
        return function_meaning(like, args, out, tolerance)

    def _named(self, name: str, options: dict[str, Any], inputs: int) -> Any:
        """A class of layers, losses, penalties, or functions of several inputs."""
        word = plain(name)
        kind = layer_class(name)
        if kind is not None and (
            inputs < 2 or not issubclass(kind, GLU)
        ):  # z and its gates apart: a function
            return kind
        if word in PENALTIES:
            return (PENALTIES[word], own_options(PENALTIES[word], name, options))
        if word in ("squaredhinge", "squaredhingeloss"):
            word, options = "hinge", {"squared": True, **options}
        if word in LOSSES:
            made = []
            for loss in LOSSES[word]:
                try:
                    made.append(loss(**own_options(loss, name, options)))
                except ArgumentError:
                    if len(LOSSES[word]) == 1:
                        raise
            return made
        known = functions(word, options)
        if known:
            if options:
                raise ArgumentError(f"verify takes no {next(iter(options))!r} for {name}")
            return known
        raise ArgumentError(
            f"like is {name!r}; the layers are {', '.join(layer_classes)}; the losses cross_entropy, "
            "binary_cross_entropy, squared_error, mean_absolute_error, huber, hinge, svm, poisson, nll, "
            "kl_divergence, gaussian_nll, soft_margin, cosine_distance; the "
            "penalties l2, l1; and attention, swiglu, geglu, glu, rotary"
        )


def named_loss(loss: Any) -> Loss:
    """A loss as it is, or by the first meaning of its name."""
    kinds = LOSSES.get(plain(loss)) if isinstance(loss, str) else None
    return loss_from(loss, Identity()) if kinds is None else kinds[0]()


def _is_penalty(like: Any) -> bool:
    return isinstance(like, Penalty) or isinstance(like[0], type)


def _wanted(like: Any, loss: Any) -> list[Wanted]:
    """Networks with losses that `like` may mean; none: it is a list of functions."""
    if isinstance(like, Loss):
        return wanted_for(like)
    if isinstance(like, Composite):
        return [Wanted([like], loss)]
    given = list(like) if isinstance(like, (list, tuple)) else []
    if given and all(isinstance(entry, Loss) for entry in given):
        return [want for entry in given for want in wanted_for(entry)]
    if given and all(isinstance(entry, Layer) for entry in given):
        return [Wanted(given, loss), *([] if loss is not None else [Wanted(given, loss_for(given[-1]))])]
    if given:
        return []
    raise ArgumentError(
        f"like is {describe(like)}: write a layer, MaxPool2D(2), a loss, a network, or a name"
    )
