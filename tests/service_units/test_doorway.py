"""The doorway on a real event loop, with a relay that remembers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from gatevault.core.door import DoorState
from gatevault.core.errors import DeviceError
from gatevault.service import doorway
from gatevault.service.doorway import SLACK_MS, Doorway
from tests.service_units.fakes import FakeRelay

PULSE_MS = 60
LONG_MS = 30_000


async def until(holds: Callable[[], object]) -> None:
    """Wait, long enough for a loaded machine, until something holds."""
    async with asyncio.timeout(10.0):
        while not holds():
            await asyncio.sleep(0.005)


async def no_timer_comes(relay: FakeRelay) -> None:
    """Twice a pulse goes by and the relay hears nothing."""
    heard = len(relay.history)
    await asyncio.sleep(2 * PULSE_MS / 1000)
    assert len(relay.history) == heard


@pytest.fixture
def relay() -> FakeRelay:
    return FakeRelay()


def test_a_grant_opens_for_one_pulse(relay: FakeRelay) -> None:
    async def story() -> None:
        doorway = Doorway(relay, PULSE_MS)
        assert doorway.state is DoorState.LOCKED
        assert relay.history == []
        assert doorway.grant()
        assert (doorway.state, relay.energised) == (DoorState.PULSE, True)
        await until(lambda: not relay.energised)
        assert doorway.state is DoorState.LOCKED
        await no_timer_comes(relay)

    asyncio.run(story())
    (_, limit, opened), (_, _, closed) = relay.history
    assert relay.calls == ["energise", "release"]
    assert limit == pytest.approx((PULSE_MS + SLACK_MS) / 1000), "the relay's own timer comes after ours"
    assert closed - opened >= PULSE_MS / 1000 - 0.001


def test_a_second_grant_lengthens_the_pulse(relay: FakeRelay) -> None:
    async def story() -> None:
        doorway = Doorway(relay, PULSE_MS)
        doorway.grant()
        time.sleep(PULSE_MS / 2000)
        assert doorway.grant()
        await until(lambda: not relay.energised)

    asyncio.run(story())
    assert relay.calls == ["energise", "energise", "release"]
    _, (_, limit, again), (_, _, closed) = relay.history
    assert limit == pytest.approx((PULSE_MS + SLACK_MS) / 1000)
    assert closed - again >= PULSE_MS / 1000 - 0.001


def test_an_admin_holds_and_locks(relay: FakeRelay) -> None:
    async def story() -> None:
        doorway = Doorway(relay, PULSE_MS)
        assert doorway.hold()
        assert doorway.state is DoorState.HELD
        await no_timer_comes(relay)
        assert doorway.grant(), "a card at a door held open is granted all the same"
        assert doorway.state is DoorState.HELD
        await no_timer_comes(relay)
        assert doorway.lock()
        assert (doorway.state, relay.energised) == (DoorState.LOCKED, False)

    asyncio.run(story())
    assert [(call, limit) for call, limit, _ in relay.history] == [
        ("energise", None),
        ("energise", None),
        ("release", None),
    ]


def test_holding_ends_the_pulses_timer(relay: FakeRelay) -> None:
    async def story() -> None:
        doorway = Doorway(relay, PULSE_MS)
        doorway.grant()
        doorway.hold()
        await no_timer_comes(relay)
        assert relay.energised

    asyncio.run(story())


@pytest.mark.parametrize("end", [Doorway.lock, Doorway.stop])
@pytest.mark.parametrize("begin", [Doorway.grant, Doorway.hold, None])
def test_it_is_released_whatever_was(
    relay: FakeRelay, begin: Callable[[Doorway], bool] | None, end: Callable[[Doorway], object]
) -> None:
    async def story() -> None:
        doorway = Doorway(relay, PULSE_MS)
        if begin is not None:
            begin(doorway)
        end(doorway)
        assert (doorway.state, relay.energised) == (DoorState.LOCKED, False)
        assert relay.calls[-1] == "release"
        await no_timer_comes(relay)

    asyncio.run(story())


def test_stop_needs_no_loop(relay: FakeRelay) -> None:
    Doorway(relay, PULSE_MS).stop()
    assert relay.calls == ["release"]


# --- a relay that breaks -------------------------------------------------------------------------


def test_a_relay_that_does_not_move_is_a_fault_and_no_grant(relay: FakeRelay) -> None:
    async def story() -> None:
        doorway = Doorway(relay, PULSE_MS)
        relay.broken = True
        assert not doorway.grant()
        assert isinstance(doorway.fault, DeviceError)
        await until(lambda: doorway.state is DoorState.LOCKED)
        assert relay.calls == ["energise", "release"], "the pulse ends all the same"
        relay.broken = False
        assert doorway.grant()
        assert doorway.fault is None
        assert relay.energised

    asyncio.run(story())


def test_a_relay_that_does_not_release_is_a_fault(relay: FakeRelay) -> None:
    async def story() -> None:
        doorway = Doorway(relay, PULSE_MS)
        doorway.grant()
        relay.broken = True
        await until(lambda: doorway.fault)
        assert doorway.state is DoorState.LOCKED
        relay.broken = False
        doorway.lock()
        assert doorway.fault is None
        assert not relay.energised

    asyncio.run(story())


@pytest.mark.parametrize("move", [Doorway.grant, Doorway.hold, Doorway.lock])
def test_every_move_tells_whether_the_relay_moved(relay: FakeRelay, move: Callable[[Doorway], bool]) -> None:
    async def story() -> None:
        doorway = Doorway(relay, LONG_MS)
        relay.broken = True
        assert not move(doorway)
        relay.broken = False
        assert move(doorway)
        doorway.stop()

    asyncio.run(story())


def test_another_error_than_the_devices_is_not_hidden_and_the_pulse_still_ends(relay: FakeRelay) -> None:
    def defect(_: float | None) -> None:
        raise ZeroDivisionError

    async def story() -> None:
        doorway = Doorway(relay, PULSE_MS)
        relay.energise = defect  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError):
            doorway.grant()
        await until(lambda: "release" in relay.calls)
        assert doorway.state is DoorState.LOCKED

    asyncio.run(story())


def test_a_loop_that_hung_releases_as_soon_as_it_runs(relay: FakeRelay) -> None:
    async def story() -> None:
        doorway = Doorway(relay, PULSE_MS)
        doorway.grant()
        time.sleep(3 * PULSE_MS / 1000)
        await until(lambda: not relay.energised)
        assert doorway.state is DoorState.LOCKED

    asyncio.run(story())


def test_a_release_that_failed_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "RETRY_S", 0.01)

    async def story() -> None:
        relay = FakeRelay()
        door = Doorway(relay, 60_000)
        door.hold()
        relay.broken = True
        door.lock()
        assert relay.energised
        assert door.fault is not None
        relay.broken = False
        await until(lambda: not relay.energised)
        assert door.fault is None
        assert door.state is DoorState.LOCKED

    asyncio.run(story())
