"""What one call of fit is to do: its arguments, checked, each as what it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chainrule.base.errors import NonFiniteError
from chainrule.distributed import Communicator
from chainrule.losses import Loss
from chainrule.losses.constraints import MaxNorm
from chainrule.losses.penalties import Penalty
from chainrule.networks.network import Network
from chainrule.training.callbacks import Callback
from chainrule.training.history import History
from chainrule.training.optimizers import Optimizer
from chainrule.training.progress import Progress
from chainrule.training.schedules import Schedule
from chainrule.training.streams.feed import Prepared

if TYPE_CHECKING:  # at run time inside a fit: to look at `cr.fit` loads no kernels and no files
    from chainrule.engine.plan import Plan
    from chainrule.training.checkpoints.keeper import Keeper


@dataclass(frozen=True, eq=False)
class Job:
    """A call of fit, but for its data: what is here can be used, and nothing of the network is changed yet.

    before: the history that it goes on from.  keeper: of its checkpoints.  rate_factors, decay_factors: by
    parameter.  class_weight, steps_per_epoch, training_size: as they were given, by which the data are
    prepared; a checkpoint is compared by them.
    """

    network: Network
    loss: Loss
    penalty: Penalty | None
    optimizer: Optimizer
    constraint: MaxNorm | None
    epochs: int
    batch_size: int | None
    seed: int
    allow_nonfinite: bool
    accumulate: int
    shuffle: bool
    callbacks: Sequence[Callback]
    progress: Progress
    rate_factors: Mapping[str, float]
    decay_factors: Mapping[str, float]
    drop_last: bool
    dropout_schedule: Schedule | None
    class_weight: Any
    steps_per_epoch: int | None
    training_size: int | None
    comm: Communicator | None
    before: History | None
    keeper: Keeper | None

    @property
    def finished(self) -> int | None:
        """Epochs of the fit that is resumed, None where there is none."""
        saved = None if self.keeper is None else self.keeper.saved
        if saved is not None:
            return int(saved.state["epoch"]) - bool(saved.state["done"])  # maybe no batch is behind the last
        return None if self.before is None else len(self.before.resumed_rows())

    def plan(self, prepared: Prepared, size: int) -> Plan:
        """The compiled steps, for batches of so many samples."""
        from chainrule.engine import Plan

        plan = Plan(
            self.network,
            loss=self.loss,
            penalty=self.penalty,
            optimizer=self.optimizer,
            batch_size=size,
            training_size=prepared.samples,
            constraint=self.constraint,
            rate_factors=self.rate_factors,
            decay_factors=self.decay_factors,
            accumulate=self.accumulate,
            comm=self.comm,
        )
        plan.set_seed(self.seed)
        return plan

    def first_plan(self, prepared: Prepared) -> Plan:
        """The same for the batches known so far, where the fit that is resumed has left its moments."""
        plan = self.plan(prepared, prepared.size)
        plan.check_batches(len(prepared.data.rows) or prepared.size)
        if self.before is None or self.before.optimizer_state is None:
            return plan
        plan.set_optimizer_state(self.before.optimizer_state)
        if not self.allow_nonfinite and (where := plan.first_at_rest()) is not None:
            raise NonFiniteError(
                f"resume holds a squared gradient of {where} beyond the range of {self.network.dtype}: the "
                "parameter would stand still. Go on without resume; fit(..., allow_nonfinite=True) goes on "
                "all the same"
            )
        return plan

    def history(self) -> History:
        """That of this fit, which begins with the epochs of the one that is resumed."""
        rows = [] if self.before is None else self.before.resumed_rows()
        factors = self.rate_factors
        return History(rows, loss_function=self.loss, optimizer=self.optimizer, rate_factors=factors)

    def compared(self, prepared: Prepared) -> dict[str, Any]:
        """The arguments that must be the same on all ranks, and where training goes on from a checkpoint."""
        arrays = prepared.of_arrays
        return {
            "loss": self.loss, "penalty": self.penalty, "constraint": self.constraint,
            "optimizer": self.optimizer, "batch_size": prepared.size if arrays else None,
            "shuffle": self.shuffle and arrays, "seed": self.seed, "rate_factors": self.rate_factors,
            "class_weight": None if arrays else self.class_weight, "steps_per_epoch": self.steps_per_epoch,
            "training_size": self.training_size, "drop_last": self.drop_last,
            "dropout_schedule": self.dropout_schedule, "accumulate": self.accumulate,
            **({} if self.comm is None else {"shards": self.comm.shards}),
        }  # fmt: skip

    def threads(self, given: int | None) -> int | None:
        """Those of this fit; of ranks on the same cores each has its part, else they would wait for each
        other's.
        """
        if given is not None or self.comm is None or self.comm.neighbours <= 1:
            return given
        from chainrule.engine import threads

        return max(1, threads() // self.comm.neighbours)
