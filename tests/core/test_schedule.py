"""Hours of entry, against a reference that walks the week minute by minute."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatevault.core.schedule import DAY_MINUTES, DAYS, Schedule, parse

WEEK = 7 * DAY_MINUTES
Window = tuple[int, int, int, int]
"""First and last weekday, first minute, minute after the last (up to 1440)."""

windows: st.SearchStrategy[Window] = st.tuples(
    st.integers(0, 6), st.integers(0, 6), st.integers(0, DAY_MINUTES - 1), st.integers(0, DAY_MINUTES)
).filter(lambda w: w[2] != w[3])


def written(window: Window) -> str:
    first, last, start, end = window
    days = DAYS[first] if first == last else f"{DAYS[first]}-{DAYS[last]}"
    return f"{days} {start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"


def walked(window: Window) -> set[int]:
    """The open minutes of the week, found by walking."""
    first, last, start, end = window
    found: set[int] = set()
    day = first
    while True:
        clock, week = start, day * DAY_MINUTES + start
        while True:
            found.add(week % WEEK)
            clock, week = clock + 1, week + 1
            if clock == end or (clock == DAY_MINUTES and end == 0):
                break
            if clock == DAY_MINUTES:
                clock = 0
        if day == last:
            return found
        day = (day + 1) % 7


def open_minutes(schedule: Schedule) -> set[int]:
    return {m for m in range(WEEK) if schedule.open_at(m // DAY_MINUTES, m % DAY_MINUTES)}


@settings(max_examples=60)
@given(st.lists(windows, max_size=3))
def test_it_opens_exactly_when_a_walk_through_the_week_does(chosen: list[Window]) -> None:
    expected: set[int] = set().union(*map(walked, chosen))
    assert open_minutes(parse(map(written, chosen))) == expected


@pytest.mark.parametrize(
    ("window", "opens", "stays_shut"),
    [
        ("Mon-Fri 07:00-22:00", [(0, 420), (4, 1319)], [(0, 419), (0, 1320), (5, 420)]),
        ("Sat 22:00-02:00", [(5, 1320), (5, 1439), (6, 0), (6, 119)], [(5, 1319), (6, 120), (5, 0)]),
        ("Sun 23:00-01:00", [(6, 1380), (6, 1439), (0, 0), (0, 59)], [(0, 60), (6, 59)]),
        ("Sat-Mon 08:00-09:00", [(5, 480), (6, 480), (0, 480)], [(1, 480), (4, 480)]),
        ("Fri 18:00-24:00", [(4, 1439)], [(5, 0)]),
        ("Fri 18:00-00:00", [(4, 1439)], [(5, 0)]),
        ("Mon-Sun 00:00-24:00", [(d, m) for d in range(7) for m in (0, 719, 1439)], []),
        ("  Tue 08:00-08:01 ", [(1, 480)], [(1, 481)]),
    ],
)
def test_windows_people_write(window: str, opens: list[tuple[int, int]], stays_shut: list[tuple[int, int]]) -> None:
    hours = parse([window])
    assert all(hours.open_at(*when) for when in opens)
    assert not any(hours.open_at(*when) for when in stays_shut)


def test_no_window_is_never_open() -> None:
    assert open_minutes(parse([])) == set()


@pytest.mark.parametrize(
    ("window", "fault"),
    [
        ("", "is not like"),
        ("Mon", "is not like"),
        ("mon 07:00-08:00", "is not like"),
        ("Mon-Fri 7:00-22:00", "is not like"),
        ("Mon,Tue 07:00-08:00", "is not like"),
        ("Mon 07:00-08:00 Tue 07:00-08:00", "is not like"),
        ("Mon ٠٧:00-٠٨:00", "is not like"),
        ("Mon 24:00-25:00", "no clock shows"),
        ("Mon 07:60-08:00", "no clock shows"),
        ("Mon 07:00-08:99", "no clock shows"),
        ("Mon 07:00-24:01", "no clock shows"),
        ("Mon 07:00-07:00", "is empty"),
    ],
)
def test_a_bad_window_is_named_with_its_fault(window: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as caught:
        parse(["Mon-Fri 07:00-22:00", window])
    assert repr(window) in str(caught.value)


@pytest.mark.parametrize("when", [(-1, 0), (7, 0), (0, -1), (0, 1440)])
def test_a_moment_of_no_week_is_refused(when: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="moment"):
        parse(["Mon-Sun 00:00-24:00"]).open_at(*when)


@given(st.text(max_size=30))
def test_any_text_is_a_window_or_a_value_error(text: str) -> None:
    try:
        parse([text])
    except ValueError as error:
        assert repr(text) in str(error)
