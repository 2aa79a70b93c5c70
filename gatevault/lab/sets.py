"""Sets of embeddings in `.npz` files, and the models that can be made of them."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gatevault.core.errors import UsageError
from gatevault.core.models import DLIB, DLIB_SHARE

Rows = npt.NDArray[np.float32]
"""Unit vectors, one a row, shape (n, d), float32."""

Set = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Layout:
    """One network's block in a model's vectors: its file's SHA-256, its arrays in a set, its share and width."""

    embedder: str
    arrays: tuple[str, ...]
    """Plain, and where the set has it mirrored; their unit mean is taken, as a look takes both ways round."""
    share: float = 1.0
    dimension: int = 128


_MOBILEFACENET: Final = "b7120c095d60094f28a4a54ba6a8bf51b297a6273fb40ef6350dfec1f63d9507"
YUNET: Final = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
"""The detector's file, for photographs."""

_DLIB_ARRAYS: Final = ("dlib", "dlib_mirrored")
_MOBILE_ARRAYS: Final = ("mobilefacenet",)
"""Chip and mirrored chip are summed in it already."""

MODELS: Final[dict[str, tuple[Layout, ...]]] = {
    "dlib": (Layout(DLIB.sha256, _DLIB_ARRAYS),),
    "mobilefacenet": (Layout(_MOBILEFACENET, _MOBILE_ARRAYS),),
    "fused": (
        Layout(DLIB.sha256, _DLIB_ARRAYS, DLIB_SHARE),
        Layout(_MOBILEFACENET, _MOBILE_ARRAYS, 1.0 - DLIB_SHARE),
    ),
}
"""Each model by the name that `--model` takes, which is also its calibration's; blocks in the order of joining."""

ARRAYS: Final = (*_DLIB_ARRAYS, *_MOBILE_ARRAYS)


def read_set(path: Path, key: str) -> Set:
    """The arrays of a set: `key` (`identity` or `group`, shape (n,)) and its embeddings, (n, d). UsageError."""
    try:
        data = np.load(path, allow_pickle=False)
        if not isinstance(data, np.lib.npyio.NpzFile):
            raise ValueError("a single array")  # noqa: TRY004  # one error, told below
        with data:
            found: Set = {name: data[name] for name in (key, *ARRAYS) if name in data}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise UsageError(
            f"{path} does not read as a set of embeddings ({error}): give an .npz of plain arrays."
        ) from None
    if key not in found or len(found) < 2:
        raise UsageError(f"{path} has no {key} with embeddings ({', '.join(ARRAYS)}): give such an .npz.")
    kinds = "iu" if key == "identity" else "U"
    if found[key].ndim != 1 or not found[key].size or found[key].dtype.kind not in kinds:
        raise UsageError(f"{path}: {key} is not one {'whole number' if kinds == 'iu' else 'name'} a row.")
    count = len(found[key])
    for name, rows in found.items():
        if name != key and not _are_vectors(rows, count):
            raise UsageError(f"{path}: {name} is not one finite, non-zero vector a row of {key}.")
    return found


def _are_vectors(rows: npt.NDArray[Any], count: int) -> bool:
    well = rows.ndim == 2 and len(rows) == count and rows.dtype.kind == "f" and bool(np.isfinite(rows).all())
    return well and bool(np.all(np.abs(rows).sum(axis=1) > 0))


def units(rows: npt.NDArray[Any]) -> Rows:
    """Each row at length one."""
    wide = rows.astype(np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True), dtype=np.float32)


def joined(blocks: Sequence[npt.NDArray[Any]], layouts: Sequence[Layout]) -> Rows:
    """Vectors of each network, shape (n, d) each, as a model's unit vectors: every block as long as its share."""
    parts = [np.float32(each.share**0.5) * units(rows) for each, rows in zip(layouts, blocks, strict=True)]
    return np.hstack(parts)


def mean_rows(rows: Rows, layouts: Sequence[Layout]) -> Rows:
    """The unit mean of a model's rows, network by network, shape (k, d) to (d,)."""
    ends = np.cumsum([each.dimension for each in layouts])[:-1]
    mean: Rows = joined(np.split(rows.mean(axis=0, keepdims=True), ends, axis=1), layouts)[0]
    return mean


def embeddings(data: Set, model: str) -> Rows:
    """A model's unit embeddings of a set, shape (n, d), as vision makes them. UsageError."""
    blocks = []
    for layout in MODELS[model]:
        if layout.arrays[0] not in data:
            raise UsageError(f"the set has no embeddings of {layout.arrays[0]}: choose another --model.")
        there = [data[name] for name in layout.arrays if name in data]
        if any(rows.shape[1] != layout.dimension for rows in there):
            raise UsageError(f"{layout.arrays[0]} has not {layout.dimension} values a row: another network's.")
        block = np.sum([units(rows) for rows in there], axis=0)
        if not np.abs(block).sum(axis=1).all():
            raise UsageError(f"{layout.arrays[0]}: a row and its mirrored one cancel out: that is no face.")
        blocks.append(block)
    return joined(blocks, MODELS[model])
