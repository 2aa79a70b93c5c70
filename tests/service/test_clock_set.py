"""A power cut and no battery: the clock is behind the ledger. Faces off, cards on, until it is set."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gatevault.core import control
from gatevault.core.consent import stamp
from gatevault.core.errors import ConflictError, StoreFullError, UsageError
from gatevault.core.schedule import DAYS
from gatevault.service.journal import Journal
from gatevault.service.timekeeper import set_clock
from tests.bench import QUICK, Bench, configure, copied, eventually
from tests.service.inside import Inside, inside, now
from tests.service.peer import Peer, Script, shows
from tests.service.steps import with_one

Seeing = Callable[[Bench, Script], Peer]

WALL = """
from datetime import UTC, datetime, timedelta
from pathlib import Path
from gatevault.service.clock import TrustedClock
TrustedClock._system = lambda self: datetime.now(UTC) + timedelta(seconds=float(Path({file!r}).read_text()))
"""
"""Python runs a `sitecustomize` at its start: the real daemon, on a system clock that the test turns."""


class Wall:
    """The system's clock as the daemon under test reads it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._file = folder / "ahead"
        self.turn(timedelta(0))
        (folder / "sitecustomize.py").write_text(WALL.format(file=str(self._file)))
        self.environment = {"PYTHONPATH": str(folder)}

    def turn(self, ahead: timedelta) -> None:
        """So far ahead of this machine's."""
        new = self._file.with_suffix(".new")
        new.write_text(str(ahead.total_seconds()))
        new.replace(self._file)


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
def wall(tmp_path: Path) -> Wall:
    return Wall(tmp_path / "wall")


def faces_off_and_cards_on(bench: Bench, peer: Peer) -> None:
    walked = bench.walk_up()
    assert (walked["decision"], walked["reason"], walked["relay"]) == ("deny", "clock", False)
    assert not peer.looks, "the camera stays shut"
    assert bench.tap("11")["relay"] is True
    assert bench.status()["clock"]["state"] == "fault"
    assert bench.status()["health"] == "degraded"


def faces_on(bench: Bench) -> None:
    assert bench.status()["clock"]["state"] == "ok"
    walked = bench.walk_up()
    assert (walked["decision"], walked["reason"]) == ("grant", "matched"), walked


def test_after_a_power_cut_a_time_source_ends_it_without_a_restart(
    bench: Bench, wall: Wall, seeing: Seeing
) -> None:
    wall.turn(timedelta(days=-90))
    bench.start(vision=False, **wall.environment)
    faces_off_and_cards_on(bench, seeing(bench, shows(1)))
    wall.turn(timedelta(0))
    faces_on(bench)
    started = [entry["payload"] for entry in bench.entries() if entry["type"] == "started"]
    assert started[-1]["faults"] == ["clock"], "and it is on record"
    assert bench.ask(control.LedgerVerify())["ok"] is True


def test_after_a_power_cut_an_admin_ends_it_without_a_restart(bench: Bench, wall: Wall, seeing: Seeing) -> None:
    wall.turn(timedelta(days=-90))
    bench.start(vision=False, **wall.environment)
    faces_off_and_cards_on(bench, seeing(bench, shows(1)))
    wanted = now() + timedelta(hours=1)
    before = datetime.now(UTC)
    told = bench.json("clock", "set", wanted.isoformat())
    assert told["to"] == stamp(wanted) and told["from"] < stamp(now() - timedelta(days=89))
    assert abs(told["behind_s"] - 90 * 86_400) < 600
    assert "bench" in told["system_clock"]
    assert datetime.now(UTC) - before < timedelta(minutes=30), "this machine's clock is left alone"
    faces_on(bench)
    shown = bench.json("clock", "show")
    assert shown["source"] == "admin" and shown["time"] >= stamp(wanted)
    entries = [entry for entry in bench.entries() if entry["type"] == "clock-set"]
    assert [entry["payload"]["to"] for entry in entries] == [stamp(wanted)]
    assert (entries[0]["payload"]["uid"], entries[0]["payload"]["by"]) == (os.getuid(), "admin")
    assert bench.ask(control.LedgerVerify())["ok"] is True
    wall.turn(timedelta(days=1))
    assert bench.json("clock", "show")["source"] == "system", "a later clock of the system's takes over"


def test_what_was_told_is_forgotten_at_a_restart_and_faces_are_off_again(
    bench: Bench, wall: Wall, seeing: Seeing
) -> None:
    wall.turn(timedelta(days=-90))
    bench.start(vision=False, **wall.environment)
    seeing(bench, shows(1))
    bench.ask(control.ClockSet(stamp(now() + timedelta(minutes=5))))
    faces_on(bench)
    assert bench.stop() == 0
    bench.start(vision=False, **wall.environment)
    faces_off_and_cards_on(bench, seeing(bench, shows(1)))


def test_a_clock_that_is_turned_back_while_the_gate_runs_is_entered(
    bench: Bench, wall: Wall, seeing: Seeing
) -> None:
    bench.start(vision=False, **wall.environment)
    peer = seeing(bench, shows(1))
    faces_on(bench)
    peer.looks.clear()
    wall.turn(timedelta(seconds=-100))
    assert bench.status()["clock"]["state"] == "ok", "a time server's correction"
    wall.turn(timedelta(hours=-1))
    faces_off_and_cards_on(bench, peer)
    eventually(lambda: any((entry["payload"] or {}).get("part") == "clock" for entry in bench.entries()))


def test_no_earlier_time_and_no_far_one_by_mistake(bench: Bench, wall: Wall, seeing: Seeing) -> None:
    wall.turn(timedelta(days=-90))
    bench.start(vision=False, **wall.environment)
    peer = seeing(bench, shows(1))
    assert isinstance(bench.refused(control.ClockSet(stamp(now() - timedelta(days=1)))), ConflictError)
    far = now() + timedelta(days=300)
    assert isinstance(bench.refused(control.ClockSet(stamp(far))), UsageError)
    assert bench.refused(control.ClockSet("2026-02-30T00:00:00Z")).exit_status == 2
    for wrong in ("yesterday", "9999-12-31T23:59:59-12:00"):
        ended = bench.cli("clock", "set", wrong, "--json")
        assert (ended.returncode, json.loads(ended.stdout)["error"]) == (2, "usage"), wrong
    faces_off_and_cards_on(bench, peer)
    assert bench.count("clock-set") == 0
    bench.ask(control.ClockSet(stamp(far), far=True))
    faces_on(bench)


def test_a_card_opens_outside_its_hours_while_the_hour_is_unknown(bench: Bench, wall: Wall, seeing: Seeing) -> None:
    """Hours of entry that are over at every minute of today: a card is refused while the time is known."""
    far_day = DAYS[(datetime.now().astimezone().weekday() + 3) % 7]
    configure(bench.root, f'{QUICK}\n[schedule]\nhours = ["{far_day} 03:00-03:01"]\n')
    bench.start(vision=False, **wall.environment)
    assert bench.tap("11")["reason"] == "schedule"
    wall.turn(timedelta(days=-1))
    assert bench.tap("11")["relay"] is True
    wall.turn(timedelta(0))
    assert bench.tap("11")["reason"] == "schedule"


def test_a_time_that_is_told_revives_no_consent(bench: Bench, enrolled: tuple[Path, str]) -> None:
    """R7: what had ended by the ledger's time stays ended, whatever an admin tells, and however often."""
    one = enrolled[1]

    async def work(rooms: Inside) -> None:
        journal = rooms.house.journal
        rooms.clock.wall = now() + timedelta(days=367)
        assert await rooms.erasure.expire() == 1
        rooms.clock.wall = now() - timedelta(days=900)
        assert rooms.clock.lost
        for earlier in (timedelta(0), timedelta(days=366)):
            with pytest.raises(ConflictError):
                await set_clock(rooms.clock, journal, stamp(now() + earlier), True, 0)
            assert rooms.clock.lost and not rooms.clock.told
        await set_clock(rooms.clock, journal, stamp(now() + timedelta(days=368)), True, 0)
        assert not rooms.clock.lost and rooms.clock.told
        assert not rooms.faces.has_template(one) and rooms.faces.residents == []

    inside(bench, now(), work)


def test_a_time_that_cannot_be_entered_is_not_believed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object, **__: object) -> None:
        raise StoreFullError("full")

    async def work(rooms: Inside) -> None:
        rooms.clock.wall = now() - timedelta(days=90)
        monkeypatch.setattr(Journal, "enter", full)
        with pytest.raises(StoreFullError):
            await set_clock(rooms.clock, rooms.house.journal, stamp(now() + timedelta(minutes=1)), False, 0)
        assert rooms.clock.lost

    inside(bench, now(), work)
