"""`chainrule verify`: whether somebody's backward pass is right, and if not, which mistake it is."""

from __future__ import annotations

import argparse
import json
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.base.errors import ChainruleError, FileError
from chainrule.base.files.disk import write_text
from chainrule.base.shown import quoted, shown_tree
from chainrule.cli.output import complain, say, tell

if TYPE_CHECKING:
    from chainrule.cli.given.arrays import Arguments
    from chainrule.cli.given.code import Code
    from chainrule.verifying.verdict import Verdict

ENDINGS = (".txt", ".json", ".html", ".htm")
CODES = {"right": 0, "wrong": 1, "cannot tell": 4}
REFUSED = 2  # the code could not be run
SHOWN_AFTER = 2.0  # seconds, from which on it is shown what is looked at


def run(arguments: argparse.Namespace) -> int:
    """Print or write the verdict; exit code 0 right, 1 wrong, 4 cannot tell, 2 it could not be run."""
    out = None if arguments.output is None else Path(arguments.output)
    if out is not None and out.suffix.lower() not in ENDINGS:
        raise FileError(f"{out}: ends in none of {', '.join(ENDINGS)}, so it is not known what to write")
    if out is not None and arguments.json and out.suffix.lower() != ".json":
        raise FileError(f"--json writes JSON: name a file that ends in .json, or leave out {out}")
    arguments.width = shutil.get_terminal_size((100, 24)).columns
    if arguments.mutants is not None:
        from chainrule.cli.given.mutants import run_mutants

        if arguments.code is not None:
            raise FileError(f"--mutants is of our own formulas: leave out {quoted(arguments.code)}")
        if out is not None and out.suffix.lower() in (".html", ".htm"):
            raise FileError(f"{out}: mutants are written as .txt or .json")
        try:
            result = run_mutants(arguments)
        except ChainruleError as error:  # an unknown layer
            result = failed(error, arguments)
    elif arguments.code is None:
        none = FileError("say what is to be verified, FILE.py:NAME, or --mutants for our own formulas")
        result = failed(none, arguments)
    elif arguments.timeout is not None:
        from chainrule.cli.given.apart import in_time

        result = timed(in_time, arguments)
    else:
        result = work(arguments)
    if result["output"]:
        if out is None:
            say(result["output"])
        else:
            write_text(out, result["output"] + "\n")
            tell(f"verdict {out}")
    if result["complaint"]:
        complain(result["complaint"])
    code: int = result["code"]
    return code


def timed(in_time: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    """The work in a process of its own; where that did not end or crashed, as where their code raised."""
    from chainrule.cli.given.failures import TheirError
    from chainrule.cli.given.progress import Line

    title = quoted(arguments.code)
    try:
        result: dict[str, Any] = in_time(__name__, arguments, arguments.timeout, title)
    except TheirError as error:
        Line().erase()
        return failed(error, arguments)
    return result


def work(arguments: argparse.Namespace) -> dict[str, Any]:
    """Exit code, output and complaint: plain JSON, since another process may be asked for it."""
    from chainrule.cli.given.failures import apart

    try:
        with apart():
            verdict, given = judged(arguments)
    except ChainruleError as error:
        return failed(error, arguments)
    return {"code": CODES[verdict.verdict], "output": written(verdict, given, arguments), "complaint": ""}


def judged(arguments: argparse.Namespace) -> tuple[Verdict, Arguments]:
    """The verdict, on the first of the possible arrays on which their forward is what it is meant to be."""
    from chainrule.cli.given.arrays import arguments_for, check_told
    from chainrule.cli.given.code import code_at
    from chainrule.cli.given.options import options_of
    from chainrule.verifying.meanings.matching import Like

    arguments.layer_options = options_of(arguments)
    if arguments.like is not None:
        Like(arguments.like, arguments.layer_options)  # what is wrong with it is told before their code runs
    check_told(arguments)
    code = code_at(arguments.code)
    others: list[tuple[Verdict, Arguments]] = []
    errors: list[ChainruleError] = []
    for given in arguments_for(code, arguments):
        try:
            verdict = verdict_on(code, given, arguments)
        except ChainruleError as error:
            errors.append(error)
            continue
        others.append((verdict, given))
        if "forward" not in verdict.why and verdict.verdict != "cannot tell":
            return others[-1]
    if not others:
        raise errors[0]
    return others[0]


def verdict_on(code: Code, given: Arguments, arguments: argparse.Namespace) -> Verdict:
    """The verdict, with how the code and the arrays were come by among its notes."""
    from chainrule.cli.given.failures import theirs_alone
    from chainrule.cli.given.progress import Line
    from chainrule.verifying.verify import verify

    file, name = str(code.module.__file__), arguments.code.rpartition(".py")[0] + ".py"
    line = Line(after=SHOWN_AFTER)
    with closing(line), theirs_alone(file, name if file.endswith(".py") else None):
        verdict = verify(
            code.given,
            args=given.values,
            like=arguments.like,
            names=arguments.names or given.names,
            seed=arguments.seed,
            hint_level=arguments.hint_level,
            progress=lambda step: line.show(getattr(step, arguments.language)),
            **arguments.layer_options,
        )
    said = tuple(note for note in (code.said, given.said) if note is not None)
    return replace(verdict, notes=(*verdict.notes, *said))


def written(verdict: Verdict, given: Arguments, arguments: argparse.Namespace) -> str:
    """As text, JSON or a page."""
    suffix = "" if arguments.output is None else Path(arguments.output).suffix.lower()
    if arguments.json or suffix == ".json":
        return as_json({**verdict.json(), "args": given.records(), "error": None})
    if suffix in (".html", ".htm"):
        page = verdict._repr_html_()
        return f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>verify</title>{page}</html>'
    return verdict.text(arguments.language, arguments.width if arguments.output is None else None)


def failed(error: ChainruleError, arguments: argparse.Namespace) -> dict[str, Any]:
    """Where their code could not be run: a line on standard error, and for programs the same as JSON."""
    from chainrule.cli.given.failures import TheirError

    theirs = error if isinstance(error, TheirError) else TheirError(str(error), type(error).__name__)
    record: dict[str, object] = {
        "title": arguments.code or "",
        "verdict": "not run",
        "findings": [],
        "notes": [],
        "args": [],
        "error": {"kind": theirs.kind, "file": theirs.file, "line": theirs.line, "message": str(error)},
    }
    asked = arguments.json or str(arguments.output).lower().endswith(".json")
    return {"code": REFUSED, "output": as_json(record) if asked else "", "complaint": str(error)}


def as_json(record: object) -> str:
    """ASCII, whatever the output can show."""
    return json.dumps(shown_tree(record), allow_nan=False)
