"""`chainrule train mnist --recipe NAME`: Nielsen's experiments as data, with the accuracies that he reports.

M. Nielsen, Neural Networks and Deep Learning (2015), chapters 1, 3 and 6: 50 000 images to train on, 10 000
to validate, 10 000 to test, mini-batches of 10, plain gradient descent at a constant rate, λ/(2n)·ΣW².
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

from chainrule.base.errors import DataError
from chainrule.base.tables import text_table
from chainrule.layers import Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, ReLU, Sigmoid, Softmax
from chainrule.layers.initializers import Normal, ScaledNormal
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, Loss, SquaredError

BATCH_SIZE = 10
VALIDATION_PART = 6  # the last sixth of the training files: 10 000 of MNIST's 60 000
# What a recipe decides, by the arguments that would decide otherwise.
DECIDED = (
    *("network", "batch_size", "rate", "schedule", "optimizer", "momentum"),
    *("penalty", "shift", "clip", "patience"),
)


@dataclass(frozen=True)
class Recipe:
    """One experiment. lam: his λ. accuracy: his, of the test set, in percent.

    by_batches: his network3.py divides λ/2 by the number of mini-batches, not of samples. shift: pixels by
    which the training images are moved in four directions, as further images.
    """

    title: str
    layers: Callable[[], list[Layer]]
    loss: type[Loss]
    rate: float
    epochs: int
    accuracy: float
    lam: float = 0.0
    by_batches: bool = False
    shift: int = 0
    note: str = ""

    @property
    def per_sample(self) -> float:
        """λ of λ/(2n)·ΣW²."""
        return self.lam * BATCH_SIZE if self.by_batches else self.lam

    def published(self) -> str:
        """His result, to stand beside ours."""
        note = f", {self.note}" if self.note else ""
        return f"Nielsen: {self.accuracy:.2f} % after {self.epochs} epochs{note}"


def dense(hidden: int, start: Normal | ScaledNormal) -> list[Layer]:
    """[784, hidden, 10] of sigmoids; biases from N(0, 1) in both of his programs."""
    layers: list[Layer] = [Flatten()]
    for units in (hidden, 10):
        layers += [Dense(units, initializer=start, bias_initializer=Normal(1.0)), Sigmoid()]
    return layers


def convolutional(
    filters: tuple[int, ...],
    activation: type[Layer],
    hidden: tuple[int, ...] = (100,),
    dropout: float = 0.0,
) -> list[Layer]:
    """5×5 convolutions with max-pooling 2, dense layers, softmax; the start of his network3.py: weights from
    N(0, 1/n_out), n_out after pooling, biases from N(0, 1), the softmax's both 0.

    dropout: of the inputs of every dense layer.
    """
    layers: list[Layer] = []
    for count in filters:
        start = Normal(math.sqrt(1 / (count * 5 * 5 / 4)))
        layers += [
            Conv2D(count, 5, initializer=start, bias_initializer=Normal(1.0)),
            MaxPool2D(2),
            activation(),
        ]
    layers.append(Flatten())
    drop = [Dropout(dropout)] if dropout else []
    for units in hidden:
        start = Normal(math.sqrt(1 / units))
        layers += [*drop, Dense(units, initializer=start, bias_initializer=Normal(1.0)), activation()]
    return [*layers, *drop, Dense(10, initializer="zeros"), Softmax()]


RECIPES: dict[str, Recipe] = {
    "nielsen-network1": Recipe(
        "[784, 30, 10], N(0, 1), quadratic cost",
        lambda: dense(30, Normal(1.0)),
        *(SquaredError, 3.0, 30, 95.42),
        note="best of three",
    ),
    "nielsen-network1-100": Recipe(
        "[784, 100, 10], N(0, 1), quadratic cost",
        lambda: dense(100, Normal(1.0)),
        *(SquaredError, 3.0, 30, 96.59),
    ),
    "nielsen-network2": Recipe(
        "[784, 30, 10], N(0, 1/n), cross-entropy",
        lambda: dense(30, ScaledNormal()),
        *(BinaryCrossEntropy, 0.5, 30, 95.49),
    ),
    "nielsen-network2-l2": Recipe(
        "[784, 100, 10], N(0, 1/n), cross-entropy",
        lambda: dense(100, ScaledNormal()),
        *(BinaryCrossEntropy, 0.5, 30, 97.92),
        lam=5.0,
    ),
    "nielsen-network2-l2-slow": Recipe(
        "[784, 100, 10], N(0, 1/n), cross-entropy",
        lambda: dense(100, ScaledNormal()),
        *(BinaryCrossEntropy, 0.1, 60, 98.04),
        lam=5.0,
    ),
    "nielsen-conv": Recipe(
        "conv 20, pool, 100, softmax; sigmoids",
        lambda: convolutional((20,), Sigmoid),
        *(CrossEntropy, 0.1, 60, 98.78),
    ),
    "nielsen-conv2": Recipe(
        "conv 20, pool, conv 40, pool, 100, softmax; sigmoids",
        lambda: convolutional((20, 40), Sigmoid),
        *(CrossEntropy, 0.1, 60, 99.06),
    ),
    "nielsen-conv2-relu": Recipe(
        "conv 20, pool, conv 40, pool, 100, softmax; ReLU",
        lambda: convolutional((20, 40), ReLU),
        *(CrossEntropy, 0.03, 60, 99.23),
        lam=0.1,
        by_batches=True,
    ),
    "nielsen-conv2-dropout": Recipe(
        "conv 20, pool, conv 40, pool, 1000, 1000, softmax; ReLU, dropout ½, shifted copies",
        lambda: convolutional((20, 40), ReLU, (1000, 1000), 0.5),
        *(CrossEntropy, 0.03, 40, 99.60),
        shift=1,
    ),
}


def recipe_from(arguments: argparse.Namespace) -> Recipe | None:
    """The recipe that --recipe names, None without it. Raises DataError for what does not go with it."""
    name = arguments.recipe
    if name is None:
        return None
    if name not in RECIPES:
        raise DataError(f"--recipe {name}: write list, or one of {', '.join(RECIPES)}")
    if arguments.source != "mnist":
        raise DataError(f"--recipe {name} belongs to MNIST: write chainrule train mnist --recipe {name}")
    for argument in DECIDED:
        if getattr(arguments, argument) is not None:
            raise DataError(
                f"--{argument.replace('_', '-')} does not go with --recipe, which decides it: leave it out"
            )
    if arguments.validation:
        raise DataError(
            "--validation does not go with --recipe, which validates on the last sixth: leave it out"
        )
    return RECIPES[name]


def listing() -> str:
    """All recipes as a table."""
    rows = [["recipe", "network", "η", "λ", "epochs", "Nielsen's accuracy"]]
    for name, recipe in RECIPES.items():
        lam = f"{recipe.lam:g}" if recipe.lam else ""
        accuracy = f"{recipe.accuracy:.2f} %"
        rows.append([name, recipe.title, f"{recipe.rate:g}", lam, str(recipe.epochs), accuracy])
    note = (
        "Mini-batches of 10. λ is divided by 2n, for nielsen-conv2-relu by 2 and the number of mini-batches."
    )
    return f"{text_table(rows, right=(2, 3, 4, 5))}\n{note}"
