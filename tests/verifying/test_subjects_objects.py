"""Objects and classes with forward and backward as Subjects: wherever they keep parameters and gradients."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import product
from operator import itemgetter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.pairwise import pairwise, some

from chainrule.base.errors import ArgumentError, DataError
from chainrule.base.types import Array
from chainrule.verifying.subjects.door import subject_from
from chainrule.verifying.verify import verify

RNG = np.random.default_rng(5)
X, W, B = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 5)), RNG.normal(size=5)


def gradients(x: Array, w: Array, dout: Array, wrong: bool) -> tuple[Array, Array, Array]:
    return dout @ w.T, x.T @ dout, dout.mean(axis=0) if wrong else dout.sum(axis=0)


class Attributes:
    """self.W, self.dW."""

    def __init__(self, wrong: bool) -> None:
        self.W, self.b, self.wrong = W.copy(), B.copy(), wrong

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.asarray(x @ self.W + self.b)

    def backward(self, dout: Array) -> Array:
        dx, self.dW, self.db = gradients(self.x, self.W, dout, self.wrong)
        return dx


class Callable_(Attributes):
    """__call__ in place of forward."""

    def __call__(self, x: Array) -> Array:
        return Attributes.forward(self, x)

    forward = None  # type: ignore[assignment]


class Kept(Attributes):
    """dinputs, dweights, dbiases are kept, and nothing is returned."""

    def __init__(self, wrong: bool) -> None:
        self.weights, self.biases, self.wrong = W.copy(), B.copy(), wrong

    def forward(self, inputs: Array) -> Array:
        self.inputs = inputs
        return np.asarray(inputs @ self.weights + self.biases)

    def backward(self, dvalues: Array) -> None:  # type: ignore[override]
        made = gradients(self.inputs, self.weights, dvalues, self.wrong)
        self.dinputs, self.dweights, self.dbiases = made


class KeptOutput(Kept):
    """forward returns nothing, self.output has it."""

    def forward(self, inputs: Array) -> None:  # type: ignore[override]
        self.output = Kept.forward(self, inputs)


class Dicts(Attributes):
    """self.params["W"], self.grads["W"]."""

    def __init__(self, wrong: bool) -> None:
        self.params, self.grads, self.wrong = {"W": W.copy(), "b": B.copy()}, {}, wrong

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.asarray(x @ self.params["W"] + self.params["b"])

    def backward(self, dout: Array) -> Array:
        dx, self.grads["W"], self.grads["b"] = gradients(self.x, self.params["W"], dout, self.wrong)
        return dx


class DictsOfD(Dicts):
    """self.params["W"], self.grads["dW"], which stand in the attributes, too."""

    def __init__(self, wrong: bool) -> None:
        super().__init__(wrong)
        self.W, self.b = self.params["W"], self.params["b"]

    def backward(self, dout: Array) -> Array:
        dx, self.grads["dW"], self.grads["db"] = gradients(self.x, self.W, dout, self.wrong)
        return dx


class Lists(Attributes):
    """self.params = [W, b], self.grads = [dW, db], written in place (deep learning from scratch)."""

    def __init__(self, wrong: bool) -> None:
        self.params, self.wrong = [W.copy(), B.copy()], wrong
        self.grads = [np.zeros_like(W), np.zeros_like(B)]

    def forward(self, x: Array) -> Array:
        w, c = self.params
        self.x = x
        return np.asarray(x @ w + c)

    def backward(self, dout: Array) -> Array:
        dx, dw, db = gradients(self.x, self.params[0], dout, self.wrong)
        self.grads[0][...], self.grads[1][...] = dw, db
        return dx


class Slots(Attributes):
    """W.data, W.grad, accumulated; zero_grad."""

    def __init__(self, wrong: bool) -> None:
        self.W = SimpleNamespace(data=W.copy(), grad=np.ones_like(W))
        self.b = SimpleNamespace(data=B.copy(), grad=np.ones_like(B))
        self.wrong = wrong

    def zero_grad(self) -> None:
        self.W.grad, self.b.grad = np.zeros_like(W), np.zeros_like(B)

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.asarray(x @ self.W.data + self.b.data)

    def backward(self, dout: Array) -> Array:
        dx, dw, db = gradients(self.x, self.W.data, dout, self.wrong)
        self.W.grad += dw
        self.b.grad += db
        return dx


class Returned(Attributes):
    """All gradients are returned."""

    def backward(self, dout: Array) -> Any:
        return gradients(self.x, self.W, dout, self.wrong)


class Updating(Attributes):
    """backward(output_gradient, learning_rate), which makes the step."""

    def backward(self, output_gradient: Array, learning_rate: float) -> Array:  # type: ignore[override]
        dx, dw, db = gradients(self.x, self.W, output_gradient, self.wrong)
        self.W -= learning_rate * dw
        self.b -= learning_rate * db
        return dx


class Cached(Attributes):
    """forward returns (out, cache), backward takes it."""

    def forward(self, x: Array) -> Any:
        return x @ self.W + self.b, x

    def backward(self, dout: Array, cache: Array) -> Array:  # type: ignore[override]
        self.x = cache
        return Attributes.backward(self, dout)


class Within(Attributes):
    """Its arrays are in an object within."""

    def __init__(self, wrong: bool) -> None:
        self.inner = Attributes(wrong)

    def forward(self, x: Array) -> Array:
        return self.inner.forward(x)

    def backward(self, dout: Array) -> Array:
        return self.inner.backward(dout)


FORMS: dict[str, tuple[Callable[[bool], Any], list[str]]] = {
    "attributes": (Attributes, ["x", "W", "b"]),
    "__call__": (Callable_, ["x", "W", "b"]),
    "kept": (Kept, ["inputs", "weights", "biases"]),
    "kept, the output, too": (KeptOutput, ["inputs", "weights", "biases"]),
    "dicts": (Dicts, ["x", "W", "b"]),
    "dicts of dW": (DictsOfD, ["x", "W", "b"]),
    "lists": (Lists, ["x", "params[0]", "params[1]"]),
    "data and grad": (Slots, ["x", "W", "b"]),
    "returned": (Returned, ["x", "W", "b"]),
    "updating": (Updating, ["x", "W", "b"]),
    "cache": (Cached, ["x", "W", "b"]),
    "within": (Within, ["x", "W", "b"]),
}


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    ("form", "used"), some(product(FORMS, [False, True]), len(FORMS) + 2, itemgetter(0), itemgetter(1))
)
def test_every_form_of_an_object(form: str, used: bool) -> None:
    made, names = FORMS[form]
    for wrong in (False, True):
        layer = made(wrong)
        if used and form not in ("updating",):
            forward = layer.forward or layer
            out = forward(X + 1)
            layer.backward(*(out if isinstance(out, tuple) else (np.ones_like(out),)))
            if form == "lists":
                layer.grads = [np.zeros_like(W), np.zeros_like(B)]
        before = [array.copy() for array in subject_from(layer, (X,)).args]
        for like in (None, "dense"):
            verdict = verify(layer, args=(X,), like=like)
            assert verdict.verdict == ("wrong" if wrong else "right"), str(verdict)
            assert [finding.name for finding in verdict.findings] == names[2:] * wrong
            assert verdict.why == ("factor 1/m",) * wrong
        subject = subject_from(layer, (X,))
        assert list(subject.names) == names
        assert all(np.array_equal(a, b) for a, b in zip(before, subject.args, strict=True))


class AddsToAttributes(Attributes):
    """self.dW is added to."""

    def __init__(self, wrong: bool = False) -> None:
        super().__init__(wrong)
        self.dW, self.db = np.zeros_like(W), np.zeros_like(B)

    def backward(self, dout: Array) -> Array:
        dx, dw, db = gradients(self.x, self.W, dout, self.wrong)
        self.dW += dw
        self.db += db
        return dx


class AddsToDicts(Dicts):
    """self.grads["W"] is added to."""

    def __init__(self, wrong: bool = False) -> None:
        super().__init__(wrong)
        self.grads = {name: np.zeros_like(value) for name, value in self.params.items()}

    def backward(self, dout: Array) -> Array:
        dx, dw, db = gradients(self.x, self.params["W"], dout, self.wrong)
        self.grads["W"] += dw
        self.grads["b"] = self.grads["b"] + db
        return dx


class AddsToLists(Lists):
    """self.grads[0] is added to, and has a second name."""

    def __init__(self, wrong: bool = False) -> None:
        super().__init__(wrong)
        self.of_w = self.grads[0]

    def backward(self, dout: Array) -> Array:
        dx, dw, db = gradients(self.x, self.params[0], dout, self.wrong)
        self.of_w[...] += dw
        self.grads[1] = self.grads[1] + db
        return dx


class AddsToSlots(Slots):
    """self.W.grad is added to."""

    zero_grad = None  # type: ignore[assignment]


class Parameter:
    def __init__(self, data: Array) -> None:
        self.data, self.grad = data, np.zeros_like(data)

    def zero_grad(self) -> None:
        self.grad = np.zeros_like(self.data)


class ClearedParameters(AddsToSlots):
    """Each of its arrays has zero_grad."""

    def __init__(self, wrong: bool = False) -> None:
        self.W, self.b, self.wrong = Parameter(W.copy()), Parameter(B.copy()), wrong  # type: ignore[assignment]


class ClearedAttributes(AddsToAttributes):
    """Its clear() sets numbers of the shapes it was made with."""

    def clear(self) -> None:
        self.dW, self.db = np.zeros_like(W), np.zeros_like(B)


class ClearedDicts(AddsToDicts):
    def zero_grad(self) -> None:
        for value in self.grads.values():
            value[...] = 0


class Told(AddsToLists):
    """Gradients accumulate: the optimizer clears them."""


ADDING = (AddsToAttributes, AddsToDicts, AddsToLists, AddsToSlots)
CLEARED = (ClearedParameters, ClearedAttributes, ClearedDicts, Told, Slots)


@pytest.mark.parametrize(
    ("kind", "used", "like"), pairwise([*ADDING, *CLEARED], [False, True], [None, "dense"])
)
def test_what_adds_up_is_wrong_unless_something_clears_it(kind: Any, used: bool, like: str | None) -> None:
    for wrong in (False, True):
        layer = kind(wrong)
        if used:
            layer.backward(np.ones_like(layer.forward(X)))
        names = subject_from(layer, (X,)).names
        verdict = verify(layer, args=(X,), like=like)
        if kind in ADDING:
            blamed = {finding.name for finding in verdict.findings if finding.mistake == "accumulated"}
            assert blamed == set(names[1:]), str(verdict)
        else:
            assert [finding.name for finding in verdict.findings] == [names[2]] * wrong, str(verdict)
            assert verdict.why == ("factor 1/m",) * wrong


def test_what_is_kept_with_another_shape_shows() -> None:
    class Flat(Attributes):
        """db has the shape (1, 5), of b the shape is (5,)."""

        def backward(self, dout: Array) -> Array:
            dx, self.dW, db = gradients(self.x, self.W, dout, self.wrong)
            self.db = db[None]
            return dx

    layer = Flat(False)
    layer.backward(np.ones_like(layer.forward(X)))
    assert verify(layer, args=(X,)).why == ("wrong shape",)


def test_float32_parameters_are_not_rounded_by_float64_ones() -> None:
    """Differences give arrays of float64 to an object that holds float32."""
    layer = Dicts(False)
    layer.params = {name: value.astype(np.float32) for name, value in layer.params.items()}
    assert verify(layer, args=(X.astype(np.float32),))


class Scaled:
    """Two inputs, an option, and a constant that is no parameter."""

    def __init__(self) -> None:
        self.W, self.mean = W.copy(), np.full(4, 0.5)

    def forward(self, x: Array, scale: Array, training: bool = False) -> Array:
        self.x, self.scale, self.training = x, scale, training
        return np.asarray((x - self.mean) * scale @ self.W) * (1 + training)

    def backward(self, dout: Array) -> Any:
        both = dout @ self.W.T * (1 + self.training)
        self.dW = ((self.x - self.mean) * self.scale).T @ dout * (1 + self.training)
        return both * self.scale, (both * (self.x - self.mean)).sum(axis=0)


def test_further_arguments_and_constants() -> None:
    for args in ((X, np.arange(1.0, 5.0)), (X, np.arange(1.0, 5.0), True)):
        subject = subject_from(Scaled(), args)
        assert subject.names == ("x", "scale", "W")
        assert verify(Scaled(), args=args)


class BatchNorm:
    """Running statistics are set anew by forward: no parameters, and no call sees those of another."""

    def __init__(self) -> None:
        self.gamma, self.beta, self.running_mean = np.ones(4) * 1.5, np.zeros(4), np.zeros(4)

    def forward(self, x: Array) -> Array:
        self.running_mean = 0.9 * self.running_mean + 0.1 * x.mean(axis=0)
        self.s = np.sqrt(x.var(axis=0) + 1e-5)
        self.h = (x - x.mean(axis=0)) / self.s
        return np.asarray(self.gamma * self.h + self.beta)

    def backward(self, dout: Array) -> Array:
        self.dgamma, self.dbeta = (dout * self.h).sum(axis=0), dout.sum(axis=0)
        g = dout * self.gamma
        return np.asarray((g - g.mean(axis=0) - self.h * (g * self.h).mean(axis=0)) / self.s)


def test_running_statistics_are_no_parameters() -> None:
    layer = BatchNorm()
    assert subject_from(layer, (X,)).names == ("x", "gamma", "beta")
    assert verify(layer, args=(X,), like="batchnorm")
    assert not layer.running_mean.any()


class ReLU:
    """Made without arguments."""

    def __init__(self, slope: float = 0.0) -> None:
        self.slope = slope

    def forward(self, x: Array) -> Array:
        self.mask = x > 0
        return np.where(self.mask, x, self.slope * x)

    def backward(self, dout: Array) -> Array:
        return np.where(self.mask, dout, self.slope * dout)


class Static:
    """Static methods with ctx, as PyTorch's functions."""

    @staticmethod
    def forward(ctx: Any, x: Array, w: Array, power: int) -> Array:
        ctx.save_for_backward(x, w)
        ctx.power = power
        return np.asarray((x @ w) ** power)

    @staticmethod
    def backward(ctx: Any, grad_output: Array) -> Any:
        x, w = ctx.saved_tensors
        d = grad_output * ctx.power * (x @ w) ** (ctx.power - 1)
        return d @ w.T, x.T @ d, None


class Plain:
    """Static methods without."""

    @staticmethod
    def forward(x: Array) -> Any:
        return np.tanh(x), np.tanh(x)

    @staticmethod
    def backward(dout: Array, t: Array) -> Array:
        return np.asarray(dout * (1 - t))


def test_classes() -> None:
    assert verify(ReLU, args=(X,), like="relu")
    assert subject_from(Static, (X, W, 2)).names == ("x", "w")
    assert verify(Static, args=(X, W, 2))
    assert verify(Plain, args=(X,), like="tanh").why == ("power only",)


def test_bound_methods_of_an_object_are_the_object() -> None:
    for wrong in (False, True):
        layer = Attributes(wrong)
        verdict = verify((layer.forward, layer.backward), args=(X,), like="dense")
        assert [finding.name for finding in verdict.findings] == ["b"] * wrong


def test_the_two_calls_apart_show_what_is_kept() -> None:
    """`steps` of an object: one object, on which gradients accumulate."""
    subject = subject_from(Slots(False), (X,))
    assert subject.steps is not None
    steps = subject.steps()
    assert not steps.keeps
    assert steps.clear is not None
    delta, once = np.ones((3, 5)), subject.backward([X, W, B], np.ones((3, 5)))[1]
    assert once is not None
    steps.clear()
    for times in (1, 2):
        kept = steps.forward([X, W, B])[1]
        gradient = steps.backward(kept, delta)[1]
        assert gradient is not None
        assert np.allclose(gradient, times * once)
    out, _ = steps.forward([X, 2 * W, B])
    assert np.allclose(out, X @ (2 * W) + B)


class Raising(Attributes):
    def backward(self, dout: Array) -> Array:
        return np.asarray(dout @ self.w.T)  # type: ignore[attr-defined]


class Locked(Attributes):
    def __init__(self) -> None:
        super().__init__(False)
        self.lock = threading.Lock()


class ForwardOnly:
    def forward(self, x: Array) -> Array:
        return x


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a class that takes arguments": (
        lambda: verify(Attributes, args=(X,)),
        r"Attributes is a class: give an object of it, verify\(Attributes\(wrong\), ...\)",
    ),
    "more than forward takes": (
        lambda: verify(Attributes(False), args=(X, W, B)),
        r"Attributes.forward takes \(x\), and args has 3: .* parameters are read from the object",
    ),
    "an attribute that is not there": (
        lambda: verify(Raising(False), args=(X,)),
        r"Raising.backward raised AttributeError: .*in backward, line \d+ of test_subjects_objects.py: ",
    ),
    "what cannot be copied": (
        lambda: verify(Locked(), args=(X,)),
        "cannot be copied .*keep open files, locks",
    ),
    "no backward": (lambda: verify(ForwardOnly(), args=(X,)), r"an object with these methods.*Received"),
    "a class without backward": (
        lambda: verify(ForwardOnly, args=(X,)),
        "has no methods forward and backward",
    ),
    "whole numbers": (lambda: verify(ReLU(), args=([1, 2],)), r"no floating-point array \(x of int64\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_run_is_an_error_that_says_what_to_write(name: str) -> None:
    call, words = REFUSED[name]
    with pytest.raises((ArgumentError, DataError), match=words):
        call()


# -- several outputs
class Two:
    """h and c with a δ each; wrong: dU twice."""

    def __init__(self, by: float) -> None:
        self.W, self.U, self.by = W.copy(), RNG.normal(size=(4, 2)), by

    def forward(self, x: Array) -> Any:
        self.x, self.h = x, np.tanh(x @ self.W)
        return self.h, x @ self.U

    def backward(self, dh: Array, dc: Array) -> Array:
        dz = dh * (1 - self.h**2)
        self.dW, self.dU = self.x.T @ dz, self.by * (self.x.T @ dc)
        return np.asarray(dz @ self.W.T + dc @ self.U.T)


class OfStatic:
    """ctx, and a δ of each output; dx lacks the second's."""

    @staticmethod
    def forward(ctx: Any, x: Array, w: Array) -> Any:
        ctx.save_for_backward(x, w)
        return x @ w, x**3

    @staticmethod
    def backward(ctx: Any, first: Array, second: Array) -> Any:
        x, w = ctx.saved_tensors
        return first @ w.T + second * 3 * x**2, x.T @ first


class OfStaticWrong(OfStatic):
    @staticmethod
    def backward(ctx: Any, first: Array, second: Array) -> Any:
        x, w = ctx.saved_tensors
        return first @ w.T, x.T @ first


def test_all_outputs_of_an_object_are_judged() -> None:
    assert verify(Two(1.0), args=(X,))
    assert verify(Two(2.0), args=(X,), output=0)
    verdict = verify(Two(2.0), args=(X,))
    assert ([finding.name for finding in verdict.findings], verdict.why) == (["U"], ("factor 2",))
    assert verify(OfStatic, args=(X, W))
    verdict = verify(OfStaticWrong, args=(X, W))
    assert ([finding.name for finding in verdict.findings], verdict.why) == (["x"], ("output unused",))


class Remembering:
    """Keeps the first input for good."""

    kept: Any = None

    def forward(self, x: Array) -> Array:
        self.kept = x if self.kept is None else self.kept
        return np.tanh(x)

    def backward(self, dout: Array) -> Array:
        return dout * (1 - np.tanh(self.kept) ** 2)


def test_a_cache_that_the_first_call_leaves_is_seen() -> None:
    assert verify(Remembering(), args=(RNG.normal(size=(3, 4)),)).why == ("stale cache",)
