"""A file that a comment or a docstring names is there."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tools.house import ROOT

FOLDERS = ("src", "native", "tools", "tests")
NAME = re.compile(r"(?<![\w./<*-])(?:[a-z0-9_-]+/)*[a-z0-9_-]+\.(?:py|inl|hpp|cpp|js|toml|md)\b")

# Nielsen's programs.
ELSEWHERE = {"network2.py", "network3.py"}


def remarks(path: Path) -> Iterator[str]:
    """The comments and docstrings of a file."""
    if path.suffix == ".py":
        with path.open("rb") as file:
            for token in tokenize.tokenize(file.readline):
                if token.type == tokenize.COMMENT or token.string.startswith('"""'):
                    yield token.string
    else:
        yield from re.findall(r"//.*|/\*[^*]*\*/", path.read_text(encoding="utf-8"))


def test_every_file_that_is_named_is_there() -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")]
    beside = [path for folder in ("docs", "examples", "benchmarks") for path in (ROOT / folder).rglob("*.*")]
    there = [path.relative_to(ROOT).as_posix() for path in (*files, *beside, *ROOT.glob("*.*"))]
    ends = {f"/{path}"[start.end() :] for path in there for start in re.finditer("/", f"/{path}")}
    named = [
        (name, path.relative_to(ROOT).as_posix())
        for path in files
        if path.suffix in (".py", ".inl", ".hpp", ".cpp", ".js")
        for remark in remarks(path)
        for name in NAME.findall(remark)
    ]
    assert len(named) > 100
    missing = [f"{path} names {name}" for name, path in named if name not in ends | ELSEWHERE]
    assert not missing, "\n".join(missing)
