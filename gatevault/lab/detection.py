"""What each detector finds at which size of face, and what a frame costs with and without following.

    python -m gatevault.lab.detection ../shared/data [--yunet FILE]

- Sizes: photographs of `recognition/photos` in which the finest search finds one face, scaled so that it
  has so many pixels; found means a box of about that size at about that place.
- Working sizes: what a full search of each level finds on `recognition/photos`, `faces` and its clip.
- Following: milliseconds a frame of `find`, every frame in full and followed, in turn on the same frames.

Times are of this machine at this moment; their ratios mean something elsewhere.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import dlib
import numpy as np

from gatevault.core.errors import GateVaultError, UsageError
from gatevault.core.types import Box
from gatevault.lab.portraits import admiral, astronaut, moving
from gatevault.vision.detect import Detector, Face
from gatevault.vision.follow import Follower
from gatevault.vision.frame import Pixels
from gatevault.vision.hog import HogDetector
from gatevault.vision.pictures import ClipCamera, read_picture
from gatevault.vision.yunet import YunetDetector

import cv2  # isort: skip  # after gatevault.vision, which sets OpenCV's limits

SIZES: Final = (10, 15, 20, 25, 30, 35, 40, 50, 55, 60, 70, 80, 100)
"""Widths of a face in the working picture, in pixels."""

PHOTOS: Final = 80
"""Photographs that `by_size` scales."""

MARGIN: Final = 40
"""Pixels mirrored around a scaled photograph, as detectors look beside a face."""


def by_size(detector: Detector, photos: Sequence[Pixels]) -> dict[str, float]:
    """Share of faces found in the working picture itself, by their width there."""
    known = [(photo, faces[0].box) for photo in photos if len(faces := detector.find(photo, None, 9)) == 1][:PHOTOS]
    shares: dict[str, float] = {}
    for size in SIZES:
        found = 0
        for photo, box in known:
            scale = size / box.width
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=how)
            padded = np.asarray(
                cv2.copyMakeBorder(small, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REFLECT), np.uint8
            )
            place = Box(*(round(edge * scale) + MARGIN for edge in (box.left, box.top, box.right, box.bottom)))
            hits = detector.search(padded, detector.usual_score)
            found += any(_alike(hit[0], place) for hit in hits)
        shares[str(size)] = round(found / max(1, len(known)), 3)
    return shares


def _alike(corners: Sequence[float], box: Box) -> bool:
    left, top, right, bottom = corners
    across, down = abs(left + right - box.left - box.right) / 2, abs(top + bottom - box.top - box.bottom) / 2
    return max(across, down) < 0.4 * box.width and 0.5 < (right - left) / box.width < 2.0


def by_level(detector: Detector, pictures: Sequence[Pixels]) -> list[dict[str, float]]:
    """For each level: pictures with a face, all faces, the narrowest one, and milliseconds a picture."""
    rows = []
    for level, side in enumerate(detector.sides):
        times, counts, widths = [], [], [0]
        for picture in pictures:
            began = time.perf_counter()
            faces = detector.find(picture, None, level)
            times.append(time.perf_counter() - began)
            counts.append(len(faces))
            widths += [face.box.width for face in faces]
        rows.append(
            {
                "side": side,
                "pictures": len(pictures),
                "with_face": sum(map(bool, counts)),
                "faces": sum(counts),
                "narrowest": min(widths[1:], default=0),
                "ms": round(statistics.median(times) * 1000, 1),
            }
        )
    return rows


def following(detector: Detector, frames: Sequence[Pixels]) -> dict[str, float]:
    """Milliseconds a frame in full and followed, the share searched in full, and how alike the boxes are."""
    follower, plain, followed, overlaps, lost = Follower(detector), [], [], [], 0
    for frame in frames:
        began = time.perf_counter()
        whole = detector.find(frame)
        between = time.perf_counter()
        near = follower.find(frame)
        plain.append(between - began)
        followed.append(time.perf_counter() - between)
        lost += len(whole) > len(near)
        if whole and near:
            overlaps.append(_overlap(whole[0], near[0]))
    full = follower.full_searches
    follower.forget()
    each, ours = statistics.mean(plain) * 1000, statistics.mean(followed) * 1000
    return {
        "frames": len(frames),
        "full_ms": round(each, 2),
        "followed_ms": round(ours, 2),
        "ratio": round(each / ours, 2),
        "searched_in_full": round(full / len(frames), 3),
        "frames_with_fewer_faces": lost,
        "median_overlap": round(statistics.median(overlaps), 3) if overlaps else 0.0,
    }


def _overlap(a: Face, b: Face) -> float:
    """Intersection over union of two faces' boxes."""
    across = min(a.box.right, b.box.right) - max(a.box.left, b.box.left)
    down = min(a.box.bottom, b.box.bottom) - max(a.box.top, b.box.top)
    both = max(0, across) * max(0, down)
    return both / (a.box.width * a.box.height + b.box.width * b.box.height - both)


def clip(path: Path) -> list[Pixels]:
    """Ten frames a second of a clip, as the bench's camera gives them."""
    with ClipCamera(path) as camera:
        return [frame.pixels for frame in iter(camera.read, None)]


def _sequences(data: Path) -> Iterator[tuple[str, list[Pixels]]]:
    for path in sorted((data / "faces").glob("*.mp4")):
        yield path.name, clip(path)
    for portrait, name in ((astronaut(), "portraits 640x360"), (admiral(), "portraits 1280x720")):
        frames = list(moving(portrait, 24, seed=4))
        yield name, [cv2.resize(f, (1280, 720)) if "1280" in name else f for f in frames]


def measure(data: Path, yunet: Path) -> dict[str, Any]:
    """Everything, by detector. UsageError where the data or the model file is not there."""
    photos = [read_picture(p) for p in sorted((data / "recognition" / "photos").glob("*/*.jpg"))]
    if not photos or not yunet.is_file():
        raise UsageError(f"{data} lacks recognition/photos, or {yunet} is not there: name the research data.")
    stills = [read_picture(p) for p in sorted((data / "faces").glob("*.[jp][pn]g"))]
    cv2.setNumThreads(1)  # as the vision process does
    told: dict[str, Any] = {}
    detectors: tuple[Detector, ...] = (
        HogDetector(dlib.get_frontal_face_detector()),
        YunetDetector(yunet.read_bytes()),
    )
    for detector in detectors:
        sequences = dict(_sequences(data))
        told[type(detector).__name__] = {
            "found_by_width": by_size(detector, photos[::3]),
            "photos": by_level(detector, photos[::4]),
            "faces": by_level(detector, stills),
            "clip": by_level(detector, next(iter(sequences.values()))[::3]),
            "following": {name: following(detector, frames) for name, frames in sequences.items()},
        }
    return told


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gatevault.lab.detection", description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the folder of research data")
    parser.add_argument("--yunet", type=Path, help="YuNet's ONNX file (default: the data's)")
    given = parser.parse_args(arguments)
    try:
        told = measure(given.data, given.yunet or given.data / "models" / "face_detection_yunet_2023mar.onnx")
    except GateVaultError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
