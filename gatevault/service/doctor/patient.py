"""What the checks are given: the state, its configuration as far as it can be read, and the daemon's own report."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gatevault.core import control
from gatevault.core.board import Board
from gatevault.core.errors import GateVaultError
from gatevault.core.settings import Settings
from gatevault.devices.survey import Chip
from gatevault.service.doctor.probe import Probe
from gatevault.service.state import Device, StatePaths

Ask = Callable[[control.Command], dict[str, Any]]
"""One command to the daemon, with little patience. GateVaultError."""


@dataclass(frozen=True)
class Patient:
    """One gate. What is None could not be read; the check of its own name says why."""

    paths: StatePaths
    probe: Probe
    ask: Ask
    survey: Callable[[str], Chip]
    """Who uses which line of a gpiochip (`devices.survey`)."""
    device: Device | None = None
    settings: Settings | None = None
    board: Board | None = None
    status: dict[str, Any] | None = None
    down: GateVaultError | None = None
    """Why there is no status."""

    @property
    def bench(self) -> bool:
        """Where mock pins are all there is, the machine's own parts are nobody's concern."""
        return self.device is not None and self.device.bench

    @property
    def readable(self) -> bool:
        """Whether this user may look into the state at all; a gate's admin need not."""
        return not self.paths.root.exists() or os.access(self.paths.root, os.R_OK | os.X_OK)

    def part(self, name: str) -> dict[str, Any]:
        """One part of the daemon's report; empty where there is none."""
        found = (self.status or {}).get(name)
        return found if isinstance(found, dict) else {}
