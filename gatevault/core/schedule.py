"""Hours of entry: `Mon-Fri 07:00-22:00`, local time, several windows, over midnight if need be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY_MINUTES: Final = 24 * 60

_WINDOW: Final = re.compile(
    rf"({'|'.join(DAYS)})(?:-({'|'.join(DAYS)}))? ([0-9]{{2}}):([0-9]{{2}})-([0-9]{{2}}):([0-9]{{2}})",
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Open minutes of a week as half-open (start, end) pairs, minute 0 being Monday 00:00."""

    spans: tuple[tuple[int, int], ...]

    def open_at(self, weekday: int, minute: int) -> bool:
        """Whether entry is allowed on `weekday` (0 Monday to 6 Sunday), `minute` of that day (0 to 1439)."""
        if not (0 <= weekday < 7 and 0 <= minute < DAY_MINUTES):
            raise ValueError("a moment is a weekday 0 to 6 and a minute 0 to 1439")
        now = weekday * DAY_MINUTES + minute
        return any(start <= now < end for start, end in self.spans)


def parse(windows: Iterable[str]) -> Schedule:
    """Read windows such as `Mon-Fri 07:00-22:00`, `Sat 22:00-02:00`; ValueError names a bad one."""
    spans: list[tuple[int, int]] = []
    for window in windows:
        spans += _spans(window)
    return Schedule(tuple(spans))


def _spans(window: str) -> list[tuple[int, int]]:
    found = _WINDOW.fullmatch(window.strip())
    if found is None:
        raise ValueError(f"{window!r} is not like 'Mon-Fri 07:00-22:00'")
    first, last, *clock = found.groups()
    start, end = (int(h) * 60 + int(m) for h, m in (clock[:2], clock[2:]))
    if not (start < DAY_MINUTES and end <= DAY_MINUTES and int(clock[1]) < 60 and int(clock[3]) < 60):
        raise ValueError(f"{window!r} has a time that no clock shows")
    if start == end:
        raise ValueError(f"{window!r} is empty: write 00:00-24:00 for a whole day")
    begin = DAYS.index(first)
    count = (DAYS.index(last or first) - begin) % 7 + 1
    spans: list[tuple[int, int]] = []
    for day in ((begin + i) % 7 for i in range(count)):
        spans += _day_spans(day * DAY_MINUTES, start, end)
    return spans


def _day_spans(base: int, start: int, end: int) -> list[tuple[int, int]]:
    if start < end:
        return [(base + start, base + end)]
    after = (base + DAY_MINUTES) % (7 * DAY_MINUTES)
    night = [(after, after + end)] if end else []
    return [(base + start, base + DAY_MINUTES), *night]
