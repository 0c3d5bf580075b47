"""check_gradients: are all gradients of a network right?  In float64, through the kernels that train it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule import reference
from chainrule.base.errors import ArgumentError, NonFiniteError, ShapeError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_choice, check_count
from chainrule.checking.compare import ALL_AT_ONCE, TOLERANCE, Comparison, Direction, Entries, compare
from chainrule.checking.evaluators import NativeEvaluator, ReferenceEvaluator, native_available
from chainrule.checking.report import GradientReport, ParameterCheck, Worst
from chainrule.checking.single import check_layer, check_loss, check_penalty, refuse_truncated
from chainrule.data.arrays import all_finite
from chainrule.layers import Layer
from chainrule.layers.precision import BFLOAT16
from chainrule.losses import Loss
from chainrule.losses.penalties import Penalty
from chainrule.networks.architecture import leaves
from chainrule.networks.finite import quiet
from chainrule.networks.network import Network

SAME_LOSS = (
    1e-10  # float64 kernels sum in another order: 1e-13 was seen; a wrong term shows in the first digits
)
_UNROUNDED = (
    "checked without the rounding of precision='bfloat16', by which a step's gradients differ from these: by "
    "up to 2⁻⁹ for every factor of a product"
)
SAME_NOISE = 8.0  # times the rounding error of J, which of data far from 0 is far more


@teach("check_gradients(net, X, y), and the others by name")
def check_gradients(
    net: Network,
    X: Any,
    y: Any,
    loss: Loss | str | None = None,
    penalty: Penalty | None = None,
    *,
    entries: Entries = "auto",
    direction: Direction = "auto",
    tolerance: float | None = None,
    seed: int = 0,
    engine: str | None = None,
    sample_weight: Any = None,
    training_size: int | None = None,
) -> GradientReport:
    """Compare every gradient of a network with finite differences of its loss.

    X, y, loss, penalty, sample_weight, training_size: as for `net.backpropagate`; a few samples (5 to 20)
    are enough and fast. Always in float64, on a copy of a float32 network; of precision="bfloat16" without
    its rounding, which has no derivative, and the report says so.

    entries: how many entries of each parameter and of the input are compared: a number, "all", or "auto"
    (all of up to 32, else 20). direction: also compare along a random direction through all entries of each
    parameter, and through everything at once; "auto" does where entries are left out. tolerance: accepted
    relative error, 1e-6 by default.
    engine: "native" checks the compiled kernels, "reference" the formulas; None: native where it is
        available.

    The report is true where all is well, prints as a table, and names the parameters that are WRONG and, as
    far as it can be told, the formula that makes them so. Kinks (ReLU at 0, ties of max pooling) are
    recognised and not taken for errors. Where rounding, overflow or kinks keep differences from judging an
    array, its verdict is "cannot tell" with the reason. Raises what `net.backpropagate` raises,
    NonFiniteError where J or a gradient is NaN or infinite, and ValueError for a recurrence that cuts δ.
    """
    if not isinstance(net, Network):
        raise TypeError(
            f"check_gradients takes the network first, check_gradients(net, X, y); received {describe(net)}"
        )
    engine, seed = _engine(engine), check_count("seed", seed, 0, math.inf)
    for layer in leaves(net.layers):
        refuse_truncated(layer)
    batch, objective = net.problem(X, y, loss, penalty, sample_weight, training_size)
    problem = (net.copy(dtype="float64"), batch, objective)
    obstacle = None if engine == "reference" else native_available(objective.penalty)
    if engine == "native" and obstacle:
        raise ArgumentError(f"engine='native' is not possible: {obstacle}; write engine='reference'")
    native = engine != "reference" and obstacle is None
    evaluator = NativeEvaluator(*problem) if native else ReferenceEvaluator(*problem)
    with quiet():
        _refuse_overflow(evaluator)
        comparison = compare(evaluator, entries=entries, direction=direction, tolerance=tolerance, seed=seed)
    report = GradientReport(
        title=f"gradient check of {net.count_parameters():,} parameters on {len(batch)} samples",
        parameters=(*comparison.records, *(_loss_record(evaluator, comparison) if native else ())),
        relative_difference=comparison.relative_difference,
        loss=comparison.loss,
        tolerance=tolerance or TOLERANCE,
        computed_by="native" if native else "reference",
        diagnosis=(
            *([f"by the formulas: {obstacle}"] if obstacle else []),
            *([_UNROUNDED] if net.precision == BFLOAT16 else []),
        ),
    )
    if not report.wrong:
        return report
    causes = _diagnose(evaluator, tolerance, seed)
    if native and not causes:
        causes = _kernels(evaluator)
    if not causes:
        causes = ["every formula that can be judged by itself at the numbers it sees here is right"]
    return replace(report, diagnosis=(*report.diagnosis, *causes))


def _engine(value: Any) -> str | None:
    if value is None:
        return None
    return check_choice("engine", value, ("native", "reference"), meaning="'native', 'reference' or None")


def _refuse_overflow(evaluator: ReferenceEvaluator) -> None:
    """NonFiniteError where there is nothing to compare: J or a gradient overflows in float64."""
    J, gradients = evaluator.loss_and_gradients(evaluator.values)
    arrays = {"J": np.asarray(J), **{f"∂J/∂{name}": array for name, array in gradients.items()}}
    bad = next((name for name, array in arrays.items() if not all_finite(array)), None)
    if bad is not None:
        raise NonFiniteError(
            f"check_gradients: {bad} is NaN or infinite at this point, in float64: scale X, y or the "
            "parameters; diagnose(net, X, y) looks for the cause"
        )


def _diagnose(evaluator: ReferenceEvaluator, tolerance: float | None, seed: int) -> list[str]:
    """Which formula is wrong: every layer, the loss and the penalty apart, at the numbers they see in this
    network.
    """
    network, batch, objective = evaluator.network, evaluator.batch, evaluator.objective
    causes: list[str] = []
    hidden: list[tuple[Layer, tuple[int, ...]]] = []
    passes = reference.run_forward(network, reference.to_columns(batch.inputs, np.float64), None, np.float64)
    for layer_pass in reference.leaf_passes(passes):
        layer, shape = layer_pass.layer, layer_pass.x.shape[:-1]
        parameters = network.layer_parameters(layer)
        rows = reference.to_rows(layer_pass.x)
        options: dict[str, Any] = {"x": rows, "parameters": parameters, "tolerance": tolerance, "seed": seed}
        try:
            report = check_layer(layer, shape, **options)
        except ShapeError as error:
            causes.append(f"{layer.name}: {error}")
            continue
        causes += _wrong_formulas(layer, report)
        if any(record.kind == "cannot tell" for record in report.parameters):
            hidden.append((layer, shape))
    head = reference.head_of(network, batch, objective.loss, passes[-1])
    a, z, targets = (reference.to_rows(array) for array in (head.last.output, head.last.x, head.y))
    of_loss = check_loss(head.loss, a, targets, z=z if head.pair else None, tolerance=tolerance)
    causes += [f"the formula {type(head.loss).__name__}.{record.name} is wrong" for record in of_loss.wrong]
    if objective.penalty is not None:
        penalised = [name for name, spec in network.parameter_specs.items() if spec.penalised][:1]
        for name in penalised:
            values = network.parameters[name]
            if check_penalty(objective.penalty, values, objective.training_size, tolerance=tolerance).wrong:
                causes.append(f"the formula {type(objective.penalty).__name__}.gradient is wrong")
    if not causes:  # at numbers of an ordinary size rounding hides nothing
        for layer, shape in hidden:
            causes += _wrong_formulas(layer, check_layer(layer, shape, tolerance=tolerance, seed=seed))
    return causes


def _wrong_formulas(layer: Layer, report: GradientReport) -> list[str]:
    names = [record.name for record in report.wrong if record.name != ALL_AT_ONCE]
    formulas = [name if name == "delta" else f"gradients()[{name!r}]" for name in names]
    return [f"{layer.name}: the formula {type(layer).__name__}.{formula} is wrong" for formula in formulas]


def _loss_record(evaluator: ReferenceEvaluator, comparison: Comparison) -> tuple[ParameterCheck, ...]:
    """A record only where the kernels compute another J than the formulas: their differences would agree with
    their gradients, and both be wrong.  (Gradients are not compared: at a kink rounding picks the side.)
    """
    by_kernels, by_formulas = comparison.loss, ReferenceEvaluator.loss(evaluator, evaluator.values)
    difference = abs(by_kernels - by_formulas)
    error = difference / max(abs(by_formulas), 1e-300)
    if not math.isfinite(by_formulas):  # of what overflows there is nothing to compare
        return ()
    if difference <= SAME_LOSS * abs(by_formulas) + SAME_NOISE * comparison.noise:
        return ()
    worst = Worst((), by_formulas, by_kernels)
    reason = "the compiled kernels compute another loss than the formulas"
    return (
        ParameterCheck("loss", (), "WRONG", 0, error, worst, math.nan, direction_error=error, reason=reason),
    )


def _kernels(evaluator: ReferenceEvaluator) -> list[str]:
    """All formulas are right: which gradients of the compiled kernels differ from theirs?"""
    _, native = evaluator.loss_and_gradients(evaluator.values)
    _, formulas = ReferenceEvaluator.loss_and_gradients(evaluator, evaluator.values)
    different = [
        name
        for name, gradient in formulas.items()
        if not np.allclose(
            native[name], gradient, rtol=1e-9, atol=1e-11 * max(1.0, float(np.abs(gradient).max()))
        )
    ]
    names = ", ".join(different)
    line = f"every formula is right by itself; the compiled kernels differ from the formulas in {names}"
    return [line] if different else []
