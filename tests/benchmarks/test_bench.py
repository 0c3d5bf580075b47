"""`chainrule bench` on sizes that take no time: everything is measured and written; no time is asserted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chainrule import bench
from chainrule.cli import main
from chainrule.layers import Conv2D, Dense, Layer, ReLU
from tests.benchmarks.tiny import CONV, DENSE


@pytest.mark.parametrize(
    ("layer", "input_shape", "output_shape", "count"),
    [
        (Dense(1024), (1024,), (1024,), 2 * 1024 * 1024),
        (Conv2D(40, 5), (12, 12, 20), (8, 8, 40), 2 * 8 * 8 * 40 * 5 * 5 * 20),
        (ReLU(), (12,), (12,), 0),
    ],
)
def test_operations(
    layer: Layer, input_shape: tuple[int, ...], output_shape: tuple[int, ...], count: int
) -> None:
    assert bench.operations(layer, input_shape, output_shape) == count


def test_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = bench.Kernel("tiny", (6, 6, 1), 3, Conv2D(2, 3), Conv2D(2, 3))
    monkeypatch.setattr(bench, "WORKLOADS", (DENSE, CONV))
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


def test_a_file_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bench", "--json", str(tmp_path / "none" / "bench.json")]) == 2
    assert "bench.json" in capsys.readouterr().err
