"""The end-to-end evaluation: its counting, and a small run on real photographs where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatevault.core.errors import UsageError
from gatevault.lab.end_to_end import Tally, end_to_end, find_people


def test_two_residents_and_two_strangers(photos: Path) -> None:
    told: list[str] = []
    body = end_to_end(photos, residents=2, strangers=2, say=told.append)
    assert body["enrolled"]["count"] == 2
    assert (
        body["residents"]["walk_ups"]
        == body["residents_left_out"]["walk_ups"]
        == body["strangers"]["walk_ups"]
        == 2
    )
    assert body["residents"]["granted_wrong"]["count"] == 0
    assert body["strangers"]["granted_wrong"]["count"] == 0
    assert body["health"] == "ok"
    assert any("strangers" in line for line in told)


def answer(decision: str, reason: str, resident: str | None, frames: int = 4) -> dict[str, object]:
    return {"decision": decision, "reason": reason, "resident": resident, "frames": frames, "latency_ms": 300}


def test_a_tally_counts_each_way_a_walk_up_ends() -> None:
    tally = Tally()
    tally.add("a", answer("grant", "matched", "r-1"), "r-1")
    tally.add("b", answer("grant", "matched", "r-1"), "r-2")
    tally.add("c", answer("deny", "no-match", None), "r-3")
    tally.add("d", answer("deny", "no-face", None, 0), "r-4")
    tally.add("e", answer("grant", "matched", "r-1"), None)
    body = tally.body()
    assert (body["walk_ups"], body["no_face"]) == (5, 1)
    assert body["granted_right"]["count"] == 1
    assert body["granted_wrong"]["count"] == 2
    assert body["refused"]["count"] == 1
    assert body["granted_right"]["of"] == 4
    assert body["wrongly_granted"] == ["b", "e"]
    assert body["reasons"] == {"matched": 3, "no-match": 1, "no-face": 1}
    assert body["missed"] == {"b": "matched", "c": "no-match", "d": "no-face"}
    assert body["median_frames"] == 4


def test_the_folder_is_read_in_order_and_limited(tmp_path: Path) -> None:
    for name in ("resident_01", "resident_00", "strangers"):
        (tmp_path / name).mkdir()
        for number in (4, 2, 3, 1):
            (tmp_path / name / f"{number}.jpg").touch()
    (tmp_path / "strangers" / ".hidden.jpg").touch()
    people = find_people(tmp_path)
    assert list(people.residents) == ["resident_00", "resident_01"]
    assert [photo.name for photo in people.residents["resident_01"]] == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    assert len(people.strangers) == 4
    few = find_people(tmp_path, residents=1, strangers=0)
    assert (list(few.residents), few.strangers) == (["resident_00"], [])


def test_a_folder_that_is_laid_out_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no resident_NN"):
        find_people(tmp_path)
    (tmp_path / "resident_00").mkdir()
    (tmp_path / "resident_00" / "1.jpg").touch()
    with pytest.raises(UsageError, match="resident_00 has 1"):
        find_people(tmp_path)
