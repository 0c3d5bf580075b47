"""Where: the wrong entries as a rule, if there is one that holds of them and of no others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.verifying import backwards as b

from chainrule.base.types import Array
from chainrule.formulas.primitives.grid import Grid
from chainrule.verifying.places import at, coverage, facts, in_their_order, place, roles_of
from chainrule.verifying.verify import verify

IMAGES = ("sample", "channel", "row", "column")


def marked(shape: tuple[int, ...], *where: object) -> Array:
    mask = np.zeros(shape, dtype=bool)
    mask[where if where else ...] = True
    return mask


def border(width: int) -> Array:
    mask = marked((2, 3, 7, 8))
    mask[:, :, width:-width, width:-width] = False
    return mask


Make = Callable[[], Array]
SHAPE = (2, 3, 7, 8)
RULES: dict[str, tuple[Make, str, str]] = {
    "all": (lambda: marked((2, 3)), "all entries", "所有元素"),
    "a sample": (lambda: marked(SHAPE, 1), "exactly sample 1", "恰好是样本 1"),
    "a channel": (lambda: marked(SHAPE, slice(None), 2), "exactly channel 2", "恰好是通道 2"),
    "the first row": (lambda: marked(SHAPE, ..., 0, slice(None)), "exactly the first row", "恰好是第一行"),
    "the last column": (lambda: marked(SHAPE, ..., 7), "exactly the last column", "恰好是最后一列"),
    "the border": (lambda: border(1), "exactly the border of the image, 1 wide", "恰好是图像的边缘，宽 1"),
    "a wide border": (lambda: border(2), "exactly the border of the image, 2 wide", "恰好是图像的边缘，宽 2"),
    "one side": (
        lambda: marked(SHAPE, ..., slice(0, 2), slice(None)),
        "exactly the first 2 rows",
        "恰好是行中的前 2 个",
    ),
    "last samples": (
        lambda: marked((9, 4), slice(6, None)),
        "exactly the last 3 samples",
        "恰好是样本中的后 3 个",
    ),
    "every third": (
        lambda: marked(SHAPE, ..., slice(1, None, 3)),
        "exactly one in 3 of the columns, from 1",
        "恰好是自 1 起每隔 3 的列",
    ),
    "odd": (
        lambda: marked(SHAPE, ..., slice(1, None, 2), slice(None)),
        "exactly the odd rows",
        "恰好是下标为奇数的行",
    ),
    "even": (
        lambda: marked(SHAPE, ..., slice(0, None, 2)),
        "exactly the even columns",
        "恰好是下标为偶数的列",
    ),
    "a lattice": (
        lambda: marked(SHAPE, ..., slice(0, None, 2), slice(0, None, 2)),
        "exactly the even rows, the even columns",
        "恰好是下标为偶数的行、下标为偶数的列",
    ),
    "a block": (
        lambda: marked(SHAPE, 0, slice(None), slice(0, 3)),
        "exactly sample 0, the first 3 rows",
        "恰好是样本 0、行中的前 3 个",
    ),
    "a run": (lambda: marked((9, 4), slice(3, 5)), "exactly samples 3 to 4", "恰好是从 3 到 4 的样本"),
    "but one": (
        lambda: ~marked(SHAPE, ..., slice(0, None, 2), slice(0, None, 2)),
        "everything but the even rows, the even columns",
        "除下标为偶数的行、下标为偶数的列外的全部元素",
    ),
    "all but one": (lambda: ~marked(SHAPE, ..., 3), "exactly all columns but 3", "恰好是除 3 外的列"),
    "the diagonal": (lambda: np.eye(4, dtype=bool), "exactly the diagonal", "恰好是对角线"),
    "off it": (lambda: ~np.eye(4, dtype=bool), "exactly the entries off the diagonal", "恰好是非对角元素"),
    "above": (
        lambda: np.triu(np.ones((4, 4), bool), 1),
        "exactly the entries above the diagonal",
        "恰好是对角线以上的元素",
    ),
    "below": (
        lambda: np.broadcast_to(np.tril(np.ones((4, 4), bool), -1), (2, 4, 4)),
        "exactly the entries below the diagonal",
        "恰好是对角线以下的元素",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_found(name: str) -> None:
    make, english, chinese = RULES[name]
    wrong = make()
    roles = IMAGES if wrong.ndim == 4 else ("sample", "feature") if wrong.ndim == 2 else ()
    said = place(wrong, {}, roles)
    assert (said.en, said.zh) == (english, chinese)


def test_where_axes_have_no_names_their_numbers_stand() -> None:
    assert place(marked((4, 5), 2), {}).en == "exactly on axis 0 index 2"
    assert place(marked((4, 5), slice(0, 2)), {}).en == "exactly the first 2 indices of axis 0"
    assert place(border(1)[0, 0], {}).en == "exactly the border of the image, 1 wide"


def test_without_a_rule_they_are_counted() -> None:
    wrong = np.zeros((5, 6), dtype=bool)
    wrong[[0, 1, 4], [3, 0, 2]] = True
    assert place(wrong, {}).en == "3 of 30 entries"
    mask = wrong.copy()
    mask[2, 2] = True
    said = "3 of 4 entries, exactly where the argument is ≤ 0 and not elsewhere"
    assert place(wrong, {"closed": mask}).en == said


def test_what_is_known_of_entries_comes_first() -> None:
    x = np.array([[1.0, -2.0, 0.0], [3.0, 3.0, -1.0]])
    delta = np.ones_like(x)
    known = facts(delta * (x > 0), delta, x)
    assert place(x <= 0, known).en == "exactly where the argument is ≤ 0"
    assert place(x == 0, known).en == "exactly where the argument is 0"
    assert place(x == 3, known).en == "exactly where values are equal"
    slopes = facts(delta * np.array([[1.0, 1e-5, 1.0], [1.0, 1.0, 1e-9]]), delta)
    flat = np.array([[0, 1, 0], [0, 0, 1]], dtype=bool)
    assert place(flat, slopes).en == "exactly where the function is saturated"
    masked = facts(delta, masked=x < 2)
    assert place(x < 2, masked).en == "exactly the masked positions"


@pytest.mark.parametrize(
    ("grid", "size"),
    [(Grid((2, 2), (1, 1)), (3, 4)), (Grid((2, 2), (3, 3)), (5, 6)), (Grid((3,), (2,), ((1, 1),)), (7,))],
)
def test_coverage_counts_windows(grid: Grid, size: tuple[int, ...]) -> None:
    counts = np.zeros(size, dtype=int)
    axes = zip(grid.pads(size), grid.positions(size), grid.stride, strict=True)
    starts = [range(-p[0], -p[0] + n * s, s) for p, n, s in axes]
    for corner in np.array(np.meshgrid(*starts, indexing="ij")).reshape(len(size), -1).T:
        at_ = tuple(slice(max(c, 0), max(c + k, 0)) for c, k in zip(corner, grid.kernel, strict=True))
        counts[at_] += 1
    assert np.array_equal(coverage(grid, (*size, 2, 3))[..., 1, 2], counts)


def test_axes_are_named_in_their_order() -> None:
    ours = roles_of("x", 4)
    assert in_their_order(ours, (2, 3, 1, 0)) == ["sample", "channel", "row", "column"]
    assert in_their_order(ours, (3, 2, 1, 0)) == ["sample", "channel", "row", "column"]
    assert in_their_order(roles_of("W", 2), (1, 0)) == ["feature", "unit"]
    assert in_their_order(roles_of("x", 2), (0, 1, 2)) == []
    assert at((2, 0), ["sample", "feature"]).en == "sample 2, feature 0"
    assert at((2, 0), []).en == "[2, 0]"


def test_a_verdict_says_it_by_the_names_of_axes() -> None:
    last = b.affine_of(dx=lambda d, x, w: d @ w.T * (np.arange(len(x)) < len(x) - 1)[:, None])
    verdict = verify((b.affine, last), args=b.AFFINE, like="dense")
    assert verdict.where == ("Where: exactly sample 2.",)
    odd = b.affine_of(dw=lambda d, x, w: x.T @ d * (1 + np.arange(5) % 2))
    verdict = verify((b.affine, odd), args=b.AFFINE, like="dense")
    assert verdict.where == ("Where: exactly the odd units.",)
    pair = (b.convolution(1, 0), b.convolution_back(1, 0, "overwritten"))
    assert verify(pair, args=b.IMAGES, like="conv2d").where == (
        "Where: exactly the pixels that two or more windows cover.",
    )
