"""The operations that a crash or a power cut falls into, and what must hold whatever it left.

One table: a new command is one line of `OPERATIONS`, with the state that it begins from. Kills of the
real daemon (`tests/service/test_crash.py`) and power cuts (`tests/power`) both go through it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatevault.core import control
from gatevault.core.errors import NotFoundError
from gatevault.core.passphrase import typed
from tests.bench import Bench, eventually
from tests.service.peer import Peer, shows

CARD = "1001"
OTHER_CARD = "2002"

PASSPHRASE = "four words drawn by dice"
RECOVERY_KEY = f"gvr1-09{'00' * 31}"

Facts = dict[str, Any]


@dataclass
class Scene:
    """A bench that dies again and again, and one resident on it."""

    bench: Bench
    folder: Path
    who: str = ""
    peer: Peer | None = None
    done: list[str] = field(default_factory=list)
    """What was killed so far, told where an assertion fails."""

    def live(self) -> None:
        self.bench.start(vision=False)
        self.seen()

    def seen(self) -> None:
        """Let a vision process connect that sees one person, always the same."""
        self.peer = Peer(self.bench.root / "run", shows(1))
        eventually(lambda: self.bench.status()["vision"]["state"] == "ok")

    def dead(self) -> None:
        """The daemon is gone, whatever ended it: let its peer and guard go as well."""
        self.bench.close()
        self.bench.ended()
        self.hung_up()

    def hung_up(self) -> None:
        if self.peer is not None:
            self.peer.close()

    def facts(self) -> Facts:
        """What must change as a whole: the template, the consent, cards, certificates, ledger entries."""
        try:
            held = self.bench.ask(control.ResidentExport(self.who))
        except NotFoundError:
            held = {"template": "gone", "cards": 0, "certificates": [], "receipts": [], "events": []}
        receipts = [receipt["receipt"]["events"][-1]["state"] for receipt in held["receipts"]]
        kinds = (
            *("enrolled", "purged", "consent-given", "consent-withdrawn", "card-added", "resident-removed"),
            *("keys-rotated", "keys-moved"),
        )
        entries = [entry["type"] for entry in self.bench.entries()]
        return {
            "template": held["template"],
            "live receipts": receipts.count("given"),
            "withdrawn receipts": receipts.count("withdrawn"),
            "cards": held["cards"],
            "certificates": len(held["certificates"]),
            "cards in RAM": self.bench.status()["cards"]["count"],
            "residents in RAM": self.bench.status()["registry"]["residents"],
            "key provider": self.bench.status()["vault"]["keys"],
            **{kind: entries.count(kind) for kind in kinds},
        }

    def settled(self) -> None:
        """Wait until the gallery was opened after a start: no template is between disk and RAM."""
        vault = self.bench.status()["vault"]
        if vault["state"] == "locked" and vault["keys"] == "passphrase":
            self.bench.ask(control.VaultUnlock(typed(PASSPHRASE)))
        if self.exists():
            eventually(lambda: self.bench.template(self.who) != "suspended", 5.0)

    def exists(self) -> bool:
        try:
            self.bench.ask(control.ResidentShow(self.who))
        except NotFoundError:
            return False
        return True


@dataclass(frozen=True)
class Operation:
    """One command, and the state that it begins from."""

    prepare: Callable[[Scene], None]
    command: Callable[[Scene], control.Command]
    look: Callable[[Scene], Facts] = lambda _: {}
    """More facts that it changes as a whole, beside those of every scene."""
    entries_only: bool = False
    """It only adds to the ledger, one entry after the other: no fact changes."""
    promises: bool = True
    """Its answer promises that its entries are in the ledger. A card's does not: it never waits."""
    erases: bool = False
    """Ciphertext that was there before is nowhere in the state afterwards."""

    def facts(self, scene: Scene) -> Facts:
        return scene.facts() | self.look(scene)


def person(scene: Scene) -> None:
    if not scene.who or not scene.exists():
        scene.who = scene.bench.add("Somebody", CARD)


def consenting(scene: Scene) -> None:
    person(scene)
    if scene.bench.standing(scene.who) != "live":
        scene.bench.ask(scene.bench.consent(scene.who, CARD))


def without_template(scene: Scene) -> None:
    consenting(scene)
    if scene.bench.template(scene.who) != "none":
        scene.bench.ask(control.Purge(scene.who))


def enrolled(scene: Scene) -> None:
    consenting(scene)
    if scene.bench.template(scene.who) == "none":
        scene.bench.ask(control.Enrol(scene.who, None))


def with_one_card(scene: Scene) -> None:
    person(scene)
    if scene.facts()["cards"] == 2:
        scene.bench.ask(control.CardRemove(OTHER_CARD))


def with_a_key_file(scene: Scene) -> None:
    enrolled(scene)
    if scene.bench.status()["vault"]["keys"] != "file":
        scene.bench.ask(control.KeyMove("file"))


def with_a_key_in_the_tpm(scene: Scene) -> None:
    enrolled(scene)
    if scene.bench.status()["vault"]["keys"] != "tpm2":
        scene.bench.ask(control.KeyMove("tpm2"))


def entries_of(kind: str) -> Callable[[Scene], Facts]:
    """How many entries of a kind there are."""

    def look(scene: Scene) -> Facts:
        return {f"{kind} entries": scene.bench.count(kind)}

    return look


def key_files(scene: Scene) -> Facts:
    """Which providers have a secret here; `.new` is the rest of a replacement that a crash cut short."""
    names = sorted(path.name for path in scene.bench.paths.keys.iterdir() if path.suffix != ".new")
    return {"key files": " ".join(names)}


OPERATIONS = {
    "enrol": Operation(without_template, lambda scene: control.Enrol(scene.who, None)),
    "purge": Operation(enrolled, lambda scene: control.Purge(scene.who), erases=True),
    "withdraw": Operation(enrolled, lambda scene: control.ConsentWithdraw(scene.who), erases=True),
    "enrol-again": Operation(enrolled, lambda scene: control.Enrol(scene.who, None), erases=True),
    "consent-again": Operation(enrolled, lambda scene: scene.bench.consent(scene.who, CARD), erases=True),
    "card-add": Operation(with_one_card, lambda scene: control.CardAdd(scene.who, OTHER_CARD)),
    "remove": Operation(enrolled, lambda scene: control.ResidentRemove(scene.who), erases=True),
    "key-rotate": Operation(enrolled, lambda _: control.KeyRotate(), erases=True),
    "key-move": Operation(
        with_a_key_file, lambda _: control.KeyMove("passphrase", typed(PASSPHRASE)), look=key_files, erases=True
    ),
    "backup": Operation(
        enrolled, lambda _: control.BackupMake(RECOVERY_KEY), look=entries_of("backed-up"), entries_only=True
    ),
    "door-held": Operation(
        enrolled, lambda _: control.DoorUnlock(), look=entries_of("door-held"), entries_only=True
    ),
    "tap": Operation(enrolled, lambda _: control.Tap(CARD), entries_only=True, promises=False),
}

TPM_OPERATIONS = {
    "key-move-tpm2": Operation(with_a_key_file, lambda _: control.KeyMove("tpm2"), look=key_files, erases=True),
    "key-move-from-tpm2": Operation(
        with_a_key_in_the_tpm, lambda _: control.KeyMove("file"), look=key_files, erases=True
    ),
}
"""What needs a TPM beside the gate."""

ENTRIES = [name for name, operation in OPERATIONS.items() if operation.entries_only and operation.promises]
"""The operations that append to the ledger alone, and promise their entry."""

WHOLE = [name for name, operation in OPERATIONS.items() if not operation.entries_only]
"""The operations that change facts, as a whole or not at all."""


def whole(scene: Scene, story: str) -> None:
    """What holds at all times: nothing is pending, the ledger verifies, a card opens, the state agrees."""
    bench = scene.bench
    assert bench.todos() == 0, story
    assert bench.ask(control.LedgerVerify())["ok"], story
    assert bench.status()["health"] == "ok", f"{story}: {bench.status()}"
    if not scene.exists():
        assert bench.tap(CARD)["reason"] == "unknown-card", story
        return
    assert bench.tap(CARD)["relay"] is True, story
    held = bench.ask(control.ResidentExport(scene.who))
    lives = [e["type"] for e in held["events"] if e["type"] in ("enrolled", "purged", "consent-withdrawn")]
    assert (held["template"] == "active") == (lives[-1:] == ["enrolled"]), f"{story}: {lives}"
    for signed in held["receipts"]:
        withdrawn = signed["receipt"]["events"][-1]["state"] == "withdrawn"
        named = [c for c in held["certificates"] if c["certificate"]["receipt"] == signed["receipt"]["receipt_id"]]
        ended = [c for c in named if c["certificate"]["event"] == "consent-withdrawn"]
        assert len(ended) == withdrawn, story
