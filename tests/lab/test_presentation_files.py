"""Presentations as files: what was saved is loaded, anything else is refused in a sentence."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatevault.vision import recorded as files
from gatevault.vision.recorded import Presentation, PresentationError, load, save

FRAMES = np.random.default_rng(1).integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)
TIMES = np.array((0.0, 0.1, 0.2, 0.35, 0.4))


def made(**changed: Any) -> Presentation:
    values: dict[str, Any] = {
        "frames": FRAMES,
        "times": TIMES,
        "ir": FRAMES[..., 0].copy(),
        "prompts": ((0.1, "left"), (0.2, "ahead"), (0.3, "right")),
        "led": ((0.1, True), (0.2, False)),
        "ir_led": ((0.15, True),),
        "species": "print-moved",
        "parameters": {"identity": "somebody", "distance": 0.6},
    }
    return Presentation(**(values | changed))


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    save(made(), path)
    back = load(path)
    assert np.array_equal(back.frames, FRAMES)
    assert np.array_equal(back.times, TIMES)
    assert back.ir is not None
    assert np.array_equal(back.ir, FRAMES[..., 0])
    assert (back.prompts, back.led, back.ir_led) == (made().prompts, made().led, made().ir_led)
    assert (back.species, back.parameters) == (made().species, made().parameters)
    assert back.frames.flags.writeable


def test_frames_and_times_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "bare.npz"
    np.savez(path, version=np.array(1), frames=FRAMES, times=TIMES)
    back = load(path)
    assert back.ir is None
    assert back.prompts == back.led == back.ir_led == ()
    assert back.species == "unknown"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"frames": FRAMES.astype(np.float32)}, "uint8"),
        ({"frames": FRAMES[..., 0]}, r"\(n, h, w, 3\)"),
        ({"frames": FRAMES[:0]}, r"\(n, h, w, 3\)"),
        ({"frames": FRAMES[:, ::2]}, "contiguous"),
        ({"times": TIMES[:4]}, "one for each frame"),
        ({"times": TIMES[::-1].copy()}, "rise"),
        ({"times": TIMES * 1_000}, "60 seconds"),
        ({"times": np.array((0.0, 0.1, np.nan, 0.3, 0.4))}, "rise"),
        ({"ir": FRAMES[:4, ..., 0].copy()}, "as the frames"),
        ({"prompts": ((0.1, "up"),)}, "left, right or ahead"),
        ({"prompts": ((0.3, "left"), (0.1, "left"))}, "prompts rise"),
        ({"led": ((-0.1, True),)}, "led rise"),
        ({"ir_led": tuple((n / 10.0, True) for n in range(300))}, "at most 256"),
    ],
)
def test_what_does_not_fit_together_is_no_presentation(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        made(**changed)


def broken(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A saved presentation whose arrays are changed afterwards."""
    save(made(), path)
    with np.load(path) as data:
        arrays = dict(data)
    change(arrays)
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda a: a.pop("frames"), "no frames"),
        (lambda a: a.pop("version"), "no version"),
        (lambda a: a.update(version=np.array(2)), "version 2"),
        (lambda a: a.update(frames=a["frames"].astype(np.float64)), "another type"),
        (lambda a: a.update(frames=a["frames"][0]), "another type or shape"),
        (lambda a: a.update(times=a["times"][::-1].copy()), "rise"),
        (lambda a: a.update(times=a["times"].astype(np.float32)), "float64"),
        (lambda a: a.pop("led_lit"), "go together"),
        (lambda a: a.update(led_lit=a["led_lit"][:1]), "differ in length"),
        (lambda a: a.update(prompt_sides=np.array(("left", "up", "down"))), "left, right or ahead"),
        (lambda a: a.update(about=np.array("{")), "about"),
        (lambda a: a.update(about=np.array('{"species": 3}')), "about"),
        (lambda a: a.update(led_times=np.zeros(10_000), led_lit=np.zeros(10_000, bool)), "larger than"),
    ],
)
def test_a_changed_file_is_refused_in_a_sentence(
    change: Callable[[dict[str, Any]], None], told: str, tmp_path: Path
) -> None:
    path = broken(tmp_path / "changed.npz", change)
    with pytest.raises(PresentationError, match=told):
        load(path)


def test_a_damaged_file_is_refused_whatever_byte_is_hit(tmp_path: Path) -> None:
    """Cut short or with a bit turned anywhere: an error of ours, or, where nothing of weight was hit, frames."""
    path = tmp_path / "damaged.npz"
    save(made(), path)
    data = path.read_bytes()
    chance = np.random.default_rng(1)
    for length in chance.integers(0, len(data), 40).tolist():
        path.write_bytes(data[:length])
        with pytest.raises(PresentationError):
            load(path)
    for place, bit in zip(
        chance.integers(0, len(data), 200).tolist(), chance.integers(0, 8, 200).tolist(), strict=True
    ):
        hit = bytearray(data)
        hit[place] ^= 1 << bit
        path.write_bytes(hit)
        try:
            assert load(path).frames.shape[3] == 3
        except PresentationError as error:
            assert str(path) in str(error)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "pickle.npz"
    np.savez(path, version=np.array(1), frames=FRAMES, times=TIMES, about=np.array({"a": 1}, dtype=object))
    with pytest.raises(PresentationError, match="another type"):
        load(path)


def test_a_header_that_asks_for_all_memory_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    save(made(), path)
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (600, 40000, 40000, 3), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if name != "frames.npy"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in kept.items():
            archive.writestr(name, content)
        archive.writestr("frames.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(PresentationError, match="larger than"):
        load(path)


def test_a_file_that_is_not_there_or_no_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(PresentationError, match="cannot be read"):
        load(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(PresentationError, match=r"no \.npz"):
        load(tmp_path / "text.npz")
    with pytest.raises(PresentationError, match="cannot be written"):
        save(made(), tmp_path / "nowhere" / "one.npz")


def test_the_layout_told_is_the_layout_read() -> None:
    assert all(name in str(files.__doc__) for name in files._LAYOUT)
