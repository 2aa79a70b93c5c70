"""When the vector of a face may leave: at once where liveness is off (a bench, an enrolment), else with its track.

`Checked` keeps the vectors of a track until it lives, and overwrites them where it does not; no frame after the
judgement leaves. What leaves is made from a `LiveTrack` alone (`_released`): a type, not a flag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

import numpy as np

from gatevault.core.liveness import Edge, Prompt, Refusal, Site, Tier
from gatevault.core.types import Box, Quality, Vector
from gatevault.core.wire import Begin, Look, Message, Purpose, face_seen
from gatevault.vision.aim import Aiming
from gatevault.vision.align import Points
from gatevault.vision.detect import Face
from gatevault.vision.frame import Frame
from gatevault.vision.liveness import LiveTrack, NotLive, Pending, Track
from gatevault.vision.liveness.veto import Veto

MOST_KEPT: Final = 6
"""The latest vectors, which wait for their track: as many as a look is decided over, and some to spare. Earlier
ones have told whether it still is the same person, and go."""

APART_NS: Final = 150_000_000
"""Between two frames whose vectors are kept: pictures a moment apart tell nothing new, and embedding costs most."""

AFTER_NS: Final = 200_000_000
"""How long after the last frame the verdict is asked for: a pattern is judged a little after its end."""

FRONTAL: Final = 0.2
"""Yaw up to which a face is embedded during a challenge, in inter-eye distances: a turned head is unlike itself."""

Emit = Callable[[Message], None]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A usable face of one frame, before it may leave."""

    frame: int
    taken_ns: int
    box: Box
    score: float
    quality: Quality
    vector: Vector = field(repr=False)
    distinct: bool = True

    def wipe(self) -> None:
        self.vector.fill(0.0)


class Release(Protocol):
    """What a look tells of each frame, and asks."""

    @property
    def over(self) -> bool:
        """Whether all that may leave has left, so that the camera need not stay open."""

    def frame(self, frame: Frame, face: Face | None, landmarks: Points | None) -> None:
        """A fresh frame, with the face that the look is about, or without one."""

    def wants(self, frame: Frame, quality: Quality) -> bool:
        """Whether this face is to be embedded."""

    def face(self, seen: Seen) -> None:
        """A usable face with its vector, which is this object's from now on: it wipes it."""

    def settle(self, now_ns: int) -> Refusal | None:
        """Let go what may leave; why the look ends, where somebody was asked and does not live."""

    def end(self, now_ns: int) -> Refusal | None:
        """As `settle`, when no frame comes any more: whoever was asked and is not found alive has not answered."""

    def told(self, light: Prompt | Edge) -> None:
        """A light that asks went on, or the lamp was driven: told at any time, also after frames taken later."""

    def forget(self) -> None:
        """Overwrite all that is kept. The look is over."""


def open_release(look: Look, site: Site, emit: Emit, veto: Veto | None = None) -> Release:
    """As the look asks. The caller has seen to it that only a bench and an enrolment ask for nothing."""
    if look.purpose is Purpose.AIM:
        return Aiming(look.nonce, emit)
    if look.tier is Tier.OFF:
        return Unchecked(look.nonce, emit)
    return Checked(look, site, emit, partial(Track, veto=veto))


class Unchecked:
    """Liveness is off: each face leaves at once, for as long as the look lasts."""

    over = False

    def __init__(self, nonce: str, emit: Emit) -> None:
        self._nonce = nonce
        self._emit = emit

    def frame(self, frame: Frame, face: Face | None, landmarks: Points | None) -> None:
        """Nothing is followed."""

    def wants(self, frame: Frame, quality: Quality) -> bool:
        return True

    def face(self, seen: Seen) -> None:
        try:
            self._emit(_message(self._nonce, seen))
        finally:
            seen.wipe()

    def settle(self, now_ns: int) -> Refusal | None:
        return None

    def end(self, now_ns: int) -> Refusal | None:
        return None

    def told(self, light: Prompt | Edge) -> None:
        """Nobody was asked, and no lamp counts."""

    def forget(self) -> None:
        """Nothing is kept."""


class Checked:
    """Liveness is on: nothing leaves but with a track that lives."""

    def __init__(self, look: Look, site: Site, emit: Emit, make: Callable[..., Track] | None = None) -> None:
        """`make` makes the tracks, where what they measure is watched."""
        self._look = look
        self._site = site
        self._emit = emit
        self._make = make or Track
        self._kept: list[Seen] = []
        self._begun = False
        """Whether somebody was asked already: from then on a lost track is the look's end."""
        self._last_ns = 0
        self.over = False
        self._track = self._new_track()

    def _new_track(self) -> Track:
        return self._make(self._look.tier, site=self._site, same_person=self._look.same_person)

    def frame(self, frame: Frame, face: Face | None, landmarks: Points | None) -> None:
        self._track.see(frame.pixels, frame.infrared, frame.taken_ns, face, landmarks)

    def wants(self, frame: Frame, quality: Quality) -> bool:
        return abs(quality.yaw) <= FRONTAL and frame.taken_ns - self._last_ns >= APART_NS

    def face(self, seen: Seen) -> None:
        self._last_ns = seen.taken_ns
        self._kept.append(seen)
        if len(self._kept) > MOST_KEPT:
            self._kept.pop(0).wipe()
        unit = seen.vector / np.linalg.norm(seen.vector)
        try:
            self._track.vector(seen.taken_ns, unit)
        finally:
            unit.fill(0.0)

    def settle(self, now_ns: int) -> Refusal | None:
        verdict = self._track.verdict(now_ns)
        if isinstance(verdict, Pending):
            if verdict.ready and not self._begun:
                self._begun = True
                self._emit(Begin(self._look.nonce))
            return None
        if isinstance(verdict, LiveTrack):
            self._release(verdict)
            self.over = True
            return None
        return self._refused(verdict)

    def end(self, now_ns: int) -> Refusal | None:
        refusal = self.settle(now_ns + AFTER_NS)
        if refusal is None and self._begun and isinstance(self._track.verdict(now_ns + AFTER_NS), Pending):
            return Refusal.TOO_LATE
        return refusal

    def _release(self, track: LiveTrack) -> None:
        while self._kept:
            seen = self._kept.pop(0)
            try:
                if track.covers(seen.taken_ns):
                    self._emit(_released(track, self._look.nonce, seen))
            finally:
                seen.wipe()

    def _refused(self, verdict: NotLive) -> Refusal | None:
        self._wipe()
        if self._begun:
            return verdict.refusal
        self._track.forget()  # somebody came and went before anything was asked: another may come
        self._track = self._new_track()
        return None

    def told(self, light: Prompt | Edge) -> None:
        self._begun = True
        if isinstance(light, Prompt):
            self._track.prompt(light)
        else:
            self._track.edge(light)

    def forget(self) -> None:
        self._track.forget()
        self._wipe()

    def _wipe(self) -> None:
        for seen in self._kept:
            seen.wipe()
        self._kept.clear()


def _released(track: LiveTrack, nonce: str, seen: Seen) -> Message:
    """The face's message: there is none where liveness is on but for a track that lives."""
    if not track.covers(seen.taken_ns):
        raise ValueError("a frame that is not of this track")
    return _message(nonce, seen)


def _message(nonce: str, seen: Seen) -> Message:
    return face_seen(nonce, seen.frame, seen.box, seen.score, seen.quality, seen.vector, seen.distinct)
