"""What a network is: layers connected to shapes, their parameters by name, and who computes its passes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.keywords import teach
from chainrule.base.memory import check_memory, within_memory
from chainrule.base.types import Array, Shape
from chainrule.data.door import classes_array
from chainrule.data.preparation import Preparation
from chainrule.layers import Heads, Layer, Parameter
from chainrule.layers.precision import BFLOAT16, is_rounded, precision_from
from chainrule.networks.architecture import INPUT, architecture, drawn_parameters, leaves
from chainrule.networks.executor import Executor, executor
from chainrule.networks.parameters import Parameters, check_named, dtype_from


class Model:
    """Layers in order, every one with its unique name, and their parameters; `Network` is its face."""

    preparation: Preparation | None = None  # how inputs are made for it and outputs read; copied and saved

    # Of several outputs by name: the labels in the order of its numbers, of those that have been told them.
    output_labels: Mapping[str, Array] = MappingProxyType({})

    several_labels: bool = False  # whether every output says yes or no by itself: see Network.classify

    def _build(
        self, layers: Any, input_shape: Any, dtype: Any, name: str | None, precision: Any = None
    ) -> None:
        self._architecture = architecture(layers, input_shape)
        self.dtype = dtype_from(dtype)
        self.precision = precision_from(precision, self.dtype)
        if self.precision == BFLOAT16 and not any(map(is_rounded, leaves(self._architecture.layers))):
            raise ArgumentError(
                f"precision={BFLOAT16!r} is of convolutions and of Dense without ntk, and this network has "
                "none: leave it out"
            )
        self.name = name
        total = sum(math.prod(spec.shape) for spec in self._architecture.specs.values())
        check_memory("layers", "all parameters together", (total,))
        self._parameters = Parameters(self._architecture.specs, self.dtype, self._architecture.names)
        self._classes: Array | None = None
        self._executor: Executor[Any] | None = None
        self.seed: int | None = None

    @classmethod
    def from_parameters(
        cls,
        layers: Any,
        parameters: Mapping[str, Any],
        *,
        input_shape: Any,
        dtype: Any = "float32",
        name: str | None = None,
        classes: Any = None,
        preparation: Preparation | str | None = None,
        precision: Any = None,
    ) -> Self:
        """A network with given parameters, all of them; a layer of constant output is but a warning here.

        classes, preparation, precision: as of `Network`; parameters alone do not tell them.
        """
        network = cls._made(layers, parameters, input_shape, dtype, name, precision)
        network.classes = [*classes] if isinstance(classes, range) else classes
        if preparation is not None:
            network.preparation = preparation  # type: ignore[assignment]
        network._architecture.warn()
        return network

    @classmethod
    def _made(
        cls,
        layers: Any,
        parameters: Mapping[str, Any],
        input_shape: Any,
        dtype: Any,
        name: str | None,
        precision: Any = None,
    ) -> Self:
        network = cls.__new__(cls)
        network._build(layers, input_shape, dtype, name, precision)
        check_named(parameters)
        missing = [key for key in network.parameter_specs if key not in parameters]
        if missing:
            raise ShapeError(f"the parameter {missing[0]!r} is missing: from_parameters needs all of them")
        network.set_parameters(parameters)
        return network

    # -- structure -------------------------------------------------------------------------------------------
    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, every one with its unique name."""
        return self._architecture.layers

    @property
    def shapes(self) -> dict[str, Shape]:
        """Layer name -> shape of one sample's output; "input" is the input."""
        return dict(self._architecture.shapes)

    @property
    def input_shape(self) -> Shape:
        return self._architecture.shapes[INPUT]

    @property
    def inputs(self) -> dict[str, Shape]:
        """The inputs by name: of a `Graph` with several of them these, else "input"."""
        return {name: shape for name, (shape, _) in self.input_parts.items()} or {INPUT: self.input_shape}

    @property
    def input_parts(self) -> dict[str, tuple[Shape, int | None]]:
        """Of several inputs by name the shape, and how many ids it may hold; of one nothing."""
        return self._architecture.inputs

    @property
    def heads(self) -> Heads | None:
        """What several outputs are; None of one."""
        return self._architecture.heads

    @property
    def outputs(self) -> dict[str, Shape]:
        """The outputs by name: of a `Graph` with several of them these, else that of the last layer."""
        heads = self.heads
        if heads is None:
            return {str(self.layers[-1].name): self.output_shape}
        return dict(zip(heads.names, heads.shapes, strict=True))

    @property
    def vocabulary(self) -> int | None:
        """How many ids the input may hold, where an Embedding reads it; None: it holds numbers."""
        return self._architecture.vocabulary

    @property
    def differentiable(self) -> bool:
        """Whether J has a derivative with respect to the input: not where an Embedding reads ids."""
        return self._architecture.differentiable

    @property
    def output_shape(self) -> Shape:
        return self._architecture.shapes[str(self.layers[-1].name)]

    @property
    def parameter_specs(self) -> dict[str, Parameter]:
        """ "conv1.W" -> its Parameter: shape, fans, initializer, whether it is penalised."""
        return dict(self._architecture.specs)

    def count_parameters(self) -> int:
        """The number of numbers that are learned."""
        return sum(math.prod(spec.shape) for spec in self._architecture.specs.values() if spec.learned)

    # -- parameters ------------------------------------------------------------------------------------------
    @property
    def parameters(self) -> Parameters:
        """ "conv1.W" -> array in the network's dtype.  Assigning an entry checks shape and numbers."""
        return self._parameters

    def set_parameters(self, values: Mapping[str, Any]) -> None:
        """Assign some or all parameters; if one does not fit nothing is changed."""
        self._parameters.update(values)

    def layer_parameters(self, layer: Layer | str) -> dict[str, Array]:
        """The parameters of one layer by their own names: "W", "b"; of a composite "dense1.W"."""
        return self._parameters.within(str(layer.name if isinstance(layer, Layer) else layer))

    def parameter_names(self, layer: Layer | str) -> Mapping[str, str]:
        """The same names -> those in `parameters`: of layers that share a parameter that of the first."""
        return self._parameters.names_within(str(layer.name if isinstance(layer, Layer) else layer))

    def parameter_uses(self) -> Mapping[str, Sequence[str]]:
        """Parameter -> the layers that use it, in the order of computation; more than one share it."""
        return self._architecture.uses

    @property
    def shares(self) -> bool:
        """Whether layers share parameters."""
        return any(len(layers) > 1 for layers in self._architecture.uses.values())

    def reinitialise(self, seed: int | None = None) -> Self:
        """Start again: draw all parameters anew from `seed` (None: the seed the network was made with)."""
        seed = (self.seed or 0) if seed is None else seed
        with within_memory(f"a network of {self.count_parameters():,} parameters"):
            self.set_parameters(drawn_parameters(self._architecture, seed))
        self.seed = int(seed)
        return self

    @teach("network.copy() or network.copy(dtype='float64')")
    def copy(self, *, dtype: Any = None, precision: Any = None) -> Self:
        """An independent network with the same parameters, in another dtype or precision if given.

        In float64 nothing is rounded to bfloat16, whatever the network's own precision.
        """
        dtype = dtype_from(self.dtype if dtype is None else dtype)
        if precision is None and dtype == self.dtype:
            precision = None if self.dtype == np.float64 else self.precision
        made = type(self)._made(
            self.layers, self._parameters, self.input_shape, dtype, self.name, precision
        )
        made._classes = None if self._classes is None else self._classes.copy()
        made.seed, made._executor, made.preparation = self.seed, self._executor, self.preparation
        made.several_labels, made.output_labels = self.several_labels, dict(self.output_labels)
        return made

    @property
    def classes(self) -> Array | None:
        """The label of every output, for a single sigmoid output those of a = 0 and a = 1; set by fit, or by
        hand.
        """
        return self._classes

    @classes.setter
    def classes(self, labels: Any) -> None:
        self._classes = None if labels is None else classes_array(labels, self.output_shape)

    # -- who computes ----------------------------------------------------------------------------------------
    def executor(self) -> Executor[Any]:
        """What computes the passes of this network."""
        return self._executor or executor()

    def set_executor(self, chosen: Executor[Any] | None) -> None:
        """Give this network an executor of its own; None: the common one."""
        self._executor = chosen

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_executor": None}  # an executor may hold threads and compiled plans
