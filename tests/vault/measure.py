"""What the vault costs as it grows: `python -m tests.vault.measure [N …]`, or `make measure`.

Times are of this machine at this moment, with everything else that runs on it: compare the rows with one another.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gatevault.service.clock import TrustedClock
from gatevault.service.faces import Faces
from gatevault.service.gate import CHUNK
from gatevault.service.stores import Stores
from tests.calibrations import shipped
from tests.crowd import MODEL, NOTICE, fill, house

T = TypeVar("T")

SIZES = (100, 1_000, 10_000)
SLOTS = (1, 8)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds, and the answer."""
    start = time.perf_counter()
    answer = work()
    return time.perf_counter() - start, answer


def gallery(stores: Stores, slots: int) -> Faces:
    """Open the gallery as the daemon does (`Gate._fill_gallery`), without the loop's turns between."""
    faces = Faces(stores, TrustedClock(stores.latest), frozenset({NOTICE}), slots)
    faces.use_model(MODEL, shipped("dlib"))
    residents = faces.begin()
    for start in range(0, len(residents), CHUNK):
        for resident, captures in faces.open_some(residents[start : start + CHUNK]):
            faces.add(resident, captures)
    return faces


def records(stores: Stores) -> int:
    """Open every record as `vault check` may: no gallery; how many opened."""
    vault = stores.need_vault()
    bindings = {stores.house.record_id(name): person.binding for name, person in stores.people.items()}
    return sum(len(vault.open(row, bindings[row.record])) > 0 for row in vault.rows())


def measure(root: Path, count: int, slots: int) -> dict[str, float]:
    """Seconds, bytes and counts of a state with `count` residents."""
    with house(root) as stores:
        fill(stores, range(count), slots=slots)
    opening = time.perf_counter()
    with house(root, durable=True) as stores:
        start_s = time.perf_counter() - opening
        vault = stores.need_vault()
        vault.lock()
        ring_s, _ = timed(vault.unlock)
        open_s, opened = timed(lambda: records(stores))
        faces_s, faces = timed(lambda: gallery(stores, slots))
        assert opened == len(faces.residents) == count
        victim = stores.house.record_id(faces.residents[count // 2])
        size = stores.paths.vault.stat().st_size
        purge_s, _ = timed(lambda: vault.erase(victim))
        assert vault.epoch == 2
        assert len(vault.records()) == count - 1
        faces.close()
    return {
        "n": count,
        "slots": slots,
        "start_s": start_s,
        "unlock_s": ring_s + open_s,
        "gallery_s": faces_s,
        "purge_s": purge_s,
        "vault_mb": size / 1e6,
        "record_bytes": size / count,
        "registry_mb": root.joinpath("registry.db").stat().st_size / 1e6,
        "load": os.getloadavg()[0],
    }


HEADINGS = {
    "n": "{:>7,.0f}",
    "slots": "{:>5.0f}",
    "unlock_s": "{:>8.3f}",
    "gallery_s": "{:>9.3f}",
    "purge_s": "{:>7.3f}",
    "start_s": "{:>7.3f}",
    "vault_mb": "{:>8.2f}",
    "record_bytes": "{:>12.0f}",
    "registry_mb": "{:>11.2f}",
    "load": "{:>5.1f}",
}


def main(sizes: tuple[int, ...]) -> None:
    """Print one line for each number of residents."""
    sys.stdout.write(" ".join(name.rjust(len(form.format(0))) for name, form in HEADINGS.items()) + "\n")
    for slots in SLOTS:
        for count in sizes:
            with tempfile.TemporaryDirectory() as folder:
                found = measure(Path(folder) / "state", count, slots)
            sys.stdout.write(" ".join(form.format(found[name]) for name, form in HEADINGS.items()) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(asyncio.sleep(0))  # Faces makes an Event
    main(tuple(map(int, sys.argv[1:])) or SIZES)
