"""Network: layers in order and their parameters by name; it predicts, backpropagates, prints, and is saved.

How the passes are computed is not decided here: a network asks its executor.  `import chainrule` sets the
compiled engine; `chainrule.reference.ReferenceExecutor()` evaluates the layers' formulas in float64.
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.attributes import Attributes
from chainrule.base.errors import ArgumentError, DataError, FileError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_choice, check_flag, entries, text_path
from chainrule.base.shown import clipped, shown
from chainrule.base.tables import Text, html_table, text_table
from chainrule.base.types import Array
from chainrule.data.door import check_pairs, check_weights, class_ids, inputs_of, one_column, targets_of
from chainrule.data.mapped import in_pieces, pieces
from chainrule.data.preparation import Preparation
from chainrule.layers import Composite, Layer, Sequential, Sigmoid, Wiring
from chainrule.layers.precision import BFLOAT16
from chainrule.losses import BinaryCrossEntropy, Loss, Losses, loss_from
from chainrule.losses.penalties import Penalty, penalty_from, training_size_from
from chainrule.networks.architecture import INPUT, all_layers, computed_together
from chainrule.networks.batch import Batch
from chainrule.networks.executor import suspected
from chainrule.networks.finite import (
    check_activations,
    check_inside,
    check_loss,
    check_output,
    check_step,
    quiet,
)
from chainrule.networks.forms.several_ends import (
    joined_inputs,
    joined_targets,
    joined_weights,
    labels_right,
    output_labels,
    split_labels,
    unscaled_outputs,
)
from chainrule.networks.forms.several_labels import chosen, rows_right, say_several
from chainrule.networks.forms.summary import nodes_shown, summary_lines, summary_rows
from chainrule.networks.forms.theta import (
    flat,
    layers_for,
    read_thetas,
    save_thetas,
    set_flat,
    set_thetas,
    thetas,
)
from chainrule.networks.model import Model
from chainrule.networks.names import layer_names
from chainrule.networks.objective import Objective
from chainrule.networks.per_sample import Samples, pass_of
from chainrule.networks.step import Arrays, Step

if TYPE_CHECKING:
    from chainrule.formulas.tracing import FormulasByLayer


class Network(Model, Attributes):
    """A chain of layers.

    layers: Layer objects in order. One object that stands in them twice is one layer, with the same weights
        at both places; in two networks it is a description, and each has weights of its own.
    input_shape: shape of one sample, 784 or (784,) for vectors, (rows, columns, channels) for images.
    seed: of the initial parameters; every parameter has a random stream of its own, so that the same seed
        gives the same start in float32 and float64, and changing one layer's size leaves the other layers'
        start as it was.
    dtype: of parameters and predictions, "float32" or "float64".
    precision: "bfloat16" rounds what dense layers and convolutions multiply, x, W and δ, to that type and
        sums the products in float32; parameters, updates, other layers and predictions stay float32. Which
        layers and products: docs/decisions/0021-bfloat16.md. Without it, or as "float32", nothing is rounded.
    classes: the labels in the order of the outputs, of a `Graph` with several outputs by their names; without
        them those that the first fit sees.
    preparation: how inputs are made for it, a `Preparation`, a `Standardizer` of them, "pixels" (0 to 255,
        divided by 255) or "numbers" (as they are, images of uint8, too), of several inputs and outputs by
        their names, {"image": "pixels", "price": Standardizer.learn(y)}; without it that of a network which
        is the first layer, else the first fit remembers what its data were.

    Raises ShapeError where a layer does not fit its input, naming the layer and what to write.
    """

    history: Any = None  # of the last fit

    @teach("Network([...], input_shape=784)")
    def __init__(
        self,
        layers: Any,
        *,
        input_shape: Any = None,
        seed: int = 0,
        dtype: Any = "float32",
        name: str | None = None,
        classes: Any = None,
        preparation: Preparation | str | Mapping[str, Any] | None = None,
        precision: Any = None,
    ) -> None:
        if input_shape is None:
            outputs = getattr(getattr(preparation, "inputs", None), "outputs", None)
            if outputs is None:
                meant = "input_shape, the shape of one sample, such as X.shape[1:]"
                raise TypeError(f"Network() needs {meant}: write Network([...], input_shape=784)")
            input_shape = len(outputs)
        self._build(layers, input_shape, dtype, name, precision)
        self._architecture.check_new(self.dtype)
        if isinstance(classes, Mapping):
            self.output_labels = classes
        elif classes is not None:
            self.classes = [*classes] if isinstance(classes, range) else classes
        if preparation is None and isinstance(layers, (list, tuple)):
            preparation = _inherited(layers[0])
        if preparation is not None:
            self.preparation = preparation  # type: ignore[assignment]
        self.reinitialise(seed)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "dtype" and "_parameters" in self.__dict__:
            form = "network.copy(dtype='float64'), which is a network of that dtype"
            raise AttributeError(f"a network's dtype cannot be set; write {form}", name=name, obj=self)
        if name == "precision" and "_parameters" in self.__dict__:
            form = "network.copy(precision='bfloat16'), which is a network of that precision"
            raise AttributeError(f"a network's precision cannot be set; write {form}", name=name, obj=self)
        if name == "output_labels":
            value = output_labels(value, self.outputs)
        if name == "preparation" and isinstance(value, Mapping) and (self.input_parts or self.heads):
            value = Preparation.of_ends(value, self.inputs, self.outputs)
        elif name == "preparation" and value is not None:
            value = Preparation.of(value, self.input_shape, self.output_shape)
        super().__setattr__(name, value)

    @classmethod
    def _elsewhere(cls) -> Mapping[str, str]:
        from chainrule.base.foreign.attributes import METHODS, SET

        return {**METHODS, **SET}

    # -- structure -------------------------------------------------------------------------------------------
    def as_layer(self) -> Sequential:
        """Its layers as a block of another network, whose parameters begin with this one's values.

        A network in the list of layers is taken so: `Network([features, Dense(3)], input_shape=...)`. Where
        it is the first, the inputs are prepared as those of this one.
        """

        def given(layer: Layer) -> Layer:
            copied = copy.copy(layer)
            if isinstance(copied, Composite):
                return copied.with_chains(tuple(tuple(map(given, chain)) for chain in copied.chains))
            copied.given = {name: array.copy() for name, array in self.layer_parameters(copied).items()}
            return copied

        block = Sequential([given(layer) for layer in self.layers], name=self.name)
        block.preparation = self.preparation  # for a network that begins with it
        return block

    # -- parameters ------------------------------------------------------------------------------------------
    def theta(self) -> list[Array]:
        """Θ^(l) = [b, W] of every layer of a dense network, float64, the bias as column 0 (Dezeming, Ng)."""
        return thetas(self)

    def set_theta(self, values: Sequence[Any] | str | os.PathLike[str]) -> None:
        """The parameters from `[theta1, theta2, ...]`, or a .mat or .npz file that holds them as Theta1,
        Theta2, ...; if one does not fit nothing is changed.
        """
        set_thetas(self, values)

    def save_theta(self, path: str | os.PathLike[str]) -> None:
        """Write `theta()` as Theta1, Theta2, ... for Octave and MATLAB (.mat, needs SciPy) or NumPy (.npz).

        Raises FileError for another suffix or what cannot be written, ShapeError as `theta`.
        """
        save_thetas(self, path)

    @classmethod
    @teach("Network.from_theta([Theta1, Theta2], hidden, output)")
    def from_theta(
        cls, values: Sequence[Any] | str | os.PathLike[str], hidden: Layer | None = None,
        output: Layer | None = None, *, dtype: Any = "float64",
    ) -> Network:  # fmt: skip
        """The dense network of matrices Θ, or of a .mat or .npz file that holds them as Theta1, Theta2, ...;
        `hidden` and `output`: its activations, Sigmoid() by default.
        """
        if isinstance(values, str | os.PathLike):
            values = read_thetas(values)
        chosen = [Sigmoid() if layer is None else layer for layer in (hidden, output)]
        layers, inputs = layers_for(values, *chosen)
        network = cls(layers, input_shape=inputs, dtype=dtype)
        network.set_theta(values)
        return network

    def flat_parameters(self, order: str = "parameters") -> Array:
        """All parameters as one float64 vector: in their order, each row by row; order="theta": every Θ
        column by column, as Ng's Theta(:).
        """
        return flat(self, order)

    def set_flat_parameters(self, vector: Any, order: str = "parameters") -> None:
        """The parameters from a vector that `flat_parameters` gave, in the same order."""
        set_flat(self, vector, order)

    # -- passes ----------------------------------------------------------------------------------------------
    # allow_nonfinite, everywhere: what overflowed is returned as it is, not refused by NonFiniteError.

    @teach("network.predict(X), and the others by name")
    def predict(self, X: Any, *, allow_nonfinite: bool = False) -> Any:
        """a^L: (N, *input_shape) -> (N, *output_shape), in the target's own unit where `preparation` has
        scaled it.  X is prepared as the network's training data were. Of several inputs X is {name: array} or
        a tuple of them, and of several outputs {name: array} is returned, here and by `classify` and
        `accuracy`.

        Raises NonFiniteError where an output is NaN or infinite, or wrong by a hidden number beyond the
        range, naming the sample and the layer where that begins; allow_nonfinite: return what was computed.
        """
        if self.input_parts or self.heads:
            a = self._outputs(self._inputs(X), "predict", allow_nonfinite)
            if self.heads:
                return unscaled_outputs(a, self)
            return a if self.preparation is None else self.preparation.unscaled(a)
        if allow_nonfinite is False and (outputs := self._at_once(X)) is not None:
            return outputs
        if (parts := self._pieces(X)) is not None:
            return in_pieces(X, parts, lambda rows: self.predict(rows, allow_nonfinite=allow_nonfinite))
        outputs = self._outputs(self._inputs(X), "predict", allow_nonfinite)
        return outputs if self.preparation is None else self.preparation.unscaled(outputs)

    def _pieces(self, X: Any) -> list[slice] | None:
        """The rows of X in pieces where it is large and need not be copied at once; None: as a whole."""
        parts = pieces(X, self)
        return None if parts is None or computed_together(self.layers) else parts

    def _at_once(self, X: Any) -> Array | None:
        """Outputs for an array that is what the network reads already; None: the door is to look at it."""
        architecture, preparation = self._architecture, self.preparation
        if type(X) is not np.ndarray or X.shape[1:] != architecture.shapes[INPUT] or not len(X):
            return None
        if not X.flags.c_contiguous:
            return None
        if architecture.vocabulary is not None:
            # Ids as they come: read without their sign, one below 0 is beyond every vocabulary.
            if X.dtype.kind not in "iu" or not X.dtype.isnative:
                return None
            if X.view(f"u{X.itemsize}").max() >= architecture.vocabulary:
                return None
            X = X.astype(self.dtype)
        if X.dtype != self.dtype if preparation is None else not preparation.is_made(X, self.dtype):
            return None
        predict = getattr(self.executor(), "predict_at_once", None)
        return None if predict is None else predict(self, X)

    def _outputs(self, X: Array, call: str, allow_nonfinite: bool) -> Array:
        allowed = check_flag("allow_nonfinite", allow_nonfinite)
        with quiet(), suspected() as parts:
            a = self.executor().predict(self, X)
            if not allowed:
                check_output(self, X, a, call)
                check_inside(self, X, parts, call)
        return a

    @teach("network.classify(X), and the others by name")
    def classify(self, X: Any, *, allow_nonfinite: bool = False) -> Any:
        """The label of every sample: the largest output; a single output tells two classes apart, a sigmoid
        by ½ and one trained by `Hinge` by its sign.

        Where the network has been trained on several labels per sample (it ends in Sigmoid, and a row of y
        had none or more than one 1) `several_labels` is True, and it is (N, ..., K), 1 for every output above
        ½ and else 0; set it by hand for parameters from elsewhere.
        A tie goes to the first.  Without `classes` labels are 0, 1, ... Raises DataError for a network that
        predicts one number, and NonFiniteError as `predict`.
        """
        if self.heads:
            return split_labels(self._outputs(self._inputs(X), "classify", allow_nonfinite), self)
        if (parts := self._pieces(X)) is not None:
            return in_pieces(X, parts, lambda rows: self.classify(rows, allow_nonfinite=allow_nonfinite))
        if self.several_labels:
            return chosen(self._outputs(self._inputs(X), "classify", allow_nonfinite))
        ids = self._class_ids(self._inputs(X), "classify", allow_nonfinite)
        return ids if self._classes is None else self._classes[ids]

    def _class_ids(self, X: Array, call: str, allow_nonfinite: bool) -> Array:
        outputs = self.output_shape[-1]
        sigmoid = isinstance(self.layers[-1], Sigmoid)
        if outputs == 1 and not sigmoid and self._classes is None:
            raise DataError(
                "classify needs several outputs or a Sigmoid at the end; this network predicts one number: "
                "use predict"
            )
        return class_ids_of(self, self._outputs(X, call, allow_nonfinite))

    @teach("network.activations(X, 'relu1'), and the others by name")
    def activations(self, X: Any, names: Any = None, *, allow_nonfinite: bool = False) -> Array | Arrays:
        """Outputs of layers in a prediction for X, nothing drawn or trained: (N, *shape) of one layer.

        names: the name of a layer, as `summary` prints it ("residual1.dense1" within a composite, "input" for
            X as the network reads it), or several, or a pattern such as "conv*": name -> array then; None:
            of all layers.
        Raises ArgumentError for a name that is none, and NonFiniteError as `predict`.
        """
        chosen = list(self.shapes) if names is None else layer_names(self, "activations", names)
        X = self._inputs(X)
        allowed = check_flag("allow_nonfinite", allow_nonfinite)
        with quiet(), suspected() as parts:
            outputs = self.executor().activations(self, X, chosen)
            if not allowed:
                check_activations(self, X, outputs, "activations")
                check_inside(self, X, parts, "activations")
        return outputs[names] if isinstance(names, str) and names in outputs else Arrays(outputs)

    @teach("network.backpropagate(X, y), and the others by name")
    def backpropagate(
        self,
        X: Any,
        y: Any,
        *,
        loss: Loss | str | None = None,
        penalty: Penalty | None = None,
        sample_weight: Any = None,
        training_size: int | None = None,
        mode: str = "matrix",
        allow_nonfinite: bool = False,
    ) -> Step:
        """Loss, and activations, δ and gradients of every layer, for all samples at once, as in training.

        y: labels, one-hot rows or numbers, as the loss wants them.
        loss: a loss, or its name as in `fit`; None chooses by the last layer (softmax: CrossEntropy, sigmoid:
            BinaryCrossEntropy, else SquaredError).
        sample_weight: (N,), used with mean 1; of several outputs also by their names, {"kind": (N,)}.
        training_size: m of a penalty that is divided by it, by default the number of samples here.
        mode: "matrix", all samples at once (Matrix notes); "per_sample", a loop that adds gradients up and
            divides at the end, with δ of the single samples (Dezeming §3.1). The gradients are the same.
        Raises ShapeError, DataError, PairError where loss and output activation do not belong together, and
        NonFiniteError where anything in the step is NaN or infinite; allow_nonfinite: return it as it is.
        """
        run = pass_of(mode, self.executor().backpropagate)
        allowed = check_flag("allow_nonfinite", allow_nonfinite)
        batch, objective = self.problem(X, y, loss, penalty, sample_weight, training_size)
        with quiet(), suspected() as parts:
            step = run(self, batch, objective)
            if not allowed:
                check_step(self, step, batch.targets, lambda other: run(other, batch, objective), parts)
        return replace(step, samples=Samples.of(self, self.executor(), batch, objective.loss))

    @teach("network.loss(X, y), and the others by name")
    def loss(
        self,
        X: Any,
        y: Any,
        *,
        loss: Loss | str | None = None,
        penalty: Penalty | None = None,
        sample_weight: Any = None,
        training_size: int | None = None,
        reduction: str = "mean",
        allow_nonfinite: bool = False,
    ) -> Any:
        """J of the predictions for X; arguments and errors as for `backpropagate`.

        reduction: "mean" over the samples, with the penalty; "sum" over them; "none", the loss of every
        sample, (N,), times its weight. The latter two are of the data alone. "outputs": of several outputs
        the mean loss of each by its name, without its weight.
        """
        allowed = check_flag("allow_nonfinite", allow_nonfinite)
        check_choice("reduction", reduction, ("mean", "sum", "none", "outputs"))
        if reduction == "outputs":
            return self._of_outputs(X, y, loss, penalty, sample_weight, allow_nonfinite)
        if reduction != "mean" and penalty is not None:
            raise ArgumentError(f"a penalty is of no single sample: leave it out, or {reduction=}")
        batch, objective = self.problem(X, y, loss, penalty, sample_weight, training_size)
        with quiet(), suspected() as parts:
            if reduction == "none":
                each = self.executor().losses(self, batch, objective.loss)
                value = float(each.mean())
            else:
                value = self.executor().loss(self, batch, objective.loss)
            of_penalty = objective.penalty_value(self._parameters, self._architecture.specs)
        if not allowed:
            check_loss(self, batch, objective.loss, (value, of_penalty))
            check_inside(self, batch.inputs, parts, "loss")
        if reduction == "none":
            return each
        return value * len(batch) if reduction == "sum" else value + of_penalty

    def _of_outputs(self, X: Any, y: Any, loss: Any, penalty: Any, *others: Any) -> dict[str, float]:
        heads, whole = self.heads, loss_from(loss, self.layers[-1])
        if heads is None or not isinstance(whole, Losses):
            raise ArgumentError("reduction='outputs' is of a Graph with several outputs")
        if penalty is not None:
            raise ArgumentError("a penalty is of no single output: leave it out, or reduction='mean'")
        weight, allowed = others
        return {
            name: self.loss(X, y, loss=whole.alone(name), sample_weight=weight, allow_nonfinite=allowed)
            for name in heads.names
        }

    @teach("network.accuracy(X, y), and the others by name")
    def accuracy(self, X: Any, y: Any, *, sample_weight: Any = None, allow_nonfinite: bool = False) -> Any:
        """The share of samples that `classify` labels as y does (y: labels or one-hot rows).

        With several labels per sample, y of 0 and 1 (N, K), those with all their labels right (scikit-learn's
        accuracy_score); the accuracy that `fit` shows is there the share of single labels.
        """
        if self.heads:
            labels = self.classify(X, allow_nonfinite=allow_nonfinite)
            n = len(next(iter(labels.values())))
            weights = None if sample_weight is None else joined_weights(sample_weight, self, n)
            return labels_right(labels, y, weights, self.output_labels, self.heads.names)
        parts = self._pieces(X)
        if self.several_labels or say_several(self.layers[-1], y):

            def outputs_of(rows: Any) -> Array:
                return self._outputs(self._inputs(rows), "accuracy", allow_nonfinite)

            outputs = outputs_of(X) if parts is None else in_pieces(X, parts, outputs_of)
            right = rows_right(outputs, targets_of(y, self, BinaryCrossEntropy(), len(outputs))[0])
        else:

            def ids_of(rows: Any) -> Array:
                return self._class_ids(self._inputs(rows), "accuracy", allow_nonfinite)

            ids = ids_of(X) if parts is None else in_pieces(X, parts, ids_of)
            right = ids == class_ids(one_column(y), self, len(ids))
        check_pairs(X, y)
        weights = None if sample_weight is None else check_weights(sample_weight, len(right))
        return float(np.average(right.reshape(len(right), -1).mean(axis=1), weights=weights))

    def _inputs(self, X: Any) -> Array:
        return inputs_of(joined_inputs(X, self), self)

    def problem(
        self,
        X: Any,
        y: Any,
        loss: Loss | str | None = None,
        penalty: Penalty | None = None,
        sample_weight: Any = None,
        training_size: int | None = None,
    ) -> tuple[Batch, Objective]:
        """The door: what is given, checked once, as who computes a pass takes it; as of `backpropagate`."""
        chosen = loss_from(loss, self.layers[-1])
        chosen.check_output(self.layers)
        penalty = penalty_from(penalty)
        check_pairs(X, y)
        X = self._inputs(X)
        targets, _ = targets_of(joined_targets(y, self, chosen), self, chosen, len(X))
        weights = None if sample_weight is None else joined_weights(sample_weight, self, len(X))
        size = training_size_from(training_size, len(X))
        return Batch(X, targets, weights), Objective(chosen, penalty, size)

    # -- files -----------------------------------------------------------------------------------------------
    @teach("network.save('net.npz')")
    def save(self, path: str | os.PathLike[str]) -> None:
        """Layers, parameters, classes, preparation as .npz, or as .safetensors (needs the extra `save`)."""
        from chainrule.networks.forms import storage

        storage.save(self, text_path(path))

    def keras_weights(self) -> list[Array]:
        """The weights as `model.set_weights` of a Keras model of the same layers takes them, in order."""
        from chainrule.networks.forms.keras import keras_weights

        return keras_weights(self)

    def set_keras_weights(self, weights: Any) -> None:
        """The parameters from those of a Keras model of the same layers in order; Keras is not needed.

        weights: `model.get_weights()`; or a file: .npz, written by np.savez(path, *model.get_weights()), or
            .weights.h5, .h5 and .keras as Keras writes them (extra `keras`). Flatten, images, gates and heads
            are turned to our order. Nothing is changed where an array does not fit.
        Raises ShapeError that names the layer, ArgumentError for what has no like, FileError for the file.
        """
        from chainrule.networks.forms.keras import set_keras_weights

        set_keras_weights(self, weights)

    def to_sklearn(self) -> Any:
        """A fitted MLPClassifier, or MLPRegressor, of scikit-learn that predicts what this network does.

        Of Dense layers on vectors with one activation behind all hidden ones: Identity, Sigmoid, Tanh or
        ReLU; a Softmax or Sigmoid at the end makes a classifier. Dropout is left out, preparation is not part
        of it: give it `network.preparation(X)`. Raises ArgumentError that names the layer that cannot go,
        DataError for classes that are not in their order, MissingExtraError without scikit-learn.
        """
        from chainrule.networks.forms.multilayer import to_sklearn

        self._say_float32("to_sklearn", 3)
        return to_sklearn(self)

    @teach("network.to_torch(channels='first')")
    def to_torch(self, *, channels: str = "last") -> Any:
        """The network as a torch.nn.Module of the same dtype, with its weights: predictions and gradients are
        the same to rounding.

        It is an nn.Sequential of PyTorch's own modules where there are such, under the layers' names, and
        takes what the layers take, (N, *input_shape).
        channels: "last", (N, rows, columns, channels) as here, or "first", as PyTorch has images.
        `module.by_name()` gives its weights, `module.by_name(gradients=True)` their gradients, under the
        names they have here: `network.set_parameters(module.by_name())` brings a trained module back.
        Needs PyTorch. Raises ArgumentError for a layer that has no module there: layers of your own, masks of
        padding, and what the error says.
        """
        from chainrule.networks.forms.torch.writing import torch_module

        self._say_float32("to_torch")
        return torch_module(self, channels)

    @teach("network.to_onnx('net.onnx')")
    def to_onnx(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        preparation: bool = False,
        labels: bool = False,
        channels: str = "last",
        dtype: str = "float32",
        opset: int = 13,
    ) -> Any:
        """The network as an ONNX model, which predicts what this one does; written to `path` and returned.

        Its input X is (N, *input_shape), whole numbers where an Embedding reads them, its output a is (N,
        *output_shape).
        preparation: whether X is as it comes, pixels or numbers, and a in the target's own unit, of a Graph
            every input and output; without it the model takes what `network.preparation(X)` gives, as the
            layers do.
        labels: a second output, `label`, as `classify` gives it; of several outputs one for each that tells
            classes apart, "kind_label" of "kind".
        channels: "last", (N, rows, columns, channels) as here, or "first", as in PyTorch.
        dtype: of numbers and parameters, "float32" or "float64", which onnxruntime has not for convolutions.
        opset: the version of ONNX's operators, 13 to 22; 13 is read by every runtime since 2020.
        Needs the extra `onnx`. Raises ArgumentError for a layer of your own whose formula has no operators.
        """
        from chainrule.networks.forms.onnx.writing import onnx_model

        self._say_float32("to_onnx")
        path = None if path is None else text_path(path)
        options = {"channels": channels, "dtype": dtype, "opset": opset}
        return onnx_model(self, path, preparation=preparation, labels=labels, **options)  # type: ignore[arg-type]

    @teach("network.to_c('net.h')")
    def to_c(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        prefix: str = "net",
        training: bool = False,
    ) -> str:
        """The network as one file of C99 that predicts one sample in float32: `net_predict(x, a, work)`.

        It needs math.h alone and allocates nothing: `work` is memory of NET_WORK numbers that the caller
        gives. The text is written to `path` and returned; its head says how large it is.
        x is what the layers take, row by row with the channels last, after the network's preparation; ids are
        numbers, too. prefix: what the names begin with. training: `net_train(x, y, rate, work)` as well, one
        step of gradient descent on one sample, for networks of Dense layers and activations.
        Raises ArgumentError for a layer of your own that is not an Activation of `chainrule.formulas`.
        """
        from chainrule.networks.forms.c.writing import c_source

        self._say_float32("to_c")
        return c_source(self, None if path is None else text_path(path), prefix, training)

    def _say_float32(self, call: str, depth: int = 4) -> None:  # past `teach`
        if self.precision == BFLOAT16:
            warnings.warn(
                f"{call}: the products of what is made are of float32, the network's of precision="
                f"{BFLOAT16!r}; predictions differ by that rounding",
                stacklevel=depth,
            )

    # -- display ---------------------------------------------------------------------------------------------
    def formulas(self) -> FormulasByLayer:
        """Layer name -> its formulas for forward, δ and gradients; prints as text."""
        from chainrule.formulas.tracing import FormulasByLayer, trace

        return FormulasByLayer((str(layer.name), trace(layer)) for layer in all_layers(self.layers))

    @teach("network.summary()")
    def summary(self) -> str:
        """An aligned table: name, layer, output shape, number of parameters."""
        rows = summary_rows(self)
        title = f"{shown(self.name)}\n" if self.name else ""
        about = "".join(f"\n{what}: {how}" for what, how in summary_lines(self))
        return Text(title + text_table(rows, right=(3,), rule_after=(0, len(rows) - 2)) + about)

    def __repr__(self) -> str:
        inside = f"Network([{', '.join(map(repr, self.layers))}], input_shape={self.input_shape}"
        if any(isinstance(layer, Wiring) for layer in self.layers):
            inside = nodes_shown(self)
        options = f"dtype='{self.dtype}'"
        options += f", precision={BFLOAT16!r}" if self.precision == BFLOAT16 else ""
        options += f", name={self.name!r}" if self.name else ""
        return f"{inside}, {options})"

    def _repr_html_(self) -> str:
        return html_table(summary_rows(self), right=(3,), caption=self.name or "")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.summary(), "text/html": self._repr_html_()}

    if not TYPE_CHECKING:  # a type checker knows by itself what there is

        def __getattr__(self, name: str) -> Any:
            from chainrule.base.foreign import answer
            from chainrule.base.foreign.attributes import METHODS

            advice = answer(METHODS.get(name, ""))
            if not advice and name in getattr(self.__dict__.get("_architecture"), "shapes", ()):
                held = [*self.parameter_names(name).values()]
                advice = answer(f"network.parameters[{held[0]!r}]" if held else "network.layers, a tuple")
            said = f"a network has no attribute {clipped(repr(name))}{advice}"
            raise AttributeError(said, name=name, obj=self)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            raise TypeError("a network is not called as a function; write network.predict(X)")

        def __getitem__(self, key: Any) -> Any:
            what = "network.parameters['dense1.W']" if isinstance(key, str) else "network.layers[0]"
            raise TypeError(f"a network has no entries; write {what}")


def _inherited(first: Any) -> Preparation | None:
    """How inputs are made for a network that begins with another one: as for that."""
    held = isinstance(first, Network | Sequential)  # a layer that has none looks among foreign words
    known: Preparation | None = getattr(first, "preparation", None) if held else None
    if known is None or (known.inputs is None and known.feature_names is None):
        return None
    return Preparation(known.feature_names, None, known.inputs)


def class_ids_of(network: Network, a: Array) -> Array:
    """The class number of every sample by outputs a (N, ..., K): the largest one, a tie to the first; of a
    single one the side of ½ for a sigmoid, else its sign.
    """
    if a.shape[-1] == 1:
        return (a[..., 0] > (0.5 if isinstance(network.layers[-1], Sigmoid) else 0.0)).astype(np.int64)
    labelled = a.shape[-1] if network.classes is None else len(network.classes)
    return np.asarray(a[..., :labelled].argmax(axis=-1))


@teach("load('net.npz'), and layers=[MyLayer] by name")
def load(path: str | os.PathLike[str], *, layers: Iterable[type[Layer]] = ()) -> Network:
    """The network in a file that `Network.save` wrote, in the run folder of `chainrule train` (of several the
    first), or in a checkpoint of `fit` or a folder of them (the newest); no code from the file is run.

    layers: the classes of your own layers in it, `load(path, layers=[MyLayer])`; they are called with their
    config(). Raises FileError with the reason where the file is missing, damaged, or not a network.
    """
    from chainrule.networks.forms import storage

    path, classes = text_path(path), entries(layers)
    if classes is None:
        form = "layers must be a list of layer classes, load(path, layers=[MyLayer])"
        raise TypeError(f"{form}, received {describe(layers)}")
    stored = storage.read(path, layers=classes)
    try:
        network = Network._made(
            stored.layers,
            stored.parameters,
            stored.input_shape,
            stored.dtype,
            stored.name,
            stored.precision,
        )
        network.classes, network.preparation = stored.classes, stored.preparation
        network.several_labels, network.output_labels = stored.several_labels, stored.output_labels
    except Exception as error:  # a layer made of what a damaged file says may fail in any way
        said = str(error) or type(error).__name__
        raise FileError(f"{path}: does not describe a network that fits its arrays ({said})") from error
    network._architecture.warn(stacklevel=2)  # past `teach`
    return network
