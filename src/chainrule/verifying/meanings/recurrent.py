"""A recurrence as a meaning: the formulas of one step, walked through time, from a state that may be given.

Mistakes are those of a step's formulas, made at every step, and those of the walk: a state's δ that is not
handed to the step before, a gradient of one step alone, a state of the wrong step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product
from typing import Any

import numpy as np

from chainrule.base.errors import ChainruleError
from chainrule.base.types import Array
from chainrule.formulas.calling import call_formula
from chainrule.formulas.evaluation import Key, value_of
from chainrule.formulas.expression import Expression, Operation, Symbol
from chainrule.formulas.neighbours import is_of_delta
from chainrule.formulas.tracing import Formulas, trace
from chainrule.layers.sequences.recurrent import LSTM, Recurrent
from chainrule.verifying.meanings.forms import Form, input_forms, output_form, parameter_forms
from chainrule.verifying.meanings.meaning import (
    MOST_KEPT,
    MOST_NUMBERS,
    NONE,
    Argument,
    Bound,
    Edit,
    Edits,
    Meaning,
    edited,
    interned,
)
from chainrule.verifying.probes import Probe

GATED = ("W", "U", "b")  # whose rows are the gates', which people order in their own ways
PEEPHOLES = "P"  # of an LSTM, whose rows are those of the gates but g
ANYWHERE = ("V", PEEPHOLES)  # the projection and these stand in no usual order among what is learned
STACK = "stack"  # W, U and perhaps b side by side, one matrix for [h, x] or [x, h, 1]
SECOND = "second bias"  # beside b, as PyTorch's b_hh: their sum is b; of a GRU the candidate's is v
BY_GATE = (*GATED, STACK, SECOND)  # all whose rows are the gates'
OF_GATE = "/"  # "W/2": the rows of W of one gate, in the order in which theirs come, an argument of their own
STACKED = (("U", "W"), ("W", "U"), ("b", "W", "U"), ("b", "U", "W"), ("W", "U", "b"), ("U", "W", "b"))


@dataclass(eq=False)
class RecurrentMeaning(Meaning):
    """layer: of ours.  place, inputs: x's argument and form, (T, F, m), or (F, m) where it is a single step.
    states: number and form of the initial ones that are given.  gates: our gates in the order of their rows.
    stacked: what stands side by side in the one matrix, the parameter `STACK`, where they have one.
    complement: whether their update gate is 1 - ours, whose rows are then the negative ones.
    """

    layer: Recurrent
    place: int
    inputs: Form
    states: dict[str, tuple[int, Form]]
    parameters: dict[str, tuple[int, Form]]
    gates: str
    stacked: tuple[str, ...] = ()
    complement: bool = False
    outputs: Form | None = None

    @property
    def title(self) -> str:  # type: ignore[override]
        return repr(self.layer)

    @property
    def arguments(self) -> tuple[Argument, ...]:  # type: ignore[override]
        listed = [Argument(self.place, "x", "delta")]
        listed += [Argument(number, name, name) for name, (number, _) in self.parameters.items()]
        listed += [Argument(number, name, f"delta of {name}") for name, (number, _) in self.states.items()]
        return tuple(listed)

    @property
    def samples(self) -> Sequence[tuple[int, int]]:
        given = [(self.place, self.inputs), *self.states.values()]
        return [(number, form.axes[-1]) for number, form in given]

    @property
    def steps(self) -> Sequence[tuple[int, int]]:
        return [] if self.single else [(self.place, self.inputs.axes[0])]

    @property
    def cost(self) -> int:
        return 5

    @cached_property
    def formulas(self) -> Formulas:
        return trace(self.layer)

    @cached_property
    def layer_parameters(self) -> tuple[str, ...]:
        return tuple(self.layer.parameters((1, self.inputs.ours[-2])))

    @property
    def single(self) -> bool:
        """Whether it is one step, without an axis of time."""
        return len(self.inputs.axes) == 2

    @property
    def rows(self) -> Array:
        """Our row -> the row of theirs."""
        return self._rows(self.layer.gates, self.gates)

    def _rows(self, ours: str, theirs: str) -> Array:
        units = self.layer.units
        starts = [units * theirs.index(gate) for gate in ours]
        return np.concatenate([np.arange(start, start + units) for start in starts])

    def _rows_of(self, name: str) -> Array | None:
        """Our row -> the row of theirs, of what has rows of the gates."""
        if name == PEEPHOLES:
            seeing = LSTM.seeing
            return self._rows(seeing, "".join(gate for gate in self.gates if gate in seeing))
        return self.rows if name in BY_GATE else None

    def bind(self, probe: Probe) -> Bound:
        args = probe.args
        x = self.inputs.of_shape(args[self.place].shape)
        forms = {self.place: x}
        given = x.to_ours(args[self.place].astype(np.float64))
        sequence = given[None] if self.single else given
        units, samples = self.layer.units, sequence.shape[-1]
        specs = self.layer.parameters(sequence.shape[:-1])
        values: dict[str, Any] = {name: np.zeros(spec.shape) for name, spec in specs.items()}
        columns = {name: math.prod(specs[name].shape[1:]) for name in self.stacked}
        shapes = {name: spec.shape for name, spec in specs.items()}
        shapes[STACK] = (len(self.rows), sum(columns.values()))
        shapes[SECOND] = (len(self.rows),)
        rows: dict[str, list[Array]] = {}
        for name, (number, form) in self.parameters.items():
            of, one_gate, _ = name.partition(OF_GATE)
            ours = (units, *shapes[of][1:]) if one_gate else shapes[of]
            forms[number] = form.of_shape(args[number].shape, ours)
            rows.setdefault(of, []).append(forms[number].to_ours(args[number].astype(np.float64)))
        for name, parts in rows.items():
            values[name], theirs = np.concatenate(parts), self._rows_of(name)
            if theirs is not None:
                values[name] = self._signed(values[name][theirs])
        if SECOND in values:
            second = values.pop(SECOND)
            if "v" in specs:
                second, values["v"] = self._of_gates(second)
            values["b"] = values["b"] + second
        if self.stacked:
            cuts = np.cumsum(list(columns.values()))[:-1]
            for name, part in zip(columns, np.split(values.pop(STACK), cuts, axis=1), strict=True):
                values[name] = part.reshape(shapes[name])
        named = zip(self.layer.states, self.layer.state_sizes, strict=True)
        states = {name: np.zeros((size, samples)) for name, size in named}
        for name, (number, form) in self.states.items():
            forms[number] = form.of_shape(args[number].shape)
            states[name] = forms[number].to_ours(args[number].astype(np.float64))
        steps, after = [], []
        order = range(len(sequence))[::-1] if self.layer.reverse else range(len(sequence))
        for t in order:
            before = {"x": sequence[t], **states, **values}
            with np.errstate(all="ignore"):
                made = call_formula(self.layer.step, before)
            states = dict(zip(self.layer.states, made, strict=True))
            steps.append((t, before, states))
            after.append(made[0])
        every = np.stack(after[::-1] if self.layer.reverse else after)
        z = after[-1] if self.layer.outputs == "last" or self.single else every
        known: dict[str, Any] = {"steps": steps, "z": z, "x": sequence}
        if self.outputs is not None:
            known["d"] = self.outputs.delta(probe.delta, z)
        sizes = {"m": samples, "n": units}
        return Bound(known, forms, sizes if self.single else {**sizes, "T": len(sequence)})

    def gradient(self, bound: Bound, name: str, edits: Edits = NONE) -> Array:
        name, _, place = name.partition(OF_GATE)
        parts = [self._remembered(bound, part, edits) for part in self._of(name)]
        value = parts[0]
        if name == STACK:
            value = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
        elif name == SECOND and len(parts) > 1:
            value = np.concatenate([value[: -self.layer.units], parts[1]])
        rows = self._rows_of(name)
        if rows is not None:
            turned = np.empty_like(value)
            turned[rows] = self._signed(value)
            if not place:
                return turned
            first = int(place) * self.layer.units
            return turned[first : first + self.layer.units]
        return value[0] if self.single and name == "delta" else value

    def _remembered(self, bound: Bound, name: str, edits: Edits) -> Array:
        """∂J/∂(an argument).  Without mistakes all are computed at once.  With a mistake in its own formula
        what differs alone; with one in what is handed from step to step, δ of x or all that is learned, which
        is kept: the same mistake is looked for behind every array.
        """
        everything = ("delta", *self._learned)
        right = bound.remembered(NONE, lambda bound, edits: self._walk(bound, edits, everything))
        if not edits:
            return right[name]
        if name in everything and not any(self._carries(edit) for edit in edits.values()):
            wrong = edited(edits, name)
            return right[name] if wrong is None else self._of_right_steps(bound, name, wrong)
        asked = self._learned if name in self._learned else (name,) if name == "delta" else ()
        kept: dict[Any, tuple[Edits, dict[str, Array]]] = bound.computed.setdefault("walks", {})
        key = (asked, *sorted((place, id(edit)) for place, edit in edits.items()))
        if key not in kept:
            if len(kept) * sum(value.size for value in right.values()) > MOST_NUMBERS:
                kept.clear()
            with np.errstate(all="ignore"):
                kept[key] = edits, self._walk(bound, edits, asked)  # with the edits: no other gets their id
        return kept[key][1][name]

    def _carries(self, edit: Edit) -> bool:
        """Whether it changes what is handed from step to step."""
        return any(place.startswith("delta of ") for place in edit.trees) or not edit.trees

    def _of_right_steps(self, bound: Bound, name: str, wrong: Expression) -> Array:
        """A gradient by a wrong formula of it, of δ that come rightly: of each step what differs alone."""
        below, total = np.zeros_like(bound.values["x"]), None
        with np.errstate(all="ignore"):
            for number in reversed(range(len(bound.values["steps"]))):
                given, memory = bound.computed["given", number]
                made = np.asanyarray(value_of(wrong, given, {}, dict(memory)), dtype=np.float64)
                if name == "delta":
                    below[bound.values["steps"][number][0]] = made
                else:
                    total = made if total is None else total + made
        return below if total is None else total

    @cached_property
    def _learned(self) -> tuple[str, ...]:
        return tuple(name for name in self.formulas if name in self.layer_parameters)

    def _walk(self, bound: Bound, edits: Edits, asked: Sequence[str]) -> dict[str, Array]:
        """∂J/∂ what is asked for, x ("delta") or what is learned, and the states, from the last step to the
        first.
        """
        walk = edits.get("walk")
        walk = Edit("walk", "") if walk is None else walk
        kind, about = walk.kind, str(walk.values.get("name", ""))
        d, steps = bound.values["d"], bound.values["steps"]
        first = self.layer.states[0]
        arrived = {name: np.zeros_like(steps[0][1][name]) for name in self.layer.states}
        below, shares = np.zeros_like(bound.values["x"]), []
        all_steps = self.layer.outputs == "all" and not self.single
        carried = {name: f"delta of {name}" for name in self.layer.states}
        for number in reversed(range(len(steps))):
            t, before, after = steps[number]
            last = number == len(steps) - 1
            if all_steps and not (kind == "walk_last_output" and not last):
                arrived[first] = arrived[first] + d[t]
            elif not all_steps and last:
                arrived[first] = arrived[first] + d
            given = {**before, **{f"d{name}": value for name, value in arrived.items()}}
            given |= {f"{name}_t": value for name, value in after.items()}
            made = self._step(bound, number, given, edits, (*carried.values(), *asked))
            shares.append(made)
            if "delta" in asked:
                below[t] = made["delta"]
            if kind == "walk_short":
                alone = {f"d{name}": np.zeros_like(value) for name, value in arrived.items()}
                alone[f"d{first}"] = d[t] if all_steps else d * last
                made = self._step(bound, number, {**given, **alone}, edits, tuple(carried.values()))
            arrived = {name: made[place] for name, place in carried.items()}
            if kind == "walk_carry" and (number or walk.values["start"]):
                arrived[about] = np.zeros_like(arrived[about])
        chosen = shares  # the last step's comes first
        if kind == "walk_one_step":
            chosen = shares[:1] if about == "last" else shares[-1:]
        elif kind == "walk_missing_step":
            chosen = shares[1:] if about == "last" else shares[:-1]
            if not walk.values["of"]:
                below[-1 if about == "last" else 0] = 0
        of = str(walk.values.get("of", ""))
        gradients = {
            name: np.sum([share[name] for share in (chosen if of in ("", name) else shares)], axis=0)
            for name in asked
            if name != "delta"
        }
        states = {f"delta of {name}": value for name, value in arrived.items()}
        return {"delta": below, **gradients, **states}

    def rules_out(self, bound: Bound, argument: Argument, theirs: Array, edits: Edits) -> bool:
        """By δ of the last step's x: a walk through one step is a fraction of that through all."""
        if (
            argument.gradient != "delta"
            or any(not edit.trees for edit in edits.values())
            or self.single
            or theirs.shape != bound.forms[self.place].theirs
        ):
            return False
        wrong = edited(edits, "delta")
        tree = self.formula("delta") if wrong is None else wrong
        # Of two mistakes at once the other is in what is handed to the steps before: nothing new at the last.
        known: dict[tuple[int, int], tuple[bool, Any]] = bound.computed.setdefault("ruled out", {})
        key = id(tree), id(theirs)
        if key not in known:
            if len(known) >= MOST_KEPT:
                known.clear()
            # With both: no other gets their id.
            known[key] = self._off_at_last(bound, tree, theirs), (tree, theirs)
        return known[key][0]

    def _off_at_last(self, bound: Bound, tree: Expression, theirs: Array) -> bool:
        """Whether δ of the last step's x is not what this formula of it gives."""
        self.gradient(bound, "delta")
        number = len(bound.values["steps"]) - 1
        t, (given, memory) = bound.values["steps"][number][0], bound.computed["given", number]
        with np.errstate(all="ignore"):
            made = np.asanyarray(value_of(tree, given, {}, dict(memory)), dtype=np.float64)
        shown = bound.forms[self.place].to_ours(theirs.astype(np.float64))[t]
        return made.shape != shown.shape or not close_enough(shown, made)

    def _step(
        self, bound: Bound, number: int, given: Mapping[str, Array], edits: Edits, places: Sequence[str]
    ) -> dict[str, Array]:
        """What the formulas at these places give in a step.  The first time is without mistakes: what no δ
        goes into is not computed again, and of the last step, where δ comes rightly, what differs alone.
        """
        first = ("given", number) not in bound.computed
        last = number == len(bound.values["steps"]) - 1 and "walk" not in edits
        memory = dict[Key, Any]() if first else self._known(bound, number, last)
        made = {}
        for place in places:
            wrong = edited(edits, place)
            tree = self.formula(place) if wrong is None else wrong
            made[place] = np.asanyarray(value_of(tree, given, {}, memory), dtype=np.float64)
        if first:
            bound.computed["given", number] = given, memory
        return made

    def _known(self, bound: Bound, number: int, with_delta: bool) -> dict[Key, Any]:
        """What was computed at a step without mistakes, all of it or that which no δ goes into."""
        _, first = bound.computed["given", number]
        if with_delta:
            return dict(first)
        if ("memory", number) not in bound.computed:
            bound.computed["memory", number] = {
                key: value
                for key, value in first.items()
                if not is_of_delta(key[0] if isinstance(key, tuple) else key)
            }
        return dict(bound.computed["memory", number])

    def places(self, name: str) -> Iterable[str]:
        carried = [f"delta of {state}" for state in self.layer.states]
        own = self._of(name)
        return dict.fromkeys((*own, *carried)) if len(self.states) or not self.single else own

    def formula(self, place: str) -> Expression:
        return self._of_a_step[place]

    @cached_property
    def _of_a_step(self) -> dict[str, Expression]:
        """The formulas without their sums over the steps."""
        trees = {name: self.formulas[name] for name in self.formulas}
        for name, tree in trees.items():
            if isinstance(tree, Operation) and tree.rule.name == "sum_steps":
                trees[name] = tree.operands[0]
        return interned(trees)

    def written(self, name: str) -> str:
        return ", ".join(str(self.formulas[part]) for part in self._of(name))

    def _of(self, name: str) -> tuple[str, ...]:
        """The gradients that a gradient of theirs is put together from."""
        name = name.partition(OF_GATE)[0]
        if name == SECOND:
            return ("b", "v") if "v" in self.formulas else ("b",)
        return self.stacked if name == STACK else (name,)

    def _signed(self, value: Array) -> Array:
        """What belongs to the gates, in our order, with the sign that it has in theirs; and back."""
        if not self.complement:
            return value
        first, signed = self.layer.units * self.layer.gates.index("u"), value.copy()
        signed[first : first + self.layer.units] *= -1
        return signed

    def _of_gates(self, second: Array) -> tuple[Array, Array]:
        """A second bias as (what is added to b, v): the last gate of a GRU resets it."""
        units = self.layer.units
        return np.concatenate([second[:-units], np.zeros(units)]), second[-units:]

    def symbols(self, place: str, bound: Bound) -> Sequence[Symbol]:
        known = self.formulas.symbols
        given = [known[name] for state in self.layer.states for name in (f"d{state}", state)]
        return [*given, *(Symbol(f"{state}_t", f"state {state} at t") for state in self.layer.states)]

    def together(self, place: str) -> Sequence[str]:
        carried = [f"delta of {state}" for state in self.layer.states]
        known = {part for name in self.parameters for part in self._of(name)}
        return ["delta", *carried, *(name for name in self.formulas if name in known)]

    def others(self, name: str) -> Iterator[Edit]:
        if self.single:
            return
        learned = name in self.parameters
        name = name.partition(OF_GATE)[0]
        for state in self.layer.states:
            for start in (False, True):  # whether the initial state's is left out, too
                yield Edit("walk", "walk_carry", values={"name": state, "start": start})
        if learned:
            for which in ("last", "first"):
                for of in ("", name):  # of all parameters, or of this one
                    yield Edit("walk", "walk_one_step", values={"name": which, "of": of})
        for which in ("first", "last"):
            for of in dict.fromkeys(("", name if learned else "")):
                yield Edit("walk", "walk_missing_step", values={"name": which, "of": of})
        yield Edit("walk", "walk_short")
        if self.layer.outputs == "all":
            yield Edit("walk", "walk_last_output")


def close_enough(theirs: Array, made: Array) -> bool:
    """Roughly: what passes is compared in full."""
    return bool((np.abs(theirs - made) <= 1e-2 * np.abs(made).max(initial=0.0) + 1e-300).all())


def recurrent_meaning(
    layers: Iterable[Recurrent], args: Sequence[Array], out: Array, tolerance: float
) -> RecurrentMeaning | None:
    """The first of the layers and orders of axes and gates under which our recurrence gives `out`."""
    made = list(layers)
    for place in range(len(args)):
        for form in input_forms(args[place]) if args[place].ndim in (2, 3) else ():
            rest = [number for number in range(len(args)) if number != place]
            for layer in made:
                if form.axes and len(form.ours) == args[place].ndim:
                    for parameters, states, stacked in _given(layer, form, rest, args):
                        orders = product(permutations(layer.gates), (False, True)[: 1 + ("u" in layer.gates)])
                        for gates, complement in orders:
                            meaning = RecurrentMeaning(layer, place, form, states, parameters, "".join(gates))
                            meaning.stacked, meaning.complement = stacked, complement
                            try:
                                z = meaning.bind(Probe(tuple(args), out)).values["z"]
                            except (ValueError, TypeError, IndexError, ChainruleError):
                                break
                            meaning.outputs = output_form(out, z, tolerance)
                            if meaning.outputs is not None:
                                return meaning
    return None


Numbered = dict[str, tuple[int, Form]]


def _given(
    layer: Recurrent, form: Form, rest: Sequence[int], args: Sequence[Array]
) -> Iterator[tuple[Numbered, Numbered, tuple[str, ...]]]:
    """Which argument is which parameter or initial state: all whose shapes fit, in the usual order first; and
    what is stacked in one matrix.  Biases may be missing.
    """
    features, samples = form.ours[-2], form.ours[-1]
    specs = {name: spec.shape for name, spec in layer.parameters((1, features)).items()}
    sizes = zip(layer.states, layer.state_sizes, strict=True)
    given = {name: (size, samples) for name, size in sizes}
    for stacked in ((), *STACKED):
        if not stacked or set(stacked) <= set(specs) <= {*GATED}:
            columns = sum(math.prod(specs[name][1:]) for name in stacked)
            one = {STACK: (specs["W"][0], columns)} if stacked else {}
            learned = {**one, **{name: shape for name, shape in specs.items() if name not in stacked}}
            if "b" in learned:
                learned[SECOND] = learned["b"]
            needed = {STACK} if stacked else {"W", "U", *({"V", PEEPHOLES} & set(specs))}
            for taken in _taken(learned, given, layer, list(rest), args):
                names = {name.partition(OF_GATE)[0] for name in taken}
                second = SECOND in names and ("v" in names or "b" not in names)
                if needed <= names and not second:
                    yield (
                        {name: pair for name, pair in taken.items() if name not in given},
                        {name: _state_form(*pair, args) for name, pair in taken.items() if name in given},
                        stacked,
                    )


def _taken(
    learned: Mapping[str, tuple[int, ...]],
    given: Mapping[str, tuple[int, ...]],
    layer: Recurrent,
    rest: list[int],
    args: Sequence[Array],
    taken: Numbered | None = None,
) -> Iterator[Numbered]:
    """The arguments `rest` as parameters, whole or in one piece per gate, and as initial states, by their
    shapes.  The parameters begin in this order; the pieces of one all lie alike.
    """
    taken = taken or {}
    whole = list(learned)
    rows = {name: shape[0] // layer.units for name, shape in learned.items() if name in BY_GATE}
    rows |= {PEEPHOLES: len(LSTM.seeing)} if PEEPHOLES in learned else {}
    begun = [name.partition(OF_GATE)[0] for name in taken if name not in given]
    if not rest:
        pieces = {name: begun.count(name) for name in begun}
        if all(name in taken or count == rows[name] for name, count in pieces.items()):
            yield taken
        return
    latest = max((whole.index(name) for name in begun if name not in ANYWHERE), default=-1)
    wanted = {name: learned[name] for name in whole[latest + 1 :] if name not in ANYWHERE}
    wanted |= {name: learned[name] for name in whole if name in ANYWHERE and name not in begun}
    wanted |= {name: shape for name, shape in given.items() if name not in taken}
    for name, gates in rows.items():
        shape, place = learned[name], begun.count(name)
        open_ = name not in taken and 0 < place < gates
        begins = not place and (name in ANYWHERE or whole.index(name) > latest)
        if gates > 1 and (open_ or begins):
            wanted[f"{name}{OF_GATE}{place}"] = (layer.units, *shape[1:])
    for name, shape in wanted.items():
        first = taken.get(f"{name.partition(OF_GATE)[0]}{OF_GATE}0")
        for form in parameter_forms(args[rest[0]], shape):
            if first is None or first[1].axes == form.axes:
                made = {**taken, name: (rest[0], form)}
                yield from _taken(learned, given, layer, rest[1:], args, made)


def _state_form(number: int, form: Form, args: Sequence[Array]) -> tuple[int, Form]:
    return number, Form(form.axes, form.ours, args[number].shape)
