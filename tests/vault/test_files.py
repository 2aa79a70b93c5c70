"""Files that are there whole or not at all, with the disk failing at every step."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatevault.vault import files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cards.snapshot"


class Failing:
    """A system call that works until its turn comes, and then fails as a full disk does."""

    def __init__(self, call: Any, turn: int) -> None:
        self._call = call
        self._turn = turn
        self.calls = 0

    def __call__(self, *args: Any, **more: Any) -> Any:
        self.calls += 1
        if self.calls == self._turn:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._call(*args, **more)


def test_a_file_is_replaced_and_is_its_owners_alone(path: Path) -> None:
    for content in (b"old", b"new"):
        files.replace(path, content)
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert os.listdir(path.parent) == [path.name]  # noqa: PTH208


@pytest.mark.parametrize("there_before", [True, False])
def test_a_write_that_fails_leaves_what_was_there(
    path: Path, there_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if there_before:
        path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", Failing(os.fsync, 1))
    with pytest.raises(OSError, match="No space"):
        files.replace(path, b"new")
    assert (path.read_bytes() if path.exists() else None) == (b"old" if there_before else None)
    assert not path.with_name(path.name + ".new").exists()


@pytest.mark.parametrize("call", ["open", "fdopen", "replace"])
def test_every_other_step_that_fails_leaves_it_too(path: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, Failing(getattr(os, call), 1))
        with pytest.raises(OSError, match="No space"):
            files.replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_directory_that_cannot_be_synced_leaves_the_new_file_whole_and_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", Failing(os.fsync, 2))
    with pytest.raises(OSError, match="No space"):
        files.replace(path, b"new")
    assert path.read_bytes() == b"new"


def test_what_a_crash_left_is_in_nobodys_way(path: Path) -> None:
    path.with_name(path.name + ".new").write_bytes(b"half a fi")
    files.replace(path, b"new")
    assert list(path.parent.iterdir()) == [path]


def test_a_file_and_its_name_are_both_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []

    def fsync(handle: int) -> None:
        synced.append("directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else path.name)

    monkeypatch.setattr(os, "fsync", fsync)
    files.write_new(path, b"content")
    files.replace(path, b"new content")
    assert synced == [path.name, "directory"] * 2


def test_a_new_file_is_never_written_over_another(path: Path) -> None:
    files.write_new(path, b"first")
    with pytest.raises(FileExistsError):
        files.write_new(path, b"second")
    assert path.read_bytes() == b"first"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("write", [files.write_new, files.replace])
def test_a_file_has_the_mode_asked_for_under_any_umask(
    path: Path, write: Callable[[Path, bytes, int], None], umask: int
) -> None:
    before = os.umask(umask)
    try:
        write(path, b"content", 0o640)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_that_could_not_be_written_is_not_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", Failing(os.fsync, 1))
    with pytest.raises(OSError, match="No space"):
        files.write_new(path, b"content")
    assert not path.exists()


def test_no_handle_is_left_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    files.replace(path, b"old")
    for turn in (1, 2):
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", Failing(os.fsync, turn))
            with pytest.raises(OSError, match="No space"):
                files.replace(path, b"new")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
