"""Real pictures of faces and attacks, made into presentations: few, and told apart from the synthetic ones.

A folder has, where they are there:

    pad/led/NAME_live_background.*, NAME_live_flash.*, NAME_spoof_…    with the flash off and on
    pad/stills/                                                       files beginning with T: real, F: attacks
    faces/*.mp4                                                       genuine clips

Nobody in stills and clips was asked for a turn, so none passes the turn challenge: what is told is that they are
refused, and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from gatevault.core.calibration import Calibration
from gatevault.core.errors import CameraError, UsageError
from gatevault.lab.pad_judge import GateJudge
from gatevault.lab.presentations.challenge import LED, RATES, RGB, Challenge, draw_challenge
from gatevault.lab.presentations.scene import moments
from gatevault.lab.presentations.sensor import lit_before
from gatevault.vision.frame import Pixels
from gatevault.vision.models import Models
from gatevault.vision.pictures import PICTURE_SUFFIXES, ClipCamera, read_picture
from gatevault.vision.recorded import Presentation

_LONGEST: Final = 960
CLIP_S: Final = 0.1
"""Seconds from frame to frame of a clip, as the camera of clips has it."""

_ROUNDS: Final = 4
"""Challenges that each pair of pictures is shown under."""


def real_clips(folder: Path, tier: str, models: Models, calibration: Calibration) -> list[dict[str, Any]]:
    """Each real picture's ruling at a tier. UsageError where the folder has none for it."""
    judge = GateJudge(models, calibration)
    told = []
    for name, what, presentation in _presentations(folder, tier):
        ruling = judge(presentation)
        told.append(
            {
                "name": name,
                "what": what,
                "live": ruling.live,
                "refusal": ruling.refusal,
                "nod": ruling.nod,
                "movement": ruling.movement,
                "face_found": round(ruling.found, 3),
            }
        )
    if not told:
        raise UsageError(f"{folder} has no real pictures for the tier {tier}: it holds pad/led, pad/stills, faces.")
    return told


def _presentations(folder: Path, tier: str) -> Iterator[tuple[str, str, Presentation]]:
    if tier == LED:
        for dark in sorted((folder / "pad" / "led").glob("*_background.*")):
            lit = dark.with_name(dark.name.replace("_background", "_flash"))
            if lit.is_file():
                what = "printed face" if "spoof" in dark.name else "living face"
                yield from _pair(dark.stem.removesuffix("_background"), what, read_picture(dark), read_picture(lit))
    if tier == RGB:
        for path in sorted((folder / "pad" / "stills").glob("*")):
            if path.suffix.lower() in PICTURE_SUFFIXES:
                what = "living face, a still" if "_T" in path.stem else "attack, a still"
                challenge = draw_challenge(RGB, np.random.default_rng(1))
                picture = _shrunk(read_picture(path))
                yield path.stem, what, _alternating(picture, picture, challenge, RGB, np.random.default_rng(2))
        for path in sorted((folder / "faces").glob("*.mp4")):
            yield path.stem, "living face, not asked to turn", _clip(path)


def _pair(name: str, what: str, dark: Pixels, lit: Pixels) -> Iterator[tuple[str, str, Presentation]]:
    """Both pictures shown in turn as patterns have it."""
    dark, lit = _shrunk(dark), _shrunk(lit)
    if dark.shape != lit.shape:
        raise UsageError(f"{name}: the pictures with the flash off and on differ in size.")
    for seed in range(_ROUNDS):
        challenge = draw_challenge(LED, np.random.default_rng(seed))
        shown = _alternating(dark, lit, challenge, LED, np.random.default_rng(seed + 100))
        yield f"{name}, pattern {seed + 1}", what, shown


def _alternating(
    dark: Pixels, lit: Pixels, challenge: Challenge, tier: str, chance: np.random.Generator
) -> Presentation:
    """`lit` while the light is on, with a camera's noise."""
    times = moments(chance, challenge.seconds, RATES[tier])
    frames = np.empty((len(times), *dark.shape), np.uint8)
    for number, at in enumerate(times.tolist()):
        state = lit_before(challenge.led)
        for when, is_lit in challenge.led:
            state = is_lit if when <= at - 0.01 else state
        noisy = (lit if state else dark) + chance.normal(0.0, 1.5, dark.shape).astype(np.float32)
        frames[number] = np.clip(np.round(noisy), 0.0, 255.0)
    return Presentation(frames, times, None, challenge.prompts, challenge.led, species="real")


def _clip(path: Path) -> Presentation:
    """The beginning of a clip as one look."""
    challenge = draw_challenge(RGB, np.random.default_rng(1))
    frames: list[npt.NDArray[np.uint8]] = []
    times: list[float] = []
    with ClipCamera(path) as camera:
        while (frame := camera.read()) is not None and len(frames) * CLIP_S <= challenge.seconds:
            times.append(len(frames) * CLIP_S)
            frames.append(_shrunk(frame.pixels))
    if not frames:
        raise CameraError(f"{path} has no frames: use another clip.")
    return Presentation(np.stack(frames), np.array(times), None, challenge.prompts, species="real")


def _shrunk(pixels: Pixels) -> Pixels:
    """At most 960 pixels on its long side: the gate's cameras have no more."""
    scale = _LONGEST / max(pixels.shape[:2])
    if scale >= 1.0:
        return pixels
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    return np.ascontiguousarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
