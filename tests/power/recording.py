"""What a process does to a directory's files, written down by strace and read as events of `disk`.

Whatever the recorder does not know (a memory-mapped write, a hard link, a copy inside the kernel) is an
error, never passed over; and what was recorded must add up to the files that are there at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatevault.core import control
from gatevault.service.control import CONTROL_SOCKET
from tests.power.disk import (
    Answered,
    DirectorySynced,
    Disk,
    Event,
    Made,
    Renamed,
    Resized,
    Synced,
    Tree,
    Unlinked,
    Written,
    kept,
)
from tests.service.tracing import need_strace

_QUIET: Final = ("openat", "open", "creat", "openat2", "lseek", "mmap", "sendto")
_WRITES: Final = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "copy_file_range", "sendfile")
_SIZES: Final = ("ftruncate", "truncate", "fallocate")
_SYNCS: Final = ("fsync", "fdatasync", "sync", "syncfs", "sync_file_range")
_NAMES: Final = ("rename", "renameat", "renameat2", "unlink", "unlinkat")
_NEVER: Final = ("link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat", "rmdir")
CALLS: Final = (*_QUIET, *_WRITES, *_SIZES, *_SYNCS, *_NAMES, *_NEVER)

_LINE: Final = re.compile(r"(\d+) +(\d+\.\d+) (.*)")
_CALL: Final = re.compile(r"(\w+)\((.*)\) += (-?\d+)")
_RESUMED: Final = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_UNFINISHED: Final = " <unfinished ...>"
_TEXT: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_HANDLE: Final = re.compile(r"(\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})+)>(\(deleted\))?")
_SOCKET: Final = re.compile(r'\d+<UNIX-STREAM:\[[^"\]]*"((?:\\x[0-9a-f]{2})+)"\]>')


class UnknownCallError(AssertionError):
    """Something was done to the state that the recorder cannot play."""


def recorder(output: Path) -> list[str]:
    """The command line that a program is run by, so that `read` understands what it did."""
    options = [
        "-f",
        "-yy",
        "-xx",
        "-ttt",
        "-qq",
        "-s",
        "4000000",
        "--seccomp-bpf",
        "-e",
        f"trace={','.join(CALLS)}",
    ]
    return [need_strace(), *options, "-o", str(output)]


@dataclass(frozen=True)
class Timed:
    """An event, and when its call began: seconds since 1970."""

    time: float
    event: Event


def read(output: Path, root: Path, base: Tree) -> list[Timed]:
    """The events of the files under `root`, which began as `base`. UnknownCallError."""
    reader = _Reader(root, base)
    return [Timed(time, event) for time, call in _whole_calls(output) for event in reader.events(call)]


def _whole_calls(output: Path) -> Iterator[tuple[float, str]]:
    """Each call as one line, in the order in which they ended, with the time when it began."""
    begun: dict[str, tuple[float, str]] = {}
    with output.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            found = _LINE.match(line.rstrip("\n"))
            if found is None:
                continue
            task, time, text = found[1], float(found[2]), found[3]
            if text.endswith(_UNFINISHED):
                begun[task] = (time, text.removesuffix(_UNFINISHED))
                continue
            resumed = _RESUMED.match(text)
            if resumed:
                time, first = begun.pop(task)
                text = first + resumed[1]
            yield time, text


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


class _Reader:
    """Follows names, and offsets of plain `write`s."""

    def __init__(self, root: Path, base: Tree) -> None:
        self._root = f"{root}/"
        self._disk = Disk(base)
        self._offsets: dict[int, int | None] = {}
        """By descriptor: where a `write` goes; None where that is not known."""
        self._made = 0

    def events(self, text: str) -> Iterator[Event]:
        """What one call did to the state: nothing, for most."""
        call = _CALL.match(text)
        if call is None or int(call[3]) < 0:
            return
        for event in self._understood(call[1], call[2], int(call[3])):
            self._disk.take(event)
            yield event

    def _understood(self, name: str, arguments: str, result: int) -> Iterator[Event]:
        if name == "sendto":
            yield from _answer(arguments)
        elif name in ("openat", "open", "creat", "openat2"):
            yield from self._open(name, arguments, result)
        elif name in _NAMES or name in _NEVER or name == "truncate":
            yield from self._name(name, arguments)
        elif name == "sync":
            raise UnknownCallError("sync() of all files")
        else:
            yield from self._handle(name, arguments, result)

    def _path(self, raw: bytes, directory: str = "") -> str | None:
        """A path of the state, relative to it; None for any other."""
        path = raw.decode()
        whole = path if path.startswith("/") else f"{directory}/{path}"
        if f"{whole}/" == self._root:
            return "."
        relative = whole.removeprefix(self._root)
        return relative if relative != whole and kept(relative) else None

    def _paths(self, arguments: str) -> list[str | None]:
        """The paths that a call names, each relative to the directory that stands before it."""
        directory, found = "", []
        for part in re.finditer(f"{_HANDLE.pattern}|{_TEXT.pattern}", arguments):
            if part[1] is not None:
                directory = _bytes(part[2]).decode()
            elif directory or _bytes(part[4]).startswith(b"/"):
                found.append(self._path(_bytes(part[4]), directory))
            else:
                raise UnknownCallError(f"a path relative to nothing known: {_bytes(part[4])!r}")
        return found

    def _open(self, name: str, arguments: str, handle: int) -> Iterator[Event]:
        path = self._paths(arguments)[0]
        if path is None or "O_DIRECTORY" in arguments or path == ".":
            return
        if name != "openat" or "O_TMPFILE" in arguments:
            raise UnknownCallError(f"{name} of {path}")
        file = self._disk.names.get(path)
        if file is None:
            if "O_CREAT" not in arguments:
                return  # a directory inside the state
            self._made += 1
            file = f"{path}#{self._made}"
            yield Made(path, file)
        elif "O_TRUNC" in arguments and self._disk.files[file].now:
            yield Resized(file, 0)
        sequential = "O_WRONLY" in arguments and "O_APPEND" not in arguments
        self._offsets[handle] = 0 if sequential else None

    def _name(self, name: str, arguments: str) -> Iterator[Event]:
        paths = self._paths(arguments)
        if all(path is None for path in paths):
            return
        first, last = paths[0], paths[-1]
        if name.startswith("rename") and first is not None and last is not None and "RENAME_" not in arguments:
            yield Renamed(first, last)
        elif name.startswith("unlink") and first is not None and "AT_REMOVEDIR" not in arguments:
            yield Unlinked(first)
        else:
            raise UnknownCallError(f"{name} of {paths}")

    def _handle(self, name: str, arguments: str, result: int) -> Iterator[Event]:
        found = _HANDLE.match(arguments) or (name == "mmap" and _HANDLE.search(arguments))
        path = self._path(_bytes(found[2])) if found else None
        if not found or path is None or (name == "mmap" and not _shared_for_writing(arguments)):
            return
        handle, file = int(found[1]), self._disk.names.get(path)
        if found[3]:
            raise UnknownCallError(f"{name} of {path}, which was unlinked")
        numbers = [int(number) for number in re.findall(r", (\d+)(?=,|$)", _TEXT.sub("", arguments))]
        if name in ("fsync", "fdatasync"):
            yield DirectorySynced(path) if file is None else Synced(file)
        elif name == "lseek":
            if handle in self._offsets and self._offsets[handle] is not None:
                self._offsets[handle] = result
        elif file is not None and name == "pwrite64":
            yield Written(file, numbers[-1], _data(arguments)[:result])
        elif file is not None and name == "write" and self._offsets.get(handle) is not None:
            offset = self._offsets[handle] or 0
            self._offsets[handle] = offset + result
            yield Written(file, offset, _data(arguments)[:result])
        elif file is not None and name == "ftruncate":
            yield Resized(file, numbers[-1])
        elif name != "sync_file_range":
            raise UnknownCallError(f"{name} of {path}")


def _data(arguments: str) -> bytes:
    text = _TEXT.search(arguments)
    if text is None or text[2]:
        raise UnknownCallError("a write whose data strace cut short")
    return _bytes(text[1])


def _shared_for_writing(arguments: str) -> bool:
    return "MAP_SHARED" in arguments and "PROT_WRITE" in arguments


def _answer(arguments: str) -> Iterator[Event]:
    """The daemon's answer to a command; not what it says on the way."""
    peer = _SOCKET.match(arguments)
    if peer is None or not _bytes(peer[1]).decode().endswith(CONTROL_SOCKET):
        return
    if isinstance(control.REPLIES.decode(_data(arguments[peer.end() :])[4:]), control.Answer):
        yield Answered()
