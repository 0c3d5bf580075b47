"""What `chainrule train` takes beside tables: IDX sets of any kind, folders of images, sequences, ids."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from chainrule.base.types import Array
from tests.cli.cli_result import Run

BRIEF = ("--quiet", "--no-check", "--no-report", "--out", "run", "--overwrite")


def idx(path: Path, array: Array) -> None:
    raw = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def letters(count: int, classes: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(count)
    y = (np.arange(count) % classes).astype(np.uint8)
    X = rng.integers(0, 60, (count, 13, 9), dtype=np.uint8)
    X[np.arange(count), y] = 255
    return X, y


@pytest.mark.parametrize("classes", [2, 13])
@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("test", [True, False])
def test_any_idx_set(classes: int, packed: str, test: bool, run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for part, count in (("train", 104), *((("t10k", 26),) if test else ())):
        X, y = letters(count, classes)
        idx(folder / f"{part}-images-idx3-ubyte{packed}", X)
        idx(folder / f"{part}-labels-idx1-ubyte{packed}", y)
    result = run("train", folder, "--epochs", 12, *BRIEF)
    assert result.code == 0, result.err
    held_out = 26 if test else 21
    assert (
        f"samples of 13x9x1, {classes} classes; {104 if test else 83} to train, {held_out} held out"
        in result.out
    )
    assert float(result.out.split()[-2]) > 80
    images = folder / f"train-images-idx3-ubyte{packed}"
    assert run("train", images, "--epochs", 1, *BRIEF).code == 0
    assert run("predict", "run", images).out.count("\n") == 105
    assert run("doctor", "run").code in (0, 1)


def test_idx_files_that_do_not_belong_together(run: Run, tmp_path: Path) -> None:
    X, y = letters(20, 2)
    idx(tmp_path / "a-images-idx3-ubyte", X)
    assert "its labels are not beside it" in run("train", tmp_path / "a-images-idx3-ubyte", *BRIEF).err
    idx(tmp_path / "a-labels-idx1-ubyte", y[:-1])
    assert "give one label each" in run("train", tmp_path / "a-images-idx3-ubyte", *BRIEF).err
    idx(tmp_path / "b-images-idx3-ubyte", X)
    assert "name the file to train on" in run("train", tmp_path, *BRIEF).err


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_a_folder_of_images_by_class(mode: str, run: Run, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for name, bright in (("cats", slice(0, 5)), ("dogs", slice(5, 10))):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(15):
            pixels = rng.integers(0, 70, (10, 12, 3), dtype=np.uint8)
            pixels[bright] += 150
            image.fromarray(pixels).convert(mode).save(tmp_path / "pets" / name / f"{number:02}.png")
    result = run("train", tmp_path / "pets", "--epochs", 12, *BRIEF)
    assert result.code == 0, result.err
    channels = 1 if mode in ("L", "1") else 3
    assert f"30 samples of 10x12x{channels}, 2 classes" in result.out
    assert "classes: cats, dogs" in result.out
    assert float(result.out.split()[-2]) > 80
    predicted = run("predict", "run", tmp_path / "pets" / "dogs", "--keep", "file").out.splitlines()
    assert predicted[0] == "file,prediction,probability"
    assert sum(line.split(",")[1] == "dogs" for line in predicted[1:]) >= 13
    image.new("RGB", (30, 31)).save(tmp_path / "pets" / "cats" / "large.jpg")
    assert "has 31 x 30 pixels" in run("train", tmp_path / "pets", *BRIEF).err
    assert run("train", tmp_path / "pets", "--size", "8x6", "--epochs", 1, *BRIEF).code == 0
    assert run("predict", "run", tmp_path / "pets" / "cats" / "large.jpg").out.count("\n") == 2
    (tmp_path / "pets" / "cats" / "broken.png").write_bytes(b"\x89PNG")
    assert "broken.png: is no image that can be read" in run("train", tmp_path / "pets", *BRIEF).err


def test_a_folder_with_a_part_to_test_on(run: Run, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for part, count in (("train", 8), ("val", 3)):
        for name, grey in (("dark", 10), ("light", 240)):
            (tmp_path / "set" / part / name).mkdir(parents=True)
            for number in range(count):
                image.new("L", (6, 6), grey + number).save(tmp_path / "set" / part / name / f"{number}.png")
    result = run("train", tmp_path / "set", "--epochs", 5, *BRIEF)
    assert result.code == 0, result.err
    assert "16 to train, 6 held out" in result.out
    assert "tested on the images in" in result.out
    (tmp_path / "one" / "class").mkdir(parents=True)
    assert "needs a folder of images for every class" in run("train", tmp_path / "one", *BRIEF).err


SEQUENCES = np.random.default_rng(0).normal(size=(80, 9, 3))
UP = (SEQUENCES[:, :, 0].sum(axis=1) > 0).astype(int)
IDS = np.random.default_rng(0).integers(0, 20, (80, 6))
LSTM = 'layers = [{ type = "LSTM", units = 6 }, { type = "Dense", units = 2 }, "Softmax"]\n'
EMBEDDED = (
    'layers = [{ type = "Embedding", vocabulary = 20, features = 4 }, { type = "LSTM", units = 6 }, '
    '{ type = "Dense", units = 2 }, "Softmax"]\n'
)


@pytest.mark.parametrize(
    ("X", "options"),
    [
        (SEQUENCES, ("--inputs", "sequences")),
        (SEQUENCES.astype(np.float32), ("--network", "lstm")),
        (SEQUENCES, ("--network", "net.toml")),
        (IDS, ("--inputs", "ids")),
        (IDS.astype(np.uint8), ("--inputs", "ids", "--network", "dense")),
        (IDS.astype(np.int32), ("--network", "ids.toml")),
    ],
    ids=["sequences", "by name", "by file", "ids", "ids of bytes", "ids by file"],
)
def test_sequences_and_ids(X: Array, options: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    (tmp_path / "net.toml").write_text(LSTM)
    (tmp_path / "ids.toml").write_text(EMBEDDED)
    np.savez("data.npz", X=X, y=UP)
    result = run("train", "data.npz", "--epochs", 3, *options, *BRIEF)
    assert result.code == 0, result.err
    scaled = json.loads(Path("run/run.json").read_text())["preparation"]["inputs"]
    assert (scaled is None) == (X.dtype.kind in "iu")
    assert "of 80 right" in run("predict", "run", "data.npz").err
    for command in (("doctor", "run"), ("check", "run"), ("explain", "run", "-o", "r.md")):
        done = run(*command)
        assert done.code in (0, 1)
        assert "chainrule: " not in done.err, done.err


def test_a_shape_that_may_be_two_things_is_asked_for(run: Run) -> None:
    np.savez("data.npz", X=SEQUENCES, y=UP)
    result = run("train", "data.npz", *BRIEF)
    assert result.code == 2
    assert "--inputs images reads 9 x 3 pixels, --inputs sequences 9 steps of 3 numbers" in result.err
    for kind, layer in (("images", "conv1"), ("sequences", "lstm1")):
        assert layer in run("train", "data.npz", "--inputs", kind, "--epochs", 1, *BRIEF).out
    np.savez("data.npz", X=IDS - 1, y=UP)
    assert "ids are whole numbers from 0 on" in run("train", "data.npz", "--inputs", "ids", *BRIEF).err
    np.savez("data.npz", X=IDS, y=UP)
    assert "give (N, features), images" in run("train", "data.npz", "--inputs", "images", *BRIEF).err
