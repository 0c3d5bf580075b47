"""Texts in the languages of reports and findings, English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Say:
    """A text in the report's languages."""

    en: str
    zh: str

    def __add__(self, other: Say) -> Say:
        return Say(self.en + other.en, self.zh + other.zh)


def say_from(text: Mapping[str, str]) -> Say:
    """A text of the document, {"en", "zh"}."""
    return Say(text["en"], text["zh"])


def same(text: str) -> Say:
    """A text that is the same in every language: a name, a shape, a number."""
    return Say(text, text)
