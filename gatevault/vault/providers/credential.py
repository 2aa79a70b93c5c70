"""A secret that systemd hands over: `LoadCredentialEncrypted=`, 32 bytes on a ramfs of mode 0400.

`systemd/gatevault-key.service` asks for it and `systemd/drop-ins/credential.conf` hands it on.
systemd keeps it encrypted under the host's key (`/var/lib/systemd/credential.secret`), the TPM, or
both. `vault.credential` (JSON, 0600: `format` 1, `made`) says that the vault's ring is sealed under
it, and whether the encrypted file was made here, and so is ours to remove.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final, Literal

import msgspec

from gatevault.core.errors import StateError, StoreError, VaultLockedError
from gatevault.vault.files import sync_directory, write_new
from gatevault.vault.keys import KEY_BYTES, Secret
from gatevault.vault.providers import records
from gatevault.vault.providers.scratch import Scratch

CREDENTIAL: Final = "gatevault.vault-key"
CREDSTORE: Final = Path("/etc/credstore.encrypted")

STAND_IN: Final = b"none"
"""What the drop-in delivers where systemd could not decrypt the credential, so that the daemon starts without."""

_WRONG_LENGTH: Final = (
    f"The credential {CREDENTIAL} is not of {KEY_BYTES} bytes: make it from 32 of /dev/urandom, unchanged."
)
_TIMEOUT_S: Final = 30.0
"""With a TPM systemd-creds takes tenths of a second, at a chip's first use seconds."""


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    made: bool


class CredentialKeyProvider:
    """Who holds the SD card holds the host key too, unless systemd sealed the credential to a TPM.

    `delivered` is `$CREDENTIALS_DIRECTORY`, None outside of a unit that has one. Root reads the
    encrypted file itself where none was delivered, so that `init` and offline commands work.
    """

    name = "systemd-credential"
    rolls = False
    image_opens = True

    def __init__(self, path: Path, delivered: Path | None, credstore: Path = CREDSTORE) -> None:
        self._path = path
        self._delivered = None if delivered is None else delivered / CREDENTIAL
        self._encrypted = credstore / CREDENTIAL

    def create(self) -> Secret:
        if records.is_there(self._path):
            raise StateError(f"{self._path} is there: a credential is in use already. Nothing was changed.")
        secret = self._read_delivered()
        if secret is not None:
            records.write(self._path, msgspec.json.encode(_Kept(1, made=False)))
            return secret
        if records.is_there(self._encrypted):
            if os.geteuid() != 0:
                raise StateError(
                    f"{self._encrypted} is there but was not delivered: run `gatevault-setup --keys "
                    "systemd-credential`, restart and try again, or run this as root. "
                    "Nothing was changed."
                )
            secret = self._decrypt()
            records.write(self._path, msgspec.json.encode(_Kept(1, made=False)))
            return secret
        if os.geteuid() != 0 or shutil.which("systemd-creds") is None:
            raise StateError(
                f"No credential {CREDENTIAL} was delivered, and only root can make one. Type, as root: "
                f"install -d -m 700 {self._encrypted.parent} && head -c 32 /dev/urandom | "
                f"systemd-creds encrypt --name={CREDENTIAL} - {self._encrypted}; "
                "then run `gatevault-setup --keys systemd-credential`, restart and try again."
            )
        return self._make()

    def load(self) -> Secret:
        records.read(self._path, _Kept)
        secret = self._read_delivered()
        if secret is not None:
            return secret
        if os.geteuid() == 0 and self._encrypted.is_file():
            return self._decrypt()
        raise VaultLockedError(
            f"systemd did not deliver {CREDENTIAL}: faces are off, cards work. Run `gatevault-setup --keys "
            "systemd-credential` and restart."
        )

    def propose(self) -> Secret:
        return self.load()

    def roll(self) -> None:
        """Nothing: the daemon may not write the encrypted file."""

    def forget(self) -> None:
        """Nothing: each `load` reads it anew."""

    def destroy(self) -> None:
        try:
            made = records.read(self._path, _Kept).made
        except (StoreError, VaultLockedError):
            made = False
        if made:
            try:
                self._encrypted.unlink(missing_ok=True)
                if self._encrypted.parent.is_dir():
                    sync_directory(self._encrypted.parent)
            except OSError as error:
                raise StateError(
                    f"{self._encrypted} cannot be removed ({error.strerror}): remove it as root and try again."
                ) from None
        records.remove(self._path)

    def facts(self) -> dict[str, str]:
        return {
            "kind": "a credential that systemd decrypts",
            "where": str(self._encrypted),
            "policy": "systemd's: the host key, the TPM, or both; `systemd-creds` was told at encryption",
            "thief": "With the host key alone, who takes the card opens every template on it, for that key is on "
            "the card too. Sealed to a TPM, the card alone opens nothing; with that TPM every image of the card "
            "opens again.",
        }

    def _read_delivered(self) -> Secret | None:
        """None where there is none, or its stand-in. StoreError for one that is not 32 bytes."""
        if self._delivered is None:
            return None
        value = bytearray(KEY_BYTES + 1)
        try:
            with self._delivered.open("rb", buffering=0) as file:  # a buffer would keep the key
                size = file.readinto(value)
            return None if value[:size] == STAND_IN else _secret(memoryview(value)[:size])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise VaultLockedError(
                f"The credential {CREDENTIAL} cannot be read ({error.strerror}): faces are off, cards work."
            ) from None
        finally:
            value[:] = bytes(len(value))

    def _make(self) -> Secret:
        secret = Secret.random()
        with Scratch(secret.buffer) as plain, Scratch() as sealed:
            done = _systemd_creds(["encrypt", f"--name={CREDENTIAL}", "-", "-"], plain.handle, sealed.handle)
            box = sealed.read()
        if not done:
            raise StateError(
                "systemd-creds could not encrypt a credential: run `systemd-creds setup` as root and read what it "
                "says. Nothing was changed."
            )
        try:
            self._encrypted.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_new(self._encrypted, box)
        except OSError as error:
            raise StateError(f"{self._encrypted} cannot be made ({error.strerror}): nothing was changed.") from None
        try:
            records.write(self._path, msgspec.json.encode(_Kept(1, made=True)))
        except StateError:
            self._encrypted.unlink(missing_ok=True)
            raise
        return secret

    def _decrypt(self) -> Secret:
        arguments = ["decrypt", f"--name={CREDENTIAL}", str(self._encrypted), "-"]
        with Scratch() as plain:
            done = _systemd_creds(arguments, subprocess.DEVNULL, plain.handle)
            secret = plain.secret()
        if not done:
            raise VaultLockedError(
                f"systemd-creds cannot decrypt {self._encrypted}: faces are off, cards work. It was made on "
                "another machine, or its host key or TPM changed."
            )
        if secret is None:
            raise StoreError(_WRONG_LENGTH)
        return secret


def _secret(value: memoryview) -> Secret:
    if len(value) != KEY_BYTES:
        raise StoreError(_WRONG_LENGTH)
    return Secret(value)


def _systemd_creds(arguments: list[str], stdin: int, stdout: int) -> bool:
    """Whether it did what it was asked. The secret goes through files in memory alone."""
    program = shutil.which("systemd-creds")
    if program is None:
        return False
    try:
        done = subprocess.run(
            [program, "--newline=no", *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
