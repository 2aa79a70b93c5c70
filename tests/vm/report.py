"""What a run found, written into docs/vm.md below its line `<!-- run -->`."""

from __future__ import annotations

import inspect
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.vm.machine import Machine
from tests.vm.root import out

MARK = "<!-- run -->"


@dataclass
class Row:
    """One scenario."""

    title: str
    outcome: str = "–"
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


class Report:
    """Filled while the scenarios run."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.times: dict[str, float] = {}
        self.facts: list[str] = []
        self.installer = ""
        self._began = time.monotonic()

    @property
    def ran(self) -> bool:
        return any(row.outcome in ("passed", "failed") for row in self.rows.values())

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.times[what] = time.monotonic() - began

    def note(self, nodeid: str, text: str) -> None:
        self.rows.setdefault(nodeid, Row(nodeid)).notes.append(text)

    def add(self, item: pytest.Item, result: pytest.TestReport) -> None:
        row = self.rows.setdefault(item.nodeid, Row(item.nodeid))
        function = getattr(item, "function", None)
        row.title = (inspect.getdoc(function) or item.name).splitlines()[0].rstrip(".")
        if result.when == "call" or result.outcome != "passed":
            row.outcome = result.outcome
        if result.when == "call":
            row.seconds = result.duration

    def versions(self, machine: Machine) -> None:
        """What the machine is made of."""
        guest = "uname -r; cat /etc/debian_version; systemctl --version | head -1; python3 -V"
        said = machine.try_sh(guest).out.splitlines()
        qemu = out("qemu-system-x86_64", "--version").splitlines()[0]
        swtpm = out("swtpm", "--version").split(",")[0]
        self.facts = [f"guest: Debian {said[1]}, kernel {said[0]}, {said[2]}, {said[3]}", f"{qemu}; {swtpm}"]

    def write(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        head = text[: text.index(MARK) + len(MARK)]
        page.write_text(head + "\n" + self._body(), encoding="utf-8")

    def _body(self) -> str:
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        lines = [
            f"{datetime.now(UTC):%d %B %Y}, {time.monotonic() - self._began:.0f} s in all; host: "
            f"{platform.machine()}, {os.cpu_count()} cores (load {load} at the end), Linux {platform.release()}.",
            *self.facts,
            "",
            "| scenario | outcome | s | seen |",
            "|---|---|---|---|",
        ]
        for row in self.rows.values():
            seen = "; ".join(note.replace("|", "/") for note in row.notes)
            lines.append(f"| {row.title} | {row.outcome} | {row.seconds:.0f} | {seen} |")
        lines += ["", "| before them | s |", "|---|---|"]
        lines += [f"| {what} | {seconds:.0f} |" for what, seconds in self.times.items()]
        return "\n".join(lines) + "\n"
