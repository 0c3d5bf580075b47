"""What every text of a report must satisfy in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

HAN = re.compile(r"[\u4e00-\u9fff]")
# Words which Chinese textbooks write in Latin letters, names, and the names of this library.
LATIN = {
    "softmax", "sigmoid", "Hadamard", "Transformer", "RNN", "ReLU", "log", "Matrix", "notes",
}  # fmt: skip
_CODE = re.compile(r"`[^`]*`")
_WORD = re.compile(r"[A-Za-z]{3,}")


def check_text(text: dict[str, str]) -> None:
    """Both languages are there, each in its own script, in whole sentences without a stray placeholder."""
    assert set(text) == {"en", "zh"}
    english, chinese = _CODE.sub("", text["en"]), _CODE.sub("", text["zh"])
    for one in (text["en"], text["zh"]):
        assert one == one.strip()
        assert one
        assert one.count("`") % 2 == 0
        assert "  " not in one
        assert "{" not in one
    assert not HAN.search(english), english
    assert HAN.search(chinese), chinese
    assert not [word for word in _WORD.findall(chinese) if word not in LATIN], chinese
    # Chinese punctuation beside Chinese characters, and none in English.
    assert not re.search(r"[\u4e00-\u9fff][,;:?!]", chinese), chinese
    assert not re.search(r"[，。；：？！、（）]", english), english


def texts(value: Any) -> Iterator[dict[str, str]]:
    """Every {"en", "zh"} within a JSON value."""
    if isinstance(value, dict):
        if "en" in value or "zh" in value:
            yield value
        else:
            for inner in value.values():
                yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
