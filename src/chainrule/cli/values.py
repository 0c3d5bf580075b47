"""What a word of the command line may say: argparse's types, each refusing with what to write instead."""

from __future__ import annotations

import argparse
import math

usual_shards = 8


def rhythm(text: str) -> str:
    """When checkpoints are written, as it was said."""
    import re

    if not re.fullmatch(r"never|epoch|0*[1-9]\d{0,17}|(?=.*[1-9])\d{1,9}(\.\d{1,9})?m", text):
        form = "steps such as 500, minutes such as 10m, epoch, or never"
        raise argparse.ArgumentTypeError(f"'{text}': write {form}")
    return text


def column_names(text: str) -> list[str]:
    """Names with commas between them; one that holds a comma stands within quotes."""
    import csv

    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]


def plain_value(text: str) -> object:
    """A number, a tuple "2,3", true, false, none, or a word."""
    import ast

    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    if len(text) > 200:
        raise argparse.ArgumentTypeError(f"a value of {len(text)} characters is none")
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if isinstance(value, int | float | tuple | list) and not isinstance(value, bool):
        return tuple(value) if isinstance(value, list) else value
    if text.replace("_", "").replace("-", "").isalnum():
        return text
    raise argparse.ArgumentTypeError(f"'{text}' is no number, no 2,3, not true or false, and no word")


def named_value(text: str) -> tuple[str, object]:
    """(name, value) of NAME=VALUE."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip().isidentifier():
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE, such as stride=2")
    return name.strip(), plain_value(value)


def shard_count(text: str) -> int:
    value = whole(text, 1)
    if value & (value - 1) or value > 1 << 16:
        raise argparse.ArgumentTypeError(
            f"'{text}': write a power of two up to 65536, such as {usual_shards}"
        )
    return value


def non_negative_int(text: str) -> int:
    return whole(text, 0)


def positive_int(text: str) -> int:
    return whole(text, 1)


def thread_count(text: str) -> int:
    value = whole(text, 1)
    if value > 256:
        raise argparse.ArgumentTypeError(f"'{text}' is more than 256 threads")
    return value


def ensemble_size(text: str) -> int:
    value = whole(text, 1)
    if value > 1000:
        raise argparse.ArgumentTypeError(f"'{text}' is more than 1000 networks")
    return value


def whole(text: str, least: int) -> int:
    digits = text.strip().removeprefix("+")
    try:
        value = 2**63 if digits.isdecimal() and len(digits) > 1000 else int(text)  # int() refuses thousands
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least {least}")
    if value >= 2**63:
        raise argparse.ArgumentTypeError(
            f"'{text if len(text) <= 40 else text[:37] + '...'}' is too large: "
            f"write a whole number from {least} to {2**63 - 1}"
        )
    return value


def positive_float(text: str) -> float:
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return value


def non_negative_float(text: str) -> float:
    value = number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of at least 0")
    return value


def fraction(text: str) -> float:
    value = number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 to below 1")
    return value


def share(text: str) -> float:
    value = number(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a share, above 0 and at most 1, such as 0.3")
    return value


def image_size(text: str) -> list[int]:
    """[H, W] of "HxW"."""
    height, sign, width = text.lower().partition("x")
    if not sign:
        raise argparse.ArgumentTypeError(f"'{text}' is no size: write HxW, such as 32x32")
    return [whole(height, 1), whole(width, 1)]


def number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"'{text}' is not a finite number")
    return value
