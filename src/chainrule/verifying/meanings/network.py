"""A network as a meaning: layers in a chain, and behind them, where J comes back, a loss and a penalty.

A loss of scores is a network of the output activation alone, or of none. What is not said is read off the
forward pass: how the samples' losses become one number, and how strong the penalty is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.formulas import count_features
from chainrule.formulas.evaluation import evaluate
from chainrule.formulas.expression import Expression, Number, Symbol, substitute
from chainrule.formulas.neighbours import with_rotated
from chainrule.formulas.tracing import trace
from chainrule.layers import Composite, Identity, Layer
from chainrule.layers.sequences.recurrent import Recurrent
from chainrule.losses import CrossEntropy, Loss, MeanAbsoluteError, Poisson, SquaredError
from chainrule.losses.penalties import Penalty
from chainrule.networks.architecture import leaves
from chainrule.networks.batch import Batch
from chainrule.networks.network import Network
from chainrule.networks.objective import Objective
from chainrule.reference.backpropagation import Head, summed
from chainrule.reference.passes import (
    RIGHT,
    Backward,
    BackwardRules,
    Pass,
    PassContext,
    leaf_passes,
    run_backward,
    run_forward,
)
from chainrule.verifying.factors import factor, factor_names, rare_factor_names
from chainrule.verifying.meanings.forms import Form, input_forms
from chainrule.verifying.meanings.layer import siblings, updates
from chainrule.verifying.meanings.losses import CountedCrossEntropy
from chainrule.verifying.meanings.meaning import NONE, Argument, Bound, Edit, Edits, Meaning, edited
from chainrule.verifying.probes import Probe

FACTORS = {"m": 1, "n": 1}
INPUT, LOSS, SHARE, PENALTY = "input", "loss", "share", "penalty"


@dataclass(frozen=True)
class Labels:
    """Targets as somebody gives them: numbers of classes, or an array like the scores.

    number: of the argument.  form: of an array; None: class numbers.  signs: -1 and 1 for 0 and 1.
    """

    number: int
    form: Form | None
    signs: bool = False


@dataclass(eq=False)
class NetworkMeaning(Meaning):
    """network: of ours.  place, inputs: X's argument and form.  parameters: by full name, the number of their
    argument and its form.  outputs: the form of an output that comes back, where no loss does.

    loss, labels: where J comes back, or every sample's share of it (`per_sample`).  share: the factor with
    which the samples' losses are summed, "1/m".  penalty: on `penalised` parameters.
    """

    network: Network
    place: int
    inputs: Form
    parameters: dict[str, tuple[int, Form]]
    outputs: Form | None = None
    loss: Loss | None = None
    labels: Labels | None = None
    share: str = "1/m"
    per_sample: bool = False
    penalty: Penalty | None = None
    penalised: tuple[str, ...] = ()
    penalty_share: str = "1"
    formulas: dict[str, Expression] = field(default_factory=dict)

    @property
    def title(self) -> str:  # type: ignore[override]
        layers = [layer for layer in self.network.layers if not isinstance(layer, Identity)]
        chain = ", ".join(map(repr, layers))
        if self.loss is None:
            return chain
        parts = [chain] if chain else []
        parts += [repr(self.loss)] if self.share == "1/m" else [f"{self.loss!r} times {self.share}"]
        return " with ".join(parts) + (f" and {self.penalty!r}" if self.penalty is not None else "")

    @property
    def arguments(self) -> tuple[Argument, ...]:  # type: ignore[override]
        named = [Argument(number, name, name) for name, (number, _) in self.parameters.items()]
        return (*named[::-1], Argument(self.place, "x", INPUT))

    @property
    def cost(self) -> int:
        return 1 + len(self._order) // 3  # measured: 0.1 ms a layer, where a plain layer's formula takes 0.3

    @property
    def expected(self) -> Sequence[int]:
        """Of a network whose J comes back nobody needs ∂J/∂x."""
        by_parameters = [number for number, _ in self.parameters.values()]
        return by_parameters if by_parameters and self.loss is not None else super().expected

    @property
    def samples(self) -> Sequence[tuple[int, int]]:
        grown = [(self.place, self.inputs.axes[-1])]
        if self.labels is not None:
            grown.append((self.labels.number, self.labels.form.axes[-1] if self.labels.form else 0))
        return grown

    # -- forward ---------------------------------------------------------------------------------------------
    def bind(self, probe: Probe) -> Bound:
        args = probe.args
        x_form = score_form(self.inputs, args[self.place].shape)
        x = x_form.to_ours(args[self.place].astype(np.float64))
        forms, values = {self.place: x_form}, dict(self.network.parameters)
        for name, (number, form) in self.parameters.items():
            forms[number] = form.of_shape(args[number].shape, form.ours)
            values[name] = forms[number].to_ours(args[number].astype(np.float64))
        with np.errstate(all="ignore"):
            passes = run_forward(self.network, x, values, np.float64, PassContext(training=True))
        known: dict[str, Any] = {"x": x, "parameters": values, "passes": passes, "z": passes[-1].output}
        sizes = {"m": x.shape[-1], "n": x.shape[0] if x.ndim > 1 else 1}
        if self.loss is None:
            if self.outputs is not None:
                known["d"] = self.outputs.delta(probe.delta, passes[-1].output)
            return Bound(known, forms, sizes)
        assert self.labels is not None
        sizes["n"] = passes[-1].output.shape[0]
        known["scale"] = 1.0 if self.per_sample else float(np.sum(probe.delta))
        ignored = getattr(self.loss, "ignore_index", None)
        given = targets(self.labels, args, passes[-1].output.shape, ignored)
        y = self.loss.prepared(given)
        if isinstance(self.loss, CountedCrossEntropy):
            sizes["w"] = float(y.sum())
        known["given"] = given
        weight = np.asarray(probe.delta, dtype=np.float64).reshape(-1) if self.per_sample else known["scale"]
        known["head"] = Head(self.loss, passes[-1], y, factor(self.share, sizes) * np.asarray(weight))
        return Bound(known, forms, sizes)

    def values(self, bound: Bound) -> Array:
        """The loss of every sample, (m,)."""
        with np.errstate(all="ignore"):
            head: Head = bound.values["head"]
            return head.values

    def penalty_value(self, bound: Bound, penalty: Penalty, names: Sequence[str]) -> float:
        return float(sum(penalty.value(bound.values["parameters"][name], 1) for name in names))

    # -- backward --------------------------------------------------------------------------------------------
    def gradient(self, bound: Bound, name: str, edits: Edits = NONE) -> Array:
        return bound.remembered(edits, self._gradients)[name]

    def _gradients(self, bound: Bound, edits: Edits) -> dict[str, Array]:
        passes: Sequence[Pass] = bound.values["passes"]
        backward: list[Backward] = []
        visit = backward.append
        if self.loss is None:
            below = run_backward(passes, bound.values["d"], visit, rules=self._rules(bound, edits))
        else:
            head: Head = bound.values["head"]
            d = self._head(head, bound, edits)
            below = run_backward(head.below(passes), d, visit, rules=self._rules(bound, edits))
        found = summed(self.network, backward)
        found[INPUT] = below
        self._add_penalty(found, bound, edits)
        return found

    def _head(self, head: Head, bound: Bound, edits: Edits) -> Array:
        tree, share = edited(edits, LOSS), head.share
        residual = head.residual
        if tree is not None:
            a = head.last.output
            known = {"a": a, "x": head.last.x, "z": head.last.x if head.pair else a, "y": head.y}
            known["t"] = bound.values["given"]
            residual = np.broadcast_to(np.asanyarray(evaluate(tree, known), dtype=np.float64), a.shape)
        wrong = edits.get(SHARE)
        if wrong is None and "factor" in getattr(edits.get(LOSS), "values", {}):
            wrong = edits[LOSS]  # of a loss with another share
        if wrong is not None:
            share = share * factor(str(wrong.values["factor"]), bound.sizes)
        return np.asanyarray(share * residual)

    def _rules(self, bound: Bound, edits: Edits) -> BackwardRules:
        if not edits:
            return RIGHT
        passes, known_scale = bound.values["passes"], float(bound.values.get("scale", 1.0)) or 1.0
        by_name = {p.name: p for p in leaf_passes(passes)}
        elsewhere = {f"x({p.name})": p.x for p in by_name.values()}
        elsewhere |= {f"a({p.name})": p.output for p in by_name.values()}
        handed: dict[str, Array] = {}  # δ below every layer so far

        def leaf(layer_pass: Pass, d: Array) -> tuple[Array, dict[str, Array]]:
            below, gradients = RIGHT.leaf(layer_pass, d)
            elsewhere[f"δ({layer_pass.name})"] = d
            available = {
                **elsewhere,
                "d": d,
                "x": layer_pass.x,
                "z": layer_pass.output,
                "a": layer_pass.output,
                **layer_pass.given,
            }
            for name in ("delta", *gradients):
                place = f"{layer_pass.name}.{name}"
                tree = edited(edits, place)
                if tree is None:
                    continue
                edit = edits.get(place)
                other = by_name.get(str(edit.values.get("layer", "")) if edit is not None else "")
                mixed = {} if other is None else {"x": other.x, "z": other.output, "a": other.output}
                # A learning rate is that of J itself, whatever its δ.
                scale = known_scale if edit is not None and edit.kind == "updated before" else 1.0
                known = with_rotated({**available, **mixed, "d": d / scale})
                value = scale * np.asanyarray(evaluate(tree, known), dtype=np.float64)
                if name == "delta":
                    below = value
                else:
                    gradients[name] = value
            handed[layer_pass.name] = below
            return below, gradients

        def join(layer_pass: Pass, parts: Sequence[Array]) -> Array:
            edit = edits.get(layer_pass.name)
            if edit is None:
                return RIGHT.join(layer_pass, parts)
            if edit.kind == "branch_delta":
                instead = handed[str(edit.values["layer"])]
                taken = [instead if n == edit.values["branch"] else part for n, part in enumerate(parts, 1)]
                return RIGHT.join(layer_pass, taken)
            counted = 2 if edit.kind == "branch_twice" else 0
            times = [counted if n == edit.values["branch"] else 1 for n, _ in enumerate(parts, 1)]
            kept = [part for part, count in zip(parts, times, strict=True) for _ in range(count)]
            return RIGHT.join(layer_pass, kept)

        return BackwardRules(leaf, join)

    def _add_penalty(self, gradients: dict[str, Array], bound: Bound, edits: Edits) -> None:
        if self.penalty is None:
            return
        for name in self.parameters:
            edit = edits.get(f"{PENALTY} {name}") or edits.get(PENALTY)
            kind = "" if edit is None else edit.kind
            if kind == "penalty_missing" or (name not in self.penalised and kind != "penalty_biases"):
                continue
            strength = factor(self.penalty_share, bound.sizes) * bound.values["scale"]
            if edit is not None and "factor" in edit.values:
                strength *= factor(str(edit.values["factor"]), bound.sizes)
            gradients[name] = gradients[name] + strength * self.penalty.gradient(
                bound.values["parameters"][name], 1
            )

    # -- mistakes --------------------------------------------------------------------------------------------
    @cached_property
    def _order(self) -> list[Layer]:
        return list(leaves(self.network.layers))

    def places(self, name: str) -> Iterable[str]:
        head = self.loss is not None
        names = [str(layer.name) for layer in self._order]
        fused = head and self.loss is not None and self.loss.pairs_with(self.network.layers[-1])
        layer = name.rpartition(".")[0]
        above = names if name == INPUT else names[names.index(layer) + 1 :]
        chain = [f"{layer}.delta" for layer in (above[:-1] if fused and above else above)]
        known = [place for place in chain if self._known(place)]
        return [*([] if name == INPUT else self._uses(name)), *known, *([LOSS] if head else [])]

    def _uses(self, name: str) -> list[str]:
        """The gradients that a parameter's is the sum of: of every layer that uses it."""
        return [
            f"{layer}.{key}"
            for layer in self.network.parameter_uses()[name]
            for key, full in self.network.parameter_names(layer).items()
            if full == name
        ]

    def _known(self, place: str) -> bool:
        """Whether a formula stands there that can be wrong: those of recurrences are walked, not printed."""
        layer = next(layer for layer in self._order if f"{layer.name}.delta" == place)
        return not isinstance(layer, (Identity, Recurrent))

    def formula(self, place: str) -> Expression:
        if place not in self.formulas:
            self.formulas[place] = self._traced(place)
        return self.formulas[place]

    def _traced(self, place: str) -> Expression:
        if place == LOSS:
            assert self.loss is not None
            fused = self.loss.pairs_with(self.network.layers[-1])
            return trace(self.loss)["residual" if fused else "gradient"]
        layer_name, _, name = place.rpartition(".")
        layer = next(layer for layer in self._order if layer.name == layer_name)
        formulas = trace(layer)
        return formulas[name]

    def written(self, name: str) -> str:
        if name == INPUT:
            return str(self.formula(LOSS)) if self.loss is not None else "δ"
        uses = self._uses(name)
        layers = [place.rpartition(".")[0] for place in uses]
        told = [str(self.formula(place)) for place in uses]
        shown = zip(told, layers, strict=True)
        return told[0] if len(told) == 1 else " + ".join(f"{tree} ({layer})" for tree, layer in shown)

    def symbols(self, place: str, bound: Bound) -> Sequence[Expression]:
        if place == LOSS and self.loss is not None:
            known = trace(self.loss).symbols
            scores = [known["z"]] if self.loss.pairs_with(self.network.layers[-1]) else []
            return [Number(1.0), known["a"], known["y"], *scores]
        name = place.rpartition(".")[0]
        layer = next(layer for layer in self._order if layer.name == name)
        known = trace(layer).symbols
        here = [known[name] for name in ("x", "z", "a", "d") if name in known]
        return [*here, *self._elsewhere(name, bound)]

    def _elsewhere(self, name: str, bound: Bound) -> Iterator[Symbol]:
        """Outputs and δ of other layers, of the shapes that there are at this one: those behind it first."""
        passes = leaf_passes(bound.values["passes"])
        names = [p.name for p in passes]
        here = passes[names.index(name)]
        shapes = {np.shape(here.x), np.shape(here.output)}
        arrays: list[Array] = [here.x, here.output]
        for p in passes:
            for letter, value in (("x", p.x), ("a", p.output)):
                if np.shape(value) in shapes and not any(value is other for other in arrays):
                    arrays.append(value)
                    yield Symbol(f"{letter}({p.name})")
        for p in passes[names.index(name) + 1 :]:
            if np.shape(p.output) in shapes:
                yield Symbol(f"δ({p.name})")

    def updated(self, name: str) -> Iterator[Callable[[float], Edit]]:
        for place in self.places(name):
            layer_name, _, part = place.rpartition(".")
            if part == "delta" and place != name:
                layer = next(layer for layer in self._order if layer.name == layer_name)
                formulas = trace(layer)
                learned = [parameter for parameter in formulas if parameter in formulas.symbols]
                yield from updates(formulas, place, part, learned)

    def instead(self, name: str, bound: Bound) -> Iterator[Edit]:
        for place in self.places(name):
            if place == LOSS:
                yield from self._other_losses()
            layer = next((layer for layer in self._order if f"{layer.name}.delta" == place), None)
            for other, tree in () if layer is None else siblings(layer):
                yield Edit(place, "instead", {place: tree}, type(layer).__name__, other)

    def _other_losses(self) -> Iterator[Edit]:
        """The gradient of another loss of outputs and targets; that of labels as they are given."""
        right, known = self.formula(LOSS), trace(self.loss).symbols
        for other in (SquaredError(), MeanAbsoluteError(), Poisson()):
            if type(other) is not type(self.loss):
                kind = type(other).__name__
                yield Edit(LOSS, "instead", {LOSS: trace(other)["gradient"]}, type(self.loss).__name__, kind)
        smoothing = getattr(self.loss, "label_smoothing", 0.0)
        if smoothing and isinstance(self.loss, CrossEntropy):
            t = Symbol("t", "target")
            rest = smoothing * (1 - t) / (count_features(t) - 1)
            others = substitute(right, {known["y"]: (1 - smoothing) * t + rest})
            yield Edit(LOSS, "smoothed_otherwise", {LOSS: others}, known["y"], known["y"])
            beside = (1 - smoothing) * t + smoothing * (1 - t) / count_features(t)
            without = substitute(right, {known["y"]: beside})
            yield Edit(LOSS, "smoothed_beside", {LOSS: without}, known["y"], known["y"])
            lacking = substitute(right, {known["y"]: (1 - smoothing) * t})
            yield Edit(LOSS, "smoothed_in_part", {LOSS: lacking}, known["y"], known["y"])
        if known["y"] in right.symbols:
            as_given = substitute(right, {known["y"]: Symbol("t", "target")})
            yield Edit(LOSS, "unprepared", {LOSS: as_given}, known["y"], known["y"])

    def others(self, name: str) -> Iterator[Edit]:
        if self.penalty is not None and name != INPUT:
            for place in (PENALTY, f"{PENALTY} {name}"):
                if name in self.penalised:
                    yield Edit(place, "penalty_missing")
                    for word in ("2", "1/2", "-1", "m", "1/m"):
                        yield Edit(place, "penalty_factor", values={"factor": word})
                else:
                    yield Edit(place, "penalty_biases")
        if self.loss is not None:
            for word in (*factor_names(FACTORS), *rare_factor_names(FACTORS)):
                yield Edit(SHARE, "factor", values={"factor": word})
            yield from self._around_the_activation()
            yield from self._of_what_counts()
        for layer in _composites(self.network.layers):
            for number in range(1, layer.uses(0) + 1):
                for kind in ("branch", "branch_twice"):
                    yield Edit(str(layer.name), kind, values={"branch": number})
                for other in leaves([layer]):
                    values = {"branch": number, "layer": str(other.name)}
                    yield Edit(str(layer.name), "branch_delta", values=values)
        activations = [layer for layer in self._order if layer.passage == "activation"]
        for place in self.places(name):
            layer_name = place.rpartition(".")[0]
            if any(layer.name == layer_name for layer in activations):
                for other in activations:
                    if other.name != layer_name and type(other) is not Identity:
                        yield Edit(
                            place,
                            "other_layer",
                            {place: self.formula(place)},
                            values={"layer": str(other.name), "name": layer_name},
                        )

    def _of_what_counts(self) -> Iterator[Edit]:
        """Of a loss with weights and ignored samples: these left out, where J has them."""
        if not isinstance(self.loss, CountedCrossEntropy):
            return
        by_all = {"factor": "w/m"} if self.share == "1/w" else {}
        right, known = self.formula(LOSS), trace(self.loss).symbols
        if by_all:
            yield Edit(SHARE, "share_of_all", values=by_all)
        if self.loss.ignore_index is not None:
            learning = {LOSS: known["a"] - known["y"]}
            yield Edit(LOSS, "ignored_learn", learning)
            yield Edit(LOSS, "ignored_learn", learning, values=by_all)
        if self.loss.weight is not None:
            plain = {LOSS: substitute(right, {known["y"]: Symbol("t", "target")})}
            yield Edit(LOSS, "weights_missing", plain)
            yield Edit(LOSS, "weights_missing", plain, values=by_all)
            yield Edit(LOSS, "weights_of_targets", {LOSS: known["a"] - known["y"]})

    def _around_the_activation(self) -> Iterator[Edit]:
        """Of a pair: f' once more behind a - y, which has it already; and ∂J/∂a without f' at all."""
        last = self.network.layers[-1]
        if self.loss is None or not self.loss.pairs_with(last):
            return
        formulas, own = trace(self.loss), trace(last)
        replaced: dict[Expression, Expression] = {own.symbols["d"]: formulas["residual"]}
        for symbol in own.symbols.values():
            if symbol.name in ("z", "a"):  # the activation's output, which the loss calls a
                replaced[symbol] = formulas.symbols["a"]
        once_more = substitute(own["delta"], replaced)
        yield Edit(LOSS, "slope_twice", {LOSS: once_more})
        a = formulas.symbols["a"]
        yield Edit(LOSS, "slope_twice", {LOSS: formulas["residual"] * (a * (1 - a))})
        yield Edit(LOSS, "slope_missing", {LOSS: formulas["gradient"]})


def network_of_ours(
    network: Network, batch: Batch, objective: Objective
) -> tuple[NetworkMeaning, list[Array]]:
    """One of our networks with its J on a batch, and the arrays it is a meaning of: inputs, targets, and what
    is learned, in its order.
    """
    learned = {name: network.parameters[name] for name in parameters_by_name(network)}
    args = [np.asarray(array, dtype=np.float64) for array in (batch.inputs, batch.targets, *learned.values())]
    inputs, labels = (next(iter(input_forms(array))) for array in args[:2])
    parameters = {
        name: (number, Form(tuple(range(array.ndim)), array.shape, array.shape))
        for number, (name, array) in enumerate(learned.items(), 2)
    }
    outputs = int(np.prod(network.output_shape))
    penalty: Any = objective.penalty
    share = "1"
    if getattr(penalty, "per_sample", False):
        penalty, share = replace(penalty, per_sample=False), "1/m"
    return NetworkMeaning(
        network,
        0,
        inputs,
        parameters,
        loss=objective.loss,
        labels=Labels(1, labels if args[1].size == len(batch) * outputs else None),
        penalty=penalty,
        penalised=tuple(name for name in learned if network.parameter_specs[name].penalised),
        penalty_share=share,
    ), args


def score_form(form: Form, shape: Sequence[int]) -> Form:
    """`form` for an array of another shape; scores of several axes of samples are counted as one."""
    moved = tuple(shape[axis] for axis in form.axes)
    if len(form.ours) == len(moved):
        return Form(form.axes, moved, tuple(shape))
    if len(form.ours) == 2 and len(moved) > 2:
        return Form(form.axes, (moved[0], int(np.prod(moved[1:]))), tuple(shape))
    return Form(form.axes, (1, *moved) if form.ours[0] == 1 else (*moved, 1), tuple(shape))


def targets(
    labels: Labels, args: Sequence[Array], output_shape: Sequence[int], ignored: int | None = None
) -> Array:
    """y with samples last: an array as it lies, class numbers as one-hot columns, zeros for the `ignored`."""
    given = args[labels.number]
    if labels.form is not None:
        lying = score_form(labels.form, given.shape).to_ours(given.astype(np.float64)).reshape(output_shape)
        return (lying + 1) / 2 if labels.signs else lying
    numbers = given.reshape(-1).astype(np.int64)
    if ignored is not None:
        return np.where(
            numbers == ignored, 0.0, np.eye(output_shape[0])[np.where(numbers == ignored, 0, numbers)].T
        )
    return np.eye(output_shape[0])[numbers].T


def _composites(layers: Iterable[Layer]) -> Iterator[Composite]:
    for layer in layers:
        if isinstance(layer, Composite):
            yield layer
            for chain in layer.chains:
                yield from _composites(chain)


def parameters_by_name(network: Network) -> Mapping[str, tuple[int, ...]]:
    """The shapes of what a network learns, by full name."""
    specs = network.parameter_specs
    return {name: spec.shape for name, spec in specs.items() if spec.learned}
