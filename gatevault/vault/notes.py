"""Signing checkpoints and verifying them: Ed25519 (libsodium through PyNaCl) over the text of `core.checkpoint`."""

from __future__ import annotations

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from gatevault.core.checkpoint import SIGNATURE_BYTES, Checkpoint, Note, VerifierKey, write_note
from gatevault.vault.signing import Signer


def verifier_key(name: str, key: Signer) -> VerifierKey:
    """The public half of a ledger key, under the ledger's origin."""
    return VerifierKey(name, key.verify_key.encode())


def signed_note(checkpoint: Checkpoint, key: Signer) -> str:
    """A checkpoint signed in the name of its own origin."""
    signature = key.sign(checkpoint.text().encode())
    return write_note(checkpoint, verifier_key(checkpoint.origin, key), signature)


def is_signed(note: Note, key: VerifierKey) -> bool:
    """Whether a note is of this key's ledger and signed by it; one signature in its name that fails spoils it."""
    signatures = note.by(key)
    if note.checkpoint.origin != key.name or not signatures:
        return False
    signed = note.checkpoint.text().encode()
    try:
        for signature in signatures:
            if len(signature) != SIGNATURE_BYTES:
                return False
            VerifyKey(key.public).verify(signed, signature)
    except BadSignatureError:
        return False
    return True
