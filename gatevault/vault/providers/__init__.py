"""Key providers: where the vault's secret lives, behind one port."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gatevault.core.errors import StateError
from gatevault.vault.providers.file import FileKeyProvider
from gatevault.vault.providers.port import KeyProvider

NAMES: Final = ("file",)


def build_provider(name: str, folder: Path) -> KeyProvider:
    """The provider `name` (one of `NAMES`) that keeps what it keeps in `folder`. StateError for another name."""
    if name == "file":
        return FileKeyProvider(folder / "vault.key")
    raise StateError(f"Keys from {name!r} are not in this version: choose one of {', '.join(NAMES)}.")
