"""`config.toml` and board profiles as values: unknown names, figures out of range, pins used twice."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gatevault.core.board import Board
from gatevault.core.schedule import parse
from gatevault.core.settings import Settings

SECTIONS = Settings.__struct_fields__
RELAY = {"pin": 17}


def settings(section: str, **values: object) -> Settings:
    return msgspec.convert({section: values}, Settings)


def board(**parts: object) -> Board:
    return msgspec.convert({"name": "test", "description": "", "relay": RELAY} | parts, Board)


def test_nothing_set_means_the_defaults_and_they_are_within_their_own_ranges() -> None:
    assert msgspec.convert({}, Settings) == Settings()
    assert msgspec.convert(msgspec.to_builtins(Settings()), Settings) == Settings()
    assert parse(Settings().schedule.hours).open_at(6, 1439)


@pytest.mark.parametrize("section", SECTIONS)
def test_an_unknown_key_is_an_error_that_names_it(section: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="treshold"):
        settings(section, treshold=1)


def test_an_unknown_table_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError, match="macthing"):
        msgspec.convert({"macthing": {}}, Settings)


@pytest.mark.parametrize(
    ("section", "key", "bad"),
    [
        ("gate", "name", ["", "x" * 81, 7]),
        ("gate", "board", ["", "../x", "Pi", "a b", "pi-relay-hat\n", "x" * 41]),
        ("gate", "start_vision", ["yes", 1]),
        ("look", "limit_ms", [499, 8_001, 3.5, True]),
        ("look", "enrol_limit_ms", [999, 60_001]),
        ("look", "max_frame_age_ms", [49, 2_001]),
        ("look", "zone", [[0, 0, 1], [0, 0, 1, 1.1], [-0.1, 0, 1, 1], [0.5, 0, 0.5, 1], [0, 1, 1, 0]]),
        ("look", "min_score", [-0.1, 5.1]),
        ("look", "min_size", [19, 1_001]),
        ("look", "min_exposure", [-0.1, 1.1]),
        ("look", "max_exposure", [-0.1, 1.1]),
        ("look", "min_sharpness", [-1, float("inf")]),
        ("look", "rival_share", [0, 1.1]),
        ("matching", "fpir", [0, 9e-7, 0.11, -0.001, "0.001"]),
        ("matching", "margin", [-0.01, 5.1]),
        ("matching", "min_frames", [0, 1, 31]),
        ("enrolment", "min_captures", [0, 17]),
        ("enrolment", "max_captures", [0, 17, 2]),
        ("enrolment", "min_quality", [-0.1, 1.1]),
        ("consent", "controller", ["", "x" * 121]),
        ("consent", "contact", ["", "x" * 121]),
        ("consent", "months", [0, 13]),
        ("schedule", "hours", ["Mon 07:00-08:00", ["x" * 41]]),
        ("readers", "wedge", ["/dev/input/event0", ["x" * 4097]]),
    ],
)
def test_a_figure_out_of_range_is_an_error_that_says_where(section: str, key: str, bad: list[Any]) -> None:
    for value in bad:
        with pytest.raises(msgspec.ValidationError, match=rf"\$\.{section}|{section}\."):
            settings(section, **{key: value})


@pytest.mark.parametrize(
    ("section", "key"),
    [("matching", "threshold"), ("matching", "same_person"), ("enrolment", "agreement"), ("enrolment", "novelty")],
)
def test_what_the_calibration_tells_is_no_setting(section: str, key: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=f"unknown field `{key}`"):
        settings(section, **{key: 0.9})


def floats() -> list[tuple[str, str]]:
    found = []
    for section in SECTIONS:
        for key, value in msgspec.to_builtins(getattr(Settings(), section)).items():
            if isinstance(value, float):
                found.append((section, key))
    return found


@pytest.mark.parametrize(("section", "key"), floats())
def test_not_a_number_is_no_figure(section: str, key: str) -> None:
    for value in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(msgspec.ValidationError):
            settings(section, **{key: value})


# --- boards --------------------------------------------------------------------------------------


def test_a_board_may_have_a_relay_alone() -> None:
    assert board().pins() == [("relay", 17)]


def test_every_part_has_its_pins() -> None:
    outputs = ("privacy_led", "granted_led", "refused_led", "fault_led", "buzzer")
    inputs = ("presence", "rex", "dps")
    parts = {role: {"pin": 20 + i} for i, role in enumerate((*outputs, *inputs))}
    full = board(**parts, wiegand=[{"d0": 7, "d1": 8}, {"d0": 9, "d1": 10, "name": "back"}])
    assert dict(full.pins()) == {
        "relay": 17,
        **{role: 20 + i for i, role in enumerate((*outputs, *inputs))},
        "wiegand.d0": 7,
        "wiegand.d1": 8,
        "back.d0": 9,
        "back.d1": 10,
    }


@pytest.mark.parametrize(
    ("parts", "roles"),
    [
        ({"buzzer": {"pin": 17}}, "relay and buzzer"),
        ({"buzzer": {"pin": 5}, "rex": {"pin": 5}}, "buzzer and rex"),
        ({"wiegand": [{"d0": 5, "d1": 5}]}, "wiegand.d0 and wiegand.d1"),
        ({"wiegand": [{"d0": 5, "d1": 6}, {"d0": 7, "d1": 6, "name": "back"}]}, "wiegand.d1 and back.d1"),
        ({"privacy_led": {"pin": 9}, "wiegand": [{"d0": 9, "d1": 6}]}, "privacy_led and wiegand.d0"),
    ],
)
def test_a_pin_has_one_role(parts: dict[str, Any], roles: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=roles):
        board(**parts)


@pytest.mark.parametrize(
    "parts",
    [
        {"relay": None},
        {"relay": {"pin": 64}},
        {"relay": {"pin": -1}},
        {"relay": {"pin": 0}},
        {"relay": {"pin": 28}},
        {"wiegand": [{"d0": 1, "d1": 4}]},
        {"motion": {"pin": 5}},
        {"relay": {"pin": 17, "pulse_ms": 99}},
        {"relay": {"pin": 17, "pulse_ms": 30_001}},
        {"relay": {"pin": 17, "bounce_ms": 30}},
        {"relay": {"pin": "17"}},
        {"presence": {"pin": 5, "bounce_ms": 501}},
        {"name": "a b"},
        {"name": "board\n"},
        {"siren": {"pin": 5}},
        {"wiegand": [{"d0": 5}]},
        {"wiegand": [{"d0": 5, "d1": 6, "name": "Front Door"}]},
        {"gpiochip": "x" * 101},
    ],
    ids=str,
)
def test_a_profile_that_is_not_right_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        board(**parts)


def test_a_pin_that_is_not_on_the_header_is_named() -> None:
    with pytest.raises(msgspec.ValidationError, match="lamp: GPIO 1 belongs to a HAT"):
        board(lamp={"pin": 1})
    with pytest.raises(msgspec.ValidationError, match="rex: GPIO 40 is not on the 40-pin header"):
        board(rex={"pin": 40})
    assert board(header="none", rex={"pin": 40}, lamp={"pin": 1}).rex


def test_a_motion_sensor_needs_a_light_to_wake() -> None:
    with pytest.raises(msgspec.ValidationError, match="approach_light"):
        board(motion={"pin": 5})
    assert board(motion={"pin": 5}, approach_light={"pin": 6}).motion


def test_a_profile_without_a_relay_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="relay"):
        msgspec.convert({"name": "test", "description": ""}, Board)
