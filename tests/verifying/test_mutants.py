"""Every wrong neighbour of every formula is named, or computes the same: `chainrule verify --mutants`."""

from __future__ import annotations

import pytest
from tests.pairwise import CHOICE, some

from chainrule.base.errors import ArgumentError
from chainrule.layers import layer_classes
from chainrule.verifying.meanings.meaning import NONE
from chainrule.verifying.mutants import table
from chainrule.verifying.mutants.examples import EXAMPLES
from chainrule.verifying.mutants.subjects import KINDS, written
from chainrule.verifying.mutants.table import Mutated, counts, judged, planned, sampled

# The suite looks at some of some kinds, at more of all with --whole; the command at all, which takes an hour.
FEW, MORE = 6, 25


def test_there_is_an_example_of_every_layer() -> None:
    assert set(EXAMPLES) == set(layer_classes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_backward_pass_is_right(kind: str) -> None:
    given = next(written(kind))
    verdict = Mutated(given).verdict(NONE)
    assert verdict, str(verdict)
    assert "judged by the formulas" in str(verdict)


@pytest.mark.turns(2)
@pytest.mark.parametrize("kind", some(KINDS, 5))
def test_every_wrong_neighbour_is_named_or_the_same_function(kind: str) -> None:
    plans = planned([kind])
    mutants = [judged(plan) for plan in plans[:: max(len(plans) // (MORE if CHOICE["whole"] else FEW), 1)]]
    total = counts(mutants)
    assert total["unnamed"] <= max(0.04 * len(mutants), 1), [m for m in mutants if m.answer == "unnamed"]
    for mutant in mutants:
        has_name = bool(mutant.words) and mutant.answer not in ("no function", "unnamed")
        assert (mutant.answer == "named") == has_name
        assert mutant.at


def test_a_name_that_none_has() -> None:
    with pytest.raises(ArgumentError, match="there is no 'denze': did you mean 'Dense'; there are Dense, "):
        planned(["denze"])
    assert len(planned(["LEAKY_RELU", "leakyrelu"])) == len(planned(["leakyrelu"])) > 0


def test_of_many_some_of_every_kind_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = planned(["tanh"])
    assert sampled(plans) == (plans, {})
    monkeypatch.setattr(table, "MOST_OF_ONE", 3)
    kept, of = sampled(plans)
    assert of == {"Tanh()": len(plans)}
    assert 3 <= len(kept) < len(plans)
    assert {plan.edit.kind for plan in kept} == {plan.edit.kind for plan in plans}
