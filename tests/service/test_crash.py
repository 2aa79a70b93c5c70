"""`kill -9` of the daemon at injected writes and syncs: afterwards all is before or after, never between.

The kill falls as the call is entered, so that this call and all later ones are not made. What a
process that dies leaves is in the kernel's hands; a power cut is not played here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gatevault.core import control
from gatevault.core.errors import DaemonDownError, NotFoundError
from tests.bench import QUICK, Bench, configure, eventually, running
from tests.service.peer import Peer, shows
from tests.service.tracing import attached, calls, killing, need_strace

SYSCALLS = ("pwrite64", "fdatasync", "ftruncate", "write", "fsync", "rename", "unlink", "sendto")
"""SQLite's and the snapshot's calls; `write` and `sendto` are the pins' trace and what the client hears as well."""

CARD = "1001"
OTHER_CARD = "2002"


@dataclass
class Scene:
    """A bench that dies again and again, and one resident on it."""

    bench: Bench
    folder: Path
    who: str = ""
    peer: Peer | None = None
    done: list[str] = field(default_factory=list)
    """What was killed so far, told where an assertion fails."""

    def live(self) -> None:
        self.bench.start(vision=False)
        self.peer = Peer(self.bench.root / "run", shows(1))
        eventually(lambda: self.bench.status()["vision"]["state"] == "ok")

    def dead(self) -> None:
        """The daemon is gone, whatever ended it: let its peer and guard go as well."""
        self.bench.close()
        self.bench.ended()
        if self.peer is not None:
            self.peer.close()

    def facts(self) -> dict[str, Any]:
        """What must change as a whole: the template, the consent, cards, certificates, ledger entries."""
        try:
            held = self.bench.ask(control.ResidentExport(self.who))
        except NotFoundError:
            held = {"template": "gone", "cards": 0, "certificates": [], "receipts": [], "events": []}
        receipts = [receipt["receipt"]["events"][-1]["state"] for receipt in held["receipts"]]
        kinds = ("enrolled", "purged", "consent-given", "consent-withdrawn", "card-added", "resident-removed")
        entries = [entry["type"] for entry in self.bench.entries()]
        return {
            "template": held["template"],
            "live receipts": receipts.count("given"),
            "withdrawn receipts": receipts.count("withdrawn"),
            "cards": held["cards"],
            "certificates": len(held["certificates"]),
            "cards in RAM": self.bench.status()["cards"]["count"],
            "residents in RAM": self.bench.status()["registry"]["residents"],
            **{kind: entries.count(kind) for kind in kinds},
        }

    def settled(self) -> None:
        """Wait until the gallery was opened after a start: no template is between disk and RAM."""
        if self.exists():
            eventually(lambda: self.bench.template(self.who) != "suspended", 5.0)

    def exists(self) -> bool:
        try:
            self.bench.ask(control.ResidentShow(self.who))
        except NotFoundError:
            return False
        return True


@dataclass(frozen=True)
class Operation:
    """One command, and the state that it begins from."""

    prepare: Callable[[Scene], None]
    command: Callable[[Scene], control.Command]


def _person(scene: Scene) -> None:
    if not scene.who or not scene.exists():
        scene.who = scene.bench.add("Somebody", CARD)


def _consenting(scene: Scene) -> None:
    _person(scene)
    if scene.bench.standing(scene.who) != "live":
        scene.bench.ask(scene.bench.consent(scene.who, CARD))


def _without_template(scene: Scene) -> None:
    _consenting(scene)
    if scene.bench.template(scene.who) != "none":
        scene.bench.ask(control.Purge(scene.who))


def _enrolled(scene: Scene) -> None:
    _consenting(scene)
    if scene.bench.template(scene.who) == "none":
        scene.bench.ask(control.Enrol(scene.who, None))


def _with_one_card(scene: Scene) -> None:
    _person(scene)
    if scene.facts()["cards"] == 2:
        scene.bench.ask(control.CardRemove(OTHER_CARD))


OPERATIONS = {
    "enrol": Operation(_without_template, lambda scene: control.Enrol(scene.who, None)),
    "purge": Operation(_enrolled, lambda scene: control.Purge(scene.who)),
    "withdraw": Operation(_enrolled, lambda scene: control.ConsentWithdraw(scene.who)),
    "enrol-again": Operation(_enrolled, lambda scene: control.Enrol(scene.who, None)),
    "consent-again": Operation(_enrolled, lambda scene: scene.bench.consent(scene.who, CARD)),
    "card-add": Operation(_with_one_card, lambda scene: control.CardAdd(scene.who, OTHER_CARD)),
    "remove": Operation(_enrolled, lambda scene: control.ResidentRemove(scene.who)),
}


def _difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {name: after[name] - value if isinstance(value, int) else after[name] for name, value in before.items()}


def _with(before: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value + change[name] if isinstance(value, int) else change[name] for name, value in before.items()
    }


@pytest.fixture
def scene(bench: Bench, tmp_path: Path) -> Iterator[Scene]:
    configure(bench.root, QUICK)
    scene = Scene(bench, tmp_path)
    scene.live()
    yield scene
    scene.dead()


def measure(scene: Scene, name: str) -> tuple[list[tuple[str, int]], dict[str, Any]]:
    """Carry out one operation unharmed: every (syscall, n) at which it may be killed, and what it changes."""
    operation, output = OPERATIONS[name], scene.folder / "calls.txt"
    operation.prepare(scene)
    before, command = scene.facts(), operation.command(scene)
    with attached(scene.bench.pid, ["-e", f"trace={','.join(SYSCALLS)}"], output):
        scene.bench.ask(command)
    change = _difference(before, scene.facts())
    assert change != _difference(before, before), f"{name} changes nothing"
    points = [(call, n) for call, count in sorted(calls(output).items()) for n in range(1, count + 1)]
    return points, change


def spread(points: list[tuple[str, int]], count: int) -> list[tuple[str, int]]:
    """`count` of the points: the first write of all, each syscall's first while there is room, and evenly on."""
    first = [(call, 1) for call in ("pwrite64", *sorted({call for call, _ in points} - {"pwrite64"}))][: count // 2]
    rest = [point for point in points if point not in first]
    more = count - len(first)
    return first + [rest[(2 * i + 1) * len(rest) // (2 * more)] for i in range(more)]


def kill_at(scene: Scene, name: str, call: str, n: int, change: dict[str, Any]) -> bool:
    """Kill the daemon in an operation, restart it and check everything; whether the operation took place."""
    bench, operation = scene.bench, OPERATIONS[name]
    operation.prepare(scene)
    before, command = scene.facts(), operation.command(scene)
    answered = False
    scene.done.append(f"{name} at {call} {n}")
    with attached(bench.pid, killing(call, n), scene.folder / "killed.txt"):
        try:
            bench.ask(command)
            answered = True
        except DaemonDownError:
            bench.ended()
    scene.dead()
    eventually(lambda: bench.values("relay")[-1:] in ([], [0]), 4.0)
    scene.live()
    scene.settled()
    after = scene.facts()
    story = f"after {scene.done[-3:]}: answered {answered}"
    assert after in (before, _with(before, change)), f"between, {story}: {before} {after}"
    if answered:
        assert after == _with(before, change), f"an answered operation was lost, {story}"
    whole(scene, story)
    return after != before


def whole(scene: Scene, story: str) -> None:
    """What holds at all times: nothing is pending, the ledger verifies, a card opens, the state agrees."""
    bench = scene.bench
    assert bench.todos() == 0, story
    assert bench.ask(control.LedgerVerify())["ok"], story
    assert bench.status()["health"] == "ok", f"{story}: {bench.status()}"
    if not scene.exists():
        assert bench.tap(CARD)["reason"] == "unknown-card", story
        return
    assert bench.tap(CARD)["relay"] is True, story
    held = bench.ask(control.ResidentExport(scene.who))
    lives = [e["type"] for e in held["events"] if e["type"] in ("enrolled", "purged", "consent-withdrawn")]
    assert (held["template"] == "active") == (lives[-1:] == ["enrolled"]), f"{story}: {lives}"
    for signed in held["receipts"]:
        withdrawn = signed["receipt"]["events"][-1]["state"] == "withdrawn"
        named = [c for c in held["certificates"] if c["certificate"]["receipt"] == signed["receipt"]["receipt_id"]]
        ended = [c for c in named if c["certificate"]["event"] == "consent-withdrawn"]
        assert len(ended) == withdrawn, story


# 7 + 6 + 7: twenty in `make test`.
@pytest.mark.timeout(170)
@pytest.mark.parametrize(("name", "count"), [("enrol", 7), ("purge", 6), ("withdraw", 7)])
def test_killed_anywhere_an_operation_took_place_or_did_not(scene: Scene, name: str, count: int) -> None:
    points, change = measure(scene, name)
    assert {"pwrite64", "fdatasync"} <= {call for call, _ in points}
    took_place = [kill_at(scene, name, call, n, change) for call, n in spread(points, count)]
    assert True in took_place and False in took_place, "the kills all fell on one side"


@pytest.mark.nightly
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", list(OPERATIONS))
def test_killed_at_every_write_and_sync(scene: Scene, name: str) -> None:
    """Every call of every operation: well over two hundred kills together."""
    points, change = measure(scene, name)
    for call, n in points:
        kill_at(scene, name, call, n, change)
    assert len(scene.done) == len(points)


@pytest.mark.parametrize("name", ["enrol", "withdraw"])
def test_what_was_answered_survives_a_kill_at_once(scene: Scene, name: str) -> None:
    operation = OPERATIONS[name]
    operation.prepare(scene)
    before = scene.facts()
    scene.bench.ask(operation.command(scene))
    scene.bench.kill9()
    scene.dead()
    scene.live()
    scene.settled()
    kind = {"enrol": "enrolled", "withdraw": "consent-withdrawn"}[name]
    after = scene.facts()
    assert after[kind] == before[kind] + 1
    assert after["template"] == {"enrol": "active", "withdraw": "none"}[name]
    whole(scene, "killed after the answer")


@pytest.mark.parametrize("again", [1, 3, 6])
def test_killed_again_while_it_finishes_what_a_kill_left(scene: Scene, again: int) -> None:
    """The vault has forgotten the template, the ledger does not know yet; the next start dies as well."""
    _, change = measure(scene, "withdraw")
    _enrolled(scene)
    before, command = scene.facts(), OPERATIONS["withdraw"].command(scene)
    with attached(scene.bench.pid, killing("ftruncate", 2), scene.folder / "killed.txt"):
        with pytest.raises(DaemonDownError):
            scene.bench.ask(command)
        scene.bench.ended()
    scene.dead()
    assert scene.bench.todos() == 1
    # Started under strace: no right to attach is needed, and its calls count from the first.
    first = [need_strace(), "-f", "-qq", "-o", str(scene.folder / "again.txt"), *killing("fdatasync", again)]
    run = [*first, sys.executable, "-m", "gatevault", "run", "--state", str(scene.bench.root)]
    died = subprocess.run(run, check=False, capture_output=True, timeout=60)
    assert died.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), died.stderr
    scene.live()
    assert scene.facts() == _with(before, change)
    whole(scene, "killed twice")


# --- the relay -----------------------------------------------------------------------------------


def test_killed_while_the_gate_is_open_the_guard_closes_it(scene: Scene) -> None:
    """Within 2 s (allowed to be 4 s on a loaded machine) another process than the dead one releases."""
    bench = scene.bench
    _person(scene)
    guards = _children(bench.pid)
    bench.tap(CARD)
    opened = bench.edges("relay")[-1]
    assert (opened.value, opened.pid) == (1, bench.pid)
    killed = time.monotonic_ns()
    bench.kill9()
    released = eventually(lambda: [e for e in bench.edges("relay") if e.ns >= opened.ns and e.value == 0])[0]
    assert released.pid != opened.pid
    assert released.pid in guards
    assert released.ns - killed < 2 * 2_000_000_000
    eventually(lambda: not any(running(guard) for guard in guards))
    scene.dead()
    scene.live()
    assert bench.values("relay")[-1] == 0, "a restart does not open the gate"
    assert bench.status()["door"]["door"] == "locked"
    whole(scene, "killed while the gate was open")


def test_killed_while_an_admin_holds_the_door_the_guard_closes_it(scene: Scene) -> None:
    assert scene.bench.ask(control.DoorUnlock())["relay"] is True
    os.kill(scene.bench.pid, signal.SIGKILL)
    eventually(lambda: scene.bench.values("relay")[-1] == 0, 4.0)
    scene.dead()
    scene.live()
    assert scene.bench.status()["door"]["door"] == "locked"


def test_a_stop_releases_by_itself_and_needs_no_guard(scene: Scene) -> None:
    """SIGTERM during a pulse: released at once by the daemon, and no edge of another process."""
    bench = scene.bench
    _person(scene)
    bench.tap(CARD)
    daemon = bench.pid
    assert bench.stop() == 0
    edges = bench.edges("relay")
    assert [e.value for e in edges][-2:] == [1, 0]
    assert {e.pid for e in edges} == {daemon}
    assert edges[-1].ns - edges[-2].ns < 2_500_000_000, "not the pulse's own end"
    assert "Traceback" not in bench.log()
    last = {role: bench.values(role)[-1:] for role in ("relay", "privacy_led", "granted_led", "buzzer")}
    assert all(value in ([], [0]) for value in last.values()), last


def _children(pid: int) -> set[int]:
    return {
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    }
