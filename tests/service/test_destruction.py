"""`gatevault vault destroy` on a stopped gate: what opens afterwards, what an image opens, and what is signed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gatevault.service.state import StatePaths
from tests.bench import QUICK, Bench, configure, copied, gatevault
from tests.service.peer import Peer
from tests.softtpm import SoftTpm


def device_of(root: Path) -> str:
    return str(json.loads((root / "device.json").read_bytes())["device"])


def destroyed(root: Path, statement: Path) -> dict[str, Any]:
    ended = gatevault("vault", "destroy", device_of(root), "--statement", statement, "--state", root, "--json")
    assert ended.returncode == 0, ended.stderr
    body: dict[str, Any] = json.loads(ended.stdout)
    assert json.loads(statement.read_text()) == body
    return body


@pytest.fixture
def stopped(quick: Bench, peer: Peer) -> Bench:
    """A bench on which one resident was enrolled; its daemon has ended."""
    quick.enrolled("One", "11", None)
    assert quick.stop() == 0
    return quick


def test_nothing_of_the_vault_is_left_and_cards_go_on(stopped: Bench, tmp_path: Path) -> None:
    body = destroyed(stopped.root, tmp_path / "statement.json")["destruction"]
    assert (body["key_provider"], body["templates"], body["image_of_medium_opens"]) == ("file", 1, True)
    assert "key file" in body["does_not_prove"] and "flash" in body["does_not_prove"]
    left = {path.name for path in stopped.root.rglob("*")}
    assert not {name for name in left if name.startswith("vault.")}
    stopped.start(vision=False)
    assert stopped.tap("11")["relay"] is True
    assert stopped.status()["vault"]["state"] == "locked"
    assert stopped.count("vault-destroyed") == 1
    assert stopped.json("ledger", "verify")["ok"] is True


def test_the_statement_holds_by_its_key_and_not_when_altered(stopped: Bench, tmp_path: Path) -> None:
    statement = tmp_path / "statement.json"
    key = destroyed(stopped.root, statement)["key"]
    checked = gatevault("certificate", "verify", statement, "--key", key, "--json")
    assert checked.returncode == 0 and json.loads(checked.stdout)["signed"][0]["kind"] == "destruction"
    statement.write_text(statement.read_text().replace('"templates": 1', '"templates": 0'))
    assert gatevault("certificate", "verify", statement, "--key", key).returncode == 1


def test_the_stopped_ledger_verifies_before_and_after(stopped: Bench, tmp_path: Path) -> None:
    for _ in range(2):
        ended = gatevault("ledger", "verify", "--offline", "--state", stopped.root, "--json")
        assert ended.returncode == 0 and json.loads(ended.stdout)["ok"] is True
        if (stopped.root / "vault.db").exists():
            destroyed(stopped.root, tmp_path / "statement.json")


def test_a_broken_ledger_is_found_without_a_daemon(stopped: Bench) -> None:
    with closing(sqlite3.connect(stopped.root / "ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE entries SET header = (SELECT header FROM entries WHERE i = 0) WHERE i = 1")
    ended = gatevault("ledger", "verify", "--offline", "--state", stopped.root, "--json")
    assert ended.returncode == 1 and json.loads(ended.stdout)["ok"] is False


def test_while_a_daemon_runs_or_for_another_device_it_is_refused(quick: Bench, peer: Peer) -> None:
    for device, status, word in ((device_of(quick.root), 1, "stop it first"), ("gv-0", 2, "nothing was destroyed")):
        ended = gatevault("vault", "destroy", device, "--state", quick.root)
        assert ended.returncode == status and word in ended.stderr
    ended = gatevault("ledger", "verify", "--offline", "--state", quick.root)
    assert ended.returncode == 1 and "stop it first" in ended.stderr
    assert (quick.root / "vault.db").exists() and quick.vault_key.exists()


def test_a_second_call_has_nothing_to_destroy(stopped: Bench, tmp_path: Path) -> None:
    destroyed(stopped.root, tmp_path / "statement.json")
    ended = gatevault("vault", "destroy", device_of(stopped.root), "--state", stopped.root)
    assert ended.returncode == 1 and "already" in ended.stderr


def test_a_call_that_was_cut_short_is_gone_on_with(stopped: Bench, tmp_path: Path) -> None:
    stopped.vault_key.unlink()  # as after a power cut behind the provider's own step
    body = destroyed(stopped.root, tmp_path / "statement.json")["destruction"]
    assert body["image_of_medium_opens"] is True
    assert not (stopped.root / "vault.db").exists() and not StatePaths(stopped.root).ring.exists()


@pytest.fixture
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftTpm]:
    soft = SoftTpm(tmp_path_factory.mktemp("t"))
    yield soft
    soft.kill()


@pytest.mark.parametrize("index", [True, False], ids=["index", "plain"])
def test_with_a_tpm_the_statement_tells_what_an_image_opens(tmp_path: Path, tpm: SoftTpm, index: bool) -> None:
    root, image = tmp_path / "state", tmp_path / "image"
    plain = [] if index else ["--tpm-plain"]
    made = gatevault("init", "--bench", "--keys", "tpm2", "--tcti", tpm.tcti, *plain, "--state", root)
    assert made.returncode == 0, made.stderr
    configure(root, QUICK + f'\n[keys]\ntcti = "{tpm.tcti}"\n')
    copied(root, image)
    body = destroyed(root, tmp_path / "statement.json")["destruction"]
    assert (body["key_provider"], body["image_of_medium_opens"]) == ("tpm2", not index)
    shutil.rmtree(root)
    copied(image, root)
    bench = Bench(root)
    try:
        bench.start(vision=False)
        assert bench.status()["vault"]["state"] == ("locked" if index else "unlocked")
    finally:
        bench.close()
