"""Locked memory as the kernel tells of it, its fallbacks, and what lies in it: the gallery and every secret."""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import resource
from typing import Any

import numpy as np
import pytest

from gatevault.vault import keys, locked
from gatevault.vault.gallery import Gallery
from gatevault.vault.keys import KEY_BYTES, Secret
from gatevault.vault.locked import Protection, Slots, locked_memory, weakest
from tests.service.dump import Area, areas

SIZE = 3 * 4096


def area_of(address: int) -> Area:
    return next(area for area in areas("self") if area.start <= address < area.end)


def address(of: Any) -> int:
    return int(np.frombuffer(of, dtype=np.uint8).ctypes.data)


def no_secret_memory(*_: Any) -> int:
    ctypes.set_errno(errno.ENOSYS)
    return -1


def no_room(*_: Any) -> None:
    raise OSError(errno.EAGAIN, "Resource temporarily unavailable")


@pytest.fixture(params=["no such call", "over the limit"])
def fallback(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without memfd_secret, or one that has no room for it."""
    if request.param == "no such call":
        monkeypatch.setattr(locked._libc, "syscall", no_secret_memory)
    else:
        monkeypatch.setattr(locked.os, "ftruncate", no_room)
        monkeypatch.setattr(locked._libc, "syscall", lambda *_: os.open("/dev/null", os.O_RDONLY))


@pytest.fixture
def secret() -> locked.Locked:
    memory = locked_memory(SIZE - 1)
    if memory.protection is not Protection.MEMFD_SECRET:
        pytest.skip("this kernel has no memfd_secret to give")
    return memory


# --- secret memory -------------------------------------------------------------------------------


def test_secret_memory_is_whole_zero_pages_that_no_dump_and_no_fork_has(secret: locked.Locked) -> None:
    assert bytes(secret.memory) == bytes(SIZE)
    area = area_of(address(secret.memory))
    assert "secretmem" in area.name
    assert {"lo", "dd", "dc"} <= area.flags


def test_secret_memory_is_not_read_through_proc(secret: locked.Locked) -> None:
    secret.memory[:6] = b"secret"
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match=r"Input/output error|Bad address"):
            os.pread(memory, 16, address(secret.memory))
    finally:
        os.close(memory)


def test_no_descriptor_stays_open_from_which_root_could_map_it(secret: locked.Locked) -> None:
    names = []
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            names.append(os.readlink(f"/proc/self/fd/{number}"))  # noqa: PTH115
        except FileNotFoundError:
            continue  # the listing's own
    assert names
    assert not [name for name in names if "secretmem" in name]
    assert secret.memory[0] == 0


# --- without it ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("fallback")
def test_without_secret_memory_it_is_locked_and_neither_dumped_nor_copied_by_a_fork() -> None:
    memory = locked_memory(SIZE)
    assert memory.protection is Protection.LOCKED
    area = area_of(address(memory.memory))
    assert {"lo", "dd", "dc"} <= area.flags
    assert area.locked_kib >= SIZE // 1024, "it is in RAM and stays there"
    assert not area.name


@pytest.mark.usefixtures("fallback")
def test_over_the_limit_it_says_that_it_is_not_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locked._libc, "mlock", lambda *_: -1)
    memory = locked_memory(SIZE)
    assert memory.protection is Protection.UNLOCKED
    assert {"dd", "dc"} <= area_of(address(memory.memory)).flags
    assert Gallery(128).protection is Protection.UNLOCKED
    slots = Slots(32)
    slots.take()
    assert slots.protection is Protection.UNLOCKED


@pytest.mark.usefixtures("fallback")
def test_no_handle_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    memories = [locked_memory(SIZE) for _ in range(5)]
    assert len(memories) == 5
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_user_without_rights_and_room_goes_on_unlocked() -> None:
    """The real kernel refusing, in a child that may lock nothing."""
    if os.geteuid() != 0:
        pytest.skip("only root becomes another user")

    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
            os.setresuid(65534, 65534, 65534)
            os.write(write, locked_memory(SIZE).protection.encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    said = os.read(read, 100)
    os.close(read)
    assert said == b"unlocked"


@pytest.mark.parametrize(
    ("kinds", "together"),
    [
        ((Protection.MEMFD_SECRET,), Protection.MEMFD_SECRET),
        ((Protection.MEMFD_SECRET, Protection.LOCKED), Protection.LOCKED),
        ((Protection.UNLOCKED, Protection.LOCKED, Protection.MEMFD_SECRET), Protection.UNLOCKED),
    ],
)
def test_together_it_is_the_weakest(kinds: tuple[Protection, ...], together: Protection) -> None:
    assert weakest(*kinds) is together


# --- its life ------------------------------------------------------------------------------------


def test_it_is_wiped_and_given_back_when_nothing_points_into_it(monkeypatch: pytest.MonkeyPatch) -> None:
    wiped: list[int] = []
    give_back = locked._give_back

    def watched(at: int, size: int) -> None:
        given = locked._libc.munmap
        try:
            locked._libc.munmap = lambda where, length: wiped.append(sum(ctypes.string_at(where, length)))
            give_back(at, size)
        finally:
            locked._libc.munmap = given
            given(at, size)

    monkeypatch.setattr(locked, "_give_back", watched)
    memory = locked_memory(SIZE)
    view = np.frombuffer(memory.memory, dtype=np.float32)[:4]
    at = address(memory.memory)
    view[:] = 0.8125
    del memory
    gc.collect()
    assert view.all(), "a view keeps it"
    assert wiped == []
    del view
    gc.collect()
    assert wiped == [0]
    assert not any(area.start <= at < area.end and "lo" in area.flags for area in areas("self"))


def test_several_slots_share_a_page_and_come_back_empty() -> None:
    slots = Slots(32)
    taken = [slots.take() for _ in range(200)]
    assert len({address(slot) for slot in taken}) == 200
    assert len({address(slot) // 4096 for slot in taken}) == 2
    for number, slot in enumerate(taken):
        slot[:] = bytes([number]) * 32
    assert [slot[0] for slot in taken] == list(range(200))
    slots.give(taken[7])
    assert slots.take() is taken[7]
    assert bytes(taken[7]) == bytes(32)


# --- what lies in it -----------------------------------------------------------------------------


def test_the_gallery_lies_in_it() -> None:
    gallery = Gallery(128)
    for array in (gallery._rows, gallery._penalties):
        assert area_of(array.ctypes.data).secret or gallery.protection is Protection.UNLOCKED


def test_a_gallery_that_grows_tells_of_its_new_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery = Gallery(128)
    first = len(gallery._rows)
    monkeypatch.setattr(locked._libc, "syscall", no_secret_memory)
    monkeypatch.setattr(locked._libc, "mlock", lambda *_: -1)
    for number in range(first + 1):
        gallery.put(f"r-{number}", np.ones(128, dtype=np.float32), 0.5)
    assert gallery.protection is Protection.UNLOCKED
    view = gallery.view()
    assert view.rows.shape == (first + 1, 128)
    assert view.rows.all()
    assert view.penalties.tolist() == [0.5] * (first + 1)


def test_a_secret_lies_in_it_and_is_overwritten_when_it_goes() -> None:
    secret = Secret.random()
    assert area_of(address(secret.buffer)).secret or keys.key_protection() is Protection.UNLOCKED
    slot = secret.buffer
    assert len(set(secret.reveal())) > 8
    assert Secret.random().reveal() != secret.reveal()
    del secret
    gc.collect()
    assert bytes(slot) == bytes(KEY_BYTES)


def test_a_secret_of_digits() -> None:
    digits = bytearray(b"00ff10" + b"a5" * 29)
    assert Secret.from_hex(digits).reveal() == bytes.fromhex(digits.decode())
    for wrong in (digits[:-1], digits + b"0", bytearray(b"A5" * 32), bytearray(b" 5" * 32)):
        with pytest.raises(ValueError, match=r"digits|subsection|not found"):
            Secret.from_hex(wrong)
