"""From trees to programs: steps over one pixel of a value, a vector of lanes for every channel.

A vector is one pixel. An operand is full (a vector per channel) or thin (one vector for all channels); equal
steps are taken once, and temporaries are reused. kernels/program.inl runs what is written here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from chainrule import _native
from chainrule.base.types import Shape
from chainrule.formulas import maximum, minimum, rules
from chainrule.formulas.expression import Expression, Named, Number, Operation, Symbol
from chainrule.formulas.rules import Trait

SAMPLES = -1  # the length of the last axis, in the shapes of this module

# The names are those of the primitives.
NUMBERS: dict[str, int] = {op.name: op.value for op in _native.ProgramOp}
OVER_FEATURES = {"sum_features", "max_features", "largest_feature"}
_KINDS = _native.SlotKind
CONSTANT, VALUE, PARAMETER = _KINDS.constant.value, _KINDS.map.value, _KINDS.parameter.value
FULL, THIN, ACCUMULATOR = _KINDS.full.value, _KINDS.thin.value, _KINDS.accumulator.value


class NoProgramError(Exception):
    """The tree contains something that no program computes."""


class Slot(NamedTuple):
    """An operand; number of a temporary is the step that computes it until `_assemble` has placed it."""

    kind: int
    number: int
    pixel: int = 0
    channel: int = 0


@dataclass(frozen=True)
class Result:
    """What a node compiles to.  `shape` is that of the formula's array; thin: one vector per pixel."""

    shape: Shape
    slot: Slot
    thin: bool
    constant: float | None = None


class Instruction(NamedTuple):
    op: str
    thin: bool
    out: Slot
    operands: tuple[Slot, ...]


@dataclass(frozen=True)
class Program:
    """What `_native.Program` takes, by name."""

    steps: Sequence[tuple[int, ...]] = field(default_factory=list)
    slots: Sequence[tuple[int, ...]] = field(default_factory=list)
    constants: Sequence[float] = field(default_factory=list)
    full: int = 0
    thin: int = 0
    whole: bool = False
    halved: bool = False

    def native(self) -> Any:
        """The same for the native plan."""
        return _native.Program(
            self.steps, self.slots, self.constants, self.full, self.thin, self.whole, self.halved
        )


def broadcast(*shapes: Shape) -> Shape:
    """The shape of an entry-by-entry result; axes count from the last."""
    length = max(map(len, shapes))
    padded = [(1,) * (length - len(shape)) + shape for shape in shapes]
    sizes = [set(axis) - {1} for axis in zip(*padded, strict=True)]
    if any(len(axis) > 1 for axis in sizes):
        raise NoProgramError
    return tuple(axis.pop() if axis else 1 for axis in sizes)


def _bounded(choice: Operation) -> tuple[Expression, ...]:
    """The operands of where(x > c, yes, no), in whose branches exponentials see no x beyond c.

    What is chosen stays the same. A kernel computes both, and where e^x of the other one overflowed, the pass
    would be searched for the number that went beyond the range.
    """
    condition, yes, no = choice.operands
    match condition:
        case Operation(rule, (x, Number() as c)) if rule.name == "greater":
            above, below = maximum(x, c), minimum(x, c)
            return condition, _with_exponents(yes, x, above), _with_exponents(no, x, below)
        case Operation(rule, (Number() as c, x)) if rule.name == "greater":
            above, below = maximum(x, c), minimum(x, c)
            return condition, _with_exponents(yes, x, below), _with_exponents(no, x, above)
    return choice.operands


def _with_exponents(tree: Expression, x: Expression, other: Expression, inside: bool = False) -> Expression:
    """`tree` with `other` in place of x within its exponents, entry by entry: not below sums."""
    if tree == x:
        return other if inside else tree
    if isinstance(tree, Operation):
        if Trait.ENTRYWISE not in tree.traits:
            return tree
        inside = inside or tree.rule.name in ("exp", "expm1")
    return tree.rebuild(tuple(_with_exponents(child, x, other, inside) for child in tree.children))


class Compiler:
    """Trees to steps for values of shape (*positions, channels or 1, samples).

    halved: there are values of twice as many channels, whose halves the trees read by `gate` and write by
    `beside`.
    """

    def __init__(self, positions: Shape, channels: int, halved: bool = False) -> None:
        self.positions, self.channels, self.halved = positions, channels, halved
        self.halves: dict[str, int] = {}  # numbers of the values that are read by halves
        self.symbols: dict[str, Result] = {}
        self.parameters: dict[str, tuple[int, Shape]] = {}
        self.constants: dict[float, Slot] = {}
        self.steps: list[Instruction] = []
        self.known: dict[Expression, Result] = {}
        self.computed: dict[tuple[str, tuple[Slot, ...]], Slot] = {}

    def bind(self, name: str, index: int, shape: Shape) -> None:
        """Value number `index`, of one sample's `shape`."""
        if self.halved and shape == (*self.positions, 2 * self.channels):
            self.halves[name] = index
            return
        if shape[:-1] != self.positions or shape[-1] not in (1, self.channels):
            raise NoProgramError
        thin = shape[-1] != self.channels
        self.symbols[name] = Result((*shape, SAMPLES), Slot(VALUE, index), thin)

    # -- results

    def steps_between(self, shape: Shape) -> tuple[int, int]:
        """Scalars of a parameter from one pixel, and from one channel, to the next."""
        if shape == () or shape == (1,):
            return 0, 0
        if shape == (self.channels,):
            return 0, 1
        if shape == (*self.positions, self.channels):
            return self.channels, int(self.channels > 1)
        if shape == (*self.positions, 1):
            return 1, 0
        raise NoProgramError

    def parameter(self, name: str, shape: Shape) -> Result:
        """Parameter `name` as an array of `shape`, which may have an axis of samples of length 1."""
        if name not in self.parameters or name in self.symbols:
            raise NoProgramError
        index, declared = self.parameters[name]
        pixel, channel = self.steps_between(declared)
        return Result(shape, Slot(PARAMETER, index, pixel, channel), channel == 0)

    def number(self, value: float, shape: Shape = ()) -> Result:
        slot = self.constants.setdefault(value, Slot(CONSTANT, len(self.constants)))
        return Result(shape, slot, True, value)

    def emit(self, op: str, shape: Shape, thin: bool, *operands: Result) -> Result:
        """One step; the same step of the same operands is taken once."""
        self.check(shape)
        slots = tuple(operand.slot for operand in operands)
        if (op, slots) not in self.computed:
            out = Slot(THIN if thin else FULL, len(self.steps))
            self.computed[op, slots] = out
            self.steps.append(Instruction(op, thin, out, slots))
        return Result(shape, self.computed[op, slots], thin)

    def check(self, shape: Shape) -> None:
        """Whether an array of this shape has one value per pixel, channel and lane, or repeats one."""
        *front, features, samples = (1, 1, *shape)[-max(len(shape), 2) :]
        positions = tuple(front)
        if samples not in (1, SAMPLES) or features not in (1, self.channels):
            raise NoProgramError
        if positions != self.positions and (samples == SAMPLES or any(size != 1 for size in positions)):
            raise NoProgramError

    # -- nodes

    def value(self, node: Expression) -> Result:
        if node not in self.known:
            self.known[node] = self._value(node)
        return self.known[node]

    def _value(self, node: Expression) -> Result:
        match node:
            case Number(value):
                return self.number(float(value))
            case Named(_, value):
                return self.value(value)
            case Symbol(name) if name in self.symbols:
                return self.symbols[name]
            case Symbol(name) if name in self.parameters and self.parameters[name][1] in ((), (1,)):
                return self.parameter(name, self.parameters[name][1])
            case Operation():
                return self._operation(node)
        raise NoProgramError

    def _operation(self, node: Operation) -> Result:
        name = node.rule.name
        if name == "broadcast_samples":
            return self._repeated(node.operands[0])
        if name == "gate":
            return self._half(node)
        operands = tuple(map(self.value, _bounded(node) if name == "where" else node.operands))
        if name == "power":
            return self._power(operands[0], float(node.options["exponent"]))
        if Trait.ENTRYWISE in node.traits:
            return self._entrywise(name, operands)
        if name in OVER_FEATURES or name == "mean_features":
            return self._over_features(name, operands[0])
        if name in ("fit", "stretch"):
            return self._shaped(name, *operands)
        shape = operands[0].shape
        if name in ("ones_like", "zeros_like"):
            return self.number(float(name == "ones_like"), shape)
        if name == "count_features" and len(shape) > 1:
            return self.number(float(shape[-2]))
        if name == "count_outputs" and shape and shape[-1] == SAMPLES:
            return self.number(float(math.prod(shape[:-1])))
        raise NoProgramError

    def _half(self, node: Operation) -> Result:
        """The first or the second half of a value's channels."""
        (whole,), gates = node.operands, node.options["gates"]
        if not isinstance(whole, Symbol) or whole.name not in self.halves or len(gates) != 2:
            raise NoProgramError
        first = gates.index(node.options["gate"]) * self.channels
        slot = Slot(VALUE, self.halves[whole.name], 0, first)
        return Result((*self.positions, self.channels, SAMPLES), slot, False)

    def _repeated(self, node: Expression) -> Result:
        """broadcast_samples of a parameter, or of a formula of parameters: of its operands."""
        match node:
            case Named(_, value):
                return self._repeated(value)
            case Number(value):
                return self.number(float(value))
            case Symbol(name):
                return self.parameter(name, (*self.parameters.get(name, (0, ()))[1], 1))
            case Operation(rule, operands) if rule.name == "power":
                return self._power(self._repeated(operands[0]), float(node.options["exponent"]))
            case Operation(rule, operands) if Trait.ENTRYWISE in rule.traits:
                return self._entrywise(rule.name, tuple(map(self._repeated, operands)))
        raise NoProgramError

    def _entrywise(self, name: str, operands: tuple[Result, ...]) -> Result:
        shape = broadcast(*(operand.shape for operand in operands))
        constants = [operand.constant for operand in operands]
        if None not in constants:
            return self.number(float(rules[name].evaluate(*constants)), shape)
        if name == "ratio":
            quotient = self._entrywise("divide", operands)
            return self._entrywise("where", (operands[1], quotient, self.number(0.0)))
        if name not in NUMBERS:
            raise NoProgramError
        return self.emit(name, shape, all(operand.thin for operand in operands), *operands)

    def _power(self, x: Result, exponent: float) -> Result:
        """Multiples of 1/4 up to 8 are products and roots: a few ulp, where pow takes fifty times as long."""
        if exponent == 0:
            return self.number(1.0, x.shape)
        if x.constant is not None:
            return self.number(float(x.constant**exponent), x.shape)
        size = abs(exponent)
        if size > 8 or 4 * size % 1:
            return self.emit("power", x.shape, x.thin, x, self.number(exponent))
        result, root, left_over = None, x, size % 1
        while left_over:  # 1/2, 1/4 or their sum
            root, left_over = self._entrywise("sqrt", (root,)), 2 * left_over
            if left_over >= 1:
                result = root if result is None else self._entrywise("multiply", (result, root))
                left_over -= 1
        square, left = x, int(size)
        while left:
            if left % 2:
                result = square if result is None else self._entrywise("multiply", (result, square))
            left //= 2
            if left:
                square = self._entrywise("multiply", (square, square))
        assert result is not None
        return result if exponent > 0 else self._entrywise("divide", (self.number(1.0), result))

    def _over_features(self, name: str, x: Result) -> Result:
        if len(x.shape) < 2:
            raise NoProgramError
        count, thin_shape = x.shape[-2], (*x.shape[:-2], 1, x.shape[-1])
        if name == "largest_feature":
            return self.number(1.0, x.shape) if count == 1 else self.emit(name, x.shape, False, x)
        if count == 1:
            return x
        total = self.emit("max_features" if name == "max_features" else "sum_features", thin_shape, True, x)
        return (
            self._entrywise("divide", (total, self.number(float(count))))
            if name == "mean_features"
            else total
        )

    def _shaped(self, name: str, x: Result, like: Result) -> Result:
        """stretch repeats, which a thin operand does by itself; fit sums what was repeated."""
        if name == "stretch":
            if broadcast(x.shape, like.shape) != like.shape:
                raise NoProgramError
            self.check(like.shape)
            return Result(like.shape, x.slot, x.thin, x.constant)
        if x.shape == like.shape:
            return x
        if len(x.shape) > 1 and like.shape == (*x.shape[:-2], 1, x.shape[-1]):
            return self._over_features("sum_features", x)
        raise NoProgramError

    # -- what a program leaves behind

    def store(self, tree: Expression, index: int, shape: Shape) -> None:
        """tree, of exactly the shape (*shape, samples), to value `index`."""
        if self.halved and shape == (*self.positions, 2 * self.channels):
            while isinstance(tree, Named):
                tree = tree.value
            if not isinstance(tree, Operation) or tree.rule.name != "beside":
                raise NoProgramError
            for place, half in enumerate(tree.operands):
                part = self.value(half)
                if part.shape != (*self.positions, self.channels, SAMPLES):
                    raise NoProgramError
                out = Slot(VALUE, index, 0, place * self.channels)
                self.steps.append(Instruction("copy", False, out, (part.slot,)))
            return
        result = self.value(tree)
        if result.shape != (*shape, SAMPLES):
            raise NoProgramError
        thin = shape[-1] != self.channels
        self.steps.append(Instruction("copy", thin, Slot(VALUE, index), (result.slot,)))

    def accumulate(self, tree: Expression, index: int, shape: Shape, whole: bool = False) -> None:
        """tree added to accumulator `index`, over all axes that `shape` lacks; `whole`: a number per lane."""
        result = self.value(tree)
        samples = result.shape[-1:] == (SAMPLES,)
        if not samples or result.shape[:-2] != self.positions:
            raise NoProgramError
        features = result.shape[-2]
        pixel, channel = (0, 0) if whole else self.steps_between(shape)
        if not whole and shape and features != shape[-1]:
            raise NoProgramError
        self.steps.append(
            Instruction(
                "accumulate",
                features != self.channels,
                Slot(ACCUMULATOR, index, pixel, channel),
                (result.slot,),
            )
        )

    def program(self) -> Program:
        return replace(_assemble(self.steps, self.constants), halved=self.halved)


def _assemble(steps: Sequence[Instruction], constants: Mapping[float, Slot]) -> Program:
    """Drop what nobody reads, write results straight to where they go, and give temporaries places."""
    needed: set[Slot] = set()
    kept: list[Instruction] = []
    for step in reversed(steps):
        if step.out.kind in (VALUE, ACCUMULATOR) or step.out in needed:
            needed.update(step.operands)
            kept.append(step)
    kept.reverse()
    kept = _without_copies(kept)
    last = {slot: at for at, step in enumerate(kept) for slot in step.operands}
    places: dict[Slot, Slot] = {}
    free: dict[int, list[int]] = {FULL: [], THIN: []}
    counts = {FULL: 0, THIN: 0}
    slots: dict[Slot, int] = {}
    numbered = []
    for at, step in enumerate(kept):
        operands = [places.get(slot, slot) for slot in step.operands]
        for slot in dict.fromkeys(step.operands):  # what is read here for the last time may be written here
            if slot.kind in free and last[slot] == at:
                free[slot.kind].append(places[slot].number)
        out = step.out
        if out.kind in free:
            if not free[out.kind]:
                free[out.kind].append(counts[out.kind])
                counts[out.kind] += 1
            places[step.out] = out = Slot(out.kind, free[out.kind].pop())
        a, b, c, *_ = [*(slots.setdefault(slot, len(slots)) for slot in operands), 0, 0, 0]
        numbered.append((NUMBERS[step.op], int(step.thin), slots.setdefault(out, len(slots)), a, b, c))
    if len(slots) > _native.PROGRAM_SLOTS:
        raise NoProgramError
    # A thin result in a strip that holds only some channels would be accumulated once per strip.
    whole = any(step.op in OVER_FEATURES or (step.op == "accumulate" and step.thin) for step in kept)
    return Program(
        numbered, [tuple(slot) for slot in slots], list(constants), counts[FULL], counts[THIN], whole
    )


def _without_copies(steps: list[Instruction]) -> list[Instruction]:
    """A temporary that is copied to a value is computed there."""
    moved = {
        step.operands[0]: step.out
        for step in reversed(steps)
        if step.op == "copy" and step.operands[0].kind == (THIN if step.thin else FULL)
    }
    return [
        step._replace(
            out=moved.get(step.out, step.out), operands=tuple(moved.get(slot, slot) for slot in step.operands)
        )
        for step in steps
        if not (step.op == "copy" and moved.get(step.operands[0]) == step.out)
    ]
