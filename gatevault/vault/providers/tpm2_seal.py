"""What the TPM provider asks of the TPM: the sealed root, the index, the PCRs.

Functions of one `Conversation`; a failure is a `TpmError`.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from gatevault.vault.keys import KEY_BYTES, Secret, blake2b_into, derive, hex_digits
from gatevault.vault.providers.scratch import Scratch
from gatevault.vault.providers.tpm2_tools import Conversation, TpmError

# The owner's share of the NV indices (TCG Registry of Reserved TPM 2.0 Handles and Localities).
_FIRST_INDEX: Final = 0x01800000
_LAST_INDEX: Final = 0x01BFFFFF
PCRS: Final = re.compile(r"sha(256|384|512):(1?[0-9]|2[0-3])(,(1?[0-9]|2[0-3])){0,23}")
NOT_DEFINED: Final = 0x18B
"""TPM_RC_HANDLE for the first handle: no such index."""


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What lies on the card; none of it is secret without the TPM."""

    format: Literal[1]
    parent: bytes
    """TPM2B_PUBLIC of the primary key: another one is another TPM, or one in between that pretends."""
    public: bytes
    private: bytes
    pcrs: str | None
    index: int | None

    def __post_init__(self) -> None:
        if not all(32 <= len(blob) <= 1024 for blob in (self.parent, self.public, self.private)):
            raise ValueError("a blob has an impossible length")
        if self.pcrs is not None and PCRS.fullmatch(self.pcrs) is None:
            raise ValueError("the PCRs are not of the form sha256:0,2,7")
        if self.index is not None and not _FIRST_INDEX <= self.index <= _LAST_INDEX:
            raise ValueError("the index is not one of the owner's")


@dataclass(frozen=True, slots=True)
class Opened:
    """Values of one conversation with the TPM."""

    root: Secret
    value: Secret | None

    def secret(self) -> Secret:
        if self.value is None:
            return derive(self.root, b"gv/tpm2-plain/v1")
        return derive(self.root, b"gv/tpm2/v1", self.value.buffer)

    def authorisation(self, tpm: Conversation) -> Scratch:
        """The value that the index asks for, in a file of this conversation.

        Hexadecimal, for the tools take it as text; 32 characters are as many as SHA-256 indices allow.
        """
        value = blake2b_into(bytearray(16), b"", b"gv/tpm2-auth/v1", key=self.root)
        digits = hex_digits(value)
        try:
            return tpm.scratch(digits)
        finally:
            value[:] = bytes(len(value))
            digits[:] = bytes(len(digits))

    def wipe(self) -> None:
        self.root.wipe()
        if self.value is not None:
            self.value.wipe()


def seal(tpm: Conversation, opened: Opened, pcrs: str | None) -> Kept:
    """Seal the root under these PCRs as they are now; with a value, define an index and write it there."""
    parent = tpm.primary()
    session = tpm.session()
    public, private = tpm.scratch(), tpm.scratch()
    # noda: there is no password to guess, and others' wrong guesses are not to lock us out.
    guard = ["-a", "fixedtpm|fixedparent|noda|userwithauth"]
    if pcrs is not None:
        pcr_values(tpm, pcrs)
        now, policy = tpm.session("--policy-session"), tpm.scratch()
        tpm.tool("policypcr", "-Q", "-S", now.path, "-l", pcrs, "-L", policy.path)
        guard = ["-a", "fixedtpm|fixedparent|noda", "-L", policy.path]
    root = tpm.scratch(opened.root.buffer)
    into = ["-C", tpm.parent.path, "-P", f"session:{session.path}", "-i", root.path]
    outof = ["-u", public.path, "-r", private.path]
    tpm.tool("create", "-Q", *into, *outof, *guard)
    index = _define(tpm, opened, session) if opened.value is not None else None
    return Kept(1, parent, public.read(), private.read(), pcrs, index)


def open_sealed(tpm: Conversation, kept: Kept) -> Opened:
    """Unseal the root and read the index."""
    check_parent(tpm, kept)
    opened = Opened(_unseal(tpm, kept), None)
    if kept.index is None:
        return opened
    return Opened(opened.root, _read(tpm, kept.index, opened))


def _secret(out: Scratch) -> Secret:
    secret = out.secret()
    if secret is None:
        raise TpmError("it gave a value of another length")
    return secret


def check_parent(tpm: Conversation, kept: Kept) -> None:
    if tpm.primary() != kept.parent:
        raise TpmError("it is another TPM, or was cleared")


def _unseal(tpm: Conversation, kept: Kept) -> Secret:
    key, out = tpm.scratch(), tpm.scratch()
    public, private = tpm.scratch(kept.public), tpm.scratch(kept.private)
    tpm.tool("load", "-Q", "-C", tpm.parent.path, "-u", public.path, "-r", private.path, "-c", key.path)
    if kept.pcrs is None:
        session = tpm.session()
    else:
        session = tpm.session("--policy-session")
        tpm.tool("policypcr", "-Q", "-S", session.path, "-l", kept.pcrs)
    tpm.tool("unseal", "-Q", "-c", key.path, "-p", f"session:{session.path}", "-o", out.path)
    return _secret(out)


def _define(tpm: Conversation, opened: Opened, session: Scratch) -> int:
    taken = {int(line.strip("- "), 16) for line in tpm.tool("getcap", "handles-nv-index").decode().splitlines()}
    index = _FIRST_INDEX
    while index in taken or index == _FIRST_INDEX:
        index = _FIRST_INDEX + secrets.randbelow(_LAST_INDEX - _FIRST_INDEX + 1)
    # no_da: a wrong value is not to lock the TPM for others, and 128 random bits are not guessed.
    shape = ["-s", str(KEY_BYTES), "-a", "authread|authwrite|no_da"]
    authorisation = opened.authorisation(tpm)
    tpm.tool(
        "nvdefine", "-Q", hex(index), "-C", "o", "-S", session.path, *shape, "-p", f"file:{authorisation.path}"
    )
    try:
        write_index(tpm, index, opened, session)
    except TpmError:
        undefine(tpm, index)
        raise
    return index


# 5.4 takes `session:CONTEXT+file:PATH` for a password of that spelling. So the authorisation goes in a
# session that the tool makes, where it is a key of HMACs and never sent, and `-S` encrypts what does cross.
def _read(tpm: Conversation, index: int, opened: Opened) -> Secret:
    guard, out = ["-P", f"file:{opened.authorisation(tpm).path}", "-S", tpm.session().path], tpm.scratch()
    tpm.tool("nvread", "-Q", hex(index), "-C", hex(index), "-s", str(KEY_BYTES), *guard, "-o", out.path)
    return _secret(out)


def write_index(tpm: Conversation, index: int, opened: Opened, session: Scratch) -> None:
    if opened.value is None:
        raise TypeError("there is nothing to write")
    guard, value = f"file:{opened.authorisation(tpm).path}", tpm.scratch(opened.value.buffer)
    tpm.tool("nvwrite", hex(index), "-C", hex(index), "-P", guard, "-S", session.path, "-i", value.path)


def undefine(tpm: Conversation, index: int | None) -> None:
    """Delete an index; nothing where there is none."""
    if index is None:
        return
    try:
        tpm.tool("nvundefine", "-Q", hex(index), "-C", "o")
    except TpmError as error:
        if error.code != NOT_DEFINED:
            raise


def pcr_values(tpm: Conversation, pcrs: str) -> list[bytes]:
    """The values of the selected PCRs. TpmError where the TPM does not keep one of them."""
    bank, _, numbers = pcrs.partition(":")
    values = tpm.scratch()
    tpm.tool("pcrread", "-Q", pcrs, "-o", values.path)
    size, count = int(bank[len("sha") :]) // 8, len(set(numbers.split(",")))
    read = values.read()
    if len(read) != size * count:
        raise TpmError(f"it does not keep PCRs {pcrs}")
    return [read[start : start + size] for start in range(0, len(read), size)]


def idle(tpm: Conversation, pcrs: str | None) -> str | None:
    """A warning where no boot stage has measured anything into the selected PCRs."""
    if pcrs is None or any(set(value) not in ({0}, {0xFF}) for value in pcr_values(tpm, pcrs)):
        return None
    return f"PCRs {pcrs} are all at their reset value: nothing measures this boot, and the policy enforces nothing."
