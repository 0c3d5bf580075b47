"""Files of a generator through the door: what is learned is what was meant, or an option is named."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from chainrule.base.errors import DataError, FileError
from chainrule.base.types import Array
from chainrule.cli.arguments import build_parser
from chainrule.cli.training.sources import Problem, load_problem
from chainrule.data.preparation.columns import Date, Dropped, Levels, Quantity
from chainrule.data.preparation.table import Columns
from tests.cli.cli_result import Run
from tests.data.table_files import TableFile, Truth, Value, generated

EPOCH = datetime(1970, 1, 1)
FILES = list(generated(240, seed=31))
WAYS = {"number": Quantity, "text": Levels, "truth": Levels, "date": Date}
OPTION = re.compile(r"--(header|delimiter|decimal|encoding|missing|task|kind)\b")


def target_of(file: TableFile) -> str:
    """By name, by number, or by number where there are no names."""
    return file.truth[-1].name if file.header and int(file.name.split(".")[0]) % 2 else "-1"


def label(value: Value, file: TableFile) -> str | float:
    """As a class is written, or the number."""
    if isinstance(value, bool):
        by_word = file.facts["label"] == "yes" and file.facts["container"] not in ("parquet", "feather")
        return ("no", "yes")[value] if by_word else str(value)
    if isinstance(value, float):
        return value if file.facts["label"] == "fractions" else str(int(value))
    assert isinstance(value, str)
    return value


def load(file: TableFile, folder: Path) -> Problem:
    path = folder / file.name
    path.write_bytes(file.content)
    with warnings.catch_warnings():  # a level or a gap that the few rows to train lack
        warnings.simplefilter("ignore", UserWarning)
        return load_problem(build_parser().parse_args(["train", str(path), "--target", target_of(file)]))


def differences(problem: Problem, file: TableFile) -> list[str]:
    """Where what would be learned is not what was meant."""
    *features, target = file.truth
    meant = [label(value, file) for value in target.values]
    made = problem.preparation
    assert isinstance(made.inputs, Columns)
    assert problem.rows is not None
    order = np.concatenate([problem.rows.train, problem.rows.test])
    if sorted(order.tolist()) != list(range(len(meant))):
        return [f"rows {sorted(order.tolist())}, meant {len(meant)}"]
    y = np.concatenate([problem.y_train, problem.y_test])
    X = np.concatenate([problem.X_train, problem.X_test])
    wrong = []
    if problem.classes is None:
        assert made.targets is not None
        same = np.allclose(made.targets.undo(y).ravel(), [meant[row] for row in order], atol=1e-4)
        wrong += [] if same else ["the quantity is another"]
    else:
        if sorted(map(str, problem.classes)) != sorted(set(map(str, meant))):
            wrong.append(f"classes {problem.classes.tolist()}, meant {sorted(set(map(str, meant)))}")
        labels = [str(entry) for entry in y.tolist()]
        wrong += [] if labels == [str(meant[row]) for row in order] else ["labels of other rows"]
    if made.inputs.names != tuple(truth.name for truth in features):
        return [*wrong, f"features {made.inputs.names}"]
    first = 0
    for way, truth in zip(made.inputs.ways, features, strict=True):
        there = [truth.values[row] for row in problem.rows.train if truth.values[row] is not None]
        if isinstance(way, Dropped):
            wrong += [] if len(set(there)) == 1 else [f"{truth.name} {way.title}"]
        elif not isinstance(way, WAYS[truth.kind]):
            wrong.append(f"{truth.name} is {way.title}, meant {truth.kind}")
        else:
            columns = X[:, first : first + len(way.names)]
            wrong += value_differences(way, truth, columns, order)
        first += len(way.names)
    return wrong if first == X.shape[1] else [*wrong, f"{X.shape[1]} numbers, meant {first}"]


def value_differences(way: object, truth: Truth, numbers: Array, order: Array) -> list[str]:
    """Every row's value is in the network's numbers again."""
    for row, given in zip(order, numbers, strict=True):
        value = truth.values[row]
        if isinstance(way, Quantity):
            want = way.median if value is None else float(str(value))
            gap = given[1] == (value is None) if way.indicator else True
            right = gap and abs(given[0] * way.scale + way.mean - want) < 1e-4 * max(1, abs(want), way.scale)
        elif isinstance(way, Date):
            days = (value - EPOCH).days  # type: ignore[operator]
            right = abs(given[0] * way.elapsed.scale + way.elapsed.mean - days) < 0.01
        else:
            assert isinstance(way, Levels)
            names = [name.partition("=")[2] or name for name in way.names]
            name = "missing" if value is None else value
            right = given.sum() == (name in names) and (name not in names or given[names.index(name)] == 1)
        if not right:
            return [f"{truth.name} of row {row} is {given.tolist()}, meant {value!r}"]
    return []


@pytest.mark.turns(2)
@pytest.mark.parametrize("part", range(4))
def test_what_was_meant_is_learned_or_refused_with_an_option(part: int, tmp_path: Path) -> None:
    wrong, refused = [], Counter[str]()
    for file in FILES[part::4]:
        try:
            wrong += [f"{file.name} {text} {file.facts}" for text in differences(load(file, tmp_path), file)]
        except (DataError, FileError) as error:
            if not OPTION.search(str(error)):
                wrong.append(f"{error} names no option {file.facts}")
            refused[str(error).partition(": ")[2][:60]] += 1
    assert not wrong, "\n".join(wrong)
    assert refused.total() <= 5, refused  # of 60


@pytest.mark.parametrize("part", range(3))
def test_predict_takes_the_file_trained_on(part: int, run: Run, tmp_path: Path) -> None:
    """All of its rows in their order, each with a label as written, compared with what the file holds."""
    brief = ("--epochs", 1, "--quiet", "--no-check", "--no-report")
    for file in FILES[part * 8 : part * 8 + 8]:
        path = tmp_path / file.name
        path.write_bytes(file.content)
        trained = run("train", path, "--target", target_of(file), *brief, "--out", "run", "--overwrite")
        if trained.code:
            assert OPTION.search(trained.err), trained.err
            continue
        predicted = run("predict", "run", path)
        rows = list(csv.reader(io.StringIO(predicted.out)))[1:]
        meant = [label(value, file) for value in file.truth[-1].values]
        assert predicted.code == 0, predicted.err
        assert len(rows) == len(meant), file.facts
        if file.facts["label"] == "fractions":
            assert f"(root mean square) over {len(meant)} samples" in predicted.err, file.facts
            continue
        right = sum(row[0] == given for row, given in zip(rows, meant, strict=True))
        assert {row[0] for row in rows} <= {str(given) for given in meant}, file.facts
        assert f"{right} of {len(meant)} right" in predicted.err, file.facts
