"""Whole numbers: right programs agree bit for bit, smaller formats are named, other kinds are left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.pairwise import CHOICE
from tests.verifying import backwards as b
from tests.verifying.right_programs import DRAWN, in_precision, program
from tests.verifying.test_precision import reference_of

import chainrule as cr
from chainrule.base.types import Array
from chainrule.verifying.integers import compared_whole
from chainrule.verifying.precision import rounded
from chainrule.verifying.probes import Probe
from chainrule.verifying.subjects.subject import Gradients, Subject
from chainrule.verifying.verify import verify

EACH = 12 if CHOICE["whole"] else 4  # programs of a kind
LINEAR = ("dense", "conv2d", "averagepool2d", "maxpool2d", "relu")


def subject_of(seed: int, precision: str) -> tuple[Subject, Probe]:
    """A right program that computes in `precision`, and its arguments in the type they arrive in."""
    drawn, declared = program(seed), "bfloat16" if precision == "bfloat16" else None
    arrays = "float32" if declared else precision

    def backward(args: Any, delta: Array) -> Gradients:
        values, (d,) = in_precision(args, precision), in_precision([delta], precision)
        return tuple(np.asarray(value).astype(arrays) for value in drawn.backward(d, *values))

    def forward(args: Any) -> Array:
        return np.asarray(drawn.forward(*in_precision(args, precision))).astype(arrays)

    args = tuple(value.astype(arrays) for value in drawn.args)
    names = tuple(f"a{number}" for number in range(len(args)))
    subject = Subject(drawn.name, names, forward, backward, precision=declared)
    return subject, Probe(args, drawn.forward(*drawn.args).astype(arrays))


@pytest.mark.parametrize("precision", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("kind", range(len(DRAWN)))
def test_right_programs_agree_bit_for_bit(kind: int, precision: str) -> None:
    compared = 0
    for seed in range(kind, EACH * len(DRAWN), len(DRAWN)):
        subject, probe = subject_of(seed, precision)
        whole = compared_whole(subject, reference_of(program(seed)), probe)
        linear = program(seed).like in LINEAR
        assert linear or whole is None, subject.title
        if whole is not None:
            compared += 1
            assert not whole.findings, subject.title
            assert [note.en[:20] for note in whole.notes] == ["compared bit for bit"], subject.title
    if kind < 4:
        assert compared >= (EACH // 2 if precision == "bfloat16" else EACH)


Product = Callable[[Array, Array], Array]


def by(product: Product) -> Any:
    """The affine layer's backward with another product of matrices."""
    return b.affine_of(dx=lambda d, x, w: product(d, w.T), dw=lambda d, x, w: product(x.T, d))


def operands_in(form: str) -> Product:
    def product(first: Array, second: Array) -> Array:
        made = rounded(first, form) @ rounded(second, form)
        return made.astype(first.dtype)

    return product


def result_in(form: str) -> Product:
    return lambda first, second: rounded(first @ second, form).astype(first.dtype)


def summed_in(dtype: str) -> Product:
    def product(first: Array, second: Array) -> Array:
        total = np.zeros((len(first), second.shape[1]), dtype)
        for number in range(len(second)):
            total = (total + first[:, number, None] * second[number]).astype(dtype)
        return total.astype(first.dtype)

    return product


SMALLER: dict[str, tuple[Product, str, str]] = {
    "operands in bfloat16": (operands_in("bfloat16"), "float32", "bfloat16"),
    "operands in TF32": (operands_in("TF32"), "float32", "TF32"),
    "operands in float32": (operands_in("float32"), "float64", "float32"),
    "operands in TF32 of float64": (operands_in("TF32"), "float64", "TF32"),
    "result in bfloat16": (result_in("bfloat16"), "float32", "bfloat16"),
    "result in TF32": (result_in("TF32"), "float32", "TF32"),
    "sums in float32": (summed_in("float32"), "float64", "float32"),
}


@pytest.mark.parametrize("name", SMALLER)
def test_a_smaller_format_is_named(name: str) -> None:
    product, dtype, form = SMALLER[name]
    rng = np.random.default_rng(0)
    args = tuple(rng.normal(size=s).astype(dtype) for s in ((6, 7), (7, 5), (5,)))
    verdict = verify((b.affine, by(product)), args=args, like="dense")
    assert verdict.verdict == "wrong", str(verdict)
    assert f"computed in {form}" in verdict.why, str(verdict)
    assert form in verdict.text("zh")


def test_another_algorithm_than_sums_of_products_is_right_and_noted() -> None:
    """By Fourier's transform, as convolutions are computed."""

    def product(first: Array, second: Array) -> Array:
        size = 2 * first.shape[1]
        a, c = np.fft.rfft(first, size), np.fft.rfft(second[::-1].T, size)
        return np.fft.irfft(a[:, None] * c[None], size)[..., first.shape[1] - 1]

    verdict = verify((b.affine, by(product)), args=b.AFFINE, like="dense")
    assert verdict, str(verdict)
    assert "another algorithm" in str(verdict)


def test_layers_that_divide_are_compared_in_multiples() -> None:
    def mean(x: Array) -> Any:
        return x.reshape(2, 3, 2, 3, 2, 3).mean(axis=(3, 5)), x.shape

    def backward(d: Array, shape: Any) -> Array:
        return np.asarray(d.repeat(3, axis=2).repeat(3, axis=3) / 9)

    x = np.random.default_rng(0).normal(size=(2, 3, 6, 6))
    verdict = verify((mean, backward), args=(x,), like=cr.AveragePool2D(3))
    assert verdict, str(verdict)
    assert "compared bit for bit" in str(verdict)


@pytest.mark.parametrize("like", ["sigmoid", "softmax", "batchnorm"])
def test_what_is_not_linear_is_not_compared_on_whole_numbers(like: str) -> None:
    pair, args = {
        "sigmoid": ((b.sigmoid, lambda d, x, s: d * s * (1 - s)), (b.X,)),
        "softmax": ((b.softmax, b.softmax_right), (b.X,)),
        "batchnorm": ((b.batch_norm, b.batch_norm_back()), b.NORMED),
    }[like]
    verdict = verify(pair, args=args, like=like)
    assert verdict
    assert "bit for bit" not in str(verdict)
