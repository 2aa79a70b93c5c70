"""What the device signs for a person to keep: consent receipts, deletion certificates, a vault's destruction.

Ed25519 (libsodium through PyNaCl) over a domain prefix ‖ RFC 8785 canonical JSON. The public key is written as
`gvk1-` and 64 hexadecimal digits; `gatevault ledger anchor` prints it, and each export of a resident holds it.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import Any, Final

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from gatevault.core.errors import UsageError
from gatevault.core.jcs import canonical
from gatevault.vault.signing import Signer

_KEY: Final = re.compile(r"gvk1-([0-9a-f]{64})\Z")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}\Z")
MOST_BYTES: Final = 1024 * 1024
"""Longest file taken: a receipt has 3 KB."""


class Kind(Enum):
    """Each has a name in JSON and a prefix of its own, so that none passes for the other."""

    RECEIPT = ("receipt", b"gv/receipt/v1\0")
    CERTIFICATE = ("certificate", b"gv/certificate/v1\0")
    DESTRUCTION = ("destruction", b"gv/destruction/v1\0")


def key_text(key: Signer) -> str:
    """The public half, as people keep it."""
    return f"gvk1-{key.verify_key.encode().hex()}"


def signature_of(kind: Kind, body: dict[str, Any], key: Signer) -> bytes:
    return key.sign(kind.value[1] + canonical(body))


def is_by(kind: Kind, body: dict[str, Any], signature: bytes, key: VerifyKey) -> bool:
    """Whether this key signed this body as what it is."""
    try:
        key.verify(kind.value[1] + canonical(body), signature)
    except (BadSignatureError, ValueError, TypeError):
        return False
    return True


def verify(data: bytes, key: str) -> list[dict[str, Any]]:
    """Check every receipt and certificate of a JSON file against the key that was kept.

    The file is one of them, an answer of `purge` or `withdraw`, or an export of a resident. Each is answered by
    `kind`, `ok`, and what it tells of itself: `id`, `time`, `event`. UsageError where the file or the key is none.
    """
    digits = _KEY.match(key.strip())
    if not digits:
        raise UsageError(
            "The key is not one of a device: it begins with gvk1-, as `gatevault ledger anchor` prints it."
        )
    if len(data) > MOST_BYTES:
        raise UsageError("The file is longer than any receipt, certificate or export.")
    try:
        found = list(_signed(json.loads(data)))
    except (ValueError, RecursionError):
        raise UsageError("The file is no JSON: give it as the device answered it with --json.") from None
    if not found:
        raise UsageError("The file holds no receipt and no certificate with a signature.")
    public = VerifyKey(bytes.fromhex(digits[1]))
    return [_told(kind, body, is_by(kind, body, signature, public)) for kind, body, signature in found]


def _told(kind: Kind, body: dict[str, Any], well: bool) -> dict[str, Any]:
    name, time = body.get("id") or body.get("receipt_id"), body.get("time")
    return {"kind": kind.value[0], "ok": well, "id": name, "time": time, "event": body.get("event")}


def _signed(value: Any) -> list[tuple[Kind, dict[str, Any], bytes]]:
    """Every signed thing in a JSON value, at whatever depth."""
    if isinstance(value, list):
        return [each for item in value for each in _signed(item)]
    if not isinstance(value, dict):
        return []
    signature = value.get("signature")
    for kind in Kind:
        body = value.get(kind.value[0])
        if isinstance(body, dict) and isinstance(signature, str):
            made = bytes.fromhex(signature) if _SIGNATURE.match(signature) else b""
            return [(kind, body, made)]
    return [each for item in value.values() for each in _signed(item)]
