"""The control socket: who may command, and how a command finds what it does.

One command a connection; bounded in number, length and time. A peer that sends anything else gets a
clear refusal, if it still listens, and its connection is closed; nothing else notices.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from gatevault.core import control, wire
from gatevault.core.errors import GateVaultError, NotAllowedError, ProtocolError
from gatevault.service.peers import ADMIN_GROUP, may_command, peer_of
from gatevault.service.sockets import listening_socket

CONTROL_SOCKET: Final = "control.sock"
"""Its name in the runtime directory."""

MAX_CLIENTS: Final = 16
"""Connections served at once: an admin has one terminal, a bench a few."""

PATIENCE_S: Final = 10.0
"""How long a peer may take to send its whole command, or to read its answer."""

REFUSAL_S: Final = 1.0
"""How long a peer that is refused may take to send what it came for."""

Say = Callable[[str], None]
Handler = Callable[[Any, Say], Awaitable[dict[str, Any]]]


class ControlServer:
    """Serves commands on a Unix socket."""

    def __init__(self, handlers: dict[type[wire.Message], Handler]) -> None:
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._clients = 0

    async def listen(self, path: Path) -> None:
        self._server = await asyncio.start_unix_server(self._serve, sock=listening_socket(path, ADMIN_GROUP))

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            await self._answer(reader, writer)
        except (ConnectionError, BrokenPipeError):
            pass  # the peer is gone: what it asked for is done or refused all the same
        finally:
            self._clients -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            command = await self._admitted(reader, writer)
            handler = self._handlers[type(command)]
            reply: wire.Message = control.Answer(await handler(command, lambda text: _send(writer, text)))
            frame = wire.pack(reply)
        except GateVaultError as error:
            frame = _failure(error)
        writer.write(frame)
        with contextlib.suppress(TimeoutError):  # a peer that does not read its answer loses it
            async with asyncio.timeout(PATIENCE_S):
                await writer.drain()

    async def _admitted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> control.Command:
        """The command of a peer who may give one; of another not a byte is parsed."""
        if not may_command(peer_of(writer.get_extra_info("socket"))):
            refusal = f"Only root and the group {ADMIN_GROUP} may command this device: ask its admin."
        elif self._clients > MAX_CLIENTS:
            refusal = "Too many commands at once: wait for one to end, and again."
        else:
            return await _read(reader)
        with contextlib.suppress(TimeoutError):  # what lies unread when we close would void our answer
            async with asyncio.timeout(REFUSAL_S):
                await reader.read(4096)
        raise NotAllowedError(refusal)


def _send(writer: asyncio.StreamWriter, text: str) -> None:
    if not writer.is_closing():
        writer.write(wire.pack(control.Progress(text)))


def _failure(error: GateVaultError) -> bytearray:
    return wire.pack(control.Failure(error.code, str(error)[:1000]))


async def _read(reader: asyncio.StreamReader) -> control.Command:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await _first(reader)
    except TimeoutError:
        raise ProtocolError("No whole command came within ten seconds: the connection is closed.") from None


async def _first(reader: asyncio.StreamReader) -> control.Command:
    frames = wire.FrameBuffer()
    while chunk := await reader.read(4096):
        while chunk:
            space = frames.space()
            part = chunk[: len(space)]
            space[: len(part)] = part
            frames.filled(len(part))
            chunk = chunk[len(part) :]
        for payload in frames.frames():
            command: control.Command = wire.unpack(control.COMMANDS, payload)
            return command
    raise ProtocolError("The connection ended before a whole command came.")
