"""Values: refused when impossible, and silent about vectors, card numbers and keys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.types import (
    MAX_DIMENSION,
    Box,
    CardRead,
    Decision,
    Reason,
    Scan,
    Verdict,
    canonical_card,
    check_vector,
    deny,
    grant,
)
from tests.core.samples import quality

CARD_CHARACTERS = st.text("0123456789abcdefABCDEFghXYZ-: ", max_size=70)


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("7001234567", "7001234567"),
        ("0007001234567", "7001234567"),
        ("0000", "0"),
        ("04:a3:2f:91", "04A32F91"),
        ("04 a3 2f 91", "04A32F91"),
        ("0A3", "0A3"),
        ("fc12-34567", "FC12-34567"),
        ("00-1", "00-1"),
        ("f" * 64, "F" * 64),
    ],
)
def test_a_card_number_has_one_form(typed: str, canonical: str) -> None:
    assert canonical_card(typed) == canonical
    assert CardRead(canonical, "wiegand").number == canonical


@given(CARD_CHARACTERS)
def test_the_one_form_is_its_own(typed: str) -> None:
    try:
        canonical = canonical_card(typed)
    except ValueError:
        return
    assert canonical_card(canonical) == canonical
    assert canonical_card(typed.lower()) == canonical_card(typed.upper()) == canonical
    assert canonical_card(f" {typed}: ") == canonical


@given(st.text(max_size=70))
def test_any_text_is_a_card_number_or_a_value_error(typed: str) -> None:
    try:
        canonical = canonical_card(typed)
    except ValueError as error:
        assert len(typed) < 5 or typed not in str(error)
        return
    assert 1 <= len(canonical) <= 64
    assert canonical.isascii()


@pytest.mark.parametrize(
    "typed", ["", " ", ":", "1" * 65, "12_34", "12\n34", "12\t34", "*", "१२", "straße", "ﬁ", "ı"], ids=repr
)
def test_what_no_reader_gives_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="a card number has"):
        canonical_card(typed)


@pytest.mark.parametrize("number", ["0012", "ab", "1 2", "", "1" * 65])
def test_a_read_is_canonical(number: str) -> None:
    with pytest.raises(ValueError, match="card number"):
        CardRead(number, "wiegand")


@pytest.mark.parametrize("corners", [(0, 0, 0, 1), (0, 0, 1, 0), (2, 0, 1, 1), (0, 2, 1, 1)])
def test_a_box_has_an_inside(corners: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="box"):
        Box(*corners)


def test_a_box_tells_its_size() -> None:
    box = Box(-5, 10, 15, 40)
    assert (box.width, box.height) == (20, 30)


@pytest.mark.parametrize(
    "vector",
    [
        np.ones(4),
        np.ones((2, 2), np.float32),
        np.ones(0, np.float32),
        np.ones(MAX_DIMENSION + 1, np.float32),
        np.zeros(4, np.float32),
        np.array([1, np.nan], np.float32),
        np.array([1, -np.inf], np.float32),
    ],
    ids=["double", "shape", "empty", "long", "zero", "NaN", "infinite"],
)
@pytest.mark.filterwarnings("error")
def test_a_vector_is_finite_and_not_zero(vector: np.ndarray) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match="an embedding"):
        check_vector(vector)


def test_a_grant_names_whom_it_is_for() -> None:
    with pytest.raises(ValueError, match="grant"):
        Decision(Verdict.GRANT, Reason.CARD)
    assert grant(Reason.CARD, "r-1").granted
    assert not deny(Reason.FAULT).granted
    assert deny(Reason.SCHEDULE, "r-1").resident == "r-1"


def test_scans_and_reads_do_not_show_what_they_hold() -> None:
    vector = np.full(4, 0.8125, dtype=np.float32)
    scan = Scan("0" * 32, 1, Box(0, 0, 9, 9), 0.9, quality(), vector)
    read = CardRead("7001234567", "wiegand")
    for value in (scan, [scan], {"scan": scan}, read, [read]):
        assert "8125" not in f"{value!r}{value}"
        assert "array" not in f"{value!r}{value}"
        assert "7001234567" not in f"{value!r}{value}"
    assert "wiegand" in repr(read)


def test_a_wiped_scan_holds_nothing() -> None:
    vector = np.ones(4, dtype=np.float32)
    Scan("0" * 32, 1, Box(0, 0, 9, 9), 0.9, quality(), vector).wipe()
    assert not vector.any()


def test_reasons_are_the_same_words_everywhere() -> None:
    assert {reason.value for reason in Reason} >= {
        "matched", "card", "no-face", "no-match", "come-closer", "too-dark", "no-consent", "suspended",
        "vault-locked", "schedule", "fault",
    }  # fmt: skip
