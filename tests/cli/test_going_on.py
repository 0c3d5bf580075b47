"""`chainrule train ... --resume`: what was ended goes on, and the run is that of a training nothing ended."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.networks.network import load
from chainrule.training.checkpoints.folder import Folder
from tests.cli.cli_result import Result, Run
from tests.pairwise import each

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")
QUICK = ("--quiet", "--no-report", "--no-check")


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    """Those a program starts with."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ended_at(writes: int, run: Run, *argv: object, kill: bool = False) -> Result:
    """A run that SIGTERM ends at its so many-th checkpoint; kill: and nothing is written behind it."""
    write, count = Folder.write, 0

    def ending(self: Folder, *arguments: Any) -> Path:
        nonlocal count
        path = write(self, *arguments)
        count += 1
        if count == writes:
            os.kill(os.getpid(), signal.SIGTERM)
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Folder, "write", ending)
        if kill:
            patch.setattr("chainrule.cli.training.job.Run.save", lambda self: None)
            patch.setattr("chainrule.cli.training.job.Run.draw_curves", lambda self: None)
        return run("train", *argv, *QUICK)


def same_run(one: str, other: str) -> None:
    """The same networks to the bit, and the same result but for the seconds."""
    models = sorted(path.name for path in Path(one).glob("model*"))
    assert models == sorted(path.name for path in Path(other).glob("model*"))
    for name in models:
        mine, theirs = load(Path(one, name)), load(Path(other, name))
        assert all(np.array_equal(array, theirs.parameters[key]) for key, array in mine.parameters.items())
    facts = [json.loads(Path(place, "run.json").read_text()) for place in (one, other)]
    for fact in facts:
        fact["result"].pop("seconds")
    assert facts[0]["result"] == facts[1]["result"]
    assert facts[0]["settings"] == facts[1]["settings"]
    assert facts[0]["search"] == facts[1]["search"]


RUNS: dict[str, tuple[tuple[object, ...], int]] = {
    "epochs": (("--epochs", 6, "--checkpoint", "epoch"), 4),
    "steps": (("--epochs", 3, "--checkpoint", 5, "--validation", 0.2, "--patience", 2), 3),
    "minutes": (("--epochs", 3, "--checkpoint", "0.0000001m", "--class-weights", "balanced"), 2),
    "ensemble": (("--epochs", 2, "--checkpoint", "epoch", "--ensemble", 3), 5),
    "precise": (("--epochs", 3, "--checkpoint", 4, "--precision", "float64", "--optimizer", "rmsprop"), 3),
}


@pytest.mark.parametrize(("name", "kill"), each(RUNS, [False, True]))
def test_a_run_goes_on(name: str, kill: bool, run: Run, flowers: Path) -> None:
    more, writes = RUNS[name]
    argv = (flowers, "--target", "species", "--drop", "weight", *more)
    assert run("train", *argv, "--out", "whole", *QUICK).code == 0
    assert not Path("whole/checkpoints").exists()
    ended = ended_at(writes, run, *argv, "--out", "part", kill=kill)
    assert ended.code == 143
    assert "to go on with it: chainrule train part --resume" in ended.out
    again = ("part",) if kill else (*argv, "--out", "part")
    result = run("train", *again, "--resume", *QUICK)
    assert result.code == 0, result.err
    assert not Path("part/checkpoints").exists()
    same_run("whole", "part")
    finished = run("train", "part", "--resume")
    assert (finished.code, "part: this training is finished" in finished.out) == (0, True)


def test_settings_that_were_looked_for_are_not_looked_for_again(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chainrule.cli.training.search.EPOCHS", (2, 3))
    argv = (flowers, "--target", "species", "--checkpoint", "epoch", "--batch-size", 90)
    assert run("train", *argv, "--out", "whole", *QUICK).code == 0
    assert ended_at(3, run, *argv, "--out", "part").code == 143
    monkeypatch.setattr("chainrule.cli.commands.train.search", lambda *_: pytest.fail("searched again"))
    assert run("train", "part", "--resume", *QUICK).code == 0
    same_run("whole", "part")


def begun(run: Run, flowers: Path, *more: object) -> tuple[object, ...]:
    argv = (flowers, "--target", "species", "--epochs", 5, "--checkpoint", "epoch", *more)
    assert ended_at(2, run, *argv, "--out", "part").code == 143
    return argv


def test_resume_begins_where_there_is_nothing_yet(run: Run, flowers: Path) -> None:
    argv = (flowers, "--target", "species", "--epochs", 2, *QUICK)
    assert run("train", *argv, "--out", "new", "--resume").code == 0
    assert run("train", *argv, "--out", "whole").code == 0
    same_run("whole", "new")
    assert load("new").classes.tolist() == load("whole").classes.tolist()


def test_other_arguments_are_refused(run: Run, flowers: Path) -> None:
    argv = begun(run, flowers)
    for option, value in (("--epochs", 7), ("--seed", 3), ("--rate", 0.1), ("--drop", "width")):
        for call in ((*argv, "--out", "part"), ("part",)):
            result = run("train", *call, option, value, "--resume", *QUICK)
            assert result.code == 2
            assert f"part: was begun with {option}" in result.err
    assert run("train", "part", "--resume", "--threads", 1, "--checkpoint", 3, *QUICK).code == 0


def test_changes_that_are_allowed_go_on(run: Run, flowers: Path, tmp_path: Path) -> None:
    """Options, and data that have changed or are elsewhere; what is refused leaves the run as it was."""
    begun(run, flowers)

    def stored() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in Path("part").rglob("*") if path.is_file()}

    before = stored()
    lines = flowers.read_text().splitlines()
    flowers.write_text("\n".join([*lines[:-1], lines[-2]]) + "\n")
    refused = run("train", "part", "--resume", *QUICK)
    assert (refused.code, "fit(" in refused.err) == (2, False)
    assert "--overwrite, begins anew; --allow-changes goes on all the same" in refused.err
    (tmp_path / "n.toml").write_text('layers = ["softmax"]')
    assert run("train", "part", "--resume", "--allow-changes", "--network", tmp_path / "n.toml").code == 2
    assert stored() == before
    moved = flowers.rename(flowers.with_name("moved.csv"))
    there = (moved, "--out", "part", "--resume", "--rate", 0.01, "--epochs", 6, *QUICK)
    assert "--allow-changes added here goes on with this" in run("train", *there).err
    assert ended_at(2, run, *there, "--allow-changes").code == 143
    told = json.loads(Path("part/checkpoints/training.json").read_text())
    assert (told["arguments"]["source"], told["arguments"]["target"]) == (str(moved), "species")
    assert (told["settings"]["rate"], told["settings"]["epochs"]) == (0.01, 6)
    assert run("train", "part", "--resume", "--rate", 0.02, *QUICK).code == 2, "it was allowed once"
    done = run("train", "part", "--resume", *QUICK)
    assert done.code == 0, done.err
    assert json.loads(Path("part/run.json").read_text())["result"]["epochs"] == 6
    assert "add --resume" in run("train", moved, "--target", "species", "--allow-changes").err


def test_what_cannot_go_on(run: Run, flowers: Path) -> None:
    assert (
        "write chainrule train RUN --resume" in run("train", flowers, "--target", "species", "--resume").err
    )
    begun(run, flowers)
    Path("part/run.json").unlink()  # as a kill leaves it
    for call in (("train", "part"), ("predict", "part", flowers), ("train", flowers, "--out", "part")):
        told = run(*call)
        assert (told.code, "chainrule train part --resume goes on" in told.err) == (2, True), call
    assert "leave it out" in run("train", "part", "--resume", "--out", "other").err
    (flowers).write_text(flowers.read_text().replace("1", "2", 1))
    result = run("train", "part", "--resume", *QUICK)
    assert result.code == 2
    assert "was written by a fit on other data" in result.err
    assert run("train", flowers, "--target", "species", "--out", "part").code == 2  # not empty
    again = run(
        "train", flowers, "--target", "species", "--out", "part", "--overwrite", "--epochs", 1, *QUICK
    )
    assert again.code == 0
    assert not Path("part/checkpoints").exists()


def test_without_checkpoints_there_is_nothing_to_go_on_from(run: Run, flowers: Path) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.training.loop.run.Run.run_epoch", interrupt)
        argv = (flowers, "--target", "species", "--epochs", 2, "--out", "part", "--checkpoint", "never")
        assert run("train", *argv, *QUICK).code == 130
    assert not Path("part/checkpoints").exists()
    result = run("train", "part", "--resume")
    assert (result.code, "holds no checkpoints to go on from" in result.err) == (2, True)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "arguments": {"source": 3}}']
)
def test_a_damaged_description_is_refused(text: str, run: Run, flowers: Path) -> None:
    begun(run, flowers)
    Path("part/checkpoints/training.json").write_text(text)
    result = run("train", "part", "--resume", *QUICK)
    assert result.code == 2
    assert "training.json" in result.err


def test_a_description_from_somebody_else_is_read_as_words(run: Run, flowers: Path) -> None:
    begun(run, flowers)
    place = Path("part/checkpoints/training.json")
    content = json.loads(place.read_text())
    for name, value in (("epochs", -3), ("optimizer", "x"), ("size", [1]), ("test", "a")):
        changed = {**content, "arguments": {**content["arguments"], name: value}}
        place.write_text(json.dumps(changed))
        result = run("train", "part", "--resume", *QUICK)
        assert (result.code, "does not hold the arguments" in result.err) == (2, True), name
    changed = {
        **content,
        "arguments": {**content["arguments"], "url": "https://nowhere", "out": "/elsewhere"},
    }
    place.write_text(json.dumps(changed))
    assert run("train", "part", "--resume", *QUICK).code == 0
    assert not Path("/elsewhere").exists()


@pytest.mark.parametrize("text", ["0", "m", "0m", "-3", "5 minutes", "1e3", "epochs"])
def test_rhythms(text: str, run: Run) -> None:
    result = run("train", "digits", "--checkpoint", text)
    assert result.code == 2
    assert "write steps such as 500, minutes such as 10m, epoch, or never" in result.err
