"""How rows and cells of a text are written: comment lines, sep=, the quote, the delimiter.

A delimiter is one that gives every line of a sample the same number of cells, and cells that hold no other
delimiter.  Where none does, or several do equally well, the question is asked: --delimiter.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from chainrule.base.errors import FileError, describe
from chainrule.base.shown import quoted
from chainrule.data.tables.dates import CLOCK_ALONE, YEAR_FIRST, YEAR_LAST
from chainrule.data.tables.decimals import number_like
from chainrule.data.tables.missing import USUAL

BLANKS = " "  # any run of spaces and tabs
CANDIDATES = ("\t", ";", "|", ",", BLANKS)
NAMES = {"\t": "tab", BLANKS: "blanks", "": "none", ",": "comma", ";": "semicolon", "|": "bar"}
TOLD = {"tab": "\t", "\\t": "\t", "blanks": BLANKS, "space": BLANKS, "none": "", "comma": ",", "semicolon": ";"}
SAMPLE_LINES, SAMPLE_SIZE = 1000, 2**18
SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
# Signs that stand between cells in some files, yet within texts in most.
RARE = re.compile(r"[\^~:!§¦\x01\x1e\x1f]")


@dataclass(frozen=True)
class Dialect:
    """delimiter: a character, BLANKS, or "" where each line is a cell.  skipped: lines above the table, of
    which `comment`, if any, may hold the names.
    """

    delimiter: str
    quote: str = '"'
    skipped: int = 0
    comment: str | None = None
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return NAMES.get(self.delimiter, f"'{self.delimiter}'")


def rows_of(lines: Iterator[str], dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """The rows, each with the number of its last line, of the lines after `dialect.skipped`; cells are
    stripped, lines with nothing on them passed over.

    Raises csv.Error with what is wrong as its text and the line's number beside it.
    """
    if not dialect.delimiter:
        for number, line in enumerate(lines, dialect.skipped + 1):
            if line.strip():
                yield number, [line.strip().strip(dialect.quote)]
        return
    if dialect.delimiter == BLANKS:
        lines = (line.replace("\t", " ").strip() + "\n" for line in lines)
    reader = csv.reader(
        lines, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True, skipinitialspace=True
    )
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise csv.Error(str(error), reader.line_num + dialect.skipped) from None
        if row is None:
            return
        cells = [cell.strip() for cell in row]
        if row and (len(row) > 1 or cells[0]):
            yield reader.line_num + dialect.skipped, cells


def lines_of(text: str, skipped: int = 0) -> Iterator[str]:
    """The lines after the first `skipped`, without a copy of the text."""
    start = 0
    for number in range(text.count("\n") + 1):
        end = text.find("\n", start) + 1 or len(text)
        if number >= skipped and end > start:
            yield text[start:end]
        start = end


def dialect_of(path: Path, text: str, told: str | None) -> Dialect:
    """What the beginning of the text says.  Raises FileError where it does not tell."""
    head = text[:SAMPLE_SIZE]
    whole = len(head) == len(text)
    if not whole:
        head = head[: head.rfind("\n") + 1] or head
    lines = head.splitlines(keepends=True)[: SAMPLE_LINES + 50] if "\n" in head else [head]
    skipped, comment, remarks, declared = 0, None, [], None
    for line in lines:
        plain = line.strip()
        match = SEPARATOR.fullmatch(line)
        if match and declared is None:
            declared = match[1]
            remarks.append(f"the line sep={match[1]} names the delimiter")
        elif plain.startswith(("#", "%")) and _is_comment(plain, lines[skipped + 1 :]):
            comment = plain
        elif plain:
            break
        skipped += 1
    sample = lines[skipped:]
    if not any(line.strip() for line in sample):
        raise FileError(f"{path}: holds no line of values")
    if comment is not None:
        remarks.append("lines above the table that begin with # or % are comments")
    quote = _quote(sample)
    delimiter = _told(told) if told is not None else declared
    if delimiter is None:
        delimiter = _delimiter(path, sample, quote, cut=not whole)
    return Dialect(delimiter, quote, skipped, comment, tuple(remarks))


def _told(told: str) -> str:
    delimiter = TOLD.get(told, told)
    if not isinstance(told, str) or len(delimiter) > 1 or delimiter in ('"', "\n", "\r"):
        raise FileError(
            f"delimiter is {describe(told)}: write a single character, such as ',', or tab, blanks or none"
        )
    return delimiter


def _is_comment(line: str, after: list[str]) -> bool:
    """Whether a line at the top that begins with # is none of the table: the cells below begin otherwise."""
    below = [other for other in islice((other.strip() for other in after), 50) if other]
    return not below or not below[-1].startswith(line[0])


def _quote(sample: list[str]) -> str:
    """' where all that is quoted at all stands between such."""
    text = "".join(sample)
    if '"' in text:
        return '"'
    opened = re.findall(r"(?:^|[,;\t|])\s*'[^'\n]*'\s*(?=[,;\t|\n]|$)", text, re.MULTILINE)
    return "'" if len(opened) >= len(sample) // 2 + 1 and 2 * len(opened) == text.count("'") else '"'


def _delimiter(path: Path, sample: list[str], quote: str, *, cut: bool) -> str:
    """The candidate that gives every row of the sample as many cells, and cells of a kind."""
    scores: dict[str, float] = {}
    first_widths: dict[str, int] = {}
    for candidate in CANDIDATES:
        rows = _rows(sample, Dialect(candidate, quote), cut)
        if not rows:
            continue
        widths = [len(row) for row in rows]
        first_widths[candidate] = widths[0]
        if max(widths[0], widths[-1]) > 1 and _regular(rows, widths):
            scores[candidate] = _tidiness(rows, candidate, sample)
    if not scores:
        return _without_rows(path, sample, first_widths)
    best = max(scores.values())
    leaders = [candidate for candidate, score in scores.items() if score > best - 1e-9]
    if best < 0.5 or (len(leaders) > 1 and BLANKS not in leaders and best < 1):
        listed = " or ".join(NAMES[candidate] for candidate in leaders)
        raise FileError(
            f"{path}: which character stands between the cells cannot be told ({listed}): "
            "write --delimiter, such as --delimiter ';' (or delimiter=';')"
        )
    return leaders[0]


def _rows(sample: list[str], dialect: Dialect, cut: bool) -> list[list[str]]:
    """Rows of the sample, without the last where the sample may end within it; none where it is no CSV."""
    rows: list[list[str]] = []
    try:
        rows.extend(row for _, row in islice(rows_of(iter(sample), dialect), SAMPLE_LINES))
    except csv.Error:
        if not cut:
            return []
    return rows[:-1] if cut and len(rows) > 2 else rows


def _regular(rows: list[list[str]], widths: list[int]) -> bool:
    """Rows of one length; or the first shorter by one, as R writes it, or where lines end with a delimiter."""
    if len(set(widths)) == 1:
        return True
    return len(set(widths[1:])) == 1 and len(rows) > 2 and widths[1] == widths[0] + 1


def _tidiness(rows: list[list[str]], delimiter: str, sample: list[str]) -> float:
    """The share of cells that are a number, a date, missing, or words without another delimiter in them."""
    others = [other for other in "\t;|," if other != delimiter]
    count = tidy = 0
    for row in rows:
        for cell in row:
            count += 1
            if number_like(cell) or cell.lower() in USUAL or delimiter in cell or YEAR_FIRST.fullmatch(cell) or YEAR_LAST.fullmatch(cell) or CLOCK_ALONE.fullmatch(cell) or not any(other in cell for other in others):  # within quotes
                tidy += 1
    return tidy / max(count, 1)


def _without_rows(path: Path, sample: list[str], widths: dict[str, int]) -> str:
    """No candidate gives rows of one length: a single column, or a file with a fault, which the reader names."""
    lines = [line.rstrip("\n") for line in sample if line.strip()]
    hard = [candidate for candidate in CANDIDATES if candidate != BLANKS]
    used = {c: sum(c in line for line in lines) for c in hard}
    often = max(hard, key=lambda c: (used[c], sum(line.count(c) for line in lines)))
    if used[often] > len(lines) / 2:
        return often
    blank = sum(len(line.split()) > 1 for line in lines)
    if blank > len(lines) / 2 and widths.get(BLANKS, 1) > 1:
        numbers = sum(number_like(cell) for line in lines for cell in line.split())
        if numbers > sum(len(line.split()) for line in lines) / 2:
            return BLANKS
    rare = [set(RARE.findall(line)) for line in lines]
    shared = set.intersection(*rare)
    for sign in sorted(shared):
        counts = {line.count(sign) for line in lines}
        if len(counts) == 1 and not all(CLOCK_ALONE.fullmatch(line.strip()) for line in lines[1:]):
            raise FileError(
                f"{path}: a single column of texts, or cells with {quoted(sign)!r} between them: write "
                f"--delimiter {quoted(sign)!r} or --delimiter none (delimiter={quoted(sign)!r} or 'none')"
            )
    return ""
