"""Text from outside: what a terminal or a page would obey is shown as an escape, long texts are clipped."""

from __future__ import annotations

import pickle
import sys
import unicodedata

import pytest

from chainrule.base import errors
from chainrule.base.shown import LONGEST_MESSAGE, clipped, quoted, shown, shown_tree, storable


def test_every_character_that_a_terminal_obeys_is_escaped() -> None:
    """Over all of Unicode: control, surrogate and separator characters go, letters of every script stay."""
    kept = []
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        category = unicodedata.category(character)
        if category in ("Cc", "Cs", "Zl", "Zp") and character not in "\n\t":
            assert shown(character) == ascii(character)[1:-1]
        elif category == "Cf":
            if shown(character) == character:
                kept.append(code)
        elif category != "Cn":
            assert shown(character) == character
    bidi = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
    assert not bidi & set(kept)
    assert {0x200C, 0x200D} <= set(kept)  # joiners, which words of Persian and Hindi are spelled with


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb\bc\0", r"a\rb\x08c\x00"),
        ("abc\u202ecba", r"abc\u202ecba"),
        ("\ud800", r"\ud800"),
        ("δ 中文 é\n\t", "δ 中文 é\n\t"),
    ],
)
def test_examples(text: str, expected: str) -> None:
    assert shown(text) == expected
    assert shown(shown(text)) == expected
    assert shown_tree({"a": [text, 1, None]}) == {"a": [expected, 1, None]}


def test_a_quote_is_one_line_and_not_long() -> None:
    assert quoted("a\nb\tc") == r"a\nb\tc"
    assert quoted(7) == "7"
    text = quoted("a" * 5000 + "z")
    assert len(text) <= 160
    assert text.startswith("aaa")
    assert text.endswith("aaz")
    assert "characters) …" in text


@pytest.mark.parametrize("size", [89, 90, 159, 160, 161, 2000, 10**6])
def test_what_is_left_out_is_counted(size: int) -> None:
    text = clipped("x" * size, 160)
    if size <= 160:
        assert text == "x" * size
        return
    note = text.strip("x")
    kept = len(text) - len(note)
    assert kept + int(note[3:-14].replace(",", "")) == size
    assert len(text) <= 160


def test_storable_changes_nothing_but_surrogates() -> None:
    assert storable("\x1bδ\u202e") == "\x1bδ\u202e"
    assert storable("a\udcffb") == r"a\udcffb"


def test_every_error_of_chainrule_can_be_shown() -> None:
    kinds = [
        one
        for one in vars(errors).values()
        if isinstance(one, type)
        and issubclass(one, errors.ChainruleError)
        and one is not errors.MissingExtraError
    ]
    assert len(kinds) >= 7
    for kind in kinds:
        error = kind("x.csv\x1b[2J: holds \u202e\ud800 " + "y" * 600_000 + ": write this instead")
        assert r"\x1b[2J" in str(error)
        assert str(error).endswith(": write this instead")
        assert len(str(error)) <= LONGEST_MESSAGE
        assert str(error).isprintable()
        assert pickle.loads(pickle.dumps(error)).args == error.args
        assert str(kind("two\nlines")) == "two\nlines"
