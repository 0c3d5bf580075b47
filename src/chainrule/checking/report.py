"""The outcome of a gradient check: a record per parameter, a verdict, and a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chainrule.base.errors import ChainruleError, describe
from chainrule.base.tables import html_table, text_table

Kind = Literal["ok", "WRONG", "cannot tell", "not checkable"]


UNDECIDED = ("cannot tell", "not checkable")


class GradientError(ChainruleError, AssertionError):
    """A formula for a gradient disagrees with the finite difference of the loss."""


@dataclass(frozen=True)
class Worst:
    """The entry with the largest error; index () where it was found along a random direction."""

    index: tuple[int, ...]
    analytic: float
    numeric: float


@dataclass(frozen=True)
class ParameterCheck:
    """One parameter, or "input" for ∂J/∂x.

    entries: how many were compared. max_error: the largest relative error among them; derivatives that
    rounding hides count by the rounding instead. worst: where. step: the h of the worst. kinks: entries
    passed over because J has a kink there. direction_error: along one random direction through all entries,
    None if not made.
    kind: "cannot tell": a derivative is there, and a kink, rounding, overflow or a J that does not settle
        keeps finite differences from judging it. "not checkable": there is nothing to compare.
    reason: for "cannot tell" and "not checkable", and remarks.
    """

    name: str
    shape: tuple[int, ...]
    kind: Kind
    entries: int
    max_error: float
    worst: Worst | None
    step: float
    kinks: int = 0
    direction_error: float | None = None
    reason: str = ""

    @property
    def verdict(self) -> str:
        """ "ok", "ok (3 kinks)", "WRONG", "cannot tell (why)" or "not checkable (why)"."""
        if self.kind in UNDECIDED:
            return f"{self.kind} ({self.reason})"
        if self.kind == "ok" and self.kinks:
            return f"ok ({self.kinks} kink{'s' if self.kinks > 1 else ''})"
        return self.kind


@dataclass(frozen=True, repr=False)
class GradientReport:
    """True where no formula was found wrong and at least one could be checked; `outcome` and the first line
    say how many could not be.

    parameters: the records. relative_difference: ‖n - g‖ / ‖n + g‖ over all compared entries (Ng's rule of
    thumb: below 1e-9). loss: J at the point. computed_by: "native" or "reference". diagnosis: where a wrong
        gradient begins.
    """

    title: str
    parameters: tuple[ParameterCheck, ...]
    relative_difference: float
    loss: float
    tolerance: float
    computed_by: str
    diagnosis: tuple[str, ...] = ()

    @property
    def wrong(self) -> tuple[ParameterCheck, ...]:
        """The records that are WRONG."""
        return tuple(record for record in self.parameters if record.kind == "WRONG")

    @property
    def ok(self) -> bool:
        """No record is WRONG, and at least one is ok."""
        return not self.wrong and any(record.kind == "ok" for record in self.parameters)

    @property
    def outcome(self) -> str:
        """ "ok", "ok, 2 of 9 arrays not judged", "WRONG" or "nothing could be checked"."""
        if not self.ok:
            return "WRONG" if self.wrong else "nothing could be checked"
        hidden = sum(record.kind in UNDECIDED for record in self.parameters)
        return f"ok, {hidden} of {len(self.parameters)} arrays not judged" if hidden else "ok"

    def __bool__(self) -> bool:
        return self.ok

    def __getitem__(self, name: str) -> ParameterCheck:
        """The record of a parameter."""
        for record in self.parameters:
            if record.name == name:
                return record
        names = ", ".join(record.name for record in self.parameters)
        raise KeyError(f"{describe(name)} was not checked; there are {names}")

    def raise_if_wrong(self) -> None:
        """GradientError with the table, unless the check passed."""
        if not self.ok:
            raise GradientError(str(self))

    def _rows(self) -> list[list[str]]:
        rows = [
            [
                "",
                "shape",
                "entries",
                "max error",
                "direction",
                "worst entry",
                "formula",
                "numeric",
                "verdict",
            ]
        ]
        for record in self.parameters:
            direction = "" if record.direction_error is None else f"{record.direction_error:.1e}"
            error = f"{record.max_error:.1e}" if record.entries else ""
            row = [record.name, str(record.shape), str(record.entries or ""), error, direction]
            if record.worst is None:
                rows.append([*row, "", "", "", record.verdict])
                continue
            where = f"[{', '.join(map(str, record.worst.index))}]" if record.worst.index else "direction"
            where = "" if record.name == "loss" else where
            values = [f"{record.worst.analytic:.8g}", f"{record.worst.numeric:.8g}"]
            rows.append([*row, where, *values, record.verdict])
        return rows

    def table(self) -> str:
        """One aligned line per parameter."""
        return text_table(self._rows(), right=(2, 3, 4, 6, 7))

    def _headline(self) -> str:
        return f"{self.title}: {self.outcome}"

    def _foot(self) -> list[str]:
        lines = []
        if any(record.entries for record in self.parameters):
            lines.append(f"‖n - g‖ / ‖n + g‖ = {self.relative_difference:.1e} over all entries compared")
        origin = "compiled kernels" if self.computed_by == "native" else "formulas"
        lines.append(
            f"accepted: relative error {self.tolerance:.0e}, or the rounding error of J; "
            f"J = {self.loss:.6g}; float64, gradients by the {origin}"
        )
        lines += [f"{r.name}: {r.reason}" for r in self.parameters if r.reason and r.kind not in UNDECIDED]
        return [*lines, *self.diagnosis]

    def __str__(self) -> str:
        return "\n".join([self._headline(), self.table(), *self._foot()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(self._rows(), right=(2, 3, 4, 6, 7), caption=self._headline())
