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
from gatevault.service.faces import Faces
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

    def now(self) -> datetime:
        self._latest = max(self._latest, self.wall.replace(microsecond=0))
        return self._latest


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
        for resident, captures in self.faces.open_some(self.faces.begin()):
            self.faces.add(resident, captures)


def inside(bench: Bench, wall: datetime, work: Callable[[Inside], Coroutine[Any, Any, T]]) -> T:
    """Do something with a state opened at a moment of the wall clock."""

    async def run() -> T:
        stores = open_stores(StatePaths(bench.root))
        assert not stores.faults
        settings, storage = load_settings(stores.paths.config), StorageThread()
        clock = SetClock(stores.latest, wall)
        journal = Journal(stores, storage, clock)
        faces = Faces(stores, clock, current_hashes(settings), settings.enrolment.max_captures)
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
