"""Gradients are the same, but for rounding, whether samples lie in the lanes of a step of training or bands
of their images; the same bits for any number of threads; and bands are where samples leave lanes empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import engine
from chainrule.engine import Plan
from chainrule.engine.lowering.bands import chosen_bands, first_layers
from chainrule.engine.lowering.builder import Cut
from tests.engine.harness import (
    MACHINES,
    SAFETY,
    Array,
    choosing,
    close,
    moved_away,
    residual,
    same_bits,
    summed_terms,
)
from tests.pairwise import pairwise

HEAD = [cr.Flatten(), cr.Dense(3), cr.Softmax()]
Shape = tuple[int, ...]

# The shape of a sample, how many bands of how many rows, how many of the layers are cut, and the layers: with
# all that takes bands, and what follows it.
NETWORKS: dict[str, tuple[Shape, tuple[int, int], int, list[cr.Layer]]] = {
    "winograd": (
        (12, 9, 8),
        (3, 4),
        8,
        [
            *(cr.Conv2D(17, 3, padding=1), cr.ReLU(), cr.Conv2D(16, 3, padding=1), cr.BatchNorm(), cr.Tanh()),
            *(cr.MaxPool2D(2), cr.Conv2D(5, 3, padding=1), cr.GELU(), *HEAD),
        ],
    ),
    "kernels and strides": (
        (20, 10, 3),
        (5, 4),
        10,
        [
            *(
                cr.Conv2D(9, 4, stride=2, padding=1),
                cr.LeakyReLU(0.1),
                cr.Conv2D(4, 3, padding=2, dilation=2),
            ),
            *(cr.Sigmoid(), cr.Conv2D(6, (5, 3), padding=(2, 1), groups=2), cr.LayerNorm(), cr.Conv2D(7, 1)),
            *(cr.ReLU(), cr.DepthwiseConv2D(5, padding=2), cr.Conv2D(4, 2), *HEAD),
        ],
    ),
    "a band is a row": (
        (6, 5, 2),
        (6, 1),
        4,
        [
            *(
                cr.DepthwiseConv2D(3, stride=1, padding=1),
                cr.ReLU(),
                cr.Conv2D(5, 3, padding=1),
                cr.Softplus(),
            ),
            *(cr.Conv2D(3, 5, padding=2), *HEAD),
        ],
    ),
    "u": (
        (16, 6, 2),
        (4, 4),
        5,
        [
            *(cr.Conv2D(9, 3, padding=1), cr.ReLU()),
            cr.Parallel(
                [
                    [],
                    [
                        *(cr.AveragePool2D(2), cr.Conv2D(12, 3, padding=1), cr.ReLU(), cr.MaxPool2D((2, 1))),
                        *(cr.UpSample2D((2, 1)), cr.ConvTranspose2D(4, 2, stride=2), cr.Tanh()),
                    ],
                ],
                join="concat",
            ),
            residual(cr.Conv2D(13, 3, padding=1), cr.BatchNorm()),
            *(cr.ReLU(), cr.GlobalAveragePool(), cr.Dense(3), cr.Softmax()),
        ],
    ),
    "an answer a pixel": (
        (8, 3, 2),
        (4, 2),
        2,
        [cr.Conv2D(8, 3, padding=1), cr.Conv2D(3, 3, padding=1), cr.Softmax()],
    ),
    "beyond the image": (
        (15, 9, 3),
        (4, 4),
        8,
        [
            *(cr.Conv2D(9, 5), cr.ReLU(), cr.AveragePool2D(2), cr.Conv2D(17, 3, padding=1), cr.Tanh()),
            *(
                cr.Conv2D(8, 3, padding=1),
                cr.LeakyReLU(0.1),
                cr.Conv2D(5, 2, padding=1),
                cr.BatchNorm(),
                *HEAD,
            ),
        ],
    ),
    "beyond it in branches": (
        (7, 6, 2),
        (3, 3),
        6,
        [
            *(cr.Conv2D(6, 2, padding=1), cr.GELU(), cr.UpSample2D(2)),
            cr.Parallel(
                [[cr.Conv2D(5, 1), cr.ReLU()], [cr.DepthwiseConv2D(3, padding=1)], []], join="concat"
            ),
            *(cr.Conv2D(6, (4, 3), stride=2, padding=1), cr.ConvTranspose2D(4, 3, stride=3)),
            *(cr.GlobalAveragePool(), cr.Dense(3), cr.Softmax()),
        ],
    ),
    "pools that overlap": (
        (19, 9, 3),
        (5, 4),
        11,
        [
            *(cr.Conv2D(12, 3, padding=1), cr.ReLU(), cr.MaxPool2D(3, stride=1), cr.Conv2D(7, 1), cr.GELU()),
            *(cr.AveragePool2D((3, 2), stride=(2, 1)), cr.Tanh(), cr.L2Pool2D((2, 3), stride=1)),
            *(cr.Softplus(), cr.MaxPool2D(3, stride=1), cr.Sigmoid(), *HEAD),
        ],
    ),
    "transposed, and zeros around pools": (
        (11, 5, 3),
        (4, 3),
        8,
        [
            *(cr.ConvTranspose2D(6, 4, stride=2, padding=1), cr.ReLU(), cr.MaxPool2D(3, 2, padding=1)),
            cr.Parallel(
                [
                    [cr.MaxPool2D(3, 1, padding=1)],
                    [cr.ConvTranspose2D(4, (5, 3), padding=(2, 1), groups=2), cr.Tanh()],
                    [cr.ConvTranspose2D(6, 3, padding=1, groups=6), cr.LeakyReLU(-0.5)],
                ],
                join="concat",
            ),
            *(cr.ConvTranspose2D(5, 3, stride=2, padding=1, output_padding=1), cr.SiLU()),
            *(cr.L2Pool2D(3, 2, padding=1), cr.Sigmoid(), *HEAD),
        ],
    ),
    "between pixels": (
        (10, 4, 2),
        (4, 3),
        11,
        [
            *(cr.Conv2D(8, 3, padding=1), cr.ELU(0.5), cr.UpSample2D(2, mode="bilinear")),
            *(cr.LocalResponseNorm(3), cr.PixelShuffle(2), cr.Dropout(0.3), cr.Mish()),
            *(cr.AveragePool2D(3, 2, padding=1, count_padding=True), cr.HardSwish()),
            *(cr.MaxPool2D(2, 2, padding="same"), cr.Conv2D(5, 3), *HEAD),
        ],
    ),
    "volumes": (
        (7, 4, 5, 2),
        (4, 8),
        9,
        [
            *(
                cr.Conv3D(4, 3, padding=1),
                cr.Tanh(),
                cr.Conv3D(4, (3, 2, 1), dilation=(1, 2, 1), groups=2, padding=(1, 1, 0)),
            ),
            *(cr.SiLU(), cr.MaxPool3D((1, 2, 2), padding=(0, 1, 0)), cr.UpSample3D(2)),
            *(cr.Conv3D(3, (3, 1, 3), stride=2, padding=(1, 0, 1)), cr.AveragePool3D(2, 1), cr.ReLU(), *HEAD),
        ],
    ),
    "sequences": (  # of a column of steps
        (23, 3),
        (4, 6),
        12,
        [
            *(cr.Conv1D(9, 3, padding=1), cr.ReLU(), cr.Conv1D(17, 5, padding=((4, 0),))),
            *(cr.LeakyReLU(0.1), cr.Conv1D(8, 2, dilation=2), cr.GELU(), cr.MaxPool1D(3, 1, padding=1)),
            cr.Parallel([[cr.Conv1D(6, 4, stride=2, padding=1)], [cr.AveragePool1D(2)]], join="concat"),
            *(cr.Tanh(), cr.ConvTranspose1D(5, 4, stride=2, padding=1), cr.SiLU(), cr.Dropout(0.3), *HEAD),
        ],
    ),
    "sequences in full bands": (
        (24, 4),
        (6, 4),
        9,
        [
            *(cr.Conv1D(12, 3, padding=1), cr.BatchNorm(), cr.ReLU(), cr.GroupNorm(3), cr.L2Pool1D(2)),
            *(cr.UpSample1D(2, mode="linear"), residual(cr.Conv1D(12, 5, padding=2), cr.LayerNorm())),
            *(cr.Conv1D(6, 3, padding=1, groups=3), cr.UpSample1D(3)),
            *(cr.GlobalMaxPool(), cr.Dense(3), cr.Softmax()),
        ],
    ),
    "norms of groups": (
        (12, 7, 3),
        (3, 4),
        6,
        [
            *(cr.Conv2D(12, 3, padding=1), cr.GroupNorm(3), cr.ReLU(), cr.MaxPool2D(2)),
            *(cr.Conv2D(12, 3, padding=1), cr.InstanceNorm(), *HEAD),
        ],
    ),
    "large": (  # more than the cache holds of x and δ, so that the lanes of a weight gradient are filters
        (32, 24, 16),
        (8, 4),
        2,
        [cr.Conv2D(32, 5, padding=2), cr.MaxPool2D(2), cr.GlobalMaxPool(), cr.Dense(3), cr.Softmax()],
    ),
}


def _network(name: str, dtype: str) -> tuple[cr.Network, Array, Array]:
    shape, *_, layers = NETWORKS[name]
    network = cr.Network(layers, input_shape=shape, dtype=dtype, seed=1)
    rng = np.random.default_rng(0)
    moved_away(network, rng)
    *positions, classes = network.output_shape
    return (
        network,
        rng.standard_normal((11, *shape)).astype(dtype),
        rng.integers(0, classes, (11, *positions)),
    )


def _cut(name: str, network: cr.Network) -> tuple[Cut, ...]:
    shape, (count, rows), cut, _ = NETWORKS[name]
    layers: dict[str, tuple[int, int]] = {}
    taken = list(first_layers(network.layers[:-1], shape, network.shapes, count, rows, layers))
    assert len(taken) == cut  # Softmax belongs to the loss
    return (Cut(count, rows, layers),)


@pytest.fixture
def bands(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The bands of the plans that are made: its last entry."""
    yield from choosing(monkeypatch, "chosen_bands", ())


@pytest.mark.parametrize(("name", "machine"), pairwise(NETWORKS, MACHINES))
def test_gradients_do_not_depend_on_bands(name: str, machine: tuple[str, str], bands: list[Any]) -> None:
    level, dtype = machine
    network, X, y = _network(name, dtype)

    def gradients(samples: int, threads: int = 1) -> dict[str, Array]:
        engine.set_threads(threads)
        plan = Plan(network, cr.CrossEntropy(), batch_size=11, level=level)
        for _ in range(2):  # what a pass leaves around the values is not read by the next
            loss, found = plan.gradients(X[:samples], y[:samples])
        return {"loss": np.array(loss), "outputs": plan.predict(X), **found}

    for samples in (1, 11):
        bands.append(())
        expected = gradients(samples)
        bands.append(_cut(name, network))
        found = gradients(samples)
        close(found, expected, SAFETY * np.finfo(dtype).eps * summed_terms(network, 11))
        assert same_bits(gradients(samples, threads=3), found)


def test_runs_of_layers_have_bands_of_their_own(bands: list[Any]) -> None:
    """Between them samples are whole: where an edge is reflected."""
    body = [cr.Conv2D(16, 5, padding=2), cr.Conv2D(6, 5, padding=2), cr.ReLU(), cr.Pad2D(2, mode="reflect")]
    body += [cr.Conv2D(8, 3, padding=1), cr.SiLU(), residual(cr.Conv2D(8, 5, padding=2), cr.Tanh())]
    shape = (12, 12, 2)
    network = cr.Network([*body, *HEAD], input_shape=shape, dtype="float64", seed=1)
    chosen = chosen_bands(network.layers[:-1], shape, network.shapes, 2, 16)
    assert [(cut.bands, min(cut.layers)) for cut in chosen] == [(6, "conv1"), (8, "conv3")]
    X, y = np.random.default_rng(0).standard_normal((2, *shape)), np.array([0, 2])
    expected = Plan(network, cr.CrossEntropy(), batch_size=2).gradients(X, y)[1]
    for cuts in (chosen, chosen[1:]):
        bands.append(cuts)
        close(Plan(network, cr.CrossEntropy(), batch_size=2).gradients(X, y)[1], expected, 1e-10)


def test_a_band_of_one_pixel(bands: list[Any]) -> None:
    """Whose convolutions of one pixel are products of vectors."""
    network = cr.Network([cr.Conv2D(5, 1), cr.ReLU(), cr.Conv2D(3, 1), *HEAD], input_shape=(6, 1, 4))
    X, y = np.random.default_rng(0).standard_normal((2, 6, 1, 4)).astype(np.float32), np.array([0, 2])
    expected = Plan(network, cr.CrossEntropy(), batch_size=2).gradients(X, y)[1]
    bands.append((Cut(6, 1, dict.fromkeys(("conv1", "relu1", "conv2"), (1, 1))),))
    close(Plan(network, cr.CrossEntropy(), batch_size=2).gradients(X, y)[1], expected, 1e-5)


def test_whole_steps_of_training(bands: list[Any]) -> None:
    """Epochs by order, with a last batch that is smaller, of bytes; running means as well."""
    network, X, y = _network("u", "float64")
    X = (50 * np.abs(X)).astype(np.uint8)
    parameters = []
    for cut in ((), _cut("u", network)):
        bands.append(cut)
        plan = Plan(network, cr.CrossEntropy(), optimizer=cr.SGD(0.01), batch_size=3)
        for epoch in range(2):
            plan.train_epoch(X, y, np.random.default_rng(epoch).permutation(11), np.full(4, 0.01))
        parameters.append(plan.parameters())
    close(parameters[1], parameters[0], 1e-10)


def _choice(layers: Sequence[cr.Layer], shape: Shape, batch: int) -> tuple[Cut, ...]:
    network = cr.Network([*layers], input_shape=shape)
    return chosen_bands(network.layers, shape, network.shapes, batch, 16)


def test_bands_fill_the_lanes_that_samples_leave_empty() -> None:
    body = [cr.Conv2D(16, 3, padding=1), cr.ReLU(), cr.MaxPool2D(2), cr.Conv2D(32, 3, padding=1), cr.ReLU()]
    layers = [*body, cr.Flatten(), cr.Dense(10)]
    rows = {"conv1": (4, 4), "relu1": (4, 4), "maxpool1": (4, 2), "conv2": (2, 2), "relu2": (2, 2)}
    assert _choice(layers, (32, 32, 3), 2) == (Cut(8, 4, rows),)
    assert _choice(layers, (28, 28, 3), 4)[0].rows == 8  # in four: of the last one four
    assert _choice(layers, (31, 31, 3), 2)[0].rows == 4  # of the last band three
    assert _choice(layers, (32, 32, 3), 16) == ()  # none is empty
    assert _choice(layers, (26, 32, 3), 14) == ()  # 13 bands of two rows: 182 of 192 lanes for 14 of 16
    assert _choice([cr.Dense(8), cr.Flatten(), cr.Dense(10)], (32, 3), 2) == ()


def test_samples_are_whole_where_each_is_looked_at() -> None:
    layers = [cr.Conv2D(16, 3, padding=1), cr.ReLU(), cr.GlobalAveragePool(), cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=(8, 8, 3), dtype="float32")
    whole = [
        Plan(network, cr.CrossEntropy(), batch_size=2, keep=True),
        Plan(network, cr.CrossEntropy(), batch_size=2, per_sample=True),
    ]
    for plan in whole:
        assert {value.bands for value in plan._built.held.values()} == {1}
    values = Plan(network, cr.CrossEntropy(), batch_size=2)._built.held.values()
    assert max(value.bands for value in values) > 1
