"""What the losses of PyTorch and Keras take, and what stands for it here."""

from __future__ import annotations

from chainrule.base.foreign.words import Advice, besides, by_name, by_value

_NO_SUM = "nothing: network.loss(X, y, reduction='sum') adds up, and training takes means of samples"
_NO_SINGLE = "nothing: network.loss(X, y, reduction='none') gives the loss of every sample"
_MEAN = ("mean", "sum_over_batch_size", "mean_with_sample_weight")


def _reduced(otherwise: str, mean: str) -> dict[str, Advice]:
    """`mean`: what stands for PyTorch's "mean", which is over samples and outputs."""
    sums = {_NO_SUM: ("sum",), _NO_SINGLE: ("none", None)}
    return {
        "reduction": by_value(otherwise, {mean: _MEAN, **sums}),
        "size_average": by_value(otherwise, {mean: (True, None), _NO_SUM: (False,)}),
        "reduce": by_value(otherwise, {mean: (True, None), _NO_SINGLE: (False,)}),
    }


_OVER_OUTPUTS = "mean_outputs=True to divide by the number of outputs; samples are always averaged"
_REDUCED = _reduced(_OVER_OUTPUTS, _OVER_OUTPUTS)
_OUTPUTS_ADDED = "no other reduction: outputs are summed, samples averaged"
_SUMMED = _reduced(_OUTPUTS_ADDED, _OUTPUTS_ADDED)
_OF_CLASSES = _reduced(_OUTPUTS_ADDED, "nothing: samples are averaged; the steps of a sequence are summed")
_BY_STEPS = _reduced(
    _OUTPUTS_ADDED, "nothing: samples are averaged; mean_steps=True averages the steps of a sequence too"
)
SCALED = "which scales them to mean 1 over the training set"
_CLASS_WEIGHT = besides(
    f"class_weight={{0: 1.0, 1: 5.0}} in fit, {SCALED}; PyTorch divides by their sum in a batch", None
)
_OWN_CLASS_WEIGHT = besides(
    "class_weight=[1.0, 5.0], a number for every class, not scaled; PyTorch divides by their sum in a batch",
    None,
)
# Of a loss over outputs that are labels each.
_LABEL_WEIGHT = besides(
    "class_weight={0: 1.0, 1: 5.0} in fit where the network has one output, "
    f"{SCALED}: it has none for every one of several outputs",
    None,
)
_OUTPUT_WEIGHT = besides("output_weight=[1.0, 5.0], a number for every output", None)
_FROM_Z = "nothing: end the network in its Softmax or Sigmoid, and the loss is computed from z"
_COMMON = by_name(
    {
        _FROM_Z: ("from_logits",),
        "label_smoothing=0.1": ("smoothing",),
        by_value(
            "no other axis: classes are along the last one",
            {"nothing: classes are along the last axis": (-1,)},
        ): ("axis", "dim"),
    }
)
_CLASSES = {
    **_COMMON,
    **by_name(
        {
            _OWN_CLASS_WEIGHT: ("weight", "class_weights"),
            besides("class_weight=[1.0, 5.0], a number for every class", None): ("pos_weight",),
            besides("ignore_index=-100, the label that does not count", None): ("ignore_class", "ignore"),
        }
    ),
}
_LABELS = {
    **_COMMON,
    **by_name(
        {
            _OUTPUT_WEIGHT: ("weight",),
            _LABEL_WEIGHT: ("class_weight", "class_weights"),
            besides("no label that does not count: give such samples sample_weight=0 in fit", None): (
                *("ignore_index", "ignore_class"),
            ),
        }
    ),
}
_MEAN_OUTPUTS = _reduced(_OVER_OUTPUTS, _OVER_OUTPUTS)
_POWER = {
    "p": by_value(
        "no exponent but 1 and 2, which is squared=True",
        {"squared=True": (2,), "squared=False, as it is without it": (1,)},
    )
}
_MARGIN = {
    **_POWER,
    "margin": by_value(
        "no other margin: MultiMargin(margin=0.5) has one", {"nothing: the margin is 1": (1,)}
    ),
}

_NOT_ITS_OWN: dict[str, Advice] = by_name(
    {
        "penalty=L2(1e-4) in fit": ("weight_decay", "alpha", "l2", "regularization"),
        "optimizer=SGD(0.1) in fit": ("lr", "learning_rate", "rate"),
        "nothing: y may be labels or one-hot rows": ("num_classes", "n_classes", "sparse"),
    }
)

_TABLES: dict[str, dict[str, Advice]] = {
    "BinaryCrossEntropy": {**_LABELS, **_MEAN_OUTPUTS},
    "CrossEntropy": {**_CLASSES, **_BY_STEPS},
    "NegativeLogLikelihood": {**_CLASSES, **_BY_STEPS},
    "KLDivergence": {
        **_CLASSES,
        **_BY_STEPS,
        "log_target": besides("numpy.exp(y): y are probabilities, not their logarithms", False),
    },
    "CTC": {
        **_reduced(
            "no other reduction: labels are summed, samples averaged",
            "mean_labels=True to divide by the number of labels; samples are always averaged",
        ),
        **by_name(
            {
                "blank=0": ("blank_index", "mask_index", "blank_id"),
                "nothing: y holds the lengths, as CTC().rows makes it of labels and of both": (
                    *("target_lengths", "label_length", "input_lengths", "logit_length"),
                ),
            }
        ),
    },
    "GaussianNLL": {
        **_SUMMED,
        **by_name(
            {
                besides("no ½ log 2π, which holds no output", False): ("full",),
                "nothing: the network gives the logarithm of the variance, which needs none": ("eps",),
                "nothing: the second half of the outputs are logarithms of variances": ("var", "variance"),
            }
        ),
    },
    "MultiMargin": {**_MEAN_OUTPUTS, **_POWER, "weight": _CLASS_WEIGHT},
    "SoftMargin": {**_MEAN_OUTPUTS, "weight": _LABEL_WEIGHT},
    "CosineDistance": {
        **_SUMMED,
        **by_name(
            {
                besides("no margin: the distance of a and y is 1 - cos", 0): ("margin",),
                "nothing: where a or y is 0 the cosine is 0": ("eps", "epsilon"),
                by_value(
                    "no other axis: it is along the last one", {"nothing: it is along the last axis": (-1,)}
                ): (*("axis", "dim"),),
            }
        ),
    },
    "SquaredError": {**_REDUCED, "squared": "no root of it: SquaredError is ½ e²"},
    "MeanAbsoluteError": _REDUCED,
    "Huber": {
        **_REDUCED,
        "beta": "delta=1.0; PyTorch's SmoothL1Loss(beta) is Huber(delta=beta) divided by beta",
    },
    "Poisson": {
        **_SUMMED,
        **by_name(
            {
                by_value("log_input=True", {"log_input=False, as it is without it": (False,)}): (
                    *("from_logits",),
                ),
                besides("no log y!, which holds no a", False): ("full",),
                "no ε: 0 log 0 is 0": ("eps",),
            }
        ),
    },
    "Losses": by_name(
        {
            "weights={'price': 0.5}": ("loss_weights", "weight"),
            "losses={'kind': CrossEntropy(), 'price': Huber()}": ("loss", "criterion", "criteria"),
        }
    ),
    "Hinge": {**_SUMMED, **_MARGIN, "weight": _LABEL_WEIGHT},
    "CategoricalHinge": {**_OF_CLASSES, **_MARGIN, "weight": _CLASS_WEIGHT},
}
LOSSES = {name: {**_NOT_ITS_OWN, **words} for name, words in _TABLES.items()}
