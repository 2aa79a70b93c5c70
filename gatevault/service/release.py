"""Releasing the relay from outside the daemon: systemd's `ExecStopPost=`, whatever ended it.

`python -m gatevault.service.release STATE` is `gatevault relay-release --state STATE` without the command line's
imports, which take seconds on a busy Pi. Exit status 0 released, 1 not, with a sentence.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gatevault.core.errors import GateVaultError
from gatevault.devices.guard import release_now
from gatevault.service.config import load_board, load_settings
from gatevault.service.state import DEFAULT_STATE, StatePaths, read_device


def release_relay(root: Path) -> None:
    """Drive the relay of this state to released. ConfigError, StateError, DeviceError."""
    paths = StatePaths(root)
    bench = read_device(paths).bench
    board = load_board(load_settings(paths.config).gate.board)
    release_now(board, bench=bench, trace=paths.trace if bench else None)


def main(arguments: list[str]) -> int:
    """As systemd runs it."""
    try:
        release_relay(Path(arguments[0]) if arguments else DEFAULT_STATE)
    except GateVaultError as error:
        sys.stderr.write(f"gatevault: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
