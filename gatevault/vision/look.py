"""One look: open the camera, examine fresh frames, close it, forget.

For each frame, in this order:

1. fresh? taken after the trigger and at most `max_frame_age_ms` ago, else counted as stale;
2. faces above the score, centre inside the zone, else NO_FACE;
3. a second face nearly as near ends the look: nobody is matched while two could be meant;
4. the nearest face: large enough, else COME_CLOSER; bright, dark or blurred, else the hint;
5. its embedding, sent as `FaceSeen`.

Every fresh frame is answered by one message, except the one that ends the look for several faces.
Pixels, chips and vectors are overwritten as soon as they were used, whatever happens.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from gatevault.core.errors import BenchOnlyError, CameraError
from gatevault.core.settings import LookSettings
from gatevault.core.types import Box, Quality, Vector
from gatevault.core.wire import CameraOpen, FrameEmpty, Hint, Look, LookDone, LookEnd, Message, Purpose, face_seen
from gatevault.vision.detect import Detector, Face, has_rival, in_zone
from gatevault.vision.embed import Chip, Embedder
from gatevault.vision.frame import Camera, Frame, Pixels
from gatevault.vision.models import Models

FINITE_LIMIT_MS: Final = 60_000
"""Bound of a look at a clip or a folder shown once, which the look's own limit does not cut."""

MAX_ERROR: Final = 500
"""Longest sentence that `LookDone.error` carries."""

_MS: Final = 1_000_000

Emit = Callable[[Message], None]
"""Sends a message; it has no use for the message's buffers once it returns."""

Stop = Callable[[], bool]
"""Whether the look shall end now; asked between frames."""


class Engine(Protocol):
    """What a look needs of the networks."""

    def find(self, pixels: Pixels, min_score: float) -> list[Face]:
        """The faces of a frame, widest first."""

    def chip(self, pixels: Pixels, box: Box) -> Chip:
        """One face, upright, with its quality; the caller wipes it."""

    def vector(self, chip: Chip) -> Vector:
        """Its embedding; the caller wipes it."""

    def forget(self) -> None:
        """Overwrite what the networks keep of the last face."""


class DlibEngine:
    """dlib's detector, landmarks and network behind the `Engine` port."""

    def __init__(self, models: Models) -> None:
        self._detector = Detector(models.detector)
        self._embedder = Embedder(models.landmarks, models.network)
        self._embedded = False

    def find(self, pixels: Pixels, min_score: float) -> list[Face]:
        return self._detector.find(pixels, min_score)

    def chip(self, pixels: Pixels, box: Box) -> Chip:
        return self._embedder.chip(pixels, box)

    def vector(self, chip: Chip) -> Vector:
        self._embedded = True
        return self._embedder.vector(chip)

    def forget(self) -> None:
        self._detector.forget()
        if self._embedded:
            self._embedder.forget()
            self._embedded = False


@dataclass(slots=True)
class _Seen:
    """What a look counts, and the keyed digests of its frames (the key dies with the look)."""

    frames: int = 0
    stale: int = 0
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    digests: set[bytes] = field(default_factory=set, repr=False)

    def is_new(self, pixels: Pixels) -> bool:
        """Whether no earlier face of this look came from the same pixels."""
        digest = hashlib.blake2b(repr(pixels.shape).encode(), key=self.key, digest_size=16)
        digest.update(pixels.data)
        known = digest.digest() in self.digests
        self.digests.add(digest.digest())
        return not known


def run_look(
    look: Look,
    settings: LookSettings,
    camera: Camera,
    engine: Engine,
    emit: Emit,
    stop: Stop,
    clock: Callable[[], int] = time.monotonic_ns,
) -> LookDone:
    """Carry out `look` and return its end, which the caller sends: by then the camera is closed.

    `camera` is unopened. What `emit` and `stop` raise passes through, after everything was closed
    and overwritten; a CameraError becomes the look's end.
    """
    seen = _Seen()
    end, error = LookEnd.STOPPED, ""
    start = clock()
    closed = start
    try:
        if not stop():
            try:
                with camera:
                    emit(CameraOpen(look.nonce))
                    end = _watch(look, settings, camera, engine, emit, stop, clock, start, seen)
            finally:
                closed = clock()
    except (CameraError, BenchOnlyError) as problem:
        end, error = LookEnd.CAMERA, str(problem)
    finally:
        engine.forget()
        seen.digests.clear()
    return LookDone(look.nonce, end, seen.frames, seen.stale, max(0, closed - start) // _MS, error[:MAX_ERROR])


def failed(nonce: str, error: str) -> LookDone:
    """The end of a look whose camera could not even be named."""
    return LookDone(nonce, LookEnd.CAMERA, 0, 0, 0, error[:MAX_ERROR])


def _watch(
    look: Look,
    settings: LookSettings,
    camera: Camera,
    engine: Engine,
    emit: Emit,
    stop: Stop,
    clock: Callable[[], int],
    start: int,
    seen: _Seen,
) -> LookEnd:
    """Examine frames of the open camera until something ends the look."""
    deadline = start + (FINITE_LIMIT_MS if camera.finite else look.limit_ms) * _MS
    while True:
        if stop():
            return LookEnd.STOPPED
        if clock() >= deadline:
            return LookEnd.LIMIT
        frame = camera.read()
        if frame is None:
            return LookEnd.END_OF_FILE
        try:
            if not _is_fresh(frame, look.trigger_ns, clock(), settings.max_frame_age_ms):
                seen.stale += 1
                continue
            seen.frames += 1
            if _examine(look, frame, settings, engine, emit, seen):
                return LookEnd.SEVERAL_FACES
        finally:
            frame.wipe()


def _is_fresh(frame: Frame, trigger_ns: int, now_ns: int, max_age_ms: int) -> bool:
    """Fails closed: an unknown time (0) is before every trigger, a time to come is no time."""
    return 0 < frame.taken_ns >= trigger_ns and 0 <= now_ns - frame.taken_ns <= max_age_ms * _MS


def _examine(look: Look, frame: Frame, settings: LookSettings, engine: Engine, emit: Emit, seen: _Seen) -> bool:
    """Answer one fresh frame by a message; True, and no message, where several faces end the look.

    An enrolment, which is acknowledged and takes a minute, passes over such a frame instead: its
    captures must agree with one another anyway.
    """
    nonce = look.nonce
    height, width = frame.pixels.shape[:2]
    faces = in_zone(engine.find(frame.pixels, settings.min_score), settings.zone, height, width)
    if not faces:
        emit(FrameEmpty(nonce, frame.index, Hint.NO_FACE))
        return False
    if has_rival(faces, settings.rival_share):
        if look.purpose is Purpose.ACCESS:
            return True
        emit(FrameEmpty(nonce, frame.index, Hint.SEVERAL_FACES))
        return False
    nearest = faces[0]
    if nearest.box.width < settings.min_size:
        emit(FrameEmpty(nonce, frame.index, Hint.COME_CLOSER))
        return False
    chip = engine.chip(frame.pixels, nearest.box)
    try:
        hint = _unfit(chip.quality, settings)
        if hint is not None:
            emit(FrameEmpty(nonce, frame.index, hint))
            return False
        vector = engine.vector(chip)
        try:
            distinct = seen.is_new(frame.pixels)
            emit(face_seen(nonce, frame.index, nearest.box, nearest.score, chip.quality, vector, distinct))
        finally:
            vector.fill(0.0)
    finally:
        chip.wipe()
    return False


def _unfit(quality: Quality, settings: LookSettings) -> Hint | None:
    """Why this face would embed badly, or None."""
    if quality.exposure < settings.min_exposure:
        return Hint.TOO_DARK
    if quality.exposure > settings.max_exposure:
        return Hint.TOO_BRIGHT
    if quality.sharpness < settings.min_sharpness:
        return Hint.BLURRED
    return None
