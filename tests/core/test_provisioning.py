"""The wizard's tables: words in both languages, the header at any width, answers that are refused by name."""

from __future__ import annotations

import string
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.board import Board
from gatevault.core.errors import ConfigError
from gatevault.core.provisioning.answers import read_answers
from gatevault.core.provisioning.config import config_text
from gatevault.core.provisioning.header import cells, drawn, told, wires
from gatevault.core.provisioning.questions import questions
from gatevault.core.provisioning.words import Language, both, names
from gatevault.core.settings import Settings

BOARDS = sorted((Path(__file__).parents[2] / "hardware" / "boards").glob("*.toml"))
KNOWN = questions(["pi-relay-hat", "pi-transistor"], bench=False)
LEAST: dict[str, Any] = {
    "gate": {"name": "North", "board": "pi-relay-hat"},
    "consent": {"controller": "Owners", "contact": "porter@example.org"},
    "keys": {"provider": "file"},
}


def board(path: Path) -> Board:
    return msgspec.convert(tomllib.loads(path.read_text()), Board)


def with_(**tables: dict[str, Any]) -> dict[str, Any]:
    return {**LEAST, **{name: {**LEAST.get(name, {}), **values} for name, values in tables.items()}}


# --- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_both_languages_take_the_same_values(name: str) -> None:
    english, chinese = (
        {field for _, field, _, _ in string.Formatter().parse(text) if field} for text in both(name)
    )
    assert english == chinese
    assert all(both(name))


# --- the header ----------------------------------------------------------------------------------


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("width", [40, 47, 60, 80, 200])
@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_the_header_fits_its_terminal_and_names_every_wire(path: Path, width: int, language: Language) -> None:
    profile = board(path)
    lines, listed = drawn(profile, language, width), told(profile, language, width)
    assert len(lines) == 20
    assert max(map(cells, [*lines, *listed])) <= max(40, width)
    text = "\n".join(lines)
    assert text.count("●") == len(profile.pins())
    for wire in wires(profile, language):
        assert wire.part in text
        assert any(line.startswith(wire.part) and f"GPIO{wire.gpio}" in line for line in listed)


def test_a_wire_goes_to_its_physical_pin_and_the_ground_beside_it() -> None:
    profile = board(next(path for path in BOARDS if path.stem == "pi-relay-hat"))
    found = {wire.part: wire for wire in wires(profile, Language.EN)}
    assert (found["relay"].pin, found["relay"].gpio, found["relay"].ground) == (37, 26, None)
    assert (found["presence button"].pin, found["presence button"].ground) == (29, 30)


# --- answers -------------------------------------------------------------------------------------


def test_the_least_answers_are_filled_in() -> None:
    answers = read_answers(LEAST, KNOWN)
    assert answers["schedule.hours"] == ("Mon-Sun 00:00-24:00",)
    assert answers["tests.relay"] == "skip"
    assert "sign.text" not in answers


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (with_(gate={"nam": "x"}), "gate.nam is no key of the answers: did you mean gate.name?"),
        (with_(gaet={"x": 1}), "gaet.x is no key"),
        (with_(gate={"board": "pi-zero"}), "gate.board: one of pi-relay-hat, pi-transistor"),
        (with_(gate={"name": ""}), "gate.name: a text of 1 to 80"),
        (with_(gate={"name": "a\nb"}), "gate.name: it holds a control character"),
        (with_(gate={"name": 7}), "gate.name: a text"),
        (with_(gate={"camera": "http://x"}), "gate.camera: a camera is wanted"),
        (with_(gate={"camera": "dir:/tmp"}), "gate.camera: a camera is wanted"),
        (with_(keys={"provider": "tpm"}), "keys.provider: one of file, passphrase"),
        (with_(keys={"passphrase": "correct horse battery"}), "a passphrase is not taken from a file"),
        (with_(keys={"pcrs": "sha256:7"}), 'keys.pcrs belongs to keys.provider = "tpm2"'),
        (with_(matching={"fpir": 0.5}), "matching.fpir: a number from 1e-06 to 0.1"),
        (with_(matching={"fpir": True}), "matching.fpir: a number"),
        (with_(matching={"fpir": "nan"}), "matching.fpir: a number from"),
        (with_(schedule={"hours": ["Mon 25:00-26:00"]}), "schedule.hours: "),
        (with_(schedule={"hours": []}), "schedule.hours: hours are wanted"),
        (with_(liveness={"tier": "off"}), "liveness.tier: one of best"),
        (with_(assessment={"by": "Li"}), "assessment.date is missing"),
        (with_(sign={"text": "t", "where": "w", "date": "2026-02-30"}), "sign.date: a day is wanted"),
        (with_(aim={"seconds": 61}), "aim.seconds: a whole number from 0 to 60"),
        (with_(tests={"relay": "yes"}), "tests.relay: one of skip, works, broken"),
        (with_(readers={"wedge": ["/etc/passwd"]}), "readers.wedge: devices are wanted"),
        ({"gate": {"name": "x", "board": "pi-transistor"}}, "keys.provider is missing"),
        ({"gate": 5}, "gate is no key"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_answer_is_refused_by_its_key(answers: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_answers(answers, KNOWN)
    assert told in str(refused.value)
    assert "Nothing was done." in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_state_that_is_made_asks_for_no_settings_again() -> None:
    assert read_answers({"tests": {"relay": "works"}}, KNOWN, made=True)["tests.relay"] == "works"


typed = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\x7f"), min_size=1, max_size=80)


@given(typed.filter(str.strip), typed.filter(str.strip), st.booleans())
def test_any_name_comes_back_from_the_configuration(name: str, controller: str, bench: bool) -> None:
    known = questions(["bench"] if bench else ["pi-transistor"], bench=bench)
    table = with_(
        gate={"name": name, "board": "bench" if bench else "pi-transistor"}, consent={"controller": controller}
    )
    text = config_text(read_answers(table, known), bench=bench)
    settings = msgspec.convert(tomllib.loads(text), Settings)
    assert settings.gate.name == name.strip()
    assert settings.consent.controller == controller.strip()
    assert settings.gate.start_vision is bench
    assert settings.site.on_bench is bench
