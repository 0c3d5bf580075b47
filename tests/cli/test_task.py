"""`chainrule train` on targets in every form: what they are taken for is printed, kept, and can be said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from chainrule.base.types import Array
from tests.cli.cli_result import Run
from tests.pairwise import each

BRIEF = ("--epochs", 2, "--quiet", "--no-check", "--no-report", "--out", "run", "--overwrite")


def learned(run: Run, X: Array, y: Array, *options: object) -> tuple[str, str]:
    """What the target was taken for, and the last line."""
    np.savez("data.npz", X=X, y=y)
    result = run("train", "data.npz", *BRIEF, *options)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    content = json.loads(Path("run/run.json").read_text())
    assert lines[1] == f"target y: {content['data']['target']}"
    predicted = run("predict", "run", "data.npz")
    assert predicted.code == 0
    assert "not what the model predicts" not in predicted.err
    return lines[1], lines[-1]


LABELS = np.arange(90) % 3
FORMS: dict[str, Array] = {
    "a column": LABELS[:, None], "floats": LABELS.astype(np.float64), "float column": LABELS[:, None] / 1.0,
    "bytes": LABELS.astype("S"), "text": LABELS.astype(str), "unsigned": LABELS.astype(np.uint16),
    "one-hot": np.eye(3, dtype=np.int8)[LABELS], "one-hot floats": np.eye(3)[LABELS],
    "one-hot truth": np.eye(3, dtype=bool)[LABELS],
}  # fmt: skip


@pytest.mark.turns(2)
@pytest.mark.parametrize(("form", "shape"), each(FORMS, [(4,), (5, 5), (5, 5, 3)], turns=2))
def test_labels_of_every_form(run: Run, form: str, shape: tuple[int, ...]) -> None:
    X = np.random.default_rng(0).normal(size=(90, *shape)) + LABELS.reshape(-1, *(1 for _ in shape))
    taken, last = learned(run, X, FORMS[form], *(("--inputs", "images") if len(shape) == 2 else ()))
    assert taken.startswith("target y: classes: ")
    assert last.startswith("test accuracy ")
    assert json.loads(Path("run/run.json").read_text())["preparation"]["targets"] is None
    said = run("predict", "run", "data.npz").err
    for other in FORMS.values():  # the same labels however a later file holds them
        np.savez("other.npz", X=X, y=other)
        assert run("predict", "run", "other.npz").err == said
    assert run("doctor", "run", "--data", "data.npz").code in (0, 1)


def test_letters_numbered_from_one(run: Run) -> None:
    y = 1 + np.arange(26 * 5) % 26
    X = np.random.default_rng(0).integers(0, 256, (len(y), 6, 6), dtype=np.uint8)
    assert learned(run, X, y)[0] == "target y: classes: 26 whole numbers 1 to 26, each 5 times"


def test_doubt_is_refused_and_the_advice_holds(run: Run) -> None:
    y = np.repeat([10, 20, 30, 40], 20)
    X = np.random.default_rng(0).normal(size=(80, 3))
    np.savez("data.npz", X=X, y=y)
    result = run("train", "data.npz", *BRIEF)
    assert result.code == 2
    assert (
        "data: the target may be classes or a quantity: 4 whole numbers 10 to 40, each 20 times" in result.err
    )
    assert learned(run, X, y, "--task", "classify")[1].startswith("test accuracy ")
    assert learned(run, X, y, "--task", "regress")[1].startswith("test error ")


def test_several_labels_per_sample(run: Run) -> None:
    y = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]] * 10)
    X = np.random.default_rng(0).normal(size=(30, 3))
    np.savez("data.npz", X=X, y=y)
    result = run("train", "data.npz", *BRIEF)
    assert result.code == 2
    assert "several labels per sample" in result.err
    assert learned(run, X, y, "--task", "regress")[0] == "target y: a quantity: 3 columns of numbers"


def test_numbers_of_a_csv_file(run: Run, tmp_path: Path) -> None:
    rows = [f"{i * 0.5},{i % 7 - 3},{4 + i % 3}" for i in range(60)]
    (tmp_path / "cylinders.csv").write_text("a,b,cylinders\n" + "\n".join(rows) + "\n")
    argv = ("train", "cylinders.csv", "--target", "cylinders", *BRIEF)
    assert "cylinders: the target may be classes or a quantity" in run(*argv).err
    assert "target cylinders: classes: 3 whole numbers 4 to 6" in run(*argv, "--task", "classify").out


@pytest.mark.parametrize("entries", [["a", "b"], [b"a", b"b"], [1, 2], [1.0, 2.0]])
def test_advice_on_objects_holds(run: Run, entries: list[object]) -> None:
    y = np.array(entries * 30, dtype=object)
    X = np.random.default_rng(0).normal(size=(60, 3))
    np.savez("objects.npz", X=X, y=y)
    refused = run("train", "objects.npz", *BRIEF)
    assert refused.code == 2
    assert "it holds Python objects: save numbers or texts, such as y.astype(str)" in refused.err
    assert learned(run, X, y.astype(str))[0].startswith("target y: classes: ")
