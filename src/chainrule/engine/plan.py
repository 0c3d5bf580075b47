"""Plan: a network, a loss and a batch size, compiled to native operations over one arena."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from chainrule import _native
from chainrule.base.errors import ArgumentError, describe
from chainrule.base.memory import within_memory
from chainrule.base.scalars import check_count, check_flag, check_number
from chainrule.base.shown import quoted
from chainrule.data.arrays import all_finite
from chainrule.distributed import Communicator, check_communicator
from chainrule.engine.building import Built, build, set_training
from chainrule.engine.host import filled
from chainrule.engine.lowering.loss_kinds import CLASSIFYING, JUDGED
from chainrule.engine.lowering.updates import set_rate_factors
from chainrule.engine.sharing import Sharing, own_shards, shard_size, side_by_side
from chainrule.losses import CrossEntropy, Loss, Losses
from chainrule.losses.constraints import MaxNorm, constraint_from
from chainrule.losses.penalties import Penalty
from chainrule.networks.architecture import check_batch, check_layers_held, computed_together, leaves
from chainrule.networks.model import Model
from chainrule.networks.names import at_rest
from chainrule.networks.parameters import Parameters, dtype_from

SLOTS = ("first", "second")  # of an optimizer's state

Poll = Callable[[int, int, float, float | None], bool]
Look = Callable[[int], None]
Counted = Sequence[bool]  # whether classes are counted, of all and then of every output of several


class Evaluation(NamedTuple):
    """Mean loss of the data (no penalty) and, where there are classes, the share classified rightly.

    parts: the same of every output of several, its loss without its weight among them.
    """

    loss: float
    accuracy: float | None
    parts: tuple[Evaluation, ...] = ()

    @classmethod
    def again(cls, numbers: Sequence[Any]) -> Evaluation:
        """From one, or the lists that another rank has sent of it."""
        loss, accuracy, parts = numbers
        return cls(loss, accuracy, tuple(map(cls.again, parts)))


class EpochResult(NamedTuple):
    """Sums over the epoch's samples so far, steps done, and how it ended.

    loss_sum: of the data's losses (no penalty).  hits: samples classified rightly, None without classes.
    judged: the samples that have something which counts.  parts: loss_sum, hits and judged of every output of
    several.
    """

    loss_sum: float
    hits: float | None
    judged: float
    samples: float
    steps: int
    outcome: str  # the name of a _native.Outcome
    parts: tuple[tuple[float, float | None, float], ...] = ()

    @classmethod
    def of(
        cls, sums: Sequence[float], counted: Counted, steps: int = 0, outcome: str = "done"
    ) -> EpochResult:
        """From what the native plan has summed."""
        (counts, *of_parts), (loss, hits, judged, samples, *rest) = counted, sums
        parts = tuple(
            (rest[3 * k], rest[3 * k + 1] if counts_part else None, rest[3 * k + 2])
            for k, counts_part in enumerate(of_parts)
        )
        return cls(loss, hits if counts else None, judged, samples, steps, outcome, parts)

    @property
    def sums(self) -> list[float]:
        """As the native plan goes on from them."""
        parts = (number or 0.0 for part in self.parts for number in part)
        return [self.loss_sum, self.hits or 0.0, self.judged, self.samples, *parts]

    @property
    def loss(self) -> float:
        """Mean loss of the samples."""
        return self.loss_sum / max(self.samples, 1)

    @property
    def accuracy(self) -> float | None:
        """The share of them that was classified rightly."""
        return None if self.hits is None else self.hits / max(self.judged, 1)

    @property
    def evaluation(self) -> Evaluation:
        """The means."""
        parts = (
            Evaluation(loss / max(self.samples, 1), None if hits is None else hits / max(judged, 1))
            for loss, hits, judged in self.parts
        )
        return Evaluation(self.loss, self.accuracy, tuple(parts))


def _factors(network: Model, given: Any, argument: str = "rate_factors") -> dict[str, float]:
    """Factors by parameter, checked."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        form = f"{argument} must be a dict such as {{'dense1.W': 0.1}}"
        raise TypeError(f"{form}, received {describe(given)}")
    for name, factor in given.items():
        if name not in network.parameter_specs:
            raise ArgumentError(f"{argument} names no parameter {describe(name)} of this network")
        check_number(f"{argument}[{name!r}]", factor, include_low=True)
    return {name: float(factor) for name, factor in given.items()}


class Plan:
    """Runs a network natively on batches of at most `batch_size` samples.

    network: supplies layers, shapes and parameters; `load` copies its parameters into the arena,
        `store` back.
    loss, penalty, optimizer: None leaves the part out (predict only, no penalty, no training).
    dtype: "float32" or "float64"; the network's if None.
    keep: keep z, a and δ of every layer apart, so that `inspect` can show them; otherwise layers are fused.
    training_size: m of L2(per_sample=True).
    per_sample: measure gradients of single samples, see `norms`.
    constraint: holds after every step of training.
    rate_factors: of parameters, by name: what multiplies the rate of every step; 0: no step changes them, and
        where those are the running statistics of a layer of chainrule's, it normalises by them in training.
    decay_factors: of parameters, by name: what multiplies the weight decay of AdamW; without it 1 of weights,
        0 of biases and of what else is not penalised.
    accumulate: batches to a step, which takes the mean gradient of their samples.
    comm: the ranks that a step's batch is shared with, cut into its shards.
    """

    def __init__(
        self,
        network: Model,
        loss: Loss | None = None,
        penalty: Penalty | None = None,
        optimizer: Any = None,
        *,
        batch_size: int = 32,
        dtype: Any = None,
        keep: bool = False,
        training_size: int | None = None,
        level: str | None = None,
        per_sample: bool = False,
        constraint: MaxNorm | None = None,
        rate_factors: Mapping[str, float] | None = None,
        decay_factors: Mapping[str, float] | None = None,
        accumulate: int = 1,
        comm: Communicator | None = None,
    ) -> None:
        if loss is not None and not isinstance(loss, Loss):
            raise TypeError(f"loss must be an object such as CrossEntropy(), received {describe(loss)}")
        if not isinstance(network, Model):
            raise TypeError(f"Plan takes the network first, received {describe(network)}")
        self.network, self.loss, self.penalty, self.optimizer = network, loss, penalty, optimizer
        self.dtype = network.dtype if dtype is None else dtype_from(dtype)
        self.batch_size = check_count("batch_size", batch_size, 1, _native.LARGEST_BATCH)
        self.keep = check_flag("keep", keep)
        per_sample = check_flag("per_sample", per_sample)
        constraint = constraint_from(constraint)
        check_communicator(comm)
        check_layers_held(network.layers, self.dtype)
        factors = _factors(network, rate_factors)
        self.frozen = frozenset(name for name, factor in factors.items() if factor == 0)
        size = self.batch_size if comm is None else shard_size(comm, self.batch_size, self.dtype, level)
        building = partial(
            build,
            network,
            loss,
            batch_size=size,
            dtype=self.dtype,
            keep=self.keep,
            level=level,
            frozen=self.frozen,
            per_sample=per_sample or bool(getattr(optimizer, "clip_sample_norm", None)),
            alone=comm is None,
        )
        built = building()
        set_training(
            built,
            network,
            self.dtype,
            penalty=penalty,
            training_size=training_size,
            optimizer=optimizer,
            constraint=constraint,
            per_sample=per_sample,
            rate_factors=factors,
            decay_factors=_factors(network, decay_factors, "decay_factors"),
        )
        self._built, self._native = built, built.native
        self._output_shape = network.output_shape
        self.by_host = built.host is not None  # whether a layer is evaluated by Python
        self.accumulate = check_count("accumulate", accumulate, 1, 2**31 - 1)
        self._native.set_accumulation(self.accumulate)
        self.comm = comm
        self.sharing: Sharing | None = None
        if comm is not None:
            self.sharing = self._shared(comm, building, factors)
        self._trainable: set[int] = set()  # sizes of batches that every layer can train on
        self._moment, self._may_change = -1, list[str]()  # of the network's parameters in the arena
        self._broken = set[str]()  # those of them that hold NaN or infinity
        with within_memory(f"what the network computes on a batch of batch_size={self.batch_size} samples"):
            self._native.finish()
        self.load()

    def _shared(
        self, comm: Communicator, building: Callable[[], Built], factors: Mapping[str, float]
    ) -> Sharing:
        """Steps with the other ranks; this one computes its shards of a batch side by side if it can."""
        self._beside: list[Built] = []  # of this rank's other shards
        if side_by_side(self.network, self.frozen):
            self._beside = [building() for _ in own_shards(comm)[1:]]
        for other in self._beside:
            set_rate_factors(other.native, factors, other.parameters)
            other.native.finish()
        beside = [other.native for other in self._beside]
        outputs = len(self.loss.parts) if isinstance(self.loss, Losses) else 0
        return Sharing(self._native, comm, self.batch_size, self.dtype.itemsize, beside, outputs)

    @property
    def lanes(self) -> int:
        """Samples of a block."""
        return int(self._native.lanes)

    # -- parameters

    def load(self, parameters: Mapping[str, Any] | None = None) -> None:
        """Copy the network's parameters (or those given) into the arena."""
        self._moment = -1
        if parameters is None:
            self.renew(self.network.parameters)
            return
        for name, array in parameters.items():
            self._set_parameter(self._built.parameters[name], array)

    def _set_parameter(self, number: int, array: np.ndarray) -> None:
        self._native.set_parameter(number, np.ascontiguousarray(array, dtype=self.dtype))

    def renew(self, parameters: Parameters) -> None:
        """Copy those of the network's parameters into the arena that may have changed since this was last
        called, with nothing but `load` in between.
        """
        moment = parameters.moment
        if moment != self._moment:
            self._moment, self._may_change = moment, list(self._built.parameters)
        if not self._may_change:
            return
        held = parameters.in_other_hands(self._may_change)  # before they are copied
        for name in self._may_change:
            parameters.copied(name, partial(self._copy, name))
        self._may_change = held

    def _copy(self, name: str, array: np.ndarray) -> None:
        self._set_parameter(self._built.parameters[name], array)
        (self._broken.discard if all_finite(array) else self._broken.add)(name)

    def parameters(self) -> dict[str, np.ndarray]:
        """Copies of the arena's parameters by name."""
        return {name: self._read(name, self._native.get_parameter) for name in self._built.parameters}

    def _read(self, name: str, read: Any) -> np.ndarray:
        """A parameter, or its gradient, by one of the native plan's getters."""
        shape = self.network.parameter_specs[name].shape
        return filled(read, self._built.parameters[name], shape, self.dtype)

    def store(self) -> None:
        """Copy the arena's parameters into the network."""
        self.network.set_parameters(self.parameters())

    def optimizer_state(self) -> dict[str, Any]:
        """Steps taken and the moments by parameter name: "first/conv1.W", "second/conv1.W"."""
        state: dict[str, Any] = {"steps": self._native.steps_taken}
        for slot, title in enumerate(SLOTS):
            for name, number in self._built.parameters.items():
                array = np.empty(self.network.parameter_specs[name].shape, self.dtype)
                if self._native.get_state(number, slot, array):
                    state[f"{title}/{name}"] = array
        return state

    def set_optimizer_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `optimizer_state` gave; ValueError for that of another network or rule."""
        current = self.optimizer_state()
        for key, array in current.items():
            if key not in state or np.shape(state[key]) != np.shape(array):
                fault = f"is of shape {np.shape(state[key])}" if key in state else "is missing"
                raise ArgumentError(
                    f"the optimizer's state does not fit this network and {describe(self.optimizer)}: "
                    f"{key} {fault}"
                )
        if len(current) != len(state):
            extra = next(key for key in state if key not in current)
            raise ArgumentError(
                f"the optimizer's state is that of another network or optimizer: it has {quoted(extra)}"
            )
        self._native.steps_taken = int(state["steps"])
        for slot, title in enumerate(SLOTS):
            for name, number in self._built.parameters.items():
                if f"{title}/{name}" in state:
                    array = np.ascontiguousarray(state[f"{title}/{name}"], dtype=self.dtype)
                    self._native.set_state(number, slot, array)

    # -- running; X has been through the door (data/door.py)

    def _inputs(self, X: np.ndarray) -> tuple[np.ndarray, float]:
        if X.dtype == np.uint8:
            return np.ascontiguousarray(X), 1 / 255
        return np.ascontiguousarray(X, dtype=self.dtype), 1.0

    def _targets(self, targets: np.ndarray) -> np.ndarray:
        """Class numbers as they are; one-hot for own losses and those that read one number per sample."""
        whole = self.loss is None or self.loss.affine  # targets as they are
        if targets.dtype == np.int64:
            if (
                whole
                and not self._built.formula_loss
                and (targets.ndim == 1 or type(self.loss) is CrossEntropy)
            ):
                return np.ascontiguousarray(targets)
            classes = self.network.output_shape[-1]
            if targets.size and not (targets.min() >= 0 and targets.max() < classes):
                wrong = targets[(targets < 0) | (targets >= classes)].flat[0]
                raise ArgumentError(f"class numbers must be from 0 to {classes - 1}, received {wrong}")
            targets = np.eye(classes)[targets]
        if self.loss is not None and not whole:
            columns = np.moveaxis(targets, 0, -1).astype(np.float64, copy=False)
            targets = np.moveaxis(self.loss.prepared(columns), -1, 0)
        return np.ascontiguousarray(targets, dtype=self.dtype)

    def counts(self, targets: np.ndarray) -> bool:
        """Whether there are classes, so that an accuracy means something; a loss of your own counts none."""
        if self._built.formula_loss:
            return type(self.loss) in JUDGED
        return type(self.loss) in CLASSIFYING or targets.dtype == np.int64

    def _counted(self, targets: np.ndarray) -> Counted:
        return [self.counts(targets), *self.outputs_classified.values()]

    @property
    def outputs_classified(self) -> dict[str, bool]:
        """Of several outputs whether each has classes, by name."""
        if not isinstance(self.loss, Losses):
            return {}
        known = (*CLASSIFYING, *JUDGED)
        return {name: type(part.loss) in known for name, part in self.loss.by_output.items()}

    @staticmethod
    def _weights(weights: Any) -> np.ndarray | None:
        return None if weights is None else np.ascontiguousarray(weights, dtype=np.float64)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """a^L of every sample, (N, *output_shape)."""
        x, scale = self._inputs(X)
        out = np.empty((len(x), *self._output_shape), self.dtype)
        self._native.predict(x, scale, self._built.output, out)
        return out

    def predict_at_once(self, X: np.ndarray) -> np.ndarray | None:
        """The same for X of the plan's dtype or uint8 that nobody has looked at; None where some number in
        it, behind it or among the parameters is not finite, or may have gone beyond the range.
        """
        if self._broken:
            return None
        out = np.empty((len(X), *self._output_shape), self.dtype)
        scale = 1.0 if X.dtype.kind == "f" else 1 / 255
        return out if self._native.predict_at_once(X, scale, self._built.output, out) else None

    def evaluate(
        self, X: np.ndarray, targets: np.ndarray, weights: Any = None, *, training: bool = False
    ) -> Evaluation:
        """Mean loss of the data and accuracy over any number of samples.

        training: of a training pass (dropout drawn, batch normalisation by the batch), not of a prediction;
        what goes by the samples together goes by those of a batch of the plan, the last one included.
        """
        if training or computed_together(self.network.layers):
            self.check_batches(len(X))
        x, scale = self._inputs(X)
        run = self._native.evaluate
        sums = run(x, scale, self._targets(targets), self._weights(weights), training)
        return EpochResult.of(sums, self._counted(targets)).evaluation

    def losses(self, X: np.ndarray, targets: np.ndarray, weights: Any = None) -> np.ndarray:
        """w_i · value_i of every sample of a prediction, (N,) float64."""
        x, scale = self._inputs(X)
        losses = np.empty(len(x))
        self._native.evaluate(x, scale, self._targets(targets), self._weights(weights), False, losses)
        return losses

    def gradients(
        self, X: np.ndarray, targets: np.ndarray, weights: Any = None
    ) -> tuple[float, dict[str, np.ndarray]]:
        """J with the penalty, and ∂J/∂θ of every parameter, for one batch."""
        loss = self._backpropagate(X, targets, weights, with_penalty=True)
        return loss, self._gradients()

    def inspect(
        self, X: np.ndarray, targets: np.ndarray, weights: Any = None
    ) -> tuple[float, dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
        """J, activations, δ and gradients by name; needs keep=True."""
        if not self.keep:
            raise ArgumentError("a plan that fuses its layers keeps no activations: build it with keep=True")
        loss, gradients = self.gradients(X, targets, weights)
        activations, deltas = self.outputs(len(X)), {}
        for name, number in self._built.values.items():
            if self._built.paired and name == self.network.layers[-1].name:
                continue
            array = np.empty_like(activations[name])
            self._native.read_value(number, True, array)
            deltas[name] = array
        return loss, activations, deltas, gradients

    def outputs(self, samples: int, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """The input and every layer's output of the last batch, of so many samples, or those that are named;
        needs keep=True.
        """
        shapes = {"input": self.network.input_shape, **self.network.shapes}
        outputs = {}
        for name, number in self._built.values.items():
            if names is not None and name not in names:
                continue
            outputs[name] = np.empty((samples, *shapes[name]), self.dtype)
            self._native.read_value(number, False, outputs[name])
        return outputs

    def overflows(self) -> list[int]:
        """The first samples of the batches in whose forward pass of the last call, which was no epoch, a
        number may have gone beyond the range; the first where a parameter is not finite, which zeros that
        kernels leave out hide, of some numbers of samples.
        """
        return list(self._native.overflows) or [0] * bool(self._broken)

    def norms(
        self, X: np.ndarray, targets: np.ndarray, weights: Any = None
    ) -> tuple[float, np.ndarray, dict[str, np.ndarray]]:
        """Of one batch: the data's loss, ‖g_i‖ of every sample's own gradient, ∂(w_i·value_i)/∂θ, and the
        gradients of the batch; needs per_sample=True.
        """
        x, scale = self._inputs(X)
        norms = np.empty(len(x))
        loss = self._native.norms(x, scale, self._targets(targets), self._weights(weights), norms)
        return loss, norms, self._gradients()

    def penalty_value(self) -> float:
        """What the penalty adds to J, of the arena's parameters."""
        return float(self._native.penalty())

    def read_gradients(self, into: Mapping[str, np.ndarray]) -> None:
        """Write ∂J/∂θ of the last batch, or of all that an update has taken together, into arrays by name,
        contiguous, of the plan's dtype and the parameters' shapes.
        """
        for name, array in into.items():
            self._native.get_gradient(self._built.parameters[name], array)

    def _gradients(self) -> dict[str, np.ndarray]:
        specs = self.network.parameter_specs
        learned = (name for name in self._built.parameters if specs[name].learned)
        return {name: self._read(name, self._native.get_gradient) for name in learned}

    def set_seed(self, seed: int) -> None:
        """Of the random numbers that training passes draw (dropout); 0 if it is not set."""
        self._native.set_seed(seed % 2**64)

    def check_batches(self, samples: int) -> None:
        """DataError where a layer cannot train on the batches of so many samples, the last one included."""
        counts = {min(self.batch_size, samples), (samples - 1) % self.batch_size + 1} - self._trainable
        if not counts:
            return
        kept = at_rest(self.network, self.frozen)
        layers = [layer for layer in leaves(self.network.layers) if layer.name not in kept]
        for count in counts:
            check_batch(layers, self.network.shapes, count)
            self._trainable.add(count)

    def _backpropagate(self, X: np.ndarray, targets: np.ndarray, weights: Any, with_penalty: bool) -> float:
        self.check_batches(len(X))
        x, scale = self._inputs(X)
        run = self._native.backpropagate
        return float(run(x, scale, self._targets(targets), self._weights(weights), self.keep, with_penalty))

    def train_epoch(
        self,
        X: np.ndarray,
        targets: np.ndarray,
        order: np.ndarray,
        rates: np.ndarray,
        weights: Any = None,
        poll: Poll | None = None,
        look: Look | None = None,
        last: bool = True,
        before: EpochResult | None = None,
        decays: np.ndarray | None = None,
        dropouts: np.ndarray | None = None,
    ) -> EpochResult:
        """One pass over the samples `order` names, one rate per step.

        decays: AdamW's weight decay at every step, in place of that of the optimizer. dropouts: from 0 to 1,
        what multiplies the rate of every Dropout at every step.

        poll(step, steps, mean loss, accuracy) is called about every 50 ms; True ends the epoch after this
        step. An exception it raises (or Ctrl-C) leaves the arena as after the last whole step.
        look(step), from 0, is called before the update of a step in whose forward pass a number may have gone
        beyond the range; it may raise as well. Where there is one, the epoch ends "at_rest" after an update
        in which a second moment went beyond the range, so that its parameter moves no more.
        last: no batch of the epoch comes after these; where several make a step, what is left makes one.
        before: what the epoch's earlier steps reached, where these are its later ones: the sums go on from
        it, and are those of an epoch in one piece to the bit. poll and look count from these steps' first.
        """
        self.check_batches(len(order))
        counted = self._counted(targets)
        counts = counted[0]

        def report(step: int, steps: int, mean_loss: float, accuracy: float) -> bool:
            if self.comm is not None:
                self.comm.alive()
            return poll is not None and poll(step, steps, mean_loss, accuracy if counts else None)

        x, scale = self._inputs(X)
        outcome, steps, sums = self._native.train_epoch(
            x,
            scale,
            self._targets(targets),
            self._weights(weights),
            np.ascontiguousarray(order, dtype=np.int64),
            np.ascontiguousarray(rates, dtype=np.float64),
            None if poll is None and self.comm is None else report,
            look,
            last,
            [] if before is None or not before.samples else before.sums,
            self._weights(decays),
            self._weights(dropouts),
        )
        done = steps if before is None else before.steps + steps
        return EpochResult.of(sums, counted, done, outcome.name)

    def first_nonfinite(self) -> str | None:
        """Where NaN or infinity begins after a "nonfinite" epoch: a parameter, a layer's output, or its δ."""
        names = {number: name for name, number in self._built.parameters.items()}
        index = self._native.first_nonfinite_parameter(False)
        if index >= 0:
            return f"parameter {names[index]}"
        for delta, title in ((False, "output of"), (True, "δ of")):
            index = self._native.first_nonfinite(delta)
            parts = ((layer, number) for number, layer in self._built.parts.items())
            for layer, number in [*self._built.values.items(), *parts]:
                if number == index:
                    return f"{title} {layer}"
        index = self._native.first_nonfinite_parameter(True)
        return f"gradient of {names[index]}" if index >= 0 else None

    def first_at_rest(self) -> str | None:
        """A parameter that moves no more, because a second moment is beyond the range: after an epoch that
        ended "at_rest", or from a state that was set.
        """
        index = self._native.first_at_rest()
        return next((name for name, number in self._built.parameters.items() if number == index), None)
