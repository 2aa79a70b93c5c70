"""The vision process's side of the socket to the daemon: `Look` in, faces out, nothing kept.

Hello → Ready (or Unfit, where a model file is) → (Look → CameraOpen, FaceSeen | FrameEmpty …, LookDone)* until the
daemon hangs up. Where liveness is checked, Begin asks the daemon for a challenge, and Asked and Driven tell of it.
One look at a time: a second `Look` ends the first. Anything malformed ends the process; the daemon or systemd
starts it again.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gatevault.core import wire
from gatevault.core.confined import NOT_CONFINED, Confined
from gatevault.core.errors import (
    BenchOnlyError,
    GateVaultError,
    ModelError,
    ProtocolError,
    SandboxError,
    VisionDownError,
)
from gatevault.core.liveness import Edge, Prompt, Tier
from gatevault.core.wire import (
    MAX_SENTENCE,
    Asked,
    Driven,
    Hello,
    Look,
    LookDone,
    LookEnd,
    Message,
    Purpose,
    Ready,
    Stop,
    ToVision,
    Unfit,
)
from gatevault.vision.camera import open_camera
from gatevault.vision.liveness.veto import Veto
from gatevault.vision.look import Engine, failed, run_look
from gatevault.vision.paired import PairedCamera
from gatevault.vision.release import open_release
from gatevault.vision.replay import ReplayCamera

CONNECT_S: Final = 10.0
"""How long the daemon's socket is waited for: systemd starts both at once."""

RETRY_S: Final = (0.05, 0.5)
"""First and longest pause between two attempts, in seconds."""

SEND_S: Final = 2
"""A daemon that reads nothing for this long is dead: the camera must not stay open for it."""

MAX_WAITING: Final = 4
"""Looks that may wait; the daemon asks for one at a time, so more is a fault."""

MAX_INBOX: Final = 128
"""Messages taken in before they are looked at; as many as one read of the socket can hold."""


class VersionError(ProtocolError):
    """Daemon and vision are of different releases."""

    code = "version"


class HungUpError(Exception):
    """The daemon closed the connection: time to leave, not a fault."""


class Link:
    """The connection: messages out with their bytes wiped, messages in without ever blocking a look."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.setblocking(True)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", SEND_S, 0))
        self._buffer = wire.FrameBuffer()
        self._inbox: deque[ToVision] = deque()

    def send(self, message: Message) -> None:
        """Send one message and overwrite its bytes. HungUpError if nobody takes it."""
        frame = wire.pack(message)
        try:
            self._socket.sendall(frame)
        except BlockingIOError:
            raise ProtocolError(f"the daemon took no message for {SEND_S} s: this process ends.") from None
        except OSError:
            raise HungUpError from None
        finally:
            frame[:] = bytes(len(frame))

    def take(self) -> ToVision:
        """The next message, waiting for it."""
        while not self._inbox:
            self._receive()
        return self._inbox.popleft()

    def poll(self) -> list[ToVision]:
        """The messages that are there already."""
        while select.select([self._socket], [], [], 0)[0]:
            self._receive()
        messages = list(self._inbox)
        self._inbox.clear()
        return messages

    def _receive(self) -> None:
        try:
            count = self._socket.recv_into(self._buffer.space())
        except OSError:
            raise HungUpError from None
        if count == 0:
            if self._buffer.partial:
                raise ProtocolError("the daemon hung up in the middle of a message.")
            raise HungUpError
        self._buffer.filled(count)
        for payload in self._buffer.frames():
            self._inbox.append(wire.unpack(wire.TO_VISION, payload))
        if len(self._inbox) > MAX_INBOX:
            raise ProtocolError("the daemon sends faster than it is listened to.")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What looks, the name of its recipe (64 hexadecimal digits), the length of its vectors, and what may veto."""

    engine: Engine
    model: str
    dimension: int
    veto: Veto | None = None


Load = Callable[[Hello], Loaded]
"""Loads the models that the daemon names. ModelError where one is unfit."""


class Worker:
    """Serves one daemon over one link."""

    def __init__(
        self,
        link: Link,
        load: Load,
        confined: Confined = NOT_CONFINED,
        new_camera: Callable[[], bool] = lambda: False,
    ) -> None:
        """`confined`: what this process gave up; `new_camera`: whether one was plugged in that it may not open."""
        self._link = link
        self._load = load
        self._confined = confined
        self._new_camera = new_camera
        self._waiting: deque[Look] = deque()
        self._stopped: set[str] = set()

    def serve(self) -> None:
        """Serve until the daemon hangs up (HungUpError).

        ProtocolError if it speaks nonsense; ModelError or SandboxError, which it is told, where the models that it
        names are unfit, or a gate is to be looked at without a sandbox; SandboxError for a new camera.
        """
        hello = self._link.take()
        if not isinstance(hello, Hello):
            raise ProtocolError("the daemon's first word was no Hello.")
        if hello.version != wire.VERSION:
            raise VersionError(
                f"the daemon speaks version {hello.version} and vision version {wire.VERSION}: "
                "install both from one release and restart them."
            )
        try:
            self._check_sandbox(hello)
            loaded = self._load(hello)
        except (ModelError, SandboxError) as error:
            self._link.send(Unfit(wire.VERSION, str(error)[:MAX_SENTENCE]))
            raise
        self._link.send(Ready(wire.VERSION, os.getpid(), loaded.model, loaded.dimension, self._confined))
        while True:
            while not self._waiting:
                self._accept(self._link.take(), "")
            look = self._waiting.popleft()
            done = self._carry_out(look, hello, loaded)
            self._link.send(done)
            self._stopped.discard(look.nonce)
            if done.end is LookEnd.CAMERA and self._new_camera():
                raise SandboxError("a camera was plugged in since this process began: it starts anew to open it.")

    def _check_sandbox(self, hello: Hello) -> None:
        """Nobody at a gate is looked at by a process that could send pictures away; a bench says so in `status`."""
        if self._confined.lacks and not hello.bench:
            lacks = "; ".join(self._confined.lacks)
            raise SandboxError(f"vision's sandbox is not whole ({lacks}): start it by gatevault-vision.service.")

    def _carry_out(self, look: Look, hello: Hello, loaded: Loaded) -> LookDone:
        driven: list[Prompt | Edge] = []

        def stop() -> bool:
            for message in self._link.poll():
                if isinstance(message, Asked | Driven):
                    if message.nonce == look.nonce:
                        driven.append(message.prompt if isinstance(message, Asked) else message.edge)
                else:
                    self._accept(message, look.nonce)
            return bool(self._waiting) or look.nonce in self._stopped

        def lights() -> Sequence[Prompt | Edge]:
            told = tuple(driven)
            driven.clear()
            return told

        if look.camera is not None and not hello.bench:
            error = BenchOnlyError("a look may name its own camera only on a bench: set [gate] camera instead.")
            return failed(look.nonce, str(error))
        if look.tier is Tier.OFF and look.purpose is Purpose.ACCESS and not hello.bench:
            error = BenchOnlyError("liveness may be off only on a bench: a photograph would open this gate.")
            return failed(look.nonce, str(error))
        try:
            repeat = look.purpose is Purpose.ACCESS
            camera = open_camera(look.camera or hello.camera, bench=hello.bench, repeat=repeat)
            if look.tier is Tier.IR and hello.infrared and look.camera is None:
                camera = PairedCamera(camera, open_camera(hello.infrared, bench=hello.bench, repeat=repeat))
        except GateVaultError as error:
            return failed(look.nonce, str(error))
        clock = camera.clock if isinstance(camera, ReplayCamera) else time.monotonic_ns
        send = self._link.send
        release = open_release(look, hello.site, send, loaded.veto)
        return run_look(look, hello.look, camera, loaded.engine, send, stop, clock, lights=lights, release=release)

    def _accept(self, message: ToVision, current: str) -> None:
        """Take in one message; a Stop, or a light, for a look that is over came too late and is nothing."""
        if isinstance(message, Look):
            if len(self._waiting) >= MAX_WAITING:
                raise ProtocolError("the daemon asked for too many looks at once.")
            self._waiting.append(message)
        elif isinstance(message, Stop):
            if message.nonce == current or any(message.nonce == look.nonce for look in self._waiting):
                self._stopped.add(message.nonce)
        elif isinstance(message, Hello):
            raise ProtocolError("the daemon said Hello twice.")


def connect(path: str, patience_s: float = CONNECT_S) -> socket.socket:
    """Connect to the daemon's Unix socket, waiting until it is there. VisionDownError if it never is."""
    deadline = time.monotonic() + patience_s
    pause, longest = RETRY_S
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            if time.monotonic() >= deadline:
                raise VisionDownError(f"no daemon answers at {path}: start gatevault run first.") from None
        except OSError as error:
            connection.close()
            raise VisionDownError(f"the socket {path} cannot be used ({error}): check --socket.") from None
        else:
            return connection
        time.sleep(pause)
        pause = min(2 * pause, longest)
