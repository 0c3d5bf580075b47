"""Where the network of a folder is: a run of `chainrule train`, or the checkpoints of a training."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from chainrule.base.errors import FileError
from chainrule.base.files.disk import read_text
from chainrule.base.files.series import numbered
from chainrule.base.shown import quoted

RUN = "run.json"  # says of a run folder how it came about
RUN_VERSION = 1
CHECKPOINT, SUFFIX = "checkpoint", ".npz"  # checkpoint-00012.npz


def file_in(folder: Path) -> Path:
    """The file that holds the network of a folder: that of a run, of several the first, or the newest
    checkpoint.  FileError where there is none.
    """
    content = read_run(folder / RUN)
    if content is not None:
        members = content.get("members")
        if isinstance(members, list) and len(members) > 1:
            names = ", ".join(quoted(str(name)) for name in members)
            warnings.warn(
                f"{folder} holds {len(members)} networks, {names}: this is the first; load the others by "
                "their files",
                stacklevel=5,  # the caller of load, past `teach`
            )
        return model_of(content, folder)
    for place in (folder, folder / "checkpoints" / "1"):
        for _, path in numbered(place, CHECKPOINT, SUFFIX)[:1]:
            return path
    raise FileError(
        f"{folder}: is a directory with neither a {RUN} of `chainrule train` nor checkpoints in it: name the "
        "model file, which ends in .safetensors or .npz"
    )


def model_of(content: dict[str, Any], folder: Path) -> Path:
    """The model file that a run's description names; FileError where it is not in the folder."""
    model = folder / str(content.get("model"))
    try:
        there = model.parent == folder and model.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds NUL
        there = False
    if not there:
        name = quoted(str(content.get("model")))
        raise FileError(f"{folder / RUN}: names the model '{name}', which is not in the folder")
    return model


def read_run(path: Path) -> dict[str, Any] | None:
    """A run's description, or None where there is none. Raises FileError when it is damaged."""
    try:
        path.stat()
    except FileNotFoundError:
        return None
    except OSError:  # which reading it tells
        pass
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path}: cannot be read ({error})") from None
    if not isinstance(content, dict) or content.get("format") != RUN_VERSION:
        raise FileError(f"{path}: is no description of a run in format {RUN_VERSION}")
    return content
