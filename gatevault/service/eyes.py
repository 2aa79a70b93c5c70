"""The daemon's end of vision's socket: one vision process, one look at a time.

Scans are copied out of the receive buffer, which is overwritten at once; each counts once, for the
nonce of the look that asked for it and in rising order of frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

from gatevault.core import wire
from gatevault.core.camera import CameraState
from gatevault.core.errors import ConflictError, DeviceError, ProtocolError, VisionDownError
from gatevault.core.liveness import PATTERN_MS, TURNS_MS, Edge, Prompt, Tier
from gatevault.core.types import Scan
from gatevault.service.challenge import Asking, Lights
from gatevault.service.peers import may_be_vision, peer_of
from gatevault.service.sockets import listening_socket

GRACE_MS: Final = 3_000
"""How long after its limit a look may take to end before vision counts as hung."""

LONGEST_FILE_MS: Final = 60_000
"""A `file:` of the bench runs to its end, and no longer than this."""

MOSTLY: Final = 0.5
"""Share of a look's frames above which bad ones are the camera's fault, not a moment's."""

CHALLENGE_MS: Final = {
    Tier.OFF: 0,
    Tier.RGB: TURNS_MS + 1_000,
    Tier.LED: PATTERN_MS + 900,
    Tier.IR: PATTERN_MS + 900,
}
"""What a challenge adds to a look's limit: itself, and the frames that follow it."""

LookEvent = Scan | wire.Sight | wire.FrameEmpty | wire.CameraOpen | wire.Begin | wire.LookDone


class _Connection(asyncio.BufferedProtocol):
    """One connection of a vision process."""

    def __init__(self, eyes: Eyes) -> None:
        self._eyes = eyes
        self._frames = wire.FrameBuffer()
        self.transport: asyncio.Transport | None = None
        self.ready: wire.Ready | None = None
        self.events: asyncio.Queue[LookEvent | None] = asyncio.Queue()
        self.heard = False
        """Whether somebody still listens to the look under way."""
        self.nonce = ""
        self.last_frame = self.last_face = -1
        self.bad_frames = 0
        self.owes_challenge = False
        """Whether a face of this look may not be told yet: it has not been asked."""
        self.begun = False
        """Whether its challenge was begun."""
        self.purpose = wire.Purpose.ACCESS

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        if not may_be_vision(peer_of(transport.get_extra_info("socket"))):
            self.close()
            return
        self.send(self._eyes.hello)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._frames.space()

    def buffer_updated(self, nbytes: int) -> None:
        self._frames.filled(nbytes)
        try:
            for payload in self._frames.frames():
                self._take(wire.unpack(wire.FROM_VISION, payload))
        except ProtocolError as error:
            self._eyes.complain(error)
            self.close()

    def _take(self, message: wire.FromVision) -> None:
        if isinstance(message, wire.Ready | wire.Unfit):
            if self.ready is not None or message.version != wire.VERSION:
                raise ProtocolError("vision is of another version: update both processes together.")
            if isinstance(message, wire.Unfit):
                self._eyes.refuse(message.reason)
                return
            self.ready = message
            self._eyes.adopt(self)
            return
        if message.nonce != self.nonce:
            return  # the rest of a look that is over
        if isinstance(message, wire.FaceSeen) and message.vector.nbytes != 4 * self._dimension():
            raise ProtocolError("vision sent a vector of another length than it declared: the look is ended.")
        if isinstance(message, wire.Begin):
            if not self.owes_challenge or self.begun:
                raise ProtocolError("vision asked for a challenge that it does not need: the look is ended.")
            self.begun = True
        if isinstance(message, wire.FaceSeen) and self.purpose is wire.Purpose.AIM:
            raise ProtocolError("vision sent a face that nobody asked for: the look is ended.")
        if isinstance(message, wire.FaceSeen):
            if self.owes_challenge:
                raise ProtocolError("vision sent a face before its challenge was over: the look is ended.")
            if message.frame <= self.last_face:
                raise ProtocolError("vision reported one frame twice: the look is ended.")
            self.last_face = message.frame
        if isinstance(message, wire.FrameEmpty):
            if message.frame <= self.last_frame:
                raise ProtocolError("vision reported one frame twice: the look is ended.")
            self.last_frame = message.frame
        if isinstance(message, wire.FrameEmpty) and message.hint is wire.Hint.MODEL_FAULT:
            self._eyes.model_faults += 1
        if isinstance(message, wire.FrameEmpty) and message.hint is wire.Hint.BAD_FRAME:
            self.bad_frames += 1
        if isinstance(message, wire.LookDone):
            self.nonce = ""
            self._eyes.last_look = {"frames": message.frames, "stale": message.stale, "error": message.error}
            self._eyes.judge_camera(self.bad_frames, message.frames, message.camera)
            self._eyes.look_over()
        if self.heard:
            self.events.put_nowait(message.scan() if isinstance(message, wire.FaceSeen) else message)

    def tell(self, nonce: str, light: Prompt | Edge) -> None:
        """A light of this look's challenge was driven."""
        self.send(wire.Asked(nonce, light) if isinstance(light, Prompt) else wire.Driven(nonce, light))

    def challenged(self) -> None:
        """All was asked: from now on faces of this look count."""
        self.owes_challenge = False

    def _dimension(self) -> int:
        return self.ready.dimension if self.ready is not None else 0

    def send(self, message: wire.ToVision) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(wire.pack(message))

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def hang_up(self) -> None:
        """Ask the process to end, which closes its camera; `connection_lost` tells that it has."""
        self.nonce = ""  # whatever it still says is of a look that is over
        self.events.put_nowait(None)
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._frames.wipe()
        self.events.put_nowait(None)
        self._eyes.lost(self)


class Eyes:
    """Listens for vision and asks it to look."""

    def __init__(
        self,
        hello: wire.Hello,
        *,
        lights: Lights,
        on_ready: Callable[[wire.Ready], None],
        on_unfit: Callable[[str], None],
        on_camera: Callable[[bool], None],
        on_hung: Callable[[], None],
    ) -> None:
        """`on_camera` is told before the camera may open and after it is closed: the privacy light."""
        self.hello = hello
        self._lights = lights
        self._on_ready = on_ready
        self._on_unfit = on_unfit
        self._on_camera = on_camera
        self._on_hung = on_hung
        self._now: _Connection | None = None
        self._leaving: _Connection | None = None
        """A vision process that hung in a look: until it ends, the camera may be open and the light is on."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._arrived = asyncio.Event()
        self._patience: asyncio.TimerHandle | None = None
        self._server: asyncio.Server | None = None
        self.fault = ""
        self.unfit = ""
        """Why vision cannot load the models that the configuration names; empty once one has."""
        self.model_faults = 0
        """Good faces for which a network gave no numbers, since this vision process came."""
        self.camera_fault = ""
        """What the last look that had frames tells against the camera."""
        self.camera: CameraState | None = None
        """What a real camera was found to do in the last look that had frames."""
        self.last_look: dict[str, Any] | None = None
        """Of the last whole look: frames, those too old, vision's error."""

    async def listen(self, path: Path) -> None:
        """Listen on a Unix socket at `path`, readable and writable by owner and group."""
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: _Connection(self), sock=listening_socket(path)
        )

    @property
    def ready(self) -> wire.Ready | None:
        """What the vision process said of itself; None while there is none."""
        return self._now.ready if self._now else None

    @property
    def looking(self) -> bool:
        """Whether the camera may be open."""
        return not self._idle.is_set()

    async def arrived(self) -> None:
        """Wait for a vision process that is ready."""
        await self._arrived.wait()

    def adopt(self, connection: _Connection) -> None:
        """A vision process is ready; one that was there before is let go."""
        previous, self._now = self._now, connection
        if previous is not None:
            previous.close()
        self.fault = self.unfit = ""
        self.model_faults = 0
        if connection.ready is not None:
            self._on_ready(connection.ready)
            self._arrived.set()

    def lost(self, connection: _Connection) -> None:
        """A connection ended, and with its process any camera that it had open."""
        if self._now is connection:
            self._now = None
            self._arrived.clear()
        elif self._leaving is connection:
            self._leaving = None
        else:
            return
        if self._leaving is None:
            self.look_over()

    def refuse(self, reason: str) -> None:
        """A vision process cannot load its models: it ends now, and another one tries."""
        self.unfit = reason
        self._on_unfit(reason)

    def complain(self, error: ProtocolError) -> None:
        self.fault = str(error)

    def judge_camera(self, bad: int, frames: int, camera: CameraState | None) -> None:
        """A look of `frames` is over, `bad` of which were half a picture, none, or torn."""
        self.camera = camera or self.camera
        if frames:
            self.camera_fault = (
                f"the camera gave {bad} broken frames of {frames} in the last look: check its cable and power"
                if bad > MOSTLY * frames
                else ""
            )

    @contextlib.asynccontextmanager
    async def look(
        self,
        purpose: wire.Purpose,
        trigger_ns: int,
        camera: str | None,
        tier: Tier = Tier.OFF,
        same_person: float | None = None,
        *,
        aim_s: int = 0,
    ) -> AsyncIterator[AsyncIterator[LookEvent]]:
        """One look; iterate its events, the last of which is `LookDone`. Leaving early stops it.

        `tier`: what a face must show before vision tells of it; the look's challenge is put meanwhile. `aim_s`: the
        limit of a look for AIM, in seconds.
        ConflictError where a look is under way; VisionDownError where vision is away, dies or hangs;
        DeviceError where the privacy light or the lamp cannot be lit.
        """
        if self._now is not None and not self._now.heard:
            await self._idle.wait()  # the last look was stopped and is closing its camera
        connection = self._now
        if connection is None:
            raise VisionDownError(
                "The vision process is not there yet: use the card, or try again in some seconds."
            )
        if self.looking:
            raise ConflictError("The camera is looking already: wait for that look to end.")
        nonce = self._begin(connection, purpose, trigger_ns, camera, tier, same_person, aim_s)
        asking = Asking(tier, self._lights, lambda light: connection.tell(nonce, light), connection.challenged)
        try:
            if connection.owes_challenge:
                asking.prepare()
            yield _events(connection, asking)
        finally:
            with contextlib.suppress(DeviceError):  # the next look finds it broken and says so
                asking.end()
            connection.heard = False
            while not connection.events.empty():
                event = connection.events.get_nowait()
                if isinstance(event, Scan):
                    event.wipe()
            if connection.nonce == nonce:
                connection.send(wire.Stop(nonce))

    def _begin(
        self,
        connection: _Connection,
        purpose: wire.Purpose,
        trigger_ns: int,
        camera: str | None,
        tier: Tier,
        same_person: float | None,
        aim_s: int,
    ) -> str:
        settings = self.hello.look
        limit_ms = settings.enrol_limit_ms if purpose is wire.Purpose.ENROL else settings.limit_ms
        limit_ms = 1_000 * aim_s if purpose is wire.Purpose.AIM else limit_ms + CHALLENGE_MS[tier]
        is_file = (camera or self.hello.camera).startswith("file:")
        patience_ms = GRACE_MS + (max(limit_ms, LONGEST_FILE_MS) if is_file else limit_ms)
        nonce = secrets.token_hex(16)
        self._on_camera(True)  # first: without its light the camera stays shut
        connection.events = asyncio.Queue()
        connection.nonce, connection.heard = nonce, True
        connection.purpose = purpose
        connection.last_frame = connection.last_face = -1
        connection.bad_frames = 0
        connection.begun = False
        # A recording of the bench brings its own challenge.
        connection.owes_challenge = tier is not Tier.OFF and not _is_recording(camera or self.hello.camera)
        self._idle.clear()
        self._patience = asyncio.get_running_loop().call_later(patience_ms / 1000, self._hung, connection)
        connection.send(wire.Look(nonce, purpose, trigger_ns, limit_ms, camera, tier, same_person))
        return nonce

    def look_over(self) -> None:
        """The camera is closed."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self.looking:
            self._idle.set()
            self._on_camera(False)

    def _hung(self, connection: _Connection) -> None:
        self.fault = "vision did not end its look in time and was restarted"
        self._patience = None
        if self._now is connection:
            self._now, self._leaving = None, connection
            self._arrived.clear()
        connection.hang_up()
        self._on_hung()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._now is not None:
            self._now.close()


def _is_recording(camera: str) -> bool:
    return camera.startswith("file:") and camera.endswith(".npz")


async def _events(connection: _Connection, asking: Asking) -> AsyncIterator[LookEvent]:
    while True:
        event = await connection.events.get()
        asking.check()
        if event is None:
            raise VisionDownError("The vision process died during the look and is restarted: use the card.")
        if isinstance(event, wire.Begin):
            asking.begin()
            continue
        yield event
        if isinstance(event, wire.LookDone):
            return
