"""Cameras of the bench: a picture, a folder of pictures, a clip. A production state refuses them.

Their frames are taken "now", when they are read: what they show has no age.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import cv2
import numpy as np

from gatevault.core.errors import CameraError
from gatevault.vision.frame import Frame, Pixels, check_size

PICTURE_SUFFIXES: Final = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"))
"""What counts as a picture, by name; in a folder everything else is passed over."""

MAX_FILE: Final = 128 * 1024 * 1024
"""Largest picture file read, in bytes: 40 million uncompressed pixels are 120 MB."""

CLIP_STEP_S: Final = 0.1
"""A clip gives at most one frame per 100 ms of its own time, as a gate that spends that long on each."""

USUAL_FPS: Final = 30.0
"""Frames per second of a clip that does not say."""


class _BenchCamera:
    """What the three share: a source of pictures, opened late and closed surely."""

    def __init__(self, *, finite: bool) -> None:
        self.finite = finite
        self._frames: Iterator[Pixels] = iter(())
        self._index = 0

    def __enter__(self) -> Self:
        self._index = 0
        self._frames = self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._frames = iter(())

    def read(self) -> Frame | None:
        pixels = next(self._frames, None)
        if pixels is None:
            return None
        self._index += 1
        return Frame(pixels, time.monotonic_ns(), self._index - 1)

    def _start(self) -> Iterator[Pixels]:
        raise NotImplementedError


class StillCamera(_BenchCamera):
    """`file:` with a picture: its frame again and again, or (`repeat=False`) once."""

    def __init__(self, path: Path, *, repeat: bool) -> None:
        super().__init__(finite=not repeat)
        self._path = path

    def _start(self) -> Iterator[Pixels]:
        _check_file(self._path)
        return _pictures([self._path], repeat=not self.finite)


class FolderCamera(_BenchCamera):
    """`dir:`: the pictures of a folder in order of name, again and again or (`repeat=False`) once.

    Files that are no pictures by their name, and hidden ones, are passed over; a picture that does
    not decode is an error that names it, for a silently shorter enrolment would mislead.
    """

    def __init__(self, path: Path, *, repeat: bool) -> None:
        super().__init__(finite=not repeat)
        self._path = path

    def _start(self) -> Iterator[Pixels]:
        try:
            paths = sorted(p for p in self._path.iterdir() if _is_picture(p))
        except OSError as error:
            raise CameraError(
                f"the folder {self._path} cannot be read ({error.strerror}): name a folder of pictures."
            ) from None
        if not paths:
            raise CameraError(f"the folder {self._path} holds no pictures: put JPEG or PNG files there.")
        return _pictures(paths, repeat=not self.finite)


def _pictures(paths: list[Path], *, repeat: bool) -> Iterator[Pixels]:
    """Each picture in turn, read when it is asked for."""
    yield from map(read_picture, paths)
    while repeat:
        yield from map(read_picture, paths)


class ClipCamera(_BenchCamera):
    """`file:` with a clip: every frame that begins a new 100 ms of the clip's own time, unpaced.

    Deterministic: the n-th frame's time is n divided by the clip's mean frame rate.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(finite=True)
        self._path = path
        self._capture: Any = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._release()

    def _start(self) -> Iterator[Pixels]:
        _check_file(self._path)
        # By FFmpeg alone and by absolute path: OpenCV else takes names with % for picture series and
        # names with :// for addresses.
        name = str(self._path.absolute())
        self._capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        try:
            return self._sampled(self._checked())
        except CameraError:
            self._release()
            raise

    def _checked(self) -> Any:
        """The opened capture, before any frame of it is decoded."""
        capture = self._capture
        if not capture.isOpened():
            raise CameraError(
                f"{self._path} does not open as a clip: it may be cut short, or in a format that FFmpeg lacks."
            )
        height, width = capture.get(cv2.CAP_PROP_FRAME_HEIGHT), capture.get(cv2.CAP_PROP_FRAME_WIDTH)
        check_size((int(height), int(width)), str(self._path))
        return capture

    def _release(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()

    def _sampled(self, capture: Any) -> Iterator[Pixels]:
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        if not 0.0 < fps <= 1000.0:
            fps = USUAL_FPS
        number = given = 0
        while capture.grab():
            if number / fps >= given * CLIP_STEP_S - 1e-9:
                given = int(number / fps / CLIP_STEP_S + 1e-9) + 1
                decoded, bgr = capture.retrieve()
                if not decoded:
                    break
                yield _to_rgb(bgr, str(self._path))
            number += 1
        if not given:
            raise CameraError(f"{self._path} holds no frame that decodes: use another clip.")


def read_picture(path: Path) -> Pixels:
    """One picture file as RGB pixels, its EXIF rotation applied.

    Greyscale, palette, alpha and 16-bit pictures are brought to 8-bit RGB (alpha is dropped). The
    file's bytes are overwritten after decoding. CameraError where it is absent, too large, cut
    short or no picture.
    """
    _check_file(path)
    data = bytearray(path.stat().st_size)
    if len(data) > MAX_FILE:
        raise CameraError(f"{path} is larger than {MAX_FILE // 2**20} MiB: use a smaller picture.")
    try:
        with path.open("rb", buffering=0) as file:
            count = file.readinto(data)
        whole = count == len(data) and _ends_properly(data)
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if whole else None
    except OSError as error:
        raise CameraError(f"{path} cannot be read ({error.strerror}): check its permissions.") from None
    except cv2.error as error:
        if "CV_IO_MAX" in str(error):
            raise CameraError(f"{path} has more pixels than are read: shrink it below 40 million.") from None
        pixels = None
    finally:
        data[:] = bytes(len(data))
    if pixels is None:
        raise CameraError(f"{path} is not a whole picture that can be decoded: replace it.")
    # Where OpenCV was imported before this room, its own limit is not ours: checked again.
    check_size(pixels.shape, str(path))
    return np.ascontiguousarray(pixels)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise CameraError(f"{path} is a folder: write dir:{path} instead.")
    if not path.exists():
        raise CameraError(f"there is no file {path}: check the camera's path.")
    if not path.is_file():
        raise CameraError(f"{path} is not a plain file: name a picture or a clip.")
    if path.stat().st_size == 0:
        raise CameraError(f"{path} is empty: use another picture or clip.")


def _ends_properly(data: bytearray) -> bool:
    """Whether a JPEG's scan has its end-of-image marker.

    JPEG libraries fill what is missing with grey and merely warn, which would embed half a face.
    The marker is sought behind the first scan header, for thumbnails in EXIF have one of their own.
    """
    if data[:2] != b"\xff\xd8":
        return True
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xDA:
            return data.find(b"\xff\xd9", at) >= 0
        if data[at + 1] == 0xFF:  # fill byte
            at += 1
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _to_rgb(bgr: Pixels, what: str) -> Pixels:
    """A decoded frame in RGB; the decoder's copy is overwritten."""
    check_size(bgr.shape, what)
    pixels: Pixels = cv2.cvtColor(bgr, cv2.COLOR_GRAY2RGB if bgr.ndim == 2 else cv2.COLOR_BGR2RGB)
    bgr.fill(0)
    return pixels
