"""Eighty backwards with a mistake, as an examiner writes them: judged by what the English text says."""

from __future__ import annotations

from tests.verifying.museum.unseen import layers, models, reports

CASES = [*layers.CASES, *models.CASES, *reports.CASES]
