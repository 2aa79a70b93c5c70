"""The other end of the control socket: ask one command, hear what it says, take its answer."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gatevault.core import control, errors, wire
from gatevault.core.errors import DaemonDownError, GateVaultError
from gatevault.service.control import CONTROL_SOCKET
from gatevault.service.sockets import connected_socket
from gatevault.service.state import StatePaths, read_device

PATIENCE_S: Final = 180.0
"""Longest silence: an enrolment takes up to a minute, a consent waits a minute for a card."""

_KINDS: Final[dict[str, type[GateVaultError]]] = {
    kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GateVaultError)
}


def ask(
    root: Path, command: control.Command, say: Callable[[str], None], patience_s: float = PATIENCE_S
) -> dict[str, Any]:
    """Send one command to the daemon of this state and return its answer. `patience_s`: longest silence.

    Raises what the daemon refused with, as the same error; DaemonDownError where none answers.
    """
    paths = StatePaths(root)
    if not root.exists():
        raise errors.StateError(f"There is no GateVault state in {root}: make one with `gatevault init`.")
    # An admin may not read a gate's state directory; only a bench has its sockets inside.
    bench = os.access(root, os.X_OK) and (
        paths.runtime(True).is_dir() or (os.access(root, os.R_OK) and read_device(paths).bench)
    )
    try:
        channel = connected_socket(paths.runtime(bench) / CONTROL_SOCKET, patience_s)
    except PermissionError:
        raise errors.NotAllowedError("The daemon's socket is not open to this user: run as its admin.") from None
    except OSError:
        raise DaemonDownError(f"No daemon runs on {root}: start it with `gatevault run --state {root}`.") from None
    with channel:
        try:
            with contextlib.suppress(BrokenPipeError):  # refused before it was read: hear why
                channel.sendall(wire.pack(command))
            return _answer(channel.recv_into, say)
        except OSError as error:
            raise DaemonDownError(f"The daemon went away before it answered ({error}): see its log.") from None


def _answer(receive: Callable[[memoryview], int], say: Callable[[str], None]) -> dict[str, Any]:
    frames = wire.FrameBuffer()
    while count := receive(frames.space()):
        frames.filled(count)
        for payload in frames.frames():
            reply = wire.unpack(control.REPLIES, payload)
            if isinstance(reply, control.Answer):
                return reply.body
            if isinstance(reply, control.Failure):
                raise _KINDS.get(reply.code, GateVaultError)(reply.text)
            say(reply.text)
    raise DaemonDownError("The daemon went away before it answered: see its log, and whether it was done.")
