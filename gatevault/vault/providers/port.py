"""The port behind which the vault's secret lives, and how each provider is asked to replace it.

A provider gives one secret of 32 bytes; the ring file beside it holds the keys that templates are
sealed under, sealed in turn under that secret. A rotation is three steps, each harmless to repeat:

1. the ring is written sealed under the present secret *and* under the one that `propose` gives;
2. `roll` makes the proposed secret the present one;
3. the ring is written sealed under the present secret alone.

Whichever step a crash interrupts, the secret that `load` gives afterwards opens the ring.
"""

from __future__ import annotations

from typing import Protocol

from gatevault.vault.keys import Secret


class KeyProvider(Protocol):
    """Where the vault's secret lives. Not safe for threads: the storage thread alone calls it."""

    @property
    def name(self) -> str:
        """`file`, `passphrase`, `systemd-credential` or `tpm2`."""
        ...

    @property
    def rolls(self) -> bool:
        """Whether `roll` replaces the secret, so that an older ring does not open with today's secret."""
        ...

    @property
    def image_opens(self) -> bool:
        """Whether an image of the whole medium, taken before a roll, opens again.

        False only where the roll changes something that is not on the medium: the TPM's index.
        """
        ...

    def create(self) -> Secret:
        """Make a fresh secret. StateError where one is there already: never replaces, never destroys."""
        ...

    def load(self) -> Secret:
        """The present secret. VaultLockedError where it cannot be had now; StoreError where its file is damaged."""
        ...

    def propose(self) -> Secret:
        """The secret that `roll` will make the present one; the present one itself where `rolls` is False.

        The same secret until a roll succeeded. After a roll that failed it may be present or not: call
        `load` first, which settles that (StateError otherwise), for a ring sealed under what was
        present before would not open after a crash. Raises as `load` does besides.
        """
        ...

    def roll(self) -> None:
        """Make the proposed secret the present one, durably; nothing where `rolls` is False.

        After a crash the present secret is the one or the other. StateError where nothing was
        proposed. StoreError or VaultLockedError where it failed: either may then be present; repeat
        it, or `load` and begin again.
        """
        ...

    def forget(self) -> None:
        """Wipe what is kept of the secret in memory: the vault is locked, or the keys are elsewhere now."""
        ...

    def destroy(self) -> None:
        """Forget the secret. Harmless when repeated and when nothing is there. StateError where it may not."""
        ...

    def facts(self) -> dict[str, str]:
        """What `gatevault key show` tells: kind, where, policy, thief, and a warning. Never a secret."""
        ...


def nothing_proposed() -> str:
    """The message of StateError for a roll that no proposal went before."""
    return "The vault's secret was not replaced: no ring is sealed under a new one. Nothing was changed."


def unsettled() -> str:
    """The message of StateError for a proposal while it is open whether the last roll was carried out."""
    return "The last change of the vault's secret failed half-way: unlock the vault again before the next."
