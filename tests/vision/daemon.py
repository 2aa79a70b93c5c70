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
from gatevault.core.models import ModelSettings
from gatevault.core.settings import LookSettings
from gatevault.core.types import Vector
from gatevault.core.wire import FaceSeen, Hello, Look, LookDone, Message, Purpose, Ready
from gatevault.service.vision_process import FREED_AT_ONCE
from tests.vision.fakes import NONCE

DEFAULT_MODELS = ModelSettings()

PATIENCE_S = 60.0
"""How long a test waits for the process before it fails: a loaded machine is no fault."""


class Daemon:
    """Starts `python -m gatevault.vision`, speaks with it, and keeps what it says."""

    def __init__(self, folder: Path, models: Path, before: Sequence[str] = (), listen: bool = True) -> None:
        """`models`: the folder of the networks' files."""
        self.path = folder / "vision.sock"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(PATIENCE_S)
        if listen:
            self.listen()
        # Without bytecode files, so that every file opened for writing is vision's own doing.
        environment = {**os.environ, **FREED_AT_ONCE, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [*before, sys.executable, "-m", "gatevault.vision", "--socket", str(self.path)]
        command += ["--models", str(models), "--bench"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.connection: socket.socket | None = None
        self.messages: list[Message] = []
        self.vectors: list[Vector] = []

    def listen(self) -> None:
        self._listener.bind(str(self.path))
        self._listener.listen(1)

    def greet(
        self, bench: bool = True, camera: str = "v4l2:/dev/none", models: ModelSettings = DEFAULT_MODELS
    ) -> Ready:
        """Accept it, send Hello and take its Ready."""
        self.accept(Hello(wire.VERSION, bench, camera, LookSettings(), models))
        ready = self.take()
        assert isinstance(ready, Ready)
        return ready

    def accept(self, hello: Hello) -> None:
        """Accept it and send this Hello."""
        self.connection, _ = self._listener.accept()
        self.connection.settimeout(PATIENCE_S)
        self._incoming = self._receive()
        self.send(hello)

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
