"""What a network computes is finite, or refused with the sample and the place where it ceases to be.

Looked at is what comes out: outputs, J, every activation, δ and gradient of a step. A z beyond the dtype's
range in a hidden layer of a prediction is not: where sigmoid, tanh or ReLU make a number of it, it is the one
that rounding gives, σ(∞) = 1. Nothing is searched before a number has been found wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.arrays import all_finite
from chainrule.errors import ChainruleError, NonFiniteError
from chainrule.losses import Loss
from chainrule.step import Step

if TYPE_CHECKING:
    from chainrule.network import Network

Array = NDArray[Any]
_PIECE = 256  # samples whose losses are looked at together in search of the first that is not finite


def quiet() -> Any:
    """NumPy does not warn within it: what is not finite is refused in words afterwards."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def first_sample(rows: Array) -> int:
    """The first row that holds NaN or infinity."""
    return int(np.argmin(np.isfinite(rows).reshape(len(rows), -1).all(axis=1)))


def check_output(network: Network, X: Array, a: Array, call: str) -> None:
    """NonFiniteError where a, the outputs for X, is not finite; `call` is the method that was asked."""
    if not all_finite(a):
        raise _refusal(call, output_problem(network, X, a), _widened(network, X, a))


def output_problem(network: Network, X: Array, a: Array) -> str:
    """What is wrong with outputs that are not finite: which sample, and from which layer on."""
    i = first_sample(a)
    count = int((~np.isfinite(a).reshape(len(a), -1).all(axis=1)).sum())
    others = f" (the first of {count:,} such samples)" if count > 1 else ""
    begins = network.executor().first_nonfinite(network, X[i : i + 1])
    return f"the output for sample {i} of X is {_seen(a[i])}{others}{_from(network, begins)}"


def check_loss(
    network: Network,
    X: Array,
    y: Array,
    loss: Loss,
    weights: Array | None,
    parts: tuple[float, float],
) -> None:
    """NonFiniteError where the data's loss or the penalty (`parts`) is not finite."""
    data, penalty = parts
    if math.isfinite(data + penalty):
        return
    if not math.isfinite(data):
        with quiet():
            a = network.executor().predict(network, X)
            check_output(network, X, a, "loss")
            problem = _loss_problem(network, X, y, loss, weights, data)
    else:
        problem = _penalty_problem(data, penalty)
    raise _refusal("loss", problem)


def check_step(network: Network, step: Step, run: Callable[[Network], Step]) -> None:
    """NonFiniteError where a number of the step is not finite; `run` repeats the step in another network."""
    problem = next(_problems(network, step), None)
    if problem is None:
        return
    wide = None
    if network.dtype == np.float32 and all(map(all_finite, network.parameters.values())):
        with quiet():
            wide = _tried(lambda: next(_problems(network, run(network.copy(dtype="float64"))), None) is None)
    raise _refusal("backpropagate", problem, bool(wide))


def check_samples(call: str, rows: Array, what: str) -> None:
    """NonFiniteError where what belongs to single samples, (N, ...), is not finite."""
    if not all_finite(rows):
        i = first_sample(rows)
        raise _refusal(call, f"{what} of sample {i} is {_seen(rows[i])}")


def _problems(network: Network, step: Step) -> Iterator[str]:
    """What is not finite, in the order of computation: outputs, J, δ from the top down, gradients."""
    for name, rows in step.activations.items():
        if not all_finite(rows):
            i = first_sample(rows)
            broken = _broken_parameter(network)
            yield f"the output of {name} for sample {i} of X is {_seen(rows[i])}{_from(network, broken)}"
    if not math.isfinite(step.data_loss):
        yield f"the loss of the data is {step.data_loss:g} while every output is finite"
    if not math.isfinite(step.loss):
        yield _penalty_problem(step.data_loss, step.loss - step.data_loss)
    for name in reversed(list(step.deltas)):
        if not all_finite(rows := step.deltas[name]):
            i = first_sample(rows)
            yield f"δ of {name} for sample {i} of X is {_seen(rows[i])} while every output is finite"
    for name, gradient in step.gradients.items():
        if not all_finite(gradient):
            yield f"the gradient of {name} holds {_seen(gradient)}"


def _loss_problem(
    network: Network, X: Array, y: Array, loss: Loss, weights: Array | None, total: float
) -> str:
    """Of losses whose outputs are finite: the first sample's, or the sum of them all."""

    def of(begin: int, end: int) -> float:
        own = None if weights is None else weights[begin:end]
        return network.executor().loss(network, X[begin:end], y[begin:end], loss, own)

    for start in range(0, len(X), _PIECE):
        if not math.isfinite(of(start, min(start + _PIECE, len(X)))):
            for i in range(start, min(start + _PIECE, len(X))):
                if not math.isfinite(value := of(i, i + 1)):
                    return f"the loss of sample {i} is {value:g} while its output is finite"
    return f"the loss is {total:g} while that of every sample is finite"


def _penalty_problem(data: float, penalty: float) -> str:
    return f"the penalty is {penalty:g} while the loss of the data is {data:g}"


def _broken_parameter(network: Network) -> str | None:
    broken = (name for name, array in network.parameters.items() if not all_finite(array))
    return next((f"parameter {name}" for name in broken), None)


def _seen(entries: Array) -> str:
    """NaN or infinity, whichever comes first."""
    flat = np.ravel(entries)
    value = flat[int(np.argmin(np.isfinite(flat)))]
    return "NaN" if np.isnan(value) else f"{float(value):g}"


def _from(network: Network, begins: str | None) -> str:
    """The clause that names the place."""
    if begins is None:
        return ""
    if begins.startswith("parameter "):
        return f": the {begins} holds NaN or infinity"
    return f": in {network.dtype} the {begins} is the first that is not finite"


def _widened(network: Network, X: Array, a: Array) -> bool:
    """Whether float64 computes the sample that float32 does not."""
    if network.dtype == np.float64 or not all(map(all_finite, network.parameters.values())):
        return False
    i = first_sample(a)
    with quiet():
        wide = network.copy(dtype="float64")
        return _tried(lambda: all_finite(wide.executor().predict(wide, X[i : i + 1])))


def _tried(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except (ChainruleError, ValueError, MemoryError):
        return False


def _refusal(call: str, problem: str, wide: bool = False) -> NonFiniteError:
    double = "write network.copy(dtype='float64'), whose range holds it, or " if wide else ""
    return NonFiniteError(
        f"{call}: {problem}; {double}scale X and the parameters (diagnose(network, X, y) looks for the "
        f"cause); {call}(..., allow_nonfinite=True) gives the numbers as they are"
    )
