"""The list of models, adding a file to a state, and the lines that it writes into config.toml."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatevault.core.errors import ConfigError, ConflictError, ModelError, StateError, UsageError
from gatevault.core.models import DLIB, Detector, DetectorKind, Embedder, EmbedderKind, ModelSettings, model_name
from gatevault.service import catalogue, models
from gatevault.service.catalogue import add, config_lines, known_models, listing
from gatevault.service.config import load_settings, with_models
from gatevault.service.making import make_state
from gatevault.service.models import Trial, make_folder, problem, put, stored_name
from gatevault.service.state import StatePaths

YUNET = Detector(DetectorKind.YUNET, "yunet.onnx", "ab" * 32)
MOBILEFACENET = Embedder(EmbedderKind.MOBILEFACENET, "mobile.onnx", "cd" * 32)
FUSED = ModelSettings(YUNET, (DLIB, MOBILEFACENET))
UNKNOWN = b"some network"


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatePaths:
    """A state without dlib's network, where every file is what it is said to be."""
    monkeypatch.setattr("gatevault.service.making.make_folder", lambda folder: folder.mkdir())
    monkeypatch.setattr(catalogue.models, "make_folder", lambda folder: folder.mkdir(exist_ok=True))
    monkeypatch.setattr(catalogue.models, "trial", lambda kind, file: Trial(128, 90))
    root = tmp_path / "state"
    make_state(root, bench=True, keys="file", name="bench", board=None)
    return StatePaths(root)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some network.onnx"
    path.write_bytes(UNKNOWN)
    return path


# --- the list ------------------------------------------------------------------------------------


def test_each_known_model_names_its_licence_and_says_whose_its_figure_is() -> None:
    known = known_models()
    assert len({model.name for model in known}) == len(known)
    hashes = [sha256 for model in known for sha256 in (model.sha256, model.source_sha256) if sha256]
    assert len(set(hashes)) == len(hashes)
    for model in known:
        assert model.kind in catalogue.KINDS
        assert model.licence and model.note
        assert (model.file is None) is (model.sha256 is None) is (model.size is None)
        if model.sha256 and model.file and model.kind != "yunet":
            Embedder(EmbedderKind(model.kind), model.file, model.sha256)
    default = next(model for model in known if model.sha256 == DLIB.sha256)
    assert default.file == DLIB.file


def test_what_is_present_and_what_is_in_use(paths: StatePaths, file: Path) -> None:
    body = listing(paths)
    assert not any(model["present"] for model in body["models"])
    assert body["others"] == []
    add(paths, file, "mobilefacenet", use=True, fuse=False)
    sha256 = hashlib.sha256(UNKNOWN).hexdigest()
    assert listing(paths)["others"] == [{"file": "some-network.onnx", "sha256": sha256, "in_use": True}]


def test_there_must_be_a_state(tmp_path: Path, file: Path) -> None:
    with pytest.raises(StateError):
        listing(StatePaths(tmp_path / "none"))
    with pytest.raises(StateError):
        add(StatePaths(tmp_path / "none"), file, "sface", use=False, fuse=False)


# --- adding --------------------------------------------------------------------------------------


def test_an_unknown_file_needs_a_kind_and_is_called_not_measured(paths: StatePaths, file: Path) -> None:
    with pytest.raises(UsageError, match=hashlib.sha256(UNKNOWN).hexdigest()):
        add(paths, file, None, use=False, fuse=False)
    assert list(paths.models.iterdir()) == []
    before = paths.config.read_text()
    body = add(paths, file, "sface", use=False, fuse=False)
    assert (body["kind"], body["file"], body["lfw"]) == ("sface", "some-network.onnx", "not measured by us")
    assert (paths.models / "some-network.onnx").read_bytes() == UNKNOWN
    assert (paths.models / "some-network.onnx").stat().st_mode & 0o777 == 0o644
    assert paths.config.read_text() == before
    assert tomllib.loads("\n".join(body["config"]))["models"]["embedders"][0]["sha256"] == body["sha256"]


def test_a_file_that_does_not_run_is_not_kept(
    paths: StatePaths, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(kind: str, path: Path) -> Trial:
        raise ModelError("it is no network.")

    monkeypatch.setattr(catalogue.models, "trial", refuses)
    before = paths.config.read_text()
    with pytest.raises(ModelError):
        add(paths, file, "sface", use=True, fuse=False)
    assert list(paths.models.iterdir()) == []
    assert paths.config.read_text() == before


def test_another_file_of_the_same_name_is_not_replaced(paths: StatePaths, file: Path) -> None:
    add(paths, file, "sface", use=False, fuse=False)
    add(paths, file, "sface", use=False, fuse=False)
    file.write_bytes(b"another")
    with pytest.raises(ConflictError):
        add(paths, file, "sface", use=False, fuse=False)
    assert (paths.models / "some-network.onnx").read_bytes() == UNKNOWN


@pytest.mark.parametrize("content", [None, b""])
def test_a_file_that_is_not_there_or_empty_is_told(
    paths: StatePaths, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"cannot be read|that is no model file"):
        add(paths, path, "sface", use=False, fuse=False)


def test_use_replaces_and_fuse_adds(paths: StatePaths, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(b"other")
    third = tmp_path / "third.onnx"
    third.write_bytes(b"third")
    text = paths.config.read_text()

    def embedders() -> list[str]:
        return [e.file for e in load_settings(paths.config).models.chosen_embedders]

    body = add(paths, file, "mobilefacenet", use=True, fuse=False)
    assert embedders() == ["some-network.onnx"]
    assert (body["used"], body["enrol_again"]) == (True, 0)
    add(paths, other, "sface", use=False, fuse=True)
    assert set(embedders()) == {"some-network.onnx", "other.onnx"}
    with pytest.raises(UsageError, match="Two"):
        add(paths, third, "sface", use=False, fuse=True)
    add(paths, third, "yunet", use=True, fuse=False)
    found = load_settings(paths.config).models
    assert found.detector is not None and found.detector.file == "third.onnx"
    assert set(embedders()) == {"some-network.onnx", "other.onnx"}
    with pytest.raises(UsageError, match="detector"):
        add(paths, third, "yunet", use=False, fuse=True)
    assert paths.config.read_text().startswith(text.rstrip()), "comments and all else stay"
    assert paths.config.stat().st_mode & 0o777 == 0o640


def test_what_it_writes_is_what_it_names() -> None:
    assert tomllib.loads("\n".join(config_lines(FUSED))) == {
        "models": {
            "detector": {"kind": "yunet", "file": "yunet.onnx", "sha256": "ab" * 32},
            "embedders": [
                {"kind": "dlib", "file": DLIB.file, "sha256": DLIB.sha256},
                {"kind": "mobilefacenet", "file": "mobile.onnx", "sha256": "cd" * 32},
            ],
        }
    }
    assert model_name(FUSED) != model_name(ModelSettings())


# --- config.toml ---------------------------------------------------------------------------------

LINES = config_lines(FUSED)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment",
        '[gate]\nname = "a"  # [models]\n',
        '[gate]\nname = "a"\n\n[models]\ndetector = { kind = "hog" }\n# kept\n\n[look]\nlimit_ms = 900\n',
        '[models] # here\nembedders = [\n  { kind = "dlib", file = "a.onnx" },\n]\n[look]\nlimit_ms = 900\n',
        "[ models ]\n[look]\nzone = [\n  0, 0,\n  1, 1 ]\n",
    ],
)
def test_the_table_is_put_in_and_every_other_line_stays(text: str) -> None:
    changed = with_models(text, LINES, Path("config.toml"))
    wanted = tomllib.loads(text) | tomllib.loads("\n".join(LINES))
    assert tomllib.loads(changed) == wanted
    for line in text.splitlines():
        if "#" in line and not line.startswith("[models"):
            assert line in changed.splitlines()
    assert with_models(changed, LINES, Path("config.toml")) == changed, "once is enough"


@pytest.mark.parametrize(
    "text",
    [
        'models = { detector = { kind = "hog" } }\n',
        'models.detector = { kind = "hog" }\n',
        '[models.detector]\nkind = "hog"\n',
        '[gate]\nname = """\n[models]\n"""\n',
        "[gate\n",
    ],
)
def test_what_it_does_not_understand_it_leaves_to_people(text: str) -> None:
    with pytest.raises(ConfigError, match="yourself"):
        with_models(text, LINES, Path("config.toml"))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(
        st.sampled_from(["[gate]", 'name = "a"', "# x", "", "[models]", "[look]", "zone = [", "0,0,1,1", "]"])
    )
)
def test_any_text_becomes_what_it_was_and_the_table_or_is_refused(parts: list[str]) -> None:
    text = "\n".join(parts)
    try:
        changed = with_models(text, LINES, Path("config.toml"))
    except ConfigError:
        return
    assert tomllib.loads(changed) == tomllib.loads(text) | tomllib.loads("\n".join(LINES))


# --- the folder ----------------------------------------------------------------------------------


def test_a_file_is_kept_only_with_its_own_hash(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nothing was kept"):
        put(tmp_path, "a.onnx", b"a", hashlib.sha256(b"b").hexdigest())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_completed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def export(source: str, beside: Path) -> bytes:
        assert beside == tmp_path / "models", "the daemon may write nowhere else"
        made.append(source)
        return b"network"

    monkeypatch.setattr(models, "export", export)
    monkeypatch.setattr(
        models, "DLIB", Embedder(EmbedderKind.DLIB, DLIB.file, hashlib.sha256(b"network").hexdigest())
    )
    for _ in range(2):
        make_folder(tmp_path / "models")
    assert made == ["-"]
    assert (tmp_path / "models" / DLIB.file).read_bytes() == b"network"


def test_an_exporter_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "text.dat").write_text("text")
    with pytest.raises(ModelError, match="no dlib face network"):
        models.export(str(tmp_path / "text.dat"))
    with pytest.raises(ModelError, match=r"x\.onnx cannot be read"):
        models.trial("yunet", tmp_path / "x.onnx")


def test_what_is_wrong_with_the_folder_is_told(tmp_path: Path) -> None:
    assert DLIB.file in str(problem(tmp_path, ModelSettings()))
    assert "models add" in str(problem(tmp_path, FUSED))
    (tmp_path / DLIB.file).write_bytes(b"another")
    assert "not the file" in str(problem(tmp_path, ModelSettings()))


@pytest.mark.parametrize("name", ["../../evil.dat", "ü.dat", "a b.onnx", ".hidden", "x" * 300 + ".dat"])
def test_a_stored_name_is_a_plain_one(name: str) -> None:
    try:
        stored = stored_name(Path(name), "dlib")
    except ModelError:
        return
    Embedder(EmbedderKind.DLIB, stored, "ab" * 32)
    assert "/" not in stored and not stored.startswith(".")
