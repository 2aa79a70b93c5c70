"""What a camera tells of itself with a look, and what is wrong with it: values, and sentences for an installer."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

OPEN_MS: Final = 500
"""From the order to open until the first frame is there. Longer, and whoever stands at the gate waits for it."""

Milliseconds = Annotated[int, Meta(ge=0, le=1_000_000)]


class Exposure(StrEnum):
    """What became of exposure, gain and white balance in a look: they are fixed for as long as it lasts."""

    HELD = "held"
    IGNORED = "ignored"
    """The driver did not do as it was asked, or the picture jumped as it did: the automatic has it again."""
    ABSENT = "absent"
    """There is nothing to hold it by."""


class CameraState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A real camera in one look, as it was read back and not as it was asked for.

    `mode`: format and size, such as `MJPG 1280x720`. `compressed`: whether it is MJPG; None where that is no
    question (a ribbon cable). `opened_ms`: from the order until the first frame was there. `steady_ms`: until its
    exposure was settled and held.
    """

    mode: Annotated[str, Meta(max_length=40)]
    compressed: bool | None
    opened_ms: Milliseconds
    steady_ms: Milliseconds
    exposure: Exposure


class Finding(NamedTuple):
    """What is wrong with a camera, why it matters, and what to do."""

    what: str
    why: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}; {self.fix}"


def findings(state: CameraState) -> list[Finding]:
    """What an installer should hear of; none where all is as it was asked."""
    found = []
    if state.opened_ms > OPEN_MS:
        found.append(
            Finding(
                f"the camera took {state.opened_ms} ms until its first frame ({OPEN_MS} at most)",
                "people wait for it",
                "try another port or cable and no hub, then another camera",
            )
        )
    if state.compressed is False:
        found.append(
            Finding(
                f"the camera gives {state.mode} and no MJPG",
                "over USB 2.0 that is few frames a second",
                "see `v4l2-ctl --list-formats-ext`, and take one that gives MJPG",
            )
        )
    if state.exposure is not Exposure.HELD:
        found.append(
            Finding(
                f"the camera's exposure is not held ({state.exposure.value})",
                "a look at the lamp's flicker is less sure and may refuse residents",
                "take a camera with manual exposure (`v4l2-ctl --list-ctrls`)",
            )
        )
    return found
