"""The engine as the executor of every network: `net.predict` and `net.backpropagate` run on plans."""

from __future__ import annotations

import math
import operator
import weakref
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.engine.lowering.loss_kinds import told_by_print
from chainrule.engine.plan import Plan
from chainrule.layers.precision import BFLOAT16
from chainrule.losses import Loss
from chainrule.networks.architecture import all_layers, check_batch, computed_together
from chainrule.networks.batch import Batch
from chainrule.networks.executor import suspect
from chainrule.networks.model import Model
from chainrule.networks.objective import Objective
from chainrule.networks.per_sample import norms_of_gradients
from chainrule.networks.step import Step
from chainrule.reference.overflow import first_overflow

# Samples per pass of a prediction, the least that holds what is asked for; more gains nothing, costs memory.
# Of 16, samples fill the lanes, and 5 would take as long: 8 have channels there (0015). 240 are 15, 30 or 60
# blocks, of which dense layers take three at a time: the sixteenth of 256 takes longer.
_PREDICT_BATCHES = (1, 4, 8, 16, 64, 240)
_LARGEST_COPY = 2**24  # entries that are converted to a plan's type together
_KINDS_KEPT = 8  # of plans, per network: those of predictions, a backpropagation, and one more


class _Shelf:
    """The plans of one network that are at rest, by kind.

    A plan runs one call at a time and is taken from here meanwhile, so that there are as many of a kind as
    threads have asked for at once. A list's pop and append are whole, whoever else is at it.
    """

    def __init__(self, network: Model) -> None:
        self.plans: dict[Any, list[tuple[Plan, list[Any]]]] = {}
        self.look(network)

    def look(self, network: Model) -> None:
        """Where the attributes lie that a plan is made from: of all layers, as the network has them now."""
        self.attributes = [vars(layer) for layer in all_layers(network.layers)]
        self.together = bool(computed_together(network.layers))

    def made_from(self) -> list[Any]:
        """What plans are made from and would not see change."""
        return [*chain.from_iterable(map(dict.values, self.attributes))]

    def take(self, kind: Any, made_from: list[Any]) -> Plan | None:
        try:
            plan, attributes = self.plans[kind].pop()
        except LookupError:
            return None
        return plan if _same(attributes, made_from) else None

    def put(self, kind: Any, plan: Plan, made_from: list[Any]) -> None:
        try:
            self.plans[kind].append((plan, made_from))
        except KeyError:
            self.plans.setdefault(kind, []).append((plan, made_from))
            for oldest in [*self.plans][:-_KINDS_KEPT]:
                self.plans.pop(oldest, None)


def _same(those: list[Any], these: list[Any]) -> bool:
    """By identity: `==` of arrays is no answer."""
    return len(those) == len(these) and all(map(operator.is_, those, these))


class NativeExecutor:
    """Compiles a network when it is first used and keeps the plan as long as the network lives."""

    def __init__(self) -> None:
        self._shelves: weakref.WeakKeyDictionary[Model, _Shelf] = weakref.WeakKeyDictionary()

    @contextmanager
    def _plan(
        self, network: Model, loss: Loss | None, batch_size: int, keep: bool, per_sample: bool = False
    ) -> Iterator[Plan]:
        shelf = self._shelves.get(network) or self._shelves.setdefault(network, _Shelf(network))
        kind: Any = (
            batch_size if not (loss or keep or per_sample) else (batch_size, keep, per_sample, repr(loss))
        )
        made_from = shelf.made_from()
        if loss is not None and not told_by_print(loss):  # two of your own may print alike and differ
            made_from += [loss, *vars(loss).values()]
        plan = shelf.take(kind, made_from)
        if plan is None:
            shelf.look(network)
            plan = Plan(network, loss, batch_size=batch_size, keep=keep, per_sample=per_sample)
            plan.network = weakref.proxy(network)  # or the shelf would keep its own key alive
        else:
            plan.renew(network.parameters)
        yield plan
        shelf.put(kind, plan, made_from)  # not after an exception, which may hold it in its trace

    def predict_at_once(self, network: Model, X: Array) -> Array | None:
        """`predict` for X as the network reads it, of its dtype or uint8, that nobody has looked at.

        None where not all numbers are finite and within the range, or the host takes part, or there is no
        plan yet: `predict` is then to be asked, by somebody who looks.
        """
        shelf = self._shelves.get(network)
        if shelf is None:
            return None
        kind, made_from = len(X) if shelf.together else _least_batch(X), shelf.made_from()
        plan = shelf.take(kind, made_from)
        if plan is None:
            return None
        outputs = None
        if not plan.by_host:
            plan.renew(network.parameters)
            outputs = plan.predict_at_once(X)
        shelf.put(kind, plan, made_from)
        return outputs

    def predict(self, network: Model, X: Array) -> Array:
        """a^L, (N, *output_shape), in the network's dtype."""
        batch_size = _predict_batch(network, X)
        parts = []
        with self._plan(network, None, batch_size, False) as plan:
            for rows in _pieces(X, network.dtype, batch_size):
                parts.append(plan.predict(X[rows]))
                _suspect(plan.overflows(), batch_size, rows.start)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def activations(self, network: Model, X: Array, names: Sequence[str]) -> dict[str, Array]:
        """Outputs of layers in a prediction, in the network's dtype."""
        shapes = network.shapes
        made = {name: np.empty((len(X), *shapes[name]), network.dtype) for name in names}
        batch_size = _predict_batch(network, X)
        with self._plan(network, None, batch_size, True) as plan:
            for start in range(0, len(X), batch_size):
                rows = slice(start, min(start + batch_size, len(X)))
                plan.predict(X[rows])
                if plan.overflows():
                    suspect(rows)
                for name, array in plan.outputs(rows.stop - start, names).items():
                    made[name][rows] = array
        return made

    def backpropagate(self, network: Model, batch: Batch, objective: Objective) -> Step:
        """One pass over all samples; a penalty of any kind is added by its formulas."""
        with self._plan(network, objective.loss, len(batch), True) as plan:
            inspected = plan.inspect(batch.inputs, batch.targets, batch.weights)
            _suspect(plan.overflows(), len(batch))
        data_loss, activations, deltas, gradients = inspected
        gradients = objective.with_penalty(gradients, network.parameters, network.parameter_specs)
        total = data_loss + objective.penalty_value(network.parameters, network.parameter_specs)
        return Step(total, data_loss, activations, deltas, gradients)

    def loss(self, network: Model, batch: Batch, loss: Loss) -> float:
        """(1/m) Σ w_i · value_i of the predictions."""
        batch_size = _predict_batch(network, batch.inputs)
        losses = []
        with self._plan(network, loss, batch_size, False) as plan:
            for rows in _pieces(batch.inputs, network.dtype, batch_size):
                part = batch[rows]
                share = len(part) / len(batch)
                losses.append(share * plan.evaluate(part.inputs, part.targets, part.weights).loss)
                _suspect(plan.overflows(), batch_size, rows.start)
        return losses[0] if len(losses) == 1 else math.fsum(losses)

    def losses(self, network: Model, batch: Batch, loss: Loss) -> Array:
        """w_i · value_i of the predictions, (N,) float64."""
        batch_size = _predict_batch(network, batch.inputs)
        losses = []
        with self._plan(network, loss, batch_size, False) as plan:
            for rows in _pieces(batch.inputs, network.dtype, batch_size):
                part = batch[rows]
                losses.append(plan.losses(part.inputs, part.targets, part.weights))
                _suspect(plan.overflows(), batch_size, rows.start)
        return np.concatenate(losses)

    def sample_norms(self, network: Model, batch: Batch, loss: Loss) -> Array:
        """‖∂(w_i · value_i)/∂θ‖ of every sample, (N,) float64."""
        if network.shares or network.precision == BFLOAT16:
            return norms_of_gradients(network, self, batch, loss)
        with self._plan(network, loss, len(batch), False, per_sample=True) as plan:
            norms = plan.norms(batch.inputs, batch.targets, batch.weights)[1]
            _suspect(plan.overflows(), len(batch))
        return norms

    def first_nonfinite(self, network: Model, X: Array) -> str | None:
        """Where NaN or infinity begins in a prediction for X; None: nowhere."""
        plan = Plan(network, batch_size=len(X), keep=True)
        plan.predict(X)
        return plan.first_nonfinite()

    def first_overflow(
        self, network: Model, X: Array, outputs: Mapping[str, Array] | None
    ) -> tuple[int, str, str] | None:
        """The first sample whose outputs are wrong by a number beyond the range, the layer, and what is."""
        training = outputs is not None
        if outputs is None:
            plan = Plan(network, batch_size=len(X), keep=True)
            plan.predict(X)
            outputs = plan.outputs(len(X))
        return first_overflow(network, X, outputs, network.dtype, training=training)


def _predict_batch(network: Model, X: Array) -> int:
    """Samples per pass: all of them where a layer computes with them together."""
    together = computed_together(network.layers)
    if not together:
        return _least_batch(X)
    check_batch(together, network.shapes, len(X))
    return len(X)


def _least_batch(X: Array) -> int:
    return _PREDICT_BATCHES[min(bisect_left(_PREDICT_BATCHES, len(X)), len(_PREDICT_BATCHES) - 1)]


def _pieces(X: Array, dtype: Any, batch_size: int) -> Iterator[slice]:
    """All samples where the engine reads them as they are; pieces of whole batches where it takes a copy in
    its own type, which may be larger than the memory.
    """
    length = len(X)
    if X.dtype not in (np.uint8, dtype) and X.size > _LARGEST_COPY:
        length = max(_LARGEST_COPY // (X.size // len(X) * batch_size), 1) * batch_size
    for start in range(0, len(X), length):
        yield slice(start, min(start + length, len(X)))


def _suspect(batches: list[int], batch_size: int, start: int = 0) -> None:
    for first in batches:
        suspect(slice(start + first, start + first + batch_size))
