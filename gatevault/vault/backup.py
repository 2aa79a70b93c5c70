"""Backups: registry, consents, cards, configuration and ledger, for the holder of a recovery key. No templates.

    backup      "gatevault-backup-v1\\n" ‖ sealed box (X25519, XSalsa20-Poly1305) of a MessagePack map: `Contents`
    recovery    public:  "gvr1-" ‖ 64 hexadecimal digits
                private: a file, "gatevault-recovery-v1 " ‖ 64 hexadecimal digits ‖ newline

The house key is in it, since cards are known and rows open by it alone: who has the recovery key and a backup has
names, consents, cards and the ledger's signing key of that device, and no face. A sealed box is anonymous: anybody
who knows the public half can make one. That a backup is of one's own device, its ledger shows, by the key that an
auditor has pinned.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from nacl._sodium import ffi, lib  # seals from our own buffer: docs/adr/0005
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from gatevault.core.errors import BackupError, StateError
from gatevault.vault.files import write_new
from gatevault.vault.keys import KEY_BYTES

FORMAT: Final = 1
_MAGIC: Final = b"gatevault-backup-v1\n"
_PUBLIC: Final = "gvr1-"
_PRIVATE: Final = b"gatevault-recovery-v1 "
_REST: Final = 4096
"""Bytes that the names and the short values of a backup fit into."""


class Contents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in a backup. `registry` and `ledger` are whole SQLite files, `made` is RFC 3339."""

    format: int
    device: str
    bench: bool
    made: str
    house_key: Annotated[memoryview, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
    config: str
    registry: bytes
    ledger: bytes

    def __repr__(self) -> str:
        return "Contents(…)"


def new_recovery_key(path: Path) -> str:
    """Make a recovery key: its private half in a new file of mode 0600; the public half is returned. StateError."""
    key = PrivateKey.generate()
    try:
        write_new(path, _PRIVATE + bytes(key).hex().encode() + b"\n")
    except FileExistsError:
        raise StateError(
            f"{path} is there already: a recovery key is never overwritten. Nothing was changed."
        ) from None
    except OSError as error:
        raise StateError(f"{path} cannot be written ({error.strerror}): choose another place.") from None
    return _PUBLIC + bytes(key.public_key).hex()


def pack(contents: Contents, recipient: str) -> bytes:
    """A backup that opens with the recovery key whose public half is `recipient`. BackupError for another form."""
    try:
        public = bytes(PublicKey(bytes.fromhex(recipient.removeprefix(_PUBLIC))))
    except (ValueError, TypeError, CryptoError):
        raise BackupError(
            "That is no recovery key: give the public half that `gatevault backup new-key` printed (gvr1-…)."
        ) from None
    # Large enough from the start: where it had to grow, a copy of the house key would stay behind.
    plain = bytearray(len(contents.registry) + len(contents.ledger) + 4 * len(contents.config) + _REST)
    msgspec.msgpack.Encoder().encode_into(contents, plain)
    sealed = bytearray(len(plain) + lib.crypto_box_sealbytes())
    done = lib.crypto_box_seal(ffi.from_buffer(sealed), ffi.from_buffer(plain), len(plain), public)
    plain[:] = bytes(len(plain))
    if done != 0:
        raise BackupError("libsodium refuses to seal this backup: no backup was made.")
    return _MAGIC + bytes(sealed)


def unpack(raw: bytes, key_file: Path) -> Contents:
    """The reverse. BackupError where the file, the key, or both are not what they should be."""
    if not raw.startswith(_MAGIC):
        raise BackupError("That is no backup of GateVault, or one of another version: nothing was restored.")
    box = SealedBox(_private(key_file))
    try:
        contents = msgspec.msgpack.decode(box.decrypt(raw[len(_MAGIC) :]), type=Contents)
    except (CryptoError, TypeError):  # TypeError: cut shorter than a box can be
        raise BackupError(
            "The backup does not open: it is for another recovery key, was altered, or is cut short. Nothing was "
            "restored."
        ) from None
    except (msgspec.MsgspecError, UnicodeError):
        raise BackupError(
            "The backup's content is of another version: update GateVault. Nothing was restored."
        ) from None
    if contents.format != FORMAT:
        raise BackupError("The backup is of another version: update GateVault. Nothing was restored.")
    return contents


def _private(path: Path) -> PrivateKey:
    try:
        with path.open("rb") as file:
            text = file.read(256)
    except OSError as error:
        raise BackupError(f"The recovery key {path} cannot be read ({error.strerror}).") from None
    try:
        if not text.startswith(_PRIVATE):
            raise ValueError
        return PrivateKey(bytes.fromhex(text[len(_PRIVATE) :].decode("ascii")))
    except (ValueError, TypeError, CryptoError):
        raise BackupError(
            f"{path} is no recovery key: give the file that `gatevault backup new-key` wrote. Nothing was restored."
        ) from None
