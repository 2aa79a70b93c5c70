"""How the gate is: each part's health, in words for people and values for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatevault.service.daemon import Daemon


def report(daemon: Daemon) -> dict[str, Any]:
    """`{"health": "ok" | "degraded", "vision": {"state": …, "pid": …}, "vault": …, …}`."""
    parts: dict[str, dict[str, Any]] = {
        "vision": _vision(daemon),
        "vault": _vault(daemon),
        "registry": _store(daemon, "registry") | {"residents": len(daemon.stores.people)},
        "cards": _store(daemon, "cards") | {"count": len(daemon.stores.cards)},
        "ledger": _ledger(daemon),
        "door": _door(daemon),
        "readers": _readers(daemon),
        "clock": _clock(daemon),
    }
    healthy = all(part["state"] in ("ok", "unlocked") for part in parts.values())
    return {
        "health": "ok" if healthy else "degraded",
        "device": daemon.stores.device.device,
        "gate": daemon.settings.gate.name,
        "bench": daemon.stores.device.bench,
        "board": daemon.board.name,
        **parts,
    }


def _vision(daemon: Daemon) -> dict[str, Any]:
    ready = daemon.eyes.ready
    own = daemon.vision.pid if daemon.vision else None
    part: dict[str, Any] = {"state": "ok" if ready else "starting" if own else "down"}
    part["pid"] = ready.pid if ready else own
    part["camera_open"] = daemon.eyes.looking
    if ready:
        part["model"] = ready.model[:16]
    if daemon.vision is not None:
        part["restarts"] = max(0, daemon.vision.restarts)
    return part | ({"reason": daemon.eyes.fault} if daemon.eyes.fault else {})


def _vault(daemon: Daemon) -> dict[str, Any]:
    faces, fault = daemon.faces, daemon.stores.faults.get("vault") or daemon.faces.unreadable
    state = "unlocked"
    if daemon.stores.vault_keys is None or faces.unreadable is not None:
        state = "locked" if fault is not None and fault.code in ("vault-locked", "wrong-key") else "fault"
    elif faces.refused:
        state = "fault"
    part: dict[str, Any] = {
        "state": state,
        "keys": daemon.stores.device.keys,
        "templates": len(faces.residents),
        "suspended": len(faces.suspended),
        "refused": faces.refused,
        "memory": faces.protection,
    }
    if faces.refused:
        part["reason"] = (
            f"{faces.refused} sealed records do not open: those residents use their cards and enrol anew"
        )
    return part | ({"reason": str(fault)} if fault else {})


def _store(daemon: Daemon, name: str) -> dict[str, Any]:
    fault = daemon.stores.faults.get(name)
    return {"state": "fault", "reason": str(fault)} if fault else {"state": "ok"}


def _ledger(daemon: Daemon) -> dict[str, Any]:
    part = _store(daemon, "ledger")
    if daemon.journal.fault is not None:
        part = {"state": "fault", "reason": str(daemon.journal.fault)}
    if daemon.stores.ledger is not None:
        part |= {"entries": daemon.stores.ledger.size, "head": daemon.stores.ledger.head}
    return part | {"missed": daemon.journal.missed}


def _door(daemon: Daemon) -> dict[str, Any]:
    fault = daemon.doorway.fault or daemon.panel.broken
    guarded = daemon.guard.alive
    part: dict[str, Any] = {"state": "fault" if fault or not guarded else "ok", "door": daemon.doorway.state.value}
    part |= {"relay": daemon.relay.energised, "guard": guarded}
    if daemon.sensors is not None:
        part["contacts"] = {kind.value: active for kind, active in daemon.sensors.state().items()}
    if not guarded:
        part["reason"] = "the relay's guard is gone: restart the daemon, or a crash may leave the gate open"
    return part | ({"reason": str(fault)} if fault else {})


def _readers(daemon: Daemon) -> dict[str, Any]:
    each = {reader.name: reader.healthy for reader in daemon.readers}
    return {"state": "ok" if all(each.values()) else "fault", "fitted": each}


def _clock(daemon: Daemon) -> dict[str, Any]:
    behind = int(daemon.clock.behind().total_seconds())
    if behind > 120:
        return {
            "state": "fault",
            "reason": f"the clock is {behind} s behind the ledger: set it; consents end on time",
        }
    return {"state": "ok"}
