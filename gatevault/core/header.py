"""The 40-pin header of a Raspberry Pi 4 and 5 as values: which physical pin is which GPIO, supply or ground.

Raspberry Pi Ltd, "Raspberry Pi 4 Model B datasheet" (release 1.1, 2024), section 5.1; the Pi 5 has the same.
Physical pins count from 1, odd ones on the board's inner row, even ones along its edge.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Supply(StrEnum):
    """A physical pin that is no GPIO."""

    V3_3 = "3V3"
    V5 = "5V"
    GROUND = "GND"
    ID_EEPROM = "ID"
    """GPIO 0 and 1, which belong to a HAT's own EEPROM: nothing else may be wired there."""


_3, _5, _G, _ID = Supply.V3_3, Supply.V5, Supply.GROUND, Supply.ID_EEPROM

HEADER: Final[tuple[int | Supply, ...]] = (
    _3, _5,   2, _5,   3, _G,   4, 14,  _G, 15,  17, 18,  27, _G,  22, 23,  _3, 24,  10, _G,
     9, 25,  11,  8,  _G,  7, _ID, _ID,  5, _G,   6, 12,  13, _G,  19, 16,  26, 20,  _G, 21,
)  # fmt: skip
"""What physical pin n is, at index n - 1: a BCM number, or a supply."""

_PHYSICAL: Final = {what: number for number, what in enumerate(HEADER, start=1) if isinstance(what, int)}

_LAST_PULLED_UP: Final = 8
"""GPIO 0 to 8 have their pull-up on from reset, 9 to 27 their pull-down (BCM2711 ARM Peripherals, section 5.3)."""


def physical(bcm: int) -> int | None:
    """The physical pin of a GPIO by its BCM number; None for one that is not on the header."""
    return _PHYSICAL.get(bcm)


def pulled_up_at_reset(bcm: int) -> bool:
    """Which way the chip itself holds this line from reset until somebody configures it."""
    return bcm <= _LAST_PULLED_UP
