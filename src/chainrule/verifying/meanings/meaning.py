"""Meaning: what a backward pass is meant to be, as formulas in which one mistake can be made, brought to the
form of somebody's arrays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import combinations
from typing import Any

import numpy as np

from chainrule.base.errors import ChainruleError
from chainrule.base.types import Array
from chainrule.formulas.evaluation import Key, value_of
from chainrule.formulas.expression import Expression, Named, Operation, Over, Symbol, substitute, walk
from chainrule.formulas.neighbours import Neighbour, in_all, is_of_delta, misused, neighbours, with_rotated
from chainrule.formulas.rules import Trait, rules
from chainrule.verifying.meanings.forms import Form
from chainrule.verifying.precision import Reference
from chainrule.verifying.probes import Probe

MOST_KEPT, MOST_NUMBERS = 3000, 2**24  # nodes of wrong formulas of which values are kept, and numbers in them


@dataclass(frozen=True, eq=False)
class Edit:
    """One mistake: in place of the right formulas stand `trees`, by where they stand; or, without any, what
    `kind` says is done.

    place: where, as a whole; of several edits one is made at a place.  kind: a key of the texts.  node, part:
    of the right formula, what the mistake is about.  values: what the text names beside.  right: the right
    formulas, where they are written in another way than the meaning's own.  deep: whether it is made in one
    of several uses of a definition alone.
    """

    place: str
    kind: str
    trees: Mapping[str, Expression] = field(default_factory=dict)
    node: Any = ""
    part: Any = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    right: Mapping[str, Expression] = field(default_factory=dict)
    deep: bool = False


Edits = Mapping[str, Edit]
Trees = Mapping[str, Expression]
Changed = tuple[str, Expression, Expression, Expression]
NONE: Edits = {}


def edited(edits: Edits, place: str) -> Expression | None:
    """The wrong formula that stands at a place; None: the right one."""
    return next((edit.trees[place] for edit in edits.values() if place in edit.trees), None)


@dataclass(frozen=True, eq=False)
class Argument:
    """Of the arguments of their forward, number `number` is our `name`; `gradient` is what its gradient is
    called here, "" where there is none.
    """

    number: int
    name: str
    gradient: str


@dataclass(frozen=True, eq=False)
class Bound:
    """A probe as our formulas take it: values in float64 by name, the forms of arguments by number, and the
    numbers that factors are made of (m samples, n features, P positions, T steps).
    """

    values: dict[str, Any]
    forms: Mapping[int, Form]
    sizes: Mapping[str, int]
    computed: dict[Any, Any] = field(default_factory=dict)  # gradients by the edits they were made with

    def remembered(
        self, edits: Edits, compute: Callable[[Bound, Edits], dict[str, Array]]
    ) -> dict[str, Array]:
        """All gradients with these mistakes, computed again only where the last asked for were others."""
        key = tuple(sorted((place, id(edit)) for place, edit in edits.items()))
        if self.computed.get("key") != key:
            with np.errstate(all="ignore"):
                self.computed["all"] = compute(self, edits)
            self.computed["key"] = key
            self.computed["edits"] = edits  # kept, so that no other edit gets its id
        made: dict[str, Array] = self.computed["all"]
        return made


class Meaning(ABC):
    """One thing that a backward pass may be meant to be."""

    title: str
    arguments: tuple[Argument, ...]  # those whose δ arrives first come first

    @property
    def cost(self) -> int:
        """What it takes to compute a gradient, in formulas of a layer."""
        return 1

    @property
    def expected(self) -> Sequence[int]:
        """The arguments whose gradients are missed where they do not come back."""
        return [argument.number for argument in self.arguments if argument.gradient]

    @property
    @abstractmethod
    def samples(self) -> Sequence[tuple[int, int]]:
        """(argument, axis) wherever samples are counted."""

    @property
    def steps(self) -> Sequence[tuple[int, int]]:
        """(argument, axis) wherever steps are counted that a gradient walks through: of few it takes less."""
        return ()

    @abstractmethod
    def bind(self, probe: Probe) -> Bound:
        """Raises ValueError or a ChainruleError for a probe of shapes that cannot be this."""

    @abstractmethod
    def gradient(self, bound: Bound, name: str, edits: Edits = NONE) -> Array:
        """∂J/∂(an argument) by its `gradient`, in our form."""

    def off(self, probe: Probe, out: Array) -> float | None:
        """By how much their output on a probe is off from that of our forward pass, as it was found on the
        given arguments: of the largest entry; infinitely where it cannot be this; None where it has none.
        """
        form: Form | None = getattr(self, "outputs", None)
        if form is None:
            return None
        try:
            z = self.bind(probe).values.get("z")
            if z is None:
                return None
            theirs, scale = form.delta(out, z), float(np.abs(z).max(initial=0.0)) or 1.0
        except (ValueError, TypeError, IndexError, ChainruleError):
            return np.inf
        off = float(np.abs(theirs - z).max(initial=0.0)) / scale
        return off if np.isfinite(off) and np.isfinite(scale) else np.inf

    @abstractmethod
    def places(self, name: str) -> Iterable[str]:
        """Where a mistake changes this gradient, the nearest first."""

    @abstractmethod
    def formula(self, place: str) -> Expression:
        """The right formula there."""

    def symbols(self, place: str, bound: Bound) -> Sequence[Expression]:
        """What may stand there by mistake for another quantity of the same shape."""
        return ()

    def beside(self, place: str) -> Sequence[Symbol]:
        """What the whole may be multiplied by, with these."""
        return ()

    def instead(self, name: str, bound: Bound) -> Iterator[Edit]:
        """Formulas of something else in place of the right ones: another layer's backward pass."""
        return iter(())

    def updated(self, name: str) -> Iterator[Callable[[float], Edit]]:
        """Mistakes by a learning rate: a parameter that is updated before it is used."""
        return iter(())

    def others(self, name: str) -> Iterator[Edit]:
        """Mistakes that no single formula has in it."""
        return iter(())

    def together(self, place: str) -> Sequence[str]:
        """The places whose formulas share their definitions with this one's: a mistake in a definition is
        made in all of them.
        """
        return (place,)

    @cached_property
    def _told(self) -> dict[Any, tuple[list[Edit], Iterator[Edit]]]:
        return {}

    def replayed(self, key: Any, make: Callable[[], Iterator[Edit]]) -> Iterator[Edit]:
        """What `make` gives, made once for a key: searches ask for the same mistakes again."""
        known, source = self._told.setdefault(key, ([], make()))
        number = 0
        while True:
            if number == len(known):
                edit = next(source, None)
                if edit is None:
                    return
                known.append(edit)
            yield known[number]
            number += 1

    def edits(self, name: str, bound: Bound) -> Iterator[Edit]:
        """Every single mistake in one formula that changes this gradient."""
        return self.replayed(("edits", name, bound), lambda: self._in_formulas(name, bound))

    def shared(self, name: str, bound: Bound) -> Iterator[Edit]:
        """Every single mistake that changes several gradients: in a formula behind this one, or in a
        definition, made wherever it is used.
        """
        return self.replayed(("shared", name, bound), lambda: self._in_several(name, bound))

    def _in_formulas(self, name: str, bound: Bound) -> Iterator[Edit]:
        for place in self.places(name):
            formula, symbols, beside = self.formula(place), self.symbols(place, bound), self.beside(place)
            for wrong in neighbours(formula, symbols, beside=beside):
                deep = within_definition(formula, wrong.path)
                yield Edit(place, wrong.kind, {place: wrong.tree}, wrong.node, wrong.part, deep=deep)
            for wrong in misused(formula, (), definitions_in(formula)):
                values = {"use": "one"}
                yield Edit(place, wrong.kind, {place: wrong.tree}, wrong.node, wrong.part, values)

    def _in_several(self, name: str, bound: Bound) -> Iterator[Edit]:
        yield from self._everywhere(name)
        for place in list(self.places(name))[1:]:
            yield from self.replayed(("behind", place, bound), partial(self._behind, place, bound))
        seen: set[tuple[str, Expression]] = set()
        for place in self.places(name):
            yield from self._in_definitions(place, bound, seen)
        for place in list(self.places(name))[:1]:
            yield from self.replayed(("alone", place, bound), partial(self._redefined_alone, place, bound))

    def _behind(self, place: str, bound: Bound) -> Iterator[Edit]:
        formula = self.formula(place)
        for wrong in neighbours(formula, self.symbols(place, bound)):
            if not within_definition(formula, wrong.path):
                yield Edit(place, wrong.kind, {place: wrong.tree}, wrong.node, wrong.part)

    def _everywhere(self, name: str) -> Iterator[Edit]:
        """What is done in all of the formulas at once, wherever δ goes through."""
        for prefix, place in {place.rpartition(".")[0]: place for place in self.places(name)}.items():
            yield from self.replayed(("everywhere", prefix), partial(self._in_all, prefix, place))

    def _in_all(self, prefix: str, place: str) -> Iterator[Edit]:
        formulas = {other: self.formula(other) for other in self.together(place)}
        for kind, node, part, made in in_all(formulas) if len(formulas) > 1 else ():
            yield Edit(f"{prefix} everywhere".strip(), kind, made, node, part)

    def _in_definitions(self, place: str, bound: Bound, seen: set[tuple[str, Expression]]) -> Iterator[Edit]:
        formulas = {other: self.formula(other) for other in self.together(place)}
        prefix = place.rpartition(".")[0]
        definitions = definitions_in(formulas[place])
        known = dict.fromkeys(each for tree in formulas.values() for each in definitions_in(tree))
        for definition in definitions:
            if (prefix, definition) in seen:
                continue
            seen.add((prefix, definition))
            make = partial(self._of_definition, definition, list(known), formulas, place, bound)
            yield from self.replayed(("definition", prefix, definition, bound), make)
            for other in known:  # in this formula alone
                if other not in definitions:
                    tree = replaced(formulas[place], definition, other, {})
                    yield Edit(place, "symbol", {place: tree}, definition, other)
        for first, second in combinations(definitions, 2):
            if first not in definitions_in(second) and second not in definitions_in(first):
                make = partial(self._exchanged, first, second, formulas, prefix)
                yield from self.replayed(("exchanged", prefix, first, second), make)
        for node in repeated(formulas.values()):
            if (prefix, node) not in seen:
                seen.add((prefix, node))
                make = partial(self._of_repeated, node, formulas, place, bound)
                yield from self.replayed(("repeated", prefix, node, bound), make)

    def _of_definition(
        self, definition: Named, known: Sequence[Named], formulas: Trees, place: str, bound: Bound
    ) -> Iterator[Edit]:
        """Mistakes in a definition, made wherever it is used."""
        masks = [each for each in known if is_mask(each.value)]
        inside = list(self._in_one(definition.value, place, bound))
        inside += misused(definition.value, self.symbols(place, bound), definitions_in(definition.value))
        changes = [(w.kind, w.node, w.part, w.tree) for w in inside]
        deep = [within_definition(definition.value, w.path) for w in inside]
        others = others_for(definition, known, masks)
        flags = (*deep, *(False for _ in others))
        for (kind, node, part, value), is_deep in zip((*changes, *others), flags, strict=True):
            other_meaning = Named(definition.name, value)
            made = {other: redefined(tree, other_meaning, {}) for other, tree in formulas.items()}
            for edit in made_everywhere(place, definition.name, (kind, node, part), made, formulas):
                yield replace(edit, deep=is_deep)

    def _redefined_alone(self, place: str, bound: Bound) -> Iterator[Edit]:
        """Mistakes in a definition, made wherever this formula uses it, where others that use it have it
        right.
        """
        tree = self.formula(place)
        for definition in definitions_in(tree):
            for wrong in self._in_one(definition.value, place, bound):
                changed = redefined(tree, Named(definition.name, wrong.tree), {})
                if changed is not tree:
                    yield Edit(f"{place} alone", wrong.kind, {place: changed}, wrong.node, wrong.part)

    def _exchanged(self, first: Named, second: Named, formulas: Trees, prefix: str) -> Iterator[Edit]:
        both: dict[Expression, Expression] = {first: second, second: first}
        made = {other: substitute(tree, both) for other, tree in formulas.items()}
        where = f"{first.name} {second.name}"
        yield from made_everywhere(f"{prefix}.", where, ("definitions", first, second), made, formulas)

    def _of_repeated(self, node: Expression, formulas: Trees, place: str, bound: Bound) -> Iterator[Edit]:
        """Mistakes in what somebody computes once and uses in several places."""
        for wrong in self._in_one(node, place, bound):
            made = {other: replaced(tree, node, wrong.tree, {}) for other, tree in formulas.items()}
            about = wrong.kind, wrong.node, wrong.part
            yield from made_everywhere(place, "repeated", about, made, formulas)

    def _in_one(self, tree: Expression, place: str, bound: Bound) -> Iterator[Neighbour]:
        """Those of a definition itself, and of the outermost operation of one that it uses; the others have
        their own turn.
        """
        for wrong in neighbours(tree, self.symbols(place, bound)):
            if not within_definition(tree, wrong.path) or not within_definition(tree, wrong.path[:-1]):
                yield wrong

    def second(self, first: Edit, place: str, bound: Bound, alike: bool = False) -> Iterator[Edit]:
        """What `first` becomes by another mistake in the formula at `place`; alike: by the same once more."""
        again = (first.kind, first.node, first.part) if alike else None
        if place in first.trees:
            symbols = self.symbols(place, bound)
            for wrong in neighbours(first.trees[place], symbols, rare=False, again=again):
                made = {place: wrong.tree}
                yield Edit(place, wrong.kind, made, wrong.node, wrong.part, right=first.right)

    def rules_out(self, bound: Bound, argument: Argument, theirs: Array, edits: Edits) -> bool:
        """Whether a part of the gradient, quickly computed, shows that `theirs` is not by these mistakes."""
        return False

    def reference(self, count: int) -> Reference:
        """The gradients of `count` arguments, in their order and form."""

        def gradients(args: Sequence[Array], delta: Array) -> list[Array | None]:
            bound = self.bind(Probe(tuple(args), delta))
            made: list[Array | None] = [None] * count
            for argument in self.arguments:
                if argument.gradient:
                    value = self.gradient(bound, argument.gradient)
                    made[argument.number] = self.to_theirs(bound, argument, value)
            return made

        return gradients

    def where(
        self, argument: Argument, bound: Bound, probe: Probe, right: Array
    ) -> tuple[dict[str, Array], list[str]]:
        """Rules on the entries of a gradient, and what its axes count."""
        return {"zero": right == 0, "not_zero": right != 0}, [""] * right.ndim

    def chooses(self, name: str) -> bool:
        """Whether one of several entries is chosen, to which all of δ goes."""
        return False

    def written(self, name: str) -> str:
        """The right formula of this gradient, as text."""
        return str(self.formula(next(iter(self.places(name)))))

    def to_theirs(self, bound: Bound, argument: Argument, value: Array) -> Array:
        """A gradient of ours in their form."""
        return bound.forms[argument.number].to_theirs(np.asanyarray(value))


def made_everywhere(
    place: str, where: str, about: tuple[str, Expression, Expression], made: Trees, formulas: Trees
) -> Iterator[Edit]:
    """The mistake in all formulas that it changes, none where it changes none; about: kind, node and part."""
    trees = {other: tree for other, tree in made.items() if tree is not formulas[other]}
    if trees:
        kind, node, part = about
        yield Edit(f"{place.rpartition('.')[0]} {where}".strip(), kind, trees, node, part)


def turned(bound: Bound) -> Mapping[str, Any]:
    """The values and beside every kernel the same turned by 180°, for formulas with a mistake in them."""
    if "turned" not in bound.computed:
        bound.computed["turned"] = with_rotated(bound.values)
    known: Mapping[str, Any] = bound.computed["turned"]
    return known


def evaluated(tree: Expression, bound: Bound, right: Iterable[Expression]) -> Array:
    """The value of a wrong formula; what it shares with the right ones, or with the wrong ones before it, is
    computed once: of a mistake the way from its node to the root alone, of a second one from that.
    """
    known = turned(bound)
    if "right" not in bound.computed:
        bound.computed["right"] = memory = dict[Key, Any]()
        for formula in right:
            value_of(formula, known, {}, memory)
        largest = max((np.size(value) for value in memory.values()), default=1)
        bound.computed["room"] = len(memory) + min(MOST_KEPT, MOST_NUMBERS // max(largest, 1))
    memory = bound.computed.get("memory", {})
    if not 0 < len(memory) < bound.computed["room"]:
        memory = bound.computed["memory"] = dict(bound.computed["right"])
    return np.asanyarray(value_of(tree, known, {}, memory), dtype=np.float64)


def interned(trees: Mapping[str, Expression]) -> dict[str, Expression]:
    """The same formulas, equal nodes of all of them one object: to compare them then takes no walk."""
    known: dict[Expression, Expression] = {}
    done: dict[int, Expression] = {}

    def of(tree: Expression) -> Expression:
        if id(tree) not in done:
            children = tuple(map(of, tree.children))
            same = all(new is old for new, old in zip(children, tree.children, strict=True))
            made = tree if same else tree.rebuild(children)
            done[id(tree)] = known.setdefault(made, made)
        return done[id(tree)]

    return {name: of(tree) for name, tree in trees.items()}


def size_of(trees: Iterable[Expression]) -> int:
    """How many different operations formulas have."""
    return len({node for tree in trees for _, node in walk(tree) if isinstance(node, (Operation, Over))})


def within_definition(tree: Expression, path: Sequence[int]) -> bool:
    """Whether the node at `path` lies in the definition of a name."""
    for number in path:
        if isinstance(tree, Named):
            return True
        tree = tree.children[number]
    return False


def definitions_in(tree: Expression) -> list[Named]:
    """The names that are defined in it, once each."""
    return list(dict.fromkeys(node for _, node in walk(tree) if isinstance(node, Named)))


def is_mask(tree: Expression) -> bool:
    """Whether it is 1 or 0 by a comparison."""
    return isinstance(tree, Operation) and (tree.rule.name == "not_later" or Trait.CHOOSES in tree.traits)


def others_for(definition: Named, known: Iterable[Named], masks: Sequence[Named]) -> list[Changed]:
    """(kind, node, part, value) of what may stand for a definition: another, its inverse, one mask more."""
    made: list[Changed] = []
    for other in known:
        if other != definition and definition not in definitions_in(other):
            made += [("symbol", definition, other, other), ("symbol", definition, 1 / other, 1 / other)]
    for mask in masks:
        for part in (mask, other_triangle(mask)):
            if mask != definition and is_of_delta(definition):
                made.append(("masked", definition, part, definition.value * part))
    return made


def other_triangle(mask: Named) -> Expression:
    """[k ≥ i] for a mask of [k ≤ i]; of another mask itself."""
    inner = mask.value
    if not isinstance(inner, Operation) or inner.rule.name != "not_later":
        return mask
    turned_inner = Operation(inner.rule, (Operation(rules["swap_steps"], inner.operands),))
    return Operation(rules["swap_steps"], (turned_inner,))


def repeated(trees: Iterable[Expression]) -> list[Expression]:
    """Operations without a name that stand in several places: what somebody computes once and uses twice."""
    parents: dict[Expression, set[Expression]] = {}
    for tree in trees:
        seen = set()
        waiting = [tree]
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            waiting += node.children
            for child in node.children:
                parents.setdefault(child, set()).add(node)
    several = [node for node, above in parents.items() if len(above) > 1 and isinstance(node, Operation)]
    return [node for node in several if is_of_delta(node) and node.children]


def replaced(
    tree: Expression, node: Expression, wrong: Expression, done: dict[int, Expression]
) -> Expression:
    """The tree with another expression for a node, wherever it stands; see `redefined`."""
    if tree == node:
        return wrong
    if not node.symbols <= tree.symbols:
        return tree
    if id(tree) not in done:
        children = tuple(replaced(child, node, wrong, done) for child in tree.children)
        same = all(new is old for new, old in zip(children, tree.children, strict=True))
        done[id(tree)] = tree if same else tree.rebuild(children)
    return done[id(tree)]


def redefined(tree: Expression, definition: Named, done: dict[int, Expression]) -> Expression:
    """The tree with another meaning of a name; the same object where the name does not occur.

    done: results by the identity of nodes, which formulas use several times. Comparing nodes by structure, as
    `substitute` does, took 90 % of the search for a mistake in an LSTM.
    """
    if isinstance(tree, Named) and tree.name == definition.name:
        return definition
    if definition.name not in tree.names:
        return tree
    if id(tree) not in done:
        children = tuple(redefined(child, definition, done) for child in tree.children)
        same = all(new is old for new, old in zip(children, tree.children, strict=True))
        done[id(tree)] = tree if same else tree.rebuild(children)
    return done[id(tree)]
