"""`chainrule train`: from a source of data to a run folder with a model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from chainrule.base.errors import DataError, ShapeError
from chainrule.cli.folder import check_out
from chainrule.cli.output import say, tell
from chainrule.cli.ranks import ranks
from chainrule.cli.runs.going_on import resumed
from chainrule.cli.training.choices import (
    Settings,
    choose_class_weights,
    choose_optimizer,
    choose_penalty,
    choose_settings,
)
from chainrule.cli.training.job import Job, TrainingData, train
from chainrule.cli.training.networks import (
    REALMLP,
    check_network,
    named,
    named_layers,
    read_network_file,
    sequential,
)
from chainrule.cli.training.recipes import VALIDATION_PART, Recipe, listing, recipe_from
from chainrule.cli.training.search import Search, is_searched, search
from chainrule.cli.training.sources import Problem, load_problem
from chainrule.cli.training.tabular import VALIDATION, clamp_of, settings_of, tabular_of
from chainrule.data import shifted, split

if TYPE_CHECKING:
    from chainrule.distributed import Communicator
    from chainrule.losses import Loss
    from chainrule.losses.penalties import Penalty
    from chainrule.networks.network import Network
    from chainrule.training.methods.tabular import Tabular

samples_checked = 8


def run(arguments: argparse.Namespace) -> int:
    """Load, check, train, test, save; the last line is the test's result."""
    with ranks(arguments) as comm:
        return together(arguments, comm)


def together(arguments: argparse.Namespace, comm: Communicator | None) -> int:
    """The same on every rank, of which all but the first say and write nothing."""
    if arguments.recipe == "list":
        say(listing())
        return 0
    going_on = None
    if arguments.allow_changes and not arguments.resume:
        raise DataError("--allow-changes is about a training that goes on: add --resume, or leave it out")
    if arguments.resume:
        going_on = resumed(arguments)
        if going_on is not None and going_on.finished:
            tell(f"{arguments.out}: this training is finished; --overwrite instead of --resume begins anew")
            return 0
        arguments = arguments if going_on is None else going_on.arguments
    comm = sharing(arguments, comm)
    recipe = recipe_from(arguments)
    if arguments.patience and not arguments.validation:
        raise DataError("--patience watches validation data: add --validation 0.1, say")
    if arguments.out is not None:
        check_out(arguments.out, overwrite=arguments.overwrite or going_on is not None)
    problem = load_problem(arguments, sequential=kind_of_network(arguments))
    tabular = tabular_of(problem, arguments)
    network = build_network(problem, arguments, recipe, tabular)
    loss = recipe.loss() if recipe else tabular.loss if tabular else loss_of(network, problem)
    settings = settings_of(tabular) if tabular else choose_settings(problem, arguments, recipe)
    if settings.shift and len(problem.input_shape) != 3:
        raise DataError(
            f"--shift {settings.shift} moves images, but the samples of {arguments.source} are rows of "
            "numbers: leave it out"
        )
    if settings.shift >= min(problem.input_shape[:2]):
        raise DataError(
            f"--shift {settings.shift} needs images with more than {settings.shift} rows and columns"
        )
    if tabular is None:
        choose_optimizer(settings, arguments)  # refuses what does not go together before anything is printed
    weights = choose_class_weights(arguments.class_weights, problem)
    data = training_data(
        problem,
        settings.shift,
        arguments,
        by_recipe=recipe is not None,
        chosen_by_validation=tabular is not None,
    )
    for note in problem.notes:
        tell(note)
    tell(problem.describe(arguments.seed))
    if problem.why:
        tell(f"target {problem.preparation.target_name or arguments.target or 'labels'}: {problem.why}")
    if problem.preparation.inputs is not None:
        tell(problem.preparation)
    if settings.shift:
        pixels = "1 pixel" if settings.shift == 1 else f"{settings.shift} pixels"
        tell(f"with the copies shifted by {pixels}: {len(data.X)} samples to train")
    if weights is not None:
        named = ", ".join(f"{label} {weight:.4g}" for label, weight in weights.items())
        tell(f"class weights: {named}")
    tell(network.summary())
    checked = arguments.no_check or going_on is not None
    if not checked and not passes_check(network, problem, loss, choose_penalty(settings, recipe)):
        return 1
    tried = Search(settings)
    if going_on is not None:
        said = {name: value for name, value in vars(settings).items() if name in going_on.changed}
        tried = Search(Settings(**{**going_on.settings, **said}), (), going_on.search)
    elif tabular is None and is_searched(problem, arguments, recipe):
        tried = search(network, data.X, data.y, loss, settings, arguments, weights)
        tell("\n".join(tried.lines))
    train(Job(problem, data, network, loss, tried, recipe, weights, tabular), arguments, comm)
    return 0


def sharing(arguments: argparse.Namespace, comm: Communicator | None) -> Communicator | None:
    """The ranks, with the shards of the training that goes on; one alone, where several have begun it."""
    if comm is None and arguments.shards is not None:
        from chainrule.distributed import Alone

        return Alone(arguments.shards)
    if comm is not None:
        comm.shards = arguments.shards = arguments.shards or comm.shards
    return comm


def build_network(
    problem: Problem, arguments: argparse.Namespace, recipe: Recipe | None, tabular: Tabular | None = None
) -> Network:
    """The recipe's network, or the one that --network names, with one output per class or target."""
    from chainrule.layers import Sigmoid
    from chainrule.networks.network import Network

    kind = arguments.network or default_network(problem)
    classify = problem.classes is not None
    if recipe is not None:
        layers = recipe.layers()
    elif tabular is not None:
        layers = tabular.layers(problem.preparation.inputs, problem.outputs, clamp_of(problem))
    elif kind in named:
        layers = named_layers(
            kind, problem.input_shape, problem.outputs, classify=classify, vocabulary=problem.vocabulary
        )
    elif kind.lower().endswith(".toml"):
        layers, stated = read_network_file(kind)
        if stated is not None and stated != problem.input_shape:
            raise ShapeError(
                f"{kind}: input_shape is {list(stated)}, but the data has {list(problem.input_shape)}"
            )
        check_network(layers, problem.input_shape, 1, kind)
    else:
        raise DataError(
            f"--network {kind}: write {', '.join((*named, REALMLP))}, or a network file that ends in .toml"
        )
    rounded = arguments.precision == "bfloat16"
    network = Network(
        layers,
        input_shape=problem.input_shape,
        seed=arguments.seed,
        dtype="float32" if rounded else arguments.precision,
        precision=arguments.precision if rounded else None,
    )
    binary = classify and problem.outputs == 2 and isinstance(network.layers[-1], Sigmoid)
    if network.output_shape != (problem.outputs,) and not (binary and network.output_shape == (1,)):
        what = f"{problem.outputs} classes" if classify else f"{problem.outputs} target column(s)"
        raise ShapeError(
            f"{kind}: the network ends in shape {list(network.output_shape)}, but the data has {what}: "
            f"end it in Dense with units = {problem.outputs}"
        )
    network.classes = problem.classes
    network.preparation = problem.preparation
    return network


def kind_of_network(arguments: argparse.Namespace) -> str | None:
    """ "sequences" or "ids" where the network that --network names reads these."""
    kind = arguments.network or ""
    if kind.lower().endswith(".toml"):
        return sequential(read_network_file(kind)[0])
    return "sequences" if kind == "lstm" and arguments.inputs == "auto" else None


def default_network(problem: Problem) -> str:
    """conv for images, lstm for sequences and ids, else dense."""
    if problem.vocabulary is not None or len(problem.input_shape) == 2:
        return "lstm"
    return "conv" if len(problem.input_shape) == 3 else "dense"


def loss_of(network: Network, problem: Problem) -> Loss:
    """The loss that belongs to the network's last layer."""
    from chainrule.losses import SquaredError, loss_for

    loss = loss_for(network.layers[-1])
    if problem.classes is None and not isinstance(loss, SquaredError):
        raise DataError(
            f"the network ends in {network.layers[-1]!r}, but the target is a quantity: end it in Dense, "
            "or write --task classify"
        )
    return loss


def passes_check(network: Network, problem: Problem, loss: Loss, penalty: Penalty | None) -> bool:
    """Compare the gradients of the network as it starts with finite differences; print the verdict."""
    from chainrule.checking import check_gradients

    X, y = problem.X_train[:samples_checked], problem.y_train[:samples_checked]
    report = check_gradients(network, X, y, loss=loss, penalty=penalty)
    if report.ok:
        by = "compiled kernels" if report.computed_by == "native" else "formulas"
        difference = f"relative difference {report.relative_difference:.1e} (float64, {by})"
        tell(f"{report.title}: {report.outcome}, {difference}")
    else:
        tell(report)
    return not report.wrong


def training_data(
    problem: Problem,
    shift: int,
    arguments: argparse.Namespace,
    *,
    by_recipe: bool,
    chosen_by_validation: bool = False,
) -> TrainingData:
    """Take the validation samples out, then add the copies: none of theirs is trained on.

    A recipe validates on the last sixth of the training files, 10 000 of MNIST's 60 000.
    chosen_by_validation: some are taken out without --validation, too.
    """
    X, y, validation = problem.X_train, problem.y_train, None
    if by_recipe:
        kept = len(X) - len(X) // VALIDATION_PART
        validation = (X[kept:], y[kept:]) if kept < len(X) else None
        X, y = X[:kept], y[:kept]
    elif arguments.validation or chosen_by_validation:
        stratify, part = problem.classes is not None, arguments.validation or VALIDATION
        X, X_val, y, y_val = split(X, y, part, seed=arguments.seed, stratify=stratify)
        validation = (X_val, y_val)
    if shift:
        X, y = shifted(X, y, shift)
    return TrainingData(X, y, validation)
