"""One gate: the rooms put together, and what happens when the world outside does something."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from gatevault.core import wire
from gatevault.core.calibration import Calibration
from gatevault.core.confined import NOT_CONFINED, Confined
from gatevault.core.entries import EntryType
from gatevault.core.errors import (
    CalibrationError,
    GateVaultError,
    ModelError,
    ProtocolError,
    StateError,
    StoreError,
)
from gatevault.core.models import DLIB
from gatevault.core.schedule import parse
from gatevault.core.types import CardRead
from gatevault.devices.guard import start_guard
from gatevault.devices.indicator import Indicator
from gatevault.devices.pins import open_pins
from gatevault.devices.readers import Reader, build_readers
from gatevault.devices.relay import Relay
from gatevault.devices.sensors import SensorEvent, Sensors
from gatevault.service.access import Access
from gatevault.service.backup import Backup
from gatevault.service.calibrations import load_calibration
from gatevault.service.clock import TrustedClock
from gatevault.service.config import load_board, load_settings
from gatevault.service.doorway import Doorway
from gatevault.service.enrolment import Enrolment
from gatevault.service.erasure import Erasure
from gatevault.service.eyes import Eyes
from gatevault.service.faces import CHUNK, Faces
from gatevault.service.house import House
from gatevault.service.journal import Journal
from gatevault.service.keykeeper import KeyKeeper
from gatevault.service.liveness import Liveness
from gatevault.service.models import make_folder
from gatevault.service.notice import current_hashes
from gatevault.service.own_taps import OwnTaps
from gatevault.service.panel import Panel
from gatevault.service.people import People
from gatevault.service.retention import Retention
from gatevault.service.storage import StorageThread
from gatevault.service.stores import Stores
from gatevault.service.vision_process import VisionProcess

log = logging.getLogger("gatevault")

VISION_SOCKET: Final = "vision.sock"
"""Its name in the runtime directory."""

MODELS_PAUSE_S: Final = 60.0
"""How long after a failure the models folder is not tried again."""

COMPARED: Final = 64
"""Residents compared with all at a time: some 10 ms among ten thousand, in which no card is heard."""


class Gate:
    """Everything behind one doorway. Used on the event loop alone."""

    def __init__(self, stores: Stores, confined: Confined = NOT_CONFINED) -> None:
        """Put the rooms together and release the relay. `confined`: this process. ConfigError, DeviceError."""
        self.confined = confined
        paths, device = stores.paths, stores.device
        self.stores = stores
        self.settings = load_settings(paths.config)
        self.board = load_board(self.settings.gate.board)
        if device.bench != (self.board.name == "bench"):
            raise StateError("A bench state runs on the board `bench`, a gate on a real one: mend gate.board.")
        self.runtime = made(paths.runtime(device.bench))
        trace = paths.trace if device.bench else None
        self.pins = open_pins(self.board, bench=device.bench, trace=trace, runtime_dir=self.runtime)
        self.guard = start_guard(self.board, bench=device.bench, trace=trace)
        self.relay = Relay(self.board.relay, self.pins)
        self.doorway = Doorway(self.relay, self.board.relay.pulse_ms)
        self.panel = Panel(Indicator(self.board, self.pins))
        self.storage = StorageThread()
        self.clock = TrustedClock(stores.latest)
        self.journal = Journal(stores, self.storage, self.clock)
        self.faces = Faces(stores, self.clock, current_hashes(self.settings))
        camera = _camera(self.settings.gate.camera)
        self.vision: VisionProcess | None = None
        if self.settings.gate.start_vision:
            self.vision = VisionProcess(self.runtime, VISION_SOCKET, paths.models, bench=device.bench)
        self.liveness = Liveness(self.settings.liveness, self.board, device.bench)
        infrared = _camera(self.settings.liveness.infrared_camera)
        hello = wire.Hello(
            *(wire.VERSION, device.bench, camera, self.settings.look, self.settings.models),
            infrared=infrared,
            site=self.settings.liveness.site,
            veto=self.settings.liveness.veto,
        )
        self.eyes = Eyes(
            hello,
            lights=self.panel,
            on_ready=self._vision_ready,
            on_unfit=self._models_unfit,
            on_camera=self.panel.privacy,
            on_hung=self.vision.kill if self.vision else lambda: None,
        )
        schedule = parse(self.settings.schedule.hours)
        self.access = Access(
            stores,
            self.storage,
            self.faces,
            self.eyes,
            self.doorway,
            self.panel,
            self.journal,
            self.clock,
            schedule,
            self.settings.matching,
            self.liveness,
        )
        self.house = House(stores, self.storage, self.clock, self.journal, self.faces, self.settings)
        self.erasure = Erasure(self.house)
        self.retention = Retention(self.house)
        taps = OwnTaps(self.access, device.bench)
        self.enrolment = Enrolment(self.house, self.eyes, taps)
        self.people = People(self.house, taps)
        self.backup = Backup(self.house)
        self.keys = KeyKeeper(self.house, self._open_gallery)
        self.access.withdraw = self._withdraw_by_card
        self.readers: list[Reader] = build_readers(self.board, self.settings.readers.wedge, bench=device.bench)
        self.sensors: Sensors | None = None
        self.calibration = self._calibration()
        self.models_fault = ""
        """Why dlib's network could not be made for vision; empty where nothing went wrong."""
        self._making_models = False
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self) -> None:
        """Start readers and contacts: from here on a card opens."""
        loop = asyncio.get_running_loop()
        for reader in self.readers:
            reader.start(
                lambda read: _ignore(loop.call_soon_threadsafe(self._card_read, read)),
                lambda name, text: _ignore(loop.call_soon_threadsafe(self._reader_fault, name, text)),
            )
        self.sensors = Sensors(
            self.board,
            self.pins,
            lambda kind, active: _ignore(loop.call_soon_threadsafe(self._sensed, kind, active)),
        )
        # Opened while the power was off? Mock pins read open, whatever the world does.
        if self.sensors.state()[SensorEvent.TAMPER] is False and not self.stores.device.bench:
            self.lock_vault("tamper")

    def go(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the rest, and let no error of it pass in silence."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task failed", exc_info=error)

    async def quiet(self) -> None:
        """End what runs beside the rest."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what happens at the gate ------------------------------------------------------------

    def _card_read(self, read: CardRead) -> None:
        async def work() -> None:
            await self.access.card(read)

        self.go(work())

    def _reader_fault(self, name: str, text: str) -> None:
        log.warning("%s: %s", name, text)
        self._enter_soon(EntryType.FAULT, {"part": f"reader {name}"})

    def _sensed(self, kind: SensorEvent, active: bool) -> None:
        if kind is not SensorEvent.PRESENCE:
            self._enter_soon(EntryType.SENSOR, {"sensor": kind.value, "active": active})
            if kind is SensorEvent.TAMPER and not active:
                self.lock_vault("tamper")
        elif active:

            async def work() -> None:
                await self.access.face()

            self.go(work())

    def lock_vault(self, by: str) -> None:
        """Overwrite gallery and keys (see `KeyKeeper.lock`). A look under way ends unmatched."""

        async def work() -> None:
            await self.keys.lock(by)

        if self.stores.unlocked:
            self.keys.shut(by)
            self.panel.fault(True)
            self.go(work())

    def _enter_soon(self, kind: EntryType, payload: dict[str, Any]) -> None:
        async def work() -> None:
            await self.journal.enter_soon(kind, payload)

        self.go(work())

    async def _withdraw_by_card(self, resident: str) -> None:
        """Five taps: at once, at any hour; the card that did it goes on opening the gate."""
        try:
            await self.erasure.withdraw(resident, "card")
        except GateVaultError as error:
            if not isinstance(error, StoreError):
                return  # nothing to withdraw: a resident may tap five times for no reason
            log.warning("a withdrawal by card: %s", error)
            self.panel.fault(True)
            return
        self.panel.withdrawn()

    def _vision_ready(self, ready: wire.Ready) -> None:
        """Vision has told its network: open the gallery for it, unless it is open."""
        if bytes.fromhex(ready.model) != self.faces.model:
            self._open_gallery()

    def _models_unfit(self, reason: str) -> None:
        """Vision cannot load its models: a state of an earlier release has no file of dlib's network yet."""
        log.warning("vision: %s", reason)
        folder = self.stores.paths.models
        wanted = {name for name, _ in self.settings.models.files()}
        if DLIB.file not in wanted or (folder / DLIB.file).exists() or self._making_models:
            return

        async def work() -> None:
            try:
                await asyncio.to_thread(make_folder, folder)
                self.models_fault = ""
            except ModelError as error:
                self.models_fault = str(error)
                log.warning("models: %s", error)
                await asyncio.sleep(MODELS_PAUSE_S)
            finally:
                self._making_models = False

        self._making_models = True
        self.go(work())

    def _calibration(self) -> Calibration | None:
        """The figures of the networks that are configured; None, and faces are off, where there are none."""
        try:
            return load_calibration(self.stores.paths.models, self.settings.models)
        except CalibrationError as error:
            self.faces.uncalibrated = str(error)
            log.warning("matching: %s", error)
            return None

    def _open_gallery(self) -> None:
        """Begin the gallery for vision's network, once it, its figures and the vault's key are there."""
        ready = self.eyes.ready
        if self.stores.unlocked and ready is not None and self.calibration is not None:
            if ready.dimension != self.calibration.dimension:
                self.eyes.complain(ProtocolError("vision has another network than its figures are for."))
                return
            self.faces.use_model(bytes.fromhex(ready.model), self.calibration)
            self.go(self._fill_gallery())

    async def _fill_gallery(self) -> None:
        generation = self.faces.generation
        residents = await self.storage.run(self.faces.begin)
        desk = self.faces.desk(len(residents))
        if desk is None or self.faces.generation != generation:  # locked meanwhile: another filling begins, or none
            return
        for start in range(0, len(residents), CHUNK):
            chunk = await self.storage.run(self.faces.open_some, residents[start : start + CHUNK], desk)
            self.faces.add_some(chunk)
            if self.faces.generation != generation:
                return
        self.faces.opened.set()
        for start in range(0, len(residents), COMPARED):  # nobody waits for this: a match looks for itself
            self.faces.compare(residents[start : start + COMPARED])
            await asyncio.sleep(0)
            if self.faces.generation != generation:
                return


def made(runtime: Path) -> Path:
    """The directory of the sockets, made where systemd has not."""
    try:
        runtime.mkdir(mode=0o750, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"{runtime} cannot be made ({error.strerror}): start the gate by systemd or as root."
        ) from None
    return runtime


def _camera(uri: str) -> str:
    """A bench path is made absolute, for vision runs in a directory of its own."""
    kind, colon, place = uri.partition(":")
    return f"{kind}:{Path(place).absolute()}" if colon and kind in ("file", "dir") else uri


def _ignore(_: object) -> None:
    return None
