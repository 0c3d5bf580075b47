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
from chainrule.cli.arguments import headers, kinds_of_inputs, optimizers, schedules, tasks
from chainrule.cli.folder import description_name, is_file, is_folder
from chainrule.cli.output import remark
from chainrule.cli.training.choices import Settings, choose_optimizer, choose_penalty
from chainrule.cli.training.networks import sequential
from chainrule.cli.training.recipes import RECIPES, Recipe
from chainrule.cli.training.rows import Rows
from chainrule.cli.training.sources import Known, Problem, load_problem, mnist_folder
from chainrule.data import Preparation
from chainrule.data.sets.mnist import find_mnist

if TYPE_CHECKING:
    from chainrule.losses.penalties import Penalty
    from chainrule.networks.network import Network
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
_texts: Check = (
    lambda value: isinstance(value, list) and all(_text[0](entry) for entry in value), "a list of texts"
)  # fmt: skip
_sizes: Check = (
    lambda value: isinstance(value, list) and len(value) == 2 and all(_whole(1)[0](size) for size in value),
    "two whole numbers",
)
ARGUMENTS: dict[str, Check] = {
    "source": _text, "data": _or_none(_text), "target": _or_none(_text), "x": _text,
    "header": _one_of(*headers), "task": _one_of(*tasks),
    "inputs": _or_none(_one_of(*kinds_of_inputs)), "size": _or_none(_sizes),
    **{name: _or_none(_text) for name in ("delimiter", "decimal", "encoding", "missing")},
    **{name: _or_none(_texts) for name in ("columns", "drop", "kind", "levels")},
    "test": _number(0, 1, above=True), "seed": _whole(0), "recipe": _or_none(_one_of(*RECIPES)),
    "clip": _or_none(_number(0, above=True)),
}  # fmt: skip
DEFAULTS = {"inputs": "auto"}  # of arguments that the first runs did not have
SETTINGS: dict[str, Check] = {
    "epochs": _whole(1), "batch_size": _whole(1),
    "optimizer": _one_of(*optimizers), "rate": _number(0, above=True),
    "penalty": _number(0), "shift": _whole(0), "momentum": _or_none(_number(0, 1)),
    "schedule": _one_of(*schedules, "coslog"),
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
    return {key: DEFAULTS.get(key) if record.get(key) is None else record[key] for key in checks}


def _received(value: Any) -> str:
    try:
        return quoted(repr(value), 90)
    except ValueError:  # an integer of more digits than Python prints
        return "a number of thousands of digits"


def _file(place: Path) -> Path:
    return (place if place.is_dir() else place.parent) / description_name


def problem_of(
    description: Mapping[str, Any], place: Path, network: Network, *, download: bool = False
) -> Problem:
    """The data of a run again, divided as they were and prepared as its model says; says which file is read.

    download: fetch MNIST where it is missing. Raises FileError where the data cannot be loaded, or where it
    is not known any more which of them were held out.
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
        if not (is_file(Path(told.source)) or is_folder(Path(told.source))):
            raise FileError(
                f"{place}: the data of the run cannot be loaded ({quoted(told.source)} is no file on this "
                f"machine); {advice}"
            )
        remark(f"reading {told.source}, which the run names as its data")
    folder = place if place.is_dir() else place.parent
    preparation = Preparation() if network.preparation is None else network.preparation
    known = Known(preparation, network.classes, Rows.load(folder), sequential(network.layers))
    try:
        problem = load_problem(told, known)
    except (ChainruleError, OSError) as error:
        raise FileError(f"{place}: the data of the run cannot be loaded ({error}); {advice}") from error
    if known.rows is None and problem.rows is not None:
        _check_count(description, problem, place, advice)
    return problem


def _check_count(description: Mapping[str, Any], problem: Problem, place: Path, advice: str) -> None:
    """Of a run of the time before rows were kept: as many must be held out as then."""
    data = description.get("data")
    before = data.get("held_out") if isinstance(data, dict) else None
    if isinstance(before, int) and before != len(problem.X_test):
        raise FileError(
            f"{place}: its data have changed since, {before} samples were held out and now "
            f"{len(problem.X_test)} would be, and the run has not kept which: {advice}"
        )


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
