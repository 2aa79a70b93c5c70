"""The exported network is dlib's, on every face that we have; its bytes are the same everywhere."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import dlib
import numpy as np
import pytest

from gatevault.core.errors import ModelError
from gatevault.core.models import DLIB
from gatevault.vision.camera import open_camera
from gatevault.vision.dlib_file import Convolution, Network, parse
from gatevault.vision.engine import FaceEngine
from gatevault.vision.export import folded, to_onnx
from gatevault.vision.frame import Pixels
from gatevault.vision.networks import DlibNetwork
from gatevault.vision.pictures import read_picture
from gatevault.vision.weights import EMBEDDER, package_folder
from tests.vision.test_dlib_file import FIRST_WEIGHT

LARGEST_DIFFERENCE = 1e-5


@pytest.fixture(scope="module")
def reference() -> Any:
    return dlib.face_recognition_model_v1(str(package_folder() / EMBEDDER))


@pytest.fixture(scope="module")
def ours(network: bytes) -> DlibNetwork:
    return DlibNetwork(network, "dlib")


def largest(reference: Any, ours: DlibNetwork, chips: Iterable[Pixels]) -> tuple[float, int]:
    """The largest difference of any value, and how many chips were compared."""
    worst, count = 0.0, 0
    for chip in chips:
        theirs = np.array(reference.compute_face_descriptor(chip))
        worst, count = max(worst, float(np.abs(theirs - ours.vector(chip)).max())), count + 1
    return worst, count


def chips(engine: FaceEngine, pictures: Iterable[Pixels]) -> Iterable[Pixels]:
    """Every face of every picture, found as leniently as makes sense."""
    for pixels in pictures:
        for face in engine.find(pixels, -0.3):
            yield engine.chip(pixels, face).pixels


def test_its_hash_is_the_pinned_one(network: bytes) -> None:
    assert hashlib.sha256(network).hexdigest() == DLIB.sha256


def test_it_is_dlibs_on_the_portraits(
    reference: Any, ours: DlibNetwork, engine: FaceEngine, astronaut: Pixels, hopper: Pixels
) -> None:
    worst, count = largest(reference, ours, chips(engine, [astronaut, hopper]))
    assert count >= 2
    assert worst <= LARGEST_DIFFERENCE


def test_it_is_dlibs_on_noise_and_flat_chips(reference: Any, ours: DlibNetwork) -> None:
    chance = np.random.default_rng(1)
    made = [chance.integers(0, 256, (150, 150, 3), dtype=np.uint8) for _ in range(5)]
    made += [np.full((150, 150, 3), value, np.uint8) for value in (0, 127, 255)]
    worst, _ = largest(reference, ours, made)
    assert worst <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=[pytest.mark.nightly, pytest.mark.timeout(900)])])
def test_it_is_dlibs_on_the_faces_of_the_research_data(
    reference: Any, ours: DlibNetwork, engine: FaceEngine, shared: Path, step: int
) -> None:
    """Nightly on every one; else on every eleventh, for dlib takes 75 ms a face."""
    photos = sorted((shared / "recognition" / "photos").rglob("*.jpg"))
    photos += sorted(p for p in (shared / "faces").iterdir() if p.suffix in (".jpg", ".png"))
    worst, count = largest(reference, ours, chips(engine, map(read_picture, photos[::step])))
    assert count >= 0.95 * (len(photos) // step), "in a few no face is found"
    video = shared / "faces" / "short_hamilton_clip.mp4"
    in_video, frames = largest(reference, ours, chips(engine, clip(video, 2 * step)))
    assert frames >= 28 // step, "somebody is there in 28 of every second frame, and HOG finds a face in 29"
    assert max(worst, in_video) <= LARGEST_DIFFERENCE


def clip(path: Path, step: int) -> Iterable[Pixels]:
    with open_camera(f"file:{path}", bench=True, repeat=False) as camera:
        while (frame := camera.read()) is not None:
            if frame.index % step == 0:
                yield frame.pixels


def test_another_network_of_the_architecture_is_taken_as_well(tmp_path: Path, astronaut: Pixels) -> None:
    """Other weights, as another training gives: dlib itself loads the file and agrees."""
    data = bytearray((package_folder() / EMBEDDER).read_bytes())
    filters = np.frombuffer(data, "<f4", 4704, FIRST_WEIGHT) * np.float32(0.75)
    data[FIRST_WEIGHT : FIRST_WEIGHT + filters.nbytes] = filters.tobytes()
    (tmp_path / "other.dat").write_bytes(data)
    theirs = dlib.face_recognition_model_v1(str(tmp_path / "other.dat"))
    made = to_onnx(parse(bytes(data)))
    assert hashlib.sha256(made).hexdigest() != DLIB.sha256
    chip = np.ascontiguousarray(cv2.resize(astronaut[50:170, 170:290], (150, 150)))
    worst, _ = largest(theirs, DlibNetwork(made, "other"), [chip])
    assert worst <= LARGEST_DIFFERENCE


def test_several_chips_at_once_are_each_alone(network: bytes) -> None:
    from gatevault.vision.runtime import Session

    batch = np.random.default_rng(2).integers(0, 256, (3, 150, 150, 3), dtype=np.uint8)
    session = Session(network, "dlib")
    together = session.run(batch)
    for row, chip in zip(together, batch, strict=True):
        assert np.abs(row - session.run(chip[None])[0]).max() < 1e-6


def test_folding_rounds_each_product_and_sum_once() -> None:
    """The pinned hash rests on this: no fused multiply-add, no wider accumulator."""
    chance = np.random.default_rng(3)
    step = Convolution(
        *(chance.standard_normal(shape).astype(np.float32) for shape in ((4, 2, 3, 3), (4,), (4,), (4,))), 1, 1
    )
    filters, biases = folded(step)
    for i in range(4):
        assert biases[i] == np.float32(np.float32(float(step.gamma[i]) * float(step.biases[i])) + step.beta[i])
        wide = step.filters[i].astype(np.float64) * float(step.gamma[i])
        assert np.array_equal(filters[i], wide.astype(np.float32))


def test_weights_that_overflow_when_folded_are_refused() -> None:
    network = parse((package_folder() / EMBEDDER).read_bytes())
    first = network.convolutions[0]
    filters, gamma = np.full_like(first.filters, 10), np.full_like(first.gamma, 3e38)
    huge = Convolution(filters, first.biases, gamma, first.beta, 2, 0)
    with pytest.raises(ModelError, match="overflow"):
        to_onnx(Network(network.means, (huge, *network.convolutions[1:]), network.matrix))


# --- the command ---------------------------------------------------------------------------------


def export(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gatevault.vision.export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_command_writes_the_pinned_file_and_says_its_hash(tmp_path: Path, network: bytes) -> None:
    for source in ("-", package_folder() / EMBEDDER):
        target = tmp_path / f"{len(str(source))}.onnx"
        done = export(source, target)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{DLIB.sha256}\n", "")
        assert target.read_bytes() == network
    assert len(list(tmp_path.iterdir())) == 2


def test_the_command_refuses_in_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    text = tmp_path / "text.dat"
    text.write_text("not a network\n")
    there = tmp_path / "there.onnx"
    there.write_bytes(b"mine")
    for source, target in ((text, tmp_path / "a.onnx"), ("-", there), (tmp_path / "none", tmp_path / "a.onnx")):
        done = export(source, target)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("gatevault export: ") and done.stderr.count("\n") == 1
    assert there.read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.dat", "there.onnx"]
    assert export("-").returncode == 2
