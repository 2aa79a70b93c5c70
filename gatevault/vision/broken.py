"""Frames that show only part of a moment: half of one, a repeated one, two torn together.

A sensor's rows differ, for there is noise in each. Rows that repeat rows above them, bit for bit, were
never read: a lost packet, a missing plane (green), a decoder that fills up with grey or with what it
had. A frame that ends in a band of such rows is refused as a whole. Black and white bands are real
(night, sky, a letterbox) and are not: there only the face that reaches into the band is.

Half a face embeds as somebody, and so does one put together from two people.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from gatevault.core.types import Box
from gatevault.vision.frame import Pixels

Rows = npt.NDArray[np.bool_]
"""One flag for each row of a frame, shape (height,)."""

BAND: Final = 0.1
"""Share of the frame's rows, at its lower end, that a broken frame has dead; real photographs: 0.07, all black."""

DEAD: Final = 0.9
"""A frame with this share of dead rows shows nothing, whatever its colour."""

OUTSIDE: Final = 0.15
"""Share of a face's width or height that may lie beyond the picture or in dead rows."""

TEAR: Final = 5.5
"""How far one row's step within a face stands out from the others' (95th percentile); real faces: up to 4.8."""

_BLACK: Final = 8
_WHITE: Final = 247
_BLOCKS: Final = 8
_BLOCK: Final = 8
_MOST_COLUMNS: Final = 64
_BESIDE: Final = 0.15

# Weights of a row's sum: below 2^8, so that 192 products of bytes add up exactly in float32.
_WEIGHTS: Final = np.random.default_rng(20_240_229).integers(1, 256, 3 * _BLOCKS * _BLOCK).astype(np.float32)


def dead_rows(pixels: Pixels) -> Rows:
    """Which rows repeat some row above them, in 64 columns of the frame; 0.3 ms at 1280×720."""
    height, width = pixels.shape[:2]
    if width <= _BLOCKS * _BLOCK:
        sample = pixels.reshape(height, -1).astype(np.float32)
    else:
        starts = np.linspace(0, width - _BLOCK, _BLOCKS).astype(int)
        sample = np.hstack([pixels[:, at : at + _BLOCK].reshape(height, -1) for at in starts]).astype(np.float32)
    sums = sample @ _WEIGHTS[: sample.shape[1]]
    sample.fill(0.0)
    dead = np.ones(height, np.bool_)
    dead[np.unique(sums, return_index=True)[1]] = False
    return dead


def is_broken(pixels: Pixels, dead: Rows) -> bool:
    """Whether the frame's lower end was never read, or nothing of it; `dead` as `dead_rows` gives it."""
    live = np.flatnonzero(~dead)
    if len(dead) > 1 and len(live) <= (1 - DEAD) * len(dead):
        return True
    band = len(dead) - 1 - int(live[-1])
    if band < BAND * len(dead):
        return False
    last = pixels[-1]
    return not (int(last.max()) <= _BLACK or int(last.min()) >= _WHITE)


def is_cut_off(box: Box, dead: Rows, width: int) -> bool:
    """Whether too much of a face lies beyond the frame, or in its dead rows."""
    within = min(box.right, width) - max(box.left, 0)
    rows = dead[max(0, box.top) : max(0, box.bottom)]
    least = 1 - OUTSIDE
    return within < least * box.width or len(rows) - int(rows.sum()) < least * box.height


def is_torn(pixels: Pixels, box: Box) -> bool:
    """Whether the face is put together from two moments: one row steps away from the row above it.

    The step is the median over the face's columns, so that an edge across part of it does not count.
    """
    height, width = pixels.shape[:2]
    beside = round(_BESIDE * box.width)
    left, right = max(0, box.left - beside), min(width, box.right + beside)
    top, bottom = max(0, box.top), min(height, box.bottom)
    if bottom - top < 8 or right - left < 8:
        return False
    step = max(1, (right - left) // _MOST_COLUMNS)
    grey = cv2.cvtColor(np.ascontiguousarray(pixels[top:bottom, left:right:step]), cv2.COLOR_RGB2GRAY)
    steps = np.median(np.abs(np.diff(grey.astype(np.int16), axis=0)), axis=1)
    grey.fill(0)
    worst = int(steps.argmax())
    others = np.delete(steps, slice(max(0, worst - 2), worst + 3))
    return bool(len(others) and steps[worst] > TEAR * (np.percentile(others, 95) + 1))
