"""What is said beside a formula: where it stands in the seeds, and why it is so, in one sentence.

Keyed by the kind of a layer (its nearest base that has an entry) and the part of its derivation: "forward",
"delta", or a parameter.  What has no entry lies beyond the seeds and gets the sentence of its part.
"""

from __future__ import annotations

from chainrule.base.languages import Say
from chainrule.explaining.words.catalogues import DERIVATIONS
from chainrule.layers import Layer

# Where the seeds derive it: S0 = seed 000, ..., S4 = seed 004.
REFERENCES: dict[tuple[str, str], str] = {
    ("Dense", "forward"): "S0 FC · S1 · S2 1.1 · S4 §3",
    ("Dense", "delta"): "S0 FC ③ · S1 · S2 2.5.8 · S4 §5",
    ("Dense", "W"): "S0 FC ① · S1 · S2 2.2.8 · S4 §6",
    ("Dense", "b"): "S0 FC ② · S1 · S2 3.1.3 · S4 §6",
    ("Convolution", "forward"): "S0 conv · S3",
    ("Convolution", "delta"): "S0 conv ①",
    ("Convolution", "W"): "S0 conv ② · S3",
    ("Convolution", "b"): "S0 conv ③ · S3",
    ("Pool", "forward"): "S0 pooling · S3",
    ("Pool", "delta"): "S0 pooling · S3",
    ("Activation", "forward"): "S0 · S2 2.1.2",
    ("Activation", "delta"): "S0 FC ③④ · S2 2.1.2",
    ("Softmax", "delta"): "S2 3.2",
    ("Residual", "delta"): "S2 2.1.7",
    ("Parallel", "delta"): "S2 2.1.7",
    ("Recurrent", "delta"): "S2 3.2",
}


def kinds(layer: Layer) -> list[str]:
    """The names of the layer's class and its bases, nearest first."""
    return [cls.__name__ for cls in type(layer).__mro__]


def reference(layer: Layer, part: str) -> str:
    """Where the seeds have the formula; "" beyond the seeds."""
    return next((REFERENCES[kind, part] for kind in kinds(layer) if (kind, part) in REFERENCES), "")


def why(layer: Layer, part: str) -> Say:
    """One sentence on why the formula is so."""
    texts = (DERIVATIONS.get(f"why.{kind}.{part}") for kind in kinds(layer))
    general = "delta_of" if part.startswith("delta of ") else part
    return next(filter(None, texts), DERIVATIONS.get(f"general.{general}", DERIVATIONS["general.gradient"]))
