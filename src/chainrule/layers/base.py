"""What every layer is: a shape rule, parameters, and formulas for forward, δ and gradients."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self
from weakref import WeakKeyDictionary

from chainrule.base.attributes import Attributes
from chainrule.base.keywords import teach
from chainrule.base.shown import clipped
from chainrule.base.types import Shape
from chainrule.formulas.calling import call_formula
from chainrule.formulas.types import Value, Values
from chainrule.layers.initializers import Initializer, Zeros

__all__ = ["Layer", "Parameter", "Passage", "Shape", "Value", "Values", "call_formula", "weights_and_bias"]
InnerNode = tuple[str, Any, tuple[str | int, ...]]
# What δ passes through on its way down.
Passage = Literal["weights", "activation", "recurrent", "composite", "norm", "table", "dropout", "other"]


@dataclass(frozen=True)
class Parameter:
    """Shape and start of a parameter.  initializer None: chosen by the activation that follows.

    learned False: a number the layer keeps beside its parameters, such as a running mean; it has no gradient,
    and training writes it by the layer's `running` formula.
    unit_groups: None where the first axis counts the units whose incoming weights the rest are; where the
    last axis counts them (a transposed convolution), the groups into which the first axis is cut.
    least: no value below it is taken, such as a variance below 0.
    """

    shape: Shape
    fan_in: int = 1
    fan_out: int = 1
    initializer: Initializer | None = None
    penalised: bool = True
    learned: bool = True
    unit_groups: int | None = None
    least: float | None = None

    @property
    def units(self) -> tuple[int, int, int]:
        """The array's shape as (groups, incoming weights of a unit, units of a group)."""
        size = math.prod(self.shape)
        if self.unit_groups is None:
            first = self.shape[0] if self.shape else 1
            return first, size // first, 1
        return self.unit_groups, size // self.unit_groups // self.shape[-1], self.shape[-1]


class _Signature:
    """Of a class, that of its __init__: Python 3.11.2 (Debian 12) says that of an inherited __new__."""

    def __get__(self, instance: object, owner: type) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        signature = inspect.signature(owner.__init__)  # type: ignore[misc]
        return signature.replace(parameters=[*signature.parameters.values()][1:])


class Identified:
    """What is one thing wherever it stands; a deepcopy is another one."""

    identity: object
    __signature__ = _Signature()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made = super().__new__(cls)
        made.identity = object()  # goes with copy.copy, as all attributes do
        return made


class Layer(Attributes, Identified):
    """Base of all layers.

    A layer of your own defines `forward`, `delta` and, if it has parameters, `parameters` and `gradients`.

    The three formulas receive their arguments by name, and only those they declare: `x` the input, `z` or `a`
    the output, `d` = ∂J/∂(output), the parameters by their names, what `draw` has drawn, and `mask` where a
    layer below has masked steps of a sequence.  The signature thus says what is kept from the forward pass.
    Samples are the last axis: vectors are (features, m), images (H, W, C, m), sequences (T, features, m).
    Written with the primitives of `chainrule.formulas` they run on arrays (the reference) and on symbols
    (what is printed).
    """

    kind: ClassVar[str] = "layer"  # prefix of the automatic name: dense1, dense2
    name: str | None = None
    mixes_samples: ClassVar[bool] = False  # whether a training pass computes with all samples together
    given: Mapping[str, Any] = {}  # values its parameters start with, where it comes out of a network
    tied: Any = None  # the layer whose weights it takes, or its name
    # How its formulas print (see formulas/printing/notation.py): the role of the output (z^l; activations
    # a^l), roles of arguments that differ from the default, and whether x and d are shown at positions:
    # X_{i,j}, X_i of a sequence, or X_{h,i,j} of a volume.
    output: ClassVar[str] = "preactivation"
    roles: ClassVar[Mapping[str, str]] = {}
    spatial: ClassVar[bool | Literal["sequence", "volume"]] = False
    # Which of several sources the mask belongs to that its formulas read.
    mask_source: ClassVar[int] = 0
    # False: the input is ids and the like, numbers without a derivative; δ ends here as zeros.
    differentiable_input: ClassVar[bool] = True
    # What is true of it, for whoever speaks about it; a layer of your own may leave these as they are.
    passage: ClassVar[Passage] = "other"
    family: ClassVar[str] = ""  # what it is called among layers, beside what its bases are: "max pool"
    saturated_below: float | None = None  # |f'| under which an entry is saturated; None: f is not bounded
    suits: ClassVar[Initializer | None] = None  # how weights in front of it start that leave it open

    @teach("nothing in the parentheses, or name='...'")
    def __init__(self, *, name: str | None = None) -> None:
        if name is not None:
            self.name = name

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "kind" not in cls.__dict__:
            cls.kind = cls.__name__.lower()

    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape of one sample's output; raises ShapeError for an input that does not fit."""
        return input_shape

    def another(self) -> Self:
        """A copy that is another layer: where both stand in a network each has parameters of its own."""
        made = copy.copy(self)
        made.identity = object()
        return made

    def __sklearn_clone__(self) -> Self:
        return copy.copy(self)  # lists are cloned one by one: what stands there twice stays one layer

    @property
    def ties(self) -> Mapping[str, str]:
        """Of a layer that is tied to another one: own name of a parameter -> that one's."""
        return {}

    def unfolded(self) -> tuple[Layer, ...]:
        """The layers that a network takes in its place: itself, or what its options are short for."""
        return (self,)

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        """The parameters by name."""
        return {}

    def forward(self, *args: Value, **kwargs: Value) -> Value:
        """The output from the input x and the parameters."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(self, x, ...)")

    def delta(self, *args: Value, **kwargs: Value) -> Value:
        """∂J/∂x from d = ∂J/∂(output)."""
        raise NotImplementedError(f"{type(self).__name__} must define delta(self, d, ...)")

    def gradients(self, *args: Value, **kwargs: Value) -> Values:
        """∂J/∂(parameter) by name, summed over the samples (1/m is already in d)."""
        return {}

    # What a prediction computes where it differs from a training pass (batch normalisation, dropout): a
    # formula like `forward`.
    infer: ClassVar[Callable[..., Any] | None] = None

    @property
    def predicts_together(self) -> bool:
        """Whether a prediction, too, computes with all samples together, so that they are never parted."""
        return self.mixes_samples and self.infer is None

    def draw(self, shape: Shape, bits: Callable[[Shape], Value]) -> Values:
        """Random arguments of a training pass, by name, for an input of `shape` (samples last).

        bits(shape) gives uniform 32-bit numbers, the same ones for the same network, seed and step.
        """
        return {}

    @property
    def stream(self) -> str:
        """The name under which `draw` is given its random numbers: another name, other numbers."""
        return str(self.name)

    @property
    def most_sources(self) -> int:
        """How many values a node of a `Graph` of it may read; several then lie side by side in its input."""
        return 1

    def reading(self, shapes: tuple[Shape, ...]) -> Layer:
        """A copy whose input is several values of these shapes side by side; ShapeError where they do not
        fit.
        """
        raise NotImplementedError(f"{type(self).__name__} must define reading(self, shapes)")

    def inner_nodes(self, shapes: tuple[Shape, ...]) -> list[InnerNode]:
        """The nodes that a `Graph` takes in place of one of it, which reads values of these shapes: each with
        a name, a layer or several, and the names of what it reads, a number for one of these values; the last
        one's name is "". None where it is a layer by itself.
        """
        return []

    def constant(self, input_shape: Shape) -> str | None:
        """Why the output is the same whatever an input of this shape; None where it is not. A new network is
        refused then; one in a file, written while that was no error, is loaded.
        """
        return None

    def check_batch(self, shape: Shape) -> None:
        """Raise DataError where training cannot use a batch; `shape`: of the output, samples last."""

    @property
    def keeps_running(self) -> bool:
        """Whether it keeps numbers beside its parameters, which a training step renews."""
        return type(self).running is not Layer.running

    def running(self, *args: Value, **kwargs: Value) -> Values:
        """New values of the parameters that are not learned, by name, after a training step."""
        return {}

    def mask(self, x: Value) -> Value:
        """(steps, m): 1 where a step of the sequence is there, 0 where it is padding; None: says nothing."""
        return None

    def masks_behind(self, mask: Value) -> Value:
        """What goes on of a mask that arrives."""
        return mask

    def branches(self, x: Value) -> Value:
        """Which branch of a piecewise formula x takes (ReLU: x > 0, max pooling: winners); None if smooth."""
        return None

    def entry_derivative(self, *args: Value, **kwargs: Value) -> Value:
        """f'(z) of every entry, (…, units, m), where the layer is a function of single entries or ends in
        one, at every step of a sequence; a formula like `forward`.
        """
        return None

    def winners(self, x: Value) -> Value:
        """The pixel that every window's maximum came from, as its row-major position in the window."""
        return None

    @property
    def families(self) -> tuple[str, ...]:
        """What it is and what its bases are, the nearest first: ("max pool", "pool")."""
        return tuple(cls.__dict__["family"] for cls in type(self).__mro__ if cls.__dict__.get("family"))

    def traits(self) -> set[str]:
        """What it is and does, in words that a text may depend on: its families, "image", "overlap"."""
        return {*self.families, "image"} if self.spatial in (True, "volume") else set(self.families)

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able: `type(layer)(**layer.config())` is the same layer."""
        arguments = _constructor(type(self))
        for name in arguments:
            if not hasattr(self, name):
                raise AttributeError(
                    f"{type(self).__name__}.__init__ takes {name!r} but keeps no attribute of that name; "
                    f"write self.{name} = {name} in it, or define config()"
                )
        return {name: _plain(getattr(self, name)) for name in arguments}

    @classmethod
    def _elsewhere(cls) -> Mapping[str, str]:
        from chainrule.base.foreign.attributes import LAYER_ATTRIBUTES

        return LAYER_ATTRIBUTES

    if not TYPE_CHECKING:  # a type checker knows by itself what there is

        def __getattr__(self, name: str) -> Any:
            said = f"{type(self).__name__}() has no attribute {clipped(repr(name))}"
            if not name.startswith("_"):  # __deepcopy__ and the like are asked for in passing
                from chainrule.base.foreign import answer

                said += answer(self._elsewhere().get(name, ""))
            raise AttributeError(said, name=name, obj=self)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            raise TypeError(
                f"{type(self).__name__}() is not called as a function; write the layers in order, "
                "network = Network([Dense(10), ReLU()], input_shape=784), or with what each reads, "
                "Graph({'a': Dense(10), 'b': (ReLU(), 'a')}, input_shape=784), and network.predict(X)"
            )

    def __repr__(self) -> str:
        shown = []
        for name, parameter in _constructor(type(self)).items():
            value = getattr(self, name, parameter.default)
            if parameter.default is parameter.empty:
                shown.append("..." if value is parameter.empty else repr(value))
            elif name == "tied" and getattr(value, "name", None):
                shown.append(f"tied={value.name!r}")  # a name says which of the network's layers it is
            elif name != "name" and value != parameter.default:
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def weights_and_bias(
    weights: Parameter, units: int, bias: bool, start: Initializer | None
) -> dict[str, Parameter]:
    """W, and b (units,) where there is one: it starts by `start`, None: at 0, and is not penalised."""
    if not bias:
        return {"W": weights}
    b = Parameter((units,), weights.fan_in, weights.fan_out, start or Zeros(), penalised=False)
    return {"W": weights, "b": b}


# A network of 3 layers asks 8 times while it is built, 60 µs each.
_CONSTRUCTORS: WeakKeyDictionary[type[Layer], dict[str, inspect.Parameter]] = WeakKeyDictionary()


def _constructor(cls: type[Layer]) -> dict[str, inspect.Parameter]:
    found = _CONSTRUCTORS.get(cls)
    if found is None:
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        found = {p.name: p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        _CONSTRUCTORS[cls] = found
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Initializer):
        return value.config()
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value
