"""What happened on a bench, in order of time: kept for JSON, and printed for people as it happens.

Steps come from the running system's answers, edges from the trace of its pins; nothing here
decides what is a success.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatevault.devices.trace import Edge

_NS: Final = 1_000_000_000

_PARTS: Final = {"relay": "relay", "privacy_led": "camera light"}
"""The pins that a reader of the story cares for, by their role on the board, in plain words."""

OPENED, REFUSED, DONE, FAILED = "opened", "refused", "done", "failed"
"""How a step ended: the gate opened, it stayed shut as it should, something was done, or the story broke."""

_MARKS: Final = {OPENED: ("●", "green"), REFUSED: ("■", "red"), DONE: ("✓", "cyan"), FAILED: ("✗", "bold red")}


class Timeline:
    """Lines of one story. Times are seconds since it began, on the clock that the pin trace uses."""

    def __init__(self, console: Console | None) -> None:
        """`console` prints each line at once; None keeps them only."""
        self._console = console
        self._began = time.monotonic_ns()
        self._seen = 0
        self._on_since: dict[str, int] = {}
        self.steps: list[dict[str, Any]] = []
        self.edges: list[dict[str, Any]] = []

    def seconds(self, ns: int) -> float:
        """A moment of CLOCK_MONOTONIC, in seconds since the story began."""
        return (ns - self._began) / _NS

    def step(self, at_ns: int, what: str, how: str, why: str, facts: dict[str, Any]) -> None:
        """One step that began at `at_ns` and ended `how`; `why` is computed from `facts`."""
        at = round(self.seconds(at_ns), 2)
        self.steps.append({"at_s": at, "step": what, "ended": how, "why": why, **facts})
        mark, style = _MARKS[how]
        self._print(at, Text(mark, style), Text(what, "bold"), Text(why))

    def pins(self, trace: list[Edge], until_ns: int) -> None:
        """Take the edges up to `until_ns` that were not told yet."""
        for edge in trace[self._seen :]:
            if edge.ns > until_ns:
                break
            self._seen += 1
            if edge.role in _PARTS:
                self._edge(edge)

    def _edge(self, edge: Edge) -> None:
        at, part = round(self.seconds(edge.ns), 2), _PARTS[edge.role]
        told: dict[str, Any] = {"at_s": at, "part": part, "pin": edge.pin, "on": bool(edge.value)}
        if edge.value:
            self._on_since[edge.role] = edge.ns
            lasted = ""
        else:
            span = (edge.ns - self._on_since.pop(edge.role, edge.ns)) / _NS
            told["was_on_s"] = round(span, 3)
            lasted = f", after {span:.2f} s"
        self.edges.append(told)
        style = "yellow" if edge.role == "relay" else "bright_black"
        line = f"{part} {'on' if edge.value else 'off'}{lasted}"
        self._print(at, Text("│", style), Text(line, style), Text(f"pin {edge.pin}", "bright_black"))

    def is_on(self, role: str) -> bool:
        """Whether this part was on after the last edge told."""
        return role in self._on_since

    def rises(self, role: str, since_ns: int, trace: Iterable[Edge]) -> int:
        """How often a part was switched on since a moment."""
        return sum(edge.role == role and edge.value == 1 and edge.ns >= since_ns for edge in trace)

    def _print(self, at: float, mark: Text, what: Text, why: Text) -> None:
        if self._console is None:
            return
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(width=8, justify="right", style="bright_black")
        row.add_column(width=1)
        row.add_column(width=32)
        row.add_column(ratio=1, overflow="fold")
        row.add_row(f"{at:.2f} s", mark, what, why)
        self._console.print(row)
