"""Optimizers: how a gradient changes a parameter, as formulas on NumPy arrays.

Each is a small frozen value; `update` is the reference that the fused native update is tested against.
The gradient g that reaches `update` is the whole one: mean over the batch, penalty included, clipped.
η is the rate, t the step, from 1.

Everything follows PyTorch's conventions, so that rates and momenta found there carry over: the velocity is
not scaled by the rate, epsilon stands outside the square root, and AdamW's decay is multiplied by the rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_flag, check_number
from chainrule.base.types import Array
from chainrule.training.schedules import ConstantRate, Rates, Schedule

State = dict[str, Array]


class Optimizer:
    """Base of the optimizers: a rate (a number or a `Schedule`), a clipping norm and an update rule.

    clip_norm: the gradient is multiplied by min(1, clip_norm / ‖g‖), ‖g‖ the norm over all parameters
    together (Pascanu, Mikolov & Bengio 2013); PyTorch divides by ‖g‖ + 1e-6 instead.
    clip_sample_norm: every sample's own gradient g_i is multiplied by min(1, clip_sample_norm / ‖g_i‖) before
    the mean is taken (Abadi et al. 2016), so that no sample moves the weights by more than the others.
    """

    kind: ClassVar[str]
    rate: float | Schedule
    clip_norm: float | None
    clip_sample_norm: float | None

    def __post_init__(self) -> None:
        if not isinstance(self.rate, Schedule):
            check_number("rate", self.rate, hint="write 0.1, say, or a schedule such as CosineDecay(0.1)")
        for name in ("clip_norm", "clip_sample_norm"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), hint="None does not clip")

    @property
    def schedule(self) -> Schedule:
        """The rate as a schedule."""
        return self.rate if isinstance(self.rate, Schedule) else ConstantRate(self.rate)

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the arrays kept per parameter, each of the parameter's shape and zero at the start."""
        raise NotImplementedError

    def rates(self, first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> Rates:
        """η of steps first_step .. first_step + steps - 1, counted from 0; float64 (steps,)."""
        return self.schedule.rates(first_step, steps, steps_per_epoch, epochs)

    def update(
        self, theta: Array, gradient: Array, state: State, rate: float, step: int, *, penalised: bool = True
    ) -> Array:
        """theta after one step; the arrays in `state` are replaced, `theta` and `gradient` are left alone.

        theta, gradient: any shape, the same.  state: an array of that shape per slot, zeros before the first
        step.  step counts from 1.  penalised: False for biases (see AdamW).
        """
        raise NotImplementedError


@teach()
@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum μ, in PyTorch's convention.

    v ← μ v + g          θ ← θ − η v                 (momentum; Polyak 1964)
                         θ ← θ − η (g + μ v)         (nesterov=True; Sutskever et al. 2013)

    Without momentum θ ← θ − η g (Dezeming, eq. 1.3.2).  Where the velocity is written with the rate inside
    (v ← μ v − η g, as in Keras), the two agree for a constant rate.
    """

    kind: ClassVar[str] = "sgd"
    rate: float | Schedule = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    clip_norm: float | None = None
    clip_sample_norm: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("momentum", self.momentum, high=1.0, include_low=True)
        check_flag("nesterov", self.nesterov)
        if self.nesterov and self.momentum == 0:
            raise ArgumentError("nesterov=True needs momentum: write SGD(rate, momentum=0.9, nesterov=True)")

    @property
    def slots(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum else ()

    def update(
        self, theta: Array, gradient: Array, state: State, rate: float, step: int, *, penalised: bool = True
    ) -> Array:
        if not self.momentum:
            return theta - rate * gradient
        state["velocity"] = velocity = self.momentum * state["velocity"] + gradient
        return theta - rate * (gradient + self.momentum * velocity if self.nesterov else velocity)


@teach()
@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam with bias correction (Kingma & Ba 2015, algorithm 1).

    m ← β₁ m + (1−β₁) g        s ← β₂ s + (1−β₂) g²
    θ ← θ − η m̂ / (√ŝ + ε)     with m̂ = m / (1−β₁ᵗ), ŝ = s / (1−β₂ᵗ)

    early_epsilon=True: ε beside √s before its correction, ε / √(1−β₂ᵗ) above, as scikit-learn, TensorFlow and
    Keras have it (the ε̂ of the paper's section 2): the first steps of tiny gradients are shorter.
    """

    kind: ClassVar[str] = "adam"
    rate: float | Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float | None = None
    clip_sample_norm: float | None = None
    early_epsilon: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("beta1", self.beta1, high=1.0, include_low=True)
        check_number("beta2", self.beta2, high=1.0, include_low=True)
        check_number("epsilon", self.epsilon)
        check_flag("early_epsilon", self.early_epsilon)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("mean", "square")

    def update(
        self, theta: Array, gradient: Array, state: State, rate: float, step: int, *, penalised: bool = True
    ) -> Array:
        state["mean"] = mean = self.beta1 * state["mean"] + (1 - self.beta1) * gradient
        state["square"] = square = self.beta2 * state["square"] + (1 - self.beta2) * gradient * gradient
        corrected_mean = mean / (1 - self.beta1**step)
        corrected_square = square / (1 - self.beta2**step)
        epsilon = self.epsilon / np.sqrt(1 - self.beta2**step) if self.early_epsilon else self.epsilon
        return theta - rate * corrected_mean / (np.sqrt(corrected_square) + epsilon)


@teach()
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay λ (Loshchilov & Hutter 2019), in PyTorch's scaling.

    θ ← θ − η λ θ  for the weights, then the step of `Adam`.  Biases (penalised=False) do not decay.
    A penalty given to fit acts through the gradient instead, and both may be used together.

    weight_decay: a number, or a schedule of its own, FlatCosine(0.02).
    decay_factors: {"scale*": 6}: what multiplies λ of these layers or parameters, also of such that do not
    decay otherwise; of several that fit the last one counts.
    """

    kind: ClassVar[str] = "adamw"
    weight_decay: float | Schedule = 0.01
    decay_factors: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.weight_decay, Schedule):
            hint = "write 0.01, say, or a schedule such as FlatCosine(0.02)"
            check_number("weight_decay", self.weight_decay, include_low=True, hint=hint)

    @property
    def decay(self) -> Schedule | float:
        """λ, as a number where it is the same at every step."""
        value = self.weight_decay
        return value.rate if isinstance(value, ConstantRate) else value

    def update(
        self,
        theta: Array,
        gradient: Array,
        state: State,
        rate: float,
        step: int,
        *,
        penalised: bool = True,
        decay: float | None = None,
    ) -> Array:
        """decay: λ of this step and parameter, where it is not `weight_decay` of all that is penalised."""
        if decay is None:
            if isinstance(self.decay, Schedule):
                raise ArgumentError(f"weight_decay is {self.decay!r}: give update the decay of the step")
            decay = self.decay if penalised else 0.0
        if decay:
            theta = theta - rate * decay * theta
        return super().update(theta, gradient, state, rate, step)


@teach()
@dataclass(frozen=True)
class RMSProp(Optimizer):
    """RMSProp (Hinton 2012, lecture 6e) with optional momentum μ, in PyTorch's convention.

    s ← ρ s + (1−ρ) g²         u = g / (√s + ε)
    θ ← θ − η u                or, with momentum: v ← μ v + u, θ ← θ − η v
    """

    kind: ClassVar[str] = "rmsprop"
    rate: float | Schedule = 1e-3
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-8
    clip_norm: float | None = None
    clip_sample_norm: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("rho", self.rho, high=1.0, include_low=True)
        check_number("momentum", self.momentum, high=1.0, include_low=True)
        check_number("epsilon", self.epsilon)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("velocity", "square") if self.momentum else ("square",)

    def update(
        self, theta: Array, gradient: Array, state: State, rate: float, step: int, *, penalised: bool = True
    ) -> Array:
        state["square"] = square = self.rho * state["square"] + (1 - self.rho) * gradient * gradient
        move = gradient / (np.sqrt(square) + self.epsilon)
        if self.momentum:
            state["velocity"] = move = self.momentum * state["velocity"] + move
        return theta - rate * move


FULL_BATCH = ("lbfgs", "l-bfgs", "l-bfgs-b", "bfgs", "cg")  # not for mini-batches: fit_full_batch has them
optimizers: dict[str, type[Optimizer]] = {cls.kind: cls for cls in (SGD, Adam, AdamW, RMSProp)}


def optimizer_from(value: Optimizer | str | None) -> Optimizer:
    """An optimizer from an object, a name ("sgd", "adam", "adamw", "rmsprop": its defaults) or None.

    None is Adam(1e-3), which trains deep and shallow networks alike.  Raises ValueError (unknown name) or
    TypeError; both list what to write.
    """
    if value is None:
        return Adam(1e-3)
    if isinstance(value, Optimizer):
        return value
    names = ", ".join(repr(name) for name in optimizers)
    if isinstance(value, str):
        cls = optimizers.get(value.lower())
        if cls is None and value.lower() in FULL_BATCH:
            method = "CG" if value.lower() == "cg" else "L-BFGS-B"
            raise ArgumentError(
                f"optimizer {value!r} takes all samples at once: write fit_full_batch(network, X, y, "
                f"method={method!r})"
            )
        if cls is None:
            raise ArgumentError(
                f"optimizer {describe(value)} is unknown: write one of {names}, or an object: Adam(1e-3)"
            )
        return cls()
    hint = f": write {value.__name__}()" if isinstance(value, type) and issubclass(value, Optimizer) else ""
    raise TypeError(
        f"optimizer must be an object such as SGD(0.1) or one of {names}, received {describe(value)}{hint}"
    )
