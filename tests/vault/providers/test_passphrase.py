"""The passphrase: what may be one, what is derived from it, and a file that was tampered with."""

from __future__ import annotations

import base64
import json
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nacl.pwhash import argon2id

from gatevault.core.errors import NotAllowedError, StateError, StoreError, UsageError, VaultLockedError
from gatevault.core.passphrase import typed
from gatevault.vault.providers import passphrase as module
from gatevault.vault.providers.passphrase import PassphraseKeyProvider

GOOD = "Schlüssel zum Törchen"


def _provider(path: Path) -> PassphraseKeyProvider:
    return PassphraseKeyProvider(path, ops=argon2id.OPSLIMIT_INTERACTIVE, memory=argon2id.MEMLIMIT_INTERACTIVE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    provider = _provider(tmp_path / "vault.passphrase")
    provider.offer(typed(GOOD))
    provider.create()
    return tmp_path / "vault.passphrase"


def test_it_waits_until_somebody_types(path: Path) -> None:
    provider = _provider(path)
    with pytest.raises(VaultLockedError, match="gatevault vault unlock"):
        provider.load()
    provider.offer(typed(GOOD))
    key = provider.load().reveal()
    assert provider.load().reveal() == key
    provider.forget()
    with pytest.raises(VaultLockedError, match="gatevault vault unlock"):
        provider.load()


def test_it_is_argon2id_of_the_normalised_text_under_the_recorded_limits(path: Path) -> None:
    kept = json.loads(path.read_bytes())
    provider = _provider(path)
    provider.offer(typed(unicodedata.normalize("NFD", GOOD)))
    expected = argon2id.kdf(
        32,
        unicodedata.normalize("NFKC", GOOD).encode(),
        base64.b64decode(kept["salt"]),
        kept["ops"],
        kept["memory"],
    )
    assert provider.load().reveal() == expected


def test_the_limits_of_a_new_secret_are_moderate(tmp_path: Path) -> None:
    provider = PassphraseKeyProvider(tmp_path / "vault.passphrase")
    provider.offer(typed(GOOD))
    key = provider.create().reveal()
    kept = json.loads((tmp_path / "vault.passphrase").read_bytes())
    assert (kept["ops"], kept["memory"]) == (3, 256 << 20)
    later = _provider(tmp_path / "vault.passphrase")  # the recorded limits hold, not those of today
    later.offer(typed(GOOD))
    assert later.load().reveal() == key


def test_another_passphrase_gives_another_secret(path: Path) -> None:
    provider = _provider(path)
    provider.offer(typed(GOOD))
    key = provider.load().reveal()
    provider.offer(typed(GOOD + " "))
    assert provider.load().reveal() != key
    provider.offer(typed(GOOD))
    assert provider.load().reveal() == key


@pytest.mark.parametrize("weak", ["short", "elevenchars", "aaaaaaaaaaaaaaaaaaaa", "abcdabcdabcdabcd", "é́" * 20])
def test_a_weak_passphrase_makes_no_vault(tmp_path: Path, weak: str) -> None:
    provider = _provider(tmp_path / "vault.passphrase")
    provider.offer(typed(weak))
    with pytest.raises(NotAllowedError, match="12 characters at least, 5 of them different"):
        provider.create()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "impossible", ["", "x" * 1025, "with a newline\n", "with a nul\0in it", "half a pair \ud800"]
)
def test_what_cannot_be_typed_is_refused_at_once(path: Path, impossible: str) -> None:
    with pytest.raises(UsageError, match="type it again"):
        _provider(path).offer(typed(impossible))


def test_without_a_passphrase_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="Nothing was changed"):
        _provider(tmp_path / "vault.passphrase").create()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"format": 2},
        {"kdf": "argon2i13"},
        {"salt": ""},
        {"salt": base64.b64encode(bytes(15)).decode()},
        {"salt": "not base64!"},
        {"salt": None},
        {"ops": 1},
        {"ops": 17},
        {"ops": -3},
        {"ops": 10**30},
        {"ops": "3"},
        {"ops": True},
        {"memory": 8192},
        {"memory": (1 << 30) + 1},
        {"memory": 100_000_000_000},
        {"memory": 1e11},
        {"another": 1},
    ],
)
def test_a_file_that_was_tampered_with_is_refused_before_any_work(
    path: Path, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changed))
    monkeypatch.setattr(PassphraseKeyProvider, "_derive", lambda *_: pytest.fail("it was derived"))
    provider = _provider(path)
    provider.offer(typed(GOOD))
    with pytest.raises(StoreError, match="damaged"):
        provider.load()


def test_a_file_that_others_may_read_is_refused(path: Path) -> None:
    path.chmod(0o644)
    with pytest.raises(StoreError, match="chmod 600"):
        _provider(path).load()


def test_too_little_memory_leaves_the_vault_locked_and_the_passphrase_usable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = _provider(path)
    provider.offer(typed(GOOD))
    refusing = SimpleNamespace(crypto_pwhash=lambda *_: -1, crypto_pwhash_alg_argon2id13=lambda: 2)
    monkeypatch.setattr(module, "lib", refusing)
    with pytest.raises(VaultLockedError, match="64 MiB are needed"):
        provider.load()
    monkeypatch.undo()
    assert provider.load()
