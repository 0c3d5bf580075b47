"""What is said beside a formula: where a text derives it, and why it is so, in one sentence.

Keyed by the kind of a layer (its nearest base that has an entry) and the part of its derivation: "forward",
"delta", or a parameter.  What has no entry lies beyond the tutorials and gets the sentence of its part.
"""

from __future__ import annotations

from chainrule.base.languages import Say
from chainrule.explaining.words.catalogues import DERIVATIONS
from chainrule.layers import Layer

# Where the tutorials derive it, by the names of references/sources.py.
REFERENCES: dict[tuple[str, str], str] = {
    ("Dense", "forward"): "Tutorial FC · Ning Yu · Dezeming 1.1 · Matrix notes §3",
    ("Dense", "delta"): "Tutorial FC ③ · Ning Yu · Dezeming 2.5.8 · Matrix notes §5",
    ("Dense", "W"): "Tutorial FC ① · Ning Yu · Dezeming 2.2.8 · Matrix notes §6",
    ("Dense", "b"): "Tutorial FC ② · Ning Yu · Dezeming 3.1.3 · Matrix notes §6",
    ("Convolution", "forward"): "Tutorial conv · Wang",
    ("Convolution", "delta"): "Tutorial conv ①",
    ("Convolution", "W"): "Tutorial conv ② · Wang",
    ("Convolution", "b"): "Tutorial conv ③ · Wang",
    ("Pool", "forward"): "Tutorial pooling · Wang",
    ("Pool", "delta"): "Tutorial pooling · Wang",
    ("Activation", "forward"): "Tutorial · Dezeming 2.1.2",
    ("Activation", "delta"): "Tutorial FC ③④ · Dezeming 2.1.2",
    ("Softmax", "delta"): "Dezeming 3.2",
    ("Residual", "delta"): "Dezeming 2.1.7",
    ("Parallel", "delta"): "Dezeming 2.1.7",
    ("Recurrent", "delta"): "Dezeming 3.2",
}


def kinds(layer: Layer) -> list[str]:
    """The names of the layer's class and its bases, nearest first."""
    return [cls.__name__ for cls in type(layer).__mro__]


def reference(layer: Layer, part: str) -> str:
    """Where the tutorials have the formula; "" beyond them."""
    return next((REFERENCES[kind, part] for kind in kinds(layer) if (kind, part) in REFERENCES), "")


def why(layer: Layer, part: str) -> Say:
    """One sentence on why the formula is so."""
    texts = (DERIVATIONS.get(f"why.{kind}.{part}") for kind in kinds(layer))
    general = "delta_of" if part.startswith("delta of ") else part
    return next(filter(None, texts), DERIVATIONS.get(f"general.{general}", DERIVATIONS["general.gradient"]))
