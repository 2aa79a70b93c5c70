"""Destroying a vault for good, while no daemon runs: its secret, its ring, its records; and a signed statement.

The order: the provider forgets its secret, and from then on no template of today opens; then ring and records go;
then the ledger tells. A crash in between leaves what does not open; called again, it goes on. What stays is named
in the statement: names, consents, cards and the ledger are no part of the vault.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from gatevault.core.consent import stamp
from gatevault.core.entries import EntryType
from gatevault.core.errors import GateVaultError, StateError, StoreError, UsageError, VaultLockedError
from gatevault.service.clock import TrustedClock
from gatevault.service.models import give
from gatevault.service.state import (
    NO_OPTIONS,
    Device,
    StateLock,
    StatePaths,
    key_provider,
    open_house_keys,
    open_vault,
    read_device,
)
from gatevault.vault.files import replace, sync_directory
from gatevault.vault.keys import HouseKeys
from gatevault.vault.ledger import Ledger
from gatevault.vault.providers.credential import CREDENTIAL, CREDSTORE
from gatevault.vault.providers.port import KeyProvider
from gatevault.vault.ring import Ring
from gatevault.vault.signed import Kind, key_text, signature_of

_METHOD: Final = {
    "file": "The key file was deleted from the file system.",
    "passphrase": "Salt and parameters of the passphrase were deleted; the passphrase itself is in people's heads.",
    "systemd-credential": "The credential's record was deleted, and the sealed credential if this device made it.",
    "tpm2": "The sealed root was deleted, and the TPM's index undefined where there was one.",
    None: "The ring was gone already, so that its key provider is not known.",
}
_RECORDS: Final = (
    "keys/vault.ring, which holds the epoch key under that secret, and vault.db, which holds every record's key "
    "under the epoch key, were deleted with their write-ahead logs."
)
_IMAGE: Final = {
    "file": "An image of the medium taken before holds the key file, and opens.",
    "passphrase": "An image of the medium taken before opens with the passphrase.",
    "systemd-credential": "An image of the medium taken before opens with what sealed the credential: the host key "
    "in that same image, or this device's TPM.",
    "tpm2": "An image of the medium taken before may open with this device's TPM, until that TPM is cleared.",
    None: "An image of the medium taken before may open.",
}
_BEFORE: Final = (
    "The key was with another provider before: an image of the medium taken then holds the keys of then, and "
    "opens. One taken since does not."
)
_DEAD: Final = (
    "An image of the medium taken before does not open, even with this device's TPM, whose index is gone; this "
    "rests on the TPM keeping no older value of it."
)
_FLASH: Final = (
    "Deleting is not overwriting: flash media keep old pages until they are reused, and whoever reads the chips "
    "may find the deleted files there. Where that matters, destroy the medium as well."
)
_ELSEWHERE: Final = "That no copy of a template or a key was made elsewhere before."
_STAYS: Final = ["names and consents", "cards", "the ledger", "the house key, which signed this"]


def destroy_vault(root: Path, device_id: str) -> dict[str, Any]:
    """Destroy the vault of this state; the statement, its signature in hexadecimal, and the key to check it with.

    `device_id` says that it is meant. UsageError where it is another's; StateError where a daemon runs, where there
    is no vault, or where the provider does not forget: nothing was destroyed then.
    """
    paths = StatePaths(root)
    device = read_device(paths)
    if device_id != device.device:
        raise UsageError(f"This device is {device.device}, not {device_id}: nothing was destroyed.")
    lock = StateLock(paths)
    try:
        house = open_house_keys(paths)
        body = _destroy(paths, device)
        body["ledger_entry"] = _enter(paths, device, house, body)
    finally:
        lock.release()
    signature = signature_of(Kind.DESTRUCTION, body, house.receipts).hex()
    return {"destruction": body, "signature": signature, "key": key_text(house.receipts)}


def keep(statement: Path, text: str) -> None:
    """Write the statement to a file of its own, readable by its owner alone. StateError."""
    try:
        replace(statement, text.encode())
    except OSError as error:
        raise StateError(
            f"The vault is destroyed, but {statement} cannot be written ({error.strerror}): keep what is printed."
        ) from None


def _destroy(paths: StatePaths, device: Device) -> dict[str, Any]:
    if not paths.ring.exists() and not paths.vault.exists():
        raise StateError(f"There is no vault in {paths.root}: it was destroyed already, or never made.")
    templates, imaged = _count(paths, device)
    provider = _provider(paths, device)
    kept = any(path != paths.ring for path in paths.keys.glob("vault.*"))
    # Asked before, for afterwards it does not know; nor does it where a crash cut an earlier call short.
    opens = provider is None or not kept or provider.image_opens
    if provider is not None:
        provider.destroy()
    for path in (paths.ring, *(paths.vault.with_name(paths.vault.name + end) for end in ("", "-wal", "-shm"))):
        for each in (path, path.with_name(path.name + ".new")):
            each.unlink(missing_ok=True)
    sync_directory(paths.keys)
    sync_directory(paths.root)
    return _statement(device.device, provider.name if provider else None, templates, (opens, imaged))


def _count(paths: StatePaths, device: Device) -> tuple[int | None, bool]:
    """How many templates there are, and whether images from before may open; None and True where nothing tells."""
    if not paths.vault.exists():
        return None, True
    try:
        vault = open_vault(paths, device, lambda: NO_OPTIONS)
    except StoreError:
        return None, True
    try:
        return len(vault.records()), vault.imaged
    except StoreError:
        return None, True
    finally:
        vault.close()


def _provider(paths: StatePaths, device: Device) -> KeyProvider | None:
    """Where the ring's secret is; None where there is no ring to tell."""
    try:
        return Ring(paths.ring, device.device, lambda name: key_provider(paths, name, NO_OPTIONS)).provider
    except VaultLockedError:
        return None


def _statement(
    device: str, provider: str | None, templates: int | None, image: tuple[bool, bool]
) -> dict[str, Any]:
    """What was done and what that does not prove. `image`: whether one opens, and whether one from before may."""
    opens, imaged = image
    limits = [_ELSEWHERE, _IMAGE[provider] if opens else _BEFORE if imaged else _DEAD, _FLASH]
    if provider == "systemd-credential" and (CREDSTORE / CREDENTIAL).exists():
        limits.append(
            f"The sealed credential {CREDSTORE / CREDENTIAL} was made by somebody else and stays: remove it."
        )
    return {
        "v": "gatevault-destruction/1",
        "id": secrets.token_hex(16),
        "device": device,
        "time": stamp(TrustedClock(None).now()),
        "event": EntryType.VAULT_DESTROYED.value,
        "key_provider": provider,
        "templates": templates,
        "image_of_medium_opens": opens or imaged,
        "method": f"{_METHOD[provider]} {_RECORDS}",
        "does_not_prove": " ".join(limits),
        "stays": _STAYS,
    }


def _enter(paths: StatePaths, device: Device, house: HouseKeys, body: dict[str, Any]) -> int | None:
    """The ledger's entry of it, by number; None where the ledger takes none, which undoes nothing."""
    with suppress(GateVaultError):
        ledger = Ledger(paths.ledger, device.device, house)
        try:
            clock = TrustedClock(ledger.latest())
            told = {key: body[key] for key in ("id", "key_provider", "templates")} | {"time": stamp(clock.now())}
            return ledger.append(clock.moment(), EntryType.VAULT_DESTROYED, told)
        finally:
            ledger.close()
            give(paths.ledger, paths.root.stat())
    return None
