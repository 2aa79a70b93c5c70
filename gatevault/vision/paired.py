"""Two cameras that see the same: one in colour, one in near infrared."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

import numpy as np

from gatevault.vision.frame import Camera, Frame

APART_NS: Final = 60_000_000
"""Two pictures taken further apart than this are not of one moment: the colour one goes without the other."""


class PairedCamera:
    """The colour camera's frames, each with the infrared picture of its moment where there is one."""

    def __init__(self, colour: Camera, infrared: Camera) -> None:
        self._colour = colour
        self._infrared = infrared
        self._open = ExitStack()

    @property
    def finite(self) -> bool:
        return self._colour.finite

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.enter_context(self._colour)
            opening.enter_context(self._infrared)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def read(self) -> Frame | None:
        colour = self._colour.read()
        other = None if colour is None else self._infrared.read()
        if colour is None or other is None:
            return colour
        try:
            if abs(colour.taken_ns - other.taken_ns) > APART_NS:
                return colour
            grey = np.ascontiguousarray(other.pixels[:, :, 1])  # three equal channels
            return Frame(colour.pixels, colour.taken_ns, colour.index, grey, colour.lights)
        finally:
            other.wipe()
