"""A plan whose steps are shared with other ranks: its shards' gradients handed over, those of the batch
taken back.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.distributed import Communicator
from chainrule.distributed.order import Shards, shards_of
from chainrule.engine import isa
from chainrule.layers import Layer
from chainrule.networks.architecture import leaves
from chainrule.networks.model import Model


class Sharing:
    """What a native plan calls in the midst of a step; every rank gets the same sums, and so makes the same
    update.

    The numbers of a shard: its loss, the right ones, how many were judged, its samples, whether a number may
    have gone beyond the range, whether its rank is asked to stop behind the step.
    """

    def __init__(self, native: Any, comm: Communicator, batch_size: int) -> None:
        self.native, self.comm = native, comm
        self.asked: Callable[[], bool] = lambda: False  # to stop behind this step, of this rank
        self.gradients, self.numbers = Shards(), Shards()
        own = shards_of(comm.rank, comm.size, comm.shards)
        called = weakref.proxy(self)  # the native plan must not keep alive what keeps it
        native.set_sharing(
            comm.shards,
            own.start,
            own.stop,
            batch_size,
            lambda *arguments: called.computed(*arguments),
            lambda stop: called.sum(stop),
        )

    def computed(self, shard: int, *numbers: float) -> None:
        self.gradients.add(shard, self.native.all_gradients())
        self.numbers.add(shard, np.array([*numbers, 0.0]))
        self.comm.alive()

    def sum(self, stop: bool) -> tuple[float, float, float, float, bool, bool]:
        if self.numbers.nodes:
            self.numbers.nodes[-1][1][5] += stop or self.asked()
        totals = np.empty(6)
        for held, out in ((self.numbers, totals), (self.gradients, self.native.all_gradients())):
            self.comm.reduce(held.nodes, out)
            held.clear()
        loss, correct, judged, samples, overflowed, stopped = totals.tolist()
        return loss, correct, judged, samples, overflowed > 0, stopped > 0


def shard_size(comm: Communicator, batch_size: int, dtype: Any, level: str | None) -> int:
    """Samples of the largest shard of a batch: whole blocks of lanes, for fewer would take as long."""
    lanes = isa.lanes(dtype, level)
    blocks = -(-batch_size // lanes)
    return min(batch_size, -(-blocks // comm.shards) * lanes)


def refuse_shared(network: Model, frozen: frozenset[str]) -> None:
    """ArgumentError where a layer that is trained computes with all samples of a batch together."""
    kept = {name.rpartition(".")[0] for name in frozen if not network.parameter_specs[name].learned}
    for layer in leaves(network.layers):
        together = layer.mixes_samples or type(layer).running is not Layer.running
        if together and layer.name not in kept:
            raise ArgumentError(
                f"{layer.name} = {layer!r} computes with all samples of a batch together, of which "
                "fit(comm=...) gives it one shard at a time: put GroupNorm(1) or LayerNorm() there, which "
                f"keep samples apart, freeze it, freeze=[{str(layer.name)!r}], or train without comm"
            )
