"""Drawing and judging presentations, one process or several: `outcomes` of a `PadRequest`."""

from __future__ import annotations

import dataclasses
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from gatevault.core.calibration import Calibration
from gatevault.core.errors import GateVaultError, UsageError
from gatevault.lab.evaluate import Say, shipped
from gatevault.lab.pad_judge import EMBEDDED, GateJudge, Ruling, load_models
from gatevault.lab.presentations import heads, people
from gatevault.lab.presentations.challenge import RGB, TIERS
from gatevault.lab.presentations.enrolment import capture
from gatevault.lab.presentations.people import SPLITS, TEST, Identities
from gatevault.lab.presentations.species import BONA_FIDE, SPECIES, draw
from gatevault.lab.scores import against

import cv2  # isort: skip  # after gatevault.vision, which sets OpenCV's limits

MOST_JOBS: Final = 16
RESIDENTS: Final = 100
FPIR: Final = 0.003
"""The gate that IAPAR is told for: so many residents, and the share of strangers let in that it asks for."""

_ENROL_SEEDS: Final = (9_000_001, 9_000_002, 9_000_003)
_AGAIN: Final = 1


@dataclass(frozen=True, slots=True)
class PadRequest:
    """What is asked. `n` presentations a species; `portraits`, `mesh`, `yunet`: where these lie, if anywhere."""

    tier: str = RGB
    species: tuple[str, ...] = tuple(SPECIES)
    n: int = 600
    split: str = TEST
    jobs: int = 1
    first_seed: int = 0
    rate: float | None = None
    portraits: Path | None = None
    mesh: Path | None = None
    yunet: Path | None = None
    real: Path | None = None
    kept: Path | None = None
    """Where outcomes are kept, a line of JSON each: a long run goes on from it, by the same program alone."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.species if name not in SPECIES]
        if unknown or not self.species:
            raise UsageError(f"There is no species '{''.join(unknown[:1])}': use one of {', '.join(SPECIES)}.")
        if self.tier not in TIERS or self.split not in SPLITS:
            raise UsageError(f"Tiers are {', '.join(TIERS)}; splits are {', '.join(SPLITS)}.")
        if not 1 <= self.n <= 100_000 or not 1 <= self.jobs <= MOST_JOBS:
            raise UsageError(f"n is 1 to 100,000, jobs 1 to {MOST_JOBS}.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one presentation."""

    species: str
    seed: int
    live: bool
    refusal: str
    matched: bool
    nod: bool
    movement: bool
    found: float
    decided_s: float
    cpu_ms: float
    parameters: dict[str, float | str] = field(default_factory=dict)
    again: bool | None = None
    """Of a refused resident: whether the second try was taken for alive."""


class Bench:
    """Everything that one process needs to draw and to judge."""

    def __init__(self, request: PadRequest) -> None:
        """GateVaultError where models, portraits or mesh cannot be used."""
        cv2.setNumThreads(1)
        self._request = request
        self._calibration: Calibration = shipped("dlib")
        models = load_models(None)
        model = heads.morphable(request.mesh) if request.mesh else heads.builtin()
        self.identities: Identities = (
            people.from_folder(request.portraits, models, model)
            if request.portraits
            else people.public_domain(models, model)
        )
        self.judge = GateJudge(load_models(request.yunet), self._calibration)
        self._threshold = self._calibration.threshold(RESIDENTS, EMBEDDED, FPIR)
        self._templates: dict[str, Any] = {}

    def outcome(self, species: str, seed: int) -> Outcome:
        """Draw and judge one presentation; a resident who is refused tries once more."""
        request = self._request
        ruling, parameters = self._judged(species, seed, 0)
        again = None
        if species == BONA_FIDE and not ruling.live:
            again = self._judged(species, seed, _AGAIN)[0].live
        return Outcome(
            species,
            seed,
            ruling.live,
            ruling.refusal,
            self._matches(str(parameters["identity"]), ruling, request),
            ruling.nod,
            ruling.movement,
            round(ruling.found, 3),
            round(ruling.decided_s, 3),
            round(ruling.cpu_ms, 2),
            parameters,
            again,
        )

    def _judged(self, species: str, seed: int, attempt: int) -> tuple[Ruling, dict[str, float | str]]:
        request = self._request
        presentation = draw(
            species, request.tier, seed, self.identities, request.split, rate=request.rate, attempt=attempt
        )
        return self.judge(presentation), dict(presentation.parameters)

    def _matches(self, label: str, ruling: Ruling, request: PadRequest) -> bool:
        if not len(ruling.vectors):
            return False
        if label not in self._templates:
            self._templates[label] = self._enrol(label)
        template, normaliser = self._templates[label], self._calibration.normaliser
        if template is None:
            return False
        probe = normaliser.unit(ruling.vectors.mean(axis=0))
        return bool(against(normaliser, probe[None], template[None])[0, 0] >= self._threshold)

    def _enrol(self, label: str) -> Any:
        """The template of a resident: still looks at the rendered head, and the portrait that it was made from.

        So prints of the photograph match as well as renders do. None where no face is found.
        """
        identity = next(each for each in self.identities.people if each.label == label)
        frames = [capture(identity, self.identities, seed) for seed in _ENROL_SEEDS]
        frames.append(np.array(identity.portraits[0].pixels))
        rows = self.judge.embeddings(frames)
        return self._calibration.normaliser.unit(rows.mean(axis=0)) if len(rows) else None


_bench: Bench | None = None


def _start(request: PadRequest) -> None:
    global _bench
    _bench = Bench(request)


def _run(task: tuple[str, int]) -> Outcome:
    if _bench is None:
        raise GateVaultError("The bench has not been started.")
    return _bench.outcome(*task)


def outcomes(request: PadRequest, say: Say) -> Iterator[Outcome]:
    """Each presentation's outcome, in any order; at most `jobs` presentations are in memory at a time."""
    tasks = [(name, request.first_seed + number) for number in range(request.n) for name in request.species]
    if request.kept is None:
        yield from _made(request, tasks, say)
        return
    wanted, known = set(tasks), _known(request)
    yield from (known[task] for task in tasks if task in known)
    try:
        with request.kept.open("ab", buffering=0) as file:
            for outcome in _made(request, sorted(wanted - known.keys(), key=lambda task: task[::-1]), say):
                line = {"tier": request.tier, "split": request.split} | dataclasses.asdict(outcome)
                file.write(msgspec.json.encode(line) + b"\n")
                yield outcome
    except OSError as error:
        raise UsageError(f"{request.kept} cannot be written ({error.strerror}): name another file.") from None


def _known(request: PadRequest) -> dict[tuple[str, int], Outcome]:
    """What an earlier run kept of this tier and split. UsageError for a file of something else."""
    found: dict[tuple[str, int], Outcome] = {}
    if request.kept is None or not request.kept.exists():
        return found
    try:
        for line in request.kept.read_bytes().splitlines():
            told = msgspec.json.decode(line)
            if (told.pop("tier"), told.pop("split")) == (request.tier, request.split):
                outcome = msgspec.convert(told, Outcome)
                found[outcome.species, outcome.seed] = outcome
    except (OSError, msgspec.MsgspecError, KeyError, AttributeError) as error:
        raise UsageError(f"{request.kept} does not hold outcomes ({error}): name another file.") from None
    return found


def _made(request: PadRequest, tasks: list[tuple[str, int]], say: Say) -> Iterator[Outcome]:
    began, told = time.monotonic(), 0.0
    if not tasks:  # all were kept
        return
    if request.jobs == 1:
        _start(request)
        results: Iterator[Outcome] = map(_run, tasks)
        pool = None
    else:
        pool = multiprocessing.get_context("spawn").Pool(request.jobs, _start, (request,))
        results = pool.imap_unordered(_run, tasks)
    try:
        for number, outcome in enumerate(results, 1):
            yield outcome
            if time.monotonic() - told > 20.0:
                told = time.monotonic()
                say(f"{number} of {len(tasks)} presentations, {(told - began) / number:.2f} s each")
    finally:
        if pool is not None:
            pool.terminate()
            pool.join()
