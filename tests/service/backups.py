"""A device that was lived in and backed up, and what tests do with its backup."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gatevault.cli.backup import fetch
from gatevault.cli.ledger import fetch_bundle
from gatevault.core import control
from gatevault.core.jcs import MAX_INTEGER
from gatevault.service.restore import restore
from gatevault.service.state import NO_OPTIONS
from gatevault.vault.backup import new_recovery_key
from tests.bench import QUICK, Bench, configure, copied
from tests.service.peer import Peer, shows
from tests.site import RECORDS

NAMES = ("Ouyang Xiaoming", "Grace Hopper")
CARDS = ("7001234567", "7007654321")
SPARE = "7009999999"
"""A second card of the first resident."""


@dataclass(frozen=True)
class BackedUp:
    """A stopped state with two enrolled residents, and what was taken from it while it ran."""

    root: Path
    before: Path
    """The same state, stopped, before the backup."""
    raw: bytes
    key: Path
    public: str
    one: str
    two: str
    anchor: str
    """A checkpoint, and a whole export, taken before the backup."""
    older: bytes

    def restored(self, root: Path, later: bytes | None = None) -> dict[str, Any]:
        """Restore into `root`; what people are told."""
        return restore(root, self.raw, self.key, later, keys="file", options=NO_OPTIONS)


def exported(bench: Bench) -> bytes:
    """The whole ledger as `ledger export` writes it."""
    return msgspec.json.encode(fetch_bundle(bench.root))


def anchored(bench: Bench) -> str:
    return str(bench.ask(control.LedgerExport(MAX_INTEGER))["checkpoint"])


def backed_up_by(bench: Bench, public: str) -> bytes:
    """A backup of a running bench, as the command fetches it."""
    return fetch(bench.root, bench.ask(control.BackupMake(public)))


def live_in(blank: Path, folder: Path) -> BackedUp:
    """Make such a device."""
    root = copied(blank, folder / "state")
    configure(root, QUICK)
    bench, who = Bench(root).start(vision=False), []
    try:
        for number, (name, card) in enumerate(zip(NAMES, CARDS, strict=True), 1):
            peer = Peer(root / "run", shows(number))
            bench.see()
            who.append(bench.enrolled(name, card, None))
            peer.close()
        bench.ask(control.CardAdd(who[0], SPARE))
        bench.ask(control.Purge(who[1]))  # for a certificate
        bench.tap(CARDS[0])
        for record in RECORDS:
            bench.ask(record)
        assert bench.stop() == 0
        before = copied(root, folder / "before")
        public = new_recovery_key(folder / "recovery.key")
        bench.start(vision=False)
        anchor, older = anchored(bench), exported(bench)
        raw = backed_up_by(bench, public)
        assert bench.stop() == 0
    finally:
        bench.close()
    return BackedUp(root, before, raw, folder / "recovery.key", public, who[0], who[1], anchor, older)


def left_behind(folder: Path) -> list[str]:
    """What is in a folder, drafts as well."""
    return sorted(path.name for path in folder.iterdir())


def all_bytes(root: Path) -> bytes:
    """Every file of a state, one after the other."""
    return b"\n".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())
