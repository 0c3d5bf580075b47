"""A module of PyTorch as a network: its layers, and its weights.

`torch.fx` follows the module's own forward, so that sums, concatenations and functions in it are seen, too.
The network takes images with their channels last, (N, rows, columns, channels), where the module takes them
first; what the two compute is the same.
"""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, MissingExtraError, describe
from chainrule.base.types import Array
from chainrule.networks.network import Network
from chainrule.networks.taking.building import Building
from chainrule.networks.taking.torch import arithmetic, elements, moving, norms, sequences, shapes, windows
from chainrule.networks.taking.torch.reading import Reading, States, Steps, array_of
from chainrule.networks.taking.torch.sequences import OF_FLAGS, numbers_of
from chainrule.networks.taking.values import Flags, Value

MODULES: dict[str, Callable[..., Any]] = {
    **elements.MODULES,
    **moving.MODULES,
    **norms.MODULES,
    **sequences.MODULES,
    **shapes.MODULES,
    **windows.MODULES,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **arithmetic.FUNCTIONS,
    **elements.FUNCTIONS,
    **moving.FUNCTIONS,
    **norms.FUNCTIONS,
    **sequences.FUNCTIONS,
    **shapes.FUNCTIONS,
    **windows.FUNCTIONS,
}


def from_torch(
    module: Any,
    input_shape: Any = None,
    *,
    arguments: Mapping[str, Any] | None = None,
    dtype: str | None = None,
) -> Network:
    """A network that computes what the module computes in eval mode, with its weights; it can be trained on.
    What `network.to_torch()` made, and nobody has changed but by training, is that network again.

    module: an nn.Sequential, or a module whose forward `torch.fx` can follow. Its layers are those that
        chainrule has; the error names the one that it has not.
    input_shape: of one sample as the module takes it, (channels, rows, columns) of images, by default what
        its first layer, a Linear, reads. The network itself takes (rows, columns, channels). Of several
        inputs their names and shapes in the order of forward, {"target": (7, 16), "memory": (9, 16)}. What
        forward has beside them and `arguments` keeps its default. Several inputs, outputs, and values that
        cross, make a `Graph`; outputs of a dict have its keys, others are "output0", "output1", ...;
        of a recurrent module alone it is what all steps put out.
    arguments: what forward takes beside its inputs, the same for every sample, by its names there:
        {"src_mask": mask} of the masks (T, T) of an nn.Transformer and its kin. A tensor is as a tensor of
        the module, a number or a truth value as it is in a call.
    dtype: by default that of the module's weights.
    Raises ArgumentError for what has no layer here, and MissingExtraError without PyTorch.
    """
    try:
        import torch
        from torch import fx
    except ImportError:
        raise MissingExtraError("PyTorch", "torch", "from_torch") from None
    if not isinstance(module, torch.nn.Module):
        alone = "; these are weights alone, for module.load_state_dict" if isinstance(module, Mapping) else ""
        raise ArgumentError(f"from_torch takes a torch.nn.Module, received {describe(module)}{alone}")
    held = next((str(p.dtype).removeprefix("torch.") for p in module.parameters()), "")
    chosen = dtype or (held if held in ("float32", "float64") else "float32")
    constants = _constants(torch, module, arguments)
    again = None if constants else _as_it_was(module, input_shape, chosen if dtype or held else None)
    if again is not None:
        return again
    single = fx.Tracer().is_leaf_module(module, "") and not isinstance(module, torch.nn.Sequential)
    if isinstance(input_shape, Mapping):
        if not input_shape:
            raise ArgumentError("from_torch input_shape names no input")
        shapes = {str(name): _given_shape(shape) for name, shape in input_shape.items()}
        if both := sorted(set(shapes) & set(constants)):
            raise ArgumentError(f"from_torch: {both[0]!r} is an input and one of arguments; write it once")
    else:
        several = isinstance(input_shape, Sequence) and any(map(_is_shape, input_shape))
        shapes = {"": (1,) if several else _input_shape(torch, module, input_shape)}
    if single and (len(shapes) > 1 or constants):
        reading = Nodes(torch, module, Building(shapes), chosen, alone=True, constants=constants)
        return reading.building.network(reading.of_module(), chosen)
    whole = torch.nn.Sequential(module) if single else module
    if not single:
        shapes = _in_order(module, shapes, constants)
    _check_told(module, whole, input_shape, len(shapes), constants)
    try:
        graph = _followed(fx, whole, len(shapes), constants)
    except Exception as error:  # whatever a stranger's forward does with symbols
        raise ArgumentError(
            f"from_torch cannot follow the forward of {type(module).__name__}{_line_of(error)}: {error}; "
            "write it as an nn.Sequential, or without branches that depend on numbers"
        ) from error
    reading = Nodes(torch, whole, Building(shapes), chosen, alone=single, constants=constants)
    return reading.building.network(reading.read(graph), chosen)


def _constants(torch: Any, module: Any, given: Any) -> dict[str, Any]:
    """What forward takes beside its inputs: tensors as arrays, the rest as it is."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(
            f"from_torch arguments are by their names in forward, {{'mask': mask}}, received "
            f"{describe(given)}"
        )
    known = [held.name for held in inspect.signature(module.forward).parameters.values()]
    for name in given:
        if name not in known:
            raise ArgumentError(
                f"from_torch arguments has {name!r}, and the forward of {type(module).__name__} takes "
                f"{', '.join(known)}"
            )
    return {
        str(name): array_of(value) if isinstance(value, torch.Tensor) else value
        for name, value in given.items()
    }


def _in_order(module: Any, shapes: dict[str, Any], constants: Collection[str]) -> dict[str, Any]:
    """The shapes in the order of forward's arguments, where they have their names; other names stand for
    them in their order. ArgumentError where one of the names is that of an argument at another place.
    """
    parameters = inspect.signature(module.forward).parameters
    told = [held for name, held in parameters.items() if name not in constants]
    if any(held.kind is held.VAR_POSITIONAL for held in told):
        return shapes
    taken = [held.name for held in told if held.kind is not held.KEYWORD_ONLY][: len(shapes)]
    if set(taken) == set(shapes):
        return {name: shapes[name] for name in taken}
    every, given = [held.name for held in told], [*shapes]
    moved = [name for place, name in enumerate(given) if name in every and taken[place:][:1] != [name]]
    if moved or len(given) > len(taken):
        raise ArgumentError(
            f"from_torch: input_shape names {', '.join(map(repr, given))}, and the arguments of "
            f"{type(module).__name__}.forward are {', '.join(map(repr, every))}: write the first of them, as "
            "many as are inputs, or other names in their order"
        )
    return shapes


def _line_of(error: Exception) -> str:
    """The last line of a module's own forward that ran."""
    lines = [
        held.line or ""
        for held in traceback.extract_tb(error.__traceback__)
        if held.name == "forward" and f"{os.sep}torch{os.sep}" not in held.filename
    ]
    return f" at `{lines[-1]}`" if lines and lines[-1] else ""


def _check_told(module: Any, whole: Any, given: Any, told: int, constants: Collection[str]) -> None:
    """ArgumentError where forward takes more than the shapes tell of."""
    taken = [
        held.name
        for held in inspect.signature(whole.forward).parameters.values()
        if held.default is held.empty and held.kind is held.POSITIONAL_OR_KEYWORD
        if held.name not in constants
    ]
    several = _is_shape(given) and any(map(_is_shape, given))
    if len(taken) <= told and not several:
        return
    if len(taken) == 1:
        raise ArgumentError(
            f"from_torch input_shape must be of one sample, such as (3, 32, 32), received {given}"
        )
    shapes = [*given.values()] if isinstance(given, Mapping) else [*given] if several else [given]
    named = isinstance(given, Mapping) and set(given) <= set(taken)
    known = given if named else dict(zip(taken, shapes, strict=False))
    shown = {name: "..." if (shape := known.get(name)) is None else str(shape) for name in taken}
    form = ", ".join(f"{name!r}: {shape}" for name, shape in shown.items())
    raise ArgumentError(
        f"from_torch: the forward of {type(module).__name__} takes {len(taken)} inputs; write "
        f"input_shape={{{form}}}, the shape of one sample of each"
    )


def _is_shape(given: Any) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str)


def _followed(fx: Any, whole: Any, inputs: int, constants: Mapping[str, Any]) -> Any:
    """The graph of what the module does in eval mode; where it does the same in both modes, of the mode it is
    in, so that a dropout that is a function stays one. Arguments behind the inputs keep their defaults where
    they are no constants, of which arrays are followed as the inputs are.
    """
    taken = inspect.signature(whole.forward).parameters.values()
    told = [held for held in taken if held.name not in constants][inputs:]
    given = {held.name: held.default for held in told if held.default is not held.empty}
    given |= {name: value for name, value in constants.items() if not isinstance(value, np.ndarray)}
    graph = fx.Tracer().trace(whole, given)
    modes = [(part, part.training) for part in whole.modules()]
    try:
        whole.eval()
        predicting = fx.Tracer().trace(whole, given)
    finally:
        for part, mode in modes:
            part.training = mode
    calls = ([(node.op, node.target) for node in held.nodes] for held in (graph, predicting))
    return graph if next(calls) == next(calls) else predicting


def _as_it_was(module: Any, input_shape: Any, dtype: str | None) -> Network | None:
    """The network that `to_torch` made the module of, with the numbers that the module has now; None where it
    made none, where the module has been changed since, or is to take other samples.
    """
    origin = vars(module).get("origin")
    if not isinstance(origin, Network) or module.described() != module.made:
        return None
    plain = input_shape is not None and not isinstance(input_shape, Mapping)
    if isinstance(input_shape, Mapping) and list(map(_given_shape, input_shape.values())) != [
        tuple(shape) for shape, _ in origin.input_parts.values()
    ]:
        return None
    if plain and _given_shape(input_shape) != tuple(module.takes):
        return None
    network = origin.copy(dtype=dtype)
    network.set_parameters(module.by_name())
    return network


def _given_shape(given: Any) -> tuple[int, ...]:
    return (int(given),) if isinstance(given, (int, np.integer)) else tuple(int(size) for size in given)


def _input_shape(torch: Any, module: Any, given: Any) -> tuple[int, ...]:
    if given is not None:
        return _given_shape(given)
    for held in module.modules():
        if isinstance(held, torch.nn.Linear):
            return (int(held.in_features),)
        if not isinstance(held, torch.nn.Sequential | torch.nn.Flatten) and held is not module:
            break
    raise ArgumentError(
        "from_torch needs input_shape, the shape of one sample as the module takes it: (3, 32, 32) for "
        "images of 3 channels, (100, 16) for 100 steps of 16 features"
    )


# Functions that know what to do with what a recurrent module gives.
STATES = {"getitem", "squeeze", "_assert_is_none"}


def _varies(given: Any) -> bool:
    """Whether an argument depends on the samples."""
    if isinstance(given, tuple | list):
        return any(map(_varies, given))
    return isinstance(given, Value | Steps | States | Flags)


def _asserts(node: Any) -> bool:
    """Whether a node only sees to it that an argument has its default."""
    name, users = getattr(node.target, "__name__", ""), node.users
    return name.startswith("_assert") or (name == "eq" and bool(users) and all(map(_asserts, users)))


class Nodes(Reading):
    """The nodes of a graph, one after the other.  constants: what forward is given beside the inputs."""

    def __init__(
        self,
        torch: Any,
        module: Any,
        building: Building,
        dtype: str,
        *,
        alone: bool,
        constants: Mapping[str, Any],
    ) -> None:
        super().__init__(torch, module, building, dtype, alone)
        self.constants = constants

    def read(self, graph: Any) -> dict[str, Value]:
        """The values that the graph puts out, by name."""
        inputs = iter(self.building.inputs.values())
        taken = inspect.signature(self.module.forward).parameters
        for node in graph.nodes:
            if node.op == "placeholder":
                default = node.args[0] if node.args else None
                asked = node.target in taken or node.target.startswith("*")  # else torch.fx knows its value
                self.values[node] = (
                    self.constants[node.target]
                    if node.target in self.constants
                    else next(inputs, default)
                    if asked
                    else default
                )
            elif node.op == "get_attr":
                self.values[node] = self._tensor(node.target)
            elif node.op == "output":
                return self._outputs(self._known(node.args[0]))
            elif not _asserts(node):
                self.values[node] = self._call(node)
        raise ArgumentError("the module has no output")

    def of_module(self) -> dict[str, Value]:
        """What the module itself, which is a layer, puts out."""
        kind, taken = type(self.module).__name__, inspect.signature(self.module.forward).parameters
        inputs = self.building.inputs
        named = set(inputs) <= set(taken)  # masks by their names
        first = [*inputs.values()] if not named else []
        options = {**(inputs if named else {}), **self.constants}
        return self._outputs(self._module(kind.lower(), self.module, first, options))

    def _tensor(self, target: str) -> Array:
        held: Any = self.module
        for part in target.split("."):
            held = getattr(held, part)
        return array_of(held)

    def _outputs(self, given: Any) -> dict[str, Value]:
        for name, value in self.compared:
            if not any(value is held for held in self.ids):
                raise ArgumentError(f"{name}: what is compared with a number must be ids of an Embedding")
        given = given.every if isinstance(given, Steps) else given  # of a recurrence alone its steps
        if isinstance(given, Value):
            return {"output": given}
        many = isinstance(given, tuple | list)
        flat = list(self._flat(given)) if many else []
        named = {f"output{n}": value for n, value in enumerate(flat)} if many else given
        if not isinstance(named, Mapping) or not all(isinstance(value, Value) for value in named.values()):
            raise ArgumentError(
                "from_torch takes modules that put out a value, several in a tuple, or by name in a dict"
            )
        return {str(name): value for name, value in named.items()}

    def _flat(self, given: Any) -> Iterator[Any]:
        """Outputs in order; of states that of every layer."""
        if isinstance(given, States):
            of = given.of
            yield from (self.building.last_state(of.name, layer, given.state) for layer in of.layers)
        elif isinstance(given, tuple | list):
            for entry in given:
                yield from self._flat(entry)
        elif given is not None:
            yield given

    def _known(self, argument: Any) -> Any:
        if isinstance(argument, tuple | list):
            return type(argument)(self._known(entry) for entry in argument)
        if isinstance(argument, Mapping):
            return {name: self._known(entry) for name, entry in argument.items()}
        return self.values.get(argument, argument) if hasattr(argument, "op") else argument

    def _call(self, node: Any) -> Any:
        self.building.calls.begin(None)
        arguments = [self._known(argument) for argument in node.args]
        options = {name: self._known(value) for name, value in node.kwargs.items()}
        if node.op == "call_module":
            layer = self.module.get_submodule(node.target)
            return self._module(str(node.target), layer, arguments, options)
        target = node.target
        name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
        held = [*arguments, *options.values()]
        if held and all(type(given) in (int, float, bool) for given in held) and not isinstance(target, str):
            return target(*arguments, **options)  # of sizes, but for that of the samples
        if any(isinstance(given, np.ndarray) for given in held) and not any(map(_varies, held)):
            return self._constant(target, arguments, options)
        if name not in STATES and any(isinstance(given, States | Steps) for given in held):
            raise ArgumentError(
                f"{node.name}: {name} of all that a recurrence gives: take its output, out, _ = lstm(x), or "
                "the last state of a layer, h[-1]"
            )
        if name not in OF_FLAGS:  # a comparison of ids as the numbers 1 and 0
            arguments = [numbers_of(self, f"{node.name}_{n}", given) for n, given in enumerate(arguments)]
        if name not in FUNCTIONS:
            raise ArgumentError(f"{node.name}: {name} has no layer in chainrule")
        return self._by(FUNCTIONS[name], name, node.name, *arguments, **options)

    def _by(self, reader: Callable[..., Any], what: str, name: str, *arguments: Any, **options: Any) -> Any:
        """What a reader makes of a call; ArgumentError for arguments that it does not know."""
        try:
            inspect.signature(reader).bind(self, name, *arguments, **options)
        except TypeError as error:
            raise ArgumentError(f"{name}: {what} is not taken with these arguments: {error}") from None
        return reader(self, name, *arguments, **options)

    def _constant(self, made_by: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """What depends on no sample, by PyTorch itself."""
        told = [self.torch.as_tensor(a) if isinstance(a, np.ndarray) else a for a in arguments]
        more = {
            key: self.torch.as_tensor(a) if isinstance(a, np.ndarray) else a for key, a in options.items()
        }
        with self.torch.no_grad():
            if isinstance(made_by, str):
                made = getattr(told[0], made_by)(*told[1:], **more)
            else:
                made = made_by(*told, **more)
        return array_of(made) if isinstance(made, self.torch.Tensor) else made

    def _module(self, name: str, layer: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
        kind = type(layer).__name__
        if arguments and not any(map(_varies, (*arguments, *options.values()))):
            return self._constant(layer, arguments, options)
        known = getattr(self.torch.nn, kind, None)
        if (parts := getattr(layer, "parametrizations", None)) is not None:
            first = next(iter(parts))
            raise ArgumentError(
                f"{name}: its {first} is computed by a parametrization, which no layer does: to go on with "
                "what it is now, write torch.nn.utils.parametrize.remove_parametrizations("
                f"module.get_submodule({name!r}), {first!r}) before"
            )
        if type(layer) is not known or kind not in MODULES:
            raise ArgumentError(f"{name}: {kind} has no layer in chainrule")
        self._check_tied(name, layer)
        self.building.calls.begin(layer if any(True for _ in layer.parameters()) else None)
        return self._by(MODULES[kind], kind, name, layer, *arguments, **options)

    def _check_tied(self, name: str, layer: Any) -> None:
        """ArgumentError where a module shares a tensor that is not the matrix of a Linear or an Embedding."""
        for key, tensor in layer.named_parameters():
            by, held = self.tensors.setdefault(id(tensor), (name, layer))
            kinds = {type(one).__name__ for one in (layer, held)}
            if held is not layer and not (key == "weight" and kinds <= {"Linear", "Embedding"}):
                raise ArgumentError(
                    f"{name}: its {key} is that of {by}; the matrix of a Linear can be that of another "
                    "Linear or of an Embedding, nothing else"
                )
