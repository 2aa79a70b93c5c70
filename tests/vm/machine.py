"""One emulated computer: QEMU without KVM, a TPM in software, a disk, a port over which it does what it is told."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

BOOT_LIMIT_S: Final = 300.0
MEMORY_MB: Final = 2048
CORES: Final = 2


@dataclass(frozen=True, slots=True)
class Done:
    """What a command in the machine said."""

    code: int
    out: str
    err: str


class Machine:
    """Powered on by `boot`, off by `shut_down` as systemd does it or `cut` as a pulled plug does."""

    def __init__(self, kernel: Path, initrd: Path, disk: Path, logs: Path) -> None:
        self._kernel, self._initrd, self._disk, self._logs = kernel, initrd, disk, logs
        self._folder = Path(tempfile.mkdtemp(prefix="gv-vm-"))  # short: a Unix socket's path has 107 characters
        (self._folder / "tpm").mkdir()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._port: socket.socket | None = None
        self._heard: IO[bytes] | None = None
        self._count = 0
        self.boots = 0

    def boot(self) -> float:
        """Power on, and wait until the machine does what it is told. Gives the seconds."""
        began = time.monotonic()
        self.boots += 1
        self._start_tpm()
        qemu = ["nice", "-n", "5", "qemu-system-x86_64", *self._hardware(), *self._wires()]
        with (self._logs / f"qemu-{self.boots}.log").open("wb") as log:
            self._processes.append(subprocess.Popen(qemu, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        self._connect(began + BOOT_LIMIT_S)
        return time.monotonic() - began

    def _start_tpm(self) -> None:
        tpm = self._folder / "tpm"
        control = self._folder / "tpm.sock"
        control.unlink(missing_ok=True)
        options = ["--tpm2", "--tpmstate", f"dir={tpm}", "--ctrl", f"type=unixio,path={control}", "--terminate"]
        self._processes.append(subprocess.Popen(["swtpm", "socket", *options]))
        until = time.monotonic() + 20
        while not control.exists():
            if time.monotonic() > until:
                raise RuntimeError("swtpm does not start")
            time.sleep(0.05)

    def _hardware(self) -> list[str]:
        """A processor with what the wheels are built for (x86-64-v2, AVX2), and nothing that no gate uses."""
        return [
            *("-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", str(CORES), "-m", str(MEMORY_MB)),
            *("-machine", "pc", "-nodefaults", "-display", "none", "-no-reboot"),
            *("-kernel", str(self._kernel), "-initrd", str(self._initrd)),
            *(
                "-append",
                "console=ttyS0 quiet mitigations=off transparent_hugepage=never systemd.show_status=no",
            ),
            *("-drive", f"file={self._disk},format=raw,if=virtio,cache=writeback"),
            *("-device", "virtio-rng-pci"),
        ]

    def _wires(self) -> list[str]:
        return [
            *("-serial", f"file:{self._logs / f'console-{self.boots}.log'}"),
            *("-chardev", f"socket,id=tpm,path={self._folder}/tpm.sock"),
            *("-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-tis,tpmdev=tpm0"),
            *("-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=agent,path={self._folder}/agent,server=on,wait=off"),
            *("-device", "virtserialport,chardev=agent,name=gatevault.vm"),
        ]

    def _connect(self, until: float) -> None:
        port = socket.socket(socket.AF_UNIX)
        while True:
            try:
                port.connect(f"{self._folder}/agent")
                break
            except OSError:
                self._still_there(until)
                time.sleep(0.2)
        port.settimeout(2.0)
        self._port, self._heard = port, port.makefile("rb", buffering=0)
        while True:  # what is said before the machine listens is lost
            try:
                if self._ask({"sh": "true"}, 2.0).code == 0:
                    return
            except TimeoutError:
                self._still_there(until)

    def _still_there(self, until: float) -> None:
        if self._processes[-1].poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the machine does not boot: see {self._logs}")

    def _ask(self, asked: dict[str, str | list[str]], limit_s: float) -> Done:
        assert self._port is not None
        self._count += 1
        self._port.sendall(json.dumps({"id": self._count, "limit": limit_s, **asked}).encode() + b"\n")
        until = time.monotonic() + limit_s + 30
        heard = b""
        while time.monotonic() < until:
            heard += self._port.recv(65536)
            *lines, heard = heard.split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError):
                    said = json.loads(line)
                    if said["id"] == self._count:
                        return Done(said["code"], said["out"], said["err"])
        raise TimeoutError(str(asked)[:200])

    def sh(self, text: str, limit_s: float = 120.0, check: bool = True) -> str:
        """Run `text` in the machine's shell as root; what it printed, without the last newline."""
        done = self.try_sh(text, limit_s)
        if check and done.code:
            raise AssertionError(f"{text[:300]}\nended with {done.code}:\n{done.out[-2000:]}\n{done.err[-2000:]}")
        return done.out.rstrip("\n")

    def try_sh(self, text: str, limit_s: float = 120.0) -> Done:
        """The same, for what may fail."""
        return self._tell({"sh": text}, limit_s)

    def gatevault(self, words: list[str], limit_s: float = 120.0) -> Done:
        """Run a `gatevault` command as root."""
        return self._tell({"gatevault": words}, limit_s)

    def _tell(self, asked: dict[str, str | list[str]], limit_s: float) -> Done:
        assert self._port is not None
        self._port.settimeout(limit_s + 60)
        began = time.monotonic()
        done = self._ask(asked, limit_s)
        with (self._logs / "commands.log").open("a") as log:
            took = time.monotonic() - began
            log.write(f"{took:6.1f} s [{done.code}] {str(asked)[:300]}\n{done.out[-500:]}{done.err[-500:]}\n")
        return done

    def write(self, path: str, text: str) -> None:
        """A small file in the machine."""
        self.sh(f"mkdir -p {Path(path).parent} && printf %s {shlex.quote(text)} > {path}")

    def cut(self) -> None:
        """Pull the plug: what the machine had in memory is gone, and what it had not yet given to its disk."""
        self._processes[-1].send_signal(signal.SIGKILL)
        self._end()

    def shut_down(self) -> None:
        """As an admin does."""
        with contextlib.suppress(TimeoutError, AssertionError, OSError):
            self.sh("systemctl poweroff", 20)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._processes[-1].wait(60)
        self._end()

    def _end(self) -> None:
        if self._port is not None:
            self._port.close()
        for process in reversed(self._processes):
            if process.poll() is None and process is self._processes[-1]:
                process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)  # swtpm ends itself when its machine is gone
            if process.poll() is None:
                process.kill()
                process.wait()
        self._processes.clear()

    def close(self) -> None:
        self._end()
        shutil.rmtree(self._folder, ignore_errors=True)
