"""Optimizers: how a gradient changes a parameter, as formulas on NumPy arrays.

Each is a small frozen value; `update` is the reference that the fused native update is tested against.
The gradient g that reaches `update` is the whole one: mean over the batch, penalty included, clipped.
η is the rate, t the step, from 1.

Everything follows PyTorch's conventions, so that rates and momenta found there carry over: the velocity is
not scaled by the rate, epsilon stands outside the square root, and AdamW's decay is multiplied by the rate.
"""

from __future__ import annotations

import math
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

    v ← μ v + (1−τ) g    θ ← θ − η v                 (momentum; Polyak 1964; dampening τ, 0 as a rule)
                         θ ← θ − η (g + μ v)         (nesterov=True; Sutskever et al. 2013)

    The first velocity is g itself, also with dampening.

    Without momentum θ ← θ − η g (Dezeming, eq. 1.3.2).  Where the velocity is written with the rate inside
    (v ← μ v − η g, as in Keras), the two agree for a constant rate.
    """

    kind: ClassVar[str] = "sgd"
    rate: float | Schedule = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    clip_norm: float | None = None
    clip_sample_norm: float | None = None
    dampening: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("momentum", self.momentum, high=1.0, include_low=True)
        check_number("dampening", self.dampening, high=1.0, include_low=True)
        check_flag("nesterov", self.nesterov)
        if self.dampening and (self.nesterov or self.momentum == 0):
            raise ArgumentError(
                "dampening belongs to momentum without Nesterov's step: write SGD(rate, momentum=0.9, "
                "dampening=0.1)"
            )
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
        share = 1 if step == 1 else 1 - self.dampening
        state["velocity"] = velocity = self.momentum * state["velocity"] + share * gradient
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


@teach()
@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan & Singer 2011): every entry's rate falls with the squares of its gradients.

    s ← s + g²         θ ← θ − η g / (√(a + s) + ε)         a = start, 0 as in PyTorch; Keras begins with 0.1
    """

    kind: ClassVar[str] = "adagrad"
    rate: float | Schedule = 1e-2
    epsilon: float = 1e-10
    start: float = 0.0
    clip_norm: float | None = None
    clip_sample_norm: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("epsilon", self.epsilon)
        check_number("start", self.start, include_low=True)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("square",)

    def update(
        self, theta: Array, gradient: Array, state: State, rate: float, step: int, *, penalised: bool = True
    ) -> Array:
        state["square"] = square = state["square"] + gradient * gradient
        move: Array = rate * gradient / (np.sqrt(square + self.start) + self.epsilon)
        return theta - move


@teach()
@dataclass(frozen=True)
class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012): moves as large as those before, in the unit of θ.

    s ← ρ s + (1−ρ) g²        u = √(q + ε) / √(s + ε) · g        q ← ρ q + (1−ρ) u²        θ ← θ − η u
    """

    kind: ClassVar[str] = "adadelta"
    rate: float | Schedule = 1.0
    rho: float = 0.9
    epsilon: float = 1e-6
    clip_norm: float | None = None
    clip_sample_norm: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("rho", self.rho, high=1.0, include_low=True)
        check_number("epsilon", self.epsilon)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("move", "square")

    def update(
        self, theta: Array, gradient: Array, state: State, rate: float, step: int, *, penalised: bool = True
    ) -> Array:
        state["square"] = square = self.rho * state["square"] + (1 - self.rho) * gradient * gradient
        move = np.sqrt(state["move"] + self.epsilon) / np.sqrt(square + self.epsilon) * gradient
        state["move"] = self.rho * state["move"] + (1 - self.rho) * move * move
        return theta - rate * move


@dataclass(frozen=True)
class _Moments(Adam):
    """Adam's two moments, and a decay λ of the weights that is apart from them: θ ← θ − η λ θ, as `AdamW`."""

    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("weight_decay", self.weight_decay, include_low=True)

    def _decayed(self, theta: Array, rate: float, penalised: bool) -> Array:
        return theta - rate * self.weight_decay * theta if penalised else theta

    def _moments(self, gradient: Array, state: State) -> tuple[Array, Array]:
        state["mean"] = mean = self.beta1 * state["mean"] + (1 - self.beta1) * gradient
        state["square"] = square = self.beta2 * state["square"] + (1 - self.beta2) * gradient * gradient
        return mean, square


@teach()
@dataclass(frozen=True)
class NAdam(_Moments):
    """Adam with Nesterov's momentum (Dozat 2016), with PyTorch's momentum schedule.

    μ_t = β₁ (1 − ½ 0.96^{tψ}), M_t = Π_{i≤t} μ_i
    θ ← θ − η (μ_{t+1} m / (1 − M_{t+1}) + (1 − μ_t) g / (1 − M_t)) / (√ŝ + ε)

    ψ = momentum_decay. weight_decay is decoupled, as in AdamW.
    """

    kind: ClassVar[str] = "nadam"
    rate: float | Schedule = 2e-3
    momentum_decay: float = 4e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("momentum_decay", self.momentum_decay, include_low=True)

    def update(
        self, theta: Array, gradient: Array, state: State, rate: float, step: int, *, penalised: bool = True
    ) -> Array:
        theta = self._decayed(theta, rate, penalised)
        mean, square = self._moments(gradient, state)
        momenta = [self.beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay)) for t in range(1, step + 2)]
        now, then = math.prod(momenta[:-1]), math.prod(momenta)
        move: Array = momenta[-1] / (1 - then) * mean + (1 - momenta[-2]) / (1 - now) * gradient
        move /= np.sqrt(square / (1 - self.beta2**step)) + self.epsilon
        return theta - rate * move


@teach()
@dataclass(frozen=True)
class RAdam(_Moments):
    """Rectified Adam (Liu et al. 2020): a step of momentum alone until the second moment is known well
    enough.

    ρ∞ = 2/(1−β₂) − 1,  ρ = ρ∞ − 2t β₂ᵗ / (1−β₂ᵗ),  r² = (ρ−4)(ρ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρ)
    θ ← θ − η m̂ r √(1−β₂ᵗ) / (√s + ε)  where ρ > 5,  θ ← θ − η m̂  before

    weight_decay is decoupled, as in AdamW.
    """

    kind: ClassVar[str] = "radam"

    def update(
        self, theta: Array, gradient: Array, state: State, rate: float, step: int, *, penalised: bool = True
    ) -> Array:
        theta = self._decayed(theta, rate, penalised)
        mean, square = self._moments(gradient, state)
        move = mean / (1 - self.beta1**step)
        rest, longest = 1 - self.beta2**step, 2 / (1 - self.beta2) - 1
        length = longest - 2 * step * (1 - rest) / rest
        if length > 5:
            share = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            move = move * math.sqrt(share * rest) / (np.sqrt(square) + self.epsilon)
        return theta - rate * move


@teach()
@dataclass(frozen=True)
class LAMB(_Moments):
    """Adam's step, scaled for every parameter array to the array's norm, for large batches (You et al. 2020).

    u = m̂ / (√ŝ + ε) + λ θ        θ ← θ − η ‖θ‖/‖u‖ u        (the factor is 1 where one of the norms is 0)

    λ = weight_decay, of weights; biases do not decay.
    """

    kind: ClassVar[str] = "lamb"
    epsilon: float = 1e-6
    weight_decay: float = 0.01

    def update(
        self, theta: Array, gradient: Array, state: State, rate: float, step: int, *, penalised: bool = True
    ) -> Array:
        mean, square = self._moments(gradient, state)
        move = mean / (1 - self.beta1**step) / (np.sqrt(square / (1 - self.beta2**step)) + self.epsilon)
        if penalised:
            move = move + self.weight_decay * theta
        norms = float(np.linalg.norm(theta)), float(np.linalg.norm(move))
        return theta - rate * (norms[0] / norms[1] if min(norms) > 0 else 1.0) * move


@teach()
@dataclass(frozen=True)
class Lion(Optimizer):
    """Lion (Chen et al. 2023): a step of the same size for every entry, in the direction of a momentum.

    θ ← θ − η λ θ  for the weights        θ ← θ − η sign(β₁ m + (1−β₁) g)        m ← β₂ m + (1−β₂) g

    The rate is three to ten times smaller than AdamW's, weight_decay λ as many times larger.
    """

    kind: ClassVar[str] = "lion"
    rate: float | Schedule = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0
    clip_norm: float | None = None
    clip_sample_norm: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("beta1", self.beta1, high=1.0, include_low=True)
        check_number("beta2", self.beta2, high=1.0, include_low=True)
        check_number("weight_decay", self.weight_decay, include_low=True)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("mean",)

    def update(
        self, theta: Array, gradient: Array, state: State, rate: float, step: int, *, penalised: bool = True
    ) -> Array:
        if penalised:
            theta = theta - rate * self.weight_decay * theta
        mean = state["mean"]
        state["mean"] = self.beta2 * mean + (1 - self.beta2) * gradient
        return theta - rate * np.sign(self.beta1 * mean + (1 - self.beta1) * gradient)


FULL_BATCH = ("lbfgs", "l-bfgs", "l-bfgs-b", "bfgs", "cg")  # not for mini-batches: fit_full_batch has them
optimizers: dict[str, type[Optimizer]] = {
    cls.kind: cls for cls in (SGD, Adam, AdamW, RMSProp, Adagrad, Adadelta, NAdam, RAdam, Lion, LAMB)
}


def optimizer_from(value: Optimizer | str | None) -> Optimizer:
    """An optimizer from an object, a name ("sgd", "adam", "adamw", ...: its defaults) or None.

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
