"""Who knows whom in chainrule.formulas: no module itself by a detour, and who computes no printer."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import chainrule

SOURCES = Path(chainrule.__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (SOURCES / "chainrule" / "formulas").rglob("*.py")
}


def imported(path: Path) -> set[str]:
    """The modules of formulas that a module imports: anywhere in it, for type checkers too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & MODULES.keys() or {node.module}
    return found & MODULES.keys()


def test_no_module_knows_itself_by_a_detour() -> None:
    TopologicalSorter({name: imported(path) for name, path in MODULES.items()}).prepare()  # or CycleError


def test_printing_is_loaded_when_a_formula_is_first_shown() -> None:
    script = (
        "import sys, chainrule\n"
        "assert not [name for name in sys.modules if '.printing' in name or '.elements' in name]\n"
        "assert repr(chainrule.formulas.Symbol('x') + 1) == 'x + 1'\n"
        "assert 'chainrule.formulas.printing' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
