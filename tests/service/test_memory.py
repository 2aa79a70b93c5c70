"""What stays in RAM: the running processes are read from outside, and vectors are looked for.

After each thing that happens at the gate no vector of anybody, nor anything like one, lies outside the locked
pages, within a second. Keys: `test_memory_keys`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from gatevault.core import control, wire
from gatevault.core.matching import template_mean, unit
from gatevault.core.types import Vector
from gatevault.core.wire import CameraOpen, Look, LookDone, LookEnd
from tests.bench import Bench, eventually
from tests.calibrations import shipped
from tests.service.dump import Area, Bytes, Floats, Vectors, areas, snapshot
from tests.service.keys_of import keys_of
from tests.service.peer import DIMENSION, GOOD, Peer, Said, Script, person, seen

Seeing = Callable[[Bench, Script], Peer]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root reads another process's memory")

LATEST_S = 0.6
"""How long after something has happened the memory is read; reading it takes some tenths of a second."""


class Crowd:
    """Shows people whose vectors are as long as dlib's, no two frames alike, and remembers each vector."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, Vector]] = []

    def shows(self, *numbers: int, frames: int = 8) -> Script:
        def script(look: Look) -> Iterator[Said]:
            yield CameraOpen(look.nonce)
            for frame in range(frames):
                yield seen(look.nonce, frame, self.vector(numbers[frame % len(numbers)]))
            yield LookDone(look.nonce, LookEnd.LIMIT, frames, 0, 50)

        return script

    def vector(self, number: int) -> Vector:
        noise = np.random.default_rng((number, len(self.sent))).standard_normal(DIMENSION).astype(np.float32)
        vector = (person(number) + noise * np.float32(0.008)) * np.float32(1.37)
        self.sent.append((number, vector))
        return vector

    def needles(self) -> Vectors:
        """What is like anybody; and every vector as it was sent and at unit length, and means of them."""
        people: dict[str, Floats] = {}
        forms: dict[str, Floats] = {}
        for number in sorted({number for number, _ in self.sent}):
            own = [vector for shown, vector in self.sent if shown == number]
            people[f"person {number}"] = person(number)
            forms[f"mean of person {number}"] = template_mean(
                np.stack([unit(vector) for vector in own]), shipped("dlib").normaliser
            )
            for i, vector in enumerate(own):
                forms[f"vector {i} of person {number}"] = vector
                forms[f"unit vector {i} of person {number}"] = unit(vector)
        return Vectors(people, forms)


def test_no_vector_stays_outside_the_locked_pages(quick: Bench, seeing: Seeing) -> None:
    crowd = Crowd()
    quick.start(vision=False)
    peer = seeing(quick, crowd.shows(1))

    def nothing_stays(after: str) -> None:
        time.sleep(LATEST_S)
        held = snapshot(quick.pid)
        assert crowd.needles().found(held) == set(), after

    first = quick.enrolled("One", "11", None)
    nothing_stays("an enrolment")
    peer.script = crowd.shows(2, frames=3)
    second = quick.enrolled("Two", "12", None)
    assert quick.status()["vault"]["templates"] == 2

    during: list[list[Area]] = []
    peer.script = _paused(crowd, 1, lambda: during.append(snapshot(quick.pid)))
    assert quick.walk_up()["reason"] == "matched"
    nothing_stays("a walk-up that matched, before its look had ended")
    assert crowd.needles().found(during[0]), (
        "while it looks there is something to be found, or this finds nothing by mistake"
    )

    peer.script = crowd.shows(7)
    assert quick.walk_up()["reason"] == "no-match"
    peer.script = crowd.shows(1, 2)
    assert quick.walk_up()["decision"] == "deny", "two residents in turn"
    nothing_stays("a stranger, and a look at two")

    third = quick.add("Three", "13")
    quick.ask(quick.consent(third, "13"))
    peer.script = crowd.shows(3, 4)
    assert "different people" in str(quick.refused(control.Enrol(third, None)))
    nothing_stays("an enrolment that was refused")

    quick.ask(quick.consent(first, "11"))
    nothing_stays("a renewed consent, under which the template was sealed anew")
    quick.ask(control.ConsentWithdraw(second))
    quick.ask(control.Purge(first))
    nothing_stays("a withdrawal and a purge")


def _paused(crowd: Crowd, number: int, meanwhile: Callable[[], None]) -> Script:
    """A look during which something is done after two of its frames."""

    def script(look: Look) -> Iterator[Said]:
        yield CameraOpen(look.nonce)
        for frame in range(6):
            yield seen(look.nonce, frame, crowd.vector(number))
            if frame == 1:
                time.sleep(0.2)
                meanwhile()
        yield LookDone(look.nonce, LookEnd.LIMIT, 6, 0, 50)

    return script


def test_nor_after_a_restart_that_opens_many_templates(quick: Bench, seeing: Seeing) -> None:
    crowd = Crowd()
    quick.start(vision=False)
    peer = seeing(quick, crowd.shows(1))
    for number in range(1, 6):
        peer.script = crowd.shows(number, frames=4)
        quick.enrolled(f"Resident {number}", f"1{number}", None)
    quick.stop()
    quick.start(vision=False)
    peer = seeing(quick, crowd.shows(3))
    eventually(lambda: quick.status()["vault"]["templates"] == 5)
    time.sleep(LATEST_S)
    assert crowd.needles().found(snapshot(quick.pid)) == set(), "opened from the disk"
    assert quick.walk_up()["reason"] == "matched"
    time.sleep(LATEST_S)
    assert crowd.needles().found(snapshot(quick.pid)) == set(), "compared with all"
    kept = [area for area in areas(quick.pid) if area.secret]
    assert kept or quick.status()["vault"]["memory"] == "unlocked"


@pytest.mark.parametrize("ending", ["not finite", "too short", "twice", "half", "silence"])
def test_nor_where_vision_is_broken(ending: str, quick: Bench, seeing: Seeing) -> None:
    """A look that ends in a fault: the last vector was taken in already, in part or in whole."""
    crowd = Crowd()
    quick.start(vision=False)
    peer = seeing(quick, crowd.shows(1))
    quick.enrolled("One", "11", None)

    def script(look: Look) -> Iterator[Said]:
        yield CameraOpen(look.nonce)
        for frame in range(2):
            yield seen(look.nonce, frame, crowd.vector(8))
        vector = crowd.vector(8)
        if ending == "not finite":
            spoilt = vector.copy()
            spoilt[-1] = np.inf
            yield seen(look.nonce, 2, spoilt)
        elif ending == "too short":
            yield wire.FaceSeen(look.nonce, 2, (0, 0, 9, 9), 1.0, GOOD, memoryview(vector.tobytes()[:-4]))
        elif ending == "twice":
            yield seen(look.nonce, 1, vector)
        elif ending == "half":
            yield bytes(wire.pack(seen(look.nonce, 2, vector)))[:-40]
        time.sleep(0.3)
        yield b""

    peer.script = script
    assert quick.walk_up()["reason"] == "fault"
    time.sleep(LATEST_S)
    assert crowd.needles().found(snapshot(quick.pid)) == set()


def test_the_guard_knows_nothing(quick: Bench, seeing: Seeing) -> None:
    crowd = Crowd()
    quick.start(vision=False)
    seeing(quick, crowd.shows(1))
    quick.enrolled("One", "11", None)
    assert quick.walk_up()["reason"] == "matched"
    children = Path(f"/proc/{quick.pid}/task/{quick.pid}/children").read_text().split()
    guards = [
        int(pid) for pid in children if b"gatevault.devices.guard" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert len(guards) == 1
    held = snapshot(guards[0])
    assert crowd.needles().found(held) == set()
    assert Bytes(keys_of(quick)).found(held) == set()
    assert Bytes({"its command": b"gatevault.devices.guard"}).found(held)


# --- the search itself ---------------------------------------------------------------------------

_HOLDER = """
import sys, numpy as np
where, number = sys.argv[1:]
random = np.random.default_rng(int(number))
vector = np.array([float.fromhex(x) for x in sys.stdin.readline().split()], dtype=np.float32)
kept = {
    "float32": lambda: vector.copy(),
    "float64": lambda: vector.astype(np.float64),
    "odd": lambda: bytearray(b"x" * 1001 + vector.tobytes()),
    "eight": lambda: bytearray(vector[40:48].tobytes()),
    "scaled": lambda: vector * np.float32(3.3),
    "part": lambda: np.float32(0.4) * vector[21:60],
    "noisy": lambda: vector.astype(np.float64) + random.standard_normal(128) * 0.008,
    "nothing": lambda: random.standard_normal(128).astype(np.float32),
}[where]()
vector.fill(0)
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("float32", "(float32) in"),
        ("float64", "(float64) in"),
        ("odd", "(float32) in"),
        ("eight", "(float32) in"),
        ("scaled", "(float32, alike) in"),
        ("part", "(float32, alike) in"),
        ("noisy", "(float64, alike) in"),
        ("nothing", None),
    ],
)
def test_the_search_finds_what_a_process_holds(where: str, kind: str | None) -> None:
    vector = person(77)
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, where, "5"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None and holder.stdout is not None
    try:
        # Written as text, in an order of its own, so that only what the child keeps is alike.
        print(" ".join(float(x).hex() for x in vector), file=holder.stdin, flush=True)
        assert holder.stdout.readline() == "ready\n"
        found = Vectors({"it": vector, "another": person(78)}).found(snapshot(holder.pid))
    finally:
        holder.communicate("\n")
    kinds = {place.split(" in ")[0] + " in" for place in found}
    assert not any(name.startswith("another") for name in kinds)
    if kind is None:
        assert kinds == set()
    else:
        assert f"it {kind}" in kinds
