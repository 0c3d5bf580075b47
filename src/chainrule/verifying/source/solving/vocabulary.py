"""What can be written at a place of their source: expressions at hand there, and products, by their values.

An expression is one that stands in their code, or what people make of one: its square, one less it, where
it is positive.  It is evaluated with the names as they were whenever the place was run, on copies.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations, permutations, product
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.source.scope import APART, Scope, entries_of, of_framework, own

METHODS = frozenset(
    [
        *("sum", "mean", "max", "min", "dot", "matmul", "reshape", "transpose", "copy", "ravel"),
        *("squeeze", "unsqueeze", "view", "t", "size", "exp", "log", "sqrt", "rsqrt", "norm", "abs"),
        *("pow", "square", "var", "std", "tanh", "sigmoid", "sign"),
    ]
)
FORMS = ("1 - {0}", "{0} ** 2", "1 - {0} ** 2", "{0} > 0", "{0} < 0")
CALLED = ("exp", "log", "sqrt", "sign")
PEAK = "{0} == {0}.max(axis={1}, keepdims=True)"
TOTAL = "{0}.sum(axis={1}, keepdims=True)"
MEAN = "{0}.mean(axis={1}, keepdims=True)"
SPREAD = (
    *("{0}", "{0}[:, None]", "{0}.T", "{0}[:, :, None]", "{0}[:, None, :]", "{0}[:, :, None, None]"),
    "{0}[:, None, None]",
)
LITERALS = {"2": 2.0, "3": 3.0, "4": 4.0, "0.5": 0.5, "1.5": 1.5, "0.25": 0.25}
MOST_TEXTS, MOST_WORDS, MOST_OF_THREE, MOST_MATRICES, MOST_NUMBERS = 90, 110, 30, 24, 12
LONGEST = 50
PARALLEL = 4e-5  # of what is wanted: how far what is the same may be off
FEWEST_ENTRIES, INDEPENDENT, NEARLY, MOST_SUMS = 5, 1e-6, 1e-7, 40
WHOLE = (np.dtype(np.int64), np.dtype(np.int32))
Values = list[Array]  # of an expression, at every run of a place


@dataclass(frozen=True, eq=False)
class Made:
    """Expressions.  values: (how many, entries of the place at all of its runs).  text: of one of them.
    parts: how many of theirs each is made of.
    """

    values: Array
    text: Callable[[int], str]
    parts: int


@cache
def firm(text: str) -> str:
    """An expression as it may stand in a product."""
    loose = (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp)
    return f"({text})" if isinstance(ast.parse(text, mode="eval").body, loose) else text


def expressions(
    scope: Scope, others: Iterable[ast.AST], given: Mapping[str, Any], forward: Iterable[ast.AST] = ()
) -> list[str]:
    """Those that may be evaluated again: without calls but of NumPy's functions and of arrays' own.

    given: the function's names, of which an object's attributes are at hand, too.  forward: functions of
    which those without any call are.
    """
    found = dict.fromkeys(atom.text for atom in (*scope.arrays, *scope.numbers))
    for word, value in getattr(given.get("self"), "__dict__", {}).items():
        if as_array(value) is not None and not word.startswith("_"):
            found[f"self.{word}"] = None
    for function in (scope.node, *others):
        for node in own(function):
            if isinstance(node, ast.expr) and _plain(node, scope):
                text = ast.unparse(node)
                if len(text) < LONGEST:
                    found[text] = None
            elif isinstance(node, ast.Slice):
                ends = [each.id for each in (node.upper, node.lower) if isinstance(each, ast.Name)]
                found |= dict.fromkeys([" - ".join(ends)] if len(ends) == 2 else [])  # how long a window is
    for function in forward:
        plain = (each for each in own(function) if isinstance(each, ast.expr) and _plain(each, scope))
        for node in plain:
            if not any(isinstance(each, ast.Call) for each in ast.walk(node)):
                found.setdefault(ast.unparse(node))
    texts = [each for each in sorted(found, key=len) if len(each) < LONGEST][:MOST_TEXTS]
    arrays = [atom.text for atom in scope.arrays]
    return [*texts, *dict.fromkeys(each for text in texts for each in _beside(text, arrays))]


def _beside(text: str, arrays: Sequence[str]) -> Iterator[str]:
    """The same entry of other arrays; one of the step before and of the one behind, 0 where there is none."""
    node = ast.parse(text, mode="eval").body
    if not isinstance(node, ast.Subscript) or "(" in text:
        return
    whole = ast.unparse(node.value)
    entries = entries_of(node)
    if any(isinstance(each, ast.Name) for each in ast.walk(node.slice)):
        yield from (f"{other}[{ast.unparse(node.slice)}]" for other in arrays if other != whole)
    for number, entry in enumerate(entries):
        if isinstance(entry, ast.Name):
            index = [ast.unparse(each) for each in entries]
            for by in (f"{entry.id} - 1", f"{entry.id} + 1"):
                index[number] = by
                other = f"{whole}[{', '.join(index)}]"
                yield other
                if by.endswith("- 1"):
                    yield f"{other} if {entry.id} > 0 else 0"
                elif number == 0:
                    yield f"{other} if {by} < len({whole}) else 0"


def _plain(node: ast.expr, scope: Scope) -> bool:
    kinds = (ast.Name, ast.Attribute, ast.Subscript, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call)
    within = (ast.Lambda, ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.SetComp, ast.Await, ast.Yield)
    if not isinstance(node, kinds) or isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
        return False
    for each in ast.walk(node):
        if isinstance(each, (*within, ast.NamedExpr, ast.Starred, ast.JoinedStr)):
            return False
        if isinstance(each, ast.Name) and each.id in APART and each.id not in scope.atoms:
            return False
        if isinstance(each, ast.Attribute) and (each.attr in APART or each.attr.startswith("_")):
            return False
        if isinstance(each, ast.Call) and not _harmless(each.func, scope):
            return False
    return True


def _harmless(function: ast.expr, scope: Scope) -> bool:
    """Whether a call of it changes nothing."""
    if isinstance(function, ast.Name):
        return function.id in ("len", "abs", "float")
    if not isinstance(function, ast.Attribute):
        return False
    if isinstance(function.value, ast.Name) and function.value.id == scope.numpy:
        return function.attr not in ("copyto", "put", "place", "fill_diagonal") and function.attr[-1] != "_"
    return function.attr in METHODS


class Vocabulary:
    """At one place."""

    def __init__(
        self, scope: Scope, world: Mapping[str, Any], names: Sequence[Mapping[str, Any]], values: Values,
        texts: Sequence[str],
    ) -> None:  # fmt: skip
        """names: at each of its runs; values: what stood there; texts: what may be evaluated."""
        self.world, self.names, self.places, self.numpy = world, names, values, scope.numpy
        known = [(text, self.evaluated(text)) for text in texts]
        self.known = [(text, value) for text, value in known if value is not None]
        self.classes = [n for n, v in names[0].items() if getattr(v, "dtype", None) in WHOLE and v.ndim == 1]
        self.words: list[tuple[str, Array]] = []
        self._told: set[bytes] = set()
        self._enter_all()

    def _enter_all(self) -> None:
        for text, value in self.known:
            self._enter(text, value)
        # Of a number as it is alone: √4 and 2 are the same wherever there are four samples.
        short = [text for text, value in self.known if "(" not in text and value[0].ndim]
        for text in short:
            for form in FORMS:
                self._enter(form.format(firm(text)))
            for name in CALLED if self.numpy else ():
                self._enter(f"{self.numpy}.{name}({text})")
        for text, value in self.known:
            for axis in range(value[0].ndim) if text.isidentifier() else ():
                self._enter(PEAK.format(text, axis))
                self._enter(TOTAL.format(text, axis))
                self._enter(MEAN.format(text, axis))
        shapes = [text for text, value in self.known if value[0].shape == self.places[0].shape]
        for text in self.classes if self.places[0].ndim == 2 and self.numpy else ():
            for other in shapes[:1]:
                self._enter(f"{self.numpy}.eye({other}.shape[1])[{text}]")
        del self.words[MOST_WORDS:]

    def evaluated(self, text: str) -> Values | None:
        """At each run; None where it cannot be."""
        made = []
        try:
            code = compile(text, "<expression>", "eval")
            with np.errstate(all="ignore"):
                for names in self.names:
                    array = as_array(eval(code, dict(self.world), dict(names)))
                    if array is None or array.size > 4096:
                        return None
                    made.append(array.astype(np.float64))
        except Exception:  # their code may raise whatever it likes
            return None
        return made

    def _enter(self, text: str, value: Values | None = None) -> None:
        """Where it fits the place, as it is or with an axis more."""
        value = self.evaluated(text) if value is None else value
        if value is None or len(self.words) >= MOST_WORDS:
            return
        for form in SPREAD if value[0].ndim else SPREAD[:1]:
            flat = self.flat([_formed(each, form) for each in value])
            if flat is not None and np.isfinite(flat).all() and flat.any():
                largest = np.abs(flat).max()
                key = np.round(flat / largest, 9).tobytes() + f"{largest:.8g}".encode()
                if key not in self._told:
                    self._told.add(key)
                    self.words.append((form.format(firm(text)) if form != "{0}" else text, flat))
                return

    def flat(self, value: Sequence[Array | None]) -> Array | None:
        """One behind the other, each spread over the shape of what stands there."""
        made = []
        for each, at in zip(value, self.places, strict=True):
            if each is None or each.ndim > at.ndim:
                return None
            try:
                made.append(np.broadcast_to(each, at.shape).reshape(-1))
            except ValueError:
                return None
        return np.concatenate(made)

    def made(self) -> list[Made]:
        """Of one and of two: products and quotients, and products of matrices."""
        if not self.words:
            return self.matrices()
        texts = [firm(text) for text, _ in self.words]
        values = np.stack([value for _, value in self.words])
        one, other = np.triu_indices(len(values))
        upper, lower = np.nonzero(~np.eye(len(values), dtype=bool))
        with np.errstate(all="ignore"):
            return [
                Made(values, lambda at: self.words[at][0], 1),
                Made(1 / values, lambda at: f"1 / {texts[at]}", 1),
                Made(values[one] * values[other], lambda at: f"{texts[one[at]]} * {texts[other[at]]}", 2),
                Made(values[upper] / values[lower], lambda at: f"{texts[upper[at]]} / {texts[lower[at]]}", 2),
                *self.matrices(),
            ]

    def sums(self, wanted: Array) -> Iterator[tuple[str, float, str, float]]:
        """Two words, or one and 1, each with a factor, that together are what is wanted."""
        if len(wanted) < FEWEST_ENTRIES or not self.words:
            return
        texts = ["1", *(text for text, _ in self.words)]
        values = np.stack([np.ones_like(wanted), *(value for _, value in self.words)])
        values, sizes = values / (scale := np.linalg.norm(values, axis=1))[:, None], np.linalg.norm(wanted)
        gram, along = values @ values.T, values @ wanted
        one, other = np.triu_indices(len(values), 1)
        with np.errstate(all="ignore"):
            left = 1 - gram[one, other] ** 2
            first = (along[one] - gram[one, other] * along[other]) / left
            second = (along[other] - gram[one, other] * along[one]) / left
            off = sizes**2 - first * along[one] - second * along[other]
        near = np.flatnonzero((left > INDEPENDENT) & (np.abs(off) <= NEARLY * sizes**2))
        for at in near[:MOST_SUMS]:
            a, b = int(one[at]), int(other[at])
            if np.linalg.norm(first[at] * values[a] + second[at] * values[b] - wanted) <= PARALLEL * sizes:
                yield texts[b], float(second[at] / scale[b]), texts[a], float(first[at] / scale[a])

    def of_three(self) -> list[Made]:
        """Products of three of the first, and of two by a third."""
        if not self.words:
            return []
        texts = [firm(text) for text, _ in self.words[:MOST_OF_THREE]]
        values = np.stack([value for _, value in self.words[:MOST_OF_THREE]])
        triples = np.array(list(combinations(range(len(values)), 3)), dtype=np.int64).reshape(-1, 3)
        pairs = np.array(list(product(*[range(len(values))] * 3)), dtype=np.int64).reshape(-1, 3)
        first, second, third = pairs.T
        pairs = pairs[(first < second) & (third != first) & (third != second)]

        def written(numbers: Array, last: str) -> Callable[[int], str]:
            def text(at: int) -> str:
                a, b, c = (texts[number] for number in numbers[at])
                return f"{a} * {b} {last} {c}"

            return text

        with np.errstate(all="ignore"):
            times = values[triples[:, 0]] * values[triples[:, 1]] * values[triples[:, 2]]
            by = values[pairs[:, 0]] * values[pairs[:, 1]] / values[pairs[:, 2]]
        return [Made(times, written(triples, "*"), 3), Made(by, written(pairs, "/"), 3)]

    def matrices(self) -> list[Made]:
        """Products of matrices and vectors."""
        shape = self.places[0].shape
        found = list(self.totals())
        steady = [(t, v) for t, v in self.known if "(" not in t and len({each.shape for each in v}) == 1]
        few = [(t, v) for t, v in steady if v[0].ndim == 2][:MOST_MATRICES]
        few += [(f"{firm(text)}.T", [each.T for each in value]) for text, value in few]
        vectors = [(t, v) for t, v in steady if v[0].ndim == 1]
        for (one, left), (other, right) in product(few, [*few, *vectors]):
            if left[0].shape[1] == right[0].shape[0] and (left[0].shape[0], *right[0].shape[1:]) == shape:
                flat = self.flat([a @ b for a, b in zip(left, right, strict=True)])
                found.append((f"{firm(one)} @ {firm(other)}", flat))
        for (one, left), (other, right) in product(vectors, vectors) if self.numpy else ():
            if (left[0].size, right[0].size) == shape:
                flat = self.flat([np.outer(a, b) for a, b in zip(left, right, strict=True)])
                found.append((f"{self.numpy}.outer({one}, {other})", flat))
        for (one, left), (other, right) in combinations(vectors, 2) if self.numpy and not shape else ():
            if left[0].size == right[0].size:
                flat = self.flat([np.asarray(a @ b) for a, b in zip(left, right, strict=True)])
                found.append((f"{self.numpy}.dot({one}, {other})", flat))
        return _joined(found, 2)

    def totals(self) -> Iterator[tuple[str, Array | None]]:
        """Sums of arrays, and of products of two, over axes that what stands there has not."""
        shape = self.places[0].shape
        wide = [(t, v) for t, v in self.known if len(v[0].shape) > len(shape) > 0 and t.isidentifier()]
        for text, value in wide[:MOST_MATRICES]:
            for axes in combinations(range(value[0].ndim), value[0].ndim - len(shape)):
                if tuple(np.delete(value[0].shape, axes)) != shape:
                    continue
                over = axes[0] if len(axes) == 1 else axes
                yield f"{text}.sum(axis={over})", self.flat([each.sum(axis=axes) for each in value])
                for other, factor in wide[:MOST_MATRICES]:
                    if other > text and all(a.shape == b.shape for a, b in zip(value, factor, strict=True)):
                        pairs = zip(value, factor, strict=True)
                        sums = [(a * b).sum(axis=axes) for a, b in pairs]
                        yield f"({text} * {other}).sum(axis={over})", self.flat(sums)

    @cached_property
    def alike(self) -> list[tuple[str, Values]]:
        """Arrays by their names, of the shape of what stands there."""
        shape = self.places[0].shape
        fitting = ((t, v) for t, v in self.known if all(each.shape == shape for each in v))
        return [(t, v) for t, v in fitting if shape and t.isidentifier()]

    def masks(self) -> list[Made]:
        """Where one array is as small as another, of any two."""
        found = list[tuple[str, Array | None]]()
        for (one, left), (other, right) in product(self.alike, repeat=2):
            if one != other:
                flat = self.flat([1.0 * (a <= b) for a, b in zip(left, right, strict=True)])
                found.append((f"({one} <= {other}) * 1.0", flat))
        return _joined(found, 2)

    def jacobians(self) -> list[Made]:
        """δ through a softmax, of any two arrays."""
        found = list[tuple[str, Array | None]]()
        for (p, of), (d, by) in product(self.alike, repeat=2):
            for axis in range(-1, of[0].ndim - 1) if p != d else ():
                pairs = zip(of, by, strict=True)
                flat = self.flat([a * (b - (a * b).sum(axis=axis, keepdims=True)) for a, b in pairs])
                found.append((f"{p} * ({d} - ({p} * {d}).sum(axis={axis}, keepdims=True))", flat))
        return _joined(found, 2)

    def lengths(self) -> dict[str, float]:
        """Of arrays at hand, by axes, those that others may have behind it counted from the end."""
        made: dict[str, float] = {}
        for text, value in self.known:
            for axis in range(value[0].ndim) if text.isidentifier() else ():
                sizes = {each.shape[axis] for each in value if each.ndim == value[0].ndim}
                last = axis == value[0].ndim - 1
                if len(sizes) == 1 and sizes != {1}:
                    made[f"{text}.shape[{-1 if last else axis}]"] = float(sizes.pop())
        return made

    def numbers(self) -> dict[str, float]:
        """What a factor may be: numbers at hand, of counts what statistics makes of them, and plain ones."""
        made: dict[str, float] = {}
        for text, value in self.known:
            if any(each.size != 1 for each in value):
                continue
            all_of_it = {float(each.reshape(())) for each in value}
            number = all_of_it.pop()
            if text[0] == "-" and number < 0:
                text, number = text[1:], -number
            if all_of_it or number in (0.0, 1.0) or not np.isfinite(number) or "1.0 * " in text:
                continue
            made.setdefault(text, number)
        counts = [(t, n) for t, n in made.items() if n == int(n) and n > 1][:MOST_NUMBERS]
        for text, number in counts:
            made.setdefault(f"{firm(text)} - 1", number - 1)
            made.setdefault(f"{firm(text)} / ({firm(text)} - 1)", number / (number - 1))
        for (one, a), (other, b) in combinations(counts, 2):
            made.setdefault(f"{firm(one)} * {firm(other)}", a * b)
        for (one, a), (other, b) in permutations(counts, 2):
            if one.isidentifier() and a % b == 0 and a > b:  # channels of a group
                made.setdefault(f"{one} // {firm(other)}", a / b)
        return made | {text: number for text, number in LITERALS.items() if number not in made.values()}


def _joined(found: Sequence[tuple[str, Array | None]], parts: int) -> list[Made]:
    fitting = [(text, value) for text, value in found if value is not None]
    if not fitting:
        return []
    return [Made(np.stack([value for _, value in fitting]), lambda at: fitting[at][0], parts)]


def _formed(value: Array, form: str) -> Array | None:
    """With its axes as the form has them; None where it has other axes."""
    if form == "{0}":
        return value
    if form == "{0}[:, None]":
        return value[:, None] if value.ndim == 1 else None
    if form == "{0}[:, None, None]":
        return value[:, None, None] if value.ndim == 1 else None
    if value.ndim != 2:
        return None
    if form == "{0}.T":
        return value.T
    if form == "{0}[:, :, None]":
        return value[:, :, None]
    return value[:, None, :] if form == "{0}[:, None, :]" else value[:, :, None, None]


def as_array(value: Any) -> Array | None:
    """Numbers of NumPy, PyTorch or JAX as an array; None of anything else."""
    if isinstance(value, (np.ndarray, np.number, float, int, np.bool_)):
        array = np.asarray(value)
    elif of_framework(value) and hasattr(value, "shape"):
        try:
            array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        except Exception:  # of a type that NumPy has not, or traced
            return None
    else:
        return None
    return array if array.dtype.kind in "fiub" else None


def copied(names: Mapping[str, Any]) -> dict[str, Any]:
    """Names whose arrays stay as they are now."""

    def kept(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.copy()
        return value.detach().clone() if of_framework(value) and hasattr(value, "clone") else value

    return {name: kept(value) for name, value in names.items()}
