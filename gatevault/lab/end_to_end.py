"""Photographs of people against a real bench daemon, from end to end: who is let in, who is not.

For a folder of `resident_NN/` (three photographs to enrol, the others to walk up with) and
`strangers/` (one photograph a person):

residents   each walks up with the photographs that were not enrolled
strangers   each walks up with one photograph, shown again and again
left out    each resident's template is purged, they walk up, and they are enrolled again

Names of errors as in ISO/IEC 19795-1: a granted stranger is a false positive identification, a
resident who is not granted a false negative one, a refused enrolment a failure to enrol.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from gatevault.core.errors import GateVaultError, UsageError
from gatevault.core.types import Reason
from gatevault.lab.bench_daemon import Bench, RefusedError
from gatevault.lab.intervals import rate
from gatevault.lab.photos import STRANGERS, photos_in

ENROL: Final = 3
"""Photographs a resident is enrolled from, the first by name; the others walk up."""

Say = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class People:
    """The photographs of an evaluation, by resident's folder and stranger's file."""

    residents: dict[str, list[Path]]
    strangers: list[Path]


def find_people(path: Path, residents: int | None = None, strangers: int | None = None) -> People:
    """Read the folder, at most so many of each. UsageError where it is not laid out as expected."""
    folders = sorted(p for p in path.glob("resident_*") if p.is_dir())
    found = {folder.name: photos_in(folder) for folder in folders}
    short = [name for name, photos in found.items() if len(photos) <= ENROL]
    if not found or short:
        why = f"{short[0]} has {len(found[short[0]])}" if short else "there is no resident_NN folder"
        raise UsageError(f"{path} needs resident_NN folders with more than {ENROL} photographs each; {why}.")
    aside = path / STRANGERS
    return People(
        dict(list(found.items())[:residents]),
        (photos_in(aside) if aside.is_dir() else [])[:strangers],
    )


@dataclass(slots=True)
class Tally:
    """Walk-ups of one kind: how each ended."""

    right: int = 0
    wrong: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    latencies: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    """Frames with a usable face, of each walk-up in which one was found."""
    granted: list[str] = field(default_factory=list)
    """Labels of those who were granted wrongly: folder and file names of the data, nobody's name."""
    missed: dict[str, str] = field(default_factory=dict)
    """Residents who were not granted as themselves, and the reason that the gate gave."""

    def add(self, label: str, answer: dict[str, Any], resident: str | None) -> None:
        """Count one walk-up of `resident` (None: nobody enrolled)."""
        self.reasons[answer["reason"]] += 1
        if resident is not None and answer["resident"] != resident:
            self.missed[label] = answer["reason"]
        if answer["frames"]:
            self.frames.append(answer["frames"])
        if answer["decision"] != "grant":
            return
        if resident is not None and answer["resident"] == resident:
            self.right += 1
            self.latencies.append(answer["latency_ms"])
        else:
            self.wrong += 1
            self.granted.append(label)

    @property
    def total(self) -> int:
        return self.reasons.total()

    @property
    def no_face(self) -> int:
        return self.reasons[Reason.NO_FACE]

    def body(self) -> dict[str, Any]:
        """Rates are of the walk-ups in which a face was found."""
        seen = self.total - self.no_face
        refused = seen - self.right - self.wrong
        return {
            "walk_ups": self.total,
            "no_face": self.no_face,
            "granted_right": rate(self.right, seen),
            "granted_wrong": rate(self.wrong, seen),
            "refused": rate(refused, seen),
            "reasons": dict(self.reasons.most_common()),
            "wrongly_granted": self.granted,
            "missed": self.missed,
            "median_frames": statistics.median(self.frames) if self.frames else None,
            "median_latency_ms": statistics.median(self.latencies) if self.latencies else None,
        }


class Estate:
    """The residents of one bench, enrolled from photographs."""

    def __init__(self, bench: Bench, links: Path) -> None:
        self._bench = bench
        self._links = links
        self._folders = 0
        self.enrolled: dict[str, str] = {}
        self.refusals: Counter[str] = Counter()

    def admit(self, label: str, photos: Sequence[Path]) -> None:
        """Add a resident with a card and a consent, and enrol them. A refusal is counted."""
        number = str(1_000_000 + len(self.enrolled) + self.refusals.total())
        resident = self._bench.call("resident", "add", label)["resident"]
        self._bench.call("card", "add", resident, number)
        self._bench.call("consent", "give", resident, "--notice", "en", "--tap", number)
        try:
            self._bench.call("enrol", resident, "--camera", self.camera(photos))
        except RefusedError as error:
            if error.code != "enrolment":
                raise
            self.refusals[str(error)] += 1
        else:
            self.enrolled[label] = resident

    def walk_up(self, photos: Sequence[Path]) -> dict[str, Any]:
        answer = self._bench.call("walk-up", "--camera", self.camera(photos))
        if answer["reason"] in (Reason.FAULT, Reason.BUSY, Reason.VAULT_LOCKED):
            raise GateVaultError(f"The bench is not well: {answer['reason']} {answer.get('detail', '')}".strip())
        return answer

    def walk_up_left_out(self, label: str, photos: Sequence[Path], again: Sequence[Path]) -> dict[str, Any]:
        """Walk up while one's own template is purged; then enrol from `again` under the same consent."""
        resident = self.enrolled[label]
        self._bench.call("purge", resident)
        try:
            return self.walk_up(photos)
        finally:
            self._bench.call("enrol", resident, "--camera", self.camera(again))

    def camera(self, photos: Sequence[Path]) -> str:
        """A `dir:` of just these photographs, by links: no picture is copied."""
        self._folders += 1
        folder = self._links / f"{self._folders:04d}"
        folder.mkdir()
        for number, photo in enumerate(photos):
            (folder / f"{number:02d}{photo.suffix.lower()}").symlink_to(photo.resolve())
        return f"dir:{folder}"


def end_to_end(
    path: Path, residents: int | None = None, strangers: int | None = None, say: Say = lambda text: None
) -> dict[str, Any]:
    """Enrol, walk up, count. About 4 s a stranger and 12 s a resident. GateVaultError."""
    people = find_people(path, residents, strangers)
    began = time.monotonic()
    own, others, strange = Tally(), Tally(), Tally()
    with tempfile.TemporaryDirectory(prefix="gatevault-links-") as links, Bench() as bench:
        estate = Estate(bench, Path(links))
        for label, photos in _told(people.residents.items(), "enrolling", len(people.residents), say):
            estate.admit(label, photos[:ENROL])
        there = [(label, people.residents[label]) for label in estate.enrolled]
        for label, photos in _told(there, "residents", len(there), say):
            own.add(label, estate.walk_up(photos[ENROL:]), estate.enrolled[label])
        for photo in _told(people.strangers, "strangers", len(people.strangers), say):
            strange.add(photo.name, estate.walk_up([photo]), None)
        if len(there) > 1:
            for label, photos in _told(there, "residents left out", len(there), say):
                others.add(label, estate.walk_up_left_out(label, photos[ENROL:], photos[:ENROL]), None)
        status = bench.call("status")
        ledger = bench.call("ledger", "verify")
    return {
        "enrolled": rate(len(estate.enrolled), len(people.residents)),
        "enrolment_refusals": dict(estate.refusals),
        "residents": own.body(),
        "strangers": strange.body(),
        "residents_left_out": others.body(),
        "ledger_entries": ledger["entries"],
        "health": status["health"],
        "model": status["vision"].get("model"),
        "seconds": round(time.monotonic() - began),
    }


def _told(items: Iterable[T], what: str, total: int, say: Say) -> Iterator[T]:
    """Go through items and tell how far it is, now and then."""
    for number, item in enumerate(items):
        if number % 20 == 0:
            say(f"{what}: {number} of {total}")
        yield item
