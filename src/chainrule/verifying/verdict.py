"""Verdict: right, wrong or cannot tell; where, why, how to mend it, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from chainrule.base.languages import Say, SayRecord, say_json
from chainrule.verifying.texts import TEXTS

Answer = Literal["right", "wrong", "cannot tell"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that was noticed.

    name: of the array, or "" of all. what, where, why, fix: texts; why is None where the cause is unknown.
    mistake: a word for programs, "" where unknown. evidence: numbers.
    """

    name: str
    what: Say
    where: Say | None = None
    why: Say | None = None
    fix: Say | None = None
    mistake: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def lines(self, language: str, hint_level: int) -> list[str]:
        """As text; hint_level 0: that it is wrong, 1: and where, 2: and why, 3: and what to write."""
        texts = [self.what, self.where, self.why, self.fix]
        if hint_level >= 2 and self.why is None and self.where is not None:
            texts[2] = TEXTS["unknown"]
        return [getattr(text, language) for text in texts[: hint_level + 1] if text is not None]


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
        """What to write, in English, where a cause is known."""
        return tuple(finding.fix.en for finding in self.findings if finding.fix is not None)

    @property
    def evidence(self) -> tuple[Mapping[str, Any], ...]:
        """The numbers behind every finding."""
        return tuple(finding.evidence for finding in self.findings)

    def text(self, language: str = "en") -> str:
        """All of it, in "en" or "zh"."""
        head = getattr(TEXTS.say(f"verdict.{self.verdict.replace(' ', '_')}", title=self.title), language)
        body = [
            ("  " if number else "- ") + line
            for finding in self.findings
            for number, line in enumerate(finding.lines(language, self.hint_level))
        ]
        return "\n".join([head, *body, *(f"({getattr(note, language)})" for note in self.notes)])

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"Verdict: {self.verdict}, {len(self.findings)} findings; print(verdict)"

    def json(self) -> dict[str, Any]:
        """Plain JSON."""

        def said(text: Say | None) -> SayRecord | None:
            return None if text is None else say_json(text)

        findings = [
            {
                "name": finding.name,
                "mistake": finding.mistake or None,
                "what": said(finding.what),
                "where": said(finding.where),
                "why": said(finding.why),
                "fix": said(finding.fix),
                "evidence": dict(finding.evidence),
            }
            for finding in self.findings
        ]
        notes = [say_json(note) for note in self.notes]
        return {"title": self.title, "verdict": self.verdict, "findings": findings, "notes": notes}


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
