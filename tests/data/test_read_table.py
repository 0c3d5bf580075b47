"""`read_table`: headers, decimal signs, kinds, missing marks, containers, encodings; what is doubtful."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from chainrule.base.errors import ChainruleError, FileError
from chainrule.data import Reading, read_table


@pytest.fixture(autouse=True, params=["csv", "arrow"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test twice: short texts, which csv reads, are read by Arrow, too."""
    if request.param == "arrow":
        monkeypatch.setattr("chainrule.data.tables.cells.LONG", 0)


def read(tmp_path: Path, text: str | bytes, **options: object) -> Reading:
    path = tmp_path / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, **options)  # type: ignore[arg-type]


def kinds(reading: Reading) -> dict[str, str]:
    return {column.name: column.kind for column in reading.frame.columns}


# -- the first line ---------------------------------------------------------------------------------------
HEADERS = {
    "years beside a word": ("2020,2021,region\n1,2,north\n3,4,south\n", True),
    "pandas' names and a word": ("0,1,2,label\n.1,.2,.3,a\n.3,.4,.5,b\n", True),
    "pandas' names alone": ("0,1,2,3\n.1,.2,.3,7\n.3,.4,.5,8\n", True),
    "years alone": ("2019,2020,2021\n5.5,6,7\n8,9,1\n", True),
    "falling years": ("2021,2020,2019\n5.5,6,7\n8,9,1\n", True),
    "words above truth values": ("a,b\ntrue,x\nfalse,y\n", True),
    "words above dates": ("a,b\n2020-01-02,x\n2021-01-02,y\n", True),
    "sodium is no mark": ("Na,Al\n1.5,2\n2.5,3\n", True),
    "a word above numbers but for a gap": ("a,b\n,1\n2,\n", True),
    "an unnamed first column": (",a\nx,red\ny,blue\nz,green\n", True),
    "words that are levels": ("red,small\nblue,big\nred,big\nblue,small\n", False),
    "words that are no levels": ("colour,size\n" + "red,small\nblue,big\n" * 8, True),
    "numbers like those below": ("1.5,2\n2.5,3\n3.5,4\n", False),
    "truth tables": ("0,1\n1,0\n0,0\n1,1\n", False),
    "a gap in the first line": ("1,?,x\n2,5,x\n3,6,y\n", False),
    "a level beside numbers": ("5.1,Iris-setosa\n4.9,Iris-setosa\n6.1,Iris-virginica\n", False),
    "years above years": ("1999,5\n2000,6\n2001,7\n", False),
    "a name per column in a comment": ("# a b\n1 2\n3 4\n", True),
    "a name that begins with a sign": ("#a\tb\n1\t2\n3\t4\n", True),
    "a comment, no names": ("# made by hand\n%\n1 2\n3 4\n", False),
}


@pytest.mark.parametrize("name", HEADERS)
def test_the_first_line(name: str, tmp_path: Path) -> None:
    text, header = HEADERS[name]
    reading = read(tmp_path, text)
    assert reading.header == header, reading
    assert reading.why


DOUBTFUL = {
    "numbers 0 1 2 above whole numbers": "0,1,2\n3,4,5\n",
    "one row of words": "name,city\nAnna,Rome\n",
    "half of it": "1,red,0\n2,3,1\n",
    "a word above few levels": "word,5\n" + "red,6\nblue,7\n" * 9,
    "a year among numbers": "2020,kind\n" + "17,a\n18,b\n" * 9,
    "years above numbers that could be": "2020,2021,2022\n1990,2000,2010\n1991,2001,2011\n",
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_doubtful_first_line_is_asked_about_and_the_advice_is_right(name: str, tmp_path: Path) -> None:
    text = DOUBTFUL[name]
    with pytest.raises(FileError, match=r"line 1.*--header yes"):
        read(tmp_path, text)
    first = tuple(text.split("\n", 1)[0].split(","))
    assert read(tmp_path, text, header=True).frame.names == first
    assert not read(tmp_path, text, header=False).frame.named


def test_names_that_begin_with_a_sign_of_comments_are_kept(tmp_path: Path) -> None:
    assert read(tmp_path, "% fat,protein\n1,2\n3,4\n").frame.names == ("% fat", "protein")
    assert read(tmp_path, "##source=x\n#CHROM\tPOS\n1\t2\n3\t4\n").frame.names == ("#CHROM", "POS")
    assert read(tmp_path, "# a, b\n1,2\n3,4\n").frame.names == ("a", "b")  # as numpy.savetxt writes them


def test_an_index_column_is_left_out_and_read_when_it_is_asked_for(tmp_path: Path) -> None:
    for head, rows in (
        (",a", "0,5\n1,6\n2,7\n"),
        ("Unnamed: 0,a", "1,5\n2,6\n3,7\n"),
        (",a", "7,5\n2,6\n9,7\n"),
    ):
        reading = read(tmp_path, f"{head}\n{rows}")
        assert reading.frame.names == ("a",)
        assert any("--columns" in remark for remark in reading.remarks)
        name = head.split(",")[0] or "column 1"
        assert read(tmp_path, f"{head}\n{rows}", columns=[name, "a"]).frame.names == (name, "a")
    assert read(tmp_path, "id,a\n0,5\n1,6\n2,7\n").frame.names == ("id", "a")  # it has a name
    assert read(tmp_path, ",a\n5,1\n5,2\n6,3\n").frame.names == ("column 1", "a")  # it does not count


# -- numbers ----------------------------------------------------------------------------------------------
NUMBERS = {  # cells, kind, values or None, options
    "plain": (["1.5", "-2e3", ".5", "+7", "5."], "number", [1.5, -2000, 0.5, 7, 5], {}),
    "decimal commas": (["1,5", "2,25", "3"], "number", [1.5, 2.25, 3], {}),
    "three digits beside one": (["1,684", "2,5"], "number", [1.684, 2.5], {}),
    "a zero before three digits": (["0,684", "0,112"], "number", [0.684, 0.112], {}),
    "decimal commas, told": (["1,684", "2,500"], "number", [1.684, 2.5], {"decimal": ","}),
    "thousands, told": (["1,684", "2,500,000.5"], "number", [1684, 2500000.5], {"decimal": "."}),
    "European thousands, told": (["1.684,5", "2.500"], "number", [1684.5, 2500], {"decimal": ","}),
    "leading zeros": (["01", "1", "010"], "text", None, {}),
    "beyond 2^53": (["9007199254740993", "1"], "text", None, {}),
    "2^53 itself": (["9007199254740992", "1"], "number", [2.0**53, 1], {}),
    "units": (["5%", "7%"], "text", None, {}),
    "underscores": (["1_000", "2"], "text", None, {}),
    "a word among numbers": (["1", "2", "many", "4"], "text", None, {}),
    "names with digits": (["A11", "A12"], "text", None, {}),
    "other digits": (["٣", "٤"], "text", None, {}),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name: str, tmp_path: Path) -> None:
    cells, kind, values, options = NUMBERS[name]
    reading = read(tmp_path, "x;n\n" + "".join(f"7;{cell}\n" for cell in cells), **options)
    column = reading.frame.column("n")
    assert column.kind == kind, reading
    assert column.values.tolist() == (cells if values is None else values)
    if kind == "text" and name not in ("underscores", "names with digits", "other digits"):
        assert reading.notes[1].remarks


def test_a_comma_before_three_digits_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"column 2 \(n\): '1,684' may be .*--decimal ,"):
        read(tmp_path, "x;n\na;1,684\nb;2,500\n")
    for value in ("inf", "-Infinity", "1e999"):
        with pytest.raises(FileError, match=r"line 3, column 2 \(n\): the value is infinite"):
            read(tmp_path, f"x,n\na,1\nb,{value}\n")


# -- dates ------------------------------------------------------------------------------------------------
DATES = {
    "2021-04-03": "2021-04-03T00:00:00",
    "2021/4/3": "2021-04-03T00:00:00",
    "2021-04-03 17:30": "2021-04-03T17:30:00",
    "2021-04-03T17:30:05.25Z": "2021-04-03T17:30:05.250000",
    "2021-04-03T17:30:05+02:00": "2021-04-03T15:30:05",
    "13/04/2021": "2021-04-13T00:00:00",
    "04/13/2021 5:30 PM": "2021-04-13T17:30:00",
    "3.4.2021": "2021-04-03T00:00:00",
    "3 April 2021": "2021-04-03T00:00:00",
    "03-Apr-2021": "2021-04-03T00:00:00",
    "April 3, 2021": "2021-04-03T00:00:00",
    "17:30:05": "1970-01-01T17:30:05",
}


@pytest.mark.parametrize("cell", DATES)
def test_dates(cell: str, tmp_path: Path) -> None:
    column = read(tmp_path, f"n;d\n1;{cell}\n2;\n").frame.column("d")
    assert column.kind == "date"
    assert column.values[0] == np.datetime64(DATES[cell])
    assert column.missing.tolist() == [False, True]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["03/04/2021", "05/06/2021"], "2021-04-03"),
        (["03/04/21", "13/04/21"], "2021-04-03"),
        (["2021-04-03T10:00Z", "2021-04-03T10:00"], "name a zone"),
        (["13/04/2021", "04/13/2021"], ""),
        (["2021-02-30", "2021-02-01"], ""),
        (["2021-04-03", "soon"], ""),
    ],
    ids=["day or month", "two digits", "some zones", "both orders", "no such day", "a word"],
)
def test_what_is_no_date_for_sure_stays_text(cells: list[str], words: str, tmp_path: Path) -> None:
    reading = read(tmp_path, "n,d\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells)))
    assert reading.frame.column("d").kind == "text"
    assert words in " ".join(reading.notes[1].remarks)


# -- truth, texts and what is missing ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("cells", "levels"),
    [
        (["True", "False", ""], ("False", "True")),
        (["yes", "no", "NA"], ("no", "yes")),
        (["T", "F", "T"], ("F", "T")),
        (["n", "y", "n"], ("n", "y")),
        (["no", "no", "no"], ("no", "yes")),
        (["TRUE", "TRUE", "NA"], ("FALSE", "TRUE")),
    ],
)
def test_truth_values_keep_their_words(cells: list[str], levels: tuple[str, str], tmp_path: Path) -> None:
    column = read(tmp_path, "n,t\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))).frame.column(
        "t"
    )
    assert (column.kind, column.levels) == ("truth", levels)
    present = [cell for cell in cells if cell not in ("", "NA")]
    assert [levels[int(value)] for value in column.values[~column.missing]] == present


@pytest.mark.parametrize("cells", [["t", "t"], ["n", "n"], ["y", "z"], ["0", "1"], ["yes", "maybe"]])
def test_other_letters_are_no_truth_values(cells: list[str], tmp_path: Path) -> None:
    reading = read(tmp_path, "n,t\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells * 3)))
    assert reading.frame.column("t").kind != "truth"


def test_none_and_na_are_levels_unless_numbers_use_them(tmp_path: Path) -> None:
    text = "n,t\n{},None\n2,NA\n3,x\n4,?\n5,\n"
    levels = read(tmp_path, text.format(1))
    assert levels.frame.column("t").missing.tolist() == [False, False, False, True, True]
    assert "--missing NA" in str(levels)
    missing = read(tmp_path, text.format("NA"))
    assert missing.frame.column("t").missing.tolist() == [False, True, False, True, True]
    assert "--missing ''" in str(missing)


def test_told_marks_are_the_only_ones(tmp_path: Path) -> None:
    text = "n,m,t\n-999,1,None\n2,NA,NA\n3,2,?\n4,5,\n"
    reading = read(tmp_path, text, missing="-999,?")
    assert reading.frame.column("n").missing.tolist() == [True, False, False, False]
    assert reading.frame.column("t").values.tolist() == ["None", "NA", "", ""]
    assert kinds(reading) == {"n": "number", "m": "text", "t": "text"}
    assert read(tmp_path, text, missing="").frame.column("t").missing.tolist() == [False, False, False, True]
    assert read(tmp_path, text, missing=["NA"]).frame.column("m").missing.tolist() == [
        False,
        True,
        False,
        False,
    ]


def test_a_mark_that_is_a_number_is_one_however_it_is_written(tmp_path: Path) -> None:
    text = "n;m;t\n-999;-999,0;-999\n2;1,5;x\n3;2,5;y\n"
    reading = read(tmp_path, text, missing="-999")
    assert [column.missing.tolist() for column in reading.frame.columns] == [[True, False, False]] * 3
    assert reading.frame.column("n").whole
    assert read(tmp_path, "n\n-9\n-9\n", missing="-9").notes[0].remarks == ("no value at all",)


def test_points_between_thousands_beside_decimal_commas(tmp_path: Path) -> None:
    text = "n;m;k\n1.684;2,5;1.234.567\n2.500;3,25;2.345.678\n"
    reading = read(tmp_path, text)
    assert (reading.decimal, kinds(reading)) == (",", {"n": "text", "m": "number", "k": "text"})
    assert "--decimal , reads" in reading.notes[0].remarks[0]
    told = read(tmp_path, text, decimal=",")
    assert [column.values.tolist() for column in told.frame.columns] == [
        [1684, 2500],
        [2.5, 3.25],
        [1234567, 2345678],
    ]


def test_almost_dates_and_almost_numbers_are_said(tmp_path: Path) -> None:
    rows = "".join(f"{i},2021-04-{i:02d},{i}\n" for i in range(10, 20))
    reading = read(tmp_path, f"n,d,m\n{rows}20,soon,many\n")
    assert kinds(reading) == {"n": "number", "d": "text", "m": "text"}
    assert reading.notes[1].remarks == ("dates but for some: the first other cell 'soon' in line 12",)
    assert reading.notes[2].remarks == (
        "numbers but for some: 1 cell is no number, the first 'many' in line 12, so text: --missing names "
        "those that are marks",
    )


def test_a_made_up_name_is_no_other_columns(tmp_path: Path) -> None:
    reading = read(tmp_path, "a,,column 2\n1,x,3\n2,y,5\n")
    assert reading.frame.names == ("a", "column 2 (unnamed)", "column 2")


def test_a_column_without_a_value(tmp_path: Path) -> None:
    reading = read(tmp_path, "a,b\n1,\n2,NA\n")
    assert reading.frame.column("b").missing.all()
    assert reading.notes[1].remarks == ("no value at all",)


# -- rows and columns -------------------------------------------------------------------------------------
def test_columns_and_drop(tmp_path: Path) -> None:
    text = "a,b,c\n1,x,3\n2,y,4\n"
    assert read(tmp_path, text, columns=["c", 0]).frame.names == ("c", "a")
    assert read(tmp_path, text, drop=["b", -1]).frame.names == ("a",)
    assert read(tmp_path, text, columns=["1"]).frame.names == ("b",)  # as the command line gives it
    for options, words in (
        ({"columns": ["z"]}, "no column 'z'; its columns are a, b, c"),
        ({"drop": ["z"]}, "no column 'z'"),
        ({"columns": [3]}, "no column 3"),
        ({"columns": ["a", 0]}, "twice"),
        ({"drop": ["a", "b", "c"]}, "no column is left"),
        ({"columns": [1.5]}, "columns holds 1.5"),
    ):
        with pytest.raises(FileError, match=words):
            read(tmp_path, text, **options)


FAULTS = {
    "short": ("a,b\n1,2\n3\n", "line 3: 1 cell, but the first line has 2"),
    "long, far down": ("a,b\n" + "1,2\n" * 3000 + "1,2,3\n", "line 3002: 3 cells"),
    "after a cell of two lines": ('a,b\n"x\ny",2\nz,3\n3\n', "line 5: 1 cell"),
    "open quote": ('a,b\n"1,2\n3,4\n', "not CSV"),
    "after a quote": ('a,b\n"1"x,2\n', "line 2: not CSV"),
    "header again": ("a,b\n1,x\na,b\n2,y\n", "line 3: holds the columns' names again"),
    "a line of a page": ("<!DOCTYPE html><p>", "a page of the web"),
    "JSON": ('[{"a": 1}]', "JSON"),
    "ARFF": ("% x\n@relation r\n@attribute a numeric\n@data\n1\n", "ARFF"),
    "NUL": (b"a,b\n1,\x00\n", "line 2: not a text file"),
    "binary": (bytes(range(1, 256)), "not a text file"),
    "PNG": (b"\x89PNG\r\n\x1a\n", "a picture"),
    "Excel": (b"\xd0\xcf\x11\xe0aaaa", "save it as CSV"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "gzip cut short": (b"\x1f\x8b\x08\x00\x00\x00", "a damaged gzip file"),
    "Parquet cut short": (b"PAR1abc", "a damaged Parquet file"),
    "one sign between": ("a^b\n1^2\n3^4\n", "--delimiter"),
    "unknown encoding": ("a,b\nTromsø,1\nÅse,2\n".encode("cp1252"), "--encoding cp1252 reads 'Tromsø"),
    "Russian": ("a,b\nИван,1\nПетр,2\n".encode("koi8-r"), "--encoding koi8_r reads 'Иван"),
    "Polish": ("a,b\nŁódź,1\nŻary,2\n".encode("cp1250"), "--encoding cp1250 reads 'Łódź"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named(name: str, tmp_path: Path) -> None:
    text, words = FAULTS[name]
    with pytest.raises(FileError) as caught:
        read(tmp_path, text)
    assert words in str(caught.value)
    assert "data.csv" in str(caught.value)


def test_what_is_told_is_checked(tmp_path: Path) -> None:
    for options, words in (
        ({"delimiter": "::"}, "single character"),
        ({"decimal": ";"}, "decimal is"),
        ({"encoding": "klingon"}, "encoding 'klingon' is not known"),
        ({"encoding": "ascii"}, r"line 2: not a text file in ascii \(byte 0xc3\)"),
        ({"header": "yes"}, "True, False or None"),
    ):
        with pytest.raises(FileError, match=words):
            read(tmp_path, "a,b\né,2\n", **options)
    assert read(tmp_path, "a^b\n1^2\n3^4\n", delimiter="^").frame.names == ("a", "b")
    assert read(tmp_path, "a;b\n1;2\n3;4\n", delimiter="none", header=True).frame.names == ("a;b",)
    assert read(tmp_path, "a  b\n1 \t2\n", delimiter="blanks").frame.names == ("a", "b")
    assert read(tmp_path, "a,b\né,2\n".encode("cp1252"), encoding="cp1252").frame.column("a").values[0] == "é"


def test_a_spreadsheet_and_an_archive_of_two(tmp_path: Path) -> None:
    import zipfile

    for names, words in ((["[Content_Types].xml"], "save it as CSV"), (["a.csv", "b.csv"], "2 files")):
        with zipfile.ZipFile(tmp_path / "data.csv", "w") as archive:
            for name in names:
                archive.writestr(name, "a,b\n1,2\n")
        with pytest.raises(FileError, match=words):
            read_table(tmp_path / "data.csv")


def test_typed_columns_of_parquet(tmp_path: Path) -> None:
    from datetime import date, time
    from decimal import Decimal

    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table(
        {
            "code": pyarrow.array([2**53 + 1, 2, None]),
            "price": [Decimal("1.50"), None, Decimal("2.25")],
            "level": pyarrow.array(["a", "b", "a"]).dictionary_encode(),
            "when": [date(2021, 4, 3), None, date(2021, 4, 4)],
            "clock": [time(10, 30), time(11), None],
            "nothing": pyarrow.nulls(3),
            "small": pyarrow.array([1, 2, 3], pyarrow.int8()),
            "list": [[1], [2], [3]],
            "__index_level_0__": [5, 6, 7],
        }
    )
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(table, path)
    with pytest.raises(FileError, match=r"'list'.* --drop 'list'"):
        read_table(path)
    reading = read_table(path, drop=["list"])
    assert kinds(reading) == {
        "code": "text", "price": "number", "level": "text", "when": "date", "clock": "date",
        "nothing": "number", "small": "number",
    }  # fmt: skip
    assert reading.frame.column("code").values.tolist() == [str(2**53 + 1), "2", ""]
    assert reading.frame.column("price").values[0] == 1.5
    assert "Parquet" in str(reading)


# -- what is said, and without the extra ------------------------------------------------------------------
def test_one_table_says_what_was_understood(tmp_path: Path) -> None:
    text = str(read(tmp_path, "size;kind;when\n1,5;b;2021-04-03\n2,5;?;2021-04-05\n;b;2021-04-04\n"))
    lines = text.splitlines()
    assert lines[0].endswith("data.csv: 3 rows, 3 columns")
    assert lines[1] == (
        "UTF-8, delimiter semicolon, decimal sign ',', the first line holds the names: 'size' stands above "
        "numbers as '1,5'"
    )
    assert [line.split("  ")[0] for line in lines[3:]] == ["column", lines[4], "size", "kind", "when"]
    assert lines[5].split() == ["size", "number", "1", "1.5", "…", "2.5"]
    assert lines[6].split() == ["kind", "text", "1", "(?)", "1", "level:", "b"]
    assert lines[7].split() == ["when", "date", "2021-04-03", "…", "2021-04-05"]


def test_a_line_of_many_columns_is_not_shown_whole(tmp_path: Path) -> None:
    text = ",".join(f"c{i}" for i in range(300)) + "\n" + ",".join("1.5" for _ in range(300)) + "\n"
    shown = str(read(tmp_path, text))
    assert "… 240 more" in shown
    assert "c299" in shown


WITHOUT = """
import sys
for name in ("pyarrow", "clevercsv", "charset_normalizer", "narwhals"):
    sys.modules[name] = None
from chainrule.base.errors import MissingExtraError
from chainrule.data import load_csv, read_table
print(load_csv(sys.argv[1], "t").features.tolist())
for path in sys.argv[2:]:
    try:
        read_table(path)
        print("read")
    except MissingExtraError as error:
        print(error)
"""


def test_without_the_extra_plain_tables_are_read_and_others_say_what_to_install(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    (tmp_path / "a.csv").write_text("x,y,t\n1,2.5,0\n3,4,1\n")
    (tmp_path / "b.csv").write_bytes("x,y\nMüller,1\n".encode("cp1252"))
    pyarrow.parquet.write_table(pyarrow.table({"x": [1, 2]}), tmp_path / "c.parquet")
    with pyarrow.CompressedOutputStream(str(tmp_path / "d.csv.zst"), "zstd") as stream:
        stream.write(b"a,b\n1,2\n")
    names = ("a.csv", "b.csv", "c.parquet", "d.csv.zst")
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT, *(tmp_path / name for name in names)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = ran.stdout.splitlines()
    assert lines[0] == "[[1.0, 2.5], [3.0, 4.0]]"
    for line, words in zip(lines[1:], ("--encoding cp1252", "Parquet", "Zstandard"), strict=True):
        assert words in line
        assert line.endswith("pip install 'chainrule[tables]'")


def test_no_error_is_another_librarys(tmp_path: Path) -> None:
    """Prefixes of a file, which end anywhere."""
    text = b'a;b;c\n"x; y";1,5;2021-04-03\n"z";2,5;\n?;3,5;2021-04-05\n'
    for end in range(len(text)):
        with contextlib.suppress(ChainruleError):
            read(tmp_path, text[:end])


@pytest.mark.parametrize("members", [(), ("a.csv", "b.csv"), ("[Content_Types].xml", "xl/a.xml")])
def test_an_archive_says_what_it_holds(members: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "t.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in members:
            archive.writestr(name, "x\n1\n")
    with pytest.raises(FileError) as caught:
        read_table(path)
    assert "damaged" not in str(caught.value)
    assert ("spreadsheet" if "xl/a.xml" in members else f"of {len(members)} files") in str(caught.value)
