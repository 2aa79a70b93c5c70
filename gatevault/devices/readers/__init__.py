"""Card readers: everything that turns a tap into a `CardRead`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gatevault.core.board import Board
from gatevault.core.errors import DeviceError
from gatevault.devices.readers.port import Reader
from gatevault.devices.readers.wedge import WedgeReader
from gatevault.devices.readers.wiegand import WiegandReader, request_edges


def build_readers(board: Board, wedge: Sequence[str] = (), *, bench: bool) -> list[Reader]:
    """Make the readers of a board's profile and of `readers.wedge`, not started.

    On a bench the board's own readers are left out, for a bench never opens a chip; `gatevault tap`
    stands for them. Raises DeviceError where two readers have one name.
    """
    readers: list[Reader] = []
    if not bench:
        readers += [WiegandReader(w, partial(request_edges, board.gpiochip, w)) for w in board.wiegand]
    for number, path in enumerate(wedge, start=1):
        readers.append(WedgeReader(path, "wedge" if len(wedge) == 1 else f"wedge-{number}"))
    names = [reader.name for reader in readers]
    if len(set(names)) < len(names):
        raise DeviceError("two readers have one name: name each [[wiegand]] of the board profile")
    return readers


__all__ = ["Reader", "build_readers"]
