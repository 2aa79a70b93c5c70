"""One exported entry: it is in the tree of a pinned checkpoint, or the verifier says why not."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.bundle import single_entry
from gatevault.core.checkpoint import read_note
from gatevault.core.errors import CheckpointError, NotFoundError
from gatevault.vault.audit import Report, audit_bundle
from gatevault.vault.notes import signed_note, verifier_key
from tests.vault.ledgers import LENGTH, erase, fill, open_ledger
from tests.vault.samples import WRONG_HOUSE
from tests.vault.test_bundle import Body, bundle_of

ERASED = 5


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> tuple[Body, str]:
    """A whole bundle, and an earlier checkpoint of it."""
    ledger = open_ledger(tmp_path_factory.mktemp("single") / "ledger.db")
    fill(ledger)
    anchor = ledger.note
    erase(ledger, ERASED)
    body = bundle_of(ledger)
    ledger.close()
    return body, anchor


def one(body: Body, index: int, note: str | None = None) -> dict[str, Any]:
    note = note or body["checkpoint"]
    return single_entry(body, index, note, read_note(note).checkpoint)


def check(single: dict[str, Any], key: str, anchor: str | None = None) -> Report:
    return audit_bundle(msgspec.json.encode(single), key, anchor)


def findings(single: dict[str, Any], key: str, anchor: str | None = None) -> list[str]:
    return [problem.problem for problem in check(single, key, anchor).problems]


def test_each_entry_is_proved_to_todays_checkpoint_and_to_one_that_was_kept(ledger: tuple[Body, str]) -> None:
    body, anchor = ledger
    for index in range(len(body["entries"])):
        single = one(body, index)
        assert check(single, body["key"]).body() == {
            "ok": True, "entries": 1, "checkpoint": body["checkpoint"], "key": body["key"], "problems": [],
        }  # fmt: skip
        assert set(single) == {"format", "key", "checkpoint", "entry", "path"}, "and nothing of the others"
    for index in range(LENGTH):
        assert findings(one(body, index, anchor), body["key"], anchor) == []
    assert "payload" not in one(body, ERASED)["entry"]


def test_a_path_to_another_checkpoint_than_the_one_that_was_kept_is_found(ledger: tuple[Body, str]) -> None:
    body, anchor = ledger
    assert findings(one(body, 3), body["key"], anchor) == [
        "its path leads to another checkpoint: export it with --anchor"
    ]


def test_another_key_and_another_signature_are_found(ledger: tuple[Body, str]) -> None:
    body, _ = ledger
    other = verifier_key(body["key"].split("+")[0], WRONG_HOUSE.ledger).text()
    assert findings(one(body, 3), other) == [
        "it names another key than the pinned one",
        "the checkpoint is not signed by the pinned key",
    ]
    forged = one(body, 3)
    forged["checkpoint"] = signed_note(read_note(body["checkpoint"]).checkpoint, WRONG_HOUSE.ledger)
    assert findings(forged, body["key"]) == ["the checkpoint is not signed by the pinned key"]


@given(data=st.data())
def test_whatever_is_altered_in_one_is_found(ledger: tuple[Body, str], data: st.DataObject) -> None:
    body, _ = ledger
    single = copy.deepcopy(one(body, data.draw(st.sampled_from([0, 3, LENGTH - 1]), "entry")))
    where = data.draw(st.sampled_from(["i", "day", "c", "type", "salt", "payload", "path", "shorter", "longer"]))
    header = single["entry"]["header"]
    if where == "i":
        header["i"] = data.draw(st.integers(0, 2 * LENGTH).filter(lambda i: i != header["i"]))
    elif where == "day":
        header["day"] = "2020-01-01"
    elif where == "c":
        header["c"] = data.draw(st.binary(min_size=32, max_size=32)).hex()
    elif where == "type":
        header["type"] = "fault"
    elif where == "salt":
        single["entry"]["salt"] = data.draw(st.binary(min_size=16, max_size=16)).hex()
    elif where == "payload":
        single["entry"]["payload"]["more"] = 1
    elif where == "path":
        at = data.draw(st.integers(0, len(single["path"]) - 1))
        single["path"][at] = data.draw(st.binary(min_size=32, max_size=32)).hex()
    elif where == "shorter":
        single["path"].pop()
    else:
        single["path"].append("00" * 32)
    assert findings(single, body["key"])


def test_an_entry_that_there_is_not_and_a_checkpoint_of_elsewhere_are_refused(
    ledger: tuple[Body, str], tmp_path: Path
) -> None:
    body, anchor = ledger
    with pytest.raises(NotFoundError, match=f"of {LENGTH} entries"):
        one(body, LENGTH, anchor)
    other = open_ledger(tmp_path / "other.db")
    fill(other, 3)
    with pytest.raises(CheckpointError, match="not of this ledger"):
        one(body, 0, other.note)
    other.close()


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"format":"gatevault-entry/1"}', b'{"format":"gatevault-entry/2"}'])
def test_a_file_that_is_neither_is_refused(ledger: tuple[Body, str], raw: bytes) -> None:
    with pytest.raises(CheckpointError, match="no exported ledger"):
        audit_bundle(raw, ledger[0]["key"])
