"""Attacks with screens: films of a resident played to the gate, and a face that is driven live."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
import numpy.typing as npt

from gatevault.lab.presentations import motion, sources
from gatevault.lab.presentations.canvas import Sees
from gatevault.lab.presentations.carriers import Carrier, Display, held
from gatevault.lab.presentations.challenge import LED, Challenge, draw_challenge
from gatevault.lab.presentations.gear import Screen, cameras, phones, tablets
from gatevault.lab.presentations.holding import FACE_MM, hand_held, in_hand
from gatevault.lab.presentations.light import draw_lights
from gatevault.lab.presentations.living import figure_of, mien, standing
from gatevault.lab.presentations.raster import Floats
from gatevault.lab.presentations.scene import Person, Scene, draw_background, scenery
from gatevault.lab.presentations.sensor import draw_sensor, lit_before
from gatevault.lab.presentations.setting import Setting
from gatevault.lab.presentations.sources import Film
from gatevault.vision.recorded import Edges

_LUCK: Final = 64
"""Challenges among which the luckiest recording is chosen."""

_FINER: Final = 1.1
"""Pixels of a film to a pixel of the gate's picture of it: finer ones would only cost time."""


def replay_phone(setting: Setting) -> Scene:
    """A phone that plays a genuine look of the resident, answered under another challenge."""
    return _replay(setting, setting.pick(phones), draw_challenge(setting.tier, setting.chance))


def replay_tablet(setting: Setting) -> Scene:
    """A tablet that plays a genuine look of the resident, answered under another challenge."""
    return _replay(setting, setting.pick(tablets), draw_challenge(setting.tier, setting.chance))


def replay_lucky(setting: Setting) -> Scene:
    """A replay of the recording that, of 64, fits the challenge best: the same sides, most slots alike."""
    screen = setting.pick(tablets if setting.chance.random() < 0.5 else phones)
    known = [draw_challenge(setting.tier, setting.chance) for _ in range(_LUCK)]
    return _replay(setting, screen, min(known, key=lambda other: _unlike(other, setting.challenge)))


def _unlike(first: Challenge, second: Challenge) -> float:
    """How badly an answer to one challenge answers another: wrong sides, then seconds apart."""
    sides = sum(a[1] != b[1] for a, b in zip(first.prompts, second.prompts, strict=True))
    times = sum(abs(a[0] - b[0]) for a, b in zip(first.prompts, second.prompts, strict=True))
    grid = np.arange(0.0, second.seconds, 0.05)
    lights = sum(
        float(np.mean(_lit(a, grid) != _lit(b, grid)))
        for a, b in ((first.led, second.led), (first.ir_led, second.ir_led))
    )
    return 10.0 * sides + times + lights


def _lit(edges: Edges, at: Floats) -> npt.NDArray[np.bool_]:
    state = np.full(len(at), lit_before(edges))
    for when, lit in edges:
        state[at >= when] = lit
    return state


def _replay(setting: Setting, screen: Screen, recorded: Challenge) -> Scene:
    """Half of those for the LED were recorded at a gate, with its light; the others in plain light."""
    chance = setting.chance
    flashes = setting.tier == LED and chance.random() < 0.5
    setting.parameters["flashes"] = "recorded" if flashes else "none"
    led = recorded.led if flashes else ()
    turns = motion.answer(chance, recorded.prompts, motion.WILLING)
    return _screened(setting, screen, turns, led, 0.0)


def relay(setting: Setting) -> Scene:
    """A screen with a face that is driven live and answers 0.15 to 0.8 s later than a head would.

    At the LED tier the driven face is lit, half the time, by a lamp that repeats the gate's, seen through the link.
    """
    chance = setting.chance
    screen = setting.pick(tablets if chance.random() < 0.6 else phones)
    late = float(chance.uniform(0.15, 0.8))
    setting.parameters["delay"] = late
    flashes = setting.tier == LED and chance.random() < 0.5
    setting.parameters["flashes"] = "relayed" if flashes else "none"
    turns = motion.answer(chance, setting.challenge.prompts, motion.WILLING)
    return _screened(setting, screen, turns, setting.challenge.led if flashes else (), late)


def _screened(
    setting: Setting,
    screen: Screen,
    turns: tuple[motion.Move, ...],
    led: Edges,
    late: float,
) -> Scene:
    """A screen that shows the resident's rendered head, held by hand or standing."""
    chance = setting.chance
    face = float(np.clip(screen.wide * chance.uniform(0.6, 0.95), 45.0, 150.0))
    still = chance.random() < 0.5
    setting.parameters["screen"] = "still" if still else "moved"
    moved = hand_held(setting, face / FACE_MM, (), still=still)
    seen = 1e-3 * setting.lens.focal * screen.wide / moved.rest.place[2]
    lens = sources.film_lens(screen.wide, screen.tall, round(float(np.clip(_FINER * seen, 96, 420))), face)
    lights = draw_lights(chance, (0.3, 1.2), (0.3, 0.6))
    figure = figure_of(setting.identity, setting.identities)
    bearing = standing(chance, lens, float(chance.uniform(0.55, 0.65)), turns, 1.0)
    rest = bearing.rest
    centred = (0.2 * rest.place[0], 0.055, rest.place[2])  # films are framed
    bearing = dataclasses.replace(bearing, rest=dataclasses.replace(rest, place=centred))
    person = Person(figure, bearing, mien(chance, setting.challenge.seconds + 2.0))
    scene = Scene(lens, lights, draw_background(lens, lights, Sees(bool(led), False), chance), (person,))
    sensor = draw_sensor(chance, scene.exposed(0.5)[0], setting.pick(cameras))
    film = Film(scene, sensor, led, late, chance)
    room = 1.5 * scenery(120, 160, chance)[..., :3] ** 2
    display = Display(screen, film, (lens.height, lens.width), setting.lights, room, chance)
    carrier = Carrier(display.sheet, display.size, display, moved, None, held(display.sheet, chance))
    return in_hand(setting, carrier, moved)
