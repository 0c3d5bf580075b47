"""Functions that return a number and its gradients, and scalars that keep a graph, as Subjects."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule.base.errors import ArgumentError, DataError
from chainrule.base.types import Array
from chainrule.verifying.subjects.door import subject_from
from chainrule.verifying.verify import verify

RNG = np.random.default_rng(11)
X, W, B = RNG.normal(size=(6, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=3)
Y = np.array([0, 2, 1, 1, 0, 2])


def softmax_loss(x: Array, y: Array, wrong: bool = False) -> tuple[Any, Array]:
    """CS231n's: the mean over the samples."""
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    dx = p.copy()
    dx[np.arange(len(x)), y] -= 1
    return -np.log(p[np.arange(len(x)), y]).mean(), dx if wrong else dx / len(x)


def svm_loss(W: Array, X: Array, y: Array, reg: float, wrong: bool = False) -> Any:
    scores = X @ W
    margins = np.maximum(0, scores - scores[np.arange(len(X)), y][:, None] + 1)
    margins[np.arange(len(X)), y] = 0
    mask = (margins > 0).astype(float)
    mask[np.arange(len(X)), y] = -mask.sum(axis=1)
    dW = X.T @ mask / len(X) + (1 if wrong else 2) * reg * W
    return margins.sum() / len(X) + reg * (W * W).sum(), dW


def test_cs231ns_losses() -> None:
    assert verify(softmax_loss, args=(X[:, :3], Y))
    verdict = verify(lambda x, y: softmax_loss(x, y, True), args=(X[:, :3], Y))
    assert [finding.name for finding in verdict.findings] == ["x"]
    assert verdict.why == ("factor m",)
    assert verify(svm_loss, args=(W, X, Y, 0.3))
    wrong = verify(lambda W, X, y, reg: svm_loss(W, X, y, reg, True), args=(W, X, Y, 0.3))
    assert [finding.name for finding in wrong.findings] == ["W"]


def least(x: Array, w: Array, b: Array, wrong: bool) -> tuple[Array, Array, Array, Array]:
    """½ Σ (x w + b)², and the gradients of x, w and b."""
    z = x @ w + b
    return 0.5 * (z**2).sum(), z @ w.T, x.T @ z, z.mean(axis=0) if wrong else z.sum(axis=0)


# name -> (the function, args, names of the arrays, what is wrong)
FORMS: dict[str, tuple[Callable[[bool], Any], tuple[Any, ...], list[str], str]] = {
    "one gradient": (
        lambda k: lambda theta: ((theta**4).sum(), (3 if k else 4) * theta**3),
        (RNG.normal(size=5),),
        ["theta"],
        "theta",
    ),
    "a tuple of gradients": (
        lambda k: lambda x, w, b: (least(x, w, b, k)[0], least(x, w, b, k)[1:]),
        (X, W, B),
        ["x", "w", "b"],
        "b",
    ),
    "value and gradients in a row": (
        lambda k: lambda x, w, b: least(x, w, b, k),
        (X, W, B),
        ["x", "w", "b"],
        "b",
    ),
    "a dict of gradients": (
        lambda k: lambda x, w, b: (least(x, w, b, k)[0], {"db": least(x, w, b, k)[3]}),
        (X, W, B),
        ["x", "w", "b"],
        "b",
    ),
    "of the argument whose shape it has": (
        lambda k: lambda x, w, b: (least(x, w, b, k)[0], least(x, w, b, k)[3]),
        (X, W, B),
        ["x", "w", "b"],
        "b",
    ),
    "of a dict, in a dict": (
        lambda k: (
            lambda p: (
                least(X, p["W1"], p["b1"], k)[0],
                dict(zip(("W1", "b1"), least(X, p["W1"], p["b1"], k)[2:], strict=True)),
            )
        ),
        ({"W1": W, "b1": B},),
        ["W1", "b1"],
        "b1",
    ),
    "of a dict, in a dict of dW": (
        lambda k: (
            lambda p: (
                least(X, p["W1"], p["b1"], k)[0],
                dict(zip(("dW1", "db1"), least(X, p["W1"], p["b1"], k)[2:], strict=True)),
            )
        ),
        ({"W1": W, "b1": B},),
        ["W1", "b1"],
        "b1",
    ),
    "of a list, in a list": (
        lambda k: lambda params: (least(X, *params, k)[0], list(least(X, *params, k)[2:])),
        ([W, B],),
        ["params[0]", "params[1]"],
        "params[1]",
    ),
    "of a list, in a flat vector": (
        lambda k: (
            lambda params: (
                least(X, *params, k)[0],
                np.concatenate([g.ravel() for g in least(X, *params, k)[2:]]),
            )
        ),
        ([W, B],),
        ["params[0]", "params[1]"],
        "params[1]",
    ),
    "a value in an array": (
        lambda k: lambda t: (np.array([[(t**2).sum()]]), t if k else 2 * t),
        (RNG.normal(size=4),),
        ["t"],
        "t",
    ),
    "a list of numbers": (
        lambda k: lambda t: (float((t**2).sum()), [(1 if k else 2) * float(e) for e in t]),
        (RNG.normal(size=4),),
        ["t"],
        "t",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_value_and_gradients(form: str) -> None:
    made, args, names, blamed = FORMS[form]
    subject = subject_from(made(False), args)
    assert list(subject.names) == names
    assert not subject.takes_delta
    assert subject.forward([a.copy() for a in subject.args]).shape == ()
    assert verify(made(False), args=args), form
    verdict = verify(made(True), args=args)
    assert [finding.name for finding in verdict.findings] == [blamed], str(verdict)


def test_a_dict_of_parameters_may_be_args_itself() -> None:
    def f(p: dict[str, Array]) -> Any:
        return least(X, p["W1"], p["b1"], False)[0], {"W1": least(X, p["W1"], p["b1"], False)[2]}

    assert subject_from(f, {"W1": W, "b1": B}).names == ("W1", "b1")  # type: ignore[arg-type]


def test_a_function_and_its_gradient() -> None:
    """fun and jac, as scipy.optimize.minimize takes them."""
    for wrong in (False, True):
        pair = (lambda t: (t**3).sum(), lambda t, wrong=wrong: (2 if wrong else 3) * t**2)
        verdict = verify(pair, args=(RNG.normal(size=5),))
        assert [finding.name for finding in verdict.findings] == ["t"] * wrong


class TwoLayerNet:
    """CS231n's: loss(X, y) -> (loss, grads), parameters in a dict; gradient(X, y) beside value(X, y)."""

    def __init__(self, wrong: bool = False) -> None:
        rng = np.random.default_rng(1)
        self.params = {"W1": rng.normal(size=(4, 5)), "b1": rng.normal(size=5)}
        self.params |= {"W2": rng.normal(size=(5, 3)), "b2": rng.normal(size=3)}
        self.wrong, self.reg = wrong, 0.1

    def loss(self, X: Array, y: Array | None = None) -> Any:
        p = self.params
        h = np.tanh(X @ p["W1"] + p["b1"])
        scores = h @ p["W2"] + p["b2"]
        value, d = softmax_loss(scores, y) if y is not None else (scores, scores)
        dh = d @ p["W2"].T * (1 - h**2)
        grads = {"W2": h.T @ d + 2 * self.reg * p["W2"], "b2": d.sum(axis=0)}
        grads |= {
            "W1": X.T @ dh + 2 * self.reg * p["W1"],
            "b1": dh.mean(axis=0) if self.wrong else dh.sum(axis=0),
        }
        return value + self.reg * ((p["W1"] ** 2).sum() + (p["W2"] ** 2).sum()), grads

    def value(self, X: Array, y: Array) -> Any:
        return self.loss(X, y)[0]

    def gradient(self, X: Array, y: Array) -> Any:
        return self.loss(X, y)[1]


@pytest.mark.parametrize("form", ["net.loss", "net", "net.value, net.gradient"])
def test_a_network_s_loss_and_the_gradients_of_its_parameters(form: str) -> None:
    for wrong in (False, True):
        net = TwoLayerNet(wrong)
        given = {"net.loss": net.loss, "net": net, "net.value, net.gradient": (net.value, net.gradient)}[form]
        subject = subject_from(given, (X, Y))
        assert subject.names == ("X", "y", "W1", "b1", "W2", "b2")
        verdict = verify(given, args=(X, Y))
        assert [finding.name for finding in verdict.findings] == ["b1"] * wrong, str(verdict)
        assert all(np.array_equal(net.params[n], TwoLayerNet().params[n]) for n in net.params)


class Loss:
    """A loss as an object, whose backward takes no δ."""

    def __init__(self, wrong: bool = False) -> None:
        self.wrong = wrong

    def forward(self, y: Array, t: Array) -> Any:
        self.y, self.t = y, t
        return ((y - t) ** 2).mean()

    def backward(self) -> Array:
        return np.asarray((self.y - self.t) * (1 if self.wrong else 2) / self.y.size)


class LossOfArguments(Loss):
    def backward(self, y: Array, t: Array) -> Array:  # type: ignore[override]
        return np.asarray((y - t) * (1 if self.wrong else 2) / y.size)


class LossOfTargets(Loss):
    def backward(self, t: Array) -> Array:  # type: ignore[override]
        return np.asarray((self.y - t) * (1 if self.wrong else 2) / self.y.size)


class LossOfOne(Loss):
    def backward(self, dout: float = 1.0) -> Array:
        return np.asarray(dout * (self.y - self.t) * (1 if self.wrong else 2) / self.y.size)


@pytest.mark.parametrize("kind", [Loss, LossOfArguments, LossOfTargets, LossOfOne])
def test_a_loss_may_take_no_delta(kind: type[Loss]) -> None:
    args = (X, RNG.normal(size=X.shape))
    assert subject_from(kind(), args).takes_delta == (kind is LossOfOne)
    verdict = verify(kind(), args=args)
    assert verdict
    assert "no gradient of t came back" in str(verdict)
    assert verify(kind(wrong=True), args=args).why == ("factor 1/2",)
    targets = args[1]
    pair = (lambda y: ((y - targets) ** 2).mean(), lambda y: 2 * (y - targets) / y.size)
    assert verify(pair, args=(X,))


# -- scalars
class Value:
    """micrograd's, or one with a mistake in its product."""

    wrong = False

    def __init__(self, data: float, children: tuple[Value, ...] = ()) -> None:
        self.data, self.grad, self.children = data, 0.0, children
        self.back: Callable[[], None] = lambda: None

    def __add__(self, other: Any) -> Value:
        other = other if isinstance(other, Value) else type(self)(other)
        out = type(self)(self.data + other.data, (self, other))

        def back() -> None:
            self.grad += out.grad
            other.grad += out.grad

        out.back = back
        return out

    def __mul__(self, other: Any) -> Value:
        other = other if isinstance(other, Value) else type(self)(other)
        out = type(self)(self.data * other.data, (self, other))

        def back() -> None:
            self.grad += other.data * out.grad
            other.grad += (other.data if self.wrong else self.data) * out.grad

        out.back = back
        return out

    def tanh(self) -> Value:
        out = type(self)(math.tanh(self.data), (self,))

        def back() -> None:
            self.grad += (1 - out.data**2) * out.grad

        out.back = back
        return out

    __radd__, __rmul__ = __add__, __mul__

    def backward(self) -> None:
        order: list[Value] = []

        def visit(value: Value) -> None:
            if value not in order:
                for child in value.children:
                    visit(child)
                order.append(value)

        visit(self)
        self.grad = 1.0
        for value in reversed(order):
            value.back()


class Mistaken(Value):
    wrong = True


class Neuron:
    """As micrograd's neurons."""

    def __init__(self, kind: type[Value]) -> None:
        self.w, self.b = [kind(v) for v in (0.5, -0.3, 0.8)], kind(0.1)

    def __call__(self, x: Any) -> Value:
        total = self.b
        for w, e in zip(self.w, x, strict=True):
            total = total + w * e
        return total.tanh()

    def parameters(self) -> list[Value]:
        return [*self.w, self.b]


class InSets(Value):
    """As micrograd's: children in a set, whose order is that of addresses; sums may assign."""

    assigns = False

    def __init__(self, data: float, children: tuple[Value, ...] = ()) -> None:
        super().__init__(data)
        self.children = set(children)  # type: ignore[assignment]

    def __add__(self, other: Any) -> Value:
        out = super().__add__(other)
        first, second = self, other if isinstance(other, Value) else out

        def back() -> None:
            first.grad = out.grad
            second.grad = out.grad

        if self.assigns:
            out.back = back
        return out

    __radd__ = __add__


class Assigning(InSets):
    assigns = True


class AssigningSlots(Assigning):
    """With .grad in a slot."""

    __slots__ = ("grad",)


@pytest.mark.turns(2)
@pytest.mark.parametrize("kind", [Assigning, AssigningSlots])
@pytest.mark.parametrize(
    "f", [lambda a, b: (a + b) * (a + a * b), lambda a, b: a * b + (b + a.tanh()) * (a + b)]
)
def test_scalars_that_are_assigned_where_they_are_used_several_times(f: Any, kind: type[Value]) -> None:
    slot = kind.__dict__.get("grad")
    assert verify(f, args=(1.5, -2.0), scalars=InSets)
    for seed in range(3):
        verdict = verify(f, args=(1.5, -2.0), scalars=kind, seed=seed)
        assert set(verdict.why) == {"overwritten"}, str(verdict)
        assert "`=` stands for `+=`" in str(verdict)
    assert kind.__dict__.get("grad") is slot
    assert "overwritten" not in verify(lambda a, b: a * b, args=(1.5, -2.0), scalars=Mistaken).why


SCALARS: dict[str, tuple[Any, tuple[Any, ...], list[str], bool]] = {
    "numbers": (lambda a, b: a * b + b.tanh(), (2.0, -0.3), ["a", "b"], False),
    "whole numbers": (lambda a, b: a * b + a, (2, -3), ["a", "b"], False),
    "lists": (
        lambda x, w: sum(e * v for e, v in zip(x, w, strict=True)),
        ([1.0, 2.0], [3.0, -4.0]),
        ["x", "w"],
        False,
    ),
    "lists of lists": (lambda x: x[0][1] * x[1][0] + x[0][0], ([[1.0, 2.0], [3.0, 4.0]],), ["x"], False),
    "arrays": (lambda x, w: x @ w, (X[0], W[:, 0]), ["x", "w"], False),
    "several outputs": (lambda x, w: x @ w, (X[:2], W), ["x", "w"], True),
    "a list of outputs": (lambda x, w: [x * w, x + w, w.tanh()], (0.4, 0.7), ["x", "w"], True),
}


@pytest.mark.turns(3)
@pytest.mark.parametrize("form", SCALARS)
def test_scalars(form: str) -> None:
    f, args, names, takes = SCALARS[form]
    subject = subject_from(f, args, scalars_of=Value)
    assert list(subject.names) == names
    assert subject.takes_delta == takes
    assert verify(f, args=args, scalars=Value)
    verdict = verify(f, args=args, scalars=Mistaken)
    assert verdict.verdict == "wrong"


def test_a_neuron_of_scalars_with_parameters() -> None:
    x = [0.2, -0.7, 1.1]
    assert subject_from(Neuron(Value), (x,), scalars_of=Value).names == ("x", "parameters")
    assert verify(Neuron(Value), args=(x,), scalars=Value)
    assert not verify(Neuron(Mistaken), args=(x,), scalars=Mistaken)


def mse(a: Array, y: Array) -> Any:
    return ((a - y) ** 2).mean(), 2 * (a - y) / a.size


def kept_mse(a: Array, y: Array) -> Any:
    return np.asarray(((a - y) ** 2).mean()), (a, y)


class Loss:
    def forward(self, a: Array, y: Array) -> Array:
        self.d = 2 * (a - y) / a.size
        return np.asarray(((a - y) ** 2).mean())

    def backward(self) -> Array:
        return self.d


READ: dict[str, tuple[Any, str]] = {
    "value and gradient": (mse, "a"),
    "f and its gradient": ((lambda a, y: mse(a, y)[0], lambda a, y: mse(a, y)[1]), "a"),
    "a pair": ((kept_mse, lambda dout, cache: dout * mse(*cache)[1]), "a"),
    "an object": (Loss(), "a"),
    "of the other": (lambda a, y: (mse(a, y)[0], {"dy": -mse(a, y)[1]}), ""),
    "both": (lambda a, y: (mse(a, y)[0], mse(a, y)[1], -mse(a, y)[1]), ""),
    "both in a tuple": (lambda a, y: (mse(a, y)[0], (mse(a, y)[1], -mse(a, y)[1])), ""),
}


@pytest.mark.parametrize("form", READ)
def test_one_gradient_is_the_first_argument_s(form: str) -> None:
    given, name = READ[form]
    verdict = verify(given, args=(X, X * 0.5 + 1))
    assert verdict, str(verdict)
    assert (f"is taken as the gradient of {name}: return {{'dy': ...}}" in str(verdict)) == bool(name)
    assert (f"视为 {name} 的梯度" in verdict.text("zh")) == bool(name)


def test_one_gradient_goes_where_its_shape_fits() -> None:
    w = np.linspace(-1, 1, X.shape[1])
    for args, gradient in (((X, w), lambda p, q: p.sum(axis=0)), ((w, X), lambda p, q: q.sum(axis=0))):
        verdict = verify(lambda p, q, of=gradient: ((p * q).sum(), of(p, q)), args=args)
        assert verdict, str(verdict)
        assert "is taken as" not in str(verdict)


def test_fewer_gradients_of_a_pair_are_those_of_the_first_arguments() -> None:
    pair = (lambda a, b, c: (a * b + c, (a, b)), lambda d, cache: (d * cache[1], d * cache[0]))
    verdict = verify(pair, args=(X, X + 1, X + 2))
    assert verdict, str(verdict)
    assert "2 arrays that came back are taken as the gradients of a, b: return {'dc': ...}" in str(verdict)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "one number": (
        lambda: verify(lambda x: (x**2).sum(), args=(X,)),
        r"verify takes \(forward, backward\), or one function that returns \(value, gradients\); <lambda> re",
    ),
    "a value that is none": (
        lambda: verify(lambda x: (x**2, x), args=(X,)),
        r"returned an array of shape \(6, 4\) first.*write verify\(\(<lambda>, backward\)",
    ),
    "which arguments are open": (
        lambda: verify(lambda a, b, c: ((a * b).sum() + c.sum(), b, a), args=(X, X + 1, X + 2)),
        r"returned 2 gradients for 3 arguments \(a, b, c\), and their shapes fit several.*\{'da': ...\}",
    ),
    "it raises": (
        lambda: verify(lambda x: (x.sum(), x[99]), args=(X,)),
        r"<lambda> raised IndexError: .*line \d+ of test_subjects_values.py",
    ),
    "scalars, no class": (
        lambda: verify(lambda a: a, args=(1.0,), scalars=Value(1.0)),
        "write the class .*scalars=Value",
    ),
    "scalars without backward": (
        lambda: verify(lambda a: a, args=(1.0,), scalars=complex),
        "complex has no data, grad, backward",
    ),
    "scalars, another output": (
        lambda: verify(lambda a: a.data, args=(1.0,), scalars=Value),
        r"returned 1.0: it must return Value or a list of them",
    ),
    "scalars, no function": (
        lambda: verify(3, args=(1.0,), scalars=Value),
        "takes a function of them; received 3",
    ),
    "scalars that raise": (
        lambda: verify(lambda a: a / 2, args=(1.0,), scalars=Value),
        "<lambda> raised TypeError: unsupported operand",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_run_is_an_error_that_says_what_to_write(name: str) -> None:
    call, words = REFUSED[name]
    with pytest.raises((ArgumentError, DataError), match=words):
        call()


def test_a_backward_pass_alone_is_told_what_it_lacks() -> None:
    def backward(d: Array, cache: Any) -> Any:
        return d * cache

    with pytest.raises(ArgumentError, match=r"verify\(\(forward, backward\), args=\.\.\.\)"):
        verify(backward, args=(np.ones((2, 3)),), like="relu")
