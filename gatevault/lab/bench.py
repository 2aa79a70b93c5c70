"""How long one recognised frame takes here, beside `face_recognition`, and one search among residents.

Both see the same frames in turn, so that whatever else the machine does weighs on both:

gatevault          detect at working size, five landmarks, chip, quality, vector (what vision does a frame)
face_recognition   `face_locations` and `face_encodings`, as its Raspberry Pi example calls them

Times are of this machine at this moment; only their ratio means something elsewhere.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from gatevault.core.errors import GateVaultError
from gatevault.core.matching import identify
from gatevault.core.settings import LookSettings, MatchSettings
from gatevault.lab.portraits import HEIGHT, WIDTH, admiral, astronaut, moving
from gatevault.vision import models
from gatevault.vision.frame import Pixels
from gatevault.vision.look import DlibEngine

import cv2  # isort: skip  # after gatevault.vision, which sets OpenCV's limits

FRAMES: Final = 12
"""Frames a portrait; the first of each warms caches and is not counted."""

ESTATES: Final = (100, 1_000, 10_000)
"""Numbers of residents that a search is timed among."""

SEARCHES: Final = 200


def bench(frames: int = FRAMES) -> dict[str, Any]:
    """Time both on the demo's moving portraits. GateVaultError where portraits or library are absent."""
    reference = _face_recognition()
    cv2.setNumThreads(1)  # as the vision process does
    loaded = models.load()
    engine, floor = DlibEngine(loaded), LookSettings().min_score
    ours: list[float] = []
    theirs: list[float] = []
    both = 0
    for portrait in (astronaut(), admiral()):
        for number, frame in enumerate(moving(portrait, frames + 1, seed=4)):
            found, our_time = _timed(_recognise, engine, frame, floor)
            known, their_time = _timed(reference, frame)
            if number and found and known:
                both += 1
                ours.append(our_time)
                theirs.append(their_time)
    if not both:
        raise GateVaultError("No frame was recognised by both: the portraits or the models are not what they were.")
    return {
        "frame_ratio": round(statistics.median(theirs) / statistics.median(ours), 2),
        "frame_ms": {"gatevault": _median_ms(ours), "face_recognition": _median_ms(theirs)},
        "frames": both,
        "size": f"{WIDTH}x{HEIGHT}",
        "match_ms": {str(count): _match_ms(count, loaded.dimension) for count in ESTATES},
        "machine": machine(),
    }


def _recognise(engine: DlibEngine, frame: Pixels, floor: float) -> bool:
    """One frame, as `vision.look` examines it; whether there was a face."""
    faces = engine.find(frame, floor)
    if not faces:
        return False
    chip = engine.chip(frame, faces[0].box)
    engine.vector(chip).fill(0.0)
    chip.wipe()
    return True


def _face_recognition() -> Callable[[Pixels], bool]:
    """The two calls of face_recognition's `facerec_on_raspberry_pi.py`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # its use of pkg_resources is known
            import face_recognition
    except (ImportError, SystemExit) as error:  # it calls quit() where its models do not import
        raise GateVaultError("face_recognition does not import here: run `make setup`.") from error

    def recognise(frame: Pixels) -> bool:
        return bool(face_recognition.face_encodings(frame, face_recognition.face_locations(frame)))

    return recognise


def _match_ms(count: int, dimension: int) -> float:
    """Median time of one search among `count` residents, with random unit vectors."""
    chance = np.random.default_rng(count)
    gallery = _units(chance.standard_normal((count, dimension)))
    probes = _units(chance.standard_normal((SEARCHES, dimension)))
    residents, settings = [f"r-{i:016x}" for i in range(count)], MatchSettings()
    times = [_timed(identify, probe, gallery, residents, settings)[1] for probe in probes]
    return _median_ms(times)


def _units(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _timed(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    result = work(*arguments)
    return result, time.perf_counter() - began


def _median_ms(seconds: Sequence[float]) -> float:
    return round(statistics.median(seconds) * 1000, 3)


def machine() -> dict[str, Any]:
    """Which machine this is: its processor's name, the cores that we may use, and how busy it is."""
    return {
        "cpu": _cpu(Path("/proc/cpuinfo")) or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def _cpu(info: Path) -> str:
    """`model name` on x86; `Model`, the board's name, on a Raspberry Pi; empty where neither is told."""
    try:
        lines = info.read_text().splitlines()
    except OSError:
        return ""
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return told.get("model name") or told.get("Model") or ""
