"""Functions of PyTorch and JAX, verified with the real libraries: `python -m tests.verifying.frameworks`.

The suite has neither: there fakes of what verify asks of them stand in (`test_subjects_frameworks.py`).
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ChainruleError, DataError
from chainrule.verifying.subjects.door import subject_from
from chainrule.verifying.verdict import Verdict
from chainrule.verifying.verify import verify

RNG = np.random.default_rng(6)
X, W, B = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 5)), RNG.normal(size=5)
CHECKS: list[Callable[[], None]] = []


def check(function: Callable[[], None]) -> Callable[[], None]:
    CHECKS.append(function)
    return function


def blamed(verdict: Verdict) -> list[str]:
    return [finding.name for finding in verdict.findings]


@contextlib.contextmanager
def refused(kind: type[ChainruleError], words: str) -> Iterator[None]:
    try:
        yield
    except kind as error:
        if not re.search(words, str(error)):
            raise AssertionError(str(error)) from error
    else:
        raise AssertionError(f"no {kind.__name__}")


# -- PyTorch
def torch_() -> Any:
    import torch

    return torch


def linear(wrong: bool, form: str = "tuple") -> Any:
    torch = torch_()

    class Linear(torch.autograd.Function):  # type: ignore[misc,name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any, b: Any, scale: float = 1.0) -> Any:
            ctx.save_for_backward(x, w)
            ctx.scale = scale
            return (x @ w + b) * scale

        @staticmethod
        def backward(ctx: Any, grad_output: Any) -> Any:
            x, w = ctx.saved_tensors
            d = grad_output * ctx.scale
            db = d.mean(0) if wrong else d.sum(0)
            if form == "None for w":
                return d @ w.T, None, db, None
            return d @ w.T, x.T @ d, db, None

    return Linear


@check
def a_function_of_autograd() -> None:
    torch = torch_()
    for args in ((X, W, B), tuple(map(torch.tensor, (X, W, B)))):
        subject = subject_from(linear(False), args)
        assert subject.names == ("x", "w", "b")
        assert subject.precision is None
        for like in (None, "dense"):
            assert verify(linear(False), args=args, like=like)
            verdict = verify(linear(True), args=args, like=like)
            assert blamed(verdict) == ["b"], str(verdict)
            assert verdict.why == ("factor 1/m",)
    assert verify(linear(False), args=(X, W, B, 2.0))
    assert "no gradient of w came back" in str(verify(linear(False, "None for w"), args=(X, W, B)))


@check
def types_of_tensors() -> None:
    torch = torch_()
    for name, precision in (
        ("float64", None),
        ("float32", None),
        ("float16", None),
        ("bfloat16", "bfloat16"),
    ):
        args = tuple(torch.tensor(value).to(getattr(torch, name)) for value in (X, W, B))
        subject = subject_from(linear(False), args)
        assert subject.precision == precision
        expected = "float32" if name == "bfloat16" else name
        assert {value.dtype.name for value in subject.args} == {expected}
        out = subject.forward(list(subject.args))
        assert out.dtype.name == expected
        exact = (args[0] @ args[1] + args[2]).float().numpy()
        assert np.array_equal(out.astype(np.float32), exact), name
        gradients = subject.backward(list(subject.args), np.ones_like(out))
        assert {value.dtype.name for value in gradients if value is not None} == {expected}
        wide = subject.forward([value.astype(np.float64) for value in subject.args])
        assert wide.dtype == np.float64
        if name in ("float64", "float32"):
            assert verify(linear(False), args=args, like="dense"), name
            assert blamed(verify(linear(True), args=args, like="dense")) == ["b"]


@check
def code_that_computes_in_one_type_alone() -> None:
    torch = torch_()

    class Single(torch.autograd.Function):  # type: ignore[misc,name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            if x.dtype != torch.float32:
                raise TypeError("float32 only")
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx: Any, d: Any) -> Any:
            return 2 * d * ctx.saved_tensors[0]

    subject = subject_from(Single, (torch.tensor(X, dtype=torch.float32),))
    assert subject.precision == "float32"
    assert subject.forward([X]).dtype == np.float32


@check
def modules() -> None:
    torch = torch_()
    module = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2)).double()
    subject = subject_from(module, (X,))
    assert subject.names == ("input", "0.weight", "0.bias", "2.weight", "2.bias"), subject.names
    assert verify(module, args=(X,))
    assert all(parameter.grad is None for parameter in module.parameters())
    single = torch.nn.Linear(4, 6)
    assert verify(single, args=(torch.tensor(X, dtype=torch.float32),), like="dense")
    norm = torch.nn.BatchNorm1d(4).double()
    assert verify(norm, args=(X,), like="batchnorm")
    assert not norm.running_mean.any()
    assert int(norm.num_batches_tracked) == 0
    dropout = torch.nn.Dropout(0.5)
    state = torch.get_rng_state()
    assert verify(dropout, args=(X,))
    assert torch.equal(state, torch.get_rng_state())

    class Wrapped(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self, wrong: bool) -> None:
            super().__init__()
            self.weight, self.bias = torch.nn.Parameter(torch.tensor(W)), torch.nn.Parameter(torch.tensor(B))
            self.wrong = wrong

        def forward(self, x: Any) -> Any:
            return linear(self.wrong).apply(x, self.weight, self.bias)

    assert verify(Wrapped(False), args=(X,), like="dense")
    assert blamed(verify(Wrapped(True), args=(X,), like="dense")) == ["bias"]
    half = torch.nn.Linear(4, 6).to(torch.bfloat16)
    assert subject_from(half, (torch.tensor(X, dtype=torch.bfloat16),)).precision == "bfloat16"


@check
def functions_of_tensors() -> None:
    torch = torch_()
    x, w = torch.tensor(X), torch.tensor(W)
    assert verify(lambda x, w: torch.tanh(x @ w), args=(x, w))
    assert verify(torch.nn.functional.softplus, args=(x,), like="softplus")
    verdict = verify(lambda x, w, b: linear(True).apply(x, w, b).tanh(), args=(x, w, torch.tensor(B)))
    assert blamed(verdict) == ["b"]
    labels = torch.tensor([0, 2, 1])
    assert verify(lambda x, y: torch.nn.functional.cross_entropy(x, y), args=(x, labels))
    # Only what asks for a gradient gets one where some do.
    assert verify(lambda p: (p["a"] * p["b"]).sum(), args=({"a": x, "b": x + 1},))


@check
def a_pair_of_functions_of_tensors() -> None:
    torch = torch_()
    args = tuple(map(torch.tensor, (X, W, B)))
    for wrong in (False, True):
        pair = (
            lambda x, w, b: (x @ w + b, (x, w)),
            lambda d, c, wrong=wrong: (d @ c[1].T, c[0].T @ d, d.mean(0) if wrong else d.sum(0)),
        )
        assert blamed(verify(pair, args=args, like="dense")) == ["b"] * wrong
    half = tuple(value.to(torch.bfloat16) for value in args)
    assert subject_from(pair, half).precision == "bfloat16"


@check
def right_in_every_format() -> None:
    torch = torch_()
    for kind in (torch.bfloat16, torch.float16, torch.float32, torch.float64):
        args = [torch.tensor(array).to(kind) for array in (X, W, B)]
        for like in ("dense", None):
            verdict = verify(lambda x, w, b: x @ w + b, args=args, like=like)
            assert verdict.verdict == "right", f"{kind}, {like}: {verdict}"


@check
def several_outputs() -> None:
    torch = torch_()

    def both(x: Any, w: Any) -> Any:
        z = x @ w
        return z.tanh(), torch.logsumexp(z, 1), z.argmax(1)

    args = (torch.tensor(X), torch.tensor(W))
    verdict = verify(both, args=args)
    assert verdict
    assert "judged by output 0 of 3" in str(verdict)
    assert subject_from(both, args, output=1).forward([X, W]).shape == (3,)
    assert verify(both, args=args, output=1)
    with refused(ArgumentError, "output is 3, and both returns 3"):
        verify(both, args=args, output=3)


@check
def errors_of_pytorch_are_told() -> None:
    torch = torch_()

    class InPlace(torch.autograd.Function):  # type: ignore[misc,name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x.clone()
            ctx.save_for_backward(y)
            y.mul_(2)
            return y * 1

        @staticmethod
        def backward(ctx: Any, d: Any) -> Any:
            return d * ctx.saved_tensors[0]

    class Fewer(torch.autograd.Function):  # type: ignore[misc,name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any) -> Any:
            return x * w

        @staticmethod
        def backward(ctx: Any, d: Any) -> Any:
            return d

    class Shaped(torch.autograd.Function):  # type: ignore[misc,name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, d: Any) -> Any:
            return d.T

    class Raising(torch.autograd.Function):  # type: ignore[misc,name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, d: Any) -> Any:
            return d @ d

    class Own(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, x: Any) -> Any:
            return x

        def backward(self, d: Any) -> Any:
            return d

    def changed(x: Any) -> Any:
        y = torch.exp(x)
        z = y * y
        y.add_(1)
        return z

    x = torch.tensor(X)
    with refused(DataError, "the backward pass of changed raised RuntimeError: .*inplace operation"):
        verify(changed, args=(x,))
    with refused(DataError, "Fewer raised RuntimeError: .*incorrect number of gradients"):
        verify(Fewer, args=(x, x))
    with refused(DataError, "Shaped raised RuntimeError: .*invalid gradient"):
        verify(Shaped, args=(x,))
    with refused(
        DataError, r"Raising raised RuntimeError.*in backward, line \d+ of frameworks.py: return d @ d"
    ):
        verify(Raising, args=(x,))
    with refused(DataError, r"<lambda> raised RuntimeError: .*line \d+ of frameworks.py"):
        verify(lambda x: x @ x, args=(x,))
    with refused(ArgumentError, "Own has a method backward, which PyTorch never calls"):
        verify(Own(), args=(x,))
    with refused(ArgumentError, r"Own is a class: give a module"):
        verify(Own, args=(x,))
    with refused(DataError, r"returned 1.0: verify takes functions that return a tensor"):
        verify(lambda x: 1.0, args=(x,))
    assert verify(InPlace, args=(x,)).verdict == "wrong"


@check
def an_argument_that_is_changed_in_place_shows() -> None:
    torch = torch_()

    class Changing(torch.autograd.Function):  # type: ignore[misc,name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            out = x * 3
            x.data.mul_(2)
            return out

        @staticmethod
        def backward(ctx: Any, d: Any) -> Any:
            return 3 * d

    verdict = verify(Changing, args=(torch.tensor(X),))
    assert "input modified" in verdict.why, str(verdict)


# -- JAX
def jax_() -> Any:
    import jax

    return jax


def squared(wrong: bool) -> Any:
    jax = jax_()

    @jax.custom_vjp
    def f(x: Any, w: Any) -> Any:
        return (x @ w) ** 2

    def forward(x: Any, w: Any) -> Any:
        return f(x, w), (x, w)

    def backward(kept: Any, d: Any) -> Any:
        x, w = kept
        z = 2 * d * (x @ w)
        return z @ w.T, (x.T @ z) / (2 if wrong else 1)

    f.defvjp(forward, backward)
    return f


@check
def a_function_of_jax() -> None:
    jax = jax_()
    for kind in (np.asarray, jax.numpy.asarray):
        args = (kind(X), kind(W))
        subject = subject_from(squared(False), args)
        assert subject.names == ("x", "w"), subject.names
        assert {value.dtype.name for value in subject.args} == {"float32"}
        assert subject.forward(list(subject.args)).dtype == np.float32
        assert verify(squared(False), args=args), str(verify(squared(False), args=args))
        verdict = verify(squared(True), args=args)
        assert blamed(verdict) == ["w"]
    assert verify(jax.jit(lambda x: jax.numpy.tanh(x)), args=(X,), like="tanh")
    assert verify(
        lambda p: (p["a"] @ p["b"]).sum(), args=({"a": jax.numpy.asarray(X), "b": jax.numpy.asarray(W)},)
    )
    labels = jax.numpy.asarray([0, 2, 1])
    assert verify(
        lambda x, y: -jax.nn.log_softmax(x)[jax.numpy.arange(3), y].mean(),
        args=(jax.numpy.asarray(X), labels),
    )
    assert verify(lambda x, n, s: x**n if s == "a" else x, args=(jax.numpy.asarray(X), 2, "a"))
    half = jax.numpy.asarray(X, dtype="bfloat16")
    subject = subject_from(lambda x: x * 2, (half,))
    assert subject.precision == "bfloat16"
    assert subject.forward(list(subject.args)).dtype == np.float32


@check
def values_and_gradients() -> None:
    torch, jax = torch_(), jax_()
    y = RNG.normal(size=(3, 5))

    def least(by: float, form: str) -> Any:
        def f(w: Any, x: Any, y: Any) -> Any:
            r = x @ w - y
            J, dw = (r**2).mean(), by / r.size * x.T @ r if hasattr(r, "at") else by / r.numel() * x.T @ r
            return (J, {"w": dw}) if form == "dict" else (J.item(), dw) if form == "number" else (J, dw)

        return f

    def learned(w: Any, x: Any, y: Any) -> Any:
        J = ((x @ w - y) ** 2).mean()
        return J, torch.autograd.grad(J, w)[0]

    for kind in (torch.float32, torch.float64):
        args = tuple(torch.tensor(array, dtype=kind) for array in (W, X, y))
        assert verify(learned, args=args, like="mse")
        for form in ("plain", "dict", "number"):
            for like in (None, "mse"):
                assert verify(least(2, form), args=args, like=like)
                assert verify(least(4, form), args=args, like=like).why == ("factor 2",)
    arrays = tuple(map(jax.numpy.asarray, (W, X, y)))
    assert verify(jax.value_and_grad(lambda w, x, y: ((x @ w - y) ** 2).mean()), args=arrays, like="mse")
    for form in ("plain", "dict", "number"):
        assert verify(least(2, form), args=arrays)
        assert verify(least(4, form), args=arrays).why == ("factor 2",)
        if form != "number":
            assert verify(jax.jit(least(4, form)), args=arrays, like="mse").why == ("factor 2",)


@check
def all_outputs_are_judged() -> None:
    torch, jax = torch_(), jax_()

    class Two(torch.autograd.Function):  # type: ignore[misc,name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any, v: Any) -> Any:
            ctx.save_for_backward(x, w, v)
            return x @ w, x @ v

        @staticmethod
        def backward(ctx: Any, a: Any, b: Any) -> Any:
            x, w, _ = ctx.saved_tensors
            return a @ w.T, x.T @ a, x.T @ b

    two = jax.custom_vjp(lambda x, w, v: (x @ w, x @ v))
    two.defvjp(
        lambda x, w, v: ((x @ w, x @ v), (x, w, v)),
        lambda kept, d: (d[0] @ kept[1].T, kept[0].T @ d[0], kept[0].T @ d[1]),
    )
    v = RNG.normal(size=(4, 2))
    for given, kind in ((Two, torch.tensor), (two, jax.numpy.asarray)):
        args = tuple(map(kind, (X, W, v)))
        assert verify(given, args=args, output=0)
        verdict = verify(given, args=args)
        assert (blamed(verdict), verdict.why) == (["x"], ("output unused",)), str(verdict)


@check
def several_outputs_and_errors_of_jax() -> None:
    jax = jax_()
    x = jax.numpy.asarray(X)

    def both(x: Any) -> Any:
        return x * 2, jax.numpy.exp(x)

    assert "judged by output 0 of 2" in str(verify(both, args=(x,)))
    assert verify(both, args=(x,), output=1)
    with refused(ArgumentError, "output is 2, and both returns 2"):
        verify(both, args=(x,), output=2)
    with refused(DataError, r"<lambda> raised TypeError: .*line \d+ of frameworks.py"):
        verify(lambda x: x @ x, args=(x,))
    assert not jax.config.jax_enable_x64


@check
def float64_where_jax_is_told_so() -> None:
    jax = jax_()
    jax.config.update("jax_enable_x64", True)
    try:
        subject = subject_from(squared(False), (jax.numpy.asarray(X), jax.numpy.asarray(W)))
        assert subject.precision is None
        assert {value.dtype.name for value in subject.args} == {"float64"}
        assert verify(squared(False), args=(X, W))
        assert blamed(verify(squared(True), args=(X, W))) == ["w"]
    finally:
        jax.config.update("jax_enable_x64", False)


@check
def what_is_drawn_is_drawn_in_their_own_type() -> None:
    torch = torch_()
    import jax
    import jax.numpy as jnp

    class Dropped(torch.autograd.Function):  # type: ignore[misc,name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any, p: float) -> Any:
            ctx.keep, ctx.p = torch.rand_like(x) > p, p
            return x * ctx.keep / (1 - p) + torch.nn.functional.dropout(x, p)

        @staticmethod
        def backward(ctx: Any, d: Any) -> Any:
            return d * ctx.keep / (1 - ctx.p), None

    class Whole(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, x: Any) -> Any:
            return torch.nn.functional.dropout(x, 0.4) * torch.empty_like(x).bernoulli_(0.5)

    x = torch.tensor(X, dtype=torch.float32)
    assert verify(Dropped, args=(x, 0.4)).verdict == "wrong"  # what the second mask lets through is missing
    assert verify(Whole(), args=(x,)), str(verify(Whole(), args=(x,)))

    @jax.custom_vjp
    def dropped(x: Any, key: Any) -> Any:
        return forward(x, key)[0]

    def forward(x: Any, key: Any) -> Any:
        keep = jax.random.bernoulli(key, 0.7, x.shape)
        return jnp.where(keep, x / 0.7, 0), keep

    dropped.defvjp(forward, lambda keep, d: (jnp.where(keep, d / 0.7, 0), None))
    x = jnp.asarray(X, dtype=jnp.float32)
    for key in (jax.random.PRNGKey(2), jax.random.key(2)):
        assert verify(dropped, args=(x, key)), str(verify(dropped, args=(x, key)))


@check
def a_gradient_that_jax_makes_zeros_of_is_none() -> None:
    import jax
    import jax.numpy as jnp

    def turned(given: Callable[[Any], Any]) -> Any:
        turn = jax.custom_vjp(lambda x, c: x * c)
        turn.defvjp(lambda x, c: (x * c, c), lambda c, d: (d * c, given(c)))
        return turn

    args = jnp.asarray(X, dtype=jnp.float32), jnp.asarray(X + 3, dtype=jnp.float32)
    verdict = verify(turned(lambda c: None), args=args)
    assert verdict, str(verdict)
    assert re.search("no gradient of .* came back", str(verdict))
    assert verify(turned(jnp.zeros_like), args=args).why == ("zeros",)


@check
def the_source_of_jax_s_functions_is_searched() -> None:
    import jax
    import jax.numpy as jnp

    def cosine(wrong: str) -> Any:
        @jax.custom_vjp
        def similarity(a: Any, b: Any) -> Any:
            return forward(a, b)[0]

        def forward(a: Any, b: Any) -> Any:
            na, nb = (jnp.linalg.norm(v, axis=-1, keepdims=True) for v in (a, b))
            ua, ub = a / na, b / nb
            c = jnp.sum(ua * ub, -1, keepdims=True)
            return c[..., 0], (ua, ub, na, nb, c)

        def backward(kept: Any, g: Any) -> Any:
            ua, ub, na, nb, c = kept
            g = g[..., None]
            return g * (ub - c * ua) / na, g * (ua - c * ub) / nb

        def other_norm(kept: Any, g: Any) -> Any:
            ua, ub, na, nb, c = kept
            g = g[..., None] + 0 * nb
            return g * (ub - c * ua) / na, g * (ua - c * ub) / na

        def constant_norm(kept: Any, g: Any) -> Any:
            ua, ub, na, nb, c = kept
            g = g[..., None]
            return g * (ub - c * ua) / na, g * ua / nb

        ways = {"": backward, "name": other_norm, "path constant": constant_norm}
        similarity.defvjp(forward, ways[wrong])
        return similarity

    a, b = (jnp.asarray(v, dtype=jnp.float32) for v in (X, X[::-1] + 0.5))
    for wrong in ("", "name", "path constant"):
        verdict = verify(cosine(wrong), args=(a, b))
        assert verdict.why == ((wrong,) if wrong else ()), str(verdict)


def main() -> int:
    failed = 0
    for function in CHECKS:
        try:
            function()
            print(f"right  {function.__name__}")
        except Exception as error:  # all of them are told
            import traceback

            failed += 1
            line = traceback.extract_tb(error.__traceback__)
            print(
                f"WRONG  {function.__name__}: {type(error).__name__}: {error}",
                *(f"  {e.filename.rpartition('/')[2]}:{e.lineno} {e.line}" for e in line[-4:]),
                sep="\n",
            )
    print(f"{len(CHECKS) - failed} of {len(CHECKS)}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
