"""Lights and buzzer: what the person at the gate sees and hears.

Every message differs in rhythm and not only in colour, so that it can be told apart without seeing
red from green, and by ear where a buzzer is fitted:

    granted       green for 2 s               one short beep
    refused       red, three blinks           one long beep
    consent done  green, five quick blinks    two short beeps
    withdrawn     red and green together, 2x  three short beeps
    turn          the arrow of that side      one short beep: left; two: right
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gpiozero import DigitalOutputDevice, Factory

from gatevault.core.board import Board, Output
from gatevault.core.errors import DeviceError
from gatevault.core.liveness import Lamp, Side
from gatevault.devices.pins import pin_faults


@dataclass(frozen=True, slots=True)
class Blink:
    """`times` times on for `on_s` seconds and off for `off_s` seconds."""

    on_s: float
    off_s: float
    times: int


GRANTED: Final = {"granted_led": Blink(2.0, 0.0, 1), "buzzer": Blink(0.15, 0.0, 1)}
REFUSED: Final = {"refused_led": Blink(0.3, 0.2, 3), "buzzer": Blink(0.7, 0.0, 1)}
CONSENT_DONE: Final = {"granted_led": Blink(0.12, 0.12, 5), "buzzer": Blink(0.08, 0.12, 2)}
WITHDRAWN: Final = {
    "granted_led": Blink(0.5, 0.3, 2),
    "refused_led": Blink(0.5, 0.3, 2),
    "buzzer": Blink(0.08, 0.12, 3),
}

TURN: Final = {side: {"buzzer": Blink(0.08, 0.12, times)} for side, times in ((Side.LEFT, 1), (Side.RIGHT, 2))}

STEADY: Final = (
    "privacy_led",
    "fault_led",
    "lamp",
    "infrared_lamp",
    "turn_left_led",
    "turn_right_led",
    "approach_light",
)
BLINKING: Final = ("granted_led", "refused_led", "buzzer")


class Indicator:
    """The lights and the buzzer of a board; a part that is not fitted is silently absent.

    Methods return at once (patterns run in gpiozero's threads) and raise DeviceError alone. A new
    message ends the one that is showing. Call it from one thread.
    """

    def __init__(self, board: Board, factory: Factory) -> None:
        self._parts: dict[str, DigitalOutputDevice] = {}
        try:
            for role in (*STEADY, *BLINKING):
                part: Output | None = getattr(board, role)
                if part is not None:
                    with pin_faults(role):
                        self._parts[role] = DigitalOutputDevice(
                            part.pin, active_high=part.active_high, initial_value=False, pin_factory=factory
                        )
        except BaseException:
            self.close()
            raise

    def privacy(self, on: bool) -> None:
        """Light the privacy LED exactly while the camera is open."""
        self._steady("privacy_led", on)

    def fault(self, on: bool) -> None:
        """Light the fault LED while something needs a person."""
        self._steady("fault_led", on)

    def approach(self, on: bool) -> None:
        """Light the way to reader and button while somebody moves before the gate."""
        self._steady("approach_light", on)

    def lamp(self, lamp: Lamp, on: bool) -> None:
        """Drive a lamp that flickers during a look."""
        self._steady("lamp" if lamp is Lamp.LED else "infrared_lamp", on)

    def turn(self, side: Side, on: bool) -> None:
        """Light the arrow of the resident's own left or right. It beeps as it goes on, once left, twice right."""
        self._steady(f"turn_{side.value}_led", on)
        if on:
            self._show(TURN[side])

    def drive(self, role: str, on: bool) -> None:
        """One part alone, by its role in the profile: for whoever tests the wiring. Nothing where there is none."""
        self._steady(role, on)

    def granted(self) -> None:
        self._show(GRANTED)

    def refused(self) -> None:
        self._show(REFUSED)

    def consent_done(self) -> None:
        """Confirm at the gate that a consent was recorded."""
        self._show(CONSENT_DONE)

    def withdrawn(self) -> None:
        """Confirm at the gate that a consent was withdrawn."""
        self._show(WITHDRAWN)

    def close(self) -> None:
        """Turn everything off and give the pins back. May be called twice.

        A part that fails does not keep the others on; the last error is raised at the end.
        """
        failed: DeviceError | None = None
        while self._parts:
            role, part = self._parts.popitem()
            for end in (part.off, part.close):
                try:
                    with pin_faults(role):
                        end()
                except DeviceError as error:
                    failed = error
        if failed is not None:
            raise failed

    def _steady(self, role: str, on: bool) -> None:
        part = self._parts.get(role)
        if part is not None:
            with pin_faults(role):
                part.value = on

    def _show(self, message: dict[str, Blink]) -> None:
        for role in BLINKING:
            part = self._parts.get(role)
            if part is None:
                continue
            with pin_faults(role):
                part.off()
                blink = message.get(role)
                if blink is not None:
                    part.blink(on_time=blink.on_s, off_time=blink.off_s, n=blink.times, background=True)
