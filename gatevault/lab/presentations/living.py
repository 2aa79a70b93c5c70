"""Living people before the gate: residents who answer the prompts, well or badly."""

from __future__ import annotations

import hashlib

import numpy as np

from gatevault.lab.presentations import motion
from gatevault.lab.presentations.figure import Figure, Mien
from gatevault.lab.presentations.motion import Bearing, Pose
from gatevault.lab.presentations.people import Identities, Identity
from gatevault.lab.presentations.raster import Lens
from gatevault.lab.presentations.scene import Person, Scene, draw_background
from gatevault.lab.presentations.setting import Setting


def figure_of(identity: Identity, identities: Identities) -> Figure:
    """A person's head and shoulders, the same at every call."""
    seed = int.from_bytes(hashlib.sha256(identity.label.encode()).digest()[8:16], "big")
    hair = float(np.random.default_rng(seed).uniform(0.15, 0.35))
    return Figure(identities.model, identity.worn(identities.model), hair)


def mien(chance: np.random.Generator, seconds: float) -> Mien:
    """A face that smiles a little, or speaks, and blinks."""
    names = ("happiness", "surprise", "sadness")
    moods = tuple(
        (name, float(chance.uniform(0.0, 0.25)), motion.wander(chance, 0.08))
        for name in names
        if chance.random() < 0.5
    )
    return Mien(moods, motion.blinks(chance, seconds))


def bearing_of(setting: Setting, turns: tuple[motion.Move, ...], sway: float = 1.0) -> Bearing:
    """A person standing where a face of 150 mm is 95 to 170 pixels wide in a picture of 640, at 0.38 to 1.2 m."""
    wide = setting.chance.uniform(95.0, 170.0) * setting.lens.width / 640.0
    distance = float(np.clip(setting.lens.focal * 0.15 / wide, 0.38, 1.2))
    setting.parameters["distance"] = distance
    return standing(setting.chance, setting.lens, distance, turns, sway)


def standing(
    chance: np.random.Generator, lens: Lens, distance: float, turns: tuple[motion.Move, ...], sway: float
) -> Bearing:
    """A person whose face is `distance` metres away, about in the middle, and looks at the camera."""
    aside = distance * chance.uniform(-0.12, 0.12)
    down = distance * chance.uniform(-0.03, 0.07) + 0.045
    rest = Pose(
        float(chance.normal(0.0, 0.05) + np.arctan2(-aside, distance) * 0.7),
        float(chance.normal(0.0, 0.06)),
        float(chance.normal(0.0, 0.035)),
        (float(aside), float(down), distance + 0.095),
    )
    swaying = motion.swaying(chance, 0.012 * sway, 0.004 * sway, 0.8)
    return Bearing(rest, turns, swaying, float(chance.normal(0.0, 0.1)), float(chance.uniform(0.0, 0.03)))


def bona_fide(setting: Setting) -> Scene:
    """A resident who does what the prompts ask; one in six slowly and little, as some people do."""
    chance = setting.chance
    slow = setting.lasting.random() < 1.0 / 6.0
    setting.parameters["manner"] = "slow" if slow else "willing"
    turns = motion.answer(chance, setting.challenge.prompts, motion.SLOW if slow else motion.WILLING)
    bearing = bearing_of(setting, turns, float(np.exp(chance.uniform(-0.5, 0.7))))
    person = Person(
        figure_of(setting.identity, setting.identities), bearing, mien(chance, setting.challenge.seconds)
    )
    background = draw_background(setting.lens, setting.lights, setting.sees, chance)
    return Scene(setting.lens, setting.lights, background, (person,))
