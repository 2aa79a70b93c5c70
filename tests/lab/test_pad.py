"""The figures of liveness: exact bounds, two tries, the matcher on, peers' rules, and what the tables say."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from gatevault.cli.app import app
from gatevault.core.errors import UsageError
from gatevault.lab import pad, pad_bench, pad_page
from gatevault.lab.pad import bounded, evaluate_pad
from gatevault.lab.pad_bench import Outcome, PadRequest
from gatevault.lab.pad_judge import Ruling, eyes_and_nose, moves, nods
from gatevault.lab.presentations.people import Identities, public_domain
from gatevault.vision import models
from gatevault.vision.detect import Points
from gatevault.vision.frame import Pixels

FACE = np.array(((100.0, 100.0), (160.0, 100.0), (130.0, 135.0), (108.0, 165.0), (152.0, 165.0)))


@pytest.mark.parametrize(
    ("count", "of", "upper"),
    [  # 0 of n: 1 − 0.05^(1/n); the others from tables of the F distribution (R: binom.test, alternative "less")
        (0, 600, 1.0 - 0.05 ** (1 / 600)),
        (0, 10, 0.2588656),
        (1, 20, 0.2161056),
        (5, 100, 0.1022534),
        (20, 20, 1.0),
    ],
)
def test_bounds_are_exact(count: int, of: int, upper: float) -> None:
    assert bounded(count, of)["upper"] == pytest.approx(upper, abs=1e-6)
    assert bounded(count, of)["share"] == count / of


def outcome(species: str, seed: int, live: bool, matched: bool = True, again: bool | None = None) -> Outcome:
    return Outcome(species, seed, live, "" if live else "not-live", matched, True, False, 1.0, 1.5, 2.0, {}, again)


def told(monkeypatch: pytest.MonkeyPatch, found: list[Outcome], **asked: Any) -> dict[str, Any]:
    monkeypatch.setattr(pad, "outcomes", lambda request, say: iter(found))
    return evaluate_pad(PadRequest(**asked))


def test_rates_are_told_by_species_and_the_worst_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [outcome("print-moved", n, live=n < 2, matched=n > 0) for n in range(10)]
    found += [outcome("relay", n, live=n < 3, matched=False) for n in range(10)]
    body = told(monkeypatch, found, tier="led", species=("print-moved", "relay"), n=10)
    assert body["synthetic"] is True
    assert body["worst"] == "relay"
    moved = body["attacks"]["print-moved"]
    assert (moved["apcer"]["count"], moved["apcer"]["of"]) == (2, 10)
    assert moved["iapar"]["count"] == 1  # alive and matched
    assert body["attacks"]["relay"]["iapar"]["count"] == 0
    assert moved["goal"] == 0.005
    assert moved["refusals"] == {"not-live": 8}
    assert moved["peers"]["nod"]["share"] == 1.0
    assert moved["peers"]["movement"]["share"] == 0.0
    assert "bona_fide" not in body


def test_a_resident_is_refused_in_two_tries_only_if_both_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [outcome("bona-fide", 0, live=True)]
    found += [outcome("bona-fide", 1, live=False, again=True), outcome("bona-fide", 2, live=False, again=False)]
    body = told(monkeypatch, found, species=("bona-fide",), n=3)
    assert body["bona_fide"]["bpcer_one_try"]["count"] == 2
    assert body["bona_fide"]["bpcer_two_tries"]["count"] == 1
    assert body["bona_fide"]["bpnrr"]["count"] == 0, "these were taken for pictures"
    assert "worst" not in body


def test_a_resident_whom_daylight_hid_counts_as_refused_and_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = dataclasses.replace(outcome("bona-fide", 1, live=False, again=True), refusal="lamp-drowned")
    body = told(monkeypatch, [outcome("bona-fide", 0, live=True), hidden], species=("bona-fide",), n=2)
    assert (body["bona_fide"]["bpcer_one_try"]["count"], body["bona_fide"]["bpnrr"]["count"]) == (1, 1)


def test_what_cannot_be_run_is_refused() -> None:
    for asked in ({"species": ("mask",)}, {"species": ()}, {"tier": "x"}, {"split": "x"}, {"n": 0}, {"jobs": 99}):
        with pytest.raises(UsageError):
            PadRequest(**asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["attacks", "residents"])
def test_every_output_says_synthetic(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "print-bent" if kind == "attacks" else "bona-fide"
    body = told(monkeypatch, [outcome(name, 0, live=False, again=False)], species=(name,), n=1)
    body["real"] = [
        {"name": "clip", "what": "living face", "live": True, "refusal": "", "nod": True, "movement": False}
    ]
    pad_page.show(body)
    printed = capsys.readouterr().out
    pad_page.write(body, tmp_path / "page")
    page = (tmp_path / "page" / pad_page.PAGE).read_text(encoding="utf-8")
    for text in (printed, page):
        assert "synthetic" in text.lower()
        assert "Real pictures" in text
    assert "synthetic" in body["about"]
    assert "<svg" in page


def test_the_command_tells_what_is_wrong_in_one_line() -> None:
    ended = CliRunner().invoke(app, ["evaluate", "--pad", "--species", "mask"])
    assert ended.exit_code == 2 and "print-moved" in ended.stderr


def test_a_run_goes_on_from_what_was_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[tuple[str, int]] = []

    def make(request: PadRequest, tasks: list[tuple[str, int]], say: object) -> Iterator[Outcome]:
        made.extend(tasks)
        return (outcome(name, seed, live=seed == 1) for name, seed in tasks)

    monkeypatch.setattr(pad_bench, "_made", make)
    kept = tmp_path / "kept.jsonl"
    first = evaluate_pad(PadRequest("led", ("relay",), n=2, kept=kept))
    again = evaluate_pad(PadRequest("led", ("relay", "print-moved"), n=3, kept=kept))
    assert made[:2] == [("relay", 0), ("relay", 1)]
    assert sorted(made[2:]) == [("print-moved", 0), ("print-moved", 1), ("print-moved", 2), ("relay", 2)]
    assert first["attacks"]["relay"]["apcer"]["count"] == again["attacks"]["relay"]["apcer"]["count"] == 1
    assert again["attacks"]["relay"]["apcer"]["of"] == 3
    evaluate_pad(PadRequest("rgb", ("relay",), n=1, kept=kept))
    assert made[-1] == ("relay", 0), "another tier is another run"
    kept.write_text("{}\n")
    with pytest.raises(UsageError, match="does not hold outcomes"):
        evaluate_pad(PadRequest("led", ("relay",), n=1, kept=kept))


# --- peers ---------------------------------------------------------------------------------------------


def track(*moved: tuple[float, float]) -> list[Points]:
    """The face moved by so many pixels, frame by frame."""
    return [FACE + np.array(at) for at in moved]


def test_a_nod_is_up_and_down_by_six_hundredths_of_the_eyes_distance() -> None:
    threes = [eyes_and_nose(points, is_dlib=False) for points in track((0, 0), (0, 4), (0, 0))]
    assert nods(threes)
    assert not nods([eyes_and_nose(p, is_dlib=False) for p in track((0, 0), (0, 3), (0, 0))])
    assert not nods([eyes_and_nose(p, is_dlib=False) for p in track((0, 0), (4, 0), (0, 0), (0, 4), (0, 0))])
    assert not nods([])


def test_movement_is_more_than_a_pixel_and_a_half_between_two_frames() -> None:
    assert moves(track((0, 0), (1.6, 0)))
    assert not moves(track((0, 0), (1.4, 0), (2.8, 0)))
    assert not moves(track((0, 0)))


def test_eyes_and_nose_of_either_detector() -> None:
    dlib = np.array(((170.0, 101.0), (150.0, 101.0), (90.0, 99.0), (110.0, 99.0), (130.0, 140.0)))
    right, left, nose = eyes_and_nose(dlib, is_dlib=True)
    assert (tuple(right), tuple(left), tuple(nose)) == ((100.0, 99.0), (160.0, 101.0), (130.0, 140.0))


# --- end to end ----------------------------------------------------------------------------------------


def test_a_presentation_goes_through_the_gates_own_eyes(
    portraits: tuple[Pixels, Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resident and a print through the real detector, liveness and network; the resident's own face matches."""
    people: Identities = public_domain(models.load())
    monkeypatch.setattr(pad_bench.people, "public_domain", lambda *_: people)
    body = evaluate_pad(PadRequest("led", ("bona-fide", "print-moved"), n=1, split="tune", rate=12.0))
    told = body["bona_fide"]
    assert told["bpcer_one_try"]["of"] == 1
    assert told["not_matched"]["count"] == 0
    assert told["face_found"] >= 0.5
    assert body["attacks"]["print-moved"]["apcer"]["of"] == 1


def test_a_ruling_keeps_no_pixels() -> None:
    fields = set(Ruling.__dataclass_fields__)
    assert fields == {"live", "refusal", "vectors", "nod", "movement", "found", "decided_s", "cpu_ms"}
