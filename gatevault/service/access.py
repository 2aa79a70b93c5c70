"""The two ways in, each readable from top to bottom: by face, and by card.

    face   presence → look → scans → match → policy → ledger(decision) → door → ledger(outcome) → light
    card   read → keyed hash → policy → ledger(decision) → door → ledger(outcome) → light

The face denies when in doubt: no vision, no consent, no ledger, no gate. The card keeps opening: a
ledger that cannot be written raises a fault and is caught up later.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gatevault.core import policy, wire
from gatevault.core.calibration import Calibration
from gatevault.core.consent import Standing
from gatevault.core.entries import EntryType
from gatevault.core.errors import ConflictError, DeviceError, GateVaultError, StoreError, VisionDownError
from gatevault.core.liveness import ADVICE, Tier
from gatevault.core.matching import Fusion, decide, reason_without_match, weight
from gatevault.core.schedule import Schedule
from gatevault.core.settings import MatchSettings
from gatevault.core.taps import TapCounter
from gatevault.core.types import CardRead, Decision, Match, NoMatch, Reason, Scan, deny, is_long_secret
from gatevault.service.clock import TrustedClock, monotonic_ms
from gatevault.service.doorway import Doorway
from gatevault.service.eyes import Eyes
from gatevault.service.faces import Faces
from gatevault.service.journal import Journal
from gatevault.service.liveness import Liveness
from gatevault.service.site import Site
from gatevault.service.storage import StorageThread
from gatevault.service.stores import Stores

HELD_CARD_MS: Final = 800
"""Readers that repeat a card held against them do so two to five times a second."""

LEDGER_WAIT_S: Final = 2.0
"""How long a matched face waits for the ledger: later the gate would open for nobody, or for somebody else."""

HELD_S: Final = 30.0
"""How long a holder's template is kept in RAM after their card was read."""

VISION_WAIT_S: Final = 5.0
"""How long somebody at the gate waits for a vision process that is being restarted."""


class Lights(Protocol):
    """What access asks of the indicator (`devices.indicator.Indicator`)."""

    def granted(self) -> None: ...
    def refused(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Passage:
    """What happened to one person at the gate, as `walk-up` and `tap` answer it."""

    decision: Decision
    relay: bool
    latency_ms: int
    """From the trigger to the relay's move, or to the refusal."""
    frames: int = 0
    detail: str = ""

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "decision": self.decision.verdict.value,
            "reason": self.decision.reason.value,
            "resident": self.decision.resident,
            "relay": self.relay,
            "frames": self.frames,
            "latency_ms": self.latency_ms,
        }
        return body | ({"detail": self.detail} if self.detail else {})


class Access:
    """Decides at one doorway."""

    def __init__(
        self,
        stores: Stores,
        storage: StorageThread,
        faces: Faces,
        eyes: Eyes,
        doorway: Doorway,
        lights: Lights,
        journal: Journal,
        clock: TrustedClock,
        schedule: Schedule,
        matching: MatchSettings,
        liveness: Liveness,
        site: Site,
    ) -> None:
        self._stores = stores
        self._storage = storage
        self._faces = faces
        self._eyes = eyes
        self._doorway = doorway
        self._lights = lights
        self._journal = journal
        self._clock = clock
        self._schedule = schedule
        self._matching = matching
        self._liveness = liveness
        self._site = site
        self._taps = TapCounter()
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._release: asyncio.TimerHandle | None = None
        self.withdraw: Callable[[str], Awaitable[None]] | None = None
        """What five taps of a card do; set by the administration."""

    # --- by face -----------------------------------------------------------------------------

    async def face(self, camera: str | None = None, tier: Tier | None = None) -> Passage:
        """Somebody asks to enter by face: `camera` and `tier` override the configured ones, on a bench."""
        began = time.monotonic_ns()
        if off := self._site.faces_off():
            self._lights.refused()
            return Passage(deny(Reason.NOT_RECORDED), False, _since(began), 0, off)
        refusal = self._lost() or self._locked() or await self._blind() or self._nobody()
        if refusal is not None:
            self._lights.refused()
            return Passage(deny(refusal), False, _since(began))
        forbidden = self._liveness.forbidden(tier)
        if forbidden is not None:
            self._lights.refused()
            return Passage(deny(forbidden[0]), False, _since(began), 0, forbidden[1])
        checked = tier or self._liveness.tier
        frames, detail = 0, ""
        try:
            match, frames, detail = await self._look(began, camera, checked)
        except ConflictError:
            return Passage(deny(Reason.BUSY), False, _since(began))
        except (VisionDownError, DeviceError) as error:
            match, detail = NoMatch(Reason.FAULT), str(error)
        if isinstance(match, NoMatch):
            if match.reason in (Reason.NO_MATCH, Reason.UNSURE):
                await self._journal.count_unmatched()
            self._lights.refused()
            return Passage(deny(match.reason), False, _since(began), frames, detail)
        return await self._face_of(match, began, frames, checked)

    def _locked(self) -> Reason | None:
        """Why the vault or the ledger forbids a look, if so."""
        if not self._stores.unlocked:
            locked = self._stores.faults.get("vault")
            damaged = self._stores.vault is None or locked is None or locked.code == "store-corrupt"
            return Reason.FAULT if damaged else Reason.VAULT_LOCKED
        return Reason.FAULT if self._stores.ledger is None else None

    def _lost(self) -> Reason | None:
        """Why the clock forbids it: while it is behind the ledger, a consent that has ended might seem to live."""
        return Reason.CLOCK if self._clock.lost else None

    async def _blind(self) -> Reason | None:
        """Wait a little for a vision process that is just starting, and for the gallery to be open."""
        if self._faces.uncalibrated:
            return Reason.FAULT
        try:
            async with asyncio.timeout(VISION_WAIT_S):
                await self._eyes.arrived()
                await self._faces.opened.wait()
        except TimeoutError:
            return Reason.FAULT
        return Reason.FAULT if self._faces.unreadable is not None else None

    def _nobody(self) -> Reason | None:
        """Why nobody could match, so that the camera stays shut."""
        if not self._faces.residents and self._faces.held is None:
            if self._faces.holders:
                return Reason.HOLDER_CARD
            return Reason.SUSPENDED if self._faces.suspended else Reason.NO_CONSENT
        return None

    async def _look(self, trigger_ns: int, camera: str | None, tier: Tier) -> tuple[Match | NoMatch, int, str]:
        """Look until somebody is matched or the look ends; the frames that bore a face, and a detail."""
        calibration = self._faces.calibration
        if calibration is None:  # locked this very moment
            return NoMatch(Reason.VAULT_LOCKED), 0, ""
        fusion = Fusion(calibration)
        scans = 0
        hints: Counter[wire.Hint] = Counter()
        last: NoMatch | None = None
        try:
            same_person = calibration.figures.same_person
            look = self._eyes.look(wire.Purpose.ACCESS, trigger_ns, camera, tier, same_person)
            async with look as events:
                async for event in events:
                    if isinstance(event, Scan):
                        scans += 1
                        self._liveness.passed()
                        verdict = self._fuse(fusion, event, calibration)
                        if isinstance(verdict, Match):
                            return verdict, scans, ""
                        last = verdict
                    elif isinstance(event, wire.FrameEmpty):
                        hints[event.hint] += 1
                    elif isinstance(event, wire.LookDone):
                        reason = reason_without_match(last, event.end, scans, hints)
                        if event.refusal is None:
                            return NoMatch(reason), scans, event.error
                        self._liveness.failed()
                        return NoMatch(reason), scans, ADVICE[event.refusal]
            raise VisionDownError("The look ended without an end: vision is restarted.")
        finally:
            fusion.wipe()

    def _fuse(self, fusion: Fusion, scan: Scan, calibration: Calibration) -> Match | NoMatch | None:
        try:
            fusion.add(scan.embedding, weight(scan.quality))
        except ValueError:
            return NoMatch(Reason.FAULT)
        finally:
            scan.wipe()
        held = self._faces.held
        if held is not None:  # a holder's card was just read: one to one, before one to many
            verdict = decide(fusion, held, calibration, self._matching)
            if isinstance(verdict, Match) or not self._faces.residents:
                return verdict
        return decide(fusion, self._faces.gallery, calibration, self._matching)

    async def _face_of(self, match: Match, began: int, frames: int, tier: Tier) -> Passage:
        request = self._request(match.resident, self._faces.standing(match.resident))
        decision = policy.decide_face(request)
        held = self._faces.held
        way = "card-and-face" if held and match.resident in held.residents else "face"
        entry = _entry(decision, way) | {"liveness": tier.value}
        self._faces.release_held()
        try:
            async with asyncio.timeout(LEDGER_WAIT_S):
                await self._journal.enter(EntryType.DECISION, entry, resident=match.resident)
        except StoreError as error:
            self._lights.refused()
            return Passage(deny(Reason.FAULT), False, _since(began), frames, str(error))
        except TimeoutError:
            decision = deny(Reason.FAULT)
        if decision.granted and self._site.faces_off():  # revoked this very moment
            decision = deny(Reason.NOT_RECORDED)
        # The consent may have been withdrawn by a tap while the ledger was written.
        if decision.granted and self._faces.standing(match.resident) is not Standing.LIVE:
            decision = deny(Reason.NO_CONSENT)
        # The housing may have been opened, or the clock lost.
        if decision.granted and (refusal := self._lost() or self._locked()) is not None:
            decision = deny(refusal)
        if decision.verdict.value != entry["decision"]:  # what was entered did not come to pass
            await self._journal.enter_soon(EntryType.OUTCOME, {"relay": False}, resident=match.resident)
        return await self._carry_out(decision, match.resident, began, frames)

    # --- by card -----------------------------------------------------------------------------

    async def card(self, read: CardRead, repeat_ms: int = HELD_CARD_MS) -> Passage:
        """A card was read. `repeat_ms`: see `TapCounter.tap`."""
        began = time.monotonic_ns()
        card = self._stores.house.card_hash(read.number)
        owner = self._stores.cards.get(card)
        if owner is None:
            await self._journal.enter_soon(EntryType.DECISION, _entry(deny(Reason.UNKNOWN_CARD), "card"))
            self._lights.refused()
            return Passage(deny(Reason.UNKNOWN_CARD), False, _since(began))
        decision = policy.decide_card(self._request(owner, Standing.NONE))
        await self._journal.enter_soon(EntryType.DECISION, _entry(decision, "card"), resident=owner)
        passage = await self._carry_out(decision, owner, began, 0)
        await self._own_card(card, owner, read.number, repeat_ms)
        return passage

    async def _own_card(self, card: bytes, owner: str, number: str, repeat_ms: int) -> None:
        """What a resident's own card does beside opening: consent, its holder's template, and withdrawal."""
        waiting = self._waiting.get(owner)
        if waiting is not None and not waiting.done():
            waiting.set_result(number)
        if self._taps.tap(card, monotonic_ms(), repeat_ms) and self.withdraw is not None:
            await self.withdraw(owner)
        elif owner in self._faces.holders and is_long_secret(number):
            await self._open_held(owner, number)

    async def _open_held(self, owner: str, number: str) -> None:
        """Open a holder's template with the secret just read, for as long as it takes to be seen."""
        try:
            captures = await self._storage.run(self._faces.open_held, owner, number)
        except GateVaultError:
            return  # the card has opened the gate; the face stays off
        if captures is not None:
            self._faces.hold(owner, captures)
            if self._release is not None:
                self._release.cancel()
            self._release = asyncio.get_running_loop().call_later(HELD_S, self._faces.release_held)

    async def own_tap(self, resident: str, timeout_s: float) -> str | None:
        """Wait until this resident taps a card of their own; its number, or None if they did not in time."""
        if resident in self._waiting:
            raise ConflictError("This resident's card is being waited for already: tap it, or wait a minute.")
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[resident] = future
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            return None
        finally:
            del self._waiting[resident]

    # --- the common tail ---------------------------------------------------------------------

    def _request(self, resident: str, standing: Standing) -> policy.Request:
        """Hours that cannot be told are open: a gate must not shut people out, or in, for a flat battery."""
        hours_open = self._clock.lost or self._schedule.open_at(*self._clock.local_minute())
        return policy.Request(resident, hours_open, standing, not self._site.faces_off())

    async def _carry_out(self, decision: Decision, resident: str, began: int, frames: int) -> Passage:
        moved = decision.granted and self._doorway.grant()
        latency = _since(began)
        if moved:
            self._lights.granted()
        else:
            self._lights.refused()
        if decision.granted:
            await self._journal.enter_soon(EntryType.OUTCOME, {"relay": moved}, resident=resident)
        detail = str(self._doorway.fault) if self._doorway.fault else ""
        return Passage(decision, moved, latency, frames, detail)


def _entry(decision: Decision, way: str) -> dict[str, Any]:
    return {"way": way, "decision": decision.verdict.value, "reason": decision.reason.value}


def _since(began_ns: int) -> int:
    return (time.monotonic_ns() - began_ns) // 1_000_000
