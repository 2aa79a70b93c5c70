"""The installer: admitted with a key of their own, until the handover (R19).

What this gives: after the handover the daemon aims no camera and tests no part for anybody, until an admin admits
an installer again, and both are in the ledger. What it does not: whoever commands the control socket is an admin,
who may do that; root may do anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec

from gatevault.core import control
from gatevault.core.board import Board
from gatevault.core.consent import stamp
from gatevault.core.entries import EntryType
from gatevault.core.errors import DeviceError, NotAllowedError, NotFoundError
from gatevault.core.liveness import Lamp, Side
from gatevault.core.site import InstallerRow
from gatevault.service.aiming import aim
from gatevault.service.clock import monotonic_ms
from gatevault.service.control import Say
from gatevault.service.doorway import Doorway
from gatevault.service.eyes import Eyes
from gatevault.service.house import House
from gatevault.service.installer_key import unsigned
from gatevault.service.panel import Panel
from gatevault.vault.installer import destroy_installer_key, is_installers
from gatevault.vault.registry import INSTALLER, TodoKind

FRESH_MS: Final = 60_000
"""How old a signed command may be; each is taken once."""

LIGHT_S: Final = 0.8
"""How long each light is shown."""

_ADMIT: Final = "An admin admits one with `gatevault installer admit`."


class Installer:
    """Runs on the event loop; the disk work goes to the storage thread."""

    def __init__(self, house: House, eyes: Eyes, doorway: Doorway, panel: Panel, board: Board) -> None:
        self._house = house
        self._eyes = eyes
        self._doorway = doorway
        self._panel = panel
        self._board = board
        self._last_ms = -1

    @property
    def _row(self) -> InstallerRow | None:
        row = self._house.stores.site.get(INSTALLER)
        return msgspec.convert(row, InstallerRow) if row is not None else None

    def check(self, command: control.Aim | control.PartTest | control.SiteRecord) -> None:
        """NotAllowedError unless the installer who is admitted signed this, just now and for the first time."""
        row = self._row
        if row is None:
            raise NotAllowedError(f"This belongs to an installer, and none was admitted. {_ADMIT}")
        if row.ended:
            raise NotAllowedError(f"The installer's key ended with the handover on {row.ended[:10]}. {_ADMIT}")
        if not command.signature:
            raise NotAllowedError("This belongs to the installer: run it with their key (--installer-key).")
        age = monotonic_ms() - command.mono_ms
        if not is_installers(unsigned(command), command.signature, row.public):
            raise NotAllowedError(f"That is not the key of the installer who is admitted. {_ADMIT}")
        if not 0 <= age <= FRESH_MS or command.mono_ms <= self._last_ms:
            raise NotAllowedError("That was signed too long ago, or used already: run the command again.")
        self._last_ms = command.mono_ms

    async def admit(self, public: str) -> dict[str, Any]:
        """This key is the installer's, in place of any other. StoreError."""
        row = InstallerRow(public, stamp(self._house.clock.now()))
        await self._keep(row, EntryType.INSTALLER_ADMITTED)
        return {"installer": "admitted", "since": row.admitted}

    async def end(self) -> dict[str, Any]:
        """The handover. NotFoundError where nobody is admitted; StateError, StoreError."""
        row = self._row
        if row is None or row.ended:
            raise NotFoundError(f"No installer is admitted: {f'it ended {row.ended}' if row else 'none ever was'}.")
        ended = InstallerRow("", row.admitted, stamp(self._house.clock.now()))
        await self._keep(ended, EntryType.INSTALLER_ENDED)
        destroyed = await self._house.storage.run(destroy_installer_key, self._house.stores.paths.installer_key)
        return {"installer": "ended", "at": ended.ended, "key_destroyed": destroyed}

    async def _keep(self, row: InstallerRow, entry: EntryType) -> None:
        house, content = self._house, msgspec.to_builtins(row)

        def work() -> None:
            house.check_writable()
            todo = house.todo(TodoKind.NOTE, "", entry, {})
            house.stores.need_registry().put_site(INSTALLER, content, todo)
            house.stores.site[INSTALLER] = content
            house.finish(todo)

        await house.storage.run(work)

    async def aim(self, command: control.Aim, say: Say) -> dict[str, Any]:
        """A look of the camera for its aim alone, entered first. As `aiming.aim`, and NotAllowedError."""
        self.check(command)
        await self._house.journal.enter(EntryType.INSTALLER_ACTED, {"what": "aim"})
        return await aim(self._eyes, command.camera, command.seconds, say)

    async def test(self, part: str) -> dict[str, Any]:
        """Drive a part of the running gate, entered first. DeviceError, StoreError."""
        await self._house.journal.enter(EntryType.INSTALLER_ACTED, {"what": f"test {part}"})
        if part == "relay":
            if not self._doorway.grant():
                raise self._doorway.fault or DeviceError("The relay did not move.")
            return {"part": part, "driven": ["relay"]}
        return {"part": part, "driven": await self._lights()}

    async def _lights(self) -> list[str]:
        panel, board = self._panel, self._board
        shows: dict[str, Callable[[bool], None]] = {
            "privacy_led": panel.privacy,
            "fault_led": panel.fault,
            "lamp": lambda on: panel.lamp(Lamp.LED, on),
            "infrared_lamp": lambda on: panel.lamp(Lamp.IR, on),
            "turn_left_led": lambda on: panel.turn(Side.LEFT, on),
            "turn_right_led": lambda on: panel.turn(Side.RIGHT, on),
        }
        if self._eyes.looking:  # the privacy light tells of a camera that is open: it is not for showing now
            del shows["privacy_led"]
        driven = [role for role in shows if getattr(board, role) is not None]
        for role in driven:
            try:
                shows[role](True)
                await asyncio.sleep(LIGHT_S)
            finally:
                shows[role](False)
        for role, show in {"granted_led": panel.granted, "refused_led": panel.refused}.items():
            if getattr(board, role) is not None:
                show()
                driven.append(role)
                await asyncio.sleep(2 * LIGHT_S)
        return driven
