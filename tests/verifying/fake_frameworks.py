"""As much of PyTorch and JAX as verify asks for: tensors around arrays, a tape, torch.autograd.grad, jax.vjp.

The suite has neither library. What is here behaves as they do where it is used (`frameworks.py` asks the same
questions of the real ones).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from chainrule.base.types import Array

ON: list[bool] = [True]  # whether the tape runs


class Kind:
    """A dtype of tensors; bfloat16 is kept in float32, with 8 bits of mantissa."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.numpy = np.dtype("float32" if name == "bfloat16" else name)

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def rounded(self, array: Array) -> Array:
        array = np.asarray(array, self.numpy)
        if self.name != "bfloat16":
            return array
        bits = np.ascontiguousarray(array).view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


KINDS = {
    name: Kind(name)
    for name in ("float64", "float32", "float16", "bfloat16", "int64", "bool", "uint8", "int32")
}


class Tensor:
    """An array with a type; made: the Function call that it comes from, with its inputs."""

    def __init__(self, array: Any, dtype: Kind | None = None, made: Any = None) -> None:
        self.dtype = KINDS[np.asarray(array).dtype.name] if dtype is None else dtype
        self.array = array if dtype is None else self.dtype.rounded(array)
        self.made, self.requires_grad, self.device = made, made is not None, "cpu"

    def requires_grad_(self) -> Tensor:
        self.requires_grad = True
        return self

    def is_floating_point(self) -> bool:
        return self.dtype.numpy.kind == "f"

    def detach(self) -> Tensor:
        return Tensor(self.array, self.dtype)

    def cpu(self) -> Tensor:
        return self

    def float(self) -> Tensor:
        return Tensor(self.array, KINDS["float32"])

    def numpy(self) -> Array:
        if self.requires_grad or self.dtype.name == "bfloat16":
            raise TypeError("can't call numpy() on it")
        return np.asarray(self.array)

    def clone(self) -> Tensor:
        return Tensor(self.array.copy(), self.dtype)

    def to(self, *kinds: Any) -> Tensor:
        dtype = next((kind for kind in kinds if isinstance(kind, Kind)), self.dtype)
        return self if dtype is self.dtype else Tensor(self.array, dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def grad_fn(self) -> Any:
        if self.made is None:
            return None
        made = BackwardCFunction(self.made)
        return Node(next_functions=made.next_functions) if self.made[0] in (_Matmul, _Add) else made

    @property
    def T(self) -> Tensor:
        return Tensor(self.array.T, self.dtype)

    def sum(self, axis: int) -> Tensor:
        return Tensor(self.array.sum(axis), self.dtype)

    def mean(self, axis: int) -> Tensor:
        return Tensor(self.array.mean(axis), self.dtype)

    def __matmul__(self, other: Tensor) -> Tensor:
        return _Matmul.apply(self, other)

    def __add__(self, other: Tensor) -> Tensor:
        return _Add.apply(self, other)

    def __mul__(self, other: Any) -> Tensor:
        return Tensor(self.array * (other.array if isinstance(other, Tensor) else other), self.dtype)


class Function:
    """torch.autograd.Function."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]

    @classmethod
    def apply(cls, *inputs: Any) -> Any:
        ctx = SimpleNamespace(saved_tensors=())
        ctx.save_for_backward = lambda *values: setattr(ctx, "saved_tensors", values)
        before, ON[0] = ON[0], False
        try:
            out = cls.forward(ctx, *inputs)
        finally:
            ON[0] = before
        asks = any(isinstance(value, Tensor) and value.requires_grad for value in inputs)
        made = (cls, ctx, inputs) if ON[0] and asks else None
        several = out if isinstance(out, tuple) else (out,)
        for number, value in enumerate(several):
            value.made = None if made is None or not value.is_floating_point() else (*made, number, several)
            value.requires_grad = value.made is not None
        return out


class _Matmul(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return Tensor(a.array @ b.array, a.dtype)

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> Any:
        a, b = ctx.saved_tensors
        return Tensor(d.array @ b.array.T, a.dtype), Tensor(a.array.T @ d.array, a.dtype)


class _Add(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.shapes = a.shape, b.shape
        return Tensor(a.array + b.array, a.dtype)

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> Any:
        second = d.array.sum(axis=0) if len(ctx.shapes[1]) < len(ctx.shapes[0]) else d.array
        return Tensor(d.array, d.dtype), Tensor(second, d.dtype)


class BackwardCFunction:
    """The node of a Function in the graph; next_functions: those of its inputs."""

    def __init__(self, made: Any) -> None:
        inputs = [value for value in made[2] if isinstance(value, Tensor)]
        self.next_functions = [(value.grad_fn, 0) for value in inputs]


class Node(SimpleNamespace):
    """The node of what PyTorch itself differentiates."""

    __hash__ = object.__hash__


def grad(
    outs: Sequence[Tensor], inputs: Sequence[Tensor], deltas: Sequence[Tensor], allow_unused: bool = False
) -> tuple[Any, ...]:
    """torch.autograd.grad, of a tree of Functions."""
    assert allow_unused
    held: dict[int, Tensor] = {}

    def back(value: Tensor, d: Tensor) -> None:
        if value.made is None:
            held[id(value)] = held[id(value)] + d if id(value) in held else d
            return
        cls, ctx, given, number, several = value.made
        each = [d if n == number else Tensor(np.zeros_like(v.array), v.dtype) for n, v in enumerate(several)]
        returned = cls.backward(ctx, *each)
        listed = returned if isinstance(returned, tuple) else (returned,)
        if len(listed) != len(given):
            raise RuntimeError(f"{cls.__name__}Backward returned an incorrect number of gradients")
        for source, gradient in zip(given, listed, strict=True):
            if isinstance(source, Tensor) and source.requires_grad and gradient is not None:
                back(source, gradient)

    for out, delta in zip(outs, deltas, strict=True):
        back(out, delta)
    return tuple(held.get(id(value)) for value in inputs)


class Module:
    """torch.nn.Module."""

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Tensor)]

    def named_buffers(self) -> list[tuple[str, Tensor]]:
        return []


def functional_call(module: Any, state: dict[str, Tensor], args: tuple[Any, ...]) -> Any:
    kept = {name: getattr(module, name) for name in state}
    vars(module).update(state)
    try:
        return module.forward(*args)
    finally:
        vars(module).update(kept)


@contextlib.contextmanager
def set_grad_enabled(on: bool) -> Iterator[None]:
    before, ON[0] = ON[0], on
    try:
        yield
    finally:
        ON[0] = before


def torch() -> Any:
    """The module."""
    made: Any = ModuleType("torch")
    made.Tensor, made.from_numpy, made.set_grad_enabled = Tensor, Tensor, set_grad_enabled
    made.nn = SimpleNamespace(Module=Module)
    function = SimpleNamespace(BackwardCFunction=BackwardCFunction)
    made.autograd = SimpleNamespace(Function=Function, grad=grad, function=function)
    made.func = SimpleNamespace(functional_call=functional_call)
    made.equal = lambda one, other: one == other
    made.get_rng_state, made.set_rng_state = (lambda: 0), (lambda state: None)
    made.default_generator = SimpleNamespace(manual_seed=lambda seed: None)
    vars(made).update(KINDS)
    return made


# -- JAX
class JaxArray:
    """jax.Array."""

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.array, dtype=dtype)


class Vjp:
    """jax.custom_vjp, of a function and its two passes."""

    __module__ = "jax._src.custom_derivatives"

    def __init__(self, function: Any, forward: Any, backward: Any) -> None:
        self.__wrapped__, self.__name__ = function, function.__name__
        self.passes = forward, backward

    def __call__(self, *args: Any) -> Any:
        TAPE.append((self, args))
        return self.__wrapped__(*args)


TAPE: list[Any] = []
WIDE: list[bool] = [False]


def vjp(function: Any, *args: Any) -> Any:
    """Of a function that calls one Vjp with all of the arguments."""
    TAPE.clear()
    out = function(*args)
    called, inputs = TAPE[-1]
    _, kept = called.passes[0](*inputs)

    def pull(deltas: Any) -> Any:
        return tuple(JaxArray(value) for value in called.passes[1](kept, deltas[0].array))

    return out, pull


def make_jaxpr(function: Any) -> Any:
    """What a function computes: of a Vjp a custom_vjp_call."""

    def made(*args: Any) -> Any:
        TAPE.clear()
        function(*args)
        called = [SimpleNamespace(primitive=SimpleNamespace(name="custom_vjp_call"), params={}) for _ in TAPE]
        return SimpleNamespace(jaxpr=SimpleNamespace(eqns=called))

    return made


@contextlib.contextmanager
def enable_x64(on: bool) -> Iterator[None]:
    before, WIDE[0] = WIDE[0], on
    try:
        yield
    finally:
        WIDE[0] = before


def jax() -> Any:
    """The module."""

    def asarray(value: Any, dtype: Any = None) -> JaxArray:
        array = np.asarray(value.array if isinstance(value, JaxArray) else value, dtype=dtype)
        narrow = array.dtype == np.float64 and not (WIDE[0] or made.config.jax_enable_x64)
        return JaxArray(array.astype(np.float32) if narrow else array)

    made: Any = ModuleType("jax")
    made.Array, made.vjp, made.enable_x64 = JaxArray, vjp, enable_x64
    made.make_jaxpr = make_jaxpr
    made.config = SimpleNamespace(jax_enable_x64=False)
    made.numpy = SimpleNamespace(
        asarray=asarray, zeros_like=lambda value: JaxArray(np.zeros_like(value.array))
    )
    return made
