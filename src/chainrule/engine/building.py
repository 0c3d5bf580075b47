"""From a network, a loss and how both are trained to a native plan that is finished but for its memory."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import _native
from chainrule.base.errors import ArgumentError
from chainrule.engine import isa
from chainrule.engine.host import HostWork
from chainrule.engine.lowering.loss_kinds import JUDGED, LOSSES, native_options
from chainrule.engine.lowering.updates import (
    set_constraint,
    set_decay_factors,
    set_optimizer,
    set_penalty,
    set_rate_factors,
)
from chainrule.engine.lowering.values import Hosted, Value
from chainrule.engine.lowering.walk import lower
from chainrule.engine.programs import loss_programs
from chainrule.layers import Identity
from chainrule.layers.precision import BFLOAT16
from chainrule.losses import Loss, Losses
from chainrule.losses.constraints import MaxNorm
from chainrule.losses.penalties import Penalty
from chainrule.networks.model import Model
from chainrule.networks.per_sample import refuse_mixing, refuse_shared


@dataclass(frozen=True, eq=False)
class Built:
    """A native plan, and by which numbers it calls what a network calls by names.

    values: layer -> value, its output.  parts: value within a layer -> the layer.  held: what values are that
    operations write.  output: the value a^L.
    paired: the last layer's activation is in the loss, so that it has no δ of its own.  formula_loss: the
    loss is only formulas, which read targets as numbers and count no right classes.  hosts, lost: the layers
    that Python evaluates, and what a loss evaluated there reads; host: who does.
    """

    native: Any
    values: dict[str, int]
    parameters: dict[str, int]
    parts: dict[int, str]
    held: dict[int, Value]
    output: int
    paired: bool
    formula_loss: bool
    hosts: list[Hosted]
    lost: Value | None
    host: HostWork | None


def build(
    network: Model,
    loss: Loss | None,
    *,
    batch_size: int,
    dtype: Any,
    keep: bool,
    level: str | None,
    frozen: frozenset[str] = frozenset(),
    per_sample: bool = False,
    alone: bool = True,
) -> Built:
    """The operations of a network and its loss.  keep: a value and a δ per layer, nothing fused.  frozen:
    parameters that no step changes.  per_sample: gradients of single samples are measured.  alone: a batch is
    that of a step, not a shard of it.
    """
    kind: Any = _native.PlanFloat32 if dtype == np.float32 else _native.PlanFloat64
    rounded = network.precision == BFLOAT16 and dtype == np.float32
    if rounded:
        if per_sample:
            raise ArgumentError(
                "gradients of single samples, which clip_sample_norm scales, are measured without rounding: "
                f"write network.copy(precision='float32'), not precision={BFLOAT16!r}"
            )
        isa.say_bfloat16(level)
    native = kind(isa.usable_level(level), batch_size)
    own = type(loss) in LOSSES or isinstance(loss, Losses)
    paired = loss is not None and own and loss.pairs_with(network.layers[-1])
    low, z, a = lower(
        network,
        native,
        keep=keep,
        paired=paired,
        frozen=frozen,
        backward=loss is not None,
        per_sample=per_sample,
        alone=alone,
        rounded=rounded,
    )
    low.consume(z)
    formula_loss, lost = _set_loss(native, network, loss, z, a, paired)
    host = None
    if low.hosts or lost is not None:
        host = HostWork(
            native, network, loss, dtype, low.parameters, low.hosts, lost, a if paired else None, frozen
        )
        # Weakly: the native plan must not keep alive what keeps it, or neither would ever be freed.
        called = weakref.proxy(host)
        native.set_host(lambda *arguments: called.call(*arguments))
    return Built(
        native,
        low.values,
        low.parameters,
        low.parts,
        low.held,
        a.number,
        paired,
        formula_loss,
        low.hosts,
        lost,
        host,
    )


def _set_loss(
    native: Any, network: Model, loss: Loss | None, z: Value, a: Value, paired: bool
) -> tuple[bool, Value | None]:
    """(whether the loss is only formulas, what one that Python evaluates reads)"""
    if loss is None:
        native.set_input_post(_native.Act.identity, 0.0, -1)
        return False, None
    if isinstance(loss, Losses) and paired:
        return False, z if _set_parts(native, loss, z, a) else None
    if type(loss) in LOSSES and (paired or loss.output is None):
        options = native_options(loss, network.output_shape)
        native.set_loss(LOSSES[type(loss)](loss), z.number, a.number if paired else -1, **options)
        return False, None
    if programs := loss_programs(loss, network.output_shape):
        judged = JUDGED.get(type(loss), _native.Judged.none)
        native.set_program_loss(z.number, *(program.native() for program in programs), judged)
        return True, None
    native.set_host_loss(z.number)
    return True, z


def _set_parts(native: Any, loss: Losses, z: Value, a: Value) -> bool:
    """The losses of several outputs, each by its kernel, as a program, or by the host; whether one is the
    host's.
    """
    native.set_loss_of_parts(z.number, a.number)
    by_host = False
    for part in loss.parts:
        positions = (part.stop - part.start) // part.shape[-1]
        place = (part.start, positions, part.shape[-1], part.weight)
        if type(part.loss) in LOSSES and (part.pair or type(part.activation) is Identity):
            options = native_options(part.loss, part.shape) | {"target_scale": 1.0, "target_shift": 0.0}
            native.add_loss_part(LOSSES[type(part.loss)](part.loss), *place, **options)
        elif programs := loss_programs(part.alone, part.shape, part.activation.forward):
            judged = JUDGED.get(type(part.loss), _native.Judged.none)
            native.add_program_part(*place, *(program.native() for program in programs), judged)
        else:
            native.add_host_part(*place)
            by_host = True
    return by_host


def set_training(
    built: Built,
    network: Model,
    dtype: Any,
    *,
    penalty: Penalty | None,
    training_size: int | None,
    optimizer: Any,
    constraint: MaxNorm | None,
    per_sample: bool,
    rate_factors: Mapping[str, float],
    decay_factors: Mapping[str, float],
) -> None:
    """What a step of training adds: the penalty, the optimizer's rule, the constraint, norms of samples, the
    factors of single parameters' rates and decays.
    """
    native = built.native
    set_penalty(native, penalty, training_size, dtype)
    clip = getattr(optimizer, "clip_sample_norm", None)
    if per_sample or clip:
        refuse_mixing(network)
        refuse_shared(network)
        native.set_per_sample(clip or 0.0)
    if optimizer is not None:
        set_optimizer(native, optimizer, dtype)
    if constraint is not None:
        frozen = [name for name, factor in rate_factors.items() if factor == 0]
        set_constraint(native, constraint, built.parameters, network.parameter_specs, frozen, dtype)
    set_rate_factors(native, rate_factors, built.parameters)
    set_decay_factors(native, decay_factors, built.parameters)
