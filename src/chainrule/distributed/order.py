"""The one order in which the shards of a batch are summed, whichever rank has computed which.

Shards are the leaves of a binary tree: ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)).  A rank has a run of them,
adds up what lies in it, and hands over the sums that it cannot go on with, its nodes.  Every addition of the
tree is made once, by whoever holds both sides, so that its result has the same bits for any number of ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from chainrule.base.types import Array

Node = tuple[range, Array]  # shards, and the sum of what they are

MOST_SHARDS = 1 << 16


def shards_of(rank: int, size: int, shards: int) -> range:
    """The shards of a rank; none for some where there are more ranks than shards."""
    return range(shards * rank // size, shards * (rank + 1) // size)


def nodes_of(shards: range) -> list[range]:
    """The nodes of a run of shards: the largest pieces of it that stand below one place of the tree."""
    nodes: list[range] = []
    for shard in shards:
        nodes.append(range(shard, shard + 1))
        while len(nodes) > 1 and are_sides(nodes[-2], nodes[-1]):
            right = nodes.pop()
            nodes[-1] = range(nodes[-1].start, right.stop)
    return nodes


@cache
def nodes_of_all(size: int, shards: int) -> list[list[range]]:
    """Of every rank."""
    return [nodes_of(shards_of(rank, size, shards)) for rank in range(size)]


def are_sides(left: range, right: range) -> bool:
    """Whether the tree adds these two to each other."""
    return len(left) == len(right) and left.start % (2 * len(left)) == 0 and left.stop == right.start


def join(nodes: list[Node]) -> list[Array]:
    """Add the last node to the one before, as long as they are two sides; the arrays that are free then."""
    freed = []
    while len(nodes) > 1 and are_sides(nodes[-2][0], nodes[-1][0]):
        right, added = nodes.pop()
        left, total = nodes.pop()
        np.add(total, added, out=total)
        nodes.append((range(left.start, right.stop), total))
        freed.append(added)
    return freed


def total_of(nodes: Sequence[Node]) -> Array:
    """The sum over all shards, of the nodes of all ranks; their arrays are overwritten."""
    held: list[Node] = []
    for node in nodes:
        held.append(node)
        join(held)
    ((_, total),) = held
    return total


class Shards:
    """What a rank has added up so far of its run of shards; at most one array for every level of the tree."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._free: list[Array] = []

    def add(self, shard: int, values: Array) -> None:
        """The next shard's, which is copied."""
        held = self._free.pop() if self._free else np.empty_like(values)
        np.copyto(held, values)
        self.nodes.append((range(shard, shard + 1), held))
        self._free += join(self.nodes)

    def clear(self) -> None:
        """Begin with the next batch."""
        self._free += [array for _, array in self.nodes]
        self.nodes = []
