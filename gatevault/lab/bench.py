"""How long a recognised frame and a walk-up take here, beside `face_recognition`, and a search among residents.

Every contender runs in a process of its own (for its memory), on one core, and they take turns on the same frames,
so that whatever else the machine does weighs on all (`lab.contenders`):

gatevault                  with dlib's HOG; and with YuNet, where its file is given
face_recognition           as its `facerec_on_raspberry_pi.py` calls it, on the frame as it is
face_recognition-quarter   as its `facerec_from_webcam_faster.py`, on the frame shrunk to a quarter

Times are of this machine at this moment; only ratios mean something elsewhere.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

from gatevault.core.errors import GateVaultError, UsageError
from gatevault.core.matching import Gallery, identify
from gatevault.core.models import DLIB
from gatevault.core.settings import MatchSettings
from gatevault.lab.contenders import FRAMES_FILE, YUNET_FILE
from gatevault.lab.evaluate import shipped
from gatevault.lab.portraits import HEIGHT, WIDTH, admiral, astronaut, moving
from gatevault.lab.sets import YUNET, Rows, units
from gatevault.vision.export import exported

FRAMES: Final = 24
"""Frames a portrait; the first of each warms caches and is not counted."""

DECIDED: Final = 3
"""Frames that a walk-up is decided over."""

ESTATES: Final = (100, 1_000, 10_000)
"""Numbers of residents that a search is timed among."""

SEARCHES: Final = 200

OURS: Final = "gatevault"
THEIRS: Final = "face_recognition"
_CONTENDERS: Final = (OURS, "gatevault-yunet", THEIRS, "face_recognition-quarter")


class _Process:
    """A contender that answers one line for each line."""

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self._process = process
        self._name = name

    def ask(self, what: str) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101  # both are pipes
        try:
            self._process.stdin.write(what + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        except (OSError, ValueError):
            raise GateVaultError(f"{self._name} ended early: run `make setup`, and again.") from None
        return answer


def bench(frames: int = FRAMES, yunet: Path | None = None) -> dict[str, Any]:
    """Time all on the demo's moving portraits. GateVaultError where portraits or library are absent."""
    if yunet is not None and sha256(_read(yunet)).hexdigest() != YUNET:
        raise UsageError(f"{yunet} is not the YuNet that we know: give face_detection_yunet_2023mar.onnx.")
    with tempfile.TemporaryDirectory(prefix="gatevault-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        pictures = [frame for p in (astronaut(), admiral()) for frame in moving(p, frames + 1, seed=4)]
        np.save(folder / FRAMES_FILE, np.stack(pictures))
        (folder / DLIB.file).write_bytes(exported())
        if yunet is not None:
            shutil.copyfile(yunet, folder / YUNET_FILE)
        names = [each for each in _CONTENDERS if yunet is not None or each != "gatevault-yunet"]
        running = {each: stack.enter_context(_running(each, folder)) for each in names}
        return _measure(running, frames)


def _measure(running: dict[str, _Process], frames: int) -> dict[str, Any]:
    ms: dict[str, list[float]] = {name: [] for name in running}
    walks: dict[str, list[float]] = {name: [] for name in running}
    embed: dict[str, list[float]] = {OURS: [], THEIRS: []}
    found = dict.fromkeys(running, 0)
    for look in range(2):
        first = look * (frames + 1)
        for number in range(first, first + frames + 1):
            told = {name: process.ask(f"frame {number}") for name, process in running.items()}
            if number == first:
                continue
            for name, answer in told.items():
                found[name] += answer["found"]
            if told[OURS]["found"] and told[THEIRS]["found"]:
                for name, answer in told.items():
                    ms[name].append(answer["ms"])
        for process in running.values():
            process.ask("forget")
        for name, process in running.items():  # a look's first frames, which are searched in full
            walks[name].append(
                sum(process.ask(f"frame {first + k}")["ms"] for k in range(min(DECIDED, frames + 1)))
            )
            process.ask("forget")
        for number in range(first, first + frames + 1, 3):
            for name, times in embed.items():
                answer = running[name].ask(f"embed {number}")
                times += [answer["ms"]] if answer["ms"] is not None else []
            running[OURS].ask("forget")
    if not ms[OURS] or not all(embed.values()):
        raise GateVaultError("No frame was recognised by both: the portraits or the models are not what they were.")
    return _body(running, ms, walks, embed, found, frames)


def _body(
    running: dict[str, _Process],
    ms: dict[str, list[float]],
    walks: dict[str, list[float]],
    embed: dict[str, list[float]],
    found: dict[str, int],
    frames: int,
) -> dict[str, Any]:
    frame, walk = ({n: round(statistics.fmean(times), 3) for n, times in each.items()} for each in (ms, walks))
    alone = {n: _median(times) for n, times in embed.items()}
    floor = round(min(running[OURS].ask("floor")["ms"] for _ in range(3)), 2)
    return {
        "frame_ratio": _ratio(frame, OURS),
        **({"frame_ratio_yunet": _ratio(frame, "gatevault-yunet")} if "gatevault-yunet" in frame else {}),
        "frame_ms": frame,
        "found": {name: f"{count} of {2 * frames}" for name, count in found.items()},
        "walk_up_ratio": _ratio(walk, OURS),
        "walk_up_ms": walk,
        "embed_ratio": _ratio(alone, OURS),
        "embed_ms": {**alone, "arithmetic_floor": floor},
        "embed_over_floor": round(alone[OURS] / floor, 2),
        "peak_mb": {name: process.ask("peak")["mb"] for name, process in running.items()},
        "frames": len(ms[OURS]),
        "size": f"{WIDTH}x{HEIGHT}",
        "match_ms": {str(count): match_ms(count) for count in ESTATES},
        "machine": machine(),
    }


def _ratio(times: dict[str, float], name: str) -> float:
    return round(times[THEIRS] / times[name], 2)


@contextmanager
def _running(name: str, folder: Path) -> Iterator[_Process]:
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    process = subprocess.Popen(
        [sys.executable, "-m", "gatevault.lab.contenders", name, str(folder)],
        env=os.environ | one_thread,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield _Process(process, name)
    finally:
        process.kill()
        process.communicate()


def match_ms(count: int) -> float:
    """Median time of one search among `count` residents, with random unit vectors and dlib's figures."""
    calibration = shipped("dlib")
    chance = np.random.default_rng(count)
    rows = units(chance.standard_normal((count, calibration.dimension)))
    probes: Rows = units(chance.standard_normal((SEARCHES, calibration.dimension)))
    penalties = calibration.normaliser.penalties(rows).astype(np.float32)
    gallery, settings = Gallery([f"r-{i:016x}" for i in range(count)], rows, penalties), MatchSettings()
    times = []
    for probe in probes:
        began = time.perf_counter()
        identify(probe, DECIDED, gallery, calibration, settings)
        times.append(1000 * (time.perf_counter() - began))
    return _median(times)


def _median(times: Sequence[float]) -> float:
    return round(statistics.median(times), 3)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): name another file.") from None


def machine() -> dict[str, Any]:
    """Which machine this is: its processor's name, the cores that we may use, and how busy it is."""
    return {
        "cpu": _cpu(Path("/proc/cpuinfo")) or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def _cpu(info: Path) -> str:
    """`model name` on x86; `Model`, the board's name, on a Raspberry Pi; empty where neither is told."""
    try:
        lines = info.read_text().splitlines()
    except OSError:
        return ""
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return told.get("model name") or told.get("Model") or ""
