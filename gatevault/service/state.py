"""The state directory: its layout, and what opens it. How it is made: `making`.

config.toml      settings                          keys/vault.ring  epoch keys, sealed by the key provider
device.json      device id, bench flag             keys/vault.*     what the key provider keeps here
vault.db         sealed templates                  keys/house.key   cards, registry, ledger
registry.db      residents, receipts, cards        keys/installer.key  the installer's, until the handover
provisioned.json what the wizard tested            cards.snapshot   cards, if the registry is damaged
                                                   run/             sockets, on a bench
ledger.db        what happened                     bench/pins.jsonl the mock pins' edges, on a bench
models/          the networks' files, which vision reads
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from gatevault.core.errors import LedgerBrokenError, StateError, VaultLockedError
from gatevault.service.config import load_settings
from gatevault.vault.keys import HouseKeys
from gatevault.vault.ledger import Ledger
from gatevault.vault.providers import build_provider
from gatevault.vault.providers.file import FileKeyProvider
from gatevault.vault.providers.passphrase import PassphraseKeyProvider
from gatevault.vault.providers.port import KeyProvider
from gatevault.vault.ring import Ring
from gatevault.vault.vault import Vault

FORMAT: Final = 2
DEFAULT_STATE: Final = Path("/var/lib/gatevault")
RUNTIME: Final = Path("/run/gatevault")


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`device.json`. The bench flag is also in the ledger's first entry and in every sealed record."""

    format: int
    device: str
    bench: bool


@dataclass(frozen=True, slots=True)
class StatePaths:
    """Where everything lies under one state directory."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.toml"

    @property
    def device(self) -> Path:
        return self.root / "device.json"

    @property
    def vault(self) -> Path:
        return self.root / "vault.db"

    @property
    def registry(self) -> Path:
        return self.root / "registry.db"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.db"

    @property
    def snapshot(self) -> Path:
        return self.root / "cards.snapshot"

    @property
    def house_key(self) -> Path:
        return self.keys / "house.key"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def ring(self) -> Path:
        return self.keys / "vault.ring"

    @property
    def installer_key(self) -> Path:
        return self.keys / "installer.key"

    @property
    def provisioned(self) -> Path:
        return self.root / "provisioned.json"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def trace(self) -> Path:
        return self.root / "bench" / "pins.jsonl"

    def runtime(self, bench: bool) -> Path:
        """Where the sockets are: beside a bench state, in /run for a gate."""
        return self.root / "run" if bench else RUNTIME


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """What an admin gives for a key provider: a passphrase as `core.passphrase.typed` gives it, which the caller
    wipes; for a new key in a TPM, PCRs for its policy (`sha256:0,2,7`) and whether to keep an index there that each
    purge changes."""

    passphrase: memoryview | None = field(default=None, repr=False)
    pcrs: str | None = None
    tpm_index: bool = True


NO_OPTIONS: Final = KeyOptions()


def key_provider(paths: StatePaths, name: str, options: KeyOptions) -> KeyProvider:
    """The key provider `name` of this state. StateError for one that there is not; ConfigError, UsageError."""
    tcti = load_settings(paths.config).keys.tcti
    provider = build_provider(name, paths.keys, tcti=tcti, pcrs=options.pcrs, index=options.tpm_index)
    if isinstance(provider, PassphraseKeyProvider) and options.passphrase is not None:
        provider.offer(options.passphrase)
    return provider


def open_vault(paths: StatePaths, device: Device, options: Callable[[], KeyOptions]) -> Vault:
    """The vault of this state, locked. `options` are asked for whenever a provider is needed. StoreError family."""
    ring = Ring(paths.ring, device.device, lambda name: key_provider(paths, name, options()))
    return Vault(paths.vault, ring, device.device, device.bench)


def read_device(paths: StatePaths) -> Device:
    """`device.json`. StateError where there is no state, or one of another version."""
    try:
        device = msgspec.json.decode(paths.device.read_bytes(), type=Device)
    except FileNotFoundError:
        raise StateError(
            f"There is no GateVault state in {paths.root}: make one with `gatevault init`, or name it with --state."
        ) from None
    except OSError as error:
        raise StateError(
            f"{paths.device} cannot be read ({error.strerror}): run as the gate's user or root."
        ) from None
    except msgspec.MsgspecError as error:
        raise StateError(f"{paths.device} is damaged ({error}): restore the state from a backup.") from None
    if device.format != FORMAT:
        raise StateError(f"This state is of format {device.format}, this program reads {FORMAT}: update GateVault.")
    return device


class StateLock:
    """One daemon a state. StateError where another has it; the kernel frees it whatever happens."""

    def __init__(self, paths: StatePaths) -> None:
        self._handle = os.open(paths.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise StateError(f"A daemon is running on {paths.root} already: stop it first.") from None

    def release(self) -> None:
        os.close(self._handle)


def check_bench_flag(ledger: Ledger, device: Device) -> None:
    """Refuse a state whose `device.json` says otherwise than the ledger's first entry."""
    first = ledger.entries(0, 1)
    payload = first[0][1] if first else None
    if payload is None:
        raise LedgerBrokenError("The ledger has lost its first entry: put ledger.db back, or call an auditor.")
    if (payload.get("device"), payload.get("bench")) != (device.device, device.bench):
        raise StateError(
            "device.json does not agree with the ledger's first entry: a bench state cannot become a gate, nor the "
            "reverse. Restore device.json, or make a new state with `gatevault init`."
        )


def open_house_keys(paths: StatePaths) -> HouseKeys:
    """The keys that must be there at boot. StateError without them: not even a card can be known."""
    try:
        return HouseKeys.derive(FileKeyProvider(paths.house_key).load())
    except VaultLockedError as error:
        raise StateError(
            f"The house key does not open, and without it neither cards nor faces can be known: {error}"
        ) from None
