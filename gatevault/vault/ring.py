"""`keys/vault.ring`: the epoch keys, sealed under the secret that a key provider holds.

    {"format": 1, "provider": "file", "boxes": ["…", …]}     boxes in hexadecimal, purpose "ring"
    a box holds, for each epoch: number u32, big-endian ‖ key (32)

There is one box and one epoch in it, but for moments: two epochs while a rotation runs (whichever
`vault.db` is under, counts), and two boxes while the provider's secret changes (whichever opens,
counts). So a crash at any point leaves a ring that opens, and the next opening tidies it.

What a rotation is for: an older `vault.db` does not open with today's ring, and, where the provider
rolls its secret, an older ring does not open with today's secret.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gatevault.core.errors import RecordRefusedError, StoreError, StoreFullError, VaultLockedError, WrongKeyError
from gatevault.vault.files import replace
from gatevault.vault.keys import KEY_BYTES, Epoch, Secret
from gatevault.vault.providers import NAMES
from gatevault.vault.providers.port import KeyProvider
from gatevault.vault.sealing import associated, seal, unseal

_FORMAT: Final = 1
_NUMBER: Final = struct.Struct(">I")
_EPOCH: Final = _NUMBER.size + KEY_BYTES


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    provider: str
    boxes: Annotated[list[str], Meta(min_length=1, max_length=2)]


class Ring:
    """The ring of one device, open or not. While it is open it keeps the provider and its secret."""

    def __init__(self, path: Path, device: str, provider: Callable[[str], KeyProvider]) -> None:
        """`provider` gives the key provider of a name."""
        self._path = path
        self._device = device.encode()
        self._provide = provider
        self._provider: KeyProvider | None = None
        self.rolling = False
        """A crash came while the provider's secret was being replaced: `roll` again, it may not have been."""
        self._secrets: list[Secret] = []
        """The provider's present secret; with it the proposed one, while either may be the present one."""

    @property
    def provider(self) -> KeyProvider:
        """The provider that the ring is sealed with. VaultLockedError where there is no ring; StoreError."""
        return self._provider or self._provide(_read(self._path).provider)

    def make(self, epochs: Sequence[Epoch], name: str) -> None:
        """Seal these epochs with a provider, which makes its secret. StateError where it has one; StoreError.

        A ring that was there goes in the same step; its provider still has its secret.
        """
        provider = self._provide(name)
        secret = provider.create()
        try:
            self._write(epochs, name, [secret])
        except StoreError:
            provider.destroy()
            raise
        self.close()
        self._provider, self._secrets = provider, [secret]

    def open(self) -> list[Epoch]:
        """The epochs in the ring. VaultLockedError, WrongKeyError, StoreError."""
        content = _read(self._path)
        provider = self._provide(content.provider)
        secret = provider.load()
        for box in content.boxes:
            try:
                epochs = _unpack(unseal(secret, bytes.fromhex(box), self._data(content.provider)))
            except (RecordRefusedError, ValueError):
                continue
            self._provider, self._secrets = provider, [secret]
            self.rolling = len(content.boxes) > 1
            return epochs
        secret.wipe()
        provider.forget()
        raise WrongKeyError(
            f"keys/vault.ring does not open with the vault key ({content.provider}): the key is another, or the "
            "ring is an older copy. Faces are off, cards work. Put it right and run `gatevault vault unlock`."
        )

    def write(self, epochs: Sequence[Epoch]) -> None:
        """Replace the epochs in the ring, under the provider's present secret. VaultLockedError, StoreError."""
        if not self._secrets:
            raise VaultLockedError("The vault is locked: unlock it first (`gatevault vault unlock`).")
        self._write(epochs, self.provider.name, self._secrets)

    def roll(self, epochs: Sequence[Epoch]) -> None:
        """Replace the epochs, and the provider's secret where it can be: older rings are dead then. As `write`."""
        provider = self.provider
        if self._secrets and provider.rolls:
            if len(self._secrets) > 1:  # the last roll failed half-way: which of the two is it?
                self._keep_secrets(provider.load())
            self._secrets.append(provider.propose())
            self.write(epochs)
            provider.roll()
            self._keep_secrets(self._secrets.pop())
        self.write(epochs)
        self.rolling = False

    def _keep_secrets(self, *secrets: Secret) -> None:
        for secret in self._secrets:
            secret.wipe()
        self._secrets = list(secrets)

    def close(self) -> None:
        """Forget the provider's secret."""
        if self._provider is not None:
            self._provider.forget()
        self._keep_secrets()
        self._provider = None

    def _write(self, epochs: Sequence[Epoch], provider: str, secrets: Sequence[Secret]) -> None:
        plain = bytearray(_EPOCH * len(epochs))
        for at, epoch in enumerate(epochs):
            _NUMBER.pack_into(plain, at * _EPOCH, epoch.number)
            plain[at * _EPOCH + _NUMBER.size : (at + 1) * _EPOCH] = epoch.key.buffer
        boxes = [seal(secret, plain, self._data(provider)).hex() for secret in secrets]
        plain[:] = bytes(len(plain))
        try:
            replace(self._path, msgspec.json.encode(_File(_FORMAT, provider, boxes)))
        except OSError as error:
            raise StoreFullError(
                f"keys/vault.ring cannot be written ({error.strerror}): the keys were not changed. Free some "
                "space; cards keep opening the gate."
            ) from None

    def _data(self, provider: str) -> bytes:
        return associated("ring", self._device, provider.encode())


def _read(path: Path) -> _File:
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_File)
    except FileNotFoundError:
        raise VaultLockedError(
            "keys/vault.ring is not there: faces are off, cards work. Put it back, or begin anew and enrol again."
        ) from None
    except OSError as error:
        raise VaultLockedError(
            f"keys/vault.ring cannot be read ({error.strerror}): faces are off, cards work."
        ) from None
    except msgspec.MsgspecError:
        raise StoreError("keys/vault.ring is damaged: put back the one that belongs to vault.db.") from None
    if content.format != _FORMAT or content.provider not in NAMES:
        raise StoreError(
            "keys/vault.ring is of a format or key provider that this version lacks: update GateVault."
        )
    return content


def _unpack(plain: bytearray) -> list[Epoch]:
    try:
        if not plain or len(plain) % _EPOCH:
            raise ValueError("the ring is cut short")
        parts = [memoryview(plain)[at : at + _EPOCH] for at in range(0, len(plain), _EPOCH)]
        return [Epoch(_NUMBER.unpack_from(part)[0], Secret(part[_NUMBER.size :])) for part in parts]
    finally:
        plain[:] = bytes(len(plain))
