"""What PyTorch differentiates - a torch.autograd.Function, a module, a function of tensors - as a Subject.

The gradients are those of torch.autograd.grad, so that the function's own backward runs.
"""

from __future__ import annotations

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
from chainrule.verifying.subjects.frameworks.judged import judged, told
from chainrule.verifying.subjects.subject import Gradients, Subject


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
    out = calls.outputs([np.array(array) for array in calls.arrays], True)[0]
    floating = [
        n for n, value in enumerate(out) if isinstance(value, torch.Tensor) and value.is_floating_point()
    ]
    likely = [number for number in floating if out[number].requires_grad] or floating
    calls.place = judged(out, likely, output, title, "a tensor")
    calls.wide = calls.computes_in_float64()
    return Subject(
        title,
        calls.labels,
        calls.forward,
        calls.backward,
        precision=calls.precision,
        args=calls.arrays,
        notes=told(out, calls.place),
    )


@dataclass(eq=False)
class _Calls:
    """parameters: of a module, by name, as `carried` gives them; they stand behind the arguments.

    place: of the output that is judged.  wide: whether float64 arrays are computed in float64.
    """

    title: str
    function: Any
    module: Any
    arguments: Arguments
    parameters: Mapping[str, tuple[Array, Maker, str | None]]
    place: int = 0
    wide: bool = True

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
            made = self.outputs(wide, False)[0][self.place]
        except DataError:
            return False
        return bool(made.dtype == sys.modules["torch"].float64)

    def outputs(self, values: Sequence[Array], graph: bool) -> tuple[tuple[Any, ...], list[Any]]:
        """What it returns, and the tensors it was called with."""
        torch = sys.modules["torch"]
        makers = (*self.arguments.makers, *(maker for _, maker, _ in self.parameters.values()))
        leaves = [maker(value) for maker, value in zip(makers, values, strict=True)]
        leaves = [leaf.requires_grad_() if graph and leaf.is_floating_point() else leaf for leaf in leaves]
        count = len(self.arguments.arrays)
        built = self.arguments.filled(leaves[:count])
        with torch.set_grad_enabled(graph):
            if self.module is None:
                out = call(self.title, self.function, *built)
            else:
                state = dict(zip(self.parameters, leaves[count:], strict=True))
                wide = next((leaf.dtype for leaf in leaves if leaf.is_floating_point()), None)
                for name, buffer in self.module.named_buffers():
                    state[name] = buffer.clone().to(wide) if buffer.is_floating_point() else buffer.clone()
                out = call(self.title, torch.func.functional_call, self.module, state, tuple(built))
        return (tuple(out) if isinstance(out, (tuple, list)) else (out,)), leaves

    def forward(self, values: Sequence[Array]) -> Array:
        out = self.outputs(self._in_their_type(values), False)[0]
        return as_array(out[self.place], f"the output of {self.title}")

    def backward(self, values: Sequence[Array], delta: Array) -> Gradients:
        torch = sys.modules["torch"]
        out, leaves = self.outputs(self._in_their_type(values), True)
        target = out[self.place]
        if not (isinstance(target, torch.Tensor) and target.requires_grad):
            return tuple(None for _ in self.labels)
        asked = [number for number, leaf in enumerate(leaves) if leaf.requires_grad]
        made = call(
            f"the backward pass of {self.title}",
            torch.autograd.grad,
            target,
            [leaves[number] for number in asked],
            like_output(target, delta),
            allow_unused=True,
        )
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
