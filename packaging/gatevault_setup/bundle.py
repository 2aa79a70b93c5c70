"""The bundle that the installer came in: what its manifest says, checked against the files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gatevault_setup.errors import Refused

MANIFEST: Final = "MANIFEST.json"
FORMAT: Final = 1
_AGAIN: Final = "copy the bundle anew and compare its SHA-256 with what its builder told you"


@dataclass(frozen=True, slots=True)
class Manifest:
    """MANIFEST.json. `name` is the release's: its version and the beginning of the manifest's hash."""

    name: str
    version: str
    commit: str
    arch: str
    state_formats: tuple[int, ...]
    """Formats of a state directory that this program reads."""
    pythons: dict[str, dict[str, Any]]
    """For each Python `3.N`: the names of its `wheels`, and the bytes that they have `unpacked`."""
    files: dict[str, str]
    """Path in the bundle to SHA-256."""

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Refused where there is none, or it is of another format."""
        try:
            raw = (folder / MANIFEST).read_bytes()
            body = json.loads(raw)
            if body["format"] != FORMAT:
                raise Refused(f"{folder / MANIFEST} is of format {body['format']}: this installer reads {FORMAT}.")
            return cls(
                name=f"{body['version']}-{hashlib.sha256(raw).hexdigest()[:12]}",
                version=body["version"],
                commit=body["commit"],
                arch=body["arch"],
                state_formats=tuple(body["state_formats"]),
                pythons=body["pythons"],
                files=body["files"],
            )
        except OSError as error:
            raise Refused(f"{folder / MANIFEST} cannot be read ({error.strerror}): {_AGAIN}.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"{folder / MANIFEST} is damaged ({error!r}): {_AGAIN}.") from None

    def wheels(self, python: str) -> list[str]:
        """Paths in the bundle of the wheels for this Python. Refused where there are none."""
        if python not in self.pythons:
            known = " and ".join(sorted(self.pythons))
            raise Refused(f"This bundle is for Python {known}, and the machine has {python}: take another bundle.")
        return [f"wheels/{name}" for name in self.pythons[python]["wheels"]]

    def unpacked(self, python: str) -> int:
        """Bytes of those wheels' content."""
        return int(self.pythons[python]["unpacked"])


def verify(folder: Path, manifest: Manifest) -> None:
    """Every file of the bundle is as the manifest says, and there is no other. Refused, naming the first."""
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() or path.is_symlink()}
    there = {name for name in there if "__pycache__" not in name} - {MANIFEST}
    for name in sorted(there ^ manifest.files.keys()):
        what = "is not there" if name not in there else "is no part of it"
        raise Refused(f"The bundle is not whole: {name} {what}. Nothing was changed; {_AGAIN}.")
    for name, expected in sorted(manifest.files.items()):
        path = folder / name
        if path.is_symlink() or sha256_of(path) != expected:
            raise Refused(f"The bundle is damaged: {name} is not what was built. Nothing was changed; {_AGAIN}.")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
