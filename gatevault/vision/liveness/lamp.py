"""Whether a face answers a flickering lamp as skin on a head does.

Each frame leaves two small pictures of linear light: the face's, brought onto its own frame (u, v), and that of
blocks beside it, which stay where they are. When the pattern is over, each cell's logarithm is fitted over time by

    a constant, slow waves (exposure control, clouds, a swaying body), the face's own motion, and the lamp's light

so that the lamp's share, b, is a log ratio of lit to unlit light: the skin's own colour cancels. Then

    follows    the mean over the face follows the pattern, at once
    amplitude  by as much as the distance predicts; a screen shines itself and answers little
    relief     what smooth light, and the picture's own brightness, leave of b is like log(n·l) of a head: light
               from the camera falls aslant on the sides of the nose, the sockets, the cheeks; on paper, flat or
               bent, it is smooth
    beside     the face answers more than what is beside it, which is farther off
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from gatevault.core.liveness import Edge, LampEvidence, Site
from gatevault.vision.liveness.head import Floats, normals, placed

Single = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]

_U: Final = np.linspace(-0.8, 0.8, 41)
_V: Final = np.linspace(-0.45, 1.3, 44)
_SIZE: Final = (len(_U), len(_V))
_FINE: Final = 2
"""Pixels to a cell and side while a face is brought onto the cells; averaged before its logarithm is taken."""

_DARK: Final = 0.004
"""Linear light below which a camera gives noise; added before a logarithm is taken."""
_FULL: Final = 250
"""Of 255: such a pixel may be more."""

_BURNT: Final = 0.1
"""Share of a cell's pixels that may be saturated."""
_SELDOM: Final = 0.1
"""Share of the frames in which a cell may be so."""

_WAVES: Final = 3
"""Slow cosines over the pattern's time that are not the lamp: up to 0.9 Hz."""

_WIDTH: Final = 2.2
"""A face's box in inter-eye distances."""

_EXPOSURE_MS: Final = 16.0
"""Over which a frame gathers light, before its time stamp; half a slot's error costs nothing."""
_LAGS_MS: Final = np.arange(-120.0, 601.0, 10.0)

_LEAST_FRAMES: Final = 14
_FLOOR: Final = 0.1
"""Of the usual answer: below, a cell's is noise."""
_LEAST_CELLS: Final = 400
"""Of some 1,100 that are skin: half a face saturated tells no relief."""
_FAINT: Final = 0.008
"""Linear light below which a cell is hair or shadow."""

EYES_APART_M: Final = 0.063
"""Between the pupils of an adult: mean of ANSUR II, 2012; deviation 3.6 mm."""

_ORDER: Final = 3
"""Of the polynomials in u and v that smooth light on smooth paper can be."""


_LINEAR: Final = np.array(
    [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in np.arange(256) / 255.0], np.float32
)
"""Linear light of sRGB's levels, which cameras approach."""

_BLOCK: Final = 0.2
"""Side of a block beside the face, of the face's width."""
_SAMPLES: Final = 8
"""Pixels of a block's side that are read."""


class LampLog:
    """What frames left for the analysis. `wipe` overwrites it."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.faces: list[Single] = []
        """Linear light of the cells, (44, 41) each."""
        self.besides: list[Single] = []
        """Linear light of the blocks beside the face, (b,) each."""
        self.middles: list[tuple[float, float]] = []
        """Where the face is, in cells."""
        self.full: list[npt.NDArray[np.bool_]] = []
        """Cells with saturated pixels, (44, 41) each."""
        self._blocks: tuple[tuple[int, int], Any] | None = None

    def see(self, picture: Grey, to_cells: Floats, taken_ns: int) -> None:
        """One frame's picture, (h, w, 3) or (h, w), and the affine matrix (2, 3) from its pixels to u and v."""
        inverse = cv2.invertAffineTransform(to_cells)
        fine = _cut(picture, inverse)
        grey = np.asarray(fine if fine.ndim == 2 else fine.max(axis=2), np.uint8)
        full = np.asarray(cv2.resize((grey >= _FULL).astype(np.float32), _SIZE, interpolation=cv2.INTER_AREA))
        self.full.append(full > _BURNT)
        self.faces.append(_cells(fine))
        fine.fill(0)
        self.besides.append(self._beside(picture, inverse))
        self.times.append(taken_ns)
        x, y = inverse @ np.array((0.0, 0.5, 1.0))
        self.middles.append((float(x), float(y)))

    def wipe(self) -> None:
        for picture in (*self.faces, *self.besides):
            picture.fill(0.0)
        self.faces.clear()
        self.besides.clear()
        self.times.clear()

    def _beside(self, picture: Grey, inverse: Floats) -> Single:
        """Linear light of blocks to the left, to the right and above the head, where it was in the first frame."""
        height, width = picture.shape[:2]
        if self._blocks is None:
            side = _BLOCK * _WIDTH * float(np.hypot(*inverse[:, 0]))
            size = (max(3, round(width / side)), max(3, round(height / side)))
            x, y = np.meshgrid(
                (np.arange(size[0]) + 0.5) * width / size[0], (np.arange(size[1]) + 0.5) * height / size[1]
            )
            there = placed(cv2.invertAffineTransform(inverse), np.column_stack((x.ravel(), y.ravel())))
            u, v = np.abs(there[:, 0]).reshape(x.shape), there[:, 1].reshape(x.shape)
            self._blocks = (
                size,
                ((u > 1.7) & (u < 4.0) & (v < 1.0) & (v > -2.5)) | ((v < -1.9) & (v > -3.5) & (u < 4.0)),
            )
        size, chosen = self._blocks
        step = max(1, min(width // size[0], height // size[1]) // _SAMPLES)
        coarse = cv2.resize(np.ascontiguousarray(picture[::step, ::step]), size, interpolation=cv2.INTER_AREA)
        light = _LINEAR[coarse[chosen]]
        coarse.fill(0)
        return np.asarray(light if light.ndim == 1 else light.mean(axis=1), np.float32)


def face_cells(picture: Grey, to_cells: Floats) -> Single:
    """Linear light of the face's cells in a picture, shape (44, 41)."""
    fine = _cut(picture, cv2.invertAffineTransform(to_cells))
    try:
        return _cells(fine)
    finally:
        fine.fill(0)


def _cut(picture: Grey, inverse: Floats) -> Grey:
    """The face, `_FINE` pixels to a cell."""
    step_u, step_v = (_U[1] - _U[0]) / _FINE, (_V[1] - _V[0]) / _FINE
    corner = np.array((_U[0] - step_u / 2, _V[0] - step_v / 2))
    move = np.column_stack((inverse[:, :2] * (step_u, step_v), inverse[:, :2] @ corner + inverse[:, 2]))
    size = (_FINE * len(_U), _FINE * len(_V))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, move, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _cells(fine: Grey) -> Single:
    """Linear light of the cells, (44, 41)."""
    light = _LINEAR[fine]
    grey = light if light.ndim == 2 else light.mean(axis=2)
    cells = grey.reshape(len(_V), _FINE, len(_U), _FINE).mean(axis=(1, 3), dtype=np.float32)
    light.fill(0.0)
    grey.fill(0.0)
    return np.asarray(cells, np.float32)


def _regions() -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Cells of any face, an ellipse; and those of them that are skin: not the eyes, which blink and shine."""
    u, v = np.meshgrid(_U, _V)
    inside = (u / 0.8) ** 2 + ((v - 0.45) / 0.95) ** 2 < 1.0
    eyes = (np.abs(np.abs(u) - 0.5) < 0.26) & (np.abs(v) < 0.14)
    return np.asarray(inside), np.asarray(inside & ~eyes)


_FACE, _SKIN = _regions()


def _lit(times_ms: Floats, edges: list[tuple[float, bool]], lag: float) -> Floats:
    """Share of each frame's exposure in which the lamp, `lag` ms late, was lit."""
    end = times_ms - lag
    start = end - _EXPOSURE_MS
    total = np.zeros(len(times_ms))
    for number, (at, lit) in enumerate(edges):
        if lit:
            until = edges[number + 1][0] if number + 1 < len(edges) else np.inf
            total += np.clip(np.minimum(end, until) - np.maximum(start, at), 0.0, None)
    return total / _EXPOSURE_MS


def measure(log: LampLog, edges: Sequence[Edge], site: Site, apart: float) -> LampEvidence:
    """What the frames say of the lamp's edges; nothing where there are too few of either.

    `apart`: between the eyes, as a share of the picture's width.
    """
    if len(log.times) < _LEAST_FRAMES or len(edges) < 4:
        return LampEvidence()
    begin = edges[0].at_ns
    changes = [((edge.at_ns - begin) / 1e6, edge.lit) for edge in edges]
    times = (np.array(log.times, np.float64) - begin) / 1e6
    chosen = (times > -350.0) & (times < changes[-1][0] + 350.0)
    if chosen.sum() < _LEAST_FRAMES:
        return LampEvidence()
    times = times[chosen]
    faces = np.log(np.stack([face for face, kept in zip(log.faces, chosen, strict=True) if kept]) + _DARK)
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
    cells = _SKIN & seen
    saturated = float(burnt[_SKIN].mean())
    if cells.sum() < _LEAST_CELLS:
        return LampEvidence(saturated=saturated)
    slow = _slow(times)
    mean = faces[:, cells].mean(axis=1)
    lag, correlation = _best_lag(mean, slow, times, changes)
    lit = _lit(times, changes, lag)
    motion = np.array(log.middles)[chosen]
    motion = (motion - motion.mean(axis=0)) / max(float(motion.std()), 1.0)
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
    relief, gain = _relief(ratio, unlit, cells)
    predicted = float(np.log1p(site.ratio_at_1m / (site.focal * EYES_APART_M / max(apart, 1e-6)) ** 2))
    return LampEvidence(
        signal=answer / max(error, 1e-6),
        saturated=saturated,
        correlation=correlation,
        lag_ms=lag,
        amplitude=amplitude,
        of_predicted=amplitude / predicted if site.ratio_at_1m > 0.0 else 1.0,
        texture=_texture(ratio, unlit, _FACE & seen),
        relief=relief,
        relief_gain=gain,
        over_surroundings=None if beside is None else 1.0 - (beside - shut) / max(amplitude, 1e-6),
    )


def _slow(times: Floats) -> Floats:
    """A constant and slow waves, (f, k)."""
    phase = np.pi * (times - times[0]) / (times[-1] - times[0])
    return np.stack([np.cos(k * phase) for k in range(_WAVES + 1)], axis=1)


def _best_lag(
    mean: Floats | Single, slow: Floats, times: Floats, changes: list[tuple[float, bool]]
) -> tuple[float, float]:
    """The lag (ms) at which the lamp explains most, and the correlation there; slow waves apart."""
    base, _ = np.linalg.qr(slow)
    signal = mean - base @ (base.T @ mean)
    length = max(float(np.linalg.norm(signal)), 1e-9)
    values = []
    for lag in _LAGS_MS:
        lit = _lit(times, changes, float(lag))
        lit = lit - base @ (base.T @ lit)
        values.append(float(lit @ signal) / max(float(np.linalg.norm(lit)) * length, 1e-9))
    best = int(np.argmax(values))
    # Where several lags fit alike (few frames a second), their middle.
    near = np.array([k for k in range(len(values)) if abs(k - best) <= 4 and values[k] > values[best] - 0.01])
    return float(_LAGS_MS[near].mean()), values[best]


def _terms() -> Floats:
    """Smooth light: polynomials of u and v, (44, 41, k)."""
    u, v = np.meshgrid(_U / 0.8, (_V - 0.45) / 0.9)
    return np.stack([u**i * v**j for i in range(_ORDER + 1) for j in range(_ORDER + 1 - i)], axis=-1)


_SMOOTH: Final = _terms()
_NORMALS: Final = normals(_U, _V)


def _light(ratio: Single, unlit: Single, cells: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The lamp's own light over the unlit, and the unlit, in logarithms, of the `cells`.

    `ratio`: log of lit over unlit light; `unlit`: log of the latter; (44, 41). Cells that answer next to nothing,
    or stand far out, are brought nearer.
    """
    b, a = (
        np.asarray(cv2.GaussianBlur(np.asarray(part, np.float32), (0, 0), 1.0), np.float64)[cells]
        for part in (ratio, unlit)
    )
    added = np.expm1(b)
    middle = max(float(np.median(added)), 1e-6)
    light = np.log(np.maximum(added, _FLOOR * middle) / middle)
    spread = 1.4826 * float(np.median(np.abs(light)))
    return np.clip(light, -4.0 * spread, 4.0 * spread), a


def _without(nuisance: Floats, wanted: Floats) -> Floats:
    """Columns (c, k) without what `nuisance`, (c, m), explains of them."""
    gram = nuisance.T @ nuisance + 1e-9 * np.eye(nuisance.shape[1])
    return np.asarray(wanted - nuisance @ np.linalg.solve(gram, nuisance.T @ wanted))


def _texture(ratio: Single, unlit: Single, cells: npt.NDArray[np.bool_]) -> float:
    """By how much the lamp's light shows the picture's own features: 1 on skin and paper, 0 on a screen's glass."""
    light, a = _light(ratio, unlit, cells)
    left, own = _without(_SMOOTH[cells], np.column_stack((light, a))).T
    return 1.0 + float(left @ own) / max(float(own @ own), 1e-12)


def _relief(ratio: Single, unlit: Single, cells: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """How like a head's the fine structure of the lamp's light is: a correlation, and its size, 1 as expected.

    The lamp's own light over the unlit, in logarithms, is smooth on paper; on a screen it is smooth less the
    picture that shines; on a head log(n·l) comes on top.
    """
    light, a = _light(ratio, unlit, cells)
    across, down, towards = (part[cells] for part in _NORMALS)
    nuisance = np.column_stack((_SMOOTH[cells], a, a * a, across, down))
    left, wanted = _without(nuisance, np.column_stack((light, np.log(towards)))).T
    length = float(np.linalg.norm(left) * np.linalg.norm(wanted))
    return float(left @ wanted) / max(length, 1e-12), float(left @ wanted) / float(wanted @ wanted)


def _beside(log: LampLog, chosen: npt.NDArray[np.bool_], share: Floats) -> float | None:
    """The log ratio of what is beside the face; None where nothing is."""
    blocks = np.log(np.stack([b for b, kept in zip(log.besides, chosen, strict=True) if kept]) + _DARK)
    answers: Any = share @ blocks
    return float(np.median(answers)) if answers.size else None
