"""A real TPM 2.0 in software (swtpm) for one test: its state lies in a directory and outlives its process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest


class SoftTpm:
    """Started when made. `folder` must be short: a Unix socket's path has 107 characters."""

    def __init__(self, folder: Path) -> None:
        for program in ("swtpm", "tpm2"):
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed (apt install swtpm tpm2-tools)")
        self.folder = folder
        self.socket = folder / "tpm"
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def tcti(self) -> str:
        return f"swtpm:path={self.socket}"

    def start(self) -> None:
        """Power on: PCRs are at their reset values, NV indices as they were."""
        for path in (self.socket, self.folder / "tpm.ctrl"):
            path.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [
                *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}"),
                *("--server", f"type=unixio,path={self.socket}"),
                *("--ctrl", f"type=unixio,path={self.socket}.ctrl"),
                *("--flags", "startup-clear,not-need-init", "--log", f"file={self.log},level=20"),
            ],
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 20
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > until:
                pytest.skip("swtpm does not start here")
            time.sleep(0.01)

    def kill(self) -> None:
        """Pull the plug."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def freeze(self) -> None:
        """From now on it takes commands and does not answer."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def tool(self, *arguments: str, stdin: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """What an administrator types, with `tpm2` before it."""
        name, *rest = arguments
        return subprocess.run(
            ["tpm2", name, "-T", self.tcti, *rest],
            input=stdin,
            capture_output=True,
            check=check,
            timeout=30,
            env=os.environ | {"TSS2_LOG": "all+NONE"},
        )

    def bus(self) -> str:
        """Every byte that crossed the bus, both ways, in small hexadecimal digits."""
        return "".join(self.log.read_text(errors="replace").split()).lower()
