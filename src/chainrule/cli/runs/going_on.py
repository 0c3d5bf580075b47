"""`chainrule train ... --resume`: what the training in a run folder is, as its folder says.

The folder may have come from somebody else: what it says is read as the words of a command line are, and
where it says to fetch data, nothing is fetched.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.base.errors import DataError, FileError
from chainrule.base.shown import quoted
from chainrule.cli.arguments import Parser, build_parser
from chainrule.cli.folder import (
    checkpoints_name,
    description_name,
    is_file,
    is_folder,
    read_description,
    training_name,
)
from chainrule.cli.runs.stored import settings_of

# What may be said anew: it changes no bit of what is trained.
FREE = {
    "out",
    "overwrite",
    "resume",
    "threads",
    "quiet",
    "no_check",
    "no_report",
    "checkpoint",
    "no_download",
    "allow_changes",
}


@dataclass(frozen=True)
class GoingOn:
    """A training in a run folder.  finished: nothing of it is left to do.  changed: by --allow-changes."""

    arguments: argparse.Namespace
    settings: dict[str, Any]
    search: Any
    finished: bool = False
    changed: frozenset[str] = frozenset()


def resumed(arguments: argparse.Namespace) -> GoingOn | None:
    """The training that --resume goes on with; None where --out has none yet, so that it begins.

    Raises DataError where it is not said which, or where it was trained with other arguments.
    """
    as_source = is_folder(Path(arguments.source)) and _holds_run(Path(arguments.source))
    if not as_source and arguments.out is None:
        source = quoted(arguments.source)
        raise DataError(
            f"--resume goes on with the training in a run folder, and {source} is none: write "
            f"chainrule train RUN --resume, or chainrule train {source} --out RUN --resume"
        )
    folder = Path(arguments.source if as_source else arguments.out)
    if as_source and arguments.out not in (None, arguments.source):
        raise DataError(
            f"--out {arguments.out}: a training goes on in its own folder, {folder}: leave it out"
        )
    stored = folder / checkpoints_name / training_name
    if not is_file(stored):
        if not _holds_run(folder):
            return None
        description = read_description(folder / description_name)
        stopped = (description or {}).get("result", {}).get("stopped")
        if stopped in ("interrupted", "failed"):
            raise FileError(
                f"{folder}: was {stopped} and holds no checkpoints to go on from: --overwrite instead of "
                "--resume begins anew"
            )
        arguments.out = str(folder)
        return GoingOn(arguments, {}, None, finished=True)
    content = read_description(stored) or {}
    told = content.get("arguments")
    if not isinstance(told, dict):
        raise FileError(f"{stored}: does not say how the training was begun")
    before = parsed(told, stored)
    usual = vars(_train(["-"]))
    as_before = as_source or arguments.allow_changes  # what is not said
    changed = set()
    for name, value in vars(arguments).items():
        mine = value if not as_before or value != usual.get(name) else getattr(before, name)
        kept = name == "shards" and value is None  # as they were, with however many ranks
        if kept or name in FREE or name == "run" or (as_source and name == "source"):
            continue
        if mine != getattr(before, name) and arguments.allow_changes:
            changed.add(name)
            setattr(before, name, mine)
        elif mine != getattr(before, name):
            option = "the source" if name == "source" else f"--{name.replace('_', '-')}"
            then = _said(getattr(before, name))
            raise DataError(
                f"{folder}: was begun with {option} {then}, here it is {_said(mine)}: "
                f"chainrule train {folder} --resume takes everything from there, and --allow-changes added "
                "here goes on with this"
            )
    for name in FREE - {"out", "resume", "no_download"}:
        if not as_before or getattr(arguments, name) != usual[name]:
            setattr(before, name, getattr(arguments, name))
    before.out, before.resume, before.url, before.run = str(folder), True, None, arguments.run
    before.allow_changes = arguments.allow_changes
    before.no_download = before.no_download or arguments.no_download or as_source
    return GoingOn(
        before, settings_of(content, stored), content.get("search"), changed=frozenset(changed)
    )


def _holds_run(folder: Path) -> bool:
    return is_file(folder / description_name) or is_file(folder / checkpoints_name / training_name)


def _said(value: Any) -> str:
    return "not given" if value in (None, False) else quoted(str(value), 60)


def _train(words: list[str]) -> argparse.Namespace:
    return build_parser().parse_args(["train", *words])


def parsed(told: dict[str, Any], place: Path) -> argparse.Namespace:
    """Stored arguments, read as those of a command line.  FileError where they are none."""
    damaged = FileError(f"{place}: does not hold the arguments of chainrule train")
    words, source = [], told.get("source")
    if not isinstance(source, str):
        raise damaged
    for action in _actions():
        value = told.get(action.dest)
        if value is None or not action.option_strings:
            continue
        option = action.option_strings[-1]
        if action.nargs == 0:
            words += [option] if value is True else []
        elif isinstance(action, argparse._AppendAction):
            words += [f"{option}={entry}" for entry in value]
        elif action.dest == "size":
            words.append(f"{option}={'x'.join(map(str, value))}")
        elif isinstance(value, list):
            words.append(f"{option}={_row(value)}")
        else:
            words.append(f"{option}={value}")
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # where the parser would complain of the command line
            return _train([*words, "--", source])
    except (SystemExit, TypeError, ValueError):
        raise damaged from None


def _actions() -> list[argparse.Action]:
    commands = build_parser()._subparsers
    assert commands is not None
    (choices,) = commands._group_actions
    train: Parser = dict(choices.choices or {})["train"]
    return train._actions


def _row(names: list[Any]) -> str:
    """Names as an option of the command line has them: one that holds a comma stands within quotes."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(names)
    return text.getvalue()
