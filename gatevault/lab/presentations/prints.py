"""Attacks with paper: prints that are held, moved or bent, and masks made of them."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from gatevault.lab.presentations import motion, sources
from gatevault.lab.presentations.canvas import Sees, Surface
from gatevault.lab.presentations.carriers import Bend, Carrier, Paper, Sheet, held, printed
from gatevault.lab.presentations.figure import PIVOT
from gatevault.lab.presentations.gear import cameras, printers
from gatevault.lab.presentations.heads import NOSE_TIP
from gatevault.lab.presentations.holding import hand_held, in_hand
from gatevault.lab.presentations.light import draw_lights
from gatevault.lab.presentations.living import bearing_of, figure_of, mien
from gatevault.lab.presentations.motion import Bearing, Manner, Pose
from gatevault.lab.presentations.raster import Lens
from gatevault.lab.presentations.scene import Person, Scene, draw_background
from gatevault.lab.presentations.sensor import draw_sensor
from gatevault.lab.presentations.setting import Setting
from gatevault.lab.presentations.sources import Picture

QUICK: Final = Manner((0.25, 0.9), (18.0, 45.0), (0.3, 0.8))
"""How somebody turns a sheet when the gate asks for a turn."""


def print_held(setting: Setting) -> Scene:
    """A flat print, held still before the camera or standing on something."""
    picture = _source(setting)
    bearing = hand_held(setting, picture_scale(setting), (), still=True)
    return in_hand(setting, _print(setting, picture, bearing, None), bearing)


def print_moved(setting: Setting) -> Scene:
    """A flat print that is turned, tilted and moved; three in four answer the prompts."""
    chance = setting.chance
    answers = chance.random() < 0.75
    setting.parameters["mode"] = "answers" if answers else "wanders"
    bearing = hand_held(setting, picture_scale(setting), _turns(setting) if answers else (), still=False)
    return in_hand(setting, _print(setting, _source(setting), bearing, None), bearing)


def print_bent(setting: Setting) -> Scene:
    """A print bent about the vertical axis, steadily or more at a turn, that answers the prompts."""
    bearing = hand_held(setting, picture_scale(setting), _turns(setting), still=False)
    return in_hand(setting, _print(setting, _source(setting), bearing, _bend(setting)), bearing)


def print_eye_holes(setting: Setting) -> Scene:
    """A whole sheet with holes at the eyes, worn before an attacker's face, whose eyes blink behind it."""
    return _mask(setting, whole=True)


def print_cut_out(setting: Setting) -> Scene:
    """A face cut out along its edge, with or without eye holes, worn before an attacker's face."""
    return _mask(setting, whole=False)


def picture_scale(setting: Setting) -> float:
    """Size of the printed face: of its true size; most are near it, some are small prints held closer."""
    scale = float(
        setting.chance.uniform(0.75, 1.15) if setting.chance.random() < 0.75 else setting.chance.uniform(0.4, 0.75)
    )
    setting.parameters["print"] = scale
    return scale


def _source(setting: Setting) -> Picture:
    """What was printed: half of them a photograph of the resident (another one where there is), half a render."""
    chance, identity, model = setting.chance, setting.identity, setting.identities.model
    if chance.random() < 0.5:
        number = int(chance.integers(0, len(identity.portraits)))
        setting.parameters["source"] = f"photograph {number + 1}"
        return sources.photograph(identity.portraits[number], identity.worn(model, number), model)
    setting.parameters["source"] = "render"
    lens = Lens(float(chance.uniform(700.0, 1000.0)), 420, 420)
    lights = draw_lights(chance, (0.3, 0.6), (0.3, 0.6))
    yaw, pitch, roll, aside = (float(each) for each in chance.normal(0.0, (0.04, 0.04, 0.04, 0.01)))
    rest = Pose(yaw, pitch, roll, (aside, 0.05, float(chance.uniform(0.75, 0.95))))
    bearing = Bearing(rest, (), motion.swaying(chance, 0.001, 0.001))
    person = Person(figure_of(identity, setting.identities), bearing, mien(chance, 0.0))
    scene = Scene(lens, lights, draw_background(lens, lights, Sees(False, False), chance), (person,))
    sensor = draw_sensor(chance, scene.exposed(0.0)[0], setting.pick(cameras))
    return sources.still(person, scene, sensor, model, chance)


def _turns(setting: Setting) -> tuple[motion.Move, ...]:
    return motion.answer(setting.chance, setting.challenge.prompts, QUICK)


def _bend(setting: Setting) -> Bend:
    """Radius 75 mm (a head's) to 400 mm."""
    chance = setting.chance
    curvature = 1.0 / float(np.exp(chance.uniform(np.log(75.0), np.log(400.0))))
    changing = float(chance.uniform(0.0, 0.25)) * curvature if chance.random() < 0.6 else 0.0
    setting.parameters["radius"] = 1.0 / curvature
    by_turn = float(chance.uniform(-0.5, 1.5)) if chance.random() < 0.5 else 0.0
    return Bend(curvature, motion.wander(chance, changing, 0.8), by_turn)


def _print(setting: Setting, picture: Picture, bearing: Bearing, bend: Bend | None) -> Carrier:
    """The print of a whole picture, most with a white border."""
    chance = setting.chance
    scale = float(setting.parameters["print"])
    sheet = _sheet(picture, scale)
    printer = setting.pick(printers)
    albedo = printed(picture.linear, printer, scale / picture.scale, chance)
    if chance.random() < 0.6:
        border = max(2, round(chance.uniform(3.0, 15.0) * picture.scale / scale))
        paper = (printer.white, printer.white, printer.white, printer.infrared_paper)
        albedo = np.pad(albedo, ((border, border), (border, border), (0, 0)))
        for part in (albedo[:border], albedo[-border:], albedo[:, :border], albedo[:, -border:]):
            part[:] = paper
        edge = border * scale / picture.scale
        sheet = Sheet(sheet.left - edge, sheet.right + edge, sheet.bottom - edge, sheet.top + edge)
    look = Paper(Surface(albedo), sheet, setting.lights, printer)
    size = (albedo.shape[0], albedo.shape[1])
    return Carrier(sheet, size, look, bearing, bend, held(sheet, chance))


def _sheet(picture: Picture, scale: float) -> Sheet:
    height, width = picture.linear.shape[:2]
    x, y = picture.middle
    size = scale / picture.scale
    return Sheet(-x * size, (width - 1 - x) * size, -(height - 1 - y) * size, y * size)


def _mask(setting: Setting, *, whole: bool) -> Scene:
    """A print of true size before the face of an attacker who turns the head as the prompts ask."""
    chance = setting.chance
    other = setting.somebody_else()
    wearer = figure_of(other, setting.identities)
    turns = motion.answer(chance, setting.challenge.prompts, motion.WILLING)
    behind = bearing_of(setting, turns)
    scale = float(chance.uniform(0.95, 1.12))
    setting.parameters["print"] = scale
    setting.parameters["distance"] = behind.rest.place[2]
    picture = _source(setting)
    curvature = 0.0 if chance.random() < 0.25 else 1.0 / float(np.exp(chance.uniform(np.log(70.0), np.log(250.0))))
    setting.parameters["radius"] = 1.0 / curvature if curvature else "flat"
    bend = Bend(curvature, motion.wander(chance, 0.03 * curvature, 0.8))
    ahead = float(wearer.landmark(NOSE_TIP)[2] + chance.uniform(0.5, 8.0))  # paper rests on the nose
    worn = Worn(behind, float(sources.middle_of(wearer)[1]), ahead)
    carrier = _print(setting, picture, behind, bend)
    albedo = carrier.look(0.0, behind.at(0.0)).albedo
    border = (albedo.shape[0] - picture.linear.shape[0]) // 2
    cover = np.ones(picture.linear.shape[:2], np.float32) if whole else sources.face_cover(picture)
    with_holes = whole or chance.random() < 0.5
    setting.parameters["holes"] = "eyes" if with_holes else "none"
    if with_holes:
        cover = sources.holes(cover, picture.eyes, float(chance.uniform(1.0, 1.3)))
    cover = np.pad(cover, border, constant_values=1.0 if whole else 0.0)
    look = carrier.look
    if not isinstance(look, Paper):
        raise TypeError("a print looks like paper")
    look = dataclasses.replace(look, surface=dataclasses.replace(look.surface, cover=cover))
    fingers = carrier.fingers if whole else ()
    mask = Carrier(carrier.sheet, carrier.size, look, worn, bend, fingers)
    person = Person(wearer, behind, mien(chance, setting.challenge.seconds))
    background = draw_background(setting.lens, setting.lights, setting.sees, chance)
    return Scene(setting.lens, setting.lights, background, (person, mask))


@dataclasses.dataclass(frozen=True, slots=True)
class Worn:
    """A mask's bearing: it follows the head behind it, `ahead` mm before its face, at the height `level`."""

    head: Bearing
    level: float
    ahead: float

    @property
    def rest(self) -> Pose:
        return self._before(self.head.rest)

    def at(self, seconds: float) -> Pose:
        return self._before(self.head.at(seconds))

    def _before(self, pose: Pose) -> Pose:
        place = pose.placed(np.array(((0.0, self.level, self.ahead),)), PIVOT)[0]
        return Pose(pose.yaw, pose.pitch, pose.roll, (float(place[0]), float(place[1]), float(place[2])))
