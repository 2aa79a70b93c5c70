"""A signed checkpoint: how long a ledger is and what its root is, as C2SP tlog-checkpoint in a signed note.

    origin            gatevault.local/<device>; also the name of the key
    size              decimal
    root              base64 of the Merkle root

    — name base64(key id ‖ signature)

The text up to the empty line, with its last newline, is what Ed25519 signs. The key id is the first
four bytes of SHA256(name ‖ "\\n" ‖ 0x01 ‖ public key). The **pinned key** is the verifier key of the same
standard: `name+hex(key id)+base64(0x01 ‖ public key)`. Signatures are made and verified in the vault:
here are only the bytes. Others may add signature lines of their own; lines of unknown keys are kept out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from gatevault.core.errors import CheckpointError
from gatevault.core.jcs import MAX_INTEGER
from gatevault.core.merkle import HASH_BYTES

ED25519: Final = b"\x01"
"""The algorithm's byte in key ids and verifier keys."""

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
ID_BYTES: Final = 4
MAX_NOTE: Final = 4096
"""Characters: our own note has some 230, and each witness adds about 100."""

MAX_SIGNATURES: Final = 16
_NAME: Final = re.compile(r"[^\s+\x00-\x1f\x7f]{1,120}")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_DASH: Final = "— "


def origin_of(device: str) -> str:
    """The origin of a device's ledger."""
    return f"gatevault.local/{device}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A ledger of `size` entries with Merkle root `root` (32 bytes), of the device that `origin` names."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under its name: what an auditor pins."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:ID_BYTES]

    def text(self) -> str:
        """`name+hex+base64`, as it is pinned."""
        return f"{self.name}+{self.key_id.hex()}+{_base64(ED25519 + self.public)}"


@dataclass(frozen=True, slots=True)
class Note:
    """A signed note as read: nothing is verified yet."""

    checkpoint: Checkpoint
    signatures: tuple[tuple[str, bytes], ...]
    """Names, and key id ‖ signature."""

    def by(self, key: VerifierKey) -> list[bytes]:
        """The signatures (64 bytes each) that claim to be of this key."""
        return [
            blob[ID_BYTES:] for name, blob in self.signatures if (name, blob[:ID_BYTES]) == (key.name, key.key_id)
        ]


def write_note(checkpoint: Checkpoint, key: VerifierKey, signature: bytes) -> str:
    """The signed note of a checkpoint with one signature."""
    return f"{checkpoint.text()}\n{_DASH}{key.name} {_base64(key.key_id + signature)}\n"


def read_note(text: str) -> Note:
    """A signed note's parts. CheckpointError where it is not of the form above, to the letter."""
    body, gap, tail = text.partition("\n\n")
    lines, signed = body.split("\n"), tail.split("\n")
    if (
        len(text) > MAX_NOTE
        or not gap
        or len(lines) != 3
        or signed[-1]
        or not 2 <= len(signed) <= 1 + MAX_SIGNATURES
    ):
        raise _malformed("it is not three lines, an empty one, and its signatures")
    origin, size, root = lines
    if not _NAME.fullmatch(origin) or not _SIZE.fullmatch(size) or int(size) > MAX_INTEGER:
        raise _malformed("its origin or size is not one")
    checkpoint = Checkpoint(origin, int(size), _bytes(root, HASH_BYTES, "root"))
    return Note(checkpoint, tuple(_signature(line) for line in signed[:-1]))


def read_key(text: str) -> VerifierKey:
    """A verifier key. CheckpointError where it is none, or its id is another key's."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3 or not _NAME.fullmatch(parts[0]):
        raise CheckpointError(
            "That is no verifier key: it looks like name+01234567+AbC…, as `ledger anchor` gave it."
        )
    raw = _bytes(parts[2], 1 + KEY_BYTES, "key")
    key = VerifierKey(parts[0], raw[1:])
    if raw[:1] != ED25519 or key.text() != text.strip():
        raise CheckpointError(
            "The verifier key is mistyped, or not of Ed25519: copy it again from where it was kept."
        )
    return key


def _signature(line: str) -> tuple[str, bytes]:
    name, _, blob = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not _NAME.fullmatch(name):
        raise _malformed("a signature line is not one")
    raw = _bytes(blob, None, "signature")
    if len(raw) <= ID_BYTES:
        raise _malformed("a signature is cut short")
    return name, raw


def _bytes(text: str, size: int | None, what: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _malformed(f"its {what} is not base64") from None
    if _base64(raw) != text or (size is not None and len(raw) != size):
        raise _malformed(f"its {what} is not {size} bytes")
    return raw


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _malformed(why: str) -> CheckpointError:
    return CheckpointError(f"The checkpoint or key cannot be read ({why}): copy it again from where it was kept.")
