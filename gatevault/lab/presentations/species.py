"""Every kind of presentation, drawn at random: `draw("print-moved", "rgb", seed, identities, "tune")`.

What is in "tune" is not in "test": people, cameras, printers, screens (`gear`), and the chance itself. Ranges of
movements, distances and light are the same in both.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Final

import numpy as np

from gatevault.core.errors import UsageError
from gatevault.lab.presentations import living, prints, screens
from gatevault.lab.presentations.challenge import IR, RATES, TIERS, draw_challenge
from gatevault.lab.presentations.gear import MAKES, cameras
from gatevault.lab.presentations.light import draw_lights
from gatevault.lab.presentations.people import SPLITS, Identities
from gatevault.lab.presentations.raster import Lens
from gatevault.lab.presentations.scene import Scene, Shooting, film
from gatevault.lab.presentations.sensor import draw_sensor
from gatevault.lab.presentations.setting import Setting
from gatevault.vision.recorded import Presentation

BONA_FIDE: Final = "bona-fide"

SPECIES: Final[dict[str, Callable[[Setting], Scene]]] = {
    BONA_FIDE: living.bona_fide,
    "print-held": prints.print_held,
    "print-moved": prints.print_moved,
    "print-bent": prints.print_bent,
    "print-eye-holes": prints.print_eye_holes,
    "print-cut-out": prints.print_cut_out,
    "replay-phone": screens.replay_phone,
    "replay-tablet": screens.replay_tablet,
    "replay-lucky": screens.replay_lucky,
    "relay": screens.relay,
}

ATTACKS: Final = tuple(name for name in SPECIES if name != BONA_FIDE)

WIDTH: Final = 640
HEIGHT: Final = 360


def draw(
    species: str,
    tier: str,
    seed: int,
    identities: Identities,
    split: str,
    *,
    rate: float | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    attempt: int = 0,
) -> Presentation:
    """One presentation of a species at a tier. The same arguments give the same pixels.

    `split`: "tune" or "test". `rate`: frames a second (`challenge.RATES` if None). `size`: height and width of the
    frames. `attempt`: the same person at the same gate again, with another challenge. UsageError for a species,
    tier or split that there is not.
    """
    if species not in SPECIES:
        raise UsageError(f"There is no species '{species}': use one of {', '.join(SPECIES)}.")
    if tier not in TIERS or split not in SPLITS:
        raise UsageError(f"'{tier}' or '{split}' is not known: tiers are {', '.join(TIERS)}, splits tune and test.")
    lasting = _chance(f"{split}/{tier}/{species}/{seed}")
    chance = _chance(f"{split}/{tier}/{species}/{seed}/{attempt}")
    people = identities.of(split)
    identity = people[int(lasting.integers(0, len(people)))]
    lens = Lens(float(lasting.uniform(500.0, 680.0)) * size[1] / WIDTH, *size)
    camera = cameras(split)[int(lasting.integers(0, MAKES))]
    setting = Setting(
        tier,
        split,
        draw_challenge(tier, chance),
        identities,
        identity,
        lens,
        draw_lights(lasting, (0.2, 1.2), (0.4, 2.0)),
        lasting,
        chance,
        {"identity": identity.label},
    )
    scene = SPECIES[species](setting)
    exposed, dark = scene.exposed(float(chance.uniform(0.3, 1.0)))
    sensor = draw_sensor(chance, exposed, camera)
    infrared = draw_sensor(chance, dark, camera) if tier == IR else None
    shooting = Shooting(rate or RATES[tier], float(chance.uniform(0.0, 0.012)))
    made = film(scene, setting.challenge, sensor, infrared, shooting, chance)
    setting.parameters |= {"led": setting.lights.led, "ir_led": setting.lights.infrared_led}
    return dataclasses.replace(made, species=species, parameters=setting.parameters)


def _chance(name: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big"))
