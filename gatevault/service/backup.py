"""Making a backup: everything but templates, sealed to a recovery key, fetched page by page."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from gatevault.core.consent import stamp
from gatevault.core.entries import EntryType
from gatevault.core.errors import BackupError
from gatevault.service.house import House
from gatevault.vault.backup import FORMAT, Contents, pack
from gatevault.vault.providers.file import FileKeyProvider

PAGE: Final = 512 * 1024
"""Bytes of a backup in one answer: a frame of the control socket holds twice as much."""


class Backup:
    """Runs on the event loop; the disk work goes to the storage thread. Keeps one sealed backup to be fetched."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._sealed = b""

    async def make(self, recipient: str) -> dict[str, Any]:
        """Seal a backup for the recovery key `recipient`, to be fetched by `page`. BackupError, StoreError."""
        house = self._house

        def work() -> bytes:
            house.check_open()
            house.finish_all()
            pack(_EMPTY, recipient)  # a recovery key that is none is to leave no entry
            house.journal.write(EntryType.BACKED_UP, {"recipient": recipient[-16:]})
            return pack(self._contents(), recipient)

        self._sealed = await house.storage.run(work)
        return {"bytes": len(self._sealed), "sha256": hashlib.sha256(self._sealed).hexdigest()}

    def page(self, start: int) -> dict[str, Any]:
        """The bytes from `start`; with the last of them the backup is let go. BackupError where there is none."""
        if not 0 <= start < len(self._sealed):
            raise BackupError("There is no such part of a backup: begin again with `gatevault backup make`.")
        data = self._sealed[start : start + PAGE]
        if start + len(data) == len(self._sealed):
            self._sealed = b""
        return {"data": data}

    def _contents(self) -> Contents:
        stores = self._house.stores
        key = FileKeyProvider(stores.paths.house_key).load()
        try:
            return Contents(
                format=FORMAT,
                device=stores.device.device,
                bench=stores.device.bench,
                made=stamp(self._house.clock.now()),
                house_key=key.reveal(),
                config=stores.paths.config.read_text(encoding="utf-8"),
                registry=stores.need_registry().image(),
                ledger=stores.need_ledger().image(),
            )
        except OSError as error:
            raise BackupError(f"config.toml cannot be read ({error.strerror}): no backup was made.") from None
        finally:
            key.wipe()


_EMPTY: Final = Contents(FORMAT, "", False, "", bytes(32), "", b"", b"")
