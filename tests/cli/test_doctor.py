"""What `gatevault doctor` prints: on a phone's 60 columns, and in a pipe."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from gatevault.cli.doctor import show
from gatevault.service.doctor import Finding, Verdict

LONG = "a sentence that is longer than a phone is wide, with a path such as /var/lib/gatevault/keys/house.key in it"
FINDINGS = [
    Finding("ledger", Verdict.PROBLEM, f"bad [red]{LONG}", "why " + LONG, "chmod o= /x"),
    Finding("disk", Verdict.OK, "many MB are free"),
    Finding("swap", Verdict.ADVICE, "on a disk", "keys", "swapoff"),
    Finding("state", Verdict.OK),
    Finding("card wear", Verdict.UNKNOWN, "a plain card", "", "", fails=False),
    Finding("power", Verdict.WARNING, "weak", "resets", "a supply"),
]


def body() -> dict[str, Any]:
    return {"ok": False, "seconds": 1.2, "findings": [finding.body() for finding in FINDINGS]}


def on_a_phone() -> list[str]:
    screen = io.StringIO()
    show(body(), Console(file=screen, width=60, force_terminal=True, color_system=None, highlight=False))
    return screen.getvalue().splitlines()


def test_no_line_is_wider_than_a_phone_and_the_worst_is_last() -> None:
    lines = on_a_phone()
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("ok") and "disk, state" in lines[0]
    heads = [line.split("  ")[0] for line in lines if line and not line.startswith(" ")]
    assert heads[1:5] == ["advice", "unknown", "warning", "problem"]
    last = " ".join(line.strip() for line in lines[-2:])
    assert last == "not all is well (1.2 s): 1 problem, 1 warning, 1 unknown, 1 advice"
    assert "[red]" in "".join(lines), "what a check saw is no markup"


def test_in_a_pipe_each_finding_is_a_line_with_its_why_and_fix_below(capsys: pytest.CaptureFixture[str]) -> None:
    show(body(), None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok       disk         many MB are free"
    assert lines[1] == "ok       state"
    assert lines[-4] == f"problem  ledger       bad [red]{LONG}"
    assert lines[-2] == "         fix: chmod o= /x"
    assert lines[-1] == "not all is well (1.2 s): 1 problem, 1 warning, 1 unknown, 1 advice"
