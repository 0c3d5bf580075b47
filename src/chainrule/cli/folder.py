"""Run folders: the model, the history, the curves and `run.json`, which says how they came about.

The model file also holds how the inputs were prepared (`network.preparation`): their scale, the names of the
features, and the scale of a regression's target. So `chainrule predict` treats new inputs alike wherever the
file is copied to; `run.json` repeats it for readers.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.base.errors import FileError
from chainrule.base.files.disk import write_text
from chainrule.cli.output import reason
from chainrule.data import Preparation
from chainrule.networks.forms.places import RUN, RUN_VERSION, model_of, read_run

if TYPE_CHECKING:
    from chainrule.networks.network import Network
    from chainrule.training.history import History

description_name, format_version, read_description = RUN, RUN_VERSION, read_run
checkpoints_name, training_name = "checkpoints", "training.json"  # of a training that is not finished


def how_to_go_on(folder: Path) -> str:
    """Of a folder with a training that is not finished, how it goes on, for the end of an error; else ""."""
    if not is_file(folder / checkpoints_name / training_name):
        return ""
    return f". It holds a training that is not finished: chainrule train {folder} --resume goes on with it"


def check_out(out: str, *, overwrite: bool) -> None:
    """Raise FileError where `out` cannot be a run folder; nothing is created."""
    folder = Path(out)
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        how = how_to_go_on(folder)
        raise FileError(f"{folder}: is not empty; choose another folder for --out, or add --overwrite{how}")
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder}: is a file; --out takes a folder")
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise FileError(f"{folder}: cannot be written to")


def create_run_folder(name: str, out: str | None, *, overwrite: bool) -> Path:
    """The run folder: `out`, or runs/NAME-DATE-TIME with a number behind it if that is taken."""
    if out is not None:
        check_out(out, overwrite=overwrite)
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise FileError(f"{folder}: cannot be written to")
        return folder
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    for number in range(1, 1000):
        folder = Path("runs") / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if not folder.is_dir():
                raise FileError(
                    "runs: is a file, but the run folders go into a folder of that name"
                ) from None
    raise FileError(f"runs: holds a thousand folders called {stem}")


def save_model(network: Network, folder: Path) -> Path:
    """model.safetensors, or model.npz where safetensors is not installed; the other one is removed."""
    path = folder / ("model.safetensors" if find_spec("safetensors") is not None else "model.npz")
    network.save(path)
    for other in ("model.safetensors", "model.npz"):
        if other != path.name:
            (folder / other).unlink(missing_ok=True)
    return path


def save_ensemble(networks: Sequence[Network], folder: Path) -> list[Path]:
    """model.safetensors, model-2.safetensors, ..., as `save_model`; those of an earlier run are removed."""
    for kind in ("safetensors", "npz"):
        for path in folder.glob(f"model-*.{kind}"):
            if path.stem.removeprefix("model-").isdecimal():
                path.unlink()
    first = save_model(networks[0], folder)
    paths = [first.with_stem(f"model-{number}") for number in range(2, len(networks) + 1)]
    for network, path in zip(networks[1:], paths, strict=True):
        network.save(path)
    return [first, *paths]


def remove_checkpoints(folder: Path) -> None:
    """What a training kept to go on from; nothing else that may be in its folder."""
    for path in sorted(folder.glob("[0-9]*/checkpoint-*.npz*")):
        path.unlink(missing_ok=True)
    (folder / training_name).unlink(missing_ok=True)
    for place in (*folder.glob("[0-9]*"), folder):
        with suppress(OSError):
            place.rmdir()


def remove_history(folder: Path) -> None:
    """What an earlier run in this folder wrote of its training; it would pass for that of the new model."""
    for name in ("history.csv", "curves.png", "curves.svg"):
        (folder / name).unlink(missing_ok=True)


def save_curves(history: History, folder: Path) -> str | None:
    """curves.png by matplotlib, or curves.svg where matplotlib is not installed or does not work here.

    Returns why there is no curves.png although matplotlib is installed, else None.
    """
    said = None
    if find_spec("matplotlib") is not None:
        try:
            history.plot(folder / "curves.png")
            return None
        except Exception as error:  # its settings, its fonts, a compiled part that does not load
            said = f"{folder / 'curves.png'} was not written ({reason(error)}); curves.svg is there instead"
    history.save_svg(folder / "curves.svg")
    return said


def save_training(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write what a training is, beside its checkpoints."""
    content = finite({"format": format_version, **facts})
    write_text(folder / training_name, json.dumps(content, indent=2, allow_nan=False) + "\n")


def save_description(folder: Path, model: Path, preparation: Preparation, facts: Mapping[str, Any]) -> None:
    """Write run.json as a whole, never half of it; a number that is not finite is null there."""
    content = {"format": format_version, "model": model.name, **facts, "preparation": preparation.to_json()}
    text = json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # A lone surrogate, such as a byte of an argument that is not UTF-8, becomes the escape that JSON has.
    write_text(folder / description_name, text)


def finite(value: Any) -> Any:
    """Plain JSON, which has no NaN and no infinity."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def open_run(place: str | Path) -> tuple[Network, Preparation]:
    """The network of a run folder or model file, and the preparation that it was trained with.

    A model file that says nothing of a preparation gets the one that run.json beside it describes.
    """
    from chainrule.networks.network import load

    place = Path(place)
    if not place.exists():
        raise FileError(f"{place}: no such run folder or model file")
    description = (place if place.is_dir() else place.parent) / description_name
    if place.is_dir():
        content = read_description(description)
        if content is None:
            raise FileError(
                f"{place}: is no run folder, it holds no {description_name}{how_to_go_on(place)}"
            )
        model = model_of(content, place)
    else:
        model = place
    network = load(model)
    if network.preparation is not None:
        return network, network.preparation
    content = read_description(description)
    if content is None or content.get("model") != model.name:  # none, or that of another model
        return network, Preparation()
    return network, Preparation.from_json(content.get("preparation"), description)


def is_file(path: Path) -> bool:
    """Whether there is a regular file, which no name is of that is too long or holds NUL."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """The same of a folder."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
