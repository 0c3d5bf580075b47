"""Who may know whom: an import never points upward nor in a circle, be it within a function, for type
checkers alone or, upward, by a name in a string.
"""

from __future__ import annotations

import re
from itertools import accumulate, islice
from pathlib import Path

import pytest
from tools import house

MOST_FILES = 12

# Modules that name one above them in a string: the executor of a network is the engine's unless it is told.
NAMED_UPWARD = {("networks.executor", "engine.executor")}

# What every room may know without saying so.
COMMON = {"version", "base", "formulas"}


def test_the_package_is_found() -> None:
    assert len(house.modules()) > 200


def test_every_room_has_a_rank() -> None:
    assert {house.room(module) for module in house.modules()} <= set(house.RANK)


def test_no_import_points_upward() -> None:
    wrong = [
        f"{module or 'chainrule'}, line {line}, imports {other}"
        for module in house.modules()
        for other, line in {**house.named(module), **house.imports(module)}.items()
        if (module, other) not in NAMED_UPWARD
        and house.RANK[house.room(other)] > house.RANK[house.room(module)]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_itself_through_others() -> None:
    graph = {module: set(house.imports(module)) for module in house.modules()}
    assert not house.circle(graph)


@pytest.mark.parametrize("folder", house.folders())
def test_no_circle_within_a_folder(folder: str) -> None:
    assert not house.circle(house.siblings(folder))


def test_no_folder_has_more_than_twelve_files() -> None:
    folders = [path for path in house.PACKAGE.rglob("*") if path.is_dir() and path.name != "__pycache__"]
    assert len(folders) > 30
    for path in [house.PACKAGE, *folders]:
        files = [file for file in path.iterdir() if file.suffix in (".py", ".js", ".css")]
        assert len(files) <= MOST_FILES, path


@pytest.mark.parametrize("folder", [name for name in house.folders() if name])
def test_a_folder_says_what_comes_in_what_goes_out_and_whom_it_knows(folder: str) -> None:
    text = house.modules()[folder].read_text(encoding="utf-8")
    head = text[: text.index('"""', 3)]
    assert "\nIn: " in head
    assert "  Out: " in head or "\nOut: " in head
    assert "\nKnows: " in head


def known_to(folder: str) -> set[str]:
    """What the modules of a folder import or name outside of it, each as far as the first piece that is not
    the folder's own: `layers`, `explaining.words`.
    """
    found = set()
    for module in house.modules():
        if f"{module}.".startswith(f"{folder}."):
            for other in {**house.named(module), **house.imports(module)}:
                way = accumulate(other.split("."), "{}.{}".format)
                found |= {*islice((name for name in way if not f"{folder}.".startswith(f"{name}.")), 1)}
    return {name for name in found if not name.startswith(f"{folder}.")}


@pytest.mark.parametrize("folder", [name for name in house.folders() if name])
def test_a_folder_knows_whom_it_says_and_no_others(folder: str) -> None:
    """Of the line up to its first ";" or "." the names of rooms, folders and files are understood, and
    "everything", "everything up to ROOM" and "the files beside it".
    """
    text = house.modules()[folder].read_text(encoding="utf-8")
    line = re.search(r"^Knows: (.+?)(?:;|\.\s)", text, re.MULTILINE | re.DOTALL)
    assert line
    upto = re.search(r"everything up to (?:the )?(\w+)", line[1])
    beside = "the files beside it" in line[1]
    words = set(re.findall(r"\w+", re.sub(r"everything up to (the )?\w+|the files beside it", "", line[1])))

    def said(name: str) -> bool:
        place, _, own = name.rpartition(".")
        return (
            name in COMMON
            or own in words
            or line[1] == "everything"
            or (upto is not None and name in house.RANK and house.RANK[name] <= house.RANK[upto[1]])
            or (beside and place == folder.rpartition(".")[0] and name not in house.folders())
        )

    known = known_to(folder)
    assert not [name for name in known if not said(name)]
    unknown = words & {name.rpartition(".")[2] for name in house.folders()}
    unknown -= COMMON | {*folder.split(".")} | {name.rpartition(".")[2] for name in known}
    assert not unknown


def test_a_circle_is_found_wherever_the_import_stands(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "a.py").write_text("from chainrule.b import one\n")
    (tmp_path / "b.py").write_text("if TYPE_CHECKING:\n    from chainrule.c import two\n")
    (tmp_path / "c.py").write_text("def f():\n    import chainrule.a\n")
    assert house.circle(house.siblings("", tmp_path)) == ["a", "b", "c", "a"]


def test_layers_and_formulas_do_not_know_the_engine() -> None:
    for module in house.modules():
        if house.room(module) in ("formulas", "layers"):
            assert "engine" not in {house.room(other) for other in house.imports(module)}, module


def test_the_page_of_the_house_is_that_of_the_code() -> None:
    """Write it anew by `python -m tools.house`."""
    assert house.PAGE.read_text(encoding="utf-8") == house.page()
