"""CSV files: headers, targets, and errors that name line and column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chainrule.base.errors import FileError
from chainrule.data import Table, load_csv


def read(tmp_path: Path, text: str | bytes, *args: object, **options: object) -> Table:
    path = tmp_path / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_csv(path, *args, **options)


def test_header_and_target_by_name(tmp_path: Path) -> None:
    table = read(tmp_path, "a,kind,b\n1,x,2.5\n-3e2,y,4\n", "kind")
    np.testing.assert_array_equal(table.features, [[1, 2.5], [-300, 4]])
    assert table.names == ("a", "b")
    assert table.target_name == "kind"
    assert table.target.tolist() == ["x", "y"]


readings = {
    "no header": ("1,2,0\n3,4,1\n", -1, None),
    "header": ("a,b,c\n1,2,0\n3,4,1\n", -1, ("a", "b")),
    "header, target by name": ("a,b,c\n1,2,0\n3,4,1\n", "c", ("a", "b")),
    "semicolons": ("a;b;c\n1;2;0\n3;4;1\n", 2, ("a", "b")),
    "tabs": ("1\t2\t0\n3\t4\t1\n", 2, None),
    "byte order mark": ("\ufeffa,b,c\n1,2,0\n3,4,1\n", "c", ("a", "b")),
    "quotes and spaces": ('"a", "b", "c"\n"1", 2,0\n 3,4 ,1\n', "c", ("a", "b")),
    "blank lines, CR LF, no newline at the end": ("a,b,c\r\n\r\n1,2,0\r\n\r\n3,4,1", "c", ("a", "b")),
    "decimal commas": ("a;b;c\n1,0;2,0;0\n3,00;4;1\n", "c", ("a", "b")),
    "bars": ("a|b|c\n1|2|0\n3|4|1\n", "c", ("a", "b")),
    "blanks": ("a   b c\n 1  2\t0\n 3  4  1\n", "c", ("a", "b")),
    "sep=": ("sep=;\na;b;c\n1;2;0\n3;4;1\n", "c", ("a", "b")),
    "only the target has a name": ("1,2,0\n3,4,1\n", 2, None),
}


@pytest.mark.parametrize("case", readings)
def test_same_values_read(tmp_path: Path, case: str) -> None:
    text, target, names = readings[case]
    table = read(tmp_path, text, target)
    np.testing.assert_array_equal(table.features, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(table.target, [0, 1])
    assert table.target.dtype == np.int64
    assert table.names == names


def test_features_only_and_chosen_columns(tmp_path: Path) -> None:
    text = "id,a,b\nx7,1,2\nx8,3,4\n"
    table = read(tmp_path, text, columns=["b", "a"])
    np.testing.assert_array_equal(table.features, [[2, 1], [4, 3]])
    assert table.target is None
    np.testing.assert_array_equal(read(tmp_path, "1,2\n3,4\n").features, [[1, 2], [3, 4]])


def test_names_that_are_numbers(tmp_path: Path) -> None:
    table = read(tmp_path, "0,1,2\n5,6,7\n", -1, header=True)
    np.testing.assert_array_equal(table.features, [[5, 6]])
    assert table.names == ("0", "1")


@pytest.mark.parametrize(
    ("cells", "expected", "kind"),
    [(["1.5", "2"], [1.5, 2.0], "f"), (["7", "8"], [7, 8], "i"), (["1e3", "-4.0"], [1000, -4], "i")],
)
def test_kind_of_target(tmp_path: Path, cells: list[str], expected: list[float], kind: str) -> None:
    table = read(tmp_path, "a,t\n" + "".join(f"0,{cell}\n" for cell in cells), "t")
    assert table.target.dtype.kind == kind
    assert table.target.tolist() == expected


malformed = {
    "empty file": ("", "t", "holds no line"),
    "only blank lines": ("\n\n", "t", "holds no line"),
    "header alone": ("a,t\n", "t", "no line of values"),
    "missing cell": (
        "a,b,t\n1,2,0\n3,,1\n",
        "t",
        r"line 3, column 2 \(b\): the value is missing: fill it in",
    ),
    "missing mark": ("a,b,t\n1,2,0\nNA,5,1\n", "t", r"line 3, column 1 \(a\): the value is missing \('NA'\)"),
    "nan": ("a,b,t\n1,nan,0\n", "t", r"line 2, column 2 \(b\): the value is missing"),
    "infinity": ("a,b,t\n1,-inf,0\n", "t", r"line 2, column 2 \(b\): the value is infinite"),
    "too large for a double": ("a,b,t\n1,1e999,0\n", "t", r"line 2, column 2 \(b\): the value is infinite"),
    "text": (
        "a,b,t\n1,2,0\n1,red,0\n",
        "t",
        r"line 3, column 2 \(b\): 'red' is not a number: .* delete this",
    ),
    "underscore": ("a,b,t\n1,1_000,0\n", "t", r"line 2, column 2 \(b\): '1_000' .* underscore, 1000$"),
    "decimal comma beside points": (
        "a;b;t\n1.5;2;0\n2,5;2;0\n",
        "t",
        r"line 3, column 1 \(a\): '2,5' .* decimal point, 2\.5$",
    ),
    "a comma that may be either": (
        "a;b;t\n1,684;2;0\n",
        "t",
        r"column 1 \(a\): '1,684' may be a decimal number or thousands.* --decimal , ",
    ),
    "short row": ("a,b,t\n1,2,0\n1,0\n", "t", "line 3: 2 cells, but the first line has 3"),
    "long row": ("a,b,t\n1,2,3,4\n", "t", "line 2: 4 cells"),
    "blank lines are counted": ("a,b,t\n\n\n1,x,0\n", "t", "line 4, column 2"),
    "unknown target": ("a,b,t\n1,2,0\n", "price", "no column 'price'; its columns are a, b, t"),
    "index too large": ("1,2,0\n", 3, "no column 3"),
    "target missing": ("a,t\n1,0\n2,\n", "t", r"line 3, column 2 \(t\): the target is missing: fill"),
    "numbers and names mixed": ("a,t\n1,0\n2,cat\n", "t", "line 3, column 2 .*'cat' is no number"),
    "names and numbers mixed": ("a,t\n1,cat\n2,0\n", "t", "'0' is a number"),
    "two columns of one name": ("a,a,t\n1,2,0\n", "t", "two columns are called 'a'"),
    "nothing but the target": ("t\n1\n2\n", "t", "no column beside the target"),
    "first line mixes": ("1,red,0\n2,3,1\n", 2, "line 1, column 2: 'red' is not a number: .*header=True"),
    "quote left open": ('a,t\n"1,0\n', "t", "not CSV"),
    "not text": (b"\xff\xfe\x00a,b\n", "t", "not a text file in UTF-16"),
    "binary": (b"\x00\x01\x02,3\n\x04,1\n", 1, "line 1: not a text file, it holds a NUL byte"),
}


@pytest.mark.parametrize("case", malformed)
def test_malformed_file_is_refused(tmp_path: Path, case: str) -> None:
    text, target, reason = malformed[case]
    with pytest.raises(FileError, match=reason) as caught:
        read(tmp_path, text, target)
    assert "data.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        load_csv(tmp_path / "none.csv")
    with pytest.raises(FileError, match="cannot be read"):
        load_csv(tmp_path)
    with pytest.raises(FileError, match="single character"):
        read(tmp_path, "1,2\n", delimiter="ab")


def test_an_advice_that_is_followed_leads_on(tmp_path: Path) -> None:
    """What may be names or values is read as told, either way."""
    text = "1,red,0\n2,3,1\n"
    assert read(tmp_path, text, 2, header=True).names == ("1", "red")
    with pytest.raises(FileError, match=r"line 1, column 2: 'red' is not a number: .* leave the column out"):
        read(tmp_path, text, 2, header=False)


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["01", "1", "010"], ["01", "1", "010"]),
        (["None", "NA", "Gravel"], ["None", "NA", "Gravel"]),
        (["yes", "no", "no"], ["yes", "no", "no"]),
        (["True", "False", "True"], ["True", "False", "True"]),
        (["9007199254740993", "1", "2"], ["9007199254740993", "1", "2"]),
    ],
    ids=["codes", "None and NA", "yes and no", "truth", "beyond 2^53"],
)
def test_classes_stay_as_they_are_written(tmp_path: Path, cells: list[str], labels: list[str]) -> None:
    table = read(tmp_path, "a,t\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells)), "t")
    assert table.target is not None
    assert table.target.tolist() == labels


def test_a_code_is_no_feature_and_the_advice_is_right(tmp_path: Path) -> None:
    text = "plz,a,t\n01099,1,x\n10115,2,y\n"
    with pytest.raises(FileError, match=r"line 2, column 1 \(plz\): '01099' is a code, .* columns="):
        read(tmp_path, text, "t")
    assert read(tmp_path, text, "t", columns=["a"]).features.tolist() == [[1], [2]]
