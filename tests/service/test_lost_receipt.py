"""Somebody deletes a consent's row from the registry: that template is refused and reported, and the rest opens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gatevault.core import control
from tests.bench import Bench, eventually
from tests.service.peer import Peer, Script, shows
from tests.vault.samples import change

Seeing = Callable[[Bench, Script], Peer]


@pytest.fixture
def two(quick: Bench, peer: Peer) -> tuple[str, str]:
    """Residents One and Two, enrolled; the daemon is stopped."""
    one = quick.enrolled("One", "11", None)
    peer.script = shows(2)
    both = one, quick.enrolled("Two", "22", None)
    assert quick.stop() == 0
    return both


def test_a_template_without_its_receipt_is_refused_and_told(
    quick: Bench, two: tuple[str, str], seeing: Seeing
) -> None:
    one, other = two
    assert change(quick.root / "registry.db", "DELETE FROM receipts WHERE resident = ?", one) == 1
    quick.start(vision=False)
    peer = seeing(quick, shows(1))
    eventually(lambda: quick.status()["vault"]["templates"] == 1)
    assert quick.status()["vault"]["suspended"] == 1
    assert quick.walk_up()["decision"] == "deny", "no face opens without its consent"
    assert (quick.standing(one), quick.tap("11")["relay"]) == ("none", True)
    peer.script = shows(2)
    assert quick.walk_up()["resident"] == other, "the rest opens"
    told = quick.ask(control.VaultCheck())
    assert told["ok"] is False
    assert {(problem["resident"], problem["store"]) for problem in told["problems"]} == {(one, "vault.db")}
    assert "without a consent" in told["problems"][0]["problem"]


def test_nor_does_an_earlier_receipt_carry_it_that_ended(
    quick: Bench, two: tuple[str, str], seeing: Seeing
) -> None:
    """Withdrawn once, consented again: with the second receipt's row gone, the first one revives nothing."""
    one, _ = two
    quick.start(vision=False)
    peer = seeing(quick, shows(1))
    quick.ask(control.ConsentWithdraw(one))
    quick.ask(quick.consent(one, "11"))
    quick.ask(control.Enrol(one, None))
    assert quick.stop() == 0
    peer.close()
    assert change(quick.root / "registry.db", "DELETE FROM receipts WHERE resident = ? AND n = 2", one) == 1
    quick.start(vision=False)
    seeing(quick, shows(1))
    eventually(lambda: quick.status()["vault"]["templates"] == 1)
    assert quick.walk_up()["decision"] == "deny"
    assert quick.standing(one) == "withdrawn"
    problems = quick.ask(control.VaultCheck())["problems"]
    assert {problem["resident"] for problem in problems} == {one}
