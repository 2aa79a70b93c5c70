"""What a look leaves behind: nothing on disk, nothing on a network, nothing in the process's memory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from gatevault.core.wire import FaceSeen, LookDone, Purpose
from gatevault.vision.frame import Pixels
from gatevault.vision.models import EMBEDDER_SHA256
from tests.vision.daemon import Daemon

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


def test_nothing_of_a_face_stays_in_memory(daemon: Daemon, picture: Path, astronaut: Pixels) -> None:
    daemon.greet()
    daemon.look(f"dir:{picture}")
    daemon.done()
    daemon.look(f"dir:{picture}", Purpose.ACCESS, limit_ms=1_000)
    daemon.done()
    vector = daemon.vectors[0]
    row = astronaut[110, 210:226]
    needles = {
        "the vector as float32": vector[:6].tobytes(),
        "the vector as float64": vector[:6].astype(np.float64).tobytes(),
        "the picture as RGB": row.tobytes(),
        "the picture as BGR": row[:, ::-1].tobytes(),
        "the picture's red as float32": (row[:4, 0].astype(np.float32)).tobytes(),
        "the file": (picture / "1.png").read_bytes()[20_000:20_032],
        "proof that the search works": EMBEDDER_SHA256.encode(),
    }
    try:
        found = memory_holds(daemon.process.pid, needles)
    except PermissionError:
        pytest.skip("reading another process's memory needs CAP_SYS_PTRACE (vision may not be dumped)")
    assert found == {"proof that the search works"}


def test_no_file_is_written_and_no_network_touched(tmp_path: Path, picture: Path, astronaut: Pixels) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    trial = subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True, check=False, timeout=60)
    if trial.returncode:
        pytest.skip("strace may not trace here")
    log = tmp_path / "calls"
    calls = "trace=open,openat,creat,mkdir,mkdirat,rename,renameat2,link,linkat,symlinkat,mknodat,truncate,socket"
    daemon = Daemon(tmp_path, before=[strace, "-f", "-qq", "-e", calls, "-o", str(log)])
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
