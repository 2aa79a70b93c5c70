"""Releasing the relay from outside the daemon: systemd's `ExecStopPost=`, whatever ended it."""

from __future__ import annotations

from pathlib import Path

from gatevault.devices.guard import release_now
from gatevault.service.config import load_board, load_settings
from gatevault.service.state import StatePaths, read_device


def release_relay(root: Path) -> None:
    """Drive the relay of this state to released. ConfigError, StateError, DeviceError."""
    paths = StatePaths(root)
    bench = read_device(paths).bench
    board = load_board(load_settings(paths.config).gate.board)
    release_now(board, bench=bench, trace=paths.trace if bench else None)
