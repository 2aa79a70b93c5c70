"""What the unit forbids the vision process, it does not need: no memory that is written and run, no call
outside."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gatevault.core.wire import FaceSeen, LookDone, Purpose
from tests.vision.daemon import Daemon

UNIT = Path(__file__).parents[2] / "systemd" / "gatevault-vision.service"

_PR_SET_MDWE = 65
"""linux/prctl.h, from Linux 6.3 on: what MemoryDenyWriteExecute= asks for, kept across exec."""

WITHOUT_WRITE_EXECUTE = (
    "import ctypes, os, sys; libc = ctypes.CDLL(None); "
    "libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4; "
    f"assert libc.prctl({_PR_SET_MDWE}, 1, 0, 0, 0) == 0; os.execvp(sys.argv[1], sys.argv[1:])"
)


def a_look(daemon: Daemon, picture: Path) -> None:
    daemon.greet()
    for purpose in (Purpose.ENROL, Purpose.ACCESS):
        daemon.look(f"dir:{picture}", purpose, limit_ms=700)
        assert any(isinstance(said, FaceSeen) for said in daemon.until(LookDone))
    assert daemon.hang_up() == 0


def refuses_write_execute() -> bool:
    """Whether this kernel knows PR_SET_MDWE, asked in a process of its own."""
    command = [sys.executable, "-c", WITHOUT_WRITE_EXECUTE, "true"]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


def test_it_looks_without_memory_that_is_written_and_then_run(tmp_path: Path, folder: Path, picture: Path) -> None:
    assert "MemoryDenyWriteExecute=yes" in UNIT.read_text()
    if not refuses_write_execute():
        pytest.skip("this kernel cannot refuse it to one process (Linux 6.3 can)")
    daemon = Daemon(tmp_path, folder, before=[sys.executable, "-c", WITHOUT_WRITE_EXECUTE])
    try:
        a_look(daemon, picture)
    finally:
        daemon.close()


def test_its_system_calls_are_those_that_the_unit_allows(tmp_path: Path, folder: Path, picture: Path) -> None:
    strace, analyze = shutil.which("strace"), shutil.which("systemd-analyze")
    if strace is None or analyze is None:
        pytest.skip("strace and systemd-analyze are not both installed")
    if subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True, check=False, timeout=60).returncode:
        pytest.skip("strace may not trace here")
    allowed = granted(analyze)
    log = tmp_path / "calls"
    daemon = Daemon(tmp_path, folder, before=[strace, "-f", "-qq", "-o", str(log)])
    try:
        a_look(daemon, picture)
    finally:
        daemon.close()
    seen = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", log.read_text(), re.MULTILINE))
    assert {"recvfrom", "sendto"} & seen, "the trace saw it speak"
    # systemd lets a process ask for what it may not do: EPERM, and glibc goes on. What fails so is listed here.
    assert seen - allowed <= HARMLESS, seen - allowed - HARMLESS


HARMLESS = {"capset", "mbind"}
"""A gate's vision has no privilege to lay down; OpenBLAS asks where its memory should be, and does without an answer."""


def granted(analyze: str) -> set[str]:
    """The calls of the unit's SystemCallFilter lines: groups opened, those of a `~` line taken away."""
    groups = subprocess.run(
        [analyze, "syscall-filter"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    members: dict[str, list[str]] = {}
    for line in groups.splitlines():
        if line.startswith("@"):
            members[line.strip()] = current = []
        elif line.strip() and not line.strip().startswith("#"):
            current.append(line.strip())

    def calls(name: str) -> set[str]:
        return set().union(*map(calls, members[name])) if name.startswith("@") else {name}

    found: set[str] = set()
    for wanted in re.findall(r"^SystemCallFilter=(.+)$", UNIT.read_text(), re.MULTILINE):
        names = set().union(*map(calls, wanted.removeprefix("~").split()))
        found = found - names if wanted.startswith("~") else found | names
    return found | {"execve", "exit", "exit_group", "rt_sigreturn", "getrlimit"}


def test_the_unit_shows_vision_the_models_and_nothing_else_of_the_state() -> None:
    text = UNIT.read_text()
    assert "BindReadOnlyPaths=-/var/lib/gatevault/models:/run/gatevault-models\n" in text
    assert "--models /run/gatevault-models\n" in text
    assert re.search(r"^InaccessiblePaths=-/var/lib/gatevault ", text, re.MULTILINE)
    assert "\nEnvironment=ORT_DISABLE_TELEMETRY=1\n" in text
    assert ctypes.sizeof(ctypes.c_ulong) == 8, "the figures of prctl above"
