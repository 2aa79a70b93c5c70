"""A generic head: how deep each place of a frontal face lies, and where its surface looks.

Places are told in the face's own frame: u across, in inter-eye distances from the middle (positive to the picture's
right), v down, 0 on the eyes and 1 on the mouth. Depths are inter-eye distances towards the camera.

The table is the mean of the Surrey morphable face model (Huber et al., VISAPP 2016; Apache-2.0), both halves
averaged, at every eighth of an inter-eye distance: `python -m gatevault.lab.head_table` prints it. A mean of many
heads is nobody's.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from gatevault.vision.align import five_from
from gatevault.vision.detect import Face, Points

Floats = npt.NDArray[np.float64]

STEP: Final = 0.125
TOP: Final = -0.75
"""v of the table's first row; u of its first column is 0."""

MOUTH: Final = 1.055
"""Inter-eye distances from the eyes down to the mouth, of the same mean."""

_DEPTH: Final = """
  -3   -4   -6  -10  -16  -25  -37  -53  -65  -77
   0   -1   -3   -6  -12  -21  -33  -49  -67  -84
   3    2    1   -3   -9  -17  -29  -46  -69  -83
   4    4    2   -1   -6  -13  -24  -44  -69  -88
   3    2    0   -4   -8  -12  -22  -41  -69  -93
  -1   -4  -11  -14  -14  -18  -27  -44  -69  -97
   1   -7  -18  -20  -20  -24  -35  -48  -67  -98
   9   -2  -17  -20  -21  -26  -36  -47  -65  -93
  17    7  -11  -18  -21  -26  -32  -43  -64  -92
  26   17   -5  -14  -19  -23  -30  -42  -65  -91
  31   24    2  -13  -17  -22  -30  -43  -70 -120
  19    9   -4  -14  -16  -22  -31  -47  -77 -107
   5    2   -5  -12  -17  -24  -35  -53  -82 -111
   6    4   -3  -11  -18  -27  -40  -61  -87 -114
   1   -1   -8  -17  -22  -31  -46  -70  -92 -113
  -1   -3  -10  -20  -27  -37  -55  -78 -102 -120
  -9  -11  -15  -23  -33  -46  -67  -83 -100 -116
 -11  -12  -18  -27  -40  -59  -73  -86  -99 -113
 -13  -15  -21  -34  -52  -67  -82  -98 -113 -120
 -26  -27  -32  -43  -53  -64  -74  -85  -95 -106
"""
"""Hundredths, by rows."""

TABLE: Final = np.array([[float(value) for value in row.split()] for row in _DEPTH.split("\n") if row]) / 100.0


def depth(places: Floats) -> Floats:
    """Depth at `places`, shape (n, 2) as u and v, in inter-eye distances; beyond the table its edge. Shape (n,)."""
    across = np.clip(np.abs(places[:, 0]) / STEP, 0.0, TABLE.shape[1] - 1.001)
    down = np.clip((places[:, 1] - TOP) / STEP, 0.0, TABLE.shape[0] - 1.001)
    column, row = across.astype(np.int64), down.astype(np.int64)
    a, b = across - column, down - row
    upper = (1.0 - a) * TABLE[row, column] + a * TABLE[row, column + 1]
    lower = (1.0 - a) * TABLE[row + 1, column] + a * TABLE[row + 1, column + 1]
    return np.asarray((1.0 - b) * upper + b * lower)


def frame_of(points: Points) -> Floats:
    """The affine matrix (2, 3) from pixels to u and v, by the detector's five points. ValueError where they fall
    together."""
    eyes, mouth = points[:2].mean(axis=0), points[3:5].mean(axis=0)
    axes = np.column_stack((points[1] - points[0], mouth - eyes))
    if abs(np.linalg.det(axes)) < 1.0:
        raise ValueError("the face's points fall together")
    inverse = np.linalg.inv(axes)
    return np.column_stack((inverse, -inverse @ eyes))


def placed(frame: Floats, points: npt.NDArray[Any]) -> Floats:
    """Points (n, 2) by the affine matrix `frame`."""
    return np.asarray(points @ frame[:, :2].T + frame[:, 2])


def turned(points: Points) -> float:
    """How far the nose stands beside the eyes' and mouth's middle, in inter-eye distances; 0 frontal."""
    u, _ = placed(frame_of(points), points[2:3])[0]
    return float(u)


def five_of(face: Face, landmarks: Points | None) -> Points | None:
    """The detector's five points, or where they would be by dlib's five; None without either."""
    if face.points is not None or landmarks is None:
        return face.points
    return five_from(landmarks)


def normals(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
    """Unit normals on the grid of the axes `u` (columns) and `v` (rows): across, down, towards the camera."""
    grid = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)
    height = depth(grid).reshape(len(v), len(u))
    smooth = np.asarray(cv2.GaussianBlur(height, (0, 0), 0.08 / float(u[1] - u[0])))
    across, down = np.gradient(smooth, u, axis=1), np.gradient(smooth, v * MOUTH, axis=0)
    towards = 1.0 / np.sqrt(1.0 + across**2 + down**2)
    return -across * towards, -down * towards, towards
