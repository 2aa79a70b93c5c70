"""`gatevault ledger`: anchored, exported, and checked elsewhere without a state or a daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.bench import QUICK, Bench, configure, copied, gatevault

DARK = {" ": (1, 1), "▀": (0, 1), "▄": (1, 0), "█": (0, 0)}
"""The terminal draws light: an empty half of a character is a dark module (upper, lower)."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("ledger") / "state"
    made = gatevault("init", "--bench", "--state", root)
    assert made.returncode == 0, made.stderr
    configure(root, QUICK)
    bench = Bench(root).start(vision=False)
    resident = bench.add("One", "11")
    bench.tap("11")
    bench.ask(bench.consent(resident, "11"))
    yield bench
    bench.close()


def offline(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """`ledger verify` on a machine that has no state: exit status and answer."""
    ended = gatevault("ledger", "verify", *arguments, "--json", env={"GATEVAULT_STATE": "/nonexistent"})
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode, json.loads(ended.stdout)


def test_an_auditor_needs_the_bundle_and_the_key_alone(bench: Bench, tmp_path: Path) -> None:
    anchored = bench.json("ledger", "anchor", "--out", str(tmp_path / "anchor"))
    assert set(anchored) == {"checkpoint", "key", "receipts_key"}
    assert (tmp_path / "anchor").read_text() == anchored["checkpoint"]
    bench.tap("11")
    told = bench.json("ledger", "export", "--out", str(tmp_path / "bundle.json"))
    assert told["key"] == anchored["key"]
    assert (tmp_path / "bundle.json").stat().st_mode & 0o077 == 0
    status, body = offline(
        "--bundle", tmp_path / "bundle.json", "--key", anchored["key"], "--anchor", tmp_path / "anchor"
    )
    assert (status, body["ok"], body["entries"], body["problems"]) == (0, True, told["entries"], [])
    assert "unmatched_faces" not in body

    live = bench.json("ledger", "verify", "--anchor", str(tmp_path / "anchor"), "--key", anchored["key"])
    assert live["ok"] is True

    bundle = json.loads((tmp_path / "bundle.json").read_text())
    bundle["entries"][3]["header"]["day"] = "2020-01-01"
    (tmp_path / "bundle.json").write_text(json.dumps(bundle))
    status, body = offline("--bundle", tmp_path / "bundle.json", "--key", anchored["key"])
    assert (status, body["ok"]) == (1, False)
    assert {problem["entry"] for problem in body["problems"]} >= {None, 3}


def test_one_entry_is_exported_and_proved_to_a_checkpoint_that_was_kept(bench: Bench, tmp_path: Path) -> None:
    anchored, kept, out = bench.json("ledger", "anchor"), tmp_path / "kept", tmp_path / "entry.json"
    kept.write_text(anchored["checkpoint"])
    bench.tap("11")
    told = bench.json("ledger", "export", "--entry", "2", "--anchor", str(kept), "--out", str(out))
    assert told["entries"] == 1 and len(json.loads(out.read_text())["path"]) > 1
    checked = ("--bundle", out, "--key", anchored["key"])
    assert offline(*checked, "--anchor", kept)[0] == 0
    assert bench.cli("ledger", "export", "--entry", "2", "--out", str(out)).returncode == 0
    assert (offline(*checked)[0], offline(*checked, "--anchor", kept)[0]) == (0, 1)
    assert bench.cli("ledger", "export", "--entry", "9999").returncode == 1
    assert bench.cli("ledger", "export", "--anchor", str(kept)).returncode == 2


def test_another_devices_key_is_a_finding(bench: Bench, blank_key: str, tmp_path: Path) -> None:
    ended = bench.cli("ledger", "verify", "--key", blank_key, "--json")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["problems"][0]["problem"] == "the device's key is not the pinned one"
    bench.cli("ledger", "export", "--out", str(tmp_path / "bundle.json"))
    assert offline("--bundle", tmp_path / "bundle.json", "--key", blank_key)[0] == 1


@pytest.fixture
def blank_key(tmp_path: Path) -> Iterator[str]:
    """The key of another bench."""
    root = tmp_path / "other"
    assert gatevault("init", "--bench", "--state", root).returncode == 0
    configure(root, QUICK)
    other = Bench(root).start(vision=False)
    yield str(other.json("ledger", "anchor")["key"])
    other.close()


def test_a_ledger_put_back_is_found_by_the_anchor_alone(bench: Bench, tmp_path: Path) -> None:
    assert bench.stop() == 0
    earlier = copied(bench.root, tmp_path / "state")
    bench.start(vision=False)
    bench.tap("11")
    bench.cli("ledger", "anchor", "--out", str(tmp_path / "anchor"))
    old = Bench(earlier).start(vision=False)
    try:
        assert old.json("ledger", "verify")["ok"] is True, "by itself it is sound"
        found = old.cli("ledger", "verify", "--anchor", str(tmp_path / "anchor"), "--json")
        assert found.returncode == 1
        assert json.loads(found.stdout)["ok"] is False
    finally:
        old.close()


def test_the_qr_code_in_the_terminal_is_the_checkpoint(bench: Bench, tmp_path: Path) -> None:
    """Read from what is printed, as a phone reads it from the screen; a scanner's line ends are no fault."""
    printed = bench.cli("ledger", "anchor").stdout
    note, _, rest = printed.partition("\nkey: ")
    key, _, drawing = rest.partition("\n\n")
    rows = [[DARK[character] for character in line] for line in drawing.splitlines() if line]
    assert len({len(row) for row in rows}) == 1 and len(rows[0]) <= 80, "it fits a terminal"
    modules = np.array([[half[at] for half in row] for row in rows for at in (0, 1)], dtype=np.uint8)
    picture = np.kron(np.pad(1 - modules, 8, constant_values=1) * 255, np.ones((6, 6))).astype(np.uint8)
    read, _, _ = cv2.QRCodeDetector().detectAndDecode(picture)
    assert read == note
    (tmp_path / "scanned").write_bytes(read.strip().replace("\n", "\r\n").encode())
    assert bench.json("ledger", "verify", "--anchor", str(tmp_path / "scanned"), "--key", key)["ok"] is True


def test_what_cannot_be_read_is_refused_in_one_line(bench: Bench, tmp_path: Path) -> None:
    key = bench.json("ledger", "anchor")["key"]
    (tmp_path / "empty").write_text("")
    for arguments, status, code in (
        (("--bundle", tmp_path / "empty", "--key", key), 1, "checkpoint"),
        (("--bundle", tmp_path / "none", "--key", key), 1, "state"),
        (("--bundle", tmp_path / "empty", "--key", "k"), 1, "checkpoint"),
        (("--bundle", tmp_path / "empty"), 2, "usage"),
        (("--anchor", tmp_path / "empty"), 1, "checkpoint"),
    ):
        ended, body = offline(*arguments)
        assert (ended, body["error"]) == (status, code), arguments
        assert "\n" not in body["message"]
    refused = bench.cli("ledger", "export", "--out", str(tmp_path / "no" / "where"), "--json")
    assert (refused.returncode, json.loads(refused.stdout)["error"]) == (1, "state")
