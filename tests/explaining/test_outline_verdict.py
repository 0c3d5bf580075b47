"""What the page says before its first formula, and the gradient check where a kink hides a derivative."""

from __future__ import annotations

import numpy as np

import chainrule as cr
from chainrule.base.languages import Say
from chainrule.explaining.blocks.kinds import Paragraph, Section, Table


def section(report: cr.Report, name: str) -> Section:
    return next(one for one in report.outline().sections if one.id == name)


def test_the_verdict_explains_citations_and_indices() -> None:
    network = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=4, seed=0)
    report = cr.explain(network, np.eye(4), [0, 1, 2, 0], check=False)
    said = [block.text for block in section(report, "verdict").blocks if isinstance(block, Paragraph)]
    english = " ".join(text.en for text in said if isinstance(text, Say))
    for word in ("Tutorial FC ③", "“References”", "behind a semicolon is the sample", "unrounded factors"):
        assert word in english


def test_what_cannot_be_checked_is_told_in_both_languages_without_a_nan() -> None:
    """All pixels are 0 and so is b: every z lies on ReLU's kink, in every direction."""
    network = cr.Network([cr.Dense(3), cr.ReLU(), cr.Dense(2), cr.Softmax()], input_shape=4, seed=0)
    report = cr.explain(network, np.zeros((4, 4)), [0, 1, 1, 0])
    table = next(block for block in section(report, "check").blocks if isinstance(block, Table))
    verdicts = [row[-1] for row in table.rows]
    hidden = [one for one in verdicts if isinstance(one, Say) and one.en.startswith("not checkable")]
    assert hidden
    assert all("无法检验" in one.zh and not any("a" <= letter <= "z" for letter in one.zh) for one in hidden)
    assert "nan" not in [cell for row in table.rows for cell in row if isinstance(cell, str)]
