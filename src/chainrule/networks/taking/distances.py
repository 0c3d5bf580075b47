"""What models add to the scores of attention, as numbers of the distance of query and key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.layers import MultiHeadAttention

TOLERANCE = 1e-5  # relative, of numbers that a model holds as float32


def relative(
    heads: int, options: Mapping[str, Any], added: Any, seen: Any
) -> Iterator[tuple[MultiHeadAttention, dict[str, Array]]]:
    """The layers that add so much to scores, (heads or 1, steps, keys), where keys are seen, and P."""
    if added is None:
        yield MultiHeadAttention(heads, **options), {}
        return
    steps, keys = seen.shape
    added = np.broadcast_to(added, (heads, steps, keys))
    kinds: list[dict[str, Any]] = [{"relative_positions": "alibi"}, {"relative_positions": "t5"}]
    farthest = max(steps, keys, 2) - 1
    kinds.append({"relative_positions": "learned", "max_distance": farthest})
    grids = [(rows, steps // rows) for rows in range(2, steps) if steps % rows == 0 and steps == keys]
    kinds += [{"relative_positions": "learned", "grid": grid} for grid in grids]
    for kind in kinds:
        layer = MultiHeadAttention(heads, **options, **kind)
        at, P = layer.of_pairs(steps, keys)
        learned = layer.learned_positions
        if learned:
            P = np.zeros((heads, layer.numbers_of((steps, heads))))
            P[:, at[seen]] = added[:, seen]
            apart = np.abs(np.subtract.outer(np.arange(steps), np.arange(keys)))[seen]
            shares = len({*at[seen].tolist()}) < len({*apart.tolist()})
        if kind["relative_positions"] == "t5" and not shares:
            continue  # a number for every distance: the plainer option says the same
        if np.allclose(P[:, at[seen]], added[:, seen], rtol=TOLERANCE, atol=TOLERANCE):
            yield layer, {"P": P} if learned else {}
            return
