"""The sheet tells every wire, and no wire crosses another, whatever the profile."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatevault.core.board import Board
from gatevault.core.drawing import Language, sheet
from gatevault.core.drawing.parts import PIN_STEP
from gatevault.core.drawing.words import ROLES, SAYS
from gatevault.core.header import physical

OUTPUTS = (
    "privacy_led",
    "granted_led",
    "refused_led",
    "fault_led",
    "buzzer",
    "lamp",
    "infrared_lamp",
    "turn_left_led",
    "turn_right_led",
    "approach_light",
)
INPUTS = ("presence", "motion", "rex", "dps", "tamper")
PAIRS: tuple[tuple[int, ...], ...] = ((16, 12), (20, 21), (19, 13), (5, 6))
"""Pins for a reader: in one column with none but ground between them, so that its wires need not cross others'."""

SVG = "{http://www.w3.org/2000/svg}"

Segment = tuple[tuple[float, float], tuple[float, float]]


@st.composite
def boards(draw: st.DrawFn) -> Board:
    rest = [pin for pin in range(2, 28) if pin not in sum(PAIRS, ())]
    pins = iter(draw(st.permutations(rest)))
    parts: dict[str, Any] = {
        "relay": {
            "pin": next(pins),
            "active_high": draw(st.booleans()),
            "driver": draw(st.sampled_from(["hat", "module", "transistor"])),
        }
    }
    for role in sorted(draw(st.sets(st.sampled_from((*OUTPUTS, *INPUTS)))) | {"approach_light"}):
        parts[role] = {"pin": next(pins)}
        if role in INPUTS:
            parts[role]["pull_up"] = draw(st.booleans())
    pairs = draw(st.lists(st.sampled_from(PAIRS), unique=True, max_size=2))
    parts["wiegand"] = [{"d0": d0, "d1": d1, "name": f"reader-{index}"} for index, (d0, d1) in enumerate(pairs)]
    return msgspec.convert({"name": "some", "description": "a <board> & its parts", **parts}, Board)


def wires(svg: str) -> list[list[tuple[float, float]]]:
    """The ways of the wires between header and parts, by their width."""
    ways = re.findall(r'<polyline points="([^"]+)"[^>]* stroke-width="2.6"', svg)
    points = [[tuple(map(float, point.split(","))) for point in way.split()] for way in ways]
    return [[(x, y) for x, y in way] for way in points if len(way) == 4]


def cross(a: Segment, b: Segment) -> bool:
    """Whether two segments, each upright or level, have a point in common."""
    (ax, ay), (bx, by) = [sorted(c) for c in zip(*a, strict=True)], [sorted(c) for c in zip(*b, strict=True)]
    return ax[0] <= bx[1] and bx[0] <= ax[1] and ay[0] <= by[1] and by[0] <= ay[1]


MOST = {
    **{
        f"{colour}_led": {"pin": pin}
        for colour, pin in (("privacy", 11), ("granted", 10), ("refused", 17), ("fault", 9))
    },
    "relay": {"pin": 2},
    "buzzer": {"pin": 4},
    "approach_light": {"pin": 3},
    "wiegand": [{"d0": 19, "d1": 13, "name": "reader-0"}, {"d0": 5, "d1": 6, "name": "reader-1"}],
}
"""Every wire on one side."""


@settings(max_examples=25, deadline=None)
@example(msgspec.convert({"name": "most", "description": "", **MOST}, Board))
@given(boards())
def test_every_wire_is_drawn_once_and_none_crosses(board: Board) -> None:
    svg = sheet(board, Language.EN)
    ElementTree.fromstring(svg)  # noqa: S314 - our own
    ways = wires(svg)
    assert len(ways) == len(board.pins())
    for one, other in combinations(ways, 2):
        crossing = [pair for pair in ((a, b) for a in pairwise(one) for b in pairwise(other)) if cross(*pair)]
        assert not crossing, crossing
    texts = re.findall(r">([^<]+)</text>", svg)
    for _, pin in board.pins():
        assert str(physical(pin)) in texts and f"GPIO {pin}" in texts


@settings(max_examples=10, deadline=None)
@given(boards())
def test_nothing_leaves_the_page(board: Board) -> None:
    page = ElementTree.fromstring(sheet(board, Language.ZH))  # noqa: S314 - our own
    width, height = map(float, page.attrib["viewBox"].split()[2:])
    blocks = [box for box in page.iter(f"{SVG}rect") if box.get("rx") == "5"]
    assert len(blocks) == len(board.parts()) + len(board.wiegand)
    for box in page.iter(f"{SVG}rect"):
        x, y, w, h = (float(box.get(name, "0")) for name in ("x", "y", "width", "height"))
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
    for one, other in combinations(blocks, 2):
        same = one.get("x") == other.get("x")
        top, foot = (float(one.get("y", "0")), float(one.get("y", "0")) + float(one.get("height", "0")))
        assert not same or float(other.get("y", "0")) >= foot or float(other.get("y", "0")) < top


def test_a_reader_on_both_columns_has_each_wire_at_its_own_pin() -> None:
    """D1 (GPIO 17, pin 11) on the left, D0 (GPIO 18, pin 12) on the right: the block stands beside the first."""
    reader = [{"d0": 18, "d1": 17}]
    board = msgspec.convert({"name": "some", "description": "", "relay": {"pin": 26}, "wiegand": reader}, Board)
    assert re.search(r'<polyline points="442,[\d.]+ 442,[\d.]+ 320,', sheet(board, Language.EN))


def test_it_says_what_the_boot_must_do() -> None:
    board = msgspec.convert(
        {"name": "hat", "description": "", "relay": {"pin": 26, "active_high": False, "driver": "hat"}}, Board
    )
    assert "gpio=26=op,dh" in sheet(board, Language.ZH)


def test_another_header_cannot_be_drawn() -> None:
    board = msgspec.convert({"name": "other", "description": "", "relay": {"pin": 40}, "header": "none"}, Board)
    with pytest.raises(ValueError, match="not on the header"):
        sheet(board, Language.EN)


def test_every_role_and_sentence_is_in_both_languages() -> None:
    roles = set(ROLES)
    fields = {name for name in Board.__struct_fields__ if name in (*OUTPUTS, *INPUTS, "relay", "wiegand")}
    assert roles == fields
    for english, chinese in (*SAYS.values(), *ROLES.values()):
        assert english and chinese


def test_terminals_are_far_enough_apart_to_read() -> None:
    assert PIN_STEP >= 20
