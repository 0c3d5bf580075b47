"""Verdict: right, wrong or cannot tell; where, why, how to mend it, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from textwrap import indent
from typing import Any

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.languages import LANGUAGES, SPACE, Say, same, say_json
from chainrule.base.shown import shown
from chainrule.base.tables import wrapped
from chainrule.verifying.saying.marked import Marked
from chainrule.verifying.saying.schema import Answer, SourceRecord, VerdictFinding, VerdictRecord
from chainrule.verifying.texts import TEXTS

STYLE = (
    ".verdict [data-ref=marked] { background: #fde2e2; border-bottom: 2px solid #c62828 } "
    ".verdict .lines { white-space: pre-wrap }"
)
HINTS = {"file": 2, "line": 2}  # evidence that is told above another level of hints than 0: the source's


@dataclass(frozen=True)
class Place:
    """The place of their source that makes it right.

    stands, write: the smallest expression there, or the line, as it is and as it must be; write is "" where
    the line must go.  line, column: where it begins, each from 1 on.
    """

    file: str
    line: int
    stands: str
    write: str
    column: int

    @property
    def said(self) -> Say:
        """As a sentence."""
        if "\n" not in self.stands + self.write:
            return TEXTS.say("source.instead" if self.write else "source.without", **vars(self))
        stands, write = (same("\n" + indent(text, "    ")) for text in (self.stands, self.write))
        if not self.write:
            return TEXTS.say("source.without_lines", **vars(self)) + stands
        head = TEXTS.say("source.lines", **vars(self)) + write
        return head + same("\n") + TEXTS["source.for_lines"] + stands

    def json(self) -> SourceRecord:
        """Plain JSON."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "stands": self.stands,
            "write": self.write,
        }


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that was noticed.

    name: of the array, or "" of all. what, where, why, fix: texts; why is None where the cause is unknown.
    mistake: a word for programs, "" where unknown. evidence: numbers. formulas: the right one and theirs,
    where both are known.  observed: where no cause is known, what single impulses of δ show.  source: the
    place in their source, where it was found.
    """

    name: str
    what: Say
    where: Say | None = None
    why: Say | None = None
    fix: Say | None = None
    mistake: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    formulas: Marked | None = None
    observed: Say | None = None
    source: Place | None = None

    def lines(self, language: str, hint_level: int) -> list[str]:
        """As text; hint_level 0: that it is wrong, 1: and where, 2: and why, 3: and what to write."""
        texts = [self.told(hint_level), self.where, self.why, None if self.formulas else self.fix]
        if hint_level >= 2 and self.why is None and self.where is not None:
            texts[2] = TEXTS["unknown"] if self.observed is None else TEXTS["unknown"] + SPACE + self.observed
        return [shown(getattr(text, language)) for text in texts[: hint_level + 1] if text is not None]

    def line_of_source(self, language: str, hint_level: int) -> list[str]:
        """What stands in their source and what must, where `lines` do not have it."""
        if self.source is None or self.source.said == self.fix or hint_level < 3:
            return []
        return [shown(getattr(self.source.said, language))]

    def told(self, hint_level: int) -> Say:
        """What is wrong; at hint level 0 of an array no more than that it is."""
        return TEXTS.say("wrong_alone", name=self.name) if hint_level < 1 and self.where else self.what

    def json(self, hint_level: int) -> VerdictFinding:
        """Plain JSON, without what the hint level withholds."""
        where, why, fix = (
            text if hint_level > number else None
            for number, text in enumerate((self.where, self.why, self.fix))
        )
        return {
            "name": self.name,
            "mistake": (self.mistake or None) if hint_level > 1 else None,
            "what": say_json(self.told(hint_level)),
            "where": None if where is None else say_json(where),
            "why": None if why is None else say_json(why),
            "fix": None if fix is None else say_json(fix),
            "formulas": self.formulas.json() if self.formulas and hint_level > 2 else None,
            "source": self.source.json() if self.source and hint_level > 2 else None,
            "observed": say_json(self.observed) if self.observed and hint_level > 1 else None,
            "evidence": {key: v for key, v in self.evidence.items() if hint_level > HINTS.get(key, 0)},
        }


@dataclass(frozen=True)
class Verdict:
    """What `verify` answers; true where the backward pass is right.

    verdict: "right", "wrong" or "cannot tell".  findings: what is wrong, the first array first; notes: what
    was noticed and is no mistake, and how it was judged.
    """

    title: str
    verdict: Answer
    findings: tuple[Finding, ...]
    notes: tuple[Say, ...]
    hint_level: int = 3

    def __bool__(self) -> bool:
        return self.verdict == "right"

    @property
    def where(self) -> tuple[str, ...]:
        """Of every finding, in English."""
        return tuple(finding.where.en for finding in self.findings if finding.where is not None)

    @property
    def why(self) -> tuple[str, ...]:
        """The mistakes by the words for programs; "" where a cause is unknown."""
        return tuple(finding.mistake for finding in self.findings)

    @property
    def fix(self) -> tuple[str, ...]:
        """What to write, in English, by the formula of the cause, else by its place in the source."""
        said = (each.fix or (each.source and each.source.said) for each in self.findings)
        return tuple(fix.en for fix in said if fix)

    @property
    def evidence(self) -> tuple[Mapping[str, Any], ...]:
        """The numbers behind every finding."""
        return tuple(finding.evidence for finding in self.findings)

    def text(self, language: str = "en", width: int | None = None) -> str:
        """All of it, in "en" or "zh"; in lines of at most `width` columns. ArgumentError for another one."""
        if language not in LANGUAGES:
            raise ArgumentError(f"language must be 'en' or 'zh', received {describe(language)}")
        rows = broken(self._head(language), "", "", width)
        for finding in self.findings:
            for number, line in enumerate(finding.lines(language, self.hint_level)):
                rows += broken(line, "  " if number else "- ", "  ", width)
            if finding.formulas is not None and self.hint_level > 2:
                room = None if width is None else width - 4
                rows += ["    " + row for row in finding.formulas.rows(language, room)]
            for line in finding.line_of_source(language, self.hint_level):
                rows += broken(line, "  ", "  ", width)
        for note in self.notes:
            rows += broken(f"({shown(getattr(note, language))})", "", " ", width)
        return "\n".join(rows)

    def _head(self, language: str) -> str:
        key = f"verdict.{self.verdict.replace(' ', '_')}"
        return str(getattr(TEXTS.say(key, title=shown(self.title)), language))

    def _repr_html_(self) -> str:
        """English, with the formulas as MathML."""
        items = []
        for finding in self.findings:
            texts = [as_html(line) for line in finding.lines("en", self.hint_level)]
            if finding.formulas is not None and self.hint_level > 2:
                texts += [f"{word} {math}" for word, math in finding.formulas.maths("en")]
            texts += [as_html(line) for line in finding.line_of_source("en", self.hint_level)]
            items.append(f"<li>{'<br>'.join(texts)}</li>")
        notes = "".join(f"<p>({escape(shown(note.en))})</p>" for note in self.notes)
        head = f"<p>{escape(self._head('en'))}</p>"
        return f'<div class="verdict"><style>{STYLE}</style>{head}<ul>{"".join(items)}</ul>{notes}</div>'

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        count = len(self.findings)
        return f"Verdict: {self.verdict}, {count} finding{'s' * (count != 1)}; print(verdict)"

    def json(self) -> VerdictRecord:
        """Plain JSON."""
        return {
            "title": self.title,
            "verdict": self.verdict,
            "findings": [finding.json(self.hint_level) for finding in self.findings],
            "notes": [say_json(note) for note in self.notes],
        }


def joined(title: str, verdicts: Sequence[Verdict], hint_level: int = 3) -> Verdict:
    """Verdicts of parts as that of the whole, the part's title before every finding; a note stands once."""

    def told(finding: Finding, part: str) -> Finding:
        what = TEXTS.say("layer", layer=part, what=finding.what)
        return replace(finding, name=f"{part}: {finding.name}" if finding.name else part, what=what)

    findings = tuple(told(each, verdict.title) for verdict in verdicts for each in verdict.findings)
    unsure = any(verdict.verdict == "cannot tell" for verdict in verdicts)
    notes: dict[Say, list[str]] = {}
    for verdict in verdicts:
        for note in verdict.notes:
            notes.setdefault(note, []).append(verdict.title)
    said = tuple(
        note if len(titles) == len(verdicts) else TEXTS.say("layer", layer=", ".join(titles), what=note)
        for note, titles in notes.items()
    )
    answer: Answer = "wrong" if findings else "cannot tell" if unsure else "right"
    return Verdict(title, answer, findings, said, hint_level)


def broken(text: str, lead: str, others: str, width: int | None) -> list[str]:
    """The text behind `lead`, in lines of at most `width` columns of which the others begin with `others`.
    Lines of code in it, which are indented, stay what they are.
    """
    lines: list[str] = []
    for line in text.split("\n"):
        whole = width is None or line.startswith("    ")
        lines += [line] if whole or width is None else wrapped(line, max(width - len(lead), 20))
    return [(others if number else lead) + line for number, line in enumerate(lines)]


def as_html(line: str) -> str:
    """A sentence, and lines of code in it as lines."""
    return f'<span class="lines">{escape(line)}</span>' if "\n" in line else escape(line)
