"""A state with many made-up residents, enrolled one after the other through the rooms of the daemon.

The same `number` is the same person everywhere: name, date of birth, card, face. What a device draws for them
(pseudonym, keys, receipt) is that device's own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gatevault.core.consent import ConsentState, Event, NoticeRef, Receipt
from gatevault.core.entries import EntryType
from gatevault.service.making import make_state
from gatevault.service.state import StatePaths
from gatevault.service.stores import Stores, open_stores
from gatevault.vault.record import Captures
from gatevault.vault.registry import Resident, Todo, TodoKind

MODEL = bytes([0x5A]) * 32
NOTICE = "ab" * 32
DIMENSION = 128
_SYLLABLES = (
    "Ou",
    "yang",
    "Xiao",
    "ming",
    "Gra",
    "ce",
    "Hop",
    "per",
    "Li",
    "欧阳",
    "小明",
    "王",
    "De",
    "An",
    "Ma",
    "ria",
)


def name_of(number: int) -> str:
    """A name of 1 to 5 syllables: lengths differ, as people's do."""
    draw = random.Random(number)
    return "".join(draw.choices(_SYLLABLES, k=draw.randint(1, 5))) + f" {number}"


def card_of(number: int) -> str:
    return f"70{number:08d}"


def face_of(number: int, captures: int = 1) -> Captures:
    """Unit captures, shape (captures, DIMENSION)."""
    rows = np.random.default_rng(number).standard_normal((captures, DIMENSION)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@contextmanager
def house(root: Path, *, durable: bool = False) -> Iterator[Stores]:
    """The stores of a state in `root`, made if it is not there. Not `durable`: nothing waits for the disk."""
    if not root.exists():
        make_state(root, bench=True, keys="file", name="bench", board=None)
    stores = open_stores(StatePaths(root))
    assert not stores.faults
    if not durable:
        for part in (stores.need_registry(), stores.need_vault()._store, stores.need_ledger()):
            part._db.rows("PRAGMA synchronous = OFF")
    try:
        yield stores
    finally:
        stores.close()


def add(
    stores: Stores,
    number: int,
    *,
    captures: int = 1,
    slots: int = 1,
    notice: str = NOTICE,
    model: bytes = MODEL,
) -> str:
    """Resident, card, consent and template of one person, stored as they are at an enrolment; their pseudonym.

    The file of templates is not rebuilt: see `fill`.
    """
    registry, vault = stores.need_registry(), stores.need_vault()
    draw = random.SystemRandom()
    resident = f"r-{draw.randbytes(8).hex()}"
    row = Resident(name_of(number), f"{1940 + number % 70}-{1 + number % 12:02d}", draw.randbytes(32).hex())
    receipt = Receipt(
        receipt_id=f"c-{draw.randbytes(16).hex()}",
        record_id=f"cr-{draw.randbytes(8).hex()}",
        pii_principal_id=resident,
        notice=NoticeRef("entry-1", notice, "en"),
        controllers=("the operator of this gate",),
        storage_locations=(stores.device.device,),
        expires="2099-01-01T00:00:00Z",
        events=(Event("2026-03-01T08:00:00Z", ConsentState.GIVEN),),
    )
    for change in (
        lambda todo: registry.add_resident(resident, row, todo),
        lambda todo: registry.add_card(card_of(number), resident, todo),
        lambda todo: registry.put_receipts([receipt], todo),
    ):
        todo = Todo(draw.randbytes(16).hex(), TodoKind.NOTE, resident, EntryType.RESIDENT_ADDED, {}, {})
        change(todo)
        registry.drop_todo(todo.op)
    place = vault.place(stores.house.record_id(resident), model)
    record = vault.seal(place, receipt.binding(), face_of(number, captures), slots)
    vault._store.put(record, owe_rotation=False)
    return resident


def fill(
    stores: Stores,
    numbers: Sequence[int],
    *,
    captures: int = 1,
    slots: int = 1,
    notice: str = NOTICE,
    tidy: bool = True,
    model: bytes = MODEL,
) -> list[str]:
    """Enrol these people in this order; their pseudonyms. `tidy` brings the files in order, as the daemon does.

    With `notice`, the hash of today's, a daemon takes their consents for living ones.
    """
    residents = [
        add(stores, number, captures=captures, slots=slots, notice=notice, model=model) for number in numbers
    ]
    if tidy:
        stores.need_vault()._store.rebuild()
        stores.need_registry().rebuild()
    return residents
