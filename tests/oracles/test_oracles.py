"""Every published number by every engine; and that a wrong number is seen."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import oracles
from chainrule.base.errors import FileError, MissingExtraError
from chainrule.networks.executor import Executor
from chainrule.oracles import Row, Source, ng, nielsen
from tests.cli.cli_result import Run
from tests.cli.conftest import run  # noqa: F401 - a fixture


@cache
def measured(source: Source, engine: type[Executor]) -> Any:
    return source.recipe(engine())


def once(source: Source) -> Source:
    """The source with a recipe that every engine follows once: Mazur's has 10 000 steps."""
    return replace(source, recipe=lambda executor: measured(source, type(executor)))


SOURCES = tuple(once(source) for source in oracles.SOURCES)
ROWS = [(source, row) for source in SOURCES for row in source.rows]


@pytest.fixture(autouse=True)
def recipes_followed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracles, "SOURCES", SOURCES)


@pytest.mark.parametrize("engine", oracles.ENGINES)
@pytest.mark.parametrize(("source", "row"), ROWS, ids=[f"{s.name}: {r.item}" for s, r in ROWS])
def test_number(source: Source, row: Row, engine: str) -> None:
    ours = source.recipe(oracles.ENGINES[engine]())[row.item]
    assert row.holds(ours), f"expected {row.expected}, ours {ours}, difference {row.difference(ours)}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_names_are_unique(source: Source) -> None:
    items = [row.item for row in source.rows]
    assert len(set(items)) == len(items)
    assert len({one.name for one in SOURCES}) == len(SOURCES)


@pytest.mark.parametrize(
    ("row", "ours", "holds"),
    [
        (Row("", 1.0, 1e-3), 1.0009, True),
        (Row("", 1.0, 1e-3), 1.0011, False),
        (Row("", (1.0, 2.0), 1e-3), [1.0, 2.1], False),
        (Row("", (1.0, 2.0), 1e-3), [1.0], False),
        (Row("", 1.0, 1e-3), float("nan"), False),
        (Row("", 1e-9, None), 9e-10, True),
        (Row("", 1e-9, None), 1e-9, False),
        (Row("", 1e-9, None), float("nan"), False),
    ],
)
def test_when_a_row_holds(row: Row, ours: Any, holds: bool) -> None:
    assert row.holds(ours) is holds


def test_table_and_exit_code(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    result = run("oracles")
    assert result.code == 0, result.out
    assert result.out.splitlines()[0].split() == [
        *("source", "item", "expected", "ours", "difference", "tolerance", "verdict")
    ]
    assert f"{len(ROWS)} of {len(ROWS)} numbers reproduced" in result.out
    first, *others = ng.SOURCE.rows
    wrong = replace(once(ng.SOURCE), rows=(replace(first, expected=(0.2,) * 5), *others))
    monkeypatch.setattr(oracles, "SOURCES", (wrong,))
    result = run("oracles")
    assert result.code == 1
    assert "WRONG by the kernels and the formulas" in result.out
    assert result.out.count("WRONG") == 2  # the row, and the summary


def test_the_table_shows_how_close_they_must_be() -> None:
    """Half a digit for Ng's J, which is rounding; 1.5 for Nielsen's growth of δ, which is another start."""
    found = [replace_rows(ng.SOURCE, "check net, λ = 0: J"), nielsen.SOURCE]
    head, _, first, _, second = oracles.table(oracles.compare(found)).splitlines()
    place = head.index("tolerance")
    assert first[place:].split() == ["5e-13", "ok"]
    assert second[place:].split() == ["1.5", "ok"]
    assert not nielsen.SOURCE.rows[0].holds((1.03, 1.03, 1.04))  # what the weights alone give, without f'


def replace_rows(source: Source, item: str) -> Source:
    """The source with one of its rows."""
    return replace(source, rows=tuple(row for row in source.rows if row.item == item))


def test_a_source_whose_package_is_missing_is_not_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    def without(executor: object) -> Any:
        raise MissingExtraError("scikit-learn", "digits", "this comparison")

    source = replace(ng.SOURCE, recipe=without)
    assert not any(one.ok for one in oracles.compare([source]))
    monkeypatch.setattr(oracles, "SOURCES", (source,))
    result = run("oracles")
    assert result.code == 0
    assert "not run: this comparison needs scikit-learn: pip install 'chainrule[digits]'" in result.out
    assert f"0 of {len(source.rows)} numbers reproduced, {len(source.rows)} not run" in result.out


def write_exercise(folder: Path, **changed: Any) -> None:
    """Files of the names and matrices that the course's have, small and with numbers of our own."""
    from scipy.io import savemat

    rng = np.random.default_rng(0)
    content = {
        "X": rng.random((30, 6)),
        "y": 1 + np.arange(30).reshape(-1, 1) % 3,
        "Theta1": rng.standard_normal((4, 7)),
        "Theta2": rng.standard_normal((3, 5)),
    } | changed
    savemat(folder / "ex4data1.mat", {name: content[name] for name in ("X", "y") if name in content})
    savemat(folder / "ex4weights.mat", {name: content[name] for name in ("Theta1", "Theta2")})


def test_exercise_4_from_files(tmp_path: Path, run: Run) -> None:  # noqa: F811
    """J by the course's formula, written out; whether its numbers come out only its data can tell."""
    write_exercise(tmp_path)
    source = oracles.exercise(tmp_path, iterations=3)
    X, y = ng.matrices(tmp_path / "ex4data1.mat", ("X", "y"))
    first, second = ng.matrices(tmp_path / "ex4weights.mat", ("Theta1", "Theta2"))

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    a1 = np.column_stack([np.ones(30), X])
    a2 = np.column_stack([np.ones(30), sigmoid(a1 @ first.T)])
    h, Y = sigmoid(a2 @ second.T), np.eye(3)[y.ravel().astype(int) - 1]
    data = -(Y * np.log(h) + (1 - Y) * np.log(1 - h)).sum() / 30
    squares = (first[:, 1:] ** 2).sum() + (second[:, 1:] ** 2).sum()
    for engine in oracles.ENGINES.values():
        found = source.recipe(engine())
        for lam in (0, 1, 3):
            assert found[f"J, λ = {lam}"] == pytest.approx(data + lam / 60 * squares, rel=1e-12)
        assert 0 <= found["training accuracy in %"] <= 100
    result = run("oracles", "--ex4", tmp_path)
    assert result.code == 1  # other data than the course's: its numbers are not reproduced
    assert "Ng, exercise 4, its data" in result.out


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"Theta1": np.ones((4, 6))}, "do not fit X"),
        ({"y": np.zeros((30, 1))}, "one label from 1 to 3"),
        ({"y": np.ones((29, 1))}, "each of the 30 rows"),
    ],
)
def test_exercise_4_with_other_shapes(tmp_path: Path, changed: Any, words: str) -> None:
    write_exercise(tmp_path, **changed)
    with pytest.raises(FileError, match=words):
        oracles.exercise(tmp_path)


def test_exercise_4_without_its_files(tmp_path: Path, run: Run) -> None:  # noqa: F811
    result = run("oracles", "--ex4", tmp_path)
    assert result.code == 2
    assert "ex4data1.mat: no such file; --ex4 takes the folder of exercise 4" in result.err
    (tmp_path / "ex4data1.mat").write_bytes(b"no matrix")
    assert "cannot be read as a MATLAB file" in run("oracles", "--ex4", tmp_path).err
    from scipy.io import savemat

    savemat(tmp_path / "ex4data1.mat", {"X": np.ones(3)})
    assert "holds no matrix 'y'; its matrices are X" in run("oracles", "--ex4", tmp_path).err
