"""Bench states, daemons with and without dlib, and people to walk up: two portraits that ship with packages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.bench import QUICK, Bench, configure, copied, eventually, gatevault
from tests.service.backups import BackedUp, live_in
from tests.service.peer import Peer, Script, shows

NOBODY = shows()
Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state as `gatevault init --bench` makes it. Tests work on copies."""
    root = tmp_path_factory.mktemp("blank") / "state"
    made = gatevault("init", "--bench", "--state", root)
    assert made.returncode == 0, made.stderr
    return root


@pytest.fixture
def state(blank: Path, tmp_path: Path) -> Path:
    """A fresh bench state, no daemon on it."""
    return copied(blank, tmp_path / "state")


@pytest.fixture
def bench(state: Path) -> Iterator[Bench]:
    """A fresh bench whose daemon is not started yet; ended with the test."""
    bench = Bench(state)
    yield bench
    bench.close()


@pytest.fixture
def quick(bench: Bench) -> Bench:
    """A fresh bench whose vision is the test's (see `seeing`): no dlib, so everything takes milliseconds."""
    configure(bench.root, QUICK)
    return bench


@pytest.fixture
def seeing() -> Iterator[Callable[[Bench, Script], Peer]]:
    """Lets a made-up vision process connect to a bench; `shows(1)` is a look at person 1."""
    peers: list[Peer] = []

    def connect(bench: Bench, script: Script = NOBODY) -> Peer:
        peer = Peer(bench.root / "run", script)
        peers.append(peer)
        eventually(lambda: bench.status()["vision"]["state"] == "ok")
        return peer

    yield connect
    for peer in peers:
        peer.close()


@pytest.fixture
def peer(quick: Bench, seeing: Callable[[Bench, Script], Peer]) -> Peer:
    """The made-up vision of a started bench; it sees person 1."""
    quick.start(vision=False)
    return seeing(quick, shows(1))


# --- people with real faces ----------------------------------------------------------------------


def _astronaut() -> Picture:
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[:, :, 2::-1])


def _hopper() -> Picture:
    matplotlib = pytest.importorskip("matplotlib")
    picture = cv2.imread(str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))
    assert picture is not None
    return np.asarray(picture, dtype=np.uint8)


def _frames(picture: Picture, folder: Path, seed: int, count: int = 5) -> Path:
    """A short moving sequence of one person: shifted, nearer and farther, lighter and darker."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    height, width = picture.shape[:2]
    for number in range(count):
        zoom = float(random.uniform(0.98, 1.03))
        shift = random.uniform(-6, 6, 2)
        move = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]], dtype=np.float64)
        moved = cv2.warpAffine(picture, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
        lit = np.clip(moved.astype(np.float32) * random.uniform(0.93, 1.07), 0, 255).astype(np.uint8)
        assert cv2.imwrite(str(folder / f"{number}.png"), lit)
    return folder


class Faces:
    """`dir:` cameras of two people. `*_later` are other frames of the same person."""

    def __init__(self, folder: Path) -> None:
        first, second = _astronaut(), _hopper()
        self.one = f"dir:{_frames(first, folder / 'one', 1)}"
        self.one_later = f"dir:{_frames(first, folder / 'one-later', 2)}"
        self.two = f"dir:{_frames(second, folder / 'two', 3)}"
        self.two_later = f"dir:{_frames(second, folder / 'two-later', 4)}"
        self.mixture = f"dir:{self._mixture(folder / 'mixture')}"
        self.both = f"dir:{self._both(first, second, folder / 'both')}"
        self.nobody = f"dir:{self._nobody(folder / 'nobody')}"

    def _mixture(self, folder: Path) -> Path:
        """Two people in turn."""
        folder.mkdir()
        for number in range(6):
            source = Path((self.one_later, self.two_later)[number % 2].removeprefix("dir:"))
            shutil.copy(source / f"{number % 5}.png", folder / f"{number}.png")
        return folder

    def _both(self, first: Picture, second: Picture, folder: Path) -> Path:
        """Two people side by side, their faces of like size."""
        folder.mkdir()
        half = cv2.resize(second, (256, 300))
        beside = np.zeros((512, 512 + 256, 3), dtype=np.uint8)
        beside[:, :512] = first
        beside[:300, 512:] = half
        assert cv2.imwrite(str(folder / "0.png"), beside)
        return folder

    def _nobody(self, folder: Path) -> Path:
        """A plain wall with a camera's noise: without it the camera would be called broken."""
        folder.mkdir()
        wall = np.random.default_rng(1).normal(128, 3, (240, 320, 3)).astype(np.uint8)
        assert cv2.imwrite(str(folder / "0.png"), wall)
        return folder


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    return Faces(tmp_path_factory.mktemp("faces") / "people")


# --- backups -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def backed_up(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> BackedUp:
    """A device that was lived in and backed up. Tests work on copies."""
    return live_in(blank, tmp_path_factory.mktemp("backed-up"))
