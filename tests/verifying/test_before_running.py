"""What is wrong with an argument is told before anything of theirs runs; no verdict depends on a clock."""

from __future__ import annotations

import re
import time
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.verifying import backwards as b

import chainrule as cr
import chainrule.verifying
from chainrule.base.errors import ArgumentError, ChainruleError
from chainrule.base.types import Array
from chainrule.verifying.meanings.matching import Like
from chainrule.verifying.verify import verify

RAN: list[str] = []


def forward(x: Array, w: Array, c: Array) -> Any:
    RAN.append("forward")
    raise AssertionError("ran")


def backward(dout: Array, cache: Any) -> Any:
    RAN.append("backward")
    raise AssertionError("ran")


class Made:
    def __init__(self) -> None:
        RAN.append("made")

    def forward(self, x: Array) -> Array:
        return forward(x, x, x)

    def backward(self, dout: Array) -> Array:
        return backward(dout, None)


class Value:
    def __init__(self, data: float) -> None:
        RAN.append("value")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a name": ({"like": "denze"}, "did you mean 'Dense'"),
    "a name of a loss": ({"like": "crossentropi"}, "did you mean 'crossentropy'"),
    "a name of a function": ({"like": "atention"}, "did you mean 'attention'"),
    "a name like none": ({"like": "xyzzy"}, "like is 'xyzzy'; the layers are"),
    "an option": ({"like": "conv2d", "strid": 2}, "did you mean 'stride'"),
    "an option in the name": ({"like": "Dense(actvation=relu)"}, "takes no 'actvation' for Dense"),
    "an option elsewhere": ({"like": "Dense(activation=relu)"}, "as a layer of its own.*ReLU"),
    "an option of a function": ({"like": "attention", "casual": True}, "did you mean 'causal'"),
    "an option of a loss": ({"like": "huber", "delt": 2}, "did you mean 'delta'"),
    "a value": ({"like": "conv2d", "stride": "x"}, "stride must be a positive integer"),
    "a value in the name": ({"like": "LSTM(outputs=fine)"}, "outputs must be 'last'"),
    "a value of a function": ({"like": "rotary", "base": "x"}, "like is 'rotary'"),
    "a missing option": ({"like": "groupnorm"}, "GroupNorm\\(\\) needs groups"),
    "an option twice": ({"like": "dense(5)", "units": 5}, "told twice"),
    "half a call": ({"like": "maxpool2d(2"}, "write a name with options"),
    "a number": ({"like": 3}, "like is 3: write a layer"),
    "names in a list": ({"like": ["dense", "relu"]}, "of a network write its layers"),
    "a layer's options beside": ({"like": cr.ReLU(), "slope": 2}, "leave out slope"),
    "options of nothing": ({"stride": 2}, "like is None: write"),
    "a loss of nothing": ({"loss": "mse"}, "loss is no argument of verify"),
    "a loss of a layer": ({"like": "dense", "loss": "mse"}, "belongs behind a network"),
    "a penalty of a layer": ({"like": "relu", "penalty": cr.L2(0.1)}, "belongs behind a network"),
    "a named penalty of a layer": ({"like": "relu", "penalty": "l2"}, "belongs behind a network"),
    "a number as a penalty": ({"like": [cr.Dense(5)], "penalty": 0.1}, "penalty is 0.1: write 'l2' or 'l1'"),
    "a penalty's name": ({"like": [cr.Dense(5)], "penalty": "l3"}, "penalty is 'l3': write 'l2' or 'l1'"),
    "a second argument": ({"backward": 3}, "the second argument is 3: write verify"),
    "a loss": ({"like": [cr.Dense(5)], "loss": "foo"}, "foo"),
    "a level of hints": ({"hint_level": 4}, "hint_level"),
    "a seed": ({"seed": -1}, "seed"),
    "a seed of words": ({"seed": "one"}, "seed"),
    "an output": ({"output": -1}, "output"),
    "names": ({"names": ["x", "x", "c"]}, "names has a name twice"),
    "a name alone": ({"names": "x"}, "write a list of texts"),
    "arguments": ({"args": (np.ones((0, 2)), b.AFFINE[1], b.AFFINE[2])}, "is empty"),
    "complex arguments": ({"args": (b.AFFINE[0] + 1j, *b.AFFINE[1:])}, "complex"),
    "unknown numbers": ({"args": (b.AFFINE[0] * np.nan, *b.AFFINE[1:])}, "x holds NaN"),
    "saved gradients": ({"grads": {"q": b.AFFINE[0]}}, "which is the gradient of none"),
    "δ of saved ones": ({"grads": {"dx": b.AFFINE[0]}, "delta": "δ"}, "delta is"),
    "scalars": ({"scalars": 3}, "write the class of the scalars"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_an_argument_is_told_first(name: str) -> None:
    given, words = WRONG[name]
    RAN.clear()
    of: Any = forward if "grads" in given else (forward, backward)
    with pytest.raises((ChainruleError, TypeError), match=words):
        verify(of, **{"args": b.AFFINE, **given})
    assert not RAN


OF_A_CLASS: list[dict[str, Any]] = [
    {"args": (b.X[:0],)},
    {"args": (b.X,), "names": "x"},
    {"args": (b.X,), "like": "relo"},
]


@pytest.mark.parametrize("given", OF_A_CLASS)
def test_no_object_is_made_of_a_class_before(given: dict[str, Any]) -> None:
    RAN.clear()
    with pytest.raises(ChainruleError):
        verify(Made, **given)
    assert not RAN


@pytest.mark.parametrize(
    "like", ["dense", ["dense"], ["dense", "relo"], ["dense", "conv2d(strid=2)"], [None, 3], cr.ReLU()]
)
def test_of_a_list_of_layers_too(like: Any) -> None:
    RAN.clear()
    with pytest.raises(ArgumentError):
        verify([(forward, backward), (forward, backward)], args=b.AFFINE, like=like)
    assert not RAN


@pytest.mark.parametrize(
    ("like", "options", "same"),
    [
        ("MaxPool2D(2, stride=1)", {}, ("maxpool2d", {"window": 2, "stride": 1})),
        ("conv2d(pad=20)", {}, ("conv2d", {"padding": 20})),
        ("conv2d( stride = (2, 1) )", {}, ("conv2d", {"stride": (2, 1)})),
        ("lstm(outputs=all)", {"units": 3}, ("lstm", {"units": 3, "outputs": "all"})),
        (cr.MaxPool2D, {"pool_size": 3}, ("maxpool2d", {"window": 3})),
    ],
)
def test_a_name_may_have_its_options_with_it(like: Any, options: Any, same: Any) -> None:
    assert Like(like, options).kind == Like(*same).kind


@pytest.mark.parametrize(
    ("short", "long"),
    [
        *(("bn", "batchnorm"), ("ln", "layernorm"), ("gn(3)", "groupnorm(3)"), ("lrelu", "leakyrelu")),
        *(("mha", "multiheadattention"), ("sm", "softmax"), ("gap", "globalaveragepool")),
        *(("kld", "kldivergence"), ("xent", "crossentropy"), ("ce", "crossentropy"), ("sse", "mse")),
    ],
)
def test_what_people_abbreviate(short: str, long: str) -> None:
    assert repr(Like(short, {}).kind) == repr(Like(long, {}).kind)


def test_such_a_name_is_judged() -> None:
    pair = (b.max_pool, lambda d, x, o: b._each(d) / 4)
    assert verify(pair, args=b.POOLED, like="MaxPool2D(2)").why == ("instead",)


CLOCKS = ("perf_counter", "monotonic", "time", "process_time", "perf_counter_ns")


def test_no_file_of_the_judge_knows_a_clock() -> None:
    files = list(Path(chainrule.verifying.__file__).parent.rglob("*.py"))
    assert len(files) > 30
    text = {path.name: path.read_text(encoding="utf-8") for path in files}
    clock = re.compile(r"^(from|import) (time|datetime)", re.MULTILINE)
    assert [name for name, source in text.items() if clock.search(source)] == []


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at a clock is an hour after the last."""
    hours = count()
    for name in CLOCKS:
        monkeypatch.setattr(time, name, lambda: 3600.0 * next(hours))


def mixing(dout: Array, cache: Any) -> Any:
    """Samples are mixed, which the last of the checks finds."""
    x, w = cache[:2]
    return (dout + 0.1 * dout[::-1]) @ w.T, x.T @ dout, dout.sum(axis=0)


PAIRS = {
    "right": (b.affine, b.affine_of()),
    "named": (b.affine, b.affine_of(db=lambda d, x, w: d.mean(0))),
    "unknown": (b.affine, b.affine_of(dx=lambda d, x, w: d @ w.T * 1.0137)),
    "mixed": (b.affine, mixing),
}


@pytest.mark.turns(3)
@pytest.mark.parametrize("like", ["dense", None])
@pytest.mark.parametrize("name", PAIRS)
def test_a_verdict_is_the_same_by_any_clock(name: str, like: str | None, request: Any) -> None:
    calm = verify(PAIRS[name], args=b.AFFINE, like=like).json()
    request.getfixturevalue("hurried")
    assert verify(PAIRS[name], args=b.AFFINE, like=like).json() == calm
    assert calm["verdict"] == ("right" if name == "right" else "wrong")
