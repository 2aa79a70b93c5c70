"""Checks that need no daemon, and the daemon's own health: each `ok`, `problem` or `unknown`, with a fix."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from gatevault.core import control
from gatevault.core.errors import DaemonDownError, GateVaultError
from gatevault.service.client import ask
from gatevault.service.config import load_board, load_settings
from gatevault.service.models import problem
from gatevault.service.state import StatePaths, read_device

MIN_FREE_BYTES: Final = 50 * 1024 * 1024
"""Below this the ledger's and the WAL's growth could fill the disk within weeks."""

Finding = tuple[str, str, str]
"""Name, verdict (`ok`, `problem`, `unknown`), what was seen and what to do."""


def examine(root: Path) -> dict[str, Any]:
    """`{"ok": …, "findings": [{"check", "verdict", "text"}, …]}`; a check that could not look is `unknown`."""
    paths = StatePaths(root)
    findings = [_try(name, check, paths) for name, check in _CHECKS.items()]
    findings += _daemon(root)
    body = [{"check": name, "verdict": verdict, "text": text} for name, verdict, text in findings]
    return {"ok": all(verdict == "ok" for _, verdict, _ in findings), "findings": body}


def _try(name: str, check: Callable[[StatePaths], str | None], paths: StatePaths) -> Finding:
    """A check returns None where all is well, else what is wrong."""
    try:
        problem = check(paths)
    except GateVaultError as error:
        problem = str(error)
    except OSError as error:
        return name, "unknown", f"could not look: {error.strerror}"
    return (name, "problem", problem) if problem else (name, "ok", "")


def _state(paths: StatePaths) -> str | None:
    read_device(paths)
    return None


def _config(paths: StatePaths) -> str | None:
    load_board(load_settings(paths.config).gate.board)
    return None


def _permissions(paths: StatePaths) -> str | None:
    for path in (paths.root, paths.house_key, paths.ring, paths.vault, paths.registry, paths.ledger):
        if not path.exists():
            return f"{path.name} is not there: restore it, or see `gatevault status` for what works without"
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o007:
            return f"{path} is open to everybody (mode {mode:o}): run chmod o= on it"
    return None


def _disk(paths: StatePaths) -> str | None:
    free = shutil.disk_usage(paths.root).free
    return None if free >= MIN_FREE_BYTES else f"only {free // 1024} KB are free: make room, or the face path stops"


def _camera(paths: StatePaths) -> str | None:
    kind, _, place = load_settings(paths.config).gate.camera.partition(":")
    if read_device(paths).bench or kind != "v4l2":
        return None
    if not Path(place).exists():
        return f"{place} is not there: connect the camera, or mend gate.camera"
    return None if os.access(place, os.R_OK | os.W_OK) else f"{place} is not open to this user: see hardware/udev"


def _models(paths: StatePaths) -> str | None:
    if not paths.models.is_dir():
        return "there is no models folder: the daemon makes it at its next start"
    return problem(paths.models, load_settings(paths.config).models)


_CHECKS: Final[dict[str, Callable[[StatePaths], str | None]]] = {
    "state": _state,
    "config": _config,
    "permissions": _permissions,
    "disk": _disk,
    "camera": _camera,
    "models": _models,
}


def _daemon(root: Path) -> Iterator[Finding]:
    try:
        parts = ask(root, control.Status(), lambda text: None)
        yield "daemon", "ok", ""
        for name, part in parts.items():
            if isinstance(part, dict):
                well = part["state"] in ("ok", "unlocked")
                yield name, "ok" if well else "problem", "" if well else str(part.get("reason", part["state"]))
        again = parts["vault"]["enrol_again"]
        who = f"the model changed: {again} residents enrol again, and use their cards until then"
        yield "enrolments", "problem" if again else "ok", who if again else ""
        found = ask(root, control.LedgerVerify(), lambda text: None)["problems"]
        count = f"{len(found)} findings: see `gatevault ledger verify`, and call an auditor"
        yield "ledger audit", "problem" if found else "ok", count if found else ""
    except DaemonDownError as error:
        yield "daemon", "problem", str(error)
    except GateVaultError as error:
        yield "ledger audit", "problem", str(error)
