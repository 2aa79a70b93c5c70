"""A relay that keeps its state and history, and can break."""

from __future__ import annotations

import time

from gatevault.core.errors import DeviceError


class FakeRelay:
    """What a doorway drives. `history` holds every call, its limit and when it came, in seconds."""

    def __init__(self) -> None:
        self.energised = False
        self.broken = False
        self.history: list[tuple[str, float | None, float]] = []

    @property
    def calls(self) -> list[str]:
        return [call for call, _, _ in self.history]

    def energise(self, limit_s: float | None) -> None:
        self._call("energise", limit_s)
        self.energised = True

    def release(self) -> None:
        self._call("release", None)
        self.energised = False

    def _call(self, name: str, limit_s: float | None) -> None:
        self.history.append((name, limit_s, time.monotonic()))
        if self.broken:
            raise DeviceError("relay: it does not answer")
