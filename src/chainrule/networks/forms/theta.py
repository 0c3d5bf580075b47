"""Parameters as Θ and as one vector: the forms of Dezeming and of optimizers that know nothing of layers.

    Θ^(l) = [b, W] of S_{l+1} x (S_l + 1): with a_0 = 1 in front of a, z = Θ a = W a + b

The bias is column 0. Everything is float64, and both ways are exact: a float32 network gets its own bits
back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base.errors import DataError, FileError, MissingExtraError, ShapeError, describe
from chainrule.base.files.disk import write_whole
from chainrule.base.scalars import check_choice, entries, text_path
from chainrule.layers import Dense, Layer
from chainrule.networks.model import Model

Array = NDArray[np.float64]
ORDERS = ("parameters", "theta")


def save_thetas(network: Model, path: str | os.PathLike[str]) -> None:
    """Theta1, Theta2, ... in a file of NumPy or of Octave; FileError, MissingExtraError without SciPy."""
    path = text_path(path)
    held: dict[str, Any] = {f"Theta{n}": theta for n, theta in enumerate(thetas(network), 1)}
    if _suffix(path) == ".npz":
        write_whole(path, lambda stream: np.savez(stream, **held))
        return
    io = _scipy_io("writing a .mat file (.npz needs NumPy alone)")
    write_whole(path, lambda stream: io.savemat(stream, held))


def read_thetas(path: str | os.PathLike[str]) -> list[Array]:
    """The matrices of a .npz or .mat file, by the numbers in their names: Theta1, theta_2; FileError."""
    path = text_path(path)
    try:
        if _suffix(path) == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                held = dict(archive)
        else:
            held = _scipy_io("reading a .mat file").loadmat(path, appendmat=False)
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror or error})") from error
    except MissingExtraError:
        raise
    except Exception as error:  # whatever a damaged file makes its readers throw
        raise FileError(f"{path}: is no {_suffix(path)} file of matrices ({error})") from error
    numbered = {int(found[1]): held[name] for name in held if (found := _NAME.fullmatch(name))}
    if sorted(numbered) != [*range(1, len(numbered) + 1)] or not numbered:
        names = ", ".join(sorted(name for name in held if not name.startswith("__"))) or "nothing"
        raise FileError(f"{path}: matrices are found by their names Theta1, Theta2, ...; it holds {names}")
    return [numbered[n] for n in sorted(numbered)]


_NAME = re.compile(r"theta_?(\d+)", re.IGNORECASE)


def _suffix(path: str) -> str:
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in (".npz", ".mat"):
        raise FileError(
            f"{path}: matrices Θ are in .npz (NumPy) and .mat (Octave, MATLAB) files: write 'theta.mat'"
        )
    return suffix


def _scipy_io(purpose: str) -> Any:
    try:
        import scipy.io
    except ImportError:
        raise MissingExtraError("scipy", "full-batch", purpose) from None
    return scipy.io


def thetas(network: Model) -> list[Array]:
    """Θ of every dense layer in order; ShapeError where the network has other parameters than theirs."""
    values = (network.layer_parameters(layer) for layer in _dense_layers(network))
    return [np.column_stack([parameters["b"], parameters["W"]]).astype(np.float64) for parameters in values]


def set_thetas(network: Model, values: Sequence[Any] | str | os.PathLike[str]) -> None:
    """The parameters from Θ, or a file of them; if one does not fit nothing is changed."""
    layers, values = _dense_layers(network), _matrices(values)
    if len(values) != len(layers):
        raise ShapeError(f"the network has {len(layers)} dense layers, received {len(values)} matrices")
    parameters = {}
    for number, (layer, value) in enumerate(zip(layers, values, strict=True), 1):
        matrix = _matrix(value, number)
        units, inputs = network.layer_parameters(layer)["W"].shape
        if matrix.shape != (units, inputs + 1):
            turned = "; it looks transposed: write theta.T" if matrix.shape == (inputs + 1, units) else ""
            missing = "; the bias is missing, it is column 0" if matrix.shape == (units, inputs) else ""
            raise ShapeError(
                f"theta {number} ({layer.name}) has the shape {(units, inputs + 1)}, units x (1 + inputs), "
                f"received {matrix.shape}{turned or missing}"
            )
        parameters[f"{layer.name}.W"], parameters[f"{layer.name}.b"] = matrix[:, 1:], matrix[:, 0]
    network.set_parameters(parameters)


def layers_for(values: Sequence[Any], hidden: Layer, output: Layer) -> tuple[list[Layer], int]:
    """(layers, inputs) of the dense network that the matrices describe."""
    values = _matrices(values)
    if not values:
        raise ShapeError("from_theta needs at least one matrix: [theta1, theta2]")
    matrices = [_matrix(value, number) for number, value in enumerate(values, 1)]
    layers: list[Layer] = []
    for number, matrix in enumerate(matrices, 1):
        if number > 1 and matrix.shape[1] != len(matrices[number - 2]) + 1:
            raise ShapeError(
                f"theta {number} must have {len(matrices[number - 2]) + 1} columns, one more than theta "
                f"{number - 1} has rows, received {matrix.shape}"
            )
        activation = output if number == len(matrices) else hidden
        layers += [Dense(len(matrix)), activation.another() if isinstance(activation, Layer) else activation]
    return layers, matrices[0].shape[1] - 1


def flat(network: Model, order: str = "parameters") -> Array:
    """All parameters as one vector; "parameters": in their order, each row by row; "theta": every Θ column by
    column, as Θ(:) in Octave.
    """
    if _order(order) == "theta":
        parts = [theta.ravel(order="F") for theta in thetas(network)]
    else:
        parts = [array.ravel().astype(np.float64) for array in network.parameters.values()]
    return np.concatenate(parts) if parts else np.zeros(0)


def set_flat(network: Model, vector: Any, order: str = "parameters") -> None:
    """The parameters from a vector that `flat` gave."""
    array = np.asarray(vector)
    count = network.count_parameters()
    if array.shape != (count,):
        advice = "; write vector.ravel()" if array.size == count else ""
        raise ShapeError(f"vector must have the shape ({count},), received {array.shape}{advice}")
    if _order(order) == "theta":
        shapes = [theta.shape for theta in thetas(network)]
        parts = np.split(array, np.cumsum([rows * columns for rows, columns in shapes])[:-1])
        set_thetas(network, [part.reshape(s, order="F") for part, s in zip(parts, shapes, strict=True)])
        return
    parts = np.split(array, np.cumsum([old.size for old in network.parameters.values()])[:-1])
    shapes_by_name = {name: old.shape for name, old in network.parameters.items()}
    network.set_parameters(
        {
            name: part.reshape(shape)
            for (name, shape), part in zip(shapes_by_name.items(), parts, strict=False)
        }
    )


def _dense_layers(network: Model) -> list[Layer]:
    dense = [layer for layer in network.layers if type(layer) is Dense]
    if network.shares:
        raise ShapeError(
            "Θ is a matrix of every layer's own, and here layers share parameters: use network.parameters, "
            "or network.flat_parameters() for one vector"
        )
    for layer in dense:
        if layer.ntk:
            raise ShapeError(
                f"{layer.name} divides W x by √n, which Θ does not say: write Dense({layer.units})"
            )
        if not layer.bias:
            raise ShapeError(
                f"{layer.name} has no bias, and Θ holds it as column 0: write Dense({layer.units})"
            )
    held = {f"{layer.name}.{name}" for layer in dense for name in ("W", "b")}
    other = [name for name in network.parameters if name not in held]
    if other or not dense:
        what = f"this one has {other[0]}" if other else "this one has none"
        raise ShapeError(
            f"Θ is the form of a network whose parameters are all of Dense layers, and {what}: use "
            "network.parameters, or network.flat_parameters() for one vector"
        )
    return list(dense)


def _matrices(values: Any) -> list[Any]:
    if isinstance(values, str | os.PathLike):
        return list(read_thetas(values))
    given = entries(values)
    if given is None:
        raise TypeError(f"values must be a list of matrices, [theta1, theta2], received {describe(values)}")
    return given


def _matrix(value: Any, number: int) -> Array:
    array = np.asarray(value)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or array.shape[1] < 2:
        raise DataError(f"theta {number} must be a matrix of numbers, [b, W], received {describe(value)}")
    return array.astype(np.float64)


def _order(order: str) -> str:
    return check_choice("order", order, ORDERS, meaning="'parameters' or 'theta'")
