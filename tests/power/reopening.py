"""Opening a state as the daemon does at its start, inside the test's process: milliseconds, not a second."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from gatevault.service import daemon
from gatevault.service.control import ControlServer
from gatevault.service.gate import Gate
from gatevault.service.handlers import handlers
from gatevault.service.state import StateLock, StatePaths
from gatevault.service.stores import open_stores
from tests.bench import PATIENCE_S, Bench


class _NoGuard:
    """In place of the relay's guard, a process of its own that an image on a disk does not need."""

    alive = True

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def close(self) -> None:
        pass


@contextmanager
def reopened(root: Path) -> Iterator[Bench]:
    """The daemon's own start and stop on a thread, without its guard; the bench speaks to its real socket.

    Raises what the start raises.
    """
    started, stop = threading.Event(), asyncio.Event()
    ends: list[asyncio.AbstractEventLoop] = []
    errors: list[BaseException] = []

    async def life() -> None:
        ends.append(asyncio.get_running_loop())
        paths = StatePaths(root)
        lock = StateLock(paths)
        try:
            gate = Gate(open_stores(paths))
            control = ControlServer(handlers(gate))
            try:
                await daemon._start(gate, control)
                started.set()
                await stop.wait()
            finally:
                await daemon._stop(gate, control)
        finally:
            lock.release()

    def run() -> None:
        try:
            asyncio.run(life())
        except BaseException as error:  # noqa: BLE001 - told where the test can see it
            errors.append(error)
        finally:
            started.set()

    with patch("gatevault.service.gate.start_guard", _NoGuard):
        thread = threading.Thread(target=run, name="reopened")
        thread.start()
        assert started.wait(PATIENCE_S), "the state does not open"
        try:
            if errors:
                raise errors[0]
            yield Bench(root)
        finally:
            if not errors:
                ends[0].call_soon_threadsafe(stop.set)
            thread.join(PATIENCE_S)
    assert not thread.is_alive(), "the daemon does not stop"
    if errors:
        raise errors[0]
