"""Layers and losses that are only formulas: evaluated on NumPy arrays for their part of a native plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._native import HostCall
from chainrule.base.types import Shape
from chainrule.engine.lowering.values import Hosted, Value
from chainrule.layers import Layer, call_formula
from chainrule.layers.randomness import random_bits
from chainrule.losses import Losses
from chainrule.networks.executor import noticing

if TYPE_CHECKING:
    from chainrule.losses import Loss
    from chainrule.networks.model import Model


def filled(read: Callable[[int, np.ndarray], object], number: int, shape: Shape, dtype: Any) -> np.ndarray:
    """What one of the native plan's getters writes into an array."""
    array = np.empty(shape, dtype)
    read(number, array)
    return array


@dataclass
class HostWork:
    """What the native plan calls for: formulas of layers, and of a loss, on its values."""

    native: Any
    network: Model
    loss: Loss | None
    dtype: np.dtype[Any]
    parameters: Mapping[str, int]
    hosts: Sequence[Hosted]
    lost: Value | None  # what a loss on the host reads
    activated: Value | None  # where it writes a, of a pair; it reads z then
    frozen: frozenset[str] = frozenset()  # parameters that no step changes

    def call(self, operation: int, what: HostCall, samples: int) -> None:
        if operation < 0:
            self._loss(what == HostCall.backward, samples, -1 - operation)
            return
        host = self.hosts[operation]
        if what == HostCall.forward:
            with noticing(self.native.note_overflow):
                self._forward(host, samples)
        elif what == HostCall.backward:
            self._backward(host, samples)
        else:
            self._renew(host, samples)

    def _forward(self, host: Hosted, samples: int) -> None:
        layer, z, made = host.layer, host.z, host.made
        available = self._given(host, samples)
        training = self.native.current_pass()[0]
        formula = layer.forward if training or layer.infer is None else layer.infer
        title = f"{type(layer).__name__}.{formula.__name__}"
        self._write(z, False, call_formula(formula, available), samples, title)
        if made:
            there = layer.mask(available["x"])
            there = available.get("mask", np.ones((*made.shape, samples))) if there is None else there
            self._write(made, False, there.reshape(*made.shape, -1), samples, f"{type(layer).__name__}.mask")

    def _backward(self, host: Hosted, samples: int) -> None:
        layer, x, z = host.layer, host.x, host.z
        if not z.with_delta:  # nothing here or below has parameters
            return
        available = self._given(host, samples)
        available["z"] = available["a"] = self._rows(z, False, samples)
        available["d"] = self._rows(z, True, samples)
        title = type(layer).__name__
        if x.with_delta:
            self._write(x, True, call_formula(layer.delta, available), samples, f"{title}.delta")
        learned = [name for name, spec in layer.parameters(x.shape).items() if spec.learned]
        gradients = call_formula(layer.gradients, available)
        self._set(host, learned, gradients, "gradients", self.native.set_gradient)

    def _renew(self, host: Hosted, samples: int) -> None:
        layer = host.layer
        if type(layer).running is Layer.running:
            return
        kept = [name for name, spec in layer.parameters(host.x.shape).items() if not spec.learned]
        names = self.network.parameter_names(layer)
        if any(names[name] in self.frozen for name in kept):
            return
        renewed = call_formula(layer.running, self._given(host, samples))
        self._set(host, kept, renewed, "running", self.native.set_parameter)

    def _given(self, host: Hosted, samples: int) -> dict[str, Any]:
        """What the formulas of a layer may declare in this pass, samples last."""
        layer = host.layer
        available: dict[str, Any] = {
            own: self._read(name, self.native.get_parameter)
            for own, name in self.network.parameter_names(layer).items()
        }
        x = available["x"] = self._rows(host.x, False, samples)
        if host.mask:
            available["mask"] = self._rows(host.mask, False, samples)[:, 0]
        training, seed, step, first = self.native.current_pass()
        if training:
            available |= layer.draw(x.shape, partial(random_bits, seed, step, layer.stream, first=first))
        return available

    def _set(self, host: Hosted, names: list[str], values: Any, formula: str, write: Any) -> None:
        """Hand what a formula returned by name to the native plan; ValueError for another shape."""
        layer = host.layer
        specs = layer.parameters(host.x.shape)
        for name in names:
            shape = specs[name].shape
            if name not in values or np.shape(values[name]) != shape:
                received = np.shape(values[name]) if name in values else "nothing"
                raise ValueError(
                    f"{type(layer).__name__}.{formula} must return {name!r} of shape {shape}, "
                    f"received {received}"
                )
            write(host.parameters[name], np.ascontiguousarray(values[name], dtype=self.dtype))

    def _loss(self, backward: bool, samples: int, number: int) -> None:
        """The loss, or that of one of several outputs, by its number: values and δ."""
        assert self.loss is not None
        assert self.lost is not None
        shape = self.network.output_shape
        targets, weights = np.empty((samples, *shape), self.dtype), np.empty(samples)
        self.native.read_batch(number, targets, weights)
        loss, y, x = self.loss, np.moveaxis(targets, 0, -1), self._rows(self.lost, False, samples)
        part = loss.parts[number] if isinstance(loss, Losses) and self.activated else None
        y = loss.prepared(y) if loss.affine else y  # Plan prepares those of others
        formulas: Any = loss
        if part is not None:
            loss, formulas = part.loss, part.alone
            x, y = part.of(x, y)
            self._write_part(self.activated, False, part, part.activation.forward(x), samples)
        losses = np.asarray(formulas.value(x, y), dtype=np.float64)
        if losses.shape != (samples,):
            raise ValueError(
                f"{type(loss).__name__}.value must return one number per sample, shape ({samples},), "
                f"received {losses.shape}"
            )
        self.native.set_losses(number, np.ascontiguousarray(losses))
        if not (backward and self.lost.with_delta):
            return
        gradient = np.asarray(formulas.gradient(x, y)) * weights
        if part is not None:
            return self._write_part(self.lost, True, part, gradient * part.weight, samples)
        self._write(self.lost, True, gradient, samples, f"{type(loss).__name__}.gradient")

    def _write_part(self, value: Value | None, delta: bool, part: Any, array: Any, samples: int) -> None:
        """Into the features of one output; the others stay as they are."""
        assert value is not None
        whole = self._rows(value, delta, samples)
        expected = (*part.shape, samples)
        if np.shape(array) != expected:
            what = f"{type(part.loss).__name__}.gradient" if delta else type(part.activation).__name__
            raise ValueError(f"{what} returned shape {np.shape(array)}, expected {expected} (samples last)")
        whole[part.start : part.stop] = np.reshape(array, (-1, samples))
        self._write(value, delta, whole, samples, type(part.loss).__name__)

    def _read(self, name: str, read: Any) -> np.ndarray:
        """A parameter, or what is kept beside it, by one of the native plan's getters."""
        return filled(read, self.parameters[name], self.network.parameter_specs[name].shape, self.dtype)

    def _rows(self, value: Value, delta: bool, samples: int) -> np.ndarray:
        """A value as the formulas see it: samples last."""
        rows = np.empty((samples, *value.shape), self.dtype)
        self.native.read_value(value.number, delta, rows)
        return np.moveaxis(rows, 0, -1)

    def _write(self, value: Value, delta: bool, array: Any, samples: int, what: str) -> None:
        result = np.asarray(array)
        if result.shape != (*value.shape, samples):
            raise ValueError(
                f"{what} returned shape {result.shape}, expected {(*value.shape, samples)} (samples last)"
            )
        rows = np.ascontiguousarray(np.moveaxis(result, -1, 0), dtype=self.dtype)
        self.native.write_value(value.number, delta, rows)
