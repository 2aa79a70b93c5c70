"""What all cameras of a gate have in common: open once one gives a frame, steady before the first that counts."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from gatevault.core.camera import CameraState, Exposure
from gatevault.core.errors import CameraError
from gatevault.vision.exposure import Control, level_of
from gatevault.vision.frame import Frame, Pixels


class OpenedCamera(ABC):
    """A camera that is opened for one look, its exposure held until the end."""

    finite = False

    def __init__(self) -> None:
        self._index = 0
        self._began = self._opened_ms = 0
        self._state: CameraState | None = None

    def __enter__(self) -> Self:
        self._began = time.monotonic_ns()
        self._open()
        self._index, self._state = 0, None
        try:
            self._take().fill(0)  # only a camera that gives frames is open
        except CameraError:
            self._release()
            raise
        self._opened_ms = self._since()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def read(self) -> Frame | None:
        """The next frame, its exposure held. CameraError."""
        if self._state is None:
            self._state = self._steady()
        pixels, taken = self._seen()
        self._index += 1
        return Frame(pixels, taken, self._index - 1, camera=self._state)

    def expose(self, factor: float) -> bool:
        """Hold this many times the exposure held now; whether it changed. It is seen `LATE_FRAMES` later."""
        control = self._held_by()
        return (
            control is not None
            and self._state is not None
            and self._state.exposure is Exposure.HELD
            and control.scale(factor)
        )

    @abstractmethod
    def _held_by(self) -> Control | None:
        """What holds the exposure; None where nothing can."""

    @abstractmethod
    def _open(self) -> None:
        """Open the device, or leave it as it was. CameraError."""

    @abstractmethod
    def _take(self) -> Pixels:
        """The next picture as the driver gives it; the caller overwrites it. CameraError."""

    @abstractmethod
    def _seen(self) -> tuple[Pixels, int]:
        """The next picture in RGB, and when its light was caught (`Frame`). CameraError."""

    @abstractmethod
    def _steady(self) -> CameraState:
        """Settle and hold the exposure over the first frames, which are the automatic's; what was read back."""

    @abstractmethod
    def _release(self) -> None:
        """Give the device back; may be called twice."""

    def _level(self) -> float:
        picture = self._take()
        try:
            return level_of(picture)
        finally:
            picture.fill(0)

    def _since(self) -> int:
        """Milliseconds since it was asked to open."""
        return (time.monotonic_ns() - self._began) // 1_000_000
