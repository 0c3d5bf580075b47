"""What scikit-learn does between the epochs of its stochastic solvers: the order of the samples, the rate,
and when training ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import r2_score

from chainrule.base.errors import NonFiniteError
from chainrule.base.types import Array
from chainrule.networks.network import Network
from chainrule.networks.objective import Objective
from chainrule.training.callbacks import Callback, Context
from chainrule.training.schedules import Rates

SMALLEST_RATE = 1e-6  # at or below which "adaptive" ends training instead of dividing the rate by 5

# (labels or numbers, predictions, weights) -> a score, higher is better.
Score = Callable[[Any, Any, Any], float]


class Rate:
    """The learning rate as scikit-learn's schedules have it; `learning_rate` is that of the next step.

    "constant"; "invscaling", after every epoch learning_rate_init / (t + 1)^power_t with t the samples seen
    so far; "adaptive", divided by 5 where training would end.
    """

    def __init__(self, kind: str, schedule: str, learning_rate_init: float, power_t: float) -> None:
        self.kind, self.schedule = kind, schedule
        self.learning_rate_init, self.power_t = float(learning_rate_init), power_t
        self.learning_rate = self.velocity_rate = self.learning_rate_init  # the second: which velocities hold

    def epoch_ends(self, samples: int) -> None:
        if self.kind == "sgd" and self.schedule == "invscaling":
            self.learning_rate = self.learning_rate_init / (samples + 1) ** self.power_t

    def goes_on(self, message: str, verbose: bool) -> bool:
        """Whether training goes on, at a lower rate, where it has not improved."""
        adaptive = self.kind == "sgd" and self.schedule == "adaptive"
        lower = adaptive and self.learning_rate > SMALLEST_RATE
        if lower:
            self.learning_rate /= 5.0
        if verbose:
            end = f"Setting learning rate to {self.learning_rate:f}" if lower else "Stopping."
            print(f"{message} {'Learning rate too small. ' if adaptive and not lower else ''}{end}")
        return lower


class Epochs(Callback):
    """One fit of scikit-learn's stochastic solvers, told to an estimator: n_iter_, t_, loss_, loss_curve_,
    the scores on held-out rows and the best parameters by them.

    objective: of the steps. constant: what a loss as scikit-learn reports it has more, whatever the
    parameters. held: (X, y, weights) to score on, None: the loss decides; `score` is how.
    """

    rows: Array  # the order, in which every epoch's is drawn from that before
    before: float = 0.0  # the penalty at the beginning of the epoch
    best: dict[str, Array] | None = None  # parameters by the held-out score

    def __init__(
        self,
        estimator: Any,
        samples: int,
        objective: Objective,
        constant: float,
        random_state: Any,
        held: tuple[Any, Any, Any] | None,
        score: Score,
    ) -> None:
        self.estimator, self.samples, self.held, self.score = estimator, samples, held, score
        self.objective, self.constant, self.random_state = objective, constant, random_state
        self.rows = np.arange(samples, dtype=np.int64)
        self.reads_network = held is not None

    def on_fit_begin(self, context: Context) -> None:
        network = context.network
        self.before = self.objective.penalty_value(network.parameters, network.parameter_specs)
        if self.held is not None:
            self.best = {name: array.copy() for name, array in context.network.parameters.items()}

    def change_order(self, order: Array, context: Context) -> Array:
        if self.estimator.shuffle:  # as sklearn.utils.shuffle does, which takes twice as long
            places = np.arange(self.samples)
            self.random_state.shuffle(places)
            self.rows = self.rows[places]
        return self.rows

    def change_rates(self, rates: Rates, context: Context) -> Rates:
        rate: Rate = self.estimator._optimizer
        if rate.learning_rate != rate.velocity_rate:
            self.rescale(context, rate.velocity_rate / rate.learning_rate)
            rate.velocity_rate = rate.learning_rate
        if rate.learning_rate == rate.learning_rate_init:  # which the optimizer has
            return rates
        return np.full(len(rates), rate.learning_rate)

    def rescale(self, context: Context, factor: float) -> None:
        """scikit-learn's velocity holds the rate, v ← μ v − η g, and so keeps the one it was made with; ours
        does not.
        """
        if context.state is not None and context.set_state is not None:
            state = context.state()
            slots = (name for name in state if name.startswith("first/"))
            context.set_state(state | {name: state[name] * factor for name in slots})

    def on_epoch_end(self, context: Context) -> None:
        estimator = self.estimator
        assert context.penalty is not None
        after = context.penalty()
        estimator.n_iter_ += 1
        # The penalty of every step is not known: the mean of those at both ends differs by the square of what
        # an epoch changes.
        self.tell(context.last.loss + (self.before + after) / 2 + self.constant)
        self.before = after
        estimator.t_ += self.samples
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
        improved = self.by_score(context.network) if self.held is not None else self.by_loss()
        estimator._no_improvement_count = 0 if improved else estimator._no_improvement_count + 1
        estimator._optimizer.epoch_ends(estimator.t_)
        if estimator._no_improvement_count > estimator.n_iter_no_change:
            what = "Training loss" if self.held is None else "Validation score"
            message = (
                f"{what} did not improve more than tol={estimator.tol:f} for {estimator.n_iter_no_change} "
                "consecutive epochs."
            )
            if estimator._optimizer.goes_on(message, bool(estimator.verbose)):
                estimator._no_improvement_count = 0
            else:
                context.stop(message)

    def tell(self, loss: float) -> None:
        self.estimator.loss_ = loss
        self.estimator.loss_curve_.append(loss)

    def by_loss(self) -> bool:
        """Whether the loss fell by more than tol below the best so far."""
        estimator = self.estimator
        improved = not estimator.loss_ > estimator.best_loss_ - estimator.tol
        estimator.best_loss_ = min(estimator.best_loss_, estimator.loss_)
        return improved

    def by_score(self, network: Network) -> bool:
        """Whether the score rose by tol above the best so far, of which the parameters are kept."""
        estimator = self.estimator
        assert self.held is not None
        X, y, weights = self.held
        try:
            score = float(self.score(y, estimator._decode(network.predict(X)), weights))
        except NonFiniteError:
            score = math.nan
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        estimator.validation_scores_.append(score)
        improved = not score < estimator.best_validation_score_ + estimator.tol
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            self.best = {name: array.copy() for name, array in network.parameters.items()}
        return improved

    def diverged(self) -> None:
        """The epoch in which numbers became NaN or infinite, as scikit-learn counts it."""
        self.estimator.n_iter_ += 1
        self.tell(math.nan)
        if self.held is not None:
            self.estimator.validation_scores_.append(math.nan)


def accuracy(y: Array, predicted: Array, weights: Any) -> float:
    """The share of rows whose labels are right, all of them where there are several."""
    right = np.asarray(y == predicted)
    return float(np.average(right.all(axis=1) if right.ndim == 2 else right, weights=weights))


def r2(y: Array, predicted: Array, weights: Any) -> float:
    """R², of several targets their mean."""
    return float(r2_score(y, predicted, sample_weight=weights))
