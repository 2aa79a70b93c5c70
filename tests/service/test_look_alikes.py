"""Faces that the gate could not tell apart, faces that are here already, and networks without figures."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gatevault.core import control
from tests.bench import Bench, configure, eventually
from tests.service.conftest import QUICK
from tests.service.peer import Peer, Script, shows

CALIBRATION = """
[models]
embedders = [{ kind = "sface", file = "sface.onnx", sha256 = "%s" }]
""" % ("ab" * 32)


@pytest.fixture
def one(quick: Bench, peer: Peer) -> str:
    peer.script = shows(1)
    return quick.enrolled("One", "11", None)


@pytest.fixture
def two(quick: Bench, one: str) -> str:
    """Resident Two with card 22, who consents and is not enrolled."""
    who = quick.add("Two", "22")
    quick.ask(quick.consent(who, "22"))
    return who


def test_a_face_that_is_here_already_is_not_enrolled_again(quick: Bench, peer: Peer, one: str, two: str) -> None:
    assert quick.refused(control.Enrol(two)).code == "duplicate"
    assert (quick.template(two), quick.todos()) == ("none", 0)
    assert quick.walk_up()["resident"] == one, "whoever was there first is not locked out by the attempt"
    peer.script = shows(2)
    assert quick.ask(control.Enrol(two))["look_alike"] is False


def test_one_may_enrol_anew_as_oneself(quick: Bench, peer: Peer, one: str) -> None:
    assert quick.ask(control.Enrol(one))["look_alike"] is False


def test_both_look_alikes_use_their_cards(quick: Bench, peer: Peer, one: str, two: str) -> None:
    assert quick.ask(control.Enrol(two, another=True))["look_alike"] is True
    assert quick.status()["matching"]["look_alikes"] == 2
    assert (quick.template(one), quick.template(two)) == ("look-alike", "look-alike")
    assert quick.walk_up()["reason"] == "unsure"
    for number, who in (("11", one), ("22", two)):
        assert quick.tap(number)["resident"] == who
    entered = [entry["payload"]["double"] for entry in quick.entries() if entry["type"] == "enrolled"]
    assert entered == [False, True]
    told = str(quick.status()["matching"]) + str(quick.ask(control.ResidentShow(one)))
    assert two not in told, "nobody is named"


def test_they_are_found_when_the_gallery_is_filled_and_freed_when_one_goes(
    quick: Bench, peer: Peer, one: str, two: str, seeing: Callable[[Bench, Script], Peer]
) -> None:
    quick.ask(control.Enrol(two, another=True))
    assert quick.stop() == 0
    quick.start(vision=False)
    again = seeing(quick, shows(1))
    eventually(lambda: quick.status()["vault"]["templates"] == 2)
    assert quick.status()["matching"]["look_alikes"] == 2
    quick.ask(control.Purge(two))
    assert quick.status()["matching"]["look_alikes"] == 0
    assert quick.walk_up()["resident"] == one
    assert again.looks


def test_somebody_else_is_let_in_beside_look_alikes(quick: Bench, peer: Peer, one: str, two: str) -> None:
    quick.ask(control.Enrol(two, another=True))
    peer.script = shows(3)
    three = quick.enrolled("Three", "33", None)
    assert quick.walk_up()["resident"] == three


def test_an_enrolment_asks_for_the_poses_that_it_lacks(quick: Bench, peer: Peer, two: str) -> None:
    peer.script = shows(2)
    told = quick.cli("enrol", two, "--json")
    assert told.returncode == 0
    assert "Look straight into the camera." in told.stderr


def test_networks_without_figures_stop_faces_and_no_card(
    quick: Bench, one: str, seeing: Callable[[Bench, Script], Peer]
) -> None:
    assert quick.stop() == 0
    configure(quick.root, QUICK + CALIBRATION)
    quick.start(vision=False)
    seeing(quick, shows(1))
    status = quick.status()
    assert (status["health"], status["matching"]["state"]) == ("degraded", "fault")
    assert "no figures for sface" in status["matching"]["reason"]
    assert quick.walk_up()["reason"] == "fault"
    assert quick.refused(control.Enrol(one)).code == "vision-down"
    assert quick.tap("11")["decision"] == "grant"


def test_a_vision_of_another_dimension_than_its_figures_opens_no_gallery(
    quick: Bench, peer: Peer, one: str
) -> None:
    assert quick.stop() == 0
    quick.start(vision=False)
    wide = Peer(quick.paths.runtime(True), shows(1), dimension=256)
    try:
        eventually(lambda: "figures" in quick.status()["vision"].get("reason", ""))
        assert quick.walk_up()["reason"] == "fault"
        assert quick.tap("11")["decision"] == "grant"
    finally:
        wide.close()
