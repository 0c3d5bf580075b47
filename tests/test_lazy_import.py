"""`import chainrule` loads nothing, a name what it needs; counted are modules, not time."""

from __future__ import annotations

import ast
import pickle
from importlib import import_module
from pathlib import Path

import pytest

import chainrule as cr
from tests.engine.processes import run

# What neither a look at a network nor training needs.
SELDOM = (
    *("bench", "checking", "cli", "diagnosing", "explaining", "oracles"),
    *("base.foreign", "networks.forms.storage", "data.readers.table", "data.sets.mnist"),
    "data.tables.reader",
    *("formulas.printing", "formulas.printing.notation", "formulas.tracing"),
)
FOREIGN = ("argparse", "csv", "difflib", "html", "http", "scipy", "sklearn", "unittest", "urllib.request")


def loaded(script: str) -> set[str]:
    """The modules of a new Python that has run the script."""
    without = "import sys; sys.modules['threadpoolctl'] = None"  # it loads argparse
    return set(said(f"{without}\n{script}\nprint(*sys.modules)").split())


def said(script: str) -> str:
    done = run(script, prelude=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_package_alone_loads_nothing_of_itself_and_no_numpy() -> None:
    names = loaded("import chainrule")
    assert {name for name in names if name.startswith("chainrule")} == {"chainrule"}
    assert not names & {"numpy", *FOREIGN}


@pytest.mark.parametrize(
    "script",
    [
        "import chainrule as cr; cr.Network([cr.Dense(2), cr.Softmax()], input_shape=3)",
        "import chainrule as cr, numpy as np\n"
        "net = cr.Network([cr.Dense(2), cr.Softmax()], input_shape=3)\n"
        "cr.fit(net, np.ones((4, 3)), [0, 1, 0, 1], epochs=1, progress=False)\n"
        "net.predict(np.ones((4, 3)))",
    ],
    ids=["network", "training"],
)
def test_what_is_seldom_needed_is_not_loaded(script: str) -> None:
    names = loaded(script)
    own = {f"chainrule.{name}" for name in SELDOM}
    assert {name for name in own if import_module(name)} == own  # a name that moved is no proof
    assert not names & own
    assert not names & set(FOREIGN)
    if "fit" not in script:
        assert not any(name.startswith(("chainrule.engine", "chainrule.training")) for name in names)


def test_the_table_says_what_type_checkers_read() -> None:
    tree = ast.parse(Path(str(cr.__file__)).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    read = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname == alias.name
            part = node.module == "chainrule"
            read[alias.name] = f"chainrule.{alias.name}" if part else str(node.module)
    assert read == cr.HOMES


@pytest.mark.parametrize("name", cr.__all__)
def test_every_name_is_found_where_the_table_says(name: str) -> None:
    home = import_module(cr.HOMES[name])
    found = getattr(cr, name)
    assert found is home or found is getattr(home, name)
    if isinstance(found, type):
        assert found.__module__ == ("chainrule" if issubclass(found, Exception) else cr.HOMES[name])
        assert pickle.loads(pickle.dumps(found)) is found


def test_a_star_takes_all_names_and_parts_are_found_by_theirs() -> None:
    names: dict[str, object] = {}
    exec("from chainrule import *", names)
    assert set(cr.__all__) <= set(names)
    script = "import chainrule as cr; print(cr.layers.Dense is cr.Dense, cr.reference.__name__)"
    assert said(script) == "True chainrule.reference"
    for part, home in cr.PARTS.items():  # what has moved into a room
        assert getattr(cr, part) is import_module(home)
    with pytest.raises(AttributeError, match=r"has no attribute 'no\.such'"):
        getattr(cr, "no.such")
