"""What a verdict is as JSON, as `Verdict.json()` and `chainrule verify --json` give it."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from chainrule.base.languages import SayRecord

Answer = Literal["right", "wrong", "cannot tell"]


class LineRecord(TypedDict):
    """A formula, or the definition of a name in it, as a line of text."""

    text: str
    differs: list[list[int]]  # [first, last) characters in which it differs from the other formula


class FormulasRecord(TypedDict):
    """The right formula and what is computed in its place, each with its definitions that differ."""

    right: list[LineRecord]
    yours: list[LineRecord]


class SourceRecord(TypedDict):
    """The place of the source that makes it right."""

    file: str
    line: int
    column: int  # where it begins in the line, from 1 on
    stands: str  # the smallest expression there, or the lines, from the one named on
    write: str  # in its place; "" where they must go


class VerdictFinding(TypedDict):
    """One thing that is wrong.  What the hint level withholds is None."""

    name: str  # of the argument whose gradient it is; "" of all
    mistake: str | None  # a word for programs, "factor 1/m"; None where the cause is unknown
    what: SayRecord
    where: SayRecord | None
    why: SayRecord | None
    fix: SayRecord | None
    formulas: FormulasRecord | None
    source: SourceRecord | None  # where it was found
    observed: SayRecord | None  # where the cause is unknown, what single impulses of δ show
    evidence: dict[str, Any]  # numbers and their places; of the source, "file" and "line"


class VerdictRecord(TypedDict):
    """A verdict."""

    title: str
    verdict: Answer
    findings: list[VerdictFinding]
    notes: list[SayRecord]  # how it was judged, and what was noticed and is no mistake


class ArrayRecord(TypedDict):
    """An array that somebody's code was run on."""

    name: str
    shape: list[int]
    dtype: str


class ErrorRecord(TypedDict):
    """Why somebody's code could not be run."""

    kind: str  # the class of the error, "Timeout", "exit" or a signal
    file: str | None
    line: int | None
    message: str


class CommandRecord(TypedDict):
    """What `chainrule verify --json` prints: a verdict, or why there is none."""

    title: str
    verdict: Literal["right", "wrong", "cannot tell", "not run"]
    findings: list[VerdictFinding]
    notes: list[SayRecord]
    args: list[ArrayRecord]
    error: ErrorRecord | None


MutantAnswer = Literal["named", "the same function", "unnamed", "no function"]


class MutantRecord(TypedDict):
    """A formula with one mistake in it, and what became of it."""

    layer: str
    array: str  # whose gradient it is: "x" or a parameter
    mistake: str
    at: str  # the node of the right formula
    part: str  # what of it is missing, or stands there instead
    answer: MutantAnswer
    words: list[str]  # what verify calls it


class MutantsRecord(TypedDict):
    """What `chainrule verify --mutants --json` prints."""

    mutants: list[MutantRecord]
    counts: dict[str, int]
    sampled: dict[str, int]  # layers of which some mistakes were looked at, of every kind: of how many
    draws: int  # on which a formula gave the same as the right one, to be called the same function
