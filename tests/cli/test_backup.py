"""`gatevault backup`: as an installer types it, on a full stick, with the plug pulled, on a new card."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gatevault.core import control
from gatevault.core.passphrase import typed
from gatevault.vault.backup import unpack
from tests.bench import QUICK, Bench, configure, eventually, gatevault
from tests.service.peer import Peer, shows
from tests.service.tracing import killing, need_strace

PASSPHRASE = "four words drawn by dice"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A bench with one resident who consented."""
    root = tmp_path_factory.mktemp("backup") / "state"
    assert gatevault("init", "--bench", "--state", root).returncode == 0
    configure(root, QUICK)
    bench = Bench(root).start(vision=False)
    resident = bench.add("One", "11")
    bench.ask(bench.consent(resident, "11"))
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A recovery key: its file, and its public half."""
    path = tmp_path_factory.mktemp("safe") / "recovery.key"
    made = gatevault("backup", "new-key", path, "--json")
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    body = json.loads(made.stdout)
    assert body["private"] == str(path)
    return path, body["recovery_key"]


@pytest.fixture(scope="module")
def backup(bench: Bench, key: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stick") / "gate.backup"
    body = bench.json("backup", "make", str(out), "--to", key[1])
    assert body["bytes"] == out.stat().st_size
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert names(out.parent) == ["gate.backup"]
    return out


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def restoring(backup: Path, key: tuple[Path, str], root: Path, *more: str | Path) -> list[str | Path]:
    return ["backup", "restore", backup, "--key", key[0], "--state", root, *more]


def refused(status: int, *arguments: str | Path) -> dict[str, Any]:
    ended = gatevault(*arguments, "--json")
    assert ended.returncode == status, ended
    assert "Traceback" not in ended.stderr
    body: dict[str, Any] = json.loads(ended.stdout)
    return body


def test_from_a_dead_card_to_a_new_one(bench: Bench, backup: Path, key: tuple[Path, str], tmp_path: Path) -> None:
    later = tmp_path / "later.json"
    bench.json("ledger", "export", "--out", str(later))
    done = gatevault(*restoring(backup, key, tmp_path / "new", "--later", later, "--json"))
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert (body["residents"], body["cards"], body["consents_ended"]) == (1, 1, 0)
    new = Bench(tmp_path / "new").start(vision=False)
    try:
        assert new.tap("11")["relay"] is True
        assert new.json("ledger", "verify")["ok"] is True
    finally:
        new.close()


def test_whether_there_is_a_later_ledger_must_be_said(backup: Path, key: tuple[Path, str], tmp_path: Path) -> None:
    root = tmp_path / "new"
    for options in ((), ("--later", tmp_path / "any.json", "--nothing-later")):
        body = refused(2, *restoring(backup, key, root, *options))
        assert body["error"] == "usage" and "--nothing-later" in body["message"]
    assert refused(1, *restoring(backup, key, root, "--later", tmp_path / "none.json"))["error"] == "backup"
    assert names(tmp_path) == []


def test_a_new_state_with_a_passphrase(backup: Path, key: tuple[Path, str], tmp_path: Path) -> None:
    """At once open for cards, and for faces once it was typed."""
    more = ("--nothing-later", "--keys", "passphrase", "--passphrase-stdin", "--json")
    done = gatevault(*restoring(backup, key, tmp_path / "new", *more), input=PASSPHRASE + "\n")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["all_consents_ended"] is True
    new = Bench(tmp_path / "new").start(vision=False)
    peer = Peer(new.root / "run", shows(1))
    try:
        eventually(lambda: new.status()["vision"]["state"] == "ok")
        assert new.status()["vault"]["state"] == "locked"
        resident = str(new.tap("11")["resident"])
        assert new.standing(resident) == "expired"
        new.ask(control.VaultUnlock(typed(PASSPHRASE)))
        new.ask(new.consent(resident, "11"))
        new.ask(control.Enrol(resident, None))
        assert new.walk_up()["resident"] == resident
        assert new.ask(control.LedgerVerify())["ok"]
    finally:
        peer.close()
        new.close()


def test_names_that_are_taken_and_keys_that_are_none(
    bench: Bench, backup: Path, key: tuple[Path, str], tmp_path: Path
) -> None:
    before, made = backup.read_bytes(), bench.count("backed-up")
    assert refused(2, "backup", "make", backup, "--to", key[1], "--state", bench.root)["error"] == "usage"
    assert backup.read_bytes() == before
    for wrong in ("gvr1-", key[1].upper(), key[1] + "0", str(key[0])):
        out = tmp_path / "out"
        assert refused(2, "backup", "make", out, "--to", wrong, "--state", bench.root)["error"] == "usage"
    assert refused(2, "backup", "make", tmp_path / "out", "--state", bench.root)["error"] == "usage"
    assert refused(1, "backup", "new-key", key[0])["error"] == "state"
    assert names(tmp_path) == [] and bench.count("backed-up") == made


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Path]:
    """A medium that is too small for a backup."""
    mount = tmp_path / "stick"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16k,mode=0700", "none", str(mount)]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if made.returncode != 0:
        pytest.skip(f"a small file system may not be mounted here: {made.stderr.splitlines()[0]}")
    yield mount
    subprocess.run(["umount", "--lazy", str(mount)], check=True)


def test_a_full_stick_keeps_no_part_of_a_backup(bench: Bench, key: tuple[Path, str], stick: Path) -> None:
    body = refused(1, "backup", "make", stick / "gate.backup", "--to", key[1], "--state", bench.root)
    assert body["error"] == "backup" and "No space left" in body["message"]
    assert names(stick) == []


def killed(call: str, when: int, trace: Path, *arguments: str | Path) -> bool:
    """Run a command and kill it at its n-th such call; whether it came to that."""
    program = [sys.executable, "-m", "gatevault", *map(str, arguments)]
    traced = [need_strace(), "-f", "-qq", "-o", str(trace), *killing(call, when), *program]
    ended = subprocess.run(traced, capture_output=True, check=False, timeout=120)
    assert ended.returncode in (0, -signal.SIGKILL, 128 + signal.SIGKILL), ended.stderr
    return ended.returncode != 0


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_killed_as_it_writes_there_is_no_backup(
    bench: Bench, key: tuple[Path, str], tmp_path: Path, call: str
) -> None:
    out = tmp_path / "stick" / "gate.backup"
    out.parent.mkdir()
    make = ("backup", "make", out, "--to", key[1], "--state", bench.root)
    assert killed(call, 1, tmp_path / "trace", *make)
    assert not out.exists()
    assert gatevault(*make).returncode == 0
    assert names(out.parent) == ["gate.backup"]
    unpack(out.read_bytes(), key[0])


KILLS = [
    ("pwrite64", 1),
    ("pwrite64", 20),
    ("unlink", 1),
    ("fsync", 3),
    ("fsync", 9),
    ("fdatasync", 4),
    ("rename", 2),
]


@pytest.mark.parametrize(("call", "when"), KILLS)
def test_killed_as_it_restores_there_is_no_state_and_the_next_try_makes_one(
    backup: Path, key: tuple[Path, str], tmp_path: Path, call: str, when: int
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    command = restoring(backup, key, place / "state", "--nothing-later")
    assert killed(call, when, tmp_path / "trace", *command), "it was over before"
    assert "state" not in names(place)
    assert len(names(place)) == 1, "a draft is left, with keys in it"
    assert gatevault(*command).returncode == 0
    assert names(place) == ["state"], "and was swept away"


def test_what_another_command_is_making_is_not_swept_away(
    backup: Path, key: tuple[Path, str], tmp_path: Path
) -> None:
    left, alike = tmp_path / ".state.0123abcd.new", tmp_path / ".state.mine.new"
    for folder in (left, alike):
        folder.mkdir()
    handle = os.open(left, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        assert gatevault(*restoring(backup, key, tmp_path / "state", "--nothing-later")).returncode == 0
        assert names(tmp_path) == [left.name, alike.name, "state"]
    finally:
        os.close(handle)
