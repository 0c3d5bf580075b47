"""What the native update is told: the penalty's factors, the optimizer's rule, the constraint's limits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from chainrule._native import Rule
from chainrule.base.errors import ArgumentError, describe
from chainrule.base.scalars import check_held
from chainrule.layers import Parameter
from chainrule.losses.constraints import MaxNorm
from chainrule.losses.penalties import L1, L2, ElasticNet, Penalty

# λ of ½ΣW² and of Σ|W|. By the exact class: a subclass may have other formulas.
PENALTIES: dict[type[Penalty], Callable[[Any], tuple[float, float]]] = {
    L2: lambda penalty: (penalty.lam, 0.0),
    L1: lambda penalty: (0.0, penalty.lam),
    ElasticNet: lambda penalty: (penalty.l2, penalty.l1),
}


def set_penalty(native: Any, penalty: Any, training_size: int | None, dtype: Any) -> None:
    """λ of ½ΣW² and of Σ|W|; TypeError for a penalty that the engine has not."""
    if penalty is None:
        return
    if type(penalty) not in PENALTIES:
        raise TypeError(
            f"the engine knows the penalties L2, L1 and ElasticNet, received {describe(penalty)}; "
            "chainrule.reference evaluates others"
        )
    size = training_size if penalty.per_sample else 1
    if size is None:
        raise ArgumentError(
            f"{type(penalty).__name__}(per_sample=True) divides by the size of the training set: "
            "pass training_size"
        )
    factors = [float(factor) / size for factor in PENALTIES[type(penalty)](penalty)]
    for factor in factors:
        check_held("a penalty", factor, dtype, penalty)
    native.set_penalty(*factors)


def set_optimizer(native: Any, optimizer: Any, dtype: Any) -> None:
    """The rule and its numbers; TypeError for an optimizer that the engine has not."""
    rule, momentum, beta2, epsilon, decay, extra = getattr(optimizer, "kind", None), 0.0, 0.0, 1.0, 0.0, 0.0
    early_epsilon = False
    if rule == "sgd":
        momentum, extra = optimizer.momentum, optimizer.dampening
        rule = "nesterov" if optimizer.nesterov else "sgd"
    elif rule in ("adam", "adamw"):
        momentum, beta2, epsilon = optimizer.beta1, optimizer.beta2, optimizer.epsilon
        early_epsilon = bool(optimizer.early_epsilon)
        decay = _number(optimizer.decay) if rule == "adamw" else 0.0
    elif rule == "rmsprop":
        momentum, beta2, epsilon = optimizer.momentum, optimizer.rho, optimizer.epsilon
    elif rule in ("nadam", "radam", "lamb"):
        momentum, beta2, epsilon = optimizer.beta1, optimizer.beta2, optimizer.epsilon
        decay, extra = optimizer.weight_decay, getattr(optimizer, "momentum_decay", 0.0)
    elif rule == "lion":
        momentum, beta2, decay = optimizer.beta1, optimizer.beta2, optimizer.weight_decay
    elif rule == "adadelta":
        beta2, epsilon = optimizer.rho, optimizer.epsilon
    elif rule == "adagrad":
        epsilon, extra = optimizer.epsilon, optimizer.start
    else:
        raise TypeError(
            "the engine knows SGD, Adam, AdamW, NAdam, RAdam, Lion, LAMB, RMSProp, Adagrad and Adadelta, "
            "received "
            f"{describe(optimizer)}"
        )
    check_held("an epsilon", epsilon, dtype, optimizer, positive=True)
    check_held("a weight decay", decay, dtype, optimizer)
    clip_norm = optimizer.clip_norm or 0.0
    native.set_optimizer(Rule[rule], momentum, beta2, epsilon, early_epsilon, decay, clip_norm, extra)


def _number(decay: Any) -> float:
    """A weight decay, of a schedule its largest, which no step goes beyond."""
    return float(getattr(decay, "rate", decay))


def set_rate_factors(native: Any, factors: Mapping[str, float], numbers: Mapping[str, int]) -> None:
    """By parameter: what multiplies the rate of every step; 0 leaves the parameter as it is."""
    for name, factor in factors.items():
        native.set_rate_factor(numbers[name], factor)


def set_decay_factors(native: Any, factors: Mapping[str, float], numbers: Mapping[str, int]) -> None:
    """By parameter: what multiplies the decoupled weight decay, also of those that have none otherwise."""
    for name, factor in factors.items():
        native.set_decay_factor(numbers[name], factor)


def set_constraint(
    native: Any,
    constraint: MaxNorm,
    numbers: Mapping[str, int],
    specs: Mapping[str, Parameter],
    frozen: Collection[str],
    dtype: Any,
) -> None:
    """A limit for every weight array that a step changes; biases are free."""
    check_held("a max-norm", constraint.limit, dtype, constraint, positive=True)
    for name, spec in specs.items():
        if spec.penalised and spec.learned and name not in frozen:
            groups, _, units = spec.units
            native.add_max_norm(numbers[name], groups, units, constraint.limit)
