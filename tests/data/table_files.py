"""A generator of table files, each with the truth beside it.

A file is a drawing of: delimiter × decimal sign × header × quoting × encoding × missing mark × label × words
× line ends × container.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Value = float | str | bool | datetime | None


@dataclass(frozen=True)
class Truth:
    """A column as it is meant; None is missing."""

    name: str
    kind: str
    values: list[Value]


@dataclass(frozen=True)
class TableFile:
    name: str
    content: bytes
    truth: list[Truth]
    header: bool
    facts: dict[str, Any] = field(default_factory=dict)


WORDS = {
    "plain": ["red", "green", "blue", "white"],
    "spaces": ["light red", "dark green", "sky blue", "off white"],
    "commas": ["Braund, Mr. Owen", "Heikkinen, Miss Laina", "Allen; William", "a|b"],
    "newlines": ["one\ntwo", "three", "four\nfive", "six"],
    "quotes": ['5" pipe', 'say "yes"', "plain", "it's"],
    "western": ["Müller", "Gérard", "Köln", "Zoë"],
    "chinese": ["北京市", "上海市", "广州市", "深圳市"],
    "japanese": ["東京都", "大阪府", "名古屋市", "さくら"],
}
DELIMITERS = (",", ";", "\t", "|", " ")
DECIMALS = (".", ".", ",")
HEADERS = ("names", "names", "years", "counted", "none", "index")
QUOTING = ("minimal", "all", "texts")
ENCODINGS = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252", "gb18030", "cp932")
MARKS = ("", "NA", "?", "NaN", "null", "n/a")
LABELS = ("words", "whole", "from one", "truth", "yes", "codes", "None", "long codes", "fractions")
ENDS = ("\n", "\n", "\r\n", "\r")
CONTAINERS = ("plain", "plain", "gz", "bz2", "xz", "zip", "zst", "parquet", "feather")


def generated(count: int, seed: int) -> Iterator[TableFile]:
    """`count` files; every option comes in turn, its partners by chance."""
    rng = random.Random(seed)
    options: dict[str, tuple[str, ...]] = {
        "delimiter": DELIMITERS,
        "decimal": DECIMALS,
        "header": HEADERS,
        "quoting": QUOTING,
        "encoding": ENCODINGS,
        "mark": MARKS,
        "label": LABELS,
        "ends": ENDS,
        "container": CONTAINERS,
        "words": tuple(WORDS),
    }
    turns = {}
    for key, choices in options.items():
        turns[key] = [choices[i % len(choices)] for i in range(count)]
        rng.shuffle(turns[key])
    for i in range(count):
        yield table_file(rng, {key: turn[i] for key, turn in turns.items()}, f"{i}")


def table_file(rng: random.Random, facts: dict[str, str], number: str) -> TableFile:
    """The file of these facts; what cannot be together is mended first, in `facts`."""
    facts = dict(facts)
    if facts["delimiter"] == " " and facts["mark"] == "":
        facts["mark"] = "NA"
    if facts["delimiter"] == " " and facts["words"] == "newlines":
        facts["words"] = "commas"
    words = facts["words"]
    needed = {"western": ("utf-8", "utf-16", "cp1252"), "chinese": ("gb18030",), "japanese": ("cp932",)}
    if words in needed and facts["encoding"] not in (*needed[words], "utf-8", "utf-8-sig", "utf-16"):
        facts["encoding"] = needed[words][-1]
    rows = rng.choice((8, 15, 40))
    columns = _columns(rng, facts, rows)
    if facts["container"] in ("parquet", "feather"):
        return TableFile(f"{number}.{facts['container']}", _columnar(columns, facts), columns, True, facts)
    text, header = _text(columns, facts)
    content = _packed(text.encode(facts["encoding"]), facts["container"])
    names = [column if header else None for column in columns]
    truth = [
        Truth(column.name if names[i] else f"column {i + 1}", column.kind, column.values)
        for i, column in enumerate(columns)
    ]
    ending = {"plain": "csv", "zip": "zip"}.get(facts["container"], f"csv.{facts['container']}")
    return TableFile(f"{number}.{ending}", content, truth, header, facts)


def _columns(rng: random.Random, facts: dict[str, str], rows: int) -> list[Truth]:
    def some(values: list[Value]) -> list[Value]:
        """With a gap or two."""
        gaps = rng.sample(range(1, rows), rng.choice((0, 1, 2)))
        return [None if i in gaps else value for i, value in enumerate(values)]

    measures = [
        Truth("length", "number", some([round(rng.uniform(-9, 99), 2) + 0.001 for _ in range(rows)])),
        Truth("count", "number", some([float(rng.randint(0, 500)) for _ in range(rows)])),
        Truth("share", "number", [round(rng.random(), 6) for _ in range(rows)]),
    ]
    words = WORDS[facts["words"]]
    colour = Truth("colour", "text", [rng.choice(words) for _ in range(rows)])
    day = Truth("day", "date", [datetime(2021, rng.randint(1, 12), rng.randint(13, 28)) for _ in range(rows)])
    columns = [*measures, colour]
    if rng.random() < 0.4:
        columns.insert(rng.randint(0, 3), day)
    label: dict[str, Callable[[int], Value]] = {
        "words": lambda i: ("aster", "bellis", "crocus")[i % 3],
        "whole": lambda i: float(i % 3),
        "from one": lambda i: float(i % 3 + 1),
        "truth": lambda i: i % 3 == 0,
        "yes": lambda i: i % 3 == 0,
        "codes": lambda i: ("01", "1", "010")[i % 3],
        "None": lambda i: ("None", "Gravel", "Paved")[i % 3],
        "long codes": lambda i: f"9007199254740{993 + 2 * (i % 3)}",
        "fractions": lambda i: 0.5 * (i % 4),
    }
    kind = {"truth": "truth", "yes": "truth"}.get(facts["label"], "")
    kind = kind or ("number" if facts["label"] in ("whole", "from one", "fractions") else "text")
    columns.append(Truth("kind", kind, [label[facts["label"]](i) for i in range(rows)]))
    return columns


def _text(columns: list[Truth], facts: dict[str, str]) -> tuple[str, bool]:
    delimiter, style = facts["delimiter"], facts["header"]
    rows = [[_cell(value, facts) for value in row] for row in zip(*(c.values for c in columns), strict=True)]
    names = [column.name for column in columns]
    if style in ("years", "counted"):
        start = 0 if style == "counted" else 2015
        names = [
            str(start + i) if column.kind == "number" else column.name for i, column in enumerate(columns)
        ]
        if style == "counted":
            names = [str(i) for i in range(len(columns) - 1)] + ["label"]
        for i, column in enumerate(columns):
            columns[i] = Truth(names[i], column.kind, column.values)
    header = style != "none"
    if style == "index":
        if delimiter == " ":
            facts["header"] = "names"
        else:
            names = ["", *names]
            rows = [[(str(i), False), *row] for i, row in enumerate(rows)]
    lines = [[(name, True) for name in names], *rows] if header else rows
    text = facts["ends"].join(delimiter.join(_quoted(*cell, facts) for cell in line) for line in lines)
    return text + (facts["ends"] if len(rows) % 2 else ""), header


def _cell(value: Value, facts: dict[str, str]) -> tuple[str, bool]:
    """As it is written, and whether it is a text."""
    if value is None:
        return facts["mark"], False
    if isinstance(value, bool):
        pair = ("no", "yes") if facts["label"] == "yes" else ("False", "True")
        return pair[value], True
    if isinstance(value, float):
        text = str(int(value)) if value == int(value) else repr(round(value, 6))
        return text.replace(".", facts["decimal"]), False
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d" if facts["quoting"] != "texts" else "%d/%m/%Y"), True
    return value, True


def _quoted(text: str, is_text: bool, facts: dict[str, str]) -> str:
    inside = any(sign in text for sign in (facts["delimiter"], '"', "\n"))
    wanted = {"all": True, "texts": is_text, "minimal": False}[facts["quoting"]]
    if not inside and not (wanted and text):
        return text
    return '"' + text.replace('"', '""') + '"'


def _packed(data: bytes, container: str) -> bytes:
    if container == "zip":
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("table.csv", data)
        return stream.getvalue()
    if container == "zst":
        import pyarrow

        sink = pyarrow.BufferOutputStream()
        with pyarrow.CompressedOutputStream(sink, "zstd") as packing:
            packing.write(data)
        return bytes(sink.getvalue())
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.get(container, bytes)
    return pack(data)


def _columnar(columns: list[Truth], facts: dict[str, str]) -> bytes:
    import pyarrow
    import pyarrow.feather
    import pyarrow.parquet

    table = pyarrow.table({column.name: pyarrow.array(column.values) for column in columns})
    stream = io.BytesIO()
    if facts["container"] == "parquet":
        pyarrow.parquet.write_table(table, stream)
    else:
        pyarrow.feather.write_feather(table, stream)
    return stream.getvalue()
