"""Primitives that know the axes: (features, samples) for vectors, (H, W, C, samples) for images.

Samples are the last axis, features or channels the one before, positions all axes in front of those.
"""

# mypy: disable-error-code="has-type"
# (mypy infers a primitive after its decorator's arguments, which name primitives further down; all are Any)

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.formulas.primitives.declaring import primitive
from chainrule.formulas.primitives.elementwise import fit, stretch
from chainrule.formulas.primitives.grid import Grid
from chainrule.formulas.rules import Trait


def _positions(x: Any) -> tuple[int, ...]:
    """Axes in front of features and samples."""
    return tuple(range(x.ndim - 2))


@primitive(wrong="only:0", layout="transpose", entry="transpose", adjoint=lambda d, y, x: (d.T,))
def transpose(x: Any) -> Any:
    """Matrix transpose."""
    return x.T


@primitive(
    wrong="turned:0 swapped last_term",
    layout="matmul", entry="matmul", traits={Trait.PRODUCT},
    adjoint=lambda d, y, a, x: (correlate(d, x), a.T @ d),
)
def matmul(a: Any, x: Any) -> Any:
    """The matrix a (K, C) applied to the features of x: (C, m) -> (K, m), at every position there is."""
    return a @ x


@primitive(
    wrong="swapped first last rest first_step overwritten_rows first_rows averaged_rows",
    layout="correlate", entry="correlate", traits={Trait.PRODUCT, Trait.ADDS_MANY, Trait.DROPS_POSITIONS},
    adjoint=lambda d, y, a, b: (d @ b, d.T @ a),
)
def correlate(a: Any, b: Any) -> Any:
    """Σ a_{ij} b_{ij}^T over positions and samples: (..., K, m), (..., C, m) -> (K, C); a bᵀ of vectors."""
    axes = (*_positions(a), a.ndim - 1)
    return np.tensordot(a, b, axes=(axes, axes))


@primitive(
    wrong="keepdims",
    layout="hat", entry="broadcast_samples", traits={Trait.THIN},
    adjoint=lambda d, y, b: (sum_samples(fit(d, y)),),
)
def broadcast_samples(b: Any) -> Any:
    """b-hat of Matrix notes: the vector (n,) as a column (n, 1), the same for every sample (and position)."""
    return b[..., None]


@primitive(
    wrong="as:mean_samples first last rest",
    layout="times_ones", entry="sum_samples", traits={Trait.ADDS_MANY},
    adjoint=lambda d, y, x: (stretch(broadcast_samples(d), x),),
)
def sum_samples(x: Any) -> Any:
    """Sum over the samples: (..., n, m) -> (..., n); Matrix notes has a product with ones(m, 1)."""
    return x.sum(axis=-1)


@primitive(
    layout="sum_positions",
    entry="sum_positions",
    traits={Trait.ADDS_MANY, Trait.DROPS_POSITIONS, Trait.THIN},
    adjoint=lambda d, y, x: (stretch(d, x),),
)
def sum_positions(x: Any) -> Any:
    """Sum over the positions of an image: (H, W, C, m) -> (C, m); a matrix (n, m) has none and stays."""
    return x.sum(axis=_positions(x))


@primitive(layout="inside", adjoint=lambda d, y, x: (None,))
def inside(x: Any) -> Any:
    """1 for every pixel of x: under a window, [the pixel lies in the picture]."""
    return np.ones_like(x)


@primitive(layout="first_operand", entry="every_feature", adjoint=lambda d, y, x: (None,))
def every_feature(x: Any) -> Any:
    """A number per step as one that every feature shares: (T, m) -> (T, 1, m)."""
    return x[:, None, :]


@primitive(
    layout=("count", "P"), traits={Trait.NUMBER, Trait.COUNTS_POSITIONS},
    adjoint=lambda d, y, x: (None,),
)
def count_positions(x: Any) -> Any:
    """The number of positions."""
    return math.prod(x.shape[:-2])


@primitive(
    layout="max_positions", entry="max_positions", traits={Trait.DROPS_POSITIONS, Trait.THIN},
    adjoint=lambda d, y, x: (d * first_position(x),),
)
def max_positions(x: Any) -> Any:
    """Largest value over the positions: (H, W, C, m) -> (C, m)."""
    return x.max(axis=_positions(x))


def winner(values: Any) -> Any:
    """Which along the first axis is the largest, whose δ a maximum is: of equal ones the first.

    In print: `at_a_tie` in explaining/words/derivations.toml.
    """
    return values.argmax(axis=0)


@primitive(layout="first_position", traits={Trait.CHOOSES}, adjoint=lambda d, y, x: (None,))
def first_position(x: Any) -> Any:
    """1 at the first position, in row-major order, that holds the largest value; 0 elsewhere."""
    flat = x.reshape(-1, *x.shape[-2:])
    chosen_ = np.arange(len(flat))[:, None, None] == winner(flat)
    return chosen_.reshape(x.shape).astype(x.dtype)


@primitive(
    wrong="as:mean_features only:0 across across_steps keepdims part steps_too of_steps of_heads",
    layout="sum_features", entry="sum_features", traits={Trait.THIN},
    adjoint=lambda d, y, x: (stretch(d, x),),
)
def sum_features(x: Any) -> Any:
    """Sum over features or channels; the axis stays, with length 1."""
    return x.sum(axis=-2, keepdims=True)


@primitive(
    wrong="as:sum_features across across_steps keepdims part less_one",
    layout="mean_features", entry="mean_features",
    traits={Trait.THIN, Trait.COUNTS_FEATURES},
    adjoint=lambda d, y, x: (stretch(d, x) / count_features(x),),
)
def mean_features(x: Any) -> Any:
    """Mean over features or channels; the axis stays, with length 1."""
    return x.mean(axis=-2, keepdims=True)


@primitive(
    wrong="counted", layout=("count", "H"), traits={Trait.NUMBER, Trait.COUNTS_FEATURES},
    adjoint=lambda d, y, x: (None,),
)
def count_features(x: Any) -> Any:
    """The number of features or channels."""
    return x.shape[-2]


@primitive(layout=("count", "N"), traits={Trait.NUMBER, Trait.COUNTS_VALUES}, adjoint=lambda d, y, x: (None,))
def count_values(x: Any) -> Any:
    """How many values a feature or channel has: samples times positions."""
    return x.size // x.shape[-2]


@primitive(
    wrong="as:sum_samples uncounted less_one",
    layout="mean_samples", entry="mean_samples", traits={Trait.ADDS_MANY, Trait.COUNTS_VALUES},
    adjoint=lambda d, y, x: (stretch(broadcast_samples(d), x) / count_values(x),),
    remark="N counts samples and positions, over which the sums go",
)
def mean_samples(x: Any) -> Any:
    """Mean over the samples and positions: (..., n, m) -> (n,)."""
    return x.mean(axis=(*_positions(x), -1))


@primitive(
    wrong="ungrouped by_channel less_one overcounted with_samples",
    layout="mean_groups", entry="mean_groups", traits={Trait.AVERAGES_GROUPS},
    adjoint=lambda d, y, x, groups: (mean_groups(d, groups=groups),),
    remark="mean_g is over all positions and a group of channels, which share it",
)
def mean_groups(x: Any, *, groups: int | None) -> Any:
    """Mean over all positions and a group's channels, in the place of each: its own adjoint, as averages are.

    (..., C, m) -> the same shape; group g has the channels g·C/G ... of C. None: each channel is a group.
    """
    groups = x.shape[-2] if groups is None else groups
    split = x.reshape(*x.shape[:-2], groups, -1, x.shape[-1])
    means = split.mean(axis=(*_positions(x), -2), keepdims=True)
    return np.broadcast_to(means, split.shape).reshape(x.shape)


@primitive(
    layout="max_features", entry="max_features", traits={Trait.THIN},
    adjoint=lambda d, y, x: (d * largest_feature(x),),
)
def max_features(x: Any) -> Any:
    """Largest feature or channel; the axis stays, with length 1."""
    return x.max(axis=-2, keepdims=True)


@primitive(layout="largest_feature", traits={Trait.CHOOSES}, adjoint=lambda d, y, x: (None,))
def largest_feature(x: Any) -> Any:
    """1 at the first largest feature, 0 elsewhere."""
    winners = np.expand_dims(winner(np.moveaxis(x, -2, 0)), -2)
    return (np.arange(x.shape[-2])[:, None] == winners).astype(x.dtype)


@primitive(
    layout="sum_outputs", entry="sum_outputs", traits={Trait.DROPS_POSITIONS},
    adjoint=lambda d, y, x: (stretch(d, x),),
)
def sum_outputs(x: Any) -> Any:
    """Sum over everything but the samples: (..., m) -> (m,)."""
    return x.sum(axis=tuple(range(x.ndim - 1)))


@primitive(
    layout=("count", "n_out"), traits={Trait.NUMBER, Trait.COUNTS_OUTPUTS},
    adjoint=lambda d, y, x: (None,),
)
def count_outputs(x: Any) -> Any:
    """The number of outputs of one sample."""
    return x.size // x.shape[-1]


@primitive(
    layout="per_feature", entry="per_feature", traits={Trait.THIN},
    adjoint=lambda d, y, x, weights, letter: (None,),
)
def per_feature(x: Any, *, weights: tuple[float, ...], letter: str) -> Any:
    """A number of its own for every feature or output of x, a column (n, 1): weights of outputs."""
    return np.asarray(weights, np.result_type(x))[:, None]


@primitive(
    layout="sum_entries",
    entry="sum_entries",
    traits={Trait.ADDS_MANY, Trait.DROPS_POSITIONS, Trait.NUMBER},
    adjoint=lambda d, y, x: (stretch(d, x),),
)
def sum_entries(x: Any) -> Any:
    """Sum over all entries, a number."""
    return x.sum()


@primitive(
    wrong="emptied:0 emptied:1", layout="beside", entry="beside",
    adjoint=lambda d, y, a, b: (first_features(d, a), other_features(d, a)),
)
def beside(a: Any, b: Any) -> Any:
    """The features of a, then those of b: (..., n, m), (..., k, m) -> (..., n + k, m)."""
    return np.concatenate([a, b], axis=-2)


@primitive(
    layout="first_features", entry="same_place",
    adjoint=lambda d, y, x, like: (beside(d, 0.0 * other_features(x, like)), None),
)
def first_features(x: Any, like: Any) -> Any:
    """As many of the first features of x as `like` has: one half of the adjoint of beside."""
    return x[..., : like.shape[-2], :]


@primitive(
    layout="other_features", entry="other_features",
    adjoint=lambda d, y, x, like: (beside(0.0 * first_features(x, like), d), None),
)
def other_features(x: Any, like: Any) -> Any:
    """The features of x beyond as many as `like` has: the other half of the adjoint of beside."""
    return x[..., like.shape[-2] :, :]


@primitive(
    wrong="as:odd_features halved", layout=("function", "even"), entry="even_features",
    adjoint=lambda d, y, x: (interleave(d, 0.0 * d),),
)
def even_features(x: Any) -> Any:
    """The features 0, 2, 4, ...: one half of the adjoint of interleave; (..., n, m) -> (..., n/2, m)."""
    return x[..., 0::2, :]


@primitive(
    wrong="as:even_features halved", layout=("function", "odd"), entry="odd_features",
    adjoint=lambda d, y, x: (interleave(0.0 * d, d),),
)
def odd_features(x: Any) -> Any:
    """The features 1, 3, 5, ...: the other half of the adjoint of interleave."""
    return x[..., 1::2, :]


@primitive(
    wrong="swapped as:beside", layout="interleave", entry="interleave",
    adjoint=lambda d, y, a, b: (even_features(d), odd_features(d)),
)
def interleave(a: Any, b: Any) -> Any:
    """The features of a and b in turn, a's first: (..., n, m) twice -> (..., 2n, m)."""
    out = np.empty((*a.shape[:-2], 2 * a.shape[-2], a.shape[-1]), np.result_type(a, b))
    out[..., 0::2, :], out[..., 1::2, :] = a, b
    return out


@primitive(
    layout="features_between", entry="features_between",
    adjoint=lambda d, y, x, *, start, stop: (features_placed(d, x, start=start, stop=stop),),
)
def features_between(x: Any, *, start: int, stop: int) -> Any:
    """The features from number `start` to the one before `stop`, counted from 0: (..., n, m)."""
    return x[..., start:stop, :]


@primitive(
    layout="features_placed", entry="features_placed",
    adjoint=lambda d, y, x, like, *, start, stop: (features_between(d, start=start, stop=stop), None),
)
def features_placed(x: Any, like: Any, *, start: int, stop: int) -> Any:
    """The adjoint of features_between: x at these features of `like`, zeros at the others."""
    out = np.zeros_like(x, shape=like.shape, order="C")
    out[..., start:stop, :] = x
    return out


@primitive(
    wrong="unskipped", layout=("function", "onehot"),
    adjoint=lambda d, y, x, like, skip=None: (None, None),
    remark="onehot(x) is 1 in the row x and 0 elsewhere; the padding has no row",
)
def one_hot(x: Any, like: Any, *, skip: int | None = None) -> Any:
    """Ids (..., m) as columns with a single 1, (..., n, m), n the rows of `like`; the id `skip` as zeros."""
    hot = x[..., None, :] == np.arange(like.shape[0])[:, None]
    return (hot if skip is None else hot & (x[..., None, :] != skip)).astype(x.dtype)


@primitive(
    layout=("count", "PE"),
    adjoint=lambda d, y, x: (None,),
    remark="PE_{{t,2k}} = sin(t / 10000^{{2k/n}}), PE_{{t,2k+1}} = cos(t / 10000^{{2k/n}}), n features",
)
def sinusoids(x: Any) -> Any:
    """PE, with steps and features as those of x, (T, F, 1): sin and cos of t / 10000^(2k/F) in turn."""
    steps, features = x.shape[:2]
    feature = np.arange(features)
    angle = np.arange(steps)[:, None] / 10000.0 ** ((feature - feature % 2) / features)
    return np.where(feature % 2 == 0, np.sin(angle), np.cos(angle)).astype(x.dtype)[..., None]


@primitive(
    wrong="gate",
    layout="gate", entry="gate",
    adjoint=lambda d, y, z, *, gate, gates: (gate_place(d, z, gate=gate, gates=gates),),
)
def gate(z: Any, *, gate: str, gates: str) -> Any:
    """z_i: the features of gate i, of those that lie one above the other in z in the order of `gates`."""
    return z[..., _rows_of(gate, gates, z), :]


@primitive(
    layout="gate_place", entry="gate_place",
    adjoint=lambda d, y, x, like, *, gate, gates: (_gate(d, gate=gate, gates=gates), None),
)
def gate_place(x: Any, like: Any, *, gate: str, gates: str) -> Any:
    """The adjoint of gate: x at the features of one gate of `like`, zeros at the others."""
    out = np.zeros_like(x, shape=like.shape, order="C")
    out[..., _rows_of(gate, gates, like), :] = x
    return out


_gate = gate  # within an adjoint the option has the name


def _rows_of(gate: str, gates: str, z: Any) -> slice:
    size = z.shape[-2] // len(gates)
    return slice(gates.index(gate) * size, (gates.index(gate) + 1) * size)


@primitive(layout="sum_steps", entry="same_place", adjoint=lambda d, y, x: (d,))
def sum_steps(x: Any) -> Any:
    """Σ_t x_t, where x is the share of one step: in print a sum, in numbers that share."""
    return x


@primitive(
    layout=("function", "vec"), entry="reshaped", traits={Trait.DROPS_POSITIONS},
    adjoint=lambda d, y, x: (unflatten(d, x),),
)
def flatten(x: Any) -> Any:
    """(H, W, C, m) -> (H W C, m), row-major: the channel runs fastest."""
    return x.reshape(-1, x.shape[-1])


@primitive(
    layout=("inverse_function", "vec"), entry="reshaped", traits={Trait.LIKE_SECOND},
    adjoint=lambda d, y, x, like: (unflatten(d, x), None),
)
def unflatten(x: Any, like: Any) -> Any:
    """(H W C, m), or its last axes as one, -> the shape of `like`: the adjoint of flatten and merged."""
    return x.reshape(like.shape)


@primitive(
    layout=("inverse_function", "vec"), entry="reshaped",
    adjoint=lambda d, y, x, *, shape: (flatten(d),),
)
def arranged(x: Any, *, shape: tuple[int, ...]) -> Any:
    """(H W C, m) -> (*shape, m), row-major: what `flatten` made a vector."""
    return x.reshape(*shape, x.shape[-1])


@primitive(
    wrong="stride padding dilation shifted",
    layout="window", entry="window",
    adjoint=lambda d, y, x, *at, grid, fill=0.0: (place(d, x, *at, grid=grid), *(None for _ in at)),
    remark="{letter} is {fill} outside of the image",
)
def window(x: Any, *offset: Any, grid: Grid, fill: float = 0.0) -> Any:
    """The pixels at offset (m, n) of every window, X_{si+m, sj+n}; `fill` where the padding is.

    (H, W, C, m) -> (windows along H, windows along W, C, m); a sequence (T, C, m) has one offset, m.
    """
    axes = len(offset)
    size = x.shape[:axes]
    pixels, windows = grid.meet(size, offset)
    out = np.full_like(x, fill, shape=grid.positions(size) + x.shape[axes:], order="C")
    out[windows] = x[pixels]
    return out


@primitive(
    wrong="stride padding dilation shifted first_window",
    layout="place", entry="place",
    adjoint=lambda d, y, x, like, *at, grid: (window(d, *at, grid=grid), None, *(None for _ in at)),
    remark="{letter} is 0 outside of its grid and at indices that are not whole",
)
def place(x: Any, like: Any, *offset: Any, grid: Grid) -> Any:
    """The adjoint of window: every window's value back on its pixel, δ_{(u-m)/s, (v-n)/s}; else zero.

    (windows along H, windows along W, C, m) -> (H, W, C, m), the size of `like`
    """
    axes = len(offset)
    size = like.shape[:axes]
    pixels, windows = grid.meet(size, offset)
    out = np.zeros_like(x, shape=size + x.shape[axes:], order="C")
    out[pixels] = x[windows]
    return out


@primitive(layout="first_operand", entry="nothing", adjoint=lambda d, y, x, grid, features: (None,))
def canvas(x: Any, *, grid: Grid, features: int) -> Any:
    """Zeros of the shape of the image whose windows x holds: what a transposed convolution writes on."""
    axes = len(grid.kernel)
    return np.broadcast_to(np.zeros((), x.dtype), (*grid.image(x.shape[:axes]), features, x.shape[-1]))


@primitive(
    wrong="rotated:0",
    layout="kernel_at", entry="kernel_at",
    adjoint=lambda d, y, w, *at: (kernel_place(d, w, *at), *(None for _ in at)),
)
def kernel_at(w: Any, *offset: Any) -> Any:
    """The matrix W_{m,n} (K, C) of a kernel w (K, k1, k2, C)."""
    return w[:, *offset, :]


@primitive(
    layout="kernel_place", entry="kernel_place",
    adjoint=lambda d, y, x, like, *at: (kernel_at(d, *at), None, *(None for _ in at)),
)
def kernel_place(x: Any, like: Any, *offset: Any) -> Any:
    """The adjoint of kernel_at: the matrix x (K, C) at offset (m, n) of a kernel that is zero elsewhere."""
    out = np.zeros_like(x, shape=like.shape, order="C")
    out[:, *offset, :] = x
    return out


def _blocks(rows: int, columns: int, width: int) -> tuple[Any, Any]:
    """(row, column) of the entries of a block-diagonal matrix whose blocks are `width` columns wide."""
    row = np.arange(rows)[:, None]
    group = row // (rows // (columns // width))
    return row, group * width + np.arange(width)


@primitive(
    wrong="first_block", layout=("function", "diag"), entry="block_diagonal", traits={Trait.DROPS_POSITIONS},
    adjoint=lambda d, y, w, like: (diagonal_blocks(d, w), None),
)
def block_diagonal(w: Any, like: Any) -> Any:
    """(K, C/G), the matrices of G groups one below the other, as the block-diagonal matrix (K, C).

    C is the number of features of `like`; group g has rows g·K/G ... of K and columns g·C/G ... of C.
    """
    out = np.zeros_like(w, shape=(w.shape[0], like.shape[-2]), order="C")
    rows, columns = out.shape
    out[_blocks(rows, columns, w.shape[1])] = w
    return out


@primitive(
    layout=("inverse_function", "diag"), entry="diagonal_blocks", traits={Trait.DROPS_POSITIONS},
    adjoint=lambda d, y, x, like: (block_diagonal(d, x.T), None),
)
def diagonal_blocks(x: Any, like: Any) -> Any:
    """The adjoint of block_diagonal: the blocks of x (K, C), as wide as the last axis of `like`."""
    rows, columns = x.shape
    return x[_blocks(rows, columns, like.shape[-1])]


@primitive(
    wrong="near one_channel", layout="chosen",
    adjoint=lambda d, y, winner, *at, grid: (None, *(None for _ in at)),
)
def chosen(winner: Any, *offset: Any, grid: Grid) -> Any:
    """[the window's winner is its pixel at offset (m, n)], for a winner given by argmax_over."""
    place_in_window = 0
    for m, length in zip(offset, grid.kernel, strict=True):
        place_in_window = place_in_window * length + m
    return winner == place_in_window
