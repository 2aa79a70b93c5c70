"""Who is at the other end of a Unix socket, as the kernel says."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import struct
from dataclasses import dataclass
from typing import Final

ADMIN_GROUP: Final = "gatevault-admin"
"""Members of this group, root, and the daemon's own user may command the device."""

VISION_USER: Final = "gatevault-vision"

_SO_PEERGROUPS: Final = 59
_MAX_GROUPS_BYTES: Final = 1024
"""Python's longest socket option: 256 groups; a peer in more counts by its primary group alone."""
_UCRED: Final = struct.Struct("iII")


@dataclass(frozen=True, slots=True)
class Peer:
    pid: int
    uid: int
    groups: frozenset[int]


def peer_of(connection: socket.socket) -> Peer:
    """The process that connected. OSError where the kernel does not say."""
    pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MAX_GROUPS_BYTES)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        raw = b""
    others = struct.unpack(f"{len(raw) // 4}I", raw)
    return Peer(pid, uid, frozenset((gid, *others)))


def may_command(peer: Peer) -> bool:
    """Root, this daemon's own user, or a member of the admin group."""
    if peer.uid in (0, os.geteuid()):
        return True
    try:
        return grp.getgrnam(ADMIN_GROUP).gr_gid in peer.groups
    except KeyError:
        return False


def may_be_vision(peer: Peer) -> bool:
    """The vision user where there is one, this daemon's own user (a bench), or root."""
    if peer.uid in (0, os.geteuid()):
        return True
    try:
        return pwd.getpwnam(VISION_USER).pw_uid == peer.uid
    except KeyError:
        return False
