"""The museum: mistakes of public reports and courses are named, an examiner's too, right ones are right."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from tests.pairwise import some
from tests.verifying.museum import buggy, right, unseen
from tests.verifying.museum.case import Case
from tests.verifying.museum.numeric import worst
from tests.verifying.museum.right.style import Right

ACROSS_CALLS = {"buffer_not_zeroed", "stale_input"}  # right at the first call
BUGGY = {f"{case.family}.{case.name}": case for case in buggy.CASES}
UNSEEN = {f"{case.family}.{case.name}": case for case in unseen.CASES}


def family(name: str) -> str:
    return (BUGGY | UNSEEN)[name].family


def kind(name: str) -> str:
    """The first word that names it; all factors are alike, all that is left out, all that is another."""
    first = next(iter(BUGGY[name].words), "")
    return next((general for general in ("only", "factor", "as") if general in first.split()), first)


def test_every_case_has_its_source_and_its_name() -> None:
    assert len(BUGGY) == len(buggy.CASES) >= 60
    assert len(UNSEEN) == len(unseen.CASES) == 78
    for case in buggy.CASES:
        assert case.source
        assert case.mistake
        assert case.words


@pytest.mark.parametrize("name", some([*BUGGY, *UNSEEN], 31))
def test_the_gradients_are_truly_wrong(name: str) -> None:
    case = (BUGGY | UNSEEN)[name]
    if case.name not in ACROSS_CALLS:
        assert worst(*case.make()) > 1e-3


@pytest.mark.turns(3)
@pytest.mark.parametrize("name", some(BUGGY, 30, kind, family))
def test_the_mistake_is_named(name: str) -> None:
    outcome, said = BUGGY[name].outcome()
    assert outcome == "named", said


def test_nine_of_ten_unseen_are_named() -> None:
    looked_at = some(UNSEEN, 8)
    table: Counter[str] = Counter()
    lines = []
    for name in looked_at:
        case = UNSEEN[name]
        outcome, said = case.outcome()
        table[outcome] += 1
        if outcome != "named":
            lines.append(f"{name}: {outcome}; meant: {case.mistake}\n{said}")
    print(dict(table), *lines, sep="\n")
    assert not table["right"], lines
    assert table["named"] >= 0.9 * len(looked_at), lines


@pytest.mark.parametrize("case", list(right.some(30)), ids=lambda case: case.name)
def test_right_is_right(case: Right) -> None:
    verdict = case.verdict()
    assert verdict, str(verdict)


def test_right_ones_are_right_by_central_differences() -> None:
    """A spread of them; the sweep proves all."""
    assert len(list(right.cases())) >= 300
    for case in right.some(30):
        if "float64" in case.name and "ties" not in case.name:
            assert worst(case.subject, case.args) < 1e-5, case.name


def test_a_case_without_its_word_is_not_named() -> None:
    """The judgement of outcomes itself."""

    def made() -> tuple[object, tuple[np.ndarray, ...]]:
        return (lambda x: (2 * x, x), lambda d, x: 4 * d), (np.array([[1.0, 2, 3]]),)

    outcomes = [Case("", "", "", "", made, None, words).outcome()[0] for words in (("factor 2",), ("minus",))]
    assert outcomes == ["named", "other"]
