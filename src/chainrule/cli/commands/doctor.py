"""`chainrule doctor`: what stands in the way of learning, by the gradient flow of a trained network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.base.errors import FileError
from chainrule.cli.folder import description_name, open_run, read_description
from chainrule.cli.output import complain, say
from chainrule.cli.runs.labelled import labelled_samples
from chainrule.cli.runs.stored import optimizer_of, penalty_of, problem_of, recipe_of, settings_of

if TYPE_CHECKING:
    from chainrule.diagnosing.doctor import Diagnosis


def run(arguments: argparse.Namespace) -> int:
    """Print the diagnosis; exit code 1 where something bad was found."""
    diagnosis = diagnosed(arguments)
    if arguments.json:
        import json

        content = {"findings": diagnosis.findings, "flow": diagnosis.flow}
        say(json.dumps(content, allow_nan=False))  # ASCII, whatever the output can show
    else:
        say(diagnosis.text(arguments.language))
    return 0 if diagnosis else 1


def diagnosed(arguments: argparse.Namespace) -> Diagnosis:
    """On --data, else on what the run was trained on, with the optimizer and the history of the run."""
    from chainrule.diagnosing.doctor import diagnose
    from chainrule.training.history import History

    place = Path(arguments.model)
    network, _ = open_run(place)
    folder = place if place.is_dir() else place.parent
    description = read_description(folder / description_name)
    options: dict[str, Any] = {"samples": arguments.samples}
    if description is not None:
        try:
            options |= training_of(description, place)
        except FileError as error:
            if arguments.data is None:
                raise
            complain(f"looked at without the run's own training: {error}")
        if (folder / "history.csv").exists():
            options["history"] = History.from_csv(folder / "history.csv")
    if arguments.data is not None or description is None:
        given = labelled_samples(arguments)
        return diagnose(given.network, given.X, given.y, **options)
    problem = problem_of(description, place, network, download=arguments.download)
    return diagnose(network, problem.X_train, problem.y_train, **options)


def training_of(description: dict[str, Any], place: Path) -> dict[str, Any]:
    """Loss, penalty, optimizer and batch size that a run was trained with."""
    recipe = recipe_of(description, place)
    return {
        "penalty": penalty_of(description, place),
        "batch_size": settings_of(description, place)["batch_size"],
        "optimizer": optimizer_of(description, place),
        **({} if recipe is None else {"loss": recipe.loss()}),
    }
