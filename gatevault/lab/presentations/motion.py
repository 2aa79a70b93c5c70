"""How heads and hands move: sway, turns that answer a prompt, blinks, and the wandering of what is held.

Angles in radians: yaw is positive towards the resident's own left (the image's right), pitch when the chin rises,
roll when the head leans to its own left shoulder's side... as rotations about y, x and z of head coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gatevault.lab.presentations.raster import Floats

LEFT: Final = "left"
RIGHT: Final = "right"

Prompts = tuple[tuple[float, str], ...]
"""When, and what was shown from then on: LEFT, RIGHT, or neither, as it may have been before."""

_TONES: Final = 5


@dataclass(frozen=True, slots=True)
class Wander:
    """A smooth random walk around zero: a few sines between 0.1 and `fastest` hertz, slower ones larger."""

    rates: tuple[float, ...]
    phases: tuple[float, ...]
    sizes: tuple[float, ...]

    def at(self, seconds: float) -> float:
        return float(
            sum(
                size * np.sin(2.0 * np.pi * rate * seconds + phase)
                for rate, phase, size in zip(self.rates, self.phases, self.sizes, strict=True)
            )
        )


def wander(chance: np.random.Generator, deviation: float, fastest: float = 1.2) -> Wander:
    """With this standard deviation over time."""
    rates = np.exp(chance.uniform(np.log(0.1), np.log(fastest), _TONES))
    sizes = chance.uniform(0.5, 1.0, _TONES) / np.sqrt(rates)
    sizes *= deviation * np.sqrt(2.0) / np.linalg.norm(sizes)
    return Wander(tuple(rates), tuple(chance.uniform(0.0, 2.0 * np.pi, _TONES)), tuple(sizes))


@dataclass(frozen=True, slots=True)
class Move:
    """One movement of the head from where it is, with the smooth speed of people (minimum jerk).

    One that begins before another has ended adds to it, as people's do (Flash and Henis, 1991).
    """

    begins: float
    by: float
    """Radians, signed as yaw."""
    takes: float

    def at(self, seconds: float) -> float:
        return self.by * _smooth(min(max((seconds - self.begins) / self.takes, 0.0), 1.0))


def _smooth(share: float) -> float:
    """Flash and Hogan, 1985."""
    return share**3 * (10.0 - 15.0 * share + 6.0 * share * share)


@dataclass(frozen=True, slots=True)
class Manner:
    """How somebody follows the arrows: ranges of the delay (s), the angle (degrees) and the time there (s)."""

    delay: tuple[float, float]
    angle: tuple[float, float]
    takes: tuple[float, float]
    slack: float = 0.2
    """Most of a turn, as a share, that a head which stays turned comes back by and by."""


WILLING: Final = Manner((0.25, 1.1), (17.0, 35.0), (0.35, 0.75))
SLOW: Final = Manner((0.7, 1.5), (13.0, 24.0), (0.7, 1.1))

_SLACKENS_S: Final = 1.0


def answer(chance: np.random.Generator, prompts: Prompts, manner: Manner) -> tuple[Move, ...]:
    """The movements of somebody who looks where an arrow is lit for as long as it is, and else ahead.

    Delays lean to the short side of their range, as people's do. From side to side takes longer, as the root of the
    way.
    """
    low, high = manner.delay
    moves: list[Move] = []
    shown, now = "", 0.0
    for at, prompt in prompts:
        side = prompt if prompt in (LEFT, RIGHT) else ""
        if side == shown:
            continue
        shown = side
        angle = float(np.radians(chance.uniform(*manner.angle)))
        to = {LEFT: angle, RIGHT: -angle}.get(side, 0.0)
        begins = at + low + (high - low) * float(chance.beta(1.6, 3.2))
        takes = float(chance.uniform(*manner.takes)) * max(1.0, np.sqrt(abs(to - now) / angle))
        moves.append(Move(begins, to - now, takes))
        slack = -to * float(chance.uniform(0.0, manner.slack))
        if to:
            moves.append(Move(begins + takes, slack, _SLACKENS_S))
        now = to + slack
    return tuple(moves)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where something is: angles in radians, its pivot in camera coordinates, metres."""

    yaw: float
    pitch: float
    roll: float
    place: tuple[float, float, float]

    def rotation(self) -> Floats:
        """The matrix (3, 3) in head coordinates: roll, then pitch, then yaw."""
        cy, sy, cp, sp = np.cos(self.yaw), np.sin(self.yaw), np.cos(self.pitch), np.sin(self.pitch)
        cr, sr = np.cos(self.roll), np.sin(self.roll)
        yaw = np.array(((cy, 0.0, sy), (0.0, 1.0, 0.0), (-sy, 0.0, cy)))
        pitch = np.array(((1.0, 0.0, 0.0), (0.0, cp, sp), (0.0, -sp, cp)))
        roll = np.array(((cr, -sr, 0.0), (sr, cr, 0.0), (0.0, 0.0, 1.0)))
        return np.asarray(yaw @ pitch @ roll)

    def placed(self, points: Floats, pivot: Floats) -> Floats:
        """Points (n, 3) of head coordinates, in millimetres, turned about `pivot`: camera coordinates, metres."""
        turned = (points - pivot) @ (self.rotation().T * (1.0, -1.0, -1.0)) * 1e-3
        return np.asarray(turned + self.place)

    def turned(self, directions: Floats) -> Floats:
        """Unit vectors (n, 3) of head coordinates in camera coordinates."""
        return np.asarray(directions @ (self.rotation().T * (1.0, -1.0, -1.0)))


@dataclass(frozen=True, slots=True)
class Bearing:
    """A moving thing: its rest, turns, and how it sways about them."""

    rest: Pose
    turns: tuple[Move, ...]
    sway: tuple[Wander, ...]
    """Yaw, pitch, roll (radians), x, y, z (metres)."""
    tilt: float = 0.0
    """Radians of pitch and roll that go along with a radian of yaw: nobody turns about one axis only."""
    shift: float = 0.0
    """Metres sideways that go along with a radian of yaw."""

    def at(self, seconds: float) -> Pose:
        sway = [each.at(seconds) for each in self.sway]
        yaw = sum(turn.at(seconds) for turn in self.turns)
        x, y, z = self.rest.place
        return Pose(
            self.rest.yaw + yaw + sway[0],
            self.rest.pitch + self.tilt * abs(yaw) + sway[1],
            self.rest.roll + self.tilt * yaw + sway[2],
            (x + sway[3] + self.shift * yaw, y + sway[4], z + sway[5]),
        )


def swaying(chance: np.random.Generator, angles: float, metres: float, fastest: float = 1.2) -> tuple[Wander, ...]:
    """Six wanderings: of three angles with this deviation in radians, and of three places."""
    return tuple(wander(chance, deviation, fastest) for deviation in (*([angles] * 3), *([metres] * 3)))


def blinks(chance: np.random.Generator, seconds: float, every: float = 3.4) -> tuple[float, ...]:
    """When the eyes begin to close: a Poisson process with this mean gap."""
    times, now = [], float(chance.exponential(every))
    while now < seconds:
        times.append(now)
        now += 0.5 + float(chance.exponential(every))
    return tuple(times)


def closed(times: Sequence[float], seconds: float) -> float:
    """How far the lids are closed: 70 ms down, 40 ms shut, 130 ms up."""
    for begins in times:
        since = seconds - begins
        if 0.0 < since < 0.24:
            return min(1.0, since / 0.07) if since < 0.11 else max(0.0, 1.0 - (since - 0.11) / 0.13)
    return 0.0
