"""Who may know whom: an import never points upward, at the top of a module or inside a function."""

from __future__ import annotations

import ast
from pathlib import Path

import chainrule

PACKAGE = Path(chainrule.__file__).parent

# Lowest first. A module may import from its own row and from the rows above it in this list.
LAYERS = (
    ("version", "shown", "errors", "files", "foreign", "keywords"),
    ("memory", "norms", "scalars", "tables", "_native"),
    ("formulas",),
    ("initializers",),
    ("layers",),
    ("constraints", "losses", "penalties"),
    ("data",),
    ("architecture", "containers", "parameters", "step", "storage", "theta"),
    ("executor", "finite", "per_sample", "summary"),
    ("network",),
    ("reference",),
    ("engine",),
    ("training",),
    ("checking", "bench", "oracles"),
    ("explaining",),
    ("",),  # chainrule itself, the front door
    ("cli", "__main__"),
)
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}


def part(module: str) -> str:
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else ""


def own_part(path: Path) -> str:
    name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if name == "__init__" else name


def imports(path: Path) -> list[tuple[int, str]]:
    """(line, module) of every import of chainrule that runs; those for type checkers alone do not."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            skipped.update(id(inner) for inner in ast.walk(node))
    found = []
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "chainrule":
            found += [(node.lineno, f"chainrule.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.lineno, node.module))
    return [(line, module) for line, module in found if module.split(".")[0] == "chainrule"]


def modules() -> list[Path]:
    paths = sorted(PACKAGE.rglob("*.py"))
    assert len(paths) > 50  # the package was found
    return paths


def test_every_module_has_a_place() -> None:
    assert {own_part(path) for path in modules()} <= set(RANK)


def test_no_import_points_upward() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {module}"
        for path in modules()
        for line, module in imports(path)
        # The front door's names (`chainrule.Network`) rank as the front door.
        if RANK.get(part(module), RANK[""]) > RANK[own_part(path)]
    ]
    assert not wrong, "\n".join(wrong)


def test_formulas_and_layers_do_not_know_the_engine() -> None:
    for folder in ("formulas", "layers"):
        for path in (PACKAGE / folder).glob("*.py"):
            assert "engine" not in {part(module) for _, module in imports(path)}, path
