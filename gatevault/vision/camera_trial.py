"""`python -m gatevault.vision.camera_trial v4l2:/dev/video0`: open a camera as looks do, and measure it.

Answers one JSON object: for each look what the camera was found to do and how old its frames were, then the same of
a look in which nobody reads for two seconds (a queue then serves the person before), and `findings`, in sentences.
No picture leaves this process. Exit status: 0 nothing was found, 1 something was, or no camera, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any, Final

import msgspec
import numpy as np

from gatevault.core.camera import CameraState, findings
from gatevault.core.errors import CameraError, GateVaultError
from gatevault.core.settings import LookSettings
from gatevault.vision.camera import open_camera, prepare
from gatevault.vision.frame import Camera

FRAMES: Final = 30
"""Read in each look: a second's worth."""

PAUSE_S: Final = 2.0
"""How long nobody reads, to see how many old frames are served afterwards."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m gatevault.vision.camera_trial", description="Measure a camera."
    )
    parser.add_argument("camera", metavar="URI", help="v4l2:/dev/video0 or picamera2:0")
    parser.add_argument("--looks", type=int, default=3, metavar="N", help="how often to open it (3)")
    given = parser.parse_args(arguments)
    try:
        prepare(given.camera)
        body = measured(given.camera, max(1, given.looks))
    except GateVaultError as error:
        sys.stderr.write(f"gatevault camera trial: {error}\n")
        return error.exit_status
    sys.stdout.write(json.dumps(body) + "\n")
    return 1 if body["findings"] else 0


def measured(uri: str, looks: int) -> dict[str, Any]:
    """Open the camera `uri` for `looks` looks and one with a pause; see the module's docstring. CameraError."""
    states: list[CameraState] = []
    each = [_look(uri, states, 0.0) for _ in range(looks)]
    paused = _look(uri, states, PAUSE_S)
    told = [str(found) for found in findings(max(states, key=lambda state: state.opened_ms))] if states else []
    unusable = [look for look in each if look["refused"] > FRAMES // 2]
    if unusable:
        told.append(
            f"{unusable[0]['refused']} of {FRAMES} frames are older than {LookSettings().max_frame_age_ms} ms or "
            "tell no time: no face would count; take another camera"
        )
    return {"camera": uri, "looks": each, "after_a_pause": paused, "findings": told}


def _look(uri: str, states: list[CameraState], pause_s: float) -> dict[str, Any]:
    with open_camera(uri, bench=False, repeat=False) as camera:
        state = _wiped(camera)[0]
        if state is not None:
            states.append(state)
        time.sleep(pause_s)
        began = time.monotonic()
        ages = [_wiped(camera)[1] for _ in range(FRAMES)]
        rate = FRAMES / (time.monotonic() - began)
    limit = LookSettings().max_frame_age_ms
    known = [age for age in ages if age is not None]
    return {
        "state": msgspec.to_builtins(state),
        "frames_per_s": round(rate, 1),
        "age_ms": {name: round(float(np.quantile(known, q)), 1) for name, q in _QUANTILES.items()}
        if known
        else None,
        "unknown_ages": len(ages) - len(known),
        "refused": sum(age is None or age > limit for age in ages),
    }


_QUANTILES: Final = {"least": 0.0, "median": 0.5, "most": 1.0}


def _wiped(camera: Camera) -> tuple[CameraState | None, float | None]:
    """Read one frame and overwrite it: what the camera tells of itself, and its age in ms (None: nobody knows)."""
    frame = camera.read()
    if frame is None:
        raise CameraError("the camera ended: try a real one, v4l2: or picamera2:.")
    frame.wipe()
    age = (time.monotonic_ns() - frame.taken_ns) / 1e6 if frame.taken_ns else None
    return frame.camera, age


if __name__ == "__main__":
    sys.exit(main())
