"""The installer's key: a file of mode 0600 that signs, and is overwritten when it ends."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gatevault.core.errors import StateError, UsageError
from gatevault.vault.installer import (
    destroy_installer_key,
    is_installers,
    load_installer_key,
    make_installer_key,
    sign_command,
)


def test_a_key_signs_what_its_public_half_accepts(tmp_path: Path) -> None:
    path = tmp_path / "installer.key"
    public = make_installer_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    signature = sign_command(b"aim", load_installer_key(path))
    assert is_installers(b"aim", signature, public)
    assert not is_installers(b"aim 2", signature, public)
    assert not is_installers(b"aim", signature, make_installer_key(tmp_path / "another.key"))
    for nothing in ("", "00" * 64):
        assert not is_installers(b"aim", nothing, public)
    assert not is_installers(b"aim", signature, ""), "the key that ended"


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "installer.key"
    path.write_text("mine")
    with pytest.raises(StateError, match="there already"):
        make_installer_key(path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("content", ["", "gatevault-key-v1 " + "ab" * 32 + "\n", "gatevault-installer-v1 zz\n"])
def test_what_is_no_key_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "installer.key"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"no installer's key"):
        load_installer_key(path)
    with pytest.raises(UsageError, match="gatevault installer admit"):
        load_installer_key(tmp_path / "none")


def test_a_destroyed_key_is_overwritten_first(tmp_path: Path) -> None:
    path = tmp_path / "installer.key"
    make_installer_key(path)
    other = tmp_path / "same-inode"
    os.link(path, other)
    assert destroy_installer_key(path)
    assert not path.exists()
    assert set(other.read_bytes()) == {0}
    assert not destroy_installer_key(path)
