"""What a training run reached, epoch by epoch: a plain object with columns, a table, CSV and curves."""

from __future__ import annotations

import io
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.errors import ArgumentError, FileError, MissingExtraError, describe
from chainrule.base.files.disk import read_text, write_text, write_whole
from chainrule.base.shown import clipped
from chainrule.base.tables import html_table, text_table
from chainrule.losses import Loss, Losses
from chainrule.training.optimizers import Optimizer

if TYPE_CHECKING:
    from chainrule.training.curves import CurvePanel

# A printed table longer than this shows only so many epochs at each end.
TABLE_LONGEST, TABLE_HEAD, TABLE_TAIL = 20, 3, 7


@dataclass(frozen=True)
class OutputRow:
    """What one output of several reached in an epoch, as in `Row`; its losses are without its weight in J."""

    loss: float
    accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None


MEASURES = tuple(field.name for field in fields(OutputRow))


@dataclass(frozen=True)
class Row:
    """One epoch.

    loss, accuracy: means over the epoch's training samples, each measured before the step it took part in.
    validation_*: measured after the epoch; None without validation data. Losses are those of the data,
    without the penalty, so that the two can be compared. Accuracies are fractions from 0 to 1, None where
    there are no classes.
    rate: learning rate of the epoch's first step. seconds: wall-clock time of the epoch, validation included.
    outputs: of several outputs what each reached, by name.
    """

    epoch: int
    loss: float
    accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    rate: float = math.nan
    seconds: float = math.nan
    outputs: Mapping[str, OutputRow] = field(default_factory=dict)

    def value(self, column: str) -> Any:
        """Of a column of `History.columns_of`, "loss" or that of an output, "kind.loss"."""
        output, _, measure = column.rpartition(".")
        return getattr(self.outputs[output] if output else self, measure)


COLUMNS = tuple(field.name for field in fields(Row) if field.name != "outputs")


def higher_is_better(column: str) -> bool:
    """Whether a larger value of the column is the better one: accuracies, but not losses."""
    return column.endswith("accuracy")


class History:
    """The epochs of one `fit`: `history.loss` and the other columns are lists, one entry per finished epoch.

    Columns: epoch, loss, accuracy, validation_loss, validation_accuracy, rate, seconds (see `Row`).  Of
    several outputs `losses`, `accuracies`, `validation_losses` and `validation_accuracies` are lists by
    output, which `column` calls "kind.loss".
    `stopped` says why training ended before its last epoch, None if it did not. `loss_function` and
    `optimizer` are the objects that fit used, of fit_full_batch the method's name, None in a history read
    from a file; `optimizer_state` is what `fit(..., resume=history)` goes on from: the steps taken and the
    moments by parameter. `rate_factors` says by parameter what multiplied the rate, 0 of what was frozen.
    `converged`: of fit_full_batch, whether it has found a minimum by its own measure; `minimum`: the lowest J
    that it has found, the penalty included. None of any other fit.
    `restored_epoch`: the epoch whose parameters, moments and steps these are, where early stopping has given
    them back; None: the last.
    """

    def __init__(
        self,
        rows: Iterable[Row] = (),
        stopped: str | None = None,
        *,
        loss_function: Loss | None = None,
        optimizer: Optimizer | str | None = None,
        rate_factors: Mapping[str, float] | None = None,
    ) -> None:
        self.rows: list[Row] = list(rows)
        self.stopped = stopped
        self.loss_function = loss_function
        self.optimizer = optimizer
        self.rate_factors: dict[str, float] = dict(rate_factors or {})
        self.optimizer_state: dict[str, Any] | None = None
        self.restored_epoch: int | None = None
        self.converged: bool | None = None
        self.minimum: float | None = None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            from chainrule.base.foreign import answer
            from chainrule.base.foreign.attributes import HISTORY

            rows = self.__dict__.get("rows")  # none while a copy is made
            meant = of_output(name, rows[-1].outputs if rows else ())
            advice = HISTORY.get(name, f"history.column({meant!r})" if meant else "")
            said = f"a history has no attribute {clipped(repr(name))}{answer(advice)}"
            raise AttributeError(said, name=name, obj=self)

        def __getitem__(self, key: Any) -> Any:
            from chainrule.base.foreign.attributes import HISTORY

            column = f"history.{key}" if key in COLUMNS else HISTORY.get(str(key), "history.loss")
            if meant := of_output(str(key), self.outputs):
                column = f"history.column({meant!r})"
            raise TypeError(f"a history has no entries, but lists: write {column}, or history.rows[0]")

    def append(self, row: Row) -> None:
        """Add a finished epoch."""
        self.rows.append(row)

    def resumed_rows(self) -> list[Row]:
        """The epochs that a fit with `resume` goes on from: those that led to the parameters kept."""
        return self.rows[: self.restored_epoch]  # all of them where it is None

    def columns(self) -> dict[str, Any]:
        """All of them for a file: arrays, None of one without values, a list where some are missing."""
        held = {name: self.column(name) for name in self.names}
        return {name: _array_or_list(values) for name, values in held.items()}

    @staticmethod
    def rows_of(columns: Mapping[str, Any]) -> list[Row]:
        """The epochs that `columns` gave."""
        count = len(columns["epoch"])
        listed: dict[str, list[Any]] = {}
        for name, held in columns.items():
            whole = held.tolist() if isinstance(held, np.ndarray) else held
            listed[name] = [None] * count if whole is None else whole
        return [row_of({name: cells[at] for name, cells in listed.items()}) for at in range(count)]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of several outputs; none of one."""
        return tuple(self.rows[-1].outputs) if self.rows else ()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns, those of several outputs behind the others."""
        return (*COLUMNS, *columns_of(self.outputs))

    def column(self, name: str) -> list[Any]:
        """One column as a list. Raises ValueError that lists the columns."""
        if name not in self.names:
            raise ArgumentError(
                f"history has no column {describe(name)}: write one of {', '.join(self.names)}"
            )
        return [row.value(name) for row in self.rows]

    def _by_output(self, measure: str) -> dict[str, list[Any]]:
        return {name: self.column(f"{name}.{measure}") for name in self.outputs}

    @property
    def losses(self) -> dict[str, list[float]]:
        """Of several outputs the mean training loss of each, without its weight in J, by name."""
        return self._by_output("loss")

    @property
    def accuracies(self) -> dict[str, list[float | None]]:
        """Of several outputs the training accuracy of each, by name; None where it has no classes."""
        return self._by_output("accuracy")

    @property
    def validation_losses(self) -> dict[str, list[float | None]]:
        """Of several outputs the validation loss of each, by name."""
        return self._by_output("validation_loss")

    @property
    def validation_accuracies(self) -> dict[str, list[float | None]]:
        """Of several outputs the validation accuracy of each, by name."""
        return self._by_output("validation_accuracy")

    @property
    def epoch(self) -> list[int]:
        """Epoch numbers, from 1."""
        return self.column("epoch")

    @property
    def loss(self) -> list[float]:
        """Mean training loss of each epoch."""
        return self.column("loss")

    @property
    def accuracy(self) -> list[float | None]:
        """Training accuracy of each epoch."""
        return self.column("accuracy")

    @property
    def validation_loss(self) -> list[float | None]:
        """Validation loss after each epoch."""
        return self.column("validation_loss")

    @property
    def validation_accuracy(self) -> list[float | None]:
        """Validation accuracy after each epoch."""
        return self.column("validation_accuracy")

    @property
    def rate(self) -> list[float]:
        """Learning rate of the first step of each epoch."""
        return self.column("rate")

    @property
    def seconds(self) -> list[float]:
        """Duration of each epoch."""
        return self.column("seconds")

    @property
    def last(self) -> Row:
        """The last finished epoch. Raises IndexError when no epoch was finished."""
        if not self.rows:
            raise IndexError("the history holds no epoch: training stopped before the first was finished")
        return self.rows[-1]

    @property
    def best(self) -> Row:
        """The epoch with the lowest validation loss (without validation data: loss), the first of equals."""
        return self.best_by("loss" if self.last.validation_loss is None else "validation_loss")

    def best_by(self, column: str) -> Row:
        """The epoch with the best value in a column: the highest accuracy, the lowest of anything else."""
        sign = -1.0 if higher_is_better(column) else 1.0
        values = zip(self.column(column), self.rows, strict=True)
        scored = [(sign * value, row) for value, row in values if value is not None]
        if not scored:
            raise ArgumentError(f"the history holds no value in column {column!r}")
        return min(scored, key=lambda pair: pair[0])[1]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and (self.rows, self.stopped) == (other.rows, other.stopped)

    __hash__ = None  # type: ignore[assignment]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one line per epoch under the column names; numbers exactly, empty where there is none."""
        import csv

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.names)
        for row in self.rows:
            values = map(row.value, self.names)
            writer.writerow("" if value is None else repr(value) for value in values)
        write_text(path, text.getvalue())

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> History:
        """The history that `to_csv` wrote. Raises FileError that names the line."""
        import csv

        reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
        rows: list[Row] = []
        try:
            names = tuple(next(reader, ()))
            outputs = [name.removesuffix(".loss") for name in names[len(COLUMNS) :] if name.endswith(".loss")]
            if names != (*COLUMNS, *columns_of(outputs)):
                raise FileError(f"{path} is not a history: its first line must be {','.join(COLUMNS)}")
            for cells in reader:
                rows.append(_row_of_cells(names, cells, f"{path}, line {reader.line_num}"))
        except csv.Error as error:
            raise FileError(f"{path}, line {reader.line_num} is not a line of a history: {error}") from None
        return cls(rows)

    def _panels(self) -> list[CurvePanel]:
        """Loss and accuracy by epoch, training and validation; columns without values are left out."""
        from chainrule.training.curves import CurvePanel

        panels = []
        for front in ("", *(f"{name}." for name in self.outputs)):
            for name in ("loss", "accuracy"):
                curves = {
                    "training": self.column(f"{front}{name}"),
                    "validation": self.column(f"{front}validation_{name}"),
                }
                drawn = {label: held for label, held in curves.items() if any(v is not None for v in held)}
                if drawn:
                    title = f"{front.replace('.', ' ')}{name}"
                    panels.append(CurvePanel(title, self.epoch, drawn, percent=name == "accuracy"))
        return panels

    def to_svg(self) -> str:
        """The curves as an SVG picture, a text; needs nothing but the standard library."""
        from chainrule.training.curves import draw_panels

        return draw_panels(self._panels(), x_label="epoch")

    def save_svg(self, path: str | os.PathLike[str]) -> None:
        """Write `to_svg()` to a file."""
        write_text(path, self.to_svg())

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """The curves as a matplotlib figure, also written to `path` if given (.png, .pdf, .svg).

        A notebook shows the figure where it is the value of a cell. Nothing opens a window: scripts give a
        path.

        Raises MissingExtraError without matplotlib; `to_svg` needs no package.
        """
        from chainrule.training.curves import epoch_ticks

        Figure, PercentFormatter = _matplotlib()
        panels = self._panels()
        # A Figure of its own, not pyplot: no window, no global list of figures, any thread.
        figure: Any = Figure(figsize=(5.2 * max(len(panels), 1), 3.6), layout="constrained")
        for index, panel in enumerate(panels, 1):
            axes = figure.add_subplot(1, len(panels), index)
            marker = "o" if len(panel.x) == 1 else None
            for label, values in panel.curves.items():
                axes.plot(panel.x, [math.nan if v is None else v for v in values], label=label, marker=marker)
            axes.set(xlabel="epoch", ylabel=panel.title)
            axes.set_xticks(epoch_ticks(min(panel.x), max(panel.x)))
            if panel.percent:
                axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            axes.grid(alpha=0.3)
            axes.legend()
        if path is not None:
            _save_figure(figure, Path(path))
        figure._repr_png_ = partial(_png, figure)  # Jupyter asks for it; a bare Figure has none
        return figure

    def _table(self) -> list[list[str]]:
        """Headings and rows, without columns that have no values and without the middle of a long run."""
        names = [name for name in COLUMNS if any(v == v and v is not None for v in self.column(name))]
        table = [[format_cell(name, row.value(name)) for name in names] for row in self.rows]
        if len(table) > TABLE_LONGEST:
            table[TABLE_HEAD:-TABLE_TAIL] = [["…"] + [""] * (len(names) - 1)]
        return [[name.replace("_", " ") for name in names], *table]

    def _of_outputs(self) -> list[list[str]]:
        """What every output of several reached in the last epoch, and its weight in J; else nothing."""
        if not self.outputs:
            return []
        names = [m for m in MEASURES if any(self.last.value(f"{o}.{m}") is not None for o in self.outputs)]
        table = [
            [output, *(format_cell(name, self.last.value(f"{output}.{name}")) for name in names)]
            for output in self.outputs
        ]
        heading = [f"epoch {self.last.epoch}", *(name.replace("_", " ") for name in names)]
        if isinstance(self.loss_function, Losses):
            weights = {name: f"{part.weight:g}" for name, part in self.loss_function.by_output.items()}
            table = [[*row, weights[row[0]]] for row in table]
            heading.append("weight")
        return [heading, *table]

    def _summary(self) -> str:
        ending = f"; stopped: {self.stopped}" if self.stopped else ""
        if self.loss_function is not None:
            ending += f"; {self.loss_function!r}, {self.optimizer!r}"
            frozen = sum(factor == 0 for factor in self.rate_factors.values())
            ending += f", {frozen} of the parameters frozen" if frozen else ""
        if not self.rows:
            return f"History: no epoch finished{ending}"
        best = self.best
        name = "loss" if best.validation_loss is None else "validation_loss"
        value = format_cell(name, getattr(best, name))
        return f"best {name.replace('_', ' ')} {value} in epoch {best.epoch}{ending}"

    def __repr__(self) -> str:
        if not self.rows:
            return self._summary()
        of_outputs = self._of_outputs()
        outputs = f"{text_table(of_outputs, right=range(1, len(of_outputs[0])))}\n" if of_outputs else ""
        return f"{text_table(self._table(), right=range(len(COLUMNS)))}\n{outputs}{self._summary()}"

    def _repr_html_(self) -> str:
        from html import escape

        table = html_table(self._table(), right=range(len(COLUMNS))) if self.rows else ""
        if of_outputs := self._of_outputs():
            table += html_table(of_outputs, right=range(1, len(of_outputs[0])))
        return f"<div>{self.to_svg()}{table}<p>{escape(self._summary())}</p></div>"


def _row_of_cells(names: Sequence[str], cells: Sequence[str], place: str) -> Row:
    """An epoch of what stands in a line; FileError where that is none."""
    try:
        values = [None if cell == "" else float(cell) for cell in cells[1:]]
        if len(cells) != len(names) or None in (values[0], values[4], values[5]):
            raise ValueError
        return row_of(dict(zip(names, [int(cells[0]), *values], strict=True)))
    except ValueError:
        raise FileError(f"{place} is not an epoch of a history: {','.join(cells)!r}") from None


def columns_of(outputs: Iterable[str]) -> list[str]:
    """Of several outputs, "kind.loss" and the others."""
    return [f"{name}.{measure}" for name in outputs for measure in MEASURES]


def of_output(key: str, outputs: Iterable[str]) -> str | None:
    """The column of an output as Keras calls it, "val_kind_loss" is "kind.validation_loss", or half so:
    "kind.val_loss".
    """
    measures = {"loss": "loss", "accuracy": "accuracy", "acc": "accuracy"}
    for output in outputs:
        for word, measure in measures.items():
            if key in (f"{output}_{word}", f"{output}.{word}"):
                return f"{output}.{measure}"
            if key in (f"val_{output}_{word}", f"{output}.val_{word}", f"{output}_val_{word}"):
                return f"{output}.validation_{measure}"
    return None


def row_of(cells: Mapping[str, Any]) -> Row:
    """An epoch from what its columns hold."""
    of_all, outputs = dict[str, Any](), dict[str, dict[str, Any]]()
    for column, value in cells.items():
        output, _, measure = column.rpartition(".")
        (outputs.setdefault(output, {}) if output else of_all)[measure] = value
    made = {name: OutputRow(**measured) for name, measured in outputs.items()}
    return Row(**of_all, outputs=made)


def _array_or_list(values: list[Any]) -> Any:
    if not values or None not in values:
        return np.array(values)
    return None if all(value is None for value in values) else values


def _matplotlib() -> tuple[Any, Any]:
    """The classes that `plot` needs, which need no backend.

    MPLBACKEND may name one that is not here, such as a notebook's in a program that it started; matplotlib
    could not be imported then. So the setting waits until it is, and is made as matplotlib makes it.
    """
    setting = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
    try:
        from matplotlib import rcParams
        from matplotlib.figure import Figure
        from matplotlib.ticker import PercentFormatter
    except ImportError:
        raise MissingExtraError("matplotlib", "plot", "history.plot()") from None
    finally:
        if setting is not None:
            os.environ["MPLBACKEND"] = setting
    if setting:
        with suppress(ValueError):
            rcParams["backend"] = setting
    return Figure, PercentFormatter


def _save_figure(figure: Any, path: Path) -> None:
    """The figure in the form that the file's ending names, as a whole; without an ending it is a PNG."""
    if not path.suffix:
        path = path.with_name(f"{path.name}.png")
    write_whole(path, lambda stream: figure.savefig(stream, format=path.suffix[1:], dpi=120))


def _png(figure: Any) -> bytes:
    """The figure as a PNG picture."""
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=120)
    return target.getvalue()


def format_cell(name: str, value: float | None) -> str:
    """A value of the column as it is printed: 4 digits, accuracies in percent, "-" for none."""
    if value is None:
        return "-"
    if name == "epoch":
        return str(value)
    if higher_is_better(name):
        return f"{100 * value:.2f} %"
    if name == "seconds":
        return f"{value:.2f}"
    return (
        f"{value:.4g}" if name == "rate" else f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 else f"{value:.4g}"
    )
