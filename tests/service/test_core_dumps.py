"""A daemon that dies by a signal leaves no core dump: two locks, each of which would do."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gatevault.confine.process import harden
from tests.bench import Bench


def limits(pid: int) -> list[str]:
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max core file size"):
            return line.split()[4:6]
    raise AssertionError("the kernel tells no such limit")


def test_a_dying_daemon_leaves_no_core(quick: Bench, tmp_path: Path) -> None:
    if not _dumps(tmp_path, "pass"):
        pytest.skip("this machine writes no core dump of any process")
    assert not _dumps(tmp_path, "from gatevault.confine.process import harden; harden()")
    assert not _dumps(tmp_path, _MARK_ALONE), "the kernel's mark on the process does it alone"
    quick.start(vision=False)
    assert limits(quick.pid) == ["0", "0"]
    assert quick.process is not None
    os.kill(quick.pid, signal.SIGSEGV)
    _, status = os.waitpid(quick.pid, 0)
    quick.process.returncode = os.waitstatus_to_exitcode(status)
    assert os.WTERMSIG(status) == signal.SIGSEGV
    assert not os.WCOREDUMP(status)


_MARK_ALONE = """
from gatevault.confine.process import harden
kept, resource.setrlimit = resource.setrlimit, lambda *_: None
harden()
resource.setrlimit = kept
assert resource.getrlimit(resource.RLIMIT_CORE)[0] == resource.RLIM_INFINITY
"""


def _dumps(folder: Path, before: str) -> bool:
    """Whether a child that runs some code, with no limit, and aborts has its core dumped."""
    code = f"import os, resource\n{before}\nos.abort()"
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (-1, -1)),
        stderr=subprocess.DEVNULL,
    )
    _, status = os.waitpid(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert os.WIFSIGNALED(status), status
    return os.WCOREDUMP(status)


def test_each_of_the_two_locks_is_set() -> None:
    """In a child, since neither is undone."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            harden()
            import ctypes

            prctl = ctypes.CDLL(None).prctl
            dumpable, no_new = prctl(3, 0, 0, 0, 0), prctl(39, 0, 0, 0, 0)
            status = 0 if (dumpable, no_new, resource.getrlimit(resource.RLIMIT_CORE)) == (0, 1, (0, 0)) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
