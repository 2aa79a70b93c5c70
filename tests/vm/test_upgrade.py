"""Newer bundles beside a running gate: gone over to, gone back from, and refused. With the relay's line watched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.vm.gate import DAEMON, RELAY, Gate
from tests.vm.image import NEWER, SICK
from tests.vm.machine import Done, Machine

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(3600)]

Note = Callable[[str], None]

PATIENCE_S = 300
"""Emulated, a start takes a minute or two: longer than the installer's own 90 s."""

BREAK = (
    "import sqlite3; ledger = sqlite3.connect('/var/lib/gatevault/ledger.db'); "
    "ledger.execute('UPDATE entries SET header = (SELECT header FROM entries WHERE i = 0) WHERE i = 1'); "
    "ledger.commit(); ledger.close()"
)


def install(machine: Machine, version: str, patience: int = PATIENCE_S) -> Done:
    return machine.try_sh(f"/root/{version}/install --patience {patience}", 2400)


def current(machine: Machine) -> str:
    return machine.sh("basename $(readlink /opt/gatevault/current)")


@contextmanager
def untouched(gate: Gate) -> Iterator[float]:
    """The relay is not energised meanwhile; afterwards a card opens, and commands are the release's that runs.

    Gives the machine's time at the beginning.
    """
    since = gate.now()
    yield since
    assert [level for _, level in gate.edges(RELAY, since) if level] == []
    gate.renew()
    gate.present()


def away_s(gate: Gate, since: float) -> float:
    """Seconds after `since` from the daemon's first end to the last time that it was ready."""
    told = gate.machine.sh(f"journalctl -b --no-pager -o short-monotonic -u {DAEMON} -t systemd").splitlines()
    lines = [(float(found[1]), line) for line in told if (found := re.match(r"\[\s*([\d.]+)\]", line))]
    return max(t for t, line in lines if "Started" in line) - min(
        t for t, line in lines if "Stopping" in line and t > since
    )


def test_gone_over_to(machine: Machine, gate: Gate, note: Note) -> None:
    """A newer bundle: the state is kept, the ledger goes on, the relay stays released, a card opens."""
    gate.until("a healthy gate", lambda: gate.command("status")["health"] == "ok")
    before, device, count = current(machine), gate.command("status")["device"], len(gate.entries())
    with untouched(gate) as since:
        done = install(machine, NEWER)
        assert done.code == 0, done.err
        assert "the ledger verifies" in done.out and "the gate runs" in done.out
    assert current(machine).startswith(f"{NEWER}-") and current(machine) != before
    assert gate.command("status")["device"] == device
    assert gate.command("ledger", "verify")["problems"] == [] and len(gate.entries()) > count
    note(f"between the two no daemon for {away_s(gate, since):.0f} s")


def test_does_not_become_healthy(machine: Machine, gate: Gate, note: Note) -> None:
    """A newer bundle whose daemon ends at its start: the release before is put back by itself, a card opens."""
    before, count = current(machine), len(gate.entries())
    with untouched(gate) as since:
        done = install(machine, SICK)
        assert done.code == 1 and "was not well" in done.err and "is in place again" in done.err, done
        assert "ended 3 times" in done.err, "given up before the patience is over"
    assert current(machine) == before
    assert gate.command("ledger", "verify")["problems"] == [] and len(gate.entries()) > count
    note(f"no well daemon for {away_s(gate, since):.0f} s")


def test_gone_back_by_hand(machine: Machine, gate: Gate) -> None:
    """`gatevault-setup --rollback`: the first release again, with the state as it is now."""
    count = len(gate.entries())
    with untouched(gate):
        machine.sh(f"gatevault-setup --rollback --patience {PATIENCE_S}", 1200)
    assert not current(machine).startswith(f"{NEWER}-") and len(gate.entries()) > count


def test_refused_on_a_broken_ledger(machine: Machine, gate: Gate) -> None:
    """An upgrade over a ledger that was meddled with is refused; the gate goes on, and a card opens meanwhile."""
    ledger = "/var/lib/gatevault/ledger.db"
    machine.sh(f"systemctl stop {DAEMON} && cp -a {ledger} /root/ledger.kept")
    machine.sh(f'/opt/gatevault/bin/python -c "{BREAK}" && chown --reference=/root/ledger.kept {ledger}*')
    machine.sh(f"systemctl start {DAEMON}", 300)
    before, process = current(machine), gate.until_runs(DAEMON)
    with untouched(gate):
        done = install(machine, NEWER)
        assert done.code == 1 and "does not verify" in done.err, done
    assert (current(machine), gate.pid()) == (before, process), "it was not even restarted"
    machine.sh(f"systemctl stop {DAEMON}; rm -f {ledger}-wal {ledger}-shm; mv /root/ledger.kept {ledger}")
    machine.sh(f"systemctl start {DAEMON}", 300)
    gate.until("a healthy gate", lambda: gate.command("status")["health"] == "ok")
    assert gate.command("ledger", "verify")["problems"] == []
