"""What vision and what the daemon give up. Each is called once, while the process has one thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import gatevault
from gatevault.confine import calls, landlock, process
from gatevault.confine.landlock import Files
from gatevault.core.confined import Confined

_PROGRAMS: Final = tuple(map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")))
_LOOKED_UP: Final = tuple(
    map(Path, ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/proc", "/sys", "/run/udev"))
)
"""What native libraries read: other libraries, the processor's kind, cameras."""
_ALWAYS: Final = tuple(map(Path, ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")))
_CAMERAS: Final = ("video*", "media*", "v4l-subdev*", "dma_heap", "udmabuf", "vcsm-cma", "vchiq")
_PINS: Final = ("gpiochip*", "gpiomem*", "input", "tpm*")
"""The whole of /dev/input, since a reader may be plugged in later; which of it may be opened is udev's to say."""

_DEV: Final = Path("/dev")


def confine_vision(models: Path, *, bench: bool) -> Confined:
    """Vision writes nowhere, starts nothing, and reads its libraries and models; on a bench also any picture that
    an admin names. It opens cameras that are there now (see `cameras`). StateError."""
    program = (*_PROGRAMS, *_own_program())
    read = (Path("/"),) if bench else (*program, *_LOOKED_UP, models)
    process.drop_capabilities()
    return _confine(Files(read=read, devices=(*_ALWAYS, *_devices(_CAMERAS))))


def cut_off(confined: Confined) -> Confined:
    """Vision, once connected to the daemon: no further socket, of AF_UNIX either, and no other program."""
    try:
        calls.give_up_more()
    except calls.CallsError as error:
        return Confined(confined.files, (*confined.lacks, f"it could make further sockets: {error}"))
    return confined


def confine_daemon(state: Path, runtime: Path, *, starts_vision: bool) -> Confined:
    """The daemon writes its state and its sockets, runs what the system and GateVault installed and nothing that it
    wrote, and opens pins, readers and TPM. A camera only where vision, as its child, inherits this. StateError."""
    devices = (*_PINS, *_CAMERAS) if starts_vision else _PINS
    return _confine(
        Files(
            read=tuple(path for path in Path("/").iterdir() if path != _DEV),
            run=(*_PROGRAMS, *_own_program()),
            write=(state, runtime),
            devices=(*_ALWAYS, *_devices(devices)),
            abstract_sockets=os.environ.get("NOTIFY_SOCKET", "").startswith("@"),
        )
    )


def cameras() -> frozenset[tuple[str, int]]:
    """The camera devices that are there, with their inodes: one that is plugged in again is another to Landlock."""
    found = set()
    for path in _devices(_CAMERAS):
        try:
            found.add((str(path), path.stat().st_ino))
        except OSError:  # it went just now
            continue
    return frozenset(found)


def _confine(files: Files) -> Confined:
    process.harden()
    lacks = []
    if not process.deny_write_execute() and not _read_only():  # systemd's own way serves older kernels
        lacks.append("memory that was written can be run: Linux 6.3 can refuse it")
    try:
        calls.give_up()
    except calls.CallsError as error:
        lacks.append(f"system calls are not filtered: {error}")
    abi, why = 0, "this kernel has no Landlock"
    try:
        abi = landlock.restrict(files)
    except OSError as error:
        why = f"Landlock refused its rules: {error.strerror}"
    if abi:
        return Confined(f"landlock {abi}", tuple(lacks))
    if _read_only():
        return Confined("read-only mounts", tuple(lacks))
    lacks.append(f"files are open: {why}, and no systemd unit makes them read-only")
    return Confined("nothing", tuple(lacks))


def _read_only() -> bool:
    """Whether the system's files are read-only for us, as a unit with ProtectSystem=strict makes them."""
    return all(os.statvfs(path).f_flag & os.ST_RDONLY for path in ("/", "/usr", "/etc"))


def _own_program() -> tuple[Path, ...]:
    """The interpreter, where it looks for modules (but for a working directory that it looks in), and ours."""
    package = Path(gatevault.__file__).parent
    places = {Path(place) for place in sys.path if place} - {Path.cwd()}
    return (Path(sys.prefix), Path(sys.base_prefix), *sorted(places), package, package.parent / "hardware")


def _devices(patterns: Iterable[str]) -> tuple[Path, ...]:
    return tuple(sorted(path for pattern in patterns for path in _DEV.glob(pattern)))
