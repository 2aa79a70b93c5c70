"""What the vault costs as it grows, against what was asked: `make measure`, `python -m tests.vault.measure [N …]`.

Times are of this machine at this moment, with everything else that runs on it: its load is told in the first line,
and at a load above its processors a missed time says nothing. Exit status 1 where a figure
that was asked for is missed, in the layout that the daemon writes: one vector a resident (docs/adr/0013).
Records with room for eight, which the format allows, are shown beside it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from gatevault.core import control
from gatevault.core.wire import CameraOpen, Look, LookDone, LookEnd
from gatevault.service.clock import TrustedClock
from gatevault.service.config import load_settings
from gatevault.service.faces import Faces
from gatevault.service.notice import current_hashes
from gatevault.service.state import StatePaths
from gatevault.service.stores import Stores
from tests.bench import QUICK, Bench, configure, eventually
from tests.calibrations import shipped
from tests.crowd import MODEL, face_of, fill, house
from tests.service.inside import fill as fill_gallery
from tests.service.peer import Peer, Said, seen, shows

T = TypeVar("T")

SIZES = (100, 1_000, 10_000)
OWN = 1
"""Slots of the records that the daemon writes."""
SLOTS = (OWN, 8)

UNLOCK_S = 1.0
PURGE_S = 1.0
VAULT_MB = 10.0
MOST = 10_000
"""Residents that the limits above are for."""
TRIES = 3
"""Of which the fastest is told, where the daemon is asked: what else runs here only ever adds."""
GROWTH = 1.5
"""Times by which a resident among many may cost more than one among a tenth of them, and be linear still."""


@dataclass(frozen=True)
class Row:
    """One state: times in seconds, sizes in bytes."""

    count: int
    slots: int
    start_s: float
    """The stores alone, every receipt's signature checked: cards open after it."""
    records_s: float
    """The ring, and each record opened one by one."""
    gallery_s: float
    """Until the gallery is filled, in one process."""
    unlock_s: float
    """From the command `vault unlock` until a look was decided among all residents, by the daemon."""
    rotate_s: float
    """One record erased, all others wrapped anew, the file written anew."""
    purge_s: float
    """The command `purge`, by the daemon, until its certificate is there."""
    vault: int
    registry: int


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds, and the answer."""
    start = time.perf_counter()
    answer = work()
    return time.perf_counter() - start, answer


def gallery(stores: Stores) -> Faces:
    """Open the gallery as the daemon does, without the loop's turns between."""
    notices = current_hashes(load_settings(stores.paths.config))
    faces = Faces(stores, TrustedClock(stores.latest), notices)
    faces.use_model(MODEL, shipped("dlib"))
    fill_gallery(faces)
    return faces


def records(stores: Stores) -> int:
    """Open every record as `vault check` may: no gallery; how many opened."""
    vault = stores.need_vault()
    bindings = {person.record: person.binding for person in stores.people.values()}
    return sum(len(vault.open(row, bindings[row.record])) > 0 for row in vault.rows())


def measure(root: Path, count: int, slots: int) -> Row:
    """A state with `count` residents, first in this process and then with the daemon on it."""
    with house(root):
        configure(root, QUICK)
    (notice, *_) = current_hashes(load_settings(StatePaths(root).config))
    with house(root) as stores:
        residents = fill(stores, range(count), slots=slots, notice=notice)
    opening = time.perf_counter()
    with house(root, durable=True) as stores:
        start_s = time.perf_counter() - opening
        vault = stores.need_vault()
        vault.lock()
        ring_s, _ = timed(vault.unlock)
        open_s, opened = timed(lambda: records(stores))
        gallery_s, faces = timed(lambda: gallery(stores))
        assert opened == len(faces.residents) == count
        sizes = [stores.paths.vault.stat().st_size, stores.paths.registry.stat().st_size]
        rotate_s, _ = timed(lambda: vault.erase(stores.people[residents[0]].record))
        assert (vault.epoch, len(vault.records())) == (2, count - 1)
        faces.close()
    with daemon(root, count // 2) as bench:
        eventually(lambda: bench.status()["vault"]["templates"] == count - 1)
        unlock_s, passage = min((_locked_and_unlocked(bench) for _ in range(TRIES)), key=itemgetter(0))
        # Ten thousand made-up vectors are less far apart than faces: some of them are told for look-alikes.
        assert passage["resident"] == residents[count // 2] or passage["reason"] == "unsure", passage
        purged = [timed(lambda: bench.ask(control.Purge(one))) for one in residents[1 : 1 + TRIES]]  # noqa: B023
        assert all(answer["certificate"]["certificate"]["keys_rotated"] for _, answer in purged)
        purge_s = min(seconds for seconds, _ in purged)
    return Row(count, slots, start_s, ring_s + open_s, gallery_s, unlock_s, rotate_s, purge_s, *sizes)


def _locked_and_unlocked(bench: Bench) -> tuple[float, dict[str, Any]]:
    """Lock; then unlock, and walk up at once: the look waits until everybody's template was tried."""
    bench.ask(control.VaultLock())
    return timed(lambda: (bench.ask(control.VaultUnlock()), bench.walk_up())[1])


@contextmanager
def daemon(root: Path, who: int) -> Iterator[Bench]:
    """The real daemon on a state, and a vision that sees one of its residents."""

    def script(look: Look) -> Iterator[Said]:
        yield CameraOpen(look.nonce)
        for frame in range(4):
            yield seen(look.nonce, frame, face_of(who)[0])
        yield LookDone(look.nonce, LookEnd.LIMIT, 4, 0, 50)

    bench = Bench(root)
    peer = None
    try:
        bench.start(vision=False)
        peer = Peer(bench.paths.runtime(True), shows())
        peer.script = script
        yield bench
    finally:
        bench.close()
        if peer is not None:
            peer.close()


def verdicts(rows: list[Row]) -> list[tuple[bool, str]]:
    """What was asked for, and whether it holds; only what these rows can tell."""
    own = {row.count: row for row in rows if row.slots == OWN}
    told = []
    if MOST in own:
        most = own[MOST]
        told += [
            _at_most("vault unlock until a face is told from all", most.unlock_s, UNLOCK_S, "s"),
            _at_most("purge with rotation, in one process", most.rotate_s, PURGE_S, "s"),
            _at_most("purge by the daemon, with its certificate", most.purge_s, PURGE_S, "s"),
            _at_most("vault.db", most.vault / 1e6, VAULT_MB, "MB"),
        ]
    if len(own) > 1:
        few, many = sorted(own)[-2:]
        for name in ("gallery_s", "unlock_s", "rotate_s", "purge_s", "vault"):
            growth = getattr(own[many], name) / many / (getattr(own[few], name) / few)
            told.append(
                _at_most(f"linear: {name} a resident at {many:,} by that at {few:,}", growth, GROWTH, "times")
            )
    return told


def _at_most(what: str, found: float, limit: float, unit: str) -> tuple[bool, str]:
    well = found <= limit
    return well, f"{'holds ' if well else 'MISSED'}  {what}: {found:.2f} {unit}, at most {limit:g} asked"


FORMATS = {"count": "{:>7,.0f}", "slots": "{:>5.0f}", "vault": "{:>12,.0f}", "registry": "{:>12,.0f}"}


def line(values: dict[str, Any] | None = None) -> str:
    """One row as text, or the headings."""
    forms = {name: FORMATS.get(name, "{:>9.3f}") for name in Row.__dataclass_fields__}
    if values is None:
        return " ".join(name.rjust(len(form.format(0))) for name, form in forms.items())
    return " ".join(form.format(values[name]) for name, form in forms.items())


def main(sizes: tuple[int, ...]) -> int:
    """Print a row for each number of residents, then a verdict for each figure that was asked for."""
    sys.stdout.write(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n{line()}\n")
    rows = []
    for slots in SLOTS:
        for count in sizes:
            with tempfile.TemporaryDirectory() as folder:
                rows.append(measure(Path(folder) / "state", count, slots))
            sys.stdout.write(line(vars(rows[-1])) + "\n")
            sys.stdout.flush()
    told = verdicts(rows)
    sys.stdout.write("\n".join(["", *(text for _, text in told), ""]))
    return 0 if all(well for well, _ in told) else 1


if __name__ == "__main__":
    asyncio.run(asyncio.sleep(0))  # Faces makes an Event
    sys.exit(main(tuple(map(int, sys.argv[1:])) or SIZES))
