"""`gatevault doctor`: everything that can be checked, in under 20 s, each finding with what, why and the fix.

A check is a function of a `Patient` that gives its findings; what it raises of our own errors is a problem, and
an OSError means that it could not look. All of them, one by one: docs/doctor.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

from gatevault.core import control
from gatevault.core.errors import ConfigError, GateVaultError, StateError
from gatevault.devices.survey import Chip, survey
from gatevault.service import client
from gatevault.service.config import load_board, load_settings
from gatevault.service.doctor import board, camera, daemon, machine, sandbox, state, units
from gatevault.service.doctor.finding import Finding, Verdict, problem, unknown
from gatevault.service.doctor.patient import Ask, Patient
from gatevault.service.doctor.probe import Probe
from gatevault.service.state import StatePaths, read_device

Check = Callable[[Patient], Iterable[Finding]]
T = TypeVar("T")

CHECKS: Final[dict[str, Check]] = {
    "state": state.state,
    "config": state.config,
    "permissions": state.permissions,
    "disk": state.disk,
    "read-only root": state.read_only_root,
    "models": state.models,
    "pins": board.pins,
    "lines": board.lines,
    "relay level": board.relay_level,
    "strict gpio": board.strict_gpio,
    "power": machine.power,
    "temperature": machine.temperature,
    "swap": machine.swap,
    "card wear": machine.wear,
    "clock source": machine.clock_source,
    "services": units.services,
    "failed units": units.failed_units,
    "daemon": daemon.daemon,
    "sandbox": sandbox.sandbox,
    "readers": daemon.readers,
    "contacts": daemon.contacts,
    "camera": camera.camera,
    "key provider": daemon.key_provider,
    "ledger audit": daemon.ledger_audit,
}
"""In the order in which they run: what is quick and concerns all comes first, the ledger's audit last."""


_RAISED: Final = {
    "state": (
        "Without it neither card nor face opens the gate.",
        "Name the right one with --state, run as root, or restore it: gatevault backup restore.",
    ),
    "config": (
        "The daemon does not start with it: neither card nor face would open the gate.",
        "Mend that line: docs/configuration.md has every setting, hardware/README.md every profile.",
    ),
    "lines": ("Nobody can tell whether the pins are free.", "Install GateVault again, with gpiod."),
}
"""Why it matters and what to do, where a check raises one of our errors instead of saying so."""


def examine(
    root: Path,
    probe: Probe | None = None,
    ask: Ask | None = None,
    survey: Callable[[str], Chip] = survey,
) -> dict[str, Any]:
    """`{"ok": …, "seconds": …, "findings": [{"check", "verdict", "fails", "text", "what", "why", "fix"}, …]}`.

    Tests give another machine (`probe`, `survey`) and another daemon (`ask`).
    """
    began = time.monotonic()
    probe = probe or Probe()
    patient = _patient(StatePaths(root), probe, ask or _asking(root, probe), survey)
    findings = [finding for name, check in CHECKS.items() for finding in _look(name, check, patient)]
    return {
        "ok": all(finding.well for finding in findings),
        "seconds": round(time.monotonic() - began, 1),
        "findings": [finding.body() for finding in findings],
    }


def _asking(root: Path, probe: Probe) -> Ask:
    """Questions to the daemon with what patience is left."""

    def ask(command: control.Command) -> dict[str, Any]:
        return client.ask(root, command, lambda _: None, max(1.0, probe.left_s))

    return ask


def _patient(paths: StatePaths, probe: Probe, ask: Ask, survey: Callable[[str], Chip]) -> Patient:
    """Whatever can be read; what cannot is told by its own check."""
    device = _read(lambda: read_device(paths))
    settings = _read(lambda: load_settings(paths.config))
    profile = _read(lambda: load_board(settings.gate.board)) if settings else None
    status, down = None, None
    try:
        status = ask(control.Status())
    except GateVaultError as error:
        down = error
    return Patient(paths, probe, ask, survey, device, settings, profile, status, down)


def _read(reading: Callable[[], T]) -> T | None:
    try:
        return reading()
    except (StateError, ConfigError, OSError):
        return None


def _look(name: str, check: Check, patient: Patient) -> list[Finding]:
    try:
        return list(check(patient))
    except GateVaultError as error:
        if not patient.readable:
            return [unknown(name, str(error), "Run it as root.")]
        return [problem(name, str(error), *_RAISED.get(name, ("", "Mend that, and run this again.")))]
    except OSError as error:
        return [unknown(name, f"could not look: {error.strerror or error}", "Run it as root.")]


__all__ = ["CHECKS", "Finding", "Patient", "Probe", "Verdict", "examine"]
