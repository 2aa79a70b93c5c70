"""What a TPM remembers through a power cut: each state of its own memory, and when it came to be."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from random import Random

from tests.softtpm import SoftTpm

MEMORY = "tpm2-00.permall"
"""Where swtpm keeps all that is not volatile. It appears by a rename, before the command is answered."""


class TpmHistory:
    """Watches the memory of a software TPM, and puts it back to what it was at a moment.

    A command that changes it is a tool's run of tens of milliseconds, before which the daemon has written what it
    had to, and after which it goes on: so the time of the file, to the kernel's tick, tells between which of
    the daemon's writes it fell.
    """

    def __init__(self, soft: SoftTpm) -> None:
        self.soft = soft
        self.states: list[tuple[float, bytes]] = []
        """Seconds since 1970, and the memory from then on."""
        self._memory: Path = soft.folder / MEMORY
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        seen = 0
        while not self._ended.is_set():
            try:
                now = self._memory.stat()
                if now.st_ino != seen or now.st_mtime != self.states[-1][0]:
                    self.states.append((now.st_mtime, self._memory.read_bytes()))
                    seen = now.st_ino
            except FileNotFoundError:  # between two states
                pass
            time.sleep(0.0005)

    def ended(self) -> None:
        """Nothing more is recorded."""
        self._ended.set()
        self._thread.join()

    def power_on(self, random: Random, done: float, following: float) -> None:
        """A TPM whose power went after the daemon's write at `done`, and before the one at `following`."""
        before = [memory for at, memory in self.states if at <= done][-1:]
        between = [memory for at, memory in self.states if done < at <= following]
        self.soft.kill()
        self._memory.write_bytes(random.choice(before + between))
        for volatile in self.soft.folder.glob("tpm2-00.*"):
            if volatile != self._memory:
                volatile.unlink()
        self.soft.start()
