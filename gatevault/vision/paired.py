"""Two cameras that see the same: one in colour, one in near infrared."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

import numpy as np
from msgspec.structs import replace

from gatevault.core.camera import CameraState, Exposure
from gatevault.core.errors import CameraError
from gatevault.vision.frame import Camera, Frame

APART_NS: Final = 60_000_000
"""Two pictures taken further apart than this are not of one moment: the colour one goes without the other."""


class PairedCamera:
    """The colour camera's frames, each with the infrared picture of its moment where there is one."""

    def __init__(self, colour: Camera, infrared: Camera) -> None:
        self.colour = colour
        self.infrared = infrared
        self._open = ExitStack()

    @property
    def finite(self) -> bool:
        return self.colour.finite

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.enter_context(self.colour)
            opening.enter_context(self.infrared)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def read(self) -> Frame | None:
        colour = self.colour.read()
        try:
            other = None if colour is None else self.infrared.read()
        except CameraError:
            if colour is not None:
                colour.wipe()
            raise
        if colour is None or other is None:
            return colour
        try:
            if abs(colour.taken_ns - other.taken_ns) > APART_NS:
                return colour
            told = _both(colour.camera, other.camera)
            grey = np.ascontiguousarray(other.pixels[:, :, 1])  # three equal channels
            return Frame(colour.pixels, colour.taken_ns, colour.index, grey, colour.lights, told)
        finally:
            other.wipe()


def _both(colour: CameraState | None, other: CameraState | None) -> CameraState | None:
    """What the two do together: the colour camera's mode, the slower one's times, the worse one's exposure."""
    if colour is None or other is None:
        return colour
    held = colour.exposure is Exposure.HELD
    return replace(
        colour,
        opened_ms=max(colour.opened_ms, other.opened_ms),
        steady_ms=max(colour.steady_ms, other.steady_ms),
        exposure=other.exposure if held else colour.exposure,
    )
