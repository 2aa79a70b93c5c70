"""The state's files: there, readable, kept from others, with room on the disk, and with the right models."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gatevault.service import models as folder
from gatevault.service.config import load_board, load_settings
from gatevault.service.doctor.finding import Finding, advice, ok, problem, unknown, warning
from gatevault.service.doctor.patient import Patient
from gatevault.service.state import read_device

MIN_FREE_BYTES: Final = 50 * 1024 * 1024
"""Below this the ledger's and the WAL's growth could fill the disk within days."""

LOW_BYTES: Final = 500 * 1024 * 1024
"""Below this a backup, an upgrade and the journal together may not fit; a tenth of smaller disks."""

MIN_INODES: Final = 1_000

_OTHERS: Final = 0o007
_ANYBODY_ELSE: Final = 0o077
_WRITERS: Final = 0o022

PROGRAM: Final = "/opt/gatevault"
UNIT_FOLDERS: Final = tuple(f"{place}/systemd/system" for place in ("/etc", "/usr/local/lib", "/usr/lib", "/lib"))


def state(patient: Patient) -> Iterator[Finding]:
    """Raises StateError where there is none."""
    read_device(patient.paths)
    yield ok("state")


def config(patient: Patient) -> Iterator[Finding]:
    """The configuration and the board profile that it names: both are checked as the daemon would. ConfigError."""
    load_board(load_settings(patient.paths.config).gate.board)
    yield ok("config")


def permissions(patient: Patient) -> Iterator[Finding]:
    """Who may read the state, and who may change what runs."""
    found = [*_state_files(patient), *_program(patient)]
    yield from found or [ok("permissions")]


def _state_files(patient: Patient) -> Iterator[Finding]:
    paths = patient.paths
    for path in (paths.root, paths.house_key, paths.ring, paths.vault, paths.registry, paths.ledger):
        if not path.exists():
            yield problem(
                "permissions",
                f"{path.name} is not there",
                "What it held is lost until it is put back; `gatevault status` says what works without.",
                "Restore it from a backup (`gatevault backup restore`), or put the file back.",
            )
        elif (mode := stat.S_IMODE(path.stat().st_mode)) & _OTHERS:
            yield _open_to(path, "everybody", mode, "o=")
    for path in sorted(paths.keys.iterdir()) if paths.keys.is_dir() else []:
        if not (mode := stat.S_IMODE(path.stat().st_mode)) & _OTHERS and mode & _ANYBODY_ELSE:
            yield _open_to(path, "its whole group", mode, "go=")


def _open_to(path: Path, whom: str, mode: int, change: str) -> Finding:
    return problem(
        "permissions",
        f"{path} is open to {whom} (mode {mode:o})",
        "Whoever reads the keys and databases has names, cards and templates.",
        f"chmod {change} {path}",
    )


def _program(patient: Patient) -> Iterator[Finding]:
    """What runs as the gate must be root's to change."""
    if patient.bench:
        return
    places = [PROGRAM, f"{PROGRAM}/bin"]
    for units in UNIT_FOLDERS:
        places += [f"{units}/{name}" for name in patient.probe.names(units) if name.startswith("gatevault")]
    for place in places:
        path = patient.probe.at(place)
        try:
            about = path.stat()
        except FileNotFoundError:
            continue
        if about.st_uid != 0 or about.st_mode & _WRITERS:
            yield problem(
                "permissions",
                f"{place} may be changed by others than root",
                "Whoever changes what runs at the gate opens it, and reads every key.",
                f"chown root:root {place} && chmod go-w {place}",
            )


def disk(patient: Patient) -> Iterator[Finding]:
    """Room for what is written, in bytes and in files."""
    found = os.statvfs(patient.paths.root)
    free, whole = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    why = "On a full disk faces and administration stop; cards go on, and what they do is entered later."
    fix = f"Make room on the disk of {patient.paths.root}: old backups, `journalctl --vacuum-size=50M`, apt clean."
    if found.f_flag & os.ST_RDONLY:
        yield problem(
            "disk",
            "the state's disk is mounted read-only",
            why,
            "mount -o remount,rw; a disk that went read-only by itself is failing: back up and replace it.",
        )
    elif free < MIN_FREE_BYTES:
        yield problem("disk", f"only {free // 1024} KB are free", why, fix)
    elif found.f_files and found.f_favail < MIN_INODES:
        yield problem("disk", f"only {found.f_favail} more files can be made (inodes)", why, fix)
    elif free < min(LOW_BYTES, whole // 10):
        yield warning("disk", f"{free // 1_000_000} MB are free", why, fix)
    else:
        yield ok("disk", f"{free // 1_000_000} MB are free")


def read_only_root(patient: Patient) -> Iterator[Finding]:
    """The system beside the state need not be written to."""
    if patient.bench:
        return
    rows = [line.split() for line in (patient.probe.text("/proc/mounts") or "").splitlines()]
    options = [row[3].split(",") for row in rows if len(row) > 3 and row[1] == "/"]
    if not options:
        yield unknown("read-only root", "/proc/mounts does not tell of /", "Run it on the gate itself.")
    elif "ro" in options[-1] or any(row[1] == "/" and row[0] == "overlay" for row in rows if len(row) > 1):
        yield ok("read-only root")
    else:
        yield advice(
            "read-only root",
            "the system's own partition is writable",
            "Each power cut while something is written may damage it; a card that is only read lasts longer.",
            "Put /var/lib/gatevault on a partition of its own; then raspi-config: Performance, Overlay.",
        )


def models(patient: Patient) -> Iterator[Finding]:
    """The networks' files, by their hashes. ConfigError."""
    if patient.settings is None:
        return
    why = "Vision loads these bytes or none: faces are off without them, cards open."
    wrong = None
    if not patient.paths.models.is_dir():
        wrong = "there is no models folder: the daemon makes it at its next start"
    else:
        wrong = folder.problem(patient.paths.models, patient.settings.models)
    if wrong is None:
        yield ok("models", f"{len(patient.settings.models.files())} files, as their hashes say")
        return
    what, _, fix = wrong.partition(": ")
    yield problem("models", what, why, fix or "gatevault models add FILE")
