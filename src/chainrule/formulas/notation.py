"""Which letters stand for which quantities.  A symbol has a role; a notation gives the role a letter.

Roles: input, image (an input with positions), preactivation, activation, output and output image (of layers
without parameters), "parameter <name>", "state <name>", prediction, logits, target, loss, penalty, training
size; and "gradient of <role>" for ∂J/∂(role).  "<role> at t": at step t of a sequence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from chainrule.formulas.expression import Symbol


@dataclass(frozen=True)
class Letter:
    """A letter with its layer: x, "l-1".  `by`: the letter is a derivative, ∂letter/∂by."""

    base: str
    layer: str = ""
    by: Letter | None = None
    step: str = ""  # of a sequence, x_t; of a derivative it stands with `by`
    sub: str = ""  # q of W_q


GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eta": "η", "theta": "θ",
    "lambda": "λ", "lam": "λ", "mu": "μ", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "psi": "ψ",
    "omega": "ω",
}  # fmt: skip


@dataclass(frozen=True)
class Notation:
    """Letters by role.  `sizes` False prints s and p for strides and paddings, the general formula."""

    letters: Mapping[str, Letter]
    layer: str = "l"
    loss: str = "J"
    sizes: bool = True

    def letter(self, symbol: Symbol) -> Letter:
        """The letter of a symbol: by its role, or its own name at this layer."""
        return self._role(symbol.role or symbol.name, symbol.name)

    def _role(self, role: str, name: str) -> Letter:
        role, _, step = role.partition(" at ")
        if step:
            letter = self._role(role, name)
            if letter.by:
                return replace(letter, by=replace(letter.by, step=step))
            return replace(letter, step=step)
        if role in self.letters:
            return self.letters[role]
        if role.startswith("gradient of "):
            inner = role.removeprefix("gradient of ")
            return Letter(self.loss, by=self._role(inner, inner))
        base = role.removeprefix("parameter ").removeprefix("state ")
        layer = self.layer if role != base else ""
        base, _, sub = base.partition("_")
        return Letter(GREEK.get(base, base), layer, sub=sub)


_COMMON = {
    "target": Letter("y"),
    "loss": Letter("J"),
    "penalty": Letter("Ω"),
    "gradient of penalty": Letter("Ω", by=Letter("W", "l")),
    "training size": Letter("m"),
    "gradient of preactivation": Letter("δ", "l"),
    "gradient of output": Letter("δ", "l"),
    "gradient of output image": Letter("δ", "l"),
    "gradient of logits": Letter("δ", "L"),
}

# Seed 000: W^l joins layer l-1 to l, the input of a layer is x^{l-1} (an image X^{l-1}), δ^l = ∂J/∂z^l.  a^l
# names the output of an activation where a formula is written in it; it is the x^l of the layer above.
SEED_000 = Notation(
    {
        **_COMMON,
        "input": Letter("x", "l-1"),
        "image": Letter("X", "l-1"),
        "preactivation": Letter("z", "l"),
        "activation": Letter("a", "l"),
        "output": Letter("x", "l"),
        "output image": Letter("X", "l"),
        "prediction": Letter("a", "L"),
        "logits": Letter("z", "L"),
    }
)

# Seed 004: matrices whose columns are the samples, C the cost, derivatives written out.
SEED_004 = Notation(
    {
        "target": Letter("Y"),
        "loss": Letter("C"),
        "penalty": Letter("Ω"),
        "gradient of penalty": Letter("Ω", by=Letter("W", "l")),
        "training size": Letter("m"),
        "input": Letter("A", "l-1"),
        "image": Letter("A", "l-1"),
        "preactivation": Letter("Z", "l"),
        "activation": Letter("A", "l"),
        "output": Letter("A", "l"),
        "output image": Letter("A", "l"),
        "prediction": Letter("A", "L"),
        "logits": Letter("Z", "L"),
    },
    loss="C",
)
