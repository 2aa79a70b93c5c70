"""What the turn test costs or gains with dlib's 68 landmarks in place of corners that are followed.

    python -m gatevault.lab.landmarks FILE PHOTOS [--mesh FOLDER] [--n N] [--split test]

FILE is `shape_predictor_68_face_landmarks.dat`, which excludes commercial products (its upstream README) and is
therefore no part of GateVault. Both see the same rendered frames and the same faces, found by dlib's detector;
both go through the same fit of a head's depth, and the same course and depth are asked of them. What stands beside
the face, and who it is, is left out: neither depends on the points.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import dlib
import msgspec
import numpy as np
import numpy.typing as npt

from gatevault.core.errors import GateVaultError, UsageError
from gatevault.core.liveness import Evidence, Limits, Prompt, Tier, judge
from gatevault.core.liveness.answers import Following, follow
from gatevault.core.liveness.challenge import CUES
from gatevault.lab.evaluate import Say
from gatevault.lab.pad_judge import load_models
from gatevault.lab.presentations import heads, people
from gatevault.lab.presentations.challenge import RGB
from gatevault.lab.presentations.people import SPLITS, TEST
from gatevault.lab.presentations.species import BONA_FIDE, draw
from gatevault.vision.detect import Face, Points
from gatevault.vision.engine import FaceEngine
from gatevault.vision.frame import Pixels
from gatevault.vision.liveness.head import Floats, five_of, frame_of, placed, turned
from gatevault.vision.liveness.points import Tracker
from gatevault.vision.liveness.session import FRONTAL
from gatevault.vision.liveness.turn import Followed, TurnLog
from gatevault.vision.recorded import Presentation
from gatevault.vision.replay import ReplayCamera

import cv2  # isort: skip  # after gatevault.vision, which sets OpenCV's limits

SPECIES: Final = (BONA_FIDE, "print-moved", "print-bent", "print-eye-holes")
"""Screens show the points of the head that they show: there is nothing to compare."""

CORNERS: Final = "corners"
LANDMARKS: Final = "68 landmarks"


@dataclass(frozen=True, slots=True, eq=False)
class Corners:
    """The gate's own way."""

    tracker: Tracker

    def see(self, pixels: Pixels, face: Face | None) -> Followed | None:
        self.tracker.follow(self.tracker.cut(pixels))
        return self.tracker


@dataclass(slots=True, eq=False)
class Landmarks:
    """dlib's, anew in each frame with a face: nothing is followed."""

    predictor: Any
    frame: Floats
    on_face: Floats
    places: npt.NDArray[Any]
    alive: npt.NDArray[np.bool_] = field(default_factory=lambda: np.ones(68, np.bool_))

    def see(self, pixels: Pixels, face: Face | None) -> Followed | None:
        if face is None:
            return None
        self.places = landmarks(self.predictor, pixels, face)
        return self


Contender = Corners | Landmarks


def landmarks(predictor: Any, pixels: Pixels, face: Face) -> Points:
    """The 68, (68, 2), in pixels."""
    box = face.box
    found = predictor(pixels, dlib.rectangle(int(box.left), int(box.top), int(box.right), int(box.bottom)))
    return np.array([(point.x, point.y) for point in found.parts()], np.float64)


@dataclass(slots=True)
class Shown:
    """What one contender made of one presentation."""

    log: TurnLog = field(default_factory=TurnLog)
    spent_s: float = 0.0
    frames: int = 0
    following: Following = field(default_factory=lambda: Following((), unasked=False, settled=False))

    @property
    def passed(self) -> bool:
        """Whether course and depth pass, whatever else is measured."""
        evidence = Evidence(self.following.answers, CUES, self.following.unasked, self.log.log_ratio, sway=0.0)
        return judge(Tier.RGB, evidence, Limits()).live

    @property
    def reach(self) -> float:
        """The least of the turns that were asked for, each to its side; 0 where one was not made."""
        return min((max(0.0, answer.reach or 0.0) for answer in self.following.answers), default=0.0)


def show(presentation: Presentation, engine: FaceEngine, predictor: Any) -> dict[str, Shown] | None:
    """Both contenders on one presentation; None where no frontal face is seen in it."""
    shown = {CORNERS: Shown(), LANDMARKS: Shown()}
    contenders: dict[str, Contender] = {}
    prompts: tuple[Prompt, ...] = ()
    with ReplayCamera(presentation) as camera:
        while (frame := camera.read()) is not None:
            prompts = prompts or tuple(light for light in frame.lights if isinstance(light, Prompt))
            faces = engine.find(frame.pixels, None)
            face = max(faces, key=lambda each: each.box.width, default=None)
            five = five_of(face, engine.landmarks(frame.pixels, face)) if face is not None else None
            if not contenders:
                if face is None or five is None or abs(turned(five)) > FRONTAL:
                    continue
                contenders = {
                    CORNERS: Corners(Tracker(frame.pixels, face.box, five)),
                    LANDMARKS: _landmarks_from(predictor, frame.pixels, face, five),
                }
                continue
            for name, contender in contenders.items():
                began = time.thread_time()
                followed = contender.see(frame.pixels, face)
                if followed is not None:
                    shown[name].log.see(followed, frame.taken_ns)
                shown[name].spent_s += time.thread_time() - began
                shown[name].frames += 1
    engine.forget()
    for each in shown.values():
        each.following = follow(*each.log.series(), prompts, Limits().turn)
    return shown if contenders else None


def _landmarks_from(predictor: Any, pixels: Pixels, face: Face, five: Points) -> Landmarks:
    frame, places = frame_of(five), landmarks(predictor, pixels, face)
    return Landmarks(predictor, frame, placed(frame, places), places)


def separation(living: list[float], prints: list[float]) -> float:
    """The area under the curve: how often a living face has more than a print. 1 is apart, 0.5 is chance."""
    more = np.subtract.outer(np.array(living), np.array(prints))
    return float(np.mean((more > 0.0) + 0.5 * (more == 0.0)))


def compare(
    file: Path, photos: Path, mesh: Path | None, n: int, split: str = TEST, say: Say = lambda _: None
) -> dict[str, Any]:
    """Both over `n` presentations of each species. GateVaultError for files that cannot be used."""
    cv2.setNumThreads(1)
    try:
        predictor = dlib.shape_predictor(str(file))
    except RuntimeError:
        raise UsageError(f"{file} is no file of dlib's 68 landmarks: name another.") from None
    models = load_models(None)
    identities = people.from_folder(photos, models, heads.morphable(mesh) if mesh else heads.builtin())
    engine = FaceEngine(models)
    found: dict[str, list[dict[str, Shown]]] = {name: [] for name in SPECIES}
    for seed in range(n):
        for name in SPECIES:
            seen = show(draw(name, RGB, seed, identities, split), engine, predictor)
            if seen is not None:
                found[name].append(seen)
        say(f"{seed + 1} of {n}")
    return {
        "synthetic": True,
        "split": split,
        "seen": {name: len(rows) for name, rows in found.items()},
        "by": {name: _told(name, found) for name in (CORNERS, LANDMARKS)},
    }


def _told(by: str, found: dict[str, list[dict[str, Shown]]]) -> dict[str, Any]:
    rows = {name: [each[by] for each in seen] for name, seen in found.items()}
    living = rows[BONA_FIDE]
    prints = [each for name, seen in rows.items() if name != BONA_FIDE for each in seen]
    every = [each for seen in rows.values() for each in seen]
    ratios = [[each.log.log_ratio or 0.0 for each in group] for group in (living, prints)]
    return {
        "passed": {name: sum(each.passed for each in seen) for name, seen in rows.items()},
        "separation": {
            "reach": round(separation([e.reach for e in living], [e.reach for e in prints]), 4),
            "log_ratio": round(separation(*ratios), 4),
        },
        "reach_of_the_living": round(float(np.median([each.reach for each in living])), 3),
        "cpu_ms_a_frame": round(1e3 * sum(e.spent_s for e in every) / max(1, sum(e.frames for e in every)), 2),
    }


def _say(line: str) -> None:
    sys.stderr.write(f"\r{line}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gatevault.lab.landmarks", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--mesh", type=Path, metavar="FOLDER", help="the morphable head; else the built-in one")
    parser.add_argument("--n", type=int, default=100, help="presentations a species")
    parser.add_argument("--split", choices=SPLITS, default=TEST)
    told = parser.parse_args(arguments)
    try:
        body = compare(told.file, told.photos, told.mesh, told.n, told.split, _say)
    except GateVaultError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(body)) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
