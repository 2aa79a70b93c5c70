"""A vision process that the test plays: it speaks the protocol, says what it is told, and need not be honest."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from gatevault.core import wire
from gatevault.core.confined import Confined
from gatevault.core.liveness import Edge, Prompt
from gatevault.core.types import Box, Quality, Vector
from gatevault.core.wire import (
    Asked,
    CameraOpen,
    Driven,
    FaceSeen,
    FrameEmpty,
    Hello,
    Look,
    LookDone,
    LookEnd,
    Ready,
    Stop,
)
from gatevault.service.sockets import connected_socket
from tests.bench import PATIENCE_S

MODEL = "5a" * 32
CONFINED = Confined("landlock 7")
DIMENSION = 128
GOOD = Quality(size=150.0, sharpness=60.0, exposure=0.5, yaw=0.0, roll=0.0)

Said = wire.Message | bytes
"""What a peer sends: a message, or raw bytes; no bytes at all mean that it hangs up."""

Script = Callable[[Look], Iterable[Said]]


def person(number: int, dimension: int = DIMENSION) -> Vector:
    """The face of a made-up person: a random direction, nearly orthogonal to every other's."""
    vector = np.random.default_rng(number).standard_normal(dimension).astype(np.float32)
    return vector / np.float32(np.linalg.norm(vector))


def seen(nonce: str, frame: int, vector: Vector) -> FaceSeen:
    return wire.face_seen(nonce, frame, Box(10, 10, 160, 160), 1.5, GOOD, vector, True)


def shows(*numbers: int, frames: int = 4) -> Script:
    """A look at made-up people, in turn; nobody where there is no number."""

    def script(look: Look) -> Iterator[Said]:
        yield CameraOpen(look.nonce)
        for frame in range(frames):
            if numbers:
                noise = np.random.default_rng((frame, *numbers)).standard_normal(DIMENSION).astype(np.float32)
                yield seen(look.nonce, frame, person(numbers[frame % len(numbers)]) + noise * np.float32(0.008))
            else:
                yield FrameEmpty(look.nonce, frame, wire.Hint.NO_FACE)
        yield LookDone(look.nonce, LookEnd.LIMIT, frames, 0, 50)

    return script


class Peer:
    """Connects to the daemon as vision does and answers each look by its script, in a thread."""

    def __init__(
        self,
        runtime: Path,
        script: Script,
        *,
        model: str = MODEL,
        dimension: int = DIMENSION,
        first: Said | None = None,
    ) -> None:
        """`first` is what it says instead of Ready."""
        self.script = script
        self.looks: list[Look] = []
        self._buffer = wire.FrameBuffer()
        self._lights: list[Prompt | Edge] = []
        self._socket = connected_socket(runtime / "vision.sock", PATIENCE_S)
        self._send(first or Ready(wire.VERSION, os.getpid(), model, dimension, CONFINED))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _send(self, said: Said) -> None:
        self._socket.sendall(said if isinstance(said, bytes) else wire.pack(said))

    def _serve(self) -> None:
        self._socket.settimeout(None)
        with contextlib.suppress(OSError):
            while True:
                for message in self._received():
                    if isinstance(message, Look):
                        self._answer(message)

    def _received(self) -> list[wire.ToVision]:
        """What came, waiting for something; what is told of lights is kept. OSError once nobody is there."""
        count = self._socket.recv_into(self._buffer.space())
        if not count:
            raise OSError
        self._buffer.filled(count)
        messages = [wire.unpack(wire.TO_VISION, payload) for payload in self._buffer.frames()]
        for message in messages:
            assert isinstance(message, Look | Hello | Stop | Asked | Driven)
            if isinstance(message, Asked | Driven):
                self._lights.append(message.prompt if isinstance(message, Asked) else message.edge)
        return messages

    def lights(self, for_s: float) -> list[Prompt | Edge]:
        """In a script: all that is told of the challenge in the next seconds."""
        until = time.monotonic() + for_s
        while (left := until - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left)[0]:
                self._received()
        told, self._lights = self._lights, []
        return told

    def _answer(self, look: Look) -> None:
        self.looks.append(look)
        for said in self.script(look):
            if said == b"":
                self._socket.shutdown(socket.SHUT_RDWR)
                return
            self._send(said)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE_S)
        self._socket.close()
