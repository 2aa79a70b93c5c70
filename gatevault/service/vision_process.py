"""Keeping a vision process alive where systemd does not: on a bench, or with `start_vision = true`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Final

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0
STEADY_S: Final = 30.0
"""A process that lived this long starts the pauses anew."""

FREED_AT_ONCE: Final = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
"""Without glibc's per-thread cache small blocks are overwritten too when they are freed (`overwrite_freed`)."""


class VisionProcess:
    """Starts `python -m gatevault.vision` and starts it again when it ends."""

    def __init__(self, runtime: Path, socket_name: str, models: Path, *, bench: bool) -> None:
        """`bench`: it may read pictures wherever they are."""
        self._may_read = ("--bench",) if bench else ()
        self._runtime = runtime
        self._models = models.absolute()
        self._socket_name = socket_name
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self.restarts = -1

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep())

    @property
    def pid(self) -> int | None:
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process else None

    def kill(self) -> None:
        """End a process that hangs; a fresh one follows."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_S
        while True:
            began = loop.time()
            self.restarts += 1
            # Of our environment vision gets what finds programs and nothing else; of our files, the models.
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "gatevault.vision"),
                *("--socket", self._socket_name, "--models", str(self._models), *self._may_read),
                cwd=self._runtime,
                env={name: os.environ[name] for name in ("PATH", "LANG", "VIRTUAL_ENV") if name in os.environ}
                | FREED_AT_ONCE,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C at a bench's terminal is for the daemon alone
            )
            await self._process.wait()
            pause = FIRST_PAUSE_S if loop.time() - began > STEADY_S else min(2 * pause, LONGEST_PAUSE_S)
            await asyncio.sleep(pause)

    async def stop(self) -> None:
        """End it, by force after two seconds."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(2):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
