"""A gate is no bench: mock pins, bench cameras, `tap` and `walk-up` are refused in a production state."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatevault.core import control
from gatevault.core.consent import Standing
from gatevault.core.entries import EntryType
from gatevault.core.errors import BenchOnlyError, GateVaultError, NotRecordedError, StoreFullError
from gatevault.core.liveness import Tier
from gatevault.core.matching import Rows, unit
from gatevault.core.site import SiteKind
from gatevault.core.types import CardRead, Match, Reason
from gatevault.devices.guard import start_guard
from gatevault.devices.pins import open_pins
from gatevault.devices.sensors import SensorEvent
from gatevault.service import access
from gatevault.service import gate as module
from gatevault.service.access import Passage
from gatevault.service.gate import Gate
from gatevault.service.handlers import handlers
from gatevault.service.state import StatePaths
from gatevault.service.stores import open_stores
from tests.bench import gatevault
from tests.calibrations import calibration
from tests.site import RECORDS


@pytest.fixture
def production(tmp_path: Path) -> Path:
    root = tmp_path / "gate"
    made = gatevault("init", "--state", root, "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["bench"] is False
    return root


def test_mock_pins_are_refused(production: Path) -> None:
    ended = gatevault("run", "--state", production, env={"GPIOZERO_PIN_FACTORY": "mock", "PATH": "/usr/bin:/bin"})
    assert ended.returncode == 1
    assert "GPIOZERO_PIN_FACTORY" in ended.stderr and "unset it" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_without_a_chip_it_does_not_start_and_never_guesses(production: Path) -> None:
    if any(Path("/dev").glob("gpiochip*")):
        pytest.skip("this machine has a GPIO chip: it might really start")
    ended = gatevault("run", "--state", production, "--json")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["error"] in ("device", "state")
    assert ended.stderr.count("\n") == 1
    assert not (production / "bench").exists()


def test_the_bench_board_is_refused(production: Path) -> None:
    config = production / "config.toml"
    config.write_text(config.read_text().replace("pi-relay-hat", "bench"))
    ended = gatevault("run", "--state", production)
    assert ended.returncode == 1
    assert "bench" in ended.stderr and ended.stderr.count("\n") == 1


def test_a_bench_option_at_init_of_a_gate_is_not_there(tmp_path: Path) -> None:
    ended = gatevault("init", "--bench", "--board", "pi-relay-hat", "--state", tmp_path / "mixed")
    if ended.returncode == 0:
        ended = gatevault("run", "--state", tmp_path / "mixed")
    assert ended.returncode != 0


Work = Callable[[Gate], Coroutine[Any, Any, None]]


@pytest.fixture
def within(production: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Work], None]:
    """Assemble the gate of a production state in this process. Its pins alone are replaced, by the test."""

    def pins(board: Any, *, bench: bool, trace: Path | None, runtime_dir: Path) -> Any:
        assert not bench and trace is None
        return open_pins(board, bench=True, trace=tmp_path / "pins.jsonl")

    def guard(board: Any, *, bench: bool, trace: Path | None) -> Any:
        assert not bench and trace is None
        return start_guard(board, bench=True, trace=tmp_path / "pins.jsonl")

    monkeypatch.setattr(module, "open_pins", pins)
    monkeypatch.setattr(module, "start_guard", guard)
    monkeypatch.setattr(module, "build_readers", lambda board, wedge, *, bench: [])
    monkeypatch.setattr(StatePaths, "runtime", lambda self, bench: tmp_path / "run")

    def run(work: Work) -> None:
        async def whole() -> None:
            gate = Gate(open_stores(StatePaths(production)))
            try:
                await work(gate)
            finally:
                gate.panel.close()
                gate.relay.close()
                gate.pins.close()
                gate.guard.close()
                gate.storage.close()
                gate.stores.close()

        asyncio.run(whole())

    return run


async def answer(gate: Gate, command: control.Command) -> dict[str, Any]:
    return await handlers(gate)[type(command)](command, lambda text: None)


async def recorded(gate: Gate) -> None:
    """Impact assessment and sign: without them no gate looks at a face."""
    for record in RECORDS:
        await answer(gate, record)


def test_no_command_stands_for_a_sensor_a_card_or_a_camera(within: Callable[[Work], None]) -> None:
    async def work(gate: Gate) -> None:
        resident = (await answer(gate, control.ResidentAdd("One")))["resident"]
        await answer(gate, control.CardAdd(resident, "11"))
        sha256 = (await answer(gate, control.Notice("en")))["sha256"]
        for command in (
            control.WalkUp(),
            control.WalkUp("dir:/tmp"),
            control.Tap("11"),
            control.Enrol(resident, "dir:/tmp"),
            control.Enrol(resident, "file:/tmp/one.png"),
            control.ConsentGive(resident, "en", sha256, tap="11"),
        ):
            with pytest.raises(BenchOnlyError):
                await answer(gate, command)
        assert not gate.relay.energised
        status = await answer(gate, control.Status())
        assert (status["bench"], status["board"]) == (False, "pi-relay-hat")

    within(work)


def test_a_real_readers_card_opens_and_a_held_card_is_one_tap(within: Callable[[Work], None]) -> None:
    """The same flow as `tap`'s, as a reader calls it; a reader repeats a card that is held against it."""

    async def work(gate: Gate) -> None:
        resident = (await answer(gate, control.ResidentAdd("One")))["resident"]
        await answer(gate, control.CardAdd(resident, "11"))
        passage = await gate.access.card(CardRead("11", "wiegand"))
        assert passage.relay and gate.relay.energised
        withdrawn: list[str] = []

        async def withdraw(who: str) -> None:
            withdrawn.append(who)

        gate.access.withdraw = withdraw
        for _ in range(20):
            await gate.access.card(CardRead("11", "wiegand"))
        assert withdrawn == [], "one card held for long is not five taps"

    within(work)


@pytest.mark.parametrize("late", [False, True])
def test_a_matched_face_does_not_outwait_the_ledger(
    within: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """A disk that hangs must not open the gate later, when somebody else may stand there."""
    monkeypatch.setattr(access, "LEDGER_WAIT_S", 0.3)

    async def work(gate: Gate) -> None:
        await recorded(gate)
        resident = (await answer(gate, control.ResidentAdd("One")))["resident"]
        monkeypatch.setattr(gate.faces, "standing", lambda who: Standing.LIVE)
        if late:
            hanging = asyncio.create_task(gate.storage.run(time.sleep, 1.0))
            await asyncio.sleep(0.05)
        passage = await gate.access._face_of(Match(resident), time.monotonic_ns(), 3, Tier.LED)
        assert (passage.decision.granted, gate.relay.energised) == (not late, not late)
        if late:
            assert passage.decision.reason is Reason.FAULT
            await hanging
            await gate.storage.run(lambda: None)
            assert not gate.relay.energised
            told = [h.type for h, _ in gate.stores.need_ledger().entries(0)][-2:]
            assert told == [EntryType.DECISION, EntryType.OUTCOME], "the decision, and that nothing opened"

    within(work)


def test_an_erasure_that_owes_its_entry_spares_a_later_template(
    within: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Withdrawn while the ledger refused, consented and enrolled anew: settling the old must not undo the new."""

    async def work(gate: Gate) -> None:
        await recorded(gate)
        gate.faces.use_model(bytes(32), calibration(4))
        resident = (await answer(gate, control.ResidentAdd("One")))["resident"]
        await answer(gate, control.CardAdd(resident, "11"))

        async def capture(camera: str | None, say: Callable[[str], None]) -> tuple[Rows, dict[str, int]]:
            rows = [unit(np.array([1.0, x, 0.0, 0.0], dtype=np.float32)) for x in (0.0, 0.1, 0.2)]
            return np.stack(rows), {"front": 3}

        async def enrolled() -> bool:
            shown = (await answer(gate, control.Notice("en")))["sha256"]
            giving = asyncio.create_task(answer(gate, control.ConsentGive(resident, "en", shown)))
            while not gate.access._waiting:
                await asyncio.sleep(0.01)
            await gate.access.card(CardRead("11", "wiegand"))
            await giving
            await answer(gate, control.Enrol(resident))
            return await gate.storage.run(gate.faces.has_template, resident)

        monkeypatch.setattr(gate.enrolment, "_capture", capture)
        assert await enrolled()
        with monkeypatch.context() as broken:
            broken.setattr(gate.journal, "write", refusing)
            assert (await gate.erasure.withdraw(resident, "admin"))["certificate"]
        assert not await gate.storage.run(gate.faces.has_template, resident)
        assert await enrolled()
        await gate.erasure.settle()
        assert await gate.storage.run(gate.faces.has_template, resident)
        assert gate.faces.residents == [resident]
        kinds = [h.type for h, _ in gate.stores.need_ledger().entries(0)]
        assert kinds.count(EntryType.CONSENT_WITHDRAWN) == 1, "and the old entry was made"

    within(work)


def refusing(*_: Any, **__: Any) -> int:
    raise StoreFullError("The disk is full.")


def test_the_presence_sensor_asks_to_enter_and_contacts_are_only_recorded(within: Callable[[Work], None]) -> None:
    """Pins driven as the world drives them: a pressed button asks once; door and exit never move the relay."""

    async def work(gate: Gate) -> None:
        asked: list[str | None] = []
        face = gate.access.face

        async def listening(camera: str | None = None) -> Passage:
            asked.append(camera)
            return await face(camera)

        gate.access.face = listening  # type: ignore[method-assign]
        gate.listen()
        board = gate.board
        assert board.presence and board.rex and board.dps
        try:
            gate.pins.pin(board.dps.pin).drive_low()
            gate.pins.pin(board.rex.pin).drive_low()
            gate.pins.pin(board.presence.pin).drive_low()
            gate.pins.pin(board.presence.pin).drive_high()
            ledger = gate.stores.need_ledger()
            async with asyncio.timeout(20):
                while [h.type for h, _ in ledger.entries(0)].count(EntryType.SENSOR) < 2 or not asked:
                    await asyncio.sleep(0.05)
            assert asked == [None], "once, with the camera of config.toml"
            gate._sensed(SensorEvent.MOTION, True)
            gate._sensed(SensorEvent.MOTION, False)
            await asyncio.sleep(0.1)
            assert asked == [None], "a PIR wakes the light, never the camera, and leaves no entry"
            assert not gate.relay.energised
            told = [payload for header, payload in ledger.entries(0) if header.type is EntryType.SENSOR]
            assert {(p["sensor"], p["active"]) for p in told if p} == {("dps", True), ("rex", True)}
        finally:
            assert gate.sensors is not None
            gate.sensors.close()
            await gate.quiet()

    within(work)


def test_a_production_gate_tells_vision_that_it_is_no_bench(within: Callable[[Work], None]) -> None:
    async def work(gate: Gate) -> None:
        assert gate.eyes.hello.bench is False
        assert gate.eyes.hello.camera == "v4l2:/dev/video0"
        assert gate.vision is None, "systemd runs it, as a user of its own"

    within(work)


def test_a_production_states_errors_are_ours(production: Path) -> None:
    for arguments in (("tap", "11"), ("walk-up",), ("status",)):
        ended = gatevault(*arguments, "--state", production, "--json")
        assert ended.returncode == 1
        assert json.loads(ended.stdout)["error"] in ("daemon-down", "not-allowed", "bench-only")
        assert issubclass(BenchOnlyError, GateVaultError)


# --- what must be recorded before faces count (R17) ----------------------------------------------


def test_a_gate_boots_for_cards_alone_until_both_records_are_made(within: Callable[[Work], None]) -> None:
    async def work(gate: Gate) -> None:
        resident = (await answer(gate, control.ResidentAdd("One")))["resident"]
        await answer(gate, control.CardAdd(resident, "11"))
        for missing, record in (("impact assessment", RECORDS[0]), ("sign at the gate", RECORDS[1])):
            status = await answer(gate, control.Status())
            assert status["site"]["faces"] == "off"
            assert f"no {missing}" in status["site"]["reason"]
            assert status["site"]["state"] == "ok", "a gate for cards alone is no fault"
            passage = await gate.access.face()
            assert (passage.decision.reason, passage.relay, passage.frames) == (Reason.NOT_RECORDED, False, 0)
            assert f"no {missing} is recorded" in passage.detail
            with pytest.raises(NotRecordedError, match=missing):
                await answer(gate, control.Enrol(resident))
            assert (await gate.access.card(CardRead("11", "wiegand"))).relay
            await answer(gate, record)
        assert (await answer(gate, control.Status()))["site"]["faces"] == "on"
        assert (await gate.access.face()).decision.reason is not Reason.NOT_RECORDED, "without a restart"
        told = [(h.type, p) for h, p in gate.stores.need_ledger().entries(0) if h.type is EntryType.SITE_RECORDED]
        assert [(p["record"], p["by"]) for _, p in told if p] == [("assessment", "admin"), ("sign", "admin")]
        assert not any("Li" in str(p) or "post" in str(p) for _, p in told), (
            "neither who nor where is in the ledger"
        )

    within(work)


def test_no_setting_of_a_gate_does_without_the_records(production: Path, within: Callable[[Work], None]) -> None:
    config = production / "config.toml"
    config.write_text(config.read_text() + "\n[site]\non_bench = false\n")

    async def work(gate: Gate) -> None:
        assert (await gate.access.face()).decision.reason is Reason.NOT_RECORDED

    within(work)


def test_a_record_taken_back_while_a_face_is_matched_opens_nothing(
    within: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(gate: Gate) -> None:
        await recorded(gate)
        resident = (await answer(gate, control.ResidentAdd("One")))["resident"]
        monkeypatch.setattr(gate.faces, "standing", lambda who: Standing.LIVE)
        enter = gate.journal.enter

        async def meanwhile(kind: EntryType, payload: dict[str, Any], **more: Any) -> None:
            await enter(kind, payload, **more)
            if kind is EntryType.DECISION:
                await answer(gate, control.SiteRevoke(SiteKind.SIGN))

        monkeypatch.setattr(gate.journal, "enter", meanwhile)
        passage = await gate.access._face_of(Match(resident), time.monotonic_ns(), 3, Tier.LED)
        assert (passage.decision.reason, passage.relay) == (Reason.NOT_RECORDED, False)
        assert not gate.relay.energised

    within(work)


def test_a_record_taken_back_turns_faces_off_though_the_disk_refuses(
    within: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(gate: Gate) -> None:
        await recorded(gate)
        with monkeypatch.context() as broken:
            broken.setattr(gate.stores.need_registry(), "drop_site", refusing)
            with pytest.raises(StoreFullError):
                await answer(gate, control.SiteRevoke(SiteKind.SIGN))
        assert (await gate.access.face()).decision.reason is Reason.NOT_RECORDED

    within(work)
