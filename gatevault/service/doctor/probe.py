"""The machine as the checks see it: files under a root, and short-lived programs.

A test gives another root (a made-up sysfs) and another PATH (a made-up vcgencmd). Nothing here writes.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Final

RUN_S: Final = 3.0
"""Longest run of one program; those that are asked here answer within some tens of milliseconds."""

BUDGET_S: Final = 15.0
"""All of `doctor` together stays under 20 s: after this long nothing new is begun."""

PATHS: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
"""Looked through after PATH: over ssh an ordinary user's has no sbin."""


class Probe:
    """Reads; OSError says that something is there and may not be looked at."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._until = time.monotonic() + BUDGET_S

    @property
    def left_s(self) -> float:
        """What is left of the budget, in seconds."""
        return max(0.0, self._until - time.monotonic())

    def at(self, path: str | Path) -> Path:
        """Where an absolute path of the machine lies."""
        return self._root / str(path).lstrip("/")

    def text(self, path: str | Path) -> str | None:
        """A small file, stripped; None where it is not there. OSError."""
        try:
            return self.at(path).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def number(self, path: str | Path) -> int | None:
        """A file that holds one number, decimal or 0x…; None where it does not. OSError."""
        try:
            return int(self.text(path) or "", 0)
        except ValueError:
            return None

    def names(self, folder: str | Path) -> list[str]:
        """What lies in a folder, in order; nothing where there is none. OSError."""
        try:
            return sorted(path.name for path in self.at(folder).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def run(self, *command: str) -> str | None:
        """What a program writes, whatever its status; None where it is not installed. OSError where it hangs."""
        place = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:{PATHS}")
        if place is None:
            return None
        if not self.left_s:
            raise OSError(errno.ETIMEDOUT, "the checks took too long already")
        try:
            done = subprocess.run(
                [place, *command[1:]],
                env={**os.environ, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=min(RUN_S, self.left_s),
            )
        except subprocess.TimeoutExpired:
            raise OSError(errno.ETIMEDOUT, f"{command[0]} does not answer") from None
        return done.stdout

    @property
    def model(self) -> str:
        """The board's name, as the firmware tells it; empty on a machine without a device tree."""
        return self.text("/proc/device-tree/model") or ""

    @property
    def is_pi(self) -> bool:
        return self.model.startswith("Raspberry Pi")

    def boot_config(self) -> str | None:
        """`config.txt` of the firmware, without comments; None where there is none. OSError."""
        for place in ("/boot/firmware/config.txt", "/boot/config.txt"):
            if (text := self.text(place)) is not None:
                lines = (line.partition("#")[0].strip() for line in text.splitlines())
                return "\n".join(line for line in lines if line)
        return None
