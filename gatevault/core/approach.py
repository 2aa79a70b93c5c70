"""Somebody asks for a look: when a contact's changes count as a deliberate act, and count once.

A button asks as it is pressed. A mat or a distance sensor sees whoever passes too, so it must stay active for
`hold_ms`. Somebody who stays there asks once: it must be left for `rearm_ms` before it asks again, so that neither
a person who waits nor an output that trembles at the edge of its reach starts looks for ever.
"""

from __future__ import annotations

from gatevault.core.board import Presence


class Approach:
    """One presence contact. Times in ms of one clock that does not jump. Sans-IO: the caller keeps the timer."""

    def __init__(self, part: Presence) -> None:
        self._hold_ms = part.hold_ms
        self._rearm_ms = part.rearm_ms
        self._since: int | None = None
        """Since when it is active; None while it is not."""
        self._left: int | None = None
        """Since when it is inactive; None: from before all time."""
        self._armed = True

    def changed(self, active: bool, now_ms: int) -> int | None:
        """The contact changed. In how many ms to ask `asked`, if it is active and may still ask; else None."""
        if not active:
            if self._since is not None:
                self._left = now_ms
            self._since = None
            return None
        if self._since is None:
            self._since = now_ms
            self._armed = self._armed or self._left is None or now_ms - self._left >= self._rearm_ms
        return max(0, self._since + self._hold_ms - now_ms) if self._armed else None

    def asked(self, now_ms: int) -> bool:
        """Whether a look begins now: it was held for long enough. True once."""
        if not self._armed or self._since is None or now_ms - self._since < self._hold_ms:
            return False
        self._armed = False
        return True
