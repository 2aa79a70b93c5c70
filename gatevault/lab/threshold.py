"""Where the matching threshold lies: `python -m gatevault.lab.threshold SET.npz --exclude PHOTOS`.

SET.npz has `identity`, shape (n,), and `dlib`, shape (n, 128). In each draw so many residents are
enrolled from three photographs; they walk up with others of theirs, everybody else is a stranger.

FPIR   share of strangers' walk-ups let in            FNIR   share of residents' walk-ups not let in
wrong  share of residents' walk-ups let in as somebody else

A rate is the mean over draws. Draws share their people, so its 95 % interval counts people, not
trials: the exact one for as many walk-ups as there are different people.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gatevault.core.errors import GateVaultError, UsageError
from gatevault.core.settings import EnrolmentSettings, MatchSettings
from gatevault.core.types import Vector
from gatevault.lab.intervals import rate
from gatevault.lab.simulate import LOOK_FRAMES, NOBODY, Outcomes, Rows, enrol, look, still, units
from gatevault.lab.tables import markdown

ENROL: Final = 3
LOOK_PHOTOS: Final = 4
RESIDENT_PHOTOS: Final = ENROL + 2
"""Fewest photographs of a resident: three to enrol and at least two, at most four, to walk up with."""

THRESHOLDS: Final = (0.93, 0.94, 0.95, 0.955, 0.96, 0.965, 0.97, 0.98)
MARGINS: Final = (0.0, 0.005, 0.01, 0.02, 0.03)
SAME_PERSON: Final = (0.85, 0.88, 0.9, 0.92, 0.94)
MIXTURES: Final = (2, 4, 8)
MIXED_LOOKS: Final = 60
"""Looks of a mixture drawn in each draw."""

NEVER: Final = -1.0
"""`same_person` at which no frame begins the fusion anew."""

TARGETS: Final = (0.01, 0.003, 0.001)


@dataclass(slots=True)
class Count:
    """Hits and trials over all draws, and how many different people they rest on."""

    hits: int = 0
    trials: int = 0

    def add(self, hits: int, trials: int) -> None:
        self.hits += hits
        self.trials += trials

    def body(self, people: int) -> dict[str, Any]:
        share = self.hits / self.trials if self.trials else 0.0
        return {**rate(share * people, people), "trials": self.trials}


@dataclass(slots=True)
class Study:
    """Draws of residents and strangers from embeddings by person, and what was counted."""

    people: list[Rows]
    """Unit vectors of each person's photographs."""
    settings: MatchSettings
    residents: int
    chance: np.random.Generator
    counts: dict[tuple[Any, ...], Count] = field(default_factory=lambda: defaultdict(Count))
    scores: dict[str, list[npt.NDArray[np.float64]]] = field(default_factory=lambda: defaultdict(list))
    refused: Count = field(default_factory=Count)

    def draw(self, residents: int, full: bool) -> None:
        """One draw: enrol, walk up, count; the margins and mixtures too where `full`."""
        able = [i for i, photos in enumerate(self.people) if len(photos) >= RESIDENT_PHOTOS]
        templates: list[Vector] = []
        own: list[Rows] = []
        inside: set[int] = set()
        for person in self.chance.permutation(able):
            if len(templates) == residents:
                break
            photos = self.people[person][self.chance.permutation(len(self.people[person]))]
            template = enrol(photos[:ENROL], EnrolmentSettings())
            inside.add(int(person))
            self.refused.add(template is None, 1)
            if template is not None:
                templates.append(template)
                own.append(photos[ENROL : ENROL + LOOK_PHOTOS])
        if len(templates) < residents:
            raise UsageError(f"Only {len(templates)} people can be enrolled: too few for {residents} residents.")
        gallery = np.stack(templates)
        outside = [i for i in range(len(self.people)) if i not in inside]
        strangers = {
            "1 photo": [still(self._one(i), self.settings.min_frames) for i in outside],
            "4 photos": [self._look(self._some(i)) for i in outside if len(self.people[i]) >= LOOK_PHOTOS],
        }
        for kind, looks in strangers.items():
            self._strangers(kind, looks, gallery, full)
        residents_looks = {
            "1 photo": [still(photos[0], self.settings.min_frames) for photos in own],
            "4 photos": [self._look(photos) for photos in own],
        }
        for kind, looks in residents_looks.items():
            self._residents(kind, looks, gallery, full)
        if full:
            self._same_person(own, outside, gallery)

    def _one(self, person: int) -> Vector:
        photos = self.people[person]
        photo: Vector = photos[self.chance.integers(len(photos))]
        return photo

    def _some(self, person: int) -> Rows:
        photos = self.people[person]
        return photos[self.chance.permutation(len(photos))[:LOOK_PHOTOS]]

    def _look(self, photos: Rows, same_person: float | None = None) -> Rows:
        rule = self.settings.same_person if same_person is None else same_person
        return look(photos, LOOK_FRAMES, self.settings.min_frames, rule)

    def _strangers(self, kind: str, looks: Sequence[Rows], gallery: Rows, full: bool) -> None:
        n, highest = len(gallery), Outcomes(looks, gallery, self.settings.margin).highest()
        for threshold in THRESHOLDS:
            self.counts["fpir", kind, n, threshold].add(int((highest >= threshold).sum()), len(looks))
        if not full:
            return
        self.scores[kind].append(highest)
        for margin in MARGINS:
            highest = Outcomes(looks, gallery, margin).highest()
            self.counts["margin fpir", kind, margin].add(
                int((highest >= self.settings.threshold).sum()), len(looks)
            )

    def _residents(self, kind: str, looks: Sequence[Rows], gallery: Rows, full: bool) -> None:
        n, right = len(gallery), np.arange(len(gallery))
        outcomes = Outcomes(looks, gallery, self.settings.margin)
        for threshold in THRESHOLDS:
            granted = outcomes.granted(threshold)
            self.counts["fnir", kind, n, threshold].add(int((granted != right).sum()), len(looks))
            wrong = (granted != right) & (granted != NOBODY)
            self.counts["wrong", kind, n, threshold].add(int(wrong.sum()), len(looks))
        for margin in MARGINS if full else ():
            granted = Outcomes(looks, gallery, margin).granted(self.settings.threshold)
            self.counts["margin fnir", kind, margin].add(int((granted != right).sum()), len(looks))
            wrong = (granted != right) & (granted != NOBODY)
            self.counts["margin wrong", kind, margin].add(int(wrong.sum()), len(looks))

    def _same_person(self, own: Sequence[Rows], outside: Sequence[int], gallery: Rows) -> None:
        """Looks of several strangers mixed, and of residents, under each value of the rule."""
        mixed = {
            k: [
                np.stack([self._one(i) for i in self.chance.choice(outside, k, replace=False)])
                for _ in range(MIXED_LOOKS)
            ]
            for k in MIXTURES
        }
        for rule in (NEVER, *SAME_PERSON):
            for k, photos in mixed.items():
                looks = [self._look(p, rule) for p in photos]
                highest = Outcomes(looks, gallery, self.settings.margin).highest()
                self.counts["mixed", k, rule].add(int((highest >= self.settings.threshold).sum()), len(looks))
            looks = [self._look(p, rule) for p in own]
            granted = Outcomes(looks, gallery, self.settings.margin).granted(self.settings.threshold)
            self.counts["mixed fnir", rule].add(int((granted != np.arange(len(gallery))).sum()), len(looks))


def by_person(vectors: Rows, identity: npt.NDArray[Any], without: frozenset[int]) -> list[Rows]:
    """Unit vectors of each identity that is not left out."""
    rows: dict[int, list[int]] = defaultdict(list)
    for row, person in enumerate(identity.tolist()):
        if person not in without:
            rows[person].append(row)
    scaled = units(vectors.astype(np.float32))
    return [scaled[places] for places in rows.values()]


def study(people: list[Rows], residents: int, draws: int, sizes: Sequence[int], seed: int = 1) -> dict[str, Any]:
    """Run all draws; the answer holds every rate with its interval. UsageError for too few people."""
    able = sum(len(photos) >= RESIDENT_PHOTOS for photos in people)
    if able < max([residents, *sizes]) or len(people) <= able:
        raise UsageError(
            f"{able} people have {RESIDENT_PHOTOS} photographs or more: too few for so many residents."
        )
    settings = MatchSettings()
    run = Study(people, settings, residents, np.random.default_rng(seed))
    for _ in range(draws):
        run.draw(residents, full=True)
        for size in sizes:
            if size != residents:
                run.draw(size, full=False)
    several = sum(len(photos) >= LOOK_PHOTOS for photos in people)
    return _body(run, draws, able, {"1 photo": len(people), "4 photos": several})


def _body(run: Study, draws: int, able: int, outside: dict[str, int]) -> dict[str, Any]:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (what, *key), count in run.counts.items():
        fnir = what.endswith(("fnir", "wrong"))
        if what == "mixed":
            people = outside["1 photo"] // key[0]  # so many looks share nobody
        elif fnir:
            people = able
        else:
            size = key[1] if what == "fpir" else run.residents
            people = outside[key[0]] - size
        rows[what].append({"key": key, **count.body(people)})
    at = {
        kind: {str(target): float(np.quantile(np.concatenate(scores), 1.0 - target)) for target in TARGETS}
        for kind, scores in run.scores.items()
    }
    return {
        "settings": {
            "threshold": run.settings.threshold,
            "margin": run.settings.margin,
            "same_person": run.settings.same_person,
            "min_frames": run.settings.min_frames,
        },
        "people": outside["1 photo"],
        "able_residents": able,
        "several_photos": outside["4 photos"],
        "residents": run.residents,
        "draws": draws,
        "look_frames": LOOK_FRAMES,
        "threshold_at_fpir": at,
        "enrolment_refused": run.refused.body(able),
        **rows,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gatevault.lab.threshold", description=__doc__.splitlines()[0])
    parser.add_argument("embeddings", type=Path, help="an .npz with `identity` and `dlib`")
    parser.add_argument("--exclude", type=Path, metavar="PHOTOS", help="leave out the people in this folder")
    parser.add_argument("--residents", type=int, default=40)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--sizes", type=int, nargs="*", default=[20, 80, 150], help="other numbers of residents")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    try:
        with np.load(given.embeddings) as data:
            vectors, identity = data["dlib"], data["identity"]
        without: frozenset[int] = frozenset()
        told: dict[str, Any] = {}
        if given.exclude is not None:
            from gatevault.lab.leave_out import leave_out  # loads dlib

            found = leave_out(given.exclude, vectors, identity)
            without = found.identities
            told = {
                "left_out": len(found.identities),
                "photos": found.photos,
                "unknown_photos": found.unknown,
                "farthest": round(found.farthest, 3),
            }
        body = told | study(by_person(vectors, identity, without), given.residents, given.draws, given.sizes)
    except (GateVaultError, OSError, KeyError) as error:
        sys.stderr.write(f"gatevault: {error}\n")
        return 1
    sys.stdout.write(json.dumps(body) + "\n" if given.json else markdown(body))
    return 0


if __name__ == "__main__":
    sys.exit(main())
