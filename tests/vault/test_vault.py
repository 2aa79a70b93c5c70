"""The vault against a simple model: what lives opens bit for bit, what was erased does not, whatever fails."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gatevault.core.errors import (
    GateVaultError,
    HolderKeyNeededError,
    RecordRefusedError,
    StoreError,
    StoreFullError,
    VaultLockedError,
    WrongKeyError,
)
from gatevault.vault.keys import holder_key
from gatevault.vault.record import Captures, Mode
from gatevault.vault.ring import Ring
from gatevault.vault.vault import Vault
from tests.vault.providers.fakes import Kept, MemoryKeyProvider
from tests.vault.samples import DEVICE, LONG_CARD, MODEL, RECEIPT, captures, change

RECORDS = [bytes([number]) * 16 for number in range(5)]


class Device:
    """A vault on a disk, with what its key providers keep; processes come and go."""

    def __init__(self, root: Path, rolls: bool = True) -> None:
        self.root = root
        self.rolls = rolls
        self.kept = {"file": Kept(), "tpm2": Kept()}
        self.providers: dict[str, MemoryKeyProvider] = {}
        self.vault = self.start()
        self.vault.make("file")

    def start(self) -> Vault:
        """A process that has just started: its vault is locked."""
        self.providers = {name: MemoryKeyProvider(kept, name, self.rolls) for name, kept in self.kept.items()}
        ring = Ring(self.root / "vault.ring", DEVICE, lambda name: self.providers[name])
        return Vault(self.root / "vault.db", ring, DEVICE, False)

    def restart(self) -> Vault:
        self.vault.close()
        self.vault = self.start()
        self.vault.unlock()
        return self.vault

    def image(self, to: Path) -> Path:
        """A copy of the disk; what providers keep elsewhere is not on it."""
        to.mkdir(parents=True)
        for file in self.root.iterdir():
            shutil.copy(file, to / file.name)
        return to

    def put(self, record: bytes, template: Captures, holder: bool = False) -> None:
        key = holder_key(LONG_CARD, record) if holder else None
        place = self.vault.place(record, MODEL)
        self.vault.put(self.vault.seal(place, RECEIPT, template, 4, key))

    def open(self, record: bytes, holder: bool = False) -> Captures:
        row = self.vault.get(record)
        if row is None:
            raise RecordRefusedError("It is not there.")
        return self.vault.open(row, RECEIPT, holder_key(LONG_CARD, record) if holder else None)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    device = Device(tmp_path / "state") if (tmp_path / "state").mkdir() is None else None
    assert device is not None
    device.vault.unlock()
    return device


# --- one thing at a time -------------------------------------------------------------------------


def test_an_older_copy_of_the_database_does_not_open_with_the_keys_of_now(device: Device, tmp_path: Path) -> None:
    for number in range(3):
        device.put(RECORDS[number], captures(seed=number))
    old = device.image(tmp_path / "old")
    device.vault.erase(RECORDS[1])
    device.vault.close()
    for file in device.root.glob("vault.db*"):
        file.unlink()
    for file in old.glob("vault.db*"):
        shutil.copy(file, device.root / file.name)
    device.vault = device.start()
    with pytest.raises(WrongKeyError, match="older copy"):
        device.vault.unlock()
    assert not device.vault.unlocked


@pytest.mark.parametrize("rolls", [True, False])
def test_an_image_of_the_disk_opens_again_only_where_nothing_beside_it_changed(tmp_path: Path, rolls: bool) -> None:
    (tmp_path / "state").mkdir()
    device = Device(tmp_path / "state", rolls)
    device.vault.unlock()
    template = captures()
    device.put(RECORDS[0], template)
    image = device.image(tmp_path / "image")
    device.vault.erase(RECORDS[0])
    device.vault.close()
    device.root = image
    device.vault = device.start()
    if rolls:
        with pytest.raises(WrongKeyError):
            device.vault.unlock()
    else:
        device.vault.unlock()
        assert (device.open(RECORDS[0]) == template).all(), "as the certificate says"


def test_a_holders_record_lives_through_the_purge_of_another_without_the_card(device: Device) -> None:
    template = captures()
    device.put(RECORDS[0], template, holder=True)
    device.put(RECORDS[1], captures(seed=2))
    device.vault.erase(RECORDS[1])
    with pytest.raises(HolderKeyNeededError):
        device.open(RECORDS[0])
    assert (device.open(RECORDS[0], holder=True) == template).all()
    row = device.vault.get(RECORDS[0])
    assert row is not None and device.vault.mode(row) is Mode.HOLDER


def test_what_does_not_open_stays_and_stays_refused(device: Device, tmp_path: Path) -> None:
    device.put(RECORDS[0], captures())
    device.put(RECORDS[1], captures(seed=2))
    change(device.root / "vault.db", "UPDATE keys SET wrapped = zeroblob(113) WHERE record = ?", RECORDS[0])
    device.vault.rotate()
    with pytest.raises(RecordRefusedError):
        device.open(RECORDS[0])
    assert (device.open(RECORDS[1]) == captures(seed=2)).all()
    device.vault.erase(RECORDS[0])
    assert device.vault.records() == {RECORDS[1]}


def test_a_locked_vault_opens_and_seals_nothing_and_erases_all_the_same(device: Device) -> None:
    device.put(RECORDS[0], captures())
    row = device.vault.get(RECORDS[0])
    assert row is not None
    device.vault.lock()
    for attempt in (
        lambda: device.vault.open(row, RECEIPT),
        lambda: device.put(RECORDS[1], captures()),
        device.vault.rotate,
        lambda: device.vault.move("tpm2"),
        lambda: device.vault.epoch,
    ):
        with pytest.raises(VaultLockedError):
            attempt()
    assert not device.vault.settle()
    device.vault.erase(RECORDS[0])
    assert device.vault.records() == set()
    device.vault.unlock()
    epoch = device.vault.epoch
    assert device.vault.settle()
    assert device.vault.epoch == epoch + 1, "the rotation that was owed"
    assert device.vault.settle()
    assert device.vault.epoch == epoch + 1, "once"


def test_erasing_what_is_not_there_rotates_nothing(device: Device) -> None:
    epoch = device.vault.epoch
    device.vault.erase(RECORDS[0])
    assert device.vault.epoch == epoch


def test_a_replaced_record_is_destroyed_as_an_erased_one_is(device: Device, tmp_path: Path) -> None:
    device.put(RECORDS[0], captures(seed=1))
    epoch = device.vault.epoch
    device.put(RECORDS[0], captures(seed=2))
    assert device.vault.epoch == epoch + 1
    assert (device.open(RECORDS[0]) == captures(seed=2)).all()


def test_a_disk_that_is_full_still_loses_the_row(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    device.put(RECORDS[0], captures())

    def full(*_: Any) -> None:
        raise StoreFullError("The disk is full.")

    monkeypatch.setattr(device.vault._ring, "write", full)
    with pytest.raises(StoreFullError):
        device.vault.erase(RECORDS[0])
    monkeypatch.undo()
    assert device.vault.records() == set()
    epoch = device.vault.epoch
    assert device.vault.settle()
    assert device.vault.epoch == epoch + 1


def test_a_commit_that_failed_and_was_made_all_the_same_is_found_out(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.put(RECORDS[0], captures())
    rotate = device.vault._store.rotate

    def made_and_failed(*arguments: Any) -> None:
        rotate(*arguments)
        raise StoreError("The disk did not answer.")

    monkeypatch.setattr(device.vault._store, "rotate", made_and_failed)
    with pytest.raises(StoreError):
        device.vault.rotate()
    monkeypatch.undo()
    assert (device.open(RECORDS[0]) == captures()).all()
    assert device.vault.settle()
    assert (device.restart().epoch, device.open(RECORDS[0]).shape) == (2, captures().shape)


# --- many things in any order --------------------------------------------------------------------


class Steps(RuleBasedStateMachine):
    """Enrolments, purges, rotations, moves, locks and crashes; a failure may come at any write of any of them."""

    @initialize(rolls=st.booleans())
    def begin(self, rolls: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gatevault-vault-"))
        (self.folder / "state").mkdir()
        self.device = Device(self.folder / "state", rolls)
        self.device.vault.unlock()
        self.alive: dict[bytes, Captures] = {}
        self.doubtful: dict[bytes, list[Captures | None]] = {}
        self.seed = 0

    def attempt(self, fail_at: int | None, work: Any) -> bool:
        """Do `work` with the `fail_at`-th write of ring, provider or database failing; whether it was done."""
        vault, count = self.device.vault, iter(range(100))

        def guarded(function: Any) -> Any:
            def maybe(*arguments: Any, **more: Any) -> Any:
                if next(count) == fail_at:
                    raise StoreFullError("The disk is full.")
                return function(*arguments, **more)

            return maybe

        targets: list[tuple[Any, str]] = [(vault._ring, "_write"), (vault._store, "put"), (vault._store, "rotate")]
        targets += [(provider, "roll") for provider in self.device.providers.values()]
        for target, name in targets:
            setattr(target, name, guarded(getattr(target, name)))
        try:
            work()
        except StoreFullError:
            return False
        finally:
            for target, name in targets:
                delattr(target, name)
        return True

    @precondition(lambda self: self.device.vault.unlocked)
    @rule(record=st.sampled_from(RECORDS), count=st.integers(1, 4), fail_at=st.none() | st.integers(0, 6))
    def put(self, record: bytes, count: int, fail_at: int | None) -> None:
        self.seed += 1
        template = captures(count, 4, self.seed)
        before = self.alive.get(record)
        if self.attempt(fail_at, lambda: self.device.put(record, template)):
            self.alive[record] = template
        else:  # an intention in the registry tells later which it was
            row = self.device.vault.get(record)
            found = None if row is None else self.device.vault.open(row, RECEIPT)
            assert any(_same(found, one) for one in (before, template))
            if found is not None:
                self.alive[record] = found

    @rule(record=st.sampled_from(RECORDS), fail_at=st.none() | st.integers(0, 6))
    def erase(self, record: bytes, fail_at: int | None) -> None:
        self.attempt(fail_at, lambda: self.device.vault.erase(record))
        self.alive.pop(record, None)

    @precondition(lambda self: self.device.vault.unlocked)
    @rule(fail_at=st.none() | st.integers(0, 6))
    def rotate(self, fail_at: int | None) -> None:
        self.attempt(fail_at, self.device.vault.rotate)

    @precondition(lambda self: self.device.vault.unlocked)
    @rule(fail_at=st.none() | st.integers(0, 6))
    def move(self, fail_at: int | None) -> None:
        vault, before = self.device.vault, self.device.vault.provider.name
        to = {"file": "tpm2", "tpm2": "file"}[before]
        done = self.attempt(fail_at, lambda: vault.move(to))
        assert vault.provider.name == (to if done else before)
        self.device.kept[before if done else to].secret = None  # as `House` has it destroyed

    @rule()
    def lock(self) -> None:
        self.device.vault.lock()

    @rule(fail_at=st.none() | st.integers(0, 3))
    def settle(self, fail_at: int | None) -> None:
        self.attempt(fail_at, self.device.vault.settle)

    @rule()
    def start_again(self) -> None:
        """As a crash and a start do: nothing that was in RAM is left."""
        self.device.restart()

    @precondition(lambda self: self.device.vault.unlocked)
    @rule()
    def purge_is_final(self) -> None:
        """Once settled, neither the ring nor the database of before a purge opens with the other of now."""
        vault = self.device.vault
        vault.settle()
        self.device.put(RECORDS[0], captures(1, 4, 999))
        old = self.device.image(self.folder / f"image-{self.seed}-{len(list(self.folder.iterdir()))}")
        vault.erase(RECORDS[0])
        self.alive.pop(RECORDS[0], None)
        vault.close()
        new = self.device.root
        for kept, replaced in (("vault.ring", "vault.db"), ("vault.db", "vault.ring")):
            mixed = Path(tempfile.mkdtemp(prefix="gatevault-vault-"))
            for file in (*new.glob(f"{kept}*"), *old.glob(f"{replaced}*")):
                shutil.copy(file, mixed / file.name)
            self.device.root = mixed
            other = self.device.start()
            with suppress(GateVaultError):
                other.unlock()
            assert not other.unlocked, f"an old {replaced} opens with today's {kept}"
            other.close()
            shutil.rmtree(mixed)
        self.device.root = new
        self.device.vault = self.device.start()
        self.device.vault.unlock()

    @invariant()
    def what_lives_opens_and_nothing_else_is_there(self) -> None:
        if not hasattr(self, "device"):
            return
        vault = self.device.vault
        assert vault.records() == set(self.alive)
        if vault.unlocked:
            for record, template in self.alive.items():
                assert _same(self.device.open(record), template)

    def teardown(self) -> None:
        if hasattr(self, "device"):
            self.device.vault.close()
            shutil.rmtree(self.folder)


def _same(one: Captures | None, other: Captures | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and bool(np.array_equal(one, other))


Steps.TestCase.settings = settings(
    max_examples=200, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSteps = Steps.TestCase


@pytest.mark.nightly
class TestManySteps(Steps.TestCase):  # type: ignore[misc]
    settings = settings(
        max_examples=2_000, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
    )
