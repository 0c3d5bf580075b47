"""Texts in the languages of reports and findings, English and Chinese, and the catalogues that hold them.

A catalogue is a TOML file: a table per key, a line per language, placeholders by name.

    [penalty_is_free]
    en = "{layer} has no penalty: its biases are free."
    zh = "{layer} 没有惩罚项：偏置不受约束。"
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import TypedDict

LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Say:
    """A text in the report's languages."""

    en: str
    zh: str

    def __add__(self, other: Say) -> Say:
        return Say(self.en + other.en, self.zh + other.zh)

    def join(self, texts: Iterable[Say]) -> Say:
        """The texts one behind the other, with this one between them."""
        listed = list(texts)
        return Say(self.en.join(text.en for text in listed), self.zh.join(text.zh for text in listed))

    def format(self, **values: object) -> Say:
        """Placeholders filled in; what is itself a text in its language."""
        filled = {
            language: {n: getattr(v, language) if isinstance(v, Say) else v for n, v in values.items()}
            for language in LANGUAGES
        }
        return Say(self.en.format(**filled["en"]), self.zh.format(**filled["zh"]))


class SayRecord(TypedDict):
    """A text as JSON."""

    en: str
    zh: str


def say_from(text: SayRecord) -> Say:
    """A text of the document."""
    return Say(text["en"], text["zh"])


def say_json(say: Say) -> SayRecord:
    """A text as JSON."""
    return {"en": say.en, "zh": say.zh}


def same(text: str) -> Say:
    """A text that is the same in every language: a name, a shape, a number."""
    return Say(text, text)


NOTHING, SPACE = same(""), Say(" ", "")
COLON, COMMA, SEMICOLON = Say(": ", "："), Say(", ", "，"), Say("; ", "；")
FULL_STOP = Say(". ", "。")
AND = Say(", ", "、")  # between what is listed


def mark(sign: Say, language: str) -> str:
    """One of these marks in a document of a language, "en", "zh", or "en+zh": there as English has it."""
    return sign.zh if language == "zh" else sign.en


class Catalogue(Mapping[str, Say]):
    """The texts of a TOML file by their keys, read when the first is asked for; keys of inner tables are
    joined by dots.

    package: where the file is.  name: of the file, without ".toml".
    """

    def __init__(self, package: str, name: str) -> None:
        self.package, self.name = package, name

    @cached_property
    def _texts(self) -> dict[str, Say]:
        file = resources.files(self.package) / f"{self.name}.toml"
        return dict(_flat(tomllib.loads(file.read_text("utf-8")), ""))

    def __getitem__(self, key: str) -> Say:
        return self._texts[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def say(self, key: str, **values: object) -> Say:
        """A text with its placeholders filled in."""
        return self[key].format(**values)

    def recognised(self, english: str) -> Say | None:
        """The text whose English form this is, its placeholders filled with what stands there."""
        for text in self.values():
            parts = string.Formatter().parse(text.en)
            pattern = "".join(
                re.escape(fixed) + (f"(?P<{name}>.+)" if name else "") for fixed, name, _, _ in parts
            )
            if match := re.fullmatch(pattern, english):
                return text.format(**match.groupdict())
        return None

    def within(self, table: str) -> dict[str, Say]:
        """The texts of an inner table by their own keys."""
        prefix = f"{table}."
        return {key.removeprefix(prefix): text for key, text in self.items() if key.startswith(prefix)}


def placeholders(text: str) -> set[str]:
    """The names of a text's placeholders."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def _flat(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, Say]]:
    for key, value in table.items():
        assert isinstance(value, dict), f"{prefix}{key}: a text stands in a table, en = ..., zh = ..."
        if value.keys() == set(LANGUAGES):
            yield f"{prefix}{key}", Say(**value)
        else:
            yield from _flat(value, f"{prefix}{key}.")
