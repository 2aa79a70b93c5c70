"""How soon a gate answers after a start, and what a day writes: `make measure-day`, or
`python -m tests.service.measure_day [PASSAGES]` (0: the starts alone).

On the real daemon and the real vision, on a bench with 100 residents, whose state lies on a real disk (in the
directory that TMPDIR names; a tmpfs writes nothing). Exit status 1 where a figure that was asked for is missed.

boot     from exec of `gatevault run` until a card's tap was answered with a moved relay, and until a face was
         decided and matched; each of several starts, of which the slowest is told
written  `write_bytes` of /proc/PID/io of daemon, vision and guard, over 2,000 passages, four of five by card, one
         by face; then again with the two entries more that a door contact makes (opened, shut; a bench has none,
         so the door is held and locked instead, which commits the same). To it comes a day of doing nothing, from
         two minutes of it.

SQLite's index of a log in a mapped file (-shm) would be written back by the kernel within 30 s of each change: at
speed once for many passages, in a day for each. The daemon opens its ledger without one, which is checked here.

The mock pins' own trace, which only a bench writes, is counted with it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import cv2

from gatevault.core import control
from gatevault.core.errors import DaemonDownError
from gatevault.core.models import model_name
from gatevault.lab.portraits import astronaut, moving
from gatevault.service.config import load_settings
from gatevault.service.notice import current_hashes
from gatevault.service.state import StatePaths
from tests.bench import Bench
from tests.crowd import card_of, fill, house

RESIDENTS: Final = 100
STARTS: Final = 3
FACES_AMONG: Final = 5
"""One passage of so many is by face."""

TAP_PAUSE_S: Final = 0.04
"""A hundred cards in turn: five taps of one within ten seconds would withdraw a consent."""

IDLE_S: Final = 125.0
"""Two rounds of housekeeping."""

FIRST_TAP_S: Final = 3.0
FIRST_FACE_S: Final = 8.0
DAY_MB: Final = 60.0
DAY: Final = 2_000


def written(pids: list[int]) -> int:
    """Bytes that these processes caused to be written to a disk so far."""
    total = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
        total += int(dict(line.split(": ") for line in lines)["write_bytes"])
    return total


def processes(bench: Bench) -> list[int]:
    """The daemon and its children: vision and the guard."""
    children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children").read_text().split()
    return [bench.pid, *map(int, children)]


def made(root: Path, shared: Path) -> Path:
    """A stopped state with 100 residents, of whom one has a real face; a camera that shows it."""
    settings = load_settings(StatePaths(root).config)
    (notice, *_) = current_hashes(settings)
    with house(root) as stores:
        fill(stores, range(RESIDENTS - 1), notice=notice, model=bytes.fromhex(model_name(settings.models)))
    for folder, seed in (("enrol", 1), ("walk", 2)):
        (shared / folder).mkdir()
        for number, frame in enumerate(moving(astronaut(), 6, seed)):
            cv2.imwrite(str(shared / folder / f"{number}.png"), frame[:, :, ::-1])
    bench = Bench(root).start()
    try:
        bench.enrolled("One", "11", f"dir:{shared / 'enrol'}")
        bench.stop()
    finally:
        bench.close()
    return shared / "walk"


def answered(bench: Bench, ask: Callable[[], dict[str, Any]]) -> float:
    """Seconds from exec until the first grant."""
    began = time.monotonic()
    bench.spawn()
    while True:
        try:
            if ask()["relay"]:
                return time.monotonic() - began
        except DaemonDownError:
            assert bench.process is not None and bench.process.poll() is None, bench.log()
            time.sleep(0.005)


def boots(root: Path, camera: Path) -> tuple[float, float]:
    """The slowest first tap and first face of several starts, in seconds."""
    taps, faces = [], []
    for _ in range(STARTS):
        for ask, seconds in (
            (lambda bench: bench.tap("11"), taps),
            (lambda bench: bench.walk_up(f"dir:{camera}"), faces),
        ):
            bench = Bench(root)
            try:
                seconds.append(answered(bench, lambda: ask(bench)))  # noqa: B023
                bench.stop()
            finally:
                bench.close()
    return max(taps), max(faces)


def passages(bench: Bench, count: int, camera: Path, contact: bool) -> None:
    """So many passages, at speed."""
    assert not (bench.root / "ledger.db-shm").exists(), "it would be written back now and then, see above"
    for number in range(count):
        if number % FACES_AMONG == 0:
            passage = bench.walk_up(f"dir:{camera}")
        else:
            passage = bench.tap(card_of(number % (RESIDENTS - 1)))
            time.sleep(TAP_PAUSE_S)
        assert passage["decision"] == "grant", passage
        if contact:
            bench.ask(control.DoorUnlock())
            bench.ask(control.DoorLock())


def day(root: Path, camera: Path, count: int) -> dict[str, float]:
    """Megabytes of `count` passages, without and with a door contact, and of a day of doing nothing."""
    bench = Bench(root).start()
    try:
        pids = processes(bench)
        found: dict[str, float] = {}
        for name, contact in (("passages", False), ("with_contact", True)):
            before, entries = written(pids), bench.status()["ledger"]["entries"]
            passages(bench, count, camera, contact)
            found[name] = (written(pids) - before) / 1e6
            made = bench.status()["ledger"]["entries"] - entries
            assert made >= count * (4 if contact else 2), "each passage is on record"
            sys.stdout.write(f"{name}: {made} entries, {found[name] * 1e6 / made:.0f} bytes each\n")
            sys.stdout.flush()
        before = written(pids)
        time.sleep(IDLE_S)
        found["idle"] = (written(pids) - before) / 1e6 * 86_400 / IDLE_S
        assert pids == processes(bench), "a process ended meanwhile"
        bench.stop()
    finally:
        bench.close()
    return found


def main(count: int) -> int:
    """Print what was found and whether it is what was asked for."""
    load = os.getloadavg()[0]
    sys.stdout.write(f"load {load:.1f} on {os.cpu_count()} processors; {count} passages\n")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as shared:
        root = Path(folder) / "state"
        camera = made(root, Path(shared))
        tap_s, face_s = boots(root, camera)
        rows = [("first tap after exec, s", tap_s, FIRST_TAP_S), ("first face after exec, s", face_s, FIRST_FACE_S)]
        if count:
            found = day(root, camera, count)
            whole = found["passages"] * DAY / count + found["idle"]
            rows.append((f"written a day, {DAY} passages, MB", whole, DAY_MB))
    for what, value, limit in rows:
        word = "holds " if value <= limit else "MISSED"
        sys.stdout.write(f"{word}  {what}: {value:.2f}, at most {limit:g} asked\n")
    if count:
        contact = found["with_contact"] * DAY / count + found["idle"]
        sys.stdout.write(f"        with a door contact's entries besides, MB: {contact:.2f}\n")
        sys.stdout.write(f"        of it idle, MB a day: {found['idle']:.2f}\n")
    return 0 if all(value <= limit for _, value, limit in rows) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else DAY))
