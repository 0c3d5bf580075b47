"""A primitive is one entry: what its declaration names is there, and so is its second implementation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import chainrule
from chainrule.formulas import binders, rules
from chainrule.formulas.elements.entry_rules import entry_rules
from chainrule.formulas.printing.places import layouts
from chainrule.formulas.rules import Binder, Rule

SOURCES = Path(chainrule.__file__).parent
PAGE = "explaining/page/engine/"
OPERATIONS: dict[str, Rule | Binder] = {**rules, **binders}


def script(file: str, table: str) -> set[str]:
    """The keys of an object of a script, read from its text: without Node too."""
    text = (SOURCES / PAGE / file).read_text(encoding="utf-8")
    body = re.search(rf"\n  const {table} = \{{\n(.*?)\n  \}};", text, re.S)
    assert body is not None, table
    return set(re.findall(r"^ {4}(\w+)(?=[:,(])", body[1], re.M))


def functions() -> dict[str, int]:
    """Function -> how many numbers it is of, in elements.js."""
    text = (SOURCES / PAGE / "elements.js").read_text(encoding="utf-8")
    body = re.search(r"const FUNCTIONS = \{(.*?)\};", text, re.S)
    assert body is not None
    return {name: int(count) for name, count in re.findall(r"(\w+): (\d)", body[1])}


def layout_name(operation: Rule | Binder) -> str:
    return operation.layout if isinstance(operation.layout, str) else operation.layout[0]


def missing() -> Iterator[str]:
    """A line for every gap: the operation, what it lacks, and the file to write it in."""
    evaluated = script("primitives.js", "primitives") | script("primitives.js", "binders")
    read = script("elements.js", "RULES") | script("elements.js", "REDUCTIONS")
    for name, operation in OPERATIONS.items():
        if layout_name(operation) not in layouts:
            yield f"{name}: no layout {layout_name(operation)!r}; write it in formulas/printing/layouts.py"
        if operation.entry is not None and operation.entry not in entry_rules:
            yield f"{name}: no rule {operation.entry!r}; write it in formulas/elements/entry_rules.py"
        if name not in evaluated:
            yield f"{name}: no second implementation; write it in {PAGE}primitives.js"
        if operation.entry == "call":
            assert isinstance(operation, Rule)
            count = operation.evaluate.__code__.co_argcount
            if functions().get(name) != count:
                yield f"{name}: {count} operands; write `{name}: {count}` in FUNCTIONS of {PAGE}elements.js"
        elif operation.entry is not None and name not in read:
            yield f"{name}: no rule for its entries; write it in {PAGE}elements.js"


def unused() -> Iterator[str]:
    """A line for everything that no operation asks for."""
    named = {layout_name(operation) for operation in OPERATIONS.values()}
    yield from (f"layout {name}" for name in layouts.keys() - named)
    entries = {operation.entry for operation in OPERATIONS.values()}
    yield from (f"entry rule {name}" for name in entry_rules.keys() - entries)
    evaluated = script("primitives.js", "primitives") | script("primitives.js", "binders")
    yield from (f"primitives.js {name}" for name in evaluated - OPERATIONS.keys())
    moved = {name for name, operation in OPERATIONS.items() if operation.entry not in (None, "call")}
    read = script("elements.js", "RULES") | script("elements.js", "REDUCTIONS")
    yield from (f"elements.js {name}" for name in read - moved)
    called = {name for name, operation in OPERATIONS.items() if operation.entry == "call"}
    yield from (f"elements.js, FUNCTIONS {name}" for name in functions().keys() - called)


def test_every_operation_is_complete() -> None:
    assert not list(missing()), "\n".join(missing())


def test_nothing_is_written_that_no_operation_names() -> None:
    assert not list(unused()), "\n".join(unused())
