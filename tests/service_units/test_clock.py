"""Time as the daemon may believe it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.consent import Standing, standing
from gatevault.core.schedule import DAY_MINUTES
from gatevault.service import clock
from gatevault.service.clock import TrustedClock, monotonic_ms
from tests.core.samples import receipt

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class FakeWall(datetime):
    """A wall clock that somebody may turn."""

    shows = NOON

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return cls.shows.astimezone(tz)


@pytest.fixture(autouse=True)
def wall(monkeypatch: pytest.MonkeyPatch) -> type[FakeWall]:
    monkeypatch.setattr(clock, "datetime", FakeWall)
    FakeWall.shows = NOON
    return FakeWall


@given(st.lists(st.integers(-(10**8), 10**8), min_size=1, max_size=20), st.none() | st.integers(-(10**8), 10**8))
def test_it_never_runs_back_however_the_wall_clock_is_turned(turns: list[int], ledger: int | None) -> None:
    latest = None if ledger is None else NOON + timedelta(seconds=ledger)
    trusted, before = TrustedClock(latest), latest
    for seconds in turns:
        FakeWall.shows = NOON + timedelta(seconds=seconds, milliseconds=900)
        now = trusted.now()
        assert now.microsecond == 0
        assert before is None or now >= before
        assert now >= FakeWall.shows.replace(microsecond=0)
        assert now == before or now == FakeWall.shows.replace(microsecond=0)
        before = now


def test_it_begins_no_earlier_than_the_ledger_ends(wall: type[FakeWall]) -> None:
    later = NOON + timedelta(days=30)
    trusted = TrustedClock(later)
    assert trusted.now() == later
    assert trusted.behind() == timedelta(days=30)
    wall.shows = later + timedelta(hours=1)
    assert trusted.now() == wall.shows
    assert trusted.behind() == timedelta(0)


def test_turning_it_back_revives_no_consent(wall: type[FakeWall]) -> None:
    given_ = receipt()
    trusted = TrustedClock(None)
    notices = frozenset({given_.notice.sha256})
    assert standing(given_, trusted.now(), notices, None) is Standing.LIVE
    wall.shows = datetime(2027, 3, 2, tzinfo=UTC)
    assert standing(given_, trusted.now(), notices, None) is Standing.EXPIRED
    wall.shows = NOON
    assert standing(given_, trusted.now(), notices, None) is Standing.EXPIRED


def test_an_entrys_moment_has_this_boot_the_day_and_time_that_only_grows() -> None:
    trusted = TrustedClock(None)
    one, other = trusted.moment(), trusted.moment()
    assert one.day == "2026-03-01"
    assert one.boot == other.boot == TrustedClock(None).moment().boot
    assert len(one.boot) == 32
    assert 0 < one.mono_ms <= other.mono_ms <= monotonic_ms()


def test_what_an_admin_told_runs_on_until_the_systems_clock_is_later(wall: type[FakeWall]) -> None:
    later = NOON + timedelta(days=30)
    trusted = TrustedClock(later)
    assert trusted.lost and not trusted.told
    trusted.tell(later + timedelta(hours=1))
    assert not trusted.lost and trusted.told
    assert trusted.now() >= later + timedelta(hours=1)
    trusted.untell()
    assert trusted.lost
    wall.shows = later + timedelta(days=1)
    assert not trusted.lost and not trusted.told


def test_setting_the_systems_clock_is_tried_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[float] = []
    monkeypatch.setattr(clock.time, "clock_settime", lambda _, seconds: set_to.append(seconds))
    assert clock.set_system_clock(NOON)
    assert set_to == [NOON.timestamp()]

    def forbidden(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(clock.time, "clock_settime", forbidden)
    assert not clock.set_system_clock(NOON)


@pytest.mark.parametrize(
    ("zone", "when", "expected"),
    [
        ("UTC", NOON, (6, 720)),
        ("Asia/Shanghai", NOON, (6, 20 * 60)),
        ("Asia/Shanghai", NOON + timedelta(hours=4), (0, 0)),
        ("America/New_York", NOON - timedelta(hours=8), (5, 23 * 60)),
        ("Asia/Kolkata", NOON, (6, 17 * 60 + 30)),
    ],
)
def test_schedules_go_by_local_time(
    zone: str,
    when: datetime,
    expected: tuple[int, int],
    wall: type[FakeWall],
    monkeypatch: pytest.MonkeyPatch,
    local_zone: None,
) -> None:
    monkeypatch.setenv("TZ", zone)
    clock.time.tzset()
    wall.shows = when
    assert TrustedClock(None).local_minute() == expected
    assert 0 <= expected[1] < DAY_MINUTES


@pytest.fixture
def local_zone(monkeypatch: pytest.MonkeyPatch) -> object:
    """The zone of the process, put back afterwards."""
    yield
    monkeypatch.undo()
    clock.time.tzset()
