"""A camera, an engine and a clock that do as told and remember what happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np

from gatevault.core.errors import CameraError
from gatevault.core.types import Box, Quality, Vector
from gatevault.core.wire import FaceSeen, Look, Message, Purpose
from gatevault.vision.detect import Face
from gatevault.vision.embed import Chip, NoVectorError, View
from gatevault.vision.frame import Frame, Pixels

NONCE = "0123456789abcdef0123456789abcdef"
MS = 1_000_000
START = 1_000_000 * MS
GOOD = Quality(size=100.0, sharpness=50.0, exposure=0.5, yaw=0.0, roll=0.0)


def a_look(limit_ms: int = 3_000, trigger_ns: int = START, purpose: Purpose = Purpose.ACCESS) -> Look:
    return Look(NONCE, purpose, trigger_ns, limit_ms)


def face(left: int, width: int, score: float = 1.5, top: int = 20) -> Face:
    return Face(Box(left, top, left + width, top + width), score)


@dataclass
class Clock:
    """Nanoseconds that pass only when told."""

    now: int = START

    def __call__(self) -> int:
        return self.now

    def pass_ms(self, milliseconds: float) -> None:
        self.now += int(milliseconds * MS)


@dataclass
class FakeCamera:
    """Serves one frame per age in `ages_ms` (None: unknown age), then ends; `step_ms` passes per frame.

    Keeps every frame that it gave, so that tests see what is left in them.
    """

    clock: Clock
    ages_ms: Sequence[float | None] = (0.0,)
    finite: bool = False
    step_ms: float = 100.0
    same: bool = False
    endless: bool = False
    breaks: str = ""
    history: list[str] = field(default_factory=list)
    given: list[Frame] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.history.append("open")
        if self.breaks == "open":
            raise CameraError("the camera is broken: mend it.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.history.append("close")

    def read(self) -> Frame | None:
        self.clock.pass_ms(self.step_ms)
        index = len(self.given)
        if index >= len(self.ages_ms) and not self.endless:
            if self.breaks == "read":
                raise CameraError("the camera stopped: check its cable.")
            return None
        age = self.ages_ms[min(index, len(self.ages_ms) - 1)]
        pixels = np.random.default_rng(7 if self.same else index).integers(1, 256, (240, 320, 3), np.uint8)
        taken = 0 if age is None else self.clock.now - int(age * MS)
        self.given.append(Frame(pixels, taken, index))
        return self.given[-1]


@dataclass
class FakeEngine:
    """Finds the faces it is told to, in every frame."""

    faces: Sequence[Face] = (face(100, 100),)
    quality: Quality = GOOD
    on_find: Callable[[], None] = lambda: None
    searched: int = 0
    forgotten: int = 0
    chips: list[Chip] = field(default_factory=list)
    vectors: list[Vector] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    broken: bool = False
    """Its network gives no numbers."""

    def find(self, pixels: Pixels, min_score: float | None) -> list[Face]:
        assert pixels.any(), "a wiped frame was examined"
        min_score = 0.4 if min_score is None else min_score
        self.searched += 1
        self.on_find()
        found = [f for f in self.faces if f.score >= min_score]
        return sorted(found, key=lambda f: f.box.width, reverse=True)

    def chip(self, pixels: Pixels, face: Face) -> Chip:
        self.chips.append(Chip(np.full((150, 150, 3), 9, np.uint8), self.quality))
        return self.chips[-1]

    def vector(self, chip: Chip, view: View) -> Vector:
        self.views.append(view)
        if self.broken:
            raise NoVectorError
        self.vectors.append(np.full(128, 0.25, np.float32))
        return self.vectors[-1]

    def forget(self) -> None:
        self.forgotten += 1


@dataclass
class Sent:
    """What a look emitted. Vectors are copied at once, as a socket would."""

    messages: list[Message] = field(default_factory=list)
    vectors: list[Vector] = field(default_factory=list)

    def __call__(self, message: Message) -> None:
        self.messages.append(message)
        if isinstance(message, FaceSeen):
            self.vectors.append(message.scan().embedding)

    def of(self, kind: type) -> list:
        return [m for m in self.messages if isinstance(m, kind)]
