"""Model files: parameters as .safetensors or .npz, with a JSON description of the network.

Loading runs no code from the file: arrays are read as numbers, layers are made by name from the classes this
program knows (those of chainrule, and the ones passed as `layers`), and everything is checked: names,
shapes, dtypes, finite numbers, and a SHA-256 per array.  Files are written under another name and moved into
place, so that a crash leaves the old file whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.preparation import Preparation
from chainrule.errors import FileError, MissingExtraError
from chainrule.files import write_whole
from chainrule.layers import Layer, layer_classes, structure_classes

if TYPE_CHECKING:  # a network is built by `chainrule.network.load`; files know its parts alone
    from chainrule.network import Network

Array = NDArray[Any]
FORMAT = "chainrule network"
VERSION = 1
KEY = "chainrule"  # of the description: in the header of .safetensors, as an array of .npz
_built_in = layer_classes | structure_classes
_EXTRA = ("safetensors", "save", "a .safetensors file (.npz needs NumPy alone)")


def save(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a network; the suffix of `path` chooses the format, .safetensors or .npz.

    Raises FileError: another suffix, a directory that does not exist, parameters that are not finite, a
    layer whose config() is not JSON. Raises MissingExtraError where safetensors is not
    installed.
    """
    target, write = Path(path), _writers.get(Path(path).suffix)
    if write is None:
        raise FileError(f"{target}: a model file ends in .safetensors or .npz")
    arrays = {name: np.ascontiguousarray(array) for name, array in network.parameters.items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise FileError(f"{target}: not written, the parameter {name} holds NaN or infinity")
    if not isinstance(network.preparation, (Preparation, type(None))):
        raise FileError(
            f"{target}: not written, network.preparation is {network.preparation!r}, no Preparation"
        )
    description = _dump(describe(network, arrays), target)
    if "\0" in str(target):
        raise FileError(f"{str(target)!r}: not written, a file name holds no NUL character")
    write_whole(target, lambda stream: write(stream, arrays, description))


@dataclass(frozen=True)
class Stored:
    """What a model file holds, checked by itself; `chainrule.network.load` makes a network of it."""

    layers: list[Layer]
    parameters: dict[str, Array]
    input_shape: list[int]
    dtype: str
    name: str | None
    classes: list[Any] | None
    preparation: Preparation | None


def read(path: str | os.PathLike[str], *, layers: Iterable[type[Layer]] = ()) -> Stored:
    """The parts of the network in a file that `save` wrote; arguments and errors as for `network.load`."""
    source = Path(path)
    contents, description = _open(source)
    arrays = _checked_arrays(contents, description, source)
    prepared = description.get("preparation")
    known = _known(layers)
    name = description.get("name")
    if not isinstance(name, (str, type(None))):
        raise FileError(f"{source}: its description is damaged ('name' is {name!r})")
    try:
        own = [_layer(record, known, source) for record in _field(description, "layers", list, source)]
    except RecursionError:
        raise FileError(f"{source}: its description is damaged (layers are nested too deep)") from None
    return Stored(
        layers=own,
        parameters=arrays,
        input_shape=_field(description, "input_shape", list, source),
        dtype=_field(description, "dtype", str, source),
        name=name,
        classes=description.get("classes"),
        preparation=None if prepared is None else Preparation.from_json(prepared, source),
    )


def describe(network: Network, arrays: Mapping[str, Array]) -> dict[str, Any]:
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
        "layers": [_record(layer) for layer in network.layers],
        "arrays": {
            name: {"shape": list(array.shape), "sha256": sha256(array)} for name, array in arrays.items()
        },
    }


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


def sha256(array: Array) -> str:
    """Of the numbers in C order, little-endian, whatever the machine."""
    import hashlib

    return hashlib.sha256(array.astype(array.dtype.newbyteorder("<"), order="C").tobytes()).hexdigest()


# -- the description ----------------------------------------------------------------------------------------
def _open(source: Path) -> tuple[_Contents, dict[str, Any]]:
    """A model file's arrays, not read yet, and its description."""
    reader = _readers.get(source.suffix)
    if reader is None:
        raise FileError(f"{source}: a model file ends in .safetensors or .npz")
    try:
        if not source.is_file():
            raise FileError(f"{source}: {'is a directory' if source.is_dir() else 'no such file'}")
    except OSError as error:  # such as a name that is too long
        raise FileError(f"{source}: cannot be read ({error.strerror})") from None
    contents = reader(source)
    if contents.description is None:
        raise FileError(f"{source}: holds arrays but no chainrule network; Network.save writes one")
    return contents, _parse(contents.description, source)


def _dump(description: dict[str, Any], target: Path) -> str:
    import json

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
    return json.dumps(description, ensure_ascii=False)


def _parse(text: str, source: Path) -> dict[str, Any]:
    import json

    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{source}: its description is damaged ({error})") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise FileError(f"{source}: is not a chainrule network")
    version = description.get("version")
    if version != VERSION:
        newer = isinstance(version, int) and version > VERSION
        raise FileError(
            f"{source}: has the format version {version!r}, this chainrule reads {VERSION}"
            + ("; a newer chainrule reads it" if newer else "")
        )
    return description


def _field(record: Mapping[str, Any], key: str, kind: type, source: Path) -> Any:
    value = record.get(key)
    if not isinstance(value, kind):
        raise FileError(f"{source}: its description is damaged ({key!r} is {value!r})")
    return value


def _known(layers: Iterable[type[Layer]]) -> dict[str, type[Layer]]:
    own = {}
    for cls in layers:
        if not (isinstance(cls, type) and issubclass(cls, Layer)):
            raise TypeError(f"layers must be layer classes, load(path, layers=[MyLayer]); received {cls!r}")
        own[cls.__name__] = cls
    return own


def _layer(record: Any, own: Mapping[str, type[Layer]], source: Path) -> Layer:
    """The layer a record describes."""
    if not isinstance(record, dict):
        raise FileError(f"{source}: its description is damaged (a layer is {record!r})")
    cls_name, config = _field(record, "class", str, source), _field(record, "config", dict, source)
    cls = _built_in.get(cls_name) if record.get("built_in") else own.get(cls_name)
    if cls is None:
        advice = (
            "a newer chainrule may know it"
            if record.get("built_in")
            else f"pass load(..., layers=[{cls_name}])"
        )
        raise FileError(f"{source}: has a layer of the unknown class {cls_name!r}; {advice}")

    def made(value: Any) -> Any:
        if isinstance(value, dict) and value.keys() == {"layer"}:
            return _layer(value["layer"], own, source)
        return [made(entry) for entry in value] if isinstance(value, list) else value

    arguments = {key: made(value) for key, value in config.items()}
    try:
        layer = cls(**arguments)
    except Exception as error:  # a constructor of the user's may raise anything
        raise FileError(f"{source}: {cls_name} cannot be made from {config} ({error})") from error
    layer.name = _field(record, "name", str, source)
    return layer


# -- the arrays ---------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Contents:
    """An open model file: its description, the shape and dtype it says its arrays have, and how to read
    one.
    """

    description: str | None
    arrays: Mapping[str, tuple[tuple[int, ...], str]]
    read: Any


def _checked_arrays(contents: _Contents, description: Mapping[str, Any], source: Path) -> dict[str, Array]:
    """Every array the description names, with the shape, dtype and SHA-256 it states."""
    dtype = _field(description, "dtype", str, source)
    records = _field(description, "arrays", dict, source)
    for name in contents.arrays:
        if name not in records:
            raise FileError(f"{source}: holds the array {name!r}, which its description does not name")
    arrays = {}
    for name, record in records.items():
        if name not in contents.arrays:
            raise FileError(f"{source}: the array {name!r} is missing")
        found = contents.arrays[name]
        stated = tuple(_field(record if isinstance(record, dict) else {}, "shape", list, source))
        if found != (stated, dtype):  # compared before anything of that size is read
            raise FileError(
                f"{source}: the array {name!r} is {found[1]} {found[0]}, its description says "
                f"{dtype} {stated}"
            )
        array = contents.read(name)
        if sha256(array) != record.get("sha256"):
            raise FileError(f"{source}: the array {name!r} is damaged: its SHA-256 is not the stated one")
        if not np.isfinite(array).all():
            raise FileError(f"{source}: the array {name!r} holds NaN or infinity")
        arrays[name] = array
    return arrays


def _write_npz(stream: Any, arrays: Mapping[str, Array], description: str) -> None:
    entries: dict[str, Any] = {KEY: np.array(description), **arrays}
    np.savez(stream, **entries)


def _write_safetensors(stream: Any, arrays: Mapping[str, Array], description: str) -> None:
    try:
        from safetensors.numpy import save as serialize
    except ImportError:
        raise MissingExtraError(*_EXTRA) from None
    stream.write(serialize(dict(arrays), metadata={KEY: description}))


def _read_npz(source: Path) -> _Contents:
    import io
    import zipfile

    try:
        raw = source.read_bytes()
        if not raw.startswith(
            b"PK"
        ):  # np.load would take an .npy or a pickle for what it is, and advise to trust it
            raise FileError(f"{source}: is no .npz file")
        archive = np.load(io.BytesIO(raw), allow_pickle=False)
        headers = {name: _header(archive, name) for name in archive.files}
    except FileError:
        raise
    except Exception as error:  # zipfile and the header parser raise a dozen kinds for a damaged file
        raise FileError(f"{source}: is damaged or no .npz file ({_first_line(error)})") from error

    def read(name: str) -> Any:
        try:
            return archive[name]
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, MemoryError) as error:
            raise FileError(f"{source}: the array {name!r} cannot be read ({_first_line(error)})") from error

    text = headers.pop(KEY, None)
    description = str(read(KEY)) if text is not None and text[0] == () and text[1].startswith("str") else None
    return _Contents(description, headers, read)


def _header(archive: Any, name: str) -> tuple[tuple[int, ...], str]:
    """Shape and dtype name of an entry, from its first bytes; refused where the entry's length is not what
    they say.
    """
    member = f"{name}.npy"
    with archive.zip.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(stream)
        if dtype.hasobject:
            raise ValueError(f"{name} holds Python objects")
        size = stream.tell() + dtype.itemsize * int(np.prod(shape, dtype=object))
    if archive.zip.getinfo(member).file_size != size:
        raise ValueError(f"{name} has another length than its header says")
    return shape, dtype.name


def _read_safetensors(source: Path) -> _Contents:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise MissingExtraError(*_EXTRA) from None
    names = {"F32": "float32", "F64": "float64"}
    try:
        with safe_open(source, framework="np") as file:
            metadata = file.metadata() or {}
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118, not a dict
            headers = {
                name: (tuple(part.get_shape()), names.get(part.get_dtype(), part.get_dtype()))
                for name, part in slices.items()
            }
    except (SafetensorError, OSError, ValueError) as error:
        raise FileError(f"{source}: is damaged or no .safetensors file ({_first_line(error)})") from error

    def read(name: str) -> Any:
        with safe_open(source, framework="np") as file:
            return file.get_tensor(name)

    return _Contents(metadata.get(KEY), headers, read)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


_writers = {".npz": _write_npz, ".safetensors": _write_safetensors}
_readers = {".npz": _read_npz, ".safetensors": _read_safetensors}
