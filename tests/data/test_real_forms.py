"""Files that many people have, in their own forms: what must be understood of each."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from chainrule.data import read_table
from tests.data.real_forms import FORMS


@pytest.mark.parametrize("name", FORMS)
def test_a_known_file_is_understood(name: str, tmp_path: Path) -> None:
    form = FORMS[name]()
    path = tmp_path / f"table.{form.ending}"
    data = form.text.encode(form.encoding)
    path.write_bytes(gzip.compress(data) if form.ending.endswith("gz") else data)
    reading = read_table(path)
    frame, said = reading.frame, str(reading)
    assert (len(frame), len(frame.columns)) == (form.rows, form.columns), said
    assert (reading.header, reading.delimiter, reading.decimal) == (
        form.header,
        form.delimiter,
        form.decimal,
    ), said
    assert {column: frame.column(column).kind for column in form.kinds} == form.kinds, said
    missing = {column.name: int(column.missing.sum()) for column in frame.columns}
    assert {column: missing[column] for column in form.missing} == form.missing, said
    for words in form.said:
        assert words in said
