"""The measuring of one tier over one track: turns, or a lamp, white or infrared."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from gatevault.core.liveness import PATTERN_MS, Edge, Evidence, Lamp, Limits, Prompt, Site, Tier
from gatevault.core.liveness.answers import follow
from gatevault.core.liveness.challenge import ANSWER_MS, CUES, LATEST_MS, MS
from gatevault.vision.detect import Face, Points
from gatevault.vision.frame import Pixels
from gatevault.vision.liveness.cells import LampLog, Single, face_cells
from gatevault.vision.liveness.head import Floats, five_of, turned
from gatevault.vision.liveness.infrared import level, structure
from gatevault.vision.liveness.lamp import measure
from gatevault.vision.liveness.points import Tracker
from gatevault.vision.liveness.surround import Surroundings
from gatevault.vision.liveness.turn import LEAST_POINTS, TurnLog

FRONTAL: Final = 0.16
"""Of the nose beside the middle, in inter-eye distances: up to there the generic head fits (about 12 degrees)."""

SETTLED_MS: Final = 120
"""After the pattern's end, for its last frames and the messages about its edges."""


_COLOUR_FRAMES: Final = 12
"""Of the colour camera, that the infrared face is compared with."""


class Session(Protocol):
    """What a track measures."""

    @property
    def ready(self) -> bool:
        """Whether the challenge may begin."""

    @property
    def followed(self) -> bool:
        """Whether points of the face are followed by now."""

    @property
    def broken(self) -> bool:
        """Whether they were lost, as they are when another face, or a picture, takes the face's place."""

    def see(
        self,
        pixels: Pixels,
        infrared: npt.NDArray[np.uint8] | None,
        taken_ns: int,
        face: Face | None,
        landmarks: Points | None,
    ) -> None:
        """As `Track.see`."""

    def prompt(self, prompt: Prompt) -> None: ...

    def edge(self, edge: Edge) -> None: ...

    def evidence(self, now_ns: int) -> Evidence | None:
        """What was measured; None while there is more to come."""

    def forget(self) -> None:
        """Overwrite what is held of pixels."""


def open_session(tier: Tier, limits: Limits, site: Site) -> Session:
    """ValueError for OFF."""
    if tier is Tier.RGB:
        return Turns(limits)
    if tier is Tier.LED:
        return Flicker(Lamp.LED, site)
    if tier is Tier.IR:
        return Flicker(Lamp.IR, site)
    raise ValueError("with liveness off there is no track to judge")


class _Followed:
    """A tracker that begins with the first frontal face."""

    def __init__(self) -> None:
        self.tracker: Tracker | None = None
        self.frames = 0

    @property
    def ready(self) -> bool:
        return self.tracker is not None and self.frames >= 2

    @property
    def broken(self) -> bool:
        return self.tracker is not None and self.tracker.unbroken < LEAST_POINTS

    def follow(self, pixels: Pixels, face: Face | None, landmarks: Points | None) -> Pixels | None:
        """The frame's working picture, whose caller wipes it, once the tracker has begun."""
        if self.tracker is None:
            five = None if face is None else five_of(face, landmarks)
            if face is None or five is None:
                return None
            try:
                if abs(turned(five)) > FRONTAL:
                    return None
                self.tracker = Tracker(pixels, face.box, five)
            except ValueError:
                return None
            self.frames = 1
            return self.tracker.cut(pixels)
        working = self.tracker.cut(pixels)
        self.tracker.follow(working)
        self.frames += 1
        return working

    def forget(self) -> None:
        if self.tracker is not None:
            self.tracker.wipe()


class _OnPoints:
    """What both kinds of session know by the points that they follow."""

    def __init__(self) -> None:
        self._followed = _Followed()

    @property
    def ready(self) -> bool:
        return self._followed.ready

    @property
    def followed(self) -> bool:
        return self._followed.tracker is not None

    @property
    def broken(self) -> bool:
        return self._followed.broken


class Turns(_OnPoints):
    """Tier RGB."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self._limits = limits.turn
        self._prompts: list[Prompt] = []
        self._log = TurnLog()
        self._surroundings: Surroundings | None = None

    def see(
        self,
        pixels: Pixels,
        infrared: npt.NDArray[np.uint8] | None,
        taken_ns: int,
        face: Face | None,
        landmarks: Points | None,
    ) -> None:
        working = self._followed.follow(pixels, face, landmarks)
        tracker = self._followed.tracker
        if working is None or tracker is None:
            return
        working.fill(0)
        if self._surroundings is None:
            self._surroundings = Surroundings(tracker)
        if self._log.see(tracker, taken_ns):
            self._surroundings.see(tracker.picture)

    def prompt(self, prompt: Prompt) -> None:
        self._prompts.append(prompt)

    def edge(self, edge: Edge) -> None:
        """Nothing: this tier has no lamp."""

    def evidence(self, now_ns: int) -> Evidence | None:
        if self._surroundings is None or not self._prompts:
            return None
        times, turns = self._log.series()
        following = follow(times, turns, self._prompts, self._limits)
        asked = len(self._prompts)
        late = asked >= CUES and now_ns > self._prompts[-1].at_ns + (LATEST_MS + ANSWER_MS) * MS
        if not (late or following.settled or following.failed):
            return None
        return Evidence(
            following.answers,
            asked,
            following.unasked,
            self._log.log_ratio,
            self._surroundings.sway(turns),
        )

    def forget(self) -> None:
        self._followed.forget()
        if self._surroundings is not None:
            self._surroundings.wipe()


class Flicker(_OnPoints):
    """Tiers LED and IR."""

    def __init__(self, lamp: Lamp, site: Site) -> None:
        super().__init__()
        self._lamp = lamp
        self._site = site
        self._edges: list[Edge] = []
        self._log = LampLog()
        self._colour: list[Single] = []

    def see(
        self,
        pixels: Pixels,
        infrared: npt.NDArray[np.uint8] | None,
        taken_ns: int,
        face: Face | None,
        landmarks: Points | None,
    ) -> None:
        working = self._followed.follow(pixels, face, landmarks)
        tracker = self._followed.tracker
        if working is None or tracker is None:
            return
        try:
            frame = tracker.face_frame()
            if frame is not None:
                if self._lamp is Lamp.LED:
                    self._log.see(working, frame, taken_ns)
                elif infrared is not None:
                    self._infrared(working, infrared, frame, tracker, taken_ns)
        finally:
            working.fill(0)

    def _infrared(
        self, working: Pixels, infrared: npt.NDArray[np.uint8], frame: Floats, tracker: Tracker, taken_ns: int
    ) -> None:
        """One frame of both cameras: the lamp's answer in infrared, and the face in colour beside it."""
        view = np.vstack((tracker.from_view(infrared.shape[1]), (0.0, 0.0, 1.0)))
        self._log.see(infrared, frame @ view, taken_ns)
        if len(self._colour) < _COLOUR_FRAMES:
            self._colour.append(face_cells(working, frame))

    def prompt(self, prompt: Prompt) -> None:
        """Nothing: this tier asks nothing of anybody."""

    def edge(self, edge: Edge) -> None:
        if edge.lamp is self._lamp:
            self._edges.append(edge)

    def evidence(self, now_ns: int) -> Evidence | None:
        if not self._edges or now_ns < self._edges[0].at_ns + (PATTERN_MS + SETTLED_MS) * MS:
            return None
        tracker = self._followed.tracker
        apart = 0.0 if tracker is None else tracker.apart
        lamp = measure(self._log, sorted(self._edges, key=lambda edge: edge.at_ns), self._site, apart)
        if self._lamp is Lamp.LED:
            return Evidence(lamp=lamp)
        return Evidence(
            lamp=lamp,
            infrared_level=level(self._log.faces),
            infrared_structure=structure(self._log.faces, self._colour),
        )

    def forget(self) -> None:
        self._followed.forget()
        self._log.wipe()
        for cells in self._colour:
            cells.fill(0.0)
        self._colour.clear()
