"""One face from its first frame to the verdict: an unbroken track, and what was measured over it.

    see, and prompt or edge, in the order in which they come    →    verdict    →    forget

Only a track makes a `LiveTrack`, and only from a judgement over its own frames: whoever needs one to release an
embedding (`look`) cannot have it otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from gatevault.core.liveness import Edge, Evidence, Limits, Prompt, Refusal, Site, Tier, judge
from gatevault.core.types import Vector
from gatevault.vision.detect import Face, Points
from gatevault.vision.frame import Pixels
from gatevault.vision.liveness.continuity import Continuity
from gatevault.vision.liveness.session import Session, open_session
from gatevault.vision.liveness.veto import Veto

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
    """The frames of a track that lives. Made by `Track` alone.

    It covers the frames through which the face's own points were followed without a break, up to the judgement, and
    whose vectors agreed: whoever is exchanged for a picture before, between or afterwards is not covered.
    """

    __slots__ = ("_frames", "tier")

    def __init__(self, key: object, tier: Tier, frames: frozenset[int]) -> None:
        if key is not _OURS:
            raise TypeError("only a Track that passed makes a LiveTrack")
        self.tier: Final = tier
        self._frames: Final = frames

    def covers(self, taken_ns: int) -> bool:
        """Whether the embedding of the frame taken at that time may be released."""
        return taken_ns in self._frames


Verdict = Pending | LiveTrack | NotLive


class Track:
    """One face. Not for several looks: make another, after `forget`."""

    def __init__(
        self,
        tier: Tier,
        limits: Limits | None = None,
        site: Site | None = None,
        same_person: float | None = None,
        veto: Veto | None = None,
    ) -> None:
        """`same_person`: least cosine within one person's look, by its calibration. ValueError for OFF."""
        self._tier = tier
        self._limits = limits or Limits()
        self._continuity = Continuity(self._limits.track, same_person)
        self._session: Session = open_session(tier, self._limits, site or Site())
        self._veto = veto
        self._refusal: Refusal | None = None
        self._passed: LiveTrack | None = None
        self._shape: tuple[int, ...] = ()
        self._followed: set[int] = set()
        self._agreed: set[int] = set()
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
        if self._refusal is not None or self._passed is not None:
            return
        if self._shape not in ((), pixels.shape):
            self._refusal = Refusal.LOST_TRACK
            return
        self._shape = pixels.shape
        self._refusal = self._continuity.see(taken_ns, face)
        if self._refusal is not None:
            return
        self._session.see(pixels, infrared, taken_ns, face, landmarks)
        if self._session.broken:
            self._refusal = Refusal.LOST_TRACK
        elif face is not None and self._session.followed:
            self._followed.add(taken_ns)
            if self._veto is not None:
                self._veto.see(pixels, face)

    def prompt(self, prompt: Prompt) -> None:
        """A light went on; told at any time, also after frames that were taken later."""
        self._session.prompt(prompt)

    def edge(self, edge: Edge) -> None:
        """The lamp was driven; as `prompt`."""
        self._session.edge(edge)

    def vector(self, taken_ns: int, vector: Vector) -> None:
        """The unit embedding of the face in the frame taken at that time: of the same person as those before it?

        Its copy is overwritten by `forget`. ValueError for a frame that is none of the track's.
        """
        if self._refusal is not None or self._passed is not None:
            return
        self._refusal = self._continuity.vector(taken_ns, vector)
        if self._refusal is None and taken_ns in self._followed:
            self._agreed.add(taken_ns)

    def verdict(self, now_ns: int) -> Verdict:
        """What is known at that time. What is decided stays."""
        if self._refusal is None and self._passed is None:
            self._refusal = self._continuity.lost(now_ns)
        if self._refusal is None and self._passed is None:
            evidence = self._session.evidence(now_ns)
            if evidence is None:
                return Pending(self._session.ready)
            if self._veto is not None:
                evidence = msgspec.structs.replace(evidence, veto=self._veto.score)
            self.evidence = evidence
            self._refusal = judge(self._tier, evidence, self._limits).refusal
            if self._refusal is None:
                self._passed = LiveTrack(_OURS, self._tier, frozenset(self._agreed))
            self._session.forget()
        if self._passed is not None:
            return self._passed
        return NotLive(self._refusal or Refusal.NOT_LIVE)

    def forget(self) -> None:
        """Overwrite everything held of pixels and vectors. An undecided track is NotLive from here on."""
        self._session.forget()
        self._continuity.forget()
        if self._veto is not None:
            self._veto.forget()
        if self._refusal is None and self._passed is None:
            self._refusal = Refusal.LOST_TRACK
