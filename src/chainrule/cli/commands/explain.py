"""`chainrule explain`: the derivation of a trained network on samples of its data, as a page, a text, a
document or a worksheet.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from chainrule.base.errors import FileError
from chainrule.base.files.disk import write_text
from chainrule.cli.output import tell
from chainrule.cli.runs.labelled import labelled_samples
from chainrule.cli.samples import Samples, explained, hardest
from chainrule.cli.training.ensemble import say_first

if TYPE_CHECKING:
    from chainrule.explaining.report import Report

ENDINGS = (".html", ".htm", ".tex", ".md", ".txt", ".json")


def run(arguments: argparse.Namespace) -> int:
    """Write the report, or print it; exit code 1 where a gradient in it is wrong."""
    out = None if arguments.output is None else Path(arguments.output)
    check_combination(out, arguments)
    samples = labelled_samples(arguments)
    say_first(arguments.model)
    report = report_on(samples, arguments)
    if out is None:
        report.print(step=arguments.step)
    else:
        write(report, out, arguments)
        tell(f"report {out}")
    return 0 if report.ok else 1


def check_combination(out: Path | None, arguments: argparse.Namespace) -> None:
    """Raises FileError, before anything is computed, for options that do not go together."""
    suffix = "" if out is None else out.suffix.lower()
    if out is not None and suffix not in ENDINGS:
        raise FileError(f"{out}: ends in none of {', '.join(ENDINGS)}, so it is not known what to write")
    if out is not None and arguments.step:
        raise FileError("--step is for the terminal: leave out -o, or leave out --step")
    if arguments.form is not None and suffix != ".tex":
        raise FileError(f"--form is of a .tex file: write -o report.tex --form {arguments.form}")
    if not arguments.worksheet:
        if arguments.blanks is not None or arguments.seed is not None:
            raise FileError("--blanks and --seed are of a worksheet: write --worksheet -o sheet.html as well")
        return
    if out is None or suffix == ".json":
        raise FileError("--worksheet writes a file: add -o sheet.html, or .tex, .md, .txt")
    if arguments.form not in (None, "article"):
        raise FileError(f"a worksheet is an article: leave out --form {arguments.form}")


def report_on(samples: Samples, arguments: argparse.Namespace) -> Report:
    """The report on the hardest samples, or on those around the one that was asked for."""
    count = min(arguments.samples, len(samples.X))
    if arguments.sample is None:
        rows, sample = hardest(samples, count), 0
    else:
        if arguments.sample >= len(samples.X):
            raise FileError(f"--sample {arguments.sample}: the data has the rows 0 to {len(samples.X) - 1}")
        start = min(arguments.sample, len(samples.X) - count)
        rows, sample = list(range(start, start + count)), arguments.sample - start
    return explained(
        samples,
        rows,
        sample=sample,
        language=arguments.language,
        notation=arguments.notation,
        check="full" if arguments.full_check else "sampled",
        learning_rate=arguments.rate,
        errata=arguments.errata,
    )


def write(report: Report, out: Path, arguments: argparse.Namespace) -> None:
    """The form that the file's ending names."""
    suffix = out.suffix.lower()
    if arguments.worksheet:
        share = 0.3 if arguments.blanks is None else arguments.blanks
        report.worksheet(out, blanks=share, seed=arguments.seed or 0)
    elif suffix == ".json":
        report.json(out)
    elif suffix == ".tex":
        report.latex(out, form=arguments.form or "article")
    elif suffix == ".md":
        report.markdown(out)
    elif suffix == ".txt":
        write_text(out, f"{report}\n")
    else:
        report.html(out)
