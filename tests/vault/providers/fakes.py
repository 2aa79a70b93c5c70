"""A key provider in memory that does as the port says, and fails where a test wants it to."""

from __future__ import annotations

from dataclasses import dataclass, field

from gatevault.core.errors import StateError, VaultLockedError
from gatevault.vault.keys import KEY_BYTES, Secret


@dataclass
class Kept:
    """What outlives the process: the chip, the disk, somebody's head."""

    secret: bytes | None = None
    away: bool = False
    """It does not answer."""


@dataclass
class MemoryKeyProvider:
    """One process's view of `kept`. `fail_roll`: `before` or `after` it was carried out."""

    kept: Kept
    name: str = "file"
    rolls: bool = True
    image_opens: bool = False
    fail_roll: str = ""
    _proposal: Secret | None = field(default=None, repr=False)
    _unsettled: bool = False

    def create(self) -> Secret:
        if self.kept.secret is not None:
            raise StateError("There is one already. Nothing was changed.")
        secret = Secret.random()
        self.kept.secret = secret.reveal()
        return secret

    def load(self) -> Secret:
        if self.kept.secret is None or self.kept.away:
            raise VaultLockedError("It is not there: faces are off, cards work.")
        if self._unsettled and self._proposal is not None and self._proposal.reveal() == self.kept.secret:
            self._proposal = None
        self._unsettled = False
        return Secret(self.kept.secret)

    def propose(self) -> Secret:
        if not self.rolls:
            return self.load()
        if self._unsettled:
            raise StateError("Load first.")
        if self._proposal is None:
            self.load().wipe()
            self._proposal = Secret.random()
        return Secret(self._proposal.reveal())

    def roll(self) -> None:
        if not self.rolls:
            return
        if self._proposal is None:
            raise StateError("Nothing was proposed.")
        self._unsettled = True
        if self.fail_roll == "before" or self.kept.away:
            raise VaultLockedError("It did not answer.")
        self.kept.secret = self._proposal.reveal()
        if self.fail_roll == "after":
            raise VaultLockedError("It answered too late.")
        self._proposal, self._unsettled = None, False

    def forget(self) -> None:
        self._proposal = None

    def destroy(self) -> None:
        self.kept.secret = None

    def facts(self) -> dict[str, str]:
        return {"kind": "memory", "size": str(KEY_BYTES)}
