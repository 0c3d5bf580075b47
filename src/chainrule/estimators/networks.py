"""`NetworkClassifier` and `NetworkRegressor`: any network of the library as an estimator of scikit-learn.

What they compute is `Network` and `fit`: with `random_state=0` the numbers are those of a network with seed=0
that is trained with seed=0, bit for bit.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target
from sklearn.utils.validation import check_is_fitted

from chainrule.base.errors import ArgumentError, DataError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_count, check_number
from chainrule.base.types import Array
from chainrule.estimators.base import Answering, Classifier, Estimator, Regressor
from chainrule.estimators.hidden import hidden_layers, sizes_of
from chainrule.estimators.targets import (
    BINARY,
    MULTICLASS,
    MULTILABEL,
    Labels,
    numbers_of,
    plain_labels,
    seed_from,
    weights_of,
)
from chainrule.layers import Dense, Flatten, Identity, Layer, LogSoftmax, Sigmoid, Softmax, Softplus
from chainrule.losses import (
    BinaryCrossEntropy,
    CategoricalHinge,
    CrossEntropy,
    Hinge,
    KLDivergence,
    Loss,
    NegativeLogLikelihood,
    Poisson,
    loss_from,
)
from chainrule.networks.architecture import architecture, check_batch, input_shape_from
from chainrule.networks.network import Network
from chainrule.training.callbacks import EarlyStopping, early_stopping_from
from chainrule.training.fit import fit
from chainrule.training.full_batch import fit_full_batch
from chainrule.training.history import History
from chainrule.training.optimizers import FULL_BATCH, Optimizer, optimizer_from, optimizers

# Samples per step where nobody says: a tenth of them, so that an epoch has ten steps, between these. 200 is
# scikit-learn's, whose rule makes one step an epoch of 150 rows: iris 87.3 % in 100 epochs, with ours 91.8.
_SMALLEST_BATCH, _LARGEST_BATCH = 32, 200
_AUTO_PATIENCE = 10  # epochs of early_stopping=True, scikit-learn's n_iter_no_change
_AUTO_FRACTION = 0.1  # held out for early stopping where nobody says
_VALIDATION = "write validation_fraction=0.1, or fit(X, y, X_val=..., y_val=...)"
_OF_LOGARITHMS = (NegativeLogLikelihood, KLDivergence)  # losses of logarithms of probabilities
_OF_PROBABILITIES = (Softmax, Sigmoid, LogSoftmax)  # which end a network that tells classes apart
_AUTO_HIDDEN = (100,)  # units where neither layers nor hidden_layers are given


@contextmanager
def said_of(name: str, argument: str) -> Iterator[None]:
    """An error on `name` is one on the estimator's `argument`, which becomes it."""
    try:
        yield
    except (ArgumentError, DataError, TypeError) as error:
        said = str(error)
        if name not in said:
            raise
        raise type(error)(said.replace(name, argument, 1)) from None


class NetworkEstimator(Answering, Estimator):
    """What both have in common.

    Parameters
    ----------
    layers: of the network, as `chainrule.Network` takes them. What is missing at its end is added: Dense with
        an output per class or target, unless the last Dense has as many units (of classes: and ends the
        layers), with a Flatten in front of it where images come that far, and the activation that the loss
        wants. Two classes may be two outputs, Dense(2). None: by the next four.
    hidden_layers: units of each, in place of layers; None: (100,). activation: a name ("relu", "tanh",
        "logistic", "gelu", ...) or a layer, one for all or a list. dropout: the rate behind each, one or a
        list. normalization: "batch", "layer" or "rms" before each activation, a layer, or a list.
    input_shape: of a sample, where rows are images: (8, 8, 1); None: as X has them, rows of features, images
        (N, rows, columns, channels) or sequences (N, steps, features).
    loss: as of `chainrule.fit`, or one of your own; None: cross-entropy of classes, squared error of numbers.
    penalty, constraint: as of `chainrule.fit`, such as L2(1e-4), MaxNorm(3.0).
    solver: "adam", "adamw", "sgd", "rmsprop", an optimizer such as SGD(0.1, momentum=0.9), or "lbfgs", "cg":
        all samples at once by `chainrule.fit_full_batch`.
    learning_rate: of a solver by its name: a number or a schedule; None: the optimizer's own.
    batch_size: samples per step; "auto": a tenth of them, at least 32 and at most 200.
    epochs: at most; of "lbfgs" and "cg" iterations.
    early_stopping: None, a number of epochs without improvement (True: 10), or EarlyStopping(...). Without
        validation data a tenth of the rows is held out.
    validation_fraction: of the rows held out, of every class its share; None: none but for early stopping.
    precision: "bfloat16": products of factors rounded to it, as of `chainrule.Network`; with it, or with
        "float32", the network is of float32, whatever X is. None: of the type of X; float32 is twice as fast.
    shuffle, callbacks, threads: as of `chainrule.fit`. verbose: whether progress is shown.
    warm_start: whether `fit` goes on from the parameters before.
    random_state: a number, a RandomState or None; of the start, the orders, what is held out, and dropout.

    Attributes
    ----------
    network_: the network, which predicts, explains and is saved as any other. history_: of the last fit.
    batch_size_: samples per step of the last fit; None of "lbfgs" and "cg".
    n_iter_: its epochs. loss_curve_, validation_loss_curve_: a value per epoch, without the penalty; None
        without validation. n_outputs_, n_features_in_, feature_names_in_.

    Rows may be sparse, and are made dense batch by batch where all of them would be too large.
    """

    def __init__(
        self,
        layers: Any = None,
        *,
        hidden_layers: Any = None,
        activation: Any = "relu",
        dropout: Any = 0.0,
        normalization: Any = None,
        input_shape: Any = None,
        loss: Any = None,
        penalty: Any = None,
        constraint: Any = None,
        solver: Any = "adam",
        learning_rate: Any = None,
        batch_size: int | str = "auto",
        epochs: int = 100,
        early_stopping: Any = None,
        validation_fraction: float | None = None,
        shuffle: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        precision: Any = None,
        callbacks: Any = (),
        verbose: bool = False,
        threads: int | None = None,
    ) -> None:
        self.layers = layers
        self.hidden_layers = hidden_layers
        self.activation = activation
        self.dropout = dropout
        self.normalization = normalization
        self.input_shape = input_shape
        self.loss = loss
        self.penalty = penalty
        self.constraint = constraint
        self.solver = solver
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.random_state = random_state
        self.precision = precision
        self.callbacks = callbacks
        self.verbose = verbose
        self.threads = threads

    # -- what a classifier and a regressor say ---------------------------------------------------------------
    def _encoded(self, y: Any) -> Array:
        """Targets as `fit` takes them."""
        raise NotImplementedError

    def _ending(self, targets: Array) -> tuple[int, Layer | None]:
        """How many outputs the network needs, and the activation behind them."""
        raise NotImplementedError

    def _numbers(self) -> range | None:
        """The labels as `fit` sees them: numbers of several classes."""
        return None

    # -- the network -----------------------------------------------------------------------------------------
    def _described(self, shape: tuple[int, ...], targets: Array) -> list[Layer]:
        """All layers of the network for samples of that shape."""
        outputs, activation = self._ending(targets)
        if self.layers is None:
            sizes = sizes_of(
                _AUTO_HIDDEN if self.hidden_layers is None else self.hidden_layers, "hidden_layers"
            )
            layers = hidden_layers(sizes, self.activation, self.dropout, self.normalization)
            if len(shape) > 1:
                layers.insert(0, Flatten())
        elif isinstance(self.layers, Iterable):
            self._refuse_beside_layers()
            layers = [*self.layers]
            if layers and all(isinstance(size, Integral) for size in layers):
                raise TypeError(
                    f"layers={self.layers!r} are numbers of units: write hidden_layers={self.layers!r}"
                )
        else:
            hint = ": write layers=[*network.layers]" if isinstance(self.layers, Network) else ""
            raise TypeError(
                f"layers must be a list such as [Dense(50), ReLU()], not {describe(self.layers)}{hint}"
            )
        return self._ended(layers, shape, outputs, activation)

    def _ended(
        self, layers: list[Layer], shape: tuple[int, ...], outputs: int, activation: Layer | None
    ) -> list[Layer]:
        """The layers with what is missing at their end."""
        if layers:
            built = architecture(layers, shape)
            shape = built.shapes[str(built.layers[-1].name)]
        classifies = isinstance(activation, _OF_PROBABILITIES)
        ends = classifies and bool(layers) and isinstance(layers[-1], _OF_PROBABILITIES)
        if ends and shape == (outputs,):
            return layers
        if ends and not isinstance(layers[-1], Sigmoid):
            several = len(shape) > 1
            behind = f"outputs of shape {shape}" if several else f"{shape[-1]} outputs"
            raise ArgumentError(
                f"layers end in {layers[-1]!r} behind {behind}, and y asks for {outputs}: write "
                f"{'Flatten(), ' * several}Dense({outputs}) in front of it, or leave both out"
            )
        last = next((layer for layer in reversed(layers) if isinstance(layer, Dense)), None)
        # With anything else behind it a Dense of as many units as there are classes is a hidden one.
        bare = not classifies or (bool(layers) and isinstance(layers[-1], (Dense, Identity)))
        if last is None or last.units != outputs or not bare or len(shape) > 1:
            layers += [Flatten()] if len(shape) > 1 else []
            layers.append(Dense(outputs))
        if activation is not None and (classifies or isinstance(layers[-1], Dense)):
            layers.append(activation)
        return layers

    def _refuse_beside_layers(self) -> None:
        """ArgumentError for what describes hidden layers where the layers are given."""
        if self.hidden_layers is not None:
            raise ArgumentError(
                f"layers and hidden_layers={self.hidden_layers!r} both say which layers there are: give one "
                "of them, layers=None or hidden_layers=None"
            )
        for name, usual in (("activation", "relu"), ("dropout", 0.0), ("normalization", None)):
            value = getattr(self, name)
            if not (value is usual or (isinstance(value, (str, float, int)) and value == usual)):
                raise ArgumentError(
                    f"{name}={value!r} is of hidden_layers, and layers are given: put it into layers as a "
                    "layer of its own"
                )

    def _new_network(self, targets: Array, dtype: Any, seed: int) -> Network:
        shape = self._sample_shape
        return Network(
            self._described(shape, targets),
            input_shape=shape,
            seed=seed,
            dtype=dtype if self.precision is None else "float32",
            precision=self.precision,
            preparation="numbers",
        )

    def _as_rows(self, X: Any) -> tuple[Any, tuple[int, ...] | None]:
        """Images and sequences as rows, with their shape; what has rows as it is, and None."""
        if isinstance(X, np.ma.MaskedArray):
            raise DataError("X is a masked array: write X.filled(value), or drop the masked rows")
        if isinstance(X, (list, tuple)) and len(X) and np.ndim(X[0]) > 1:
            X = np.asarray(X)
        shape: tuple[int, ...] = getattr(X, "shape", ())
        if len(shape) < 3:
            return X, None
        given = tuple(int(size) for size in shape[1:])
        return np.asarray(X).reshape(shape[0], math.prod(given)), given

    def _set_sample_shape(self, given: tuple[int, ...] | None) -> None:
        """What the network takes: as input_shape says, or as X has it."""
        if self.input_shape is None:
            self._sample_shape = (self.n_features_in_,) if given is None else given
            return
        shape = self._sample_shape = input_shape_from(self.input_shape)
        if self.n_features_in_ != math.prod(shape):
            raise ArgumentError(
                f"input_shape={shape} has {math.prod(shape)} numbers, and X has {self.n_features_in_} "
                "features"
            )
        self._refuse_other_shape(given)

    def _refuse_other_shape(self, given: tuple[int, ...] | None) -> None:
        """Samples of another shape are refused, but for images of one channel that say nothing of it."""
        shape = self._sample_shape
        if given is not None and shape not in (given, (*given, 1)):
            raise ArgumentError(
                f"X has samples of shape {given}, and the network takes {shape}: bring X to the shape "
                f"(N, {', '.join(map(str, shape))})"
            )

    def _shaped(self, X: Any) -> Any:
        """Rows as samples of the network."""
        if len(self._sample_shape) == 1:
            return X
        rows = X.toarray() if sparse.issparse(X) else X
        return rows.reshape(len(rows), *self._sample_shape)

    def _rows(self, X: Any, *, reset: bool = False) -> Any:
        rows, given = self._as_rows(X)
        if len(self._sample_shape) > 1 and np.shape(X) == self._sample_shape:
            raise ArgumentError(f"X is one sample of shape {self._sample_shape}: write X[numpy.newaxis]")
        checked = super()._rows(rows, reset=reset)
        self._refuse_other_shape(given)
        return checked

    def _checked(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any]:
        """Rows and targets as scikit-learn checks them; `reset` remembers what is known of the rows."""
        rows, given = self._as_rows(X)
        rows, y = self._validated(
            rows, y, multi_output=True, y_numeric=isinstance(self, Regressor), reset=reset
        )
        if reset:
            self._set_sample_shape(given)
        else:
            self._refuse_other_shape(given)
        return rows, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _outputs(self, X: Any) -> Array:
        outputs: Array = self.network_.predict(self._shaped(self._rows(X)))
        return outputs

    # -- training --------------------------------------------------------------------------------------------
    def _train(
        self,
        X: Any,
        y: Any,
        weights: Array | None,
        validation: Any,
        *,
        fresh: bool,
        once: bool = False,
    ) -> Any:
        """One call of `fit` or `fit_full_batch`; `once`: one epoch that goes on from the one before."""
        targets = self._encoded(y)
        seed = seed_from(self.random_state)
        if fresh:
            self.network_ = self._new_network(targets, X.dtype, seed)
            self._moments: dict[str, Any] | None = None
            self._parts = 0  # calls of partial_fit
        network = self.network_
        self.n_outputs_ = network.output_shape[-1]
        network.classes = None  # targets are numbers of classes
        common = {
            "loss": self._loss(network),
            "penalty": self.penalty,
            "sample_weight": weights,
            "classes": self._numbers(),
            "progress": bool(self.verbose),
            "threads": self.threads,
        }
        if self._takes_all_at_once():
            if once:
                raise AttributeError(f"partial_fit is of mini-batches: solver={self.solver!r} has none")
            self._refuse_of_mini_batches(validation)
            self.batch_size_ = None
            method = "CG" if self.solver == "cg" else "L-BFGS-B"
            history = fit_full_batch(
                network, self._shaped(X), targets, iterations=self.epochs, method=method, **common
            )
        else:
            self.batch_size_ = self._size(X.shape[0], network, None if once else self._validation(validation))
            with said_of("give fit validation=0.1 or (X_val, y_val)", _VALIDATION):
                history = fit(
                    network,
                    self._shaped(X),
                    targets,
                    optimizer=self._optimizer(),
                    batch_size=self.batch_size_,
                    epochs=1 if once else self.epochs,
                    validation=None if once else self._validation(validation),
                    shuffle=self.shuffle,
                    seed=seed + self._parts if once else seed,
                    constraint=self.constraint,
                    early_stopping=None if once else self._stopping(),
                    callbacks=self.callbacks,
                    resume=self._resumed() if once else None,
                    **common,
                )
            self._moments = history.optimizer_state
        self._parts += once
        self._told(network)
        self.history_, self.n_iter_ = history, len(history)
        self.loss_curve_ = history.loss
        validated = [value for value in history.validation_loss if value is not None]
        self.validation_loss_curve_ = validated or None
        return self

    def _told(self, network: Network) -> None:
        """Have the trained network say labels."""

    def _loss(self, network: Network) -> Loss:
        return loss_from(self.loss, network.layers[-1])

    def _takes_all_at_once(self) -> bool:
        return isinstance(self.solver, str) and self.solver.lower() in FULL_BATCH

    def _check_solver(self) -> bool:
        if self._takes_all_at_once():
            raise AttributeError(f"partial_fit is of mini-batches: solver={self.solver!r} has none")
        return True

    def _refuse_of_mini_batches(self, validation: Any) -> None:
        given = {
            "early_stopping": self.early_stopping,
            "validation_fraction": self.validation_fraction,
            "constraint": self.constraint,
            "learning_rate": self.learning_rate,
            "X_val": validation,
        }
        for name, value in given.items():
            if value is not None and value is not False:
                raise ArgumentError(f"{name} is of mini-batches: leave it out, or choose another solver")

    def _optimizer(self) -> Optimizer:
        by_name = isinstance(self.solver, str)
        if self.learning_rate is not None and not by_name:
            raise ArgumentError(
                f"learning_rate is of a solver by its name: write the rate in {self.solver!r}"
            )
        kind = optimizers.get(self.solver.lower()) if by_name else None
        if self.learning_rate is None or kind is None:
            with said_of("optimizer ", "solver "):
                return optimizer_from(self.solver)
        with said_of("rate ", "learning_rate "):
            return replace(kind(), rate=self.learning_rate)  # type: ignore[type-var]

    def _size(self, samples: int, network: Network, validation: Any) -> int:
        """Samples per step; a size by rule leaves no single sample over where a layer takes none."""
        if isinstance(self.batch_size, str):
            if self.batch_size != "auto":
                raise ArgumentError(f"batch_size must be a number or 'auto', received {self.batch_size!r}")
            size = min(samples, max(_SMALLEST_BATCH, min(-(-samples // 10), _LARGEST_BATCH)))
            trained = samples
            if isinstance(validation, float):
                trained -= min(max(round(samples * validation), 1), samples - 1)
            try:
                check_batch(network.layers, network.shapes, 1)
            except DataError:
                while trained > size and trained % size == 1:
                    size += 1
            return size
        return min(check_count("batch_size", self.batch_size), samples)

    def _stopping(self) -> EarlyStopping | None:
        """Of this fit alone: a parameter is not changed."""
        if self.early_stopping is None or self.early_stopping is False:
            return None
        given = _AUTO_PATIENCE if self.early_stopping is True else self.early_stopping
        with said_of("patience ", "early_stopping "):
            (stopping,) = early_stopping_from(given)
        assert isinstance(stopping, EarlyStopping)
        return copy.deepcopy(stopping)

    def _validation(self, given: Any) -> Any:
        if given is not None:
            return given
        stopping = self._stopping()
        if self.validation_fraction is None and stopping is not None:
            return _AUTO_FRACTION if stopping.monitor.startswith("validation") else None
        if self.validation_fraction is not None:
            hint = "0.1 holds out a tenth of the rows"
            check_number("validation_fraction", self.validation_fraction, high=1.0, hint=hint)
        return self.validation_fraction

    def _resumed(self) -> History | None:
        if self._moments is None:
            return None
        resume = History()
        resume.optimizer_state = self._moments
        return resume

    def _held(self, X_val: Any, y_val: Any, weights: Any) -> Any:
        """(X, y) or (X, y, weights) to validate on."""
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ArgumentError("X_val and y_val belong together: give both")
        y = column_or_1d(y_val) if np.ndim(y_val) == 1 or np.shape(y_val)[1] == 1 else np.asarray(y_val)
        held = (self._shaped(self._rows(X_val)), self._encoded(y))
        return held if weights is None else (*held, weights)


@teach("the others by name: NetworkClassifier([Dense(50), ReLU()], epochs=20)")
class NetworkClassifier(Classifier, NetworkEstimator):
    __doc__ = f"""A network that tells classes apart: two, several, or several labels per row.

    class_weight: {{label: weight}}, or "balanced", by which the weights of every class sum to the same;
        it multiplies sample_weight.
    Two classes are one output, the probability of the second; a loss other than the binary cross-entropy and
    Hinge has two.
    A loss that is no cross-entropy has no probabilities: `decision_function` gives the outputs then.

    As of the base:

    {NetworkEstimator.__doc__}"""

    def __init__(
        self,
        layers: Any = None,
        *,
        hidden_layers: Any = None,
        activation: Any = "relu",
        dropout: Any = 0.0,
        normalization: Any = None,
        input_shape: Any = None,
        loss: Any = None,
        penalty: Any = None,
        constraint: Any = None,
        class_weight: Any = None,
        solver: Any = "adam",
        learning_rate: Any = None,
        batch_size: int | str = "auto",
        epochs: int = 100,
        early_stopping: Any = None,
        validation_fraction: float | None = None,
        shuffle: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        precision: Any = None,
        callbacks: Any = (),
        verbose: bool = False,
        threads: int | None = None,
    ) -> None:
        super().__init__(
            layers,
            hidden_layers=hidden_layers,
            activation=activation,
            dropout=dropout,
            normalization=normalization,
            input_shape=input_shape,
            loss=loss,
            penalty=penalty,
            constraint=constraint,
            solver=solver,
            learning_rate=learning_rate,
            batch_size=batch_size,
            epochs=epochs,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            shuffle=shuffle,
            warm_start=warm_start,
            random_state=random_state,
            precision=precision,
            callbacks=callbacks,
            verbose=verbose,
            threads=threads,
        )
        self.class_weight = class_weight

    @teach()
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Train on rows X (N, features), dense or sparse, and labels y; returns the estimator.

        X_val, y_val, sample_weight_val: measured after every epoch, in place of `validation_fraction`.
        """
        goes_on = self.warm_start and "network_" in self.__dict__
        X, y = self._checked(X, y, reset=not goes_on)
        if goes_on:
            self._refuse_unknown(y)
        else:
            self._learn(y)
        weights = weights_of(y, sample_weight, self.class_weight, X)
        return self._train(X, y, weights, self._held(X_val, y_val, sample_weight_val), fresh=not goes_on)

    @available_if(lambda estimator: estimator._check_solver())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """One epoch over these rows, from where the one before ended; returns the estimator.

        classes: all labels there will be, needed by the first call; y may lack some.
        """
        fresh = "network_" not in self.__dict__
        first = _check_partial_fit_first_call(self, classes)
        X, y = self._checked(X, y, reset=fresh)
        if first:
            self._learn(y, None if type_of_target(y).startswith("multilabel") else classes)
        self._refuse_unknown(y)
        weights = weights_of(y, sample_weight, self.class_weight, X)
        return self._train(X, y, weights, None, fresh=fresh, once=True)

    def _check_solver(self) -> bool:
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            raise AttributeError(
                "class_weight='balanced' needs all of y, which partial_fit does not see: write the weights, "
                "{label: weight}, as sklearn.utils.class_weight.compute_class_weight gives them"
            )
        return super()._check_solver()

    def _learn(self, y: Any, classes: Any = None) -> None:
        alone = isinstance(self._loss_of(), (BinaryCrossEntropy, Hinge))
        if self.loss is None:
            alone = not self._ends_in_two()
        if type_of_target(y).startswith("multilabel") and not self._takes_several():
            raise ValueError(
                f"loss={self.loss!r} takes one class per row, and y has several labels: leave loss out, or "
                "write loss='binary_cross_entropy'"
            )
        pair = not alone  # a network of one output tells classes apart by these two losses alone
        self._labels = Labels.learn(y, classes, pair=pair)
        self.classes_ = self._labels.classes

    def _ends_in_two(self) -> bool:
        """Whether the layers end in an output for each of two classes."""
        layers = [*self.layers] if isinstance(self.layers, Iterable) else []
        if not layers:
            return False
        last = layers[-2] if isinstance(layers[-1], Identity) and len(layers) > 1 else layers[-1]
        return isinstance(last, (Softmax, LogSoftmax)) or (isinstance(last, Dense) and last.units == 2)

    def _takes_several(self) -> bool:
        """Whether the loss takes every output by itself."""
        return self.loss is None or not isinstance(self._loss_of(), (CrossEntropy, CategoricalHinge))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = self._takes_several()
        return tags

    def _refuse_unknown(self, y: Any) -> None:
        kind = Labels.learn(y)
        new = np.setdiff1d(kind.classes, self.classes_)
        if len(new) or (kind.kind == MULTILABEL) != (self._labels.kind == MULTILABEL):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has "
                f"{kind.classes}."
            )

    def _checked(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any]:
        X, y = super()._checked(X, y, reset=reset)
        return X, plain_labels(y)

    def _encoded(self, y: Any) -> Array:
        return self._labels.encode(y)

    def _held(self, X_val: Any, y_val: Any, weights: Any) -> Any:
        if y_val is not None:
            y_val = y_val if sparse.issparse(y_val) else plain_labels(np.asarray(y_val))
            self._refuse_unknown(y_val)
        return super()._held(X_val, y_val, weights)

    def _ending(self, targets: Array) -> tuple[int, Layer | None]:
        labels = self._labels
        if self.loss is None:
            return labels.outputs, Softmax() if labels.largest_counts else Sigmoid()
        loss = self._loss_of()
        if loss.outputs_per_target > 1:
            raise ArgumentError(f"loss={self.loss!r} is of numbers: leave it out, or take NetworkRegressor")
        if isinstance(loss, _OF_LOGARITHMS):
            return labels.outputs, LogSoftmax()
        return labels.outputs, None if loss.output is None else loss.output()

    def _numbers(self) -> range | None:
        return range(self._labels.outputs) if self._labels.largest_counts else None

    def _told(self, network: Network) -> None:
        self._labels.name(network)

    def _loss_of(self) -> Loss:
        """The loss that is asked for; without one that of several classes."""
        return loss_from(self.loss, Softmax())

    def _has_probabilities(self) -> bool:
        loss = self._loss_of()
        if loss.output is not None or isinstance(loss, _OF_LOGARITHMS):
            return True
        raise AttributeError(f"loss={self.loss!r} gives no probabilities: use decision_function")

    def _has_margins(self) -> bool:
        loss = self._loss_of()
        if loss.output is None and not isinstance(loss, _OF_LOGARITHMS):
            return True
        raise AttributeError("a cross-entropy gives probabilities: use predict_proba")

    @available_if(lambda estimator: estimator._has_probabilities())
    def predict_proba(self, X: Any) -> Array:
        """The probability of every class, (N, classes) in the order of `classes_`."""
        probabilities = super().predict_proba(X)
        if isinstance(self.network_.layers[-1], LogSoftmax):
            return np.asarray(np.exp(probabilities))
        if self._labels.kind == MULTICLASS and isinstance(self.network_.layers[-1], Sigmoid):
            return np.asarray(
                probabilities / probabilities.sum(axis=1, keepdims=True)
            )  # one against the rest
        return probabilities

    @available_if(lambda estimator: estimator._has_probabilities())
    def predict_log_proba(self, X: Any) -> Array:
        """Their logarithms."""
        return super().predict_log_proba(X)

    @available_if(lambda estimator: estimator._has_margins())
    def decision_function(self, X: Any) -> Array:
        """The outputs of a network without probabilities: (N, classes), of two classes (N,), above 0 the
        second.
        """
        check_is_fitted(self)
        outputs = self._outputs(X)
        if self._labels.pair:
            return np.asarray(outputs[:, 1] - outputs[:, 0])
        above = outputs - self._middle()
        return above.ravel() if self._labels.kind == BINARY else above

    def _middle(self) -> float:
        """What divides yes from no in an output by itself: 0 of margins, trained towards ±1, else ½."""
        return 0.0 if isinstance(self.history_.loss_function, Hinge) else 0.5

    def _decode(self, outputs: Array) -> Array:
        labels = self._labels
        if labels.kind == MULTILABEL and isinstance(self.network_.layers[-1], (Softmax, LogSoftmax)):
            one_hot = np.eye(labels.outputs, dtype=np.int64)  # rows, as y was
            return np.asarray(one_hot[outputs.argmax(axis=1)])
        return labels.decode(outputs, self._middle())


@teach("the others by name: NetworkRegressor([Dense(50), ReLU()], epochs=20)")
class NetworkRegressor(Regressor, NetworkEstimator):
    __doc__ = f"""A network that predicts one number per row, or several.

    The squared error of several targets is summed over them. Of loss="gaussian_nll" `predict` gives the
    means, and `network_.predict` the logarithms of the variances behind them. A target far from 0 or of a
    large spread is better scaled, by sklearn.compose.TransformedTargetRegressor.

    As of the base:

    {NetworkEstimator.__doc__}"""

    @teach()
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Train on rows X (N, features), dense or sparse, and numbers y (N,) or (N, targets); returns the
        estimator.

        X_val, y_val, sample_weight_val: measured after every epoch, in place of `validation_fraction`.
        """
        goes_on = self.warm_start and "network_" in self.__dict__
        X, y = self._checked(X, y, reset=not goes_on)
        weights = weights_of(y, sample_weight, None, X)
        return self._train(X, y, weights, self._held(X_val, y_val, sample_weight_val), fresh=not goes_on)

    @available_if(lambda estimator: estimator._check_solver())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """One epoch over these rows, from where the one before ended; returns the estimator."""
        fresh = "network_" not in self.__dict__
        X, y = self._checked(X, y, reset=fresh)
        return self._train(X, y, weights_of(y, sample_weight, None, X), None, fresh=fresh, once=True)

    def _encoded(self, y: Any) -> Array:
        return numbers_of(y.reshape(-1, 1) if y.ndim == 1 else y)

    def _ending(self, targets: Array) -> tuple[int, Layer | None]:
        loss = loss_from(self.loss, Identity())
        outputs = targets.shape[1] * loss.outputs_per_target
        if isinstance(loss, Poisson) and not loss.log_input:
            return outputs, Softplus()
        return outputs, None if loss.output is None else loss.output()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = isinstance(self.loss, Poisson) or self.loss == "poisson"
        return tags

    def _decode(self, outputs: Array) -> Array:
        loss = self._loss(self.network_)
        if loss.outputs_per_target > 1:  # of GaussianNLL: the first half are the means
            outputs = np.asarray(outputs[:, : outputs.shape[1] // loss.outputs_per_target])
        return super()._decode(np.exp(outputs) if isinstance(loss, Poisson) and loss.log_input else outputs)
