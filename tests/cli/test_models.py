"""`gatevault models`: a list for people and for programs, and adding a file."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gatevault.core.models import DLIB, ModelSettings, model_name
from gatevault.service.catalogue import known_models
from gatevault.service.config import load_settings
from gatevault.service.state import StatePaths
from gatevault.vision.weights import EMBEDDER, package_folder
from tests.bench import gatevault


@pytest.fixture
def state(tmp_path: Path) -> Path:
    root = tmp_path / "state"
    assert gatevault("init", "--bench", "--state", root).returncode == 0
    return root


def test_a_fresh_state_has_dlibs_network_and_uses_it(state: Path) -> None:
    there = state / "models" / DLIB.file
    assert hashlib.sha256(there.read_bytes()).hexdigest() == DLIB.sha256
    told = gatevault("models", "list", "--state", state)
    assert told.returncode == 0
    for known in known_models():
        (line,) = [line for line in told.stdout.splitlines() if line.startswith(known.name)]
        assert ("in use" in line) is (known.sha256 == DLIB.sha256)
        assert known.licence in line
    assert "read, not measured by us" in told.stdout
    body = json.loads(gatevault("models", "list", "--state", state, "--json").stdout)
    assert [model["sha256"] for model in body["models"] if model["in_use"]] == [DLIB.sha256]


def test_dlibs_own_file_is_known_and_converted(state: Path) -> None:
    shutil.rmtree(state / "models")
    told = gatevault("models", "add", package_folder() / EMBEDDER, "--use", "--state", state, "--json")
    assert told.returncode == 0, told.stderr
    body = json.loads(told.stdout)
    assert (body["file"], body["sha256"], body["dimension"]) == (DLIB.file, DLIB.sha256, 128)
    assert model_name(load_settings(StatePaths(state).config).models) == model_name(ModelSettings())


def test_who_must_enrol_again_is_counted(state: Path) -> None:
    """Rows of the model in use stay; all others are counted, without opening any."""
    with closing(sqlite3.connect(state / "vault.db", isolation_level=None)) as rows:
        for number, name in enumerate((model_name(ModelSettings()), "ab" * 32, "cd" * 32)):
            rows.execute("INSERT INTO templates VALUES (?, ?, x'00')", (bytes([number]) * 16, bytes.fromhex(name)))
    before = sorted(path.name for path in state.iterdir())
    told = gatevault("models", "add", package_folder() / EMBEDDER, "--use", "--state", state, "--json")
    assert json.loads(told.stdout)["enrol_again"] == 2
    assert sorted(path.name for path in state.iterdir()) == before, "no log of SQLite is left, of whatever owner"


def test_what_is_refused_is_told_in_one_line(state: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("no network")
    before = (state / "config.toml").read_text()
    for more, code in (
        ((), 2),
        (("--kind", "sface"), 1),
        (("--kind", "dlib", "--use"), 1),
        (("--use", "--fuse"), 2),
    ):
        ended = gatevault("models", "add", text, *more, "--state", state, "--json")
        assert ended.returncode == code, ended
        assert ended.stderr.count("\n") == 1 and "error" in json.loads(ended.stdout)
    assert gatevault("models", "add", text, "--kind", "insightface", "--state", state).returncode == 2
    assert gatevault("models", "list", "--state", tmp_path / "none").returncode == 1
    assert (state / "config.toml").read_text() == before
    assert [path.name for path in (state / "models").iterdir()] == [DLIB.file]
