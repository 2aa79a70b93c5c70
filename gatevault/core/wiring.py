"""What is doubtful in a board profile, before anybody has wired it: pure reading, no device is asked.

What is simply wrong (two roles on one pin, a pin that is not there) is refused as the profile is read
(`core.board`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from gatevault.core.board import Board, Header, Output
from gatevault.core.header import physical, pulled_up_at_reset

CONSOLE: Final = (14, 15)
"""GPIO 14 and 15: the serial console, where it is switched on; the kernel's messages leave there."""

I2C: Final = (2, 3)
"""GPIO 2 and 3: I2C, the clock module's, with 1.8 kOhm to 3.3 V on the board that no software switches off."""

DARK: Final = ("lamp", "infrared_lamp")
"""Parts that must not be lit by a pin that nobody drives: strong light, or light that nobody sees."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One finding about a profile, in sentences for an installer."""

    role: str
    pin: int | None
    what: str
    why: str
    fix: str
    cure: str = ""
    """The line of /boot/firmware/config.txt that mends it, where there is one: whoever can read it looks there."""


def findings(board: Board) -> list[Doubt]:
    """Everything doubtful about `board`, worst first; none where its header is not a Pi's, but for the lights."""
    checks: tuple[Callable[[Board], Iterator[Doubt]], ...] = (_relay, _dark_parts, _console, _i2c)
    found = [doubt for check in checks if board.header is Header.PI for doubt in check(board)]
    return [*found, *_lights(board)]


def boot_line(pin: int, *, high: bool) -> str:
    """The line of config.txt by which the firmware drives `pin` from power-on, before Linux runs."""
    return f"gpio={pin}=op,{'dh' if high else 'dl'}"


def fights_its_pull(part: Output) -> bool:
    """Whether the chip's own pull, from reset until somebody drives the line, switches the part on."""
    return pulled_up_at_reset(part.pin) is part.active_high


def _relay(board: Board) -> Iterator[Doubt]:
    relay = board.relay
    if fights_its_pull(relay):
        cure = boot_line(relay.pin, high=not relay.active_high)
        level = "high" if relay.active_high else "low"
        to = "ground" if relay.active_high else "its VCC"
        yield Doubt(
            "relay",
            relay.pin,
            f"from power-on until the daemon runs, GPIO {relay.pin} is pulled {level}, which energises the relay",
            "the gate may open by itself at each start, if only for a moment",
            f"write `{cure}` into /boot/firmware/config.txt and fit 10 kOhm from the relay's input to {to}, then "
            "watch it through a cold start; or choose a pin whose pull agrees (2 to 8 up, 9 to 27 down)",
            cure,
        )


def _dark_parts(board: Board) -> Iterator[Doubt]:
    for role in DARK:
        part: Output | None = getattr(board, role)
        if part is not None and fights_its_pull(part):
            yield Doubt(
                role,
                part.pin,
                f"from power-on until the daemon runs, GPIO {part.pin} is pulled to the level that lights it",
                "a strong lamp stays on for as long as the daemon does not run",
                "fit 10 kOhm from the driver's enable input to its dark level, or choose another pin",
                boot_line(part.pin, high=not part.active_high),
            )


def _console(board: Board) -> Iterator[Doubt]:
    for role, pin in board.pins():
        if pin in CONSOLE:
            yield Doubt(
                role,
                pin,
                f"GPIO {pin} (pin {physical(pin)}) is the serial console's",
                "a console that is switched on drives it with the kernel's messages, or reads from it",
                "choose another pin, or switch the console off (raspi-config, Interface Options, Serial Port)",
            )


def _i2c(board: Board) -> Iterator[Doubt]:
    for role, pin in board.pins():
        if pin in I2C:
            yield Doubt(
                role,
                pin,
                f"GPIO {pin} (pin {physical(pin)}) is I2C's and is pulled up by 1.8 kOhm on the board",
                "a clock module (DS3231) needs GPIO 2 and 3, and the pull-up cannot be switched off",
                "choose another pin",
            )


def _lights(board: Board) -> Iterator[Doubt]:
    if not board.has_privacy_light:
        yield Doubt(
            "privacy_led",
            None,
            "no privacy LED",
            "nobody at the gate can see when the camera is open",
            'give the board one, or wire one to the camera\'s supply and say privacy_light = "camera-supply"',
        )
