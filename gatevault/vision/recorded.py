"""One presentation to a gate's cameras: frames with their times, and what the gate asked meanwhile. As a file too.

A file is one `.npz` (NumPy's archive, no pickles), with:

    version      int32, ()                 1
    frames       uint8, (n, h, w, 3)       RGB
    times        float64, (n,)             seconds since the look began, rising
    ir           uint8, (n, h, w)          the near-infrared camera at the same moments; absent without one
    prompt_times, prompt_sides             float64 (k,), str (k,): the arrow that was lit from then on, "left" or
                                           "right", the resident's own; "ahead" for none
    led_times, led_lit                     float64 (k,), bool (k,): edges of the white LED; before its first,
                                           what that one ended
    ir_led_times, ir_led_lit               the same of the infrared emitter
    about        str, ()                   JSON: {"species": …, "parameters": {…}}

Whoever makes an attack elsewhere may leave out all but `version`, `frames` and `times`.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from gatevault.core.errors import GateVaultError

VERSION: Final = 1
MOST_FRAMES: Final = 600
MOST_BYTES: Final = 512 * 1024 * 1024
"""Of one array: a board with 1 GB must refuse a file, not die of it. 600 frames of 640 by 360 are 415 MB."""
MOST_EDGES: Final = 256
MOST_SECONDS: Final = 60.0
MOST_ABOUT: Final = 64 * 1024

AHEAD: Final = "ahead"
SIDES: Final = ("left", "right", AHEAD)

Edges = tuple[tuple[float, bool], ...]


class PresentationError(GateVaultError):
    """A file of presentation frames cannot be used."""

    code = "presentation"


@dataclass(frozen=True, eq=False)
class Presentation:
    """Frames of one look, and its challenge. ValueError where they do not fit together.

    Times are seconds since the look began. `prompts`: which arrow was lit from when on, the resident's own left or
    right, or none (`AHEAD`).
    `led`, `ir_led`: edges of the lights; before its first a light was what that one ended.
    """

    frames: npt.NDArray[np.uint8] = field(repr=False)
    """(n, h, w, 3), RGB, C-contiguous."""
    times: npt.NDArray[np.float64] = field(repr=False)
    """(n,), rising."""
    ir: npt.NDArray[np.uint8] | None = field(default=None, repr=False)
    """(n, h, w): the near-infrared camera at the same moments; None without one."""
    prompts: tuple[tuple[float, str], ...] = ()
    led: Edges = ()
    ir_led: Edges = ()
    species: str = "unknown"
    parameters: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = self.frames.shape
        if self.frames.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
            raise ValueError("frames are uint8 of shape (n, h, w, 3)")
        if not self.frames.flags.c_contiguous:
            raise ValueError("frames are C-contiguous")
        if shape[0] > MOST_FRAMES:
            raise ValueError(f"there are {shape[0]} frames, at most {MOST_FRAMES} are taken")
        if self.times.dtype != np.float64 or self.times.shape != (shape[0],):
            raise ValueError("times are float64, one for each frame")
        if not _rising(self.times):
            raise ValueError("times rise from 0 to at most 60 seconds")
        if self.ir is not None and (self.ir.dtype != np.uint8 or self.ir.shape != shape[:3]):
            raise ValueError("ir is uint8 of shape (n, h, w), as the frames")
        for name, events in (("prompts", self.prompts), ("led", self.led), ("ir_led", self.ir_led)):
            if len(events) > MOST_EDGES or not _rising(np.array([at for at, _ in events], np.float64)):
                raise ValueError(f"the times of {name} rise from 0 to at most 60 seconds, at most {MOST_EDGES}")
        if any(side not in SIDES for _, side in self.prompts):
            raise ValueError("a prompt asks for left, right or ahead")


def _rising(times: npt.NDArray[np.float64]) -> bool:
    inside = np.isfinite(times).all() and bool(((times >= 0.0) & (times <= MOST_SECONDS)).all())
    return bool(inside and (np.diff(times) > 0.0).all())


def save(presentation: Presentation, path: Path) -> None:
    """Write a presentation as `.npz`; `path` gets the name as it is. PresentationError."""
    arrays: dict[str, Any] = {
        "version": np.array(VERSION, np.int32),
        "frames": presentation.frames,
        "times": presentation.times,
        "prompt_times": np.array([at for at, _ in presentation.prompts], np.float64),
        "prompt_sides": np.array([side for _, side in presentation.prompts], "U5"),
        "about": np.array(
            json.dumps({"species": presentation.species, "parameters": dict(presentation.parameters)})
        ),
    }
    for name, edges in (("led", presentation.led), ("ir_led", presentation.ir_led)):
        arrays[f"{name}_times"] = np.array([at for at, _ in edges], np.float64)
        arrays[f"{name}_lit"] = np.array([lit for _, lit in edges], np.bool_)
    if presentation.ir is not None:
        arrays["ir"] = presentation.ir
    try:
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)
    except OSError as error:
        raise PresentationError(f"{path} cannot be written ({error.strerror}): name another file.") from None


def load(path: Path) -> Presentation:
    """Read what `save` wrote, or was made elsewhere. PresentationError for anything else."""
    try:
        return _presentation(_arrays(path))
    except OSError as error:
        raise PresentationError(f"{path} cannot be read ({error.strerror or error}): name another file.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise PresentationError(f"{path} is damaged or no .npz of frames ({error}): make it again.") from None
    except (ValueError, TypeError) as error:
        raise PresentationError(f"{path} holds no presentation: {error}.") from None


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of the archive that belong to the layout; each size is checked before it is read. ValueError."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name, (kinds, dimensions, most) in _LAYOUT.items():
            try:
                place = archive.getinfo(f"{name}.npy")
            except KeyError:
                continue
            with archive.open(place) as file:
                version = np.lib.format.read_magic(file)
                if version not in ((1, 0), (2, 0)):
                    raise ValueError(f"{name} is in a format that is not read")
                header = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = header(file)
                if dtype.kind not in kinds or len(shape) != dimensions:
                    raise ValueError(f"{name} has another type or shape")
                if dtype.itemsize * int(np.prod(shape, dtype=object)) > most:
                    raise ValueError(f"{name} is larger than the {most} bytes that are read")
            with archive.open(place) as file:
                arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    return arrays


_SMALL: Final = MOST_EDGES * 64

_LAYOUT: Final[dict[str, tuple[str, int, int]]] = {
    "version": ("i", 0, 8),
    "frames": ("u", 4, MOST_BYTES),
    "times": ("f", 1, MOST_FRAMES * 8),
    "ir": ("u", 3, MOST_BYTES // 3),
    "prompt_times": ("f", 1, _SMALL),
    "prompt_sides": ("U", 1, _SMALL),
    "led_times": ("f", 1, _SMALL),
    "led_lit": ("b", 1, _SMALL),
    "ir_led_times": ("f", 1, _SMALL),
    "ir_led_lit": ("b", 1, _SMALL),
    "about": ("U", 0, 4 * MOST_ABOUT),
}
"""Each array's kinds of values, number of dimensions and most bytes."""


def _presentation(arrays: Mapping[str, npt.NDArray[Any]]) -> Presentation:
    for name in ("version", "frames", "times"):
        if name not in arrays:
            raise ValueError(f"it has no {name}")
    if int(arrays["version"]) != VERSION:
        raise ValueError(f"it is of version {int(arrays['version'])}, this program reads {VERSION}")
    species, parameters = _about(str(arrays["about"])) if "about" in arrays else ("unknown", {})
    return Presentation(
        np.ascontiguousarray(arrays["frames"]),
        arrays["times"],
        arrays.get("ir"),
        tuple((float(at), str(side)) for at, side in _pairs(arrays, "prompt_times", "prompt_sides")),
        tuple((float(at), bool(lit)) for at, lit in _pairs(arrays, "led_times", "led_lit")),
        tuple((float(at), bool(lit)) for at, lit in _pairs(arrays, "ir_led_times", "ir_led_lit")),
        species,
        parameters,
    )


def _pairs(arrays: Mapping[str, npt.NDArray[Any]], times: str, values: str) -> list[tuple[Any, Any]]:
    if (times in arrays) != (values in arrays):
        raise ValueError(f"{times} and {values} go together")
    if times not in arrays:
        return []
    if len(arrays[times]) != len(arrays[values]):
        raise ValueError(f"{times} and {values} differ in length")
    return list(zip(arrays[times].tolist(), arrays[values].tolist(), strict=True))


class _About(msgspec.Struct):
    species: str
    parameters: dict[str, float | str] = {}


def _about(text: str) -> tuple[str, dict[str, float | str]]:
    try:
        about = msgspec.json.decode(text, type=_About)
    except msgspec.MsgspecError as error:
        raise ValueError(f"its `about` is not understood ({error})") from None
    return about.species, about.parameters
