"""The camera: there, open to vision and to no more, and with modes that keep the wait short.

No picture is taken: a device is asked for its modes, and no stream is started. How long it takes in earnest, the
last look tells, which the daemon reports (`vision.last_look`, `vision.camera`).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import grp
import os
import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from gatevault.core.camera import CameraState, findings
from gatevault.service.doctor.finding import Finding, ok, problem, unknown, warning
from gatevault.service.doctor.patient import Patient

GROUP: Final = "video"
_WHY: Final = "Without it faces are off; cards open."

_ENUM_FMT: Final = 0xC0405602
"""VIDIOC_ENUM_FMT: _IOWR('V', 2, struct v4l2_fmtdesc), 64 bytes (linux/videodev2.h)."""
_FMTDESC: Final = struct.Struct("=II I32sI I 12x")
_CAPTURE: Final = 1
MOST_FORMATS: Final = 64
_BIG_ENDIAN: Final = 1 << 31
"""V4L2_PIX_FMT_… of the other byte order: the same letters with this bit."""
NAMED: Final = 4
"""So many formats are told; capture boards have dozens."""


def camera(patient: Patient) -> Iterator[Finding]:
    """The configured camera, as far as it can be known without a look; then the last look."""
    if patient.settings is None:
        return
    kind, _, place = patient.settings.gate.camera.partition(":")
    found: list[Finding] = []
    if kind == "v4l2" and not patient.bench:
        found += _v4l2(patient, place)
    elif kind == "picamera2" and find_spec("picamera2") is None:
        fix = "apt install python3-picamera2; then the installer with --debian-packages (docs/install.md)."
        found.append(problem("camera", "picamera2 is not installed", _WHY, fix))
    found += [*_last_look(patient), *_as_found(patient)]
    yield from found or [ok("camera")]


def _v4l2(patient: Patient, place: str) -> Iterator[Finding]:
    path = patient.probe.at(place)
    try:
        about = path.stat()
    except FileNotFoundError:
        others = [name for name in patient.probe.names("/sys/class/video4linux") if name.startswith("video")]
        fix = f"Connect it, or name another in gate.camera; there is: {', '.join(others) or 'none'}."
        yield problem("camera", f"{place} is not there", _WHY, fix)
        return
    if about.st_mode & 0o060 != 0o060 or about.st_gid != _group():
        fix = "Install hardware/udev/60-gatevault.rules; udevadm control --reload && udevadm trigger"
        yield problem("camera", f"{place} is not open to the group {GROUP}, in which vision is", _WHY, fix)
    try:
        offered = formats(path)
    except PermissionError:
        yield unknown("camera", f"{place} may not be asked for its modes by this user", "Run it as root.")
        return
    except OSError as error:
        why = f"{place} tells no modes ({error.strerror or error})"
        fix = "Name the camera's capture device in gate.camera: `v4l2-ctl --list-devices` shows them."
        yield problem("camera", why, _WHY, fix)
        return
    if "MJPG" not in offered:
        why = "Uncompressed pictures fill the bus: fewer frames a second, and older ones."
        fix = "A camera with MJPG answers sooner; with this one expect longer looks."
        more = f" and {len(offered) - NAMED} more" if len(offered) > NAMED else ""
        yield warning("camera", f"{place} offers {', '.join(offered[:NAMED])}{more}, and no MJPG", why, fix)


def _group() -> int | None:
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None


def formats(path: Path) -> list[str]:
    """The pixel formats of a capture device, as four letters each. OSError."""
    handle = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    found: list[str] = []
    try:
        for index in range(MOST_FORMATS):
            asked = ctypes.create_string_buffer(_FMTDESC.pack(index, _CAPTURE, 0, b"", 0, 0), _FMTDESC.size)
            try:
                fcntl.ioctl(handle, _ENUM_FMT, asked)
            except OSError as error:
                if error.errno == errno.EINVAL and index:  # no more
                    break
                raise
            found.append(_letters(_FMTDESC.unpack(asked.raw)[4]))
    finally:
        os.close(handle)
    return found


def _letters(code: int) -> str:
    return struct.pack("<I", code & ~_BIG_ENDIAN).decode("ascii", "replace").strip()


def _last_look(patient: Patient) -> Iterator[Finding]:
    """What the last look told of the camera."""
    look = patient.part("vision").get("last_look")
    if not look:
        return
    if look["error"]:
        fix = "Check cable, power and gate.camera; then let somebody walk up, and run this again."
        yield problem("camera", f"the last look ended early: {look['error']}", _WHY, fix)
    elif look["stale"] > look["frames"]:
        why = "Old frames show who stood there before; they are refused, and the look takes longer."
        fix = "A camera with MJPG and a short queue; see docs/doctor.md."
        yield warning("camera", f"{look['stale']} of its frames were too old in the last look", why, fix)


def _as_found(patient: Patient) -> Iterator[Finding]:
    """What vision read back of a real camera in the last look that had frames."""
    told = patient.part("vision").get("camera")
    if told:
        told = {name: value for name, value in told.items() if name != "findings"}
        for found in findings(msgspec.convert(told, CameraState)):
            yield warning("camera", found.what, found.why, found.fix)
