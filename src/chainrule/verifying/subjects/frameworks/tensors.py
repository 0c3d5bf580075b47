"""What PyTorch differentiates - a torch.autograd.Function, a module, a function of tensors - as a Subject.

The gradients are those of torch.autograd.grad, so that the function's own backward runs.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, describe
from chainrule.base.types import Array
from chainrule.verifying.subjects.calls.arguments import Arguments, arguments_of
from chainrule.verifying.subjects.calls.carriers import as_array, carried, holds, like_output, tensor_of
from chainrule.verifying.subjects.calls.running import call
from chainrule.verifying.subjects.subject import Gradients, Subject
from chainrule.verifying.texts import TEXTS


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
    parameters = {} if module is None else dict(module.named_parameters())
    kinds = [carried(value.detach()) for value in parameters.values()]
    labels = (*arguments.names, *parameters)
    arrays = (*arguments.arrays, *(kind[0] for kind in kinds if kind is not None))
    makers = (*arguments.makers, *(kind[1] for kind in kinds if kind is not None))
    lows = [kind[2] for kind in kinds if kind is not None and kind[2]]
    count = len(arguments.arrays)

    def outputs(values: Sequence[Array], graph: bool) -> tuple[tuple[Any, ...], list[Any]]:
        leaves = [maker(value) for maker, value in zip(makers, values, strict=True)]
        leaves = [leaf.requires_grad_() if graph and leaf.is_floating_point() else leaf for leaf in leaves]
        built = arguments.filled(leaves[:count])
        with torch.set_grad_enabled(graph):
            if module is None:
                out = call(title, function, *built)
            else:
                state = dict(zip(parameters, leaves[count:], strict=True))
                wide = next((leaf.dtype for leaf in leaves if leaf.is_floating_point()), None)
                for name, buffer in module.named_buffers():
                    state[name] = buffer.clone().to(wide) if buffer.is_floating_point() else buffer.clone()
                out = call(title, torch.func.functional_call, module, state, tuple(built))
        return (tuple(out) if isinstance(out, (tuple, list)) else (out,)), leaves

    def chosen(out: tuple[Any, ...]) -> int:
        if output is not None:
            if output >= len(out):
                raise ArgumentError(f"output is {output}, and {title} returns {len(out)}")
            return output
        floating = [
            n for n, value in enumerate(out) if isinstance(value, torch.Tensor) and value.is_floating_point()
        ]
        graph = [number for number in floating if out[number].requires_grad]
        if not floating:
            raise DataError(
                f"{title} returned {describe(out[0])}: verify takes functions that return a tensor"
            )
        return (graph or floating)[0]

    def forward(values: Sequence[Array]) -> Array:
        return as_array(outputs(_fitting(values), False)[0][place], f"the output of {title}")

    def backward(values: Sequence[Array], delta: Array) -> Gradients:
        out, leaves = outputs(_fitting(values), True)
        target = out[place]
        if not (isinstance(target, torch.Tensor) and target.requires_grad):
            return tuple(None for _ in labels)
        asked = [number for number, leaf in enumerate(leaves) if leaf.requires_grad]
        made = call(
            f"the backward pass of {title}",
            torch.autograd.grad,
            target,
            [leaves[number] for number in asked],
            like_output(target, delta),
            allow_unused=True,
        )
        by_number = dict(zip(asked, made, strict=True))
        return tuple(
            None if by_number.get(number) is None else as_array(by_number[number], f"the gradient of {name}")
            for number, name in enumerate(labels)
        )

    def _fitting(values: Sequence[Array]) -> list[Array]:
        """As they are; in their own type where the code computes in no other."""
        if wide:
            return list(values)
        return [
            np.asarray(v, a.dtype) if a.dtype.kind == "f" else v for v, a in zip(values, arrays, strict=True)
        ]

    wide = True
    out = outputs([np.array(array) for array in arrays], True)[0]
    place = chosen(out)
    precision = lows[0] if lows else arguments.precision
    own = {array.dtype.name for array in arrays if array.dtype.kind == "f"}
    if own and own != {"float64"}:
        try:
            full = outputs([a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays], False)[0][
                place
            ]
            wide = full.dtype == torch.float64
        except DataError:
            wide = False
        if not wide and precision is None:
            precision = min(own, key=lambda name: np.dtype(name).itemsize)
    notes = (TEXTS.say("subject.output", number=place, count=len(out)),) if len(out) > 1 else ()
    return Subject(title, labels, forward, backward, precision=precision, args=arrays, notes=notes)


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
