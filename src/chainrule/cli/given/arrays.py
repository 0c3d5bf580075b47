"""The arrays that somebody's code is run on: a file's, those the file of code defines, or drawn ones."""

from __future__ import annotations

import argparse
import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from chainrule.base.errors import FileError
from chainrule.base.languages import Say
from chainrule.base.shown import quoted
from chainrule.base.types import Array
from chainrule.cli.given.code import Code
from chainrule.cli.given.failures import theirs
from chainrule.cli.given.known import arrays_for
from chainrule.data.readers.npz import load_npy, open_npz
from chainrule.verifying.mutants.examples import SAMPLES, example_of
from chainrule.verifying.saying.schema import ArrayRecord
from chainrule.verifying.texts import TEXTS

DEFINED = ("args", "ARGS")
MOST_DRAWN = 10**7  # entries of an array
NOTATION = "write NAME=SIZES with a blank between them, --shapes 'x=3,4 w=4,5 y=3:0..9'"
_PART = re.compile(r"(?P<name>[^=\s]+)=(?P<sizes>\(\)|\d+(?:[,x]\d+)*,?)(?::(?P<kind>\S+))?")
_RANGE = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})")
Draw = Callable[[np.random.Generator], Array]
HOW = (
    "--args FILE.npz, --shapes 'x=3,4 w=4,5 b=5', args = (x, w, b) in the file itself, or --like LAYER, "
    "whose sizes are drawn"
)


@dataclass(frozen=True)
class Arguments:
    """values: arrays as verify takes them, names: of the first of them.  said: where they are from."""

    values: list[Any]
    names: list[str]
    said: Say

    def records(self) -> list[ArrayRecord]:
        """Plain JSON."""
        return [
            {
                "name": name,
                "shape": list(np.shape(value)),
                "dtype": str(getattr(value, "dtype", type(value).__name__)),
            }
            for name, value in zip(self.names, self.values, strict=True)
        ]


def check_told(options: argparse.Namespace) -> None:
    """FileError for what is wrong with --args or --shapes, before anything of their code runs."""
    if options.args is not None and options.shapes is not None:
        raise FileError("--args and --shapes both say what it is run on: leave one out")
    if options.args is not None:
        _of_file(options.args, [])
    elif options.shapes is not None:
        _told(options.shapes)


def arguments_for(code: Code, options: argparse.Namespace) -> Iterator[Arguments]:
    """What to run it on; several where it depends on how their arrays lie, the likeliest first."""
    wanted = parameters_of(code.given)
    if options.args is not None:
        yield _typed(_of_file(options.args, wanted), options)
    elif options.shapes is not None:
        rng = np.random.default_rng(options.seed)
        drawn = {name: draw(rng) for name, draw in _told(options.shapes).items()}
        yield _typed(_of("drawn", *_ordered(drawn, wanted)), options)
    elif (name := next((name for name in DEFINED if hasattr(code.module, name)), None)) is not None:
        yield _typed(_defined(code, name, wanted), options)
    elif options.like is not None:
        yield from _of_layer(options, wanted, code)
    else:
        raise FileError(f"{quoted(code.name)}: on which arrays? Give {HOW}")


def parameters_of(given: Any) -> list[str]:
    """The names of what forward takes, without those that have a default; [] where that is not known."""
    function = given[0] if isinstance(given, tuple) else getattr(given, "forward", given)
    try:
        listed = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in listed if p.kind in kinds and p.default is p.empty]
    return [name for name in names if name not in ("self", "ctx")]


def _ordered(arrays: Mapping[str, Any], wanted: Sequence[str]) -> tuple[list[str], list[Any]]:
    """By the names of their function where all are there, else in the order given."""
    names = list(wanted) if wanted and set(wanted) <= set(arrays) else list(arrays)
    return names, [arrays[name] for name in names]


def _of(key: str, names: Sequence[str], values: Sequence[Any], **words: object) -> Arguments:
    """The arrays, and the text that says how they were come by."""
    shapes = ", ".join(f"{quoted(n, 40)} {np.shape(v)}" for n, v in zip(names, values, strict=True))
    return Arguments([*values], [*names], TEXTS.say(f"given.{key}", shapes=shapes, **words))


def _of_file(path: str, wanted: Sequence[str]) -> Arguments:
    if path.endswith(".npy"):
        value = load_npy(path)
        return _of("file", wanted[:1] or ["x"], [value], file=quoted(path))
    with open_npz(path) as archive:
        if not archive.names:
            raise FileError(f"{quoted(path)}: holds no array")
        names = list(wanted) if wanted and set(wanted) <= set(archive.names) else list(archive.names)
        values = [archive.read(name) for name in names]
    for name, value in zip(names, values, strict=True):
        if value.dtype.kind not in "fiub":
            raise FileError(f"{quoted(path)}: the array '{quoted(name)}' is of {value.dtype}, no numbers")
    return _of("file", names, values, file=quoted(path))


def _told(text: str) -> dict[str, Draw]:
    """What draws each array, by name, of "x=3,4 w=4,5 y=3:0..9 v=5:positive"."""
    made: dict[str, Draw] = {}
    for part in re.split(r"[\s;]+", text.strip()):
        match = _PART.fullmatch(part)
        if match is None:
            raise FileError(f"--shapes: '{quoted(part, 60)}' is no shape: {NOTATION}")
        name, kind = match["name"], match["kind"]
        if name in made:
            raise FileError(f"--shapes: has '{quoted(name, 60)}' twice")
        sizes = [size for size in re.split("[,x]", match["sizes"].strip("(),")) if size]
        if any(len(size) > 9 for size in sizes) or math.prod(map(int, sizes)) > MOST_DRAWN:
            raise FileError(f"--shapes: {quoted(name, 60)} has more than {MOST_DRAWN:,} entries")
        if "0" in sizes:
            raise FileError(f"--shapes: {quoted(name, 60)} has the size 0, which leaves no entries")
        made[name] = _entries(tuple(map(int, sizes)), kind, name)
    return made


def _entries(shape: tuple[int, ...], kind: str | None, name: str) -> Draw:
    if kind is None:
        return lambda rng: np.asarray(rng.normal(size=shape))
    if kind == "positive":
        return lambda rng: np.asarray(rng.uniform(0.5, 2.0, shape))
    ends = _RANGE.fullmatch(kind)
    if ends is None or int(ends[1]) > int(ends[2]):
        raise FileError(
            f"--shapes: '{quoted(kind, 60)}' of {quoted(name, 60)} is no kind of numbers: write LOW..HIGH "
            f"for whole numbers from LOW to HIGH, {quoted(name, 60)}=3:0..9, positive, or nothing"
        )
    low, high = int(ends[1]), int(ends[2])
    return lambda rng: np.asarray(rng.integers(low, high + 1, shape))


def _defined(code: Code, name: str, wanted: Sequence[str]) -> Arguments:
    """args of their file: a tuple or list, a dict by names, one array, or a function that gives these."""
    given = getattr(code.module, name)
    if callable(given):
        with theirs(str(code.module.__file__)):
            given = given()
    if isinstance(given, Mapping):
        names, values = _ordered({str(key): value for key, value in given.items()}, wanted)
    else:
        values = list(given) if isinstance(given, tuple | list) else [given]
        names = [*wanted[: len(values)], *(f"argument {n}" for n in range(len(wanted), len(values)))]
    if not values:
        raise FileError(f"{quoted(code.name)}: its {name} is empty: write {name} = (x, w, b)")
    return _of("defined", names, values, name=name)


def _typed(given: Arguments, options: argparse.Namespace) -> Arguments:
    """Numbers with fractions in the type that was asked for."""
    if options.dtype is None:
        return given
    values = [
        value.astype(options.dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
        for value in given.values
    ]
    return Arguments(values, given.names, given.said)


# -- sizes that a layer tells --------------------------------------------------------------------------------


def _of_layer(options: argparse.Namespace, wanted: Sequence[str], code: Code) -> Iterator[Arguments]:
    """x and the parameters of a layer of this kind, as people let them lie: channels first or last, W either
    way.
    """
    example = example_of(options.like, options.layer_options)
    if example is None:
        yield from _of_function(options, wanted)
        return
    kind, variants = example
    seen: set[tuple[tuple[int, ...], ...]] = set()
    pair = isinstance(code.given, tuple)
    for shape, layer in variants:
        learned = {name: spec.shape for name, spec in layer.parameters(shape).items() if spec.learned}
        if pair and len(wanted) > 1 + len(learned):
            raise FileError(
                f"{quoted(code.name)}: forward takes {', '.join(map(quoted, wanted))} and a {kind} tells "
                f"the sizes of {', '.join(['x', *learned])} alone: define args = (...) in the file"
            )
        count = len(wanted) if pair and wanted else 1 + len(learned)
        held = [] if pair else _sizes_held(code.given)
        for x, turned in product(_inputs(shape, held, kind), range(3)):
            shapes = (x, *(_turned(size, turned) for size in learned.values()))[: 1 if held else count]
            if shapes in seen:
                continue
            seen.add(shapes)
            rng = np.random.default_rng(options.seed)
            values: list[Array] = [np.asarray(rng.normal(size=size)) for size in shapes]
            if kind == "Embedding":
                values[0] = rng.integers(0, next(iter(learned.values()))[0], shapes[0])
            names = [*wanted, *(f"argument {n}" for n in range(len(wanted), len(values)))][: len(values)]
            yield _typed(_of("drawn_for", names, values, layer=repr(layer)), options)


def _of_function(options: argparse.Namespace, wanted: Sequence[str]) -> Iterator[Arguments]:
    """What losses, penalties, attention and its kin take, as many as their function does."""
    found = False
    for values in arrays_for(options.like, options.layer_options, options.seed):
        if not wanted or len(wanted) == len(values):
            found, names = True, wanted or [f"argument {n}" for n in range(len(values))]
            yield _typed(_of("drawn_for", names, values, layer=options.like), options)
    if not found:
        takes = f" that takes {', '.join(map(quoted, wanted))}" if wanted else ""
        raise FileError(
            f"--like {quoted(options.like)}: no sizes are known for one{takes}: give --shapes "
            "'x=3,4 w=4,5 b=5', or --args FILE.npz"
        )


def _sizes_held(given: Any) -> list[int]:
    """The sizes of the matrices and kernels that an object keeps, one of which x has to have."""
    held = vars(given).values() if hasattr(given, "__dict__") else ()
    arrays = [value for value in held if isinstance(value, np.ndarray) and value.ndim > 0]
    return list(dict.fromkeys(size for value in arrays for size in value.shape))


def _inputs(shape: tuple[int, ...], held: Sequence[int], kind: str) -> Iterator[tuple[int, ...]]:
    """Shapes of x: channels first, as CS231n and torch have them, and last; for an object of its sizes."""
    for sample in [(*shape[:-1], size) for size in held] or [shape]:
        if len(sample) > 1:
            yield (SAMPLES, sample[-1], *sample[:-1])
        yield (SAMPLES, *sample)
        if kind in ("Dense", "Softmax"):
            yield (*sample, SAMPLES)


def _turned(shape: tuple[int, ...], turned: int) -> tuple[int, ...]:
    """A matrix (in, out) or (out, in); a kernel (out, in, k1, k2), (out, k1, k2, in) or (k1, k2, in, out)."""
    if len(shape) == 2:
        return shape if turned else shape[::-1]
    if len(shape) > 2:
        first, *kernel, last = shape
        return ((first, last, *kernel), shape, (*kernel, last, first))[turned]
    return shape
