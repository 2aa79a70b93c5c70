"""A passphrase that somebody types: Argon2id gives the secret, and only its salt lies on the card.

`vault.passphrase`, JSON of mode 0600: `format` (1), `kdf` (`argon2id13`), `salt` (16 bytes, base64),
`ops` (passes) and `memory` (bytes). The secret is Argon2id version 1.3 (RFC 9106), one lane, of the
passphrase in NFKC as UTF-8 (`core.passphrase`): a keyboard that composes its accents otherwise types the
same secret.

Nothing here can tell a wrong passphrase from the right one: it gives another secret, which the ring
refuses. There is no check value, so that nothing but the ring can be searched for guesses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec
from nacl import pwhash
from nacl._sodium import ffi, lib  # hashes in place: docs/adr/0005
from nacl.utils import random as random_bytes

from gatevault.core.errors import NotAllowedError, StateError, StoreError, VaultLockedError
from gatevault.core.passphrase import MIN_CHARACTERS, MIN_DISTINCT, check, is_strong
from gatevault.vault.keys import KEY_BYTES, Secret
from gatevault.vault.locked import locked_memory
from gatevault.vault.providers import records

# libsodium's MODERATE: 0.5 s to 2 s and 256 MiB, which a Pi with 1 GB has. Recorded, so that they may rise.
OPS: Final = pwhash.argon2id.OPSLIMIT_MODERATE
MEMORY: Final = pwhash.argon2id.MEMLIMIT_MODERATE
# A file that was tampered with neither takes all memory nor makes guesses cheap.
_LEAST_OPS: Final = pwhash.argon2id.OPSLIMIT_INTERACTIVE
_MOST_OPS: Final = 16
_LEAST_MEMORY: Final = pwhash.argon2id.MEMLIMIT_INTERACTIVE
_MOST_MEMORY: Final = 1 << 30


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    kdf: Literal["argon2id13"]
    salt: bytes
    ops: int
    memory: int

    def __post_init__(self) -> None:
        if len(self.salt) != pwhash.argon2id.SALTBYTES:
            raise ValueError("the salt has another length")
        if not _LEAST_OPS <= self.ops <= _MOST_OPS:
            raise ValueError(f"ops is not within {_LEAST_OPS} and {_MOST_OPS}")
        if not _LEAST_MEMORY <= self.memory <= _MOST_MEMORY:
            raise ValueError(f"memory is not within {_LEAST_MEMORY} and {_MOST_MEMORY} bytes")


class PassphraseKeyProvider:
    """Who holds the SD card must guess the passphrase, at Argon2id's price for each guess.

    `offer` takes what was typed; the first `create` or `load` after it keeps the secret in memory
    in its stead, until `forget`. `ops` and `memory` hold for a new secret; tests lower them.
    """

    name = "passphrase"
    rolls = False
    image_opens = True

    def __init__(self, path: Path, *, ops: int = OPS, memory: int = MEMORY) -> None:
        self._path = path
        self._ops = ops
        self._memory = memory
        self._typed: memoryview | None = None
        """In locked memory."""
        self._secret: Secret | None = None

    def offer(self, passphrase: bytes | bytearray | memoryview) -> None:
        """Copy what was typed, which the caller wipes, in place of what was before. UsageError: `check`."""
        check(passphrase)
        self.forget()
        self._typed = memoryview(locked_memory(len(passphrase)).memory).cast("B")[: len(passphrase)]
        self._typed[:] = passphrase

    def forget(self) -> None:
        """Wipe what was typed and the secret: the next `load` needs `offer` again."""
        self._wipe_typed()
        if self._secret is not None:
            self._secret.wipe()
            self._secret = None

    def create(self) -> Secret:
        if records.is_there(self._path):
            raise StateError(f"{self._path} is there: a passphrase is in use already. Nothing was changed.")
        if self._typed is None:
            raise StateError("No passphrase was given: type one. Nothing was changed.")
        if not is_strong(self._typed):
            raise NotAllowedError(
                f"The passphrase is too weak: it needs {MIN_CHARACTERS} characters at least, {MIN_DISTINCT} of "
                "them different. Four words drawn by dice do. Nothing was changed."
            )
        kept = _Kept(1, "argon2id13", random_bytes(pwhash.argon2id.SALTBYTES), self._ops, self._memory)
        secret = self._derive(kept)
        records.write(self._path, msgspec.json.encode(kept))
        return secret

    def load(self) -> Secret:
        kept = records.read(self._path, _Kept)
        if self._secret is not None:
            return self._secret.copy()
        if self._typed is None:
            raise VaultLockedError(
                "The vault waits for its passphrase: faces are off, cards work. Run `gatevault vault unlock`."
            )
        return self._derive(kept)

    def propose(self) -> Secret:
        return self.load()

    def roll(self) -> None:
        """Nothing: the passphrase is in somebody's head."""

    def destroy(self) -> None:
        records.remove(self._path)
        self.forget()

    def facts(self) -> dict[str, str]:
        try:
            kept = records.read(self._path, _Kept)
            price = f"Argon2id, {kept.ops} passes over {kept.memory >> 20} MiB"
        except (StoreError, VaultLockedError) as error:
            price = str(error)
        return {
            "kind": "a passphrase, typed at each start",
            "where": f"in somebody's head; its salt in {self._path}",
            "policy": price,
            "thief": "Who takes the card may guess at leisure, at that price for each guess; a guessed passphrase "
            "opens every image of the card.",
        }

    def _derive(self, kept: _Kept) -> Secret:
        if self._typed is None:
            raise VaultLockedError("The vault waits for its passphrase.")
        secret = Secret.blank()
        done = lib.crypto_pwhash(
            ffi.from_buffer(secret.buffer),
            KEY_BYTES,
            ffi.from_buffer(self._typed),
            len(self._typed),
            kept.salt,
            kept.ops,
            kept.memory,
            lib.crypto_pwhash_alg_argon2id13(),
        )
        if done != 0:
            raise VaultLockedError(
                f"There is no memory for the passphrase ({kept.memory >> 20} MiB are needed): faces are off, cards "
                "work. Free some and unlock again."
            )
        self._wipe_typed()
        self._secret = secret
        return secret.copy()

    def _wipe_typed(self) -> None:
        if self._typed is not None:
            self._typed[:] = bytes(len(self._typed))
            self._typed = None
