"""Kinds are numbered in C++ alone; Python knows them by the module's names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chainrule import _native

NATIVE = Path(__file__).parents[2] / "native"
HEADERS = ("kernels/api.hpp", "plan/plan.hpp")
ENUM = re.compile(r"^enum class (\w+) : int \{([^}]*)\}", re.MULTILINE)
INNER = {"Layout"}  # Python says panels=True
KINDS = {
    name: [word.strip() for word in members.split(",")]
    for header in HEADERS
    for name, members in ENUM.findall((NATIVE / header).read_text(encoding="utf-8"))
    if name not in INNER
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_exported_by_its_name_and_number(name: str) -> None:
    declared = [member for member in KINDS[name] if member != "count"]
    assert {member.name: member.value for member in getattr(_native, name)} == {
        member: number for number, member in enumerate(declared)
    }


def test_no_other_number_passes_for_a_kind() -> None:
    plan = _native.PlanFloat32(_native.supported_levels()[0], 1)
    with pytest.raises(TypeError, match="incompatible"):
        plan.set_post(len(_native.Act), 0.0, 0)
