"""How the gate is: each part's health, in words for people and values for programs."""

from __future__ import annotations

from typing import Any

from gatevault.core.errors import DeviceError, GateVaultError
from gatevault.core.models import kinds
from gatevault.service.gate import Gate
from gatevault.service.sandbox import sandbox


def report(gate: Gate) -> dict[str, Any]:
    """`{"health": "ok" | "degraded", "vision": {"state": …, "pid": …}, "vault": …, …}`."""
    parts: dict[str, dict[str, Any]] = {
        "vision": _vision(gate),
        "vault": _vault(gate),
        "liveness": gate.liveness.report(),
        "matching": _matching(gate),
        "registry": _store(gate, "registry") | {"residents": len(gate.stores.people)},
        "cards": _store(gate, "cards") | {"count": len(gate.stores.cards)},
        "ledger": _ledger(gate),
        "door": _door(gate),
        "readers": _readers(gate),
        "clock": _clock(gate),
        "sandbox": sandbox(gate),
    }
    healthy = all(part["state"] in ("ok", "unlocked", "partial") for part in parts.values())
    return {
        "health": "ok" if healthy else "degraded",
        "device": gate.stores.device.device,
        "gate": gate.settings.gate.name,
        "bench": gate.stores.device.bench,
        "board": gate.board.name,
        **parts,
    }


def _vision(gate: Gate) -> dict[str, Any]:
    eyes, models = gate.eyes, gate.settings.models
    ready = eyes.ready
    own = gate.vision.pid if gate.vision else None
    part: dict[str, Any] = {"state": "ok" if ready else "starting" if own else "down"}
    part["pid"] = ready.pid if ready else own
    part["camera_open"] = eyes.looking
    part["detector"] = models.chosen_detector.kind.value
    part["embedders"] = kinds(models.chosen_embedders)
    if ready:
        part["model"] = ready.model[:16]
    if gate.vision is not None:
        part["restarts"] = max(0, gate.vision.restarts)
    if ready and eyes.camera_fault:
        part["state"] = "fault"
    reason = eyes.fault or eyes.camera_fault
    if not ready and (eyes.unfit or gate.models_fault):
        part["state"] = "fault"
        reason = f"{gate.models_fault or eyes.unfit} Until then faces are off and cards work."
    if eyes.model_faults:
        part |= {"state": "fault", "model_faults": eyes.model_faults}
        reason = (
            f"the face network gave no numbers for {eyes.model_faults} good faces: add its file again with "
            "`gatevault models add`, or replace the device's memory"
        )
    return part | ({"reason": reason} if reason else {})


def _vault(gate: Gate) -> dict[str, Any]:
    faces, fault = gate.faces, gate.stores.faults.get("vault") or gate.faces.unreadable
    state = "unlocked"
    if not gate.stores.unlocked or faces.unreadable is not None:
        state = "locked" if fault is not None and fault.code in ("vault-locked", "wrong-key") else "fault"
    elif faces.refused:
        state = "fault"
    part: dict[str, Any] = {
        "state": state,
        "keys": _provider(gate),
        "templates": len(faces.residents),
        "holder_key": len(faces.holders),
        "suspended": len(faces.suspended),
        "enrol_again": len(faces.outdated),
        "refused": faces.refused,
        "memory": faces.protection,
    }
    if faces.refused:
        part["reason"] = (
            f"{faces.refused} sealed records do not open: those residents use their cards and enrol anew"
        )
    return part | ({"reason": str(fault)} if fault else {})


def _matching(gate: Gate) -> dict[str, Any]:
    faces, settings, calibration = gate.faces, gate.settings.matching, gate.calibration
    if calibration is None:
        return {"state": "fault", "reason": f"{faces.uncalibrated} Until then faces are off and cards work."}
    count = len(faces.residents)
    return {
        "state": "ok",
        "calibration": calibration.figures.name,
        "own_figures": gate.settings.models.calibration is not None,
        "fpir": f"{settings.fpir:g}",
        "residents": count,
        "threshold": f"{calibration.threshold(count, settings.min_frames, settings.fpir):.4f}",
        "look_alikes": len(faces.alike),
    }


def _provider(gate: Gate) -> str:
    try:
        return gate.stores.need_vault().provider.name
    except GateVaultError:
        return "unknown"


def _store(gate: Gate, name: str) -> dict[str, Any]:
    fault = gate.stores.faults.get(name)
    return {"state": "fault", "reason": str(fault)} if fault else {"state": "ok"}


def _ledger(gate: Gate) -> dict[str, Any]:
    part = _store(gate, "ledger")
    if gate.journal.fault is not None:
        part = {"state": "fault", "reason": str(gate.journal.fault)}
    if gate.stores.ledger is not None:
        part |= {"entries": gate.stores.ledger.size, "root": gate.stores.ledger.root}
    return part | {"missed": gate.journal.missed}


def _door(gate: Gate) -> dict[str, Any]:
    fault = gate.doorway.fault or gate.panel.broken
    guarded = gate.guard.alive
    part: dict[str, Any] = {"state": "fault" if fault or not guarded else "ok", "door": gate.doorway.state.value}
    part |= {"relay": gate.relay.energised, "guard": guarded}
    if gate.sensors is not None:
        try:
            part["contacts"] = {kind.value: active for kind, active in gate.sensors.state().items()}
        except DeviceError as error:
            part |= {"state": "fault", "reason": str(error)}
    if not guarded:
        part["reason"] = "the relay's guard is gone: restart the daemon, or a crash may leave the gate open"
    return part | ({"reason": str(fault)} if fault else {})


def _readers(gate: Gate) -> dict[str, Any]:
    each = {reader.name: reader.healthy for reader in gate.readers}
    return {"state": "ok" if all(each.values()) else "fault", "fitted": each}


def _clock(gate: Gate) -> dict[str, Any]:
    behind = int(gate.clock.behind().total_seconds())
    if behind > 120:
        return {
            "state": "fault",
            "reason": f"the clock is {behind} s behind the ledger: set it; consents end on time",
        }
    return {"state": "ok"}
