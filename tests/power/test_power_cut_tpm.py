"""The power goes while a key moves into a TPM, and out of it: the disk and the TPM's memory as they were then."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench import QUICK, configure
from tests.operations import TPM_OPERATIONS
from tests.power.cuts import PowerCutError, Recording, record, scratch, spread, survives
from tests.power.tpm import TpmHistory
from tests.softtpm import SoftTpm

IMAGES = 8
"""Cuts of each in `make test`, an image of each."""
SEEDS = 2
"""Images of each cut in the nightly run."""


@pytest.fixture(scope="module")
def recorded(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Recording]]:
    """A recording by the operation's name, with the history of its TPM."""
    made: dict[str, Recording] = {}
    tpms: list[SoftTpm] = []

    def recording(name: str) -> Recording:
        if name not in made:
            tpm = SoftTpm(tmp_path_factory.mktemp("t"))
            tpms.append(tpm)
            history = TpmHistory(tpm)
            with scratch() as folder:
                state = Path(shutil.copytree(blank, folder / "blank"))
                configure(state, QUICK + f'\n[keys]\ntcti = "{tpm.tcti}"\n')
                recorded = record(name, TPM_OPERATIONS[name], state, folder)
            history.ended()
            made[name] = replace(recorded, tpm=history)
        return made[name]

    yield recording
    for tpm in tpms:
        tpm.kill()


@pytest.mark.parametrize("name", list(TPM_OPERATIONS))
def test_the_power_goes_and_the_key_is_in_the_tpm_or_is_not(
    recorded: Callable[[str], Recording], tmp_path: Path, name: str
) -> None:
    recording = recorded(name)
    took_place = [
        survives(recording, cut, seed, tmp_path / "image") for seed, cut in enumerate(spread(recording, IMAGES))
    ]
    assert (took_place[0], took_place[-1]) == (False, True)


@pytest.mark.parametrize("name", list(TPM_OPERATIONS))
def test_the_tpm_changes_during_the_operation(recorded: Callable[[str], Recording], name: str) -> None:
    recording = recorded(name)
    assert recording.tpm is not None
    began, answered = recording.times[recording.begin], recording.times[recording.answered - 1]
    during = [memory for at, memory in recording.tpm.states if began < at <= answered]
    assert len(set(during)) >= 1, "or this cuts no power of a TPM's"


@pytest.mark.nightly
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", list(TPM_OPERATIONS))
def test_the_power_goes_at_every_step_about_a_tpm(
    recorded: Callable[[str], Recording], tmp_path: Path, name: str
) -> None:
    recording = recorded(name)
    for cut in recording.cuts:
        for seed in range(1000, 1000 + SEEDS):
            survives(recording, cut, seed, tmp_path / "image")


def test_a_tpm_that_is_ahead_of_the_disk_is_found_out(recorded: Callable[[str], Recording], tmp_path: Path) -> None:
    """A daemon that had the TPM forget its secret before the disk knew of another would leave such a pair."""
    recording = recorded("key-move-from-tpm2")
    assert recording.tpm is not None
    ahead = copy(recording.tpm)
    ahead.states = [(0.0, recording.tpm.states[-1][1])]
    with pytest.raises(PowerCutError):
        survives(replace(recording, tpm=ahead), 0, 0, tmp_path / "image")
