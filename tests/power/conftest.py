"""One recording of each operation, made when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench import QUICK, configure, gatevault
from tests.power.cuts import Recording, record, record_finish, scratch

Recorded = Callable[[str], Recording]


@pytest.fixture(scope="session")
def recorded() -> Iterator[Recorded]:
    """By the operation's name; "NAME finished" is the start after a cut that left it half done."""
    made: dict[str, Recording] = {}
    with scratch() as folder:
        blank = folder / "blank"

        def recording(name: str) -> Recording:
            if not blank.exists():
                done = gatevault("init", "--bench", "--state", blank)
                assert done.returncode == 0, done.stderr
                configure(blank, QUICK)
            if name not in made:
                place = _made(folder / name)
                half = name.removesuffix(" finished")
                made[name] = record(name, blank, place) if half == name else record_finish(recording(half), place)
            return made[name]

        yield recording


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
