"""Consents that run out, and clocks that are turned: the daemon's own flows, on a clock of the test's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gatevault.core import control
from gatevault.core.consent import Standing, stamp
from gatevault.core.entries import EntryType
from gatevault.core.errors import ConsentError
from gatevault.vault.audit import audit_ledger
from tests.bench import Bench, copied, eventually
from tests.service.inside import Inside, inside, now
from tests.service.peer import Peer, Script, shows
from tests.service.steps import with_one

Seeing = Callable[[Bench, Script], Peer]


@pytest.fixture(scope="module")
def enrolled(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A stopped state where One (card 11) is enrolled, and One's pseudonym."""
    root = copied(blank, tmp_path_factory.mktemp("enrolled") / "state")
    return root, with_one(root)


@pytest.fixture
def bench(enrolled: tuple[Path, str], tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(copied(enrolled[0], tmp_path / "state"))
    yield bench
    bench.close()


@pytest.fixture
def one(enrolled: tuple[Path, str]) -> str:
    return enrolled[1]


def test_a_consent_that_runs_out_closes_the_face_and_destroys_the_template(bench: Bench, one: str) -> None:
    async def work(rooms: Inside) -> None:
        assert rooms.faces.residents == [one]
        rooms.clock.wall = now() + timedelta(days=363)
        assert rooms.faces.standing(one) is Standing.LIVE
        assert await rooms.erasure.expire() == 0
        rooms.clock.wall = now() + timedelta(days=367)
        assert rooms.faces.standing(one) is Standing.EXPIRED
        with pytest.raises(ConsentError, match="expired"):
            rooms.faces.require_consent(one)
        assert await rooms.erasure.expire() == 1
        assert rooms.faces.residents == []
        assert not rooms.faces.has_template(one)
        assert await rooms.erasure.expire() == 0, "once"
        kinds = [(header.type, payload) for header, payload in rooms.stores.need_ledger().entries(0)]
        assert kinds[-1][0] is EntryType.PURGED and kinds[-1][1] and kinds[-1][1]["way"] == "expired"
        assert len(rooms.stores.need_registry().certificates(one)) == 1

    inside(bench, now(), work)
    assert bench.rows("vault.db", "SELECT count(*) FROM templates") == [(0,)]
    assert bench.todos() == 0


def test_turning_the_clock_back_revives_nothing(bench: Bench, one: str) -> None:
    """The ledger remembers a later time than the clock says: the consent stays as it was then."""

    async def later(rooms: Inside) -> None:
        await rooms.house.journal.enter(EntryType.STARTED, {})

    inside(bench, now() + timedelta(days=367), later)

    async def back(rooms: Inside) -> None:
        assert rooms.clock.now() > now() + timedelta(days=366)
        assert rooms.faces.standing(one) is Standing.EXPIRED
        assert rooms.faces.residents == []
        assert rooms.faces.suspended == {one}

    inside(bench, now(), back)


def test_a_real_daemon_whose_clock_is_behind_says_so_and_keeps_to_the_later_time(
    bench: Bench, one: str, seeing: Seeing
) -> None:
    async def later(rooms: Inside) -> None:
        await rooms.house.journal.enter(EntryType.STARTED, {})

    inside(bench, now() + timedelta(days=367), later)
    bench.start(vision=False)
    peer = seeing(bench, shows(1))
    status = bench.status()
    assert status["clock"]["state"] == "fault"
    assert "behind the ledger" in status["clock"]["reason"]
    walked = bench.walk_up()
    assert walked["decision"] == "deny"
    assert not peer.looks
    assert bench.standing(one) == "expired"
    eventually(lambda: bench.rows("vault.db", "SELECT count(*) FROM templates") == [(0,)])
    assert bench.tap("11")["relay"] is True
    assert bench.ask(control.LedgerVerify())["ok"] is True


def test_a_clock_that_was_wrong_at_the_first_boot_is_no_fault(bench: Bench) -> None:
    """A Pi without a clock starts in the past and jumps ahead when it is set: nothing runs backwards."""

    async def work(rooms: Inside) -> list[str]:
        await rooms.house.journal.enter(EntryType.STARTED, {})
        rooms.clock.wall = now() + timedelta(days=1)
        await rooms.house.journal.enter(EntryType.STOPPED, {})
        assert not audit_ledger(rooms.stores.need_ledger()).problems
        entries = rooms.stores.need_ledger().entries(0)
        steps = [payload for header, payload in entries if header.type is EntryType.CLOCK_STEPPED]
        assert [payload and 86_300 < payload["seconds"] < 86_500 for payload in steps] == [True], (
            "and it is entered"
        )
        return [str((payload or {})["time"]) for _, payload in entries]

    times = inside(bench, datetime(1970, 1, 1, tzinfo=UTC), work)
    assert times == sorted(times)
    assert times[-1] == stamp(now() + timedelta(days=1)) or times[-1] > times[-2]


def test_expiry_finds_everybody_and_only_them(bench: Bench, one: str, seeing: Seeing) -> None:
    bench.start(vision=False)
    seeing(bench, shows(2))
    two = bench.enrolled("Two", "22", None)
    assert bench.stop() == 0

    async def renewed(rooms: Inside) -> None:
        receipt = rooms.faces.require_consent(one)
        assert receipt.expires > stamp(now() + timedelta(days=364))
        rooms.clock.wall = now() + timedelta(days=367)
        person = rooms.stores.people[two]
        assert person.receipt is not None
        import msgspec

        longer = msgspec.structs.replace(person.receipt, expires=stamp(now() + timedelta(days=700)))
        rooms.stores.people[two] = type(person)(person.born, longer, person.subject_key)
        assert await rooms.erasure.expire() == 1
        assert rooms.faces.residents == [two]

    inside(bench, now(), renewed)
