"""Whether a face answers a flickering lamp as skin on a head does.

Each frame leaves two small pictures of linear light (`cells`). When the pattern is over, each cell's logarithm is
fitted over time by

    a constant, slow waves (exposure control, clouds, a swaying body), the face's own motion, and the lamp's light

so that the lamp's share, b, is a log ratio of lit to unlit light: the skin's own colour cancels. Then

    follows    the mean over the face follows the pattern, at once
    amplitude  by as much as the distance predicts; a screen shines itself and answers little
    texture    with the face's own features in it, which a screen's glass does not have
    relief     and with a head's relief, which paper does not have, flat or bent (`relief`)
    beside     the face answers more than what is beside it, which is farther off
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gatevault.core.liveness import Edge, LampEvidence, Site
from gatevault.vision.liveness.cells import FACE, SKIN, LampLog, Single
from gatevault.vision.liveness.head import Floats
from gatevault.vision.liveness.relief import relief, texture

_DARK: Final = 0.004
"""Linear light below which a camera gives noise; added before a logarithm is taken."""
_SELDOM: Final = 0.1
"""Share of the frames in which a cell may be so."""

_WAVES: Final = 3
"""Slow cosines over the pattern's time that are not the lamp: up to 0.9 Hz."""

_EXPOSURES_MS: Final = (8.0, 18.0, 32.0, 50.0)
"""Over which a frame may gather light on the face, its rolling shutter included, before its time stamp."""
_LAGS_MS: Final = np.arange(-120.0, 601.0, 10.0)

_LEAST_FRAMES: Final = 14
_LEAST_CELLS: Final = 400
"""Of some 1,100 that are skin: half a face saturated tells no relief."""
_FAINT: Final = 0.008
"""Linear light below which a cell is hair or shadow."""

EYES_APART_M: Final = 0.063
"""Between the pupils of an adult: mean of ANSUR II, 2012; deviation 3.6 mm."""


def _lit(times_ms: Floats, edges: list[tuple[float, bool]], lag: float, exposure: float) -> Floats:
    """Share of each frame's exposure in which the lamp, `lag` ms late, was lit."""
    end = times_ms - lag
    start = end - exposure
    total = np.zeros(len(times_ms))
    for number, (at, lit) in enumerate(edges):
        if lit:
            until = edges[number + 1][0] if number + 1 < len(edges) else np.inf
            total += np.clip(np.minimum(end, until) - np.maximum(start, at), 0.0, None)
    return total / exposure


def measure(log: LampLog, edges: Sequence[Edge], site: Site, apart: float) -> LampEvidence:
    """What the frames say of the lamp's edges; nothing where there are too few of either.

    `apart`: between the eyes, as a share of the picture's width.
    """
    if len(log.times) < _LEAST_FRAMES or len(edges) < 4:
        return LampEvidence()
    begin = edges[0].at_ns
    # Until its first edge the lamp was what that edge ended: a gate lights it while its camera settles.
    changes = [(-np.inf, not edges[0].lit), *(((edge.at_ns - begin) / 1e6, edge.lit) for edge in edges)]
    times = (np.array(log.times, np.float64) - begin) / 1e6
    chosen = (times > -350.0) & (times < changes[-1][0] + 350.0)
    if chosen.sum() < _LEAST_FRAMES:
        return LampEvidence()
    times = times[chosen]
    faces = np.stack([face for face, kept in zip(log.faces, chosen, strict=True) if kept])
    np.log(np.add(faces, np.float32(_DARK), out=faces), out=faces)
    try:
        return _measured(log, faces, chosen, times, changes, site, apart)
    finally:
        faces.fill(0.0)


def _measured(
    log: LampLog,
    faces: Single,
    chosen: npt.NDArray[np.bool_],
    times: Floats,
    changes: list[tuple[float, bool]],
    site: Site,
    apart: float,
) -> LampEvidence:
    burnt = np.mean([full for full, kept in zip(log.full, chosen, strict=True) if kept], axis=0) > _SELDOM
    seen = ~burnt & (faces.mean(axis=0) > np.log(_FAINT + _DARK))
    cells = SKIN & seen
    saturated = float(burnt[SKIN].mean())
    if cells.sum() < _LEAST_CELLS:
        return LampEvidence(saturated=saturated)
    slow = _slow(times)
    mean = faces[:, cells].mean(axis=1)
    # In linear light, for a frame that is lit for half of its exposure has half the light, not half its logarithm.
    lag, exposure, correlation = _best_lag(np.exp(mean - mean.mean()), slow, times, changes)
    lit = _lit(times, changes, lag, exposure)
    base, _ = np.linalg.qr(slow)
    # What motion and lamp have in common is the lamp's: a head that nods in its time is followed all the same.
    alone = _without(base, lit[:, None])
    motion = _without(base, np.array(log.middles)[chosen])
    motion = motion - alone @ (alone.T @ motion) / max(float(np.sum(alone**2)), 1e-9)
    design = np.column_stack((lit, slow, motion))
    inverse = np.linalg.pinv(design)
    share = inverse[0]
    answer = float(share @ mean)
    left = mean - design @ (inverse @ mean)
    freedom = max(1, len(times) - design.shape[1])
    error = float(np.sqrt(np.sum(left**2) / freedom) * np.linalg.norm(share))
    beside = _beside(log, chosen, share)
    # A lamp darkens nothing: what is darker while it is lit tells by how much the camera shut its eye.
    shut = min(0.0, beside or 0.0)
    amplitude = answer - shut
    ratio = (np.tensordot(share, faces, 1) - shut).astype(np.float32)
    unlit = faces.mean(axis=0) - np.float32(lit.mean()) * (ratio + np.float32(shut))
    shape, gain = relief(ratio, unlit, cells)
    predicted = float(np.log1p(site.ratio_at_1m / (site.focal * EYES_APART_M / max(apart, 1e-6)) ** 2))
    return LampEvidence(
        signal=answer / max(error, 1e-6),
        saturated=saturated,
        correlation=correlation,
        lag_ms=lag,
        amplitude=amplitude,
        of_predicted=amplitude / predicted if site.ratio_at_1m > 0.0 else 1.0,
        texture=texture(ratio, unlit, FACE & seen),
        relief=shape,
        relief_gain=gain,
        over_surroundings=None if beside is None else 1.0 - (beside - shut) / max(amplitude, 1e-6),
    )


def _without(base: Floats, columns: Floats) -> Floats:
    """Columns (f, k) freed of what the orthonormal `base` explains."""
    return np.asarray(columns - base @ (base.T @ columns))


def _slow(times: Floats) -> Floats:
    """A constant and slow waves, (f, k)."""
    phase = np.pi * (times - times[0]) / (times[-1] - times[0])
    return np.stack([np.cos(k * phase) for k in range(_WAVES + 1)], axis=1)


def _best_lag(
    mean: Floats | Single, slow: Floats, times: Floats, changes: list[tuple[float, bool]]
) -> tuple[float, float, float]:
    """The lag and exposure (ms) at which the lamp explains most, and the correlation there; slow waves apart."""
    base, _ = np.linalg.qr(slow)
    signal = _without(base, np.asarray(mean, np.float64)[:, None])[:, 0]
    length = max(float(np.linalg.norm(signal)), 1e-9)
    lit = np.stack([_lit(times, changes, float(lag), e) for e in _EXPOSURES_MS for lag in _LAGS_MS], axis=1)
    lit = _without(base, lit)
    values = (signal @ lit / np.maximum(np.linalg.norm(lit, axis=0) * length, 1e-9)).reshape(len(_EXPOSURES_MS), -1)
    exposure, best = (int(k) for k in np.unravel_index(int(np.argmax(values)), values.shape))
    row = values[exposure]
    # Where several lags fit alike (few frames a second), their middle.
    near = [k for k in range(len(row)) if abs(k - best) <= 4 and row[k] > row[best] - 0.01]
    return float(_LAGS_MS[near].mean()), _EXPOSURES_MS[exposure], float(row[best])


def _beside(log: LampLog, chosen: npt.NDArray[np.bool_], share: Floats) -> float | None:
    """The log ratio of what is beside the face; None where nothing is."""
    blocks = np.log(np.stack([b for b, kept in zip(log.besides, chosen, strict=True) if kept]) + _DARK)
    answers: Any = share @ blocks
    return float(np.median(answers)) if answers.size else None
