"""How somebody's arrays lie beside ours: which axis is the samples', whether channels come first, W
transposed.

Nothing is asked: of all orders of the axes the one is taken under which our formula gives their output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product
from typing import Any

import numpy as np

from chainrule.base.errors import ChainruleError
from chainrule.base.types import Array
from chainrule.formulas.calling import call_formula
from chainrule.layers.base import Layer

Axes = tuple[int, ...]
# Relative to the largest output: forwards that agree so far are the same function.
AGREE = {"float64": 1e-7, "float32": 1e-4, "float16": 3e-2}


@dataclass(frozen=True)
class Form:
    """Their array as ours: transposed by `axes`, then of `shape`, what is said of one shape in the batch
    apart.

    samples: the axis of ours that counts samples, which differ between draws; None: a parameter.
    """

    axes: Axes
    ours: tuple[int, ...]
    theirs: tuple[int, ...]

    def to_ours(self, array: Array) -> Array:
        return array.transpose(self.axes).reshape(self.ours)

    def to_theirs(self, array: Array) -> Array:
        moved = [self.theirs[axis] for axis in self.axes]
        return array.reshape(moved).transpose(np.argsort(self.axes))


@dataclass(frozen=True, eq=False)
class Orientation:
    """A layer of ours and the forms under which it is their forward.

    inputs, outputs: samples last, as formulas have it. parameters: by our names, with the number of their
    argument. place: which argument x is.
    """

    layer: Layer
    inputs: Form
    outputs: Form
    parameters: dict[str, tuple[int, Form]]
    place: int = 0

    def bindings(self, args: Sequence[Array]) -> dict[str, Array]:
        """x and the parameters, as our formulas take them, in float64."""
        bound = {"x": self.inputs.to_ours(args[self.place].astype(np.float64))}
        for name, (number, form) in self.parameters.items():
            bound[name] = form.to_ours(args[number].astype(np.float64))
        return bound


def orient(like: Any, options: dict[str, Any], args: Sequence[Array], out: Array) -> Orientation | None:
    """The first layer and orientation under which our forward gives `out`; None where there is none.

    like, options: as of `layers_like`. The arguments may come in any order; theirs is tried first.
    """
    for order in permutations(range(len(args))):
        place, *rest = order
        for layer in layers_like(like, options, [args[number] for number in order]):
            for form in _input_forms(args[place]):
                for parameters in _parameters(layer, form.ours[:-1], rest, args):
                    partial = Orientation(layer, form, form, parameters, place)
                    outputs = _output_form(partial, args, out)
                    if outputs is not None:
                        return replace(partial, outputs=outputs)
    return None


def _parameters(
    layer: Layer, input_shape: tuple[int, ...], rest: Sequence[int], args: Sequence[Array]
) -> Iterator[dict[str, tuple[int, Form]]]:
    """The forms that the arguments `rest` may have as the layer's parameters, in its order."""
    try:
        specs = layer.parameters(input_shape)
        layer.output_shape(input_shape)
    except ChainruleError:
        return
    learned = [(name, spec.shape) for name, spec in specs.items() if spec.learned]
    if len(learned) != len(rest):
        return
    choices = [list(_forms(args[n], shape)) for n, (_, shape) in zip(rest, learned, strict=True)]
    for chosen in product(*choices):
        named = zip(learned, rest, chosen, strict=True)
        yield {name: (number, form) for (name, _), number, form in named}


def _input_forms(x: Array) -> Iterator[Form]:
    """Orders of x's axes with the samples last; the usual ones first: samples first, then last."""
    axes = range(x.ndim)
    usual = (*axes[1:], 0)
    for order in dict.fromkeys([usual, tuple(axes), *permutations(axes)]):
        yield Form(order, tuple(x.shape[axis] for axis in order), x.shape)
    if x.ndim >= 2:  # one sample without an axis of its own is not tried: m is 1 there, which tells little
        return
    yield Form((0,), (1, x.shape[0]), x.shape)


def _forms(array: Array, shape: tuple[int, ...]) -> Iterator[Form]:
    """Orders of the axes that give a parameter's shape; (1, n) and (n, 1) count as (n,)."""
    if array.size != int(np.prod(shape)):
        return
    for order in permutations(range(array.ndim)):
        moved = [array.shape[axis] for axis in order]
        if [size for size in moved if size != 1] == [size for size in shape if size != 1]:
            yield Form(order, tuple(shape), array.shape)


def _output_form(partial: Orientation, args: Sequence[Array], out: Array) -> Form | None:
    try:
        bound = partial.bindings(args)
        with np.errstate(all="ignore"):
            z = np.asarray(call_formula(partial.layer.forward, bound))
    except (ValueError, TypeError, ChainruleError):
        return None
    if z.size != out.size:
        return None
    scale = float(np.abs(z).max()) or 1.0
    for order in dict.fromkeys([(*range(1, out.ndim), 0), *permutations(range(out.ndim))]):
        moved = tuple(out.shape[axis] for axis in order)
        if [size for size in moved if size != 1] != [size for size in z.shape if size != 1]:
            continue
        form = Form(order, z.shape, out.shape)
        if np.abs(form.to_ours(out.astype(np.float64)) - z).max() <= AGREE.get(out.dtype.name, 1e-7) * scale:
            return form
    return None


def layers_like(like: Any, options: dict[str, Any], args: Sequence[Array]) -> Iterator[Layer]:
    """The layers that `like` may mean: one of ours as it is, or a name, its sizes read off the arguments."""
    if isinstance(like, Layer):
        yield like
        return
    make: Callable[..., Layer] = like
    weights = args[1] if len(args) > 1 else None
    sizes = () if weights is None else tuple(dict.fromkeys(weights.shape))
    for words in _sizes(make.__name__, sizes, weights):
        bias = {"bias": len(args) > 2} if words and "bias" not in options else {}
        try:
            yield make(**words, **bias, **options)
        except (TypeError, ValueError, ChainruleError):
            continue


def _sizes(name: str, sizes: tuple[int, ...], weights: Array | None) -> Iterator[dict[str, Any]]:
    """Arguments that only the arrays tell: units of a dense layer, filters and kernel of a convolution."""
    if weights is None or name in ("BatchNorm", "LayerNorm", "RMSNorm", "PReLU"):
        yield {}
    elif name == "Dense":
        yield from ({"units": size} for size in sizes)
    elif weights.ndim in (3, 4):
        kernels = permutations(weights.shape, weights.ndim - 2)
        for kernel, filters in product(dict.fromkeys(kernels), sizes):
            yield {"filters": filters, "kernel_size": kernel if len(kernel) > 1 else kernel[0]}
