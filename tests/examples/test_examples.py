"""The examples run and reach what they print."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

folder = Path(__file__).parents[2] / "examples"


def load_example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.strip().splitlines()[-1]


def test_every_example_is_run_here() -> None:
    run = {name.removeprefix("test_") for name, value in globals().items() if callable(value)}
    assert {path.stem for path in folder.glob("*.py")} <= run


def test_xor(capsys: pytest.CaptureFixture[str]) -> None:
    load_example("xor").main()
    results = [float(line.split("=")[1]) for line in capsys.readouterr().out.splitlines() if "xor" in line]
    assert [round(result) for result in results] == [0, 1, 1, 0]


def test_regression(capsys: pytest.CaptureFixture[str]) -> None:
    load_example("regression").main()
    assert float(last_line(capsys).split()[-1]) < 0.2


def test_digits_conv(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    assert load_example("digits_conv").main(epochs=2) > 0.93
    assert last_line(capsys).startswith("test accuracy 9")


def test_own_layer(capsys: pytest.CaptureFixture[str]) -> None:
    assert load_example("own_layer").main()
    assert float(last_line(capsys).split()[-2]) > 90


def test_characters(capsys: pytest.CaptureFixture[str]) -> None:
    assert load_example("characters").main(epochs=12) < 1.0
    assert "Now is" in capsys.readouterr().out


def test_transformer() -> None:
    """A quarter of the sentences is of one module; the docstrings are those of the Python that runs this."""
    assert load_example("transformer").main(epochs=5) > 0.5


def test_mislabelled(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    assert load_example("mislabelled").main() > 0.8
    assert last_line(capsys).startswith("of 89 wrong labels")


def test_spread(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers train the bits that threads of this process train; what is not installed is named."""
    pytest.importorskip("sklearn")
    module = load_example("spread")
    with monkeypatch.context() as patch:  # as loky's own workers import it
        patch.setattr(module, "WORKERS", 1)
        alone = module.main("threading", epochs=1)
    assert module.main("loky", epochs=1) == alone
    assert last_line(capsys).startswith("search ")
    for backend, package in (("dask", r"'dask\[distributed\]'"), ("ray", "'ray'")):
        monkeypatch.setitem(sys.modules, "dask.distributed" if backend == "dask" else "ray", None)
        with pytest.raises(SystemExit, match=f"pip install {package}, here and on every machine"):
            module.main(backend)
    with pytest.raises(SystemExit, match="write loky, threading, dask or ray, not slurm"):
        module.main("slurm")


def test_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = load_example("reports")
    module.main(tmp_path)
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 5
    assert all("check passed" in line for line in lines)
    assert {path.stem for path in tmp_path.glob("*.html")} == set(module.REPORTS)
    assert "J ≈ 2.14636" in lines[1]  # Ng's value at λ = 3


def test_translation() -> None:
    """Sentences it has not seen, every word right: from English words to German ones in another order."""
    assert load_example("translation").main(examples=1500, epochs=5) > 0.9
