"""The bench's record of what its mock pins did: one JSON line per edge of an output.

    {"ns": 81273645, "pid": 4242, "role": "relay", "pin": 17, "value": 1}

`ns` is CLOCK_MONOTONIC in nanoseconds (one clock for all processes of the machine), `role` the
part's name in the board profile, `pin` its BCM number, `value` 1 when the part is switched on and
0 when off, whatever its active level: for the relay 1 is energised and 0 released. A part starts
off, so the first edge of a relay is a 1.

Only a bench writes one; it grows by about 75 bytes an edge and is never pruned, as a bench is made
afresh. Each edge is one `write` on an append-only descriptor, so the record outlives a `kill -9`
of its writer and two writers (daemon and guard) do not tear each other's lines.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)


class Edge(msgspec.Struct, frozen=True):
    """One line of a trace; see the module's docstring."""

    ns: int
    pid: int
    role: str
    pin: int
    value: int


class Trace:
    """Appends edges to a file. Never raises: a full disk must not stop a relay."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._torn = False
        self.failures = 0
        """Edges that could not be written."""

    def edge(self, role: str, pin: int, *, on: bool) -> None:
        """Append one edge; a failure is counted and logged once."""
        edge = Edge(time.monotonic_ns(), os.getpid(), role, pin, int(on))
        line = msgspec.json.encode(edge) + b"\n"
        with self._lock:
            try:
                self._write(line)
            except OSError as error:
                # The relay has moved or is about to: an unwritten line of a bench's record is no
                # reason to leave it energised. Later edges try again.
                self.failures += 1
                if self.failures == 1:
                    log.warning("the pin trace cannot be written (%s); the pins move on", error.strerror)

    def _write(self, line: bytes) -> None:
        if self._fd is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o600)
        if self._torn:
            line = b"\n" + line  # a full disk cut the last line short: close it, readers skip it
        written = os.write(self._fd, line)
        self._torn = written < len(line)
        if self._torn:
            self.failures += 1

    def close(self) -> None:
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None


def read_trace(path: Path) -> list[Edge]:
    """Every whole edge of a trace, in the order written; a file that is not there has none."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    edges = []
    for line in lines:
        try:
            edges.append(msgspec.json.decode(line, type=Edge))
        except msgspec.DecodeError:
            continue  # cut short by a full disk
    return edges
