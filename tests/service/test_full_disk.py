"""A full disk: faces stop, cards go on, nothing is half done, and what was missed is told once there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatevault.core import control
from gatevault.core.errors import StoreFullError
from tests.bench import QUICK, Bench, configure, copied, eventually
from tests.service.peer import Peer, Script, shows

Seeing = Callable[[Bench, Script], Peer]


class SmallDisk:
    """A tmpfs that can be filled to the last page."""

    def __init__(self, mount: Path) -> None:
        self.mount = mount
        self._ballast = mount / "ballast"

    def fill(self, spare: int = 0) -> None:
        """Leave `spare` bytes free, rounded down to whole pages; 0 leaves nothing."""
        free = os.statvfs(self.mount)
        room = max(0, free.f_bavail * free.f_frsize - spare)
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while room > 0:
                    room -= file.write(bytes(min(room, 65_536)))
                while not spare:
                    file.write(b"x")
            except OSError:
                assert not spare

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=26m,mode=0700", "none", str(mount)]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if made.returncode != 0:
        pytest.skip(f"a small file system may not be mounted here: {made.stderr.splitlines()[0]}")
    yield SmallDisk(mount)
    subprocess.run(["umount", "--lazy", str(mount)], check=True)


@pytest.fixture
def bench(disk: SmallDisk, blank: Path, tmp_path: Path) -> Iterator[Bench]:
    """A bench whose state is on the small disk, and its pin trace elsewhere, so that edges can be seen."""
    root = copied(blank, disk.mount / "state")
    configure(root, QUICK)
    # A mount, and not a link: what lies outside of its state the daemon may not write.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", str(root / "bench")], check=True)
    bench = Bench(root)
    bench.log_file = tmp_path / "daemon.log"
    yield bench
    bench.close()
    subprocess.run(["umount", "--lazy", str(root / "bench")], check=True)


def test_a_full_disk_stops_faces_and_administration_and_no_card(
    bench: Bench, disk: SmallDisk, seeing: Seeing
) -> None:
    bench.start(vision=False)
    peer = seeing(bench, shows(1))
    one = bench.enrolled("One", "11", None)
    peer.script = shows(2)
    two = bench.enrolled("Two", "22", None)
    peer.script = shows(1)
    assert bench.walk_up()["reason"] == "matched"
    entries = len(bench.entries())

    disk.fill()
    denied = bench.walk_up()
    assert (denied["decision"], denied["reason"], denied["relay"]) == ("deny", "fault", False)
    assert "disk is full" in denied["detail"]
    opened = bench.values("relay").count(1)
    eventually(lambda: bench.status()["door"]["door"] == "locked")
    tapped = bench.tap("11")
    assert (tapped["decision"], tapped["reason"], tapped["relay"]) == ("grant", "card", True)
    assert tapped["latency_ms"] < 2 * 1_000
    assert bench.values("relay").count(1) == opened + 1
    status = bench.status()
    assert (status["health"], status["ledger"]["state"]) == ("degraded", "fault")
    assert "disk is full" in status["ledger"]["reason"]
    assert status["ledger"]["missed"] == 2, "a decision and an outcome"

    for command in (
        control.CardAdd(one, "33"),
        control.Enrol(two, None),
        control.ResidentAdd("Three"),
        control.CardRemove("22"),
        bench.consent(two, "22"),
    ):
        error = bench.refused(command)
        assert isinstance(error, StoreFullError), f"{type(command).__name__}: {error}"
        assert "Free some space" in str(error)
    assert bench.status()["cards"]["count"] == 2
    assert bench.status()["registry"]["residents"] == 2
    assert bench.tap("33")["reason"] == "unknown-card"
    assert bench.tap("22")["relay"] is True
    missed = bench.status()["ledger"]["missed"]

    disk.free()
    assert bench.tap("11")["relay"] is True
    eventually(lambda: bench.status()["ledger"]["missed"] == 0)
    assert bench.status()["health"] == "ok"
    told = [e["payload"] for e in bench.entries()[entries:] if e["type"] == "fault"]
    assert [(p["part"], p["missed"]) for p in told] == [("ledger", missed)]
    assert bench.ask(control.LedgerVerify())["ok"] is True
    assert bench.walk_up()["reason"] == "matched"
    assert bench.todos() == 0
    assert bench.stop() == 0
    bench.start(vision=False)
    seeing(bench, shows(2))
    assert bench.walk_up()["resident"] == two, "the enrolment that failed changed nothing"
    assert bench.status()["cards"]["count"] == 2
    assert bench.ask(control.LedgerVerify())["ok"] is True


def test_a_withdrawal_that_a_full_disk_refused_can_be_repeated(
    bench: Bench, disk: SmallDisk, seeing: Seeing
) -> None:
    """The face is shut at once all the same; the resident is not told that it is done."""
    bench.start(vision=False)
    seeing(bench, shows(1))
    resident = bench.enrolled("One", "11", None)
    disk.fill()
    assert isinstance(bench.refused(control.ConsentWithdraw(resident)), StoreFullError)
    assert bench.walk_up()["decision"] == "deny"
    assert isinstance(bench.refused(control.ConsentWithdraw(resident)), StoreFullError), "not 'nothing to withdraw'"
    disk.free()
    assert bench.walk_up()["decision"] == "deny", "the face stays shut"
    answer = bench.ask(control.ConsentWithdraw(resident))
    assert answer["certificate"]["certificate"]["event"] == "consent-withdrawn"
    assert bench.stop() == 0
    bench.start(vision=False)
    seeing(bench, shows(1))
    assert bench.walk_up()["decision"] == "deny"
    assert (bench.template(resident), bench.standing(resident)) == ("none", "withdrawn")
    assert len(bench.ask(control.ResidentExport(resident))["certificates"]) == 1
    assert bench.todos() == 0


@pytest.mark.nightly
def test_a_withdrawal_that_a_full_disk_refused_is_made_by_itself_within_minutes(
    bench: Bench, disk: SmallDisk, seeing: Seeing
) -> None:
    bench.start(vision=False)
    seeing(bench, shows(1))
    resident = bench.enrolled("One", "11", None)
    disk.fill()
    assert isinstance(bench.refused(control.ConsentWithdraw(resident)), StoreFullError)
    disk.free()
    eventually(lambda: bench.rows("vault.db", "SELECT count(*) FROM templates") == [(0,)], 150)
    assert bench.standing(resident) == "withdrawn"
    assert bench.count("consent-withdrawn") == 1


@pytest.mark.timeout(170)
def test_a_disk_that_fills_in_the_middle_of_an_operation_leaves_nothing_half_done(
    bench: Bench, disk: SmallDisk, seeing: Seeing
) -> None:
    """From no free page to room for everything: each operation is answered and done, or refused and not done."""
    bench.start(vision=False)
    seeing(bench, shows(1))
    resident = bench.enrolled("One", "11", None)
    outcomes = set()
    for number, spare in enumerate((4_096, 12_288, 20_480, 40_960, 81_920, 262_144, 600_000)):
        card, cards = str(9_000 + number), bench.status()["cards"]["count"]
        disk.fill(spare)
        try:
            bench.ask(control.CardAdd(resident, card))
            done = True
        except StoreFullError:
            done = False
        outcomes.add(done)
        assert bench.status()["cards"]["count"] == cards + done, spare
        assert bench.tap(card)["relay"] is done, spare
        disk.free()
        rows = bench.rows("registry.db", "SELECT count(*) FROM cards")[0][0]
        assert rows == cards + done, spare
        assert bench.tap(card)["relay"] is done
        assert bench.todos() == 0
    assert outcomes == {True, False}
    assert bench.ask(control.LedgerVerify())["ok"] is True


def test_started_on_a_full_disk_it_opens_for_cards(bench: Bench, disk: SmallDisk, seeing: Seeing) -> None:
    bench.start(vision=False)
    peer = seeing(bench, shows(1))
    bench.enrolled("One", "11", None)
    assert bench.stop() == 0
    peer.close()
    disk.fill()
    bench.start(vision=False)
    seeing(bench, shows(1))
    assert bench.tap("11")["relay"] is True
    assert bench.walk_up()["reason"] == "fault"
    assert bench.status()["health"] == "degraded"
    assert bench.stop() == 0
    disk.free()
    bench.start(vision=False)
    seeing(bench, shows(1))
    assert bench.walk_up()["reason"] == "matched"
    assert bench.tap("11")["relay"] is True
    assert bench.ask(control.LedgerVerify())["ok"] is True
    assert bench.status()["health"] == "ok"
