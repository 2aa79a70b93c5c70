"""Bundles small enough for tests, and images to install them into."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.variants import archive, bundle, sign

FOREIGN = "aarch64" if platform.machine() == "x86_64" else "x86_64"
"""An architecture whose programs do not run here: what is installed for it is not tried out."""

_NUMBERS = {"x86_64": 62, "aarch64": 183, "arm": 40}

Bundled = Callable[..., Path]
Image = Callable[..., Path]


def small_bundle(folder: Path, *, arch: str = FOREIGN, version: str = "1.0", **more: Any) -> Path:
    """A bundle of the real installer and units, with a program of one line for 3.11 and 3.13."""
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    info = f"gatevault-{version}.dist-info"
    files = {
        "gatevault/cli/app.py": f"VERSION = {version!r}\n".encode(),
        f"{info}/entry_points.txt": b"[console_scripts]\ngatevault = gatevault.cli.app:main\n",
        f"gatevault-{version}.data/scripts/left-out": b"#!/bin/sh\n",
    }
    wheel = archive.wheel_of("gatevault", version, "Apache-2.0", files, wheels)
    for name, source in bundle._scaffold():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(source.read_bytes())
    listed = {"wheels": [wheel.name], "unpacked": 1000}
    manifest = {
        "format": 1,
        "version": version,
        "commit": "0" * 40,
        "clean": True,
        "arch": arch,
        "state_formats": [2],
    }
    manifest |= {"pythons": {"3.11": listed, "3.13": listed}} | more
    sign(folder, manifest)
    return folder


@pytest.fixture
def bundled(tmp_path: Path) -> Bundled:
    """Makes a small bundle."""
    made: list[Path] = []

    def make(**more: Any) -> Path:
        made.append(small_bundle(tmp_path / f"bundle{len(made)}", **more))
        return made[-1]

    return make


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """Makes the root of a machine: as much of it as an installer looks at."""

    def make(arch: str = FOREIGN, python: str = "3.11") -> Path:
        root = tmp_path / "image"
        for folder in ("usr/bin", "opt", "etc", "var/lib", "run"):
            (root / folder).mkdir(parents=True)
        program = root / f"usr/bin/python{python}"
        program.write_bytes(b"\x7fELF" + bytes(14) + _NUMBERS[arch].to_bytes(2, "little"))
        (root / "usr/bin/python3").symlink_to(program.name)
        (root / "etc/group").touch()
        (root / "etc/passwd").touch()
        return root

    return make
