"""Whether what turns is a head: parallax of a generic depth, against what paper can do.

The displacement of each point since the frontal frame, across, is fitted by what a plane or a bent or folded sheet
can show, and by a head's depth on top of that:

    sheet   1, u, v and their products of degree two: a plane under perspective, and a sheet bent gently about any
            axis; u³, u⁴, uv²: one bent sharply about an upright axis, and tilted; |u|: one folded along the nose
    depth   what the sheet leaves of the generic head's depth: the nose, the hollows beside it, the eyes

The coefficient of the latter, frame by frame, is about the sine of the turn, positive to the picture's right (the
resident's own left). What a sheet does, it does not move; only across counts, for down is faked by tilting.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from gatevault.vision.liveness.head import Floats, depth, placed

LEAST_POINTS: Final = 24
"""Below, a sheet's terms alone explain everything."""

_WINDOW: Final = 3
"""Frames whose median is taken: single slips of the tracker go."""

_ROUNDS: Final = 3
_RIDGE: Final = 1e-12
"""Keeps the fit defined where points lie in a line; a millionth of an inter-eye distance."""
_ROBUST: Final = 2.0
"""Points whose residual is this many times the median's are weighed down: they slid along an edge."""


def sheet(places: Floats) -> Floats:
    """What displacements across a sheet of paper can show at `places` (n, 2) as u, v: shape (n, k)."""
    u, v = places[:, 0], places[:, 1] - 0.45
    ones = np.ones_like(u)
    plane = [ones, u, v, u * u, u * v, v * v]
    bent = [u**3, u**4, u * v * v]
    return np.stack([*plane, *bent, np.abs(u)], axis=1)


class Followed(Protocol):
    """Points of a face, as `points.Tracker` follows them."""

    @property
    def frame(self) -> Floats:
        """From pixels to u and v, (2, 3)."""

    @property
    def on_face(self) -> Floats:
        """Where they were in the frontal frame, as u and v: (n, 2)."""

    @property
    def places(self) -> npt.NDArray[Any]:
        """Where they are now, in pixels: (n, 2)."""

    @property
    def alive(self) -> npt.NDArray[np.bool_]:
        """Which are known, (n,)."""


class TurnLog:
    """The parallax of a track, frame by frame."""

    def __init__(self) -> None:
        self._times: list[int] = []
        self._turns: list[float] = []
        self._before = self._after = 0.0

    def see(self, tracker: Followed, taken_ns: int) -> bool:
        """The next frame, after its points were followed: whether it told anything."""
        now = placed(tracker.frame, tracker.places[tracker.alive])
        then = tracker.on_face[tracker.alive]
        found = parallax(then, now[:, 0] - then[:, 0])
        if found is None:
            return False
        turn, before, after = found
        self._times.append(taken_ns)
        self._turns.append(turn)
        self._before += before
        self._after += after
        return True

    def series(self) -> tuple[npt.NDArray[np.int64], Floats]:
        """When, and how far the head was turned: the coefficients about those before the first turn."""
        times, turns = np.array(self._times, np.int64), np.array(self._turns)
        if len(turns) >= _WINDOW:
            padded = np.pad(turns, _WINDOW // 2, mode="edge")
            turns = np.median(np.lib.stride_tricks.sliding_window_view(padded, _WINDOW), axis=1)
        return times, turns

    @property
    def log_ratio(self) -> float | None:
        """How much better the head explains the displacements than the sheet: log of the ratio of the residuals."""
        if not self._times:
            return None
        return 0.5 * float(np.log(max(self._before, 1e-12) / max(self._after, 1e-12)))


def parallax(places: Floats, displacements: Floats) -> tuple[float, float, float] | None:
    """How far a head was turned, and what displacements a sheet leaves, and the head's depth beside it.

    `places` (n, 2) as u, v; `displacements` across (n,), in inter-eye distances. The coefficient of the depth, and
    the mean squares of both residuals. None for too few points.
    """
    count = len(places)
    if count < LEAST_POINTS:
        return None
    terms = np.column_stack((sheet(places), depth(places), displacements))
    weight = np.ones(count)
    for _ in range(_ROUNDS):
        # The last rows of the triangle are depth and displacements, freed of the sheet.
        gram = (terms * weight[:, None]).T @ terms
        gram[np.diag_indices_from(gram)] += _RIDGE
        try:
            triangle = np.linalg.cholesky(gram)
        except np.linalg.LinAlgError:
            return None
        head, with_head, alone = triangle[-2, -2], triangle[-1, -2], triangle[-1, -1]
        solved = np.linalg.solve(triangle[:-1, :-1].T, triangle[-1, :-1])
        left = np.abs(displacements - terms[:, :-1] @ solved)
        used, middle = float(weight.sum()), max(float(np.median(left)), 1e-6)
        weight = np.minimum(1.0, (_ROBUST * middle / np.maximum(left, 1e-9)) ** 2)
    return float(with_head / head), float(with_head**2 + alone**2) / used, float(alone**2) / used
