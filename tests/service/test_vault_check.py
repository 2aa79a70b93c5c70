"""`gatevault vault check` on the real daemon, as people type it."""

from __future__ import annotations

import json
from collections.abc import Callable

from gatevault.core import control
from tests.bench import Bench
from tests.service.peer import Peer, Script, shows
from tests.vault.samples import change

Seeing = Callable[[Bench, Script], Peer]


def test_it_is_well_after_each_thing_that_happens_and_exits_with_1_where_something_is_wrong(
    quick: Bench, seeing: Seeing
) -> None:
    quick.start(vision=False)
    peer = seeing(quick, shows(1))
    residents = []
    for number in range(1, 4):
        peer.script = shows(number)
        residents.append(quick.enrolled(f"Person {number}", f"{number}1", None))
    whole = quick.json("vault", "check")
    assert whole["ok"], whole
    assert (whole["records"], whole["opened"]) == (3, 3)
    quick.ask(control.Purge(residents[0]))
    quick.ask(control.ConsentWithdraw(residents[1]))
    quick.ask(control.KeyRotate())
    left = quick.json("vault", "check")
    assert left["ok"], left
    assert (left["records"], left["opened"]) == (1, 1)

    quick.stop()
    change(quick.paths.vault, "UPDATE templates SET sealed = zeroblob(4140)")
    quick.start(vision=False)
    done = quick.cli("vault", "check", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["ok"], answer["opened"]) == (1, False, 0)
    assert any(problem["resident"] == residents[2] and problem["record"] for problem in answer["problems"])

    quick.stop()
    change(quick.paths.vault, "DELETE FROM templates")
    change(quick.paths.vault, "DELETE FROM keys")
    quick.start(vision=False)
    gone = json.loads(quick.cli("vault", "check", "--json").stdout)
    assert (gone["ok"], gone["records"]) == (False, 0)
    assert any("tells of 1 templates, and there are 0" in problem["problem"] for problem in gone["problems"])

    quick.ask(control.VaultLock())
    said = quick.cli("vault", "check").stdout
    assert "locked: records were not opened" in said
    assert quick.tap("11")["decision"] == "grant"
