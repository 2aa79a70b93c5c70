"""`file:` with a recorded presentation (`recorded`), on a bench: frames at their own pace, and what was driven.

Its clock is the recording's (`clock`): every frame is seen, and judged alike, however busy the machine is. With
its first frame it tells of all its lights: a recording answers the challenge that it was made under, and no other
is put to it.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gatevault.core.errors import CameraError
from gatevault.core.liveness import Edge, Lamp, Prompt, Side
from gatevault.vision.frame import Frame, check_size
from gatevault.vision.recorded import AHEAD, Presentation, PresentationError, load

SUFFIX: Final = ".npz"

_SECOND: Final = 1_000_000_000


class ReplayCamera:
    """A recording, once, from its beginning: of a file, at its own pace; of memory, as fast as it is read."""

    finite = True

    def __init__(self, source: Path | Presentation) -> None:
        self._source = source
        self._recording: Presentation | None = None
        self._start_ns = 0
        self._now_ns = 0
        self._next = 0

    def clock(self) -> int:
        """The moment of the frame that was read last, in place of CLOCK_MONOTONIC."""
        return self._now_ns or time.monotonic_ns()

    def __enter__(self) -> Self:
        try:
            self._recording = load(self._source) if isinstance(self._source, Path) else self._source
        except PresentationError as error:
            raise CameraError(str(error)) from None
        check_size(self._recording.frames.shape[1:], "the recording")
        self._start_ns, self._next = time.monotonic_ns(), 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._recording is not None and isinstance(self._source, Path):
            self._recording.frames.fill(0)
            if self._recording.ir is not None:
                self._recording.ir.fill(0)
        self._recording = None

    def read(self) -> Frame | None:
        recording = self._recording
        if recording is None or self._next >= len(recording.times):
            return None
        number, self._next = self._next, self._next + 1
        self._now_ns = self._start_ns + round(float(recording.times[number]) * _SECOND)
        if isinstance(self._source, Path):  # no faster than it happened
            time.sleep(max(0.0, (self._now_ns - time.monotonic_ns()) / _SECOND))
        lights = () if number else self._lights(recording)
        infrared = None if recording.ir is None else recording.ir[number].copy()
        return Frame(recording.frames[number].copy(), self._now_ns, number, infrared, lights)

    def _lights(self, recording: Presentation) -> tuple[Prompt | Edge, ...]:
        def at(seconds: float) -> int:
            return self._start_ns + round(seconds * _SECOND)

        prompts = [Prompt(at(when), None if side == AHEAD else Side(side)) for when, side in recording.prompts]
        white = [Edge(at(when), Lamp.LED, lit) for when, lit in recording.led]
        infrared = [Edge(at(when), Lamp.IR, lit) for when, lit in recording.ir_led]
        return (*prompts, *white, *infrared)
