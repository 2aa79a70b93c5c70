"""Whatever left daemon and vision, searched for what they know: vectors and pixels, in many forms.

strace tells each byte that the two, and what they start, handed to the kernel: to sockets, files, pipes, programs.
One stream may hold vectors: vision's socket to the daemon.
"""

from __future__ import annotations

import base64
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from gatevault.core import wire
from gatevault.core.types import Vector
from gatevault.core.wire import FaceSeen
from tests.service.tracing import foreign_calls

Picture = npt.NDArray[np.uint8]

LONGEST: Final = 65_536
"""Bytes of one call that strace shows: more than any message or page; a longer one counts as unseen."""

_OUT = "write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendmmsg"
_UNSEEN = "sendfile,splice,vmsplice,tee,copy_file_range,process_vm_writev"
"""Calls that move bytes which strace does not show: none of ours uses them."""
_MADE = "socket,socketpair,connect,bind,io_uring_setup,open,openat,creat,execve"

TRACED = ("-f", "--seccomp-bpf", "-qq", "-y", "-xx", "-s", str(LONGEST), "-e", f"trace={_OUT},{_UNSEEN},{_MADE}")


_LATER: Final = " <unfinished ...>"


# --- what is looked for --------------------------------------------------------------------------


def of_vector(name: str, vector: Vector) -> dict[str, bytes]:
    """Four values each from its beginning, middle and end, as numbers of two sizes and as text of five kinds."""
    found: dict[str, bytes] = {}
    for place in (0, vector.size // 2, vector.size - 8):
        some = vector[place : place + 8]
        where = f"{name} from {place}"
        found[f"{where} as decimals"] = repr(float(some[1]))[:9].encode()
        for size in ("<f4", "<f8"):
            found |= of_bytes(f"{where} as {size}", some.astype(size).tobytes()[:16])
    return found


def of_picture(name: str, pixels: Picture) -> dict[str, bytes]:
    """Parts of rows, 16 pixels each, of an RGB picture; and what its JPEG has in the middle."""
    found: dict[str, bytes] = {}
    height, width = pixels.shape[:2]
    for part in (0.2, 0.35, 0.5):
        row = pixels[int(height * part)]
        start = max(range(0, width - 16, 16), key=lambda x: float(row[x : x + 16].astype(float).std()))
        piece = row[start : start + 16]
        found |= of_bytes(f"{name}, row at {part}, RGB", piece.tobytes())
        found |= of_bytes(f"{name}, row at {part}, BGR", piece[:, ::-1].tobytes())
    coded = cv2.imencode(".jpg", pixels[:, :, ::-1])[1].tobytes()
    found[f"{name} as JPEG"] = coded[len(coded) // 2 :][:32]
    found["a JPEG file"] = b"\xff\xd8\xff\xe0\x00\x10JFIF"
    return found


def of_bytes(name: str, data: bytes) -> dict[str, bytes]:
    """Bytes as they are, and as text whatever they were preceded by."""
    found = {name: data, f"{name}, hex": data.hex().encode(), f"{name}, HEX": data.hex().upper().encode()}
    for skip in range(3):
        found[f"{name}, base64 {skip}"] = base64.b64encode(data[skip:][:12])
    for skip in range(5):
        found[f"{name}, base32 {skip}"] = base64.b32encode(data[skip:][:10])
        found[f"{name}, base32 small {skip}"] = base64.b32encode(data[skip:][:10]).lower()
    return found


# --- where it is looked for ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    pid: int
    name: str
    arguments: str
    """As strace prints them, with texts as bytes in hexadecimal."""

    @property
    def target(self) -> str:
        """What the first argument stands for: a file's path, `socket:[…]`, `pipe:[…]`."""
        path = re.match(r"(?:\d+|AT_FDCWD)<([^>]*)>", self.arguments)
        return _text(path[1]) if path else ""

    def data(self) -> bytes:
        return b"".join(_bytes(piece) for piece in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', self.arguments))


class Egress:
    """What left, from a trace made with `TRACED`, and from what was said and kept besides."""

    def __init__(self, trace: Path, vision: int, state: Path) -> None:
        self._trace, self._vision, self._state = trace, vision, state
        self._calls = list(_calls(trace))
        self._link = self._to_daemon()

    def _to_daemon(self) -> str:
        """The one socket through which vectors may go: not its handle, whose number another file had before."""
        (link,) = {
            call.target
            for call in self._calls
            if call.pid == self._vision and call.name == "connect" and call.data().endswith(b"vision.sock")
        }
        return link

    def told(self) -> list[Vector]:
        """The vectors that vision told the daemon, each as it was."""
        buffer, vectors = wire.FrameBuffer(), []
        for call in self._calls:
            if self._permitted(call):
                data = call.data()
                while data:
                    space = buffer.space()
                    count = min(len(space), len(data))
                    space[:count] = data[:count]
                    buffer.filled(count)
                    data = data[count:]
                    for payload in buffer.frames():
                        message = wire.unpack(wire.FROM_VISION, payload)
                        if isinstance(message, FaceSeen):
                            vectors.append(message.scan().embedding)
        return vectors

    def _permitted(self, call: Call) -> bool:
        return call.pid == self._vision and call.target == self._link and call.name in _OUT.split(",")

    def findings(self, needles: dict[str, bytes], said: bytes) -> set[str]:
        """Every leak: `what in where`. `said`: the log."""
        found = {f"a network: {line}" for line in foreign_calls(self._trace)}
        streams: dict[str, bytearray] = defaultdict(bytearray)
        for call in self._calls:
            if call.name in _UNSEEN.split(","):
                found.add(f"bytes moved unseen: {call.name}")
            if self._permitted(call):
                continue
            if '"...' in call.arguments and "memfd:" not in call.target:
                found.add(f"more than is shown: {call.name} to {call.target}")
            if call.name == "execve":
                streams["a program's arguments"] += call.data()
            elif call.name in _OUT.split(","):
                streams[f"{call.name} to {_kind(call.target)}"] += call.data()
            elif (path := _written(call)) is not None:
                if not path.is_relative_to(self._state) and path.parent != Path("/dev"):
                    found.add(f"a file outside the state: {path}")
                if path.is_file():
                    streams[f"the file {path.name}"] += path.read_bytes()
        for path in self._state.rglob("*"):
            if path.is_file() and path.parent.name != "models":
                streams[f"the file {path.name}"] += path.read_bytes()
        streams["the log"] += said
        for where, data in streams.items():
            found |= {f"{what} in {where}" for what, needle in needles.items() if needle in data}
        return found


def _kind(target: str) -> str:
    return Path(target).name if target.startswith("/") else target.partition(":")[0]


def _written(call: Call) -> Path | None:
    """The path of a file that a call opened to be written; None for any other call."""
    if call.name not in ("open", "openat", "creat") or not (opened := re.search(r"= \d+<(.*)>$", call.arguments)):
        return None
    if call.name != "creat" and not re.search(r"O_WRONLY|O_RDWR", call.arguments):
        return None
    path = _text(opened[1])
    return Path(path) if path.startswith("/") and not path.startswith(("/memfd:", "/proc/")) else None


def _calls(trace: Path) -> Iterator[Call]:
    """The calls of a trace; one that another thread interrupted is put together again."""
    begun: dict[str, str] = {}
    with trace.open(errors="replace") as lines:
        for line in lines:
            pid, _, rest = line.rstrip("\n").partition(" ")
            rest = rest.lstrip()
            if rest.endswith(_LATER):
                begun[pid] = rest.removesuffix(_LATER)
                continue
            if resumed := re.match(r"<\.\.\. \w+ resumed>", rest):
                rest = begun.pop(pid, "") + rest[resumed.end() :]
            name, opened, arguments = rest.partition("(")
            if opened:
                yield Call(int(pid), name, arguments)
    for pid, rest in begun.items():  # that never returned: the process was killed in it
        yield Call(int(pid), *rest.split("(", 1))


def _bytes(piece: str) -> bytes:
    return bytes.fromhex(piece.replace("\\x", ""))


def _text(piece: str) -> str:
    """A path as -xx prints it."""
    return re.sub(r"(?:\\x[0-9a-f]{2})+", lambda some: _bytes(some[0]).decode(errors="replace"), piece)


def needles_of(vectors: Iterable[Vector], pictures: dict[str, Picture]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for number, vector in enumerate(vectors):
        found |= of_vector(f"vector {number}", vector)
        found |= of_vector(f"vector {number} at unit length", vector / np.float32(np.linalg.norm(vector)))
    for name, pixels in pictures.items():
        found |= of_picture(name, pixels)
    return found
