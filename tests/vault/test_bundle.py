"""An exported ledger, checked with the pinned key alone: whatever is done to the file is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatevault.core.bundle import FORMAT, sheet_of
from gatevault.core.checkpoint import VerifierKey, read_note
from gatevault.core.entries import Entry, EntryType, Moment
from gatevault.core.errors import CheckpointError
from gatevault.vault.audit import Report, audit_bundle
from gatevault.vault.ledger import Ledger
from gatevault.vault.notes import signed_note, verifier_key
from tests.vault.ledgers import LENGTH, erase, fill, open_ledger
from tests.vault.samples import WRONG_HOUSE

ERASED = (2, 5)
Body = dict[str, Any]


def bundle_of(ledger: Ledger) -> Body:
    sheets = [sheet_of(entry) for entry in ledger.page(0) if isinstance(entry, Entry)]
    return {"format": FORMAT, "key": ledger.key.text(), "checkpoint": ledger.note, "entries": sheets}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Body, str, str]:
    """A bundle of 14 entries, the key, and an anchor of the first 12."""
    ledger = open_ledger(tmp_path_factory.mktemp("exported") / "ledger.db")
    fill(ledger)
    anchor = ledger.note
    erase(ledger, *ERASED)
    ledger.append(Moment("boot-8", 1, "2026-03-02"), EntryType.OUTCOME, {"time": "2026-03-02T00:00:01Z"})
    body, key = bundle_of(ledger), ledger.key.text()
    ledger.close()
    return body, key, anchor


def check(body: Body, key: str, anchor: str | None = None) -> Report:
    return audit_bundle(msgspec.json.encode(body), key, anchor)


def test_a_bundle_and_the_key_are_enough(exported: tuple[Body, str, str]) -> None:
    body, key, anchor = exported
    report = check(body, key, anchor)
    assert report.body() == {
        "ok": True, "entries": LENGTH + 2, "checkpoint": body["checkpoint"], "key": key, "problems": [],
    }  # fmt: skip
    assert [set(sheet) for sheet in body["entries"][1:3]] == [{"header", "salt", "payload"}, {"header"}]
    assert not check(body, f" {key}\n").problems


def findings(report: Report) -> list[str]:
    return [problem.problem for problem in report.problems]


def test_another_key_than_the_pinned_one_is_found(exported: tuple[Body, str, str]) -> None:
    body, key, anchor = exported
    name = key.split("+")[0]
    other = verifier_key(name, WRONG_HOUSE.ledger)
    found = findings(check(body, other.text()))
    assert found == [
        "the bundle names another key than the pinned one",
        "the checkpoint is not signed by the pinned key",
    ]
    assert "not signed" in findings(check(body | {"key": other.text()}, other.text()))[0]
    elsewhere = VerifierKey("gatevault.local/gv-other", other.public).text()
    assert len(findings(check(body, elsewhere, anchor))) == 3


def test_a_ledger_made_anew_under_another_key_is_found_by_the_pinned_one(
    exported: tuple[Body, str, str], tmp_path: Path
) -> None:
    _, key, _ = exported
    forged = Ledger(tmp_path / "forged.db", "gv-0011223344556677", WRONG_HOUSE)
    fill(forged, 14)
    for change in ({}, {"key": key}):
        assert "not signed by the pinned key" in findings(check(bundle_of(forged) | change, key))[-1]
    forged.close()


def test_an_anchor_that_the_bundle_does_not_begin_with_is_found(
    exported: tuple[Body, str, str], tmp_path: Path
) -> None:
    body, key, anchor = exported
    longer = open_ledger(tmp_path / "longer.db")
    fill(longer, 13)
    assert "written anew" in findings(check(body, key, longer.note))[0]
    fill(longer, 9)
    assert "put back or cut short" in findings(check(body, key, longer.note))[0]
    longer.close()
    witness = signed_note(read_note(anchor).checkpoint, WRONG_HOUSE.ledger)
    assert "anchor" in findings(check(body, key, witness))[0]


# --- tampering -----------------------------------------------------------------------------------


def leaf_of(data: st.DataObject, body: Body) -> tuple[Any, Any]:
    """A random place in the JSON: its container and key."""
    place, at = body, data.draw(st.sampled_from(["key", "checkpoint", *["entries"] * 10]))
    while isinstance(place[at], dict | list) and place[at] and (at == "entries" or data.draw(st.integers(0, 5))):
        place = place[at]
        at = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
    return place, at


def flip(data: st.DataObject, body: Body) -> None:
    place, at = leaf_of(data, body)
    if isinstance(place[at], str) and place[at]:
        text = place[at]
        index = data.draw(st.integers(0, len(text) - 1))
        place[at] = text[:index] + chr(ord(text[index]) ^ (1 << data.draw(st.integers(0, 6)))) + text[index + 1 :]
    else:
        replace(data, body)


def replace(data: st.DataObject, body: Body) -> None:
    place, at = leaf_of(data, body)
    place[at] = data.draw(
        st.none() | st.booleans() | st.integers(-1, 2**64) | st.floats(allow_nan=False) | st.text()
    )


def remove(data: st.DataObject, body: Body) -> None:
    place, at = leaf_of(data, body)
    del place[at]


def reorder(data: st.DataObject, body: Body) -> None:
    body["entries"] = data.draw(st.permutations(body["entries"]))


def repeat(data: st.DataObject, body: Body) -> None:
    sheet = data.draw(st.sampled_from(body["entries"]))
    body["entries"].insert(data.draw(st.integers(0, len(body["entries"]))), sheet)


def cut(data: st.DataObject, body: Body) -> None:
    del body["entries"][data.draw(st.integers(0, len(body["entries"]) - 1)) :]


def swap_payloads(data: st.DataObject, body: Body) -> None:
    one, other = data.draw(st.lists(st.sampled_from(body["entries"]), min_size=2, max_size=2, unique_by=id))
    parts = data.draw(st.sampled_from([("payload",), ("salt",), ("payload", "salt")]))
    for part in parts:
        one[part], other[part] = other.get(part), one.get(part)


def strip(data: st.DataObject, body: Body) -> None:
    """A payload that was not erased is left out."""
    sheet = data.draw(st.sampled_from([sheet for sheet in body["entries"] if "payload" in sheet]))
    del sheet["payload"], sheet["salt"]


def more(data: st.DataObject, body: Body) -> None:
    place, _ = leaf_of(data, body)
    if isinstance(place, dict):
        place[data.draw(st.text())] = data.draw(st.text())


TAMPERS: list[Callable[[st.DataObject, Body], None]] = [
    flip, replace, remove, reorder, repeat, cut, swap_payloads, strip, more,
]  # fmt: skip


def check_found(
    exported: tuple[Body, str, str], tamper: Callable[[st.DataObject, Body], None], data: st.DataObject
) -> None:
    body, key, _ = exported
    changed = copy.deepcopy(body)
    tamper(data, changed)
    for sheet in changed["entries"] if isinstance(changed.get("entries"), list) else []:
        for part in ("salt", "payload"):
            if isinstance(sheet, dict) and part in sheet and sheet[part] is None:
                del sheet[part]  # null is as good as left out
    if repr(changed) == repr(body):
        return
    try:
        assert check(changed, key).problems
    except CheckpointError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize("tamper", TAMPERS, ids=lambda tamper: tamper.__name__)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_is_done_to_a_bundle_is_found(
    exported: tuple[Body, str, str], tamper: Callable[[st.DataObject, Body], None], data: st.DataObject
) -> None:
    check_found(exported, tamper, data)


@pytest.mark.nightly
@settings(max_examples=100_000, deadline=None)
@given(tamper=st.sampled_from(TAMPERS), data=st.data())
def test_a_hundred_thousand_things_done_to_a_bundle_are_found(
    exported: tuple[Body, str, str], tamper: Callable[[st.DataObject, Body], None], data: st.DataObject
) -> None:
    check_found(exported, tamper, data)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"[]", b"\xff", b"null", b'{"format":"gatevault-ledger/2"}', b"[" * 100_000, b'"' + b"a" * 999],
)
def test_what_is_no_bundle_is_refused_in_one_line(raw: bytes, exported: tuple[Body, str, str]) -> None:
    with pytest.raises(CheckpointError, match="no exported ledger") as caught:
        audit_bundle(raw, exported[1])
    assert "\n" not in str(caught.value)


def test_a_payload_of_endless_depth_is_a_finding_and_no_crash(exported: tuple[Body, str, str]) -> None:
    body, key, _ = exported
    text = msgspec.json.encode(body)
    for depth in (500, 5_000):
        deep = text.replace(b'"turn":0', b'"turn":' + b"[" * depth + b"]" * depth)
        assert deep != text
        try:
            assert audit_bundle(deep, key).problems
        except CheckpointError as error:
            assert "no exported ledger" in str(error)
