"""The vault's secret in a TPM 2.0: a sealed root on the card, and a value in the TPM that a purge changes.

    root     32 random bytes, sealed under a primary key of the owner hierarchy (made anew from the
             TPM's seed each time, nothing persisted); its two blobs lie in `vault.tpm2`
    index    an NV index of the TPM holding 32 random bytes; `roll` writes others there
    secret   BLAKE2b-256(index value, key = root, person = `gv/tpm2/v1`)
             BLAKE2b-256(nothing, key = root, person = `gv/tpm2-plain/v1`) without an index

An image of the whole card holds the root's blobs as they always are, so without the index it opens
again with that TPM. With it, it opens only while the TPM holds the value of that day.

The index asks for an authorisation value, BLAKE2b-128(nothing, key = root, person = `gv/tpm2-auth/v1`)
in hexadecimal: who may not unseal the root (another boot, under a PCR policy) neither reads the index
nor puts an old value back. It does not hinder deletion: whoever may use the owner hierarchy, as this
program does without a password, may delete the index or clear the TPM, and the vault is lost.

`vault.tpm2`, JSON of mode 0600: see `tpm2_seal.Kept`.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from gatevault.core.errors import ConfigError, KeyAwayError, StateError, StoreError, VaultLockedError
from gatevault.vault.keys import Secret
from gatevault.vault.providers import records
from gatevault.vault.providers.port import nothing_proposed, unsettled
from gatevault.vault.providers.tpm2_seal import (
    NOT_DEFINED,
    PCRS,
    Kept,
    Opened,
    check_parent,
    idle,
    open_sealed,
    seal,
    undefine,
    write_index,
)
from gatevault.vault.providers.tpm2_tools import Conversation, TpmError

TCTI: Final = "device:/dev/tpmrm0"
TIMEOUT_S: Final = 8.0
"""For one conversation of about ten commands; a chip takes up to some tenths of a second for the slowest."""

log = logging.getLogger("gatevault")


class Tpm2KeyProvider:
    """Who holds the card needs this TPM as well, and with `index`, what the TPM holds today.

    `pcrs` (`sha256:0,2,7`) lets the TPM unseal only after the same boot; `index` False keeps nothing
    in the TPM. Both hold for `create`; afterwards `vault.tpm2` says. `tcti` is how the tools reach it.
    """

    name = "tpm2"

    def __init__(
        self,
        path: Path,
        *,
        tcti: str = TCTI,
        pcrs: str | None = None,
        index: bool = True,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        if pcrs is not None and PCRS.fullmatch(pcrs) is None:
            raise ConfigError("The PCRs of a TPM policy are written like sha256:0,2,7: correct them.")
        self._path = path
        self._tcti = tcti
        self._pcrs = pcrs
        self._index = index
        self._timeout_s = timeout_s
        self._proposal: Opened | None = None
        self._unsettled = False

    @property
    def rolls(self) -> bool:
        return self._has_index()

    @property
    def image_opens(self) -> bool:
        return not self._has_index()

    def create(self) -> Secret:
        if records.is_there(self._path):
            raise StateError(f"{self._path} is there: a TPM's key is in use already. Nothing was changed.")
        opened = Opened(Secret.random(), Secret.random() if self._index else None)
        try:
            with Conversation(self._tcti, self._timeout_s) as tpm:
                warning = idle(tpm, self._pcrs)
                kept = seal(tpm, opened, self._pcrs)
                try:
                    records.write(self._path, msgspec.json.encode(kept))
                except StateError:
                    undefine(tpm, kept.index)
                    raise
        except TpmError as error:
            raise StateError(f"The TPM at {self._tcti} cannot keep a key ({error}): nothing was changed.") from None
        if warning:
            log.warning("%s", warning)
        return opened.secret()

    def load(self) -> Secret:
        opened = self._open()
        secret = opened.secret()
        if self._unsettled and self._proposal is not None and secret.same_as(self._proposal.secret()):
            self._drop_proposal()  # that roll was carried out after all
        self._unsettled = False
        opened.wipe()
        return secret

    def propose(self) -> Secret:
        if self._unsettled:
            raise StateError(unsettled())
        if self._proposal is None:
            opened = self._open()
            if opened.value is None:
                return opened.secret()
            opened.value.wipe()
            self._proposal = Opened(opened.root, Secret.random())
        return self._proposal.secret()

    def roll(self) -> None:
        kept = records.read(self._path, Kept)
        if kept.index is None:
            return
        if self._proposal is None:
            raise StateError(nothing_proposed())
        self._unsettled = True
        try:
            with Conversation(self._tcti, self._timeout_s) as tpm:
                check_parent(tpm, kept)
                write_index(tpm, kept.index, self._proposal, tpm.session())
        except TpmError as error:
            self._locked(error, kept)
        self._drop_proposal()

    def forget(self) -> None:
        self._drop_proposal()

    def destroy(self) -> None:
        try:
            kept = records.read(self._path, Kept)
        except (StoreError, VaultLockedError):
            kept = None  # no index is known by which to find it
        if kept is not None and kept.index is not None:
            try:
                with Conversation(self._tcti, self._timeout_s) as tpm:
                    if tpm.primary() == kept.parent:  # in another TPM that index is somebody else's
                        undefine(tpm, kept.index)
            except TpmError as error:
                raise StateError(
                    f"The TPM's index cannot be deleted ({error}): nothing was removed. If that TPM is lost, "
                    f"remove {self._path} by hand."
                ) from None
        records.remove(self._path)
        self._drop_proposal()

    def facts(self) -> dict[str, str]:
        told = {"kind": "sealed in a TPM", "where": f"{self._path}, {self._tcti}"}
        try:
            kept = records.read(self._path, Kept)
        except (StoreError, VaultLockedError) as error:
            return told | {"policy": str(error), "thief": "Unknown while that file is not there or damaged."}
        told["policy"] = f"PCRs {kept.pcrs}" if kept.pcrs else "none: whatever boots with this TPM may unseal"
        if kept.index is None:
            told["thief"] = "The card alone opens nothing; with this TPM every image of the card opens again."
        else:
            told["where"] += f", index 0x{kept.index:08x}"
            told["thief"] = (
                "The card alone opens nothing; card and TPM together open what is there today, and no image of the "
                "card that was taken before the last purge."
            )
        try:
            with Conversation(self._tcti, self._timeout_s) as tpm:
                warning = idle(tpm, kept.pcrs)
        except TpmError as error:
            warning = f"The TPM cannot be asked: {error}."
        return told | ({"warning": warning} if warning else {})

    def _has_index(self) -> bool:
        if records.is_there(self._path):
            return records.read(self._path, Kept).index is not None
        return self._index

    def _drop_proposal(self) -> None:
        if self._proposal is not None:
            self._proposal.wipe()
            self._proposal = None
        self._unsettled = False

    def _open(self) -> Opened:
        """Unseal the root and read the index. VaultLockedError, StoreError."""
        kept = records.read(self._path, Kept)
        try:
            with Conversation(self._tcti, self._timeout_s) as tpm:
                return open_sealed(tpm, kept)
        except TpmError as error:
            self._locked(error, kept)

    def _locked(self, error: TpmError, kept: Kept) -> NoReturn:
        advice = "It refused: enrol anew, or go back to what was before."
        if error.code == NOT_DEFINED:
            advice = "Its index was deleted, or it was cleared: enrol anew."
        elif error.code is not None and kept.pcrs is not None:
            advice = f"If firmware or boot changed, its PCRs ({kept.pcrs}) differ: go back, or enrol anew."
        what = f"The TPM does not give the key ({error}): faces are off, cards work."
        if error.code is None:  # not there, or busy: a slow one after a power cut comes
            raise KeyAwayError(f"{what} It is asked again each minute. See that it is fitted and ours to open.")
        raise VaultLockedError(f"{what} {advice}")
