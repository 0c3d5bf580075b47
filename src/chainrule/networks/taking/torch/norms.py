"""Normalisations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.types import Array
from chainrule.networks.taking.torch.reading import Reading, along, array_of
from chainrule.networks.taking.values import Value


def _batch_norm(r: Reading, name: str, m: Any, x: Value) -> Value:
    if m.running_mean is None:
        return r.building.batch_norm(name, x, _scales(m), m.eps)
    numbers = {**_scales(m), "mean": array_of(m.running_mean), "variance": array_of(m.running_var)}
    if m.momentum is None:
        numbers["batches"] = np.array([float(m.num_batches_tracked)])
    return r.building.batch_norm(name, x, numbers, m.eps, m.momentum)


def _scales(m: Any) -> dict[str, Array]:
    """γ and β, where there are."""
    given = {"gamma": m.weight, "beta": getattr(m, "bias", None)}
    return {key: array_of(value) for key, value in given.items() if value is not None}


def layer_norm(r: Reading, name: str, m: Any, x: Value) -> Value:
    rms = type(m).__name__ == "RMSNorm"
    epsilon = float(np.finfo(r.dtype).eps) if m.eps is None else m.eps
    axes = len(m.normalized_shape)
    return r.building.last_norm(name, x, "rms" if rms else "layer", _scales(m), epsilon, axes)


def _group_norm(r: Reading, name: str, m: Any, x: Value) -> Value:
    groups = getattr(m, "num_groups", None)
    if groups is not None:
        return r.building.norm(name, x, "group", _scales(m), m.eps, groups)
    kept = {"mean": m.running_mean, "variance": m.running_var} if m.running_mean is not None else {}
    if kept and m.momentum is None:
        raise ArgumentError(f"{name}: an InstanceNorm with running statistics has a number as its momentum")
    numbers = _scales(m) | {key: array_of(value) for key, value in kept.items()}
    return r.building.norm(name, x, "instance", numbers, m.eps, momentum=m.momentum or 0.0)


def _local_norm(r: Reading, name: str, m: Any, x: Value) -> Value:
    return r.building.local_norm(name, x, m.size, m.alpha, m.beta, m.k)


MODULES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(along("BatchNorm"), _batch_norm),
    **dict.fromkeys(("LayerNorm", "RMSNorm"), layer_norm),
    **dict.fromkeys(("GroupNorm", *along("InstanceNorm")), _group_norm),
    "LocalResponseNorm": _local_norm,
}


def _layer_norm_of(
    r: Reading, name: str, x: Value, normalized_shape: Any, weight: Any = None, bias: Any = None,
    eps: float = 1e-5,
) -> Value:  # fmt: skip
    numbers = {key: array for key, array in (("gamma", weight), ("beta", bias)) if array is not None}
    return r.building.last_norm(name, x, "layer", numbers, eps, len(normalized_shape))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "layer_norm": _layer_norm_of,
    "local_response_norm": lambda r, name, x, size, alpha=1e-4, beta=0.75, k=1.0: r.building.local_norm(
        name, x, size, alpha, beta, k
    ),
}
