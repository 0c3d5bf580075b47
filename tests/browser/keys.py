"""Keys of a keyboard as the DevTools protocol wants them."""

from __future__ import annotations

from typing import Any

_NAMED = {
    "Backspace": 8, "Tab": 9, "Enter": 13, "Escape": 27, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36,
    "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Delete": 46,
}  # fmt: skip
_MODIFIERS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}


def key_events(name: str) -> list[dict[str, Any]]:
    """The events of pressing and releasing a key: "a", "ArrowLeft", "Shift+Tab", "+"."""
    *held, key = name.split("+") if len(name) > 1 else [name]
    modifiers = sum(_MODIFIERS[modifier] for modifier in held)
    common: dict[str, Any] = {"key": key, "modifiers": modifiers}
    if len(key) == 1:
        code = "Key" + key.upper() if key.isalpha() else "Digit" + key if key.isdigit() else ""
        number = ord(key.upper()) if code or key == " " else 0  # 46 is ".", but also Delete
        common |= {"code": "Space" if key == " " else code, "windowsVirtualKeyCode": number}
    else:
        common |= {"code": key, "windowsVirtualKeyCode": _NAMED[key]}
    text = key if len(key) == 1 else "\r" if key == "Enter" else ""
    if modifiers & ~_MODIFIERS["Shift"]:  # Control+a is a command, not a letter
        text = ""
    commands = {"commands": ["selectAll"]} if name == "Control+a" else {}
    down = common | ({"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}) | commands
    return [down, common | {"type": "keyUp"}]
