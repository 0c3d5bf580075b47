"""A layer as a meaning: its formulas of δ and of every gradient, each for itself."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, permutations, product
from typing import Any

import numpy as np

from chainrule.base.errors import ChainruleError
from chainrule.base.languages import Say, same
from chainrule.base.types import Array
from chainrule.formulas import neighbours
from chainrule.formulas.calling import call_formula, declared
from chainrule.formulas.evaluation import evaluate
from chainrule.formulas.expression import Expression, Over, Symbol, operation, substitute, walk
from chainrule.formulas.rules import Trait
from chainrule.formulas.tracing import Formulas, trace
from chainrule.layers import (
    GELU,
    Layer,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
    layer_classes,
)
from chainrule.layers.activations.smooth import Activation
from chainrule.layers.windows.adaptive import AdaptivePool
from chainrule.layers.windows.pooling import Pool
from chainrule.verifying.meanings.forms import AGREE, Form, input_forms, output_form, parameter_forms
from chainrule.verifying.meanings.functions.known import GELUS
from chainrule.verifying.meanings.meaning import (
    NONE,
    Argument,
    Bound,
    Edit,
    Edits,
    Meaning,
    edited,
    evaluated,
    interned,
    size_of,
)
from chainrule.verifying.places import coverage, facts, in_their_order, roles_of
from chainrule.verifying.probes import Probe

Forward = Callable[[Sequence[Array]], Array]
# What can stand for another quantity: people mix up the input and the output, and δ.
MIXED_UP = ("x", "z", "a", "d")
EPSILONS = (*neighbours.EPSILONS, 1e-15, 0.0)
SMALL = 1e-3  # the deviation of numbers beside which ε shows
MOST_ORDERS = 720  # of arguments that are tried, the given one first: all of six
PER_COST = 20  # operations in formulas that are computed as fast as a plain layer's


@dataclass(eq=False)
class LayerMeaning(Meaning):
    """layer: of ours.  place: which argument x is; inputs: its form; parameters: by our names, the number of
    their argument and its form; outputs: the form of what their forward returns.  drawn: the argument that is
    a dropout's mask, beside its form; masked: its name where forward draws it, as `forward` tells.
    """

    layer: Layer
    place: int
    inputs: Form
    parameters: dict[str, tuple[int, Form]]
    outputs: Form | None = None
    drawn: dict[str, tuple[int, Form]] | None = None
    masked: str = ""
    forward: Forward | None = None

    @property
    def title(self) -> str:  # type: ignore[override]
        return repr(self.layer)

    @property
    def arguments(self) -> tuple[Argument, ...]:  # type: ignore[override]
        below = "delta" if getattr(self.layer, "differentiable_input", True) else ""
        listed = [Argument(self.place, "x", below)]
        listed += [Argument(number, name, name) for name, (number, _) in self.parameters.items()]
        return tuple(listed)

    @property
    def samples(self) -> Sequence[tuple[int, int]]:
        taken = [(self.place, self.inputs), *(self.drawn or {}).values()]
        return [(number, form.axes[-1]) for number, form in taken if form.axes]

    @cached_property
    def formulas(self) -> Formulas:
        return trace(self.layer)

    @cached_property
    def cost(self) -> int:
        return 1 + size_of(self.formula(name) for name in self.together("delta")) // PER_COST

    def bind(self, probe: Probe) -> Bound:
        inputs = self.inputs.of_shape(probe.args[self.place].shape, self._ours(probe.args[self.place].shape))
        specs = self.layer.parameters(inputs.ours[:-1])
        forms = {self.place: inputs}
        values: dict[str, Any] = {"x": inputs.to_ours(probe.args[self.place].astype(np.float64))}
        for name, (number, form) in self.parameters.items():
            forms[number] = self._parameter_form(form, probe.args[number].shape, specs[name].shape)
            values[name] = forms[number].to_ours(probe.args[number].astype(np.float64))
        for name, (number, form) in (self.drawn or {}).items():
            flags = form.of_shape(probe.args[number].shape).to_ours(probe.args[number])
            values[name] = (flags != 0).astype(np.float64)
        if self.masked and self.forward is not None:
            kept = inputs.to_ours(passed(self.forward, probe.args, self.place))
            values[self.masked] = (kept != 0).astype(np.float64)
        with np.errstate(all="ignore"):
            z = np.asanyarray(call_formula(self.layer.forward, values))
        values |= {"z": z, "a": z}
        if self.outputs is not None:
            values["d"] = self.outputs.delta(probe.delta, z)
        positions = int(np.prod(z.shape[:-2]))
        sizes = {"m": z.shape[-1], "n": z.shape[-2] if z.ndim > 1 else 1}
        return Bound(values, forms, {**sizes, **({"P": positions} if positions > 1 else {})})

    def _parameter_form(self, form: Form, theirs: Sequence[int], ours: tuple[int, ...]) -> Form:
        """Of a parameter, which may have other sizes than the layer: formulas ask for none."""
        moved = form.of_shape(theirs)
        return moved if len(form.ours) == len(form.axes) else form.of_shape(theirs, ours)

    def _ours(self, shape: Sequence[int]) -> tuple[int, ...] | None:
        """Of x: None where it is the transposed shape alone, without an axis that theirs has not."""
        if len(self.inputs.ours) == len(shape):
            return None
        if not len(shape):
            return self.inputs.ours
        return (1, *shape) if self.inputs.ours[0] == 1 else (*shape, 1)

    def gradient(self, bound: Bound, name: str, edits: Edits = NONE) -> Array:
        wrong = edited(edits, name)
        with np.errstate(all="ignore"):
            if wrong is not None:
                return evaluated(wrong, bound, [self.formula(other) for other in self.together(name)])
            return np.asanyarray(evaluate(self.formulas[name], bound.values), dtype=np.float64)

    def where(
        self, argument: Argument, bound: Bound, probe: Probe, right: Array
    ) -> tuple[dict[str, Array], list[str]]:
        form = bound.forms[argument.number]
        if probe.args[argument.number].shape != right.shape:
            return super().where(argument, bound, probe, right)
        if argument.name != "x":
            return facts(right), in_their_order(roles_of(argument.name, len(form.ours)), form.axes)
        grid = getattr(self.layer, "grid", None)
        covered = None if grid is None else form.to_theirs(coverage(grid, form.ours))
        delta, x = probe.delta, probe.args[argument.number]
        entrywise = self.layer.passage == "activation"
        about = facts(right, delta, x) if entrywise else facts(right, covered=covered)
        return about, in_their_order(roles_of("x", len(form.ours)), form.axes)

    def places(self, name: str) -> Iterable[str]:
        return (name,)

    def together(self, place: str) -> Sequence[str]:
        return [argument.gradient for argument in self.arguments if argument.gradient]

    def formula(self, place: str) -> Expression:
        return self._interned[place]

    @cached_property
    def _interned(self) -> dict[str, Expression]:
        return interned({name: self.formulas[name] for name in self.formulas})

    def symbols(self, place: str, bound: Bound) -> Sequence[Symbol]:
        known = self.formulas.symbols.items()
        return [symbol for name, symbol in known if name in bound.values and name in MIXED_UP]

    def beside(self, place: str) -> Sequence[Symbol]:
        return [self.formulas.symbols[name] for name in self.parameters]

    def instead(self, name: str, bound: Bound) -> Iterator[Edit]:
        if name != "delta":
            return
        right = self.formulas[name]
        for other, tree in siblings(self.layer):
            yield Edit(name, "instead", {name: tree}, type(self.layer).__name__, other)
        known = self.formulas.symbols
        if {"x", "d"} <= set(known) and bound.values["d"].shape == bound.values["x"].shape:
            there = operation("greater", operation("absolute", known["x"]), 0.0)
            passed = operation("where", there, right, known["d"])
            yield Edit(name, "at_zero", {name: passed}, right, known["x"])

    def updated(self, name: str) -> Iterator[Callable[[float], Edit]]:
        yield from updates(self.formulas, name, name, list(self.parameters))

    def chooses(self, name: str) -> bool:
        nodes = (node for _, node in walk(self.formulas[name]))
        return any(isinstance(node, Over) and Trait.CHOOSES in node.traits for node in nodes)


_MAXIMUM = Say("the maximum of a window, MaxPool", "窗口的最大值 MaxPool")
_MEAN = Say("the mean of a window, AveragePool", "窗口的平均 AveragePool")
_ROOT = Say("the root of a window's squares, L2Pool", "窗口平方和的根 L2Pool")
_LARGEST_PARTS = Say("the maximum of a window, AdaptiveMaxPool", "窗口的最大值 AdaptiveMaxPool")
_MEAN_PARTS = Say("the mean of a window, AdaptiveAveragePool", "窗口的平均 AdaptiveAveragePool")
KINDS: dict[type[Layer], Say] = {
    Tanh: same("tanh"),
    Sigmoid: Say("the sigmoid", "sigmoid"),
    **{
        layer_classes[f"{kind}Pool{axes}D"]: said
        for kind, said in (("Max", _MAXIMUM), ("Average", _MEAN), ("L2", _ROOT))
        for axes in (1, 2, 3)
    },
    **{
        layer_classes[f"Adaptive{kind}Pool{axes}D"]: said
        for kind, said in (("Max", _LARGEST_PARTS), ("Average", _MEAN_PARTS))
        for axes in (1, 2, 3)
    },
}


def siblings(layer: Layer) -> Iterator[tuple[Say, Expression]]:
    """(name, δ) of layers that are taken for this one, in the same symbols: other activations and pools."""
    kinds: list[Layer] = []
    if isinstance(layer, Activation):
        kinds = [ReLU(), Sigmoid(), Tanh(), SiLU(), GELU(), Softplus(), Softsign()]
    elif isinstance(layer, Pool):
        pools: list[Any] = [layer_classes[f"{kind}Pool{layer.axes}D"] for kind in ("Max", "Average", "L2")]
        options = {"padding": layer.padding, "dilation": layer.dilation}
        kinds = [pool(layer.window, layer.stride, **options) for pool in pools]
    elif isinstance(layer, AdaptivePool):
        both: list[Any] = [layer_classes[f"Adaptive{kind}Pool{layer.axes}D"] for kind in ("Max", "Average")]
        kinds = [pool(layer.size) for pool in both]
    for other in kinds:
        if type(other) is not type(layer):
            yield KINDS.get(type(other), same(type(other).__name__)), trace(other)["delta"]
    if isinstance(layer, GELU):
        x, d = (trace(layer).symbols[name] for name in ("x", "d"))
        yield from ((each.title, d * each.df(x)) for each in GELUS)
    if isinstance(layer, Activation):  # written by the output
        d, z = (trace(layer).symbols[name] for name in ("d", "z"))
        slopes: list[tuple[type[Layer], Expression]] = [(Tanh, 1 - z**2), (Sigmoid, z * (1 - z))]
        for kind, slope in slopes:
            if not isinstance(layer, kind):
                yield KINDS[kind], d * slope


def updates(
    formulas: Formulas, place: str, name: str, parameters: Iterable[str]
) -> Iterator[Callable[[float], Edit]]:
    """By a learning rate: the formula `name`, which stands at `place`, of a parameter W - η ∂J/∂W."""
    for parameter in parameters:
        symbol, tree = formulas.symbols[parameter], formulas[name]
        if symbol in tree.symbols and parameter in formulas:

            def made(rate: float, symbol: Symbol = symbol, tree: Expression = tree) -> Edit:
                later = symbol - rate * formulas[symbol.name]
                values = {"rate": f"{rate:.4g}"}
                wrong = substitute(tree, {symbol: later})
                return Edit(place, "updated before", {place: wrong}, symbol, symbol, values)

            yield made


def options_read(
    known: Collection[str], args: Sequence[Array], forward: Forward
) -> Iterator[dict[str, float]]:
    """What options that were not told may be by what their forward does, the likely ones first: the rate of a
    dropout that draws its mask, the slope or α below 0, the ε of a normalisation.

    known: the options.  Nothing where their forward raises.
    """
    x = args[0]
    try:
        if "rate" in known:
            largest = float(passed(forward, args, 0).max(initial=0.0))
            yield from [{"rate": _plain(1 - 1 / largest)}] if largest >= 1 else []
        elif {"slope", "alpha"} & set(known) and len(args) == 1 and (x < 0).any():
            out, below = forward([x.copy()]).astype(np.float64), x < 0
            name, basis = ("slope", x) if "slope" in known else ("alpha", np.expm1(x))
            yield {name: _plain(float(np.median(out[below] / basis[below])))}
        elif "epsilon" in known:
            yield from ({"epsilon": value} for value in EPSILONS)
    except (ArithmeticError, IndexError, ValueError, ChainruleError):
        return


def closest(near: LayerMeaning, args: Sequence[Array], forward: Forward) -> LayerMeaning | None:
    """With the ε of which the output is nearest to theirs, the earlier of equals; None where none fits.

    x is made small, of a variance of 10^-6, beside which every ε shows, or none matters.
    """
    x = args[near.place]
    small = x * (SMALL / (float(x.std()) or 1.0))
    args = [small if number == near.place else value for number, value in enumerate(args)]
    best, least = None, AGREE["float64"]
    try:
        out = forward([value.copy() for value in args])
    except ChainruleError:
        return None
    for epsilon in (near.layer.epsilon, *EPSILONS):  # type: ignore[attr-defined]
        layer = copy.copy(near.layer)
        layer.epsilon = epsilon
        made = replace(near, layer=layer)
        z, outputs = made.bind(Probe(tuple(args), out)).values["z"], near.outputs
        assert outputs is not None
        off = float(np.abs(outputs.delta(out, z) - z).max(initial=0.0)) / (float(np.abs(z).max()) or 1.0)
        if off < least / 2:
            best, least = made, max(off, 1e-15)
    return best


def _plain(value: float) -> float:
    """Without the roundings of what it was read off."""
    return float(f"{value:.6g}")


def passed(forward: Forward, args: Sequence[Array], place: int) -> Array:
    """What a forward pass makes of an input of ones, of its shape: the mask that it draws, times its factor.

    Raises ValueError where the output has another shape.
    """
    out = forward([np.ones_like(v) if number == place else v.copy() for number, v in enumerate(args)])
    return out.reshape(args[place].shape) if out.ndim == args[place].ndim else np.empty(0)


def layer_meaning(
    layers: Iterable[Layer],
    args: Sequence[Array],
    out: Array,
    tolerance: float,
    forward: Forward | None = None,
) -> LayerMeaning | None:
    """The first of the layers and the first orders of the axes under which our forward gives `out`; None
    where there is none.

    forward: theirs, for what it draws itself.
    """
    for meaning in candidates(layers, args, forward):
        meaning.outputs = _outputs(meaning, args, out, tolerance)
        if meaning.outputs is not None:
            return meaning
    return None


def candidates(
    layers: Iterable[Layer], args: Sequence[Array], forward: Forward | None
) -> Iterator[LayerMeaning]:
    """The layers with all orders of the axes that their arrays may have, the usual ones first.

    The arguments may come in any order; theirs is tried first.  Rows come before columns as theirs lies,
    where a layer is theirs so: a kernel of (3, 2) is not called (2, 3).
    """
    made = [layer for layer in layers if len(declared(layer.forward)) >= len(args)]
    orders = islice(permutations(range(len(args))), MOST_ORDERS) if made else ()
    for (place, *rest), turned in ((order, turned) for order in orders for turned in (False, True)):
        forms = [form for form in input_forms(args[place]) if form.turned == turned]
        for layer, form in product(made, forms):
            for parameters, drawn in _beside(layer, form.ours, rest, args):
                meaning = LayerMeaning(layer, place, form, parameters, None, drawn)
                if drawn is None and layer.passage == "dropout":
                    meaning.masked, meaning.forward = _needed(layer)[0], forward
                yield meaning


def _beside(
    layer: Layer, input_shape: tuple[int, ...], rest: Sequence[int], args: Sequence[Array]
) -> Iterator[tuple[dict[str, tuple[int, Form]], dict[str, tuple[int, Form]] | None]]:
    """What the arguments `rest` may be: the layer's parameters in its order, and a mask of x's shape."""
    try:
        specs = layer.parameters(input_shape[:-1])
        layer.output_shape(input_shape[:-1])
    except (ChainruleError, IndexError, TypeError, ValueError):
        return
    learned = [(name, spec.shape) for name, spec in specs.items() if spec.learned]
    wanted = [name for name in _needed(layer) if name not in dict(learned)]
    if len(learned) == len(rest):  # forward draws it itself
        wanted = []
    if len(learned) + len(wanted) != len(rest):
        return
    if wanted:
        number = rest[-1]
        masks = [form for form in input_forms(args[number]) if form.ours == input_shape]
        for form in masks:
            for parameters, _ in _beside_learned(learned, rest[:-1], args):
                yield parameters, {wanted[0]: (number, form)}
        return
    yield from _beside_learned(learned, rest, args)


def _needed(layer: Layer) -> list[str]:
    """What its formula takes beside x: the parameters, a dropout's mask."""
    return [name for name, needed in declared(layer.forward) if needed and name != "x"]


def _beside_learned(
    learned: Sequence[tuple[str, tuple[int, ...]]], rest: Sequence[int], args: Sequence[Array]
) -> Iterator[tuple[dict[str, tuple[int, Form]], None]]:
    choices = [list(parameter_forms(args[n], shape)) for n, (_, shape) in zip(rest, learned, strict=True)]
    for chosen in product(*choices):
        named = zip(learned, rest, chosen, strict=True)
        yield {name: (number, form) for (name, _), number, form in named}, None


def _outputs(meaning: LayerMeaning, args: Sequence[Array], out: Array, tolerance: float) -> Form | None:
    try:
        z = meaning.bind(Probe(tuple(args), out)).values["z"]
    except (ValueError, TypeError, IndexError, ChainruleError):
        return None
    return output_form(out, z, tolerance, meaning.inputs.axes)
