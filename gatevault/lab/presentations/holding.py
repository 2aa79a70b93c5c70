"""What is held before the camera by hand: how it moves, and who stands behind it."""

from __future__ import annotations

from typing import Final

import numpy as np

from gatevault.lab.presentations import motion
from gatevault.lab.presentations.carriers import Carrier
from gatevault.lab.presentations.figure import torso
from gatevault.lab.presentations.motion import Bearing, Pose
from gatevault.lab.presentations.scene import Scene, draw_background
from gatevault.lab.presentations.setting import Setting

FACE_MM: Final = 150.0
"""A face's width, of which a carrier shows a share."""


def hand_held(setting: Setting, scale: float, turns: tuple[motion.Move, ...], *, still: bool) -> Bearing:
    """A carrier's movement by hand. `scale`: size of its face, of a true one."""
    chance = setting.chance
    wide = chance.uniform(95.0, 170.0) * setting.lens.width / 640.0
    distance = float(np.clip(1e-3 * setting.lens.focal * FACE_MM * scale / wide, 0.16, 1.3))
    place = (float(distance * chance.uniform(-0.1, 0.1)), float(distance * chance.uniform(-0.08, 0.05)), distance)
    yaw, pitch, roll = (float(angle) for angle in chance.normal(0.0, (0.06, 0.08, 0.04)))
    rest = Pose(yaw, pitch, roll, place)
    setting.parameters["distance"] = distance
    if still:
        on_stand = chance.random() < 0.3
        sway = motion.swaying(chance, 0.0002 if on_stand else 0.012, 0.0002 if on_stand else 0.003, 2.5)
        return Bearing(rest, turns, sway)
    angles, metres = float(chance.uniform(0.01, 0.12)), float(distance * chance.uniform(0.004, 0.04))
    sway = motion.swaying(chance, angles, metres, 1.5)
    return Bearing(rest, turns, sway, float(chance.normal(0.0, 0.4)), float(distance * chance.uniform(-0.1, 0.3)))


def in_hand(setting: Setting, carrier: Carrier, bearing: Bearing) -> Scene:
    """The carrier before somebody's body, or alone."""
    chance = setting.chance
    background = draw_background(setting.lens, setting.lights, setting.sees, chance)
    if chance.random() < 0.7:
        x, y, z = bearing.rest.place
        away = float(chance.uniform(0.25, 0.6))
        body = torso(chance, (x + float(chance.normal(0.0, 0.1)), y + 0.18, z + away))
        background.draw(body, setting.lights, cull=False)
    return Scene(setting.lens, setting.lights, background, (carrier,))
