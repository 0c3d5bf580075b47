"""`chainrule bench` on sizes that take no time: everything is measured and written; no time is asserted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chainrule import bench
from chainrule.bench.workloads import Workload
from chainrule.cli import main
from chainrule.layers import LSTM, Conv2D, Dense, DepthwiseConv2D, Layer, ReLU
from tests.benchmarks.tiny import BATCHNORM, CONV, DENSE, DEPTHWISE, NORMS, RECURRENT, TRANSFORMER


@pytest.mark.parametrize(
    ("layer", "input_shape", "output_shape", "count"),
    [
        (Dense(1024), (1024,), (1024,), 2 * 1024 * 1024),
        (Conv2D(40, 5), (12, 12, 20), (8, 8, 40), 2 * 8 * 8 * 40 * 5 * 5 * 20),
        (Conv2D(40, 5, groups=4), (12, 12, 20), (8, 8, 40), 2 * 8 * 8 * 40 * 5 * 5 * 5),
        (DepthwiseConv2D(3), (12, 12, 20), (10, 10, 20), 2 * 10 * 10 * 20 * 3 * 3),
        (Dense(7), (5, 3), (5, 7), 2 * 5 * 7 * 3),
        (LSTM(7), (5, 3), (7,), 2 * 5 * 4 * 7 * (3 + 7)),
        (ReLU(), (12,), (12,), 0),
    ],
)
def test_operations(
    layer: Layer, input_shape: tuple[int, ...], output_shape: tuple[int, ...], count: int
) -> None:
    assert bench.operations(layer, input_shape, output_shape) == count


def test_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = bench.Kernel("tiny", (6, 6, 1), 3, Conv2D(2, 3), Conv2D(2, 3))
    monkeypatch.setattr(
        bench, "WORKLOADS", (DENSE, CONV, DEPTHWISE, NORMS, BATCHNORM, RECURRENT, TRANSFORMER)
    )
    monkeypatch.setattr(bench, "kernels", lambda: (kernel,))
    shown: list[str] = []
    results = bench.run(quick=True, profile=True, json_file=tmp_path / "bench.json", show=shown.append)
    text = "\n".join(shown)
    assert all(word in text for word in ("GFLOP/s", "conv1", "maxpool1", "dense2", DENSE.title, "gather"))
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written == json.loads(json.dumps(results))
    assert [one["direction"] for one in written["kernels"]] == ["forward", "gradients", "δ"]
    parts = [part["name"] for part in written["steps"][1]["profile"]]
    assert parts == ["conv1", "maxpool1", "dense1", "gather", "loss", "update"]
    norms = {part["name"]: part["seconds"] for part in written["steps"][3]["profile"]}
    assert all(norms["conv1"][:2])
    assert norms["update"] == [0.0]


def test_a_file_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bench", "--json", str(tmp_path / "none" / "bench.json")]) == 2
    assert "bench.json" in capsys.readouterr().err


def test_parts_of_a_network_in_branches() -> None:
    layers = (("dense", 6), ("relu",), ("residual", ("dense", 6), ("relu",)), ("dense", 3), ("softmax",))
    trainer = bench.Trainer(Workload("branches", "branches", (6,), 4, 2, layers))
    parts = {part.name: part for part in trainer.profile(epochs=1)}
    within = ["dense1", "readers of dense1", "residual1.dense1", "residual1", "dense2"]
    assert list(parts) == [*within, "gather", "loss", "update"]
    assert parts["residual1.dense1"].operations == 4 * 2 * 6 * 6


def test_a_branch_that_begins_with_what_reads_it_several_times() -> None:
    layers = (("residual", ("attention", 2)), ("average",), ("dense", 3), ("softmax",))
    trainer = bench.Trainer(Workload("attention", "attention", (20, 6), 4, 1, layers))
    readers = [part.name for part in trainer.profile(epochs=1) if part.name.startswith("residual1 (")]
    assert len(readers) == 1


def test_what_lies_in_the_lanes() -> None:
    parts = {part.name: part.lanes for part in bench.Trainer(TRANSFORMER).profile(epochs=1)}
    lanes = bench.Trainer(TRANSFORMER).plan.lanes
    # 5 steps: of all samples one behind the other where that leaves fewer lanes empty
    expected = {4: "positions 2.5/4", 8: "positions 5/8", 16: "5 bands 12.5/16"}
    assert parts["residual2.dense1"] == expected[lanes]
    assert parts["dense1"] == f"samples {TRANSFORMER.batch / -(-TRANSFORMER.batch // lanes):.3g}/{lanes}"
    assert parts["update"] == ""


@pytest.mark.parametrize(
    ("input_shape", "layers"),
    [
        ("[6, 6, 2]", '[{ type = "Conv2D", filters = 3, kernel_size = 3 }, "Flatten", "DENSE", "Softmax"]'),
        (
            "[5]",
            '[{ type = "Embedding", vocabulary = 9, features = 4 }, { type = "LSTM", units = 3 }, "DENSE"]',
        ),
    ],
)
def test_a_network_of_ones_own(
    input_shape: str, layers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "net.toml"
    layers = layers.replace('"DENSE"', '{ type = "Dense", units = 4 }')
    file.write_text(f"input_shape = {input_shape}\nlayers = {layers}\n")
    figures = tmp_path / "bench.json"
    command = ["bench", str(file), "--quick", "--profile", "--batch-size", "3", "--json", str(figures)]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert all(
        word in shown for word in ("a training step, batch 3", "predict, batch 3", "samples 3/", "dense1")
    )
    written = json.loads(figures.read_text())
    assert written["step"]["median"] > 0
    assert {"dense1", "update"} <= {part["name"] for part in written["step"]["profile"]}


def test_of_a_network_that_cannot_be_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.toml"
    file.write_text('layers = [{ type = "Dense", units = 4 }]\n')
    for words, told in (
        ([str(file)], "needs an input_shape"),
        (["reuse", "--batch-size", "5"], "leave it out beside reuse"),
    ):
        assert main(["bench", *words]) == 2
        assert told in capsys.readouterr().err
