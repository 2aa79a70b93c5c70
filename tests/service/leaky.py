"""A daemon, with its vision, into which leaks were put on purpose: what the checks of egress must find.

`python leaky.py on|off|needs ASIDE python -m gatevault run --state DIR`: the real daemon, with the sandbox or not.
Its vision is started through this file as well. Each leak is tried once a process, and tells on stderr how it went;
with `needs`, vision cannot go on where its network leak fails.
"""

from __future__ import annotations

import base64
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gatevault  # noqa: F401  # sets what numpy reads when it is loaded

HOW, ASIDE = sys.argv[1], Path(sys.argv[2])
SANDBOX, NEEDS = HOW == "on", HOW == "needs"
STATE = ASIDE / "state"


def file(name: str, data: bytes) -> None:
    with (ASIDE / name).open("wb") as leak:
        leak.write(data)


def in_state(name: str, data: bytes) -> None:
    with (STATE / name).open("wb") as leak:
        leak.write(data)


def udp(data: bytes, port: int = 9) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as leak:
        leak.sendto(data, ("127.0.0.1", port))


def question(data: bytes) -> None:
    """A question for the address of a name that says it."""
    label = base64.b32encode(data[:30]).lower()
    udp(b"\x12\x34\x01\0\0\1\0\0\0\0\0\0" + bytes([len(label)]) + label + b"\7example\0\0\1\0\1", 53)


def datagram(data: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as leak:
        leak.sendto(data.hex().encode(), str(ASIDE / "collector"))


def log(vector: Any) -> None:
    os.write(2, (" ".join(repr(float(value)) for value in vector) + "\n").encode())


def program(data: bytes) -> None:
    subprocess.run(["/bin/true", base64.b64encode(data).decode()], check=True)


def attempt_all(leaks: dict[str, Callable[[], None]], process: str) -> None:
    for name, leak in leaks.items():
        try:
            leak()
            outcome = "done"
        except OSError as error:
            outcome = f"refused {error.errno}"
        os.write(2, f"leak {process} {name}: {outcome}\n".encode())


def of_vision(vector: Any, pixels: Any) -> dict[str, Callable[[], None]]:
    import cv2

    data = vector.tobytes()
    return {
        "file": lambda: file("vision.f32", data),
        "state": lambda: in_state("vision.f64", vector.astype("float64").tobytes()),
        "log": lambda: log(vector),
        "udp": lambda: udp(data),
        "question": lambda: question(data),
        "datagram": lambda: datagram(data),
        "program": lambda: program(data),
        "pixels": lambda: file("row.rgb", pixels[100].tobytes()),
        "jpeg": lambda: file("frame.jpg", cv2.imencode(".jpg", pixels[:, :, ::-1])[1].tobytes()),
    }


def of_daemon(vector: Any) -> dict[str, Callable[[], None]]:
    data = vector.tobytes()
    return {
        "file": lambda: file("daemon.f32", data),
        "state": lambda: in_state("daemon.f64", vector.astype("float64").tobytes()),
        "log": lambda: log(vector),
        "udp": lambda: udp(data),
        "datagram": lambda: datagram(data),
    }


def leaking_vision() -> None:
    import gatevault.vision.__main__ as vision

    if not SANDBOX:
        from gatevault.core.confined import NOT_CONFINED

        vision.confine_vision = lambda *_, **__: NOT_CONFINED
    cut_off = vision.cut_off

    def planting(confined: Any) -> Any:
        """Called when vision has loaded its libraries and is connected."""
        from gatevault.vision.engine import FaceEngine

        chip, vector = FaceEngine.chip, FaceEngine.vector
        seen: list[Any] = []

        def seeing(self: FaceEngine, pixels: Any, face: Any) -> Any:
            if not seen:
                seen.append(pixels.copy())
            return chip(self, pixels, face)

        def leaking(self: FaceEngine, *arguments: Any) -> Any:
            found = vector(self, *arguments)
            if len(seen) == 1:
                seen.append(None)
                if NEEDS:
                    udp(found.tobytes())
                else:
                    attempt_all(of_vision(found, seen[0]), "vision")
            return found

        FaceEngine.chip, FaceEngine.vector = seeing, leaking  # type: ignore[method-assign]
        return cut_off(confined) if SANDBOX else confined

    vision.cut_off = planting
    sys.exit(vision.main(sys.argv[4:]))


def leaking_daemon() -> None:
    from gatevault.core.wire import FaceSeen
    from gatevault.service import daemon, vision_process

    if not SANDBOX:
        from gatevault.core.confined import NOT_CONFINED

        daemon.confine_daemon = lambda *_, **__: NOT_CONFINED
    scan, done = FaceSeen.scan, []

    def leaking(self: FaceSeen) -> Any:
        found = scan(self)
        if not done and not NEEDS:
            done.append(True)
            attempt_all(of_daemon(found.embedding), "daemon")
        return found

    FaceSeen.scan = leaking  # type: ignore[method-assign]
    start = vision_process.asyncio.create_subprocess_exec

    async def starting(python: str, *arguments: str, **more: Any) -> Any:
        assert arguments[:3] == ("-P", "-m", "gatevault.vision")
        return await start(python, __file__, HOW, str(ASIDE), "vision", *arguments[3:], **more)

    vision_process.asyncio.create_subprocess_exec = starting
    sys.argv[:] = ["gatevault", *sys.argv[sys.argv.index("gatevault") + 1 :]]
    runpy.run_module("gatevault", run_name="__main__")


if __name__ == "__main__":
    leaking_vision() if sys.argv[3] == "vision" else leaking_daemon()
