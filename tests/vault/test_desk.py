"""Opening many templates in locked memory: what comes back, what is refused, and that nothing is left."""

from __future__ import annotations

import numpy as np
import pytest

from gatevault.core.errors import HolderKeyNeededError, RecordRefusedError
from gatevault.vault.desk import Desk
from gatevault.vault.record import LONGEST, SealedTemplate, open_on, open_template, seal_template
from gatevault.vault.sealing import NONCE, TAG
from tests.vault.samples import EPOCH, HOLDER, PLACE, RECEIPT, WRONG_EPOCH, captures

ROWS, DIMENSION, SCRATCH = 3, 16, 5


@pytest.fixture
def desk() -> Desk:
    return Desk(ROWS, DIMENSION, SCRATCH)


def sealed(count: int = 3, slots: int = 8, dimension: int = DIMENSION, seed: int = 1) -> SealedTemplate:
    return seal_template(EPOCH, PLACE, RECEIPT, captures(count, dimension, seed), slots)


@pytest.mark.parametrize(("count", "slots", "dimension"), [(1, 1, 16), (3, 8, 16), (16, 16, 300), (2, 2, 7)])
def test_what_is_opened_on_a_desk_is_bit_equal(desk: Desk, count: int, slots: int, dimension: int) -> None:
    record = sealed(count, slots, dimension)
    found = open_on(desk, EPOCH, PLACE, RECEIPT, record)
    assert np.array_equal(found, captures(count, dimension))
    assert np.array_equal(found, open_template(EPOCH, PLACE, RECEIPT, record))
    assert found.flags.aligned and not any(desk.key.buffer)


def test_the_next_one_takes_the_place_of_the_one_before_also_where_it_is_longer(desk: Desk) -> None:
    first = open_on(desk, EPOCH, PLACE, RECEIPT, sealed())
    again = open_on(desk, EPOCH, PLACE, RECEIPT, sealed(seed=2))
    assert np.shares_memory(first, again) and np.array_equal(first, captures(seed=2))
    open_on(desk, EPOCH, PLACE, RECEIPT, sealed(dimension=4096, slots=16))
    assert not again.any(), "what lay in the smaller place was overwritten"


def test_what_does_not_open_leaves_nothing(desk: Desk) -> None:
    record = sealed()
    before = open_on(desk, EPOCH, PLACE, RECEIPT, record)
    altered = SealedTemplate(record.wrapped, record.sealed[:-1] + bytes([record.sealed[-1] ^ 1]))
    with pytest.raises(RecordRefusedError):
        open_on(desk, EPOCH, PLACE, RECEIPT, altered)
    with pytest.raises(RecordRefusedError):
        open_on(desk, WRONG_EPOCH, PLACE, RECEIPT, record)
    with pytest.raises(HolderKeyNeededError):
        open_on(desk, EPOCH, PLACE, RECEIPT, seal_template(EPOCH, PLACE, RECEIPT, captures(), 8, HOLDER))
    assert not any(desk.key.buffer)
    assert before.shape == (3, DIMENSION)


@pytest.mark.parametrize("size", [0, 3, LONGEST + 1])
def test_no_room_is_made_for_what_is_as_long_as_no_template(desk: Desk, size: int) -> None:
    with pytest.raises(RecordRefusedError, match="cut short, or longer"):
        open_on(desk, EPOCH, PLACE, RECEIPT, SealedTemplate(sealed().wrapped, bytes(NONCE + TAG + size)))
    assert len(desk.plain(0)) == 0


def test_a_wiped_desk_holds_zeros(desk: Desk) -> None:
    found = open_on(desk, EPOCH, PLACE, RECEIPT, sealed())
    desk.rows[:] = 1.0
    desk.scratch[:] = 2.0
    desk.key.buffer[:] = bytes(range(32))
    desk.wipe()
    assert not (found.any() or desk.rows.any() or desk.scratch.any() or any(desk.key.buffer))
    assert (desk.rows.shape, desk.scratch.shape) == ((ROWS, DIMENSION), (SCRATCH,))
