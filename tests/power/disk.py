"""A disk under power cut: from what was written and synced, one state that the cut could leave.

The model is the strict reading of POSIX, harder than a journalling file system such as ext4:

- What a file held when its `fsync` returned is there. Of what was written since, each 512-byte sector
  holds any of its versions: the synced one, or that after any later write, whatever other sectors hold.
- A file has any of the sizes that it had since its sync. Where it grew and no data arrived, it reads as
  zeros. Once a cut of it is there, what lay behind does not come back. A cut itself writes no data but
  the zeros behind the new end, up to the next page: a file is never cut in part.
- A new name, a rename and an unlink are there once their *directory* was synced. Before, each happened
  or not, in any order, except that changes of the same name keep their order and a rename is one step.
  (On ext4, `fsync` of a new file brings its own name with it. Here it does not.)

A sector is written as a whole or not at all: SQLite counts on that, and so do we.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from random import Random
from typing import Final

SECTOR: Final = 512
PAGE: Final = 4096
"""What the kernel keeps in memory and writes as one."""

Tree = dict[str, bytes]
"""Content by path, relative to the state directory."""


@dataclass(frozen=True)
class Made:
    """A new, empty file; `file` names it for ever, whatever its path becomes."""

    path: str
    file: str


@dataclass(frozen=True)
class Written:
    file: str
    offset: int
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Resized:
    file: str
    size: int


@dataclass(frozen=True)
class Synced:
    file: str


@dataclass(frozen=True)
class Renamed:
    path: str
    to: str


@dataclass(frozen=True)
class Unlinked:
    path: str


@dataclass(frozen=True)
class DirectorySynced:
    path: str


@dataclass(frozen=True)
class Answered:
    """What was asked was answered: from here on it is promised."""


NameChange = Made | Renamed | Unlinked
Event = NameChange | Written | Resized | Synced | DirectorySynced | Answered


class File:
    """One file's content: what is durable, and each version since."""

    def __init__(self, content: bytes = b"") -> None:
        self._begin(content)

    def _begin(self, content: bytes) -> None:
        self.versions = [content]
        """The durable content, then the content after each change that was not synced."""
        self._touched = [range(0)]
        """The sectors that each change wrote."""
        self._cut = [False]

    @property
    def now(self) -> bytes:
        return self.versions[-1]

    def write(self, offset: int, data: bytes) -> None:
        before = self.now.ljust(offset, b"\0")
        self._change(before[:offset] + data + before[offset + len(data) :], offset, offset + len(data), cut=False)

    def resize(self, size: int) -> None:
        before = self.now
        page = min(-(-size // PAGE) * PAGE, len(before))
        self._change(before[:size].ljust(size, b"\0"), size, page, cut=size < len(before))

    def _change(self, content: bytes, start: int, end: int, *, cut: bool) -> None:
        self.versions.append(content)
        self._touched.append(range(start // SECTOR, -(-end // SECTOR)) if end > start else range(0))
        self._cut.append(cut)

    def sync(self) -> None:
        self._begin(self.now)

    def crash(self, random: Random) -> bytes:
        """One content that a power cut could leave."""
        last = len(self.versions) - 1
        if last == 0:
            return self.now
        size_at, version_at = random.choice(_WAYS)(self._touched, random)
        size = len(self.versions[size_at])
        cuts = [(index, len(self.versions[index])) for index in range(1, size_at + 1) if self._cut[index]]
        sectors = []
        for sector in range(-(-size // SECTOR)):
            oldest = max((index for index, end in cuts if end < (sector + 1) * SECTOR), default=0)
            index = max(version_at(sector), oldest)
            part = self.versions[index][sector * SECTOR : (sector + 1) * SECTOR]
            sectors.append(part.ljust(SECTOR, b"\0"))
        return b"".join(sectors)[:size]


Way = tuple[int, Callable[[int], int]]
"""Which version gives the file's size, and which each sector's content."""


def _prefix(touched: list[range], random: Random) -> Way:
    """The first changes, whole: from none to all."""
    upto = random.randrange(len(touched))
    return upto, lambda sector: upto


def _torn(touched: list[range], random: Random) -> Way:
    """The first changes, and the next one in part."""
    upto = random.randrange(len(touched) - 1)
    there = {sector for sector in touched[upto + 1] if random.random() < 0.5}
    return upto + random.randrange(2), lambda sector: upto + (sector in there)


def _some(touched: list[range], random: Random) -> Way:
    """Each change whole or not at all, in any order."""
    kept = [0, *(index for index in range(1, len(touched)) if random.random() < 0.5)]
    return kept[-1], lambda sector: max(index for index in kept if index == 0 or sector in touched[index])


def _sectors(touched: list[range], random: Random) -> Way:
    """Any version of any sector, and any size."""
    chosen: dict[int, list[int]] = {}
    for index, sectors in enumerate(touched):
        for sector in sectors:
            chosen.setdefault(sector, [0]).append(index)
    versions = {sector: random.choice(indexes) for sector, indexes in sorted(chosen.items())}
    return random.randrange(len(touched)), lambda sector: versions.get(sector, 0)


def _none(touched: list[range], random: Random) -> Way:
    return 0, lambda sector: 0


def _all(touched: list[range], random: Random) -> Way:
    last = len(touched) - 1
    return last, lambda sector: last


_WAYS: Final = (_none, _all, _prefix, _torn, _some, _sectors)


class Disk:
    """Files and their names, as the running system sees them and as a power cut could leave them."""

    def __init__(self, base: Tree) -> None:
        """`base` is durable; each of its files is named by its path."""
        self.files = {path: File(content) for path, content in base.items()}
        self.names = {path: path for path in base}
        """File by path, as the running system sees it."""
        self._durable = dict(self.names)
        self._pending: list[NameChange] = []

    def take(self, event: Event) -> None:
        """Carry out the next event."""
        match event:
            case Made() | Renamed() | Unlinked():
                if isinstance(event, Made):
                    self.files[event.file] = File()
                _rename(self.names, event)
                self._pending.append(event)
            case Written(file, offset, data):
                self.files[file].write(offset, data)
            case Resized(file, size):
                self.files[file].resize(size)
            case Synced(file):
                self.files[file].sync()
            case DirectorySynced(path):
                for change in self._pending:
                    if path in _directories(change):
                        _rename(self._durable, change)
                self._pending = [change for change in self._pending if path not in _directories(change)]
            case Answered():
                pass

    def now(self) -> Tree:
        """The state as the running system sees it."""
        return {path: self.files[file].now for path, file in self.names.items()}

    def crash(self, random: Random) -> Tree:
        """One state that a power cut could leave."""
        names, lost = dict(self._durable), set[str]()
        chance = random.choice((0.0, 0.5, 1.0))
        for change in self._pending:
            if lost & _paths(change) or random.random() < chance:
                lost |= _paths(change)
            else:
                _rename(names, change)
        return {path: self.files[file].crash(random) for path, file in sorted(names.items())}


def _paths(change: NameChange) -> set[str]:
    return {change.path, change.to} if isinstance(change, Renamed) else {change.path}


def _directories(change: NameChange) -> set[str]:
    return {str(PurePosixPath(path).parent) for path in _paths(change)}


def _rename(names: dict[str, str], change: NameChange) -> None:
    match change:
        case Made(path, file):
            names[path] = file
        case Renamed(path, to):
            names[to] = names.pop(path)
        case Unlinked(path):
            del names[path]


def after(base: Tree, events: Iterable[Event]) -> Disk:
    """The disk after these events."""
    disk = Disk(base)
    for event in events:
        disk.take(event)
    return disk


OUTSIDE: Final = ("run", "bench", "models")
"""Sockets and the mock pins' trace: no part of the state. Models are written when it is made, and checked by
hash."""


def kept(path: str) -> bool:
    """Whether a path, relative to the state directory, is part of the state.

    SQLite's `-shm` is shared memory of the running processes, and is built anew.
    """
    return not path.endswith("-shm") and path.split("/", 1)[0] not in OUTSIDE


def read_tree(root: Path) -> Tree:
    """The state in a directory."""
    paths = [str(path.relative_to(root)) for path in sorted(root.rglob("*")) if path.is_file()]
    return {path: (root / path).read_bytes() for path in paths if kept(path)}


def write_tree(tree: Tree, root: Path) -> Path:
    """Make a state directory of it."""
    for folder in (*OUTSIDE, *{str(PurePosixPath(path).parent) for path in tree}):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for path, content in tree.items():
        (root / path).write_bytes(content)
        (root / path).chmod(0o600)
    return root
