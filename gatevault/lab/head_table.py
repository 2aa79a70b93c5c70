"""`python -m gatevault.lab.head_table FOLDER`: the depths of the generic head in `vision.liveness.head`, printed.

FOLDER holds `sfm_mean.npz`, the mean of the Surrey morphable face model (Huber et al., VISAPP 2016; Apache-2.0,
part of `eos`). Each place is the mean over a small square of the surfaces that look at the camera, both halves of
the face averaged; where the mesh ends the row goes on as it fell last.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from gatevault.core.errors import GateVaultError
from gatevault.lab.presentations.heads import EYE_CORNERS, MOUTH, morphable
from gatevault.lab.presentations.raster import Lens, normals, rasterise
from gatevault.vision.liveness.head import STEP, TABLE, TOP

_FACING: Final = 0.15
_DEEPEST: Final = -1.2
_FINE: Final = 64
"""Pixels to an inter-eye distance, of the picture that depths are read from."""
_AWAY: Final = 1e5
"""Millimetres: so far that perspective is nothing."""


def table(folder: Path) -> npt.NDArray[np.float64]:
    """Depths in inter-eye distances, in the shape of `head.TABLE`. GateVaultError where there is no model."""
    model = morphable(folder)
    face, places = model.mean, model.landmarks
    right, left = (face[[places[k] for k in pair]].mean(axis=0) for pair in (EYE_CORNERS[:2], EYE_CORNERS[2:]))
    mouth = face[[places[k] for k in MOUTH]].mean(axis=0)
    eyes = (right + left) / 2
    apart, down = float(left[0] - right[0]), float(eyes[1] - mouth[1])
    u, v = (face[:, 0] - eyes[0]) / apart, (eyes[1] - face[:, 1]) / down
    size = 4 * _FINE
    lens = Lens(_AWAY, size + 1, size + 1)
    points = np.column_stack((u * _FINE, (v - 0.5) * _FINE, _AWAY - face[:, 2]))
    towards = normals(face, model.triangles)[:, 2]
    attributes = np.column_stack((face[:, 2] / apart, towards))
    found = rasterise(lens, points, model.triangles, attributes)
    pixels = np.full((size + 1) * (size + 1), np.nan)
    seen = found.attributes[:, 1] > _FACING
    pixels[found.places[seen]] = found.attributes[seen, 0]
    picture = pixels.reshape(size + 1, size + 1)
    mirrored = picture[:, ::-1]
    both = (picture + mirrored) / 2
    picture = np.where(np.isnan(both), np.where(np.isnan(picture), mirrored, picture), both)
    rows, columns = TABLE.shape
    depths = np.full((rows, columns), np.nan)
    for row in range(rows):
        for column in range(columns):
            across = round(size / 2 + column * STEP * _FINE)
            level = round(size / 2 + (TOP + row * STEP - 0.5) * _FINE)
            part = picture[level - 3 : level + 4, across - 3 : across + 4]
            if np.isfinite(part).any():
                depths[row, column] = np.nanmean(part)
    depths -= depths[round((1.0 - TOP) / STEP), 0] - 0.01
    for row in range(rows):
        for column in range(2, columns):
            if np.isnan(depths[row, column]):
                fall = depths[row, column - 1] - depths[row, column - 2]
                depths[row, column] = depths[row, column - 1] + fall
    return np.asarray(np.maximum(depths, _DEEPEST))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="head_table", description="The generic head's depths, in hundredths.")
    parser.add_argument("folder", type=Path)
    try:
        depths = table(parser.parse_args(arguments).folder)
    except GateVaultError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for row in depths:
        sys.stdout.write(" ".join(f"{round(100 * value):4d}" for value in row) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
