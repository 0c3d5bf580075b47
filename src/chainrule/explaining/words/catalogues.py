"""The catalogues of a report: its sentences by their keys, in the files beside this one."""

from __future__ import annotations

from chainrule.base.languages import Catalogue


def _catalogue(name: str) -> Catalogue:
    return Catalogue("chainrule.explaining.words", name)


CARDS = _catalogue("cards")
DERIVATIONS = _catalogue("derivations")
ELEMENTS = _catalogue("elements")
ENDS = _catalogue("ends")
FLOW = _catalogue("flow")
LOOKUP = _catalogue("lookup")
PAGE = _catalogue("page")
PICTURES = _catalogue("pictures")
SECTIONS = _catalogue("sections")
TABLES = _catalogue("tables")
THETA_FORM = _catalogue("theta_form")
WORKSHEET = _catalogue("worksheet")
