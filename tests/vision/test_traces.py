"""What a look leaves behind: nothing on disk, nothing on a network, nothing in the process's memory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from gatevault.core.models import DLIB, ModelSettings
from gatevault.core.wire import FaceSeen, LookDone, Purpose
from gatevault.vision import models
from gatevault.vision.engine import FaceEngine
from gatevault.vision.frame import Pixels
from gatevault.vision.weights import LANDMARKS_SHA256
from tests.vision.daemon import Daemon
from tests.vision.test_models import MOBILEFACENET, YUNET

CHUNK = 1 << 24


def memory_holds(pid: int, needles: dict[str, bytes]) -> set[str]:
    """Which needles lie in the process's readable memory."""
    found = set()
    overlap = max(map(len, needles.values()))
    regions = Path(f"/proc/{pid}/maps").read_text().splitlines()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for region in regions:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", region)
            if match is None or "[v" in region:
                continue
            at, end = (int(edge, 16) for edge in match.groups())
            while at < end:
                try:
                    memory.seek(at)
                    data = memory.read(min(CHUNK, end - at))
                except OSError:
                    break
                found |= {name for name, needle in needles.items() if needle in data}
                at += max(1, len(data) - overlap) if len(data) == CHUNK else CHUNK
    return found


@pytest.fixture(params=["dlib", "fused"])
def looking(request: pytest.FixtureRequest, tmp_path: Path, folder: Path) -> Iterator[tuple[Daemon, ModelSettings]]:
    """A fresh vision process, and the models that it is to look with: the default, or every kind at once."""
    settings, models = ModelSettings(), folder
    if request.param == "fused":
        shared = request.getfixturevalue("shared")
        settings, models = ModelSettings(YUNET, (MOBILEFACENET, DLIB)), tmp_path / "models"
        models.mkdir()
        (models / DLIB.file).symlink_to(folder / DLIB.file)
        for name in (YUNET.file, MOBILEFACENET.file):
            (models / str(name)).symlink_to(shared / "models" / str(name))
    ours = Daemon(tmp_path, models)
    yield ours, settings
    ours.close()


def test_nothing_of_a_face_stays_in_memory(
    looking: tuple[Daemon, ModelSettings], picture: Path, astronaut: Pixels
) -> None:
    daemon, settings = looking
    daemon.greet(models=settings)
    daemon.look(f"dir:{picture}")
    daemon.done()
    daemon.look(f"dir:{picture}", Purpose.ACCESS, limit_ms=1_500)
    said = daemon.until(LookDone)
    assert sum(isinstance(message, FaceSeen) for message in said) >= 2, "plain and mirrored"
    both, plain, mirrored = daemon.vectors[:3]
    row = astronaut[110, 210:226]
    red = row[:4, 0].astype(np.float32)
    needles = {
        "the vector as float32": plain[:6].tobytes(),
        "the vector as float64": plain[:6].astype(np.float64).tobytes(),
        "its end": plain[-6:].tobytes(),
        "the mirrored vector": mirrored[:6].tobytes(),
        "the mirrored vector's end": mirrored[-6:].tobytes(),
        "the mean of both": both[:6].tobytes(),
        "the end of both": both[-6:].tobytes(),
        "the picture as RGB": row.tobytes(),
        "the picture as BGR": row[:, ::-1].tobytes(),
        "the picture mirrored": row[::-1].tobytes(),
        "the picture's red as float32": red.tobytes(),
        "the picture's red, mirrored": red[::-1].tobytes(),
        "the file": (picture / "1.png").read_bytes()[20_000:20_032],
        **inside(settings, picture, astronaut),
        "proof that the search works": LANDMARKS_SHA256.encode(),
    }
    try:
        found = memory_holds(daemon.process.pid, needles)
    except PermissionError:
        pytest.skip("reading another process's memory needs CAP_SYS_PTRACE (vision may not be dumped)")
    assert found == {"proof that the search works"}


def inside(settings: ModelSettings, picture: Path, astronaut: Pixels) -> dict[str, bytes]:
    """What the networks take and make on the way: chips, prepared numbers, each one's own raw vector."""
    folder = picture.parent / "models"
    loaded = models.load(settings, folder if folder.is_dir() else None)
    engine = FaceEngine(loaded)
    chip = engine.chip(astronaut, engine.find(astronaut, 0.4)[0])
    needles = {
        "the chip": chip.pixels[75, 60:76].tobytes(),
        "the chip mirrored": chip.pixels[75, 60:76][::-1].tobytes(),
    }
    for number, (network, crop) in enumerate(zip(loaded.networks, chip.crops, strict=True)):
        middle = crop[crop.shape[0] // 2, 40:56]
        scaled = (middle[:6, 0].astype(np.float32) / np.float32(255) - np.float32(0.485)) / np.float32(0.229)
        raw = network.vector(crop)
        needles |= {
            f"crop {number}": middle.tobytes(),
            f"crop {number}, reversed colours": np.ascontiguousarray(middle[:, ::-1]).tobytes(),
            f"crop {number}, its red prepared": scaled.tobytes(),
            f"crop {number}, its red as float32": middle[:6, 0].astype(np.float32).tobytes(),
            f"raw vector {number}": raw[:6].tobytes(),
            f"raw vector {number}, its end": raw[-6:].tobytes(),
        }
    return needles


FOLLOWING = """
import sys
from pathlib import Path
from gatevault.confine.process import harden, overwrite_freed
harden()
overwrite_freed()
import cv2
cv2.setNumThreads(1)
from gatevault.vision.follow import Follower
from gatevault.vision.pictures import read_picture
from gatevault.vision.yunet import YunetDetector
follower = Follower(YunetDetector(Path(sys.argv[1]).read_bytes()))
for _ in range(4):
    pixels = read_picture(Path(sys.argv[2]))
    assert follower.find(pixels)
    pixels.fill(0)
assert follower.full_searches < 4
if sys.argv[3] == "forget":
    follower.forget()
print("looked", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["forget", "keep"])
def test_nothing_stays_in_memory_with_yunet_and_following(
    shared: Path, picture: Path, astronaut: Pixels, end: str
) -> None:
    """Searched in full and near, in a process as hardened as vision; without `forget` something is found."""
    model = shared / "models" / "face_detection_yunet_2023mar.onnx"
    command = [sys.executable, "-c", FOLLOWING, str(model), str(picture / "1.png"), end]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    working = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    row, small = astronaut[110, 210:226], working[55, 105:121]
    needles = {
        "the picture as RGB": row.tobytes(),
        "the picture as BGR": row[:, ::-1].tobytes(),
        "its working copy as RGB": small.tobytes(),
        "its working copy as BGR": small[:, ::-1].tobytes(),
        "its red as float32": small[:6, 0].astype(np.float32).tobytes(),
        "its blue as float32": small[:6, 2].astype(np.float32).tobytes(),
        "the file": (picture / "1.png").read_bytes()[20_000:20_032],
    }
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"looked\n"
        found = memory_holds(process.pid, needles)
    except PermissionError:
        pytest.skip("reading another process's memory needs CAP_SYS_PTRACE (vision may not be dumped)")
    finally:
        process.kill()
        process.communicate()
    assert bool(found) is (end == "keep"), found


def test_no_file_is_written_and_no_network_touched(
    tmp_path: Path, folder: Path, picture: Path, astronaut: Pixels
) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    trial = subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True, check=False, timeout=60)
    if trial.returncode:
        pytest.skip("strace may not trace here")
    log = tmp_path / "calls"
    calls = "trace=open,openat,creat,mkdir,mkdirat,rename,renameat2,link,linkat,symlinkat,mknodat,truncate,socket"
    daemon = Daemon(tmp_path, folder, before=[strace, "-f", "-qq", "-e", calls, "-o", str(log)])
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (512, 512))
    for _ in range(3):
        writer.write(astronaut[:, :, ::-1])
    writer.release()
    try:
        daemon.greet()
        for camera in (f"dir:{picture}", f"file:{clip}" if clip.exists() else f"file:{picture / '1.png'}"):
            daemon.look(camera)
            said = daemon.until(LookDone)
            assert any(isinstance(m, FaceSeen) for m in said)
        assert daemon.hang_up() == 0
    finally:
        daemon.close()
    seen = log.read_text().splitlines()
    assert any("1.png" in line for line in seen), "the trace saw the look"
    writing = [
        line
        for line in seen
        if re.search(r"O_WRONLY|O_RDWR|O_CREAT|creat\(|mkdir|rename|link|mknod|truncate", line)
        and not re.search(r'"/dev/(null|tty)"|readlink', line)
    ]
    assert writing == []
    sockets = [line for line in seen if "socket(" in line]
    assert sockets
    assert all("AF_UNIX" in line for line in sockets)
