"""Answers become a state: whole or not at all. What can be known to fail is told before anything is asked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from gatevault.core.consent import stamp
from gatevault.core.errors import ConfigError, StateError, StoreError, StoreFullError
from gatevault.core.provisioning.config import config_text
from gatevault.core.provisioning.questions import AnswerError
from gatevault.service.clock import TrustedClock
from gatevault.service.config import load_board, profiles
from gatevault.service.making import make_state
from gatevault.service.state import Device, KeyOptions, StatePaths
from gatevault.vault.files import replace

ROOM_BYTES: Final = 96 * 1024 * 1024
"""A state takes some 25 MB, most of it the network's file; the rest is for the ledger's first months."""


class Provisioned(msgspec.Struct, frozen=True):
    """`provisioned.json`: what the wizard saw work, for the handover sheet. No secret, nothing of a person."""

    tested: dict[str, str] = {}
    """Part to `works`, `broken` or `skip`."""
    tested_at: str | None = None
    aim: dict[str, Any] | None = None
    """What the last aiming told, in numbers."""
    aimed_at: str | None = None


def is_made(root: Path) -> bool:
    """Whether there is a state already. StateError where there is something else."""
    try:
        if not root.exists() or (root.is_dir() and not any(root.iterdir())):
            return False
        if StatePaths(root).device.exists():
            return True
    except OSError as error:
        raise StateError(f"{root} cannot be looked into ({error.strerror}): run this with sudo.") from None
    raise StateError(f"{root} holds something that is no state: name another directory with --state.")


def check_place(root: Path) -> None:
    """Whether a state can be made at `root`, before anybody is asked anything. StateError, StoreFullError."""
    root = root.absolute()
    parent = next(folder for folder in root.parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise StateError(f"{parent} is not open to this user: run this with sudo. Nothing was made.")
    free = shutil.disk_usage(parent).free
    if free < ROOM_BYTES:
        raise StoreFullError(
            f"{parent} has {free // 1_000_000} MB free, a gate wants {ROOM_BYTES // 1_000_000}: make room. "
            "Nothing was made."
        )


def usable_boards(bench: bool) -> tuple[list[str], dict[str, str]]:
    """Names of the profiles that can be chosen, and of those that cannot, with why."""
    good: list[str] = []
    bad: dict[str, str] = {}
    for name in sorted(profiles()):
        if (name == "bench") is not bench:
            continue
        try:
            good.append(load_board(name).name)
        except ConfigError as error:
            bad[name] = str(error)
    return good, bad


def check_camera(uri: str, bench: bool) -> None:
    """ValueError where a V4L2 device is not there or not open to this user."""
    kind, _, place = uri.partition(":")
    if bench or kind != "v4l2":
        return
    if not Path(place).exists():
        there = ", ".join(str(path) for path in sorted(Path("/dev").glob("video*"))) or "none"
        raise AnswerError(f"{place} is not there (cameras here: {there})", f"{place} 不存在（现有：{there}）")
    if not os.access(place, os.R_OK | os.W_OK):
        raise AnswerError(
            f"{place} is not open to this user: see hardware/udev", f"{place} 无访问权限，见 hardware/udev"
        )


def make(root: Path, answers: Mapping[str, Any], passphrase: memoryview | None, *, bench: bool) -> Device:
    """The state, with its configuration and the installer's key. GateVaultError: nothing is left."""
    provider = answers["keys.provider"]
    try:
        text = config_text(answers, bench=bench)
    except ValueError as error:
        raise ConfigError(f"These answers make no configuration: {error}. Nothing was made.") from None
    options = KeyOptions(passphrase, answers["keys.pcrs"] or None, answers["keys.tpm_index"])
    return make_state(
        root,
        bench=bench,
        keys=provider,
        name=answers["gate.name"],
        board=answers["gate.board"],
        options=options,
        config=text,
        installer=True,
    )


def note(root: Path, **news: Any) -> Provisioned:
    """Add to what `provisioned.json` tells, in one step. StoreError."""
    known = msgspec.structs.replace(noted(root), **news)
    paths = StatePaths(root)
    try:
        replace(paths.provisioned, msgspec.json.encode(known), 0o640)
        if os.geteuid() == 0:
            owner = paths.root.stat()
            os.chown(paths.provisioned, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise StoreError(f"{paths.provisioned} cannot be written ({error.strerror}): make room.") from None
    return known


def noted(root: Path) -> Provisioned:
    """What `provisioned.json` tells; nothing where it is not there or not ours."""
    try:
        return msgspec.json.decode(StatePaths(root).provisioned.read_bytes(), type=Provisioned)
    except (OSError, msgspec.MsgspecError):
        return Provisioned()


def now_stamp() -> str:
    return stamp(TrustedClock(None).now())
