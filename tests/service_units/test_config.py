"""Configuration files: errors that say which file, which line or field, and what is there to choose from."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatevault.core.errors import ConfigError
from gatevault.core.models import CalibrationFile
from gatevault.core.settings import Settings
from gatevault.service import config
from gatevault.service.config import MAX_BYTES, hardware, load_board, load_settings

BOARD = 'name = "mine"\ndescription = ""\n[relay]\npin = 17\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of profiles of one's own."""
    folder = tmp_path / "boards"
    folder.mkdir()
    monkeypatch.setattr(config, "hardware", lambda: tmp_path)
    return folder


def test_no_file_means_the_defaults_and_so_does_an_empty_one(path: Path) -> None:
    assert load_settings(path) == Settings()
    path.write_text("# nothing\n")
    assert load_settings(path) == Settings()


def test_what_the_file_says_counts(path: Path) -> None:
    path.write_text(
        '[gate]\nname = "西门"\n[look]\nlimit_ms = 2000\n[schedule]\nhours = ["Mon 07:00-22:00"]\n'
        "[matching]\nfpir = 1e-4\nmargin = 1\n[enrolment]\nmin_quality = 0.5\n",
        "utf-8",
    )
    found = load_settings(path)
    assert (found.gate.name, found.look.limit_ms, found.schedule.hours) == ("西门", 2000, ("Mon 07:00-22:00",))
    assert (found.matching.fpir, found.matching.margin, found.enrolment.min_quality) == (1e-4, 1.0, 0.5)


def test_figures_of_ones_own_are_named_by_file_and_hash(path: Path) -> None:
    path.write_text(f'[models.calibration]\nfile = "site.cal"\nsha256 = "{"ab" * 32}"\n')
    assert load_settings(path).models.calibration == CalibrationFile("site.cal", "ab" * 32)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[look]\nlimit_ms = 9000\n", "look.limit_ms"),
        ("[look]\nlimitms = 900\n", "limitms"),
        ("[lock]\n", "lock"),
        ("[matching]\nfpir = nan\n", "matching.fpir"),
        ("[matching]\nfpir = 0.5\n", "matching.fpir"),
        ("[matching]\nthreshold = 0.96\n", "threshold"),
        ("[enrolment]\nmin_quality = 2\n", "enrolment.min_quality"),
        ('[models.calibration]\nfile = "../site.cal"\n', "models.calibration.file"),
        ('[gate]\nboard = "../../etc/passwd"\n', "gate.board"),
        ("[look]\nlimit_ms = \n", "line 2"),
        ("[look\n", "line 1"),
        ("x = 1\nx = 2\n", "line 2"),
        ('[schedule]\nhours = ["Mon 25:00-26:00"]\n', "schedule.hours: 'Mon 25:00-26:00'"),
        ("[look]\nzone = [0.5, 0.0, 0.5, 1.0]\n", "look.zone"),
        ("[enrolment]\nmin_captures = 9\n", "enrolment.max_captures"),
        ("a = " + "[" * 20_000, "config.toml"),
    ],
)
def test_an_error_names_the_file_and_the_line_or_field(path: Path, text: str, says: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_is_settings_or_a_config_error(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        assert isinstance(load_settings(path), Settings)
    except ConfigError as error:
        assert str(path) in str(error)


def test_a_file_that_is_far_too_long_is_not_read(path: Path) -> None:
    path.write_text("#" * MAX_BYTES)
    assert load_settings(path) == Settings()
    path.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="longer"):
        load_settings(path)


def test_what_cannot_be_read_is_no_reason_for_defaults(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.mkdir()
    with pytest.raises(ConfigError, match="directory"):
        load_settings(path)

    def refused(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refused)
    with pytest.raises(ConfigError, match="Permission denied"):
        load_settings(path)


# --- boards --------------------------------------------------------------------------------------


def test_every_profile_that_ships_loads_under_its_own_name() -> None:
    names = [file.stem for file in (hardware() / "boards").glob("*.toml")]
    assert "bench" in names
    assert Settings().gate.board in names
    for name in names:
        assert load_board(name).name == name


def test_a_sites_own_profile_comes_before_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "SITE_BOARDS", tmp_path)
    (tmp_path / "mine.toml").write_text(BOARD)
    ours = (hardware() / "boards" / "pi-transistor.toml").read_text()
    (tmp_path / "pi-transistor.toml").write_text(ours.replace("pulse_ms = 3000", "pulse_ms = 4000"))
    assert load_board("mine").relay.pin == 17
    assert load_board("pi-transistor").relay.pulse_ms == 4000
    assert load_board("pi-relay-hat").relay.pulse_ms == 3000


def test_an_unknown_board_is_told_which_there_are(boards: Path) -> None:
    with pytest.raises(ConfigError, match="choose one of none"):
        load_board("mine")
    for name in ("zeta", "alpha"):
        (boards / f"{name}.toml").write_text(BOARD)
    with pytest.raises(ConfigError, match=r"'mine': choose one of alpha, zeta in config\.toml, gate\.board"):
        load_board("mine")


def test_file_and_name_must_agree(boards: Path) -> None:
    (boards / "mine.toml").write_text(BOARD)
    assert load_board("mine").relay.pin == 17
    (boards / "other.toml").write_text(BOARD)
    with pytest.raises(ConfigError, match=r"other\.toml calls itself 'mine'"):
        load_board("other")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("[buzzer]\npin = 17\n", "pin 17 has two roles, relay and buzzer"),
        ("[buzzer]\npin = 99\n", "buzzer.pin"),
        ("[siren]\npin = 4\n", "siren"),
    ],
)
def test_a_profile_that_is_not_right_is_an_error_that_says_where(boards: Path, more: str, says: str) -> None:
    (boards / "mine.toml").write_text(BOARD + more)
    with pytest.raises(ConfigError, match=says) as caught:
        load_board("mine")
    assert "mine.toml" in str(caught.value)
