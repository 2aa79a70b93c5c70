"""The schematic of a camera's aim: numbers and a box, for a terminal of 40 columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.aiming import COLUMNS, ROWS, Advice, Sighting, drawn, of_hint, of_place
from gatevault.core.provisioning.words import Language, word
from gatevault.core.settings import LookSettings
from gatevault.core.wire import Hint

share = st.integers(-500, 1_500)


@given(st.tuples(share, share, share, share))
def test_any_box_is_drawn_inside_the_frame(box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])
    lines = drawn(Sighting(1, (640, 480), 50, Advice.GOOD, (left, top, right, bottom)))
    assert len(lines) == ROWS + 2
    assert {len(line) for line in lines} == {COLUMNS + 2}
    assert COLUMNS + 2 <= 40
    assert any("#" in line for line in lines)


def test_nobody_is_an_empty_frame() -> None:
    assert not any("#" in line for line in [*drawn(None), *drawn(Sighting(1, (640, 480), 50, Advice.NOBODY))])


def test_where_a_face_stands_is_told() -> None:
    settings = LookSettings(zone=(0.2, 0.0, 1.0, 1.0))
    assert of_place((0.4, 0.3, 0.6, 0.7), settings) is Advice.GOOD
    assert of_place((0.8, 0.3, 1.0, 0.7), settings) is Advice.OFF_CENTRE
    assert of_place((0.0, 0.3, 0.1, 0.7), settings) is Advice.OUT_OF_ZONE


@pytest.mark.parametrize("language", Language)
def test_every_hint_and_advice_has_its_words(language: Language) -> None:
    for hint in Hint:
        assert of_hint(hint) in Advice
    for advice in Advice:
        assert word(f"aim-{advice}", language)
