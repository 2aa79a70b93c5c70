"""A thousand strangers: a counter of a thousand, no entry, no vector in any file or in memory (R24)."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from gatevault.core import wire
from gatevault.core.types import Vector
from gatevault.core.wire import CameraOpen, Look, LookDone, LookEnd
from tests.bench import Bench
from tests.service.peer import Peer, Said, Script, person, seen, shows

Seeing = Callable[[Bench, Script], Peer]
STRANGERS = 1_000
FIRST = 10_000
"""Made-up people from here on are strangers."""


def needles(vector: Vector) -> list[bytes]:
    """Bytes that would betray a vector, as it came and at unit length."""
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    return [form.tobytes()[start : start + 32] for form in (vector, unit) for start in (0, 240, 480)]


def stranger(number: int) -> Vector:
    return person(FIRST + number) * np.float32(1.7)


def a_stranger_a_look(look: Look) -> Iterator[Said]:
    number = len(a_stranger_a_look.seen)  # type: ignore[attr-defined]
    a_stranger_a_look.seen.append(number)  # type: ignore[attr-defined]
    yield CameraOpen(look.nonce)
    for frame in range(3):
        yield seen(look.nonce, frame, stranger(number))
    yield LookDone(look.nonce, LookEnd.LIMIT, 3, 0, 50)


def test_a_thousand_strangers_leave_a_number(quick: Bench, seeing: Seeing) -> None:
    quick.start(vision=False)
    peer = seeing(quick, shows(1))
    quick.enrolled("One", "11", None)
    a_stranger_a_look.seen = []  # type: ignore[attr-defined]
    peer.script = a_stranger_a_look
    entries, relay = quick.status()["ledger"]["entries"], quick.values("relay").count(1)
    for _ in range(STRANGERS):
        walked = quick.walk_up()
        assert (walked["decision"], walked["reason"], walked["relay"]) == ("deny", "no-match", False)
    assert quick.unmatched() == STRANGERS
    assert quick.status()["ledger"]["entries"] == entries
    assert quick.values("relay").count(1) == relay
    files = [path.read_bytes() for path in quick.root.rglob("*") if path.is_file()]
    held = b"\0".join([*files, quick.log().encode()])
    assert b"SQLite format 3" in held
    for number in range(STRANGERS):
        assert not any(needle in held for needle in needles(stranger(number))), number
    peer.script = shows(1)
    assert quick.walk_up()["reason"] == "matched"


def memory(pid: int) -> Iterator[bytes]:
    """What a process has in memory that root may read."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as file:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if not found:
                continue
            start, end = (int(part, 16) for part in found.groups())
            try:
                file.seek(start)
                yield file.read(end - start)
            except OSError:
                continue


def in_memory(pid: int, vector: Vector) -> int:
    return sum(area.count(needle) for area in memory(pid) for needle in needles(vector))


def test_a_strangers_vector_is_gone_from_the_daemons_memory_within_a_second(quick: Bench, seeing: Seeing) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may read another process's memory")
    quick.start(vision=False)
    peer = seeing(quick, shows(1))
    quick.enrolled("One", "11", None)
    try:
        assert sum(len(area) for area in memory(quick.pid)) > 1_000_000
    except PermissionError:
        pytest.skip("the kernel does not let root read another process's memory here")

    def script(look: Look) -> Iterator[Said]:
        yield CameraOpen(look.nonce)
        last = bytes(wire.pack(seen(look.nonce, 2, stranger(0))))
        for frame in range(2):
            yield seen(look.nonce, frame, stranger(0))
        yield last[:-4]  # half a message waits in the daemon's buffer, where it can be found
        time.sleep(0.2)
        found.append(in_memory(quick.pid, stranger(0)))
        yield last[-4:]
        yield LookDone(look.nonce, LookEnd.LIMIT, 3, 0, 50)

    found: list[int] = []
    peer.script = script
    assert quick.walk_up()["reason"] == "no-match"
    time.sleep(1.0)
    assert in_memory(quick.pid, stranger(0)) == 0
    assert found[0] > 0, "or nothing is found by mistake"
