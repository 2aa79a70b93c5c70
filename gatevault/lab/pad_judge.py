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
from typing import Final

import numpy as np
import numpy.typing as npt

from gatevault.core.calibration import Calibration
from gatevault.core.errors import GateVaultError
from gatevault.core.liveness import Edge, Lamp, Prompt, Side, Tier
from gatevault.core.settings import LookSettings
from gatevault.core.types import Vector
from gatevault.vision.detect import Face, Points, has_rival, in_zone
from gatevault.vision.embed import NoVectorError, View
from gatevault.vision.engine import FaceEngine
from gatevault.vision.frame import Pixels
from gatevault.vision.liveness import LiveTrack, NotLive, Track
from gatevault.vision.models import Models
from gatevault.vision.recorded import Presentation
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
"""Frames of a presentation that are embedded: as many as a gate decides over."""

_ASIDE: Final = 0.2
"""A face turned farther (`core.types.Quality.yaw`) is not embedded."""

_NS: Final = 1_000_000_000
_BEGAN_NS: Final = 10 * _NS
"""When a look begins on the judge's clock: a time that is none in the presentation."""

_AFTER_S: Final = 0.2
"""Seconds after the last frame at which an open verdict is asked for once more."""


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
    """The gate's own liveness, as the vision process runs it."""

    def __init__(self, models: Models, calibration: Calibration) -> None:
        self._engine = FaceEngine(models)
        self._landmarks = models.landmarks
        self._calibration = calibration
        self._settings = LookSettings()

    def __call__(self, presentation: Presentation) -> Ruling:
        """Judge a presentation from its first frame to its last."""
        track = Track(_tier(presentation), same_person=self._calibration.figures.same_person)
        try:
            return self._judged(presentation, track)
        finally:
            track.forget()
            self._engine.forget()

    def embeddings(self, frames: Sequence[Pixels]) -> npt.NDArray[np.float32]:
        """Unit embeddings (k, d) of the faces in frames: an enrolment."""
        rows = []
        for frame in frames:
            faces = self._engine.find(frame, None)
            vector = self._vector(frame, faces[0], View.BOTH) if faces else None
            if vector is not None:
                rows.append(vector)
            self._engine.forget()
        return np.stack(rows) if rows else np.empty((0, self._calibration.dimension), np.float32)

    def _judged(self, presentation: Presentation, track: Track) -> Ruling:
        events = _events(presentation)
        marks: list[Points] = []
        threes: list[Points] = []
        vectors: list[Vector] = []
        refusal = UNDECIDED
        decided = first = 0.0
        live = False
        spent = 0.0
        due = _embed_at(presentation)
        at = 0.0
        for number, at in enumerate(presentation.times.tolist()):
            while events and events[0][0] <= at:
                _tell(track, events.pop(0))
            pixels = np.ascontiguousarray(presentation.frames[number])
            height, width = pixels.shape[:2]
            faces = in_zone(self._engine.find(pixels, None), self._settings.zone, height, width)
            if has_rival(faces, self._settings.rival_share):
                refusal = SEVERAL_FACES
                break
            face = faces[0] if faces else None
            first = first or (at if face else 0.0)
            points = self._points(pixels, face) if face else None
            if face and points is not None:
                marks.append(points)
                threes.append(eyes_and_nose(points, face.points is None))
            infrared = presentation.ir[number] if presentation.ir is not None else None
            began = time.thread_time()
            track.see(pixels, infrared, _ns(at), face, points if face and face.points is None else None)
            spent += time.thread_time() - began
            if face and points is not None and due and at >= due[0] and abs(_yaw(threes[-1])) < _ASIDE:
                vector = self._vector(pixels, face, View.BOTH)
                if vector is not None:
                    due.pop(0)
                    vectors.append(vector)
                    _try_vector(track, _ns(at), vector)
            began = time.thread_time()
            verdict = track.verdict(_ns(at))
            spent += time.thread_time() - began
            if isinstance(verdict, NotLive):
                refusal, decided = verdict.refusal.value, decided or at
                break
            if isinstance(verdict, LiveTrack) and not live:
                live, decided = True, at
        else:
            for event in events:
                _tell(track, event)
            verdict = track.verdict(_ns(at + _AFTER_S))
            live = isinstance(verdict, LiveTrack)
            decided = decided or at + _AFTER_S
            refusal = "" if live else verdict.refusal.value if isinstance(verdict, NotLive) else UNDECIDED
        return Ruling(
            live=live and not refusal,
            refusal=refusal if marks else NO_FACE,
            vectors=np.stack(vectors) if vectors else np.empty((0, self._calibration.dimension), np.float32),
            nod=nods(threes),
            movement=moves(marks),
            found=len(marks) / (number + 1),
            decided_s=max(0.0, decided - first),
            cpu_ms=1e3 * spent / (number + 1),
        )

    def _points(self, pixels: Pixels, face: Face) -> Points:
        """Five points: the detector's, or dlib's."""
        if face.points is not None:
            return face.points
        import dlib

        box = face.box
        shape = self._landmarks(pixels, dlib.rectangle(box.left, box.top, box.right - 1, box.bottom - 1))
        return np.array([(p.x, p.y) for p in shape.parts()], np.float64)

    def _vector(self, pixels: Pixels, face: Face, view: View) -> Vector | None:
        chip = self._engine.chip(pixels, face)
        try:
            return self._calibration.normaliser.unit(self._engine.vector(chip, view))
        except NoVectorError:
            return None
        finally:
            chip.wipe()


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


def _ns(seconds: float) -> int:
    return _BEGAN_NS + round(seconds * _NS)


_Event = tuple[float, Prompt | Edge]


def _events(presentation: Presentation) -> list[_Event]:
    """Prompts and edges in order of time."""
    events: list[_Event] = [(at, Prompt(_ns(at), Side(side))) for at, side in presentation.prompts]
    for lamp, edges in ((Lamp.LED, presentation.led), (Lamp.IR, presentation.ir_led)):
        events += [(at, Edge(_ns(at), lamp, lit)) for at, lit in edges]
    return sorted(events, key=lambda event: event[0])


def _tell(track: Track, event: _Event) -> None:
    what = event[1]
    if isinstance(what, Prompt):
        track.prompt(what)
    else:
        track.edge(what)


def _try_vector(track: Track, taken_ns: int, vector: Vector) -> None:
    try:
        track.vector(taken_ns, vector)
    except ValueError:  # a frame that the track did not take: its face had jumped
        return


def _embed_at(presentation: Presentation) -> list[float]:
    """From when on each of the embeddings is taken: spread over the look."""
    last = float(presentation.times[-1])
    return [last * (0.1 + 0.8 * n / EMBEDDED) for n in range(EMBEDDED)]


def eyes_and_nose(points: Points, is_dlib: bool) -> Points:
    """The person's right eye, left eye and nose, (3, 2), of YuNet's five points or of dlib's (`vision.embed`)."""
    if is_dlib:
        return np.stack((points[2:4].mean(axis=0), points[0:2].mean(axis=0), points[4]))
    return points[:3]


def _yaw(three: Points) -> float:
    right, left, nose = three
    line = left - right
    length = max(float(np.hypot(*line)), 1e-6)
    return float(np.dot(nose - (right + left) / 2, line)) / length**2


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
