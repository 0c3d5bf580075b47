"""The document as a page carries it: what its scripts compute with, and nothing that only texts are made of.

page/engine/document.js reads it.  Formulas that layers have in common are there once, and tensors may be
frozen to make room.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from chainrule.explaining.schema import CardRecord, LayerRecord, Tensor, without

# What is in the markup of the page and in no script's hands.
_TEXTS = (
    "notation", "conventions", "slips", "boxes", "flow", "findings", "check", "kernels", "loss_card", "apart",
)  # fmt: skip
_STATISTICS = 100  # bytes that take the place of a tensor's numbers
_DRAWN = ("values", "z", "f", "df", "edges", "counts", "marks", "titles")  # of a picture: it is drawn


def embedded(document: Mapping[str, Any], freed: int = 0) -> str:
    """The document of a page as JSON, for a <script>.

    freed: bytes of tensors that are left out, the largest of what can be computed again first.
    """
    kept = {key: value for key, value in document.items() if key not in _TEXTS}
    if "tensors" in kept:
        kept["tensors"] = {name: _tensor(name, tensor) for name, tensor in _frozen(kept["tensors"], freed)}
    if "cards" in kept:
        kept["cards"] = [_card(card) for card in kept["cards"]]
    if "graph" in kept:
        shared: dict[str, int] = {}
        layers = [_layer(layer, shared) for layer in kept["graph"].get("layers", [])]
        formulas = [json.loads(text) for text in shared]
        kept["graph"] = {**kept["graph"], "layers": layers, "formulas": formulas}
    text = json.dumps(_finite(kept), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # "<" would end or open a script or a comment within one; in JSON it stands in strings only.
    return text.replace("<", "\\u003c")


def _frozen(tensors: Mapping[str, Tensor], freed: int) -> Iterator[tuple[str, Tensor]]:
    """The tensors, without the numbers of so many that `freed` bytes are saved."""
    order = sorted(
        (name for name, tensor in tensors.items() if "data" in tensor),
        key=lambda name: (_needed(name), -len(tensors[name]["data"])),
    )
    out = set()
    for name in order:
        if freed <= 0:
            break
        freed -= max(len(tensors[name]["data"]) - _STATISTICS, 0)
        out.add(name)
    for name, tensor in tensors.items():
        yield name, without(tensor, "data") if name in out else tensor


def _needed(name: str) -> int:
    """How much depends on a tensor: gradients least, on what all passes start from most."""
    if name.startswith(("gradient:", "delta:")):
        return 0
    return 2 if "." in name or name in ("input", "y", "weights") or name.startswith("given:") else 1


def _tensor(name: str, tensor: Tensor) -> Mapping[str, object]:
    """Statistics with six digits, and only of what is frozen or may be edited."""
    kept = without(tensor, "stats")
    if "data" in tensor and _needed(name) < 2:
        return kept
    return {**kept, "stats": {key: _rounded(value) for key, value in tensor.get("stats", {}).items()}}


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) and math.isfinite(value) else value


def _card(card: CardRecord) -> Mapping[str, object]:
    if "pictures" not in card:
        return card
    return {**card, "pictures": [without(picture, *_DRAWN) for picture in card["pictures"]]}


def _layer(layer: LayerRecord, shared: dict[str, int]) -> Mapping[str, object]:
    """A layer whose formulas are the number of those in `shared`."""
    record: dict[str, object] = {**layer}
    if layer.get("formulas") is not None:
        text = json.dumps(_finite(layer["formulas"]), ensure_ascii=False, separators=(",", ":"))
        record["formulas"] = shared.setdefault(text, len(shared))
    if "branches" in layer:
        record["branches"] = [[_layer(inner, shared) for inner in branch] for branch in layer["branches"]]
    return record


def _finite(value: Any) -> Any:
    """The document with null for NaN and the infinities, which JSON has not."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
