"""The control socket: who may command, and how a command finds what it does.

One command a connection; bounded in number, length and time. A peer that sends anything else gets a
clear refusal, if it still listens, and its connection is closed; nothing else notices.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from gatevault.core import control, wire
from gatevault.core.errors import GateVaultError, NotAllowedError, ProtocolError
from gatevault.service.peers import ADMIN_GROUP, Peer, may_command, peer_of
from gatevault.service.sockets import listening_socket

CONTROL_SOCKET: Final = "control.sock"
"""Its name in the runtime directory."""

MAX_CLIENTS: Final = 16
"""Connections served at once: an admin has one terminal, a bench a few."""

PATIENCE_S: Final = 10.0
"""How long a peer may take to send its whole command, or to read its answer."""

REFUSAL_S: Final = 1.0
"""How long a peer that is refused may take to send what it came for."""

COMMANDER: Final[ContextVar[Peer]] = ContextVar("COMMANDER")
"""Who gave the command that is being handled, as the kernel says: for entries that name them."""

Say = Callable[[str], None]
"""Tells the person at the terminal something while the command runs."""
Handler = Callable[[Any, Say], Awaitable[dict[str, Any]]]


def hung_up(say: Say) -> bool:
    """Whether the terminal that asked is gone, for what need not go on without it."""
    return isinstance(say, _Voice) and say.gone


class _Connection(asyncio.BufferedProtocol):
    """One peer and its one command, which stays in this buffer, and is overwritten when it is done."""

    def __init__(self, serve: Callable[[_Connection], Awaitable[None]]) -> None:
        self._serve = serve
        self._frames = wire.FrameBuffer()
        self.gone = asyncio.get_running_loop().create_future()
        self.command: asyncio.Future[memoryview] = asyncio.get_running_loop().create_future()
        """The payload of its first frame, valid until `wipe`; ProtocolError where none came."""
        self.transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.command.add_done_callback(asyncio.Future.exception)  # told to who waits, if anybody does
        self._task = asyncio.ensure_future(self._serve(self))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._frames.space()

    def buffer_updated(self, nbytes: int) -> None:
        self._frames.filled(nbytes)
        if self.command.done():
            return
        try:
            payload = next(self._frames.frames(), None)
        except ProtocolError as error:
            self._fail(error)
            return
        if payload is not None:
            self.command.set_result(payload)
            self._pause()

    def eof_received(self) -> bool:
        self._fail(ProtocolError("The connection ended before a whole command came."))
        return True  # it may still read its answer

    def _fail(self, error: ProtocolError) -> None:
        if not self.command.done():
            self.command.set_exception(error)
            self._pause()

    def _pause(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ProtocolError("The connection ended before a whole command came."))
        if not self.gone.done():
            self.gone.set_result(None)

    def send(self, frame: bytearray) -> None:
        """Queue a packed message for the peer; nothing where it is gone."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(frame)

    def who(self) -> Peer:
        if self.transport is None:
            raise ProtocolError("The connection ended before it began.")
        return peer_of(self.transport.get_extra_info("socket"))

    def wipe(self) -> None:
        self._frames.wipe()


class _Voice:
    """What a handler says to its peer."""

    def __init__(self, peer: _Connection) -> None:
        self._peer = peer

    def __call__(self, text: str) -> None:
        self._peer.send(wire.pack(control.Progress(text)))

    @property
    def gone(self) -> bool:
        return self._peer.gone.done()


class ControlServer:
    """Serves commands on a Unix socket."""

    def __init__(self, handlers: dict[type[wire.Message], Handler]) -> None:
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._clients = 0

    async def listen(self, path: Path) -> None:
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: _Connection(self._serve), sock=listening_socket(path, ADMIN_GROUP)
        )

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, peer: _Connection) -> None:
        self._clients += 1
        try:
            peer.send(await self._answer(peer))
        finally:
            peer.wipe()  # a passphrase may be in it
            self._clients -= 1
            await _part(peer)

    async def _answer(self, peer: _Connection) -> bytearray:
        try:
            command = await self._admitted(peer)
            handler = self._handlers[type(command)]
            COMMANDER.set(peer.who())  # this task serves this connection alone
            body = await handler(command, _Voice(peer))
            return wire.pack(control.Answer(body))
        except GateVaultError as error:
            return wire.pack(control.Failure(error.code, str(error)[:1000]))

    async def _admitted(self, peer: _Connection) -> control.Command:
        """The command of a peer who may give one; what another sends is not decoded."""
        if not may_command(peer.who()):
            refusal = f"Only root and the group {ADMIN_GROUP} may command this device: ask its admin."
        elif self._clients > MAX_CLIENTS:
            refusal = "Too many commands at once: wait for one to end, and again."
        else:
            return await _command(peer)
        # What lies unread when we close would void our answer.
        with contextlib.suppress(TimeoutError, ProtocolError):
            async with asyncio.timeout(REFUSAL_S):
                await asyncio.shield(peer.command)
        raise NotAllowedError(refusal)


async def _command(peer: _Connection) -> control.Command:
    try:
        async with asyncio.timeout(PATIENCE_S):
            command: control.Command = wire.unpack(control.COMMANDS, await asyncio.shield(peer.command))
            return command
    except TimeoutError:
        raise ProtocolError("No whole command came within ten seconds: the connection is closed.") from None


async def _part(peer: _Connection) -> None:
    """Close once the answer was read; a peer that does not read it loses it."""
    if peer.transport is None:
        return
    peer.transport.close()
    try:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.shield(peer.gone)
    except TimeoutError:
        peer.transport.abort()
