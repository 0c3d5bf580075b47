"""What PyTorch and JAX differentiate, as Subjects: beside fakes of the two, which the suite does not have.

`python -m tests.verifying.frameworks` asks the same of the real ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.engine.processes import run
from tests.verifying import fake_frameworks as fake

from chainrule.base.errors import ArgumentError, DataError
from chainrule.verifying.subjects.door import subject_from
from chainrule.verifying.verify import verify

RNG = np.random.default_rng(6)
X, W, B = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 5)), RNG.normal(size=5)
Tensor, KINDS = fake.Tensor, fake.KINDS


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = fake.torch()
    monkeypatch.setitem(sys.modules, "torch", module)
    return module


@pytest.fixture
def jax(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = fake.jax()
    monkeypatch.setitem(sys.modules, "jax", module)
    return module


def linear(wrong: bool, form: str = "") -> Any:
    class Linear(fake.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any, b: Any, scale: float = 1.0) -> Any:
            ctx.save_for_backward(x, w)
            ctx.scale = scale
            out = Tensor((x.array @ w.array + b.array) * scale, x.dtype)
            several = (Tensor(np.argmax(out.array, 1)), out, Tensor(out.array * 0, x.dtype))
            return several if form == "several" else out

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            x, w = ctx.saved_tensors
            d = (grads[1] if form == "several" else grads[0]) * ctx.scale
            db = d.mean(0) if wrong else d.sum(0)
            made = (d @ w.T, None if form == "None" else x.T @ d, db)
            return made if form == "fewer" else (*made, None) if ctx.scale != 1 else made

    return Linear


def tensors(name: str = "float64") -> tuple[Any, ...]:
    return tuple(Tensor(value, KINDS[name]) for value in (X, W, B))


def blamed(verdict: Any) -> list[str]:
    return [finding.name for finding in verdict.findings]


@pytest.mark.parametrize("given", ["arrays", "tensors"])
def test_a_function_of_autograd(torch: Any, given: str) -> None:
    args = tensors() if given == "tensors" else (X, W, B)
    subject = subject_from(linear(False), args)
    assert subject.names == ("x", "w", "b")
    assert subject.precision is None
    for like in (None, "dense"):
        assert verify(linear(False), args=args, like=like)
        verdict = verify(linear(True), args=args, like=like)
        assert blamed(verdict) == ["b"], str(verdict)
        assert verdict.why == ("factor 1/m",)
    assert verify(linear(False), args=(*args, 2.0))
    assert "no gradient of w came back" in str(verify(linear(False, "None"), args=args))


@pytest.mark.parametrize("name", ["float64", "float32", "float16", "bfloat16"])
def test_types_of_tensors(torch: Any, name: str) -> None:
    subject = subject_from(linear(False), tensors(name))
    assert subject.precision == ("bfloat16" if name == "bfloat16" else None)
    expected = "float32" if name == "bfloat16" else name
    assert {value.dtype.name for value in subject.args} == {expected}
    out = subject.forward(list(subject.args))
    assert out.dtype.name == expected
    if name == "bfloat16":
        assert np.array_equal(KINDS["bfloat16"].rounded(out), out)
        assert not np.array_equal(out, subject.args[0] @ subject.args[1] + subject.args[2])
    gradients = subject.backward(list(subject.args), np.ones_like(out))
    assert {value.dtype.name for value in gradients if value is not None} == {expected}
    assert subject.forward([value.astype(np.float64) for value in subject.args]).dtype == np.float64


def test_code_that_computes_in_one_type_alone(torch: Any) -> None:
    def single(x: Any) -> Any:
        if x.dtype.name != "float32":
            raise TypeError("float32 only")
        return linear(False).apply(x, Tensor(W, KINDS["float32"]), Tensor(B, KINDS["float32"]))

    subject = subject_from(single, (Tensor(X, KINDS["float32"]),))
    assert subject.precision == "float32"
    assert subject.forward([X]).dtype == np.float32


class Layer(fake.Module):
    def __init__(self, wrong: bool, name: str = "float64") -> None:
        self.weight, self.bias = Tensor(W, KINDS[name]), Tensor(B, KINDS[name])
        self.wrong = wrong

    def forward(self, x: Any) -> Any:
        return linear(self.wrong).apply(x, self.weight, self.bias)


def test_a_module_s_parameters_are_arguments(torch: Any) -> None:
    layer = Layer(False)
    assert subject_from(layer, (X,)).names == ("x", "weight", "bias")
    assert verify(layer, args=(X,), like="dense")
    assert blamed(verify(Layer(True), args=(X,), like="dense")) == ["bias"]
    assert np.array_equal(layer.weight.array, W)
    assert subject_from(Layer(False, "bfloat16"), (Tensor(X, KINDS["bfloat16"]),)).precision == "bfloat16"


def test_functions_of_tensors_and_pairs_of_such(torch: Any) -> None:
    for wrong in (False, True):
        verdict = verify(lambda x, w, b, wrong=wrong: linear(wrong).apply(x, w, b), args=tensors())
        assert blamed(verdict) == ["b"] * wrong
        pair = (
            lambda x, w, b: (x @ w + b, (x, w)),
            lambda d, c, wrong=wrong: (d @ c[1].T, c[0].T @ d, d.mean(0) if wrong else d.sum(0)),
        )
        assert blamed(verify(pair, args=tensors(), like="dense")) == ["b"] * wrong
    assert verify(lambda p: p["x"] @ p["w"], args=({"x": tensors()[0], "w": tensors()[1]},))
    assert subject_from(pair, tensors("bfloat16")).precision == "bfloat16"


def test_of_several_outputs_the_first_that_has_a_gradient(torch: Any) -> None:
    verdict = verify(linear(False, "several"), args=tensors(), like="dense")
    assert verdict
    assert "that is output 1, counted from 0; with a δ for all 2 outputs" in str(verdict)
    assert subject_from(linear(False, "several"), tensors(), output=2).forward([X, W, B]).any() == np.False_


class Own(fake.Module):
    def forward(self, x: Any) -> Any:
        return x

    def backward(self, d: Any) -> Any:
        return d


def changing(x: Any) -> Any:
    out = linear(False).apply(x, Tensor(W), Tensor(B))
    x.array *= 2
    return out


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "fewer gradients": (
        lambda: verify(linear(False, "fewer"), args=(*tensors(), 2.0)),
        "the backward pass of Linear raised RuntimeError: LinearBackward returned an incorrect number",
    ),
    "forward raises": (
        lambda: verify(lambda x, w: w @ x, args=tensors()[:2]),
        "<lambda> raised ValueError: matmul",
    ),
    "a module with backward": (
        lambda: verify(Own(), args=(X,)),
        "Own has a method backward, which PyTorch never calls",
    ),
    "a module's class": (
        lambda: verify(Own, args=(X,)),
        r"Own is a class: give a module, verify\(Own\(...\)",
    ),
    "no tensor": (
        lambda: verify(lambda x: 1.0, args=(Tensor(X),)),
        "returned 1.0: verify takes functions that return a",
    ),
    "output": (lambda: verify(linear(False), args=tensors(), output=3), "output is 3, and Linear returns 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_pytorch_cannot_run_is_an_error_that_says_what_to_write(torch: Any, name: str) -> None:
    call, words = REFUSED[name]
    with pytest.raises((ArgumentError, DataError), match=words):
        call()


# What a function of tensors or of JAX's arrays may return with its value, a number, and ∂J/∂w.
VALUE_AND_GRADIENTS: dict[str, Callable[[Any, Any], Any]] = {
    "an array": lambda J, dw: (J, dw),
    "a dict": lambda J, dw: (J, {"dw": dw}),
    "a plain number": lambda J, dw: (float(J.array), dw),
    "a list": lambda J, dw: [J, [dw]],
    "None for the others": lambda J, dw: (J, dw, None, None),
}


def least(kind: Any, form: str, by: float = 2.0) -> Any:
    """Squares, whose gradient is right with `by` = 2; no Function is in it."""

    def f(w: Any, x: Any, y: Any) -> Any:
        r = x.array @ w.array - y.array
        return VALUE_AND_GRADIENTS[form](kind((r**2).mean()), kind(by / r.size * (x.array.T @ r)))

    return f


@pytest.mark.parametrize("form", VALUE_AND_GRADIENTS)
def test_a_value_and_gradients_of_tensors_are_no_outputs(torch: Any, form: str) -> None:
    args = tuple(map(Tensor, (W, X, RNG.normal(size=(3, 5)))))
    for like in (None, "mse"):
        right = verify(least(Tensor, form), args=args, like=like)
        assert right, str(right)
        assert "f returns a number and arrays of its arguments' shapes" in str(right)
        verdict = verify(least(Tensor, form, 4.0), args=args, like=like)
        assert (blamed(verdict), verdict.why) == (["w"], ("factor 2",)), str(verdict)


def test_a_prediction_beside_a_value_is_no_gradient(torch: Any) -> None:
    def f(w: Tensor, x: Tensor, y: Tensor) -> Any:
        out = x @ w
        return Tensor(np.asarray(((out.array - y.array) ** 2).mean()), out.dtype), out

    verdict = verify(f, args=tuple(map(Tensor, (W, X, RNG.normal(size=(3, 5))))), output=1)
    assert verdict
    assert "no torch.autograd.Function is in f" in str(verdict)
    beside = verify(f, args=tuple(map(Tensor, (W, X, RNG.normal(size=(3, 5))))))
    assert "returns a number and arrays" not in str(beside)


class Two(fake.Function):
    """Two products with x, of which the second does not reach dx."""

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any, v: Any) -> Any:
        ctx.save_for_backward(x, w, v)
        return Tensor(x.array @ w.array, x.dtype), Tensor(x.array @ v.array, x.dtype)

    @staticmethod
    def backward(ctx: Any, a: Any, b: Any) -> Any:
        x, w, _ = (saved.array for saved in ctx.saved_tensors)
        return Tensor(a.array @ w.T), Tensor(x.T @ a.array), Tensor(x.T @ b.array)


def test_all_outputs_of_a_function_are_judged(torch: Any) -> None:
    args = tuple(map(Tensor, (X, W, RNG.normal(size=(4, 2)))))
    assert verify(Two, args=args, output=0)
    for output in (None, 1):
        verdict = verify(Two, args=args, output=output)
        assert (blamed(verdict), verdict.why) == (["x"], ("output unused",)), str(verdict)


def test_a_tensor_that_is_changed_in_place_shows(torch: Any) -> None:
    verdict = verify(changing, args=(Tensor(X),))
    assert "input modified" in verdict.why


# -- JAX
def squared(wrong: bool) -> Any:
    def f(x: Any, w: Any) -> Any:
        return fake.JaxArray(x.array @ w.array)

    def backward(kept: Any, d: Any) -> Any:
        x, w = kept
        return d @ w.array.T, x.array.T @ d / (2 if wrong else 1)

    return fake.Vjp(f, lambda x, w: (f(x, w), (x, w)), backward)


@pytest.mark.parametrize("wide", [False, True], ids=["float32", "jax_enable_x64"])
def test_a_custom_vjp(jax: Any, wide: bool) -> None:
    jax.config.jax_enable_x64 = wide
    for args in ((X, W), (jax.numpy.asarray(X), jax.numpy.asarray(W))):
        subject = subject_from(squared(False), args)
        assert subject.names == ("x", "w")
        assert {value.dtype.name for value in subject.args} == {"float64" if wide else "float32"}
        assert subject.forward(list(subject.args)).dtype == ("float64" if wide else "float32")
        assert subject.forward([X, W]).dtype == "float64"
        assert verify(squared(False), args=args)
        assert blamed(verify(squared(True), args=args)) == ["w"]
    with pytest.raises(ArgumentError, match="output is 1, and f returns 1"):
        verify(squared(False), args=args, output=1)


@pytest.mark.parametrize("form", VALUE_AND_GRADIENTS)
def test_a_value_and_gradients_of_jax_are_no_outputs(jax: Any, form: str) -> None:
    args = tuple(map(jax.numpy.asarray, (W, X, RNG.normal(size=(3, 5)))))
    for like in (None, "mse"):
        assert verify(least(fake.JaxArray, form), args=args, like=like)
        verdict = verify(least(fake.JaxArray, form, 4.0), args=args, like=like)
        assert (blamed(verdict), verdict.why) == (["w"], ("factor 2",)), str(verdict)


def test_without_another_type_jax_computes_in_float32(jax: Any) -> None:
    jax.enable_x64 = None
    subject = subject_from(squared(False), (X, W))
    assert subject.precision == "float32"
    assert subject.forward([X, W]).dtype == "float32"


def test_neither_is_loaded() -> None:
    script = (
        "import sys, numpy as np, chainrule as cr\n"
        "assert cr.verify((np.tanh, lambda x: 1 - np.tanh(x) ** 2), args=(np.ones((2, 3)),))\n"
        "print(sorted({'torch', 'jax', 'scipy'} & set(sys.modules)))"
    )
    done = run(script, prelude=False)
    assert done.stdout.strip() == "[]", done.stderr
