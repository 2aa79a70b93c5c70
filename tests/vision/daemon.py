"""The daemon's end of the vision socket, for tests of the real process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from gatevault.core import wire
from gatevault.core.settings import LookSettings
from gatevault.core.types import Vector
from gatevault.core.wire import FaceSeen, Hello, Look, LookDone, Message, Purpose, Ready
from tests.vision.fakes import NONCE

PATIENCE_S = 60.0
"""How long a test waits for the process before it fails: a loaded machine is no fault."""


class Daemon:
    """Starts `python -m gatevault.vision`, speaks with it, and keeps what it says."""

    def __init__(self, folder: Path, before: Sequence[str] = (), listen: bool = True) -> None:
        self.path = folder / "vision.sock"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(PATIENCE_S)
        if listen:
            self.listen()
        # Without bytecode files, so that every file opened for writing is vision's own doing.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [*before, sys.executable, "-m", "gatevault.vision", "--socket", str(self.path)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.connection: socket.socket | None = None
        self.messages: list[Message] = []
        self.vectors: list[Vector] = []

    def listen(self) -> None:
        self._listener.bind(str(self.path))
        self._listener.listen(1)

    def greet(self, bench: bool = True, camera: str = "v4l2:/dev/none", version: int = wire.VERSION) -> Ready:
        """Accept it, take its Ready and send Hello."""
        self.connection, _ = self._listener.accept()
        self.connection.settimeout(PATIENCE_S)
        self._incoming = self._receive()
        ready = self.take()
        assert isinstance(ready, Ready)
        self.send(Hello(version, bench, camera, LookSettings()))
        return ready

    def send(self, message: Message) -> None:
        self.raw(wire.pack(message))

    def raw(self, data: bytes) -> None:
        assert self.connection is not None
        self.connection.sendall(data)

    def look(
        self,
        camera: str | None = None,
        purpose: Purpose = Purpose.ENROL,
        limit_ms: int = 3_000,
        nonce: str = NONCE,
    ) -> None:
        self.send(Look(nonce, purpose, time.monotonic_ns(), limit_ms, camera))

    def take(self) -> Message | None:
        """The next message; None once the process hung up."""
        return next(self._incoming, None)

    def until(self, kind: type) -> list[Message]:
        """Everything up to and with the first message of `kind`."""
        said: list[Message] = []
        while True:
            message = self.take()
            assert message is not None, f"vision hung up: {self.error()}"
            said.append(message)
            if isinstance(message, kind):
                return said

    def done(self) -> LookDone:
        last = self.until(LookDone)[-1]
        assert isinstance(last, LookDone)
        return last

    def hang_up(self) -> int:
        """Close the connection and wait for the process to end."""
        if self.connection is not None:
            self.connection.close()
        return self.process.wait(PATIENCE_S)

    def error(self) -> str:
        self.process.wait(PATIENCE_S)
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)
        assert self.process.stderr is not None
        self.process.stderr.close()
        if self.connection is not None:
            self.connection.close()
        self._listener.close()

    def _receive(self) -> Iterator[Message]:
        buffer = wire.FrameBuffer()
        assert self.connection is not None
        while True:
            for payload in buffer.frames():
                message = wire.unpack(wire.FROM_VISION, payload)
                self.messages.append(message)
                if isinstance(message, FaceSeen):
                    self.vectors.append(message.scan().embedding)
                yield message
            try:
                count = self.connection.recv_into(buffer.space())
            except ConnectionResetError:
                return
            if count == 0:
                return
            buffer.filled(count)
