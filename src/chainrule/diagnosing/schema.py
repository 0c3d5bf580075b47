"""What a gradient flow is as JSON: the records that flow.py makes of layers and parameters, and the findings
that the rules make of them.

δ is that of single samples, ∂J_i/∂(output) without 1/m.  A number is None where it is not known or not
finite, which JSON lacks.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict, final

from chainrule.base.languages import SayRecord

Level = Literal["good", "note", "warning", "bad"]
# What has the name of a class in it; written as a call, since `class` is no name of a field in Python.
Classed = TypedDict("Classed", {"class": str})


class Faults(TypedDict):
    """How many entries are NaN, or infinite in the network's own type."""

    nan: int
    inf: int


# -- layers --------------------------------------------------------------------------------------------------


class OutputFlow(Faults):
    """The output of a layer."""

    rms: float | None  # per entry


class Histogram(TypedDict):
    """log10|δ|, in steps of one."""

    lowest: int  # where the first bin begins
    counts: list[int]


class DeltaFlow(Faults):
    """δ at the output of a layer."""

    rms: float | None  # per entry and sample
    norm: float | None
    histogram: Histogram
    entries: int
    zeros: int
    denormals: int  # entries of δ/m that are denormal in the network's own type
    lost: int  # entries of δ/m that are 0 there


class DeadUnits(TypedDict):
    """Units with f′ = 0 at every sample and position."""

    units: int
    of: int
    certain: bool  # whether there were samples enough to say so
    which: NotRequired[list[int]]  # the first 20; not there where f′ is never 0


class ThroughTime(TypedDict):
    """What is left of δ at the first step of a recurrence of what arrives at its last."""

    steps: int
    gain: float | None


class LayerFlow(Classed):
    """A layer, in the order of computation."""

    name: str
    kind: str  # the layer's `passage`, "weights", "activation", ...; "output": one formula with the loss
    families: list[str]  # what it is among layers, the nearest first: ["rnn", "recurrent"]
    place: str  # the composite and the branch that it is in; "" on the main chain
    output: OutputFlow
    delta: DeltaFlow | None  # None of an output activation that is one formula with the loss
    relative: float | None  # ‖δ‖ of its output / ‖δ‖ where the backward pass starts
    gain: float | None  # ‖δ of the input‖ / ‖δ of the output‖; None of one that hands nothing down
    saturated: float | None  # the share of entries where a bounded activation is flat; None of the others
    saturated_below: float | None  # the f′ below which an entry counts as saturated
    slope: float | None  # the largest |f′|; None of what is no activation
    dead: DeadUnits | None  # None of what cannot die
    through_time: ThroughTime | None  # None of what is no recurrence, and under a mask
    identity_beside: bool  # whether a branch of the composite is empty


# -- parameters ----------------------------------------------------------------------------------------------


class EqualUnits(TypedDict):
    """Units that have weights and a gradient in common with another."""

    equal: int
    of: int


class ParameterFlow(TypedDict):
    """A parameter, its gradient and its step."""

    name: str  # "dense1.W"
    layer: str
    shape: list[int]
    norm: float | None
    mean: float | None
    std: float | None
    broken: Faults  # of the parameter itself
    gradient: float | None  # ‖∂J/∂θ‖ of the data's loss, a mean over the samples
    gradient_rms: float | None  # the same per entry
    penalty: float | None  # ‖the penalty's gradient‖; None of a parameter that is free
    penalty_share: float | None  # penalty / gradient
    step: float | None  # the mean ‖Δθ‖ of the optimizer once its moments have settled
    step_ratio: float | None  # step / norm
    snr: float | None  # ‖mean‖² over the variance of the gradient of a training batch
    zeros: int  # of the gradient's entries
    entries: int
    nan: int  # of the gradient
    inf: int
    equal_units: EqualUnits | None  # None of what has no units: biases, scales, tables
    suited_std: float | None  # the deviation to start with; None where the layer says it itself


# -- the whole -----------------------------------------------------------------------------------------------


class HistoryFlow(TypedDict):
    """The training so far."""

    epochs: int
    loss: list[float | None]  # of every epoch
    stopped: str | None  # why, where it ended before its last epoch


class OptimizerFlow(TypedDict):
    """Whose steps are measured."""

    name: str
    rate: float  # η


class LossFlow(Classed):
    """J on the samples, and what to compare it with."""

    J: float | None
    data: float | None
    penalty: float | None
    start: float | None  # of an output that knows nothing (softmax 1/K: ln K); None of what is no classifier
    constant: float | None  # of the best output that is the same for every sample
    after: float | None  # J behind one step, the first or a later one, whichever is lower
    predicted: float | None  # the change of J to first order, gᵀΔθ


class Spread(TypedDict):
    """The scale of an array; the last four of vectors alone, feature by feature."""

    rms: float | None
    mean: float | None
    std: float | None
    largest_feature: NotRequired[float | None]  # RMS of the feature that has the largest
    largest_at: NotRequired[int]
    median_feature: NotRequired[float | None]  # over the features that are not 0
    median_offset: NotRequired[float | None]  # |mean| / deviation


@final
class IdsFlow(TypedDict):
    """Inputs that are ids, which have no scale."""

    ids: Literal[True]


@final
class InputFlow(Spread):
    """Inputs that are numbers."""

    ids: Literal[False]


class SampleNorms(Faults):
    """‖g_i‖ of single samples."""

    min: float
    median: float
    max: float
    largest: list[int]  # which samples have the largest, the first one first


class FlowRecord(TypedDict):
    """The gradient flow of a network on a batch."""

    samples: int
    batch_size: int  # of the groups by which the noise is measured
    training_size: int  # m of a penalty that is divided by it
    dtype: str  # the network's own
    history: HistoryFlow | None  # None before the first epoch
    has_penalty: bool
    optimizer: OptimizerFlow
    loss: LossFlow
    input: IdsFlow | InputFlow
    inputs: dict[str, InputFlow]  # of several those that are numbers, by name
    targets: Spread | None  # None of a cross-entropy
    top: float | None  # ‖δ‖ where the backward pass starts
    layers: list[LayerFlow]
    parameters: list[ParameterFlow]
    snr: float | None  # of the whole gradient of a training batch
    sample_norms: SampleNorms | None  # None where samples have no gradient of their own


class FindingRecord(TypedDict):
    """What a rule found."""

    rule: str
    level: Level
    layer: str  # or a parameter; "" where it is the whole network
    what: SayRecord
    why: SayRecord
    cure: SayRecord
    evidence: dict[str, Any]  # the numbers and names that the rule's sentences are filled with
