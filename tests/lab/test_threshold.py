"""The threshold study on synthetic people, whose error rates are known beforehand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gatevault.core.errors import UsageError
from gatevault.lab import threshold
from gatevault.lab.leave_out import leave_out
from gatevault.lab.simulate import Rows
from gatevault.lab.tables import markdown
from gatevault.lab.threshold import THRESHOLDS, by_person, study
from gatevault.vision import models
from gatevault.vision.frame import Pixels
from gatevault.vision.look import DlibEngine


def embeddings(spread: float, seed: int = 1) -> tuple[Rows, np.ndarray[Any, np.dtype[np.int32]]]:
    """60 people of 1 to 7 photographs in 32 dimensions, around centres that are far apart."""
    chance = np.random.default_rng(seed)
    counts = np.resize([7, 1, 5, 4, 7, 2], 60)
    identity = np.repeat(np.arange(60, dtype=np.int32), counts)
    centres = chance.standard_normal((60, 32))
    return (centres[identity] + spread * chance.standard_normal((len(identity), 32))).astype(np.float32), identity


def rates(body: dict[str, Any], what: str) -> list[float]:
    return [row["share"] for row in body[what] if row["key"][:2] == ["4 photos", body["residents"]]]


def test_people_far_apart_are_told_apart() -> None:
    body = study(by_person(*embeddings(0.1), frozenset()), residents=10, draws=2, sizes=[15])
    assert body["people"] == 60
    assert body["able_residents"] == 30
    assert set(rates(body, "fpir")) == set(rates(body, "fnir")) == set(rates(body, "wrong")) == {0.0}
    assert body["enrolment_refused"]["share"] == 0.0
    assert body["threshold_at_fpir"]["4 photos"]["0.001"] < 0.9
    assert {row["key"][1] for row in body["fpir"]} == {10, 15}


def test_intervals_count_people_not_trials() -> None:
    body = study(by_person(*embeddings(0.1), frozenset()), residents=10, draws=5, sizes=[])
    one = next(row for row in body["fpir"] if row["key"][0] == "1 photo")
    assert one["of"] == 50
    assert one["trials"] == 5 * 50
    assert one["high"] == pytest.approx(1 - 0.025 ** (1 / 50), rel=1e-6)


def test_rates_move_with_the_threshold_as_they_must() -> None:
    body = study(by_person(*embeddings(0.3), frozenset()), residents=10, draws=3, sizes=[])
    fpir, fnir = rates(body, "fpir"), rates(body, "fnir")
    assert len(fpir) == len(THRESHOLDS)
    assert fpir == sorted(fpir, reverse=True)
    assert fnir == sorted(fnir)
    assert fnir[-1] > 0.0


def test_a_study_repeats() -> None:
    people = by_person(*embeddings(0.3), frozenset())
    assert study(people, 10, 2, []) == study(people, 10, 2, [])


def test_too_few_people_are_refused() -> None:
    with pytest.raises(UsageError, match="30 people"):
        study(by_person(*embeddings(0.1), frozenset()), residents=31, draws=1, sizes=[])


def test_those_left_out_are_out() -> None:
    vectors, identity = embeddings(0.1)
    assert len(by_person(vectors, identity, frozenset((0, 1)))) == 58


def test_the_command_prints_tables_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors, identity = embeddings(0.1)
    np.savez(tmp_path / "set.npz", dlib=vectors, identity=identity)
    given = [str(tmp_path / "set.npz"), "--residents", "10", "--draws", "1", "--sizes", "5"]
    assert threshold.main(given) == 0
    printed = capsys.readouterr().out
    assert printed.count("| threshold |") == 1
    assert threshold.main([*given, "--json"]) == 0
    assert markdown(json.loads(capsys.readouterr().out)) == printed
    assert threshold.main([str(tmp_path / "none.npz")]) == 1
    assert "none.npz" in capsys.readouterr().err


def test_the_person_of_a_photograph_is_found(portraits: tuple[Pixels, Pixels], tmp_path: Path) -> None:
    engine = DlibEngine(models.load())
    chance = np.random.default_rng(1)
    vectors = (0.13 * chance.standard_normal((9, 128))).astype(np.float32)
    (face,) = engine.find(portraits[0], 0.4)
    vectors[5] = engine.vector(engine.chip(portraits[0], face.box))
    for number, portrait in enumerate((*portraits, np.zeros((200, 200, 3), np.uint8))):
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), portrait[:, :, ::-1])
    found = leave_out(tmp_path, vectors, np.arange(100, 109), engine)
    assert found.identities == {105}
    assert (found.photos, found.unknown) == (3, 2)
    assert found.farthest < 0.01


def test_an_empty_folder_leaves_nobody_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no photographs"):
        leave_out(tmp_path, np.zeros((1, 128), np.float32), np.zeros(1, np.int32))
