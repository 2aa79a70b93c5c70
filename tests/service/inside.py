"""The rooms of a daemon on a stopped state, on a wall clock of the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from gatevault.service.clock import TrustedClock
from gatevault.service.config import load_settings
from gatevault.service.erasure import Erasure
from gatevault.service.faces import CHUNK, Faces
from gatevault.service.house import House
from gatevault.service.journal import Journal
from gatevault.service.notice import current_hashes
from gatevault.service.retention import Retention
from gatevault.service.state import StatePaths
from gatevault.service.storage import StorageThread
from gatevault.service.stores import Stores, open_stores
from tests.bench import Bench
from tests.calibrations import shipped
from tests.service.peer import MODEL

T = TypeVar("T")


class SetClock(TrustedClock):
    """A wall clock that the test sets; what is believed of it is the real rule."""

    def __init__(self, latest: datetime | None, wall: datetime) -> None:
        super().__init__(latest)
        self.wall = wall

    def _system(self) -> datetime:
        return self.wall


def fill(faces: Faces) -> None:
    """Open the gallery as the daemon does (`Gate._fill_gallery`), without the loop's turns between."""
    residents = faces.begin()
    desk = faces.desk(len(residents))
    assert desk is not None, "there is no gallery to fill"
    for start in range(0, len(residents), CHUNK):
        faces.add_some(faces.open_some(residents[start : start + CHUNK], desk))


@dataclass
class Inside:
    """The rooms of a daemon on a stopped state, without its processes, pins and sockets."""

    stores: Stores
    clock: SetClock
    faces: Faces
    house: House
    erasure: Erasure
    retention: Retention

    def open(self) -> None:
        self.faces.use_model(bytes.fromhex(MODEL), shipped("dlib"))
        fill(self.faces)


def inside(bench: Bench, wall: datetime, work: Callable[[Inside], Coroutine[Any, Any, T]]) -> T:
    """Do something with a state opened at a moment of the wall clock."""

    async def run() -> T:
        stores = open_stores(StatePaths(bench.root))
        assert not stores.faults
        settings, storage = load_settings(stores.paths.config), StorageThread()
        clock = SetClock(stores.latest, wall)
        journal = Journal(stores, storage, clock)
        faces = Faces(stores, clock, current_hashes(settings))
        house = House(stores, storage, clock, journal, faces, settings)
        rooms = Inside(stores, clock, faces, house, Erasure(house), Retention(house))
        try:
            rooms.open()
            return await work(rooms)
        finally:
            storage.close()
            stores.close()

    return asyncio.run(run())


def now() -> datetime:
    return datetime.now(UTC)
