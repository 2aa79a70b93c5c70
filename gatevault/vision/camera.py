"""Which camera a URI means, and which of them a state may use.

v4l2:/dev/video0     a USB or CSI camera of the kernel
picamera2:0          a Raspberry Pi camera through libcamera
file:clip.mp4        bench: a clip to its end, one still picture, or a recorded presentation (.npz)
dir:photos/          bench: its pictures in order of name
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from gatevault.core.errors import BenchOnlyError, CameraError
from gatevault.vision.frame import Camera, Frame
from gatevault.vision.live import V4l2Camera
from gatevault.vision.picamera import PiCamera, picamera2
from gatevault.vision.pictures import PICTURE_SUFFIXES, ClipCamera, FolderCamera, StillCamera
from gatevault.vision.replay import SUFFIX, ReplayCamera

__all__ = ["Camera", "Frame", "open_camera", "prepare"]


def prepare(uri: str) -> None:
    """Load what the camera of `uri` needs, so that no look waits for it. Opens nothing; faults wait for a look."""
    if uri.startswith("picamera2:"):
        with contextlib.suppress(CameraError):
            picamera2()


def open_camera(uri: str, *, bench: bool, repeat: bool) -> Camera:
    """The camera that `uri` names, to be used once as `with open_camera(…) as camera`.

    `bench` admits `file:` and `dir:`; `repeat` lets pictures start again after the last.
    Relative paths are taken from the process's directory. BenchOnlyError for a bench camera in a
    production state, CameraError for a URI that names none; what the URI names is opened by `with`.
    """
    kind, colon, place = uri.partition(":")
    if not colon or not place or "\0" in place:
        raise CameraError(
            f"'{uri[:80]}' names no camera: write v4l2:/dev/video0, picamera2:0, file:clip.mp4 or dir:photos/."
        )
    if kind == "v4l2":
        return V4l2Camera(place)
    if kind == "picamera2":
        if not (place.isascii() and place.isdigit() and len(place) < 3):
            raise CameraError(f"picamera2 cameras are numbered: write picamera2:0, not '{uri[:80]}'.")
        return PiCamera(int(place))
    if kind not in ("file", "dir"):
        raise CameraError(f"'{kind[:20]}' is no kind of camera: write v4l2, picamera2, file or dir.")
    if not bench:
        raise BenchOnlyError(
            f"a {kind}: camera works only on a bench: use a real camera here, or make a state with init --bench."
        )
    path = Path(place)
    if kind == "dir":
        return FolderCamera(path, repeat=repeat)
    if path.suffix.lower() == SUFFIX:
        return ReplayCamera(path)
    is_picture = path.suffix.lower() in PICTURE_SUFFIXES
    return StillCamera(path, repeat=repeat) if is_picture else ClipCamera(path)
