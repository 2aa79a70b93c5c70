"""The models folder of a state: dlib's network made once, other files added, all of them checked.

Its files are nobody's secret, and vision runs as another user: 0644 in a folder of 0755, which vision gets as an
argument (systemd binds it, read-only, to where vision can reach it). What opens images and networks is never
imported here: export and trial are commands of the vision room, each a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gatevault.core.errors import ConflictError, ModelError
from gatevault.core.models import DLIB, EmbedderKind, ModelSettings
from gatevault.vault.files import replace, sync_directory

MAX_MODEL: Final = 128 * 1024 * 1024
"""Largest file taken, in bytes: what vision reads at most."""

EXPORT_S: Final = 300.0
"""Longest export or trial: a second here, some on a Pi, more where the SD card is slow."""

_FOLDER_MODE: Final = 0o755
_FILE_MODE: Final = 0o644


def make_folder(folder: Path) -> None:
    """The folder with dlib's network in it, made anew or completed. ModelError."""
    try:
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        folder.chmod(_FOLDER_MODE)  # whatever the umask
        if not (folder / DLIB.file).exists():
            put(folder, DLIB.file, export("-", folder), DLIB.sha256)
        sync_directory(folder.parent)
    except OSError as error:
        raise ModelError(f"{folder} cannot be made ({error.strerror}): mend that, and start again.") from None


def put(folder: Path, name: str, data: bytes, sha256: str) -> None:
    """A file of this content, whole or not at all. ModelError where its hash is another; ConflictError where
    another file has its name."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ModelError(
            f"{name} did not become the file that it should: nothing was kept. Install GateVault again."
        )
    there = folder / name
    if there.exists() and sha256_of(there) != sha256:
        raise ConflictError(f"{there} is another file already: move it away first. Nothing was changed.")
    try:
        replace(there, data, _FILE_MODE)
        give(there, folder.stat())
    except OSError as error:
        raise ModelError(f"{there} cannot be written ({error.strerror}): nothing was kept.") from None


def give(path: Path, like: os.stat_result) -> None:
    """To this owner, where root does the gate's work. OSError."""
    if os.geteuid() == 0:
        os.chown(path, like.st_uid, like.st_gid)


def export(source: str, beside: Path | None = None) -> bytes:
    """dlib's file `source` (`-`: that of the installed package) as ONNX, by way of a folder in `beside`, for the
    daemon may write in its state alone. ModelError with the exporter's sentence."""
    with tempfile.TemporaryDirectory(prefix=".gatevault-export-", dir=beside) as folder:
        target = Path(folder) / "network.onnx"
        told = _run("gatevault.vision.export", source, str(target))
        data = target.read_bytes()
    if hashlib.sha256(data).hexdigest() != told.strip():
        raise ModelError("The exported network was altered on its way: nothing was kept.")
    return data


@dataclass(frozen=True, slots=True)
class Trial:
    """What a file is good for: values a face (none for a detector), and the vision process's memory with it."""

    dimension: int | None
    memory_mb: int


def trial(kind: str, file: Path) -> Trial:
    """Load a file as a network of this kind and run it once on nothing. ModelError where it cannot."""
    body: dict[str, Any] = json.loads(_run("gatevault.vision.trial", kind, str(file.absolute())))
    return Trial(body["dimension"], int(body["memory_mb"]))


def _run(module: str, *arguments: str) -> str:
    """A command of the vision room; its standard output. ModelError with its last sentence where it fails."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module, *arguments],
            env={name: os.environ[name] for name in ("PATH", "LANG", "VIRTUAL_ENV") if name in os.environ},
            cwd=Path(sys.prefix),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=EXPORT_S,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{module} did not end within {EXPORT_S:.0f} s: nothing was kept.") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        sentence = said[-1].partition(": ")[2] if said and said[-1].startswith("gatevault") else ""
        raise ModelError(sentence or f"{module} failed (status {done.returncode}): nothing was kept.")
    return done.stdout


def read(path: Path) -> bytes:
    """A file that an installer brings. ModelError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MODEL + 1)
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}): nothing was added.") from None
    if not data or len(data) > MAX_MODEL:
        raise ModelError(f"{path} has {len(data) or 'no'} bytes: that is no model file. Nothing was added.")
    return data


def sha256_of(path: Path) -> str | None:
    """The hash of a file that is there; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def problem(folder: Path, settings: ModelSettings) -> str | None:
    """What is wrong with the files that the settings name, and what to do; None where all are as they should be."""
    for name, expected in settings.files():
        found = sha256_of(folder / name)
        if found is None:
            make = (
                "it is made at the next start" if name == DLIB.file else "add it with `gatevault models add FILE`"
            )
            return f"the model file {name} is not there: {make}"
        if found != expected:
            where = folder / name
            return (
                f"{where} is not the file that was chosen (SHA-256 {found[:12]}…): move it away, add the right one"
            )
    return None


def plain_name(file: Path) -> str:
    """A file's name without its ending, and without what a path could hide in it. ModelError."""
    name = re.sub(r"[^A-Za-z0-9_+-]+", "-", file.stem).strip("-")[:60]
    if not name:
        raise ModelError(f"{file.name} has no letter in its name: rename it. Nothing was added.")
    return name


def stored_name(file: Path, kind: str) -> str:
    """A name of ours for a network's file that nobody knows. ModelError."""
    name = plain_name(file)
    return f"{name}.onnx" if kind != EmbedderKind.DLIB.value else f"{name}-dlib.onnx"
