"""Residents whose templates are too like to tell apart: each with the others, by pseudonym."""

from __future__ import annotations

from collections.abc import Iterable, Set


class LookAlikes:
    """What was found so far. Names alone: nothing of a template, no score."""

    def __init__(self) -> None:
        self._others: dict[str, set[str]] = {}

    @property
    def names(self) -> Set[str]:
        """Everybody who resembles somebody."""
        return self._others.keys()

    def note(self, resident: str, near: Iterable[str]) -> None:
        """Remember whom this resident resembles; themselves among them is no news."""
        alike = set(near) - {resident}
        for other in alike:
            self._others.setdefault(other, set()).add(resident)
        if alike:
            self._others[resident] = alike

    def forget(self, resident: str) -> None:
        """This resident's template is gone: who resembled nobody else resembles nobody."""
        for other in self._others.pop(resident, ()):
            self._others[other].discard(resident)
            if not self._others[other]:
                del self._others[other]

    def clear(self) -> None:
        self._others.clear()
