"""A clean Debian root, offline, and in it a stand-in of systemd for what the installer asks of it.

The root comes from mmdebstrap once, and is kept in a folder of temporary files; each test gets a copy. Within it runs
what the installer at the gate would type, in namespaces of its own: no network, and processes that end with it.
`systemctl` is a stand-in that keeps to what the units say: it starts the daemon of `current` as user gatevault and
stops it, so that upgrade and rollback meet a real daemon on a bench state. Real systemd: tests/vm.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

SUITE = "bookworm"
KEPT = Path(os.environ.get("GATEVAULT_TEST_ROOTS", tempfile.gettempdir())) / f"gatevault-{SUITE}-amd64-1.tar"

SYSTEMCTL = r"""#!/usr/bin/python3
import json, os, pathlib, signal, subprocess, sys, time

run = pathlib.Path("/run/stand-in")
words = [w for w in sys.argv[1:] if not w.startswith("--")]
verb = words[0]
units = words[1:]


def pid():
    try:
        number = int((run / "pid").read_text())
        state = pathlib.Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        return 0 if state == "Z" else number
    except (OSError, ValueError):
        return 0


def ready():
    if not pid():
        return False
    command = ["/opt/gatevault/bin/gatevault", "status", "--json"]
    return subprocess.run(command, capture_output=True).returncode == 0


run.mkdir(exist_ok=True)
with open("/root/systemctl.log", "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\n")
if verb == "start":
    if not pid():
        command = ["setpriv", "--reuid=gatevault", "--regid=gatevault", "--init-groups"]
        command += ["/opt/gatevault/bin/gatevault", "run", "--state", "/var/lib/gatevault"]
        out = open("/root/daemon.log", "a")
        (run / "pid").write_text(str(subprocess.Popen(command, stdout=out, stderr=out, cwd="/").pid))
elif verb == "stop":
    if number := pid():
        os.kill(number, signal.SIGTERM)
        until = time.monotonic() + 15
        while pid() and time.monotonic() < until:
            time.sleep(0.05)
        if pid():
            os.kill(number, signal.SIGKILL)
elif verb == "is-active":
    sys.exit(0 if ready() else 3)
elif verb == "is-enabled":
    sys.exit(0 if (run / "enabled").exists() else 1)
elif verb in ("enable", "disable"):
    (run / "enabled").touch() if verb == "enable" else (run / "enabled").unlink(missing_ok=True)
elif verb == "show":
    print(pid())
"""


class CleanRoot:
    """A copy of the root that commands run in. Ended with `close`."""

    def __init__(self, folder: Path) -> None:
        for program in ("mmdebstrap", "unshare", "chroot"):
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed (apt install mmdebstrap)")
        if os.geteuid() != 0:
            pytest.skip("needs root")
        if not KEPT.exists():
            fresh = KEPT.with_suffix(".new.tar")
            command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,systemd", SUITE, str(fresh)]
            made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
            if made.returncode:
                pytest.skip(f"no Debian root can be made here: {made.stderr[-300:]}")
            fresh.replace(KEPT)
        self.path = folder / "root"
        self.path.mkdir()
        subprocess.run(["tar", "-C", str(self.path), "-xf", str(KEPT)], check=True, timeout=600)
        self._inside: subprocess.Popen[str] | None = None

    def boot(self) -> None:
        """Begin the namespaces that commands run in, with a systemd that seems to run."""
        program = self.path / "usr/local/sbin/systemctl"
        program.write_text(SYSTEMCTL)
        program.chmod(0o755)
        self.enter("mkdir -p /run/systemd/system")

    def enter(self, script: str, *, limit_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a shell script inside; its output, and how it ended."""
        if self._inside is None:
            self._inside = self._namespaces()
        command = ["nsenter", "--target", self._first(), "--mount", "--net", "--pid", "--ipc"]
        command += ["chroot", str(self.path), "bash", "-c", script]
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s,
            env=environment,
            stdin=subprocess.DEVNULL,
        )

    def done(self, script: str, *, limit_s: float = 300) -> str:
        """As `enter`, and it must end well."""
        ended = self.enter(script, limit_s=limit_s)
        assert ended.returncode == 0, f"{script}\n{ended.stdout}\n{ended.stderr}\n{self.log()}"
        return ended.stdout

    def log(self) -> str:
        log = self.path / "root/daemon.log"
        return log.read_text()[-2000:] if log.exists() else ""

    def close(self) -> None:
        if self._inside is not None:
            self._inside.kill()  # the first process of its namespace: all others end with it
            subprocess.run(["kill", "-9", self._first()], check=False, capture_output=True)
            self._inside.wait()

    def _namespaces(self) -> subprocess.Popen[str]:
        prepare = (
            "set -e; cd $0; mount -t proc proc proc; mount -t tmpfs tmpfs run; mount -t tmpfs tmpfs dev; mkdir dev/shm;"
            "mknod -m 666 dev/null c 1 3; mknod -m 444 dev/urandom c 1 9; mknod -m 666 dev/ptmx c 5 2;"
            "echo ready; exec sleep 3000"
        )
        command = [
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--ipc",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            prepare,
            str(self.path),
        ]
        inside = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert inside.stdout is not None and inside.stdout.readline() == "ready\n"
        return inside

    def _first(self) -> str:
        """The process that is the first of the namespace, as we number it."""
        assert self._inside is not None
        children = Path(f"/proc/{self._inside.pid}/task/{self._inside.pid}/children")
        until = time.monotonic() + 10
        while not (found := children.read_text().split()):
            assert time.monotonic() < until
            time.sleep(0.05)
        return found[0]
