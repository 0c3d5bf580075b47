"""`chainrule doctor`: what stands in the way of learning, by the gradient flow of a trained network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.cli.recipes import RECIPES
from chainrule.cli.runs import description_name, open_run, read_description
from chainrule.cli.samples import labelled_samples, penalty_of, problem_of
from chainrule.errors import FileError

if TYPE_CHECKING:
    from chainrule.explaining.doctor import Diagnosis
    from chainrule.training.optimizers import Optimizer


def run(arguments: argparse.Namespace) -> int:
    """Print the diagnosis; exit code 1 where something bad was found."""
    diagnosis = diagnosed(arguments)
    if arguments.json:
        import json

        content = {"findings": diagnosis.findings, "flow": diagnosis.flow}
        print(json.dumps(content, allow_nan=False))  # ASCII, whatever the output can show
    else:
        print(diagnosis.text(arguments.language))
    return 0 if diagnosis else 1


def diagnosed(arguments: argparse.Namespace) -> Diagnosis:
    """On --data, else on what the run was trained on, with the optimizer and the history of the run."""
    from chainrule.explaining.doctor import diagnose
    from chainrule.training.history import History

    place = Path(arguments.model)
    network, _ = open_run(place)
    folder = place if place.is_dir() else place.parent
    description = read_description(folder / description_name)
    options: dict[str, Any] = {"samples": arguments.samples}
    if description is not None and isinstance(description.get("arguments"), dict):
        options |= training_of(description)
        if (folder / "history.csv").exists():
            options["history"] = History.from_csv(folder / "history.csv")
    if arguments.data is not None or description is None:
        given = labelled_samples(arguments)
        return diagnose(given.network, given.X, given.y, **options)
    problem = problem_of(description, place)
    return diagnose(network, problem.X_train, problem.y_train, **options)


def training_of(description: dict[str, Any]) -> dict[str, Any]:
    """Loss, penalty, optimizer and batch size that a run was trained with."""
    told, settings = description["arguments"], description.get("settings") or {}
    found: dict[str, Any] = {"penalty": penalty_of(description)}
    recipe = RECIPES.get(told.get("recipe"))
    if recipe is not None:
        found["loss"] = recipe.loss()
    if "batch_size" in settings:
        found["batch_size"] = settings["batch_size"]
        found["optimizer"] = optimizer_of(settings, told)
    return found


def optimizer_of(settings: dict[str, Any], told: dict[str, Any]) -> Optimizer:
    from chainrule.cli.train import Settings, choose_optimizer

    try:
        return choose_optimizer(Settings(**settings), argparse.Namespace(**told))
    except (TypeError, AttributeError) as error:
        raise FileError(f"run.json describes a training that this version does not know ({error})") from error
