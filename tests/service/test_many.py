"""More residents than are opened at a time: who comes into the gallery, and what that leaves in RAM."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
import pytest

from gatevault.core import control
from gatevault.core.consent import KeyMode
from gatevault.service.config import load_settings
from gatevault.service.faces import CHUNK
from gatevault.service.notice import current_hashes
from gatevault.service.state import StatePaths
from tests.bench import Bench, eventually
from tests.crowd import MODEL, card_of, face_of, fill, house
from tests.service.dump import Vectors, snapshot
from tests.service.inside import Inside, inside, now
from tests.service.peer import Peer, Script, shows

COUNT = CHUNK + 40
Seeing = Callable[[Bench, Script], Peer]


@pytest.fixture
def crowd(quick: Bench) -> dict[str, int]:
    """COUNT residents of a stopped bench: the number of each by pseudonym."""
    (notice, *_) = current_hashes(load_settings(StatePaths(quick.root).config))
    with house(quick.root) as stores:
        residents = fill(stores, range(COUNT), captures=2, slots=8, notice=notice)
    return {resident: number for number, resident in enumerate(residents)}


def in_the_gallery(bench: Bench) -> int:
    return int(bench.status()["vault"]["templates"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads another process's memory")
def test_no_template_of_many_stays_outside_the_locked_pages(
    quick: Bench, crowd: dict[str, int], seeing: Seeing
) -> None:
    quick.start(vision=False)
    seeing(quick, shows(1))
    eventually(lambda: in_the_gallery(quick) == COUNT)
    some = (0, 7, CHUNK - 1, CHUNK, COUNT - 1)
    needles = Vectors(
        {f"mean of {number}": face_of(number, 2).sum(axis=0) for number in some}
        | {f"capture {at} of {number}": face_of(number, 2)[at] for number in some for at in (0, 1)}
    )
    time.sleep(0.6)
    assert needles.found(snapshot(quick.pid)) == set(), "opened from the disk, and all compared with all"
    quick.ask(control.VaultLock())
    quick.ask(control.VaultUnlock())
    eventually(lambda: in_the_gallery(quick) == COUNT)
    time.sleep(0.6)
    assert needles.found(snapshot(quick.pid)) == set(), "opened again"


def test_everybody_is_matched_as_themselves(quick: Bench, crowd: dict[str, int], seeing: Seeing) -> None:
    """Those of the first chunk and of the last, with rows and penalties as a single template's would be."""

    async def work(rooms: Inside) -> None:
        gallery, calibration = rooms.faces.gallery, rooms.faces.calibration
        assert calibration is not None
        assert sorted(gallery.residents) == sorted(crowd)
        for row, resident in enumerate(gallery.residents):
            mean = calibration.normaliser.unit(face_of(crowd[resident], 2).sum(axis=0))
            assert abs(gallery.rows[row] - mean).max() < 1e-6
            assert gallery.penalties[row] == pytest.approx(calibration.penalty(mean), abs=1e-5)

    inside(quick, now(), work)


def test_captures_that_cancel_out_are_refused_alone(quick: Bench, crowd: dict[str, int]) -> None:
    """Records of another release, or of a vision that lied: their rows are filled up by others'."""
    with house(quick.root) as stores:
        by_record = sorted(stores.people, key=lambda name: stores.people[name].record)
        void = {by_record[0], by_record[5], by_record[CHUNK - 1], by_record[-1]}
        for resident in void:
            person, vault = stores.people[resident], stores.need_vault()
            face = face_of(crowd[resident])[0]
            row = vault.seal(vault.place(person.record, MODEL), person.binding, np.stack([face, -face]), 8)
            vault._store.put(row, owe_rotation=False)

    async def work(rooms: Inside) -> None:
        gallery = rooms.faces.gallery
        assert rooms.faces.refused == len(void)
        assert set(gallery.residents) == set(crowd) - void
        for row, resident in zip(gallery.rows, gallery.residents, strict=True):
            mean = face_of(crowd[resident], 2).sum(axis=0)
            assert float(row @ mean) > 0.999 * float(np.linalg.norm(mean))

    inside(quick, now(), work)


def test_one_record_that_is_altered_is_refused_alone(quick: Bench, crowd: dict[str, int]) -> None:
    with house(quick.root) as stores:
        victim = list(crowd)[3]
        with stores.need_vault()._store._db.transaction() as run:
            run.execute(
                "UPDATE templates SET sealed = zeroblob(length(sealed)) WHERE record = ?",
                (stores.house.record_id(victim),),
            )
            run.execute("UPDATE keys SET wrapped = 7 WHERE record = ?", (stores.house.record_id(list(crowd)[4]),))

    async def work(rooms: Inside) -> None:
        assert rooms.faces.refused == 2
        assert set(crowd) - set(rooms.faces.residents) == {victim, list(crowd)[4]}

    inside(quick, now(), work)


def test_consents_renewed_while_locked_seal_anew_and_everybody_else_is_opened_all_the_same(
    quick: Bench, crowd: dict[str, int], seeing: Seeing
) -> None:
    """Each of them rotates the epoch, under which the others' keys of the same chunk were read before."""
    quick.start(vision=False)
    seeing(quick, shows(1))
    eventually(lambda: in_the_gallery(quick) == COUNT)
    quick.ask(control.VaultLock())
    for resident in list(crowd)[:3]:
        quick.ask(quick.consent(resident, card_of(crowd[resident])))
    quick.ask(control.VaultUnlock())
    eventually(lambda: in_the_gallery(quick) == COUNT)
    vault = quick.status()["vault"]
    assert (vault["refused"], vault["suspended"], vault["state"]) == (0, 0, "unlocked")


def test_holders_and_those_who_withdrew_come_into_no_gallery(
    quick: Bench, crowd: dict[str, int], seeing: Seeing
) -> None:
    gone, other, *_ = crowd
    quick.start(vision=False)
    seeing(quick, shows(1))
    eventually(lambda: in_the_gallery(quick) == COUNT)
    quick.ask(control.ConsentWithdraw(gone))
    long_card = "00112233445566778899AABBCCDDEEFF"
    quick.ask(control.CardAdd(other, long_card))
    quick.ask(quick.consent(other, long_card, mode=KeyMode.HOLDER))
    assert in_the_gallery(quick) == COUNT - 2, "a template of the other mode is erased"
    quick.ask(control.VaultLock())
    quick.ask(control.VaultUnlock())
    eventually(lambda: in_the_gallery(quick) == COUNT - 2)
