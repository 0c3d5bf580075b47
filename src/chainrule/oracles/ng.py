"""Andrew Ng, Machine Learning, exercise 4: the check network, and the course's data where the user has it.

Θ is [b, W]: the bias is column 0.  MATLAB numbers matrices column by column, and so does `unroll`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base.errors import FileError, MissingExtraError
from chainrule.base.types import Array
from chainrule.layers import Dense, Sigmoid
from chainrule.losses import BinaryCrossEntropy, SquaredError
from chainrule.losses.penalties import L2
from chainrule.networks.executor import Executor
from chainrule.networks.network import Network
from chainrule.oracles.numeric import central_differences, network, relative_difference, unrolled
from chainrule.oracles.rows import Measured, Row, Source


def sines(rows: int, columns: int) -> Array:
    """sin(1), sin(2), ... column by column, over 10: the course's debug weights."""
    return np.sin(np.arange(1, rows * columns + 1)).reshape(rows, columns, order="F") / 10


def unroll(net: Network, gradients: Any) -> Array:
    """The gradients of Θ¹ and Θ², column by column, as one vector."""
    holder = net.copy()
    holder.set_parameters(gradients)
    return holder.flat_parameters(order="theta")


def check_network(executor: Executor[Any]) -> tuple[Network, Array, Array]:
    """3-5-3 sigmoids with 5 samples; y = 1 + mod(1:5, 3)."""
    net = network(executor, [Dense(5), Sigmoid(), Dense(3), Sigmoid()], 3)
    net.set_theta([sines(5, 4), sines(3, 6)])
    return net, sines(5, 3), np.eye(3)[np.arange(1, 6) % 3]


def measure(executor: Executor[Any]) -> Measured:
    z = np.array([[-1, -0.5, 0, 0.5, 1]])
    sigmoid = network(executor, [Sigmoid()], 5)
    # With y = a - 1 the squared error sends δ = 1 into the sigmoid, so that σ'(z) comes out.
    step = sigmoid.backpropagate(z, sigmoid.predict(z) - 1, loss=SquaredError())
    measured: dict[str, Any] = {"sigmoid'(-1, -½, 0, ½, 1)": step.deltas["input"][0]}
    net, X, y = check_network(executor)
    for lam in (0, 3):
        problem: dict[str, Any] = {"loss": BinaryCrossEntropy(), "penalty": L2(lam, per_sample=True)}
        step = net.backpropagate(X, y, **problem)
        numeric = central_differences(net, lambda n, problem=problem: n.loss(X, y, **problem))  # type: ignore[misc]
        analytic = unrolled(step.gradients)  # in another order than Θ(:), which the norms do not see
        measured |= {
            f"check net, λ = {lam}: J": step.loss,
            f"check net, λ = {lam}: ‖∂J/∂Θ‖": np.linalg.norm(analytic),
            f"check net, λ = {lam}: ∂J/∂Θ, first six": unroll(net, step.gradients)[:6],
            f"check net, λ = {lam}: relative difference": relative_difference(numeric, analytic),
        }
    return measured


SOURCE = Source(
    "Ng, exercise 4",
    "A. Ng, Machine Learning (2011), programming exercise 4",
    measure,
    (
        Row("sigmoid'(-1, -½, 0, ½, 1)", (0.196612, 0.235004, 0.25, 0.235004, 0.196612), 5e-7),
        Row("check net, λ = 0: J", 2.100950569902, 5e-13),
        Row("check net, λ = 0: ‖∂J/∂Θ‖", 0.522310080021, 5e-13),
        Row(
            "check net, λ = 0: ∂J/∂Θ, first six",
            (-0.00927825, 0.00889912, -0.00836011, 0.00762814, -0.00674798, -3.04979e-6),
            5e-9,
        ),
        Row("check net, λ = 0: relative difference", 1e-9, None),
        Row("check net, λ = 3: J", 2.146359815024, 5e-13),
        Row("check net, λ = 3: ‖∂J/∂Θ‖", 0.555328497790, 5e-13),
        Row("check net, λ = 3: relative difference", 1e-9, None),
    ),
)


# -- the course's own files


def matrices(path: Path, names: tuple[str, ...]) -> list[Array]:
    """Matrices of a MATLAB file. Raises FileError and MissingExtraError that say what is missing."""
    try:
        from scipy.io.matlab import MatReadError, loadmat
    except ImportError:
        raise MissingExtraError("SciPy", "full-batch", "reading .mat files") from None
    if not path.is_file():
        raise FileError(
            f"{path}: no such file; --ex4 takes the folder of exercise 4 with ex4data1.mat and ex4weights.mat"
        )
    try:
        content = loadmat(path)
    except (MatReadError, ValueError, OSError, NotImplementedError, TypeError) as error:
        raise FileError(f"{path}: cannot be read as a MATLAB file ({error})") from None
    missing = [name for name in names if name not in content]
    if missing:
        present = ", ".join(name for name in content if not name.startswith("__")) or "none"
        raise FileError(f"{path}: holds no matrix {missing[0]!r}; its matrices are {present}")
    return [np.asarray(content[name], dtype=np.float64) for name in names]


def exercise(directory: str | Path, iterations: int = 50) -> Source:
    """The numbers of the course's data and weights, which must lie in `directory`: J at the given Θ, and the
    accuracy after 50 iterations of conjugate gradients from weights within ±0.12.
    """
    folder = Path(directory)
    X, y = matrices(folder / "ex4data1.mat", ("X", "y"))
    first, second = matrices(folder / "ex4weights.mat", ("Theta1", "Theta2"))
    labels = y.ravel().astype(np.int64)
    hidden, outputs = first.shape[0], second.shape[0]
    if first.shape[1] != X.shape[1] + 1 or second.shape[1] != hidden + 1:
        raise FileError(
            f"{folder}: Theta1 {first.shape} and Theta2 {second.shape} do not fit X {X.shape}: Theta1 has "
            "one column more than X, Theta2 one more than Theta1 has rows"
        )
    if len(labels) != len(X) or labels.min() < 1 or labels.max() > outputs:
        raise FileError(
            f"{folder}: y must hold one label from 1 to {outputs} for each of the {len(X)} rows of X"
        )

    def measure(executor: Executor[Any]) -> Measured:
        from chainrule.layers.initializers import Uniform
        from chainrule.training.full_batch import fit_full_batch

        start: Any = {"initializer": Uniform(0.12), "bias_initializer": Uniform(0.12)}
        layers = [Dense(hidden, **start), Sigmoid(), Dense(outputs, **start), Sigmoid()]
        net = network(executor, layers, X.shape[1])
        net.set_theta([first, second])
        targets = np.eye(outputs)[labels - 1]
        measured: dict[str, Any] = {
            f"J, λ = {lam}": net.loss(X, targets, penalty=L2(lam, per_sample=True)) for lam in (0, 1, 3)
        }
        net.reinitialise(0)
        fit_full_batch(
            net,
            X,
            targets,
            penalty=L2(1.0, per_sample=True),
            method="CG",
            iterations=iterations,
            progress=False,
        )
        right = net.predict(X).argmax(axis=1) == labels - 1
        return {**measured, "training accuracy in %": 100 * float(right.mean())}

    rows = (
        Row("J, λ = 0", 0.287629165, 5e-10),
        Row("J, λ = 1", 0.383769859, 5e-10),
        Row("J, λ = 3", 0.576051, 5e-7),
        Row("training accuracy in %", 95.3, 1.0),
    )
    return Source("Ng, exercise 4, its data", SOURCE.reference, measure, rows)
