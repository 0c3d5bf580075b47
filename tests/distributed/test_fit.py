"""fit(comm=...): the same model to the last bit, whatever ranks there are."""

from __future__ import annotations

import signal
import time
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ArgumentError, RankError
from chainrule.distributed import Alone, Communicator, communicator
from chainrule.engine import sharing
from chainrule.engine.plan import Plan
from chainrule.training.checkpoints.keeper import Keeper
from chainrule.training.ranks import together
from tests.distributed.random_fits import assert_same_bits
from tests.distributed.threads import ThreadCommunicator, on_ranks

SIZES = (2, 3, 9)
rng = np.random.default_rng(0)
ROWS = rng.standard_normal((203, 6)).astype(np.float32)
LABELS = rng.integers(0, 3, 203)
WEIGHTS = rng.random(203)
IMAGES = rng.integers(0, 255, (70, 6, 6, 1)).astype(np.uint8)
KEPT = cr.L2(1e-3)


def dense() -> cr.Network:
    return cr.Network(
        [cr.Dense(12), cr.ReLU(), cr.Dropout(0.3), cr.Dense(3), cr.Softmax()], input_shape=6, seed=1
    )


def images() -> cr.Network:
    layers = [
        cr.Conv2D(5, 3),
        cr.GroupNorm(1),
        cr.Tanh(),
        cr.MaxPool2D(2),
        cr.Flatten(),
        cr.Dense(3),
        cr.Softmax(),
    ]
    return cr.Network(layers, input_shape=(6, 6, 1), seed=1)


def normalised() -> cr.Network:
    """By the statistics of the whole batch, in front of a residual sum and behind one, by one layer."""
    norm = cr.BatchNorm()
    branches = [[cr.Conv2D(4, 3, padding="same"), cr.BatchNorm(), cr.ReLU()], []]
    layers = [cr.Conv2D(4, 3), norm, cr.ReLU(), cr.Parallel(branches, join="sum"), norm]
    layers += [cr.Flatten(), cr.Dropout(0.2), cr.Dense(3), cr.Softmax()]
    return cr.Network(layers, input_shape=(6, 6, 1), seed=1)


def wide() -> cr.Network:
    """By formulas that Python evaluates, in float64."""

    class Squares(cr.Layer):
        def forward(self, x: Any) -> Any:
            return x * x

        def delta(self, d: Any, x: Any) -> Any:
            return 2 * x * d

    return cr.Network([cr.Dense(4), Squares(), cr.Dense(1)], input_shape=6, seed=2, dtype="float64")


def halves(epoch: int) -> Any:
    """Batches of several sizes, one of them of a single sample."""
    for part in np.split(np.arange(80), [30, 31, 64]):
        yield ROWS[part], LABELS[part]


CASES: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {
    "usual": (dense, (ROWS, LABELS), {"batch_size": 64}),
    "everything": (
        dense,
        (ROWS, LABELS),
        {
            "batch_size": 40, "penalty": KEPT, "constraint": cr.MaxNorm(1.0), "validation": 0.2,
            "optimizer": cr.Adam(cr.CosineDecay(0.01, epochs=3), clip_norm=0.5), "accumulate": 2,
            "class_weight": "balanced", "sample_weight": WEIGHTS, "early_stopping": 2,
        },
    ),
    "clipped samples": (
        lambda: cr.Network([cr.Dense(5), cr.Tanh(), cr.Dense(3), cr.Softmax()], input_shape=6, seed=3),
        (ROWS, LABELS),
        {"batch_size": 50, "optimizer": cr.SGD(0.1, momentum=0.9, clip_sample_norm=0.2)},
    ),
    "images": (images, (IMAGES, LABELS[:70]), {"batch_size": 70, "optimizer": cr.LAMB(0.01)}),
    "batch statistics": (
        normalised,
        (IMAGES / 255 + 30, LABELS[:70]),
        {"batch_size": 40, "optimizer": cr.SGD(0.1), "validation": 0.2, "accumulate": 2},
    ),
    "frozen statistics": (
        normalised,
        (IMAGES, LABELS[:70]),
        {"batch_size": 60, "freeze": ["batchnorm*"], "optimizer": cr.SGD(0.1)},
    ),
    "formulas": (wide, (ROWS, ROWS[:, :1]), {"batch_size": 100, "loss": "huber"}),
    "fewer samples than ranks": (dense, (ROWS[:5], LABELS[:5]), {"batch_size": 2}),
    "batches": (dense, (halves,), {"steps_per_epoch": 4, "optimizer": "adamw"}),
}  # fmt: skip


def trained(comm: Communicator | None, case: str, **more: Any) -> tuple[dict[str, bytes], list[Any]]:
    make, data, options = CASES[case]
    network = make()
    history = cr.fit(
        network, *data, epochs=3, seed=5, progress=False, threads=1, comm=comm, **{**options, **more}
    )
    columns = [history.loss, history.accuracy, history.validation_loss, history.validation_accuracy]
    return {name: array.tobytes() for name, array in network.parameters.items()}, columns


@cache
def by_one_rank(case: str) -> tuple[dict[str, bytes], list[Any]]:
    return trained(Alone(4), case)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of parts of these small gradients begin while the backward pass still runs."""
    monkeypatch.setattr(sharing, "LEAST_PART", 1024)
    monkeypatch.setattr(communicator, "SMALL_SUM", 256)


@pytest.mark.parametrize("case", CASES)
def test_every_number_of_ranks_trains_the_same_model(case: str) -> None:
    expected = by_one_rank(case)
    for size in SIZES:
        assert on_ranks(size, lambda comm: trained(comm, case), shards=4) == [expected] * size, size


@pytest.mark.parametrize("seed", range(6))
def test_random_networks_and_settings_have_the_same_bits(seed: int) -> None:
    assert_same_bits(seed)


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_model_that_one_process_trains_but_for_the_order_of_sums(case: str) -> None:
    """Dropout draws by a sample's place in the whole batch, 1/m is of the whole batch."""
    dtype = CASES[case][0]().dtype
    (alone, _), (plain, _) = by_one_rank(case), trained(None, case)
    for name in plain:
        there, here = (np.frombuffer(found[name], dtype).astype(np.float64) for found in (plain, alone))
        assert np.abs(there - here).max() < 2e4 * np.finfo(dtype).eps, name


def test_shards_are_part_of_the_model_and_its_ranks_are_not() -> None:
    assert trained(Alone(8), "usual") != trained(Alone(2), "usual")


def test_what_a_single_rank_is_asked_to_stop_for_stops_all(tmp_path: Path) -> None:
    """As a signal does, or a callback that looks at the clock."""

    class Stops(cr.Callback):
        every_steps = 1

        def __init__(self, comm: Communicator) -> None:
            self.comm = comm

        def on_step_end(self, context: Any) -> None:
            if self.comm.rank == 1 and context.step == 3:
                context.stop("enough")

    def work(comm: Communicator) -> tuple[Any, ...]:
        network = dense()
        history = cr.fit(
            network, ROWS, LABELS, batch_size=20, epochs=3, progress=False, comm=comm, callbacks=[Stops(comm)]
        )
        return history.stopped, len(history), network.parameters["dense1.W"].tobytes()

    first, *others = on_ranks(3, work)
    assert others == [first] * 2
    assert first[:2] == ("enough", 0)


@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 4), (2, 3)])
def test_a_training_goes_on_with_another_number_of_ranks(tmp_path: Path, before: int, after: int) -> None:
    """In the midst of an epoch; only the first rank writes."""
    folder = tmp_path / "kept"

    class Ends(cr.Callback):
        every_steps = 1

        def on_step_end(self, context: Any) -> None:
            if context.epoch == 1 and context.step == 2:
                raise KeyboardInterrupt

    kept = cr.Checkpoint(folder, every_steps=1)
    expected, _ = by_one_rank("everything")

    def ended(comm: Communicator) -> None:
        with pytest.raises(KeyboardInterrupt):
            trained(comm, "everything", checkpoint=kept, callbacks=[Ends()])

    on_ranks(before, ended, shards=4)
    assert any(folder.iterdir())
    for parameters, _ in on_ranks(after, lambda comm: trained(comm, "everything", checkpoint=kept), shards=4):
        assert parameters == expected


def test_a_training_without_ranks_is_another_one(tmp_path: Path) -> None:
    trained(Alone(4), "usual", checkpoint=tmp_path)
    with pytest.raises(ArgumentError, match="shards=4"):
        trained(None, "usual", checkpoint=tmp_path)


def labels(last: str) -> np.ndarray:
    return np.array(["a", "b", last])[LABELS]


# What rank 1 is given, what the others are, and what is said of it.
OTHERS: dict[str, tuple[Any, Any]] = {
    "argument seed": ({"seed": 1}, {}),
    "argument loss": ({"loss": cr.CrossEntropy(label_smoothing=0.1)}, {}),
    "argument epochs": ({"epochs": 3}, {"epochs": 2}),
    "checkpoint and resume": ({}, {"checkpoint": True}),
    "resume of fit": ({"checkpoint": True, "resume": False}, {"checkpoint": True}),
    "when checkpoints are": ({"checkpoint": {"every_steps": 2}}, {"checkpoint": True}),
    "among the callbacks": ({"early_stopping": 2}, {}),
    "parameters before": ({"network": dense().reinitialise(7)}, {}),
    "shape and type of X": ({"X": ROWS[1:], "y": LABELS[1:]}, {}),
    "y must": ({"y": LABELS[::-1]}, {}),
    "X must": ({"X": ROWS + 1}, {}),
    "labels of y": ({"y": labels("d")}, {"y": labels("c")}),
    "validation data": ({"validation": (ROWS, LABELS)}, {"validation": (ROWS[1:], LABELS[1:])}),
}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("said", OTHERS)
def test_ranks_that_would_train_another_model_are_refused(
    said: str, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first step, and by the rank; of large arrays some rows are compared."""
    monkeypatch.setattr(together, "LARGEST_COMPARED", 1 if large else 2**28)

    def work(comm: Communicator) -> str:
        told = {"network": dense(), "X": ROWS, "y": LABELS, **OTHERS[said][comm.rank != 1]}
        if (kept := told.pop("checkpoint", None)) is not None:
            told["checkpoint"] = cr.Checkpoint(tmp_path, **(kept if isinstance(kept, dict) else {"every": 1}))
        with pytest.raises(RankError) as raised:
            cr.fit(**told, progress=False, comm=comm)
        return str(raised.value)

    (message,) = {*on_ranks(3, work)}
    assert said in message
    assert "rank 1 has" in message


def given(epoch: int, *, odd: bool, how: str) -> Any:
    """Three batches of 30; what is odd is the second batch of the second epoch."""
    for part in np.split(np.arange(90), 3):
        differs = odd and epoch == 2 and part[0] == 30
        if differs and how == "ends":
            return
        part = part[1:] if differs and how == "is shorter" else part
        yield ROWS[part] + (differs and how == "has other rows"), LABELS[part]


@pytest.mark.parametrize("of", ["epoch 2", "the validation after epoch 2"])
@pytest.mark.parametrize("how", ["ends", "is shorter", "has other rows"])
def test_sources_that_differ_are_noticed_at_the_batch(how: str, of: str) -> None:
    def work(comm: Communicator) -> str:
        def source(epoch: int = 2) -> Any:
            return given(epoch, odd=comm.rank == 1, how=how)

        def lasting(epoch: int) -> Any:
            return given(epoch, odd=False, how=how)

        class Batches:
            """The validation, from its beginning after every epoch."""

            epoch = 0

            def __iter__(self) -> Any:
                self.epoch += 1
                return source(self.epoch)

        told = {"X": source} if of == "epoch 2" else {"X": lasting, "validation": Batches()}
        with pytest.raises(RankError) as raised:
            cr.fit(dense(), **told, epochs=3, progress=False, comm=comm)
        return str(raised.value)

    (message,) = {*on_ranks(2, work)}
    assert message.startswith(f"batch 2 of {of}, or that there is none, must be the same on all 2 ranks")
    assert "rank 1 has others than rank 0: a source gives every rank the whole batches" in message


def test_parameters_that_come_apart_are_noticed_after_the_epoch() -> None:
    def work(comm: Communicator) -> str:
        def spoil(context: Any) -> None:
            if comm.rank == 2 and context.epoch == 2:
                context.network.set_parameters({"dense1.b": np.ones(12)})

        with pytest.raises(RankError) as raised:
            cr.fit(dense(), ROWS, LABELS, progress=False, comm=comm, callbacks=[spoil])
        return str(raised.value)

    assert set(on_ranks(3, work)) == {
        "the parameters after epoch 2 must be the same on all 3 ranks, and rank 2 has others than rank 0"
    }


def test_a_strangers_layer_that_needs_the_whole_batch_is_refused() -> None:
    class Centred(cr.BatchNorm):
        pass

    network = cr.Network([cr.Dense(4), Centred(), cr.Dense(3), cr.Softmax()], input_shape=6, seed=0)
    with pytest.raises(ArgumentError, match=r"centred1 .* freeze=\['centred1'\]"):
        cr.fit(network, ROWS, LABELS, progress=False, comm=Alone(8))


def test_ranks_read_of_a_memory_map_what_they_train_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "X.npy", ROWS)

    def work(comm: Communicator) -> bytes:
        mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
        network = dense()
        cr.fit(network, mapped, LABELS, batch_size=64, epochs=2, progress=False, comm=comm)
        return b"".join(array.tobytes() for array in network.parameters.values())

    held = dense()
    cr.fit(held, ROWS, LABELS, batch_size=64, epochs=2, progress=False, comm=Alone(8))
    expected = b"".join(array.tobytes() for array in held.parameters.values())
    assert on_ranks(3, work) == [expected] * 3


def test_sums_of_parts_begin_while_the_backward_pass_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the last layers on; a layer that is used twice comes at the end.  On one machine all in one."""
    noted: dict[int, list[int]] = {rank: [] for rank in range(2)}
    begin, advance = Communicator.begin, Communicator.advance

    def begun(comm: Communicator, nodes: Any, out: Any) -> Any:
        noted[comm.rank].append(out.size)
        return begin(comm, nodes, out)

    def advanced(comm: Communicator) -> None:
        noted[comm.rank].append(0)
        advance(comm)

    monkeypatch.setattr(Communicator, "begin", begun)
    monkeypatch.setattr(Communicator, "advance", advanced)
    twice = cr.Dense(16)

    def work(comm: Communicator) -> list[int]:
        layers = [cr.Dense(16), twice, cr.Tanh(), twice, cr.Tanh(), cr.Dense(32), cr.Tanh(), cr.Dense(3)]
        network = cr.Network([*layers, cr.Softmax()], input_shape=6, seed=0)
        cr.fit(network, ROWS[:64], LABELS[:64], batch_size=64, epochs=1, progress=False, comm=comm)
        told = noted[comm.rank][:]
        noted[comm.rank].clear()
        return told

    begun_by_0, begun_by_1 = on_ranks(2, work)
    assert begun_by_0 == begun_by_1
    asked = [place for place, size in enumerate(begun_by_0) if size == 0]
    behind = sum(begun_by_0[asked[-1] :])
    monkeypatch.setattr(ThreadCommunicator, "machines", 1)
    assert on_ranks(2, work) == [[sum(begun_by_0) - 6, 6]] * 2  # the last six are the losses
    assert sum(begun_by_0[: asked[0]]) >= 16 * 3
    assert behind - 6 >= 16 * (16 + 6)
    assert behind < sum(begun_by_0) / 2


def test_a_rank_that_is_asked_behind_the_sums_of_a_step_stops_with_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind the next one: of this one the others do not know any more."""
    finish = Communicator.finish

    def slow(comm: Communicator) -> None:
        finish(comm)
        time.sleep(0.06)  # the plan asks every 50 ms: now, once the step is done

    monkeypatch.setattr(Communicator, "finish", slow)

    def work(comm: Communicator) -> int:
        plan = Plan(dense(), cr.CrossEntropy(), None, cr.SGD(0.1), batch_size=16, comm=comm)
        told: Any = {"poll": lambda *_: comm.rank == 0, "last": True}
        return plan.train_epoch(ROWS, LABELS, np.arange(160), np.full(10, 0.1), **told).steps

    assert on_ranks(2, work) == [2, 2]


def test_a_signal_is_obeyed_once_all_ranks_know_of_it() -> None:
    """And is one, whoever else hands it over a moment later."""

    comm = Alone(4)
    comm.size = 2
    keeper = Keeper(cr.Checkpoint("unused"), None, None, comm)  # type: ignore[arg-type]
    with keeper.listening():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert keeper.pressing
        assert not keeper.due(1)
        comm.size = 1
        together.agree(comm, SimpleNamespace(stopped=None), keeper)  # type: ignore[arg-type]
        assert keeper.due(1)
        with pytest.raises(SystemExit, match="143"):
            keeper.asked.obey()
