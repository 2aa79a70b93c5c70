"""Restoring: a new state carries on where the device was, and honours what was taken away since the backup."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from gatevault.core import control
from gatevault.core.consent import KeyMode, stamp
from gatevault.core.entries import EntryType, Keep
from gatevault.core.errors import BackupError, CheckpointError, GateVaultError, StateError
from gatevault.service.clock import TrustedClock
from gatevault.service.journal import tell_step
from gatevault.service.restore import restore
from gatevault.service.state import NO_OPTIONS, open_house_keys, read_device
from gatevault.vault.backup import new_recovery_key, pack, unpack
from gatevault.vault.ledger import Ledger
from tests.bench import Bench, copied
from tests.service.backups import CARDS, NAMES, SPARE, BackedUp, all_bytes, anchored, exported, left_behind
from tests.service.peer import Peer, Script, shows

Seeing = Callable[[Bench, Script], Peer]

LONG_CARD = "0123456789ABCDEF0123456789ABCDEF"
"""A credential that may hold a key: 128 bits."""


@pytest.fixture
def old(backed_up: BackedUp, tmp_path: Path) -> Iterator[Bench]:
    """The device after its backup, running on."""
    bench = Bench(copied(backed_up.root, tmp_path / "old")).start(vision=False)
    yield bench
    bench.close()


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Bench]:
    """Where the restored device will be."""
    (tmp_path / "elsewhere").mkdir()
    bench = Bench(tmp_path / "elsewhere" / "state")
    yield bench
    bench.close()


# --- all that was there --------------------------------------------------------------------------


def test_the_device_carries_on(backed_up: BackedUp, old: Bench, new: Bench, seeing: Seeing) -> None:
    held = old.ask(control.ResidentExport(backed_up.two))
    later, key = exported(old), old.ask(control.LedgerVerify())["key"]
    after = anchored(old)
    assert old.status()["site"]["sign"] == "2026-11-21"
    assert old.stop() == 0

    told = backed_up.restored(new.root, later)
    assert told["ledger_key"] == key
    assert (told["residents"], told["cards"], told["consents_ended"]) == (2, 3, 0)
    assert (told["residents_removed"], told["cards_removed"], told["unclear_entries"]) == (0, 0, 0)

    new.start(vision=False)
    seeing(new, shows(1))
    assert new.status()["health"] == "ok"
    assert new.status()["site"]["sign"] is None, "it may stand in another place: recorded anew, or faces are off"
    for card in (*CARDS, SPARE):
        assert new.tap(card)["relay"] is True
    assert new.tap("99")["reason"] == "unknown-card"
    again = new.ask(control.ResidentExport(backed_up.two))
    assert held["receipts"] and held["certificates"]
    for part in ("name", "born", "cards", "receipts", "certificates"):
        assert again[part] == held[part], part
    assert new.paths.config.read_bytes() == old.paths.config.read_bytes()
    assert read_device(new.paths) == read_device(old.paths)
    for anchor in (backed_up.anchor, after):
        verdict = new.ask(control.LedgerVerify(anchor))
        assert verdict["ok"], verdict
        assert verdict["key"] == key
    (entry,) = [e["payload"] for e in new.entries() if e["type"] == "restored"]
    assert (entry["later"], entry["consents_ended"], entry["templates"]) == (True, 0, 0)


def test_nobody_is_enrolled_and_everybody_can_be(
    backed_up: BackedUp, old: Bench, new: Bench, seeing: Seeing
) -> None:
    backed_up.restored(new.root, exported(old))
    new.start(vision=False)
    seeing(new, shows(1))
    assert new.rows("vault.db", "SELECT count(*) FROM templates") == [(0,)]
    assert (new.template(backed_up.one), new.standing(backed_up.one)) == ("none", "live")
    assert new.walk_up()["decision"] == "deny"
    new.ask(control.Enrol(backed_up.one, None))
    assert new.walk_up()["resident"] == backed_up.one
    assert new.ask(control.LedgerVerify())["ok"]
    new.ask(control.ConsentWithdraw(backed_up.one))
    assert new.ask(control.LedgerVerify())["ok"]


def test_a_restored_device_can_be_backed_up_and_restored(backed_up: BackedUp, new: Bench, tmp_path: Path) -> None:
    """All of it again, and the consents that the first restore ended stay so in an older backup's restore."""
    backed_up.restored(new.root)
    new.start(vision=False)
    later = exported(new)
    assert new.stop() == 0
    told = backed_up.restored(tmp_path / "third", later)
    assert (told["consents_ended"], told["all_consents_ended"]) == (2, False)
    third = Bench(tmp_path / "third").start(vision=False)
    try:
        assert third.standing(backed_up.one) == "expired"
        assert third.ask(control.LedgerVerify())["ok"]
    finally:
        third.close()


# --- what came later -----------------------------------------------------------------------------


def test_a_later_withdrawal_is_honoured(backed_up: BackedUp, old: Bench, new: Bench) -> None:
    old.ask(control.ConsentWithdraw(backed_up.one))
    (when,) = [e["payload"]["time"] for e in old.entries() if e["type"] == "consent-withdrawn"]
    told = backed_up.restored(new.root, exported(old))
    assert (told["consents_ended"], told["all_consents_ended"]) == (1, False)
    new.start(vision=False)
    assert (new.standing(backed_up.one), new.standing(backed_up.two)) == ("withdrawn", "live")
    (receipt,) = new.ask(control.ResidentExport(backed_up.one))["receipts"]
    assert receipt["receipt"]["events"][-1] == {"time": when, "state": "withdrawn"}
    assert new.refused(control.Enrol(backed_up.one, None)).code == "no-consent"
    assert new.count("consent-withdrawn") == 1, "it is told once"
    assert new.ask(control.LedgerVerify())["ok"]
    new.ask(new.consent(backed_up.one, CARDS[0]))
    assert new.standing(backed_up.one) == "live"


def test_whoever_was_removed_later_is_not_there(backed_up: BackedUp, old: Bench, new: Bench) -> None:
    """No byte of their name or pseudonym is in any file of the new state, freed pages as well."""
    old.ask(control.ResidentRemove(backed_up.one))
    needles = [backed_up.one.encode(), NAMES[0].encode(), CARDS[0].encode(), SPARE.encode()]
    contents = unpack(backed_up.raw, backed_up.key)
    needles += [_card_hash(backed_up, card) for card in (CARDS[0], SPARE)]
    assert sum(needle in contents.registry for needle in needles) == 3, "or the search below finds nothing"
    told = backed_up.restored(new.root, exported(old))
    assert (told["residents_removed"], told["residents"], told["cards"]) == (1, 1, 1)
    assert not [needle for needle in needles if needle in all_bytes(new.root)]
    new.start(vision=False)
    assert new.tap(CARDS[0])["reason"] == new.tap(SPARE)["reason"] == "unknown-card"
    assert new.tap(CARDS[1])["relay"] is True
    assert new.refused(control.ResidentShow(backed_up.one)).code == "not-found"
    assert not [needle for needle in needles if needle in all_bytes(new.root)]
    assert new.ask(control.LedgerVerify())["ok"]
    assert new.stop() == 0
    assert not [needle for needle in needles if needle in all_bytes(new.root)]


def _card_hash(backed_up: BackedUp, card: str) -> bytes:
    return open_house_keys(Bench(backed_up.root).paths).card_hash(card)


def test_a_card_that_was_taken_away_later_opens_nothing(backed_up: BackedUp, old: Bench, new: Bench) -> None:
    old.ask(control.CardRemove(SPARE))
    told = backed_up.restored(new.root, exported(old))
    assert (told["cards_removed"], told["cards"], told["consents_ended"]) == (1, 2, 0)
    new.start(vision=False)
    assert new.tap(SPARE)["reason"] == "unknown-card"
    assert new.tap(CARDS[0])["relay"] is True


def test_a_later_purge_leaves_the_consent(backed_up: BackedUp, old: Bench, new: Bench) -> None:
    old.ask(control.Purge(backed_up.one))
    backed_up.restored(new.root, exported(old))
    new.start(vision=False)
    assert (new.standing(backed_up.one), new.template(backed_up.one)) == ("live", "none")
    assert new.ask(control.LedgerVerify())["ok"]


def test_a_consent_renewed_later_lives_on_under_the_receipt_of_the_backup(
    backed_up: BackedUp, old: Bench, new: Bench
) -> None:
    old.ask(old.consent(backed_up.two, CARDS[1]))
    told = backed_up.restored(new.root, exported(old))
    assert told["consents_ended"] == 0
    new.start(vision=False)
    assert new.standing(backed_up.two) == "live"


def test_a_consent_that_changed_its_mode_later_is_to_be_given_anew(
    backed_up: BackedUp, old: Bench, new: Bench
) -> None:
    """Else a template would open with the device's key alone, which the resident has said no to."""
    old.ask(control.CardAdd(backed_up.two, LONG_CARD))
    old.ask(msgspec.structs.replace(old.consent(backed_up.two, LONG_CARD), mode=KeyMode.HOLDER))
    told = backed_up.restored(new.root, exported(old))
    assert told["consents_ended"] == 1
    new.start(vision=False)
    assert (new.standing(backed_up.one), new.standing(backed_up.two)) == ("live", "withdrawn")
    (receipt,) = new.ask(control.ResidentExport(backed_up.two))["receipts"]
    assert receipt["receipt"]["events"][-1]["state"] == "superseded"


def test_whoever_was_added_later_is_not_there_and_told(backed_up: BackedUp, old: Bench, new: Bench) -> None:
    old.add("Three", "33")
    told = backed_up.restored(new.root, exported(old))
    assert (told["residents_added_later"], told["residents"]) == (1, 2)
    new.start(vision=False)
    assert new.tap("33")["reason"] == "unknown-card"


def test_without_a_later_ledger_every_consent_ends_and_cards_stay(backed_up: BackedUp, new: Bench) -> None:
    told = backed_up.restored(new.root)
    assert (told["consents_ended"], told["all_consents_ended"]) == (2, True)
    assert told["residents_removed"] is told["unclear_entries"] is None
    new.start(vision=False)
    for resident, card in ((backed_up.one, CARDS[0]), (backed_up.two, CARDS[1])):
        assert new.standing(resident) == "expired"
        assert new.refused(control.Enrol(resident, None)).code == "no-consent"
        assert new.tap(card)["relay"] is True
    assert new.ask(control.LedgerVerify(backed_up.anchor))["ok"]
    new.ask(new.consent(backed_up.one, CARDS[0]))
    assert new.standing(backed_up.one) == "live"


def test_entries_whose_payload_is_gone_end_every_consent(backed_up: BackedUp, old: Bench, new: Bench) -> None:
    old.ask(control.ConsentWithdraw(backed_up.one))
    old.ask(control.CardRemove(SPARE))
    assert old.stop() == 0
    ledger = Ledger(old.paths.ledger, read_device(old.paths).device, open_house_keys(old.paths))
    clock = TrustedClock(datetime(2031, 1, 1, tzinfo=UTC))
    tell_step(ledger, clock)
    gone = ledger.past(Keep.ADMIN, "2030-12-31", 1_000)
    payload = {"time": stamp(clock.now()), "class": "admin", "before": "2030-12-31", "count": len(gone)}
    ledger.append(clock.moment(), EntryType.PAYLOADS_ERASED, payload | {"templates": 0}, erase=gone)
    ledger.close()
    old.start(vision=False)
    told = backed_up.restored(new.root, exported(old))
    assert (told["unclear_entries"], told["all_consents_ended"], told["consents_ended"]) == (2, True, 2)
    assert told["known_until"] >= "2031-01-01"
    new.start(vision=False)
    assert new.standing(backed_up.one) == new.standing(backed_up.two) == "expired"
    assert new.ask(control.LedgerVerify())["ok"]


# --- what is refused -----------------------------------------------------------------------------


def refused(backed_up: BackedUp, new: Bench, later: bytes | None) -> GateVaultError:
    """The error, once it is sure that nothing was left behind."""
    with pytest.raises(GateVaultError) as caught:
        backed_up.restored(new.root, later)
    assert left_behind(new.root.parent) == []
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_ledger_from_before_the_backup_is_refused(backed_up: BackedUp, new: Bench) -> None:
    assert "continue the backup's" in str(refused(backed_up, new, backed_up.older))


def test_a_ledger_that_parted_before_the_backup_is_refused(backed_up: BackedUp, new: Bench, tmp_path: Path) -> None:
    """The same device and key, and longer, yet another story."""
    fork = Bench(copied(backed_up.before, tmp_path / "fork")).start(vision=False)
    try:
        for _ in range(4):
            fork.tap(CARDS[0])
        later = exported(fork)
    finally:
        fork.close()
    assert "continue the backup's" in str(refused(backed_up, new, later))


def test_a_ledger_of_another_device_is_refused(
    backed_up: BackedUp, new: Bench, blank: Path, tmp_path: Path
) -> None:
    other = Bench(copied(blank, tmp_path / "other")).start(vision=False)
    try:
        for _ in range(20):
            other.tap("1")
        later = exported(other)
    finally:
        other.close()
    assert "continue the backup's" in str(refused(backed_up, new, later))
    named = json.loads(later) | {"key": json.loads(backed_up.older)["key"]}
    assert isinstance(refused(backed_up, new, json.dumps(named).encode()), BackupError)


def test_an_altered_ledger_is_refused(backed_up: BackedUp, old: Bench, new: Bench) -> None:
    old.ask(control.ConsentWithdraw(backed_up.one))
    later = exported(old)
    for damage in (_cut, _without_the_withdrawal, _silent_on_the_withdrawal, _of_another):
        bundle = json.loads(later)
        damage(bundle)
        assert isinstance(refused(backed_up, new, json.dumps(bundle).encode()), BackupError), damage.__name__
    for garbage in (b"", b"{}", later[:-2]):
        assert isinstance(refused(backed_up, new, garbage), CheckpointError)
    backed_up.restored(new.root, later)


def _withdrawal(bundle: dict[str, list[dict[str, object]]]) -> dict[str, object]:
    (sheet,) = [s for s in bundle["entries"] if dict(s["header"])["type"] == "consent-withdrawn"]  # type: ignore[call-overload]
    return sheet


def _cut(bundle: dict[str, list[dict[str, object]]]) -> None:
    del bundle["entries"][-1]


def _without_the_withdrawal(bundle: dict[str, list[dict[str, object]]]) -> None:
    bundle["entries"].remove(_withdrawal(bundle))


def _silent_on_the_withdrawal(bundle: dict[str, list[dict[str, object]]]) -> None:
    sheet = _withdrawal(bundle)
    del sheet["salt"], sheet["payload"]


def _of_another(bundle: dict[str, list[dict[str, object]]]) -> None:
    _withdrawal(bundle)["payload"]["subject"] = "00" * 16  # type: ignore[index]


def test_a_directory_with_something_in_it_is_refused(backed_up: BackedUp, old: Bench) -> None:
    before = all_bytes(old.root / "keys")
    with pytest.raises(StateError, match="not empty"):
        backed_up.restored(old.root)
    assert all_bytes(old.root / "keys") == before


def test_a_wrong_key_or_a_damaged_backup_leaves_nothing(backed_up: BackedUp, new: Bench, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    new_recovery_key(other)
    for raw, key in ((backed_up.raw, other), (backed_up.raw[:-1], backed_up.key), (b"", backed_up.key)):
        with pytest.raises(BackupError):
            restore(new.root, raw, key, None, keys="file", options=NO_OPTIONS)
        assert left_behind(new.root.parent) == []


def test_the_backup_of_a_bench_becomes_no_gate(backed_up: BackedUp, new: Bench) -> None:
    """Not even by who can make backups: the ledger's first entry says what the device is."""
    contents = unpack(backed_up.raw, backed_up.key)
    for changed in ({"bench": False}, {"device": "gv-0000000000000000"}):
        raw = pack(msgspec.structs.replace(contents, **changed), backed_up.public)
        with pytest.raises(GateVaultError):
            restore(new.root, raw, backed_up.key, None, keys="file", options=NO_OPTIONS)
        assert left_behind(new.root.parent) == []
    assert backed_up.restored(new.root)["device"] == contents.device
    assert read_device(new.paths).bench is True
