"""The house: which rooms the package has, who knows whom, and the page that shows it.

`python -m tools.house` writes docs/architecture.md from the code; tests/test_imports.py asks the same.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "chainrule"
PAGE = ROOT / "docs" / "architecture.md"

# Lowest first.  A room may know its own row and the rows above it in this list.
ROWS = (
    ("version",),
    ("base", "_native"),
    ("formulas", "distributed"),
    ("layers",),
    ("losses",),
    ("data",),
    ("networks",),
    ("reference",),
    ("engine",),
    ("training",),
    ("checking", "bench", "oracles"),
    ("diagnosing", "verifying", "estimators"),
    ("explaining",),
    ("",),  # chainrule itself, the front door
    ("cli", "__main__"),
)
RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}

Graph = Mapping[str, Iterable[str]]


@cache
def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Name within the package -> file; "" is the front door, a folder's `__init__` has the folder's name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        pieces = path.relative_to(package).with_suffix("").parts
        found[".".join(pieces[:-1] if pieces[-1] == "__init__" else pieces)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    """A module as Python reads it; read once, for there are more of them than rooms that ask."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(module: str, package: Path = PACKAGE) -> dict[str, int]:
    """What a module imports of the package, within functions and for type checkers, too -> the line."""
    known = modules(package)
    found: dict[str, int] = {}
    for node in ast.walk(tree(known[module])):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{known[module]}:{node.lineno}: write the whole name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            top, _, own = name.partition(".")
            if top == "chainrule":
                while own not in known and own != "_native":
                    own = own.rpartition(".")[0]  # a name in a module
                found.setdefault(own, node.lineno)
    found.pop(module, None)
    return found


@cache
def named(module: str, package: Path = PACKAGE) -> dict[str, int]:
    """What a module names in a string, "chainrule.engine.executor", as for `import_module` -> the line."""
    known = modules(package)
    found: dict[str, int] = {}
    for node in ast.walk(tree(known[module])):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            own = node.value.removeprefix("chainrule.")
            if own != node.value and own in known and own != module:
                found.setdefault(own, node.lineno)
    return found


def room(module: str) -> str:
    """The room at the top that a module is in."""
    return module.partition(".")[0]


def folders(package: Path = PACKAGE) -> list[str]:
    """Every folder with Python files, by its name; "" is the package."""
    return [name for name, path in modules(package).items() if path.name == "__init__.py"]


def siblings(folder: str, package: Path = PACKAGE) -> dict[str, set[str]]:
    """Who imports whom among the files and folders of a folder; what is in a folder counts as the folder."""
    depth = len(folder.split(".")) if folder else 0

    def own(name: str) -> str | None:
        inside = name != folder and (not folder or name.startswith(f"{folder}."))
        return name.split(".")[depth] if inside else None

    graph: dict[str, set[str]] = {}
    for module in modules(package):
        here = own(module)
        if here is not None:
            there = (own(name) for name in imports(module, package))
            graph.setdefault(here, set()).update(name for name in there if name not in (None, here))
    return graph


def circle(graph: Graph) -> list[str]:
    """Names that lead back to where they begin; [] where there are none."""
    finished: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in finished:
            return []
        for other in sorted(graph.get(name, ())):
            if found := walk(other, [*way, name]):
                return found
        finished.add(name)
        return []

    return next(filter(None, (walk(name, []) for name in graph)), [])


def sentence(path: Path) -> str:
    """The first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())


# -- the page ------------------------------------------------------------------------------------------------

HEAD = """# The house

Made by `python -m tools.house` from the code; do not edit it by hand.

A network's mathematics is written once, in `formulas` and `layers`. Everything else reads it: `reference`
runs it, `engine` compiles it, `checking` doubts it, `explaining` prints it. A room knows those above it in
this table and none below; `tests/test_imports.py` enforces that, and that no files of a folder import each
other in a circle.

| room | what it holds | files and folders |
|---|---|---|
"""

NATIVE = """
The compiled kernels are in `native/`: `kernels/` is arithmetic on one sample per lane, without the standard
library, allocation or threads, and every file says in which order to read it; `isa/` compiles it once per
level of instructions; `operations/` says which kernels a layer runs, over how many units; `plan/` orders the
operations of a network over one piece of memory; `machine/` is threads and processors; `bindings/` shows the
plan to Python.
"""

# What a newcomer looks for: what it is, the file, and a text of the line that is meant.
CONVOLUTION = (
    ("its formulas, conv ①②③", "src/chainrule/layers/windows/convolution.py", "def delta"),
    ("what chooses its kernels", "src/chainrule/engine/lowering/operations.py", "def _conv("),
    ("when Winograd is chosen", "src/chainrule/engine/lowering/convolutions.py", "def winograd_applies"),
    ("what runs the chosen kernel", "native/operations/windows.hpp", "class Convolution"),
    ("the direct kernel", "native/kernels/layers/conv.inl", "static void conv_forward("),
    ("the Winograd kernel", "native/kernels/layers/winograd.inl", "static void winograd_forward("),
    ("the depthwise kernel", "native/kernels/layers/depthwise.inl", "static void depthwise_forward("),
    ("its test cases", "tests/cases.py", '_conv("wang"'),
)
OBJECTIVE = (
    ("inputs, targets, weights, checked at the door", "src/chainrule/networks/batch.py", "class Batch"),
    ("the sum of the penalty, and its gradients", "src/chainrule/networks/objective.py", "def penalty_value"),
    ("the loss head: value and δ at the output", "src/chainrule/reference/backpropagation.py", "class Head"),
    ("the walks forward and backward", "src/chainrule/reference/passes.py", "def run_forward"),
    ("all of one pass, J in it", "src/chainrule/reference/backpropagation.py", "def derive"),
    ("the same by the kernels", "src/chainrule/engine/executor.py", "def backpropagate"),
)

# Something new, where it is written, and what follows.
GUESTS = (
    (
        "activation",
        "one class with `f` and `df` in `layers/activations/`; its name in `layers/__init__.py` (import, "
        "`_built_in`, `__all__`) and `chainrule/__init__.py` (import, `HOMES`)",
        "its cases come by themselves, for other options a case in `tests/cases.py`; it runs as a lane "
        "program; a kernel of its own: `ACTIVATIONS` in `engine/lowering/values.py`",
    ),
    (
        "layer",
        "a file in `layers/`: `forward`, `delta`, `gradients`, the shape rule",
        "its case; a native operation, if it needs one, in `engine/lowering/operations.py`",
    ),
    ("loss", "a class with `value` and `gradient` in `losses/`", "its case in `tests/cases.py`"),
    (
        "primitive",
        "one entry in `formulas/primitives/`",
        "what `tests/formulas/test_one_entry.py` names as missing",
    ),
    ("command", "a file in `cli/commands/`, its arguments in `cli/arguments.py`", "a test in `tests/cli/`"),
    (
        "sentence of a report",
        "`explaining/words/*.toml`: why a formula is so in `derivations.toml`, the ends of the derivation in "
        "`ends.toml`, …; conventions and errata in `explaining/references/*.toml`; the doctor's in "
        "`diagnosing/texts.toml`",
        "its Chinese beside it",
    ),
)


def line_of(path: str, text: str) -> int:
    """The first line of a file that holds a text. ValueError where none does."""
    for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1):
        if text in line:
            return number
    raise ValueError(f"{path} has no line with {text!r}: mend it in {Path(__file__).name}")


def places(way: Iterable[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """What, and its file and line."""
    return [(what, f"`{path}:{line_of(path, text)}`") for what, path, text in way]


def contents(name: str) -> str:
    """The files of a room, folders with theirs."""
    path = PACKAGE / name
    files = sorted(own.stem for own in path.glob("*.py") if own.stem != "__init__")
    files += sorted(own.name for own in path.glob("*.toml"))
    inner = ((own.name, contents(f"{name}/{own.name}")) for own in sorted(path.iterdir()) if own.is_dir())
    named = [f"**{own}/** {text}" for own, text in inner if text]
    return " · ".join([", ".join(files), *named] if files else named)


def table(title: str, head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A section with a table."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    names = list(head)
    return "\n".join(["", title, "", f"| {' | '.join(names)} |", "|---" * len(names) + "|", *lines, ""])


def page() -> str:
    """docs/architecture.md."""
    rooms = [name for row in ROWS for name in row if name and (PACKAGE / name).is_dir()]
    lines = [(f"`{name}`", sentence(PACKAGE / name / "__init__.py"), contents(name)) for name in rooms]
    house = "\n".join(f"| {' | '.join(text.replace('|', chr(92) + '|') for text in row)} |" for row in lines)
    head = ("what", "where")
    convolution = table("## From formula to kernel: the convolution", head, places(CONVOLUTION))
    objective = table("## From a batch to J", head, places(OBJECTIVE))
    guests = table("## Where something new goes", ("new", "write", "then"), GUESTS)
    return f"{HEAD}{house}\n{NATIVE}{convolution}{objective}{guests}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
