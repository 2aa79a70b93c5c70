"""`doctor` beside a real daemon: what it reports of itself, and what a killed process leaves."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatevault.core.wire import CameraOpen, Look, LookDone, LookEnd
from gatevault.service.doctor import examine
from gatevault.service.doctor.probe import Probe
from gatevault.service.doctor.sandbox import read
from tests.bench import Bench, eventually
from tests.service.peer import Peer, Script, shows

Seeing = Callable[[Bench, Script], Peer]


def told(bench: Bench, check: str) -> list[dict[str, Any]]:
    return [finding for finding in examine(bench.root)["findings"] if finding["check"] == check]


def test_a_running_bench_from_the_last_look_to_the_kernels_own_word(quick: Bench, seeing: Seeing) -> None:
    quick.start(vision=False)
    peer = seeing(quick, shows(1))
    quick.enrolled("One", "11", None)
    assert examine(quick.root)["ok"] is True
    facts = read(Probe(), quick.pid)
    assert facts is not None
    assert facts["truth"].no_new_privileges and facts["truth"].filters >= 1
    assert (facts["core"], facts["swapped_kb"]) == (("0", "0"), 0)
    assert told(quick, "sandbox daemon")[0]["verdict"] == "ok"
    assert told(quick, "sandbox vision") == [], "this test is its vision, and no daemon's child"
    look = quick.status()["vision"]["last_look"]
    assert look["frames"] == 4 and look["error"] == ""

    def fails(look: Look) -> list[Any]:
        return [CameraOpen(look.nonce), LookDone(look.nonce, LookEnd.CAMERA, 0, 0, 50, "the camera is gone")]

    peer.script = fails
    quick.walk_up()
    (camera,) = told(quick, "camera")
    assert camera["verdict"] == "problem" and "the camera is gone" in camera["what"]
    peer.script = shows(1)
    assert quick.walk_up()["relay"] is True
    assert told(quick, "camera")[0]["verdict"] == "ok"


def test_who_may_not_look_into_the_state_is_told_so_and_asks_the_daemon_all_the_same(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An admin of a gate is not its user: the state directory is of mode 0700, the control socket theirs."""

    for name in ("stat", "open"):
        real = getattr(Path, name)

        def closed(path: Path, *more: Any, real: Any = real, **others: Any) -> Any:
            if state in path.parents:
                raise PermissionError(13, "Permission denied")
            return real(path, *more, **others)

        monkeypatch.setattr(Path, name, closed)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    found = {finding["check"]: finding for finding in examine(state)["findings"]}
    for check in ("state", "config", "permissions"):
        assert (found[check]["verdict"], found[check]["fix"]) == ("unknown", "Run it as root.")
    assert found["daemon"]["verdict"] == "problem", "none runs: it was looked for in /run/gatevault"


def test_with_the_daemon_killed_and_files_open_to_all(quick: Bench) -> None:
    quick.start(vision=False)
    quick.kill9()
    quick.paths.ledger.chmod(0o644)
    (daemon,) = told(quick, "daemon")
    assert daemon["verdict"] == "problem" and "gatevault run" in daemon["fix"]
    (permissions,) = told(quick, "permissions")
    assert permissions["fix"] == f"chmod o= {quick.paths.ledger}"
    quick.paths.ledger.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert told(quick, "permissions")[0]["verdict"] == "ok"


def test_a_vision_that_is_killed_is_told_and_comes_back(bench: Bench) -> None:
    bench.start()
    os.kill(int(bench.status()["vision"]["pid"]), signal.SIGKILL)
    seen = eventually(lambda: [one for one in told(bench, "vision") if one["verdict"] == "problem"])
    assert seen[0]["why"] and seen[0]["fix"]
    eventually(lambda: told(bench, "vision")[0]["verdict"] == "ok", 60)
