"""`chainrule predict` and `chainrule check` on what `chainrule train` left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import FileError
from chainrule.base.files import disk as files
from chainrule.data import Preparation, Standardizer
from chainrule.networks.network import load
from tests.cli.cli_result import Run


@pytest.fixture
def flower_run(run: Run, flowers: Path) -> Path:
    argv = ("train", flowers, "--target", "species", "--epochs", 20, "--quiet", "--no-check", "--no-report")
    assert run(*argv, "--out", "run").code == 0
    return Path("run")


def test_to_standard_output(run: Run, flower_run: Path, flowers: Path) -> None:
    result = run("predict", flower_run, flowers)
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "prediction,probability"
    assert len(lines) == 91
    assert lines[1].startswith("aster,0.9")
    assert lines[90].startswith("crocus,0.9")
    assert result.err.startswith("90 of 90 right") or result.err.startswith("89 of 90 right")


def test_to_a_file_with_all_probabilities(run: Run, flower_run: Path, flowers: Path) -> None:
    result = run("predict", flower_run, flowers, "-o", "out.csv", "--probabilities")
    assert result.code == 0
    assert result.out == "90 predictions written to out.csv\n"
    lines = Path("out.csv").read_text().splitlines()
    assert lines[0] == "prediction,aster,bellis,crocus"
    assert sum(map(float, lines[1].split(",")[1:])) == pytest.approx(1, abs=1e-5)


def test_a_file_of_predictions_is_written_whole(
    run: Run, flower_run: Path, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a link, with the mode that was there; and not at all where the disk is full."""
    Path("real").mkdir()
    Path("out.csv").symlink_to("real/out.csv")
    assert run("predict", flower_run, flowers, "-o", "out.csv").code == 0
    Path("out.csv").chmod(0o600)
    expected = run("predict", flower_run, flowers).out
    assert run("predict", flower_run, flowers, "-o", "out.csv").code == 0
    assert Path("out.csv").is_symlink()
    assert Path("out.csv").stat().st_mode & 0o777 == 0o600
    assert Path("out.csv").read_text() == expected

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    result = run("predict", flower_run, flowers, "-o", "out.csv", "--probabilities")
    assert (result.code, result.out) == (2, "")
    assert result.err == "chainrule: out.csv: cannot be written (No space left on device)\n"
    assert Path("out.csv").read_text() == expected
    assert [path.name for path in Path("real").iterdir()] == ["out.csv"]
    for path, words in (("none/out.csv", "no folder none"), ("real", "this is a folder")):
        result = run("predict", flower_run, flowers, "-o", path)
        assert result.code == 2
        assert words in result.err


def test_standard_output_by_name_holds_the_predictions_alone(
    run: Run, flower_run: Path, flowers: Path
) -> None:
    expected = run("predict", flower_run, flowers).out
    argv = [sys.executable, "-m", "chainrule", "predict", flower_run, flowers, "-o", "/dev/stdout"]
    with Path("out.csv").open("w") as out:
        assert subprocess.run(argv, stdout=out, stderr=subprocess.PIPE, check=True)
    assert Path("out.csv").read_text() == expected


@pytest.mark.parametrize("labelled", [True, False])
def test_a_file_is_opened_once(
    labelled: bool, run: Run, flower_run: Path, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is replaced meanwhile gives its header and its rows, its X and its y, of one moment."""
    opened, really = [], files.opened

    def counted(path: Any, **options: Any) -> Any:
        opened.append(Path(path).name)
        return really(path, **options)

    if not labelled:
        flowers.write_text("\n".join(line.rpartition(",")[0] for line in flowers.read_text().splitlines()))
    for reader in ("readers.npz", "tables.containers"):
        monkeypatch.setattr(f"chainrule.data.{reader}.opened", counted)
    assert run("predict", flower_run, flowers).code == 0
    if labelled:
        target = (
            "--target",
            "species",
            "--epochs",
            1,
            "--quiet",
            "--no-check",
            "--no-report",
            "--out",
            "other",
        )
        assert run("train", flowers, *target).code == 0
    assert opened == [flowers.name] * (1 + labelled)
    np.savez("x.npz", X=np.ones((3, 3)), **({"species": ["aster", "bellis", "crocus"]} if labelled else {}))
    assert run("predict", flower_run, "x.npz").code == 0
    assert opened[1 + labelled :] == ["x.npz"]


def test_names_that_were_saved_as_bytes(run: Run, pictures: Path) -> None:
    with np.load(pictures) as arrays:
        X, y = arrays["X"], arrays["y"]
    names = np.array(["häuser", "犬"])[y]
    np.savez("named.npz", X=X, y=np.char.encode(names, "utf-8"))
    options = ("--epochs", 10, "--quiet", "--no-check")
    assert run("train", "named.npz", *options, "--out", "named").code == 0
    result = run("predict", "named", "named.npz")
    assert {line.split(",")[0] for line in result.out.splitlines()[1:]} == {"häuser", "犬"}
    assert result.err.startswith("60 of 60 right")
    np.savez("named.npz", X=X, y=np.char.encode(names, "utf-16"))
    result = run("train", "named.npz", *options, "--out", "other")
    assert result.code == 2
    assert "named.npz: the array 'y' holds bytes that are no UTF-8 text" in result.err
    assert "not compared with the target: named.npz" in run("predict", "named", "named.npz").err


def test_columns_are_found_by_name(run: Run, flower_run: Path) -> None:
    Path("new.csv").write_text("id,weight,width,length\nx1,500,-8,8\nx2,500,0,0\n")
    result = run("predict", flower_run, "new.csv")
    assert result.code == 0
    assert [line.split(",")[0] for line in result.out.splitlines()[1:]] == ["crocus", "aster"]
    assert result.err == ""
    Path("new.csv").write_text("weight,length\n500,8\n")
    result = run("predict", flower_run, "new.csv")
    assert result.code == 2
    assert "has no column 'width'" in result.err


def test_model_file_finds_the_description_beside_it(run: Run, flower_run: Path, flowers: Path) -> None:
    model = next(flower_run.glob("model.*"))
    expected = run("predict", flower_run, flowers).out
    assert run("predict", model, flowers).out == expected
    load(model).save(model)  # as Python writes it: without the preparation
    assert run("predict", model, flowers).out == expected


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_model_file_copied_out_of_its_folder(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    if suffix == ".npz":
        monkeypatch.setattr("chainrule.cli.folder.find_spec", lambda _: None)
    else:
        pytest.importorskip("safetensors")
    argv = ("train", flowers, "--target", "species", "--epochs", 20, "--quiet", "--no-check", "--out", "run")
    assert run(*argv).code == 0
    Path("elsewhere").mkdir()
    alone = Path("elsewhere") / f"alone{suffix}"
    alone.write_bytes((Path("run") / f"model{suffix}").read_bytes())
    result = run("predict", alone, flowers)
    assert result.out == run("predict", "run", flowers).out
    assert "right, accuracy" in result.err
    Path("elsewhere/run.json").write_text("{")  # of something else
    assert run("predict", alone, flowers).code == 0


def test_arrays_and_wrong_shapes(run: Run, flower_run: Path) -> None:
    np.save("new.npy", np.array([[8.0, -8.0, 500.0], [0.0, 0.0, 500.0]]))
    assert [line.split(",")[0] for line in run("predict", flower_run, "new.npy").out.splitlines()[1:]] == [
        "crocus",
        "aster",
    ]
    np.save("new.npy", np.ones((2, 4)))
    result = run("predict", flower_run, "new.npy")
    assert result.code == 2
    assert "a sample has shape [4], the model takes [3]" in result.err
    np.save("new.npy", np.array([[1.0, np.nan, 2.0]]))
    result = run("predict", flower_run, "new.npy")
    assert result.code == 0
    assert "the column 'width' is missing in 1 row, in training it never was" in result.err
    result = run("predict", flower_run, "new.xls")
    assert result.code == 2


def test_regression_in_the_targets_own_unit(run: Run, prices: Path) -> None:
    argv = ("train", prices, "--target", "price", "--epochs", 40, "--quiet", "--no-check", "--out", "run")
    assert run(*argv).code == 0
    result = run("predict", "run", prices)
    assert result.code == 0
    values = [float(line) for line in result.out.splitlines()[1:]]
    assert result.out.splitlines()[0] == "price"
    assert 50000 < np.mean(values) < 100000
    assert result.err.startswith("error ")


def test_images_row_by_row(run: Run, pictures: Path) -> None:
    argv = ("train", pictures, "--epochs", 10, "--quiet", "--no-check", "--out", "run")
    assert run(*argv).code == 0
    with np.load(pictures) as arrays:
        X = arrays["X"]
    expected = run("predict", "run", pictures).out
    assert [line[0] for line in expected.splitlines()[1:]] == [str(i % 2) for i in range(60)]
    np.save("flat.npy", X.reshape(60, 36))
    assert run("predict", "run", "flat.npy").out == expected
    header = bytes([0, 0, 8, 3]) + np.array(X.shape, ">u4").tobytes()
    Path("pictures-idx3-ubyte").write_bytes(header + X.tobytes())
    assert run("predict", "run", "pictures-idx3-ubyte").out == expected


def test_npz_with_a_target_is_compared(run: Run, pictures: Path) -> None:
    with np.load(pictures) as arrays:
        X, y = arrays["X"], arrays["y"]
    np.savez("named.npz", X=X, up=y == 1)
    options = ("--epochs", 10, "--quiet", "--no-check", "--no-report")
    for file, target in ((pictures, "y"), ("named.npz", "up")):
        assert run("train", file, "--target", target, *options, "--out", target).code == 0
        assert run("predict", target, file).err == "60 of 60 right, accuracy 100.0 %\n"
    np.savez("other.npz", X=X, y=y.astype(float))
    assert run("predict", "y", "other.npz").err.startswith("60 of 60 right")
    np.savez("other.npz", X=X)
    expected = run("predict", "y", "other.npz")
    assert (expected.code, expected.err) == (0, "")
    for unfit in (y[:5], np.zeros((60, 2))):
        np.savez("other.npz", X=X, y=unfit)
        result = run("predict", "y", "other.npz")
        assert (result.code, result.out) == (0, expected.out)
        assert "target" in result.err


def test_npz_with_several_targets_is_compared(run: Run) -> None:
    X = np.random.default_rng(0).standard_normal((60, 2))
    np.savez("numbers.npz", X=X, y=X @ [[1.0, 2.0], [100.0, 0.0]])
    argv = ("train", "numbers.npz", "--epochs", 60, "--quiet", "--no-check", "--out", "run")
    assert run(*argv).code == 0
    result = run("predict", "run", "numbers.npz")
    assert result.out.startswith("y_0,y_1\n")
    assert float(result.err.removeprefix("error ").split()[0]) < 30
    np.savez("numbers.npz", X=X, y=["a"] * 60)
    assert "is not what the model predicts" in run("predict", "run", "numbers.npz").err


damaged = {
    "no json": "{",
    "no object": "[1]",
    "another format": '{"format": 99}',
    "no model": '{"format": 1}',
    "model elsewhere": '{"format": 1, "model": "../model.npz"}',
}


@pytest.mark.parametrize("case", damaged)
def test_damaged_run_folder(run: Run, flowers: Path, case: str) -> None:
    Path("model.npz").write_bytes(b"x")
    Path("broken").mkdir()
    Path("broken/run.json").write_text(damaged[case])
    result = run("predict", "broken", flowers)
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "run.json" in result.err


def test_damaged_preparation(run: Run, flower_run: Path, flowers: Path) -> None:
    model = next(flower_run.glob("model.*"))
    bare = load(model)
    bare.preparation = None  # it is in run.json alone
    bare.save(model)
    path = flower_run / "run.json"
    content = json.loads(path.read_text())
    for part, value in (
        ("feature_names", [1]),
        ("target_name", 3),
        ("inputs", {"mean": [1]}),
        ("inputs", {"mean": [0, 0, 0], "scale": [1, 0, 1]}),
        ("targets", 7),
    ):
        path.write_text(json.dumps({**content, "preparation": {**content["preparation"], part: value}}))
        result = run("predict", flower_run, flowers)
        assert result.code == 2, part
        assert "run.json" in result.err
    bare.preparation = Preparation()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Preparation, "to_json", lambda self: 3)
        bare.save(model)
    result = run("predict", model, flowers)
    assert result.code == 2
    assert f"{model.name}: does not say how the inputs were prepared" in result.err


def test_preparation_survives_json() -> None:
    scale = Standardizer(np.array([0.1, 1e-300]), np.array([1 / 3, 1e300]))
    stored = json.loads(json.dumps(Preparation(("a", "b"), "t", scale, None).to_json()))
    read = Preparation.from_json(stored, Path("run.json"))
    assert read.feature_names == ("a", "b")
    assert read.targets is None
    assert read.inputs is not None
    np.testing.assert_array_equal(read.inputs.mean, scale.mean)
    np.testing.assert_array_equal(read.inputs.scale, scale.scale)
    with pytest.raises(FileError, match=r"run\.json"):
        Preparation.from_json(None, Path("run.json"))


def test_check_of_runs_models_and_files(run: Run, flower_run: Path) -> None:
    for subject in (flower_run, next(flower_run.glob("model.*"))):
        result = run("check", subject)
        assert result.code == 0, result.err
        assert "dense1.W" in result.out
    Path("net.toml").write_text('input_shape = 3\nlayers = [{ type = "Dense", units = 2 }, "Sigmoid"]')
    assert run("check", "net.toml").code == 0
    Path("net.toml").write_text('layers = [{ type = "Dense", units = 2 }, "Sigmoid"]')
    result = run("check", "net.toml")
    assert result.code == 2
    assert "input_shape" in result.err


def test_check_of_digits(run: Run) -> None:
    pytest.importorskip("sklearn")
    result = run("check", "digits")
    assert result.code == 0
    assert "conv1.W" in result.out


def test_predictions_that_overflow_are_refused_unless_asked_for(run: Run) -> None:
    """A row far beyond the training data: one line, no file, exit 1; the option writes what there is."""
    network = cr.Network([cr.Dense(2)], input_shape=1)
    network.set_parameters({"dense1.W": [[1e20], [0.0]]})
    network.save("model.npz")
    np.save("new.npy", np.array([[1.0], [1e30]]))
    for output in ((), ("-o", "out.csv")):
        result = run("predict", "model.npz", "new.npy", *output)
        assert result.code == 1
        assert result.out == ""
        assert result.err.startswith(
            "chainrule: the output for sample 1 of X is inf: in float32 the output of"
        )
        assert "--allow-nonfinite" in result.err
        assert result.err.count("\n") == 1
        assert not Path("out.csv").exists()
    result = run("predict", "model.npz", "new.npy", "--allow-nonfinite")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[1:] == ["1.00000002e+20,0", "inf,0"]
