"""One face from its first frame to the verdict: an unbroken track, and what was measured over it.

    see, and prompt or edge, in the order in which they come    →    verdict    →    forget

Only a track makes a `LiveTrack`, and only from a judgement over its own frames: whoever needs one to release an
embedding (`look`) cannot have it otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gatevault.core.liveness import Edge, Evidence, Limits, Prompt, Refusal, Site, Tier, judge
from gatevault.core.types import Vector
from gatevault.vision.detect import Face, Points
from gatevault.vision.frame import Pixels
from gatevault.vision.liveness.continuity import Continuity
from gatevault.vision.liveness.session import Session, open_session

_OURS: Final = object()
"""What a LiveTrack is made with; nobody else has it."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Not decided yet. `ready`: a face was seen well enough for the challenge to begin."""

    ready: bool


@dataclass(frozen=True, slots=True)
class NotLive:
    """Decided: this track never becomes live."""

    refusal: Refusal


class LiveTrack:
    """The frames of a track that lives. Made by `Track` alone."""

    __slots__ = ("_frames", "tier")

    def __init__(self, key: object, tier: Tier, frames: frozenset[int]) -> None:
        if key is not _OURS:
            raise TypeError("only a Track that passed makes a LiveTrack")
        self.tier: Final = tier
        self._frames: Final = frames

    def covers(self, taken_ns: int) -> bool:
        """Whether the frame taken at that time is one of the track's, with the face found in it."""
        return taken_ns in self._frames


Verdict = Pending | LiveTrack | NotLive


class Track:
    """One face. Not for several looks: make another, after `forget`."""

    def __init__(
        self, tier: Tier, limits: Limits | None = None, site: Site | None = None, same_person: float | None = None
    ) -> None:
        """`same_person`: least cosine within one person's look, by its calibration. ValueError for OFF."""
        self._tier = tier
        self._limits = limits or Limits()
        self._continuity = Continuity(self._limits.track, same_person)
        self._session: Session = open_session(tier, self._limits, site or Site())
        self._refusal: Refusal | None = None
        self._passed = False
        self.evidence = Evidence()
        """What the last verdict rested on; for the bench."""

    def see(
        self,
        pixels: Pixels,
        infrared: npt.NDArray[np.uint8] | None,
        taken_ns: int,
        face: Face | None,
        landmarks: Points | None = None,
    ) -> None:
        """The next frame, with the face that the look is about, or None where it was not found.

        `infrared`: shape (height, width) of the same view, at any scale. `landmarks`: dlib's five, shape (5, 2),
        where the detector gives no points. Nothing of the arguments is kept.
        """
        if self._refusal is None:
            self._refusal = self._continuity.see(taken_ns, face)
        if self._refusal is None:
            self._session.see(pixels, infrared, taken_ns, face, landmarks)

    def prompt(self, prompt: Prompt) -> None:
        """A light went on; told at any time, also after frames that were taken later."""
        self._session.prompt(prompt)

    def edge(self, edge: Edge) -> None:
        """The lamp was driven; as `prompt`."""
        self._session.edge(edge)

    def vector(self, taken_ns: int, vector: Vector) -> None:
        """The unit embedding of the face in the frame taken at that time. Its copy is overwritten by `forget`."""
        if self._refusal is None:
            self._refusal = self._continuity.vector(taken_ns, vector)

    def verdict(self, now_ns: int) -> Verdict:
        """What is known at that time. NotLive is final; LiveTrack as long as the track is not broken."""
        if self._refusal is None:
            self._refusal = self._continuity.lost(now_ns)
        if self._refusal is None and not self._passed:
            evidence = self._session.evidence(now_ns)
            if evidence is None:
                return Pending(self._session.ready)
            self.evidence = evidence
            self._refusal = judge(self._tier, evidence, self._limits).refusal
            self._passed = self._refusal is None
            self._session.forget()
        if self._refusal is not None:
            return NotLive(self._refusal)
        return LiveTrack(_OURS, self._tier, self._continuity.frames)

    def forget(self) -> None:
        """Overwrite everything held of pixels and vectors. The track is over: NotLive from here on."""
        self._session.forget()
        self._continuity.forget()
        if self._refusal is None:
            self._refusal = Refusal.LOST_TRACK
