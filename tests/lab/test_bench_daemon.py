"""A bench of one's own: it starts, answers, refuses in the command's words, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatevault.core.errors import GateVaultError
from gatevault.lab.bench_daemon import Bench, RefusedError


def test_a_bench_runs_and_is_gone() -> None:
    with Bench() as bench:
        state, pid = bench.state, bench.pid
        assert pid is not None
        status = bench.call("status")
        assert status["bench"] is True
        vision = status["vision"]["pid"]
        resident = bench.call("resident", "add", "Somebody")["resident"]
        with pytest.raises(RefusedError, match="not consented") as refused:
            bench.call("enrol", resident, "--camera", "dir:nowhere")
        assert refused.value.code == "no-consent"
        bench.call("card", "add", resident, "77")
        assert bench.call("tap", "77")["relay"] is True
        assert [edge.value for edge in bench.edges() if edge.role == "relay"] == [1]
        with pytest.raises(GateVaultError, match="no-such-command"):
            bench.call("no-such-command")
    assert not state.parent.exists()
    for process in (pid, vision):
        assert not Path(f"/proc/{process}").exists()
    assert bench.pid is None


def test_a_daemon_that_does_not_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    make = bench.call

    def spoil(*arguments: str) -> dict[str, object]:
        answer = make(*arguments)
        (bench.state / "config.toml").write_text("[gate]\nbord = 1\n")
        return answer

    monkeypatch.setattr(bench, "call", spoil)
    with pytest.raises(GateVaultError, match=r"ended at its start: .*bord"), bench:
        pass
    assert not bench.state.exists()
