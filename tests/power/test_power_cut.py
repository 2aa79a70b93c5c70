"""The power goes at any write or sync of any operation: at the next start all is before or after.

Each operation is carried out once by the real daemon under strace; then the power is cut at many of its
steps, and of what was not synced a seed decides what the disk kept (`disk.py`). A failure names
operation, cut and seed, and leaves the image in the test's temporary folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gatevault.core import control
from gatevault.vault.ledger import FILE_PAGE_BYTES
from tests.operations import OPERATIONS, WHOLE, Scene, enrolled
from tests.power.conftest import Recorded
from tests.power.cuts import PowerCutError, Recording, record, scratch, spread, survives
from tests.power.disk import DirectorySynced, Event, Synced, Written

FINISHED = [f"{name} finished" for name in ("enrol", "purge", "withdraw", "remove")]
"""The start after a cut that left an operation half done, and the stop after it."""

IMAGES = 8
"""Cuts of each operation in `make test`, an image of each: docs/testing.md has the sums."""

SEEDS = 8
"""Images of each cut in the nightly run."""


@pytest.mark.parametrize("name", [*OPERATIONS, *FINISHED])
def test_the_power_goes_and_an_operation_took_place_or_did_not(
    recorded: Recorded, tmp_path: Path, name: str
) -> None:
    recording = recorded(name)
    cuts = spread(recording, IMAGES)
    took_place = [survives(recording, cut, seed, tmp_path / "image") for seed, cut in enumerate(cuts)]
    if name in WHOLE:
        assert (took_place[0], took_place[-1]) == (False, True)


@pytest.mark.nightly
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", [*OPERATIONS, *FINISHED])
def test_the_power_goes_at_every_step(recorded: Recorded, tmp_path: Path, name: str) -> None:
    recording = recorded(name)
    for cut in recording.cuts:
        for seed in range(1000, 1000 + SEEDS):
            survives(recording, cut, seed, tmp_path / "image")


CHECKPOINT_PAGES = 1000
"""SQLite brings a log of so many pages into its file by itself, and the next writer begins the log anew."""

LOG_BEGUN = ("ledger.db-wal", 0)


def _log_nearly_full(scene: Scene) -> None:
    enrolled(scene)
    log = scene.bench.root / "ledger.db-wal"
    while log.stat().st_size < (CHECKPOINT_PAGES - 6) * (24 + FILE_PAGE_BYTES):
        scene.bench.ask(control.DoorLock())


@pytest.mark.nightly
@pytest.mark.timeout(3000)
def test_the_power_goes_while_the_ledgers_log_is_full(blank: Path, tmp_path: Path) -> None:
    consent = replace(OPERATIONS["consent-again"], prepare=_log_nearly_full)
    with scratch() as folder:
        recording = record("consent-again, log full", consent, blank, folder)
    written = recording.events[recording.begin : recording.answered]
    assert any(isinstance(event, Written) and event.file == "ledger.db" for event in written), "no checkpoint"
    assert (
        sum(isinstance(event, Written) and (event.file[:13], event.offset) == LOG_BEGUN for event in written) == 1
    )
    for cut in recording.cuts:
        for seed in range(2):
            survives(recording, cut, seed, tmp_path / "image")


# --- the apparatus: does it see what it should? --------------------------------------------------


@pytest.mark.parametrize("name", [*OPERATIONS, *FINISHED])
def test_a_recording_holds_writes_and_syncs_and_its_images_differ(recorded: Recorded, name: str) -> None:
    recording = recorded(name)
    kinds = {type(event) for event in recording.events[recording.begin : recording.answered]}
    assert {Written, Synced} <= kinds
    images = [recording.image(cut, seed) for cut in recording.cuts for seed in range(2)]
    assert len({tuple(image.items()) for image in images}) > len(images) // 4
    assert recording.image(3, 5) == recording.image(3, 5)


def without(recording: Recording, lost: Callable[[Event], bool]) -> Recording:
    """The same, as a program would have done it that forgot some steps."""
    kept = [event for event in recording.events if not lost(event)]
    counts = [sum(not lost(event) for event in recording.events[:n]) for n in (recording.begin, recording.answered)]
    return replace(recording, events=tuple(kept), begin=counts[0], answered=counts[1])


FORGETFUL = {
    "no sync of the ledger": ("door-held", lambda e: isinstance(e, Synced) and e.file.startswith("ledger.db-wal")),
    "no sync of the registry": (
        "withdraw",
        lambda e: isinstance(e, Synced) and e.file.startswith("registry.db-wal"),
    ),
    "no sync of the vault": ("enrol", lambda e: isinstance(e, Synced) and e.file.startswith("vault.db")),
    "no sync of new names": ("enrol", lambda e: isinstance(e, DirectorySynced)),
    "an emptied log before its pages are synced": ("purge", lambda e: e == Synced("vault.db")),
}
"""Mistakes, and the operation that tells them."""


@pytest.mark.parametrize("mistake", list(FORGETFUL))
def test_a_daemon_that_forgot_a_step_is_found_out(recorded: Recorded, tmp_path: Path, mistake: str) -> None:
    name, lost = FORGETFUL[mistake]
    recording = without(recorded(name), lost)
    with pytest.raises(PowerCutError, match=rf"\('{name}', \d+ of \d+, \d+\)"):
        for seed in range(40):
            survives(recording, recording.cuts[-1], seed, tmp_path / "image")
    assert (tmp_path / "image" / "ledger.db").exists(), "the image that failed is kept"
