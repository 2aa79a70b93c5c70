"""What `registry.db` does not tell by the places and lengths of its rows, and when it is written anew."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from gatevault.core.consent import ConsentState
from gatevault.core.errors import StoreError
from gatevault.vault.db import Database
from tests.crowd import card_of, fill, house


def rows(database: Database, query: str) -> list[tuple[object, ...]]:
    return database.rows(query)


def test_receipts_come_back_in_their_order_from_random_places(tmp_path: Path) -> None:
    with house(tmp_path / "state") as stores:
        residents = fill(stores, range(40))
        registry = stores.need_registry()
        places = [row[0] for row in rows(registry._db, "SELECT place FROM receipts ORDER BY rowid")]
        assert len(set(places)) == 40
        assert max(map(int, map(str, places))) > 1 << 50
        first = registry.receipt(residents[0])
        assert first is not None
        ended = first.ended(ConsentState.SUPERSEDED, datetime(2026, 3, 2, tzinfo=UTC))
        for turn in range(6):
            name = f"c-{turn:032x}"
            registry.put_receipts([ended, msgspec.structs.replace(first, receipt_id=name)])
        found = [receipt.receipt_id for receipt, _ in registry.receipts(residents[0])]
        assert found == [first.receipt_id, *(f"c-{turn:032x}" for turn in range(6))]
        everybody = registry.check()
        assert {who: receipt for who, (_, receipt) in everybody.items()} == {
            who: registry.receipt(who) for who in residents
        }
        assert {who: row for who, (row, _) in everybody.items()} == {
            who: registry.resident(who) for who in residents
        }


def test_it_is_written_anew_after_changes_and_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with house(tmp_path / "state") as stores:
        registry, count = stores.need_registry(), 0

        def rebuilt(database: Database) -> None:
            nonlocal count
            count += 1

        monkeypatch.setattr(Database, "rebuild", rebuilt)
        registry.tidy()
        assert count == 1, "a crash may have left it in disorder"
        registry.tidy()
        assert count == 1
        fill(stores, [1, 2], tidy=False)
        registry.tidy()
        registry.tidy()
        assert count == 2
        assert stores.house.card_hash(card_of(1)) in registry.cards()
        registry.tidy()
        assert count == 2, "reading changes nothing"


def test_a_rebuild_that_fails_leaves_no_log_behind(tmp_path: Path) -> None:
    """On a disk that is full, what VACUUM wrote to the write-ahead log is room that withdrawals and cards need."""
    with house(tmp_path / "state") as stores:
        fill(stores, range(60), tidy=False)
        registry, log = stores.need_registry(), tmp_path / "state" / "registry.db-wal"
        assert log.stat().st_size > 0
        registry._db._connection.set_progress_handler(lambda: 1, 100)
        with pytest.raises(StoreError):
            registry.rebuild()
        registry._db._connection.set_progress_handler(None, 0)
        assert log.stat().st_size == 0
        assert len(registry.check()) == 60
