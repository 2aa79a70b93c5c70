"""What must be recorded before faces count: both, whatever else is said."""

from __future__ import annotations

import pytest

from gatevault.core.site import Assessment, SiteKind, document_of, faces_off, read_record

BOTH = [SiteKind.ASSESSMENT, SiteKind.SIGN]
ASSESSMENT = {"by": "Consultant Li", "date": "2026-11-20", "document": "folder 7"}


@pytest.mark.parametrize("recorded", [[], [SiteKind.ASSESSMENT], [SiteKind.SIGN]])
def test_faces_are_off_until_both_are_there(recorded: list[SiteKind]) -> None:
    off = faces_off(recorded, True)
    assert off.startswith("faces off: ")
    assert ("impact assessment" in off) is (SiteKind.ASSESSMENT not in recorded)
    assert ("sign at the gate" in off) is (SiteKind.SIGN not in recorded)


def test_with_both_faces_are_on_and_a_bench_need_not_ask() -> None:
    assert faces_off(BOTH, True) == ""
    assert faces_off([], False) == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("date", "2026-02-30"),
        ("date", "26-11-2026"),
        ("by", ""),
        ("by", "x" * 201),
        ("document", "a\nb"),
        ("extra", "x"),
    ],
)
def test_a_record_that_is_none_is_refused_by_name(field: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"date|day|by|document|extra|String|month"):
        read_record(SiteKind.ASSESSMENT, ASSESSMENT | {field: value})


def test_a_record_does_not_show_who_made_it() -> None:
    record = read_record(SiteKind.ASSESSMENT, ASSESSMENT)
    assert isinstance(record, Assessment)
    assert "Li" not in f"{record!r} {record}"


def test_a_hash_is_marked_as_one_and_a_place_is_left_as_it_is() -> None:
    assert document_of("AB" * 32) == f"sha256:{'ab' * 32}"
    assert document_of("folder 7") == "folder 7"
