"""Saved gradients, as numbers, beside forward code and beside one of our networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.verifying import backwards as b

import chainrule as cr
from chainrule.base.errors import ArgumentError, DataError, FileError, ShapeError
from chainrule.base.types import Array
from chainrule.verifying.subjects.saved import beside_forward, beside_network, read_gradients
from chainrule.verifying.verify import verify

RNG = np.random.default_rng(4)
DELTA = RNG.normal(size=(3, 5))
X, Y = RNG.normal(size=(6, 4)), np.array([0, 2, 1, 1, 0, 2])
NET = cr.Network([cr.Dense(5), cr.Tanh(), cr.Dense(3), cr.Softmax()], input_shape=4, seed=1)
RIGHT = dict(NET.copy(dtype="float64").backpropagate(X, Y).gradients)


def affine_gradients(wrong: bool = False) -> dict[str, Array]:
    x, w, _ = b.AFFINE
    return {"dx": DELTA @ w.T, "dw": x.T @ DELTA, "db": DELTA.mean(axis=0) if wrong else DELTA.sum(axis=0)}


@pytest.mark.parametrize("like", [None, "dense"])
@pytest.mark.parametrize("suffix", [None, ".npz", ".safetensors"])
def test_beside_forward(suffix: str | None, like: str | None, tmp_path: Path) -> None:
    for wrong in (False, True):
        grads: Any = affine_gradients(wrong)
        if suffix is not None:
            path = tmp_path / f"grads{suffix}"
            if suffix == ".npz":
                np.savez_compressed(path, **grads)
            else:
                save_file(grads, path)
            grads = path if wrong else str(path)
        verdict = verify(b.affine, grads=grads, args=b.AFFINE, delta=DELTA, like=like)
        assert verdict.verdict == ("wrong" if wrong else "right"), str(verdict)
        assert [finding.name for finding in verdict.findings] == ["b"] * wrong
        assert verdict.why == ("factor 1/m",) * wrong


def test_some_gradients_and_a_forward_that_returns_a_number() -> None:
    verdict = verify(b.affine, grads={"w": affine_gradients()["dw"]}, args=b.AFFINE, delta=DELTA)
    assert verdict
    assert "no gradient of x came back" in str(verdict)
    assert verify(lambda t: (t**3).sum(), grads={"t": 3 * X**2}, args=(X,))
    assert verify(lambda t: (t**3).sum(), grads={"t": 3 * X}, args=(X,)).verdict == "wrong"
    subject = beside_forward(b.affine, affine_gradients(), b.AFFINE, DELTA, None)
    assert subject.fixed


def test_a_wrong_shape_is_a_finding() -> None:
    grads = {**affine_gradients(), "dw": affine_gradients()["dw"].T}
    verdict = verify(b.affine, grads=grads, args=b.AFFINE, delta=DELTA)
    assert [(finding.name, finding.mistake) for finding in verdict.findings] == [("w", "wrong shape")]


# -- networks
LETTERS = ("dense1.W", "dense1.b", "dense2.W", "dense2.b")
NAMES: dict[str, dict[str, str]] = {
    "ours": {name: name for name in LETTERS},
    "d ours": {f"d{name}": name for name in LETTERS},
    "W1": dict(zip(("W1", "b1", "W2", "b2"), LETTERS, strict=True)),
    "dW1": dict(zip(("dW1", "db1", "dW2", "db2"), LETTERS, strict=True)),
    "from 0": dict(zip(("W0", "b0", "W1", "b1"), LETTERS, strict=True)),
    "words": dict(zip(("weight_1", "bias_1", "weight_2", "bias_2"), LETTERS, strict=True)),
    "by shape": dict(zip(("p", "q", "r", "s"), LETTERS, strict=True)),
}


@pytest.mark.parametrize("turned", [False, True], ids=["as ours", "transposed"])
@pytest.mark.parametrize("form", NAMES)
def test_beside_a_network(form: str, turned: bool) -> None:
    if form == "by shape" and turned:
        pass
    grads = {name: np.asarray(RIGHT[ours]).T if turned else RIGHT[ours] for name, ours in NAMES[form].items()}
    saved = beside_network(grads, NET, (X, Y))
    assert {entry.name: entry.ours for entry in saved} == NAMES[form]
    assert verify(grads=grads, net=NET, batch=(X, Y))
    name = next(iter(grads))
    for mistake, word in (
        (-grads[name], "minus"),
        (6 * grads[name], "factor m"),
        (grads[name] / 6, "factor 1/m"),
    ):
        verdict = verify(grads={**grads, name: mistake}, net=NET, batch=(X, Y))
        assert [finding.name for finding in verdict.findings] == [name]
        assert verdict.why == (word,)


def test_loss_and_penalty_are_the_network_s() -> None:
    penalty = cr.L2(0.3)
    right = dict(NET.copy(dtype="float64").backpropagate(X, Y, penalty=penalty).gradients)
    assert verify(grads=right, net=NET, batch=(X, Y), penalty=penalty)
    assert not verify(grads=right, net=NET, batch=(X, Y))
    targets = np.eye(3)[Y]
    squared = dict(NET.copy(dtype="float64").backpropagate(X, targets, loss="squared_error").gradients)
    assert verify(grads=squared, net=NET, batch=(X, targets), loss="squared_error")


def by_hand(*, slope: bool = True, lam: float = 0.0) -> dict[str, Array]:
    """The gradients of NET with L2, as a course writes them."""
    W1, b1, W2, b2 = (np.asarray(value, np.float64) for value in NET.parameters.values())
    a = np.tanh(X @ W1.T + b1)
    p = np.exp(a @ W2.T + b2)
    d = (p / p.sum(axis=1, keepdims=True) - np.eye(3)[Y]) / len(X)
    e = d @ W2 * (1 - a**2 if slope else 1)
    return {"W1": e.T @ X + lam * W1, "b1": e.sum(0), "W2": d.T @ a + lam * W2, "b2": d.sum(0)}


def test_the_mistake_behind_saved_gradients_is_named() -> None:
    assert verify(grads=by_hand(lam=0.3), net=NET, batch=(X, Y), penalty=cr.L2(0.3))
    verdict = verify(grads=by_hand(slope=False), net=NET, batch=(X, Y))
    assert [(finding.name, finding.mistake) for finding in verdict.findings] == [("b1", "multiply only")]
    assert "the gradient of W1 is wrong for the same reason alone" in str(verdict)
    for lam, penalty in ((0.05, cr.L2(0.3)), (0.3, cr.L2(0.3, per_sample=True))):
        verdict = verify(grads=by_hand(lam=lam), net=NET, batch=(X, Y), penalty=penalty)
        (finding,) = verdict.findings
        assert finding.name == "W2"
        assert finding.mistake.startswith("penalty factor"), finding.mistake
    verdict = verify(grads=by_hand(), net=NET, batch=(X, Y), penalty=cr.L2(0.3))
    assert verdict.why == ("penalty missing",)


def test_numbers_of_every_step_have_factors_alone() -> None:
    net = cr.Network([cr.RNN(5, outputs="all"), cr.Dense(3), cr.Softmax()], input_shape=(4, 2), seed=1)
    x, y = RNG.normal(size=(6, 4, 2)), RNG.integers(0, 3, (6, 4))
    grads = dict(net.copy(dtype="float64").backpropagate(x, y).gradients)
    assert verify(grads=grads, net=net, batch=(x, y))
    grads["dense1.b"] = grads["dense1.b"] / 6
    assert verify(grads=grads, net=net, batch=(x, y)).why == ("factor 1/m",)


def test_float32_numbers_are_judged_as_such() -> None:
    grads = {name: np.asarray(value, np.float32) for name, value in RIGHT.items()}
    assert verify(grads=grads, net=NET, batch=(X, Y))


SQUARE = cr.Network([cr.Dense(4, bias=False), cr.Dense(4, bias=False)], input_shape=4)


class Picklable:
    """Something else than numbers."""


def damaged(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def pickled(path: Path) -> Path:
    np.savez(path, W1=np.array([Picklable()], dtype=object), allow_pickle=True)
    return path


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no grads": (lambda p: verify(net=NET, batch=(X, Y)), r"net is given without grads: write grads=\{"),
    "grads of another kind": (
        lambda p: verify(grads=3, net=NET, batch=(X, Y)),
        r"grads is 3: write a dict, grads=\{'W1': dW1\}, or the path",
    ),
    "nothing": (lambda p: verify(grads={}, net=NET, batch=(X, Y)), "grads holds no array"),
    "no network": (
        lambda p: verify(grads=RIGHT, net=3, batch=(X, Y)),
        r"net is 3: write one of our networks",
    ),
    "no batch": (lambda p: verify(grads=RIGHT, net=NET), r"batch is None: write .* batch=\(X, y\)"),
    "no number": (
        lambda p: verify(grads={"W1": "a"}, net=NET, batch=(X, Y)),
        r"grads\['W1'\] is 'a', no array",
    ),
    "an unknown name": (
        lambda p: verify(grads={"h": np.ones((4, 4))}, net=SQUARE, batch=(X, X)),
        r"grads holds h, and it is not known which .* dense1.W, dense2.W; write names=\{'h': 'dense1.W'\}",
    ),
    "another shape": (
        lambda p: verify(grads={"dense1.W": np.ones((2, 2))}, net=NET, batch=(X, Y)),
        r"has the shape \(2, 2\), and dense1.W has \(4, 5\)|has \(5, 4\)",
    ),
    "no file": (lambda p: verify(grads=p / "a.npz", net=NET, batch=(X, Y)), "a.npz: there is no such file"),
    "another suffix": (lambda p: verify(grads="a.pt", net=NET, batch=(X, Y)), r"a.pt: .* read from .npz and"),
    "a damaged .npz": (
        lambda p: read_gradients(damaged(p / "d.npz", b"PK\x03\x04 nothing")),
        "d.npz: cannot be read as .npz",
    ),
    "text as .npz": (
        lambda p: read_gradients(damaged(p / "d.npz", b"W1, b1")),
        "d.npz: cannot be read as .npz",
    ),
    "an .npy as .npz": (
        lambda p: read_gradients(damaged(p / "d.npz", b"\x93NUMPY\x01\x00")),
        "d.npz: cannot be read as .npz",
    ),
    "a damaged .safetensors": (
        lambda p: read_gradients(damaged(p / "d.safetensors", b"12345678901")),
        "d.safetensors: cannot be read as .safetensors",
    ),
    "objects": (lambda p: read_gradients(pickled(p / "o.npz")), "o.npz: cannot be read .*allow_pickle"),
    "delta missing": (
        lambda p: verify(b.affine, grads=affine_gradients(), args=b.AFFINE),
        r"delta is missing: forward returns the shape \(3, 5\).*delta=dout",
    ),
    "delta of another shape": (
        lambda p: verify(b.affine, grads=affine_gradients(), args=b.AFFINE, delta=DELTA.T),
        r"delta has the shape \(5, 3\), and the output of forward \(3, 5\)",
    ),
    "an argument that is none": (
        lambda p: verify(b.affine, grads={"dv": DELTA}, args=b.AFFINE, delta=DELTA),
        r"grads holds dv, which is the gradient of none of the arguments \(x, w, b\): call it dx",
    ),
    "no args": (lambda p: verify(b.affine, grads=affine_gradients(), delta=DELTA), "args is empty"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_judged_is_an_error_that_says_what_to_write(name: str, tmp_path: Path) -> None:
    call, words = REFUSED[name]
    with pytest.raises((ArgumentError, DataError, FileError, ShapeError), match=words):
        call(tmp_path)


def test_names_say_which_parameter_it_is() -> None:
    right = dict(SQUARE.copy(dtype="float64").backpropagate(X, X).gradients)
    grads = {"h": right["dense2.W"]}
    assert verify(grads=grads, net=SQUARE, batch=(X, X), names={"h": "dense2.W"})
    assert not verify(grads=grads, net=SQUARE, batch=(X, X), names={"h": "dense1.W"})
