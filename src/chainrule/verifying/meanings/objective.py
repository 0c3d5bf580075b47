"""From somebody's arrays and the number that came back to a network with a loss and a penalty."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from chainrule.base.errors import ChainruleError
from chainrule.base.types import Array
from chainrule.layers import Dense, Identity, Layer, LogSoftmax, Sigmoid, Softmax
from chainrule.losses import Loss
from chainrule.losses.cross_entropy import BinaryCrossEntropy, CrossEntropy
from chainrule.losses.likelihoods import KLDivergence, NegativeLogLikelihood
from chainrule.losses.penalties import L1, L2, Penalty
from chainrule.networks.network import Network
from chainrule.verifying.factors import factor
from chainrule.verifying.meanings.forms import Form, input_forms, output_form, parameter_forms
from chainrule.verifying.meanings.losses import BinaryFocal, CountedCrossEntropy, Divergence, Focal
from chainrule.verifying.meanings.network import Labels, NetworkMeaning, parameters_by_name
from chainrule.verifying.probes import Probe, fresh

Forward = Callable[[Sequence[Array]], Array]
# Names under which people pass targets and inputs.
TARGETS = ("y", "Y", "t", "T", "target", "targets", "label", "labels", "y_true", "ytrue", "onehot", "tgt")
INPUTS = ("X", "x", "inputs", "input", "data", "features", "images", "xb", "scores", "logits", "z", "s")
SHARES = ("1/m", "1", "1/mn", "1/n", "2/m", "2/mn", "2", "2/n", "1/2", "1/2m", "1/2mn")
MOST_ORDERS = 300  # of parameters' axes that are tried


@dataclass(frozen=True)
class Wanted:
    """What is looked for: layers in front of a loss (None: J does not come back), or, with `linear`, a
    dense layer in front of these.
    """

    layers: Sequence[Layer]
    loss: Loss | None
    linear: bool = False


def wanted_for(loss: Loss) -> list[Wanted]:
    """The forms in which a loss comes: of outputs or, for a pair, of what goes into the activation."""
    ends: list[Sequence[Layer]] = []
    if isinstance(loss, (CrossEntropy, Focal, Divergence)):
        ends = [[Softmax()]]
    elif isinstance(loss, (NegativeLogLikelihood, KLDivergence)):
        ends = [[LogSoftmax()]]
    elif isinstance(loss, (BinaryCrossEntropy, BinaryFocal)):
        ends = [[Sigmoid()]]
    ends.append([Identity()])
    if isinstance(loss, Divergence):  # of scores, of probabilities, of their logarithms
        logs = Wanted([Identity()], replace(loss, logs=True))
        return [*(Wanted(end, loss) for end in ends), logs]
    return [Wanted(end, loss, linear) for linear in (False, True) for end in ends]


def network_meaning(
    wanted: Sequence[Wanted],
    args: Sequence[Array],
    names: Sequence[str],
    out: Array,
    forward: Forward,
    tolerance: float,
    penalty: Penalty | None = None,
) -> NetworkMeaning | None:
    """The first of what is wanted that gives `out` and other outputs of the same function."""
    for want in wanted:
        for meaning in _assigned(want, args, names):
            if want.loss is None:
                meaning.outputs = output_form(
                    out, meaning.bind(Probe(tuple(args), out)).values["z"], tolerance
                )
                if meaning.outputs is not None:
                    return meaning
            elif (fitted := _fitted(meaning, args, out, forward, tolerance, penalty)) is not None:
                return fitted
    return None


def _assigned(want: Wanted, args: Sequence[Array], names: Sequence[str]) -> Iterator[NetworkMeaning]:
    """What the arguments may be: inputs, targets, parameters."""
    for place, target in _roles(args, names, want.loss is not None):
        rest = [number for number in range(len(args)) if number not in (place, target)]
        if want.linear != bool(rest) and all(
            type(layer) in (Softmax, LogSoftmax, Sigmoid, Identity) for layer in want.layers
        ):
            continue
        scores = not rest and want.loss is not None
        for form in _score_forms(args[place]) if scores else input_forms(args[place]):
            for network in _networks(want, form, [args[number] for number in rest]):
                for parameters in islice(_parameters(network, rest, args, names), MOST_ORDERS):
                    meaning = NetworkMeaning(network, place, form, parameters, loss=want.loss)
                    if want.loss is None:
                        if _runs(meaning, args):
                            yield meaning
                        continue
                    for labels in _labels(target, args, meaning):
                        yield replace(meaning, labels=labels, formulas={})


def _runs(meaning: NetworkMeaning, args: Sequence[Array]) -> bool:
    try:
        meaning.bind(Probe(tuple(args), np.zeros(0)))
    except (ValueError, TypeError, IndexError, ChainruleError):
        return False
    return True


def _roles(
    args: Sequence[Array], names: Sequence[str], with_targets: bool
) -> Iterator[tuple[int, int | None]]:
    """(inputs, targets) by their names and types, the likeliest first."""
    numbers = range(len(args))
    named = dict(zip(numbers, names, strict=False))
    if not with_targets:
        first = [n for n in numbers if named.get(n) in INPUTS]
        yield from ((n, None) for n in dict.fromkeys([*first, *numbers]))
        return
    targets = [n for n in numbers if named.get(n) in TARGETS]
    whole = [n for n in numbers if args[n].dtype.kind in "iub"]
    for target in dict.fromkeys([*targets, *whole, *reversed(numbers)]):
        inputs = [n for n in numbers if named.get(n) in INPUTS and n != target]
        for place in dict.fromkeys([*inputs, *numbers]):
            if place != target and args[place].dtype.kind == "f":
                yield place, target


def _score_forms(scores: Array) -> Iterator[Form]:
    """Features first, all other axes as samples: rows, columns, sequences, one number a sample."""
    shape = scores.shape
    if scores.ndim == 0:
        return
    if scores.ndim == 1:
        yield Form((0,), (1, *shape), shape)
        yield Form((0,), (*shape, 1), shape)
        return
    last = (scores.ndim - 1, *range(scores.ndim - 1))
    second = (1, 0, *range(2, scores.ndim))
    first = tuple(range(scores.ndim))
    for axes in dict.fromkeys([last, second, first]):
        moved = [shape[axis] for axis in axes]
        yield Form(axes, (moved[0], int(np.prod(moved[1:]))), shape)


def _networks(want: Wanted, form: Form, parameters: Sequence[Array]) -> Iterator[Network]:
    chains: list[list[Layer]] = [list(want.layers)]
    if want.linear:
        biased = len(parameters) > 1
        sizes = dict.fromkeys(size for array in parameters for size in array.shape)
        ends = [layer for layer in want.layers if not isinstance(layer, Identity)]
        chains = [[Dense(size, bias=biased), *ends] for size in sizes]
    for chain in chains:
        try:
            yield Network(chain, input_shape=form.ours[:-1], dtype="float64", seed=0)
        except (ChainruleError, ValueError, TypeError):
            continue


def _parameters(
    network: Network, rest: Sequence[int], args: Sequence[Array], names: Sequence[str]
) -> Iterator[dict[str, tuple[int, Form]]]:
    """Which argument is which parameter, in the given order where shapes allow."""
    shapes = parameters_by_name(network)
    if len(shapes) != len(rest):
        return

    def assigned(left: Sequence[str], free: tuple[int, ...]) -> Iterator[dict[str, tuple[int, Form]]]:
        if not left:
            yield {}
            return
        for number in free:
            for form in parameter_forms(args[number], shapes[left[0]]):
                for others in assigned(left[1:], tuple(n for n in free if n != number)):
                    yield {left[0]: (number, form), **others}

    yield from assigned(list(shapes), tuple(rest))


def _labels(target: int | None, args: Sequence[Array], meaning: NetworkMeaning) -> Iterator[Labels]:
    """How the targets may be meant beside these outputs."""
    if target is None or not _runs(replace(meaning, loss=None, formulas={}), args):
        return
    given, n = args[target], meaning.network.output_shape[-1]
    m = replace(meaning, loss=None, formulas={}).bind(Probe(tuple(args), np.zeros(0))).values["x"].shape[-1]
    whole = given.size == m and bool((given == np.round(given)).all())
    counted = given[given != getattr(meaning.loss, "ignore_index", None)]
    if whole and n > 1 and counted.min(initial=0) >= 0 and counted.max(initial=0) < n:
        yield Labels(target, None)
    if given.size == m * n:
        if given.ndim == len(meaning.inputs.axes) and given.shape == args[meaning.place].shape:
            yield Labels(target, meaning.inputs)
            if meaning.loss is not None and meaning.loss.takes == "signs":
                yield Labels(target, meaning.inputs, signs=True)
        for form in _score_forms(given):
            if form.ours == (n, m):
                yield Labels(target, form)
                if meaning.loss is not None and meaning.loss.takes == "signs":
                    yield Labels(target, form, signs=True)


def _fitted(
    meaning: NetworkMeaning,
    args: Sequence[Array],
    out: Array,
    forward: Forward,
    tolerance: float,
    penalty: Penalty | None,
) -> NetworkMeaning | None:
    """The meaning with the share and the penalty under which all draws give what their forward gives."""
    draws = [tuple(args), *_draws(meaning, args)]
    theirs, bounds = [], []
    for values in draws:
        try:
            theirs.append(out if values is draws[0] else np.asarray(forward([v.copy() for v in values])))
            bounds.append(meaning.bind(Probe(values, np.ones_like(theirs[-1]))))
        except Exception:  # their code may take one number of samples alone
            if values is draws[0]:
                return None
            theirs = theirs[: len(bounds)]
    ours = [meaning.values(bound) for bound in bounds]
    if not all(np.isfinite(values).all() for values in ours):
        return None
    shares = ("1/w", *SHARES) if isinstance(meaning.loss, CountedCrossEntropy) else SHARES
    if max(values.size for values in theirs) > 1:
        for share in shares:
            pairs = zip(theirs, ours, bounds, strict=True)
            if all(
                t.size == o.size and _near(factor(share, b.sizes) * o, t.reshape(-1), tolerance)
                for t, o, b in pairs
            ):
                return replace(meaning, share=share, per_sample=True, formulas={})
        return None
    numbers = [float(t.reshape(-1)[0]) for t in theirs]
    for share in shares:
        data = [factor(share, b.sizes) * float(o.sum()) for b, o in zip(bounds, ours, strict=True)]
        if penalty is None and _near(np.array(data), np.array(numbers), tolerance):
            return replace(meaning, share=share, formulas={})
        rest = np.array(numbers) - np.array(data)
        fitted = _with_penalty(meaning, bounds, rest, np.array(numbers), tolerance, penalty)
        if fitted is not None:
            return replace(fitted, share=share, formulas={})
    return None


def _with_penalty(
    meaning: NetworkMeaning,
    bounds: Any,
    rest: Array,
    values: Array,
    tolerance: float,
    penalty: Penalty | None,
) -> NetworkMeaning | None:
    """rest: what their J has more than the data's share.  A penalty that explains it on all draws."""
    specs = meaning.network.parameter_specs
    weights = tuple(name for name in meaning.parameters if specs[name].penalised)
    every = tuple(meaning.parameters)
    if not every or not (rest[0] or penalty):
        return None
    for names in dict.fromkeys([weights, every]):
        for kind in [lambda _: penalty] if penalty is not None else [L2, L1]:
            unit: Any = kind(1.0)
            of_one = np.array([meaning.penalty_value(bound, unit, names) for bound in bounds])
            sizes = np.array([bound.sizes["m"] for bound in bounds], dtype=np.float64)
            for per in ("1", "1/m"):
                scale = of_one / (sizes if per == "1/m" else 1.0)
                strength = rest[0] / scale[0] if scale[0] else 0.0
                if penalty is not None and abs(strength - 1) > 1e-3:
                    continue
                if strength > 0 and _near_of(strength * scale, rest, values, tolerance):
                    made = kind(float(f"{strength:.10g}")) if penalty is None else penalty
                    return replace(meaning, penalty=made, penalised=names, penalty_share=per, formulas={})
    return None


def _draws(meaning: NetworkMeaning, args: Sequence[Array]) -> list[tuple[Array, ...]]:
    """Other numbers of the same shapes, and with one sample more."""
    rng = np.random.default_rng(1)
    same = tuple(fresh(value, value.shape, rng) for value in args)
    grown = list(args)
    for number, axis in meaning.samples:
        shape = list(args[number].shape)
        shape[axis] += 1
        grown[number] = fresh(args[number], shape, rng)
    return [same, tuple(grown)]


def _near(ours: Array, theirs: Array, tolerance: float) -> bool:
    return _near_of(ours, theirs, theirs, tolerance)


def _near_of(ours: Array, theirs: Array, of: Array, tolerance: float) -> bool:
    scale = float(np.abs(of).max(initial=0.0)) or 1.0
    return bool((np.abs(ours - theirs) <= tolerance * scale).all())
