"""/opt/gatevault: releases side by side, so that the one before is whole until the next has shown that it runs.

    releases/NAME/             a venv of Debian's own python3, with `system/`, `setup/`, MANIFEST.json of its bundle
    current -> releases/NAME   changed in one step
    previous -> releases/NAME  what `--rollback` goes back to
    bin -> current/bin         what units and people call

A release that is only half unpacked has no file `.complete`, is never current, and goes at the next install.
Wheels are unpacked here and not by pip: Debian may have none, and an image of another architecture can run none.
The files are those of the wheel; of its scripts `gatevault` alone is made, which names its interpreter by the
release's own path: a running program never loads a module of the release after it.
"""

from __future__ import annotations

import compileall
import configparser
import os
import py_compile
import re
import shutil
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from gatevault_setup.bundle import MANIFEST, Manifest
from gatevault_setup.errors import Refused
from gatevault_setup.machine import Machine

HOME: Final = "/opt/gatevault"
_COMPLETE: Final = ".complete"
_SCRIPT: Final = "gatevault"
_NOT_COMPILED: Final = re.compile(r"/(tests?|testing|backend/test)/")
_LGPIO: Final = "/usr/lib/python3/dist-packages"


class Releases:
    """The releases of one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.home = machine.path(HOME)

    # --- what is there -----------------------------------------------------------------------

    def linked(self, link: str) -> str | None:
        """The name of the release that `current` or `previous` leads to, if it is whole."""
        try:
            name = (self.home / link).readlink().name
        except OSError:
            return None
        return name if self.complete(name) else None

    def folder(self, name: str) -> Path:
        return self.home / "releases" / name

    def complete(self, name: str) -> bool:
        return (self.folder(name) / _COMPLETE).is_file()

    def manifest(self, name: str) -> Manifest:
        """What a release was installed from. Refused where it is damaged."""
        return Manifest.read(self.folder(name))

    def program(self, name: str) -> str:
        """The release's `gatevault`, as the machine itself sees it."""
        return f"{HOME}/releases/{name}/bin/{_SCRIPT}"

    # --- changes -----------------------------------------------------------------------------

    def unpack(self, bundle: Path, manifest: Manifest) -> str:
        """Make the release of a verified bundle; its name. What a failure left goes at the next one. Refused."""
        python = self.machine.python()
        name = f"{manifest.name}-py{python.replace('.', '')}"
        if self.complete(name):
            return name
        folder = self.folder(name)
        for left in self.home.glob("releases/*"):
            if not (left / _COMPLETE).is_file():
                shutil.rmtree(left)
        site = folder / "lib" / f"python{python}" / "site-packages"
        site.mkdir(parents=True)
        self._venv(folder, python)
        for wheel in manifest.wheels(python):
            unpack_wheel(bundle / wheel, site)
        self._script(folder, python, site)
        link_lgpio(site, python, self.machine.arch())
        link_evdev(site)
        for part in ("system", "setup"):
            shutil.copytree(bundle / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in (MANIFEST, "LICENSE", "install"):
            shutil.copy(bundle / part, folder / part)
        (folder / "install").chmod(0o755)
        self._compile(site, python)
        _own(folder)
        os.sync()
        (folder / _COMPLETE).touch()
        return name

    def switch(self, name: str) -> None:
        """Make a release the current one."""
        point(self.home / "current", f"releases/{name}")
        point(self.home / "bin", "current/bin")

    def remember(self, name: str | None) -> None:
        """What a rollback goes to."""
        if name is not None:
            point(self.home / "previous", f"releases/{name}")

    def prune(self) -> None:
        """Take away releases that neither link leads to."""
        kept = {self.linked("current"), self.linked("previous")}
        for folder in self.home.glob("releases/*"):
            if folder.name not in kept:
                shutil.rmtree(folder)

    def drop(self, name: str) -> None:
        """Take away a release that is not to be used. Its mark goes first."""
        (self.folder(name) / _COMPLETE).unlink(missing_ok=True)
        shutil.rmtree(self.folder(name), ignore_errors=True)

    # --- a release's parts -------------------------------------------------------------------

    def _venv(self, folder: Path, python: str) -> None:
        """What `python3 -m venv --without-pip` makes, of which Debian's minimal root may have no module."""
        (folder / "bin").mkdir()
        (folder / "pyvenv.cfg").write_text(
            f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {python}\n", encoding="utf-8"
        )
        (folder / "bin" / f"python{python}").symlink_to(f"/usr/bin/python{python}")
        # A script and no link: from a path through `bin`, itself a link, Python would not find its venv.
        own = f"{HOME}/releases/{folder.name}/bin/python{python}"
        _program(folder / "bin" / "python", f'#!/bin/sh\nexec {own} "$@"\n')

    def _script(self, folder: Path, python: str, site: Path) -> None:
        (entry,) = site.glob("gatevault-*.dist-info/entry_points.txt")
        points = configparser.ConfigParser()
        points.read_string(entry.read_text(encoding="utf-8"))
        module, _, function = points["console_scripts"][_SCRIPT].partition(":")
        own = f"{HOME}/releases/{folder.name}/bin/python{python}"
        _program(
            folder / "bin" / _SCRIPT,
            f"#!{own} -P\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n",
        )

    def _compile(self, site: Path, python: str) -> None:
        """Byte code beside the sources, since no unit may write there; only where this is the same Python."""
        if python == f"{sys.version_info.major}.{sys.version_info.minor}":
            compileall.compile_dir(
                site,
                quiet=2,
                rx=_NOT_COMPILED,
                workers=0 if Path("/dev/shm").is_dir() else 1,  # noqa: S108  (processes need it)
                stripdir=None if self.machine.here else str(self.machine.root),
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )


def unpack_wheel(wheel: Path, site: Path) -> None:
    """A wheel's modules into `site` (PEP 427). Refused for a path that leaves it."""
    with zipfile.ZipFile(wheel) as archive:
        for item in archive.infolist():
            if item.is_dir() or (target := _place(item.filename)) is None:
                continue
            path = site / target
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(item) as source, path.open("xb") as file:
                shutil.copyfileobj(source, file)
            path.chmod(0o644)


def _place(name: str) -> PurePosixPath | None:
    """Where a file of a wheel goes under site-packages; None for scripts, headers and data."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise Refused(f"A wheel holds the path {name!r}: that is none of ours. Nothing was changed.")
    if path.parts[0].endswith(".data"):
        return PurePosixPath(*path.parts[2:]) if path.parts[1] in ("purelib", "platlib") else None
    return path


def link_lgpio(site: Path, python: str, arch: str) -> None:
    """Where no wheel brought lgpio: Debian's own, its two files and nothing else of the system's packages.

    The links may lead nowhere: python3-lgpio may be installed later.
    """
    if not (site / "lgpio.py").exists():
        compiled = f"_lgpio.cpython-{python.replace('.', '')}-{arch}-linux-gnu.so"
        for file in ("lgpio.py", compiled):
            (site / file).symlink_to(f"{_LGPIO}/{file}")


def link_evdev(site: Path) -> None:
    """Debian's python3-evdev, of which there are no wheels: for USB readers, where it is installed."""
    if not (site / "evdev").exists():
        (site / "evdev").symlink_to(f"{_LGPIO}/evdev")


def point(link: Path, target: str) -> None:
    """Make `link` lead to `target`, in one step."""
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def _program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _own(folder: Path) -> None:
    """Root's, and nobody else's to write."""
    for path in _all(folder):
        if not path.is_symlink():
            os.chown(path, 0, 0)
            path.chmod(path.stat().st_mode & 0o755)


def _all(folder: Path) -> Iterable[Path]:
    yield folder
    yield from folder.rglob("*")
