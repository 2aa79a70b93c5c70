"""Key providers: where the vault's secret lives, behind one port (`port.KeyProvider`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from gatevault.core.errors import StateError
from gatevault.vault.providers.credential import CredentialKeyProvider
from gatevault.vault.providers.file import FileKeyProvider
from gatevault.vault.providers.passphrase import PassphraseKeyProvider
from gatevault.vault.providers.port import KeyProvider
from gatevault.vault.providers.tpm2 import TCTI, Tpm2KeyProvider

NAMES: Final = ("file", "passphrase", "systemd-credential", "tpm2")


def build_provider(
    name: str, folder: Path, *, tcti: str = TCTI, pcrs: str | None = None, index: bool = True
) -> KeyProvider:
    """The provider `name`, one of `NAMES`, that keeps in `folder` what it keeps on the card.

    `tcti` is how a TPM is reached; `pcrs` and `index` are read by `create` alone. StateError for
    another name, ConfigError for PCRs that are none.
    """
    if name == "file":
        return FileKeyProvider(folder / "vault.key")
    if name == "passphrase":
        return PassphraseKeyProvider(folder / "vault.passphrase")
    if name == "systemd-credential":
        delivered = os.environ.get("CREDENTIALS_DIRECTORY")
        return CredentialKeyProvider(folder / "vault.credential", Path(delivered) if delivered else None)
    if name == "tpm2":
        return Tpm2KeyProvider(folder / "vault.tpm2", tcti=tcti, pcrs=pcrs, index=index)
    raise StateError(f"Keys from {name!r} are not in this version: choose one of {', '.join(NAMES)}.")
