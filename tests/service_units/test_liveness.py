"""Which tier a gate has, when its faces are on with it, and when it pauses."""

from __future__ import annotations

import msgspec
import pytest

from gatevault.core.board import Board, Output, Relay
from gatevault.core.liveness import Tier
from gatevault.core.settings import LivenessSettings
from gatevault.core.types import Reason
from gatevault.service import liveness as module
from gatevault.service.liveness import Liveness

BARE = Board("some", "nothing but a relay", Relay(17))
ARROWS = msgspec.structs.replace(BARE, turn_left_led=Output(20), turn_right_led=Output(21))
LAMP = msgspec.structs.replace(BARE, lamp=Output(12))
INFRARED = msgspec.structs.replace(LAMP, infrared_lamp=Output(16))
CAMERA = "v4l2:/dev/video2"


def gate(board: Board = LAMP, **settings: object) -> Liveness:
    return Liveness(msgspec.convert(settings, LivenessSettings), board, bench=False)


@pytest.mark.parametrize(
    ("board", "settings", "tier"),
    [
        (BARE, {}, Tier.RGB),
        (LAMP, {}, Tier.LED),
        (INFRARED, {}, Tier.LED),
        (INFRARED, {"infrared_camera": CAMERA}, Tier.IR),
        (INFRARED, {"infrared_camera": CAMERA, "tier": "rgb"}, Tier.RGB),
    ],
)
def test_the_best_that_the_board_has_unless_told(board: Board, settings: dict[str, object], tier: Tier) -> None:
    assert gate(board, **settings).tier is tier


def test_a_gate_with_a_lamp_looks_at_faces() -> None:
    assert gate().forbidden() is None and gate().off() == ""


def test_a_colour_camera_alone_is_for_cards_until_somebody_knows_better() -> None:
    reason, why = gate(ARROWS).forbidden() or (None, "")
    assert reason is Reason.USE_CARD and "rgb_alone = true" in why
    assert gate(ARROWS, rgb_alone=True).forbidden() is None
    assert "prints" in " ".join(gate(ARROWS, rgb_alone=True).report()["passes"])


@pytest.mark.parametrize(
    ("board", "settings"),
    [
        (LAMP, {"tier": "off"}),
        (BARE, {"tier": "rgb+led"}),
        (BARE, {"tier": "rgb", "rgb_alone": True}),
        (LAMP, {"tier": "rgb+ir", "infrared_camera": CAMERA}),
        (INFRARED, {"tier": "rgb+ir"}),
    ],
)
def test_what_is_off_or_not_fitted_fails_closed(board: Board, settings: dict[str, object]) -> None:
    closed = gate(board, **settings)
    assert closed.off() and (closed.forbidden() or (None,))[0] is Reason.USE_CARD
    assert closed.report()["faces"] == "off"


def test_a_bench_is_off_unless_told_and_may_ask_for_any_tier() -> None:
    bench = Liveness(LivenessSettings(), BARE, bench=True)
    assert bench.tier is Tier.OFF and bench.forbidden() is None and bench.forbidden(Tier.RGB) is None


def test_failures_in_a_row_pause_faces_and_time_ends_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000]
    monkeypatch.setattr(module, "monotonic_ms", lambda: now[0])
    door = gate(failures=2, pause_s=5)
    door.failed()
    door.passed()
    door.failed()
    assert door.forbidden() is None, "not in a row"
    door.failed()
    assert (door.forbidden() or (None,))[0] is Reason.USE_CARD
    assert door.forbidden(Tier.LED) is None, "what a bench measures is not paused"
    now[0] += 5_000
    assert door.forbidden() is None
    door.failed()
    assert door.forbidden() is None, "it counts anew"
