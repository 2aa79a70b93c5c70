"""The camera port: what every camera gives, and what the look may rely on."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from gatevault.core.camera import CameraState
from gatevault.core.errors import CameraError
from gatevault.core.liveness import Edge, Prompt
from gatevault.vision import MAX_PIXELS

Pixels = npt.NDArray[np.uint8]
"""A picture: shape (height, width, 3), uint8, RGB, C-contiguous."""

WIDTH: Final = 1280
HEIGHT: Final = 720
"""Asked of a real camera: a face a metre away is 150 to 250 pixels wide."""

UNKNOWN_AGE = 0
"""`taken_ns` of a frame whose camera gave no believable time: older than any trigger, so refused."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture, when it was taken (CLOCK_MONOTONIC, ns) and its number since the camera opened."""

    pixels: Pixels = field(repr=False)
    taken_ns: int
    index: int
    infrared: npt.NDArray[np.uint8] | None = field(default=None, repr=False)
    """The same view in near infrared at that moment, shape (height, width), where there is such a camera."""

    lights: tuple[Prompt | Edge, ...] = ()
    """On a bench, what a recording tells of the lights that were driven as it was made."""

    camera: CameraState | None = None
    """What a real camera was found to do; None for one of the bench."""

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if self.pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise ValueError("a frame is a uint8 picture of shape (height, width, 3)")
        if not self.pixels.flags.c_contiguous:
            raise ValueError("a frame's pixels are C-contiguous, as dlib reads them")
        if not self.pixels.flags.writeable:
            raise ValueError("a frame's pixels can be overwritten")

    def wipe(self) -> None:
        """Overwrite the pixels in place; the frame is useless afterwards."""
        self.pixels.fill(0)
        if self.infrared is not None:
            self.infrared.fill(0)


class Camera(Protocol):
    """Opened by `with`, closed when it ends. Every failure is a `CameraError` with a sentence."""

    @property
    def finite(self) -> bool:
        """Whether it runs to an end of its own, which a look's limit does not cut (bench)."""

    def __enter__(self) -> Self:
        """Open it; nothing is powered, opened or read before."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release it, whatever happened; never raises."""

    def read(self) -> Frame | None:
        """The next frame, owned by the caller who wipes it; None once at its end."""


def check_size(shape: tuple[int, ...], what: str) -> None:
    """Raise CameraError for a picture (height, width, …) of no size or above `MAX_PIXELS`; `what` names it."""
    height, width = shape[:2]
    if height < 1 or width < 1:
        raise CameraError(f"{what} has no pixels: use another picture.")
    if height * width > MAX_PIXELS:
        raise CameraError(
            f"{what} has {width} by {height} pixels; at most {MAX_PIXELS // 1_000_000} million are read: shrink it."
        )
