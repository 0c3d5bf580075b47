"""Whether a fit is the one that a checkpoint is of: the same network, data and arguments.

Another one would go on without a word and end in a model that nobody has asked for.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, FileError
from chainrule.base.shown import shortened
from chainrule.base.types import Array
from chainrule.data.fingerprints import array_sha256
from chainrule.layers import layer_classes, structure_classes
from chainrule.networks.batch import Batch
from chainrule.networks.forms.storage import describe
from chainrule.networks.network import Network
from chainrule.training.callbacks import Callback, Checkpoint, changes_rates, keeps_state
from chainrule.training.checkpoints.folder import ANEW
from chainrule.training.checkpoints.schema import Saved
from chainrule.training.optimizers import Optimizer
from chainrule.training.parts import FitData

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # of an object without a text of its own
ALLOW = "checkpoint=Checkpoint(path, allow_changes=True) goes on all the same"
# What says which samples an epoch's steps take: with another one its position means nothing.
OF_EPOCH = {"batch_size", "shuffle", "seed", "validation", "steps_per_epoch", "accumulate"}


def texts(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Arguments as they are compared."""
    return {name: _ADDRESS.sub("", _text(value)) for name, value in arguments.items()}


def _text(value: Any) -> str:
    """A value as it prints, chainrule's own objects by the options that are not their defaults: a checkpoint
    that was written before there was an option says nothing of it.
    """
    if not is_dataclass(value) or isinstance(value, type):
        return repr(value)
    told = [held for held in fields(value) if held.init and getattr(value, held.name) != held.default]
    inside = ", ".join(f"{held.name}={_text(getattr(value, held.name))}" for held in told)
    return f"{type(value).__name__}({inside})"


def callbacks_text(callbacks: Iterable[Callback]) -> str:
    """Those that may change what is trained: with a state, or rates of their own; chainrule's with their
    options.
    """
    names = []
    for callback in callbacks:
        kind = type(callback)
        watches = isinstance(callback, Checkpoint) or callback.only_watches
        if watches or not (keeps_state(callback) or changes_rates(callback)):
            continue
        options = ""
        if kind.__module__.partition(".")[0] == "chainrule":
            held = {
                name: getattr(callback, name, None) for name in inspect.signature(kind.__init__).parameters
            }
            plain = [f"{name}={value!r}" for name, value in held.items() if type(value) in (bool, int, float)]
            best = getattr(callback, "_best", None)
            plain += [] if best is None else [f"monitor={best.column!r}", f"min_delta={best.min_delta!r}"]
            options = f"({', '.join(plain)})"
        names.append(f"{kind.__name__}{options}")
    return f"[{', '.join(names)}]"


def data_record(data: FitData) -> dict[str, str]:
    """The data of a fit of arrays: of each its type, shape and SHA-256."""
    parts = {"X": data.training.inputs, "y": data.training.targets, "the weights": data.training.weights}
    parts["the samples not held out"] = data.rows
    if data.validation is not None:
        parts["validation X"], parts["validation y"] = data.validation.inputs, data.validation.targets
        parts["the validation weights"] = data.validation.weights
    return {name: record(part) for name, part in parts.items() if part is not None}


def record(array: Array) -> str:
    """ "float32 (60, 4) 5f0e…" """
    return f"{array.dtype.name} {array.shape} {array_sha256(array)}"


def batch_record(batch: Batch) -> str:
    """The same of a batch, in one."""
    parts = (batch.inputs, batch.targets, batch.weights)
    return " ".join(record(part) for part in parts if part is not None)


@dataclass(frozen=True)
class Differences:
    """What differs between a checkpoint and the fit that is to go on from it, where that is allowed."""

    names: frozenset[str] = frozenset()

    @property
    def of_epoch(self) -> bool:
        """Whether the epoch under way has to begin anew."""
        return bool(self.names & (OF_EPOCH | {"data"}))


def check_network(saved: Saved, network: Network) -> None:
    """ArgumentError where the network is built otherwise than that of the checkpoint."""
    mine = describe(network, {})
    for name in ("input_shape", "dtype", "precision", "layers"):
        before, now = saved.network.get(name), _as_json(mine.get(name))
        if before == now or (name == "layers" and _same_layers(before, now)):
            continue
        if name == "layers":
            titles = [layer["class"] for layer in mine["layers"]]
            before = [layer["class"] for layer in saved.network["layers"]]
            now = titles if titles != before else "the same classes with other options or names"
        raise ArgumentError(
            f"{saved.path}: is of another network: its {name} {_is(name)} {_short(before)}, here "
            f"{_short(now)}. {ANEW}, or name another folder"
        )


def _same_layers(before: Any, now: Any) -> bool:
    """Whether descriptions of layers say the same; options that have come since are then their defaults.
    """
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(_same_layers, before, now))
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return bool(before == now)
    if "class" in now and "config" in now:
        return before.keys() == now.keys() and before["class"] == now["class"] and _same_config(before, now)
    return before.keys() == now.keys() and all(_same_layers(before[key], now[key]) for key in now)


def _same_config(before: Any, now: Any) -> bool:
    held, given = before["config"], now["config"]
    cls = {**layer_classes, **structure_classes}.get(now["class"])
    defaults = {} if cls is None else inspect.signature(cls.__init__).parameters
    new = [key for key in given if key not in held]
    if any(key not in defaults or given[key] != defaults[key].default for key in new):
        return False
    return all(key in given and _same_layers(held[key], given[key]) for key in held)


def check_same(
    saved: Saved, settings: Mapping[str, str], data: Mapping[str, str] | None, *, allowed: bool
) -> Differences:
    """What differs, if that is allowed; ArgumentError or DataError with the first difference if it is not.

    data: of `data_record`, None for batches, which are compared as they come.
    """
    named = _different(saved.state["settings"], settings)
    others = _different(saved.state["data"] or {}, data or {})
    if allowed:
        return Differences(frozenset({*named, *({"data"} if others else ())}))
    for name, (before, now) in named.items():
        raise ArgumentError(
            f"{saved.path}: was written by a fit with {name}={_short(before)}, and this one has "
            f"{name}={_short(now)}: write it as before. {ANEW}; {ALLOW}"
        )
    for name, (before, now) in others.items():
        before, now = (" ".join(text.split(" ")[:-1]) for text in (before, now))
        how = f"then {before or 'none'}, now {now or 'none'}" if before != now else f"{now} with other values"
        raise DataError(
            f"{saved.path}: was written by a fit on other data: {name} is {how}. Give the same data to go "
            f"on. {ANEW}; {ALLOW}"
        )
    return Differences()


def check_schedule(saved: Saved, optimizer: Optimizer, steps: int, epochs: int) -> None:
    """ArgumentError where another number of epochs would have given the steps so far other rates."""
    before = saved.state["epochs"]
    if before == epochs or not steps:
        return
    done = saved.state["taken"] + saved.state["position"][0]
    said = (
        [optimizer.rates(0, done, steps, total) for total in (before, epochs)] if done else [np.zeros(0)] * 2
    )
    if not np.array_equal(*said):
        raise ArgumentError(
            f"{saved.path}: is of a fit of {before} epochs, here they are {epochs}, and {optimizer.rate!r} "
            f"has other rates then for the steps that are done: write epochs={before}. {ANEW}; {ALLOW}"
        )


def check_batch(path: Any, batch: Batch, before: str, number: int, epoch: int) -> None:
    """DataError where a source of batches does not give again what it has given."""
    if batch_record(batch) != before:
        raise DataError(
            f"{path}: batch {number} of epoch {epoch} is not the one that the checkpoint's fit was given: "
            "every epoch must give the same batches again, so shuffle by its number, def batches(epoch): "
            f"...; {ALLOW}"
        )


def check_order(saved: Saved | None, drawn: str, before: str) -> None:
    """FileError where another NumPy shuffles otherwise, so that the rest of the epoch is not the rest."""
    if saved is not None and drawn != before:
        raise FileError(
            f"{saved.path}: NumPy {np.__version__} draws another order of the samples than NumPy "
            f"{saved.state['numpy']}, which wrote it: go on with that version. {ANEW}"
        )


def _different(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    names: Sequence[str] = [*before, *(name for name in now if name not in before)]
    return {n: (before.get(n, ""), now.get(n, "")) for n in names if before.get(n) != now.get(n)}


def _as_json(value: Any) -> Any:
    """What JSON makes of it: tuples are lists."""
    if isinstance(value, dict):
        return {key: _as_json(entry) for key, entry in value.items()}
    return [_as_json(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _is(name: str) -> str:
    return "are" if name == "layers" else "is"


def _short(value: Any) -> str:
    return shortened(str(value), 300)
