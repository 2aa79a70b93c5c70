"""Every kind of presentation, drawn at random: `draw("print-moved", "rgb", seed, identities, "tune")`."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from gatevault.core.errors import UsageError
from gatevault.lab.presentations import motion
from gatevault.lab.presentations.challenge import IR, RATES, TIERS, Challenge, draw_challenge
from gatevault.lab.presentations.figure import Figure, Mien
from gatevault.lab.presentations.light import Lights, draw_lights
from gatevault.lab.presentations.motion import Bearing, Manner, Pose
from gatevault.lab.presentations.people import SPLITS, Identities, Identity
from gatevault.lab.presentations.raster import Lens
from gatevault.lab.presentations.scene import Person, Scene, Shooting, draw_background, film
from gatevault.lab.presentations.sensor import draw_sensor
from gatevault.vision.recorded import Presentation

BONA_FIDE: Final = "bona-fide"

WIDTH: Final = 640
HEIGHT: Final = 360


@dataclass(slots=True)
class Setting:
    """What a presentation is made from."""

    tier: str
    challenge: Challenge
    identity: Identity
    identities: Identities
    lens: Lens
    lights: Lights
    chance: np.random.Generator
    split: str
    parameters: dict[str, float | str]


def draw(
    species: str,
    tier: str,
    seed: int,
    identities: Identities,
    split: str,
    *,
    rate: float | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
) -> Presentation:
    """One presentation of a species at a tier. The same arguments give the same pixels.

    `split`: "tune" or "test": other people, other chance. `rate`: frames a second (RATES if None); `size`: height
    and width of the frames. UsageError for a species, tier or split that there is not.
    """
    if species not in SPECIES:
        raise UsageError(f"There is no species '{species}': use one of {', '.join(SPECIES)}.")
    if tier not in TIERS or split not in SPLITS:
        raise UsageError(f"'{tier}' or '{split}' is not known: tiers are {', '.join(TIERS)}, splits tune and test.")
    digest = hashlib.sha256(f"{split}/{tier}/{species}/{seed}".encode()).digest()
    chance = np.random.default_rng(int.from_bytes(digest[:16], "big"))
    people = identities.of(split)
    identity = people[int(chance.integers(0, len(people)))]
    challenge = draw_challenge(tier, chance)
    lens = Lens(float(chance.uniform(500.0, 680.0)) * size[1] / WIDTH, *size)
    lights = draw_lights(chance, (0.2, 1.2), (0.4, 2.0))
    setting = Setting(
        tier, challenge, identity, identities, lens, lights, chance, split, {"identity": identity.label}
    )
    scene = SPECIES[species](setting)
    exposed, dark = scene.exposed()
    sensor = draw_sensor(chance, exposed)
    infrared = draw_sensor(chance, dark) if tier == IR else None
    shooting = Shooting(rate or RATES[tier], float(chance.uniform(0.0, 0.012)), tier == IR)
    made = film(scene, challenge, sensor, infrared, shooting, chance)
    return dataclasses.replace(made, species=species, parameters=setting.parameters)


def figure_of(identity: Identity, identities: Identities) -> Figure:
    """A person's head and shoulders, the same at every call."""
    seed = int.from_bytes(hashlib.sha256(identity.label.encode()).digest()[8:16], "big")
    return Figure(
        identities.model, identity.worn(identities.model), float(np.random.default_rng(seed).uniform(0.15, 0.35))
    )


def mien(chance: np.random.Generator, seconds: float) -> Mien:
    """A face that smiles a little, or speaks, and blinks."""
    names = ("happiness", "surprise", "sadness")
    moods = tuple(
        (name, float(chance.uniform(0.0, 0.25)), motion.wander(chance, 0.08))
        for name in names
        if chance.random() < 0.5
    )
    return Mien(moods, motion.blinks(chance, seconds))


def face_distance(setting: Setting) -> float:
    """Metres, such that a face of 150 mm is 95 to 170 pixels wide in a picture of 640."""
    wide = setting.chance.uniform(95.0, 170.0) * setting.lens.width / WIDTH
    return float(np.clip(setting.lens.focal * 0.15 / wide, 0.38, 1.2))


def bearing_of(setting: Setting, turns: tuple[motion.Turn, ...], sway: float = 1.0) -> Bearing:
    """A person standing before the camera."""
    chance, distance = setting.chance, face_distance(setting)
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
    """A resident who does what the prompts ask; one in six slowly and little."""
    chance = setting.chance
    manner: Manner = motion.SLOW if chance.random() < 1.0 / 6.0 else motion.WILLING
    setting.parameters["manner"] = "slow" if manner is motion.SLOW else "willing"
    turns = motion.answer(chance, setting.challenge.prompts, manner)
    bearing = bearing_of(setting, turns, float(np.exp(chance.uniform(-0.5, 0.7))))
    setting.parameters["distance"] = bearing.rest.place[2]
    person = Person(
        figure_of(setting.identity, setting.identities), bearing, mien(chance, setting.challenge.seconds)
    )
    background = draw_background(setting.lens, setting.lights, chance)
    return Scene(setting.lens, setting.lights, background, (person,))


SPECIES: Final[dict[str, Callable[[Setting], Scene]]] = {
    BONA_FIDE: bona_fide,
}
