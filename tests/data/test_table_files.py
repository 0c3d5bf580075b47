"""Files of a generator: what was meant is read, or refused by an error that names an option; nothing else."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from chainrule.base.errors import FileError
from chainrule.data import Reading, read_table
from chainrule.data.tables import cells
from chainrule.data.tables.dialect import dialect_of
from tests.data.table_files import TableFile, Truth, generated

FILES = list(generated(420, seed=12))


def differences(reading: Reading, file: TableFile) -> list[str]:
    """Where the reading is not what was meant."""
    frame = reading.frame
    meant = [truth.name for truth in file.truth]
    if list(frame.names) != meant:
        return [f"columns {list(frame.names)}, meant {meant}"]
    wrong = [] if frame.named == file.header else [f"named {frame.named}"]
    return wrong + [text for truth in file.truth if (text := difference(reading, truth))]


def difference(reading: Reading, truth: Truth) -> str:
    column = reading.frame.column(truth.name)
    if column.kind != truth.kind:
        return f"{truth.name} is {column.kind}, meant {truth.kind}"
    missing = [value is None for value in truth.values]
    if column.missing.tolist() != missing:
        return f"{truth.name}: missing {column.missing.tolist()}, meant {missing}"
    present = [value for value in truth.values if value is not None]
    values = column.values[~column.missing]
    if column.kind == "date":
        same = (values == np.array(present, dtype="datetime64[us]")).all()
    elif column.kind == "number":
        same = np.allclose(values, np.array(present, dtype=float), rtol=0, atol=5e-7)
    else:
        same = values.tolist() == present
    return "" if same else f"{truth.name}: {values.tolist()[:5]}, meant {present[:5]}"


@pytest.mark.parametrize("part", range(6))
def test_what_was_meant_is_read_or_refused_with_an_option(part: int, tmp_path: Path) -> None:
    refused: Counter[str] = Counter()
    wrong = []
    for file in FILES[part::6]:
        path = tmp_path / file.name
        path.write_bytes(file.content)
        try:
            reading = read_table(path)
        except FileError as error:
            if not re.search(r"--(header|delimiter|decimal|encoding|missing)", str(error)):
                wrong.append(f"{error} names no option {file.facts}")
            refused[str(error).partition(": ")[2][:60]] += 1
            continue
        wrong += [f"{file.name} {text} {file.facts}" for text in differences(reading, file)]
    assert not wrong, "\n".join(wrong)
    assert refused.total() <= 4, refused  # of 70


def test_arrow_reads_what_is_long_and_regular(tmp_path: Path) -> None:
    regular = "a,b\n" + '1.5,"x, y"\n2.5,z\n' * 90_000
    for text, kind in ((regular, cells.ArrowCells), (regular + '3.5, "w"\n', cells.Cells)):
        rows = cells.Rows(tmp_path, text, dialect_of(tmp_path, text, None))
        assert [type(column) for column in rows.columns(with_first=False)] == [kind, kind]
        assert rows.locate(2, with_first=False) == (4, ["1.5", "x, y"])


def test_arrow_and_csv_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lengths from which on Arrow reads are another, the tables are the same."""
    arrow = 0
    for file in FILES[:150]:
        path = tmp_path / file.name
        path.write_bytes(file.content)
        texts = []
        for length in (2**62, 0):
            monkeypatch.setattr(cells, "LONG", length)
            try:
                texts.append(str(read_table(path)))
            except FileError as error:
                texts.append(str(error))
        assert texts[0] == texts[1]
        arrow += 1
    assert arrow == 150
