"""gatevaultd: runs a gate until it is told to stop.

Start: lock the state, open the stores, release the relay, hear cards, finish what a crash left,
listen. The order makes cards work first: nothing of vision or of the vault is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from pathlib import Path
from typing import Final

from gatevault.confine.profiles import confine_daemon
from gatevault.core.confined import Confined
from gatevault.core.entries import EntryType
from gatevault.core.errors import GateVaultError, StateError, StoreError
from gatevault.service.config import load_settings
from gatevault.service.control import CONTROL_SOCKET, ControlServer
from gatevault.service.gate import VISION_SOCKET, Gate, made
from gatevault.service.handlers import handlers
from gatevault.service.process import feed_watchdog, notify
from gatevault.service.state import StateLock, StatePaths, read_device
from gatevault.service.status import report
from gatevault.service.stores import open_stores

log = logging.getLogger("gatevault")

HOUSEKEEPING_S: Final = 60.0
"""How often expired consents, and once a day payloads past their time, are looked for."""

FAULT_LIGHT_S: Final = 5.0
"""How often the fault light is brought up to date; vision needs less to start."""


async def serve(gate: Gate) -> None:
    """Run a gate until SIGTERM or SIGINT; then release, close and return. StateError."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    control = ControlServer(handlers(gate))
    try:
        await _start(gate, control)
        notify("READY=1")
        gate.go(_keep_house(gate))
        gate.go(_show_faults(gate))
        gate.go(_watch_clock(gate))
        gate.go(feed_watchdog())
        await stop.wait()
    finally:
        notify("STOPPING=1")
        await _stop(gate, control)


async def _start(gate: Gate, control: ControlServer) -> None:
    gate.listen()
    faults = {*gate.stores.faults, *(["clock"] if gate.clock.lost else [])}
    try:
        await gate.storage.run(gate.house.finish_all)
        await gate.journal.enter(EntryType.STARTED, {"faults": sorted(faults)})
    except GateVaultError as error:  # whatever it is, cards open
        log.warning("%s", error)
    try:
        await gate.eyes.listen(gate.runtime / VISION_SOCKET)
        await control.listen(gate.runtime / CONTROL_SOCKET)
    except OSError as error:
        raise StateError(f"The sockets cannot be made in {gate.runtime} ({error.strerror}): mend that.") from None
    if gate.vision is not None:
        gate.vision.start()
    log.info(
        "ready: gate %r on board %s, %d cards", gate.settings.gate.name, gate.board.name, len(gate.stores.cards)
    )


async def _stop(gate: Gate, control: ControlServer) -> None:
    """Release first; then end what could move the relay again, then the rest."""
    gate.doorway.stop()
    for reader in gate.readers:
        await asyncio.to_thread(reader.stop)
    if gate.sensors is not None:
        gate.sensors.close()
    await control.close()
    await gate.quiet()
    await gate.eyes.close()
    if gate.vision is not None:
        await gate.vision.stop()
    gate.faces.close()
    with contextlib.suppress(StoreError):
        await gate.journal.enter(EntryType.STOPPED, {})
    gate.storage.close()
    gate.stores.close()
    gate.doorway.stop()
    gate.panel.close()
    gate.relay.close()
    gate.pins.close()
    await asyncio.to_thread(gate.guard.close)


async def _keep_house(gate: Gate) -> None:
    while True:
        try:
            await gate.keys.ask_again()
            await gate.erasure.settle()
            await gate.erasure.expire()
            await gate.retention.keep()
            await gate.storage.run(gate.house.tidy)
        except GateVaultError as error:
            log.warning("%s", error)
        await asyncio.sleep(HOUSEKEEPING_S)


async def _watch_clock(gate: Gate) -> None:
    """Enter that the clock was lost while the gate ran; how it is at the start, `started` says."""
    lost = gate.clock.lost
    while True:
        await asyncio.sleep(FAULT_LIGHT_S)
        before, lost = lost, gate.clock.lost
        if lost and not before:
            log.warning("clock: it is behind the ledger: faces are off, cards open at any hour")
            behind_s = int(gate.clock.behind().total_seconds())
            await gate.journal.enter_soon(EntryType.FAULT, {"part": "clock", "behind_s": behind_s})


async def _show_faults(gate: Gate) -> None:
    while True:
        await asyncio.sleep(FAULT_LIGHT_S)
        gate.panel.fault(report(gate)["health"] != "ok")


def run(root: Path) -> None:
    """The daemon in the foreground, until it is told to stop. GateVaultError where it cannot start."""
    logging.basicConfig(format="gatevault: %(message)s", level=logging.INFO)
    paths = StatePaths(root)
    if not paths.root.is_dir():
        raise StateError(f"There is no GateVault state in {root}: make one with `gatevault init`.")
    lock = StateLock(paths)
    try:
        confined = _confine(paths)
        stores = open_stores(paths)
        for part, fault in stores.faults.items():
            log.warning("%s: %s", part, fault)

        async def whole() -> None:
            await serve(Gate(stores, confined))

        asyncio.run(whole())
    finally:
        lock.release()


def _confine(paths: StatePaths) -> Confined:
    """Give up what a gate does not need, before a thread or a device is there. StateError, ConfigError."""
    runtime = made(paths.runtime(read_device(paths).bench))
    starts_vision = load_settings(paths.config).gate.start_vision
    confined = confine_daemon(paths.root.absolute(), runtime, starts_vision=starts_vision)
    for lack in confined.lacks:
        log.warning("sandbox: %s", lack)
    return confined
