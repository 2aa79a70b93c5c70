"""The ledger in the daemon: what an audit compares, what retention erases, what an export holds meanwhile."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from gatevault.cli.ledger import fetch_bundle
from gatevault.core import control
from gatevault.core.entries import EntryType, Keep, keep_of
from gatevault.core.errors import CheckpointError, StoreFullError
from gatevault.core.jcs import MAX_INTEGER
from gatevault.service.audit import verify
from gatevault.service.sealed_faces import fingerprint
from gatevault.vault.audit import audit_bundle
from gatevault.vault.ledger import PAGE, Ledger
from gatevault.vault.registry import TodoKind
from gatevault.vault.vault import Vault
from tests.bench import Bench, copied, eventually
from tests.service.inside import Inside, inside, now
from tests.service.peer import MODEL, Peer, Script, person, shows
from tests.service.steps import with_one
from tests.vault.samples import raw

Seeing = Callable[[Bench, Script], Peer]


@pytest.fixture(scope="module")
def enrolled(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A stopped state where One (card 11) is enrolled, and One's pseudonym."""
    root = copied(blank, tmp_path_factory.mktemp("enrolled") / "state")
    return root, with_one(root, tapped=True)


@pytest.fixture
def bench(enrolled: tuple[Path, str], tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(copied(enrolled[0], tmp_path / "state"))
    yield bench
    bench.close()


@pytest.fixture
def one(enrolled: tuple[Path, str]) -> str:
    return enrolled[1]


async def found(rooms: Inside, anchor: str | None = None) -> list[dict[str, Any]]:
    """The findings of `ledger verify`."""
    return list((await verify(rooms.stores, rooms.house.storage, anchor))["problems"])


def payloads(bench: Bench, kind: EntryType) -> list[dict[str, Any]]:
    return [entry["payload"] for entry in bench.entries() if entry["type"] == kind.value]


# --- templates -----------------------------------------------------------------------------------


def test_enrolments_less_erasures_are_the_live_templates(bench: Bench, one: str, seeing: Seeing) -> None:
    bench.start(vision=False)
    peer = seeing(bench, shows(1))
    bench.ask(control.Enrol(one, None))
    peer.script = shows(2)
    two = bench.enrolled("Two", "22", None)
    assert [told["replaces"] for told in payloads(bench, EntryType.ENROLLED)] == [False, True, False]
    assert bench.ask(control.LedgerVerify())["ok"]
    bench.ask(control.Purge(one))
    bench.ask(control.ConsentWithdraw(one))
    bench.ask(control.ResidentRemove(two))
    assert [payloads(bench, kind)[0]["template"] for kind in ENDS] == [True, False, True]
    assert bench.ask(control.LedgerVerify())["ok"]


ENDS = (EntryType.PURGED, EntryType.CONSENT_WITHDRAWN, EntryType.RESIDENT_REMOVED)


def test_a_template_that_no_entry_tells_of_is_a_finding(bench: Bench) -> None:
    bench.start(vision=False)
    assert bench.ask(control.LedgerVerify())["ok"]
    assert bench.stop() == 0

    async def smuggle(rooms: Inside) -> list[dict[str, Any]]:
        vault = rooms.stores.need_open_vault()
        held = next(vault.rows())
        vault.put(dataclasses.replace(held, record=b"\x07" * 16))
        return await found(rooms)

    (problem,) = inside(bench, now(), smuggle)
    assert problem == {"entry": None, "problem": "the entries tell of 1 templates, and the vault has 2"}


def test_an_erasure_that_is_owed_is_counted_once(bench: Bench, one: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vault refuses twice, and the ledger as well: three intentions of one end."""

    async def work(rooms: Inside) -> None:
        house = rooms.house
        with monkeypatch.context() as patch:
            patch.setattr(Vault, "erase", full)
            for _ in range(2):
                with pytest.raises(StoreFullError):
                    await rooms.erasure.purge(one)
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "append", full)
            await rooms.erasure.withdraw(one, "admin")
        assert len(house.stores.need_registry().todos()) == 3
        assert await found(rooms) == [], "while something is owed nothing is compared"
        await rooms.erasure.settle()
        assert house.stores.need_registry().todos() == []
        assert await found(rooms) == []
        told = [p["template"] for h, p in house.stores.need_ledger().entries(0) if h.type in ENDS and p]
        assert sorted(told) == [False, False, True]

    inside(bench, now(), work)


def full(*_: Any, **__: Any) -> None:
    raise StoreFullError("The disk is full.")


@pytest.mark.parametrize("vault_too", [False, True])
def test_an_enrolment_that_was_never_entered_is_not_taken_off(
    bench: Bench, one: str, monkeypatch: pytest.MonkeyPatch, vault_too: bool
) -> None:
    """Sealed while the ledger was full, and purged before it could be entered; the vault may refuse as well."""

    async def work(rooms: Inside) -> None:
        house = rooms.house
        await rooms.erasure.purge(one)

        def enrol() -> None:
            captures = np.stack([person(1)]).astype(np.float32)
            row = rooms.faces.seal(one, rooms.faces.require_consent(one), captures, bytes.fromhex(MODEL))
            detail = {"record": row.record.hex(), "sealed": fingerprint(row)}
            todo = house.todo(TodoKind.ENROL, one, EntryType.ENROLLED, {"replaces": False}, **detail)
            house.stores.need_registry().put_todo(todo)
            house.stores.need_open_vault().put(row)

        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "append", full)
            await house.storage.run(enrol)
            if vault_too:
                patch.setattr(Vault, "erase", full)
            with pytest.raises(StoreFullError) if vault_too else nullcontext():
                await rooms.erasure.purge(one)
        assert len(house.stores.need_registry().todos()) == 2
        await rooms.erasure.settle()
        assert await found(rooms) == []
        kinds = [h.type for h, _ in house.stores.need_ledger().entries(0)]
        assert kinds.count(EntryType.ENROLLED) == 1

    inside(bench, now(), work)


# --- retention -----------------------------------------------------------------------------------


def test_payloads_go_when_their_time_has_passed_and_the_ledger_verifies(bench: Bench, one: str) -> None:
    async def work(rooms: Inside) -> None:
        ledger = rooms.stores.need_ledger()
        anchor, before = ledger.note, ledger.entries(0)
        gate = [h.i for h, _ in before if keep_of(h.type) is Keep.GATE]
        assert len(gate) >= 4
        assert await rooms.retention.keep() == 0
        rooms.clock.wall = now() + timedelta(days=89)
        assert await rooms.retention.keep() == 0
        assert ledger.size == len(before), "nothing is entered where nothing was erased"
        rooms.clock.wall = now() + timedelta(days=92)
        assert await rooms.retention.keep() == len(gate)
        assert await rooms.retention.keep() == 0, "once a day"
        after = ledger.entries(0)
        assert [h.i for h, payload in after if payload is None] == gate
        (told,) = [payload for h, payload in after if h.type is EntryType.PAYLOADS_ERASED]
        assert told is not None
        assert (told["class"], told["count"], told["templates"]) == ("gate", len(gate), 1)
        assert told["before"] == (rooms.clock.now() - timedelta(days=90)).strftime("%Y-%m-%d")
        assert await found(rooms, anchor) == []
        rooms.clock.wall = now() + timedelta(days=93)
        assert await rooms.retention.keep() == 0

    inside(bench, now(), work)


def test_the_admins_payloads_go_later_and_the_first_entry_never(bench: Bench, one: str) -> None:
    async def work(rooms: Inside) -> None:
        ledger = rooms.stores.need_ledger()
        rooms.clock.wall = now() + timedelta(days=1_100)
        assert await rooms.retention.keep() > 8
        kept = {h.type for h, payload in ledger.entries(0) if payload is not None}
        assert kept == {EntryType.STATE_MADE, EntryType.PAYLOADS_ERASED, EntryType.CLOCK_STEPPED}
        assert await found(rooms) == [], "the number of templates is known all the same"
        rooms.clock.wall = now() + timedelta(days=1_101)
        await rooms.erasure.purge(one)
        assert (ledger.templates(), await found(rooms)) == (0, [])

    inside(bench, now(), work)
    bench.start(vision=False)
    assert bench.ask(control.LedgerVerify())["ok"]


def test_many_payloads_go_in_several_steps(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatevault.service.retention.BATCH", 3)

    async def work(rooms: Inside) -> None:
        rooms.clock.wall = now() + timedelta(days=200)
        erased = await rooms.retention.keep()
        told = [p for h, p in rooms.stores.need_ledger().entries(0) if h.type is EntryType.PAYLOADS_ERASED]
        assert len(told) == -(-erased // 3) > 1
        assert sum((p or {})["count"] for p in told) == erased
        assert await found(rooms) == []

    inside(bench, now(), work)


def test_a_disk_that_is_full_erases_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(rooms: Inside) -> None:
        rooms.clock.wall = now() + timedelta(days=200)
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "append", full)
            with pytest.raises(StoreFullError):
                await rooms.retention.keep()
        assert await rooms.retention.keep() > 0

    inside(bench, now(), work)


def test_a_real_daemon_erases_what_is_past_its_time(bench: Bench) -> None:
    async def later(rooms: Inside) -> None:
        await rooms.house.journal.enter(EntryType.STARTED, {})

    inside(bench, now() + timedelta(days=200), later)
    of_a_passage = """SELECT payload FROM entries WHERE instr(header, CAST('"type":"decision"' AS BLOB))"""
    boxes = [row[0] for row in bench.rows("ledger.db", of_a_passage)]
    assert boxes and all(box in raw(bench.paths.ledger) for box in boxes)
    bench.start(vision=False)
    eventually(lambda: bench.count("payloads-erased") == 1)
    eventually(lambda: not any(box in raw(bench.paths.ledger) for box in boxes))
    assert bench.count("clock-stepped") == 1
    assert bench.ask(control.LedgerVerify())["ok"]
    bench.tap("11")
    assert bench.ask(control.LedgerVerify())["ok"]


# --- anchors and exports -------------------------------------------------------------------------


def test_an_anchor_is_part_of_the_ledger_of_today_or_of_none(bench: Bench) -> None:
    bench.start(vision=False)
    page = bench.ask(control.LedgerExport(MAX_INTEGER))
    assert page["entries"] == []
    anchor = page["checkpoint"]
    bench.tap("11")
    assert bench.ask(control.LedgerVerify(anchor))["ok"]
    size = anchor.splitlines()[1]
    forged = bench.ask(control.LedgerVerify(anchor.replace(f"\n{size}\n", f"\n{int(size) - 1}\n")))
    assert "anchor" in forged["problems"][0]["problem"]
    assert isinstance(bench.refused(control.LedgerVerify("no note")), CheckpointError)


def test_a_bundle_is_whole_while_the_ledger_grows(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.start(vision=False)
    key, stop = bench.ask(control.LedgerExport())["key"], threading.Event()

    def passages() -> None:
        while not stop.is_set():
            bench.tap("99")

    for _ in range(PAGE // 2):
        bench.tap("11")
    anchor = bench.ask(control.LedgerExport())["checkpoint"]
    busy = threading.Thread(target=passages)
    busy.start()
    try:
        sizes = []
        for _ in range(5):
            bundle = fetch_bundle(bench.root)
            report = audit_bundle(msgspec.json.encode(bundle), key, anchor)
            assert not report.problems
            sizes.append(report.entries)
            assert bench.ask(control.LedgerVerify(anchor))["ok"]
    finally:
        stop.set()
        busy.join()
    assert sizes == sorted(set(sizes)) and sizes[0] > PAGE
