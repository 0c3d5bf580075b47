"""The C functions that layers call, out of functions.c: which of them a text needs."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files


@cache
def functions() -> dict[str, str]:
    """Name without its prefix -> comment and text, in the file's order, in which none calls a later one."""
    text = files(__package__).joinpath("functions.c").read_text(encoding="utf-8")
    blocks = re.split(r"\n\n(?=/\*)", text)[1:]  # the first is the file's own comment
    return {_name(block): f"{block.strip()}\n" for block in blocks}


def _name(block: str) -> str:
    found = re.search(r"^(?:static \w+ net_(\w+)\(|} net_(\w+);)", block, re.MULTILINE)
    assert found, block
    return found[1] or found[2]


def needed(text: str) -> list[str]:
    """The functions that a text calls, and that those call, each as its text."""
    wanted, texts = set[str](), [text]
    while texts:
        called = set(re.findall(r"\bnet_(\w+)", texts.pop())) & functions().keys()
        texts += [functions()[name] for name in called - wanted]
        wanted |= called
    return [block for name, block in functions().items() if name in wanted]
