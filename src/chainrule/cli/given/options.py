"""The options of the layer that is meant, from --option NAME=VALUE and --NAME VALUE."""

from __future__ import annotations

import argparse
from typing import Any

from chainrule.base.errors import FileError
from chainrule.cli.arguments import layer_options


def options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """By their names.  Raises FileError for one that is told twice or belongs to no layer."""
    told = {
        name: value for name in layer_options if (value := getattr(arguments, f"layer_{name}")) is not None
    }
    for name, value in arguments.option:
        if name in told:
            raise FileError(f"{name} is told twice: leave out --option {name}=... or the other")
        told[name] = value
    if told and arguments.like is None:
        name = next(iter(told))
        raise FileError(f"{name} is an option of a layer: say which, --like conv2d")
    return told
