"""`gatevault evaluate` as people type it, and the page that it writes."""

from __future__ import annotations

import json
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from gatevault.cli.app import app
from gatevault.core.calibration import unpack
from gatevault.core.errors import GateVaultError
from gatevault.lab import end_to_end, page
from tests.bench import gatevault
from tests.lab.people import groups, write

FEW = ("--residents", "60", "--draws", "2")


def evaluate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def answered(*arguments: str | Path) -> dict[str, Any]:
    result = evaluate(*arguments, "--json")
    assert result.exit_code == 0, result.output
    body: dict[str, Any] = json.loads(result.stdout)
    return body


def refused(*arguments: str | Path) -> str:
    """A command that was typed wrongly: what it says, in one line and in its JSON."""
    result = evaluate(*arguments, "--json")
    assert result.exit_code == 2
    body = json.loads(result.stdout)
    assert body["error"] == "usage"
    assert f"gatevault: {body['message']}\n" in result.stderr
    return str(body["message"])


class Words(HTMLParser):
    """The text and the elements of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.elements: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_it_answers_with_one_object(theirs: Path) -> None:
    body = answered(theirs / "people.npz", *FEW, "--model", "fused", "--fpir", "0.01")
    assert (body["model"], body["residents"], body["fpir"]) == ("fused", 60, 0.01)
    assert body["shipped"]["fpir_asked"] == 0.01
    assert body["left_out"] > 0
    assert len(body["det"]) > 10


def test_people_read_lines_without_the_curve(theirs: Path) -> None:
    result = evaluate(theirs / "people.npz", *FEW)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "model: dlib" in lines
    assert "det:" not in lines


def test_by_group_it_answers_for_each(theirs: Path) -> None:
    body = answered(theirs / "groups.npz", "--by-group", "--fmr", "0.001", "--residents", "50")
    assert set(body["groups"]) == {"crowded", "middle", "wide"}
    assert (body["worst"], body["fmr_asked"], body["estate"]["residents"]) == ("crowded", 0.001, 50)


def test_a_calibration_of_ones_own_is_written(theirs: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.cal"
    body = answered(theirs / "people.npz", *FEW, "--fit", "--calibration", own)
    assert unpack(own.read_bytes()).threshold(60, 1, 0.001) < 1.0
    assert body["fitted"]["fpir"] <= 0.05


def test_a_wrong_file_ends_with_two(theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "no.npz").write_text("no archive")
    assert "does not read as a set" in refused(tmp_path / "no.npz")
    assert "does not read as a set" in refused(tmp_path / "none.npz")
    assert "no identity" in refused(theirs / "groups.npz")
    assert "no group" in refused(theirs / "people.npz", "--by-group")
    assert "--fit" in refused(theirs / "people.npz", *FEW, "--calibration", tmp_path / "own.cal")
    assert "no folders of photographs" in refused(tmp_path)


@pytest.mark.parametrize("wrong", [("--fpir", "0"), ("--residents", "0"), ("--model", "other"), ("--frames", "31")])
def test_figures_out_of_range_end_with_two(wrong: tuple[str, str], theirs: Path) -> None:
    assert evaluate(theirs / "people.npz", *wrong).exit_code == 2


def test_the_command_itself_says_it_in_one_line(tmp_path: Path) -> None:
    ended = gatevault("evaluate", tmp_path / "none.npz", "--json")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert json.loads(ended.stdout)["error"] == "usage"


def test_walking_up_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same folder, but from end to end (test_end_to_end)."""
    asked: list[tuple[Path, int | None]] = []

    def walked(path: Path, residents: int | None, say: Any) -> dict[str, Any]:
        asked.append((path, residents))
        return {"health": "ok"}

    monkeypatch.setattr(end_to_end, "end_to_end", walked)
    assert answered(tmp_path, "--walk-up", "--residents", "2") == {"health": "ok"}
    assert asked == [(tmp_path, 2)]


def test_a_page_has_a_plot_and_names_the_model(theirs: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    folder = tmp_path / "a" / "page"
    body = answered(theirs / "people.npz", *FEW, "--model", "mobilefacenet", "--fit", "--page", folder)
    assert body["page"] == str(folder)
    plot = (folder / "det.png").read_bytes()
    assert plot.startswith(b"\x89PNG\r\n\x1a\n")
    height, width, _ = cv2.imdecode(np.frombuffer(plot, np.uint8), cv2.IMREAD_COLOR).shape
    assert (width, height) == (840, 720)
    assert 10_000 < len(plot) < 1_000_000
    words = Words((folder / "evaluation.html").read_text(encoding="utf-8"))
    text = " ".join(words.text)
    assert "How often mobilefacenet is wrong among 60 residents" in text
    assert words.elements.count("img") == 1
    assert {"shipped", "fitted", "10000"} <= set(words.text)


def test_a_page_by_group_needs_no_plot(theirs: Path, tmp_path: Path) -> None:
    answered(theirs / "groups.npz", "--by-group", "--page", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation.html"]
    words = Words((tmp_path / "evaluation.html").read_text(encoding="utf-8"))
    assert "How often dlib is wrong within groups of people" in words.text
    assert {"crowded", "middle", "wide"} <= set(words.text)


def test_a_groups_name_is_text_whatever_it_holds(theirs: Path, tmp_path: Path) -> None:
    data = groups(2)
    name = "<script>&amp;"
    data["group"] = np.where(data["group"] == "wide", name, data["group"].astype("U20"))
    answered(write(tmp_path / "named.npz", data), "--by-group", "--page", tmp_path)
    html = (tmp_path / "evaluation.html").read_text(encoding="utf-8")
    words = Words(html)
    assert "script" not in words.elements
    assert name in "".join(words.text)
    assert "&lt;script&gt;&amp;amp;" in html


def test_a_page_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GateVaultError, match="cannot be written"):
        page.write({"model": "dlib", "groups": {}}, tmp_path / "file")


def test_a_curve_without_any_error_is_plotted_too(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    none = {"fpir": 0.0, "fnir": 0.0}
    body = {"model": "dlib", "det": [[0.001, 0.0], [0.5, 0.0]], "shipped": none, "residents": 5, "frames": 1}
    page.plot({**body, "draws": 1}, tmp_path / "det.png")
    assert (tmp_path / "det.png").stat().st_size > 5_000


def test_without_matplotlib_the_plot_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(GateVaultError, match="matplotlib"):
        page.plot({}, tmp_path / "det.png")
