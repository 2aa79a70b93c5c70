"""Every command as people type it: one JSON object with --json, errors in one line, exit status 0, 1 or 2."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from gatevault.cli.app import app
from tests.bench import QUICK, Bench, configure, eventually, gatevault
from tests.service.peer import Peer, shows

NOBODY = "r-0000000000000000"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A bench made by the command, its daemon, and a made-up vision that sees person 1."""
    root = tmp_path_factory.mktemp("cli") / "state"
    made = gatevault("init", "--bench", "--name", "north gate", "--state", root, "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout) == {
        "state": str(root),
        "device": json.loads((root / "device.json").read_text())["device"],
        "bench": True,
        "keys": "file",
    }
    configure(root, QUICK)
    bench = Bench(root).start(vision=False)
    peer = Peer(root / "run", shows(1))
    eventually(lambda: bench.status()["vision"]["state"] == "ok")
    yield bench
    peer.close()
    bench.close()


def fails(bench: Bench, status: int, *arguments: str) -> dict[str, Any]:
    """A command that is refused: its JSON; one line for people with the same words; its exit status."""
    ended = bench.cli(*arguments, "--json")
    assert ended.returncode == status, (arguments, ended)
    body: dict[str, Any] = json.loads(ended.stdout)
    assert set(body) == {"error", "message"}
    lines = [line for line in ended.stderr.splitlines() if line.startswith("gatevault: ")]
    assert lines == [f"gatevault: {body['message']}"]
    assert "Traceback" not in ended.stderr
    return body


def wrong_usage(*arguments: str | Path) -> None:
    ended = gatevault(*arguments)
    assert ended.returncode == 2, (arguments, ended)
    assert "Traceback" not in ended.stderr
    assert "Usage" in ended.stderr + ended.stdout


def test_the_story_by_commands(bench: Bench) -> None:
    """Each command once where it succeeds, in the order of a life."""
    resident = bench.json("resident", "add", "林 One", "--born", "1990-04")["resident"]
    assert bench.json("card", "add", resident, "11") == {"resident": resident, "card": "added"}
    assert bench.json("card", "add", resident, "12")["card"] == "added"
    assert bench.json("card", "remove", "12") == {"resident": resident, "card": "removed"}
    given = bench.cli("consent", "give", resident, "--notice", "zh", "--tap", "11", "--json")
    assert given.returncode == 0
    assert json.loads(given.stdout)["receipt"].startswith("c-")
    assert "人脸" in given.stderr, "the notice is shown, on standard error"
    assert bench.json("consent", "show", resident)["standing"] == "live"
    assert bench.json("enrol", resident, "--camera", "dir:unused")["captures"] >= 1
    walked = bench.json("walk-up", "--camera", "dir:unused")
    assert (walked["decision"], walked["reason"], walked["resident"]) == ("grant", "matched", resident)
    assert set(walked) == {"decision", "reason", "resident", "relay", "frames", "latency_ms"}
    tapped = bench.json("tap", "11")
    assert set(tapped) == set(walked) and tapped["reason"] == "card"
    denied = bench.cli("tap", "99", "--json")
    assert denied.returncode == 0, "a tap that is denied was done"
    assert json.loads(denied.stdout)["reason"] == "unknown-card"
    shown = bench.json("resident", "show", resident)
    assert (shown["name"], shown["born"], shown["template"]) == ("林 One", "1990-04", "active")
    assert bench.json("resident", "export", resident)["receipts"]
    assert bench.json("door", "unlock") == {"door": "held", "relay": True}
    assert bench.json("door", "lock") == {"door": "locked", "relay": False}
    assert bench.json("purge", resident)["certificate"]["certificate"]["event"] == "purged"
    assert bench.json("consent", "withdraw", resident)["certificate"]["signature"]
    assert bench.json("status")["health"] == "ok"
    verified = bench.json("ledger", "verify")
    assert verified["ok"] is True
    assert set(verified) == {"ok", "entries", "checkpoint", "key", "problems", "unmatched_faces"}
    assert len(bench.json("ledger", "export")["entries"]) >= verified["entries"]
    assert bench.json("resident", "remove", resident)["resident"] == resident


def test_doctor_finds_nothing_wrong_with_a_healthy_bench(bench: Bench) -> None:
    seen = bench.cli("doctor", "--json")
    body = json.loads(seen.stdout)
    wrong = [finding for finding in body["findings"] if finding["fails"]]
    assert all(finding["check"] in ("disk",) for finding in wrong), wrong
    assert seen.returncode == (0 if not wrong else 1)
    assert body["seconds"] < 20


def test_refusals(bench: Bench) -> None:
    resident = bench.add("Two", "22")
    for arguments, code in (
        (("resident", "show", NOBODY), "not-found"),
        (("resident", "export", NOBODY), "not-found"),
        (("resident", "remove", NOBODY), "not-found"),
        (("card", "add", NOBODY, "33"), "not-found"),
        (("card", "add", resident, "22"), "conflict"),
        (("card", "remove", "33"), "not-found"),
        (("consent", "give", NOBODY, "--notice", "en", "--tap", "22"), "not-found"),
        (("consent", "give", resident, "--notice", "en", "--tap", "99"), "no-consent"),
        (("consent", "show", resident), "not-found"),
        (("consent", "withdraw", resident), "no-consent"),
        (("consent", "withdraw", NOBODY), "not-found"),
        (("enrol", resident, "--camera", "dir:unused"), "no-consent"),
        (("enrol", NOBODY, "--camera", "dir:unused"), "not-found"),
        (("purge", resident), "not-found"),
        (("purge", NOBODY), "not-found"),
    ):
        assert fails(bench, 1, *arguments)["error"] == code, arguments


def test_wrong_usage_exits_with_two(bench: Bench) -> None:
    for arguments in (
        ("resident", "show", "One"),
        ("purge", "*"),
        ("enrol", ""),
        ("consent", "withdraw", "r-1"),
        ("resident", "add", ""),
        ("resident", "add", "x" * 121),
        ("resident", "add", "One", "--born", "1990"),
        ("resident", "add", "One", "--born", "1990-13"),
        ("card", "add", NOBODY, "!!"),
        ("tap", "!!"),
    ):
        assert fails(bench, 2, *arguments)["error"] == "usage", arguments
    for typed in (
        ("no-such-command",),
        ("resident",),
        ("resident", "add"),
        ("status", "--no-such-option"),
        ("consent", "give", NOBODY),
        ("consent", "give", NOBODY, "--notice", "fr"),
        ("ledger", "export", "--no-such-option"),
        ("init", "--keys", "paper"),
    ):
        wrong_usage(*typed)


def test_what_is_printed_for_people_has_no_braces(bench: Bench) -> None:
    for arguments in (("status",), ("ledger", "verify"), ("tap", "99")):
        told = bench.cli(*arguments)
        assert told.returncode == 0
        assert told.stdout and "{" not in told.stdout
    assert "health: ok" in bench.cli("status").stdout


def test_without_a_daemon_every_command_says_so_in_one_line(tmp_path: Path) -> None:
    root = tmp_path / "state"
    assert gatevault("init", "--bench", "--state", root).returncode == 0
    quiet = Bench(root)
    for arguments in (
        ("status",),
        ("resident", "show", NOBODY),
        ("consent", "give", NOBODY, "--notice", "en"),
        ("ledger", "export"),
        ("walk-up",),
    ):
        assert fails(quiet, 1, *arguments)["error"] == "daemon-down"
    assert json.loads(gatevault("doctor", "--state", root, "--json").stdout)["ok"] is False


def test_without_a_state(tmp_path: Path) -> None:
    nowhere = Bench(tmp_path / "none")
    for arguments in (("run",), ("status",), ("ledger", "verify")):
        assert fails(nowhere, 1, *arguments)["error"] == "state"
    ended = gatevault("status", env={"GATEVAULT_STATE": str(tmp_path / "elsewhere"), "PATH": "/usr/bin:/bin"})
    assert ended.returncode == 1 and "elsewhere" in ended.stderr


def test_init_makes_a_state_or_nothing(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    assert fails(Bench(taken), 1, "init", "--bench")["error"] == "state"
    assert [path.name for path in taken.iterdir()] == ["mine.txt"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert gatevault("init", "--bench", "--state", empty).returncode == 0
    keys = (empty / "keys" / "vault.key").read_bytes()
    assert fails(Bench(empty), 1, "init", "--bench")["error"] == "state"
    assert (empty / "keys" / "vault.key").read_bytes() == keys, "no key is ever replaced"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "taken"]
    for path in (empty, *empty.rglob("*")):
        if path.name == "models" or path.parent.name == "models":  # for vision, another user
            assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)
            continue
        assert path.stat().st_mode & 0o007 == 0, path


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    subcommands = getattr(command, "commands", None)
    if not subcommands:
        yield path, command
        return
    for name, inner in subcommands.items():
        yield from _commands(inner, (*path, name))


def test_every_command_takes_json_and_all_but_the_lab_a_state() -> None:
    found = dict(_commands(get_command(app)))
    assert {("status",), ("walk-up",), ("tap",), ("ledger", "verify"), ("consent", "give")} <= set(found)
    for path, command in found.items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--json" in options, path
        if path[0] not in ("demo", "evaluate", "bench", "simulate", "threshold") and path != ("backup", "new-key"):
            assert "--state" in options, path
