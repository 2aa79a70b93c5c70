"""The vault's keys as an admin handles them: lock, unlock, show, rotate, move to another provider."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final

from gatevault.core.entries import EntryType
from gatevault.core.errors import ConflictError, GateVaultError, KeyAwayError, UsageError
from gatevault.service.house import House
from gatevault.service.state import KeyOptions
from gatevault.vault.registry import TodoKind

LOCKED_BY: Final = {
    "admin": "An admin locked the vault",
    "tamper": "The housing was opened (tamper contact) and the vault locked itself",
}


class KeyKeeper:
    """Runs on the event loop; the disk work goes to the storage thread."""

    def __init__(self, house: House, on_unlock: Callable[[], None]) -> None:
        """`on_unlock` opens the gallery anew."""
        self._house = house
        self._on_unlock = on_unlock

    def shut(self, by: str) -> None:
        """Overwrite the gallery, and let nothing be opened from now on. `by` is a key of `LOCKED_BY`."""
        self._house.stores.shut(f"{LOCKED_BY[by]}: faces are off, cards work. Run `gatevault vault unlock`.")
        self._house.faces.close()

    async def lock(self, by: str) -> dict[str, Any]:
        """Overwrite gallery and keys: faces are off until `unlock`, cards work."""
        house = self._house
        vault = house.stores.need_vault()
        self.shut(by)
        await house.storage.run(vault.lock)  # the keys go when the storage thread is done with them
        await house.journal.enter_soon(EntryType.VAULT_LOCKED, {"by": by})
        return {"vault": "locked"}

    async def unlock(self, passphrase: memoryview | None) -> dict[str, Any]:
        """Open the vault, end what waited for it, open the gallery. VaultLockedError, WrongKeyError, StoreError."""
        house = self._house
        if house.stores.unlocked:
            raise ConflictError("The vault is open already: nothing was changed.")

        def work() -> int:
            house.stores.unlock(KeyOptions(passphrase))
            return house.finish_all()

        try:
            finished = await house.storage.run(work)
        finally:
            self._on_unlock()  # also where what waited has to wait on, for a disk that is full
        await house.journal.enter_soon(EntryType.VAULT_UNLOCKED, {})
        return {"vault": "unlocked", "finished": finished}

    async def ask_again(self) -> None:
        """Unlock where what holds the key had only given no answer; nobody locked the vault then."""
        if isinstance(self._house.stores.faults.get("vault"), KeyAwayError):
            with contextlib.suppress(KeyAwayError):
                await self.unlock(None)

    async def show(self) -> dict[str, Any]:
        """Where the vault's secret is and what a thief of the medium gets. VaultLockedError, StoreError."""
        vault = self._house.stores.need_vault()

        def work() -> dict[str, Any]:
            provider = vault.provider
            return {
                "provider": provider.name,
                "vault": "unlocked" if vault.unlocked else "locked",
                "epoch": vault.epoch if vault.unlocked else None,
                "rolls": provider.rolls,
                "image_of_medium_opens": provider.image_opens,
                "image_from_before_opens": provider.image_opens or vault.imaged,
                **provider.facts(),
            }

        return await self._house.storage.run(work)

    async def rotate(self) -> dict[str, Any]:
        """Wrap every record under fresh keys: no older copy of vault.db opens with the keys of now. As `move`."""
        return await self._turn(None, KeyOptions())

    async def move(self, to: str, options: KeyOptions) -> dict[str, Any]:
        """Rotate, under a secret that another provider makes; the provider before forgets its own.

        VaultLockedError, StateError where that provider has a secret already or cannot make one, StoreError.
        """
        return await self._turn(to, options)

    async def _turn(self, to: str | None, options: KeyOptions) -> dict[str, Any]:
        house = self._house

        def work() -> dict[str, Any]:
            house.check_writable()
            vault = house.stores.need_open_vault()
            before = vault.provider.name
            if to == before:
                raise UsageError(
                    f"The key is with {to} already: to change it, move it to another provider and back."
                )
            kind = EntryType.KEYS_ROTATED if to is None else EntryType.KEYS_MOVED
            payload = {"provider": to or before}
            todo = house.todo(
                TodoKind.ROTATE, "", kind, payload, epoch=str(vault.epoch), **{"from": before, "to": to or before}
            )
            house.stores.need_registry().put_todo(todo)
            with house.stores.typed(options):
                if to is not None:
                    self._move(to, todo.op)
                house.finish(todo)
            body = {"provider": vault.provider.name, "epoch": vault.epoch}
            left = any(owed.op == todo.op for owed in house.stores.need_registry().todos())
            return body | ({"left": f"{before} could not forget its secret yet: see the log"} if left else {})

        return await house.storage.run(work)

    def _move(self, to: str, op: str) -> None:
        vault = self._house.stores.need_open_vault()
        try:
            vault.move(to)
        except GateVaultError:
            if vault.provider.name != to:  # it did not come to pass, and what that provider has is not ours
                self._house.stores.need_registry().drop_todo(op)
            raise
