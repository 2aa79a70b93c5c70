"""Code that is run in a process of its own, since what it gives up never comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from gatevault.confine import calls, landlock
from gatevault.core.errors import SandboxError

_TRIED = """
import ctypes, errno, json, os, socket, sys
from pathlib import Path
told = {}
def attempt(name, what):
    try:
        result = what()
        told[name] = "done"
        return result
    except OSError as error:
        told[name] = errno.errorcode.get(error.errno, str(error))
def call(*words):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*map(ctypes.c_long, words)) < 0:
        raise OSError(ctypes.get_errno(), "")
"""


def tried(code: str, *arguments: object) -> dict[str, str]:
    """What each `attempt(name, function)` of the code came to: `done`, or the name of its error."""
    command = [sys.executable, "-c", f"{_TRIED}\n{code}\nprint(json.dumps(told))", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def need_landlock() -> None:
    if landlock.version() == 0:
        pytest.skip("this kernel has no Landlock, or was booted without it")


def need_seccomp() -> None:
    try:
        calls._library()
    except SandboxError as error:
        pytest.skip(str(error))
