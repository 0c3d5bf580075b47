"""Which letters stand for which quantities.  A symbol has a role; a notation gives the role a letter.

Roles: input, image (an input with positions), preactivation, activation, output and output image (of layers
without parameters), "parameter <name>", "state <name>", prediction, logits, target, loss, "loss of a sample"
and "gradient of a sample" (by the prediction), penalty, training size, batch size, sample weight; "gradient
of <role>" for ∂J/∂(role), which some notations write δ, "derivative by <role>" always as ∂J/∂(role), "data
loss" and "data gradient of <role>" for J without the penalty, J_data, and its derivative, "gradient in
<layer> of <role>" for what one of several layers that share it gives, "function of <role>" and "slope of
<role>" for f and f' there.  "<role> at t": at step t of a sequence; "<role> below",
"<role> above": the same letter one layer down or up, so that "gradient of preactivation below at t" is
δ^{l-1} at step t.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from chainrule.base.errors import ArgumentError, describe
from chainrule.formulas.expression import Symbol


@dataclass(frozen=True)
class Letter:
    """A letter with its layer: x, "l-1".  `by`: the letter is a derivative, ∂letter/∂by; `of`: it is a
    function of another letter.
    """

    base: str
    layer: str = ""
    by: Letter | None = None
    step: str = ""  # of a sequence, x_t; of a derivative it stands with `by`
    sub: str = ""  # q of W_q
    of: Letter | None = None  # z of f'(z)


GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eta": "η", "theta": "θ",
    "lambda": "λ", "lam": "λ", "mu": "μ", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "psi": "ψ",
    "omega": "ω",
}  # fmt: skip


# λ of L1 and of L2 in an elastic net: l is the number of a layer.
INDEXED = {"l1": "lambda_1", "l2": "lambda_2"}

_LAYER = re.compile(r"([lL])([+-]\d+)?$")
_IN_LAYER = re.compile(r"gradient in (\S+) of (.+)")


@dataclass(frozen=True)
class Notation:
    """Letters by role, and the numbers they carry.  `sizes` False prints s and p for strides and paddings.

    hadamard: the sign of products entry by entry.  function: the letter of an activation function, which has
    a layer where `functions_numbered`.
    bias_column: dense layers are written with one Θ = [b, W], and a_0 = 1.
    parameters: letters of parameters that do not go by their own names.  brackets: layer numbers stand in
    parentheses.  input_number: the number of the input layer.  output_layer: what a layer's output carries,
    "l", or "l+1" where W^l joins layer l to l+1.  number, last: see `at`.
    """

    letters: Mapping[str, Letter]
    layer: str = "l"
    loss: str = "J"
    sizes: bool = True
    name: str = ""
    hadamard: str = "⊙"
    function: str = "f"
    functions_numbered: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    brackets: bool = False
    input_number: int = 1
    output_layer: str = "l"
    bias_column: bool = False
    number: int | None = None
    last: int | None = None

    def at(self, number: int, last: int | None = None) -> Notation:
        """The same notation with numbers for letters: of layer `number` of a network of `last` layers.

        Both count from the input, which is 0, and are printed in the notation's own count: the Tutorial's l
        is `number` + 1.  Without `last` an L stays an L.
        """
        return replace(self, number=number, last=last)

    @property
    def parameter_number(self) -> str:
        """The number of the parameters that join layer l-1 to layer l: "l", or "l-1"."""
        return "l" if self.output_layer == "l" else "l-1"

    @property
    def output_number(self) -> str:
        """The number of a layer's output in formulas: "l", or "l + 1" where W^l joins l to l+1."""
        return "l" if self.output_layer == "l" else "l + 1"

    def letter(self, symbol: Symbol) -> Letter:
        """The letter of a symbol: by its role, or its own name at this layer."""
        return self._numbered(self._role(symbol.role or symbol.name, symbol.name))

    def _role(self, role: str, name: str) -> Letter:
        role, _, step = role.partition(" at ")
        if step:
            step, layers = _layers_away(step)
            letter = self._role(role + " above" * layers + " below" * -layers, name)
            return _stepped(letter, step)
        if role in self.letters:
            return self.letters[role]
        here, layers = _layers_away(role)
        if layers and here in self.letters:
            return _moved(self.letters[here], layers)
        for prefix, primes in (("function of ", ""), ("slope of ", "'")):
            if role.startswith(prefix):
                inner = self._role(role.removeprefix(prefix), name)
                layer = inner.layer if self.functions_numbered else ""
                return Letter(self.function + primes, layer, of=inner)
        for prefix, of in (("gradient of ", ""), ("derivative by ", ""), ("data gradient of ", "data")):
            if role.startswith(prefix):
                inner = self._role(role.removeprefix(prefix), role.removeprefix(prefix))
                return Letter(self.loss, by=inner, sub=of)
        if in_layer := _IN_LAYER.fullmatch(role):
            return Letter(self.loss, by=self._role(in_layer[2], in_layer[2]), sub=in_layer[1])
        if layers:
            return _moved(self._role(here, here), layers)
        base = role.removeprefix("parameter ").removeprefix("state ")
        layer = "" if role == base else self.output_layer if role.startswith("state ") else self.layer
        base, _, sub = INDEXED.get(base, base).partition("_")
        return Letter(GREEK.get(base, self.parameters.get(base, base)), layer, sub=sub)

    def _numbered(self, letter: Letter) -> Letter:
        """The letter with numbers for l and L where they are known, and parentheses where they belong."""
        by = None if letter.by is None else self._numbered(letter.by)
        of = None if letter.of is None else self._numbered(letter.of)
        layer = letter.layer
        match = _LAYER.match(layer)
        if match:
            # Where W^l joins l to l+1, l is the layer below.
            below = 1 if self.output_layer == "l+1" else 0
            start = self.last if match[1] == "L" else None if self.number is None else self.number - below
            if start is not None:
                layer = str(start + self.input_number + int(match[2] or 0))
        return replace(letter, by=by, of=of, layer=f"({layer})" if layer and self.brackets else layer)


def _layers_away(role: str) -> tuple[str, int]:
    """(the role without its "below" or "above" at the end, -1 or 1; 0 where there is none)."""
    for ending, layers in ((" below", -1), (" above", 1)):
        if role.endswith(ending):
            return role.removesuffix(ending), layers
    return role, 0


def _moved(letter: Letter, layers: int) -> Letter:
    """The letter so many layers up."""
    by = None if letter.by is None else _moved(letter.by, layers)
    of = None if letter.of is None else _moved(letter.of, layers)
    match, layer = _LAYER.match(letter.layer), letter.layer
    if match:
        offset = int(match[2] or 0) + layers
        layer = match[1] + (f"{offset:+d}" if offset else "")
    return replace(letter, by=by, of=of, layer=layer)


def _stepped(letter: Letter, step: str) -> Letter:
    """The letter at a step of a sequence; a derivative or a function by or of what stands at that step."""
    if letter.by is not None:
        return replace(letter, by=replace(letter.by, step=step))
    if letter.of is not None:
        return replace(letter, of=replace(letter.of, step=step))
    return replace(letter, step=step)


def _letters(
    loss: str, sizes: tuple[str, str], deltas: Mapping[str, str], **letters: str
) -> dict[str, Letter]:
    """Letters by role from short forms, "x l-1" being the letter x at layer l-1.  sizes: of the training set
    and of the batch.
    """
    roles = {role.replace("_", " "): _letter(short) for role, short in (*letters.items(), *deltas.items())}
    return {
        "loss": Letter(loss),
        "data loss": Letter(loss, sub="data"),
        "loss of a sample": Letter(loss, sub="i"),
        "gradient of a sample": Letter(loss, by=_letter(letters["prediction"]), sub="i"),
        "penalty": Letter("Ω"),
        "gradient of penalty": Letter("Ω", by=Letter("W", "l")),
        "training size": Letter(sizes[0]),
        "batch size": Letter(sizes[1]),
        "sample weight": Letter("w"),
        **roles,
    }


def _letter(short: str) -> Letter:
    base, _, layer = short.partition(" ")
    return Letter(base, layer)


def _residuals(*roles: str, layer: str = "l") -> dict[str, str]:
    """δ for ∂J/∂(role), and δ^L at the last layer."""
    return {"gradient of logits": "δ L", **{f"gradient of {role}": f"δ {layer}" for role in roles}}


_OUTPUTS = ("preactivation", "output", "output image")

# Tutorial: W^l joins layer l-1 to l, the input of a layer is x^{l-1} (an image X^{l-1}), δ^l = ∂J/∂z^l.  a^l
# names the output of an activation where a formula is written in it; it is the x^l of the layer above.
TUTORIAL = SEED_000 = Notation(
    _letters(
        "J", ("m", "m"), _residuals(*_OUTPUTS), target="y", input="x l-1", image="X l-1", preactivation="z l",
        activation="a l", activation_below="x l-1", output="x l", output_image="X l", prediction="a L",
        logits="z L",
    ),
    name="tutorial",
)  # fmt: skip

# Ning Yu: W^l joins l to l+1, so a layer makes z^{l+1} of a^l, and its parameters have the number of its
# input.
UFLDL = Notation(
    _letters(
        "J", ("m", "m"), _residuals(*_OUTPUTS, layer="l+1"), target="y", input="a l", image="a l",
        preactivation="z l+1", activation="a l+1", output="a l+1", output_image="a l+1", prediction="a L",
        logits="z L",
    ),
    name="ufldl",
    hadamard="•",
    output_layer="l+1",
)  # fmt: skip

# Dezeming: numbers as Ning Yu, in parentheses; derivatives written out.  A dense layer has one Θ^(l), the
# bias as its column 0: what makes a formula writes it so, since W and b are the letters of other layers.  Δ
# is the gradient by Θ of one sample b, D their mean; ∂J/∂Θ has the penalty too.  i and j number units.
NG = Notation(
    _letters(
        "J", ("m", "m"), {}, target="y", input="a l", image="a l", preactivation="z l+1", activation="a l+1",
        output="a l+1", output_image="a l+1", prediction="a L", logits="z L",
    )
    | {
        "loss of a sample": Letter("J", sub="b"),
        "gradient of a sample": Letter("J", by=_letter("a L"), sub="b"),
        "gradient of penalty by Θ": Letter("Ω", by=Letter("Θ", "l")),
        "data gradient of parameter Θ": Letter("D", "l"),
        "gradient of parameter Θ of a sample": Letter("Δ", "l"),
    },
    name="ng",
    hadamard=".*",
    function="g",
    brackets=True,
    output_layer="l+1",
    bias_column=True,
)  # fmt: skip

# Matrix notes: matrices whose columns are the samples, C the cost, derivatives written out; the input is
# layer 0.
MATRIX = SEED_004 = Notation(
    _letters(
        "C", ("m", "M"), {}, target="Y", input="A l-1", image="A l-1", preactivation="Z l", activation="A l",
        output="A l", output_image="A l", prediction="A L", logits="Z L",
    ),
    loss="C",
    name="matrix",
    function="σ",
    functions_numbered=True,
    input_number=0,
)  # fmt: skip

# Nielsen's book: the Tutorial's numbers with small letters, C the cost, n the size of the training set.  w is
# its letter of the weights, so that of a sample is ω.
NIELSEN = Notation(
    _letters(
        "C", ("n", "m"), _residuals("preactivation"), target="y", input="a l-1", image="a l-1",
        preactivation="z l", activation="a l", output="a l", output_image="a l", prediction="a L",
        logits="z L",
    )
    | {"gradient of penalty": Letter("Ω", by=Letter("w", "l")), "sample weight": Letter("ω")},
    loss="C",
    name="nielsen",
    function="σ",
    parameters={"W": "w"},
)  # fmt: skip

NOTATIONS: dict[str, Notation] = {
    notation.name: notation for notation in (TUTORIAL, UFLDL, NG, MATRIX, NIELSEN)
}
_FORMER_NAMES = {"seed000": "tutorial"}


def notation_from(notation: str | Notation) -> Notation:
    """A notation by its name; a Notation of one's own as it is.  Raises ValueError for an unknown name."""
    if isinstance(notation, Notation):
        return notation
    if isinstance(notation, str):
        name = _FORMER_NAMES.get(notation, notation)
        if name in NOTATIONS:
            return NOTATIONS[name]
    names = ", ".join(map(repr, NOTATIONS))
    raise ArgumentError(f"notation must be one of {names}, or a Notation; received {describe(notation)}")
