"""One presentation through the gate's own eyes: detector, liveness, embeddings, and two rules of peers beside them.

nod        a face nods: its nose goes up and down by 6 % of the eyes' distance between two frames (as a
           face login for Linux has it)
movement   landmarks move by more than 1.5 pixels on the mean between two frames (as door projects have it)
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gatevault.core.calibration import Calibration
from gatevault.core.errors import GateVaultError
from gatevault.core.liveness import Site, Tier
from gatevault.core.settings import LookSettings
from gatevault.core.types import Vector
from gatevault.core.wire import FaceSeen, Look, LookDone, LookEnd, Message, Purpose
from gatevault.vision.detect import Face, Points
from gatevault.vision.embed import Chip, NoVectorError, View
from gatevault.vision.engine import FaceEngine
from gatevault.vision.frame import Pixels
from gatevault.vision.liveness import Track
from gatevault.vision.liveness.track import Verdict
from gatevault.vision.look import run_look
from gatevault.vision.models import Models
from gatevault.vision.recorded import Presentation
from gatevault.vision.release import Checked
from gatevault.vision.replay import ReplayCamera
from gatevault.vision.weights import read_file
from gatevault.vision.yunet import YunetDetector

NOD: Final = 0.06
"""Movement down or up between two frames, of the eyes' distance, that counts as half a nod."""

MOVED: Final = 1.5
"""Pixels."""

UNDECIDED: Final = "undecided"
SEVERAL_FACES: Final = "several-faces"
NO_FACE: Final = "no-face"

EMBEDDED: Final = 3
"""Frames that a gate decides over at least: the threshold is that of so many."""

_NS: Final = 1_000_000_000
_NONCE: Final = "0" * 32


@dataclass(frozen=True, slots=True, eq=False)
class Ruling:
    """What became of one presentation."""

    live: bool
    refusal: str
    """Empty where it is live."""
    vectors: npt.NDArray[np.float32]
    """Unit embeddings of frames of the track, (k, d)."""
    nod: bool
    movement: bool
    found: float
    """Share of the frames in which a face was found."""
    decided_s: float
    """Seconds from the first face to the verdict."""
    cpu_ms: float
    """Processor time of liveness, a frame."""


Judge = Callable[[Presentation], Ruling]


class GateJudge:
    """The gate's own look, at a presentation in place of a camera: nothing of it is made anew here."""

    def __init__(self, models: Models, calibration: Calibration) -> None:
        self._engine = FaceEngine(models)
        self._calibration = calibration

    def __call__(self, presentation: Presentation) -> Ruling:
        """Judge a presentation from its first frame to its last. GateVaultError where it has no challenge."""
        same_person = self._calibration.figures.same_person
        look = Look(_NONCE, Purpose.ACCESS, 0, 1_000, None, _tier(presentation), same_person)
        camera = ReplayCamera(presentation)
        watched = _Watched(self._engine, camera)
        release = Checked(look, Site(), watched.told, watched.track)
        done = run_look(
            look, LookSettings(), camera, watched, watched.told, lambda: False, camera.clock, release=release
        )
        return watched.ruling(done, camera.clock(), self._calibration.dimension)

    def embeddings(self, frames: Sequence[Pixels]) -> npt.NDArray[np.float32]:
        """Unit embeddings (k, d) of the faces in frames: an enrolment."""
        rows = []
        for frame in frames:
            faces = self._engine.find(frame, None)
            vector = self._vector(frame, faces[0]) if faces else None
            if vector is not None:
                rows.append(vector)
            self._engine.forget()
        return np.stack(rows) if rows else np.empty((0, self._calibration.dimension), np.float32)

    def _vector(self, pixels: Pixels, face: Face) -> Vector | None:
        chip = self._engine.chip(pixels, face)
        try:
            return self._calibration.normaliser.unit(self._engine.vector(chip, View.BOTH))
        except NoVectorError:
            return None
        finally:
            chip.wipe()


class _Watched:
    """The engine of one look, and what is seen of it from beside: points, vectors, times."""

    def __init__(self, engine: FaceEngine, camera: ReplayCamera) -> None:
        self._engine = engine
        self._camera = camera
        self._marks: list[Points] = []
        self._threes: list[Points] = []
        self._first_ns = 0
        self._live_ns = 0
        self.vectors: list[Vector] = []
        self.spent_s = 0.0

    def find(self, pixels: Pixels, min_score: float | None) -> list[Face]:
        return self._engine.find(pixels, min_score)

    def landmarks(self, pixels: Pixels, face: Face) -> Points | None:
        self._first_ns = self._first_ns or self._camera.clock()
        found = self._engine.landmarks(pixels, face)
        points = face.points if found is None else found
        if points is not None:
            self._marks.append(points)
            self._threes.append(eyes_and_nose(points, face.points is None))
        return found

    def chip(self, pixels: Pixels, face: Face) -> Chip:
        return self._engine.chip(pixels, face)

    def vector(self, chip: Chip, view: View) -> Vector:
        return self._engine.vector(chip, view)

    def forget(self) -> None:
        self._engine.forget()

    def told(self, message: Message) -> None:
        """What the look says of its faces: there is one for a living track alone."""
        if isinstance(message, FaceSeen):
            self._live_ns = self._live_ns or self._camera.clock()

    def track(self, *arguments: Any, **more: Any) -> Track:
        return _TimedTrack(self, *arguments, **more)

    def ruling(self, done: LookDone, now_ns: int, dimension: int) -> Ruling:
        live = bool(self._live_ns) and done.end is not LookEnd.NOT_LIVE
        frames = max(1, done.frames)
        decided_ns = self._live_ns or now_ns
        refusal = "" if live else _refusal(done, bool(self._marks))
        return Ruling(
            live=live,
            refusal=refusal,
            vectors=np.stack(self.vectors) if self.vectors else np.empty((0, dimension), np.float32),
            nod=nods(self._threes),
            movement=moves(self._marks),
            found=len(self._marks) / frames,
            decided_s=(decided_ns - self._first_ns) / _NS if self._first_ns else 0.0,
            cpu_ms=1e3 * self.spent_s / frames,
        )


class _TimedTrack(Track):
    """A track that tells how long it took, and keeps the vectors that it was given."""

    def __init__(self, watched: _Watched, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._watched = watched

    def see(self, *arguments: Any) -> None:
        began = time.thread_time()
        super().see(*arguments)
        self._watched.spent_s += time.thread_time() - began

    def vector(self, taken_ns: int, vector: Vector) -> None:
        self._watched.vectors.append(vector.copy())
        super().vector(taken_ns, vector)

    def verdict(self, now_ns: int) -> Verdict:
        began = time.thread_time()
        told = super().verdict(now_ns)
        self._watched.spent_s += time.thread_time() - began
        return told


def _refusal(done: LookDone, was_seen: bool) -> str:
    if done.end is LookEnd.SEVERAL_FACES:
        return SEVERAL_FACES
    if not was_seen:
        return NO_FACE
    return UNDECIDED if done.refusal is None else done.refusal.value


def load_models(yunet: Path | None) -> Models:
    """The gate's networks; with YuNet from a file as the detector where one is named. ModelError."""
    from gatevault.vision import models

    loaded = models.load()
    return loaded if yunet is None else dataclasses.replace(loaded, detector=YunetDetector(read_file(yunet)))


def _tier(presentation: Presentation) -> Tier:
    """What the presentation's challenge belongs to. GateVaultError where there is none."""
    if presentation.ir is not None:
        return Tier.IR
    if presentation.led:
        return Tier.LED
    if presentation.prompts:
        return Tier.RGB
    raise GateVaultError("The presentation has no challenge: neither prompts nor a light's edges.")


def eyes_and_nose(points: Points, is_dlib: bool) -> Points:
    """The person's right eye, left eye and nose, (3, 2), of YuNet's five points or of dlib's (`vision.embed`)."""
    if is_dlib:
        return np.stack((points[2:4].mean(axis=0), points[0:2].mean(axis=0), points[4]))
    return points[:3]


# --- peers ---------------------------------------------------------------------------------------------


def nods(track: Sequence[Points]) -> bool:
    """Whether the nose went up and down before it went left and right; `track`: `eyes_and_nose` of each frame."""
    turns: dict[int, list[bool]] = {0: [], 1: []}
    for before, now in pairwise(track):
        apart = max(float(np.hypot(*(now[1] - now[0]))), 1.0)
        for axis in (0, 1):
            moved = float(now[2, axis] - before[2, axis]) / apart
            if abs(moved) > NOD and (not turns[axis] or turns[axis][-1] != (moved < 0.0)):
                turns[axis].append(moved < 0.0)
            if len(turns[axis]) >= 2:
                return axis == 1
    return False


def moves(track: Sequence[Points]) -> bool:
    """Whether the landmarks, (5, 2) of each frame, moved by more than 1.5 pixels on the mean between two frames."""
    return any(float(np.hypot(*(now - before).T).mean()) > MOVED for before, now in pairwise(track))
