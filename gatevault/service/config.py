"""Reading `config.toml` and the board profiles: files in, values of `core` out, clear errors."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from gatevault.core.board import Board
from gatevault.core.errors import ConfigError
from gatevault.core.schedule import parse
from gatevault.core.settings import Settings

MAX_BYTES: Final = 64 * 1024
"""Longest configuration read; a sensible one has 2 KB."""

SITE_BOARDS: Final = Path("/etc/gatevault/boards")
"""Where a site puts board profiles of its own."""

_HEADER: Final = re.compile(r"^\s*\[\s*([A-Za-z0-9_.-]+)\s*\]\s*(#.*)?$")

T = TypeVar("T")


def load_settings(path: Path) -> Settings:
    """`config.toml` as values; an absent file means the defaults. ConfigError."""
    settings = _load(path, Settings, absent=Settings())
    try:
        parse(settings.schedule.hours)
    except ValueError as error:
        raise ConfigError(f"{path}: schedule.hours: {error}.") from None
    return settings


def hardware() -> Path:
    """The folder of board profiles: package data once installed, the repository's own in a checkout."""
    package = Path(str(files("gatevault")))
    installed = package / "_hardware"
    return installed if installed.is_dir() else package.parent / "hardware"


def profiles() -> dict[str, Path]:
    """Board profiles by name: those that came with the program, and the site's own, which no upgrade touches."""
    folders = (hardware() / "boards", SITE_BOARDS)
    return {file.stem: file for folder in folders for file in sorted(folder.glob("*.toml"))}


def load_board(name: str) -> Board:
    """The profile NAME.toml; a site's own comes before ours. ConfigError names those that exist."""
    known = profiles()
    if name not in known:
        names = ", ".join(sorted(known)) or "none"
        raise ConfigError(f"There is no board profile {name!r}: choose one of {names} in config.toml, gate.board.")
    board = _load(known[name], Board)
    if board.name != name:
        raise ConfigError(f"{known[name]} calls itself {board.name!r}: file and name must agree.")
    return board


def with_models(text: str, lines: Sequence[str], path: Path) -> str:
    """A configuration's text with `lines` as its table `[models]`, and every other line as it was.

    ConfigError where the table there is written in a way that this does not understand.
    """
    kept: list[str] = []
    inside = found = False
    for line in text.splitlines():
        header = _HEADER.match(line)
        if header:
            inside = header[1] == "models"
            if inside:
                kept += [] if found else lines
                found = True
                continue
        if not inside or line.lstrip().startswith("#") or not line.strip():
            kept.append(line)
    changed = "\n".join([*kept, *([] if found else ["", *lines]), ""])
    try:
        wanted = tomllib.loads(text) | tomllib.loads("\n".join(lines))
        understood = tomllib.loads(changed) == wanted
    except tomllib.TOMLDecodeError:
        understood = False
    if not understood:
        raise ConfigError(f"{path}: its [models] is written in an unusual way: put these lines there yourself.")
    return changed


def _load(path: Path, kind: type[T], absent: T | None = None) -> T:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} is longer than {MAX_BYTES} bytes: that is no configuration of ours.")
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), kind)
    except FileNotFoundError:
        if absent is not None:
            return absent
        raise ConfigError(f"{path} is not there.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except (
        tomllib.TOMLDecodeError,
        UnicodeDecodeError,
        msgspec.ValidationError,
        ValueError,
        RecursionError,
    ) as error:
        raise ConfigError(f"{path} is not right: {error}. Mend that line; nothing was started.") from None
