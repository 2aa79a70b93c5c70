"""Enrolment: a live consent, a look, captures that agree, one sealed record."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from gatevault.core import wire
from gatevault.core.capture import Guide, Pose, agree
from gatevault.core.consent import KeyMode, Receipt
from gatevault.core.entries import EntryType
from gatevault.core.errors import (
    ConsentError,
    DuplicateError,
    EnrolmentError,
    NotRecordedError,
    VisionDownError,
)
from gatevault.core.settings import EnrolmentSettings
from gatevault.core.types import Scan, is_long_secret
from gatevault.service.eyes import Eyes, LookEvent
from gatevault.service.house import House
from gatevault.service.own_taps import TOO_SHORT, OwnTaps
from gatevault.service.sealed_faces import fingerprint
from gatevault.service.site import Site
from gatevault.vault.keys import Secret, holder_key
from gatevault.vault.record import Captures
from gatevault.vault.registry import TodoKind

PATIENCE_S: Final = 12.0
"""How long an enrolment waits for a pose or a light that does not come, once there are captures enough."""


class Enrolment:
    """Runs on the event loop; the disk work goes to the storage thread."""

    def __init__(self, house: House, eyes: Eyes, taps: OwnTaps, site: Site) -> None:
        self._house = house
        self._eyes = eyes
        self._taps = taps
        self._site = site

    async def enrol(
        self, resident: str, camera: str | None, tap: str | None, another: bool, say: Callable[[str], None]
    ) -> dict[str, Any]:
        """Take captures of a resident who consents, and seal them in place of any earlier template.

        For a holder-key consent their card is read first; `tap` stands for it on a bench. The camera stays shut
        unless the consent lives and the vault is open. `another`: an admin saw that this is not the resident whom
        they resemble. NotRecordedError, ConsentError, VaultLockedError, EnrolmentError, DuplicateError,
        VisionDownError, StoreError.
        """
        house = self._house
        if off := self._site.faces_off():
            raise NotRecordedError(f"Nobody is enrolled ({off}): record it with `gatevault site record`.")
        house.check_writable()
        house.stores.need_open_vault()
        await house.storage.run(house.stores.need_registry().resident, resident)
        receipt = house.faces.require_consent(resident)
        holder = await self._holder(resident, receipt, tap, say)
        try:
            say("The camera is looking: one person in front of it, from several sides.")
            matrix, poses = await self._capture(camera, say)
            try:
                await self._keep(resident, receipt, matrix, holder, another)
            finally:
                matrix.fill(0.0)
        finally:
            if holder is not None:
                holder.wipe()
        return {
            "resident": resident,
            "captures": len(matrix),
            "poses": poses,
            "look_alike": resident in house.faces.alike,
            "model": house.faces.model.hex()[:16],
            "mode": receipt.mode.value,
        }

    async def _keep(
        self, resident: str, receipt: Receipt, captures: Captures, holder: Secret | None, another: bool
    ) -> None:
        """Seal captures, shape (k, d), and put them into the gallery. DuplicateError, and as `enrol`."""
        house, model = self._house, self._house.faces.model
        double = house.faces.has_double(resident, captures)
        if double and not another:
            raise DuplicateError(
                "This face is a resident's already, or so like one's that the gate cannot tell them apart: nothing "
                "was kept. Are they two people? Then enrol with --another-person; both will use their cards."
            )

        def work() -> None:
            house.finish_all()  # an erasure that still owes its entry must not erase this template later
            house.faces.require_consent(resident)  # withdrawn meanwhile by five taps?
            row = house.faces.seal(resident, receipt, captures, model, holder)
            payload = {
                "captures": len(captures),
                "model": model.hex()[:16],
                "replaces": house.faces.has_template(resident),
                "double": double,
            }
            todo = house.todo(
                TodoKind.ENROL,
                resident,
                EntryType.ENROLLED,
                payload,
                record=row.record.hex(),
                sealed=fingerprint(row),
            )
            house.stores.need_registry().put_todo(todo)
            house.stores.need_open_vault().put(row)
            house.finish(todo)

        await house.storage.run(work)
        if holder is None:
            house.faces.add(resident, captures)
        else:
            house.faces.drop(resident)
            house.faces.holders.add(resident)

    async def _holder(
        self, resident: str, receipt: Receipt, tap: str | None, say: Callable[[str], None]
    ) -> Secret | None:
        """The key that this resident's card gives, where their consent asks for one. ConsentError."""
        if receipt.mode is not KeyMode.HOLDER:
            return None
        say("By this consent the template opens with the resident's card alone: tap that card within 60 seconds.")
        number = await self._taps.of(resident, tap)
        if number is None or not is_long_secret(number):
            raise ConsentError(f"{'No card was tapped' if number is None else TOO_SHORT}: nothing was kept.")
        return holder_key(number, self._house.stores.house.record_id(resident))

    async def _capture(self, camera: str | None, say: Callable[[str], None]) -> tuple[Captures, dict[str, int]]:
        """Captures of one person, shape (k, d), and how many of each pose."""
        settings, calibration = self._house.settings.enrolment, self._house.faces.calibration
        if calibration is None:
            self._house.stores.need_open_vault()
            raise VisionDownError(self._house.faces.uncalibrated or _NOT_READY)
        guide, hints = Guide(settings, calibration), Counter[str]()
        try:
            async with self._eyes.look(wire.Purpose.ENROL, time.monotonic_ns(), camera) as events:
                await _follow(guide, hints, events, say)
            if guide.poor:
                hints["poor"] = guide.poor
            if not guide.enough:
                raise EnrolmentError(_too_few(guide, hints, settings))
            captures, poses = guide.captures()
        finally:  # also where the terminal of the command hung up
            guide.wipe()
        try:
            if not agree(captures, calibration):
                raise EnrolmentError(
                    "The captures show different people: nothing was kept. Only the resident, and again."
                )
        except BaseException:
            captures.fill(0.0)
            raise
        return captures, poses


async def _follow(
    guide: Guide, hints: Counter[str], events: AsyncIterator[LookEvent], say: Callable[[str], None]
) -> None:
    """Ask for pose after pose, and for another light, until all was seen or nothing new comes."""
    told, last_new = "", time.monotonic()
    async for event in events:
        if isinstance(event, Scan):
            try:
                last_new = time.monotonic() if guide.take(event) else last_new
            except ValueError:
                raise EnrolmentError(
                    "Vision sent faces of another network than the gate's: nothing was kept."
                ) from None
            finally:
                event.wipe()
        elif isinstance(event, wire.FrameEmpty):
            hints[event.hint.value] += 1
        elif isinstance(event, wire.LookDone) and event.end is wire.LookEnd.CAMERA:
            raise EnrolmentError(f"The camera gave no look: {event.error} Nothing was kept.")
        if guide.wish is None and not guide.wants_light:
            return
        wish = LIGHT if guide.wish is None else guide.wish
        if wish != told:
            told, last_new = wish, time.monotonic()
            say(_WISHES[wish])
        elif guide.enough and time.monotonic() - last_new > PATIENCE_S:
            return


def _too_few(guide: Guide, hints: Counter[str], settings: EnrolmentSettings) -> str:
    """Why there is no template, and what to do."""
    causes = ", ".join(f"{hint} in {n} frames" for hint, n in hints.most_common()) or "no other fault seen"
    return (
        f"{guide.count} usable captures, {settings.min_captures} are needed ({causes}): nothing was kept. "
        "Alone, nearer, in even light, turning the head a little, and again."
    )


LIGHT: Final = "light"

_WISHES: Final[dict[str, str]] = {
    Pose.FRONT: "Look straight into the camera.",
    Pose.LEFT: "Now turn the head a little to your left.",
    Pose.RIGHT: "And now a little to your right.",
    LIGHT: "Last, in another light: switch a lamp on or off, or shade the face.",
}

_NOT_READY: Final = "The vision process is not there yet: nothing was kept. Try again in some seconds."
