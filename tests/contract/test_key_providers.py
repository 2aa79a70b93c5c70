"""What every provider of a root key does: one suite. A new provider is one more line in PROVIDERS."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gatevault.core.errors import StateError, StoreError, VaultLockedError
from gatevault.vault.keys import KEY_BYTES
from gatevault.vault.providers.file import FileKeyProvider
from gatevault.vault.providers.port import KeyProvider
from tests.core.samples import shows

PROVIDERS: dict[str, Callable[[Path], KeyProvider]] = {"file": lambda place: FileKeyProvider(place / "vault.key")}


@pytest.fixture(params=PROVIDERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def provider(name: str, tmp_path: Path) -> KeyProvider:
    return PROVIDERS[name](tmp_path)


def test_it_tells_its_name(name: str, provider: KeyProvider) -> None:
    assert provider.name == name


def test_no_key_means_a_locked_vault(provider: KeyProvider) -> None:
    with pytest.raises(VaultLockedError, match="cards work"):
        provider.load()


def test_the_key_is_the_same_each_time_and_in_another_process(
    name: str, provider: KeyProvider, tmp_path: Path
) -> None:
    provider.create()
    key = provider.load().reveal()
    assert len(key) == KEY_BYTES
    assert key != bytes(KEY_BYTES)
    assert provider.load().reveal() == PROVIDERS[name](tmp_path).load().reveal() == key


def test_each_load_gives_a_secret_of_its_own_to_wipe(provider: KeyProvider) -> None:
    provider.create()
    first = provider.load()
    key = first.reveal()
    first.wipe()
    assert provider.load().reveal() == key


def test_a_key_is_never_replaced(provider: KeyProvider) -> None:
    provider.create()
    key = provider.load().reveal()
    with pytest.raises(StateError, match="Nothing was changed"):
        provider.create()
    assert provider.load().reveal() == key


def test_every_key_is_another(name: str, tmp_path: Path) -> None:
    keys = set()
    for number in range(20):
        place = tmp_path / str(number)
        place.mkdir()
        provider = PROVIDERS[name](place)
        provider.create()
        keys.add(provider.load().reveal())
    assert len(keys) == 20


def test_it_shows_no_key(provider: KeyProvider) -> None:
    provider.create()
    key = provider.load().reveal()
    with pytest.raises(StateError) as caught:
        provider.create()
    for shown in (repr(provider), str(provider), str(caught.value)):
        assert not shows(shown, key)


# --- the file's own ------------------------------------------------------------------------------


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
