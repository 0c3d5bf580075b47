"""What a network computes is finite, or refused with the sample and the place where it ceases to be.

Looked at is what comes out: outputs, J, every activation, δ and gradient of a step. What comes out may be
finite though a hidden number was not: a sigmoid makes 1 of a z that overflowed, whatever the z in truth. The
processor notes that something overflowed; only then the outputs of all layers are looked at, and refused is
what is not finite, and what is finite and wrong. A z that overflows is refused even where the bounded number
is right, σ(1e39) = 1: that is not known without computing it anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ChainruleError, NonFiniteError
from chainrule.base.types import Array
from chainrule.data.arrays import all_finite, first_nonfinite
from chainrule.losses import Loss
from chainrule.networks.architecture import INPUT, computed_together
from chainrule.networks.batch import Batch
from chainrule.networks.executor import suspected
from chainrule.networks.model import Model
from chainrule.networks.step import Step

_SCALED = "X and the parameters"


def quiet() -> Any:
    """NumPy does not warn within it: what is not finite is refused in words afterwards."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def check_output(network: Model, X: Array, a: Array, call: str) -> None:
    """NonFiniteError where a, the outputs for X, is not finite; `call` is the method that was asked."""
    if not all_finite(a):
        raise _refusal(network, call, output_problem(network, X, a), _widened(network, X, a))


def check_activations(network: Model, X: Array, outputs: Mapping[str, Array], call: str) -> None:
    """NonFiniteError where the output of a layer in a prediction for X is not finite."""
    for name, rows in outputs.items():
        if not all_finite(rows):
            i = first_nonfinite(rows)
            begins = network.executor().first_nonfinite(network, X[i : i + 1])
            problem = f"the output of {name} for sample {i} of X is {_seen(rows[i])}{_from(network, begins)}"
            raise _refusal(network, call, problem, _widened(network, X, rows))


def output_problem(network: Model, X: Array, a: Array) -> str:
    """What is wrong with outputs that are not finite: which sample, and from which layer on."""
    i = first_nonfinite(a)
    count = int((~np.isfinite(a).reshape(len(a), -1).all(axis=1)).sum())
    others = f" (the first of {count:,} such samples)" if count > 1 else ""
    begins = network.executor().first_nonfinite(network, X[i : i + 1])
    return f"the output for sample {i} of X is {_seen(a[i])}{others}{_from(network, begins)}"


def check_inside(
    network: Model, X: Array, parts: list[slice], call: str, outputs: Mapping[str, Array] | None = None
) -> None:
    """NonFiniteError where finite outputs hide a number beyond the range; `parts` are the samples of which
    that is suspected, `outputs` those of a training pass, by layer, of all of them.
    """
    for part in parts:
        if (problem := inside_problem(network, X, part, outputs)) is not None:
            raise _refusal(network, call, *problem)


def inside_problem(
    network: Model, X: Array, part: slice, outputs: Mapping[str, Array] | None = None
) -> tuple[str, bool] | None:
    """What is hidden behind the outputs for X[part], and whether float64 computes it; None: nothing."""
    if (broken := _broken_parameter(network)) is not None:
        return f"the {broken} holds NaN or infinity, which the finite outputs of the network hide", False
    with quiet():
        overflow = network.executor().first_overflow(network, X[part], outputs)
        if overflow is None:
            return None
        i, layer, seen = overflow
        sample = X[part.start + i : part.start + i + 1]
        narrow = network.dtype == np.float32
        wide = narrow and _tried(lambda: _computes(network.copy(dtype="float64"), sample))
    problem = f"the output of {layer} for sample {part.start + i} of X is {seen}: in {network.dtype} a number"
    return f"{problem} there is beyond the range, which the finite outputs of the network hide", wide


def _computes(network: Model, X: Array) -> bool:
    with suspected() as parts:
        a = network.executor().predict(network, X)
    return all_finite(a) and not any(network.executor().first_overflow(network, X, None) for _ in parts)


def problem_of(network: Model, X: Array, a: Array, parts: list[slice]) -> str | None:
    """What is wrong with the outputs a for X; None: nothing."""
    with quiet():
        if not all_finite(a):
            return output_problem(network, X, a)
        problems = (inside_problem(network, X, part) for part in parts)
        return next((problem[0] for problem in problems if problem is not None), None)


def check_loss(network: Model, batch: Batch, loss: Loss, parts: tuple[float, float]) -> None:
    """NonFiniteError where the data's loss or the penalty (`parts`) is not finite."""
    data, penalty = parts
    if math.isfinite(data + penalty):
        return
    if not math.isfinite(data):
        with quiet():
            a = network.executor().predict(network, batch.inputs)
            check_output(network, batch.inputs, a, "loss")
            problem = _loss_problem(network, batch, loss, data)
            wide = network.dtype == np.float32 and _tried(
                lambda: math.isfinite(_loss_in_float64(network, batch, loss))
            )
        raise _refusal(network, "loss", problem, wide, _larger_of(a, batch.targets))
    raise _refusal(network, "loss", _penalty_problem(data, penalty))


def _loss_in_float64(network: Model, batch: Batch, loss: Loss) -> float:
    wide = network.copy(dtype="float64")
    return wide.executor().loss(wide, batch, loss)


def _larger_of(a: Array, y: Array) -> str:
    """What to scale where outputs and a loss do not go together: the targets where they are the larger."""
    if np.asarray(y).dtype.kind != "f":  # numbers of classes
        return _SCALED
    with quiet():
        largest = [float(np.abs(rows).max(initial=0)) for rows in (np.asarray(a), np.asarray(y))]
    return "y" if largest[1] > max(1.0, largest[0]) else _SCALED  # 0 and 1 are labels


def check_step(
    network: Model, step: Step, y: Array, run: Callable[[Model], Step], parts: Sequence[slice] = ()
) -> None:
    """NonFiniteError where a number of the step is not finite; y: the targets, `run` repeats the step in
    another network; parts: as of `check_inside`.
    """
    problem = next(_problems(network, step), None)
    if problem is None:
        X = step.activations[INPUT]
        samples = [slice(0, len(X))] if parts else []
        return check_inside(network, X, samples, "backpropagate", step.activations)
    wide = None
    if network.dtype == np.float32 and all(map(all_finite, network.parameters.values())):
        with quiet():
            wide = _tried(lambda: next(_problems(network, run(network.copy(dtype="float64"))), None) is None)
    a = step.activations[str(network.layers[-1].name)]
    scaled = _larger_of(a, y) if all_finite(a) and not math.isfinite(step.data_loss) else _SCALED
    raise _refusal(network, "backpropagate", problem, bool(wide), scaled)


def check_samples(network: Model, call: str, rows: Array, what: str) -> None:
    """NonFiniteError where what belongs to single samples, (N, ...), is not finite."""
    if not all_finite(rows):
        i = first_nonfinite(rows)
        raise _refusal(network, call, f"{what} of sample {i} is {_seen(rows[i])}")


def _problems(network: Model, step: Step) -> Iterator[str]:
    """What is not finite, in the order of computation: outputs, J, δ from the top down, gradients."""
    for name, rows in step.activations.items():
        if not all_finite(rows):
            i = first_nonfinite(rows)
            broken = _broken_parameter(network)
            yield f"the output of {name} for sample {i} of X is {_seen(rows[i])}{_from(network, broken)}"
    if not math.isfinite(step.data_loss):
        yield f"the loss of the data is {step.data_loss:g} while every output is finite"
    if not math.isfinite(step.loss):
        yield _penalty_problem(step.data_loss, step.loss - step.data_loss)
    for name in reversed(list(step.deltas)):
        if not all_finite(rows := step.deltas[name]):
            i = first_nonfinite(rows)
            yield f"δ of {name} for sample {i} of X is {_seen(rows[i])} while every output is finite"
    for name, gradient in step.gradients.items():
        if not all_finite(gradient):
            yield f"the gradient of {name} holds {_seen(gradient)}"


def _loss_problem(network: Model, batch: Batch, loss: Loss, total: float) -> str:
    """Of losses whose outputs are finite: the first sample's, or the sum of them all."""

    values = network.executor().losses(network, batch, loss)
    for i in np.flatnonzero(~np.isfinite(values))[:1]:
        return f"the loss of sample {i} is {values[i]:g} while its output is finite"
    return f"the loss is {total:g} while that of every sample is finite"


def _penalty_problem(data: float, penalty: float) -> str:
    return f"the penalty is {penalty:g} while the loss of the data is {data:g}"


def _broken_parameter(network: Model) -> str | None:
    broken = (name for name, array in network.parameters.items() if not all_finite(array))
    return next((f"parameter {name}" for name in broken), None)


def _seen(entries: Array) -> str:
    """NaN or infinity, whichever comes first."""
    flat = np.ravel(entries)
    value = flat[int(np.argmin(np.isfinite(flat)))]
    return "NaN" if np.isnan(value) else f"{float(value):g}"


def _from(network: Model, begins: str | None) -> str:
    """The clause that names the place."""
    if begins is None:
        return ""
    if begins.startswith("parameter "):
        return f": the {begins} holds NaN or infinity"
    return f": in {network.dtype} the {begins} is the first that is not finite"


def _widened(network: Model, X: Array, a: Array) -> bool:
    """Whether float64 computes the sample that float32 does not."""
    if network.dtype == np.float64 or not all(map(all_finite, network.parameters.values())):
        return False
    i = first_nonfinite(a)
    with quiet():
        wide = network.copy(dtype="float64")
        rows = X if computed_together(network.layers) else X[i : i + 1]
        return _tried(lambda: all_finite(wide.executor().predict(wide, rows)))


def _tried(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except (ChainruleError, ValueError, MemoryError):
        return False


def _refusal(
    network: Model, call: str, problem: str, wide: bool = False, scaled: str = _SCALED
) -> NonFiniteError:
    double = "write network.copy(dtype='float64'), whose range holds it, or " if wide else ""
    cure = f"{double}scale {scaled} (diagnose(network, X, y) looks for the cause)"
    if _broken_parameter(network) is not None:
        cure = "write finite numbers into it, or load the network anew"
    return NonFiniteError(
        f"{call}: {problem}; {cure}; {call}(..., allow_nonfinite=True) gives the numbers as they are"
    )


def broken_before(network: Model) -> NonFiniteError | None:
    """The error of a training whose network is not finite to begin with; None: it is."""
    broken = _broken_parameter(network)
    if broken is None:
        return None
    return NonFiniteError(
        f"the {broken} holds NaN or infinity before training begins: write finite numbers into it, or load "
        "the network anew"
    )
