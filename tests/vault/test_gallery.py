"""The gallery against a dictionary, and the memory that it lies in."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gatevault.core.types import Vector
from gatevault.vault import gallery
from gatevault.vault.gallery import Gallery

DIMENSION = 4
FIRST_ROWS = 64
PEOPLE = st.integers(0, 150).map(lambda number: f"r-{number:016x}")


def template(number: int) -> Vector:
    return np.full(DIMENSION, 1 + number, dtype=np.float32)


class GalleryMachine(RuleBasedStateMachine):
    """A gallery beside a dictionary. Whatever lies beyond the rows in use is zero."""

    def __init__(self) -> None:
        super().__init__()
        self.gallery = Gallery(DIMENSION)
        self.model: dict[str, Vector] = {}

    @rule(who=PEOPLE, number=st.integers(0, 99))
    def put(self, who: str, number: int) -> None:
        given = template(number)
        self.gallery.put(who, given)
        given.fill(-1.0)  # as the caller wipes its own copy
        self.model[who] = template(number)

    @rule(start=st.integers(0, 100), count=st.integers(1, 70))
    def put_many(self, start: int, count: int) -> None:
        for number in range(start, start + count):
            self.put(f"r-{number:016x}", number)

    @rule(who=PEOPLE)
    def remove(self, who: str) -> None:
        assert self.gallery.remove(who) is (self.model.pop(who, None) is not None)

    @rule()
    def clear(self) -> None:
        self.gallery.clear()
        self.model.clear()

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        matrix = self.gallery.matrix
        assert matrix.shape == (len(self.model), DIMENSION)
        assert matrix.dtype == np.float32
        found = dict(zip(self.gallery.residents, matrix.tolist(), strict=True))
        assert found == {who: row.tolist() for who, row in self.model.items()}

    @invariant()
    def nothing_is_left_of_whoever_went(self) -> None:
        assert not self.gallery._rows[len(self.model) :].any()


GalleryMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestGallery = GalleryMachine.TestCase


def test_a_gallery_that_grows_leaves_nothing_in_its_first_memory() -> None:
    faces = Gallery(DIMENSION)
    first = faces._rows
    for number in range(FIRST_ROWS):
        faces.put(f"r-{number}", template(number))
    assert faces._rows is first
    assert first.all()
    faces.put("r-last", template(99))
    assert len(faces._rows) == 2 * FIRST_ROWS
    assert not first.any()
    assert len(faces.residents) == FIRST_ROWS + 1


def test_the_matrix_is_a_view_that_sees_an_erasure_at_once() -> None:
    faces = Gallery(DIMENSION)
    faces.put("r-1", template(1))
    before = faces.matrix
    assert np.shares_memory(before, faces._rows)
    faces.clear()
    assert not before.any()


@pytest.mark.parametrize("shape", [(DIMENSION - 1,), (DIMENSION + 1,), (1, DIMENSION), ()])
def test_a_template_of_another_dimension_is_refused(shape: tuple[int, ...]) -> None:
    faces = Gallery(DIMENSION)
    with pytest.raises(ValueError, match="dimension"):
        faces.put("r-1", np.ones(shape, dtype=np.float32))
    assert not faces.residents
    assert not faces._rows.any()


# --- the memory ----------------------------------------------------------------------------------


def test_it_tells_how_it_is_protected() -> None:
    assert Gallery(DIMENSION).protection in ("memfd-secret", "locked", "unlocked")


def test_secret_memory_is_not_read_through_proc() -> None:
    faces = Gallery(128)
    if faces.protection != "memfd-secret":
        pytest.skip("this kernel has no memfd_secret to give")
    faces.put("r-1", np.full(128, 0.8125, dtype=np.float32))
    address = faces._rows.ctypes.data
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match=r"Input/output error|Bad address"):
            os.pread(memory, 16, address)
    finally:
        os.close(memory)


def no_secret_memory(*_: Any) -> int:
    ctypes.set_errno(errno.ENOSYS)
    return -1


def no_room(*_: Any) -> None:
    raise OSError(errno.EAGAIN, "Resource temporarily unavailable")


@pytest.fixture(params=["no such call", "over the limit"])
def fallback(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without memfd_secret, or one that has no room for it."""
    if request.param == "no such call":
        monkeypatch.setattr(gallery._libc, "syscall", no_secret_memory)
    else:
        monkeypatch.setattr(gallery.os, "ftruncate", no_room)
        monkeypatch.setattr(gallery._libc, "syscall", lambda *_: os.open("/dev/null", os.O_RDONLY))


@pytest.mark.usefixtures("fallback")
@pytest.mark.parametrize(("status", "protection"), [(0, "locked"), (-1, "unlocked")])
def test_without_secret_memory_it_is_locked_if_the_limit_allows_and_says_which(
    status: int, protection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked: list[int] = []
    monkeypatch.setattr(gallery._libc, "mlock", lambda _, size: locked.append(size) or status)
    faces = Gallery(128)
    assert faces.protection == protection
    assert locked == [FIRST_ROWS * 128 * 4]
    for number in range(FIRST_ROWS + 1):
        faces.put(f"r-{number}", np.ones(128, dtype=np.float32))
    assert faces.protection == protection
    assert len(locked) == 2
    assert faces.matrix.shape == (FIRST_ROWS + 1, 128)
    assert faces.matrix.all()


@pytest.mark.usefixtures("fallback")
def test_no_handle_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    faces = [Gallery(128) for _ in range(5)]
    assert len(faces) == 5
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_locked_memory_is_left_out_of_dumps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery._libc, "syscall", no_secret_memory)
    faces = Gallery(128)
    address = faces._rows.ctypes.data
    with open("/proc/self/smaps", encoding="ascii") as file:  # noqa: PTH123
        flags = _flags_at(file.read(), address)
    assert "dd" in flags, "do not dump"
    assert "dc" in flags, "do not copy on fork"


def _flags_at(smaps: str, address: int) -> list[str]:
    """The kernel's flags of the mapping that holds an address (proc(5), VmFlags)."""
    inside = False
    for line in smaps.splitlines():
        first = line.split()[0]
        if "-" in first and not first.endswith(":"):
            start, end = (int(part, 16) for part in first.split("-"))
            inside = start <= address < end
        elif inside and first == "VmFlags:":
            return line.split()[1:]
    raise AssertionError("the gallery's memory is in no mapping")
