"""Files of checkpoints: whatever stops a writer, the old one is intact or the new one whole; what is damaged
is refused or set aside, and said.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disk_operations import BROKEN, NO_ROOM, Failing, Operation, states, told
from interrupted import Ended, ended_at, files, rows
from tests.pairwise import CHOICE, some
from training_problems import blobs, classifier, same_bits, snapshot

import chainrule as cr
from chainrule.training.checkpoints.folder import Folder
from chainrule.training.checkpoints.schema import Saved, read, write

X, Y = blobs(53)
OPTIONS: dict[str, Any] = {"epochs": 2, "batch_size": 16, "progress": False}
GOLDEN = Path(__file__).parents[1] / "stored_files"


def small(number: int) -> cr.Network:
    """A network whose parameters say which one it is."""
    network = cr.Network([cr.Dense(2)], input_shape=3)
    network.set_parameters({"dense1.W": np.full((2, 3), number), "dense1.b": np.zeros(2)})
    return network


def number_of(saved: Saved | None) -> int:
    """Which one of `small` was read; 0: there is none."""
    return 0 if saved is None else int(saved.parameters["dense1.W"][0, 0])


def recorded(folder: Path, count: int) -> tuple[list[Operation], list[int]]:
    """What writing so many checkpoints does to files, and how many operations each of them ends at."""
    operations: list[Operation] = []
    ends = []
    kept = Folder(str(folder), 2)
    folder.mkdir()
    with told(operations.append):
        for number in range(1, count + 1):
            kept.write(small(number), {"taken": number, "moments": np.arange(number)})
            ends.append(len(operations))
    return operations, ends


def test_what_is_written_is_synced_moved_and_synced(tmp_path: Path) -> None:
    operations, ends = recorded(tmp_path / "a", 3)
    for first, last, number in zip([0, *ends], ends, (1, 2, 3), strict=False):
        kinds = [operation[0] for operation in operations[first:last] if operation[0] != "write"]
        assert kinds == ["create", "fsync", "rename", "fsync", *(["unlink"] if number == 3 else [])]
    assert files(tmp_path / "a") == ["checkpoint-00002.npz", "checkpoint-00003.npz"]


def test_wherever_the_machine_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every moment of the recorded operations, with everything that may be on the disk then."""
    monkeypatch.setattr("chainrule.base.files.disk._lives", lambda pid, began: False)  # the writer is dead
    operations, ends = recorded(tmp_path / "a", 3)
    assert len(operations) > 60
    seen: dict[Any, int] = {}
    for done in range(len(operations) + 1):
        whole = sum(end <= done for end in ends)  # that have been written for certain
        for state in states(operations, done):
            key = frozenset((name, hashlib.sha256(content).digest()) for name, content in state.items())
            if key not in seen:
                again = len(seen) % 10 == 0 or not state
                seen[key] = number_of(found(tmp_path / "b", state, again=again))
            assert seen[key] in (whole, whole + 1), (done, operations[done - 1][:2], whole, [*state])
    assert len(seen) > 100


def found(folder: Path, state: dict[str, bytes], *, again: bool) -> Saved | None:
    """What is read of a folder; again: and the next one can be written, which clears away what was left."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, content in state.items():
        (folder / name).write_bytes(content)
    kept = Folder(str(folder), 2)
    saved = kept.newest()
    if again:
        kept.write(small(9), {})
        assert number_of(Folder(str(folder), 2).newest()) == 9
        assert not [name for name in files(folder) if name.startswith(".chainrule") and name in state]
    return saved


@pytest.mark.parametrize("code", [NO_ROOM, BROKEN])
def test_whatever_operation_fails(code: int, tmp_path: Path) -> None:
    """The old one stays or the new one is there; the error names the file, and training goes on from it."""
    operations, ends = recorded(tmp_path / "a", 3)
    for number in some(range(ends[1], ends[2]), 8, lambda number: operations[number][0]):
        folder = tmp_path / f"{number}"
        kept = Folder(str(folder), 2)
        kept.write(small(1), {}), kept.write(small(2), {})
        failing = Failing(number - ends[1], code)
        with told(failing):
            said = ""
            try:
                kept.write(small(3), {"taken": 3, "moments": np.arange(3)})
            except cr.FileError as error:
                said = str(error)
        assert failing.failed is not None
        raised = failing.failed[0] != "unlink"
        assert (str(folder / "checkpoint-00003.npz") in said) == raised
        assert (os.strerror(code) in said) == raised
        assert number_of(Folder(str(folder), 2).newest()) in ((2, 3) if raised else (3,))
        assert all(name.startswith("checkpoint") for name in files(folder))  # nothing half is left
        kept = Folder(str(folder), 2)
        kept.write(small(4), {})
        assert number_of(Folder(str(folder), 2).newest()) == 4


@pytest.mark.parametrize("code", [NO_ROOM, BROKEN])
def test_a_training_whose_disk_fails_goes_on(code: int, tmp_path: Path) -> None:
    whole = classifier()
    cr.fit(whole, X, Y, **OPTIONS)
    for number in some(range(3, 300, 37), 4):
        folder = tmp_path / f"{number}"
        checkpoint = cr.Checkpoint(folder, every_steps=2)
        network = classifier()
        with told(failing := Failing(number, code)), pytest.raises(cr.FileError, match=r"checkpoint-000\d\d"):
            cr.fit(network, X, Y, checkpoint=checkpoint, **OPTIONS)
        assert failing.failed is not None
        assert network.history.stopped.startswith("FileError")
        again = classifier()
        cr.fit(again, X, Y, checkpoint=checkpoint, **OPTIONS)
        assert same_bits(snapshot(whole), snapshot(again))


# -- what is damaged ----------------------------------------------------------------------------------------
@contextmanager
def interrupted(folder: Path) -> Iterator[cr.Network]:
    """A training that was ended behind its third checkpoint, and the network that it would have made."""
    whole = classifier()
    cr.fit(whole, X, Y, **OPTIONS)
    with pytest.raises(Ended), ended_at(4, before=False):
        cr.fit(classifier(), X, Y, checkpoint=cr.Checkpoint(folder, every_steps=2, keep=3), **OPTIONS)
    yield whole


def damages(content: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    for place in rng.integers(0, len(content), 40 if CHOICE["whole"] else 6):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        yield f"bit {place}", bytes(flipped)
    for length in (0, 1, 100, len(content) // 2, len(content) - 1):
        yield f"{length} bytes", content[:length]
    yield "more", content + b"\0" * 10
    yield "zeros", bytes(len(content))
    yield "text", b"hello"


def test_a_damaged_one_is_set_aside_and_the_one_before_taken(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with interrupted(tmp_path / "a") as whole:
        names = files(tmp_path / "a")
        contents = {name: (tmp_path / "a" / name).read_bytes() for name in names}
    loaded = {name: read(tmp_path / "a" / name) for name in names}
    refused = 0
    for number, (how, content) in enumerate(damages(contents[names[-1]], rng)):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(contents[name])
        (folder / names[-1]).write_bytes(content)
        with suppress(cr.FileError):
            same = read(folder / names[-1])
            # of a zip some bits mean nothing; the numbers are those that were written
            assert same_bits(dict(same.parameters), dict(loaded[names[-1]].parameters)), how
            assert repr(same.state) == repr(loaded[names[-1]].state), how
            continue
        refused += 1
        network = classifier()
        with pytest.warns(UserWarning, match=f"goes on from the one before, {names[-2]}") as warned:
            cr.fit(network, X, Y, checkpoint=folder, **OPTIONS)
        assert warned[0].filename == __file__
        assert same_bits(snapshot(network), snapshot(whole)), how
        assert (folder / f"{names[-1]}.damaged").read_bytes() == content
    assert refused > 10


def test_none_that_can_be_read(tmp_path: Path) -> None:
    with interrupted(tmp_path / "a"):
        for path in (tmp_path / "a").iterdir():
            path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(
        cr.FileError, match=r"no checkpoint in .* can be read: .*; .* resume=False\) begins anew"
    ):
        cr.fit(classifier(), X, Y, checkpoint=tmp_path / "a", **OPTIONS)
    assert cr.fit(classifier(), X, Y, checkpoint=tmp_path / "a", resume=False, **OPTIONS).epoch == [1, 2]
    assert len(files(tmp_path / "a")) == 2


def altered(path: Path, change: Any) -> None:
    """Change a file's description, and seal it again, as somebody could."""
    from chainrule.base.files.sealed import sealed_text, write_npz

    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    description = json.loads(arrays.pop("chainrule").tobytes())
    del description["sha256"]
    change(description, arrays)
    with path.open("wb") as stream:
        write_npz(stream, arrays, sealed_text(description), as_bytes=True)


CHANGES: dict[str, Any] = {
    "state": lambda d, a: d.pop("state"),
    "network": lambda d, a: d.update(network=3),
    "arrays": lambda d, a: d.update(arrays=[]),
    "kind": lambda d, a: d["state"].update(random={"pickle": "x"}),
    "missing": lambda d, a: a.pop("network/dense1.W"),
    "extra": lambda d, a: a.update(more=np.zeros(3)),
    "value": lambda d, a: a["network/dense1.W"].__setitem__(0, 5),
    "deep": lambda d, a: d["state"].update(random=json.loads('[' * 900 + ']' * 900)),
    "twice": lambda d, a: d["state"].update(random={"tuple": [], "dict": []}),
    "place": lambda d, a: d["state"].update(random={"array": "nowhere"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_foreign_description_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint-00001.npz"
    write(path, small(1), {"random": None})
    assert number_of(read(path)) == 1
    altered(path, CHANGES[name])
    with pytest.raises(cr.FileError, match=f"^{path}: "):
        read(path)


def test_a_newer_version_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    with interrupted(tmp_path / "a"):
        newest = max((tmp_path / "a").iterdir())
    altered(newest, lambda d, a: d.update(version=2))
    for load in (
        lambda: cr.fit(classifier(), X, Y, checkpoint=tmp_path / "a", **OPTIONS),
        lambda: cr.load(newest),
    ):
        with pytest.raises(cr.FileError, match=r"has the format version 2, .* a newer chainrule reads it"):
            load()
    assert newest.name in files(tmp_path / "a")


def test_files_of_other_kinds(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint-00001.npz"
    small(1).save(path)
    with pytest.raises(cr.FileError, match="is no checkpoint of a training"):
        read(path)
    np.savez(path, a=np.zeros(3))
    with pytest.raises(cr.FileError, match="is no checkpoint"):
        read(path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(cr.FileError, match="is a file, and checkpoint takes a folder"):
        cr.fit(classifier(), X, Y, checkpoint=tmp_path / "file")
    (tmp_path / "notes-00001.npz").write_text("x")  # not counted
    assert Folder(str(tmp_path / "none"), 2).newest() is None


def test_two_trainings_do_not_share_a_folder(tmp_path: Path) -> None:
    one, other = Folder(str(tmp_path), 2), Folder(str(tmp_path), 2)
    one.write(small(1), {})
    with pytest.raises(
        cr.FileError, match="written by another training since; each needs a folder of its own"
    ):
        other.write(small(2), {})
    assert number_of(Folder(str(tmp_path), 2).newest()) == 1


def test_a_disk_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with interrupted(tmp_path / "a") as whole:
        names = files(tmp_path / "a")
    opened = zipfile.ZipFile.open

    def failing(self: zipfile.ZipFile, *arguments: Any, **options: Any) -> Any:
        if str(getattr(self.fp, "name", "")).endswith(names[-1]):
            raise OSError(BROKEN, os.strerror(BROKEN))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(zipfile.ZipFile, "open", failing)
    network = classifier()
    with pytest.warns(UserWarning, match="Input/output error"):
        cr.fit(network, X, Y, checkpoint=tmp_path / "a", **OPTIONS)
    assert same_bits(snapshot(network), snapshot(whole))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    network = classifier()
    with pytest.raises(cr.FileError, match=r"file.* cannot be made|is a file"):
        cr.fit(network, X, Y, checkpoint=tmp_path / "file" / "a", **OPTIONS)


# -- versions -----------------------------------------------------------------------------------------------
def golden_data() -> tuple[Any, Any]:
    """Whole numbers, so that no generator has to be the same for ever."""
    grid = np.arange(40 * 4).reshape(40, 4)
    return ((grid * 7919 % 101 - 50) / 64).astype(np.float32), np.arange(40) % 3


def golden_network() -> cr.Network:
    layers = [cr.Dense(5), cr.BatchNorm(), cr.Tanh(), cr.Dropout(0.25), cr.Dense(3), cr.Softmax()]
    return cr.Network(layers, input_shape=4, seed=1, name="golden")


GOLDEN_OPTIONS: dict[str, Any] = {
    "epochs": 4, "batch_size": 8, "optimizer": cr.Adam(cr.CosineDecay(0.05)), "early_stopping": 3, "seed": 2,
    "sample_weight": np.arange(1, 41) / 20, "progress": False,
}  # fmt: skip


def golden_options() -> dict[str, Any]:
    X, y = golden_data()
    return {**GOLDEN_OPTIONS, "validation": (X[:6], y[:6])}


@pytest.mark.parametrize("version", [1])
def test_every_version_loads_for_ever(version: int, tmp_path: Path) -> None:
    """A file of that time is read, its network predicts, and its training goes on to its end."""
    path = GOLDEN / f"checkpoint-v{version}.npz"
    saved = read(path)
    assert saved.state["position"][0] == 3
    assert saved.state["epoch"] == 2
    assert saved.state["history"]["epoch"].tolist() == [1, 2]
    network = cr.load(path)
    X, y = golden_data()
    assert network.predict(X).shape == (40, 3)
    (tmp_path / "checkpoint-00007.npz").write_bytes(path.read_bytes())
    on, whole = golden_network(), golden_network()
    history = cr.fit(on, X, y, checkpoint=tmp_path, **golden_options())
    expected = cr.fit(whole, X, y, **golden_options())
    assert history.epoch == expected.epoch == [1, 2, 3, 4]
    # Of other kernels by a few roundings. What these leave of ∂J/∂b, 0 in front of BatchNorm, Adam takes for
    # steps: the running mean, and so the validation loss and the best epoch, are not compared.
    for one, other in zip(rows(history), rows(expected), strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-4)
        assert one.rate == other.rate
    ((_, stopping),) = saved.state["callbacks"]
    assert history.restored_epoch == stopping["epoch"] == 1  # which is in the file, to the bit
    for name, array in on.parameters.items():
        assert np.array_equal(array, stopping["parameters"][name]), name


def make_golden() -> None:
    """`python -c "import test_checkpoint_files as t; t.make_golden()"` here: once for every version."""
    import tempfile

    X, y = golden_data()
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(Ended), ended_at(14, before=False):
            cr.fit(
                golden_network(), X, y, checkpoint=cr.Checkpoint(folder, every_steps=1), **golden_options()
            )
        newest = max(Path(folder).iterdir())
        (GOLDEN / "checkpoint-v1.npz").write_bytes(newest.read_bytes())
