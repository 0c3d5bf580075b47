"""Arrays of others - tensors, JAX's arrays - as ours, and ours as theirs.

PyTorch and JAX are looked up among what is loaded: who has a tensor has loaded them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.base.errors import DataError, describe
from chainrule.base.types import Array

Maker = Callable[[Array], Any]


def as_array(value: Any, what: str, *, copy: bool = True) -> Array:
    """A copy of what their code returned, as an ndarray; bfloat16 as float32. copy=False: no copy of one.

    Raises DataError for what is no array of real numbers.
    """
    if callable(getattr(value, "detach", None)):
        value = _of_tensor(value)
    try:
        array = np.array(value) if copy else np.asarray(value)
    except Exception:  # whatever another library raises in __array__
        array = np.array(None)
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.kind == "c":
        raise DataError(f"{what} holds complex numbers: verify takes real ones")
    if array.dtype.kind not in "fiub":
        raise DataError(f"{what} is {describe(value)}, no array of numbers")
    return array


def carried(value: Any) -> tuple[Array, Maker, str | None] | None:
    """A tensor or an array of JAX as ours, what makes such a one of ours, and its type where NumPy lacks it.

    None for anything else. What is made is on the same device, and of the type that ours has: bfloat16 of a
    float32 array where it was bfloat16, float64 of a float64 array.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        low = "bfloat16" if value.dtype == torch.bfloat16 else None

        def tensor(array: Array) -> Any:
            made = tensor_of(array).to(value.device)
            return made.to(torch.bfloat16) if low and array.dtype == np.float32 else made

        return as_array(value, "an argument"), tensor, low
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(value, jax.Array) and not str(value.dtype).startswith("key<"):
        low = "bfloat16" if value.dtype.name == "bfloat16" else None

        def jax_array(array: Array) -> Any:
            made = jax.numpy.asarray(array)
            return made.astype("bfloat16") if low and array.dtype == np.float32 else made

        return as_array(value, "an argument"), jax_array, low
    return None


def is_array(value: Any) -> bool:
    """Whether it is NumPy's, PyTorch's or JAX's; a number of NumPy's, which has a shape, is none."""
    jax = sys.modules.get("jax")
    framework = hasattr(value, "detach") or (jax is not None and isinstance(value, jax.Array))
    return isinstance(value, np.ndarray) or framework


def holds(values: Any, kind: type) -> bool:
    """Whether there is one of the kind among them, or in a dict or list among them."""
    if isinstance(values, Mapping):
        return holds(list(values.values()), kind)
    if isinstance(values, (list, tuple)):
        return any(holds(value, kind) for value in values)
    return isinstance(values, kind)


def tensor_of(array: Array) -> Any:
    """A tensor on the same memory: what changes it changes the array."""
    array = np.asarray(array)  # a sum of arrays without axes is a number
    plain = array.flags.writeable and min(array.strides, default=0) >= 0
    return sys.modules["torch"].from_numpy(array if plain else array.copy())


def like_output(out: Any, delta: Array) -> Any:
    """δ as the output is: a tensor on its device, an array of JAX, a plain number, an array."""
    kind = carried(out)
    if kind is not None:
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(out, torch.Tensor):
            return tensor_of(np.array(delta)).to(out.device, out.dtype)
        return sys.modules["jax"].numpy.asarray(delta, dtype=out.dtype)
    if isinstance(out, (float, int)):  # np.float64 too
        return float(delta)
    return delta


def _of_tensor(value: Any) -> Any:
    value = value.detach().cpu()
    if getattr(value, "is_sparse", False):
        value = value.to_dense()
    return (value.float() if "bfloat16" in str(value.dtype) else value).numpy()
