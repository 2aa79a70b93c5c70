"""No network: the whole story in a namespace without one. What tells of a socket of another family is tried here;
the story is held against it in `test_egress`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gatevault.core import control
from tests.bench import Bench
from tests.service.conftest import Faces
from tests.service.tracing import SOCKETS, foreign_calls, need_strace


def whole_story(bench: Bench, faces: Faces) -> None:
    """Everything that a gate does, once."""
    one = bench.enrolled("One", "11", faces.one)
    assert bench.walk_up(faces.one_later)["reason"] == "matched"
    assert bench.walk_up(faces.two)["reason"] == "no-match"
    assert bench.tap("11")["relay"] is True
    bench.ask(control.ResidentExport(one))
    bench.ask(control.DoorUnlock())
    bench.ask(control.DoorLock())
    bench.ask(control.Purge(one))
    bench.ask(control.ConsentWithdraw(one))
    bench.ask(control.LedgerVerify())
    bench.ask(control.ResidentRemove(one))
    assert bench.stop() == 0


def alone() -> tuple[str, ...]:
    """A command that runs another in a namespace without a network; skips where none may be made."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    for command in (("unshare", "--net"), ("unshare", "--net", "--user", "--map-root-user")):
        tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            return command
    pytest.skip(f"no network namespace may be made here: {tried.stderr.strip()}")


def test_all_of_it_works_without_any_network(bench: Bench, faces: Faces) -> None:
    bench.before = alone()
    bench.start()
    vision = bench.see()
    for pid in (bench.pid, vision):
        devices = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
        assert [line.split(":")[0].strip() for line in devices] == ["lo"], "not even its loopback is up"
        assert Path(f"/proc/{pid}/net/tcp").read_text().count("\n") == 1
    whole_story(bench, faces)


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.socket(socket.AF_INET)",
        "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import socket; socket.socket()'])",
        "import ctypes; ctypes.CDLL(None).syscall(425, 1, 0)",
        "import ctypes; ctypes.CDLL(None).socket(2, 1, 0)",
    ],
    ids=["inet", "inet6", "netlink", "a child's", "io_uring", "past Python"],
)
def test_the_check_would_find_one(code: str, tmp_path: Path) -> None:
    output = tmp_path / "sockets.txt"
    command = [need_strace(), "-f", "--seccomp-bpf", "-qq", *SOCKETS, "-o", str(output), sys.executable, "-c", code]
    subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert foreign_calls(output), output.read_text()


def test_a_socket_of_ours_passes_the_check(tmp_path: Path) -> None:
    output = tmp_path / "sockets.txt"
    code = "import socket, asyncio; socket.socket(socket.AF_UNIX); asyncio.run(asyncio.sleep(0))"
    command = [need_strace(), "-f", "--seccomp-bpf", "-qq", *SOCKETS, "-o", str(output), sys.executable, "-c", code]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert foreign_calls(output) == []
    assert output.read_text().count("AF_UNIX") >= 2
