"""`verify`: is a backward pass that somebody wrote right, and if not, which mistake is it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.scalars import check_count
from chainrule.data.arrays import plain_array
from chainrule.losses.penalties import Penalty, penalty_from
from chainrule.verifying.judge import Judge
from chainrule.verifying.meanings.matching import Like
from chainrule.verifying.subject import parameters_of, subject_from
from chainrule.verifying.verdict import Verdict


def verify(
    given: Any,
    *,
    args: Sequence[Any],
    like: Any = None,
    loss: Any = None,
    penalty: Penalty | None = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    hint_level: int = 3,
    **options: Any,
) -> Verdict:
    """Whether a backward pass that somebody wrote is right, and if not, which mistake it is.

    given: (forward, backward), two functions in the style of CS231n: forward(*args) -> (out, cache),
        backward(dout, cache) -> a gradient per argument, in their order or in a dict; or an object with the
        methods forward and backward, whose parameters are W, b, gamma, ... and their gradients dW, db, ...
    args: arrays on which it works, the input first, then the parameters. Use sizes that differ from each
        other: what has the same size cannot always be told apart.
    like: what it is meant to be: a layer or loss of ours, MaxPool2D(2), or a name, "conv2d", with its options
        (stride=2, padding=1); a list of layers or a network, with loss and penalty where J comes back.
        None: the differences of its own forward are the only judge.
    names: of the arguments, for the messages. hint_level: how much is said, 0 to 3.

    Their code is run as it is, several times; isolating it is up to you. Raises ArgumentError and DataError
    for what cannot be run.
    """
    level = check_count("hint_level", hint_level, 0, 3)
    arrays = [plain_array(value, f"args[{number}]") for number, value in enumerate(args)]
    if not arrays:
        raise ArgumentError("args is empty: give the arrays on which forward is called, args=(x, W, b)")
    subject = subject_from(given, arrays, names)
    if len(subject.names) > len(arrays):
        arrays = [*arrays, *parameters_of(given)]
    meant = None if like is None else Like(like, options, loss, penalty_from(penalty))
    if meant is None and options:
        raise ArgumentError(f"{', '.join(options)}: options of a layer, which like= names")
    return Judge(subject, arrays, meant, check_count("seed", seed, 0, np.inf)).verdict(level)


def assert_backward(given: Any, **arguments: Any) -> None:
    """For tests: AssertionError with the verdict unless the backward pass is right; arguments of `verify`."""
    verdict = verify(given, **arguments)
    if not verdict:
        raise AssertionError(str(verdict))
