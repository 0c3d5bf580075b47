"""Text from outside - a label, a name, a path, an argument - as it is shown to a person.

A terminal obeys control characters, and so do the readers of Markdown, HTML and SVG in their ways: such a
character is written as Python writes it, \\x1b.  What has no place in UTF-8 (a lone surrogate) is written
likewise.  Files of data keep every text as it is.
"""

from __future__ import annotations

import re

# Control characters but tab and line feed; what turns the direction of a line, breaks it or is not to be seen
# (Unicode's Cf, Zl and Zp); surrogates.  The joiners U+200C and U+200D stay: Persian and Hindi need them.
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
LONGEST_QUOTE = 160  # characters of a text that a message quotes
LONGEST_MESSAGE = 2000  # the longest that chainrule writes by itself, with all layers named, has 1,100


def shown(text: str) -> str:
    """The text with every character that a terminal would obey, or that nobody would see, as an escape."""
    return text if text.isascii() and text.isprintable() else _UNFIT.sub(_escaped, text)


def storable(text: str) -> str:
    """The text as it is; a lone surrogate, which UTF-8 has no bytes for, as an escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def clipped(text: str, most: int = LONGEST_QUOTE) -> str:
    """The text; of one longer than `most`, from 90 up, both ends and how much is left out between them."""
    if len(text) <= most:
        return text
    tail, room = most // 3, 30  # characters of the note between the ends, at most
    note = f"… ({len(text) - most + room:,} characters) …"
    return f"{text[: most - tail - room]}{note}{text[len(text) - tail :]}"


def shortened(text: str, most: int) -> str:
    """The text's beginning, for a label that has room for `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def quoted(text: object, most: int = LONGEST_QUOTE) -> str:
    """A text from outside within a message: shown, on one line, at most `most` characters."""
    return clipped(shown(str(text)).replace("\n", "\\n").replace("\t", "\\t"), most)


def shown_tree(value: object) -> object:
    """Plain JSON with every text in it shown."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict):
        return {key: shown_tree(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [shown_tree(entry) for entry in value]
    return value


def _escaped(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]
