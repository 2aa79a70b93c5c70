"""What systemd says: our units active and enabled, how often they came back, and what else has failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gatevault.service.doctor.finding import Finding, ok, problem, unknown, warning
from gatevault.service.doctor.patient import Patient

UNITS: Final = ("gatevault.service", "gatevault-vision.service")
TARGET: Final = "gatevault.target"
MANY_RESTARTS: Final = 3
"""So many since the last start of the machine are no accident."""

_SHOW: Final = "LoadState,ActiveState,NRestarts,UnitFileState,Result"


def services(patient: Patient) -> Iterator[Finding]:
    """Our units, and the target that starts them at boot."""
    if patient.bench:
        return
    if not patient.probe.at("/run/systemd/system").is_dir():
        fix = "Run the gate under systemd, with the units that ship."
        yield warning("services", "systemd does not run here", "Nobody restarts a gate that dies.", fix)
        return
    found = [finding for unit in UNITS for finding in _unit(patient, unit)]
    if (_show(patient, TARGET) or {}).get("UnitFileState") not in (None, "enabled"):
        why = "After a power cut nobody starts the gate."
        found.append(warning("services", f"{TARGET} is not enabled", why, f"systemctl enable {TARGET}"))
    yield from found or [ok("services")]


def _unit(patient: Patient, unit: str) -> Iterator[Finding]:
    told = _show(patient, unit)
    log = f"journalctl -u {unit} -b -n 50"
    if told is None:
        yield unknown("services", f"systemctl does not tell of {unit}", "Run it as root.")
    elif told.get("LoadState") == "not-found":
        yield problem("services", f"{unit} is not installed", "Nobody starts it.", "Install GateVault again.")
    elif told.get("ActiveState") != "active":
        what = f"{unit} is {told.get('ActiveState')} ({told.get('Result')})"
        why = "Without vision faces are off; without the daemon the gate does not open at all."
        yield problem("services", what, why, f"{log}; then systemctl restart {unit}")
    elif int(told.get("NRestarts") or 0) > MANY_RESTARTS:
        what = f"{unit} was restarted {told['NRestarts']} times"
        yield warning("services", what, "It dies again and again, and nobody at the gate knows why.", log)


def _show(patient: Patient, unit: str) -> dict[str, str] | None:
    said = patient.probe.run("systemctl", "show", f"--property={_SHOW}", unit)
    rows = dict(line.partition("=")[::2] for line in (said or "").splitlines())
    return rows or None


def failed_units(patient: Patient) -> Iterator[Finding]:
    """Everything else on the machine that systemd could not start."""
    if patient.bench or not patient.probe.at("/run/systemd/system").is_dir():
        return
    said = patient.probe.run("systemctl", "list-units", "--failed", "--plain", "--no-legend")
    names = [line.split()[0] for line in (said or "").splitlines() if line.strip()]
    if said is None:
        yield unknown("failed units", "systemctl does not answer", "Run it as root.")
    elif names:
        why = "A part of the system that the gate may count on (time, devices, disks) is down."
        yield warning("failed units", ", ".join(names), why, f"systemctl status {names[0]}")
    else:
        yield ok("failed units")
