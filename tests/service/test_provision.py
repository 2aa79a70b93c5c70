"""The wizard by an answer file: from nothing to a bench that opens for a card, and nothing where it fails."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gatevault.core import control
from gatevault.core.errors import NotAllowedError, StateError, StoreFullError, UsageError
from gatevault.service.config import load_settings
from gatevault.service.installer_key import key_file, signed
from gatevault.service.provision import making, sheet
from gatevault.service.provision.making import check_camera, check_place, is_made, noted, usable_boards
from gatevault.service.state import StatePaths
from tests.bench import Bench, copied, eventually, gatevault

ANSWERS = """
[gate]
name = "North \\"gate\\" <1>"
[consent]
controller = "Owners of No. 7"
contact = "porter@example.org"
[schedule]
hours = ["Mon-Sun 00:00-24:00"]
[keys]
provider = "file"
[tests]
relay = "works"
buzzer = "broken"
[assessment]
by = "Consultant Li"
date = 2026-11-20
document = "folder 7"
[sign]
text = "Face recognition. A card always opens."
date = 2026-11-21
where = "left post"
[sheet]
out = "OUT"
"""
CARD = "7001234567"
NO_CONVERTER = {**os.environ, "PATH": "/nowhere"}


def answered(folder: Path, text: str = ANSWERS) -> Path:
    file = folder / "answers.toml"
    file.write_text(text.replace("OUT", str(folder / "sheet.html")))
    return file


def provision(root: Path, answers: Path, *more: str, **how: Any) -> subprocess.CompletedProcess[str]:
    how.setdefault("env", NO_CONVERTER)
    return gatevault("provision", "--bench", "--answers", answers, "--state", root, "--json", *more, **how)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A bench that was provisioned, and what `--json` told. Tests work on copies."""
    folder = tmp_path_factory.mktemp("provisioned")
    ended = provision(folder / "state", answered(folder))
    assert ended.returncode == 0, ended.stderr
    return folder / "state", json.loads(ended.stdout)


def test_the_answers_are_in_force_and_a_card_opens(done: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    root, told = done
    assert (told["made"], told["running"], told["faces"]) == (True, True, "on")
    assert (told["tested"]["relay"], told["tested"]["buzzer"], told["tested"]["dps"]) == ("works", "broken", "skip")
    settings = load_settings(StatePaths(root).config)
    assert settings.gate.name == 'North "gate" <1>'
    assert stat.S_IMODE(StatePaths(root).installer_key.stat().st_mode) == 0o600
    bench = Bench(copied(root, tmp_path / "state")).start(vision=False)
    try:
        bench.add("Grace", CARD)
        assert bench.tap(CARD)["decision"] == "grant"
        status = bench.status()
        assert (status["site"]["faces"], status["gate"]) == ("on", 'North "gate" <1>')
        assert bench.ask(control.LedgerVerify())["problems"] == []
        kinds = [entry["type"] for entry in bench.entries()]
        assert kinds[:2] == ["state-made", "installer-admitted"]
        assert kinds.count("site-recorded") == 2
    finally:
        bench.close()


def test_the_handover_destroys_the_key_and_ends_what_it_opened(
    done: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root = copied(done[0], tmp_path / "state")
    kept = tmp_path / "kept.key"
    shutil.copy(StatePaths(root).installer_key, kept)
    bench = Bench(root).start(vision=False)
    try:
        bench.ask(signed(control.PartTest("lights"), key_file(root, None)))
        ended = gatevault("provision", "--handover", "--state", root, "--json", env=NO_CONVERTER, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        told = json.loads(ended.stdout)
        assert (told["installer"], told["key_destroyed"]) == ("ended", True)
        assert not StatePaths(root).installer_key.exists()
        assert "ended 20" in Path(tmp_path / told["sheet"]).read_text(), "the sheet tells it"
        refused = bench.refused(signed(control.PartTest("relay"), kept))
        assert isinstance(refused, NotAllowedError) and "handover" in str(refused)
        by_cli = bench.cli("installer", "test", "relay", "--installer-key", str(kept))
        assert (by_cli.returncode, by_cli.stderr.count("\n")) == (1, 1)
        new = tmp_path / "new.key"
        assert bench.cli("installer", "admit", "--out", str(new)).returncode == 0
        assert bench.cli("installer", "test", "lights", "--installer-key", str(new)).returncode == 0
        assert bench.count("installer-ended") == 1
    finally:
        bench.close()


def test_the_sheet_tells_what_was_tested_and_escapes_what_was_typed(done: tuple[Path, dict[str, Any]]) -> None:
    root, told = done
    page = (root.parent / "sheet.html").read_text()
    assert told["pdf"] is None, "and no converter was there"
    assert "North &quot;gate&quot; &lt;1&gt;" in page and "<1>" not in page
    for text in (
        "gv-",
        "buzzer DOES NOT WORK",
        "door contact",
        "folder 7",
        "left post",
        "file",
        "gatevault.local/",
        "gvk1-",
    ):
        assert text in page
    untested = page.partition("Not tested")[2].partition("</p>")[0]
    assert "door contact" in untested and "relay" not in untested
    assert "http" not in page and "<script" not in page, "nothing is fetched"
    assert "installer-v1" not in page


def test_it_may_be_run_again_and_goes_on_with_what_is_left(
    done: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root = copied(done[0], tmp_path / "state")
    device = json.loads(StatePaths(root).device.read_text())
    text = '[tests]\nrefused_led = "works"\n[sheet]\nout = "OUT"\n'
    again = provision(root, answered(tmp_path, text))
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert (told["made"], told["faces"]) == (False, "on")
    assert json.loads(StatePaths(root).device.read_text()) == device
    tested = noted(root).tested
    assert (tested["refused_led"], tested["relay"]) == ("works", "works"), "what was tested before is kept"


def test_while_a_daemon_has_the_state_its_pins_are_left_alone(
    done: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    bench = Bench(copied(done[0], tmp_path / "state")).start(vision=False)
    try:
        again = provision(bench.root, answered(tmp_path, '[tests]\nrelay = "works"\n[sheet]\nout = "OUT"\n'))
        assert again.returncode == 0, again.stderr
        assert "tested" not in json.loads(again.stdout)
        assert bench.values("relay") == []
        assert bench.up(), "and it runs on"
    finally:
        bench.close()


# --- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('provider = "file"', 'provider = "fiel"'), "keys.provider"),
        (("[consent]", "[consnt]"), "consnt.controller"),
        (('[keys]\nprovider = "file"', '[keys]\nprovider = "file"\npassphrase = "x"'), "--passphrase-stdin"),
        (("date = 2026-11-20", 'date = "soon"'), "assessment.date"),
        (("[gate]", "[gate"), "is no TOML"),
    ],
)
def test_a_wrong_answer_is_one_line_and_nothing_is_made(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    ended = provision(tmp_path / "state", answered(tmp_path, ANSWERS.replace(*change)))
    assert ended.returncode == 1
    assert told in ended.stderr and "Nothing was done" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["answers.toml"]


def test_a_weak_passphrase_is_refused(tmp_path: Path) -> None:
    answers = answered(tmp_path, ANSWERS.replace('"file"', '"passphrase"'))
    weak = provision(tmp_path / "state", answers, "--passphrase-stdin", input="short\n")
    assert (weak.returncode, (tmp_path / "state").exists()) == (2, False)
    assert "too weak" in weak.stderr


@pytest.mark.nightly
def test_a_passphrase_from_standard_input_seals_and_is_shown_nowhere(tmp_path: Path) -> None:
    answers = answered(tmp_path, ANSWERS.replace('"file"', '"passphrase"'))
    made = provision(tmp_path / "state", answers, "--passphrase-stdin", input="correct horse battery\n")
    assert made.returncode == 0, made.stderr
    assert "correct horse" not in made.stdout + made.stderr
    assert (StatePaths(tmp_path / "state").keys / "vault.passphrase").exists()


def test_a_gates_camera_that_is_not_there_stops_a_file_before_a_pin_is_touched(tmp_path: Path) -> None:
    text = ANSWERS.replace("[consent]", 'board = "pi-relay-hat"\ncamera = "v4l2:/dev/video-none"\n[consent]')
    ended = gatevault("provision", "--answers", answered(tmp_path, text), "--state", tmp_path / "gate")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("gatevault: gate.camera: /dev/video-none is not there")
    assert "relay" not in ended.stderr
    assert not (tmp_path / "gate").exists()


def test_a_gate_whose_pins_are_not_there_is_made_only_where_none_is_to_be_tested(tmp_path: Path) -> None:
    if any(Path("/dev").glob("gpiochip*")):
        pytest.skip("this machine has a GPIO chip: the relay might really click")
    text = ANSWERS.replace("[consent]", 'board = "pi-relay-hat"\ncamera = "picamera2:0"\n[consent]')
    ended = gatevault("provision", "--answers", answered(tmp_path, text), "--state", tmp_path / "gate")
    assert ended.returncode == 1 and "Nothing was changed." in ended.stderr
    assert not (tmp_path / "gate").exists()
    text = text.replace('relay = "works"', "").replace('buzzer = "broken"', "") + "\n[start]\ngate = false\n"
    made = gatevault("provision", "--answers", answered(tmp_path, text), "--state", tmp_path / "gate", "--json")
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    assert (told["bench"], told["running"], set(told["tested"].values())) == (False, False, {"skip"})
    assert load_settings(StatePaths(tmp_path / "gate").config).gate.start_vision is False
    assert "Start the gate" in made.stderr


def test_without_a_terminal_and_without_answers_it_says_so(tmp_path: Path) -> None:
    ended = gatevault("provision", "--bench", "--state", tmp_path / "state", stdin=subprocess.DEVNULL)
    assert (ended.returncode, "--answers" in ended.stderr) == (2, True)


def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path) -> None:
    """A file may have 1 MB: the network's, the largest, does not fit, as on a full disk."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    answers = answered(tmp_path)
    ended = provision(tmp_path / "state", answers, preexec_fn=limit)
    assert ended.returncode == 1, ended.stdout
    assert ended.stderr.splitlines()[-1].startswith("gatevault: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.toml"]


@pytest.mark.nightly
def test_a_wizard_that_is_killed_while_it_makes_the_state_can_be_run_again(tmp_path: Path) -> None:
    answers = answered(tmp_path)
    command = [sys.executable, "-m", "gatevault", "provision", "--bench", "--answers", str(answers)]
    wizard = subprocess.Popen(
        [*command, "--state", str(tmp_path / "state")], env=NO_CONVERTER, stderr=subprocess.DEVNULL
    )
    eventually(lambda: list(tmp_path.glob(".state.*.new/keys/installer.key")))
    wizard.send_signal(signal.SIGKILL)
    wizard.wait()
    assert not (tmp_path / "state").exists(), "half a state has no name"
    again = provision(tmp_path / "state", answers)
    assert again.returncode == 0, again.stderr
    assert not list(tmp_path.glob(".state.*")), "and what was left is gone"


def test_a_place_that_is_no_place_is_told_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    with pytest.raises(StateError, match="no state"):
        is_made(tmp_path / "full")
    assert not is_made(tmp_path / "none")
    with monkeypatch.context() as closed:
        closed.setattr(making.os, "access", lambda *_: False)
        with pytest.raises(StateError, match="sudo"):
            check_place(tmp_path / "state")
    monkeypatch.setattr(making, "ROOM_BYTES", 1 << 60)
    with pytest.raises(StoreFullError, match="make room"):
        check_place(tmp_path / "state")


def test_a_profile_with_two_roles_on_one_pin_cannot_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards = tmp_path / "boards"
    boards.mkdir()
    part = 'name = "{0}"\ndescription = "x"\n[relay]\npin = 17\n[buzzer]\npin = {1}\n'
    (boards / "good.toml").write_text(part.format("good", 5))
    (boards / "twice.toml").write_text(part.format("twice", 17))
    monkeypatch.setattr(sys.modules["gatevault.service.config"], "hardware", lambda: tmp_path)
    good, bad = usable_boards(False)
    assert good == ["good"]
    assert "pin 17 has two roles, relay and buzzer" in bad["twice"]


def test_a_camera_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not there"):
        check_camera(f"v4l2:{tmp_path}/video9", False)
    check_camera(f"v4l2:{tmp_path}/video9", True)
    check_camera("picamera2:0", False)


# --- paper ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("makes", "good"), [("%PDF-1.7 x", True), ("an error", False)])
def test_a_converter_that_is_there_makes_a_pdf_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, makes: str, good: bool
) -> None:
    tool = tmp_path / "weasyprint"
    tool.write_text(f'#!/bin/sh\nprintf %s "{makes}" > "$2"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(sheet, "CONVERTERS", {"weasyprint": sheet.CONVERTERS["weasyprint"]})
    page = tmp_path / "sheet.html"
    page.write_text("<p>x")
    assert sheet.convert(page) == (tmp_path / "sheet.pdf" if good else None)
    assert (tmp_path / "sheet.pdf").exists() is good


def test_a_document_is_hashed_where_it_is_named_as_a_file(tmp_path: Path) -> None:
    from gatevault.cli.site import hashed

    (tmp_path / "dpia.pdf").write_bytes(b"assessment")
    assert hashed("folder 7") == "folder 7"
    assert len(hashed(f"file:{tmp_path}/dpia.pdf")) == 64
    with pytest.raises(UsageError):
        hashed(f"file:{tmp_path}/none.pdf")
