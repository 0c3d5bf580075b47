"""Model files: parameters as .safetensors or .npz, with a JSON description of the network.

Loading runs no code from the file: arrays are read as numbers, layers are made by name from the classes this
program knows (those of chainrule, and the ones passed as `layers`), and everything is checked: names,
shapes, dtypes, finite numbers, a SHA-256 per array, and one of the description, which holds these: whatever
changes what a network predicts, or what its outputs are called, is under it.  A file is opened once, and
written as a whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base.errors import FileError, MissingExtraError
from chainrule.base.errors import describe as described
from chainrule.base.files.containers import KEY, Contents, open_container
from chainrule.base.files.disk import write_whole
from chainrule.base.files.sealed import (
    SEAL,
    check_named,
    check_seal,
    check_version,
    checked_array,
    parsed,
    sealed_text,
    sha256,
    write_npz,
)
from chainrule.base.types import Array
from chainrule.data.arrays import all_finite
from chainrule.data.preparation import Preparation
from chainrule.layers import Layer, end_classes, layer_classes, structure_classes
from chainrule.layers.precision import BFLOAT16
from chainrule.networks.architecture import leaves
from chainrule.networks.forms.places import file_in
from chainrule.networks.model import Model

FORMAT = "chainrule network"
VERSION = 1
# A file that holds a network beside other things, as a checkpoint does: its entry "network" is the network's
# description, and the names of its arrays begin so.
HOLDING, HOLDING_VERSION, PREFIX = "chainrule checkpoint", 1, "network/"
# The entries of a description that has no seal, as files had none at first: another one is a damaged name.
_UNSEALED = {"format", "version", "chainrule", "name", "dtype", "input_shape", "layers", "arrays"} | {
    "classes",
    "preparation",
}
_built_in = layer_classes | structure_classes | end_classes
_EXTRA = ("safetensors", "save", "writing a .safetensors file (.npz needs NumPy alone)")


def save(network: Model, path: str | os.PathLike[str]) -> None:
    """Write a network; the suffix of `path` chooses the format, .safetensors or .npz.

    Raises FileError: another suffix, a directory that does not exist, parameters that are not finite, a
    layer whose config() is not JSON. Raises MissingExtraError where safetensors is not
    installed.
    """
    target, write = Path(path), _writers.get(Path(path).suffix)
    if write is None:
        raise FileError(f"{target}: a model file ends in {' or '.join(SUFFIXES)}")
    arrays = {name: np.ascontiguousarray(array) for name, array in network.parameters.items()}
    text = sealed_text(checked_description(network, arrays, target))
    write_whole(target, lambda stream: write(stream, arrays, text))


def checked_description(network: Model, arrays: Mapping[str, Array], target: Path) -> dict[str, Any]:
    """What a file says of a network, plain JSON; FileError where something of it cannot be written."""
    for name, array in arrays.items():
        if not all_finite(array):
            raise FileError(f"{target}: not written, the parameter {name} holds NaN or infinity")
    if not isinstance(network.name, (str, type(None))):
        raise FileError(
            f"{target}: not written, network.name is {described(network.name)}, and a name is a text"
        )
    description = describe(network, arrays)
    check_plain(description, target)
    return description


@dataclass(frozen=True)
class Stored:
    """What a model file holds, checked by itself; `chainrule.networks.network.load` makes a network of it."""

    layers: list[Layer]
    parameters: dict[str, Array]
    input_shape: list[int]
    dtype: str
    name: str | None
    classes: list[Any] | None
    preparation: Preparation | None
    several_labels: bool
    output_labels: dict[str, Any]
    precision: str | None


def read(path: str | os.PathLike[str], *, layers: Iterable[type[Layer]] = ()) -> Stored:
    """The parts of the network in a file that `save` wrote; arguments and errors as for `network.load`."""
    source = Path(path)
    if os.path.isdir(source):
        source = file_in(source)
    with open_container(source) as contents:
        if contents.description is None:
            raise FileError(f"{source}: holds arrays but no chainrule network; Model.save writes one")
        description, prefix = _parse(contents.description, source)
        arrays = _checked_arrays(contents, description, prefix, source)
    prepared = description.get("preparation")
    known_classes = _known(layers)
    name = description.get("name")
    if not isinstance(name, (str, type(None))):
        raise FileError(f"{source}: its description is damaged ('name' is {name!r})")
    try:
        records = _field(description, "layers", list, source)
        restored = [_layer(record, known_classes, source) for record in records]
        if "shared" in description:
            _share(restored, _field(description, "shared", dict, source), source)
    except RecursionError:
        raise FileError(f"{source}: its description is damaged (layers are nested too deep)") from None
    return Stored(
        layers=restored,
        parameters=arrays,
        input_shape=_field(description, "input_shape", list, source),
        dtype=_field(description, "dtype", str, source),
        name=name,
        classes=description.get("classes"),
        preparation=None if prepared is None else Preparation.from_json(prepared, source),
        several_labels=description.get("several_labels") is True,
        output_labels=description.get("output_labels", {}),
        precision=description.get("precision"),
    )


def describe(network: Model, arrays: Mapping[str, Array]) -> dict[str, Any]:
    """What the file says of a network beside the numbers; plain JSON."""
    from chainrule.version import __version__

    return {
        "format": FORMAT,
        "version": VERSION,
        "chainrule": __version__,
        "name": network.name,
        "input_shape": list(network.input_shape),
        "dtype": network.dtype.name,
        "classes": None if network.classes is None else network.classes.tolist(),
        "preparation": None if network.preparation is None else network.preparation.to_json(),
        **({"several_labels": True} if network.several_labels else {}),  # older files have no such entry
        **({"precision": BFLOAT16} if network.precision == BFLOAT16 else {}),
        **({"output_labels": labels} if (labels := _labels(network)) else {}),
        "layers": [_record(layer) for layer in network.layers],
        **({"shared": shared} if (shared := _shared(network)) else {}),  # files of networks without have none
        "arrays": {
            name: {"shape": list(array.shape), "sha256": sha256(array)} for name, array in arrays.items()
        },
    }


def _labels(network: Model) -> dict[str, Any]:
    return {name: labels.tolist() for name, labels in network.output_labels.items()}


def _shared(network: Model) -> dict[str, str]:
    """Layer -> the one before it that is the same layer, with the same parameters."""
    first: dict[object, str] = {}
    shared = {}
    for layer in leaves(network.layers):
        name = str(layer.name)
        if (before := first.setdefault(layer.identity, name)) != name and network.parameter_names(layer):
            shared[name] = before
    return shared


def _share(layers: Sequence[Layer], shared: Any, source: Path) -> None:
    """Make one layer of those that a file says are one."""
    by_name = {layer.name: layer for layer in leaves(layers)}
    for name, before in shared.items():
        if name not in by_name or before not in by_name:
            raise FileError(f"{source}: its description is damaged (it shares {name!r} with {before!r})")
        by_name[name].identity = by_name[before].identity


def _record(layer: Layer) -> dict[str, Any]:
    """A layer as plain JSON; the layers in a composite's arguments are records too."""
    return {
        "class": type(layer).__name__,
        "built_in": _built_in.get(type(layer).__name__) is type(layer),
        "name": layer.name,
        "config": {key: _plain(value) for key, value in layer.config().items() if key != "name"},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Layer):
        return {"layer": _record(value)}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


# -- the description ----------------------------------------------------------------------------------------
def check_plain(description: Mapping[str, Any], target: Path) -> None:
    """FileError where a layer's config() or the preparation is not JSON."""
    for layer in description["layers"]:
        try:
            json.dumps(layer, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise FileError(
                f"{target}: not written, config() of {layer['name']} ({layer['class']}) must be plain JSON "
                f"({error})"
            ) from error
    try:
        json.dumps(description["preparation"], allow_nan=False)
    except (TypeError, ValueError) as error:
        raise FileError(f"{target}: not written, its preparation must be plain JSON ({error})") from error


def _parse(text: str, source: Path) -> tuple[dict[str, Any], str]:
    """The description of the network in a file, and what the names of its arrays begin with."""
    description = parsed(text, source)
    if description.get("format") == HOLDING:
        check_version(description, HOLDING_VERSION, source)
        check_seal(description, source)
        description = _field(description, "network", dict, source)
        _check_network(description, source)
        return description, PREFIX
    _check_network(description, source)
    if SEAL in description:
        check_seal(description, source)
    else:  # of the time before seals
        unknown = sorted(description.keys() - _UNSEALED)
        if unknown:
            raise FileError(f"{source}: its description is damaged (it has an entry {unknown[0]!r})")
    return description, ""


def _check_network(description: Mapping[str, Any], source: Path) -> None:
    if description.get("format") != FORMAT:
        raise FileError(f"{source}: is not a chainrule network")
    check_version(description, VERSION, source)


def _field(record: Mapping[str, Any], key: str, kind: type, source: Path) -> Any:
    value = record.get(key)
    if not isinstance(value, kind):
        raise FileError(f"{source}: its description is damaged ({key!r} is {value!r})")
    return value


def _known(layers: Iterable[type[Layer]]) -> dict[str, type[Layer]]:
    classes = {}
    for cls in layers:
        if not (isinstance(cls, type) and issubclass(cls, Layer)):
            raise TypeError(
                f"layers must be layer classes, load(path, layers=[MyLayer]); received {described(cls)}"
            )
        classes[cls.__name__] = cls
    return classes


def _layer(record: Any, classes: Mapping[str, type[Layer]], source: Path) -> Layer:
    """The layer a record describes."""
    if not isinstance(record, dict):
        raise FileError(f"{source}: its description is damaged (a layer is {record!r})")
    cls_name, config = _field(record, "class", str, source), _field(record, "config", dict, source)
    cls = _built_in.get(cls_name) if record.get("built_in") else classes.get(cls_name)
    if cls is None:
        advice = (
            "a newer chainrule may know it"
            if record.get("built_in")
            else f"pass load(..., layers=[{cls_name}])"
        )
        raise FileError(f"{source}: has a layer of the unknown class {cls_name!r}; {advice}")

    def made(value: Any) -> Any:
        if isinstance(value, dict) and value.keys() == {"layer"}:
            return _layer(value["layer"], classes, source)
        return [made(entry) for entry in value] if isinstance(value, list) else value

    arguments = {key: made(value) for key, value in config.items()}
    try:
        layer = cls(**arguments)
    except Exception as error:  # a constructor of the user's may raise anything
        raise FileError(f"{source}: {cls_name} cannot be made from {config} ({error})") from error
    layer.name = _field(record, "name", str, source)
    return layer


# -- the arrays ---------------------------------------------------------------------------------------------
def _checked_arrays(
    contents: Contents, description: Mapping[str, Any], prefix: str, source: Path
) -> dict[str, Array]:
    """Every array the description names, with the shape, dtype and SHA-256 it states."""
    dtype = _field(description, "dtype", str, source)
    records = _field(description, "arrays", dict, source)
    if not prefix:
        check_named(contents, records, source)
    arrays = {}
    for name, record in records.items():
        arrays[name] = array = checked_array(contents, prefix + name, record, dtype, source)
        if not all_finite(array):
            raise FileError(f"{source}: the array {name!r} holds NaN or infinity")
    return arrays


def _write_safetensors(stream: Any, arrays: Mapping[str, Array], description: str) -> None:
    try:
        from safetensors.numpy import save as serialize
    except ImportError:
        raise MissingExtraError(*_EXTRA) from None
    stream.write(serialize(dict(arrays), metadata={KEY: description}))


_writers = {".safetensors": _write_safetensors, ".npz": write_npz}
SUFFIXES = tuple(_writers)
