"""`file:` with a recorded presentation (`recorded`), on a bench: frames at their own pace, and what was driven.

As from a camera with a buffer of one: a frame that nobody read in time is gone. With its first frame it tells of
all its lights: a recording answers the challenge that it was made under, and no other is put to it.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from gatevault.core.errors import CameraError
from gatevault.core.liveness import Edge, Lamp, Prompt, Side
from gatevault.vision.frame import Frame, check_size
from gatevault.vision.recorded import Presentation, PresentationError, load

SUFFIX: Final = ".npz"

_SECOND: Final = 1_000_000_000

LATE_NS: Final = 100_000_000
"""A frame later than this is passed over, where there is a newer one."""


class ReplayCamera:
    """A recording, once, from its beginning."""

    finite = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._recording: Presentation | None = None
        self._start_ns = 0
        self._next = 0
        self._told = False

    def __enter__(self) -> Self:
        try:
            self._recording = load(self._path)
        except PresentationError as error:
            raise CameraError(str(error)) from None
        check_size(self._recording.frames.shape[1:], str(self._path))
        self._start_ns, self._next, self._told = time.monotonic_ns(), 0, False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._recording is not None:
            self._recording.frames.fill(0)
            if self._recording.ir is not None:
                self._recording.ir.fill(0)
        self._recording = None

    def read(self) -> Frame | None:
        recording = self._recording
        if recording is None or self._next >= len(recording.times):
            return None
        moments = self._start_ns + (recording.times * _SECOND).astype(np.int64)
        now = time.monotonic_ns()
        while self._next + 1 < len(moments) and moments[self._next] < now - LATE_NS:
            self._next += 1
        number, self._next = self._next, self._next + 1
        time.sleep(max(0.0, (int(moments[number]) - now) / _SECOND))
        lights = () if self._told else self._lights(recording)
        self._told = True
        infrared = None if recording.ir is None else recording.ir[number].copy()
        return Frame(recording.frames[number].copy(), int(moments[number]), number, infrared, lights)

    def _lights(self, recording: Presentation) -> tuple[Prompt | Edge, ...]:
        def at(seconds: float) -> int:
            return self._start_ns + round(seconds * _SECOND)

        prompts = [Prompt(at(when), Side(side)) for when, side in recording.prompts]
        white = [Edge(at(when), Lamp.LED, lit) for when, lit in recording.led]
        infrared = [Edge(at(when), Lamp.IR, lit) for when, lit in recording.ir_led]
        return (*prompts, *white, *infrared)
