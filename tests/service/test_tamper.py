"""The housing is opened: templates go from RAM, the vault locks, cards go on. Pins are driven as the world does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gatevault.core.board import Board, Input
from gatevault.core.consent import Standing
from gatevault.core.entries import EntryType
from gatevault.core.errors import VaultLockedError
from gatevault.core.liveness import Tier
from gatevault.core.types import CardRead, Match, Reason
from gatevault.service import gate as module
from gatevault.service.config import load_board
from gatevault.service.gate import Gate
from gatevault.service.state import StatePaths
from gatevault.service.status import report
from gatevault.service.stores import open_stores
from gatevault.vault.gallery import Gallery
from tests.bench import QUICK, configure
from tests.calibrations import shipped
from tests.service.peer import person

TAMPER = 19
Work = Callable[[Gate], Coroutine[Any, Any, None]]


def within(state: Path, work: Work) -> None:
    """Assemble the gate of a bench state in this process."""
    configure(state, QUICK)

    async def whole() -> None:
        gate = Gate(open_stores(StatePaths(state)))
        try:
            await work(gate)
        finally:
            if gate.sensors is not None:
                gate.sensors.close()
            await gate.quiet()
            gate.panel.close()
            gate.relay.close()
            gate.pins.close()
            gate.guard.close()
            gate.storage.close()
            gate.stores.close()

    asyncio.run(whole())


def with_faces(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Gallery:
    """A gallery with a resident in it, whose consent is taken as given."""
    monkeypatch.setattr(gate.faces, "standing", lambda _: Standing.LIVE)
    gate.faces.use_model(b"\x5a" * 32, shipped("dlib"))
    gate.faces.opened.set()
    gate.faces.add("r-1", person(1)[None].copy())
    gallery = gate.faces._gallery
    assert gallery is not None and gallery.view().rows.any()
    return gallery


async def open_housing(gate: Gate) -> None:
    gate.pins.pin(TAMPER).drive_low()
    await asyncio.sleep(0.1)
    assert gate.stores.unlocked, "shut: nothing happens"
    gate.pins.pin(TAMPER).drive_high()
    async with asyncio.timeout(10):
        while gate.stores.unlocked:
            await asyncio.sleep(0.01)


def test_an_opened_housing_wipes_the_gallery_and_locks_the_vault(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(gate: Gate) -> None:
        gate.stores.cards[gate.stores.house.card_hash("11")] = "r-1"
        gate.listen()
        gallery = with_faces(gate, monkeypatch)
        await open_housing(gate)
        assert not gallery._rows.any(), "overwritten, and not only forgotten"
        assert gate.faces.residents == []
        with pytest.raises(VaultLockedError, match="tamper"):
            gate.stores.need_open_vault()
        assert (await gate.access.face()).decision.reason is Reason.VAULT_LOCKED
        assert gate.pins.pin(24).state, "the fault light"
        vault = report(gate)["vault"]
        assert (vault["state"], vault["templates"]) == ("locked", 0)
        assert "tamper" in vault["reason"]
        gate.faces.add("r-1", person(1)[None].copy())  # an enrolment that was under way
        assert not gallery._rows.any()
        ledger = gate.stores.need_ledger()
        async with asyncio.timeout(20):
            while [header.type for header, _ in ledger.entries(0)].count(EntryType.SENSOR) < 2:
                await asyncio.sleep(0.05)
            while not any(header.type is EntryType.VAULT_LOCKED for header, _ in ledger.entries(0)):
                await asyncio.sleep(0.05)
        told = [(header.type, payload) for header, payload in ledger.entries(0)]
        assert [p["by"] for kind, p in told if kind is EntryType.VAULT_LOCKED and p] == ["tamper"]
        assert [p["active"] for kind, p in told if kind is EntryType.SENSOR and p] == [True, False]
        passage = await gate.access.card(CardRead("11", "bench"))
        assert passage.relay, "cards go on"

    within(state, work)


def test_a_match_that_waits_for_the_ledger_does_not_open_an_opened_housing(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(gate: Gate) -> None:
        with_faces(gate, monkeypatch)
        enter = gate.journal.enter

        async def slowly(*arguments: Any, **more: Any) -> None:
            await enter(*arguments, **more)
            gate.lock_vault("tamper")

        monkeypatch.setattr(gate.journal, "enter", slowly)
        passage = await gate.access._face_of(Match("r-1"), 0, 3, Tier.LED)
        assert (passage.decision.reason, passage.relay) == (Reason.VAULT_LOCKED, False)
        assert not gate.relay.energised

    within(state, work)


def test_the_epochs_key_is_overwritten_once_nobody_uses_it(state: Path) -> None:
    async def work(gate: Gate) -> None:
        epoch = gate.stores.need_open_vault()._epoch
        assert epoch is not None
        slot = epoch.key.buffer
        done = threading.Event()
        rotating = asyncio.create_task(gate.storage.run(done.wait))
        gate.lock_vault("tamper")
        await asyncio.sleep(0.1)
        assert any(slot), "what the storage thread has under way ends with the right key"
        done.set()
        await rotating
        async with asyncio.timeout(10):
            while any(slot):
                await asyncio.sleep(0.01)

    within(state, work)


def test_a_gate_whose_housing_is_open_at_the_start_stays_locked(state: Path) -> None:
    async def work(gate: Gate) -> None:
        gate.listen()
        assert gate.stores.unlocked, "a bench's mock pins say nothing"
        gate.sensors.close()  # type: ignore[union-attr]
        gate.stores.device = msgspec.structs.replace(gate.stores.device, bench=False)
        gate.listen()
        assert not gate.stores.unlocked

    within(state, work)


def test_a_board_without_the_contact_is_not_locked(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str) -> Board:
        board = load_board(name)
        assert isinstance(board.tamper, Input)
        return msgspec.structs.replace(board, tamper=None)

    async def work(gate: Gate) -> None:
        gate.stores.device = msgspec.structs.replace(gate.stores.device, bench=False)
        gate.listen()
        assert gate.stores.unlocked

    monkeypatch.setattr(module, "load_board", without)
    within(state, work)
