"""The ring: whatever step a crash, a full disk or a provider that does not answer interrupts, it opens again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gatevault.core.errors import GateVaultError, StateError, StoreError, VaultLockedError, WrongKeyError
from gatevault.vault import ring as module
from gatevault.vault.keys import Epoch, random_epoch
from gatevault.vault.providers.port import KeyProvider
from gatevault.vault.ring import Ring
from tests.core.samples import shows
from tests.vault.providers.fakes import Kept, MemoryKeyProvider
from tests.vault.samples import DEVICE

OLD, NEW = random_epoch(1), random_epoch(2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.ring"


@pytest.fixture(params=[True, False], ids=["rolling", "static"])
def rolls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


class Device:
    """One device: a ring's file, what two providers keep, and a process that may die and start again."""

    def __init__(self, path: Path, rolls: bool = True) -> None:
        self.path = path
        self.kept = {"file": Kept(), "tpm2": Kept()}
        self.rolls = rolls
        self.now: MemoryKeyProvider | None = None

    def ring(self, device: str = DEVICE, **more: Any) -> Ring:
        """As a process that has just started has it."""

        def provide(name: str) -> KeyProvider:
            self.now = MemoryKeyProvider(self.kept[name], name, self.rolls, **more)
            return self.now

        return Ring(self.path, device, provide)

    def made(self, *epochs: Epoch) -> Ring:
        ring = self.ring()
        ring.make(epochs or [OLD], "file")
        return ring


def known(epochs: list[Epoch]) -> list[tuple[int, bytes]]:
    return [(epoch.number, epoch.key.reveal()) for epoch in epochs]


@pytest.fixture
def device(path: Path, rolls: bool) -> Device:
    return Device(path, rolls)


def test_epochs_come_back_in_another_process(device: Device) -> None:
    ring = device.made(OLD, NEW)
    assert ring.provider.name == "file"
    again = device.ring()
    assert known(again.open()) == known([OLD, NEW])
    again.write([NEW])
    assert known(device.ring().open()) == known([NEW])


def test_a_roll_kills_older_rings_where_the_provider_rolls(device: Device, rolls: bool) -> None:
    ring = device.made(OLD)
    image = device.path.read_bytes()
    ring.roll([NEW])
    assert known(device.ring().open()) == known([NEW])
    assert len(json.loads(device.path.read_bytes())["boxes"]) == 1
    device.path.write_bytes(image)
    if rolls:
        with pytest.raises(WrongKeyError, match="older copy"):
            device.ring().open()
    else:
        assert known(device.ring().open()) == known([OLD])


@pytest.mark.parametrize("fails", range(2))
def test_a_crash_at_any_write_of_a_roll_leaves_a_ring_that_opens(
    path: Path, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    device = Device(path)
    ring = device.made(OLD, NEW)
    write, calls = module.replace, iter(range(9))

    def dying(target: Path, content: bytes) -> None:
        if next(calls) == fails:
            raise OSError(28, "No space left on device")
        write(target, content)

    monkeypatch.setattr(module, "replace", dying)
    with pytest.raises(StoreError, match="space"):
        ring.roll([NEW])
    monkeypatch.undo()
    for retry in (ring, device.ring()):
        if retry is not ring:
            assert known(retry.open()) in (known([OLD, NEW]), known([NEW]))
        retry.roll([NEW])
        assert known(device.ring().open()) == known([NEW])
        assert not device.ring().rolling


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_provider_that_fails_while_it_rolls_is_asked_again(path: Path, when: str) -> None:
    device = Device(path)
    device.made(OLD)
    ring = device.ring(fail_roll=when)
    ring.open()
    with pytest.raises(VaultLockedError):
        ring.roll([NEW])
    crashed = device.ring()
    assert known(crashed.open()) == known([NEW])
    assert crashed.rolling, "it may not have been carried out: once more"
    assert device.now is not None
    ring.write([OLD, NEW])  # under both secrets, for either may be the present one
    assert known(device.ring().open()) == known([OLD, NEW])
    provider = ring.provider
    assert isinstance(provider, MemoryKeyProvider)
    provider.fail_roll = ""
    image = device.path.read_bytes()
    ring.roll([NEW])
    assert known(device.ring().open()) == known([NEW])
    device.path.write_bytes(image)
    if when == "before":
        assert known(device.ring().open()) == known([OLD, NEW]), (
            "the secret that failed first is the present one now"
        )


def test_a_move_leaves_the_ring_with_the_other_provider(device: Device) -> None:
    ring = device.made(OLD)
    ring.make([OLD], "tpm2")
    assert ring.provider.name == "tpm2"
    again = device.ring()
    assert known(again.open()) == known([OLD])
    assert again.provider.name == "tpm2"
    assert device.kept["file"].secret is not None, "whoever moves it destroys it"


def test_a_move_to_a_provider_that_is_in_use_changes_nothing(device: Device) -> None:
    ring = device.made(OLD)
    device.kept["tpm2"].secret = bytes(32)
    before = device.path.read_bytes()
    with pytest.raises(StateError):
        ring.make([OLD], "tpm2")
    assert device.path.read_bytes() == before
    assert device.kept["tpm2"].secret == bytes(32)
    ring.write([OLD, NEW])
    assert known(device.ring().open()) == known([OLD, NEW])


def test_a_move_that_finds_no_room_leaves_no_secret_behind(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = device.made(OLD)

    def full(target: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "replace", full)
    with pytest.raises(StoreError):
        ring.make([OLD], "tpm2")
    monkeypatch.undo()
    assert device.kept["tpm2"].secret is None
    assert ring.provider.name == "file"
    assert known(device.ring().open()) == known([OLD])


def test_a_closed_ring_writes_nothing(device: Device) -> None:
    ring = device.made(OLD)
    ring.close()
    for attempt in (ring.write, ring.roll):
        with pytest.raises(VaultLockedError):
            attempt([NEW])
    assert known(device.ring().open()) == known([OLD])


def test_a_provider_that_is_away_means_a_locked_vault(device: Device) -> None:
    device.made(OLD)
    device.kept["file"].away = True
    with pytest.raises(VaultLockedError, match="cards work"):
        device.ring().open()


def test_a_ring_that_is_not_there_is_a_locked_vault(path: Path) -> None:
    with pytest.raises(VaultLockedError, match="not there"):
        Device(path).ring().open()


def test_another_devices_ring_does_not_open(device: Device) -> None:
    device.made(OLD)
    with pytest.raises(WrongKeyError):
        device.ring("gv-of-another-device").open()


def test_a_ring_that_names_another_provider_does_not_open(device: Device) -> None:
    device.made(OLD)
    device.kept["tpm2"].secret = device.kept["file"].secret
    device.path.write_bytes(device.path.read_bytes().replace(b'"file"', b'"tpm2"'))
    with pytest.raises(WrongKeyError):
        device.ring().open()


def _altered(content: bytes) -> list[bytes]:
    box = json.loads(content)["boxes"][0]
    flipped = "".join("0" if digit != "0" else "1" for digit in box[:40]) + box[40:]
    return [
        b"",
        b"{}",
        content[:-1],
        content + b"x",
        content.replace(b'"format":1', b'"format":2'),
        content.replace(b'"file"', b'"cloud"'),
        content.replace(box.encode(), flipped.encode()),
        content.replace(box.encode(), box[:-2].encode()),
        content.replace(box.encode(), b"not hexadecimal"),
        content.replace(b'"boxes":[', b'"boxes":["",'),
        json.dumps({"format": 1, "provider": "file", "boxes": []}).encode(),
        json.dumps({"format": 1, "provider": "file", "boxes": [box] * 3}).encode(),
        b"\xff" * 100,
    ]


@pytest.mark.parametrize("case", range(13))
def test_an_altered_ring_is_refused_or_opens_to_what_was_written(device: Device, case: int) -> None:
    device.made(OLD)
    device.path.write_bytes(_altered(device.path.read_bytes())[case])
    try:
        epochs = device.ring().open()
    except GateVaultError as error:
        assert isinstance(error, StoreError | WrongKeyError)
        assert "\n" not in str(error)
    else:
        assert known(epochs) == known([OLD])


def test_the_file_shows_no_key(device: Device) -> None:
    ring = device.made(OLD, NEW)
    secret = device.kept["file"].secret
    assert secret is not None
    ring.roll([NEW])
    held = device.path.read_text()
    for key in (OLD.key.reveal(), NEW.key.reveal(), secret, device.kept["file"].secret):
        assert key is not None and not shows(held, key)


def test_nothing_but_this_file_is_written(device: Device, path: Path) -> None:
    device.made(OLD).roll([NEW])
    assert [file.name for file in path.parent.iterdir()] == ["vault.ring"]
    assert path.stat().st_mode & 0o777 == 0o600
