"""A stolen device, with every key that it has, does not open a holder's template (R25). With the card it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from nacl.encoding import RawEncoder
from nacl.hash import blake2b

from gatevault.core import control
from gatevault.core.consent import KeyMode
from gatevault.core.errors import HolderKeyNeededError, RecordRefusedError
from gatevault.service.state import NO_OPTIONS, open_house_keys, open_vault, read_device
from gatevault.service.stores import Stores, open_stores
from gatevault.vault.keys import KEY_BYTES, Epoch, Secret, holder_key
from gatevault.vault.record import Place, open_template
from gatevault.vault.ring import Ring
from gatevault.vault.sealing import open_into, unseal
from gatevault.vault.templates import Row
from tests.bench import Bench
from tests.service.peer import Peer, Script, person, shows
from tests.service.steps import LONG

Seeing = Callable[[Bench, Script], Peer]

SHORT = "04A23F91B2C380"


@dataclass
class Loot:
    """What a thief has who took the whole device and can run its code."""

    root: Path
    stores: Stores
    epochs: list[Epoch]
    rows: dict[str, Row]
    """Of each resident."""

    def place(self, who: str) -> Place:
        return self.stores.need_vault().place(self.rows[who].record, self.rows[who].model)

    def receipt(self, who: str) -> bytes:
        return self.stores.people[who].binding

    def inner(self, who: str) -> bytearray:
        """What lies under the epoch's key: a mode, and a key or a holder's box."""
        epoch = self.epochs[0]
        data = self.place(who).data("record-key", epoch.number.to_bytes(4, "big"))
        return unseal(epoch.key, self.rows[who].template.wrapped, data)


@pytest.fixture
def people(quick: Bench, seeing: Seeing) -> tuple[str, str]:
    """A stopped bench where One's template is a holder's, with the card LONG, and Two's the device's."""
    quick.start(vision=False)
    peer = seeing(quick, shows(1))
    one = quick.enrolled("One", LONG, None, KeyMode.HOLDER)
    quick.ask(control.CardAdd(one, SHORT))
    peer.script = shows(2)
    two = quick.enrolled("Two", "22", None)
    peer.script = shows(1)
    assert quick.tap(LONG)["relay"] is True
    assert quick.walk_up()["resident"] == one
    assert quick.stop() == 0
    return one, two


@pytest.fixture
def loot(quick: Bench, people: tuple[str, str]) -> Iterator[Loot]:
    stores = open_stores(quick.paths)
    assert not stores.faults
    epochs = _ring(quick).open()
    rows = {row.record: row for row in stores.need_vault().rows()}
    yield Loot(quick.root, stores, epochs, {who: rows[stores.house.record_id(who)] for who in people})
    stores.close()


def _ring(bench: Bench) -> Ring:
    """The ring as `open_vault` opens it."""
    vault = open_vault(bench.paths, read_device(bench.paths), lambda: NO_OPTIONS)
    ring = vault._ring
    vault._store.close()
    return ring


def guesses(loot: Loot, who: str) -> Iterator[bytes]:
    """Every secret of 32 bytes that the device holds, or that its code makes of what it holds."""
    stores, house = loot.stores, loot.stores.house
    named = [epoch.key.reveal() for epoch in loot.epochs]
    named += [key.reveal() for key in (house.registry, house.card, house.link, house.journal)]
    named += [key.reveal() for key in (house.ledger, house.receipts)]
    named += [
        bytes.fromhex((loot.root / "keys" / f"{name}.key").read_text().split()[1]) for name in ("vault", "house")
    ]
    named += [stores.people[person].subject_key for person in stores.people]
    named += list(stores.cards)  # the keyed hashes of the cards, LONG's among them
    named += [loot.receipt(who), bytes(KEY_BYTES)]
    device, record = stores.device.device, loot.rows[who].record
    words = [who, device, SHORT, "", record.hex(), *(value.hex() for value in named)]
    words += [word.upper() for word in words]
    yield from named
    for word in words:  # what a card would have had to say
        yield holder_key(word[:64], record).reveal()
        yield house.card_hash(word)
    for key in named:
        for context in (b"gv/holder-key/v1", b"gv/wrap/v1", b"gv/card/v1", b"gv/link/v1"):
            yield blake2b(b"", key=key, person=context, encoder=RawEncoder)
            yield blake2b(record, key=key, person=context, encoder=RawEncoder)
    yield from windows(loot.root)


def windows(root: Path) -> set[bytes]:
    """Every run of 32 bytes in every file of the state but the public networks; in `keys/` also what 64 hexadecimal
    digits tell."""
    found: set[bytes] = set()
    for path in root.rglob("*"):
        if path.is_file() and path.parent.name != "models":
            content = path.read_bytes()
            found.update(content[i : i + KEY_BYTES] for i in range(len(content) - KEY_BYTES + 1))
            if path.parent.name == "keys":
                for i in range(len(content) - 2 * KEY_BYTES + 1):
                    try:
                        found.add(bytes.fromhex(content[i : i + 2 * KEY_BYTES].decode("ascii")))
                    except ValueError:
                        continue
    return found


def opens(loot: Loot, who: str, guess: bytes) -> bool:
    """Whether a guess opens the holder's box, or the template itself."""
    key, inner, place = Secret(guess), loot.inner(who), loot.place(who)
    try:
        open_into(key, bytes(inner[1:]), place.data("holder-key"), bytearray(KEY_BYTES))
    except RecordRefusedError:
        try:
            unseal(key, loot.rows[who].template.sealed, place.data("template", loot.receipt(who)))
        except RecordRefusedError:
            return False
    return True


def test_the_devices_keys_open_every_other_template(loot: Loot, people: tuple[str, str]) -> None:
    """The loot is whole: a thief reads what the device's keys open."""
    _, two = people
    captures = open_template(loot.epochs[0], loot.place(two), loot.receipt(two), loot.rows[two].template)
    assert float(np.max(captures @ person(2))) > 0.9
    assert loot.inner(two)[0] == 0
    record_key = bytes(loot.inner(two)[1 : 1 + KEY_BYTES])
    assert opens(loot, two, record_key)


def test_no_secret_of_the_device_opens_a_holders_template(loot: Loot, people: tuple[str, str]) -> None:
    one, _ = people
    template = loot.rows[one].template
    assert loot.inner(one)[0] == 1
    with pytest.raises(HolderKeyNeededError):
        open_template(loot.epochs[0], loot.place(one), loot.receipt(one), template)
    tried = set(guesses(loot, one))
    assert len(tried) > 20_000
    assert {epoch.key.reveal() for epoch in loot.epochs} <= tried
    assert not [guess for guess in tried if opens(loot, one, guess)]


def test_the_search_finds_a_key_that_lies_about(loot: Loot, people: tuple[str, str]) -> None:
    one, _ = people
    key = holder_key(LONG, loot.rows[one].record).reveal()
    (loot.root / "forgotten").write_bytes(b"\0" * 11 + key + b"\0" * 5)
    assert [guess for guess in set(guesses(loot, one)) if opens(loot, one, guess)] == [key]


def test_with_the_card_it_opens(loot: Loot, people: tuple[str, str]) -> None:
    one, _ = people
    key = holder_key(LONG, loot.rows[one].record)
    assert opens(loot, one, key.reveal())
    captures = open_template(loot.epochs[0], loot.place(one), loot.receipt(one), loot.rows[one].template, key)
    assert float(np.max(captures @ person(1))) > 0.9


def test_the_card_alone_opens_nothing_either(loot: Loot, people: tuple[str, str], quick: Bench) -> None:
    """The card's box lies in the epoch's: who has vault.db and the card needs the device's key as well."""
    one, _ = people
    key = holder_key(LONG, loot.rows[one].record)
    with pytest.raises(RecordRefusedError):
        open_template(Epoch(1, key), loot.place(one), loot.receipt(one), loot.rows[one].template, key)
    assert open_house_keys(quick.paths).record_id(one) == loot.rows[one].record
