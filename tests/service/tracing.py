"""strace at work: kills a process at its n-th call of some kind, counts calls, and lists sockets."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench import PATIENCE_S, eventually


def need_strace() -> str:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    return strace


def _attached(pid: int) -> bool:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)
    except FileNotFoundError:
        return False  # a thread ended just now: look again


@contextmanager
def attached(pid: int, options: Sequence[str], output: Path) -> Iterator[None]:
    """strace on all threads of a running process; skips the test where the kernel does not let us."""
    command = [need_strace(), "-f", "-qq", "-o", str(output), *options, "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:

        def there() -> bool:
            if tracer.poll() is None or tracer.stderr is None:
                return _attached(pid)
            error = tracer.stderr.read().strip()
            if error:
                pytest.skip(f"strace may not attach to the daemon here: {error}")
            return True  # a thread made the call in this moment, and the process is killed already

        try:
            eventually(there)
            yield
        finally:
            if tracer.poll() is None:
                tracer.terminate()
            tracer.wait(PATIENCE_S)


def killing(syscall: str, when: int) -> list[str]:
    """Options that kill the whole process as one of its threads enters its n-th such call."""
    return ["-e", f"trace={syscall}", "-e", f"inject={syscall}:signal=SIGKILL:when={when}"]


def calls(output: Path) -> Counter[str]:
    """How often each call was made, by the thread that made it most often."""
    by_thread: Counter[tuple[str, str]] = Counter()
    for line in output.read_text(errors="replace").splitlines():
        found = re.match(r"(\d+) +(\w+)\(", line)
        if found:
            by_thread[found[1], found[2]] += 1
    most: Counter[str] = Counter()
    for (_, name), count in by_thread.items():
        most[name] = max(most[name], count)
    return most


SOCKETS = ("-e", "trace=socket,socketpair,connect,bind,sendto,sendmsg,io_uring_setup")


def foreign_calls(output: Path) -> list[str]:
    """Lines of a trace with `SOCKETS` that are of any family but AF_UNIX, or of io_uring."""
    return [line for line in output.read_text(errors="replace").splitlines() if _foreign(line)]


def _foreign(line: str) -> bool:
    made = re.match(r"(?:\d+ +)?(socket|socketpair)\((\w+)", line)
    if made:
        return made[2] != "AF_UNIX"
    if re.match(r"(?:\d+ +)?io_uring_setup\(", line):
        return True
    families = re.findall(r"sa_family=(\w+)", line)
    return any(family != "AF_UNIX" for family in families)
