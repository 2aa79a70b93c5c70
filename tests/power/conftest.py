"""One recording of each operation, made when it is first asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench import QUICK, configure, gatevault
from tests.operations import OPERATIONS
from tests.power.cuts import Recording, record, record_finish, scratch

Recorded = Callable[[str], Recording]


@pytest.fixture(scope="session")
def blank() -> Iterator[Path]:
    """A bench state in memory, as `init` makes it, whose vision the test plays."""
    with scratch() as folder:
        done = gatevault("init", "--bench", "--state", folder / "blank")
        assert done.returncode == 0, done.stderr
        configure(folder / "blank", QUICK)
        shutil.rmtree(folder / "blank" / "models")  # the test plays vision, which alone needs them
        yield folder / "blank"


@pytest.fixture(scope="session")
def recorded(blank: Path) -> Recorded:
    """By the operation's name; "NAME finished" is the start after a cut that left it half done."""
    made: dict[str, Recording] = {}

    def recording(name: str) -> Recording:
        if name not in made:
            half = name.removesuffix(" finished")
            with scratch() as folder:
                if half == name:
                    made[name] = record(name, OPERATIONS[name], blank, folder)
                else:
                    made[name] = record_finish(recording(half), folder)
        return made[name]

    return recording
