"""The figures that a presentation must reach, tier by tier, each with its reason.

Chosen on the `tune` split of the rendered presentations (`lab.presentations`) and on the few real pictures at hand,
with room towards what physics allows rather than close to either side. "Seen" tells roughly what runs of that split
showed while the measuring was still being written: no figure to rely on, those are in docs/liveness.md.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

_Positive = Annotated[float, Meta(gt=0.0)]


class _Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Frozen figures: an unknown name is an error."""


class TrackLimits(_Limits, frozen=True):
    """What makes frames one unbroken track of one face."""

    max_gap_ms: _Positive = 400.0
    """Longest time without the face: a head turned far is lost for some frames; nobody is exchanged as fast."""
    frame_ms: _Positive = 100.0
    """Between two frames; after a longer gap a face may have moved and grown more, as the root of the time."""
    max_move: _Positive = 0.5
    """Of the face's width, between two frames in which it was found."""
    max_growth: _Positive = 1.35
    """Factor of its width, between the same."""
    same_person: Annotated[float, Meta(ge=-1.0, le=1.0)] = 0.7
    """Least cosine of a frame's unit vector to the mean of those before it; the network's own calibration
    (`Figures.same_person`) stands in for it where there is one."""


class TurnLimits(_Limits, frozen=True):
    """The head turns of tier RGB."""

    begin: _Positive = 0.07
    """Horizontal parallax of the generic head's depth, in depths (about the sine of the turn), up to which a head
    is at rest: it sways, and comes back a little beyond the middle."""
    lobe: _Positive = 0.12
    """From which it was turned: 8 degrees. Seen: flat prints up to 0.10, bent ones to 0.15, once 0.20."""
    reach: _Positive = 0.155
    """That each of two answers must reach, each to its side: 10 degrees. Seen: genuine from 0.16, median 0.4."""
    noticed_ms: _Positive = 250.0
    """From a movement's beginning until it goes beyond `begin`, at most: an answer may be seen so much later than
    it has to begin."""
    returned_ms: _Positive = 450.0
    """The same for a turn's end, which is seen when half of the way back is done."""
    apart_ms: _Positive = 900.0
    """Most that the delays of one look's movements differ: people are about as quick each time, and the cues are
    1,100 apart. How many people that refuses with all else, and how many recordings pass, `lab.courses` tells."""
    log_ratio: float = 0.12
    """Least natural logarithm of the residual that a bent or folded sheet leaves to that which the head's depth
    leaves. Seen: genuine from 0.11, median 0.55; prints up to 0.14."""
    sway: _Positive = 0.01
    """Most common motion of the surroundings, in inter-eye distances: a gate's camera and what it sees stand
    still, a picture in a hand does not. It is half a pixel where the eyes are 50 apart. Seen: genuine up to 0.009;
    held pictures from 0.01 and mostly lost (1.0), but for those on a stand."""


class LampLimits(_Limits, frozen=True):
    """The flickering lamp, white or infrared."""

    signal: _Positive = 8.0
    """Least amplitude in its own standard errors. Below, daylight drowns the lamp: unavailable. Seen:
    genuine from 9."""
    saturated: _Positive = 0.63
    """Most of the skin at the sensor's end: the rest, 400 cells of 1,100, must tell. Seen with exposures nearly
    twice too long: genuine up to 0.79; of attacks beyond 0.5 none."""
    correlation: float = 0.96
    """Of the skin's light, freed of slow drift, with the pattern. Seen: genuine from 0.97, replays up to 0.90 but
    for the glass's own answer."""
    lag_ms: tuple[float, float] = (-40.0, 80.0)
    """Between pattern and answer, by the camera's time stamps: a frame's exposure, and a driver's lateness."""
    amplitude: _Positive = 0.05
    """Least log of lit over unlit skin. Seen: genuine from 0.12; relays' and replays' glass down to 0.03."""
    of_predicted: _Positive = 0.25
    """Least share of the amplitude that site and distance predict, where the site was calibrated."""
    texture: float = 0.5
    """Least share of the face's own features in the lamp's light: skin and paper reflect it coloured as they are, a
    screen's glass does not know what is shown behind it. Seen: genuine from 0.5, paper 0.9 to 1.05, glass up to
    0.15; the real face 0.6."""
    relief: float = 0.18
    """Least correlation of the answer's fine structure with that of a head's normals. Seen: genuine from 0.20,
    median 0.5; paper -0.3 to 0.26 (whose size is nothing); the real face 0.77, its print -0.2."""
    relief_gain: float = 0.33
    """Least size of that structure: 1 is a head's. Seen: genuine 0.32 to 1.35, paper within 0.15 of nothing; the
    real face 2, its print -0.2."""
    over_surroundings: float = 0.3
    """Least lead of the face's log amplitude over that of what surrounds it, as a share of the face's: the lamp's
    light falls with the square of the distance. Seen: genuine from 0.55."""


class InfraredLimits(_Limits, frozen=True):
    """The near-infrared picture."""

    level: _Positive = 0.03
    """Least linear light of the face (0 to 1) while the emitter is lit: screens are dark. Seen: genuine from
    0.10."""
    structure: float = 0.35
    """Least correlation of the face's structure in both pictures. Seen: genuine from 0.68, screens up to
    0.15."""


class Site(_Limits, frozen=True):
    """What the installer measured of this gate."""

    focal: _Positive = 0.87
    """Focal length in widths of the picture: 60 degrees across."""
    ratio_at_1m: Annotated[float, Meta(ge=0.0)] = 0.0
    """Light of the lamp over all other light on a face 1 m away; 0: not calibrated."""


class Limits(_Limits, frozen=True):
    """All of them."""

    track: TrackLimits = TrackLimits()
    turn: TurnLimits = TurnLimits()
    led: LampLimits = LampLimits()
    ir: LampLimits = LampLimits()
    infrared: InfraredLimits = InfraredLimits()
    veto: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5
    """Highest score of an added model, where there is one."""
