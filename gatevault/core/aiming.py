"""Aiming a camera without a picture: where a face stands, how large and how lit, and what that asks for."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from gatevault.core.settings import LookSettings
from gatevault.core.wire import Hint

COLUMNS: Final = 32
ROWS: Final = 9
"""The schematic's inside, in characters: with its frame 34 columns, for a phone held upright."""


class Advice(StrEnum):
    """What to do next, in the words of `core.provisioning.words`."""

    NOBODY = "nobody"
    SEVERAL = "several"
    CLOSER = "closer"
    CUT_OFF = "cut-off"
    OUT_OF_ZONE = "out-of-zone"
    DARK = "dark"
    BRIGHT = "bright"
    BLURRED = "blurred"
    BROKEN = "broken"
    OFF_CENTRE = "off-centre"
    GOOD = "good"


_OF_HINT: Final = {
    Hint.NO_FACE: Advice.NOBODY,
    Hint.SEVERAL_FACES: Advice.SEVERAL,
    Hint.COME_CLOSER: Advice.CLOSER,
    Hint.TOO_DARK: Advice.DARK,
    Hint.TOO_BRIGHT: Advice.BRIGHT,
    Hint.BLURRED: Advice.BLURRED,
    Hint.MODEL_FAULT: Advice.BROKEN,
    Hint.CUT_OFF: Advice.CUT_OFF,
    Hint.BAD_FRAME: Advice.BROKEN,
}

CENTRE: Final = (0.25, 0.75)
"""A face whose centre is in this share of the picture leaves room for taller and smaller people."""


class Sighting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One moment of aiming: whole numbers alone. `size` and `width` in pixels, `light` and `exposure` in percent,
    `box` (left, top, right, bottom) in thousandths of the picture."""

    frame: int
    size: tuple[int, int]
    light: int
    advice: Advice
    box: tuple[int, int, int, int] | None = None
    width: int = 0
    exposure: int | None = None
    sharpness: int | None = None


def of_hint(hint: Hint) -> Advice:
    """What a frame without a usable face asks for."""
    return _OF_HINT[hint]


def of_place(box: tuple[float, float, float, float], settings: LookSettings) -> Advice:
    """Whether a usable face stands well: `GOOD`, or where it should stand."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    left, top, right, bottom = settings.zone
    if not (left <= x <= right and top <= y <= bottom):
        return Advice.OUT_OF_ZONE
    return Advice.GOOD if all(CENTRE[0] <= at <= CENTRE[1] for at in (x, y)) else Advice.OFF_CENTRE


def drawn(sighting: Sighting | None) -> list[str]:
    """The schematic: a frame of ROWS + 2 lines with the face's box in it. Plain characters, no picture."""
    inside = [[" "] * COLUMNS for _ in range(ROWS)]
    if sighting is not None and sighting.box is not None:
        left, top, right, bottom = (min(1.0, max(0.0, share / 1_000)) for share in sighting.box)
        x0, x1 = int(left * (COLUMNS - 1)), int(right * (COLUMNS - 1))
        y0, y1 = int(top * (ROWS - 1)), int(bottom * (ROWS - 1))
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                if y in (y0, y1) or x in (x0, x1):
                    inside[y][x] = "#"
    edge = "+" + "-" * COLUMNS + "+"
    return [edge, *("|" + "".join(row) + "|" for row in inside), edge]
