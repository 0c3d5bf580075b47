"""The model files in stored_files, and what a file says of a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.base.errors import FileError

FORMATS = ["npz", "safetensors"]
STORED = Path(__file__).parent / "stored_files"
# Written by chainrule 0.1.0 while descriptions had no hash of their own; never written again.
EXPECTED: dict[str, Any] = json.loads((STORED / "expected.json").read_text(encoding="utf-8"))


def refusal(path: Path) -> str | None:
    """Why a file is refused; None where it is not."""
    try:
        cr.load(path)
    except FileError as error:
        return str(error)
    return None


def facts(network: cr.Network, X: Any) -> list[Any]:
    """Everything that a file says of a network, and what it predicts."""
    return [
        repr(network),
        [layer.name for layer in network.layers],
        network.name,
        network.dtype,
        network.input_shape,
        None if network.classes is None else (network.classes.tolist(), network.classes.dtype),
        None if network.preparation is None else network.preparation.to_json(),
        [(name, array.tobytes()) for name, array in network.parameters.items()],
        network.predict(X).tobytes(),
    ]


def sample(name: str) -> tuple[cr.Network, Any]:
    """A stored network, and inputs for it."""
    kept = EXPECTED[name]
    return cr.load(STORED / f"{name}.npz"), np.array(kept["X"], kept["dtype"])
