"""Withdrawal by card alone: five taps of one card within ten seconds."""

from __future__ import annotations

from collections import deque
from typing import Final

TAPS: Final = 5
WINDOW_MS: Final = 10_000
MAX_CARDS: Final = 64
"""Cards remembered at once: more than can be tapped at one gate in ten seconds."""


class TapCounter:
    """Counts the taps of each card; keys are keyed card hashes, times monotonic milliseconds."""

    def __init__(self) -> None:
        self._taps: dict[bytes, deque[int]] = {}
        self._last: dict[bytes, int] = {}

    def tap(self, card: bytes, now_ms: int, repeat_ms: int) -> bool:
        """Take one read and tell whether it completes a withdrawal (the count then begins anew).

        `repeat_ms`: a reader that repeats a card held against it does so within this time; such a
        repetition is the same tap. 0 for readers that read once per presentation.
        """
        self._forget(now_ms)
        held = card in self._last and now_ms - self._last[card] < repeat_ms
        self._last[card] = now_ms
        taps = self._taps.setdefault(card, deque())
        if held:
            return False
        taps.append(now_ms)
        if len(taps) < TAPS:
            return False
        taps.clear()
        return True

    def _forget(self, now_ms: int) -> None:
        for card, taps in list(self._taps.items()):
            while taps and now_ms - taps[0] >= WINDOW_MS:
                taps.popleft()
            if not taps and now_ms - self._last[card] >= WINDOW_MS:
                del self._taps[card], self._last[card]
        while len(self._taps) >= MAX_CARDS:
            oldest = min(self._last, key=self._last.__getitem__)
            del self._taps[oldest], self._last[oldest]
