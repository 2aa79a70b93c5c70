"""Board profiles as values: which pin does what, and how its part is wired.

The files lie in `hardware/boards/*.toml`; `service.config` reads them, `devices` drives them, `core.wiring` says
what is doubtful in them and `core.drawing` draws them. Pin numbers are BCM (GPIO) numbers.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gatevault.core.header import physical

Pin = Annotated[int, Meta(ge=0, le=63, description="BCM (GPIO) number, not the number on the header")]

LEAST_HOLD_MS = 500
"""A sensor that nobody touches must be held for so long: whoever walks past has not asked for anything."""


class Header(StrEnum):
    """What the numbers of a profile count on."""

    PI = "pi"
    """The 40-pin header of a Raspberry Pi: GPIO 2 to 27; 0 and 1 belong to a HAT's EEPROM."""
    NONE = "none"
    """Lines of the chip as they are: a bench, or another computer."""


class Driver(StrEnum):
    """What stands between the relay's pin and its coil."""

    MODULE = "module"
    """A relay module on wires, with its own driver."""
    HAT = "hat"
    """A relay on a HAT, which sits on the header: there is no wire to draw."""
    TRANSISTOR = "transistor"
    """A transistor of one's own, with base resistor, pull-down and diode."""


class Asks(StrEnum):
    """What somebody does to ask for a look."""

    BUTTON = "button"
    MAT = "mat"
    """Standing on the mark."""
    DISTANCE = "distance"
    """A distance sensor's output, closed while somebody stands within its reach."""


class PrivacyLight(StrEnum):
    """What lights the privacy LED."""

    SOFTWARE = "software"
    """The daemon, by the pin of `privacy_led`: it tells of our use of the camera."""
    CAMERA_SUPPLY = "camera-supply"
    """The supply of the camera's sensor: lit whenever it is powered, whatever any software says."""


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


class Presence(Input, frozen=True):
    """What begins a look: a deliberate act. One look each time, however long it lasts.

    `hold_ms`: how long it must stay active before. `rearm_ms`: how long it must have been inactive before it asks
    again.
    """

    asks: Asks = Asks.BUTTON
    hold_ms: Annotated[int, Meta(ge=0, le=5_000)] = 0
    rearm_ms: Annotated[int, Meta(ge=0, le=30_000)] = 0

    def __post_init__(self) -> None:
        if self.asks is not Asks.BUTTON and (self.hold_ms < LEAST_HOLD_MS or self.rearm_ms < LEAST_HOLD_MS):
            raise ValueError(
                f"a {self.asks.value} needs hold_ms and rearm_ms of {LEAST_HOLD_MS} at least, or people who only "
                "pass are looked at"
            )


class Relay(Output, frozen=True):
    """The gate's relay: released is the safe state, and a grant energises it for `pulse_ms`."""

    pulse_ms: Annotated[int, Meta(ge=100, le=30_000)] = 3_000
    driver: Driver = Driver.MODULE


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
    header: Header = Header.PI
    privacy_light: PrivacyLight = PrivacyLight.SOFTWARE
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
    approach_light: Output | None = None
    """Lit for a while when `motion` sees somebody. It shows the way to card reader and button."""
    presence: Presence | None = None
    motion: Input | None = None
    """A PIR. It wakes `approach_light` and never the camera: people who refused walk past it too."""
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
            if self.header is Header.PI and physical(pin) is None:
                raise ValueError(_not_on_header(role, pin))
        if self.motion is not None and self.approach_light is None:
            raise ValueError(
                "motion has nothing to wake: give the board an approach_light (it never wakes the camera)"
            )

    @property
    def has_privacy_light(self) -> bool:
        """Whether people can see that the camera is open."""
        return self.privacy_led is not None or self.privacy_light is PrivacyLight.CAMERA_SUPPLY

    def parts(self) -> list[tuple[str, Output | Input]]:
        """Every (role, part) with a pin of its own: all but the readers."""
        roles = [(role, getattr(self, role)) for role in self.__struct_fields__]
        return [(role, part) for role, part in roles if isinstance(part, Output | Input)]

    def pins(self) -> list[tuple[str, int]]:
        """Every (role, pin) of this profile."""
        pins = [(role, part.pin) for role, part in self.parts()]
        for reader in self.wiegand:
            pins += [(f"{reader.name}.d0", reader.d0), (f"{reader.name}.d1", reader.d1)]
        return pins


def _not_on_header(role: str, pin: int) -> str:
    why = "belongs to a HAT's EEPROM" if pin in (0, 1) else "is not on the 40-pin header"
    return f"{role}: GPIO {pin} {why}: choose one of 2 to 27 (BCM numbers, not the header's)"


def schema() -> dict[str, Any]:
    """The JSON Schema of a profile, for editors (`#:schema schema.json`) and other tools."""
    made = msgspec.json.schema(Board)
    for part in made["$defs"].values():
        for value in part.get("properties", {}).values():
            if "pattern" in value:  # the end of a text is \Z in Python and $ in JSON Schema's regular expressions
                value["pattern"] = value["pattern"].replace(r"\Z", "$")
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A board profile of GateVault"}
    return about | made
