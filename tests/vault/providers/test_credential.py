"""The credential of systemd: delivered, or encrypted and decrypted by the real `systemd-creds` as root."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gatevault.core.errors import StateError, StoreError, VaultLockedError
from gatevault.vault.providers import build_provider
from gatevault.vault.providers.credential import CREDENTIAL, STAND_IN, CredentialKeyProvider

DROP_IN = Path(__file__).parents[3] / "systemd" / "drop-ins" / "credential.conf"
UNIT = Path(__file__).parents[3] / "systemd" / "gatevault-key.service"
KEY = bytes(range(32))


@pytest.fixture
def delivered(tmp_path: Path) -> Path:
    folder = tmp_path / "delivered"
    folder.mkdir()
    (folder / CREDENTIAL).write_bytes(KEY)
    return folder


@pytest.fixture
def creds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real program, with a host key of this test's own."""
    if os.geteuid() != 0 or shutil.which("systemd-creds") is None:
        pytest.skip("systemd-creds needs to be installed, and root")
    monkeypatch.setenv("SYSTEMD_CREDENTIAL_SECRET", str(tmp_path / "host.key"))
    trial = subprocess.run(["systemd-creds", "encrypt", "-", "-"], input=b"x", capture_output=True, check=False)
    if trial.returncode != 0:
        pytest.skip(f"systemd-creds does not work here: {trial.stderr.decode()}")


def _provider(place: Path, delivered: Path | None) -> CredentialKeyProvider:
    return CredentialKeyProvider(place / "vault.credential", delivered, place / "credstore")


def test_what_systemd_delivered_is_the_secret(tmp_path: Path, delivered: Path) -> None:
    assert _provider(tmp_path, delivered).create().reveal() == KEY
    assert _provider(tmp_path, delivered).load().reveal() == KEY


def test_the_directory_is_the_one_that_systemd_names(
    tmp_path: Path, delivered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(delivered))
    assert build_provider("systemd-credential", tmp_path).create().reveal() == KEY


@pytest.mark.parametrize("content", [b"", KEY[:-1], KEY + b"\n", KEY * 2, b"None", STAND_IN + b"\n"])
def test_a_credential_of_another_length_is_refused(tmp_path: Path, delivered: Path, content: bytes) -> None:
    provider = _provider(tmp_path, delivered)
    provider.create()
    (delivered / CREDENTIAL).write_bytes(content)
    with pytest.raises(StoreError, match="not of 32 bytes"):
        provider.load()


def test_one_that_systemd_could_not_decrypt_locks_the_vault(tmp_path: Path, delivered: Path) -> None:
    provider = _provider(tmp_path, delivered)
    provider.create()
    (delivered / CREDENTIAL).write_bytes(STAND_IN)
    with pytest.raises(VaultLockedError, match="cards work"):
        provider.load()


def test_nobody_but_root_makes_one_and_is_told_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(StateError, match=f"systemd-creds encrypt --name={CREDENTIAL} - {tmp_path}/credstore"):
        _provider(tmp_path, None).create()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"format":1,"made":1}', b'{"format":2,"made":true}', b"[" * 10000]
)
def test_a_damaged_record_is_refused(tmp_path: Path, delivered: Path, content: bytes) -> None:
    provider = _provider(tmp_path, delivered)
    provider.create()
    (tmp_path / "vault.credential").write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        provider.load()


def test_root_makes_one_that_systemd_decrypts(tmp_path: Path, creds: None) -> None:
    key = _provider(tmp_path, None).create().reveal()
    encrypted = tmp_path / "credstore" / CREDENTIAL
    assert encrypted.stat().st_mode & 0o777 == 0o600
    done = subprocess.run(["systemd-creds", "decrypt", str(encrypted), "-"], capture_output=True, check=True)
    assert done.stdout == key
    assert _provider(tmp_path, None).load().reveal() == key


def test_one_of_another_host_locks_the_vault(tmp_path: Path, creds: None, monkeypatch: pytest.MonkeyPatch) -> None:
    _provider(tmp_path, None).create()
    monkeypatch.setenv("SYSTEMD_CREDENTIAL_SECRET", str(tmp_path / "another.key"))
    with pytest.raises(VaultLockedError, match="another machine"):
        _provider(tmp_path, None).load()


def test_what_was_made_here_is_removed_and_what_was_found_is_left(tmp_path: Path, creds: None) -> None:
    provider, encrypted = _provider(tmp_path, None), tmp_path / "credstore" / CREDENTIAL
    first = provider.create().reveal()
    provider.destroy()
    assert not encrypted.exists()
    second = provider.create().reveal()
    assert second != first
    (tmp_path / "vault.credential").unlink()
    assert _provider(tmp_path, None).create().reveal() == second  # taken, not replaced
    provider.destroy()
    assert encrypted.exists()


def test_the_secret_is_in_no_argument(tmp_path: Path, creds: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    real = subprocess.run

    def watched(arguments: list[str], **options: object) -> object:
        seen.append(arguments)
        return real(arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", watched)
    provider = _provider(tmp_path, None)
    key = provider.create().reveal()
    assert provider.load().reveal() == key
    assert [arguments[2] for arguments in seen] == ["encrypt", "decrypt"]
    assert all(argument == "-" or argument.startswith(("/", "--n", "en", "de")) for run in seen for argument in run)


def test_the_drop_in_delivers_the_same_names_and_the_same_stand_in() -> None:
    lines = DROP_IN.read_text().splitlines()
    assert f"LoadCredential={CREDENTIAL}:/run/credentials/{UNIT.name}/{CREDENTIAL}" in lines
    assert f"SetCredential={CREDENTIAL}:{STAND_IN.decode()}" in lines
    assert f"LoadCredentialEncrypted={CREDENTIAL}" in UNIT.read_text().splitlines()
