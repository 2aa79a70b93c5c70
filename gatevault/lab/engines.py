"""`python -m gatevault.lab.engines`: dlib's face network in dlib, in `cv2.dnn` and in onnxruntime, side by side.

Each engine runs in a process of its own (for its memory), on one thread, on the same chip; the processes run in
turn, round after round, so that whatever else the machine does weighs on all. Answers one JSON object: milliseconds
a chip (the least, which other work disturbs least, and the median), what the network adds to the peak memory, and
how many times less than dlib's time it takes (of the least). docs/adr/0011 has the figures.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gatevault.lab.bench import machine
from gatevault.vision.export import exported
from gatevault.vision.networks import DlibNetwork
from gatevault.vision.trial import peak_mb
from gatevault.vision.weights import EMBEDDER, package_folder

import cv2  # isort: skip  # after gatevault.vision, which sets OpenCV's limits
import dlib

ENGINES: Final = ("dlib", "opencv", "onnxruntime")
ROUNDS: Final = 5
CHIPS: Final = 20


def compare(rounds: int = ROUNDS) -> dict[str, Any]:
    """Milliseconds and memory of each engine, and how many times faster than dlib it is."""
    times: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    memory: dict[str, int] = dict.fromkeys(ENGINES, 0)
    data = exported()
    for _ in range(rounds):
        for engine in ENGINES:
            command = [sys.executable, "-m", "gatevault.lab.engines", engine]
            done = subprocess.run(command, input=data, capture_output=True, check=True, timeout=300)
            told = json.loads(done.stdout)
            times[engine] += told["ms"]
            memory[engine] = max(memory[engine], told["memory_mb"])
    least = {engine: min(times[engine]) for engine in ENGINES}
    return {
        "least_ms": {engine: round(least[engine], 2) for engine in ENGINES},
        "median_ms": {engine: round(statistics.median(times[engine]), 2) for engine in ENGINES},
        "ratio": {engine: round(least["dlib"] / least[engine], 1) for engine in ENGINES},
        "added_memory_mb": memory,
        "machine": machine(),
    }


def one(engine: str, data: bytes) -> dict[str, Any]:
    """Times of one engine in this process, and what it adds to the peak memory."""
    chip = np.random.default_rng(1).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    before = peak_mb()
    run = _engine(engine, data)
    run(chip)
    times = []
    for _ in range(CHIPS):
        began = time.perf_counter()
        run(chip)
        times.append((time.perf_counter() - began) * 1000)
    return {"ms": times, "memory_mb": peak_mb() - before}


def _engine(engine: str, data: bytes) -> Callable[[Any], Any]:
    if engine == "dlib":
        reference = dlib.face_recognition_model_v1(str(package_folder() / EMBEDDER))
        return lambda chip: reference.compute_face_descriptor(chip)
    if engine == "opencv":
        cv2.setNumThreads(1)
        net: Any = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))

        def forward(chip: Any) -> Any:
            net.setInput(chip[None])
            return net.forward()

        return forward
    return DlibNetwork(data, "dlib").vector


def main() -> int:
    body = one(sys.argv[1], sys.stdin.buffer.read()) if len(sys.argv) > 1 else compare()
    sys.stdout.write(json.dumps(body, indent=None if len(sys.argv) > 1 else 2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
