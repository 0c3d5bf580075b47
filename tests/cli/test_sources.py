"""What `chainrule train` takes beside tables: IDX sets of any kind, folders of images, sequences, ids."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chainrule.base.types import Array
from tests.cli.cli_result import Run
from tests.pairwise import pairwise

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


@pytest.mark.turns(2)
@pytest.mark.parametrize(("classes", "packed", "test"), pairwise([2, 13], ["", ".gz"], [True, False]))
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
    rng = np.random.default_rng(0)
    for name, bright in (("cats", slice(0, 5)), ("dogs", slice(5, 10))):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(15):
            pixels = rng.integers(0, 70, (10, 12, 3), dtype=np.uint8)
            pixels[bright] += 150
            Image.fromarray(pixels).convert(mode).save(tmp_path / "pets" / name / f"{number:02}.png")
    result = run("train", tmp_path / "pets", "--epochs", 12, *BRIEF)
    assert result.code == 0, result.err
    channels = 1 if mode in ("L", "1") else 3
    assert f"30 samples of 10x12x{channels}, 2 classes" in result.out
    assert "classes: cats, dogs" in result.out
    assert float(result.out.split()[-2]) > 80
    predicted = run("predict", "run", tmp_path / "pets" / "dogs", "--keep", "file").out.splitlines()
    assert predicted[0] == "file,prediction,probability"
    assert sum(line.split(",")[1] == "dogs" for line in predicted[1:]) >= 13
    Image.new("RGB", (30, 31)).save(tmp_path / "pets" / "cats" / "large.jpg")
    assert "has 31 x 30 pixels" in run("train", tmp_path / "pets", *BRIEF).err
    assert run("train", tmp_path / "pets", "--size", "8x6", "--epochs", 1, *BRIEF).code == 0
    assert run("predict", "run", tmp_path / "pets" / "cats" / "large.jpg").out.count("\n") == 2
    (tmp_path / "pets" / "cats" / "broken.png").write_bytes(b"\x89PNG")
    assert "broken.png: is no image that can be read" in run("train", tmp_path / "pets", *BRIEF).err


def test_a_folder_with_a_part_to_test_on(run: Run, tmp_path: Path) -> None:
    for part, count in (("train", 8), ("val", 3)):
        for name, grey in (("dark", 10), ("light", 240)):
            (tmp_path / "set" / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("L", (6, 6), grey + number).save(tmp_path / "set" / part / name / f"{number}.png")
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


@pytest.mark.turns(3)
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


def classes_of_images(folder: Path, *classes: str, count: int = 6) -> None:
    for shade, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.new("L", (6, 6), 40 * shade + number).save(folder / name / f"{number}.png")


@pytest.mark.parametrize("place", [".cache", ".ipynb_checkpoints", "__MACOSX", "cats/.ipynb_checkpoints"])
def test_what_is_hidden_is_no_class(place: str, run: Run, tmp_path: Path) -> None:
    classes_of_images(tmp_path / "pets", "cats", "dogs", place)
    (tmp_path / "pets" / "cats" / "._0.png").write_bytes(b"no image")
    result = run("train", "pets", "--epochs", 1, *BRIEF)
    assert result.code == 0, result.err
    assert "12 samples of 6x6x1, 2 classes" in result.out
    assert "not read" not in result.out


@pytest.mark.parametrize("place", ["cats/small/0.png", "0.png", "more/cats/0.png"])
def test_images_that_are_not_read_are_told(place: str, run: Run, tmp_path: Path) -> None:
    classes_of_images(tmp_path / "pets", "cats", "dogs")
    (tmp_path / "pets" / place).parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 6), 9).save(tmp_path / "pets" / place)
    result = run("train", "pets", "--epochs", 1, *BRIEF)
    assert result.code == 0, result.err
    assert f"images that are not read, in no folder of a class: 1, such as pets/{place}" in result.out


@pytest.mark.parametrize("classes", [("cats", "dogs"), ("1", "2", "10"), ("01", "1", "2")])
def test_the_folder_trained_on_is_predicted_and_compared(
    classes: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    classes_of_images(tmp_path / "set", *classes)
    assert run("train", "set", "--epochs", 1, *BRIEF).code == 0
    result = run("predict", "run", "set", "--keep", "file")
    assert result.code == 0, result.err
    assert len(result.out.splitlines()) == 6 * len(classes) + 1
    assert f"{sorted(classes)[0]}/0.png," in result.out
    assert f"of {6 * len(classes)} right" in result.err
    (tmp_path / "more" / "set").mkdir(parents=True)
    (tmp_path / "set").rename(tmp_path / "more" / "set")
    assert "name one of its folders: more/set" in run("predict", "run", "more").err


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (("cats", "dogs"), "2 held out"),
        (("dogs",), "1 held out"),
        (("cats", "birds"), "the test part holds the class birds, which is none of the classes to train on"),
    ],
)
@pytest.mark.parametrize("part", ["test", "testing", "val"])
def test_a_part_to_test_on_has_the_classes_of_training(
    part: str, test: tuple[str, ...], said: str, run: Run, tmp_path: Path
) -> None:
    classes_of_images(tmp_path / "set" / "train", "cats", "dogs")
    classes_of_images(tmp_path / "set" / part, *test, count=1)
    result = run("train", "set", "--epochs", 1, *BRIEF)
    assert said in result.out + result.err
    assert result.code == (2 if "birds" in test else 0)


@pytest.mark.parametrize("labels", [[0, 1, 2], [2, 2, 2], [1, 2, 3], [7, 0, 0]])
def test_labels_to_test_on_are_among_those_to_train_on(labels: list[int], run: Run, tmp_path: Path) -> None:
    X = np.random.default_rng(0).integers(0, 255, (30, 5, 5), dtype=np.uint8)
    (tmp_path / "set").mkdir()
    idx(tmp_path / "set" / "train-images-idx3-ubyte", X)
    idx(tmp_path / "set" / "train-labels-idx1-ubyte", np.arange(30, dtype=np.uint8) % 3)
    idx(tmp_path / "set" / "t10k-images-idx3-ubyte", X[:3])
    idx(tmp_path / "set" / "t10k-labels-idx1-ubyte", np.array(labels, dtype=np.uint8))
    result = run("train", "set", "--epochs", 1, *BRIEF)
    if max(labels) > 2:
        assert result.code == 2
        assert f"the test part holds the class {max(labels)}, which is none of" in result.err
        return
    assert result.code == 0, result.err
    assert "30 to train, 3 held out" in result.out
    assert "target labels: classes" in result.out
    assert "name the one to predict" in run("predict", "run", "set").err
    assert run("predict", "run", "set/t10k-images-idx3-ubyte").code == 0


def test_predict_reads_the_array_that_was_learned_from(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "t.npz", x_train=rng.normal(size=(40, 3)), y_train=np.arange(40) % 2)
    assert run("train", "t.npz", "--x", "x_train", "--target", "y_train", "--epochs", 1, *BRIEF).code == 0
    result = run("predict", "run", "t.npz")
    assert result.code == 0, result.err
    assert "of 40 right" in result.err
    np.savez(tmp_path / "f.npz", features=rng.normal(size=(4, 3)))
    assert "--x NAME" in run("predict", "run", "f.npz").err
    assert run("predict", "run", "f.npz", "--x", "features").code == 0
    assert run("explain", "run", "--data", "t.npz").code == 0
