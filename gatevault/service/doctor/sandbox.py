"""Whether the sandbox is in force: what the kernel says of the running daemon and of vision, not what a unit asks.

Only /proc is read, so that it holds however the processes were started; what they say of themselves, Landlock among
it, is the part `sandbox` of `gatevault status`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gatevault.confine.truth import parse
from gatevault.service.doctor.finding import Finding, ok, problem, unknown, warning
from gatevault.service.doctor.patient import Patient
from gatevault.service.doctor.probe import Probe

_WHY: Final = "The promise that nothing leaves the device is the sandbox's, not the program's good manners."
_FIX: Final = (
    "Install the units as they ship, without drop-ins that weaken them; `systemctl restart gatevault.target`."
)


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
    return ok(check)


def _missing(facts: dict[str, Any], bench: bool) -> list[str]:
    """In words. A bench is started by hand, as whoever does it: what systemd alone can give is not asked there."""
    truth = facts["truth"]
    missing = [] if bench else list(truth.lacks())
    if bench and not truth.no_new_privileges:
        missing.append("new privileges can be gained")
    if facts["core"] != ("0", "0"):
        missing.append("it may dump its memory")
    if not bench and facts["interfaces"]:
        missing.append(f"it has a network ({', '.join(facts['interfaces'])})")
    return missing


def read(probe: Probe, pid: int) -> dict[str, Any] | None:
    """What the kernel says of a process; None where it is gone. PermissionError."""
    base = f"/proc/{pid}"
    status, limits, devices = (probe.text(f"{base}/{name}") for name in ("status", "limits", "net/dev"))
    if status is None or limits is None:
        return None
    core = next((line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core file size")), [])
    rows = [line.partition(":")[0].strip() for line in (devices or "").splitlines()[2:]]
    swapped = next((line.split()[1] for line in status.splitlines() if line.startswith("VmSwap:")), "0")
    return {
        "truth": parse(status),
        "core": tuple(core),
        "interfaces": [name for name in rows if name and name != "lo"],
        "swapped_kb": int(swapped),
    }
