"""A flickering lamp on a head, on paper, on glass; late, drowned, or shut out by exposure control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from gatevault.core.liveness import (
    Edge,
    Evidence,
    Lamp,
    LampEvidence,
    Limits,
    Refusal,
    Site,
    Tier,
    draw_pattern,
    judge,
)
from gatevault.core.liveness.challenge import MS
from gatevault.vision.liveness.cells import LampLog
from gatevault.vision.liveness.infrared import level, structure
from gatevault.vision.liveness.lamp import measure
from tests.vision import faces3d

U, V = np.meshgrid(np.arange(-2.8, 2.8, 0.025), np.arange(-2.0, 2.0, 0.025))
TO_CELLS = np.array(((0.025, 0.0, -2.8), (0.0, 0.025, -2.0)))
"""From pixels of the pictures below to u and v."""
FACE = (U / 0.95) ** 2 + ((V - 0.4) / 1.25) ** 2 < 1.0
BEGIN = 5_000 * MS


def _albedo(seed: int = 0) -> np.ndarray:
    """Skin with eyes, brows, nostrils and lips, shape (160, 224)."""
    chance = np.random.default_rng(seed)
    skin = np.full(U.shape, 0.4) * (1.0 + 0.03 * chance.standard_normal(U.shape))
    for u, v, wide, tall, dark in (
        *((side * 0.5, 0.0, 0.16, 0.07, 0.75) for side in (-1, 1)),
        *((side * 0.5, -0.25, 0.25, 0.05, 0.6) for side in (-1, 1)),
        *((side * 0.12, 0.62, 0.05, 0.04, 0.6) for side in (-1, 1)),
        (0.0, 1.0, 0.35, 0.09, 0.4),
    ):
        skin *= 1.0 - dark * np.exp(-(((U - u) / wide) ** 2) - ((V - v) / tall) ** 2)
    return np.asarray(skin)


RELIEF = faces3d.towards(U, V, faces3d.head(U, V))
SHADE = 0.8 - 0.1 * V
"""Light from above, on anything."""
HOLLOW = 0.75 + 0.25 * RELIEF
"""How much of the surroundings' light reaches a place of the head."""


@dataclass(frozen=True)
class Scene:
    """Light (160, 224) of the face's place: unlit, and what the lamp adds."""

    steady: np.ndarray
    added: np.ndarray
    behind: float = 0.03
    """What the lamp adds behind, over the light there."""


def head(strength: float = 0.5) -> Scene:
    return Scene(_albedo() * SHADE * HOLLOW, strength * _albedo() * RELIEF)


def paper(strength: float = 0.5, curl: float = 0.0) -> Scene:
    """A print of that very head, with its shading, flat or on a cylinder."""
    printed = _albedo() * SHADE * HOLLOW
    slant = np.cos(np.arcsin(np.clip(curl * U, -0.9, 0.9)))
    return Scene(printed, strength * printed * slant * (1.0 - 0.1 * U))


def glass(strength: float = 0.08) -> Scene:
    """A screen that shows that head: its glass gives back a smooth share of the lamp."""
    return Scene(_albedo() * SHADE * HOLLOW, strength * 0.3 * (1.0 + 0.3 * U))


def evidence_of(
    scene: Scene,
    *,
    late_ms: float = 0.0,
    rate: float = 25.0,
    seed: int = 1,
    pattern_seed: int = 1,
    exposure: Callable[[float, float], float] = lambda _seconds, _lit: 1.0,
    noise: float = 1.2,
    shown_seed: int | None = None,
    lit_before: bool = True,
) -> LampEvidence:
    """The evidence of a look at `scene`; `late_ms`: its light behind the lamp; `exposure`: gain by time and lamp.

    `shown_seed`: of the pattern that the light really follows, where that is another one. `lit_before`: as a
    gate's lamp is; else it is dark before the pattern, and shows that the other way round.
    """
    chance = np.random.default_rng(seed)
    slots = draw_pattern(np.random.default_rng(pattern_seed).bytes(16))
    shown = slots if shown_seed is None else draw_pattern(np.random.default_rng(shown_seed).bytes(16))
    edges = []
    if not lit_before:
        slots, shown = (tuple(not slot for slot in each) for each in (slots, shown))
    for number, (before, now) in enumerate(zip((lit_before, *slots), (*slots, False), strict=True)):
        if before != now:
            edges.append(Edge(BEGIN + number * 100 * MS, Lamp.LED, now))
    log = LampLog()
    wall = 0.3 * (1.0 + 0.2 * chance.standard_normal(U.shape))
    for seconds in np.arange(-0.2, 1.75, 1.0 / rate):
        lit = float(
            np.mean(
                [
                    _is_lit(shown, seconds - late_ms / 1e3 - back, lit_before)
                    for back in np.arange(0.0, 0.016, 0.002)
                ]
            )
        )
        light = np.where(FACE, scene.steady + lit * scene.added, wall * (1.0 + lit * scene.behind))
        light = light * exposure(float(seconds), lit)
        grey = 255.0 * np.clip(light, 0.0, 1.0) ** (1 / 2.2) + noise * chance.standard_normal(U.shape)
        log.see(np.clip(grey, 0.0, 255.0).astype(np.uint8), TO_CELLS, BEGIN + int(seconds * 1e9))
    return measure(log, edges, Site(), 0.08)


def _is_lit(slots: tuple[bool, ...], seconds: float, before: bool) -> bool:
    number = int(np.floor(seconds / 0.1))
    return before if number < 0 else number < len(slots) and slots[number]


def refusal(evidence: LampEvidence) -> Refusal | None:
    return judge(Tier.LED, Evidence(lamp=evidence), Limits()).refusal


@pytest.mark.parametrize("strength", [0.15, 0.5, 1.2])
@pytest.mark.parametrize("rate", [15.0, 30.0])
def test_a_head_answers_a_lamp(strength: float, rate: float) -> None:
    found = evidence_of(head(strength), rate=rate)
    assert refusal(found) is None, found
    assert found.relief_gain == pytest.approx(1.0, abs=0.6)
    assert found.texture == pytest.approx(1.0, abs=0.4)


def test_a_lamp_that_was_dark_before_its_pattern_tells_the_same() -> None:
    assert refusal(evidence_of(head(), lit_before=False)) is None
    found = evidence_of(head(), lit_before=False)
    assert found.amplitude == pytest.approx(evidence_of(head()).amplitude, rel=0.1)
    assert refusal(evidence_of(paper(), lit_before=False)) is Refusal.NOT_LIVE
    assert refusal(evidence_of(glass(), lit_before=False)) is not None
    assert refusal(evidence_of(head(), lit_before=False, late_ms=150.0)) is Refusal.NOT_LIVE


@pytest.mark.parametrize("curl", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_paper_has_no_relief_however_it_is_bent(curl: float, strength: float) -> None:
    found = evidence_of(paper(strength, curl))
    assert (found.correlation or 0.0) > 0.9
    assert refusal(found) is Refusal.NOT_LIVE, found
    assert abs(found.relief_gain or 1.0) < 0.15


@pytest.mark.parametrize("strength", [0.05, 0.2, 0.6])
def test_a_screen_answers_with_its_glass_which_does_not_know_the_face(strength: float) -> None:
    found = evidence_of(glass(strength))
    assert refusal(found) is not None
    assert abs(found.texture or 1.0) < 0.3


@pytest.mark.parametrize("late_ms", [120.0, 250.0, 400.0])
def test_a_relay_answers_too_late(late_ms: float) -> None:
    found = evidence_of(head(), late_ms=late_ms)
    assert found.lag_ms == pytest.approx(late_ms, abs=25.0)
    assert refusal(found) is Refusal.NOT_LIVE


def test_a_camera_that_stamps_a_little_late_is_no_relay() -> None:
    assert refusal(evidence_of(head(), late_ms=30.0)) is None


def test_a_recording_of_another_pattern_is_refused() -> None:
    refused = [refusal(evidence_of(head(), pattern_seed=2, shown_seed=seed)) for seed in range(3, 11)]
    assert None not in refused


def test_daylight_drowns_the_lamp_which_is_told() -> None:
    assert refusal(evidence_of(head(0.004))) is Refusal.LAMP_DROWNED


def test_too_much_light_is_told_alike() -> None:
    bright = head()
    assert refusal(evidence_of(Scene(3.0 * bright.steady, 3.0 * bright.added))) is Refusal.LAMP_DROWNED


def test_drifting_exposure_is_no_answer_and_hides_none() -> None:
    drift = evidence_of(head(), exposure=lambda seconds, _: 0.8 + 0.2 * np.sin(1.5 * seconds))
    assert refusal(drift) is None, drift


@pytest.mark.parametrize("made", [head, paper])
def test_an_eye_that_shuts_with_the_lamp_changes_no_verdict(made: Callable[[], Scene]) -> None:
    """Exposure control that follows the lamp at once halves the answer, and darkens what is behind."""
    open_eye = evidence_of(made())
    shut = evidence_of(made(), exposure=lambda _, lit: 1.0 / (1.0 + 0.2 * lit))
    assert refusal(shut) is refusal(open_eye)
    assert shut.amplitude == pytest.approx(open_eye.amplitude, rel=0.25)


def test_what_is_beside_must_not_answer_as_much() -> None:
    near = evidence_of(Scene(head().steady, head().added, behind=0.6))
    assert (near.over_surroundings or 0.0) < 0.3
    assert refusal(near) is Refusal.NOT_LIVE


def test_a_calibrated_site_expects_more_of_a_near_face() -> None:
    log, edges = LampLog(), [Edge(BEGIN, Lamp.LED, True)]
    assert measure(log, edges, Site(ratio_at_1m=0.5), 0.08) == LampEvidence()


def test_an_unlit_gate_tells_nothing() -> None:
    assert measure(LampLog(), [], Site(), 0.08) == LampEvidence()


def test_a_log_is_wiped() -> None:
    log = LampLog()
    log.see(np.full(U.shape, 90, np.uint8), TO_CELLS, BEGIN)
    held = [*log.faces, *log.besides]
    assert all(part.any() for part in held)
    log.wipe()
    assert not any(part.any() for part in held)
    assert not log.faces


# --- infrared ------------------------------------------------------------------------------------


def _cells(picture: np.ndarray) -> np.ndarray:
    return np.asarray(picture[62:106, 92:133], np.float32)


def test_a_face_is_alike_in_both_cameras_and_a_dark_screen_is_not() -> None:
    chance = np.random.default_rng(1)
    colour = [_cells(_albedo())]
    infrared = [_cells(0.8 * _albedo() ** 0.6 + 0.002 * chance.standard_normal(U.shape)) for _ in range(4)]
    screen = [_cells(0.02 * (1.0 + 0.2 * chance.standard_normal(U.shape))) for _ in range(4)]
    limits = Limits().infrared
    assert (structure(infrared, colour) or 0.0) > limits.structure
    assert (structure(screen, colour) or 0.0) < limits.structure
    assert (level(infrared) or 0.0) > limits.level > (level(screen) or 1.0)


def test_without_a_camera_there_is_neither() -> None:
    assert level([]) is None
    assert structure([], [_cells(_albedo())]) is None
