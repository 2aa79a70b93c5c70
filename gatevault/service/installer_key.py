"""Signing what an installer asks, on the side of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from gatevault.core import control
from gatevault.service.clock import monotonic_ms
from gatevault.service.state import StatePaths
from gatevault.vault.installer import load_installer_key, sign_command

C = TypeVar("C", control.Aim, control.PartTest, control.SiteRecord)


def key_file(root: Path, named: Path | None) -> Path:
    """The file that was named, else where provisioning left the installer's key on the device."""
    return named or StatePaths(root).installer_key


def signed(command: C, path: Path) -> C:
    """The command with the signature of the key in `path`. UsageError where there is none."""
    fresh = msgspec.structs.replace(command, mono_ms=monotonic_ms(), signature="")
    return msgspec.structs.replace(fresh, signature=sign_command(unsigned(fresh), load_installer_key(path)))


def unsigned(command: control.Aim | control.PartTest | control.SiteRecord) -> bytes:
    """What is signed: the command's own bytes, without its signature."""
    return msgspec.msgpack.encode(msgspec.structs.replace(command, signature=""))
