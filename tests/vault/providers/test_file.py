"""A key in a file: its form, its mode, what is refused, and a roll that the disk does not take."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gatevault.core.errors import StateError, StoreError, VaultLockedError
from gatevault.vault.providers.file import FileKeyProvider


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "vault.key"
    FileKeyProvider(path).create()
    return path


def test_the_file_is_its_owners_alone_and_of_one_line(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b"gatevault-key-v1 " + FileKeyProvider(path).load().reveal().hex().encode() + b"\n"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o601, 0o777])
def test_a_file_that_others_may_read_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(StoreError, match=f"mode {mode:o}.*chmod 600"):
        FileKeyProvider(path).load()
    path.chmod(0o400)
    assert FileKeyProvider(path).load()


KEY = b"0123456789abcdef" * 4


@pytest.mark.parametrize(
    "content",
    [
        b"",
        KEY,
        b"gatevault-key-v2 " + KEY,
        b"gatevault-key-v1",
        b"gatevault-key-v1 ",
        b"gatevault-key-v1 " + KEY[:-1],
        b"gatevault-key-v1 " + KEY[:-2],
        b"gatevault-key-v1 " + KEY + b"00",
        b"gatevault-key-v1 " + KEY[:-1] + b"g",
        b"gatevault-key-v1 " + KEY[:-1] + b"\xff",
        b"gatevault-key-v1 " + bytes(64),
        bytes(300),
    ],
)
def test_a_damaged_file_is_refused_and_shows_nothing_of_itself(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged") as caught:
        FileKeyProvider(path).load()
    assert "0123456789" not in str(caught.value)
    assert path.read_bytes() == content


def test_what_is_no_file_at_all_locks_the_vault(tmp_path: Path) -> None:
    with pytest.raises(VaultLockedError):
        FileKeyProvider(tmp_path).load()
    with pytest.raises(VaultLockedError):
        FileKeyProvider(tmp_path / "absent" / "vault.key").load()


def test_creating_never_writes_through_a_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "vault.key").symlink_to(elsewhere)
    with pytest.raises(StateError):
        FileKeyProvider(tmp_path / "vault.key").create()
    assert not elsewhere.exists()


# --- rolls that fail -----------------------------------------------------------------------------


def test_a_roll_that_was_not_carried_out_can_be_repeated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = FileKeyProvider(path)
    key, proposed = provider.load().reveal(), provider.propose().reveal()
    monkeypatch.setattr(os, "fsync", _no_room)
    with pytest.raises(StoreError, match="No space left"):
        provider.roll()
    monkeypatch.undo()
    with pytest.raises(StateError, match="unlock the vault again"):
        provider.propose()
    assert provider.load().reveal() == key
    assert provider.propose().reveal() == proposed
    provider.roll()
    assert FileKeyProvider(path).load().reveal() == proposed
    assert [entry.name for entry in path.parent.iterdir()] == ["vault.key"]


def test_a_roll_that_was_carried_out_though_it_failed_is_not_proposed_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = FileKeyProvider(path)
    proposed = provider.propose().reveal()
    monkeypatch.setattr("gatevault.vault.files.sync_directory", _no_room)
    monkeypatch.setattr("gatevault.vault.providers.file.sync_directory", _no_room)
    with pytest.raises(StoreError):
        provider.roll()
    with pytest.raises(StoreError, match="does not confirm"):
        provider.load()
    monkeypatch.undo()
    assert provider.load().reveal() == proposed
    assert provider.propose().reveal() != proposed


def test_a_damaged_file_is_not_rolled_over(path: Path) -> None:
    path.write_bytes(b"gatevault-key-v1 what may still be mended\n")
    with pytest.raises(StoreError, match="damaged"):
        FileKeyProvider(path).propose()
    assert path.read_bytes() == b"gatevault-key-v1 what may still be mended\n"


def test_destroying_takes_what_a_crash_in_a_roll_left(path: Path) -> None:
    path.with_name("vault.key.new").write_bytes(path.read_bytes())
    FileKeyProvider(path).destroy()
    assert list(path.parent.iterdir()) == []


def _no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")
