"""The few photographs and the clip of real people that lie beside some checkouts, never in this one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gatevault.core import control
from tests.bench import Bench


@pytest.fixture
def camera(tmp_path: Path) -> Callable[..., str]:
    """A `dir:` camera of some of those photographs."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "faces"
    if not folder.is_dir():
        pytest.skip("the research data is not beside this checkout (../shared/data)")

    def pictures(*names: str) -> str:
        place = tmp_path / "-".join(names)
        place.mkdir()
        for name in names:
            shutil.copy(folder / name, place)
        return f"dir:{place}"

    return pictures


def test_a_photograph_of_somebody_opens_for_a_clip_of_them(bench: Bench, camera: Callable[..., str]) -> None:
    bench.start()
    resident = bench.enrolled("Lin", "11", camera("lin-manuel-miranda.png"))
    clip = camera("short_hamilton_clip.mp4").removeprefix("dir:") + "/short_hamilton_clip.mp4"
    walked = bench.walk_up(f"file:{clip}")
    assert (walked["decision"], walked["resident"], walked["relay"]) == ("grant", resident, True)
    assert bench.walk_up(camera("biden.jpg"))["decision"] == "deny"
    bench.ask(control.Purge(resident))
    assert bench.walk_up(f"file:{clip}")["decision"] == "deny"


@pytest.mark.parametrize("enrolled", ["obama", "biden"])
def test_neither_of_two_people_opens_for_the_other(bench: Bench, camera: Callable[..., str], enrolled: str) -> None:
    photographs = {"obama": ("obama.jpg", "obama2.jpg"), "biden": ("biden.jpg",)}
    other = {"obama": "biden", "biden": "obama"}[enrolled]
    bench.start()
    resident = bench.enrolled("Somebody", "11", camera(*photographs[enrolled]))
    assert bench.walk_up(f"dir:{camera(*photographs[other]).removeprefix('dir:')}")["decision"] == "deny"
    again = bench.root.parent / "-".join(photographs[enrolled])
    assert bench.walk_up(f"dir:{again}")["resident"] == resident
