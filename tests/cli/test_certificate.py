"""`gatevault certificate verify`: what the device signed, checked by somebody who has only the file and the key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core import control
from gatevault.core.errors import UsageError
from gatevault.vault.signed import Kind, key_text, signature_of, verify
from gatevault.vault.signing import Signer
from tests.bench import QUICK, Bench, configure, gatevault

KEY = Signer(bytes(range(32)))
BODY = {"id": "c-1", "time": "2026-01-01T00:00:00Z", "resident": "r-1", "limits": "none"}


def signed(kind: Kind = Kind.CERTIFICATE, body: dict[str, Any] | None = None) -> dict[str, Any]:
    made = BODY if body is None else body
    return {kind.value[0]: made, "signature": signature_of(kind, made, KEY).hex()}


def checked(value: Any, key: Signer = KEY) -> list[bool]:
    return [each["ok"] for each in verify(json.dumps(value).encode(), key_text(key))]


def test_what_the_device_signed_holds_wherever_it_stands_in_the_file() -> None:
    receipt = signed(Kind.RECEIPT, {"receipt_id": "x", "events": [{"time": "t"}]})
    assert checked(signed()) == [True]
    assert checked({"certificate": signed(), "more": 1}) == [True]
    assert checked({"receipts": [receipt], "certificates": [signed(), signed()]}) == [True, True, True]


def test_another_key_another_kind_and_another_body_do_not_hold() -> None:
    assert checked(signed(), Signer(bytes(32))) == [False]
    assert checked({"receipt": BODY, "signature": signed()["signature"]}) == [False]
    assert checked({**signed(), "certificate": {**BODY, "resident": "r-2"}}) == [False]
    assert checked({**signed(), "signature": "00"}) == [False]


@given(st.integers(0, 63), st.integers(1, 255))
def test_no_altered_signature_holds(at: int, change: int) -> None:
    made = bytearray(bytes.fromhex(signed()["signature"]))
    made[at] ^= change
    assert checked({**signed(), "signature": made.hex()}) == [False]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"certificate": 1, "signature": "x"}', b"[" * 100_000])
def test_a_file_without_anything_signed_is_told(data: bytes) -> None:
    with pytest.raises(UsageError):
        verify(data, key_text(KEY))


@pytest.mark.parametrize("key", ["", "gvk1-", "gvr1-" + "0" * 64, "gvk1-" + "0" * 63, "gvk1-" + "0" * 65])
def test_a_key_that_is_none_is_told(key: str) -> None:
    with pytest.raises(UsageError, match="gvk1-"):
        verify(json.dumps(signed()).encode(), key)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    root = tmp_path / "state"
    made = gatevault("init", "--bench", "--state", root)
    assert made.returncode == 0, made.stderr
    configure(root, QUICK)
    bench = Bench(root).start(vision=False)
    yield bench
    bench.close()


def test_a_residents_export_is_checked_with_the_key_that_was_kept(bench: Bench, tmp_path: Path) -> None:
    key = bench.json("ledger", "anchor")["receipts_key"]
    who = bench.add("One", "11")
    bench.ask(bench.consent(who, "11"))
    withdrawn = bench.ask(control.ConsentWithdraw(who))
    export = bench.json("resident", "export", who)
    assert export["receipts_key"] == key
    for name, value, count in (("export", export, 2), ("answer", withdrawn, 1)):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(value))
        done = gatevault("certificate", "verify", file, "--key", key, "--json")
        body = json.loads(done.stdout)
        assert (done.returncode, body["ok"], len(body["signed"])) == (0, True, count), done.stderr
    own = gatevault("certificate", "verify", tmp_path / "export.json", "--state", bench.root, "--json")
    assert json.loads(own.stdout)["ok"] is True, "beside the device, its own key is asked for"
    altered = json.dumps(withdrawn).replace(who, "r-0000000000000000")
    (tmp_path / "altered.json").write_text(altered)
    assert gatevault("certificate", "verify", tmp_path / "altered.json", "--key", key).returncode == 1
    assert gatevault("certificate", "verify", tmp_path / "none.json", "--key", key).returncode == 2
