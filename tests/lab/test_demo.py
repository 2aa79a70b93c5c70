"""The demo is a test of the whole path: real daemon, real vision, real stores, faces of two people."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from gatevault.cli.app import app
from gatevault.devices.trace import Edge
from gatevault.lab import demo
from gatevault.lab.demo import StoryError, play
from gatevault.lab.timeline import OPENED, REFUSED, Timeline
from gatevault.vision.frame import Pixels

Pair = tuple[Pixels, Pixels]


def test_the_story_is_as_told(portraits: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    body = play(as_json=True)
    assert body["ok"] is True, body
    assert capsys.readouterr().out == ""
    steps = {step["step"]: step for step in body["steps"]}
    assert [step["ended"] for step in body["steps"]].count(OPENED) == 4
    assert steps["The resident walks up"]["reason"] == "matched"
    assert steps["The resident walks up"]["frames"] >= 3
    assert steps["A print of the same face"]["reason"] == "not-live"
    assert steps["A stranger walks up"]["reason"] == "no-match"
    assert steps["Consent is withdrawn"]["templates"] == 0
    assert steps["The same face walks up again"]["reason"] == "no-consent"
    relay = [edge for edge in body["edges"] if edge["part"] == "relay"]
    assert [edge["on"] for edge in relay] == [True, False] * 4
    assert all(edge["was_on_s"] > 0 for edge in relay[1::2])
    json.dumps(body)


def test_a_step_that_goes_otherwise_ends_the_demo(portraits: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stranger is enrolled in the resident's place: the walk-up is refused, and the demo fails and says so."""
    monkeypatch.setattr(demo.Story, "_enrol", _enrol_the_stranger)
    result = CliRunner().invoke(app, ["demo", "--json"])
    assert result.exit_code == 1
    body = json.loads(result.stdout)
    assert body["ok"] is False
    assert "the resident was refused: no-match" in body["error"]
    assert body["steps"][-1]["ended"] == "failed"


def _enrol_the_stranger(story: demo.Story) -> demo.Told:
    answer = story._bench.call("enrol", story._resident, "--camera", story._cameras["stranger"])
    return "enrolled", answer


def test_expectations_that_fail_say_which() -> None:
    demo._expect(True, "nothing")
    with pytest.raises(StoryError, match="the door fell off"):
        demo._expect(False, "the door fell off")


def test_the_timeline_tells_steps_and_edges_in_order() -> None:
    out = io.StringIO()
    timeline = Timeline(Console(file=out, width=100, highlight=False))
    start = timeline._began
    trace = [
        Edge(start + 1_000_000_000, 1, "relay", 17, 1),
        Edge(start + 1_100_000_000, 1, "buzzer", 25, 1),
        Edge(start + 4_000_000_000, 1, "relay", 17, 0),
    ]
    timeline.step(start, "Somebody walks up", REFUSED, "deny: no-match", {"reason": "no-match"})
    timeline.pins(trace, start + 2_000_000_000)
    assert timeline.is_on("relay")
    timeline.pins(trace, start + 5_000_000_000)
    assert not timeline.is_on("relay")
    assert [edge["on"] for edge in timeline.edges] == [True, False]
    assert timeline.edges[1]["was_on_s"] == 3.0
    assert timeline.rises("relay", start, trace) == 1
    assert timeline.rises("relay", start + 2_000_000_000, trace) == 0
    lines = out.getvalue().splitlines()
    assert "Somebody walks up" in lines[0]
    assert "deny: no-match" in lines[0]
    assert "relay off, after 3.00 s" in lines[2]
    assert "buzzer" not in out.getvalue()
