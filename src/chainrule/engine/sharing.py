"""A plan whose steps are shared with other ranks: gradients of shards go out, those of the batch come in."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.types import Array
from chainrule.distributed import Communicator
from chainrule.distributed.order import Shards, shards_of
from chainrule.engine import isa
from chainrule.layers import BatchNorm
from chainrule.networks.architecture import leaves
from chainrule.networks.model import Model
from chainrule.networks.names import at_rest

# Bytes of a gradient that are summed by themselves, while the backward pass goes on: fewer are not worth the
# delays of their messages. Among processes of one machine nothing moves meanwhile (docs/decisions/0017).
LEAST_PART = 1 << 19


class Sharing:
    """What a native plan calls in the midst of a step; with the same sums every rank makes the same update.

    The numbers of a shard: its sums, as of an `EpochResult`, whether a number may have gone beyond the range,
    whether its rank is asked to stop behind the step.  outputs: of a loss of several outputs, else 0.
    """

    def __init__(
        self,
        native: Any,
        comm: Communicator,
        batch_size: int,
        itemsize: int,
        beside: Sequence[Any],
        outputs: int = 0,
    ) -> None:
        self.count = 4 + 3 * outputs + 2
        self.native, self.comm = native, comm
        self.asked: Callable[[], bool] = lambda: False  # to stop behind this step, of this rank
        self.numbers = Shards()
        self.own = own = own_shards(comm)
        called = weakref.proxy(self)  # the native plan must not keep alive what keeps it
        native.set_sharing(
            comm.shards,
            own.start,
            own.stop,
            batch_size,
            LEAST_PART // itemsize if comm.machines > 1 else 0,
            lambda shard, part: called.computed(shard, part),
            lambda part: called.complete(part),
            lambda: called.comm.advance(),
            lambda shard, sums, overflowed: called.counted(shard, sums, overflowed),
            lambda stop: called.sum(stop),
            lambda numbers: called.exchange(numbers),
            list(beside),
        )

    @cached_property
    def parts(self) -> list[tuple[Array, Shards]]:
        """Of the gradient in the arena, those that are finished first before the others."""
        gradients = self.native.all_gradients()
        return [(gradients[begin:end], Shards()) for begin, end in self.native.gradient_parts()]

    def computed(self, shard: int, part: int) -> None:
        values, held = self.parts[part]
        held.add(shard, values)

    def complete(self, part: int) -> None:
        """No shard of this rank adds anything more: its sum begins."""
        values, held = self.parts[part]
        self.comm.begin(held.nodes, values)
        held.clear()

    def counted(self, shard: int, sums: list[float], overflowed: bool) -> None:
        self.numbers.add(shard, np.array([*sums, overflowed, 0.0]))
        self.comm.alive()

    def sum(self, stop: bool) -> tuple[list[float], bool, bool]:
        if self.numbers.nodes:
            self.numbers.nodes[-1][1][-1] += stop or self.asked()
        totals = np.empty(self.count)
        self.comm.reduce(self.numbers.nodes, totals)
        self.numbers.clear()
        self.comm.finish()
        *sums, overflowed, stopped = totals.tolist()
        return sums, overflowed > 0, stopped > 0

    def exchange(self, numbers: Array) -> Array:
        """What a layer needs of all shards: of every one of this rank's a row; the sum of all there are."""
        held, out = Shards(), np.empty(numbers.shape[1])
        for shard, row in zip(self.own, numbers, strict=True):
            held.add(shard, row)
        self.comm.reduce(held.nodes, out)
        self.comm.alive()
        return out


def own_shards(comm: Communicator) -> range:
    """Those of this rank."""
    return shards_of(comm.rank, comm.size, comm.shards)


def side_by_side(network: Model, frozen: frozenset[str]) -> bool:
    """Whether a layer takes the whole batch together, so that its shards are computed layer by layer.

    ArgumentError where that is none of chainrule's own: what it needs of the other shards nobody knows.
    """
    kept = at_rest(network, frozen)
    found = False
    for layer in leaves(network.layers):
        together = layer.mixes_samples or layer.keeps_running
        if not together or layer.name in kept:
            continue
        if layer.predicts_together:
            raise ArgumentError(
                f"{layer.name} = {layer!r} predicts by all samples that are asked for together, of which "
                "fit(comm=...) looks at parts: write BatchNorm(), which keeps running numbers, or train "
                "without comm"
            )
        if type(layer) is not BatchNorm:
            raise ArgumentError(
                f"{layer.name} = {layer!r} computes with all samples of a batch together, of which "
                f"fit(comm=...) gives it one shard at a time: freeze it, freeze=[{str(layer.name)!r}], put "
                "BatchNorm() there, or train without comm"
            )
        found = True
    return found


def shard_size(comm: Communicator, batch_size: int, dtype: Any, level: str | None) -> int:
    """Samples of the largest shard of a batch: whole blocks of lanes, for fewer would take as long."""
    lanes = isa.lanes(dtype, level)
    blocks = -(-batch_size // lanes)
    return min(batch_size, -(-blocks // comm.shards) * lanes)
