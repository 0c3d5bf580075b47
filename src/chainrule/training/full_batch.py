"""`fit_full_batch`: SciPy's L-BFGS and conjugate gradients on all samples at once, with the native gradient.

J and ∂J/∂θ are float64 whatever the network's dtype; θ is all parameters in their order as one vector.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base.errors import ArgumentError, MissingExtraError, NonFiniteError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_count, check_flag, check_number
from chainrule.base.types import Array
from chainrule.data.arrays import all_finite
from chainrule.losses import Loss, loss_from
from chainrule.losses.penalties import Penalty, penalty_from
from chainrule.networks.architecture import computed_together, leaves, told_apart
from chainrule.networks.batch import Batch
from chainrule.networks.finite import inside_problem
from chainrule.networks.forms.several_labels import remember
from chainrule.networks.names import at_rest, frozen_parameters
from chainrule.networks.network import Network
from chainrule.networks.objective import Objective
from chainrule.training.fit import warn_of_labels
from chainrule.training.history import History, Row
from chainrule.training.optimizers import SGD
from chainrule.training.parts import FitData, by_name, prepare
from chainrule.training.progress import Progress, progress_from

if TYPE_CHECKING:
    from chainrule.engine import Plan

Vector = NDArray[np.float64]

# Samples per pass: the activations of this many lie in memory. Larger sets are summed part by part, in order.
# Of 64-100-10 in float64 an evaluation took 1.23 ms in parts of 128, 1.19 of 256, 1.34 of 512, 1.49 of 1024.
PART = 256
_PIECE = 2**22  # entries of the samples that are made for the plan together, where they have to be made

# SciPy's options for each method; both end where no entry of the gradient exceeds `tolerance`. L-BFGS-B would
# also end where J falls by less than a share `ftol`: at 64 roundings, scikit-learn's choice, J cannot tell.
_METHODS: dict[str, dict[str, Any]] = {
    "L-BFGS-B": {"ftol": 64 * np.finfo(np.float64).eps, "maxfun": 2**31 - 1, "maxls": 50},
    "CG": {},
}
_NAMES = {"lbfgs": "L-BFGS-B", "l-bfgs": "L-BFGS-B", "l-bfgs-b": "L-BFGS-B", "cg": "CG"}


@teach("fit_full_batch(network, X, y) and the rest by name: method='CG', iterations=50")
def fit_full_batch(
    network: Network,
    X: Any,
    y: Any,
    *,
    loss: Loss | str | None = None,
    penalty: Penalty | None = None,
    method: str = "L-BFGS-B",
    iterations: int = 100,
    tolerance: float = 1e-5,
    least_decrease: float | None = None,
    evaluations: int | None = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    classes: Any = None,
    progress: bool | str | Progress | None = None,
    threads: int | None = None,
    allow_nonfinite: bool = False,
    freeze: Any = None,
) -> History:
    """Train a network in place on all samples at once by scipy.optimize.minimize; return the history.

    For small data and convex problems, where it goes further than mini-batches; J and its gradient are
    computed in float64 by the compiled kernels, and the parameters found are written back in the network's
    dtype.

    X, y, loss, penalty, sample_weight, class_weight, classes, progress, threads: as for `fit`; any penalty is
        part of J and of its gradient, m is the number of samples.
    freeze: layers and parameters that stay as they are, as for `fit`; a BatchNorm must be among them.
    method: "L-BFGS-B" (quasi-Newton) or "CG" (nonlinear conjugate gradients, as fmincg of Ng's exercises).
    iterations: at most so many. tolerance: it ends where no entry of ∂J/∂θ is larger.
    least_decrease: of L-BFGS-B; it ends where an iteration lowers J by a smaller share of it (of 1, where J
        is smaller). None: where float64 does not tell any more, 64 roundings; SciPy's own is 2.2e-9.
    evaluations: of L-BFGS-B; it ends with the iteration in which J has been computed so often. None: as
        often as the iterations need.
    allow_nonfinite: go on where finite outputs hide a number beyond the range; J = ∞ otherwise, which the
        search avoids.

    The history has a row per iteration: the loss of the data after it, without the penalty, as in `fit`.
    `history.stopped` says why it ended before the last iteration, `history.converged` whether it has found a
    minimum by its own measure, and `history.minimum` is the lowest J found.

    Ctrl-C ends training at once: KeyboardInterrupt is raised, and the network keeps the parameters with the
    lowest J so far; `network.history` holds the finished iterations. There are no checkpoints: what the
    method remembers of earlier steps is SciPy's own, so that it could not go on to the same bits. Called
    again it begins from the network's parameters.

    Raises MissingExtraError without SciPy (the extra `full-batch`), NonFiniteError where J or ∂J/∂θ is not
    finite at the start or hides a number beyond the range, ValueError for networks whose training pass is not
    their prediction (dropout, batch normalisation) or that have no parameters, and what `fit` raises for
    arguments that cannot be used.
    """
    if not isinstance(network, Network):
        raise TypeError(
            f"fit_full_batch takes the network first, (network, X, y): received {describe(network)}"
        )
    name = method_from(method)
    try:
        import scipy.optimize  # noqa: F401
    except ImportError:
        raise MissingExtraError("SciPy", "full-batch", "fit_full_batch") from None
    chosen_loss, chosen_penalty = loss_from(loss, network.layers[-1]), penalty_from(penalty)
    chosen_loss.check_output(network.layers)
    frozen = frozen_parameters(network, [] if freeze is None else freeze)
    check_one_minimum(network, frozen)
    options = options_from(name, iterations, tolerance, least_decrease, evaluations)
    allowed = check_flag("allow_nonfinite", allow_nonfinite)
    work = network.copy(dtype="float64")
    X, y, _ = by_name(work, chosen_loss, X, y, None, classes)
    data = prepare(work, chosen_loss, X, y, sample_weight, None, 0, class_weight, classes)
    if loss is None:
        warn_of_labels(network, chosen_loss, data)
    shown = progress_from(progress)
    from chainrule.engine import threads_of_call

    with threads_of_call(threads):
        objective = Objective(chosen_loss, chosen_penalty, len(data.training))
        run = _Minimisation(network, work, data, objective, name, allowed, frozen)
        return run.run(options, shown)


def method_from(method: Any) -> str:
    """SciPy's name of the method."""
    name = _NAMES.get(method.lower()) if isinstance(method, str) else None
    if name is None:
        raise ArgumentError(f"method must be 'L-BFGS-B' or 'CG', received {describe(method)}")
    return name


def options_from(
    method: str, iterations: Any, tolerance: Any, least_decrease: Any, evaluations: Any
) -> dict[str, Any]:
    """When a method ends, as SciPy's options of it."""
    iterations = check_count("iterations", iterations)
    check_number("tolerance", tolerance, include_low=True)
    options = {**_METHODS[method], "maxiter": iterations, "gtol": tolerance}
    for argument, value in (("least_decrease", least_decrease), ("evaluations", evaluations)):
        if value is not None and method != "L-BFGS-B":
            raise ArgumentError(f"{argument} is of method='L-BFGS-B': leave it out")
    if least_decrease is not None:
        check_number("least_decrease", least_decrease, 0, 1, include_low=True, include_high=True)
        options["ftol"] = least_decrease
    if evaluations is not None:
        options["maxfun"] = check_count("evaluations", evaluations)
    return options


def check_one_minimum(network: Network, frozen: frozenset[str]) -> None:
    """ArgumentError where there is no J to search: it differs from pass to pass, or has no parameters."""
    kept = at_rest(network, frozen)
    noisy = told_apart(layer for layer in leaves(network.layers) if layer.name not in kept)
    if together := computed_together(network.layers):
        raise ArgumentError(
            f"fit_full_batch adds up J over parts of the samples, and {together[0]!r} computes with all of "
            "them together: write LayerNorm() or GroupNorm(), or train this network by fit"
        )
    if noisy is not None:
        raise ArgumentError(
            f"fit_full_batch searches the minimum of one J, and that of {noisy!r} in training is not the one "
            "of its predictions and changes from pass to pass or with the batch: train this network by fit"
        )
    if not any(spec.learned for spec in network.parameter_specs.values()):
        raise ArgumentError(
            "fit_full_batch searches the parameters with the lowest J, and the network has none: add a layer "
            "with weights, such as Dense(10)"
        )


class FullBatch:
    """J(θ) and ∂J/∂θ over all samples, θ a float64 vector of the parameters that are not frozen.

    The parts of an evaluation are the batches of one epoch of the plan, whose gradients it accumulates and
    whose only step, at their end, has the rate 0.
    """

    def __init__(
        self, work: Network, batch: Batch, objective: Objective, frozen: frozenset[str] = frozenset()
    ) -> None:
        self.work, self.batch, self.objective, self.frozen = work, batch, objective, frozen
        self.specs = {name: spec for name, spec in work.parameter_specs.items() if name not in frozen}
        ends = np.cumsum([0, *(math.prod(spec.shape) for spec in self.specs.values())]).tolist()
        self.places = dict(zip(self.specs, map(slice, ends[:-1], ends[1:]), strict=True))
        self.size = ends[-1]
        samples = len(batch)
        self.parts = -(-samples // PART)
        # What has to be made for the plan is made of so many samples together, of all others together.
        entries = max(math.prod(work.input_shape), 1)
        self.made = isinstance(batch.inputs, _Made)
        self.piece = PART * max(_PIECE // entries // PART, 1) if self.made else samples
        self.order, self.rates = np.arange(samples, dtype=np.int64), np.zeros(self.parts)
        self.penalised = 0.0  # what the penalty adds to J of the last θ
        self.plan = self._new_plan()
        self.suspects: list[slice] = []  # of the last θ: samples with a number, maybe, beyond the range

    def _new_plan(self) -> Plan:
        from chainrule.engine import Plan

        return Plan(
            self.work,
            self.objective.loss,
            optimizer=SGD(),
            batch_size=min(PART, len(self.batch)),
            rate_factors=dict.fromkeys(self.frozen, 0.0),
            accumulate=self.parts,
        )

    def named(self, theta: Vector) -> dict[str, Array]:
        """The vector's parts by parameter name, in their shapes; views."""
        return {name: theta[place].reshape(self.specs[name].shape) for name, place in self.places.items()}

    def vector(self, arrays: Mapping[str, Array]) -> Vector:
        """Arrays by parameter as one vector, in the order of `network.flat_parameters()`."""
        flat = np.empty(self.size)
        for name, place in self.places.items():
            flat[place] = arrays[name].ravel()
        return flat

    def hidden(self, theta: Vector) -> str | None:
        """What is wrong behind the finite outputs for θ, the last one evaluated; None: nothing."""
        if not self.suspects:
            return None
        self.work.set_parameters(self.named(theta))
        problems = (inside_problem(self.work, self.batch.inputs, rows) for rows in self.suspects)
        return next((problem[0] for problem in problems if problem is not None), None)

    def of_penalty(self, theta: Vector) -> float:
        return self.objective.penalty_value(self.named(theta), self.specs)

    def __call__(self, theta: Vector) -> tuple[float, Vector]:
        """J and its gradient, (n,) both float64; J is NaN where the loss of a sample is not finite."""
        values, gradient = self.named(theta), np.zeros(self.size)
        self.plan.load(values)
        self.suspects = []
        loss = self._of_samples()
        if not math.isfinite(loss):
            self.plan = self._new_plan()  # the other holds the gradients of some parts
            return math.nan, gradient
        slopes = self.named(gradient)
        self.plan.read_gradients(slopes)
        for name, added in self.objective.penalty_gradients(values, self.specs).items():
            slopes[name] += added
        self.penalised = self.objective.penalty_value(values, self.specs)
        return loss + self.penalised, gradient

    def _of_samples(self) -> float:
        """The mean loss of the samples; the plan holds its gradient, unless it is NaN."""
        samples, reached = len(self.batch), None
        for start in range(0, samples, self.piece):
            part = self.batch[start : start + self.piece] if self.made else self.batch

            def look(step: int, start: int = start) -> None:
                first = start + step * PART
                self.suspects.append(slice(first, min(first + PART, samples)))

            reached = self.plan.train_epoch(
                part.inputs,
                part.targets,
                self.order[: len(part)],
                self.rates[: -(-len(part) // PART)],
                weights=part.weights,
                look=look,
                last=start + self.piece >= samples,
                before=reached,
            )
            if reached.outcome != "done":
                return math.nan
        assert reached is not None
        return reached.loss


class _Made:
    """Inputs of which a part is made when it is asked for: all at once would be too large."""

    def __init__(self, inputs: Array, make: Callable[[Array], Array]) -> None:
        self.inputs, self.make, self.shape = inputs, make, inputs.shape

    def __getitem__(self, rows: slice) -> Array:
        return self.make(self.inputs[rows])


class _Minimisation:
    """One call of fit_full_batch: SciPy's run, and what must hold when it is left in whatever way."""

    def __init__(
        self,
        network: Network,
        work: Network,
        data: FitData,
        objective: Objective,
        method: str,
        allowed: bool,
        frozen: frozenset[str],
    ) -> None:
        self.network, self.data, self.method, self.allowed = network, data, method, allowed
        training = data.training
        if data.make is not None:
            training = replace(training, inputs=_Made(training.inputs, data.make))  # type: ignore[arg-type]
        self.objective = FullBatch(work, training, objective, frozen)
        factors = dict.fromkeys(sorted(frozen), 0.0)
        self.history = History(loss_function=objective.loss, optimizer=method, rate_factors=factors)
        self.best, self.theta = math.inf, self.objective.vector(network.parameters)
        self.penalised = 0.0  # of the best J
        self.problem = ""  # of the last θ whose J is ∞

    def value(self, theta: Vector) -> tuple[float, Vector]:
        """J and its gradient; the best so far is kept. J is ∞ where one of them is not finite, or would be
        the best and hides a number beyond the range.
        """
        J, gradient = self.objective(theta)
        if not math.isfinite(J) or not all_finite(gradient):
            self.problem = "the loss or its gradient is not finite"
            return math.inf, np.zeros_like(theta)
        if self.best > J:
            if not self.allowed and (hidden := self.objective.hidden(theta)) is not None:
                self.problem = f"{hidden} (allow_nonfinite=True goes on all the same)"
                return math.inf, np.zeros_like(theta)
            self.best, self.theta, self.penalised = J, theta.copy(), self.objective.penalised
        return J, gradient

    def run(self, options: Mapping[str, Any], progress: Progress) -> History:
        from scipy.optimize import minimize

        iterations = options["maxiter"]

        history, start = self.history, self.theta.copy()
        if not math.isfinite(self.value(start)[0]):
            raise NonFiniteError(
                f"at the start {self.problem}: check the scale of the data and of the initial weights"
            )
        if self.data.classes is not None:
            self.network.classes = self.data.classes
        self.network.preparation = self.data.preparation
        self.network.output_labels = self.objective.work.output_labels
        remember(self.network, self.history.loss_function, self.data.training.targets)
        self.network.history = history
        progress.unit = "iteration"
        progress.begin(iterations, 1, len(self.objective.batch))
        began = time.perf_counter()

        def after(intermediate_result: Any) -> None:
            nonlocal began
            J, theta = float(intermediate_result.fun), intermediate_result.x
            is_best = self.best == J and np.array_equal(theta, self.theta)  # as a rule: then it is known
            loss = J - (self.penalised if is_best else self.objective.of_penalty(theta))
            now = time.perf_counter()
            history.append(Row(len(history) + 1, loss, seconds=now - began))
            began = now
            progress.end_epoch(history.last)

        try:
            result = minimize(
                self.value, start, jac=True, method=self.method, callback=after, options={**options}
            )
            history.converged = result.status == 0
            if result.status != 1 or result.nit < iterations:
                history.stopped = f"after iteration {len(history)}: {reason(result)}"
        except BaseException as error:
            what = "interrupted" if isinstance(error, KeyboardInterrupt) else type(error).__name__
            history.stopped = f"{what} after iteration {len(history)}"
            raise
        finally:
            self.network.set_parameters(self.objective.named(self.theta))
            history.minimum = self.best
            progress.close()
        return history


def reason(result: Any) -> str:
    """SciPy's message in our words where it has only a code."""
    if result.status == 0:
        return "no entry of the gradient exceeds the tolerance, or J does not fall any more"
    if result.status == 1:
        return f"J has been computed {result.nfev} times"
    return f"the line search found no lower J ({' '.join(str(result.message).split()).rstrip('.')})"
