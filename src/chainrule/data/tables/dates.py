"""Dates and times as they are written; what may be read in two ways is no date."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

Reader = Callable[[str], datetime]

CLOCK = r"(?:[T ]+(?P<time>[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?: ?[AaPp]\.?[Mm]\.?)?) ?(?P<zone>Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}|[+-][0-9]{2})?)?"
YEAR_FIRST = re.compile(r"(?P<year>[0-9]{4})(?P<sign>[-/.])(?P<month>[0-9]{1,2})(?P=sign)(?P<day>[0-9]{1,2})" + CLOCK)
YEAR_LAST = re.compile(r"(?P<first>[0-9]{1,2})(?P<sign>[-/.])(?P<second>[0-9]{1,2})(?P=sign)(?P<year>[0-9]{4})" + CLOCK)
SHORT_YEAR = re.compile(r"[0-9]{1,2}([-/.])[0-9]{1,2}\1[0-9]{2}(?:[ T].*)?")
MONTH = r"(?P<word>[A-Za-z]{3,9})\.?"
NAMED = tuple(
    re.compile(pattern + CLOCK)
    for pattern in (
        r"(?:[A-Za-z]{3,9},? )?(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?[- ]" + MONTH + r",?[- ](?P<year>[0-9]{4})",
        r"(?:[A-Za-z]{3,9},? )?" + MONTH + r"[- ](?P<day>[0-9]{1,2})(?:st|nd|rd|th)?,?[- ](?P<year>[0-9]{4})",
        r"(?P<year>[0-9]{4})[- ]" + MONTH + r"[- ](?P<day>[0-9]{1,2})",
    )
)
CLOCK_ALONE = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]+)?)?(?: ?([AaPp])\.?[Mm]\.?)?")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
FULL = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
        "november", "december")  # fmt: skip
AMBIGUOUS = "dates whose day and month cannot be told apart: write them as 2021-04-03 to have them read as dates"
SHORT = "dates with a year of two digits: write them as 2021-04-03 to have them read as dates"
MIXED_ZONES = "times some of which name a zone: write all of them with it, or none"


def read_dates(cells: Sequence[str]) -> tuple[list[datetime] | None, str]:
    """The moment of every cell, zones turned into UTC, and a remark; None where they are no dates.

    Cells are stripped and present.  A clock without a day is a moment of 1970-01-01.
    """
    if not cells or not any(sign in cells[0] for sign in "-/.: "):
        return None, ""
    first = cells[0]
    try:
        if YEAR_FIRST.fullmatch(first):
            return _moments(cells, _year_first)
        if YEAR_LAST.fullmatch(first):
            return _numbered(cells)
        if CLOCK_ALONE.fullmatch(first):
            return [_clock_alone(cell) for cell in cells], "times of day, on 1970-01-01"
        if any(pattern.fullmatch(first) for pattern in NAMED):
            return _moments(cells, _named)
        if SHORT_YEAR.fullmatch(first) and all(SHORT_YEAR.fullmatch(cell) for cell in cells):
            return None, SHORT
    except ValueError:
        pass
    return None, ""


def _moments(cells: Sequence[str], read: Reader) -> tuple[list[datetime] | None, str]:
    moments = [read(cell) for cell in cells]
    zoned = sum(moment.tzinfo is not None for moment in moments)
    if zoned not in (0, len(moments)):
        return None, MIXED_ZONES
    if zoned:
        return [moment.astimezone(UTC).replace(tzinfo=None) for moment in moments], "turned into UTC"
    return moments, ""


def _numbered(cells: Sequence[str]) -> tuple[list[datetime] | None, str]:
    """Day, month and year as numbers: which is first is told by a part above 12, or by points between."""
    matches = [YEAR_LAST.fullmatch(cell) for cell in cells]
    if not all(matches):
        raise ValueError
    pairs = [(int(match["first"]), int(match["second"])) for match in matches if match]
    day_first, month_first = any(a > 12 for a, _ in pairs), any(b > 12 for _, b in pairs)
    points = matches[0] is not None and matches[0]["sign"] == "."
    if day_first and month_first:
        raise ValueError
    if not day_first and not month_first and not points:
        return None, AMBIGUOUS
    order = (3, 1) if month_first else (1, 3)

    def read(cell: str) -> datetime:
        match = YEAR_LAST.fullmatch(cell)
        if match is None:
            raise ValueError
        day, month = (int(match[part]) for part in order)
        return _with_clock(match, int(match["year"]), month, day)

    moments, remark = _moments(cells, read)
    said = "dates with the month first" if month_first else "dates with the day first"
    return moments, remark or said


def _year_first(cell: str) -> datetime:
    match = YEAR_FIRST.fullmatch(cell)
    if match is None:
        raise ValueError
    return _with_clock(match, int(match["year"]), int(match["month"]), int(match["day"]))


def _named(cell: str) -> datetime:
    for pattern in NAMED:
        match = pattern.fullmatch(cell)
        if match:
            return _with_clock(match, int(match["year"]), _month(match["word"]), int(match["day"]))
    raise ValueError


def _month(word: str) -> int:
    word = word.lower()
    if word in FULL:
        return FULL.index(word) + 1
    return MONTHS.index("sep" if word == "sept" else word) + 1


def _with_clock(match: re.Match[str], year: int, month: int, day: int) -> datetime:
    if match["time"] is None:
        return datetime(year, month, day)
    clock = _clock_alone(match["time"])
    moment = clock.replace(year=year, month=month, day=day)
    zone = match["zone"]
    if zone is None:
        return moment
    return moment.replace(tzinfo=_zone(zone))


@lru_cache
def _zone(text: str):  # type: ignore[no-untyped-def]
    if text in ("Z", "UTC", "GMT"):
        return UTC
    return datetime.strptime(text.replace(":", "").ljust(5, "0"), "%z").tzinfo


def _clock_alone(cell: str) -> datetime:
    match = CLOCK_ALONE.fullmatch(cell)
    if match is None:
        raise ValueError
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if match[5]:
        if not 1 <= hour <= 12:
            raise ValueError
        hour = hour % 12 + (12 if match[5] in "Pp" else 0)
    parts = round(float(match[4]) * 1e6) if match[4] else 0
    return datetime(1970, 1, 1, hour, minute, second, min(parts, 999_999))
