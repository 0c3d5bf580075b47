"""Logs for other programs: lines of JSON, and what TensorBoard's writer is told."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import FileError, MissingExtraError

R = np.random.default_rng(0)
X, y = R.normal(size=(40, 3)), R.integers(0, 2, 40)


def trained(callbacks: Any, epochs: int = 2, **options: Any) -> cr.History:
    network = cr.Network([cr.Dense(4), cr.Tanh(), cr.Dense(2), cr.Softmax()], input_shape=3, seed=0)
    given = {"batch_size": 10, "validation": 0.25, "progress": False, **options}
    return cr.fit(network, X, y, epochs=epochs, callbacks=callbacks, **given)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_epoch_is_a_line_and_so_is_every_so_many_steps(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "log.jsonl"
    history = trained(cr.JSONLines(path, every_steps=2))
    lines = read(path)
    assert [line.get("step") for line in lines] == [2, None, 4, 6, None, None]
    epochs = [line for line in lines if "seconds" in line]
    assert [line["loss"] for line in epochs] == history.loss
    assert [line["validation_loss"] for line in epochs] == history.validation_loss
    assert [lines[0]["epoch"], lines[3]["epoch"]] == [1, 2]
    assert lines[-1] == {"stopped": None}


def test_without_steps_the_parameters_stay_in_the_kernels(tmp_path: Path) -> None:
    log = cr.JSONLines(tmp_path / "log.jsonl")
    trained(log)
    assert [set(line) >= {"epoch", "loss"} for line in read(tmp_path / "log.jsonl")] == [True, True, False]
    assert log.on_step_end.__func__ is cr.Callback.on_step_end  # type: ignore[attr-defined]
    assert not log.reads_network


def test_a_training_that_goes_on_keeps_the_lines_before_it(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for epochs in (1, 3):
        trained(cr.JSONLines(path), epochs, checkpoint=tmp_path / "run")
    assert [line["epoch"] for line in read(path) if "epoch" in line] == [1, 2, 3]
    path.write_text(path.read_text(encoding="utf-8") + '{"epoch": 4, "lo', encoding="utf-8")  # killed
    trained(cr.JSONLines(path), 4, checkpoint=tmp_path / "run")
    assert [line["epoch"] for line in read(path) if "epoch" in line] == [1, 2, 3, 4]
    trained(cr.JSONLines(path), 1)
    assert len(read(path)) == 2


def test_what_is_not_finite_is_null(tmp_path: Path) -> None:
    log = cr.JSONLines(tmp_path / "log.jsonl")
    context = types.SimpleNamespace(
        epoch=0, steps=3, step=1, loss=float("nan"), accuracy=None, stopped="ended"
    )
    log.on_fit_begin(context)  # type: ignore[arg-type]
    type(log).on_step_end(log, context)  # type: ignore[arg-type]
    log.on_fit_end(context)  # type: ignore[arg-type]
    assert read(tmp_path / "log.jsonl") == [{"step": 1, "epoch": 1, "loss": None}, {"stopped": "ended"}]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        trained(cr.JSONLines(tmp_path))


class Writer:
    made: dict[str, list[tuple[str, float, int]]]

    def __init__(self, folder: str) -> None:
        self.numbers = self.made.setdefault(Path(folder).name, [])

    def add_scalar(self, name: str, value: float, at: int) -> None:
        self.numbers.append((name, value, at))

    def flush(self) -> None: ...

    def close(self) -> None:
        self.numbers.append(("closed", 0, 0))


def test_tensorboard_is_told_training_and_validation_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module: Any = types.ModuleType("tensorboardX")
    module.SummaryWriter, Writer.made = Writer, {}
    monkeypatch.setitem(sys.modules, "tensorboardX", module)
    history = trained(cr.TensorBoard(tmp_path, every_steps=3))
    train, validation = Writer.made["train"], Writer.made["validation"]
    assert [value for name, value, _ in train if name == "loss"] == history.loss
    assert [(value, at) for name, value, at in validation if name == "loss"] == [
        *zip(history.validation_loss, (1, 2), strict=True)
    ]
    assert [at for name, _, at in train if name == "step/loss"] == [3, 6]
    assert train[-1][0] == validation[-1][0] == "closed"


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingExtraError, match=r"chainrule\[tensorboard\]"):
        trained(cr.TensorBoard(tmp_path))
