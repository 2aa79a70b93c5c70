"""What daemon and vision are kept from: as they say, and as the kernel says of them."""

from __future__ import annotations

import os
from typing import Any

from gatevault.confine.truth import truth_of
from gatevault.core.confined import Confined
from gatevault.service.gate import Gate


def sandbox(gate: Gate) -> dict[str, Any]:
    """`{"state": "ok" | "partial" | "fault", "daemon": {…}, "vision": {…}, "reason": …}`.

    Something missing is a fault at a gate; a bench, which may run as root or on a kernel without Landlock, is
    `partial`. A gate's vision whose sandbox is not whole does not look at all (`vision` says so).
    """
    ready = gate.eyes.ready
    part: dict[str, Any] = {"state": "ok", "daemon": _process(os.getpid(), gate.confined)}
    if ready is not None:
        part["vision"] = _process(ready.pid, ready.confined)
    missing = [
        f"{name}: {lack}" for name in ("daemon", "vision") if name in part for lack in part[name].pop("lacks")
    ]
    if missing:
        part["state"] = "partial" if gate.stores.device.bench else "fault"
        part["reason"] = "; ".join(missing)
    return part


def _process(pid: int, confined: Confined) -> dict[str, Any]:
    """`files` is what the process says; the rest the kernel's word, where it is not hidden from us."""
    truth = truth_of(pid)
    told: dict[str, Any] = {"files": confined.files}
    if truth is not None:
        told |= {
            "no_new_privileges": truth.no_new_privileges,
            "call_filters": truth.filters,
            "capabilities": f"{truth.capabilities:x}" if truth.capabilities else "none",
        }
    return told | {"lacks": (*confined.lacks, *(truth.lacks() if truth else ()))}
