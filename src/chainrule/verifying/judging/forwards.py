"""Why a forward pass is not the one that `like` names: it is another layer's, of other options, or ours with
one mistake in its formula.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from chainrule.base.errors import ChainruleError
from chainrule.base.languages import SPACE, Say
from chainrule.base.types import Array
from chainrule.formulas.neighbours import neighbours
from chainrule.layers import Layer, layer_classes
from chainrule.layers.sequences.recurrent import Recurrent
from chainrule.layers.windows.adaptive import AdaptivePool
from chainrule.layers.windows.pooling import Pool
from chainrule.verifying.judging.findings import sentence
from chainrule.verifying.meanings.forms import agreement, output_form
from chainrule.verifying.meanings.layer import Forward, LayerMeaning, candidates
from chainrule.verifying.meanings.matching import Like, Named
from chainrule.verifying.meanings.meaning import Edit, evaluated
from chainrule.verifying.meanings.named import layers_like
from chainrule.verifying.probes import Probe
from chainrule.verifying.texts import TEXTS

# Values of options that people write, beside those of `like`.
USUAL: dict[str, tuple[Any, ...]] = {
    "stride": (1, 2, 3), "padding": (0, 1, 2, "same"), "dilation": (1, 2, 3), "bias": (True, False),
    "causal": (True, False), "ceil_mode": (True, False), "heads": (1, 2, 4),
}  # fmt: skip
# By what an input is multiplied in an activation, and how near to theirs the output must come then.
SCALES, NEWTON, SAME = (0.1, 0.25, 0.5, 1.5, 2.0, 4.0, 10.0), 20, 1e-6
MOST_LYINGS = 60  # ways in which their arrays may lie that are tried with mistakes, the usual ones first


def forward_mistake(
    like: Like,
    args: Sequence[Array],
    names: Sequence[str],
    out: Array,
    forward: Forward,
    precision: str | None = None,
) -> Say | None:
    """What their forward pass is in place of what `like` says; None where it cannot be told."""
    if not np.isfinite(out.astype(np.float64)).all():
        return TEXTS["forward.not_finite"]
    for other in _others(like):
        try:
            found = other.meaning(args, names, out, forward, precision)
        except ChainruleError:
            continue
        if found is not None:
            return TEXTS.say("forward.other", layer=like.title, found=found.title)
    return _mistaken(like, args, out, agreement([out, *args], precision))


def scaled_input(like: Like, args: Sequence[Array], out: Array) -> float | None:
    """The s of an activation f that their forward has as f(s x) or f(s x) / s: β of a swish, one over the
    temperature of a softmax; None where it has not.
    """
    kind, x = like.kind, max(args, key=np.size)
    beside = sum(value.size > 1 for value in args) > 1 or x.shape != out.shape or x.dtype.kind != "f"
    if not isinstance(kind, Named) or kind.kind.passage != "activation" or beside or not x.size > 1:
        return None
    wide, wanted = x.astype(np.float64), out.astype(np.float64)
    for meaning in islice(candidates(layers_like(kind.kind, dict(kind.options), [wide]), [wide], None), 4):
        for power in (0, 1):

            def off(s: float, meaning: LayerMeaning = meaning, power: int = power) -> Array:
                made = meaning.bind(Probe((s * wide,), wanted)).values["z"] / s**power
                return meaning.inputs.to_theirs(made) - wanted

            with suppress(ValueError, TypeError, IndexError, ArithmeticError, ChainruleError):
                s = min(SCALES, key=lambda s: float(np.linalg.norm(off(s))))
                for _ in range(NEWTON):
                    here, beside_ = off(s), off(s * (1 + SAME))
                    slope = (beside_ - here) / (s * SAME)
                    step = float((slope * here).sum() / ((slope * slope).sum() or np.inf))
                    s = max(s - step, s / 4)
                if np.abs(off(s)).max() <= SAME * np.abs(wanted).max():
                    return float(f"{s:.6g}")
    return None


def _others(like: Like) -> Iterator[Like]:
    """The same with an option fewer or another value of one, then layers of the same sort."""
    meant = like.kind
    if isinstance(meant, Named):
        kind, options = meant.kind, dict(meant.options)
    elif isinstance(meant, Layer):
        kind, options = type(meant), {n: v for n, v in meant.config().items() if n != "name"}
    else:
        return
    if issubclass(kind, Recurrent):
        return
    tried: list[tuple[type[Layer], dict[str, Any]]] = [
        (kind, {name: value for name, value in options.items() if name != left_out}) for left_out in options
    ]
    accepted = inspect.signature(kind).parameters
    for name, values in USUAL.items():
        if name in accepted:
            tried += [(kind, {**options, name: value}) for value in values if value != options.get(name)]
    for other in layer_classes.values():
        if other is not kind and _sort(other) == _sort(kind) != "":
            tried.append((other, options if issubclass(other, Pool | AdaptivePool) else {}))
    for layer, of_layer in tried:
        with suppress(ChainruleError):  # it needs an option, or has not this one
            yield replace(like, like=layer, options=of_layer)


def _sort(layer: type[Layer]) -> str:
    """Layers of one sort are taken for each other; "": of none."""
    if issubclass(layer, Pool | AdaptivePool):
        return "pool" if issubclass(layer, Pool) else "adaptive pool"
    return layer.passage if layer.passage in ("activation", "norm") else ""


def _mistaken(like: Like, args: Sequence[Array], out: Array, tolerance: float) -> Say | None:
    """The mistake in our forward formula that gives their output."""
    kind, layers = like.kind, list[Layer]()
    if isinstance(kind, Named) and not issubclass(kind.kind, Recurrent):
        layers = list(layers_like(kind.kind, dict(kind.options), args))
    elif isinstance(kind, Layer) and not isinstance(kind, Recurrent):
        layers = [kind]
    for meaning in islice(candidates(layers, args, None), MOST_LYINGS):
        edit = _edit(meaning, args, out, tolerance)
        if edit is not None:
            return SPACE.join([TEXTS.say("forward.mistaken", layer=repr(meaning.layer)), sentence(edit)])
    return None


def _edit(meaning: LayerMeaning, args: Sequence[Array], out: Array, tolerance: float) -> Edit | None:
    try:
        bound = meaning.bind(Probe(tuple(args), out))
    except (ValueError, TypeError, IndexError, ChainruleError):
        return None
    known = [symbol for name, symbol in meaning.formulas.symbols.items() if name in bound.values]
    inputs = [symbol for symbol in known if symbol.name not in ("z", "a", "d")]
    right = meaning.formulas.forward
    for wrong in neighbours(right, inputs, rare=False):
        try:
            with np.errstate(all="ignore"):
                value = evaluated(wrong.tree, bound, [right])
        except (ValueError, TypeError, IndexError, KeyError, ArithmeticError, ChainruleError):
            continue
        if output_form(out, value, tolerance, meaning.inputs.axes) is not None:
            return Edit("forward", wrong.kind, {"forward": wrong.tree}, wrong.node, wrong.part)
    return None
