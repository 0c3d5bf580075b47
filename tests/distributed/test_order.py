"""The tree of sums: every number of ranks makes the same additions."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.base.errors import RankError
from chainrule.distributed import Alone, Communicator, communicator
from chainrule.distributed.order import Shards, nodes_of, shards_of
from tests.distributed.threads import on_ranks

SIZES = range(1, 20)


@pytest.mark.parametrize("shards", [1, 2, 8, 32])
def test_ranks_have_every_shard_once_and_in_order(shards: int) -> None:
    for size in SIZES:
        runs = [shards_of(rank, size, shards) for rank in range(size)]
        assert [shard for run in runs for shard in run] == list(range(shards))
        assert max(map(len, runs)) - min(map(len, runs)) <= 1


def test_nodes_are_the_whole_of_a_run_and_few() -> None:
    for first in range(33):
        for end in range(first, 33):
            nodes = nodes_of(range(first, end))
            assert [shard for node in nodes for shard in node] == list(range(first, end))
            assert all(node.start % len(node) == 0 and len(node) & (len(node) - 1) == 0 for node in nodes)
            assert len(nodes) <= 2 * max(1, (end - first).bit_length())


def paired(values: list[np.ndarray]) -> np.ndarray:
    """The tree, written as it is told."""
    while len(values) > 1:
        values = [left + right for left, right in zip(values[::2], values[1::2], strict=True)]
    return values[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("entries", [1, 7, 1000])
@pytest.mark.parametrize("small", [0, communicator.SMALL_SUM])
def test_every_number_of_ranks_gives_the_sum_of_the_tree(
    dtype: type, entries: int, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(communicator, "SMALL_SUM", small)
    rng = np.random.default_rng(entries)
    for shards in (1, 4, 16):
        values = [
            (rng.standard_normal(entries) * 10.0 ** rng.integers(-9, 9)).astype(dtype) for _ in range(shards)
        ]
        expected = paired(values)

        def work(comm: Communicator, values: list[np.ndarray] = values) -> bytes:
            held, out = Shards(), np.empty(values[0].shape, values[0].dtype)
            for _ in range(2):  # the second time with the arrays of the first
                for shard in shards_of(comm.rank, comm.size, comm.shards):
                    held.add(shard, values[shard])
                comm.reduce(held.nodes, out)
                held.clear()
            return out.tobytes()

        assert work(Alone(shards)) == expected.tobytes()
        for size in (2, 3, 5, 8):
            assert set(on_ranks(size, work, shards)) == {expected.tobytes()}, size


def test_a_large_sum_sends_every_entry_about_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """(P - 1)/P of the array to the ranks that add up, and of its sum to all: no rank has all to do."""
    monkeypatch.setattr(communicator, "SMALL_SUM", 0)
    values = np.ones(8000, np.float32)

    def work(comm: Communicator) -> int:
        held = Shards()
        for shard in shards_of(comm.rank, comm.size, comm.shards):
            held.add(shard, values)
        comm.reduce(held.nodes, np.empty_like(values))
        return comm.bytes  # type: ignore[attr-defined, no-any-return]

    for size in (2, 4, 8):
        assert on_ranks(size, work) == [values.nbytes + values.nbytes // size] * size


def test_ranks_tell_each_other_whatever_they_have() -> None:
    def work(comm: Communicator) -> tuple[list[bytes], bytes, int]:
        told = comm.gather(bytes(range(comm.rank)))
        return told, comm.broadcast(b"first" if comm.rank == 0 else None), comm.of_first(lambda: comm.rank)

    assert on_ranks(3, work) == [([b"", b"\0", b"\0\1"], b"first", 0)] * 3
    assert work(Alone(1)) == ([b""], b"first", 0)


def test_what_the_first_rank_raises_all_raise() -> None:
    def work(comm: Communicator) -> str:
        try:
            comm.of_first(lambda: 1 // 0)
        except ZeroDivisionError as error:
            return str(error)
        return "nothing"

    assert len(set(on_ranks(3, work))) == 1
    assert "zero" in on_ranks(2, work)[1]


def test_what_differs_is_told_with_its_ranks() -> None:
    def work(comm: Communicator) -> str:
        with pytest.raises(RankError) as raised:
            comm.check_same("the seed", bytes([comm.rank in (1, 3)]))
        return str(raised.value)

    message = "the seed must be the same on all 4 ranks, and ranks 1, 3 have others than rank 0"
    assert on_ranks(4, work) == [message] * 4
