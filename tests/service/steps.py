"""What several files of these tests do and look at: taps of a holder's card, locked vaults, certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gatevault.core import control
from tests.bench import QUICK, Bench, configure, eventually
from tests.service.peer import Peer, shows

LONG = "A1B2C3D4E5F60718293A4B5C6D7E8F90"
"""A credential of 128 bits, the shortest that can be a key."""
OTHER_LONG = "0F1E2D3C4B5A69788796A5B4C3D2E1F0"


def with_one(root: Path, *, tapped: bool = False) -> str:
    """Enrol One (card 11, person 1) in a stopped bench state, and stop it again; One's pseudonym."""
    configure(root, QUICK)
    bench = Bench(root).start(vision=False)
    peer = Peer(root / "run", shows(1))
    try:
        bench.see()
        resident = bench.enrolled("One", "11", None)
        if tapped:
            bench.tap("11")
        assert bench.stop() == 0
    finally:
        peer.close()
        bench.close()
    return resident


def sealed(bench: Bench) -> list[tuple[Any, ...]]:
    return bench.rows("vault.db", "SELECT record, wrapped, sealed FROM templates JOIN keys USING (record)")


def nothing_is_sealed(bench: Bench) -> bool:
    return [bench.rows("vault.db", f"SELECT count(*) FROM {table}") for table in ("templates", "keys")] == [
        [(0,)]
    ] * 2


def refused_without_card(bench: Bench, peer: Peer) -> None:
    """Nobody is in the gallery and no holder's card was read: the camera stays shut."""
    looks = len(peer.looks)
    walked = bench.walk_up()
    assert (walked["decision"], walked["reason"], walked["relay"]) == ("deny", "holder-card", False)
    assert len(peer.looks) == looks


def opens_after_tap(bench: Bench, resident: str, card: str = LONG) -> None:
    tapped = bench.tap(card)
    assert (tapped["reason"], tapped["relay"], tapped["resident"]) == ("card", True, resident)
    walked = bench.walk_up()
    assert (walked["reason"], walked["relay"], walked["resident"]) == ("matched", True, resident)
    assert ways(bench)[-1] == "card-and-face"


def ways(bench: Bench) -> list[str]:
    return [entry["payload"]["way"] for entry in bench.entries() if entry["type"] == "decision"]


def certificates(bench: Bench, resident: str) -> list[dict[str, Any]]:
    held = bench.ask(control.ResidentExport(resident))["certificates"]
    return [signed["certificate"] for signed in held]


def rows(bench: Bench) -> list[int]:
    """How many rows each table of `vault.db` has."""
    return [bench.rows("vault.db", f"SELECT count(*) FROM {table}")[0][0] for table in ("templates", "keys")]


def is_locked(bench: Bench, peer: Peer, reason: str = "vault-locked") -> None:
    """No face, no look; cards open; status says why."""
    looks = len(peer.looks)
    walked = bench.walk_up()
    assert (walked["decision"], walked["reason"], walked["relay"]) == ("deny", reason, False)
    assert len(peer.looks) == looks, "the camera stays shut"
    vault = bench.status()["vault"]
    assert vault["state"] in ("locked", "fault") and vault["reason"]
    assert (vault["templates"], bench.status()["health"]) == (0, "degraded")
    assert bench.tap("11")["relay"] is True


def unlocked(bench: Bench, templates: int) -> None:
    bench.ask(control.VaultUnlock())
    eventually(lambda: bench.status()["vault"]["templates"] == templates)
    assert bench.status()["health"] == "ok", bench.status()
