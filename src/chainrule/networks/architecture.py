"""From a list of layers to their names, shapes and parameters, with errors that say which layer does not fit
and why.
"""

from __future__ import annotations

import copy
import functools
import itertools
import re
import warnings
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError, describe
from chainrule.base.memory import check_memory, check_sample
from chainrule.base.scalars import check_held, entries
from chainrule.base.types import Shape
from chainrule.formulas.primitives.grid import Grid
from chainrule.layers import (
    Composite,
    DenseTranspose,
    Embedding,
    Flatten,
    Heads,
    Identity,
    Layer,
    Parameter,
    Part,
    Sequential,
    Skip,
    Wiring,
)
from chainrule.layers.initializers import Given, Glorot, Initializer
from chainrule.layers.structure import run_branches
from chainrule.layers.wiring import Join

INPUT = "input"
DEEPEST = 64  # layers within layers: what walks a network calls itself, and Python's stack ends
FORMULA_NAMES = ("x", "z", "a", "d", "y", "m")  # what the formulas of a layer call their other arguments
# A dot stands between the names of a composite and of a layer in it.
_NAME = re.compile(r"[^\W\d][\w-]*(\.[^\W\d][\w-]*)*")


@dataclass(frozen=True)
class Architecture:
    """Layers with their names set, the output shape of every name, the parameters as "layer.parameter", and
    which layers stand behind each.

    Layers within a branch are named by their way, "residual1.dense1".
    """

    layers: tuple[Layer, ...]
    shapes: Mapping[str, Shape]
    specs: Mapping[str, Parameter]
    followers: Mapping[str, tuple[Layer, ...]]
    constant: Mapping[str, str]  # layer -> why its output is the same whatever its input
    # Layer -> its own name of a parameter -> that in `specs`: another layer's, where they share it.
    names: Mapping[str, Mapping[str, str]]

    @functools.cached_property
    def uses(self) -> dict[str, list[str]]:
        """Parameter -> the layers that use it, in the order of computation."""
        found: dict[str, list[str]] = {name: [] for name in self.specs}
        for layer, own in self.names.items():
            for name in own.values():
                found[name].append(layer)
        return found

    @functools.cached_property
    def vocabulary(self) -> int | None:
        """The smallest vocabulary of the Embeddings that read the input; None: it holds no ids."""
        return min((layer.vocabulary for layer in _readers(self.layers)), default=None)

    @functools.cached_property
    def inputs(self) -> dict[str, tuple[Shape, int | None]]:
        """Of several inputs by name the shape of a sample, and the vocabulary where it is read as ids."""
        found: dict[str, tuple[Shape, int | None]] = {}
        wiring = self.layers[0]
        if not isinstance(wiring, Wiring):
            return found
        for number, (chain, sources) in enumerate(zip(wiring.chains, wiring.reads, strict=True), 1):
            if isinstance(part := chain[0], Part) and sources == (0,):
                behind = [c for c, read in zip(wiring.chains, wiring.reads, strict=True) if number in read]
                embeddings = [e for c in ([chain[1:]] if chain[1:] else behind) for e in _readers(c)]
                sizes = [embedding.vocabulary for embedding in embeddings]
                found[str(part.name)] = part.shape, min(sizes, default=None)
        return found

    @property
    def heads(self) -> Heads | None:
        """What several outputs are, each with its name; None of a single one."""
        return self.layers[-1] if isinstance(self.layers[-1], Heads) else None

    @property
    def differentiable(self) -> bool:
        """Whether J has a derivative with respect to the input."""
        return all(layer.differentiable_input for layer in leaves(self.layers))

    def check_new(self, dtype: Any) -> None:
        """Refuse in a new network what one in a file may have: ShapeError for a layer whose output is the
        same whatever its input, ArgumentError for a number of a layer that `dtype` does not hold.
        """
        for problem in self.constant.values():
            raise ShapeError(problem)
        check_layers_held(self.layers, dtype)

    def warn(self, stacklevel: int = 1) -> None:
        """Warn, as from the function `stacklevel` calls above, where `check_new` raises ShapeError."""
        for problem in self.constant.values():
            warnings.warn(problem, stacklevel=stacklevel + 2)


def architecture(layers: Any, input_shape: Any) -> Architecture:
    """Check and connect the layers.

    Every layer is copied on entry: a layer is a description, and the arrays belong to the network.  So one
    object may stand in two networks without sharing anything; where it stands in one twice it is one layer,
    whose parameters there are once, under the name of its first place.
    """
    checked = _checked(layers)
    _check_depth(checked, DEEPEST)
    known: dict[object, tuple[Layer, ...]] = {}
    named = _named(_unfolded(checked, known), known)
    shape = input_shape_from(input_shape)
    building = _Building({INPUT: shape}, {}, {}, {}, _identified(named))
    _check_channels_last(named[0], building.shapes[INPUT])
    building.connect(named, (shape,), ())
    building.check_shared()
    _check_ids(named, building, None)
    check_sample("input_shape", "a sample", shape)
    return Architecture(
        *(tuple(named), building.shapes, building.specs, building.followers, building.constant),
        building.names,
    )


def _identified(layers: Iterable[Layer]) -> dict[str, str]:
    """Layer -> the one whose parameters it has: the first of those that are one layer. Their identities, and
    what layers are tied to, become this network's own.
    """
    first: dict[object, Layer] = {}
    every = [*all_layers(layers)]
    owners = {str(layer.name): str(first.setdefault(layer.identity, layer).name) for layer in every}
    by_name = {str(layer.name): layer for layer in every}
    for layer in every:
        if layer.tied is not None:
            tied = by_name.get(layer.tied) if isinstance(layer.tied, str) else first.get(layer.tied.identity)
            if tied is None:
                raise ShapeError(
                    f"{layer.name} = {layer!r} is tied to {layer.tied!r}, which is no layer of this network: "
                    "write the object that stands in it, or its name"
                )
            layer.tied = tied
    fresh = {identity: object() for identity in first}
    for layer in every:
        layer.identity = fresh[layer.identity]
    return owners


@dataclass
class _Building:
    """What is known of a network while its layers are walked in the order of computation."""

    shapes: dict[str, Shape]
    specs: dict[str, Parameter]
    followers: dict[str, tuple[Layer, ...]]
    constant: dict[str, str]
    owners: Mapping[str, str]  # layer -> that whose parameters it has
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    # Of what a layer has of another one: place, own and full name, shape, whether it is tied to that.
    shared: list[tuple[str, str, str, Shape, Layer | None]] = field(default_factory=list)

    def connect(
        self, chain: Sequence[Layer], given: tuple[Shape, ...], behind: tuple[Layer, ...]
    ) -> Shape:
        """The shape that comes out of a chain; `behind` are the layers after it."""
        for number, layer in enumerate(chain):
            shape = given[0]
            place = f"layer {number + 1} of {len(chain)}, {layer.name} = {layer!r}"
            if str(layer.name) in self.followers:  # "a.b", and b within a
                raise ShapeError(f"two layers are named {layer.name!r}: give one of them another name=")
            self.followers[str(layer.name)] = rest = (*chain[number + 1 :], *behind)
            if isinstance(layer, Composite):
                output = self.connect_within(layer, given, rest, place)
            else:
                output = _ask(layer.output_shape, shape, place, self.shapes)
                self.add_parameters(layer, shape, place)
            why = layer.constant(shape)
            if why is not None:
                self.constant[str(layer.name)] = f"{place}: {why} ({_way(self.shapes)})"
            if not isinstance(output, tuple) or not all(
                isinstance(size, Integral) and int(size) > 0 for size in output
            ):
                raise ShapeError(
                    f"{place}: output_shape must return a tuple of positive integers, "
                    f"it returned {describe(output)}"
                )
            check_sample(place, "its output", output)
            self.shapes[str(layer.name)] = output
            given = (output,)
        return given[0]

    def connect_within(
        self, layer: Composite, given: tuple[Shape, ...], rest: tuple[Layer, ...], place: str
    ) -> Shape:
        """The shape that comes out of a composite."""
        behind = layer.following(rest)
        if len(given) > 1 and len(given) != len(layer.chains):
            raise ShapeError(f"{place}: has {len(layer.chains)} branches, and {len(given)} sources")
        if len(given) == 1 and isinstance(layer, Join):
            _ask(layer.output_shape, given[0], place, self.shapes)  # refuses

        def branch(number: int, layers: tuple[Layer, ...], sources: tuple[Shape, ...]) -> Shape:
            return self.connect(layers, sources, behind[number - 1])

        rule = functools.partial(layer.joined_shape, shapes=run_branches(None, layer, given, branch))
        output: Shape = _ask(rule, given[0], place, self.shapes)
        return output

    def add_parameters(self, layer: Layer, shape: Shape, place: str) -> None:
        for name, spec in _ask(layer.parameters, shape, place, self.shapes).items():
            if not isinstance(spec, Parameter) or not name.isidentifier() or name in FORMULA_NAMES:
                raise ShapeError(
                    f"{place}: parameters must return name -> Parameter(shape, ...), with names other than "
                    f"{', '.join(FORMULA_NAMES)}; it returned {describe(name)}: {describe(spec)}"
                )
            check_memory(place, f"its parameter {name}", spec.shape)
            full = f"{self.owners[str(layer.name)]}.{name}"
            if name in layer.ties:
                full = f"{self.owners[str(layer.tied.name)]}.{layer.ties[name]}"
            self.names.setdefault(str(layer.name), {})[name] = full
            if full != f"{layer.name}.{name}":
                self.shared.append((place, name, full, spec.shape, layer if name in layer.ties else None))
                continue
            if name in layer.given:
                spec = replace(spec, initializer=Given(layer.given[name]))
            self.specs[full] = spec
        layer.given = {}

    def check_shared(self) -> None:
        """ShapeError where a parameter that layers share is not of one shape in all of them."""
        for place, name, full, shape, tied in self.shared:
            spec = self.specs.get(full)
            if spec is None or spec.shape != shape:
                there = "is no parameter" if spec is None else f"has the shape {spec.shape}"
                advice = (
                    "a layer object that stands in a network twice is one layer with the same parameters; "
                    "write another object for parameters of its own"
                )
                if tied is not None:
                    advice = _of_tied(tied, shape, spec.shape if spec else ())
                raise ShapeError(
                    f"{place}: takes {full} as its {name}, of the shape {shape} here, and {full} {there}: "
                    f"{advice}"
                )


def _of_tied(layer: Layer, shape: Shape, held: Shape) -> str:
    """What to write where a layer's W would be `shape` and that of the layer it names is `held`."""
    if isinstance(layer, DenseTranspose):
        return "tied weights are one array, and DenseTranspose reads W (inputs, units) as it lies" + (
            f": write DenseTranspose({held[1]}, tied=...)" if held[:1] == shape[:1] and len(held) == 2 else ""
        )
    return "tied weights are one array, and Dense reads W (units, inputs) as it lies" + (
        f": for Wᵀ write DenseTranspose({shape[0]}, tied=...)" if held == shape[::-1] else ""
    )


def check_layers_held(layers: Iterable[Layer], dtype: Any) -> None:
    """ArgumentError for a layer of chainrule's own whose slope, ε or the like `dtype` does not hold."""
    for layer in leaves(layers):
        if type(layer).__module__.partition(".")[0] != "chainrule":
            continue
        for name, value in vars(layer).items():
            if isinstance(value, (float, np.floating)):
                article = "an" if name[0] in "aeiou" else "a"
                place = f"{layer.name} = {layer!r}"
                check_held(f"{article} {name}", float(value), dtype, place, positive=name == "epsilon")


def told_apart(layers: Iterable[Layer]) -> Layer | None:
    """The first layer, also within composites, whose training pass is another than its prediction, such as
    dropout and batch normalisation; None if there is none.
    """
    return next((layer for layer in all_layers(layers) if layer.infer is not None), None)


def computed_together(layers: Iterable[Layer]) -> list[Layer]:
    """Those that compute with all samples together, in a prediction, too."""
    return [layer for layer in leaves(layers) if layer.predicts_together]


def check_batch(layers: Iterable[Layer], shapes: Mapping[str, Shape], samples: int) -> None:
    """DataError where a layer cannot compute with a batch of so many samples."""
    for layer in leaves(layers):
        layer.check_batch((*shapes[str(layer.name)], samples))


def all_layers(layers: Iterable[Layer]) -> Iterator[Layer]:
    """Every layer in the order of computation, the composites behind what is in them."""
    for layer in layers:
        for chain in layer.chains if isinstance(layer, Composite) else ():
            yield from all_layers(chain)
        yield layer


def leaves(layers: Iterable[Layer]) -> Iterator[Layer]:
    """The layers that compute, without the composites around them."""
    return (layer for layer in all_layers(layers) if not isinstance(layer, Composite))


def _check_ids(chain: Iterable[Layer], built: _Building, *below: str | None) -> str | None:
    """ShapeError for a layer of ids behind one that learns; the last parameter that is learned on the way.

    below: of every value that the chain reads, such a parameter.
    """
    for layer in chain:
        if isinstance(layer, Composite):
            ends = run_branches(None, layer, below, lambda _, branch, on: _check_ids(branch, built, *on))
            below = (next((end for end in ends if end is not None), None),)
            continue
        if below[0] is not None and not layer.differentiable_input:
            raise ShapeError(
                f"{layer.name} = {layer!r} reads ids, which have no derivative, so that {below[0]} in front "
                f"of it would never learn: put {type(layer).__name__} first"
            )
        names = built.names.get(str(layer.name), {}).values()
        below = (next((name for name in names if built.specs[name].learned), below[0]),)
    return below[0]


def _readers(chain: Iterable[Layer]) -> Iterator[Embedding]:
    """The Embeddings whose ids are the input of the chain as it is."""
    for layer in chain:
        if isinstance(layer, Composite):
            for branch, sources in zip(layer.chains, layer.reads, strict=True):
                yield from _readers(branch) if 0 in sources else ()
        if isinstance(layer, Embedding):
            yield layer
        if not isinstance(layer, (Flatten, Identity)):
            return


def input_shape_from(value: Any) -> Shape:
    """(features,) or (rows, columns, channels) from an int or a sequence of ints."""
    sizes = [value] if isinstance(value, Integral) else entries(value)
    if sizes and all(isinstance(s, Integral) and not isinstance(s, bool) and int(s) > 0 for s in sizes):
        return tuple(int(size) for size in sizes)
    raise ShapeError(
        "input_shape must be the shape of one sample, without the number of samples: 784 or (784,) for "
        f"vectors, (28, 28, 1) for images; received {describe(value)}"
    )


def _check_channels_last(first: Layer, shape: Shape) -> None:
    """ShapeError for images such as (1, 28, 28) under a kernel of several rows: nobody means 28 channels."""
    grid = vars(first).get("grid")
    if len(shape) != 3 or not isinstance(grid, Grid) or grid.kernel[0] == 1:
        return
    channels, rows, columns = shape
    if channels in (1, 3) and rows == columns > 4:
        raise ShapeError(
            f"{first!r} takes images with the channels last, received input_shape={shape}: write "
            f"{(rows, columns, channels)}, and X.transpose(0, 2, 3, 1) for data with the channels first"
        )


def drawn_parameters(architecture: Architecture, seed: int) -> dict[str, Any]:
    """Every parameter's start, float64: each from a random stream of its own."""
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise ArgumentError(f"seed must be an integer of at least 0, received {describe(seed)}")
    drawn = {}
    for number, (name, spec) in enumerate(architecture.specs.items()):
        # PCG64 by name: NumPy may change what default_rng is, and a seed is a promise.
        stream = np.random.SeedSequence(int(seed), spawn_key=(number,))
        rng = np.random.Generator(np.random.PCG64(stream))
        drawn[name] = initializer_of(architecture, name)(spec.shape, spec.fan_in, spec.fan_out, rng)
    return drawn


def initializer_of(architecture: Architecture, name: str) -> Initializer:
    """The initializer of a parameter: its own, or what suits the activation that follows, else Glorot.

    What follows is the first activation behind the layer, whatever pooling or Flatten stands between.
    """
    chosen = architecture.specs[name].initializer
    if chosen is not None:
        return chosen
    for layer in leaves(architecture.followers[name.rpartition(".")[0]]):
        if layer.suits is not None:
            return layer.suits
        if str(layer.name) in architecture.names:
            break
    return Glorot()


def _checked(layers: Any) -> list[Layer]:
    given = None if isinstance(layers, Layer) else entries(layers)
    if given is None:
        raise TypeError(f"layers must be a list such as [Dense(10), Softmax()], received {describe(layers)}")
    checked = [layer.as_layer() if hasattr(type(layer), "as_layer") else layer for layer in given]
    for number, layer in enumerate(checked):
        if isinstance(layer, Layer):
            continue
        place = f"layers[{number}]"
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise TypeError(
                f"{place} is the class {layer.__name__}: write {layer.__name__}(...), with parentheses"
            )
        if isinstance(layer, (list, tuple)):
            raise TypeError(
                f"{place} is a {type(layer).__name__}: write one flat list, [*block, Dense(10), ...]"
            )
        raise TypeError(f"{place} must be a layer such as Dense(10) or ReLU(), received {describe(layer)}")
    if not checked:
        raise ShapeError("layers is empty: a network needs at least one, such as [Dense(10), Softmax()]")
    return checked


def _check_depth(layers: Iterable[Layer], left: int) -> None:
    for layer in layers:
        if not isinstance(layer, (Composite, Sequential)):
            continue
        if not left:
            raise ShapeError(f"layers are nested more than {DEEPEST} deep; write them one after the other")
        for chain in layer.chains if isinstance(layer, Composite) else (layer.layers,):
            _check_depth(chain, left - 1)


def _unfolded(layers: Iterable[Layer], known: dict[object, tuple[Layer, ...]]) -> list[Layer]:
    """Copies of the layers, every Sequential replaced by its own, which get its name in front of theirs; so
    is a layer whose options are short for several, which get its name where it was given one, and what lies
    under a Skip goes into a branch. known: what layers are short for, by identity: once for all places.
    """
    unfolded: list[Layer] = []
    blocks = 0
    given: dict[str, list[object]] = {}  # blocks by their names -> what is in them
    for layer in layers:
        if isinstance(layer, Skip):
            unfolded = layer.joined(unfolded)
            continue
        if not isinstance(layer, Sequential):
            parts = layer.unfolded()
            if parts == (layer,):
                unfolded.append(_local(layer))
                continue
            parts = known.setdefault(layer.identity, parts)
            if layer.name is None:
                unfolded += map(_local, parts)
                continue
            layer = Sequential(parts, name=layer.name)
        blocks += layer.name is None
        name = f"{layer.kind}{blocks}" if layer.name is None else _checked_name(layer.name)
        inner = _named(_unfolded(layer.layers, known), known)
        held = [part.identity for part in inner]
        if given.get(name) == held:
            name = _next(name, given)  # one block at another place
        given[name] = held
        for part in inner:
            _rename(part, f"{name}.")
        unfolded += inner
    return unfolded


def _local(layer: Layer) -> Layer:
    """A copy; the layers within it lose its name, which a network has put in front of theirs."""
    copied = copy.copy(layer)
    return copied.with_chains(_local_chains(copied)) if isinstance(copied, Composite) else copied


def _local_chains(composite: Composite) -> tuple[tuple[Layer, ...], ...]:
    chains = tuple(tuple(map(_local, chain)) for chain in composite.chains)
    for inner in (inner for chain in chains for inner in chain):
        _strip(inner, composite.prefix)
    return chains


def _strip(layer: Layer, prefix: str) -> None:
    """Take a prefix from the name of a layer, and of those within that have it by themselves."""
    if layer.name is not None:
        layer.name = str(layer.name).removeprefix(prefix)
    if isinstance(layer, Composite) and not layer.prefix:
        for inner in (inner for chain in layer.chains for inner in chain):
            _strip(inner, prefix)


def _rename(layer: Layer, prefix: str) -> None:
    """Put a prefix before the name of a layer and of all layers within it."""
    layer.name = prefix + str(layer.name)
    for chain in layer.chains if isinstance(layer, Composite) else ():
        for inner in chain:
            _rename(inner, prefix)


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == INPUT:
        raise ShapeError(
            "the name of a layer must be a letter, then letters, digits, _ and -, and not 'input'; "
            f"received {describe(name)}"
        )
    return name


def _named(layers: list[Layer], known: dict[object, tuple[Layer, ...]]) -> list[Layer]:
    """Give the nameless ones the next free kind + number, counted per kind: dense1, relu1, dense2.

    The layers in a composite's branches are named by themselves, with the composite's name in front.
    """
    taken: dict[str, object] = {}
    for layer in layers:
        if layer.name is None:
            continue
        if taken.get(_checked_name(layer.name)) is layer.identity:
            layer.name = _next(layer.name, taken)  # one layer at another place
        if layer.name in taken:
            raise ShapeError(f"two layers are named {layer.name!r}: give one of them another name=")
        taken[layer.name] = layer.identity
    counts: dict[str, int] = {}
    for layer in layers:
        while layer.name is None:
            counts[layer.kind] = counts.get(layer.kind, 0) + 1
            name = f"{layer.kind}{counts[layer.kind]}"
            layer.name = None if name in taken else name
    return [_named_within(layer, known) if isinstance(layer, Composite) else layer for layer in layers]


def _next(name: str, taken: Container[str]) -> str:
    """name_2, or the first number behind it that is free."""
    return next(called for n in itertools.count(2) if (called := f"{name}_{n}") not in taken)


def _named_within(composite: Composite, known: dict[object, tuple[Layer, ...]]) -> Composite:
    """The composite with copies of its layers under names that begin as it says."""
    chains = [_unfolded(chain, known) for chain in _local_chains(composite)]
    named = iter(_named([layer for chain in chains for layer in chain], known))
    renamed = tuple(tuple(next(named) for _ in chain) for chain in chains)
    for layer in (layer for chain in renamed for layer in chain):
        _rename(layer, composite.prefix)
    return composite.with_chains(renamed)


def _ask(rule: Any, shape: Shape, place: str, shapes: Mapping[str, Shape]) -> Any:
    """Call a layer's shape rule; an error gains the layer's place and the shapes up to it."""
    try:
        return rule(shape)
    except (ShapeError, ValueError, TypeError, IndexError) as error:
        raise ShapeError(f"{place}: {error} ({_way(shapes)})") from error


def _way(shapes: Mapping[str, Shape]) -> str:
    return "shapes so far: " + " → ".join(f"{name} {size}" for name, size in list(shapes.items())[-4:])
