"""Making a backup: everything but templates, sealed to a recovery key, fetched page by page."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any, Final

from gatevault.core.consent import stamp
from gatevault.core.entries import EntryType
from gatevault.core.errors import BackupError, NotAllowedError, StoreError, UsageError
from gatevault.service.config import load_settings
from gatevault.service.house import House
from gatevault.vault.backup import FORMAT, Contents, pack
from gatevault.vault.keys import Secret
from gatevault.vault.providers.file import FileKeyProvider

PAGE: Final = 512 * 1024
"""Bytes of a backup in one answer: a frame of the control socket holds twice as much."""


class Backup:
    """Runs on the event loop; the disk work goes to the storage thread. Keeps one sealed backup to be fetched."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._sealed = b""
        self._sha256 = ""

    async def make(self, recipient: str | None) -> dict[str, Any]:
        """Seal a backup for a recovery key, to be fetched by `page`; the vault may be locked or damaged.

        UsageError, NotAllowedError for another key than that of config.toml, BackupError, StoreError, and
        ConfigError for a config.toml that a restore could not read.
        """
        house, key = self._house, self._recipient(recipient)

        def work() -> bytes:
            registry = house.stores.need_registry()
            house.stores.need_ledger()
            with suppress(StoreError):
                house.finish_all()  # what a fault of the vault leaves owed, `restore` ends
            registry.check()  # one that has a bad row could not be restored
            config = self._config()
            pack(_EMPTY, key)  # a recovery key that is none is to leave no entry
            house.journal.write(EntryType.BACKED_UP, {"recipient": key[-16:]})
            house_key = FileKeyProvider(house.stores.paths.house_key).load()
            return pack(self._contents(config, house_key), key)

        sealed = await house.storage.run(work)
        self._sealed, self._sha256 = sealed, hashlib.sha256(sealed).hexdigest()
        return {"bytes": len(sealed), "sha256": self._sha256}

    def page(self, sha256: str, start: int) -> dict[str, Any]:
        """The bytes from `start`; with the last of them the backup is let go. BackupError where it is not there."""
        if sha256 != self._sha256 or not 0 <= start < len(self._sealed):
            raise BackupError(
                "This backup is no longer here: another was begun meanwhile, or the daemon was restarted. Make it "
                "again with `gatevault backup make`."
            )
        data = self._sealed[start : start + PAGE]
        if start + len(data) == len(self._sealed):
            self._sealed, self._sha256 = b"", ""
        return {"data": data}

    def _recipient(self, named: str | None) -> str:
        own = self._house.settings.backup.recovery_key
        if own and named not in (None, own):
            raise NotAllowedError(
                "Backups of this device are for the recovery key in its config.toml alone (backup.recovery_key): "
                "leave out --to."
            )
        if not own and named is None:
            raise UsageError("For whom? Give --to gvr1-…, or put backup.recovery_key into config.toml.")
        return own or str(named)

    def _config(self) -> str:
        path = self._house.stores.paths.config
        load_settings(path)
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""  # every setting has a default
        except (OSError, UnicodeError) as error:
            raise BackupError(f"config.toml cannot be read ({error}): no backup was made.") from None

    def _contents(self, config: str, house_key: Secret) -> Contents:
        stores = self._house.stores
        return Contents(
            format=FORMAT,
            device=stores.device.device,
            bench=stores.device.bench,
            made=stamp(self._house.clock.now()),
            house_key=house_key.buffer,
            config=config,
            registry=stores.need_registry().image(),
            ledger=stores.need_ledger().image(),
        )


_EMPTY: Final = Contents(FORMAT, "", False, "", memoryview(bytes(32)), "", b"", b"")
