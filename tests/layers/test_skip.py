"""Skip connections by name are branches: what lies between the two ends, beside what the first put out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr

RNG = np.random.default_rng(11)
SHAPE = (8, 4, 2)


def conv(filters: int, **options: Any) -> cr.Conv2D:
    return cr.Conv2D(filters, 3, padding="same", **options)


def by_name() -> list[cr.Layer]:
    down = [conv(3, name="first"), cr.Tanh(), cr.MaxPool2D(2), conv(4, name="second"), cr.Tanh()]
    up = [conv(4), cr.UpSample2D(2), cr.Skip("second"), conv(3), cr.UpSample2D(2)]
    return [*down, cr.MaxPool2D(2), *up, cr.Skip("first", join="sum"), cr.Skip("input"), conv(1)]


def by_branches() -> list[cr.Layer]:
    inner = [cr.Tanh(), cr.MaxPool2D(2), conv(4), cr.UpSample2D(2)]
    across = cr.Parallel([[], inner], join="concat")
    outer = [cr.Tanh(), cr.MaxPool2D(2), conv(4), across, conv(3), cr.UpSample2D(2)]
    return [cr.Parallel([[], [conv(3), cr.Parallel([[], outer])]], join="concat"), conv(1)]


def test_a_unet_by_name_is_that_of_branches(tmp_path: Path) -> None:
    made = (by_name(), by_branches())
    one, other = (cr.Network(layers, input_shape=SHAPE, seed=0, dtype="float64") for layers in made)
    other.set_parameters(dict(zip(other.parameters, one.parameters.values(), strict=True)))
    X, y = RNG.standard_normal((3, *SHAPE)), RNG.standard_normal((3, *one.output_shape))
    steps = [net.backpropagate(X, y, loss=cr.SquaredError()) for net in (one, other)]
    assert steps[0].loss == steps[1].loss
    for left, right in zip(*(step.gradients.values() for step in steps), strict=True):
        np.testing.assert_array_equal(left, right)
    one.save(tmp_path / "net.npz")
    np.testing.assert_array_equal(cr.load(tmp_path / "net.npz").predict(X), one.predict(X))


def test_skips_within_branches_and_from_the_input() -> None:
    net = cr.Network(
        [
            cr.Residual([cr.Dense(4, name="a"), cr.ReLU(), cr.Dense(4), cr.Skip("a", join="sum")]),
            cr.Skip("input", name="all"),
            cr.Dense(3, name="end"),
        ],
        input_shape=4,
    )
    assert net.shapes["all"] == (8,)
    assert [name for name in net.shapes if "." not in name] == ["input", "all", "end"]
    twice = cr.Network(
        [cr.Dense(4, name="a"), cr.Dense(3), cr.Skip("a"), cr.Dense(5), cr.Skip("a")], input_shape=2
    )
    assert twice.output_shape == (9,)


def test_the_end_of_a_block_has_its_name() -> None:
    padded = conv(3, name="a", padding_mode="reflect")
    block = cr.Sequential([conv(3), cr.ReLU()], name="b")
    net = cr.Network([padded, block, conv(2), cr.Skip("b"), conv(3), cr.Skip("a")], input_shape=SHAPE)
    assert net.output_shape == (*SHAPE[:2], 6)
    assert [str(layer.name) for layer in net.layers] == ["a.pad1", "a.conv1", "parallel1"]


def test_errors_say_what_is_there() -> None:
    dense = cr.Dense
    for layers, words in (
        ([dense(3, name="a"), cr.Skip("b")], r"given this name, and there are 'input', 'a'"),
        ([dense(3, name="a"), cr.Skip("a")], "stands right behind its source"),
        (
            [dense(3, name="a"), dense(3, name="b"), dense(3), cr.Skip("a"), dense(3), cr.Skip("b")],
            "goes on from within .*let skips lie within each other",
        ),
        ([dense(3, name="a"), dense(4), cr.Skip("a", join="sum")], "write join='concat'"),
    ):
        with pytest.raises(cr.ShapeError, match=words):
            cr.Network(layers, input_shape=3)
