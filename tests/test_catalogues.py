"""Catalogues of texts: every key in every language, with the same placeholders, on one line, and used."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path

import pytest

import chainrule
from chainrule.base.languages import LANGUAGES, Catalogue, Say, placeholders

PACKAGE = Path(str(chainrule.__file__)).parent
FILES = sorted(PACKAGE.rglob("*.toml"))
IDS = [path.relative_to(PACKAGE).as_posix() for path in FILES]


def catalogue(path: Path) -> Catalogue:
    return Catalogue(".".join(("chainrule", *path.parent.relative_to(PACKAGE).parts)), path.stem)


@lru_cache
def literals() -> set[str]:
    """Every string of the sources without blanks: keys, and tables of keys."""
    texts = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    return {found for text in texts for found in re.findall(r'"([^"\s{}]+)"', text)}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_the_languages_agree_on_their_placeholders(path: Path) -> None:
    texts = catalogue(path)
    assert texts
    for key, text in texts.items():
        assert text.en, key
        assert text.zh, key
        assert placeholders(text.en) == placeholders(text.zh), key


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_text_is_unused(path: Path) -> None:
    """A key stands in the sources, or the table that it is in."""
    used = literals()
    unused = [
        key
        for key in catalogue(path)
        if not any(key.rsplit(".", n)[0] in used for n in range(key.count(".") + 1))
    ]
    assert not unused


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_text_is_one_line(path: Path) -> None:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        assert re.match(rf"(\[[\w.]+\]|({'|'.join(LANGUAGES)}) = [\"'].*[\"']|#.*|)$", line), (
            f"{path}:{number}"
        )


def test_a_catalogue_fills_in_and_joins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "__init__.py").write_text("")
    text = '[whole]\nen = "{n} {unit}"\nzh = "{n}{unit}"\n\n[units.step]\nen = "steps"\nzh = "步"\n'
    (tmp_path / "words" / "count.toml").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    words = Catalogue("words", "count")
    assert list(words) == ["whole", "units.step"]
    assert words.say("whole", n=3, unit=words["units.step"]) == Say("3 steps", "3步")
    assert words.within("units") == {"step": Say("steps", "步")}
    assert len(tomllib.loads(text)) == 2
