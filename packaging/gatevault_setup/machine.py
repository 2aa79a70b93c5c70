"""The machine that is installed into: this one, or with --root an image that lies in a folder."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatevault_setup.errors import Refused

_MACHINES: Final = {62: "x86_64", 183: "aarch64", 40: "arm (32 bit)", 3: "i386"}
"""ELF's e_machine."""

_SPARE: Final = 100 << 20
"""Left free beside what is unpacked: the state grows."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Paths are those that the machine itself sees; `path` says where they lie from here."""

    root: Path

    @property
    def here(self) -> bool:
        """Whether it is the machine that we run on."""
        return self.root == Path("/")

    @property
    def booted(self) -> bool:
        """Whether its systemd runs, and can be asked to start and stop."""
        return self.here and Path("/run/systemd/system").is_dir()

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def python(self) -> str:
        """Version `3.N` of its own Python: that of Debian, which the venv is made of. Refused."""
        link = self.path("/usr/bin/python3")
        try:
            name = link.readlink().name
        except OSError:
            raise Refused(f"{link} is not there: install Debian's python3 first.") from None
        if not name.startswith("python3."):
            raise Refused(f"{link} leads to {name}: it must be Debian's own python3.")
        return name.removeprefix("python")

    def arch(self) -> str:
        """The architecture of its programs, not of its kernel: a Pi may run 32-bit programs on a 64-bit kernel."""
        program = self.path(f"/usr/bin/python{self.python()}")
        with program.open("rb") as file:
            head = file.read(20)
        if head[:4] != b"\x7fELF":
            raise Refused(f"{program} is no program: install Debian's python3 first.")
        number = int.from_bytes(head[18:20], "little")
        return _MACHINES.get(number, f"unknown ({number})")

    @property
    def runs_here(self) -> bool:
        """Whether its programs run on this processor."""
        return self.arch() == platform.machine() and sys.maxsize > 1 << 32

    def check(self, arch: str, need: int) -> None:
        """Root, architecture, and `need` bytes of disk. Refused."""
        if os.geteuid() != 0:
            raise Refused("Only root can install: type sudo before it.")
        if not self.root.is_dir():
            raise Refused(f"{self.root} is not a folder: name the root of an image.")
        if (found := self.arch()) != arch:
            wide = " GateVault needs a 64-bit system: flash the 64-bit image." if "arm" in found else ""
            raise Refused(
                f"This bundle is for {arch}, and the machine's programs are {found}: take its bundle.{wide}"
            )
        place = next(path for path in (self.path("/opt"), self.root) if path.is_dir())
        if (free := shutil.disk_usage(place).free) < need + _SPARE:
            wanted = (need + _SPARE) >> 20
            raise Refused(f"{place} has {free >> 20} MiB free, and {wanted} are needed: make room, and try again.")

    def run(
        self, command: Sequence[str], *, owner: os.stat_result | None = None, seconds: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, as `owner`'s user where that is given; its output is caught."""
        words = list(command) if self.here else [_found("chroot"), str(self.root), *command]
        try:
            return subprocess.run(
                words,
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=seconds,
                env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
                user=None if owner is None else owner.st_uid,
                group=None if owner is None else owner.st_gid,
                extra_groups=None if owner is None else [],
            )
        except FileNotFoundError as error:
            return subprocess.CompletedProcess(words, 127, "", f"{error.filename}: not found")
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(words, 124, "", f"it did not end within {seconds:.0f} s")

    def need(self, command: Sequence[str]) -> str:
        """As `run`, with its output. Refused where it fails."""
        done = self.run(command)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise Refused(f"{' '.join(command[:3])} failed: {said[-1] if said else f'status {done.returncode}'}.")
        return done.stdout


def _found(name: str) -> str:
    program = shutil.which(name)
    if program is None:
        raise Refused(f"{name} is not on this machine: install it first.")
    return program
