"""gatevaultd: puts the rooms together, runs until it is told to stop, and says how it is.

Start: lock the state, open the stores, release the relay, finish what a crash left, listen. The
order makes cards work first: nothing of vision or of the vault is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import resource
import signal
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from gatevault.core import wire
from gatevault.core.chain import EntryType
from gatevault.core.errors import GateVaultError, StateError, StoreError
from gatevault.core.schedule import parse
from gatevault.core.types import CardRead
from gatevault.devices.guard import start_guard
from gatevault.devices.indicator import Indicator
from gatevault.devices.pins import open_pins
from gatevault.devices.readers import Reader, build_readers
from gatevault.devices.relay import Relay
from gatevault.devices.sensors import SensorEvent, Sensors
from gatevault.service.access import Access
from gatevault.service.clock import TrustedClock
from gatevault.service.config import load_board, load_settings
from gatevault.service.control import CONTROL_SOCKET, ControlServer
from gatevault.service.doorway import Doorway
from gatevault.service.enrolment import Enrolment
from gatevault.service.erasure import Erasure
from gatevault.service.eyes import Eyes
from gatevault.service.faces import Faces
from gatevault.service.handlers import handlers
from gatevault.service.house import House
from gatevault.service.journal import Journal
from gatevault.service.notice import current_hashes
from gatevault.service.panel import Panel
from gatevault.service.people import People
from gatevault.service.state import StateLock, StatePaths
from gatevault.service.status import report
from gatevault.service.storage import StorageThread
from gatevault.service.stores import Stores, open_stores
from gatevault.service.vision_process import VisionProcess

log = logging.getLogger("gatevault")

VISION_SOCKET: Final = "vision.sock"
HOUSEKEEPING_S: Final = 60.0
"""How often expired consents are looked for, and the fault light is brought up to date."""


class Daemon:
    """One gate. Made by `run`, used on the event loop alone."""

    def __init__(self, stores: Stores) -> None:
        """Put the rooms together and release the relay. ConfigError, DeviceError."""
        paths, device = stores.paths, stores.device
        self.stores = stores
        self.settings = load_settings(paths.config)
        self.board = load_board(self.settings.gate.board)
        if device.bench != (self.board.name == "bench"):
            raise StateError("A bench state runs on the board `bench`, a gate on a real one: mend gate.board.")
        self.runtime = _made(paths.runtime(device.bench))
        trace = paths.trace if device.bench else None
        self._pins = open_pins(self.board, bench=device.bench, trace=trace, runtime_dir=self.runtime)
        self.guard = start_guard(self.board, bench=device.bench, trace=trace)
        self.relay = Relay(self.board.relay, self._pins)
        self.doorway = Doorway(self.relay, self.board.relay.pulse_ms)
        self.panel = Panel(Indicator(self.board, self._pins))
        self.storage = StorageThread()
        self.clock = TrustedClock(stores.latest)
        self.journal = Journal(stores, self.storage, self.clock)
        self.faces = Faces(stores, self.clock, current_hashes(self.settings))
        camera = _camera(self.settings.gate.camera)
        self.vision = VisionProcess(self.runtime, VISION_SOCKET) if self.settings.gate.start_vision else None
        self.eyes = Eyes(
            wire.Hello(wire.VERSION, device.bench, camera, self.settings.look),
            on_ready=self._vision_ready,
            on_camera=self.panel.privacy,
            on_hung=self.vision.kill if self.vision else lambda: None,
        )
        schedule = parse(self.settings.schedule.hours)
        self.access = Access(
            stores,
            self.faces,
            self.eyes,
            self.doorway,
            self.panel,
            self.journal,
            self.clock,
            schedule,
            self.settings.matching,
        )
        self.house = House(stores, self.storage, self.clock, self.journal, self.faces, self.settings)
        self.erasure = Erasure(self.house)
        self.enrolment = Enrolment(self.house, self.eyes)
        self.people = People(self.house, self.access)
        self.access.withdraw = self._withdraw_by_card
        self.readers: list[Reader] = build_readers(self.board, self.settings.readers.wedge, bench=device.bench)
        self.sensors: Sensors | None = None
        self._control = ControlServer(handlers(self))
        self._tasks: set[asyncio.Task[None]] = set()

    # --- life --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; then release, close and return."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        try:
            await self._start()
            notify("READY=1")
            self.go(self._keep_house())
            self.go(_feed_watchdog())
            await stop.wait()
        finally:
            notify("STOPPING=1")
            await self._stop()

    async def _start(self) -> None:
        self._hear_the_gate()
        try:
            await self.storage.run(self.house.finish_all)
            await self.journal.enter(EntryType.STARTED, {"faults": sorted(self.stores.faults)})
        except StoreError as error:
            log.warning("%s", error)
        await self.eyes.listen(self.runtime / VISION_SOCKET)
        await self._control.listen(self.runtime / CONTROL_SOCKET)
        if self.vision is not None:
            self.vision.start()
        log.info(
            "ready: gate %r on board %s, %d cards", self.settings.gate.name, self.board.name, len(self.stores.cards)
        )

    def _hear_the_gate(self) -> None:
        """Start readers and contacts."""
        loop = asyncio.get_running_loop()
        for reader in self.readers:
            reader.start(
                lambda read: _ignore(loop.call_soon_threadsafe(self._card_read, read)),
                lambda name, text: _ignore(loop.call_soon_threadsafe(self._reader_fault, name, text)),
            )
        self.sensors = Sensors(
            self.board,
            self._pins,
            lambda kind, active: _ignore(loop.call_soon_threadsafe(self._sensed, kind, active)),
        )

    async def _stop(self) -> None:
        """Release first; then end what could move the relay again, then the rest."""
        self.doorway.stop()
        for reader in self.readers:
            await asyncio.to_thread(reader.stop)
        if self.sensors is not None:
            self.sensors.close()
        await self._control.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.eyes.close()
        if self.vision is not None:
            await self.vision.stop()
        self.faces.clear()
        with contextlib.suppress(StoreError):
            await self.journal.enter(EntryType.STOPPED, {})
        self.storage.close()
        self.stores.close()
        self.doorway.stop()
        self.panel.close()
        self.relay.close()
        self._pins.close()
        await asyncio.to_thread(self.guard.close)

    def go(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the rest, and let no error of it pass in silence."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler({"message": "a task failed", "exception": error})

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
        elif active:

            async def work() -> None:
                await self.access.face()

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
        """Vision has told its network: open the gallery for it, once."""
        model = bytes.fromhex(ready.model)
        if self.stores.vault_keys is None or model == self.faces.model:
            return
        self.faces.use_model(model, ready.dimension)
        self.go(self._open_gallery())

    async def _open_gallery(self) -> None:
        for resident, captures in await self.storage.run(self.faces.open_all):
            self.faces.add(resident, captures)
        self.faces.opened.set()

    async def _keep_house(self) -> None:
        while True:
            try:
                await self.erasure.expire()
            except StoreError as error:
                log.warning("%s", error)
            self.panel.fault(self.status()["health"] != "ok")
            await asyncio.sleep(HOUSEKEEPING_S)

    def status(self) -> dict[str, Any]:
        return report(self)


def run(root: Path) -> None:
    """The daemon in the foreground, until it is told to stop. GateVaultError where it cannot start."""
    logging.basicConfig(format="gatevault: %(message)s", level=logging.INFO)
    harden()
    os.umask(0o077)
    paths = StatePaths(root)
    if not paths.root.is_dir():
        raise StateError(f"There is no GateVault state in {root}: make one with `gatevault init`.")
    lock = StateLock(paths)
    try:
        stores = open_stores(paths)
        for part, fault in stores.faults.items():
            log.warning("%s: %s", part, fault)

        async def serve() -> None:
            await Daemon(stores).run()

        asyncio.run(serve())
    finally:
        lock.release()


def harden() -> None:
    """No core dumps, no debugger of the same user, no gain of privileges by what we start."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise StateError("The kernel refuses to keep this process undumpable: nothing was started.")


_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38


def notify(message: str) -> None:
    """Tell systemd, where it started us (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.sendto(message.encode(), address.replace("@", "\0", 1))


async def _feed_watchdog() -> None:
    """Tell systemd's watchdog that the loop turns, at half its patience."""
    patience_us = int(os.environ.get("WATCHDOG_USEC", "0"))
    while patience_us:
        notify("WATCHDOG=1")
        await asyncio.sleep(patience_us / 2_000_000)


def _made(runtime: Path) -> Path:
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
