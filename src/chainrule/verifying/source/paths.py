"""Paths of their forward that their gradient leaves out, or takes otherwise: named by the place in forward.

Forward runs with one expression held where it was, or passing on what it is made of: the slope of that, by
differences, is the gradient of who takes the expression for a constant, or forgets its derivative.  Along a
few random directions, not entry by entry: a candidate costs some calls of forward.
"""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.layers import ELU, GELU, LeakyReLU, Mish, ReLU, Sigmoid, SiLU, Softplus, Tanh
from chainrule.verifying.contract.calls import attempt, output
from chainrule.verifying.differences import STEP
from chainrule.verifying.probes import Probe
from chainrule.verifying.source.scope import own
from chainrule.verifying.source.written import Function, Ran, Written, ran, written
from chainrule.verifying.subjects.calls.effort import calls_run
from chainrule.verifying.subjects.subject import Subject
from chainrule.verifying.texts import TEXTS

STEPS = (STEP, 3e-2)  # the second for what computes in float32 inside
DIRECTIONS = 2
CLOSE, ROUGH, SEEN = 1e-6, 1e-4, 1e-3  # of a slope's terms: what is equal, too inexact, large enough to see
MOST_CALLS = 4_000_000  # of functions, libraries' among them, that the search of one verdict may run: 3 s
FACTORS = {0.0: "constant", -1.0: "sign"}
COMMON = (2.0, 0.5)
# Functions of which one's derivative is taken for another's.
ALIKE = {
    repr(each): each
    for each in (
        *(GELU(), GELU(approximate="tanh"), SiLU(), Mish(), Sigmoid(), Tanh()),
        *(Softplus(), ReLU(), LeakyReLU(), ELU()),
    )
}
Slope = tuple[float, float]  # and what it may be off by


@dataclass(frozen=True)
class Path:
    """An expression of forward that explains gradients.

    numbers: of the arguments.  factor: what its derivative is multiplied by, or the text of what it is then.
    """

    place: Written
    node: ast.expr
    kind: str
    factor: str
    numbers: frozenset[int]

    @property
    def line(self) -> int:
        return self.place.line_at(self.place.span(self.node)[0])

    @property
    def says_more(self) -> bool:
        """Whether it tells where a factor comes from, and no more than that there is one."""
        return self.kind in ("passed", "other", "factor")

    def said(self) -> tuple[Say, Say]:
        """(why, fix)."""
        values = {"part": " ".join(self.place.of(self.node).split()), "line": self.line}
        values |= {"file": self.place.title, "factor": self.factor}
        kind = self.kind
        if kind == "other":
            values["factor"], _, values["right"] = self.factor.partition("|")
        if kind == "passed" and isinstance(self.node, ast.BinOp) and not isinstance(self.node.op, ast.Pow):
            times = isinstance(self.node.op, ast.Mult)
            sides = self.place.of(self.node.left), self.place.of(self.node.right)
            kind = "times" if times else "divided"
            values["factor"] = sides[sides[0] == self.factor]
        return TEXTS.say(f"path.{kind}", **values), TEXTS.say("path.fix", **values)


@dataclass(eq=False)
class _Hook:
    """What stands around an expression.  kept: its values, and what passes through it, call by call."""

    kept: list[tuple[Any, Any]] = field(default_factory=list)
    holds: bool = False
    at: int = 0
    other: Callable[[Array], Array] | None = None  # of what passes through

    def __call__(self, value: Any, passing: Any = None) -> Any:
        if not self.holds:
            if not _real(value):
                raise TypeError("no array of real numbers")
            self.kept.append((_copied(value), None if passing is None else _copied(passing)))
            return value
        before, passed = self.kept[self.at]
        self.at += 1
        if passing is None:
            return _copied(before)
        if tuple(np.shape(passing)) != tuple(np.shape(value)):
            raise TypeError("of another shape")
        if self.other is None:
            return before + (passing - passed)
        return before + _like(self.other(_numbers(passing)) - self.other(_numbers(passed)), before)


@dataclass(eq=False)
class Paths:
    """The search of one verdict.  probes: those without ties.  wrong: numbers of arguments."""

    subject: Subject
    probes: Sequence[Probe]
    wrong: frozenset[int]
    left: int = MOST_CALLS

    def found(self) -> list[Path]:
        """What explains gradients that are wrong, that of most of them first; each of another."""
        self.probes = [self.widened(probe) for probe in self.probes]
        with contextlib.suppress(Exception):  # their code may raise whatever it likes
            first = self.probes[0]
            self.cost = calls_run(lambda: output(self.subject, first.args)) + 20
            self.asked = {number: self.of_theirs(number) for number in self.wrong}
            self.asked = {number: each for number, each in self.asked.items() if each}
            functions = ran(lambda: output(self.subject, first.args))
            made = [] if not self.asked else list(self.explaining(written(functions.values())))
            made.sort(key=self.order)
            return _each_of_another(made)
        return []

    def widened(self, probe: Probe) -> Probe:
        args = tuple(np.asarray(v, np.float64) if v.dtype.kind == "f" else v for v in probe.args)
        return Probe(args, np.asarray(probe.delta, np.float64))

    @staticmethod
    def order(path: Path) -> tuple[int, int, int, int]:
        kinds = ("constant", "sign", "common", "passed", "other", "factor")
        begin, end = path.place.span(path.node)  # of what says the same the last, and of that the whole
        return -len(path.numbers), kinds.index(path.kind), -path.line, begin - end

    # -- slopes
    def of_theirs(self, number: int) -> list[tuple[Probe, Array, float, Slope, float]]:
        """(probe, direction, what theirs says, the slope of forward, the size of its terms)."""
        made = []
        rng = np.random.default_rng(number)
        for probe in self.probes:
            given = attempt(self.subject, probe.args, probe.delta)
            value = None if given is None else given[number]
            if value is None or value.shape != probe.args[number].shape or not np.isfinite(value).all():
                return []
            for _ in range(DIRECTIONS):
                way = rng.normal(size=value.shape)
                terms = value.astype(np.float64) * way
                slope = self.slope(probe, number, way, None)
                size = float(np.abs(terms).max(initial=0.0)) + abs(slope[0])
                if not slope[1] <= ROUGH * size:
                    return []
                made.append((probe, way, float(terms.sum()), slope, size))
        return made

    def slope(self, probe: Probe, number: int, way: Array, hook: _Hook | None) -> Slope:
        """Of Σ δ·out along a direction of one argument, of fourth order, the better of two steps."""

        def J(step: float) -> float:
            args = [value.copy() for value in probe.args]
            args[number] = args[number] + step * way
            if hook is not None:
                hook.at = 0
            self.left -= self.cost
            try:
                return float((probe.delta * self.subject.forward(args)).sum())
            except Exception:  # their code may raise whatever it likes
                return np.nan

        best = np.nan, np.inf
        for step in STEPS:
            near, far = ((J(h) - J(-h)) / (2 * h) for h in (step, 2 * step))
            noise = 4 * np.finfo(np.float64).eps * float(np.abs(probe.delta).sum()) / step
            made = (4 * near - far) / 3, abs(near - far) / 3 + noise
            if made[1] < best[1]:
                best = made
            if best[1] <= CLOSE * abs(best[0]):
                break
        return best

    # -- expressions
    def explaining(self, places: Sequence[Written]) -> Iterator[Path]:
        for place in places:
            for key, node in place.nodes.items():
                for each in _expressions(node):
                    yield from self.of_expression(place, place.ran[key], each)
                    if self.left < 0:
                        return

    def of_expression(self, place: Written, run: Ran, node: ast.expr) -> Iterator[Path]:
        """What holding it explains, and what passing through it does."""
        with self.hooked(place, run, node, "") as hook:
            held = {} if hook is None else {n: f for n in self.asked if (f := self.held(n, hook)) is not None}
        for value in dict.fromkeys(held.values()):
            numbers = frozenset(number for number, other in held.items() if other == value)
            named = FACTORS.get(value) or ("common" if value in COMMON else "")
            if named:
                yield Path(place, node, named, f"{value:g}", numbers)
            elif (factor := _named(value, run)) is not None:
                yield Path(place, node, "factor", factor, numbers)
        if not held and hook is None:
            return
        for operand in _operands(node):
            with self.hooked(place, run, node, place.of(operand)) as hook:
                passed = () if hook is None else (n for n in self.asked if self.passes(n, hook))
                numbers = frozenset(passed)
            if numbers:
                yield Path(place, node, "passed", place.of(operand), numbers)
        yield from self.of_function(place, run, node)

    def of_function(self, place: Written, run: Ran, node: ast.expr) -> Iterator[Path]:
        """What the derivative of a function much like the one that an expression computes explains."""
        for name in {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}:
            if not isinstance(node, (ast.BinOp, ast.Call)) or not _real(run.names.get(name)):
                continue
            with self.hooked(place, run, node, name) as hook:
                if hook is None or not self.record(hook, self.probes[0]) or not _same_shapes(hook.kept):
                    continue
                theirs = [text for text, function in ALIKE.items() if _gives(function, hook.kept)]
                for text, function in ALIKE.items() if theirs else ():
                    if text not in theirs:
                        hook.other = lambda z, function=function: np.asarray(function.f(z))
                        numbers = frozenset(n for n in self.asked if self.passes(n, hook))
                        if numbers:
                            yield Path(place, node, "other", f"{text}|{theirs[0]}", numbers)

    @contextlib.contextmanager
    def hooked(self, place: Written, run: Ran, node: ast.expr, operand: str) -> Iterator[_Hook | None]:
        """Forward with a hook around an expression; None where that cannot be."""
        hook = _Hook()
        with place.around(node, run.world, hook, *([operand] if operand else [])) as possible:
            yield hook if possible else None

    def record(self, hook: _Hook, probe: Probe) -> bool:
        """Keeps what the expression is on a probe."""
        hook.kept, hook.holds, hook.at = [], False, 0
        self.left -= self.cost
        try:
            output(self.subject, probe.args)
        except Exception:  # their code may raise whatever it likes
            return False
        hook.holds = True
        return bool(hook.kept)

    def held(self, number: int, hook: _Hook) -> float | None:
        """By which factor its derivative is multiplied in theirs; None where none is on all probes."""
        factor, before = None, None
        for probe, way, theirs, (slope, off), size in self.asked[number]:
            if probe is not before and not self.record(hook, probe):
                return None
            before = probe
            without, error = self.slope(probe, number, way, hook)
            share, slack = slope - without, CLOSE * size + 20 * (off + error)
            if not abs(share) > SEEN * size or not slack < abs(share):
                return None
            value = (theirs - without) / share
            near = slack / abs(share)
            if factor is None:
                factor = _snapped(value, near)
            if abs(value - factor) > near:
                return None
        return factor

    def passes(self, number: int, hook: _Hook) -> bool:
        """Whether theirs is the gradient where the expression hands on what it is made of."""
        before = None
        for probe, way, theirs, (_, off), size in self.asked[number]:
            if probe is not before and not self.record(hook, probe):
                return False
            before = probe
            through, error = self.slope(probe, number, way, hook)
            if not abs(theirs - through) <= CLOSE * size + 20 * (off + error) or error > ROUGH * size:
                return False
        return True


def _numbers(value: Any) -> Array:
    return np.asarray(value.detach() if hasattr(value, "detach") else value, dtype=np.float64)


def _like(value: Array, given: Any) -> Any:
    """An array as theirs are."""
    return sys.modules["torch"].from_numpy(value).to(given) if hasattr(given, "detach") else value


def _same_shapes(kept: Sequence[tuple[Any, Any]]) -> bool:
    return all(np.shape(value) == np.shape(passing) and np.ndim(value) for value, passing in kept)


def _gives(function: Any, kept: Sequence[tuple[Any, Any]]) -> bool:
    """Whether what an expression gave is that function of what passed through it."""
    pairs = [(_numbers(value), np.asarray(function.f(_numbers(passing)))) for value, passing in kept]
    return all(value.any() and np.allclose(value, other, rtol=1e-6, atol=1e-9) for value, other in pairs)


def _expressions(node: Function) -> Iterator[ast.expr]:
    """What is computed in a function: neither what is called, nor an index, nor where something is put."""
    apart = set[int]()
    for each in own(node):
        if isinstance(each, ast.Call):
            apart.add(id(each.func))
        elif isinstance(each, ast.Subscript):
            apart |= {id(inner) for inner in ast.walk(each.slice)}
        elif isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
            apart.add(id(each.value))
    kinds = (ast.BinOp, ast.Call, ast.Name, ast.Attribute, ast.Subscript, ast.UnaryOp)
    inner = node.body if isinstance(node.body, list) else [ast.Expr(node.body)]
    for statement in inner:
        for each in (statement, *own(statement)):
            loads = isinstance(getattr(each, "ctx", ast.Load()), ast.Load)
            if isinstance(each, kinds) and loads and id(each) not in apart:
                yield each


def _operands(node: ast.expr) -> list[ast.expr]:
    """What may pass through an expression as it is."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div, ast.Pow)):
        sides = [node.left, node.right] if isinstance(node.op, ast.Mult) else [node.left]
        return [side for side in sides if not isinstance(side, ast.Constant)]
    if isinstance(node, ast.Call):
        apart = (ast.Constant, ast.Starred, ast.Compare)
        given = [each for each in node.args if not isinstance(each, apart)]
        receiver = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        return receiver + given
    return []


def _each_of_another(paths: Sequence[Path]) -> list[Path]:
    told, made = set[int](), []
    for path in paths:
        if path.numbers - told:
            made.append(path)
            told |= path.numbers
    return made


def _snapped(value: float, near: float) -> float:
    for plain in (*FACTORS, *COMMON):
        if abs(value - plain) <= near:
            return plain
    return value


def _named(value: float, run: Ran) -> str | None:
    """What a factor is, of the numbers at hand: p or 1/p."""
    for text, number in run.names.items():
        real = isinstance(number, (int, float)) and not isinstance(number, bool)
        if real or (_real(number) and not np.shape(number)):
            size = float(number)
            for factor, form in ((size, text), (1 / size if size else 0.0, f"1/{text}")):
                if factor not in (0.0, 1.0) and abs(value - factor) <= 1e-5 * abs(factor):
                    return form
    return None


def _real(value: Any) -> bool:
    if isinstance(value, float):
        return True
    kind = str(getattr(value, "dtype", ""))
    return "float" in kind and hasattr(value, "shape")


def _copied(value: Any) -> Any:
    made = getattr(value, "clone", None) or getattr(value, "copy", None)
    return value if made is None else made()
