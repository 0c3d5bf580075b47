"""Normalisations, and their means and deviations by themselves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.networks.taking.onnx.reading import (
    Attributes,
    Known,
    Reading,
    constant_of,
    only_with,
    refuse,
    value_of,
)
from chainrule.networks.taking.values import Value


def _batch_norm(r: Reading, name: str, at: Attributes, x: Known, *given: Known) -> Any:
    only_with(name, at, spatial=1)
    if at.get("training_mode", 0) and not r.lead:
        return _of_this_batch(r, name, at, value_of(name, x), *given)
    only_with(name, at, training_mode=0)
    names = ("gamma", "beta", "mean", "variance")
    numbers = {key: constant_of(name, array, "statistics") for key, array in zip(names, given, strict=True)}
    momentum = round(1 - at.get("momentum", 0.9), 7)
    epsilon = at.get("epsilon", 1e-5)
    return r.building.batch_norm(name, value_of(name, x), numbers, epsilon, momentum)


def _of_this_batch(r: Reading, name: str, at: Attributes, x: Value, *given: Known) -> Any:
    """In training, of a model whose samples are an axis like others: every channel by its own mean and
    variance, with those that it keeps, of which the newest has its share.
    """
    gamma, beta, mean, variance = (constant_of(name, array, "statistics") for array in given)
    kept = at.get("momentum", 0.9)
    front = [1, 0, *range(2, len(x.theirs))]  # channels, and all else
    turned = r.building.permuted(f"{name}_front", x, front)
    count = int(np.prod(turned.theirs[1:]))

    def newest(numbers: Value, before: Array, word: str) -> Value:
        """The share of the mean of every channel's numbers, beside what was there before."""
        share = (1 - kept) / count
        taps = (tuple((n, share) for n in range(count)),)
        made = r.building.along(f"{name}_{word}", numbers, 1, taps)
        made = r.building.reshaped(f"{name}_{word}_axes", made, before.shape)
        return r.building.plus(f"{name}_{word}_kept", made, kept * before)

    rows = r.building.reshaped(f"{name}_rows", turned, (len(mean), count))
    if r.wanted(0) + r.wanted(1) + r.wanted(2) > 1:
        raise refuse(name, "a norm of the batch that is read together with its statistics")
    if r.wanted(1):
        return None, newest(rows, mean, "mean"), None
    if r.wanted(2):
        centred = tuple(
            tuple((n, (n == u) - 1 / count) for n in range(count)) for u in range(count)
        )
        apart = r.building.along(f"{name}_centred", rows, 1, centred)
        squares = r.building.join(f"{name}_squares", [apart, apart], "product")
        return None, None, newest(squares, variance, "variance")
    epsilon = at.get("epsilon", 1e-5)
    made = r.building.norm(name, turned, "instance", {"gamma": gamma, "beta": beta}, epsilon)
    return r.building.permuted(f"{name}_back", made, np.argsort(front).tolist())


def _layer_norm(r: Reading, name: str, at: Attributes, x: Known, gamma: Known, beta: Known = None) -> Any:
    if r.wanted(1) or r.wanted(2):
        made = [
            _statistic(r, name, at, value_of(name, x), which) if r.wanted(which) else None for which in (1, 2)
        ]
        if r.wanted(0):
            raise refuse(name, "a norm that is read together with its mean or deviation")
        return (None, *made)
    return _norm_from(r, name, at, "layer", value_of(name, x), _scales(name, gamma, beta))


def _statistic(r: Reading, name: str, at: Attributes, value: Value, which: int) -> Value:
    """1: the mean over all axes of a sample from one on; 2: 1 / √(v + ε), which is what RMSNorm makes of √ε
    beside the numbers without their mean.
    """
    epsilon, first = at.get("epsilon", 1e-5), r.place(name, value, at.get("axis", -1))
    n, kept = int(np.prod(value.theirs[first:])), value.theirs[:first]
    rows = r.building.reshaped(f"{name}_rows", value, (*kept, n))
    if which == 1:
        mean = r.building.along(f"{name}_mean", rows, first, (tuple((i, 1 / n) for i in range(n)),))
        return r.building.reshaped(f"{name}_axes", mean, (*kept, *(1,) * (len(value.theirs) - first)))
    centred = tuple(tuple((i, (i == u) - 1 / n) for i in range(n)) for u in range(n))
    beside = r.building.along(f"{name}_centred", rows, first, (*centred, ()))
    beside = r.building.plus(f"{name}_epsilon", beside, np.array([*(0.0,) * n, math.sqrt(n * epsilon)]))
    made = r.building.last_norm(f"{name}_norm", beside, "rms", {}, 1e-30)
    last = (((n, 1 / math.sqrt((n + 1) * epsilon)),),)
    made = r.building.along(f"{name}_deviation", made, first, last)
    return r.building.reshaped(f"{name}_axes", made, (*kept, *(1,) * (len(value.theirs) - first)))


def _rms_norm(r: Reading, name: str, at: Attributes, x: Known, gamma: Known) -> Value:
    return _norm_from(r, name, at, "rms", value_of(name, x), _scales(name, gamma))


def _norm_from(
    r: Reading, name: str, at: Attributes, kind: str, value: Value, numbers: dict[str, Array]
) -> Value:
    """A norm over all axes of a sample from one on."""
    first = r.place(name, value, at.get("axis", -1))
    normed = value.theirs[first:]
    numbers = {key: np.broadcast_to(array, normed) for key, array in numbers.items()}
    return r.building.last_norm(name, value, kind, numbers, at.get("epsilon", 1e-5), len(normed))


def _scales(name: str, gamma: Known, beta: Known = None) -> dict[str, Array]:
    shift = {} if beta is None else {"beta": constant_of(name, beta, "shift")}
    return {"gamma": constant_of(name, gamma, "scale"), **shift}


def _instance_norm(r: Reading, name: str, at: Attributes, x: Known, gamma: Known, beta: Known) -> Value:
    numbers = _scales(name, gamma, beta)
    return r.building.norm(name, value_of(name, x), "instance", numbers, at.get("epsilon", 1e-5))


def _group_norm(r: Reading, name: str, at: Attributes, x: Known, gamma: Known, beta: Known) -> Value:
    value = value_of(name, x)
    numbers, groups, channels = _scales(name, gamma, beta), at["num_groups"], value.theirs[0]
    if len(numbers["gamma"]) == groups:  # up to version 20 there is one number per group
        numbers = {key: np.repeat(array, channels // groups) for key, array in numbers.items()}
    return r.building.norm(name, value, "group", numbers, at.get("epsilon", 1e-5), groups)


def _local_norm(r: Reading, name: str, at: Attributes, x: Known) -> Value:
    size = at["size"]
    alpha, beta, k = at.get("alpha", 1e-4), at.get("beta", 0.75), at.get("bias", 1.0)
    return r.building.local_norm(name, value_of(name, x), ((size - 1) // 2, size // 2), alpha, beta, k)


NODES: dict[str, Callable[..., Any]] = {
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "LRN": _local_norm,
    "RMSNormalization": _rms_norm,
}
