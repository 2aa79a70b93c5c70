"""The opened state: what could be opened, and what is at fault with the rest.

Each store fails alone. A damaged registry leaves the cards of its last verified snapshot; a
missing vault key or damaged vault leaves cards working and faces off; a damaged ledger leaves cards.
Everything here runs on the storage thread once the daemon is up.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar

from gatevault.core.consent import Receipt, stamp
from gatevault.core.errors import GateVaultError, RecordRefusedError, StoreError, VaultLockedError, WrongKeyError
from gatevault.service.state import (
    NO_OPTIONS,
    Device,
    KeyOptions,
    StatePaths,
    check_bench_flag,
    open_house_keys,
    open_vault,
    read_device,
)
from gatevault.vault.files import replace
from gatevault.vault.keys import HouseKeys
from gatevault.vault.ledger import Ledger
from gatevault.vault.registry import Registry, Resident, card_snapshot, open_card_snapshot
from gatevault.vault.vault import Vault

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Person:
    """What decisions need of a resident, kept in RAM: no name."""

    born: str | None
    receipt: Receipt | None
    subject_key: bytes = field(repr=False)
    binding: bytes = b""
    """The receipt's binding, once computed: opening ten thousand templates asks for each."""
    record: bytes = b""
    """The id of this person's row in `vault.db`, likewise."""

    def subject(self, now: datetime) -> str:
        """This person's pseudonym in the ledger this month; gone when the registry's row is."""
        return self.subject_at(stamp(now))

    def subject_at(self, time: str) -> str:
        """The same for an entry's time, RFC 3339."""
        month = time[: len("2026-01")].encode()
        return hmac.new(self.subject_key, b"gv/subj/v1" + month, sha256).hexdigest()[:32]


class Stores:
    """Opened by `open_stores`; attributes that are None are at fault, and `faults` says why."""

    def __init__(self, paths: StatePaths, device: Device, house: HouseKeys) -> None:
        self.paths = paths
        self.device = device
        self.house = house
        self.registry: Registry | None = None
        self.vault: Vault | None = None
        self._shut = False
        self.key_options = NO_OPTIONS
        """What an admin typed for the key provider, for as long as that command runs."""
        self.ledger: Ledger | None = None
        self.cards: dict[bytes, str] = {}
        self.people: dict[str, Person] = {}
        self.site: dict[str, Any] = {}
        """What is recorded of the place, and its installer, by kind."""
        self.latest: datetime | None = None
        """The time of the ledger's last entry: no clock may say less."""
        self.faults: dict[str, GateVaultError] = {}

    def need_registry(self) -> Registry:
        """The registry, or the error that says why it is not there."""
        return _there(self.registry, self.faults.get("registry"))

    def need_vault(self) -> Vault:
        """The vault, locked or open, or the error that says why it is not there."""
        return _there(self.vault, self.faults.get("vault"))

    def need_open_vault(self) -> Vault:
        vault = self.need_vault()
        if not self.unlocked:
            raise self.faults.get("vault") or VaultLockedError("The vault is locked: faces are off, cards work.")
        return vault

    def need_ledger(self) -> Ledger:
        return _there(self.ledger, self.faults.get("ledger"))

    @property
    def unlocked(self) -> bool:
        return self.vault is not None and self.vault.unlocked and not self._shut

    def unlock(self, options: KeyOptions = NO_OPTIONS) -> None:
        """Open the vault; `faults["vault"]` says why it stays locked. GateVaultError."""
        vault = self.need_vault()
        try:
            with self.typed(options):
                vault.unlock()
        except (StoreError, VaultLockedError, WrongKeyError) as error:
            self.faults["vault"] = error
            raise
        self.faults.pop("vault", None)
        self._shut = False

    def shut(self, why: str) -> None:
        """Let nothing be opened from now on, before the vault is locked; `why` is told to who asks for a face."""
        self._shut = True
        self.faults["vault"] = VaultLockedError(why)

    @contextmanager
    def typed(self, options: KeyOptions) -> Iterator[None]:
        """Let the key provider have what an admin typed, and forget it after."""
        self.key_options = options
        try:
            yield
        finally:
            self.key_options = NO_OPTIONS

    def load_person(self, resident: str) -> None:
        """Bring one resident's row from the registry into RAM, after a change."""
        registry = self.need_registry()
        record = self.house.record_id(resident)
        self.people[resident] = _person(registry.resident(resident), registry.receipt(resident), record)

    def reload_cards(self) -> None:
        """Bring the cards into RAM and into their snapshot, after a change."""
        self.cards = self.need_registry().cards()
        try:
            replace(self.paths.snapshot, card_snapshot(self.house, self.device.device, self.cards.items()))
        except OSError as error:
            raise StoreError(
                f"The snapshot of the cards cannot be written ({error.strerror}): the change is kept in the "
                "registry, but free some space, or a damaged registry would not know it."
            ) from None

    def close(self) -> None:
        for store in (self.registry, self.vault, self.ledger):
            if store is not None:
                store.close()


def _person(row: Resident, receipt: Receipt | None, record: bytes) -> Person:
    binding = receipt.binding() if receipt else b""
    return Person(row.born, receipt, bytes.fromhex(row.subject_key), binding, record)


def _there(store: T | None, fault: GateVaultError | None) -> T:
    if store is None:
        raise fault or StoreError("A store is closed: the daemon is stopping.")
    return store


def open_stores(paths: StatePaths) -> Stores:
    """Open what can be opened. Raises only where not even cards can be known, or the state is not ours."""
    device = read_device(paths)
    stores = Stores(paths, device, open_house_keys(paths))
    _attempt(stores, "ledger", _open_ledger)
    _attempt(stores, "registry", _open_registry)
    if stores.registry is None:
        _fall_back_to_snapshot(stores)
    _attempt(stores, "vault", _open_vault)
    return stores


def _attempt(stores: Stores, part: str, opening: Callable[[Stores], None]) -> None:
    try:
        opening(stores)
    except (StoreError, VaultLockedError, RecordRefusedError) as error:
        stores.faults[part] = error
    except WrongKeyError as error:
        if part != "vault":  # without the right house key nothing is known: do not start
            raise
        stores.faults[part] = error


def _open_ledger(stores: Stores) -> None:
    ledger = Ledger(stores.paths.ledger, stores.device.device, stores.house, alone=True)
    try:
        check_bench_flag(ledger, stores.device)
        stores.latest = ledger.latest()
    except GateVaultError:
        ledger.close()
        raise
    stores.ledger = ledger


def _open_registry(stores: Stores) -> None:
    registry = Registry(stores.paths.registry, stores.device.device, stores.house)
    try:
        for resident, (row, receipt) in registry.check().items():
            stores.people[resident] = _person(row, receipt, stores.house.record_id(resident))
        stores.site = registry.site()
        stores.registry = registry
    except GateVaultError:
        stores.registry = None
        registry.close()
        raise
    stores.reload_cards()


def _fall_back_to_snapshot(stores: Stores) -> None:
    """Cards as they last verified; no residents, hence no faces and no administration."""
    stores.people.clear()
    stores.site.clear()
    try:
        box = stores.paths.snapshot.read_bytes()
        stores.cards = open_card_snapshot(stores.house, stores.device.device, box)
    except FileNotFoundError:
        stores.faults["cards"] = StoreError("There is no snapshot of the cards: no card is known.")
    except (OSError, RecordRefusedError) as error:
        stores.faults["cards"] = StoreError(
            f"The snapshot of the cards cannot be used ({error}): no card is known."
        )


def _open_vault(stores: Stores) -> None:
    stores.vault = open_vault(stores.paths, stores.device, lambda: stores.key_options)
    stores.unlock()
