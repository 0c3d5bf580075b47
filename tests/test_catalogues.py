"""Catalogues of texts: every key in every language, with the same placeholders, on one line; asked for by
the sources are texts that there are, with their placeholders, and no text is unused.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import chainrule
from chainrule.base.languages import LANGUAGES, Catalogue, Say, placeholders

PACKAGE = Path(str(chainrule.__file__)).parent
FILES = sorted(PACKAGE.rglob("*.toml"))
IDS = [path.relative_to(PACKAGE).as_posix() for path in FILES]
SOURCES = [path for path in sorted(PACKAGE.rglob("*.py")) if not path.stem.startswith("__")]


def dotted(path: Path) -> str:
    """The name of a file of the package as a module has it."""
    return ".".join(("chainrule", *path.relative_to(PACKAGE).with_suffix("").parts))


def catalogue(path: Path) -> Catalogue:
    return Catalogue(*dotted(path).rsplit(".", 1))


@dataclass(frozen=True)
class Asked:
    """A place of the sources that asks for a text.

    key: "table." where the rest of it is a value of the program, "" where all of it is.
    values: the names that are filled in; None where that is not seen here.
    """

    line: int
    key: str
    values: frozenset[str] | None = None


def asked_in(source: str, catalogues: Mapping[str, str]) -> Iterator[tuple[str, Asked]]:
    """(catalogue, what it is asked for) in a module.  catalogues: by the names they have there."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=key):
                method, values = "[]", frozenset[str]()
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method), args=[key, *_]):
                values = frozenset(keyword.arg or "**" for keyword in node.keywords)
            case _:
                continue
        if name in catalogues:
            end = "." if method == "within" else ""
            seen = method in ("[]", "say") and "**" not in values
            for each in keys(key):
                yield catalogues[name], Asked(node.lineno, f"{each}{end}", values if seen else None)


def keys(expression: ast.expr) -> Iterator[str]:
    """What an expression for a key comes to, as far as it is written there."""
    match expression:
        case ast.IfExp(body=first, orelse=second):
            yield from (*keys(first), *keys(second))
        case ast.Constant(value=str(key)):
            yield key
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]):
            yield start[: start.rfind(".") + 1]
        case _:
            yield ""


@cache
def all_asked() -> dict[str, list[tuple[str, Asked]]]:
    """Catalogue -> (module, what it asks for)."""
    found: dict[str, list[tuple[str, Asked]]] = {dotted(path): [] for path in FILES}
    for path in SOURCES:
        held = vars(import_module(dotted(path)))
        names = {name: f"{it.package}.{it.name}" for name, it in held.items() if isinstance(it, Catalogue)}
        for name, asked in asked_in(path.read_text(encoding="utf-8"), names):
            found[name].append((dotted(path), asked))
    return found


@cache
def literals() -> set[str]:
    """Every string of the sources without blanks: keys, and tables of keys."""
    texts = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    return {found for text in texts for found in re.findall(r'"([^"\s{}]+)"', text)}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_the_languages_agree_on_their_placeholders(path: Path) -> None:
    texts = catalogue(path)
    assert texts
    for key, text in texts.items():
        assert text.en.strip() == text.en != "", key  # what stands between two texts is no part of them
        assert text.zh.strip() == text.zh != "", key
        assert placeholders(text.en) == placeholders(text.zh), key


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_what_the_sources_ask_for_is_there_with_its_placeholders(path: Path) -> None:
    texts = catalogue(path)
    for module, asked in all_asked()[dotted(path)]:
        place = f"{module}, line {asked.line}: {asked.key}"
        if asked.key.endswith("."):
            assert any(key.startswith(asked.key) for key in texts), place
        elif asked.key:
            assert asked.key in texts, place
            assert asked.values is None or asked.values == placeholders(texts[asked.key].en), place


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_text_is_unused(path: Path) -> None:
    """It is asked for by its key or as one of its table; where the sources ask for what a variable says, its
    key or its table stands in them.
    """
    asked = {each.key for _, each in all_asked()[dotted(path)]}
    written = literals() if "" in asked else set()
    for key in catalogue(path):
        tables = [key.rsplit(".", n)[0] for n in range(1, key.count(".") + 1)]
        assert key in asked or any(f"{table}." in asked for table in tables) or {key, *tables} & written, key


def test_a_key_is_found_in_every_way_to_ask_for_it() -> None:
    source = """
WORDS["a"], WORDS["b" if there else f"table.{n}"], WORDS.get(key), WORDS.within("other")
WORDS.say("c", n=3), WORDS.say("d", **values), ELSE["e"]
"""
    found = {(asked.key, asked.values) for _, asked in asked_in(source, {"WORDS": "words"})}
    none: frozenset[str] = frozenset()
    given = {("a", none), ("b", none), ("table.", none), ("c", frozenset({"n"}))}
    assert found == given | {("", None), ("other.", None), ("d", None)}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_text_is_one_line(path: Path) -> None:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        assert re.match(rf"(\[[\w.]+\]|({'|'.join(LANGUAGES)}) = [\"'].*[\"']|#.*|)$", line), (
            f"{path}:{number}"
        )


def test_a_catalogue_fills_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "__init__.py").write_text("")
    text = '[whole]\nen = "{n} {unit}"\nzh = "{n}{unit}"\n\n[units.step]\nen = "steps"\nzh = "步"\n'
    (tmp_path / "words" / "count.toml").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    words = Catalogue("words", "count")
    assert list(words) == ["whole", "units.step"]
    assert words.say("whole", n=3, unit=words["units.step"]) == Say("3 steps", "3步")
    assert words.recognised("3 steps") == Say("3 steps", "3steps")
    assert words.recognised("steps") == Say("steps", "步")
    assert words.recognised("none") is None
    assert words.within("units") == {"step": Say("steps", "步")}
    assert len(tomllib.loads(text)) == 2


def test_texts_are_strung_together_in_each_language() -> None:
    assert Say(", ", "、").join([Say("one", "一"), Say("two", "二")]) == Say("one, two", "一、二")
    assert Say(", ", "、").join([]) == Say("", "")
