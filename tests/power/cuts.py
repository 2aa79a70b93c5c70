"""Recording an operation of the real daemon, and cutting the power in it."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from gatevault.core.errors import GateVaultError
from tests.bench import Bench
from tests.operations import Facts, Operation, Scene, whole
from tests.power.disk import Answered, Disk, Event, Tree, after, read_tree, write_tree
from tests.power.recording import Timed, read, recorder
from tests.power.reopening import reopened
from tests.power.tpm import TpmHistory

Entries = list[dict[str, Any]]


class PowerCutError(AssertionError):
    """An image that did not survive: names operation, cut and seed."""


WINDOW = 16
"""Bytes of ciphertext that are looked for: by chance they are nowhere else."""


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder in memory, where the kernel has one: a sync of a real disk costs more than all else."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="gatevault-power-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@dataclass(frozen=True)
class Recording:
    """One operation of the real daemon: what it did to the disk, and what was so before and after."""

    name: str
    operation: Operation
    who: str
    base: Tree
    """The state before the daemon was started: all of it durable."""
    events: tuple[Event, ...]
    """From the daemon's start to its stop."""
    begin: int
    """How many events there were when the command was given."""
    answered: int
    """How many events there were once it was answered."""
    before: Facts
    after: Facts
    entries_before: Entries
    entries_after: Entries
    erased: tuple[bytes, ...] = ()
    """Pieces of the vault's ciphertext that were there before and must be nowhere afterwards."""
    times: tuple[float, ...] = ()
    """When each event began: seconds since 1970."""
    tpm: TpmHistory | None = None
    """The TPM beside it, whose own memory a power cut leaves as it was at that moment."""

    @property
    def cuts(self) -> range:
        """Where the power may go: after this many events of the command, from none to its answer."""
        return range(self.answered - self.begin + 1)

    def image(self, cut: int, seed: int) -> Tree:
        """One state that a power cut could leave after `cut` events of the command."""
        disk = deepcopy(self._start)
        for event in self.events[self.begin : self.begin + cut]:
            disk.take(event)
        return disk.crash(Random(f"{self.name} {cut} {seed}"))

    @cached_property
    def _start(self) -> Disk:
        return after(self.base, self.events[: self.begin])


def record(name: str, operation: Operation, blank: Path, folder: Path) -> Recording:
    """Start the real daemon on a copy of `blank`, carry out one operation, stop it."""
    state = Path(shutil.copytree(blank, folder / "state"))
    base = read_tree(state)
    scene = _traced(state, folder)
    try:
        operation.prepare(scene)
        before, entries_before, command = operation.facts(scene), scene.bench.entries(), operation.command(scene)
        began = time.time()
        scene.bench.ask(command)
        ended = time.time()
        entries_after, after_ = scene.bench.entries(), operation.facts(scene)
        scene.bench.stop()
    finally:
        scene.dead()
    events = read_whole(folder, state, base)
    begin = sum(timed.time < began for timed in events)
    answers = [at for at, timed in enumerate(events) if timed.event == Answered() and began <= timed.time <= ended]
    assert len(answers) == 1, f"{name} was answered {len(answers)} times"
    answered = answers[0] + 1
    plain = tuple(timed.event for timed in events)
    erased = _erased(after(base, plain[:begin]).now(), after(base, plain[:answered]).now())
    assert not operation.erases or len(erased) > 5, f"{name} leaves the ciphertext that was there"
    return Recording(
        name,
        operation,
        scene.who,
        base,
        plain,
        begin,
        answered,
        before,
        after_,
        entries_before,
        entries_after,
        erased if operation.erases else (),
        tuple(timed.time for timed in events),
    )


def _erased(old: Tree, new: Tree) -> tuple[bytes, ...]:
    """What looks random in the old vault and keys, and is nowhere in the new state, neither half of it.

    The halves, since a piece that begins with what stays and ends with one byte of a ciphertext comes back by
    chance with every 256th ciphertext that takes its place.
    """
    half = WINDOW // 2
    there = {content[at : at + half] for content in new.values() for at in range(len(content) - half + 1)}
    vault = [content for path, content in old.items() if path.startswith(("vault", "keys/"))]
    pieces = {content[at : at + WINDOW] for content in vault for at in range(0, len(content), WINDOW)}
    random = {piece for piece in pieces if len(set(piece)) >= WINDOW - 5}
    return tuple(sorted(piece for piece in random if not {piece[:half], piece[half:]} & there))


def record_finish(of: Recording, folder: Path) -> Recording:
    """The next start after a cut that left an operation committed and not ended: what that start does.

    An erasure is committed before the vault is touched, an enrolment once the record is there: the start
    has as much to do as it can have.
    """
    for cut in of.cuts if of.operation.erases else reversed(of.cuts):
        base = after(of.base, of.events[: of.begin + cut]).now()
        state = write_tree(base, folder / f"cut-{cut}" / "state")
        if Bench(write_tree(base, folder / f"cut-{cut}" / "look")).todos():
            break
    else:
        raise AssertionError(f"{of.name} is never half done")
    scene = _traced(state, folder)
    try:
        scene.bench.stop()
    finally:
        scene.dead()
    events = tuple(timed.event for timed in read_whole(folder, state, base))
    return replace(
        of,
        name=f"{of.name} finished",
        base=base,
        events=events,
        begin=0,
        answered=len(events),
        before=of.after,
        entries_after=of.entries_before,
    )


def _traced(state: Path, folder: Path) -> Scene:
    scene = Scene(Bench(state, recorder(folder / "trace")), folder)
    try:
        scene.live()
    except BaseException:
        scene.dead()
        raise
    return scene


def read_whole(folder: Path, state: Path, base: Tree) -> list[Timed]:
    """The recorded events; they must add up to the state that is there."""
    events = read(folder / "trace", state, base)
    (folder / "trace").unlink()  # megabytes
    assert after(base, [timed.event for timed in events]).now() == read_tree(state), "the recording is not whole"
    return events


def spread(recording: Recording, count: int) -> list[int]:
    """`count` cuts from the first to the last, evenly."""
    last = recording.cuts[-1]
    return [round(n * last / (count - 1)) for n in range(count)]


def survives(recording: Recording, cut: int, seed: int, keep: Path) -> bool:
    """Cut the power once, start again and check everything; whether the operation took place.

    An image that fails is left in `keep`.
    """
    story = f"(operation, cut, seed) = ({recording.name!r}, {cut} of {recording.cuts[-1]}, {seed}), see {keep}"
    image = recording.image(cut, seed)
    if recording.tpm is not None:
        at = recording.begin + cut
        recording.tpm.power_on(Random(story), recording.times[at - 1], [*recording.times, math.inf][at])
    try:
        return _check(recording, image, cut == recording.cuts[-1])
    except (AssertionError, GateVaultError) as error:
        write_tree(image, keep)
        raise PowerCutError(f"{story}: {error}") from error


def _check(recording: Recording, image: Tree, answered: bool) -> bool:
    """`answered`: the command was, before the power went."""
    with scratch() as folder:
        root = write_tree(image, folder / "state")
        with reopened(root) as bench:
            scene = Scene(bench, folder, who=recording.who)
            scene.seen()
            try:
                scene.settled()
                entries, facts = bench.entries(), recording.operation.facts(scene)
                whole(scene, "after the cut")
                opens = bench.walk_up()["decision"] == "grant"
            finally:
                scene.hung_up()
        left = read_tree(root)
    between = {name: (recording.before[name], is_, recording.after[name]) for name, is_ in facts.items()}
    told = {name: values for name, values in between.items() if len(set(values)) > 1}
    assert facts in (recording.before, recording.after), f"between (before, found, after): {told}"
    if answered:
        assert facts == recording.after, "an answered operation was lost"
    assert opens == (facts["template"] == "active"), f"the face opens: {opens}, its template is {facts['template']}"
    check_entries(recording, entries, answered)
    if facts == recording.after:
        check_erased(recording, left)
    if answered:
        check_erased(recording, image)
    return facts != recording.before


def check_erased(recording: Recording, tree: Tree) -> None:
    """No file holds a piece of what was erased."""
    found = [path for path, content in tree.items() if any(piece in content for piece in recording.erased)]
    assert not found, f"what was erased is still in {found}"


def check_entries(recording: Recording, entries: Entries, answered: bool) -> None:
    """Each entry that was promised is there once, in its place."""
    promised = recording.entries_before
    if answered and recording.operation.promises:
        promised = recording.entries_after
    assert entries[: len(promised)] == promised, "promised entries are lost"
    assert [entry["i"] for entry in entries] == list(range(len(entries))), "entries are out of order"
    assert len({entry["c"] for entry in entries}) == len(entries), "an entry stands twice"
