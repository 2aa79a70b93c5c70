"""The door: energised in a pulse or held, never otherwise, and never longer than asked."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gatevault.core.door import TABLE, Door, DoorEvent, DoorState

PULSE_MS = 3_000


class DoorMachine(RuleBasedStateMachine):
    """A door beside a model of two facts: is it held, and until when does a pulse last."""

    def __init__(self) -> None:
        super().__init__()
        self.door = Door(PULSE_MS)
        self.now = 1_000
        self.held = False
        self.until: int | None = None

    @rule(ms=st.integers(0, 2 * PULSE_MS))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule()
    def grant(self) -> None:
        assert self.door.handle(DoorEvent.GRANT, self.now)
        if not self.held:
            self.until = self.now + PULSE_MS

    @rule()
    def unlock(self) -> None:
        assert self.door.handle(DoorEvent.UNLOCK, self.now)
        self.held, self.until = True, None

    @rule(event=st.sampled_from([DoorEvent.LOCK, DoorEvent.STOP]))
    def end(self, event: DoorEvent) -> None:
        assert not self.door.handle(event, self.now)
        assert self.door.state is DoorState.LOCKED
        self.held, self.until = False, None

    @precondition(lambda self: not self.held)
    @rule()
    def timer_fires(self) -> None:
        """Early, in time or late: it ends a pulse that is over and changes nothing else."""
        if self.until is not None and self.now >= self.until:
            self.until = None
        assert self.door.handle(DoorEvent.EXPIRE, self.now) is (self.until is not None)

    @precondition(lambda self: self.until is not None)
    @rule()
    def the_pulse_ends_at_its_time(self) -> None:
        assert self.until is not None
        self.now = max(self.now, self.until)
        assert not self.door.handle(DoorEvent.EXPIRE, self.now)
        self.until = None

    @precondition(lambda self: self.held)
    @rule()
    def a_timer_has_no_business_when_held(self) -> None:
        with pytest.raises(ValueError, match="held"):
            self.door.handle(DoorEvent.EXPIRE, self.now)

    @invariant()
    def energised_only_in_a_pulse_or_held(self) -> None:
        assert self.door.energised is (self.held or self.until is not None)
        assert self.door.energised is (self.door.state in (DoorState.PULSE, DoorState.HELD))
        assert self.door.until == self.until

    @invariant()
    def a_pulse_is_never_longer_than_asked(self) -> None:
        if self.door.state is DoorState.PULSE:
            assert self.door.until is not None
            assert self.door.until <= self.now + PULSE_MS


DoorMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestDoor = DoorMachine.TestCase


def in_state(state: DoorState) -> Door:
    door = Door(PULSE_MS)
    if state is DoorState.PULSE:
        door.handle(DoorEvent.GRANT, 0)
    elif state is DoorState.HELD:
        door.handle(DoorEvent.UNLOCK, 0)
    assert door.state is state
    return door


@pytest.mark.parametrize(("state", "event"), list(product(DoorState, DoorEvent)))
def test_the_table_and_nothing_else_is_obeyed(state: DoorState, event: DoorEvent) -> None:
    door = in_state(state)
    if (state, event) in TABLE:
        door.handle(event, PULSE_MS)
        assert door.state is TABLE[state, event]
    else:
        with pytest.raises(ValueError, match="has no"):
            door.handle(event, PULSE_MS)
        assert door.state is state


def test_only_one_transition_is_not_listed() -> None:
    assert set(product(DoorState, DoorEvent)) - set(TABLE) == {(DoorState.HELD, DoorEvent.EXPIRE)}


@pytest.mark.parametrize("state", DoorState)
def test_after_stop_it_is_released(state: DoorState) -> None:
    door = in_state(state)
    assert not door.handle(DoorEvent.STOP, 1)
    assert door.until is None


def test_a_second_grant_lengthens_the_pulse_and_the_first_timer_does_no_harm() -> None:
    door = in_state(DoorState.PULSE)
    door.handle(DoorEvent.GRANT, 2_000)
    assert door.handle(DoorEvent.EXPIRE, 3_000)
    assert door.handle(DoorEvent.EXPIRE, 4_999)
    assert not door.handle(DoorEvent.EXPIRE, 5_000)


@pytest.mark.parametrize("pulse", [0, -1])
def test_a_pulse_lasts_some_time(pulse: int) -> None:
    with pytest.raises(ValueError, match="milliseconds"):
        Door(pulse)
