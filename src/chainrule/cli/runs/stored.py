"""What run.json says of a training, checked: a run folder may have come from somebody else.

Nothing here asks the network for anything because a file says so: MNIST of a run is read from this machine,
and fetched where this very call asks for it, from MNIST's own address.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.base.errors import ChainruleError, FileError
from chainrule.base.shown import quoted
from chainrule.cli.arguments import headers, optimizers, schedules, tasks
from chainrule.cli.folder import description_name, is_file
from chainrule.cli.output import remark
from chainrule.cli.training.choices import Settings, choose_optimizer, choose_penalty
from chainrule.cli.training.recipes import RECIPES, Recipe
from chainrule.cli.training.sources import Problem, load_problem, mnist_folder
from chainrule.data.sets.mnist import find_mnist

if TYPE_CHECKING:
    from chainrule.losses.penalties import Penalty
    from chainrule.training.optimizers import Optimizer

Check = tuple[Callable[[Any], bool], str]


def _number(least: float, most: float = math.inf, *, above: bool = False) -> Check:
    def fits(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
            return False
        return (value > least if above else value >= least) and value < most

    return fits, f"a number {'above' if above else 'of at least'} {least:g}"


def _whole(least: int) -> Check:
    return lambda value: type(value) is int and least <= value < 2**63, f"a whole number of at least {least}"


def _one_of(*names: str) -> Check:
    return lambda value: isinstance(value, str) and value in names, f"one of {', '.join(names)}"


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check[0](value), f"{check[1]}, or null"


_text: Check = (lambda value: isinstance(value, str) and "\0" not in value, "a text")
ARGUMENTS: dict[str, Check] = {
    "source": _text, "data": _or_none(_text), "target": _or_none(_text), "x": _text,
    "header": _one_of(*headers), "task": _one_of(*tasks),
    "test": _number(0, 1, above=True), "seed": _whole(0), "recipe": _or_none(_one_of(*RECIPES)),
    "clip": _or_none(_number(0, above=True)),
}  # fmt: skip
SETTINGS: dict[str, Check] = {
    "epochs": _whole(1), "batch_size": _whole(1),
    "optimizer": _one_of(*optimizers), "rate": _number(0, above=True),
    "penalty": _number(0), "shift": _whole(0), "momentum": _or_none(_number(0, 1)),
    "schedule": _one_of(*schedules),
}  # fmt: skip


def arguments_of(description: Mapping[str, Any], place: Path) -> argparse.Namespace:
    """The arguments that say on what a run was trained, of `chainrule train`."""
    return argparse.Namespace(**_checked(description.get("arguments"), ARGUMENTS, "arguments", place))


def settings_of(description: Mapping[str, Any], place: Path) -> dict[str, Any]:
    """The settings of a run's training."""
    return _checked(description.get("settings"), SETTINGS, "settings", place)


def _checked(record: Any, checks: Mapping[str, Check], name: str, place: Path) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise FileError(
            f"{_file(place)}: does not say how the run was trained ('{name}' is {quoted(repr(record), 90)}); "
            "name samples with --data FILE"
        )
    for key, (fits, what) in checks.items():
        if not fits(record.get(key)):
            received = _received(record[key]) if key in record else "missing"
            raise FileError(f"{_file(place)}: '{key}' in '{name}' is {received}, but must be {what}")
    return {key: record.get(key) for key in checks}


def _received(value: Any) -> str:
    try:
        return quoted(repr(value), 90)
    except ValueError:  # an integer of more digits than Python prints
        return "a number of thousands of digits"


def _file(place: Path) -> Path:
    return (place if place.is_dir() else place.parent) / description_name


def problem_of(description: Mapping[str, Any], place: Path, *, download: bool = False) -> Problem:
    """The data of a run again, split as it was; says which file is read.

    download: fetch MNIST where it is missing. Raises FileError where the data cannot be loaded.
    """
    told = arguments_of(description, place)
    told.no_download, told.url = not download, None
    advice = "name other samples with --data FILE"
    for name in filter(None, (told.source, told.data)):
        if name.replace("\\", "/").startswith("//"):
            raise FileError(f"{_file(place)}: names data on another machine, {quoted(name)}: {advice}")
    if told.source == "mnist":
        told.data = _mnist_folder(told.data, download=download)
        if not _complete(told.data) and not download:
            raise FileError(
                f"{place}: was trained on MNIST, which is not complete in {quoted(told.data)}; add "
                f"--download to have it fetched, or {advice}"
            )
    elif told.source != "digits":
        if not is_file(Path(told.source)):
            raise FileError(
                f"{place}: the data of the run cannot be loaded ({quoted(told.source)} is no file on this "
                f"machine); {advice}"
            )
        remark(f"reading {told.source}, which the run names as its data")
    try:
        return load_problem(told)
    except (ChainruleError, OSError) as error:
        raise FileError(f"{place}: the data of the run cannot be loaded ({error}); {advice}") from error


def _mnist_folder(named: str | None, *, download: bool) -> Path:
    """Where a run's MNIST is looked for; only this user's own folder is ever downloaded to."""
    folder = Path(named) if named else mnist_folder()
    return mnist_folder() if download and not _complete(folder) else folder


def _complete(folder: Path) -> bool:
    try:
        return None not in find_mnist(folder).values()
    except OSError:  # a name that is too long
        return False


def recipe_of(description: Mapping[str, Any], place: Path) -> Recipe | None:
    """The recipe of a run, if it followed one."""
    name = arguments_of(description, place).recipe
    return None if name is None else RECIPES[name]


def penalty_of(description: Mapping[str, Any], place: Path) -> Penalty | None:
    """The penalty a run was trained with."""
    return choose_penalty(Settings(**settings_of(description, place)), recipe_of(description, place))


def optimizer_of(description: Mapping[str, Any], place: Path) -> Optimizer:
    """The optimizer of a run."""
    return choose_optimizer(Settings(**settings_of(description, place)), arguments_of(description, place))
