"""Reads a running process from outside, as root may, and looks for vectors and keys in it.

`snapshot` takes every readable mapping of `/proc/PID/maps` but the kernel's own pages and the locked pages
that such things belong in. `Vectors` finds what is alike, `Bytes` what is equal:

- any 32 bytes of a vector that are as they were (8 float32, 4 float64), at any alignment;
- any 16 float32 or float64 in a row, at any alignment, that point where 16 values of a vector point (cosine above
  0.97): a copy at any scale, its sum or mean with others like it, one that noise was added to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]

RUN = 16
"""Values in a row that are compared by their direction."""
BLOCK = 8
"""Every run of 16 values covers a block of 8."""
ALIKE = 0.97

_MAP = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+\s*(.*)")


@dataclass(frozen=True)
class Area:
    """One mapping: where it was, what lies there (a file, `[heap]`, nothing), and its bytes."""

    start: int
    end: int
    rights: str
    name: str
    flags: frozenset[str]
    """The kernel's flags (proc(5), VmFlags): `lo` locked, `dd` not dumped, `dc` not copied on fork."""
    locked_kib: int
    held: bytes = b""

    @property
    def secret(self) -> bool:
        """Whether it is one of the places that vectors and keys belong in."""
        return "secretmem" in self.name or {"lo", "dd"} <= self.flags

    @property
    def constant(self) -> bool:
        """Whether it is a part of a library's file that nobody can have written to."""
        return ".so" in self.name and "w" not in self.rights


def areas(pid: int | str) -> list[Area]:
    """A process's mappings without their bytes."""
    found: list[Area] = []
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if begin := _MAP.match(line):
            start, end = (int(part, 16) for part in begin.group(1, 2))
            found.append(Area(start, end, begin[3], begin[4], frozenset(), 0))
        elif line.startswith("Locked:"):
            found[-1] = _with(found[-1], locked_kib=int(line.split()[1]))
        elif line.startswith("VmFlags:"):
            found[-1] = _with(found[-1], flags=frozenset(line.split()[1:]))
    return found


def _with(area: Area, **changed: object) -> Area:
    return Area(**(area.__dict__ | changed))


def snapshot(pid: int | str) -> list[Area]:
    """What a process holds outside its locked pages. Skips the test where the kernel does not let root read."""
    held: list[Area] = []
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for area in areas(pid):
                if area.secret or area.constant or not area.rights.startswith("r") or area.name.startswith("[v"):
                    continue
                held.append(_with(area, held=_read(memory.fileno(), area.start, area.end)))
    except PermissionError:
        pytest.skip("only root may read another process's memory, and not in every container")
    assert sum(len(area.held) for area in held) > 1_000_000, "nothing was read"
    assert any(area.name == "[heap]" for area in held)
    assert any(area.name == "[stack]" for area in held)
    return held


def _read(handle: int, start: int, end: int) -> bytes:
    """A mapping's bytes; past a page that cannot be read (a file cut short) nothing more."""
    parts: list[bytes] = []
    while start < end:
        try:
            part = os.pread(handle, min(end - start, 1 << 26), start)
        except OSError:
            break
        if not part:
            break
        parts.append(part)
        start += len(part)
    return b"".join(parts)


class Bytes:
    """Finds any `least` bytes in a row of what it was given, at any alignment: half a key, half its digits."""

    def __init__(self, named: dict[str, bytes], least: int = 16) -> None:
        """`least`: 15 or more, so that every stretch covers 8 bytes at an address that 8 divides."""
        self._named, self._least = named, least
        self._windows: dict[int, list[tuple[str, int]]] = {}
        for name, needle in named.items():
            for at in range(len(needle) - 7):
                word = int.from_bytes(needle[at : at + 8], "little")
                self._windows.setdefault(word, []).append((name, at))
        self._sought = np.sort(np.array(list(self._windows), dtype=np.uint64))
        self._sieve = np.zeros(1 << 24, dtype=bool)
        self._sieve[self._sought & self._low] = True

    _low = np.uint64((1 << 24) - 1)

    def found(self, held: Iterable[Area]) -> set[str]:
        """`name in place` of each stretch."""
        hits: set[str] = set()
        for area in held:
            words = np.frombuffer(area.held, np.uint64, len(area.held) // 8)
            may = np.flatnonzero(self._sieve[words & self._low])
            nearest = np.searchsorted(self._sought, words[may]).clip(max=len(self._sought) - 1)
            for at in may[self._sought[nearest] == words[may]]:
                for name, start in self._windows[int(words[at])]:
                    first = self._stretch(area.held, 8 * int(at), self._named[name], start)
                    if first is not None:
                        hits.add(f"{name} in {_place(area, first)}")
        return hits

    def _stretch(self, held: bytes, at: int, needle: bytes, start: int) -> int | None:
        """Where the equal bytes around held[at] and needle[start] begin, if they are enough."""
        end = 8
        while start + end < len(needle) and held[at + end : at + end + 1] == needle[start + end : start + end + 1]:
            end += 1
        begin = 0
        while min(at, start) > begin and held[at - begin - 1] == needle[start - begin - 1]:
            begin += 1
        return at - begin if begin + end >= self._least else None


class Vectors:
    """Finds float32 and float64 copies of the vectors that it was given, in whole or in part, equal or alike."""

    def __init__(self, named: dict[str, Floats], exact: dict[str, Floats] | None = None) -> None:
        """`named`: vectors of one dimension, a multiple of RUN; of those in `exact` only copies are sought."""
        self._names = list(named)
        runs = np.stack([np.asarray(vector, dtype=np.float64) for vector in named.values()]).reshape(-1, RUN)
        self._runs = (runs / np.linalg.norm(runs, axis=1, keepdims=True)).T.astype(np.float32)
        self._equal = Bytes(
            {
                f"{name} ({np.dtype(kind).name})": vector.astype(kind).tobytes()
                for name, vector in (named | (exact or {})).items()
                for kind in (np.float32, np.float64)
            },
            32,
        )

    def found(self, held: Sequence[Area]) -> set[str]:
        """`name in place` of each copy."""
        hits = self._equal.found(held)
        for area in held:
            for kind in (np.float32, np.float64):
                for offset in range(np.dtype(kind).itemsize):
                    hits |= self._alike(area, kind, offset)
        return hits

    def _alike(self, area: Area, kind: type[np.float32] | type[np.float64], offset: int) -> set[str]:
        """Runs at addresses that leave `offset` when divided by the size of a value.

        A sieve comes first: several values in a row whose exponents are a vector's.
        """
        size = np.dtype(kind).itemsize
        if len(area.held) < size * (RUN + 1):
            return set()
        values = np.frombuffer(area.held, kind, (len(area.held) - offset) // size, offset)
        last = np.frombuffer(area.held, np.uint8)[offset + size - 1 :: size][: len(values)]
        blocks = _full(np.ascontiguousarray(_PLAUSIBLE[size][last]))
        starts = np.unique(np.concatenate([BLOCK * blocks - shift for shift in range(BLOCK + 1)]))
        starts = starts[(starts >= 0) & (starts <= len(values) - RUN)]
        hits: set[str] = set()
        for some in np.array_split(starts, len(starts) // 100_000 + 1):
            with np.errstate(all="ignore"):
                windows = values[some[:, None] + np.arange(RUN)].astype(np.float32)
                windows /= np.linalg.norm(windows, axis=1, keepdims=True)
                near = np.argwhere(windows @ self._runs > ALIKE)
            for row, run in near:
                name = self._names[run // (self._runs.shape[1] // len(self._names))]
                hits.add(f"{name} ({np.dtype(kind).name}, alike) in {_place(area, offset + size * int(some[row]))}")
        return hits


def _full(plausible: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """The numbers of the blocks of BLOCK values that are plausible throughout."""
    whole = plausible[: len(plausible) // BLOCK * BLOCK].view(np.uint64)
    return np.flatnonzero(whole == int.from_bytes(b"\1" * BLOCK, "little"))


def _exponents(*last: int) -> npt.NDArray[np.uint8]:
    """Marks the last bytes, with either sign, of little-endian values of some magnitudes."""
    marks = np.zeros(256, dtype=np.uint8)
    for byte in last:
        marks[[byte, byte | 0x80]] = 1
    return marks


_PLAUSIBLE = {
    4: _exponents(*range(0x38, 0x42)),  # 3e-5 to 32
    8: _exponents(0x3F, 0x40),  # 3e-5 to 1e5
}
"""By the size of a value: what its last byte may be. Values of a unit vector of 128 are about 0.09."""


def _place(area: Area, offset: int) -> str:
    return f"{area.name or 'anonymous memory'} {area.rights} at {area.start + offset:#x}"
