"""Answers that several tables share, by the values which other libraries have for them."""

from __future__ import annotations

from chainrule.base.foreign.words import ByValue, besides, by_value

PENALTY = besides(
    "penalty=L2(1e-4) in fit, λ/2 · ΣW² over the weights of all layers: λ is twice Keras's l2", None, 0
)
CONSTRAINT = besides("constraint=MaxNorm(3.0) in fit, which holds for all layers", None)
NO_BIAS_PENALTY = besides("no penalty on biases", None)
NO_BIAS_CONSTRAINT = besides("no constraint on biases", None)
_UNIFORM = "no uniform form of it: initializer='he', 'scaled_normal' are normal, 'glorot' is uniform"


def initializer(advice: str) -> ByValue:
    """By Keras's names; its normal ones are cut off at two standard deviations, ours are not."""
    return by_value(
        advice,
        {
            "initializer='glorot'": ("glorot_uniform", "xavier_uniform"),
            "initializer='he', which is normal": ("he_normal", "kaiming_normal"),
            "initializer='scaled_normal'": ("lecun_normal",),
            "initializer='orthogonal'": ("orthogonal",),
            "initializer='zeros'": ("zeros",),
            "initializer='ones'": ("ones",),
            "initializer=Normal(0.05)": ("random_normal",),
            "initializer=Uniform(0.05)": ("random_uniform",),
            _UNIFORM: ("he_uniform", "kaiming_uniform", "lecun_uniform"),
            "no normal form of it: initializer='glorot' is uniform": ("glorot_normal", "xavier_normal"),
            "nothing: the layer has an initializer of its own": (None,),
        },
    )


ACTIVATIONS = {
    **{name.lower(): name for name in ("ReLU", "ELU", "SELU", "GELU", "Sigmoid", "Tanh", "Softmax", "SiLU")},
    "mish": "Mish",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "swish": "SiLU",
    "leakyrelu": "LeakyReLU",
    "leaky_relu": "LeakyReLU",
    "prelu": "PReLU",
    "linear": "Identity",
    "hard_sigmoid": "HardSigmoid",
    "hard_swish": "HardSwish",
    "hard_tanh": "HardTanh",
    "relu6": "ReLU6",
    "celu": "CELU",
    "glu": "GLU",
    "log_softmax": "LogSoftmax",
    "log_sigmoid": "LogSigmoid",
    "hard_shrink": "HardShrink",
    "soft_shrink": "SoftShrink",
    "tanh_shrink": "TanhShrink",
    "threshold": "Threshold",
}
ACTIVATION = by_value(
    "the activation as a layer of its own, behind this one, such as ReLU()",
    {
        "nothing: the layer has no activation within": (None, "linear", "identity"),
        **{
            f"the activation as a layer of its own, behind this one: {layer}()": (name,)
            for name, layer in ACTIVATIONS.items()
            if name != "linear"
        },
    },
)
_SEQUENCES = "sequences are (N, steps, features)"


def steps_order(other: bool) -> ByValue:
    """Of a flag which with the value `other` asks for the steps first."""
    turned = f"no other order: {_SEQUENCES}, as numpy.swapaxes(X, 0, 1) makes them of (steps, N, features)"
    return by_value(f"nothing: {_SEQUENCES}", {turned: (other,)})
