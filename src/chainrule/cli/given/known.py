"""Arrays for what has no sizes of its own: losses, penalties, attention and other functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.losses.penalties import Penalty
from chainrule.verifying.meanings.matching import Like
from chainrule.verifying.meanings.objective import Wanted

SAMPLES, CLASSES = 6, 4
OF_CLASSES = ("CrossEntropy", "Focal", "Divergence", "NegativeLogLikelihood", "MultiMargin")
Shapes = Sequence[tuple[int, ...]]
OF_FUNCTIONS: dict[str, Sequence[Shapes]] = {
    "attention": (
        ((3, 4), (6, 4), (6, 5)),
        ((2, 3, 4), (2, 6, 4), (2, 6, 5)),
        ((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 7)),
    ),
    "glu": (((3, 4), (3, 4)), ((3, 4), (4, 5), (4, 5), (5, 4))),
    "rotary": (((2, 5, 4),), ((2, 5, 3, 4),)),
    "gelutanh": (((3, 4),),),
}


def arrays_for(like: str, options: dict[str, Any], seed: int) -> Iterator[list[Array]]:
    """What a function of that meaning may take, the likeliest first; nothing where that is not known."""
    kind = Like(like, options).kind
    rng = np.random.default_rng(seed)
    if isinstance(kind, (Penalty, tuple)):
        yield [rng.normal(size=(CLASSES, CLASSES + 1))]
    elif isinstance(kind, list) and isinstance(kind[0], Wanted):
        yield from _of_losses(type(kind[0].loss).__name__ in OF_CLASSES, rng)
    elif isinstance(kind, list):
        name = next((name for name in OF_FUNCTIONS if name in kind[0].name), "glu")
        for shapes in OF_FUNCTIONS[name]:
            yield [rng.normal(size=shape) for shape in shapes]


def _of_losses(of_classes: bool, rng: np.random.Generator) -> Iterator[list[Array]]:
    """Outputs and targets: scores with classes, numbers with numbers, shares with flags."""
    scores = rng.normal(size=(SAMPLES, CLASSES))
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    classes = rng.integers(0, CLASSES, SAMPLES)
    one_hot = np.eye(CLASSES)[classes]
    by_class: list[list[Array]] = [[scores, classes], [scores, one_hot], [shares, classes], [shares, one_hot]]
    by_number: list[list[Array]] = []
    for shape in ((SAMPLES, CLASSES - 1), (SAMPLES,), (SAMPLES, 1)):
        flags = rng.integers(0, 2, shape).astype(np.float64)
        by_number += [
            [rng.normal(size=shape), rng.normal(size=shape)],
            [rng.uniform(0.1, 0.9, shape), flags],
            [rng.normal(size=shape), flags],
            [rng.normal(size=shape), 2 * flags - 1],
        ]
    yield from (*by_class, *by_number) if of_classes else (*by_number, *by_class)
