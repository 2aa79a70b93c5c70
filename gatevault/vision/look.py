"""One look: open the camera, examine fresh frames, close it, forget.

For each frame, in this order:

1. fresh? taken after the trigger and at most `max_frame_age_ms` ago, else counted as stale;
2. whole? else BAD_FRAME;
3. faces above the score, centre inside the zone, else NO_FACE;
4. a second face nearly as near ends the look: nobody is matched while two could be meant;
   the held exposure fits the nearest, else it is changed and the frame counts for nothing (`metering`);
5. the nearest face: large enough, else COME_CLOSER; all in the picture, else CUT_OFF; not torn, else
   BAD_FRAME; not dark, bright or blurred, else the hint;
6. its embedding, plain and mirrored in turn; MODEL_FAULT where a network gives no numbers. It is sent as `FaceSeen`
   at once where liveness is off, else when the track that it belongs to is found alive (`release`); a face that was
   asked and does not live ends the look.

A fresh frame is answered by one message at most.
Pixels, chips and vectors are overwritten as soon as they were used, whatever happens.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gatevault.core.camera import CameraState
from gatevault.core.errors import BenchOnlyError, CameraError
from gatevault.core.liveness import Edge, Prompt, Refusal, Site, Tier
from gatevault.core.settings import LookSettings
from gatevault.core.types import Box, Quality, Vector
from gatevault.core.wire import (
    MAX_SENTENCE,
    CameraOpen,
    FrameEmpty,
    Hint,
    Look,
    LookDone,
    LookEnd,
    Message,
    Purpose,
)
from gatevault.vision.align import Points
from gatevault.vision.broken import Rows, dead_rows, is_broken, is_cut_off, is_torn
from gatevault.vision.detect import Face, has_rival, in_zone
from gatevault.vision.embed import Chip, NoVectorError, View
from gatevault.vision.frame import Camera, Frame, Pixels
from gatevault.vision.metering import Metering
from gatevault.vision.release import Release, Seen, open_release

FINITE_LIMIT_MS: Final = 60_000
"""Bound of a look at a clip or a folder shown once, which the look's own limit does not cut."""

_MS: Final = 1_000_000

Emit = Callable[[Message], None]
"""Sends a message; it has no use for the message's buffers once it returns."""

Stop = Callable[[], bool]
"""Whether the look shall end now; asked between frames."""

Lights = Callable[[], Sequence[Prompt | Edge]]
"""What the daemon drove since it was last asked."""


class Engine(Protocol):
    """What a look needs of the networks."""

    def find(self, pixels: Pixels, min_score: float | None) -> list[Face]:
        """The faces of the look's next frame, widest first; None: the detector's usual score."""

    def chip(self, pixels: Pixels, face: Face) -> Chip:
        """One face, upright, with its quality; the caller wipes it."""

    def landmarks(self, pixels: Pixels, face: Face) -> Points | None:
        """dlib's five landmarks in the frame, shape (5, 2), where the detector gives no points."""

    def vector(self, chip: Chip, view: View) -> Vector:
        """Its embedding; the caller wipes it. NoVectorError where a network gave no numbers."""

    def forget(self) -> None:
        """The look is over: overwrite what is kept of its frames and of the last face."""


@dataclass(slots=True)
class _Seen:
    """What a look counts, and the keyed digests of its frames (the key dies with the look)."""

    release: Release
    metering: Metering
    frames: int = 0
    stale: int = 0
    embedded: int = 0
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    digests: set[bytes] = field(default_factory=set, repr=False)
    refusal: Refusal | None = None
    camera: CameraState | None = None

    def next_view(self, purpose: Purpose) -> View:
        """Plain and mirrored in turn, so that the mean over a look has both; both of each for an enrolment."""
        self.embedded += 1
        if purpose is Purpose.ENROL:
            return View.BOTH
        return View.PLAIN if self.embedded % 2 else View.MIRRORED

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
    *,
    lights: Lights = tuple,
    release: Release | None = None,
) -> LookDone:
    """Carry out `look` and return its end, which the caller sends: by then the camera is closed.

    `release`: when a vector may leave; the usual one for this look if None.

    `camera` is unopened. What `emit` and `stop` raise passes through, after everything was closed
    and overwritten; a CameraError becomes the look's end.
    """
    seen = _Seen(release or open_release(look, Site(), emit), Metering(camera))
    end, error = LookEnd.STOPPED, ""
    start = clock()
    closed = start
    try:
        if not stop():
            try:
                with camera:
                    emit(CameraOpen(look.nonce))
                    end = _watch(look, settings, camera, engine, emit, stop, clock, start, seen, lights)
            finally:
                closed = clock()
    except (CameraError, BenchOnlyError) as problem:
        end, error = LookEnd.CAMERA, str(problem)
    finally:
        engine.forget()
        seen.release.forget()
        seen.digests.clear()
    opened_ms = max(0, closed - start) // _MS
    sentence = error[:MAX_SENTENCE]
    return LookDone(look.nonce, end, seen.frames, seen.stale, opened_ms, sentence, seen.refusal, seen.camera)


def failed(nonce: str, error: str) -> LookDone:
    """The end of a look whose camera could not even be named."""
    return LookDone(nonce, LookEnd.CAMERA, 0, 0, 0, error[:MAX_SENTENCE])


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
    lights: Lights,
) -> LookEnd:
    """Examine frames of the open camera until something ends the look."""
    deadline = start + (FINITE_LIMIT_MS if camera.finite else look.limit_ms) * _MS
    while True:
        if stop():
            return LookEnd.STOPPED
        if clock() >= deadline:
            return _over(LookEnd.LIMIT, seen, clock)
        frame = camera.read()
        if frame is None:
            return _over(LookEnd.END_OF_FILE, seen, clock)
        seen.camera = frame.camera
        try:
            if not _is_fresh(frame, look.trigger_ns, clock(), settings.max_frame_age_ms):
                seen.stale += 1
                continue
            seen.frames += 1
            for light in (*lights(), *frame.lights):
                seen.release.told(light)
            if _examine(look, frame, settings, engine, emit, seen):
                return LookEnd.SEVERAL_FACES
            seen.refusal = seen.release.settle(clock())
            if seen.refusal is not None:
                return LookEnd.NOT_LIVE
            if seen.release.over:
                return LookEnd.TOLD
        finally:
            frame.wipe()


def _over(end: LookEnd, seen: _Seen, clock: Callable[[], int]) -> LookEnd:
    """No frame comes any more: what the last ones told."""
    seen.refusal = seen.release.end(clock())
    return end if seen.refusal is None else LookEnd.NOT_LIVE


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
    dead = dead_rows(frame.pixels)
    if is_broken(frame.pixels, dead):
        emit(FrameEmpty(nonce, frame.index, Hint.BAD_FRAME))
        return False
    faces = in_zone(engine.find(frame.pixels, settings.min_score), settings.zone, height, width)
    if not faces:
        seen.release.frame(frame, None, None)
        emit(FrameEmpty(nonce, frame.index, Hint.NO_FACE))
        return False
    if has_rival(faces, settings.rival_share):
        if look.purpose is Purpose.ACCESS:
            return True
        emit(FrameEmpty(nonce, frame.index, Hint.SEVERAL_FACES))
        return False
    nearest = faces[0]
    unlit = seen.metering.unfit(frame, nearest.box)
    if unlit is not None:
        emit(FrameEmpty(nonce, frame.index, unlit))
        return False
    seen.release.frame(
        frame, nearest, engine.landmarks(frame.pixels, nearest) if look.tier is not Tier.OFF else None
    )
    misplaced = _misplaced(frame.pixels, nearest.box, dead, settings)
    if misplaced is not None:
        emit(FrameEmpty(nonce, frame.index, misplaced))
        return False
    chip = engine.chip(frame.pixels, nearest)
    try:
        hint = _unfit(chip.quality, settings)
        if hint is not None:
            emit(FrameEmpty(nonce, frame.index, hint))
            return False
        if not seen.release.wants(frame, chip.quality):
            return False
        try:
            vector = engine.vector(chip, seen.next_view(look.purpose))
        except NoVectorError:
            emit(FrameEmpty(nonce, frame.index, Hint.MODEL_FAULT))
            return False
        distinct = seen.is_new(frame.pixels)
        place = (frame.index, frame.taken_ns, nearest.box, nearest.score, chip.quality)
        seen.release.face(Seen(*place, vector, distinct))
    finally:
        chip.wipe()
    return False


def _misplaced(pixels: Pixels, box: Box, dead: Rows, settings: LookSettings) -> Hint | None:
    """Why this box is no whole face, before anything of it is computed, or None."""
    if box.width < settings.min_size:
        return Hint.COME_CLOSER
    if is_cut_off(box, dead, pixels.shape[1]):
        return Hint.CUT_OFF
    return Hint.BAD_FRAME if is_torn(pixels, box) else None


def _unfit(quality: Quality, settings: LookSettings) -> Hint | None:
    """Why this face would embed badly, or None."""
    if quality.exposure < settings.min_exposure:
        return Hint.TOO_DARK
    if quality.exposure > settings.max_exposure:
        return Hint.TOO_BRIGHT
    if quality.sharpness < settings.min_sharpness:
        return Hint.BLURRED
    return None
