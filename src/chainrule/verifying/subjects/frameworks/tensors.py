"""What PyTorch differentiates - a torch.autograd.Function, a module, a function of tensors - as a Subject.

The gradients are those of torch.autograd.grad, so that the function's own backward runs.
"""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError
from chainrule.base.types import Array
from chainrule.verifying.subjects.calls.arguments import Arguments, arguments_of
from chainrule.verifying.subjects.calls.carriers import (
    Maker,
    as_array,
    carried,
    holds,
    like_output,
    tensor_of,
)
from chainrule.verifying.subjects.calls.running import call
from chainrule.verifying.subjects.frameworks.drawn import drawing_as
from chainrule.verifying.subjects.frameworks.judged import gradients_follow, judged, told
from chainrule.verifying.subjects.subject import (
    Gradients,
    Subject,
    cut_deltas,
    joined_outputs,
    with_outputs,
)
from chainrule.verifying.subjects.values import of_function
from chainrule.verifying.texts import TEXTS

_MOST_NODES = 10_000  # of a graph that is looked through


def meant(given: Any, args: Sequence[Any]) -> bool:
    """Whether it is PyTorch's, or a function among whose arguments is a tensor. Never loads PyTorch."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    if isinstance(given, torch.nn.Module) or (
        isinstance(given, type) and issubclass(given, torch.autograd.Function)
    ):
        return True
    if isinstance(given, type) and issubclass(given, torch.nn.Module):
        raise ArgumentError(f"{given.__name__} is a class: give a module, verify({given.__name__}(...), ...)")
    plain = callable(given) and not isinstance(given, type) and not hasattr(given, "backward")
    return plain and holds(args, torch.Tensor)


def of_tensors(given: Any, args: Sequence[Any], names: Sequence[str] | None, output: int | None) -> Subject:
    """Arguments that are arrays become tensors; of a module the parameters are arguments, too."""
    torch = sys.modules["torch"]
    module = copy.deepcopy(given) if isinstance(given, torch.nn.Module) else None
    if module is not None and callable(getattr(module, "backward", None)):
        raise ArgumentError(
            f"{type(given).__name__} has a method backward, which PyTorch never calls on a module: make it a "
            "torch.autograd.Function, or give (forward, backward)"
        )
    title = str(getattr(given, "__name__", type(given).__name__))
    function: Any = getattr(given, "apply", None) if isinstance(given, type) else given
    signature = given.forward if isinstance(given, type) or module is not None else given
    arguments = _with_tensors(arguments_of(signature, args, _labels(signature, args, names, given)))
    calls = _Calls(title, function, module, arguments, _parameters(module))
    plain = output is None and module is None and not isinstance(given, type)
    out = calls.tried(plain)
    by_hand = isinstance(given, type) or _written_by_hand(out)
    if plain and not by_hand and gradients_follow(out, arguments):
        return _of_value(calls, args, names)
    floating = [
        n for n, value in enumerate(out) if isinstance(value, torch.Tensor) and value.is_floating_point()
    ]
    likely = [number for number in floating if out[number].requires_grad] or floating
    calls.places = (judged(out, likely, output, title, "a tensor"),)
    calls.wide = calls.computes_in_float64()
    several = likely if by_hand and any(out[number].requires_grad for number in likely) else []
    single = () if output is None and len(several) > 1 else told(out, calls.places[0])
    subject = Subject(
        title,
        calls.labels,
        calls.forward,
        calls.backward,
        precision=calls.precision,
        args=calls.arrays,
        notes=(*single, *(() if by_hand else (TEXTS.say("subject.torch", name=title),))),
    )

    def of_output(place: int | None) -> Any:
        of = replace(calls, places=tuple(several) if place is None else (place,))
        return of.forward, of.backward

    return with_outputs(subject, several, of_output)


@dataclass(eq=False)
class _Calls:
    """parameters: of a module, by name, as `carried` gives them; they stand behind the arguments.

    places: of the outputs that are judged, several joined.  wide: whether float64 arrays are computed in
    float64.  graph: whether a value and its gradients take arguments that ask for gradients.  draws: whether
    it draws random numbers.
    """

    title: str
    function: Any
    module: Any
    arguments: Arguments
    parameters: Mapping[str, tuple[Array, Maker, str | None]]
    places: tuple[int, ...] = (0,)
    wide: bool = True
    graph: bool = True
    draws: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        return (*self.arguments.names, *self.parameters)

    @property
    def arrays(self) -> tuple[Array, ...]:
        return (*self.arguments.arrays, *(array for array, _, _ in self.parameters.values()))

    @property
    def precision(self) -> str | None:
        """Less than the arrays' type where theirs is such, and theirs where it computes in no other."""
        lows = [low for _, _, low in self.parameters.values() if low]
        low = lows[0] if lows else self.arguments.precision
        if low is not None or self.wide:
            return low
        own = {array.dtype for array in self.arrays if array.dtype.kind == "f"}
        return min(own, key=lambda kind: kind.itemsize).name

    def computes_in_float64(self) -> bool:
        """Whether it does where its arrays come as float64."""
        if all(array.dtype == np.float64 for array in self.arrays if array.dtype.kind == "f"):
            return True
        wide = [array.astype(np.float64) if array.dtype.kind == "f" else array for array in self.arrays]
        try:
            made = self.outputs(wide, False)[0]
        except DataError:
            return False
        first = made[self.places[0]]
        known = [first, *(made if isinstance(first, float) else ())]
        kinds = [value.dtype for value in known if hasattr(value, "dtype")]
        return all(kind == sys.modules["torch"].float64 for kind in kinds[:1])

    def tried(self, plain: bool) -> tuple[Any, ...]:
        """What the given arguments give, with a graph; plain: without one where their code takes none."""
        values = [np.array(array) for array in self.arrays]
        torch = sys.modules["torch"]
        before = torch.get_rng_state()
        try:
            made = self.outputs(values, True)[0]
            self.draws = not torch.equal(before, torch.get_rng_state())
            return made
        except DataError:
            if plain and gradients_follow(out := self.outputs(values, False)[0], self.arguments):
                self.graph = False
                return out
            raise

    def outputs(self, values: Sequence[Array], graph: bool) -> tuple[tuple[Any, ...], list[Any]]:
        """What it returns, and the tensors it was called with."""
        torch = sys.modules["torch"]
        makers = (*self.arguments.makers, *(maker for _, maker, _ in self.parameters.values()))
        leaves = [maker(value) for maker, value in zip(makers, values, strict=True)]
        leaves = [leaf.requires_grad_() if graph and leaf.is_floating_point() else leaf for leaf in leaves]
        count = len(self.arguments.arrays)
        built = self.arguments.filled(leaves[:count])
        with torch.set_grad_enabled(graph), self.drawing(values):
            if self.module is None:
                out = call(self.title, self.function, *built)
            else:
                state = dict(zip(self.parameters, leaves[count:], strict=True))
                wide = next((leaf.dtype for leaf in leaves if leaf.is_floating_point()), None)
                for name, buffer in self.module.named_buffers():
                    state[name] = buffer.clone().to(wide) if buffer.is_floating_point() else buffer.clone()
                out = call(self.title, torch.func.functional_call, self.module, state, tuple(built))
        return (tuple(out) if isinstance(out, (tuple, list)) else (out,)), leaves

    def drawing(self, values: Sequence[Array]) -> Any:
        """Within it the same random numbers are drawn for float64 as for their own type."""
        own = [array.dtype for array in self.arrays if array.dtype.kind == "f"]
        now = [value.dtype for value in values if value.dtype.kind == "f"]
        if not self.draws or own == now or not own:
            return contextlib.nullcontext()
        lows = [low for _, _, low in self.parameters.values() if low]
        low = lows[0] if lows else self.arguments.precision
        return drawing_as(getattr(sys.modules["torch"], low or min(own, key=lambda k: k.itemsize).name))

    def forward(self, values: Sequence[Array]) -> Array:
        out = self.outputs(self._in_their_type(values), False)[0]
        made = [as_array(out[place], f"the output of {self.title}") for place in self.places]
        return made[0] if len(made) == 1 else joined_outputs(made)

    def backward(self, values: Sequence[Array], delta: Array) -> Gradients:
        torch = sys.modules["torch"]
        out, leaves = self.outputs(self._in_their_type(values), True)
        targets = [out[place] for place in self.places]
        arrays = [as_array(target, f"the output of {self.title}") for target in targets]
        deltas = [delta] if len(arrays) == 1 else cut_deltas(delta, arrays)
        handed = [
            like_output(target, part) if isinstance(target, torch.Tensor) else part
            for target, part in zip(targets, deltas, strict=True)
        ]
        pairs = [
            (target, part)
            for target, part in zip(targets, handed, strict=True)
            if isinstance(target, torch.Tensor) and target.requires_grad
        ]
        if not pairs:
            return tuple(None for _ in self.labels)
        asked = [number for number, leaf in enumerate(leaves) if leaf.requires_grad]
        made = call(
            f"the backward pass of {self.title}",
            torch.autograd.grad,
            [target for target, _ in pairs],
            [leaves[number] for number in asked],
            [part for _, part in pairs],
            allow_unused=True,
        )
        after = [as_array(part, "δ") for part in handed]
        if not all(map(np.array_equal, after, deltas)) and delta.flags.writeable:  # written on by their code
            delta[...] = joined_outputs(after).reshape(delta.shape)
        by_number = dict(zip(asked, made, strict=True))
        return tuple(
            None if by_number.get(number) is None else as_array(by_number[number], f"the gradient of {name}")
            for number, name in enumerate(self.labels)
        )

    def _in_their_type(self, values: Sequence[Array]) -> list[Array]:
        """As they are; in their own type where the code computes in no other."""
        if self.wide:
            return list(values)
        pairs = zip(values, self.arrays, strict=True)
        return [np.asarray(v, a.dtype) if a.dtype.kind == "f" else v for v, a in pairs]


def _written_by_hand(out: Sequence[Any]) -> bool:
    """Whether a torch.autograd.Function of somebody's is in the graph; so it is taken where none is shown."""
    function = getattr(sys.modules["torch"].autograd, "function", None)
    kind = getattr(function, "BackwardCFunction", None)
    if kind is None:
        return True
    waiting = [getattr(value, "grad_fn", None) for value in out]
    seen: set[Any] = set()
    while waiting and len(seen) < _MOST_NODES:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, kind) and "Compiled" not in type(node).__name__:  # torch.compile's own
            return True
        waiting += [before for before, _ in node.next_functions]
    return False


def _of_value(calls: _Calls, args: Sequence[Any], names: Sequence[str] | None) -> Subject:
    """f(*args) -> (value, gradients) of tensors, in their own type where it computes in no other."""
    torch = sys.modules["torch"]
    calls.wide = calls.computes_in_float64()

    def leaf(maker: Maker, own: Array) -> Maker:
        def made(array: Array) -> Any:
            tensor = maker(array if calls.wide or own.dtype.kind != "f" else np.asarray(array, own.dtype))
            return tensor.requires_grad_() if calls.graph and tensor.is_floating_point() else tensor

        return made

    read = calls.arguments
    makers = tuple(leaf(maker, own) for maker, own in zip(read.makers, read.arrays, strict=True))
    read = replace(read, makers=makers, precision=calls.precision)
    subject = of_function(calls.function, args, names, read, lambda _: torch.set_grad_enabled(calls.graph))
    return replace(subject, notes=(*subject.notes, TEXTS.say("subject.value", name=calls.title)))


def _parameters(module: Any) -> dict[str, tuple[Array, Maker, str | None]]:
    """Of a module, none of a function."""
    named = () if module is None else module.named_parameters()
    kinds = {name: carried(value.detach()) for name, value in named}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _with_tensors(arguments: Arguments) -> Arguments:
    """Arrays of NumPy become tensors."""
    makers = tuple(
        maker if carried(maker(array)) else tensor_of
        for maker, array in zip(arguments.makers, arguments.arrays, strict=True)
    )
    return replace(arguments, makers=makers, foreign=True)


def _labels(
    signature: Any, args: Sequence[Any], names: Sequence[str] | None, given: Any
) -> Sequence[str] | None:
    """The names of a Function's arguments stand behind ctx."""
    if names is not None or not isinstance(given, type):
        return names
    code = getattr(signature, "__code__", None)
    known = () if code is None else code.co_varnames[: code.co_argcount]
    behind = known[1:] if known[:1] in (("ctx",), ("context",), ("_",)) else known
    return list(behind[: len(args)]) if not isinstance(args, dict) else None
