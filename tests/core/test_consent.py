"""Receipts: what binds a template, and when a consent lives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.consent import (
    ConsentState,
    Event,
    NoticeRef,
    PurposeRef,
    Receipt,
    Standing,
    is_child,
    moment,
    months_later,
    stamp,
    standing,
)
from tests.core.samples import receipt

GIVEN = receipt()
NOTICES = frozenset({GIVEN.notice.sha256})
NOW = datetime(2026, 6, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def utc(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[misc,arg-type]


# --- what a template is bound to -----------------------------------------------------------------


def altered(value: Any) -> list[Any]:
    """Values of the same type, each in one place another."""
    match value:
        case None:
            return ["something"]
        case bool():
            return [not value]
        case str():
            return [value + "x", ""] if value else ["x"]
        case Event():
            return [Event("2026-03-01T07:30:01Z", value.state), Event(value.time, ConsentState.WITHDRAWN)]
        case msgspec.Struct():
            return [
                msgspec.structs.replace(value, **{name: other})
                for name in value.__struct_fields__
                for other in altered(getattr(value, name))
            ]
        case tuple():
            return [(*value, "x"), *([(other, *value[1:]) for other in altered(value[0])] if value else [])]
    raise AssertionError(f"a receipt has a new kind of value: {value!r}")


def receipts_that_differ() -> list[tuple[str, Receipt]]:
    found = []
    for name in Receipt.__struct_fields__:
        value = getattr(GIVEN, name)
        others = [(event,) for event in altered(value[0])] if name == "events" else altered(value)
        found += [(name, msgspec.structs.replace(GIVEN, **{name: other})) for other in others]
    return found


@pytest.mark.parametrize(("name", "other"), receipts_that_differ())
def test_the_binding_changes_with_every_field(name: str, other: Receipt) -> None:
    assert other.binding() != GIVEN.binding(), name


def test_no_two_of_these_receipts_bind_alike() -> None:
    bindings = [other.binding() for _, other in receipts_that_differ()]
    assert len(set(bindings)) == len(bindings)
    assert {name for name, _ in receipts_that_differ()} == set(Receipt.__struct_fields__)
    assert {len(binding) for binding in bindings} == {32}


@pytest.mark.parametrize("state", [ConsentState.WITHDRAWN, ConsentState.SUPERSEDED])
def test_the_binding_does_not_change_with_later_events(state: ConsentState) -> None:
    ended = GIVEN.ended(state, NOW)
    assert ended.events == (*GIVEN.events, Event("2026-06-01T00:00:00Z", state))
    assert ended.binding() == GIVEN.binding()
    assert ended.ended(state, NOW + SECOND).binding() == GIVEN.binding()
    assert GIVEN.events[-1].state is ConsentState.GIVEN, "the receipt itself is a value"


def test_a_receipt_comes_back_from_its_body_and_an_unknown_field_does_not() -> None:
    assert msgspec.convert(GIVEN.body(), Receipt) == GIVEN
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(GIVEN.body() | {"name": "Zhang Wei"}, Receipt)


def test_a_receipt_says_what_the_law_asks_it_to() -> None:
    body = GIVEN.body()
    assert list(body["purposes"]) == [msgspec.to_builtins(PurposeRef())]
    assert (body["alternative_offered"], body["risk_ack"], body["recipient_third_parties"]) == ("card", True, ())


# --- whether it lives ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "now", "notices", "born", "expected"),
    [
        (GIVEN, NOW, NOTICES, None, Standing.LIVE),
        (None, NOW, NOTICES, None, Standing.NONE),
        (receipt(state="withdrawn"), NOW, NOTICES, None, Standing.WITHDRAWN),
        (receipt(state="superseded"), NOW, NOTICES, None, Standing.WITHDRAWN),
        (GIVEN, utc(2027, 3, 1, 7, 29, 59), NOTICES, None, Standing.LIVE),
        (GIVEN, utc(2027, 3, 1, 7, 30, 0), NOTICES, None, Standing.EXPIRED),
        (GIVEN, utc(2126, 1, 1), NOTICES, None, Standing.EXPIRED),
        (GIVEN, NOW, frozenset({"cd" * 32}), None, Standing.NOTICE_CHANGED),
        (GIVEN, NOW, frozenset(), None, Standing.NOTICE_CHANGED),
        (GIVEN, NOW, NOTICES, "2012-05", Standing.LIVE),
        (GIVEN, NOW, NOTICES, "2012-06", Standing.CHILD),
        (None, NOW, NOTICES, "2020-01", Standing.NONE),
        # Of several faults the one that the person can least mend is told.
        (receipt(state="withdrawn"), utc(2027, 3, 1, 7, 30), frozenset(), "2020-01", Standing.CHILD),
        (receipt(state="withdrawn"), utc(2027, 3, 1, 7, 30), frozenset(), None, Standing.WITHDRAWN),
        (GIVEN, utc(2027, 3, 1, 7, 30), frozenset(), None, Standing.EXPIRED),
    ],
)
def test_the_standing_of_a_consent(
    of: Receipt | None, now: datetime, notices: frozenset[str], born: str | None, expected: Standing
) -> None:
    assert standing(of, now, notices, born) is expected


def test_a_consent_once_withdrawn_stays_so_at_every_time() -> None:
    withdrawn = receipt(state="withdrawn")
    for now in (utc(2000, 1, 1), utc(2026, 3, 1, 7, 30), NOW, utc(2126, 1, 1)):
        assert standing(withdrawn, now, NOTICES, None) is Standing.WITHDRAWN


@pytest.mark.parametrize(
    ("born", "fourteen"),
    [("2012-02", utc(2026, 3, 1)), ("2012-12", utc(2027, 1, 1)), ("2012-01", utc(2026, 2, 1))],
)
def test_the_month_of_birth_counts_whole(born: str, fourteen: datetime) -> None:
    assert is_child(born, fourteen - SECOND)
    assert not is_child(born, fourteen)


def test_no_month_of_birth_is_an_adult_and_a_bad_one_is_an_error() -> None:
    assert not is_child(None, NOW)
    with pytest.raises(ValueError, match="is not like"):
        is_child("2012-13", NOW)


# --- time ----------------------------------------------------------------------------------------

MOMENTS = st.datetimes(utc(1970, 1, 1).replace(tzinfo=None), datetime(9000, 1, 1)).map(
    lambda when: when.replace(microsecond=0, tzinfo=UTC)
)


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_a_stamp_comes_back_as_the_same_moment(when: datetime, offset: int) -> None:
    elsewhere = when.astimezone(timezone(timedelta(minutes=offset))) if when.year > 1970 else when
    assert moment(stamp(elsewhere)) == when
    assert stamp(when).endswith("Z")
    assert len(stamp(when)) == len("2026-03-01T07:30:00Z")


@given(MOMENTS, MOMENTS)
def test_stamps_order_as_their_moments_do(one: datetime, other: datetime) -> None:
    assert (stamp(one) < stamp(other)) is (one < other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-01",
        "2026-03-01T07:30:00",
        "2026-03-01T07:30:00+00:00",
        "2026-03-01T07:30:00.5Z",
        "2026-3-1T7:30:0Z",
        "2026-02-30T00:00:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T07:30:00Z\n",
        "2026-03-01t07:30:00z",
    ],
)
def test_another_form_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not like"):
        moment(text)


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        (utc(2026, 3, 1, 7, 30), 12, utc(2027, 3, 1, 7, 30)),
        (utc(2026, 1, 31), 1, utc(2026, 2, 28)),
        (utc(2028, 1, 31), 1, utc(2028, 2, 29)),
        (utc(2028, 2, 29), 12, utc(2029, 2, 28)),
        (utc(2024, 2, 29, 23, 59, 59), 48, utc(2028, 2, 29, 23, 59, 59)),
        (utc(2026, 12, 31), 1, utc(2027, 1, 31)),
        (utc(2026, 12, 31), 2, utc(2027, 2, 28)),
        (utc(2026, 11, 30), 1, utc(2026, 12, 30)),
        (utc(2026, 3, 31), 0, utc(2026, 3, 31)),
    ],
)
def test_months_later_on_the_calendar(start: datetime, months: int, end: datetime) -> None:
    assert months_later(start, months) == end


@given(MOMENTS, st.integers(0, 240))
def test_months_later_is_that_many_months_and_never_a_later_day(when: datetime, months: int) -> None:
    end = months_later(when, months)
    assert (end.year * 12 + end.month) - (when.year * 12 + when.month) == months
    assert end.timetz() == when.timetz()
    assert end.day == when.day or (end.day < when.day and (end + timedelta(days=1)).day == 1)


def test_a_notice_reference_is_of_one_text() -> None:
    assert NoticeRef("1", "ab" * 32, "zh") != NoticeRef("1", "ab" * 32, "en")
