"""Board profiles as values: which pin does what, and how a released relay is wired.

The files lie in `hardware/boards/*.toml`; `service.config` reads them and `devices` drives them.
Pin numbers are BCM (GPIO) numbers.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Pin = Annotated[int, Meta(ge=0, le=63)]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of a profile; unknown keys are errors."""


class Output(_Part, frozen=True):
    """An output line. `active_high` tells which level switches the part on."""

    pin: Pin
    active_high: bool = True


class Input(_Part, frozen=True):
    """A contact. `pull_up` with an active-low contact to ground is the usual wiring."""

    pin: Pin
    pull_up: bool = True
    bounce_ms: Annotated[int, Meta(ge=0, le=500)] = 30


class Relay(Output, frozen=True):
    """The gate's relay: released is the safe state, and a grant energises it for `pulse_ms`."""

    pulse_ms: Annotated[int, Meta(ge=100, le=30_000)] = 3_000


class Wiegand(_Part, frozen=True):
    """A Wiegand reader on two lines of one gpiochip, D0 and D1, idle high, 5 V shifted to 3.3 V."""

    d0: Pin
    d1: Pin
    name: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,20}\Z")] = "wiegand"


class Board(_Part, frozen=True):
    """One profile. Every part but the relay may be absent."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}\Z")]
    description: str
    relay: Relay
    gpiochip: Annotated[str, Meta(max_length=100)] = "/dev/gpiochip0"
    privacy_led: Output | None = None
    granted_led: Output | None = None
    refused_led: Output | None = None
    fault_led: Output | None = None
    buzzer: Output | None = None
    lamp: Output | None = None
    """The white lamp beside the camera that flickers during a look: it tells a face from its picture."""
    infrared_lamp: Output | None = None
    turn_left_led: Output | None = None
    """Lights up where the resident shall turn the head to their own left; on that side of the camera."""
    turn_right_led: Output | None = None
    presence: Input | None = None
    rex: Input | None = None
    dps: Input | None = None
    tamper: Input | None = None
    wiegand: tuple[Wiegand, ...] = ()

    def __post_init__(self) -> None:
        taken: dict[int, str] = {}
        for role, pin in self.pins():
            if pin in taken:
                raise ValueError(f"pin {pin} has two roles, {taken[pin]} and {role}")
            taken[pin] = role

    def pins(self) -> list[tuple[str, int]]:
        """Every (role, pin) of this profile."""
        single = ("relay", "privacy_led", "granted_led", "refused_led", "fault_led", "buzzer")
        asking = ("lamp", "infrared_lamp", "turn_left_led", "turn_right_led")
        roles = [(role, getattr(self, role)) for role in (*single, *asking, "presence", "rex", "dps", "tamper")]
        pins = [(role, part.pin) for role, part in roles if part is not None]
        for reader in self.wiegand:
            pins += [(f"{reader.name}.d0", reader.d0), (f"{reader.name}.d1", reader.d1)]
        return pins
