"""What is said beside a formula: where a text derives it, and why it is so, in one sentence.

Keyed by a layer's family (the nearest that has an entry) and the part of its derivation: "forward",
"delta", or a parameter.  What has no entry lies beyond the tutorials and gets the sentence of its part.
"""

from __future__ import annotations

from chainrule.base.languages import Say
from chainrule.explaining.words.catalogues import DERIVATIONS
from chainrule.layers import Layer

# Where the tutorials derive it, by the names of references/sources.py.
REFERENCES: dict[tuple[str, str], str] = {
    ("dense", "forward"): "Tutorial FC · Ning Yu · Dezeming 1.1 · Matrix notes §3",
    ("dense", "delta"): "Tutorial FC ③ · Ning Yu · Dezeming 2.5.8 · Matrix notes §5",
    ("dense", "W"): "Tutorial FC ① · Ning Yu · Dezeming 2.2.8 · Matrix notes §6",
    ("dense", "b"): "Tutorial FC ② · Ning Yu · Dezeming 3.1.3 · Matrix notes §6",
    ("conv", "forward"): "Tutorial conv · Wang",
    ("conv", "delta"): "Tutorial conv ①",
    ("conv", "W"): "Tutorial conv ② · Wang",
    ("conv", "b"): "Tutorial conv ③ · Wang",
    ("pool", "forward"): "Tutorial pooling · Wang",
    ("pool", "delta"): "Tutorial pooling · Wang",
    ("activation", "forward"): "Tutorial · Dezeming 2.1.2",
    ("activation", "delta"): "Tutorial FC ③④ · Dezeming 2.1.2",
    ("softmax", "delta"): "Dezeming 3.2",
    ("residual", "delta"): "Dezeming 2.1.7",
    ("parallel", "delta"): "Dezeming 2.1.7",
    ("bidirectional", "delta"): "Dezeming 2.1.7",
    ("recurrent", "delta"): "Dezeming 3.2",
}


def reference(layer: Layer | None, part: str) -> str:
    """Where the tutorials have the formula; "" beyond them."""
    families = () if layer is None else layer.families
    return next((REFERENCES[family, part] for family in families if (family, part) in REFERENCES), "")


def why(layer: Layer | None, part: str) -> Say:
    """One sentence on why the formula is so."""
    families = () if layer is None else layer.families
    general = "delta_of" if part.startswith("delta of ") else part
    texts = (DERIVATIONS.get(f"why.{family.replace(' ', '_')}.{general}") for family in families)
    text = next(filter(None, texts), DERIVATIONS.get(f"general.{general}", DERIVATIONS["general.gradient"]))
    return text.format(at_a_tie=DERIVATIONS["at_a_tie"])
