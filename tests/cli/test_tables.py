"""Tables through the command line: what is learned, what is told, changed files, and predicting again."""

from __future__ import annotations

import csv
import json
import random
import shutil
import subprocess
import sys
import zipfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from chainrule.cli.training import job
from chainrule.networks.network import load
from tests.cli.cli_result import Run
from tests.pairwise import pairwise

BRIEF = ("--epochs", 30, "--quiet", "--no-check", "--no-report", "--out", "run", "--overwrite")


def passengers(count: int = 240, seed: int = 0) -> list[dict[str, Any]]:
    """Rows as of the Titanic: an id, a name, levels, a number with gaps, truth, a date; who survived."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        sex, survived = rng.choice(["male", "female"]), 0
        survived = int(rng.random() < (0.9 if sex == "female" else 0.1))
        rows.append(
            {
                "PassengerId": number + 1, "Survived": survived, "Name": f"Doe, Mr. {seed} {number}",
                "Sex": sex, "Age": "" if rng.random() < 0.2 else f"{rng.uniform(1, 70):.1f}",
                "Alone": bool(rng.integers(2)),
                "Boarded": date(1912, 4, 1) + timedelta(days=int(rng.integers(9))),
                "Embarked": rng.choice(["S", "C", ""]), "Class": rng.choice(["1st", "2nd", "3rd"]),
            }
        )  # fmt: skip
    return rows


def write(path: Path, rows: list[dict[str, Any]], delimiter: str = ",") -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def described() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path("run/run.json").read_text())
    return content


def test_a_table_of_every_kind_trains_and_is_predicted(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "titanic.csv", passengers())
    result = run("train", file, "--target", "Survived", *BRIEF)
    assert result.code == 0, result.err
    for words in (
        "PassengerId  left out: it numbers the rows, ",
        "Name         left out: it holds 192 different texts in 192 rows",
        "Sex          levels female, male: 0 or 1",
        "Age          number, (x - ",
        "Embarked     levels C, S; missing is a level: 3 columns of 0 and 1",
        "target Survived: classes: the whole numbers 0 and 1",
    ):
        assert words in result.out
    assert float(result.out.split()[-2]) > 75
    again = run("predict", "run", file, "--keep", "PassengerId,Name")
    assert again.code == 0
    assert "of 240 right" in again.err
    head, first = list(csv.reader(again.out.splitlines()))[:2]
    assert head == ["PassengerId", "Name", "prediction", "probability"]
    assert first[:2] == ["1", "Doe, Mr. 0 0"]
    every = list(csv.DictReader(run("predict", "run", file, "--keep", "all").out.splitlines()))
    for before, after in zip(passengers(), every, strict=True):
        kept = {name: str(value) for name, value in before.items()}
        assert {name: value.removesuffix(".0") for name, value in after.items() if name in kept} == {
            name: value.removesuffix(".0") for name, value in kept.items()
        }
    assert "has no column 'Nom'" in run("predict", "run", file, "--keep", "Nom").err


def test_files_to_predict_need_no_target_nor_what_was_left_out(run: Run, tmp_path: Path) -> None:
    rows = passengers()
    assert run("train", write(tmp_path / "a.csv", rows), "--target", "Survived", *BRIEF).code == 0
    expected = run("predict", "run", tmp_path / "a.csv").out
    less = [{name: row[name] for name in reversed(row) if name not in ("Survived", "Name")} for row in rows]
    assert run("predict", "run", write(tmp_path / "b.csv", less)).out == expected
    empty = [{**row, "Survived": ""} for row in rows]
    emptied = run("predict", "run", write(tmp_path / "c.csv", empty))
    assert (emptied.code, emptied.out, emptied.err) == (0, expected, "")
    half = [{**row, "Survived": "" if i % 2 else row["Survived"]} for i, row in enumerate(rows)]
    assert "of 120 right" in run("predict", "run", write(tmp_path / "d.csv", half, ";")).err
    gone = [{name: row[name] for name in row if name != "Age"} for row in rows]
    refused = run("predict", "run", write(tmp_path / "e.csv", gone))
    assert refused.code == 2
    assert "has no column 'Age', which the model was trained on" in refused.err
    network = load("run/model.safetensors")
    frame = pandas.read_csv(tmp_path / "a.csv", parse_dates=["Boarded"])
    predicted = [int(line.split(",")[0]) for line in expected.splitlines()[1:]]
    needed = list(network.preparation.inputs.needed)  # type: ignore[union-attr]
    assert network.classify(frame[needed[::-1]]).tolist() == predicted


def test_rows_without_a_target_are_left_out_and_told(run: Run, tmp_path: Path) -> None:
    rows = [{**row, "Survived": "" if i < 40 else row["Survived"]} for i, row in enumerate(passengers())]
    result = run("train", write(tmp_path / "a.csv", rows), "--target", "Survived", *BRIEF)
    assert "40 of 240 rows have no Survived, and are left out" in result.out
    assert "200 samples" in result.out
    nothing = [{**row, "Survived": ""} for row in rows]
    refused = run("train", write(tmp_path / "b.csv", nothing), "--target", "Survived", *BRIEF)
    assert "holds nothing" in refused.err


def test_what_is_inferred_of_a_column_can_be_told(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", passengers())
    options = ("--kind", "PassengerId=number", "--kind", "Alone=drop", "--levels", "Class=3rd<2nd<1st")
    out = run("train", file, "--target", "Survived", *options, *BRIEF).out
    assert "PassengerId  number, " in out
    assert "Alone        left out: as told" in out
    assert "place in 3rd < 2nd < 1st" in out
    for wrong, words in (
        (("--kind", "Sex"), "write COLUMN=VALUE, such as --kind 'zip=levels'"),
        (("--kind", "Sax=levels"), "names the column 'Sax'"),
        (("--kind", "Sex=kind"), "write 'number', 'levels', 'date', 'drop'"),
        (("--levels", "Class=3rd<2nd"), "holds 1st, which is none of its levels"),
    ):
        result = run("train", file, "--target", "Survived", *wrong, *BRIEF)
        assert result.code == 2
        assert words in result.err
        assert result.err.count("\n") == 1


def test_what_was_told_of_the_file_holds_for_the_next(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = ["None", "NA", "shed"]
    lines = [f"{rng.normal(i % 3):.3f}".replace(".", ",") + f"|{labels[i % 3]}" for i in range(90)]
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n", encoding="utf-16")
    told = ("--delimiter", "|", "--decimal", ",", "--missing", "?", "--header", "no", "--encoding", "utf-16")
    result = run("train", tmp_path / "a.txt", "--target", -1, *told, *BRIEF)
    assert result.code == 0, result.err
    assert "classes: NA, None, shed" in result.out
    again = run("predict", "run", tmp_path / "a.txt")
    assert again.code == 0, again.err
    assert "of 90 right" in again.err
    assert run("explain", "run", "-o", "r.md").code == 0
    assert described()["preparation"]["reading"]["missing"] == "?"


@pytest.mark.turns(2)
@pytest.mark.parametrize("change", ["appended", "shuffled", "fewer", "all"])
def test_held_out_rows_are_recognised_in_changed_data(change: str, run: Run, tmp_path: Path) -> None:
    """The model's own scale is applied, and no row that was trained on is judged as held out."""
    from chainrule.cli.folder import open_run, read_description
    from chainrule.cli.runs.stored import problem_of

    rows = passengers()
    file = write(tmp_path / "a.csv", rows)
    assert run("train", file, "--target", "Survived", *BRIEF).code == 0
    network, _ = open_run("run")
    content = read_description(Path("run/run.json"))
    assert content is not None
    before = problem_of(content, Path("run"), network)
    scale = json.dumps(network.preparation.to_json())  # type: ignore[union-attr]
    other = [{**row, "Age": 400 + i} for i, row in enumerate(passengers(100, seed=1))]
    changed = {"appended": rows + other, "shuffled": rows[:], "fewer": rows[30:], "all": rows[10:] + other}[
        change
    ]
    random.Random(0).shuffle(changed)
    write(file, changed)
    after = problem_of(content, Path("run"), network)
    assert json.dumps(network.preparation.to_json()) == scale  # type: ignore[union-attr]
    held_out = {row.tobytes() for row in np.asarray(before.X_test)}
    assert {row.tobytes() for row in np.asarray(after.X_test)} <= held_out
    kept = sum(row["PassengerId"] > {"fewer": 30, "all": 10}.get(change, 0) for row in rows) / len(rows)
    assert 0.7 * kept <= len(after.X_test) / len(before.X_test) <= 1
    assert {row.tobytes() for row in np.asarray(after.X_train)} <= {
        row.tobytes() for row in np.asarray(before.X_train)
    }
    for command in (("doctor", "run"), ("explain", "run", "-o", "r.md")):
        said = run(*command)
        assert said.code in (0, 1)
        assert "the data have changed since the run" in said.err
    write(file, other)
    refused = run("explain", "run", "-o", "r.md")
    assert refused.code == 2
    assert "none of the rows that the run held out is in the data any more" in refused.err
    write(file, rows)
    assert "have changed" not in run("doctor", "run").err


def test_a_run_says_what_its_data_were(run: Run, tmp_path: Path) -> None:
    import hashlib

    file = write(tmp_path / "a.csv", passengers())
    assert run("train", file, "--target", "Survived", *BRIEF).code == 0
    data = described()["data"]
    assert data["sha256"] == {"a.csv": hashlib.sha256(file.read_bytes()).hexdigest()}
    assert (data["rows"], data["held_out"]) == (240, 48)
    rows = np.load("run/rows.npz")
    assert np.array_equal(np.sort(np.concatenate([rows["train"], rows["test"]])), np.arange(240))
    np.savez("run/rows.npz", prints=rows["prints"], train=rows["train"], test=rows["train"])
    damaged = run("doctor", "run")
    assert damaged.code == 2
    assert "rows.npz: is damaged" in damaged.err


def test_a_run_of_the_time_before_rows_were_kept(run: Run, tmp_path: Path) -> None:
    rows = passengers()
    file = write(tmp_path / "a.csv", rows)
    assert run("train", file, "--target", "Survived", *BRIEF).code == 0
    Path("run/rows.npz").unlink()
    assert run("explain", "run", "-o", "r.md").code == 0
    write(file, rows + passengers(60, seed=1))
    refused = run("explain", "run", "-o", "r.md")
    assert refused.code == 2
    assert "48 samples were held out and now 60 would be" in refused.err


@pytest.mark.parametrize(
    ("target", "drop", "columns", "ending"),
    pairwise(
        ["c", "2", "-1"],
        [None, "b", "1"],
        [None, "2,0,1", "a,b,c", "c,0", "a,b", "0"],
        ["csv", "parquet"],
    ),
)
def test_a_target_is_itself_however_columns_are_told(
    target: str, drop: str | None, columns: str | None, ending: str, run: Run, tmp_path: Path
) -> None:
    """Also where --columns names it, by name or by number, in any place."""
    text = "a,b,c\n" + "".join(f"{i * i % 17 / 7:.3f},{i * i % 13},{'yn'[i % 2]}o\n" for i in range(40))
    (tmp_path / "t.csv").write_text(text)
    if ending == "parquet":
        arrow = pytest.importorskip("pyarrow.csv")
        pytest.importorskip("pyarrow.parquet").write_table(arrow.read_csv("t.csv"), "t.parquet")
    options = [f"--columns={columns}"] * (columns is not None) + [f"--drop={drop}"] * (drop is not None)
    result = run(
        "train", f"t.{ending}", f"--target={target}", *options, "--out", "r", "--epochs", 1, "--no-check",
        "--no-report",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "target c: classes: 2 names" in result.out
    features = {None: "ab", "a,b": "ab", "2,0,1": "ab", "a,b,c": "ab", "c,0": "a", "0": "a"}[columns]
    features = features.replace("b", "") if drop is not None else features
    assert f"inputs: {len(features)} column" in result.out
    assert run("predict", "r", f"t.{ending}").code == 0


def test_a_target_that_is_dropped_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,c\n" + "".join(f"{i},{i * i},{'yn'[i % 2]}o\n" for i in range(40)))
    for target, drop in (("c", "c"), ("2", "c"), ("c", "2"), ("2", "0,-1")):
        result = run("train", "t.csv", f"--target={target}", f"--drop={drop}")
        assert result.code == 2
        assert "the target 'c' is among the columns to leave out" in result.err


@pytest.mark.parametrize(
    "names", [("0", "1"), ("1", "2", "3"), ("2020", "2021"), ("7", "3", "x"), ("10", "5")]
)
@pytest.mark.parametrize("whole", [False, True])
def test_names_that_are_numbers_are_known_to_the_model(
    whole: bool, names: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    """The file itself, and one without the target, in another order, are read as the training was."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 30, (40, len(names))) if whole else rng.normal(size=(40, len(names))).round(3)
    labels = ["ash" if row[0] > np.median(values[:, 0]) else "oak" for row in values]
    for file, order, target in (("t", [*names], True), ("f", [*names][::-1], False)):
        lines = [",".join([*order, *["kind"] * target])]
        for row, label in zip(values, labels, strict=True):
            cells = dict(zip(names, map(str, row.tolist()), strict=True))
            lines.append(",".join([*(cells[name] for name in order), *[label] * target]))
        (tmp_path / f"{file}.csv").write_text("\n".join(lines) + "\n")
    trained = run("train", "t.csv", "--target", "kind", *BRIEF)
    assert trained.code == 0, trained.err
    first, second = run("predict", "run", "t.csv"), run("predict", "run", "f.csv")
    assert first.code == 0, first.err
    assert second.code == 0, second.err
    assert first.out == second.out
    assert len(first.out.splitlines()) == 41


@pytest.mark.parametrize("mark", ["NA", "nan", "null", "?", "None", "N/A", ""])
@pytest.mark.parametrize("others", [("low",), ("low", "high"), ("true", "false"), ("1", "0")])
def test_a_mark_in_the_target_is_told_with_the_way_to_make_it_a_class(
    others: tuple[str, ...], mark: str, run: Run, tmp_path: Path
) -> None:
    labels = (mark, *others)
    text = "a,kind\n" + "".join(f"{i * i % 17 / 7:.3f},{labels[i % len(labels)]}\n" for i in range(60))
    (tmp_path / "t.csv").write_text(text)
    result = run("train", "t.csv", "--target", "kind", *BRIEF)
    level = f"{len(labels)} names" in result.out  # NA and None, among words
    if level:
        assert mark in ("NA", "None")
        return
    assert f"of 60 rows have no kind{f' ({mark})' * (mark != '')}, and" in result.out + result.err
    assert result.code == (2 if len(others) == 1 else 0)
    if mark:
        assert f"where '{mark}' is a class, --missing ''" in result.out + result.err
        again = run("train", "t.csv", "--target", "kind", "--missing", "", *BRIEF)
        assert again.code == 0, again.err
        assert f"target kind: classes: {len(labels)} names" in again.out
        assert "60 of 60" in again.out or "48 to train, 12 held out" in again.out
        assert run("predict", "run", "t.csv").code == 0


def test_predict_says_which_rows_it_passes_over_and_that_columns_have_no_names(
    run: Run, tmp_path: Path
) -> None:
    rows = [f"{i * i % 17 / 7:.3f},{i * i % 13},{'yn'[i % 2]}o" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c", *rows]) + "\n")
    assert run("train", "t.csv", "--target", "c", *BRIEF).code == 0
    (tmp_path / "gaps.csv").write_text("\n".join(["a,b,c", *rows[:5], ",,", *rows[5:]]) + "\n")
    assert "gaps.csv: 1 row without any value: passed over" in run("predict", "run", "gaps.csv").err
    (tmp_path / "bare.csv").write_text("\n".join(row.rpartition(",")[0] for row in rows) + "\n")
    result = run("predict", "run", "bare.csv")
    assert "no header, so the columns are taken in the order of training: a, b" in result.err
    assert len(result.out.splitlines()) == 41


@pytest.mark.parametrize("place", [0, 2, -1])
def test_a_file_without_names_and_without_its_target_is_not_compared(
    run: Run, tmp_path: Path, place: int
) -> None:
    """Its columns are those of the training data by position; the number of the target is another's."""
    rng = np.random.default_rng(0)
    rows = [[f"{a:.3f}", f"{b:.3f}", "7"] for a, b in rng.normal(0, 3, (60, 2))]
    labels = rng.integers(1, 3, 60)
    whole, inputs = tmp_path / "whole.data", tmp_path / "inputs.data"
    for row, label in zip(rows, labels, strict=True):
        row.insert(place % 4, str(label))
    whole.write_text("".join(",".join(row) + "\n" for row in rows))
    for row in rows:
        del row[place % 4]
    inputs.write_text("".join(",".join(row) + "\n" for row in rows))
    assert run("train", whole, "--target", place, *BRIEF[2:], "--epochs", 1).code == 0
    compared, alone = run("predict", "run", whole), run("predict", "run", inputs)
    assert "of 60 right" in compared.err
    assert compared.out == alone.out
    assert "right" not in alone.err


def test_what_is_said_of_a_column_is_told_before_training(run: Run, tmp_path: Path) -> None:
    """A column of numbers with a slip among them is text, which says where it stands; so is a target."""
    rows: list[dict[str, Any]] = [
        {"price": f"${n}.5", "size": n % 7, "rooms": "NA" if n % 9 == 0 else "no" if n % 2 else "yes",
         "area": "12,x" if n == 40 else n % 20 / 4, "kind": "ab"[n % 2]}
        for n in range(60)
    ]  # fmt: skip
    file = write(tmp_path / "flats.csv", rows)
    told = run("train", file, "--target", "kind", "--no-check", "--no-report", "--epochs", 1).out
    assert "price: text: numbers with '$'" in told
    assert "area: numbers but for some: 1 cell is no number, the first '12,x' in line 42" in told
    assert "rooms: 'NA' counts as missing" not in told  # of truth values it is a mark as of numbers
    refused = run("train", file, "--target", "area", *BRIEF)
    assert refused.code == 2
    assert "the target holds numbers, but also '12,x': say what that is" in refused.err
    assert "'12,x' in line 42" in refused.err
    wide = [
        {"size": n % 9, **{f"c{i}": f"{n} {chr(97 + i)}m" for i in range(12)}, "kind": "ab"[n % 2]}
        for n in range(30)
    ]
    many = write(tmp_path / "wide.csv", wide)
    shown = run("train", many, "--target", "kind", "--no-check", "--no-report", "--epochs", 1).out
    assert "c7: text: numbers with 'hm'" in shown
    assert f"4 more: chainrule data {many}" in shown


def test_numbers_of_rows_are_known_by_the_order_of_the_file(run: Run, tmp_path: Path) -> None:
    """However the rows are divided; places by size are learned from."""
    rng = np.random.default_rng(0)
    rows = [
        {"case_number": n, "step": n, "wealth": int(place), "on": "no", "kind": "ab"[n % 2]}
        for n, place in enumerate(rng.permutation(70), 1)
    ]
    file = write(tmp_path / "ranks.csv", [{"line": n} | row for n, row in enumerate(rows, 100)])
    told = run("train", file, "--target", "kind", "--no-check", "--no-report", "--epochs", 1).out
    assert "left out: line, case_number, on" in told
    assert "on           left out: it always holds no" in told


@pytest.mark.parametrize(
    ("stray", "words"),
    [
        ("unknown", "numbers but for some: 1 cell is no number, the first 'unknown' in line 12"),
        ("-", "numbers but for some: 1 cell is no number, the first '-' in line 12"),
        (".", "numbers but for some: 1 cell is no number, the first '.' in line 12"),
        ("1 200", "numbers but for some: 1 cell is no number, the first '1 200' in line 12"),
        ("007", "codes, kept as text: '007' would lose its leading zero as a number"),
        ("12345678901234567", "codes, kept as text: a number of float64 cannot hold"),
    ],
)
def test_training_says_why_a_column_of_numbers_is_text(
    stray: str, words: str, run: Run, tmp_path: Path
) -> None:
    values = [f"{300 + i * i * 7}" for i in range(60)]
    values[10] = stray
    text = "a,b,kind\n" + "".join(f"{i * i % 17},{v},{'yn'[i % 2]}o\n" for i, v in enumerate(values))
    (tmp_path / "t.csv").write_text(text)
    result = run("train", "t.csv", "--target", "kind", *BRIEF)
    if "codes" in words:
        assert result.code == 0, result.err
        assert f"b: {words}" in result.out
        return
    assert result.code == 2
    assert f"the column 'b' holds numbers, but also '{stray}'" in result.err
    for told in (f"--missing={stray}", "--kind=b=number"):
        again = run("train", "t.csv", "--target", "kind", told, *BRIEF)
        assert again.code == 0, again.err
        assert "b       number" in again.out
        assert run("predict", "run", "t.csv").code == 0
    levels = run("train", "t.csv", "--target", "kind", "--kind=b=levels", *BRIEF)
    assert levels.code == 0, levels.err
    assert "b       levels" in levels.out


@pytest.mark.parametrize("name", ["titanic.zip", "sonar.all-data", "SMSSpamCollection"])
def test_archives_are_tables_and_other_endings_say_what_to_do(run: Run, tmp_path: Path, name: str) -> None:
    plain, file = write(tmp_path / "plain.csv", passengers(40)), tmp_path / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(file, "w") as archive:
            archive.write(plain, "train.csv")
    else:
        plain.rename(file)
    result = run("train", file, "--target", "Survived", *BRIEF[2:], "--epochs", 1)
    if not name.endswith(".zip"):
        assert result.code == 2
        assert f"copy it under a name that says so: {name}.csv" in result.err
        file = file.rename(tmp_path / f"{name}.csv")
        assert run("train", file, "--target", "Survived", *BRIEF[2:], "--epochs", 1).code == 0
        shutil.copy(file, tmp_path / name)
        refused = run("predict", "run", tmp_path / name)
        assert f"{name}.csv" in refused.err
        assert refused.code == 2
    assert "of 40 right" in run("predict", "run", file).err


@pytest.mark.parametrize(
    ("words", "alike"),
    [
        (("t", "f"), {"T": "t", "true": "t"}),
        (("Y", "N"), {"y": "Y", "no": "N"}),
        (("Yes", "No"), {"YES": "Yes", "0": "No"}),
        (("TRUE", "FALSE"), {"true": "TRUE", "F": "FALSE"}),
        (("Y", "N", "U"), {}),
        (("yes", "no", "maybe"), {}),
        (("true", "false", "NA"), {}),
        (("01", "02", "10"), {}),
        (("1.50", "2.5", "x"), {}),
        (("a", "10:30"), {}),
        (("2021-01-01", "never"), {}),
        (("NA", "EU", "AS"), {}),
        (("None", "Shed"), {}),
        (("12345678901234567", "7"), {}),
    ],
)
def test_a_row_alone_is_read_as_it_was_among_others(
    words: tuple[str, ...], alike: dict[str, str], run: Run, tmp_path: Path
) -> None:
    """A part of a table may look of another kind than the whole: t alone is no truth value, 10 no code."""
    rng = np.random.default_rng(0)
    rows = [(f"{rng.normal():.3f}", words[i % len(words)]) for i in range(60)]
    lines = [f"{a},{word},{'xy'[words.index(word) % 2]}" for a, word in rows]
    (tmp_path / "t.csv").write_text("\n".join(["a,f,kind", *lines]) + "\n")
    assert run("train", "t.csv", "--target", "kind", *BRIEF).code == 0
    whole = run("predict", "run", "t.csv").out.splitlines()[1:]
    for row in range(len(words)):
        a, word = rows[row]
        for form in (word, *(other for other, same in alike.items() if same == word)):
            (tmp_path / "one.csv").write_text(f"a,f\n{a},{form}\n")
            result = run("predict", "run", "one.csv")
            assert result.err == ""
            assert result.out.splitlines()[1] == whole[row]


@pytest.mark.parametrize("change", ["order", "more", "both"])
def test_rows_are_recognised_where_columns_have_moved_or_come(change: str, run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [(f"{rng.normal():.3f}", f"{rng.integers(9)}", "pq"[i % 2]) for i in range(60)]
    (tmp_path / "t.csv").write_text("a,b,kind\n" + "".join(f"{','.join(row)}\n" for row in rows))
    assert run("train", "t.csv", "--target", "kind", *BRIEF).code == 0
    names = {"order": "kind,b,a", "more": "a,b,new,kind", "both": "new,kind,b,a"}[change].split(",")
    cells = [dict(zip(("a", "b", "kind", "new"), (*row, "7"), strict=True)) for row in rows]
    text = "".join(",".join(row[name] for name in names) + "\n" for row in cells)
    (tmp_path / "t.csv").write_text(",".join(names) + "\n" + text)
    result = run("explain", "run")
    assert result.code == 0, result.err
    assert "have changed" not in result.err


def test_a_target_of_other_words_is_not_compared(run: Run, tmp_path: Path) -> None:
    def write_target(name: str, words: tuple[str, ...]) -> None:
        lines = [f"{i * i % 17},{words[i % len(words)]}" for i in range(60)]
        (tmp_path / name).write_text("\n".join(["a,kind", *lines]) + "\n")

    write_target("t.csv", ("yes", "no"))
    assert run("train", "t.csv", "--target", "kind", *BRIEF).code == 0
    for words in (("1", "0"), ("Y", "N"), ("YES", "NO"), ("ja", "nein")):
        write_target("n.csv", words)
        err = run("predict", "run", "n.csv").err
        assert "not compared with the target in the file" in err
        assert "the model's classes are no, yes" in err
    write_target("n.csv", ("yes", "no", "maybe"))
    assert "20 of them hold what is no class of the model: maybe" in run("predict", "run", "n.csv").err


@pytest.mark.parametrize("mark", ["unknown", "-", "none yet"])
def test_a_target_of_numbers_says_which_cell_is_none(mark: str, run: Run, tmp_path: Path) -> None:
    lines = [f"{i * i % 17},{mark if i == 7 else i * 1.37:}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["a,price", *lines]) + "\n")
    result = run("train", "t.csv", "--target", "price", *BRIEF)
    assert result.code == 2
    assert f"1 cell is no number, the first '{mark}' in line 9" in result.err
    assert run("train", "t.csv", "--target", "price", f"--missing={mark}", *BRIEF).code == 0


@pytest.mark.parametrize(
    "options", [("--inputs", "sequences"), ("--inputs", "images"), ("--size", "3x3"), ("--x", "rows")]
)
def test_an_option_for_another_source_is_refused(options: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "a,b,c\n" + "".join(f"{i * i % 17},{i % 5},{'pq'[i % 2]}\n" for i in range(60))
    )
    result = run("train", "t.csv", "--target", "c", *options, *BRIEF)
    assert result.code == 2
    assert "leave it out" in result.err


@pytest.mark.parametrize(
    "options",
    [("--columns", "a"), ("--drop", "0"), ("--kind", "a=drop"), ("--decimal", ","), ("--size", "3x3")],
)
def test_an_option_of_tables_is_refused_of_arrays(options: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", X=np.random.default_rng(0).normal(size=(40, 3)), y=np.arange(40) % 2)
    result = run("train", "t.npz", *options, *BRIEF)
    assert result.code == 2
    assert "leave it out" in result.err


def test_a_table_through_a_pipe(run: Run, tmp_path: Path) -> None:
    text = "a,b,c\n" + "".join(f"{i * i % 17},{i % 5},{'pq'[i % 2]}\n" for i in range(60))
    (tmp_path / "t.csv").write_text(text)
    program = [sys.executable, "-m", "chainrule"]
    told = ["--target", "c", "--epochs", "2", *map(str, BRIEF[2:])]
    trained = subprocess.run(
        [*program, "train", "/dev/stdin", *told], input=text, capture_output=True, text=True, check=False
    )
    assert trained.returncode == 0, trained.stderr
    piped = subprocess.run(
        [*program, "predict", "run", "/dev/stdin"], input=text, capture_output=True, text=True, check=False
    )
    assert piped.returncode == 0, piped.stderr
    assert piped.stdout == run("predict", "run", "t.csv").out


def test_classes_of_a_single_sample_each(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,c\n" + "".join(f"{i * i % 17},name{i}\n" for i in range(12)))
    result = run("train", "t.csv", "--target", "c", *BRIEF)
    assert result.code == 2
    assert "every class has a single sample" in result.err
    assert "stratify" not in result.err


def test_a_file_that_goes_away_during_training_ends_no_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "titanic.csv", passengers(80))
    saved = job.save_ensemble

    def save_ensemble(networks: Any, folder: Path) -> list[Path]:
        file.unlink(missing_ok=True)
        return saved(networks, folder)

    monkeypatch.setattr(job, "save_ensemble", save_ensemble)
    assert run("train", file, "--target", "Survived", *BRIEF).code == 0
    assert described()["data"]["sha256"] == {}
    write(file, passengers(80))
    assert run("predict", "run", file).code == 0


@pytest.mark.parametrize("cells", [("inf", "1"), ("1,684", "2,500"), ("1e400", "2")])
def test_what_was_left_out_of_the_training_is_not_read(
    cells: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    """A column that cannot be read and is told to be dropped stands in no prediction's way."""
    lines = [f'{i * i % 17},"{cells[i % 2]}",{"pq"[i % 2]}' for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["a,odd,c", *lines]) + "\n")
    assert run("train", "t.csv", "--target", "c", *BRIEF).code == 2
    assert run("train", "t.csv", "--target", "c", "--drop", "odd", *BRIEF).code == 0
    result = run("predict", "run", "t.csv", "--keep", "a")
    assert result.code == 0, result.err
    assert "of 60 right" in result.err
    assert run("explain", "run").code == 0
    assert run("explain", "run", "--data", "t.csv").code == 0


@pytest.mark.parametrize("kept", [None, "odd"])
def test_parquet_that_holds_what_is_no_column_or_two_of_a_name(
    kept: str | None, run: Run, tmp_path: Path
) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    a, c = list(range(40)), ["p", "q"] * 20
    columns = {"a": [i * i % 17 for i in a], "odd": [[1, 2]] * 40, "c": c}
    parquet.write_table(arrow.table(columns), "t.parquet")
    assert "--drop 'odd'" in run("train", "t.parquet", "--target", "c", *BRIEF).err
    assert run("train", "t.parquet", "--target", "c", "--drop", "odd", *BRIEF).code == 0
    result = run("predict", "run", "t.parquet", *(["--keep", kept] if kept else []))
    assert result.code == (0 if kept is None else 2)
    table = arrow.Table.from_arrays([arrow.array(a), arrow.array(a), arrow.array(c)], names=["a", "a", "c"])
    parquet.write_table(table, "twice.parquet")
    assert "two columns are called 'a'" in run("train", "twice.parquet", "--target", "c", *BRIEF).err
