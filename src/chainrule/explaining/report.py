"""explain: the report on a network and a batch, in every form it can be read in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, FileError, ShapeError, describe
from chainrule.base.files.disk import PathLike, read_text, write_text
from chainrule.base.keywords import teach
from chainrule.base.numbers import equals
from chainrule.base.scalars import check_flag, check_number
from chainrule.base.shown import clipped
from chainrule.diagnosing.flow import check_history
from chainrule.explaining import document as documents
from chainrule.explaining.blocks.kinds import Outline
from chainrule.explaining.document import Task, document_of
from chainrule.explaining.outline.sections import check_text, language_from, outline
from chainrule.explaining.writing import write_with_pictures
from chainrule.formulas import trace
from chainrule.formulas.printing.notation import notation_from
from chainrule.losses import Loss
from chainrule.losses.penalties import Penalty
from chainrule.networks.batch import Batch
from chainrule.networks.network import Network
from chainrule.training.history import History

MOST_SAMPLES = 64  # of a report: its tables and gradients add up over all of them
CHECKS = {"sampled": 8, "full": "all"}
# Above this many arrays "sampled" compares one entry of each, and all of them along a direction, so that 200
# layers stay below 2 s.
MANY_PARAMETERS = 40


@teach("explain(net, X, y), and the others by name")
def explain(
    net: Network,
    X: Any,
    y: Any,
    *,
    loss: Loss | str | None = None,
    penalty: Penalty | None = None,
    sample: int | str = "worst",
    element: Any = "auto",
    language: str = "en+zh",
    notation: str = "tutorial",
    check: str | bool = "sampled",
    budget: int | str = "2MB",
    learning_rate: float = 0.1,
    sample_weight: Any = None,
    training_size: int | None = None,
    history: History | None = None,
    errata: bool = False,
) -> Report:
    """The derivation of your own network, with its numbers: formulas, shapes, worked elements, δ of every
    layer.

    X, y, loss, penalty, sample_weight, training_size: as for `net.backpropagate`; 1 to 64 samples.
    sample: which of them single numbers are taken from: its row, or "worst", the one with the largest loss.
    element: "auto", or {"conv1": (3, 4, 0)}: an entry of a layer's output (rows, columns, channel) to be
    worked out.
    language: "en", "zh" or "en+zh". notation: "tutorial", "ufldl", "ng", "matrix" or "nielsen".
    check: "sampled" compares some entries of every gradient with finite differences, "full" all, False none.
    budget: the size of the page, "2MB" or bytes. learning_rate: of the step whose effect on J is shown.
    history: what `fit` returned, for the findings.
    errata: show what the texts cited print wrong, and how it is read; False: of the text whose notation the
    report has, and of none in "tutorial".

    Raises what `net.backpropagate` raises; ValueError, TypeError and IndexError for options that do not fit;
    NonFiniteError where J, a δ or a gradient overflows.
    """
    if not isinstance(net, Network):
        raise TypeError(f"explain takes the network first, explain(net, X, y); received {describe(net)}")
    batch, objective = net.problem(X, y, loss, penalty, sample_weight, training_size)
    if len(batch) > MOST_SAMPLES:
        raise DataError(
            f"explain shows the derivation on a batch of at most {MOST_SAMPLES} samples, received "
            f"{len(batch)}: write explain(net, X[:8], y[:8])"
        )
    _check_formulas("loss", objective.loss)
    _check_formulas("penalty", objective.penalty)
    check_number("learning_rate", learning_rate)
    check_history(history)
    notation = notation_from(notation).name
    return Report(
        document_of(
            Task(
                network=net,
                batch=batch,
                objective=objective,
                sample=_sample(net, batch, objective.loss, sample),
                eta=float(learning_rate),
                check=_entries(net, check),
                notation=notation,
                language=language_from(language),
                labels=batch.targets if net.heads else y,
                budget=_bytes(budget),
                history=history,
                elements=_elements(net, element),
                errata=check_flag("errata", errata),
            )
        )
    )


class Report:
    """A report: its document, and the forms it can be read in.

    document: JSON, schema 1. Every form is made of it alone, so a report read from a file gives the same.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = documents.read(document)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            from chainrule.base.foreign import answer
            from chainrule.base.foreign.attributes import REPORT

            said = f"a report has no attribute {clipped(repr(name))}{answer(REPORT.get(name, ''))}"
            raise AttributeError(said, name=name, obj=self)

    @property
    def ok(self) -> bool:
        """Whether the gradient check passed (or was not made) and kernels and formulas agree."""
        check = self.document["check"]
        passed = check is None or "ok" not in check or check["ok"]
        return passed and self._kernels_agree()

    def _kernels_agree(self) -> bool:
        return all(float(error) < 1e-9 for error in self.document["kernels"]["layers"].values())

    def outline(
        self, *, language: str | None = None, notation: str | None = None, linear: bool = False
    ) -> Outline:
        """The report as blocks, for a renderer of your own."""
        return outline(self.document, language=language, notation=notation, linear=linear)

    def html(
        self, path: PathLike | None = None, *, language: str | None = None, notation: str | None = None
    ) -> str:
        """One self-contained page; written to `path` if given.  Returns the HTML."""
        from chainrule.explaining.render.html import page as html

        return _written(html.render(self.outline(language=language, notation=notation)), path)

    def latex(
        self,
        path: PathLike | None = None,
        *,
        form: str = "article",
        language: str | None = None,
        notation: str | None = None,
    ) -> str:
        """LaTeX: an "article", a "fragment" to be \\input, or a "beamer" presentation.  Returns the
        source.
        """
        from chainrule.explaining.render.latex import document as latex

        return _written(latex.render(self.outline(language=language, notation=notation), form), path)

    def markdown(
        self, path: PathLike | None = None, *, language: str | None = None, notation: str | None = None
    ) -> str:
        """Markdown with $$…$$ for formulas; written to `path` if given, with its pictures in `<stem>_files/`
        beside it.  Returns the text, which names them there.
        """
        from chainrule.explaining.render.markdown import document as markdown

        folder = f"{Path('report.md' if path is None else path).stem}_files"
        text, pictures = markdown.render(self.outline(language=language, notation=notation), folder)
        if path is not None:
            write_with_pictures(text, path, pictures, folder)
        return text

    def print(
        self, *, step: bool | str = False, language: str | None = None, notation: str | None = None
    ) -> None:
        """In the terminal; step=True: one step per key, step="B3": that step."""
        from chainrule.explaining.render.terminal import document as terminal

        terminal.show(self.outline(language=language, notation=notation, linear=True), step=step)

    def worksheet(
        self,
        path: PathLike,
        *,
        blanks: float = 0.3,
        seed: int = 0,
        form: str | None = None,
        language: str | None = None,
        notation: str | None = None,
    ) -> str:
        """The derivation with a share `blanks` of its results left blank, and an answer key at its end.

        path: its ending says the form, .tex (an article), .html, .md or .txt, unless `form` does: "article",
        "html", "markdown" or "terminal".  seed: which results; the same in every form.  Returns the text.
        Raises ValueError for a share outside (0, 1] or another form, FileError for another ending.
        """
        from chainrule.explaining.worksheet import sheet as worksheet

        kind = worksheet.form_of(path, form)
        outline = self.outline(language=language, notation=notation, linear=kind == "terminal")
        folder = f"{Path(path).stem}_files"
        text, pictures = worksheet.render(outline, kind, blanks=blanks, seed=seed, folder=folder)
        write_with_pictures(text, path, pictures, folder)
        return text

    def json(self, path: PathLike | None = None) -> str:
        """The document itself.  Returns the JSON."""
        return _written(json.dumps(self.document, ensure_ascii=False, allow_nan=False), path)

    @classmethod
    def from_json(cls, path: PathLike) -> Report:
        """The report of a file that `json` wrote.  Raises FileError with the reason where it is none."""
        text = read_text(path)
        try:
            report = cls(json.loads(text, parse_constant=_no_constant))
            report.outline()
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            said = f"{type(error).__name__}: {error}" if not isinstance(error, ValueError) else error
            raise FileError(f"{path}: is no report that this version reads ({said})") from error
        return report

    def __str__(self) -> str:
        from chainrule.explaining.render.terminal import document as terminal

        return terminal.render(self.outline(linear=True))

    def __repr__(self) -> str:
        meta = self.document["meta"]
        made = self.document["check"]
        check = f"check {check_text(made).en}"
        if made is not None and "ok" in made:
            check = "check passed" if made["ok"] else "CHECK FAILED"
        if not self._kernels_agree():
            check += ", KERNELS AND FORMULAS DIFFER"
        return (
            f"Report: {meta['parameters']:,} parameters, {meta['samples']} samples, J "
            f"{equals(float(self.document['loss']['J']), 6)}, {check}; "
            "print(report), report.html('report.html'), report.print(step=True)"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """For a notebook: the page, Markdown with its pictures inside where pages are not shown, a line."""
        from chainrule.explaining.render.markdown import document as markdown

        makers: dict[str, Callable[[], str]] = {
            "text/plain": self._verdict,
            "text/markdown": lambda: markdown.inline(self.outline()),
            "text/html": self._repr_html_,
        }
        asked = set(makers) if include is None else set(makers) & set(include)
        return {kind: make() for kind, make in makers.items() if kind in asked - set(exclude or ())}

    def _verdict(self) -> str:
        """The report in a line, and a line for each of the worst findings."""
        bad = [finding for finding in self.document["findings"] if finding["level"] in ("bad", "warning")]
        return "\n".join(
            [repr(self), *(f"{finding['level']}: {finding['what']['en']}" for finding in bad[:3])]
        )

    def _repr_html_(self) -> str:
        """The page in a frame of its own, which runs its scripts and touches nothing else of the notebook."""
        page = escape(self.html(), quote=True)
        style = "width:100%;height:80vh;border:0"
        return f'<iframe sandbox="allow-scripts" style="{style}" srcdoc="{page}"></iframe>'


def _written(text: str, path: PathLike | None) -> str:
    if path is not None:
        write_text(path, text)
    return text


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _check_formulas(name: str, owner: Loss | Penalty | None) -> None:
    """A layer may be shown without formulas; J may not."""
    try:
        if owner is not None:
            trace(owner)
    except Exception as error:  # whatever its own code raises on symbols
        raise TypeError(
            f"{name}: explain prints its formulas, and those of {type(owner).__name__} take no symbols "
            f"({error})"
        ) from error


def _sample(net: Network, batch: Batch, loss: Loss, sample: int | str) -> int:
    """The row in focus."""
    if isinstance(sample, str) and sample == "worst":
        with np.errstate(all="ignore"):
            values = net.executor().losses(net, replace(batch, weights=None), loss)
        return int(np.argmax(np.nan_to_num(values, nan=np.inf)))
    if isinstance(sample, bool) or not isinstance(sample, int | np.integer):
        raise ArgumentError(
            f"sample must be 'worst' or the number of a row of X, received {describe(sample)}"
        )
    if not -len(batch) <= sample < len(batch):
        raise IndexError(f"sample must be a row of X, 0 to {len(batch) - 1}, received {describe(sample)}")
    return int(sample) % len(batch)


def _entries(net: Network, check: str | bool) -> int | str | None:
    if isinstance(check, np.bool_):
        check = bool(check)
    if check is False or check is None:
        return None
    name = "sampled" if check is True else check
    if not isinstance(name, str) or name not in CHECKS:
        raise ArgumentError(f"check must be 'sampled', 'full' or False, received {describe(check)}")
    if name == "sampled" and len(net.parameter_specs) > MANY_PARAMETERS:
        return 1
    entries: int | str = CHECKS[name]  # type: ignore[assignment]
    return entries


def _bytes(budget: int | str) -> int:
    try:
        text = str(budget).strip().upper().removesuffix("B")
        scale = {"K": 1_000, "M": 1_000_000}.get(text[-1:], 1)
        size = float(text.rstrip("KM")) * scale
    except ValueError:  # also an integer of more digits than Python prints
        size = -1.0
    if isinstance(budget, bool) or not 10_000 <= size <= 1e9:
        raise ArgumentError(
            f"budget must be a size such as '2MB' or 500_000 bytes, received {describe(budget)}"
        )
    return int(size)


def _elements(net: Network, element: Any) -> dict[str, tuple[int, ...]]:
    """Layer name -> entry of its output."""
    if isinstance(element, str) and element == "auto":
        return {}
    if not isinstance(element, Mapping):
        raise TypeError(f"element must be 'auto' or {{'conv1': (3, 4, 0)}}, received {describe(element)}")
    shapes, elements = net.shapes, {}
    for name, index in element.items():
        if name not in shapes:
            raise ShapeError(f"element names the layer {describe(name)}; there are {', '.join(shapes)}")
        entry = np.atleast_1d(np.asarray(index))
        shape = shapes[name]
        whole = entry.dtype.kind in "iu" and entry.shape == (len(shape),)
        if not whole or (entry < 0).any() or (entry >= shape).any():
            raise IndexError(
                f"element[{name!r}] must be an entry of an array of shape {shape}, whole numbers from 0, "
                f"received {describe(index)}"
            )
        elements[str(name)] = tuple(int(i) for i in entry)
    return elements
