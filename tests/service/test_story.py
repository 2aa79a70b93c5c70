"""The whole story with the real networks: two portraits walk up to a real daemon and its real vision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gatevault.core import control
from tests.bench import Bench, copied, eventually, in_background
from tests.service.conftest import Faces

PULSE_MS = 3_000
"""Of the bench's board."""


@pytest.fixture(scope="module")
def gate(blank: Path, tmp_path_factory: pytest.TempPathFactory, faces: Faces) -> Iterator[Bench]:
    """A running bench where One is enrolled (card 11) and Nobody is not (card 22)."""
    bench = Bench(copied(blank, tmp_path_factory.mktemp("story") / "state")).start()
    bench.enrolled("One", "11", faces.one)
    bench.add("Nobody", "22")
    yield bench
    bench.close()


def test_from_nothing_to_withdrawal(bench: Bench, faces: Faces) -> None:
    """No consent, no camera; consent by the own card; enrolled, opened, withdrawn; and the card throughout."""
    bench.start()
    one, two = bench.add("One", "11"), bench.add("Two", "22")

    error = bench.refused(control.Enrol(one, faces.one))
    assert error.code == "no-consent" and "consent give" in str(error)
    assert bench.values("privacy_led") == [], "the camera was never opened"
    assert bench.walk_up(faces.one)["reason"] == "no-consent"
    assert bench.values("privacy_led") == [], "nobody could match, so nobody is looked at"

    for card in ("22", "99"):  # another resident's card, and nobody's
        error = bench.refused(bench.consent(one, card))
        assert error.code == "no-consent" and "No card of this resident" in str(error)
    stale = control.ConsentGive(one, "en", "0" * 64, "11")
    assert "not today's" in str(bench.refused(stale))
    assert bench.count("consent-given") == 0
    assert bench.refused(control.Enrol(one, faces.one)).code == "no-consent"
    assert bench.values("privacy_led") == []

    given = bench.ask(bench.consent(one, "11", "zh"))
    assert given["receipt"].startswith("c-")
    enrolled = bench.ask(control.Enrol(one, faces.one))
    assert enrolled["captures"] >= 1
    assert bench.values("privacy_led")[:2] == [1, 0]

    walked = bench.walk_up(faces.one_later)
    assert (walked["decision"], walked["reason"], walked["resident"]) == ("grant", "matched", one)
    assert bench.walk_up(faces.two)["decision"] == "deny"

    withdrawn = bench.ask(control.ConsentWithdraw(one))["certificate"]
    assert withdrawn["certificate"]["receipt"] == given["receipt"]
    assert withdrawn["certificate"]["template_was_there"] is True
    assert withdrawn["certificate"]["keys_rotated"] is True
    assert withdrawn["certificate"]["does_not_prove"]
    assert len(withdrawn["signature"]) == 128
    assert bench.walk_up(faces.one_later)["decision"] == "deny"
    tapped = bench.tap("11")
    assert (tapped["decision"], tapped["reason"], tapped["resident"]) == ("grant", "card", one)
    assert bench.refused(control.Enrol(one, faces.one)).code == "no-consent"
    assert bench.ask(control.LedgerVerify())["ok"] is True
    assert bench.status()["health"] == "ok"
    assert bench.template(two) == "none"
    assert bench.stop() == 0
    assert bench.values("privacy_led")[-1] == 0
    assert "Traceback" not in bench.log()


def test_a_match_opens_for_one_pulse_and_the_ledger_knows_first(gate: Bench, faces: Faces) -> None:
    eventually(lambda: gate.status()["door"]["door"] == "locked")
    edges = len(gate.edges("relay"))
    walked = gate.walk_up(faces.one_later)
    assert (walked["decision"], walked["relay"]) == ("grant", True)
    assert walked["frames"] >= 3, "one frame never decides"
    decision, outcome = gate.entries()[-2:]
    assert (decision["type"], outcome["type"]) == ("decision", "outcome")
    assert (decision["payload"]["way"], decision["payload"]["reason"]) == ("face", "matched")
    assert outcome["payload"]["relay"] is True
    eventually(lambda: gate.status()["door"]["door"] == "locked")
    on, off = gate.edges("relay")[edges:]
    assert (on.value, off.value) == (1, 0)
    assert decision["mono_ms"] * 1_000_000 <= on.ns <= (outcome["mono_ms"] + 1) * 1_000_000
    assert PULSE_MS - 50 <= (off.ns - on.ns) / 1e6 <= PULSE_MS + 1_500
    green = [e for e in gate.edges("granted_led") if e.ns >= on.ns]
    assert green[0].value == 1
    assert {e.pid for e in gate.edges("relay")} == {gate.pid}


def test_the_light_is_on_exactly_while_the_camera_is(gate: Bench, faces: Faces) -> None:
    eventually(lambda: not gate.status()["vision"]["camera_open"])
    edges = len(gate.edges("privacy_led"))
    gate.walk_up(faces.two)
    eventually(lambda: not gate.status()["vision"]["camera_open"])
    on, off = gate.edges("privacy_led")[edges:]
    assert (on.value, off.value) == (1, 0)
    assert 100 < (off.ns - on.ns) / 1e6 < 2 * 3_000, "the look's limit is 3 s"


def test_a_stranger_is_counted_and_not_recorded(gate: Bench, faces: Faces) -> None:
    entries, unmatched = gate.status()["ledger"]["entries"], gate.unmatched()
    relay = gate.values("relay").count(1)
    walked = gate.walk_up(faces.two)
    assert (walked["decision"], walked["reason"], walked["resident"], walked["relay"]) == (
        *("deny", "no-match", None, False),
    )
    assert walked["frames"] >= 3
    assert gate.unmatched() == unmatched + 1
    assert gate.status()["ledger"]["entries"] == entries
    assert gate.values("relay").count(1) == relay


def test_two_people_in_turn_are_nobody(gate: Bench, faces: Faces) -> None:
    """A look that mixes a resident with somebody else must not average into a match."""
    walked = gate.walk_up(faces.mixture)
    assert (walked["decision"], walked["relay"]) == ("deny", False)


def test_two_people_side_by_side_end_the_look(gate: Bench, faces: Faces) -> None:
    entries, unmatched = gate.status()["ledger"]["entries"], gate.unmatched()
    walked = gate.walk_up(faces.both)
    assert (walked["decision"], walked["reason"]) == ("deny", "several-faces")
    assert (gate.status()["ledger"]["entries"], gate.unmatched()) == (entries, unmatched)


def test_nobody_in_front_is_no_face(gate: Bench, faces: Faces) -> None:
    walked = gate.walk_up(faces.nobody)
    assert (walked["decision"], walked["reason"], walked["frames"]) == ("deny", "no-face", 0)


def test_two_walk_ups_at_once_are_one_look(gate: Bench, faces: Faces) -> None:
    eventually(lambda: not gate.status()["vision"]["camera_open"])
    first = in_background(lambda: gate.walk_up(faces.two))
    eventually(lambda: gate.status()["vision"]["camera_open"])
    assert gate.walk_up(faces.one)["reason"] == "busy"
    assert first()["reason"] == "no-match"


def test_a_card_opens_while_the_camera_looks(gate: Bench, faces: Faces) -> None:
    eventually(lambda: not gate.status()["vision"]["camera_open"])
    look = in_background(lambda: gate.walk_up(faces.two))
    eventually(lambda: gate.status()["vision"]["camera_open"])
    tapped = gate.tap("22")
    assert (tapped["decision"], tapped["reason"], tapped["relay"]) == ("grant", "card", True)
    assert tapped["latency_ms"] < 2 * 1_000
    assert gate.status()["vision"]["camera_open"] is True, "the card did not wait for the look"
    look()


def test_status_tells_of_every_part(gate: Bench) -> None:
    status = gate.status()
    parts = {name for name, part in status.items() if isinstance(part, dict)}
    assert parts == {
        "vision",
        "vault",
        "liveness",
        "matching",
        "registry",
        "cards",
        "ledger",
        "door",
        "readers",
        "clock",
        "sandbox",
        "site",
    }
    assert status["health"] == "ok"
    assert (status["vault"]["state"], status["vault"]["templates"]) == ("unlocked", 1)
    assert status["vision"]["pid"] != gate.pid
    assert status["door"]["guard"] is True
