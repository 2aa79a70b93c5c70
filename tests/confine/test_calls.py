"""System calls that were given up are refused, to threads that were there before as well; others go on."""

from __future__ import annotations

import pytest

from tests.confine.children import need_seccomp, tried

pytestmark = pytest.mark.usefixtures("_seccomp")


@pytest.fixture
def _seccomp() -> None:
    need_seccomp()


def test_no_network_and_no_way_round_the_filter() -> None:
    told = tried("""
from gatevault.confine import calls
calls.give_up()
for family in ("INET", "INET6", "NETLINK", "PACKET", "ALG", "VSOCK"):
    attempt(family, lambda: socket.socket(getattr(socket, "AF_" + family), socket.SOCK_RAW))
attempt("past Python", lambda: call(41 if os.uname().machine == "x86_64" else 198, 2, 1, 0))
attempt("with high bits", lambda: call(41 if os.uname().machine == "x86_64" else 198, 1 << 32 | 2, 1, 0))
attempt("pair", lambda: socket.socketpair(socket.AF_INET))
attempt("io_uring", lambda: call(425, 1, 0))
attempt("UNIX", lambda: socket.socketpair(socket.AF_UNIX))
attempt("of a child", lambda: __import__("subprocess").run(
    [sys.executable, "-c", "import socket; socket.socket()"], stderr=-3, check=False).returncode == 1 or 1 / 0)
""")
    assert told.pop("UNIX") == told.pop("of a child") == "done"
    assert set(told.values()) == {"EPERM"}, told


def test_no_other_process_namespace_or_kernel() -> None:
    told = tried("""
from gatevault.confine import calls
calls.give_up()
libc = ctypes.CDLL(None, use_errno=True)
def libc_call(name, *words):
    if getattr(libc, name)(*map(ctypes.c_long, words)) < 0:
        raise OSError(ctypes.get_errno(), "")
attempt("ptrace", lambda: libc_call("ptrace", 16, os.getppid(), 0, 0))
attempt("read", lambda: libc_call("process_vm_readv", os.getppid(), 0, 0, 0, 0, 0))
attempt("unshare", lambda: libc_call("unshare", 0x10000000))
attempt("setns", lambda: libc_call("setns", 0, 0))
attempt("mount", lambda: libc_call("mount", 0, 0, 0, 0, 0))
attempt("personality", lambda: libc_call("personality", 0xffffffff))
attempt("shmget", lambda: libc_call("shmget", 0, 4096, 0o1600))
attempt("bpf", lambda: call(321 if os.uname().machine == "x86_64" else 280, 0, 0, 0))
attempt("keyctl", lambda: call(250 if os.uname().machine == "x86_64" else 219, 0, 0))
clone = 56 if os.uname().machine == "x86_64" else 220
attempt("clone of a user namespace", lambda: call(clone, 0x10000000 | 17, 0, 0, 0, 0))
attempt("clone3", lambda: call(435, 0, 0))
""")
    assert told.pop("clone3") == "ENOSYS"
    assert set(told.values()) == {"EPERM"}, told


def test_threads_and_programs_go_on_and_older_threads_are_bound() -> None:
    told = tried("""
import subprocess, threading
from gatevault.confine import calls
go, gone = threading.Event(), threading.Event()
def before():
    go.wait()
    attempt("a thread from before", lambda: socket.socket(socket.AF_INET))
    gone.set()
threading.Thread(target=before, daemon=True).start()
calls.give_up()
go.set(); gone.wait(30)
attempt("a program", lambda: subprocess.run(["true"], check=True))
def later():
    attempt("a thread", lambda: None)
thread = threading.Thread(target=later); thread.start(); thread.join()
""")
    assert told == {"a thread from before": "EPERM", "a program": "done", "a thread": "done"}


def test_after_connecting_no_socket_and_no_program() -> None:
    told = tried("""
import subprocess
from gatevault.confine import calls
ours, theirs = socket.socketpair()
calls.give_up(); calls.give_up_more()
attempt("socket", lambda: socket.socket(socket.AF_UNIX))
attempt("pair", lambda: socket.socketpair())
attempt("program", lambda: subprocess.run(["true"], check=True))
attempt("connect", lambda: ours.connect("/nowhere"))
attempt("the one that is there", lambda: (ours.sendall(b"x"), theirs.recv(1)))
""")
    assert told.pop("the one that is there") == "done"
    assert set(told.values()) == {"EPERM"}, told
