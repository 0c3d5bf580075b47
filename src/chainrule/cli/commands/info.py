"""`chainrule info`: what runs here."""

from __future__ import annotations

import argparse
from typing import Any

from chainrule.cli.output import say


def run(arguments: argparse.Namespace) -> int:
    """Print the facts as an aligned table."""
    say(table(facts()))
    return 0


def facts() -> dict[str, Any]:
    """Versions and what the engine says of itself."""
    from chainrule import engine

    return engine.info()


def table(rows: dict[str, Any]) -> str:
    """name  value, one line each, aligned."""
    width = max(len(name) for name in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())
