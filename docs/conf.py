"""Sphinx: the guide and the reference. `make docs` builds both and runs the examples as tests."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

project = "chainrule"
author = "the chainrule authors"
copyright = "2026, the chainrule authors"
release = re.findall(
    r'__version__ = "(.+)"', Path("../src/chainrule/version.py").read_text(encoding="utf-8")
)[0]

extensions = ["sphinx.ext.autodoc", "sphinx.ext.doctest"]
exclude_patterns = ["_build", "decisions"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Neural networks whose every gradient is a formula",
    "page_width": "1000px",
}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
nitpicky = False

doctest_global_setup = """
import os, tempfile
import numpy as np
import chainrule as cr
os.chdir(tempfile.mkdtemp())
"""


def as_written(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Docstrings are plain text with formulas, not reStructuredText: show them as they are written."""
    lines[:] = ["::", "", *(f"   {line}" for line in lines), ""]


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", as_written)
