"""System calls that a process gives up, by seccomp: refused with EPERM, here and in all children.

A list of what is refused, not of what is allowed: NumPy, OpenCV, dlib, onnxruntime, libc and tpm2-tools bring calls
of their own, other ones with each release and architecture, and a call that we did not foresee would keep a gate
shut. The list of what is allowed is the units' (`SystemCallFilter=@system-service`), where systemd keeps it up to
date. Refused and not killed, since libraries ask for what they can do without; a leak fails either way.
"""

from __future__ import annotations

import errno
import importlib
import socket
from types import ModuleType
from typing import Any, Final

from gatevault.core.errors import SandboxError

NEVER: Final = (
    # io_uring makes and uses sockets without the calls that a filter sees; the older interface is not used either.
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "io_setup", "io_submit"),
    # other processes' memory and handles
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp"),
    # other views of the system: mounts and namespaces (clone: below)
    *("mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "mount_setattr"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "unshare", "setns", "personality", "modify_ldt"),
    # the kernel: programs, modules and other kernels in it, its log, its keys, its clock, its switch
    *("bpf", "perf_event_open", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load"),
    *("syslog", "add_key", "request_key", "keyctl", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex"),
    *("reboot", "swapon", "swapoff", "acct", "quotactl", "sethostname", "setdomainname", "vhangup"),
    # memory and messages that are shared by name, past files and sockets
    *("shmget", "msgget", "semget", "mq_open"),
    # faults served in user space, files by handle past their directories, all files' events, ports
    *("userfaultfd", "name_to_handle_at", "open_by_handle_at", "fanotify_init", "ioperm", "iopl"),
)

AFTER_CONNECTING: Final = (
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "execve", "execveat",
)  # fmt: skip
"""What vision needs no more once it is connected to the daemon: one socket, and no other program."""

_NAMESPACES: Final = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
"""CLONE_NEW* of linux/sched.h that clone can be asked for: mount, cgroup, UTS, IPC, user, process, network."""

_UNKNOWN: Final = -1
"""What libseccomp answers for a call that it does not know. One of another architecture it passes over itself."""


class CallsError(SandboxError):
    """System calls cannot be given up here."""


def give_up() -> None:
    """Give up `NEVER`, sockets of every family but AF_UNIX, and new namespaces. CallsError."""
    seccomp = _library()
    refused = _filter(seccomp, NEVER)
    other_family = seccomp.Arg(0, seccomp.NE, socket.AF_UNIX)
    for name in ("socket", "socketpair"):
        refused.add_rule(seccomp.ERRNO(errno.EPERM), name, other_family)
    for flag in _NAMESPACES:
        refused.add_rule(seccomp.ERRNO(errno.EPERM), "clone", seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    # Its flags lie in memory, where no filter reads: libc takes clone where the kernel does not know it.
    refused.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    _load(refused)


def give_up_more() -> None:
    """Give up `AFTER_CONNECTING` as well. CallsError."""
    _load(_filter(_library(), AFTER_CONNECTING))


def _library() -> ModuleType:
    try:
        return importlib.import_module("pyseccomp")
    # AttributeError: a libseccomp without what it binds.
    except (ImportError, OSError, RuntimeError, AttributeError):
        raise CallsError("libseccomp is not there (apt install libseccomp2)") from None


def _filter(seccomp: ModuleType, names: tuple[str, ...]) -> Any:
    refused = seccomp.SyscallFilter(seccomp.ALLOW)
    refused.set_attr(seccomp.Attr.CTL_TSYNC, 1)  # threads that native libraries started already
    for name in names:
        number = seccomp.resolve_syscall(seccomp.Arch.NATIVE, name)
        if number != _UNKNOWN:
            refused.add_rule(seccomp.ERRNO(errno.EPERM), number)
    return refused


def _load(refused: Any) -> None:
    try:
        refused.load()
    except OSError as error:
        raise CallsError(f"this kernel takes no filter of system calls ({error.strerror})") from None
