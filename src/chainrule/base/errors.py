"""The errors chainrule raises: each names the argument, what was received and what to write instead."""

from __future__ import annotations

import math
from typing import Any

from chainrule.base.shown import LONGEST_MESSAGE, clipped, quoted, shown


class ChainruleError(Exception):
    """Base of every error that chainrule raises on purpose.

    Its message can be shown as it is: a control character from a file or an argument stands in it as an
    escape, and of one that quotes more than a screen the middle is left out.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(_fit(argument) if isinstance(argument, str) else argument for argument in args))


def _fit(message: str) -> str:
    return clipped(shown(message), LONGEST_MESSAGE)


class ShapeError(ChainruleError, ValueError):
    """A shape does not fit the layer, the network or the loss."""


class DataError(ChainruleError, ValueError):
    """Data that cannot be trained on: NaN, Inf, empty, unknown labels, wrong dtype."""


class ArgumentError(ChainruleError, ValueError):
    """A number or an option that cannot be used: not in its range, not among its choices."""


class PairError(ChainruleError, ValueError):
    """An output activation and a loss that do not belong together."""


class NonFiniteError(ChainruleError, ArithmeticError):
    """A prediction, the loss, a δ, a gradient or a parameter is NaN or infinite."""


class FileError(ChainruleError, ValueError):
    """A file that is missing, malformed, or does not hold what it says."""


class SettingError(ChainruleError, ValueError):
    """An environment variable asks for what this machine does not have."""


class BuildError(ChainruleError, ImportError):
    """The compiled engine does not belong to these Python sources."""


class RankError(ChainruleError, RuntimeError):
    """Processes that train one model together differ in what must be the same."""


class MissingExtraError(ChainruleError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: pip install 'chainrule[{extra}]'")


# Named in a traceback as users name them: chainrule.ShapeError.
for _public in (
    ChainruleError,
    DataError,
    FileError,
    MissingExtraError,
    NonFiniteError,
    PairError,
    ShapeError,
):
    _public.__module__ = "chainrule"


def describe(value: Any) -> str:
    """The value for an error message: a long text by its ends, arrays and other long things by their type."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if (
        isinstance(value, int) and abs(value) >= 10**40
    ):  # Python refuses to print what is longer than 4300 digits
        return f"an integer of about {int(value.bit_length() * math.log10(2)) + 1} digits"
    try:
        text = repr(value)
    except ValueError:  # such an integer within a list
        return type(value).__name__
    if isinstance(value, str | bytes):
        return quoted(text, 90)
    return text if len(text) <= 40 else type(value).__name__
