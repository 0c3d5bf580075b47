"""`MLPClassifier` and `MLPRegressor`: scikit-learn's own, parameter by parameter, on this engine.

Changing the import is all there is to do.  The start, the splits and the orders of the samples are drawn from
`random_state` as scikit-learn draws them, and each step follows the gradient of one J,

    J = (1/m) Σ_i w_i value_i + alpha / (2 · samples of a batch) ΣW²,

the value of several targets summed over them.  docs/guide/estimators.rst says where that differs.
"""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from chainrule.base.errors import NonFiniteError
from chainrule.base.keywords import depth_of_caller, teach
from chainrule.base.types import Array
from chainrule.estimators.base import Answering, Classifier, Estimator, Regressor
from chainrule.estimators.epochs import Epochs, Rate, Score, accuracy, r2
from chainrule.estimators.hidden import ACTIVATIONS, hidden_layers, per_layer, sizes_of
from chainrule.estimators.targets import MULTICLASS, Labels, numbers_of, weights_of
from chainrule.layers import Dense, Layer, Sigmoid, Softmax
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, Loss, Poisson, SquaredError
from chainrule.losses.penalties import L2
from chainrule.networks.network import Network
from chainrule.networks.objective import Objective
from chainrule.training.fit import fit
from chainrule.training.full_batch import fit_full_batch
from chainrule.training.history import History
from chainrule.training.optimizers import SGD, Adam, Optimizer

_STOCHASTIC = ("sgd", "adam")
_LBFGS_DECREASE = 1e7 * np.finfo(np.float64).eps  # SciPy's ftol, which scikit-learn leaves as it is
_NONFINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
    "preprocessed."
)
_DENSE = "dense"  # what the layers with weights are called, dense1 and on


class Multilayer(Answering, Estimator):
    """What both have in common: `coefs_` and `intercepts_`, which may be set, are what they compute with."""

    loss: str
    out_activation_: str
    coefs_: list[Array]
    intercepts_: list[Array]
    _score_of: Score
    history_: History
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({*ACTIVATIONS}), list, tuple, Layer],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
    }

    @teach("the others by name: MLPClassifier((50,), 'tanh', solver='adam')")
    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun

    # -- what a classifier and a regressor say ---------------------------------------------------------------
    def _checked(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        """X and y as scikit-learn checks them; the classes, if there are, are known then."""
        raise NotImplementedError

    def _encoded(self, y: Any) -> Array:
        """Targets as `fit` takes them."""
        raise NotImplementedError

    def _said(self, targets: Array) -> Any:
        """What targets as `fit` takes them say: labels or numbers, as they are predicted."""
        raise NotImplementedError

    def _output(self, targets: Array) -> tuple[int, str]:
        """Outputs that the network needs, and the name of their activation."""
        raise NotImplementedError

    # -- the network -----------------------------------------------------------------------------------------
    def _begin(self, features: int, targets: Array, dtype: Any, random: Any) -> None:
        """Coefficients and intercepts at the start, drawn in scikit-learn's order; nothing is trained yet."""
        self.n_iter_, self.t_ = 0, 0
        sizes = sizes_of(self.hidden_layer_sizes, "hidden_layer_sizes")
        self.n_outputs_, self.out_activation_ = self._output(targets)
        units = [features, *sizes, self.n_outputs_]
        self.n_layers_ = len(units)
        logistic = [name == "logistic" for name in per_layer(self.activation, len(sizes), "activation")]
        logistic.append(all(logistic) if logistic else self.activation == "logistic")
        self.coefs_, self.intercepts_ = [], []
        for ins, outs, small in zip(units, units[1:], logistic, strict=False):
            bound = np.sqrt((2.0 if small else 6.0) / (ins + outs))
            self.coefs_.append(random.uniform(-bound, bound, (ins, outs)).astype(dtype, copy=False))
            self.intercepts_.append(random.uniform(-bound, bound, outs).astype(dtype, copy=False))
        if self.solver in _STOCHASTIC:
            self.loss_curve_: list[float] = []
            self._no_improvement_count = 0
            self.validation_scores_: list[float] | None = [] if self.early_stopping else None
            self.best_validation_score_: float | None = -np.inf if self.early_stopping else None
            self.best_loss_: float | None = None if self.early_stopping else np.inf

    def _built(self) -> Network:
        """The network of `coefs_` and `intercepts_`."""
        sizes = [int(np.shape(b)[0]) for b in self.intercepts_]
        output: list[Layer] = [Dense(sizes[-1])]
        if self.out_activation_ in ("softmax", "logistic"):
            output.append(Softmax() if self.out_activation_ == "softmax" else Sigmoid())
        return Network.from_parameters(
            [*hidden_layers(sizes[:-1], self.activation), *output],
            self._parameters(),
            input_shape=int(np.shape(self.coefs_[0])[0]),
            dtype=np.result_type(self.coefs_[0], np.float32),
            preparation="numbers",
        )

    def _parameters(self) -> dict[str, Array]:
        pairs = list(zip(self.coefs_, self.intercepts_, strict=True))
        named = {f"{_DENSE}{number}.W": np.asarray(W).T for number, (W, _) in enumerate(pairs, 1)}
        return named | {f"{_DENSE}{number}.b": np.asarray(b) for number, (_, b) in enumerate(pairs, 1)}

    def _current(self) -> Network:
        """The network with the coefficients and intercepts of now: somebody may have set others."""
        network: Network | None = self.__dict__.get("network_")
        held = {} if network is None else network.parameters
        given = self._parameters()
        if network is None or any(np.shape(held.get(n, ())) != np.shape(a) for n, a in given.items()):
            return self._built()
        changed = {name: a for name, a in given.items() if not np.may_share_memory(a, held[name])}
        if changed:
            network.set_parameters(changed)
        return network

    def _adopt(self, network: Network) -> None:
        """Take a network as that of the estimator: coefficients and intercepts are views of its own."""
        self.network_, held = network, network.parameters
        layers = range(1, len(self.intercepts_) + 1)
        self.coefs_ = [held[f"{_DENSE}{number}.W"].T for number in layers]
        self.intercepts_ = [held[f"{_DENSE}{number}.b"] for number in layers]
        if isinstance(self, Classifier):
            self._labels.name(network)

    def _outputs(self, X: Any) -> Array:
        outputs: Array = self._current().predict(self._rows(X))
        return outputs

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "network_"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "coefs_" in self.__dict__:
            self.network_ = self._built()

    # -- training --------------------------------------------------------------------------------------------
    @teach()
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on rows X (N, features), dense or sparse, and targets y; returns the estimator.

        Raises ValueError and TypeError in scikit-learn's words for what it refuses.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _check_solver(self) -> bool:
        if self.solver not in _STOCHASTIC:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, incremental: bool) -> Any:
        sizes_of(self.hidden_layer_sizes, "hidden_layer_sizes")
        first = "coefs_" not in self.__dict__ or not (self.warm_start or incremental)
        X, y = self._checked(X, y, incremental, first)
        weights = weights_of(y, sample_weight, None, X)
        targets = self._encoded(y)
        random = self._random_state = check_random_state(self.random_state)
        if first:
            self._begin(X.shape[1], targets, X.dtype, random)
        network = self._current() if incremental else self._built()
        network.classes = None  # targets are numbers of classes
        if self.solver == "lbfgs":
            self._minimise(network, X, targets, weights)
        else:
            self._descend(network, X, targets, weights, random, incremental=incremental)
        return self

    def _loss_function(self) -> Loss:
        if self.out_activation_ == "softmax":
            return CrossEntropy()
        if self.out_activation_ == "logistic":
            return BinaryCrossEntropy()
        return Poisson(log_input=True) if self.loss == "poisson" else SquaredError()

    def _constant(self, targets: Array, weights: Array | None) -> float:
        """What scikit-learn's loss has more than ours, whatever the parameters: half the deviance of Poisson
        is zero where a = y.
        """
        if self.out_activation_ != "exp":
            return 0.0
        y = targets.astype(np.float64).reshape(len(targets), -1)
        logarithms = np.log(y, out=np.zeros_like(y), where=y > 0)
        return float(np.average((y * logarithms - y).sum(axis=1), weights=weights))

    def _minimise(self, network: Network, X: Any, targets: Array, weights: Array | None) -> None:
        """All samples at once, by SciPy's L-BFGS-B."""
        total = float(X.shape[0] if weights is None else weights.sum())
        loss, penalty = self._loss_function(), L2(self.alpha / total)
        try:
            history = fit_full_batch(
                network,
                X,
                targets,
                loss=loss,
                penalty=penalty,
                iterations=self.max_iter,
                tolerance=self.tol,
                least_decrease=_LBFGS_DECREASE,
                evaluations=self.max_fun,
                sample_weight=weights,
                classes=self._numbers(),
                progress=bool(self.verbose),
            )
        except NonFiniteError as error:
            raise ValueError(f"{_NONFINITE} ({error})") from error
        assert history.minimum is not None
        self.loss_ = history.minimum + self._constant(targets, weights)
        self.history_, self.n_iter_ = history, len(history)
        self._adopt(network)
        if not history.converged:
            self._warn(
                f"lbfgs failed to converge after {self.n_iter_} iteration(s): "
                f"{history.stopped or f'max_iter={self.max_iter} is reached'}.\n\n"
                "Increase the number of iterations (max_iter) or scale the data as shown in:\n"
                "    https://scikit-learn.org/stable/modules/preprocessing.html"
            )

    def _descend(
        self,
        network: Network,
        X: Any,
        targets: Array,
        weights: Array | None,
        random: Any,
        *,
        incremental: bool,
    ) -> None:
        """Epochs of mini-batches, by `fit` with scikit-learn's rules between them."""
        resume = self._resumed(incremental)
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        held = None
        if self.early_stopping:
            X, targets, weights, held = self._held_out(X, targets, weights, random)
        samples = X.shape[0]
        size = self._batch_size(samples)
        objective = Objective(self._loss_function(), L2(self.alpha / (size * self._share(weights))))
        scored = None if held is None else (held[0], self._said(held[1]), held[2])
        constant = self._constant(targets, weights)
        epochs = Epochs(self, samples, objective, constant, random, scored, type(self)._score_of)
        self.n_iter_ = 0
        trained: History | None = None
        try:
            trained = fit(
                network,
                X,
                targets,
                loss=objective.loss,
                penalty=objective.penalty,
                optimizer=self._chosen_optimizer(),
                batch_size=size,
                epochs=1 if incremental else self.max_iter,
                validation=None if held is None else held[: 2 if held[2] is None else 3],
                shuffle=False,
                sample_weight=weights,
                classes=self._numbers(),
                callbacks=epochs,
                progress=False,
                resume=resume,
            )
        except NonFiniteError as error:
            if epochs.best is None:
                raise ValueError(f"{_NONFINITE} ({error})") from error
            epochs.diverged()
            self._warn(f"training ended, and the best parameters so far are kept: {error}")
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=depth_of_caller())
        self._keep(network, epochs)
        if trained is not None and trained.stopped is None and not incremental:
            self._warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization "
                "hasn't converged yet."
            )

    def _resumed(self, incremental: bool) -> History | None:
        """The moments that partial_fit goes on with; otherwise the rate is that of a beginning."""
        known = self.__dict__.get("_optimizer")
        if not incremental or known is None or known.kind != self.solver:
            self._optimizer = Rate(self.solver, self.learning_rate, self.learning_rate_init, self.power_t)
            self._moments: dict[str, Any] | None = None
        if self._moments is None:
            return None
        resume = History(optimizer=self.solver)
        resume.optimizer_state = self._moments
        return resume

    @staticmethod
    def _share(weights: Array | None) -> float:
        """The mean weight of a sample, by which scikit-learn's penalty is divided."""
        share = 1.0 if weights is None else float(weights.mean())
        if not share > 0:
            assert weights is not None
            problem = "must not be negative" if weights.any() else "is 0 for every sample"
            raise ValueError(f"sample_weight {problem}: give at least one sample a positive weight")
        return share

    def _keep(self, network: Network, epochs: Epochs) -> None:
        """What the epochs have reached, the best of them where that is known."""
        if epochs.best is not None:
            network.set_parameters(epochs.best)
        self._adopt(network)
        if network.history is not None:
            self.history_ = network.history
            self._moments = self.history_.optimizer_state

    def _held_out(
        self, X: Any, targets: Array, weights: Array | None, random: Any
    ) -> tuple[Any, Array, Array | None, tuple[Any, Array, Array | None]]:
        """X, targets and weights to train on, and those of `validation_fraction`, drawn as scikit-learn draws
        them.
        """
        binary = isinstance(self, Classifier) and self.n_outputs_ == 1  # others are drawn as they come
        stratify = targets.astype(bool) if binary else None
        given = [X, targets] if weights is None else [X, targets, weights]
        parts = train_test_split(
            *given, random_state=random, test_size=self.validation_fraction, stratify=stratify
        )
        if parts[1].shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        train, held = parts[::2], parts[1::2]
        none = [None] if weights is None else []
        return (*train, *none, (*held, *none))

    def _batch_size(self, samples: int) -> int:
        if self.batch_size == "auto":
            return min(200, samples)
        if self.batch_size > samples:  # type: ignore[operator]
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
                stacklevel=depth_of_caller(),
            )
        return min(int(self.batch_size), samples)

    def _chosen_optimizer(self) -> Optimizer:
        rate = self._optimizer.learning_rate_init
        if self.solver == "adam":
            betas = {"beta1": self.beta_1, "beta2": self.beta_2}
            return Adam(rate, **betas, epsilon=self.epsilon, early_epsilon=True)
        momentum = min(float(self.momentum), float(np.nextafter(1.0, 0.0)))  # scikit-learn takes 1, too
        return SGD(rate, momentum, nesterov=bool(self.nesterovs_momentum and momentum > 0))

    def _numbers(self) -> range | None:
        """The labels as `fit` sees them: numbers of several classes."""
        return range(self.n_outputs_) if self.out_activation_ == "softmax" else None

    @staticmethod
    def _warn(message: str) -> None:
        warnings.warn(message, ConvergenceWarning, stacklevel=depth_of_caller())

    # -- what scikit-learn's own tests ask for by its private name -------------------------------------------
    def _loss_grad_lbfgs(
        self, packed: Array, X: Any, y: Any, sample_weight: Any, *buffers: Any
    ) -> tuple[float, Array]:
        """J and ∂J/∂θ with θ = [coefs_, intercepts_] in one vector, which are set to it; y (N, outputs) of 0
        and 1, or numbers. The buffers are scikit-learn's and are not used.
        """
        start = 0
        for arrays in (self.coefs_, self.intercepts_):
            for number, array in enumerate(arrays):
                arrays[number] = packed[start : start + array.size].reshape(array.shape)
                start += array.size
        network = self._current()
        total = float(X.shape[0] if sample_weight is None else np.sum(sample_weight))
        penalty = L2(self.alpha / total)
        step = network.backpropagate(
            X, np.asarray(y, dtype=np.float64), loss=self._loss_function(), penalty=penalty,
            sample_weight=sample_weight,
        )  # fmt: skip
        names = range(1, len(self.coefs_) + 1)
        weights = [step.gradients[f"{_DENSE}{number}.W"].T.ravel() for number in names]
        return step.loss, np.hstack(weights + [step.gradients[f"{_DENSE}{number}.b"] for number in names])


class MLPClassifier(Classifier, Multilayer):
    """scikit-learn's MLPClassifier: its parameters, defaults, attributes, warnings and exceptions.

    activation: also a list with one entry per hidden layer, and any activation of chainrule.
    network_: the network; history_: of the last fit, as `chainrule.fit` returns it.
    """

    _score_of = staticmethod(accuracy)
    loss = "log_loss"

    def _checked(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = self._validated(X, y, multi_output=True, reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if "classes_" not in self.__dict__ or not (self.warm_start or incremental):
            self._labels = Labels.learn(y)
            self.classes_ = self._labels.classes
            return X, y
        classes = unique_labels(y)
        if self.warm_start:
            if {*classes} != {*self.classes_}:
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to "
                    f"fit. Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has "
                f"{classes}."
            )
        return X, y

    def _encoded(self, y: Any) -> Array:
        return self._labels.encode(y)

    def _said(self, targets: Array) -> Array:
        numbers = targets.dtype.kind == "i"
        return self._labels.decode(np.eye(self.n_outputs_)[targets] if numbers else targets)

    def _output(self, targets: Array) -> tuple[int, str]:
        return self._labels.outputs, "softmax" if self._labels.kind == MULTICLASS else "logistic"

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """One epoch over these rows, from where the one before ended; returns the estimator.

        classes: all labels there will be, needed by the first call; y may lack some.
        """
        if _check_partial_fit_first_call(self, classes):
            several = type_of_target(y).startswith("multilabel")
            self._labels = Labels.learn(y, None if several else classes)
        return self._fit(X, y, sample_weight, incremental=True)


class MLPRegressor(Regressor, Multilayer):
    """scikit-learn's MLPRegressor: its parameters, defaults, attributes, warnings and exceptions.

    The loss of several targets is summed over them, and its gradient is that of this loss. activation,
    network_ and history_ are as of `MLPClassifier`.
    """

    _score_of = staticmethod(r2)
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Multilayer._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"})],
    }

    @teach("the others by name: MLPRegressor('poisson', (50,), 'tanh', solver='adam')")
    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
        )
        self.loss = loss

    def _checked(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = self._validated(X, y, multi_output=True, y_numeric=True, reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags

    def _encoded(self, y: Any) -> Array:
        return numbers_of(y.reshape(-1, 1) if y.ndim == 1 else y)

    def _said(self, targets: Array) -> Array:
        return super()._decode(targets)

    def _decode(self, outputs: Array) -> Array:
        return super()._decode(np.exp(outputs) if self.out_activation_ == "exp" else outputs)

    def _output(self, targets: Array) -> tuple[int, str]:
        return targets.shape[1], "exp" if self.loss == "poisson" else "identity"

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """One epoch over these rows, from where the one before ended; returns the estimator."""
        return self._fit(X, y, sample_weight, incremental=True)
