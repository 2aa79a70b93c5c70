"""Whether the sandbox is in force: what the kernel says of the running daemon and of vision, not what a unit asks.

Only /proc is read, so that it holds however the processes were started. (The room `confine`, which applies the
sandbox from inside, reads the same for itself.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gatevault.service.doctor.finding import Finding, advice, ok, problem, unknown, warning
from gatevault.service.doctor.patient import Patient
from gatevault.service.doctor.probe import Probe

_WHY: Final = "The promise that nothing leaves the device is the sandbox's, not the program's good manners."
_FIX: Final = (
    "Install the units as they ship, without drop-ins that weaken them; `systemctl restart gatevault.target`."
)
FILTERED: Final = "2"
"""Seccomp's mode of a process with a filter."""


def sandbox(patient: Patient) -> Iterator[Finding]:
    """Both processes. Nothing where neither runs: `daemon` says that."""
    vision = patient.part("vision")
    if isinstance(pid := (patient.status or {}).get("pid"), int):
        yield _of("sandbox daemon", patient, pid)
    # On a bench, one that the daemon did not start (it would count `restarts`) is somebody's own experiment.
    if isinstance(pid := vision.get("pid"), int) and not (patient.bench and "restarts" not in vision):
        yield _of("sandbox vision", patient, pid)


def _of(check: str, patient: Patient, pid: int) -> Finding:
    try:
        facts = read(patient.probe, pid)
    except PermissionError:
        return unknown(check, f"process {pid} may not be looked at", "Run it as root.")
    if facts is None:
        return unknown(check, f"there is no process {pid} any more", "Run it again.")
    missing = _missing(facts, patient.bench)
    if missing:
        return problem(check, f"not in force: {'; '.join(missing)}", _WHY, _FIX)
    if facts["swapped_kb"]:
        why = "Pixels, keys or templates may lie on the disk."
        return warning(
            check, f"{facts['swapped_kb']} KB of it are swapped", why, "swapoff -a; systemctl restart it."
        )
    if facts["seccomp"] != FILTERED:  # a bench that nobody confined
        return advice(check, "no filter of system calls", _WHY, "A gate's units bring one; a bench holds toys.")
    return ok(check)


def _missing(facts: dict[str, Any], bench: bool) -> list[str]:
    """In words. A bench is started by hand, as whoever does it: what systemd alone can give is not asked there."""
    asked = [
        (facts["no_new_privs"] == "1", "it may gain privileges"),
        (facts["core"] == ("0", "0"), "it may dump its memory"),
    ]
    if not bench:
        asked += [
            (facts["seccomp"] == FILTERED, "no filter of system calls"),
            (facts["capabilities"] == 0, "it has capabilities"),
            (not facts["interfaces"], f"it has a network ({', '.join(facts['interfaces'])})"),
        ]
    return [text for well, text in asked if not well]


def read(probe: Probe, pid: int) -> dict[str, Any] | None:
    """What the kernel says of a process; None where it is gone. PermissionError."""
    base = f"/proc/{pid}"
    status, limits, devices = (probe.text(f"{base}/{name}") for name in ("status", "limits", "net/dev"))
    if status is None or limits is None:
        return None
    told = {name: value.strip() for name, _, value in (line.partition(":") for line in status.splitlines())}
    core = next((line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core file size")), [])
    rows = [line.partition(":")[0].strip() for line in (devices or "").splitlines()[2:]]
    return {
        "no_new_privs": told.get("NoNewPrivs"),
        "seccomp": told.get("Seccomp"),
        "capabilities": int(told.get("CapEff", "1"), 16),
        "core": tuple(core),
        "interfaces": [name for name in rows if name and name != "lo"],
        "swapped_kb": int(told.get("VmSwap", "0 kB").split()[0]),
    }
