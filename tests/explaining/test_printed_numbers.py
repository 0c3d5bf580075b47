"""Every printed number of ten reports is the quantity that its label names, at the digits that are shown."""

from __future__ import annotations

import pytest

from tests.explaining.audit import Audit
from tests.explaining.audit_networks import NAMES, case


@pytest.mark.parametrize("name", NAMES)
def test_every_number_is_what_its_label_names(name: str) -> None:
    audit = Audit(case(name)).run()
    assert not audit.wrong, "\n".join(audit.wrong)
    assert not audit.unvisited, "numbers that nothing compares: " + "; ".join(audit.unvisited)
    assert audit.compared > 60
