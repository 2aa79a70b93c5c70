"""Keys, captures and rows for the tests of this room."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gatevault.core.entries import EntryType, Moment
from gatevault.vault.keys import Epoch, HouseKeys, Secret, holder_key
from gatevault.vault.record import Place
from gatevault.vault.registry import Resident, Todo, TodoKind

DEVICE = "gv-0011223344556677"
WHO, OTHER = "r-0123456789abcdef", "r-fedcba9876543210"
NAME = "Ouyang Xiaoming 欧阳小明"
CARD, OTHER_CARD = "7001234567", "7007654321"

EPOCH = Epoch(1, Secret(bytes(range(32))))
HOUSE = HouseKeys.derive(Secret(bytes(range(32, 64))))
WRONG_EPOCH = Epoch(1, Secret(bytes(range(1, 33))))
WRONG_HOUSE = HouseKeys.derive(Secret(bytes(range(33, 65))))

MODEL, RECEIPT = b"\xcc" * 32, b"\xbb" * 32
PLACE = Place(DEVICE, False, HOUSE.record_id(WHO), MODEL)
LONG_CARD, OTHER_LONG_CARD = "00112233445566778899AABBCCDDEEFF", "0F112233445566778899AABBCCDDEEFF"
HOLDER = holder_key(LONG_CARD, PLACE.record)


def captures(count: int = 3, dimension: int = 16, seed: int = 1) -> npt.NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def person(name: str = NAME) -> Resident:
    return Resident(name, "1990-04", "5e" * 32)


def todo(op: str = "op-1", kind: TodoKind = TodoKind.NOTE, resident: str = WHO, **payload: Any) -> Todo:
    return Todo(op, kind, resident, EntryType.RESIDENT_ADDED, payload, {})


def at(mono_ms: int = 0, boot: str = "boot-1") -> Moment:
    return Moment(boot, mono_ms, "2026-03-01")


def raw(path: Path) -> bytes:
    """All bytes of a database: file, write-ahead log and its index."""
    files = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]
    return b"".join(file.read_bytes() for file in files if file.exists())


def change(path: Path, statement: str, *values: object) -> int:
    """Alter a database as somebody with the disk in hand would; tells how many rows it changed."""
    connection = sqlite3.connect(path)
    count = connection.execute(statement, values).rowcount
    connection.commit()
    connection.close()
    return count


def look(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows as they lie in the file; what was made no text is shown as `Database` reads it."""
    connection = sqlite3.connect(path)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    rows = connection.execute(query, values).fetchall()
    connection.close()
    return rows


def cells(path: Path, table: str, column: str) -> list[Any]:
    return [row[0] for row in look(path, f"SELECT {column} FROM {table} ORDER BY {column}")]


def set_cell(path: Path, table: str, column: str, old: object, new: object) -> None:
    """Put another value in the one cell of a column that holds `old`."""
    assert change(path, f"UPDATE {table} SET {column} = ? WHERE {column} = ?", new, old) == 1


def damaged(value: bytes | str) -> list[object]:
    """Values that are not what was written: bits flipped at both ends and within, cut, of another kind."""
    if isinstance(value, str):
        return [value + "x", value[:-1], value.swapcase() + "0"]
    found: list[object] = []
    for at in (0, 23, 24, len(value) // 2, len(value) - 17, len(value) - 1):
        flipped = bytearray(value)
        flipped[at] ^= 1
        found.append(bytes(flipped))
    return [*found, value[:-1], value + b"\0", b"", "text", 7]
