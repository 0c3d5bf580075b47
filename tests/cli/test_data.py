"""`chainrule data`: one table of what is understood of a file; its options; advice that is right."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.cli.cli_result import Run


def test_a_table_is_shown(run: Run, flowers: Path) -> None:
    result = run("data", flowers)
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == f"{flowers}: 90 rows, 4 columns"
    assert lines[1].startswith("UTF-8, delimiter comma, decimal sign '.', the first line holds the names: ")
    assert lines[-1].split() == ["species", "text", "3", "levels:", "aster,", "bellis,", "crocus"]


def test_arrays_are_listed(run: Run, pictures: Path) -> None:
    result = run("data", pictures)
    assert [line.split()[0].strip("─") for line in result.out.splitlines()] == ["array", "", "X", "y"]
    assert "(60, 6, 6)" in result.out
    np.save("a.npy", np.zeros((2, 3), "float32"))
    assert run("data", "a.npy").out.splitlines()[-1].split() == ["a", "(2,", "3)", "float32"]


OPTIONS = {
    "delimiter": ("a^b\n1^2\n3^4\n", ("--delimiter", "^")),
    "delimiter by name": ("a;b\n1;2\n3;4\n", ("--delimiter", "semicolon")),
    "decimal": ("a;b\n1,684;2\n2,500;4\n", ("--decimal", ",")),
    "header": ("0,1,2\n3,4,5\n", ("--header", "yes")),
    "encoding": ("a,b\nTromsø,2\nÅse,4\n".encode("cp1252"), ("--encoding", "cp1252")),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_decides_what_is_doubtful(name: str, run: Run) -> None:
    text, option = OPTIONS[name]
    Path("x.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    if name != "delimiter by name":
        refused = run("data", "x.csv")
        assert refused.code == 2
        assert option[0] in refused.err
    assert run("data", "x.csv", *option).code == 0


def test_columns_drop_and_missing(run: Run) -> None:
    Path("x.csv").write_text('id,"a, b",c\n1,-999,None\n2,5,x\n3,6,y\n')
    assert [line.split("  ")[0] for line in run("data", "x.csv", "--drop", "id").out.splitlines()[5:]] == [
        "a, b",
        "c",
    ]
    shown = run("data", "x.csv", "--columns", '"a, b",0', "--missing=-999,None").out.splitlines()
    assert shown[5].split() == ["a,", "b", "number", "1", "(-999)", "5", "…", "6"]
    assert shown[6].startswith("id")
    result = run("data", "x.csv", "--columns", "z")
    assert (result.code, result.err) == (
        2,
        "chainrule: x.csv: has no column 'z'; its columns are id, a, b, c\n",
    )


def test_a_file_to_predict_may_have_an_empty_target(run: Run, flowers: Path) -> None:
    options = ("--epochs", 1, "--quiet", "--no-check", "--no-report", "--out", "run")
    assert run("train", flowers, "--target", "species", *options).code == 0
    lines = flowers.read_text().splitlines()
    Path("new.csv").write_text("\n".join([lines[0], *(line.rpartition(",")[0] + "," for line in lines[1:])]))
    result = run("predict", "run", "new.csv")
    assert result.code == 0
    assert len(result.out.splitlines()) == 91


def test_the_number_of_a_target_is_no_name_in_the_first_line(run: Run) -> None:
    rows = "".join(f"{i},{i % 7},{'cat' if i % 2 else 'dog'}\n" for i in range(2, 42))
    Path("bare.csv").write_text(rows)
    options = ("--epochs", 1, "--quiet", "--no-check", "--no-report", "--out", "run", "--overwrite")
    for target in ("2", "-1"):
        result = run("train", "bare.csv", "--target", target, *options)
        assert result.code == 0, result.err
        assert re.search(r"\b40 (samples|rows)\b", result.out), result.out


def test_a_target_by_name_of_a_header_of_numbers(run: Run) -> None:
    rng = np.random.default_rng(0)
    rows = "".join(",".join(f"{value:.3f}" for value in row) + "\n" for row in rng.normal(size=(40, 3)))
    Path("years.csv").write_text("2020,2021,2022\n" + rows)
    for header in ((), ("--header", "yes")):
        options = ("--epochs", 1, "--quiet", "--no-check", "--no-report", "--out", "run", "--overwrite")
        result = run("train", "years.csv", "--target", "2022", *header, *options)
        assert result.code == 0, result.err
        assert "40 samples of 2" in result.out
