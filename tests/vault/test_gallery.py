"""The gallery against a dictionary, and the memory that it lies in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gatevault.core.types import Vector
from gatevault.vault.gallery import Gallery
from gatevault.vault.locked import Protection

DIMENSION = 4
FIRST_ROWS = 64
PEOPLE = st.integers(0, 150).map(lambda number: f"r-{number:016x}")


def template(number: int) -> Vector:
    return np.full(DIMENSION, 1 + number, dtype=np.float32)


def penalty(number: int) -> float:
    return 0.5 + number


class GalleryMachine(RuleBasedStateMachine):
    """A gallery beside a dictionary of numbers. Whatever lies beyond the rows in use is zero."""

    def __init__(self) -> None:
        super().__init__()
        self.gallery = Gallery(DIMENSION)
        self.model: dict[str, int] = {}

    @rule(who=PEOPLE, number=st.integers(0, 99))
    def put(self, who: str, number: int) -> None:
        given = template(number)
        self.gallery.put(who, given, penalty(number))
        given.fill(-1.0)  # as the caller wipes its own copy
        self.model[who] = number

    @rule(start=st.integers(0, 100), count=st.integers(1, 70))
    def put_many(self, start: int, count: int) -> None:
        for number in range(start, start + count):
            self.put(f"r-{number:016x}", number)

    @rule(who=PEOPLE)
    def remove(self, who: str) -> None:
        assert self.gallery.remove(who) is (self.model.pop(who, None) is not None)

    @rule()
    def clear(self) -> None:
        self.gallery.clear()
        self.model.clear()

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        view = self.gallery.view()
        assert view.rows.shape == (len(self.model), DIMENSION)
        assert view.rows.dtype == view.penalties.dtype == np.float32
        assert list(view.residents) == list(self.gallery.residents)
        held = zip(view.rows.tolist(), view.penalties.tolist(), strict=True)
        found = dict(zip(view.residents, held, strict=True))
        assert found == {who: (template(n).tolist(), penalty(n)) for who, n in self.model.items()}

    @invariant()
    def nothing_is_left_of_whoever_went(self) -> None:
        assert not self.gallery._rows[len(self.model) :].any()
        assert not self.gallery._penalties[len(self.model) :].any()


GalleryMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestGallery = GalleryMachine.TestCase


def test_a_gallery_that_grows_leaves_nothing_in_its_first_memory() -> None:
    faces = Gallery(DIMENSION)
    first, taken_off = faces._rows, faces._penalties
    for number in range(FIRST_ROWS):
        faces.put(f"r-{number}", template(number), penalty(number))
    assert faces._rows is first
    assert first.all()
    assert taken_off.all()
    faces.put("r-last", template(99), penalty(99))
    assert len(faces._rows) == len(faces._penalties) == 2 * FIRST_ROWS
    assert not first.any()
    assert not taken_off.any()
    assert len(faces.residents) == FIRST_ROWS + 1
    assert faces.view().penalties.tolist() == [*map(penalty, range(FIRST_ROWS)), penalty(99)]


def test_a_view_is_no_copy_and_sees_an_erasure_at_once() -> None:
    faces = Gallery(DIMENSION)
    faces.put("r-1", template(1), penalty(1))
    before = faces.view()
    assert np.shares_memory(before.rows, faces._rows)
    assert np.shares_memory(before.penalties, faces._penalties)
    faces.clear()
    assert not before.rows.any()
    assert not before.penalties.any()


def test_it_tells_where_a_residents_row_is() -> None:
    faces = Gallery(DIMENSION)
    faces.put("r-1", template(1), penalty(1))
    assert (faces.row("r-1"), faces.row("r-2")) == (0, None)


def test_a_template_put_again_takes_its_own_penalty_with_it() -> None:
    faces = Gallery(DIMENSION)
    for number in (1, 2):
        faces.put("r-1", template(number), penalty(number))
    assert faces.view().penalties.tolist() == [penalty(2)]


@pytest.mark.parametrize("shape", [(DIMENSION - 1,), (DIMENSION + 1,), (1, DIMENSION), ()])
def test_a_template_of_another_dimension_is_refused(shape: tuple[int, ...]) -> None:
    faces = Gallery(DIMENSION)
    with pytest.raises(ValueError, match="dimension"):
        faces.put("r-1", np.ones(shape, dtype=np.float32), 0.5)
    assert not faces.residents
    assert not faces._rows.any()
    assert not faces._penalties.any()


def test_it_tells_how_it_is_protected() -> None:
    assert Gallery(DIMENSION).protection in Protection


def test_room_for_many_is_made_at_once_and_then_in_halves() -> None:
    faces = Gallery(DIMENSION)
    faces.put("r-1", template(1), penalty(1))
    faces.reserve(10)
    assert len(faces._rows) == FIRST_ROWS, "there is room"
    faces.reserve(1000)
    for number in range(1000):
        faces.put(f"r-{number}", template(1), penalty(1))
    assert (len(faces._rows), faces.row("r-1")) == (1000, 0)
    faces.put("r-last", template(1), penalty(1))
    assert len(faces._rows) == 1500
