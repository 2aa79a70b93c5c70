"""The header drawn in characters: twenty rows of two pins, and the wires to connect, in 40 columns or more."""

from __future__ import annotations

import unicodedata
from typing import Final, NamedTuple

from gatevault.core.board import Board, Input, Output, Relay
from gatevault.core.header import HEADER, Supply, physical
from gatevault.core.provisioning.words import Language, word

NARROWEST: Final = 40
WIDEST: Final = 80


class Wire(NamedTuple):
    """One wire: whose it is, the physical pin and GPIO that it goes to, and what belongs to it."""

    part: str
    pin: int | None
    gpio: int
    note: str
    ground: int | None
    """The physical ground pin nearest to it, where its part wants one there."""


def cells(text: str) -> int:
    """How many columns a text takes: East Asian wide characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def part_name(role: str, language: Language) -> str:
    """A role of a profile in words; a reader's line is named `entrance.d0`."""
    if role.endswith((".d0", ".d1")):
        return word("wire-reader", language, line=role.rpartition(".")[2].upper())
    return word(f"part-{role}", language)


def wires(board: Board, language: Language) -> list[Wire]:
    """Every wire of a profile, in the order of its parts."""
    found = []
    for role, gpio in board.pins():
        pin = physical(gpio)
        ground = _nearest_ground(pin) if pin is not None and _wants_ground(board, role) else None
        found.append(Wire(part_name(role, language), pin, gpio, _note(board, role, language), ground))
    return found


def _wants_ground(board: Board, role: str) -> bool:
    part = getattr(board, role, None)
    return (isinstance(part, Output) and not isinstance(part, Relay)) or (isinstance(part, Input) and part.pull_up)


def _note(board: Board, role: str, language: Language) -> str:
    part = getattr(board, role, None)
    if isinstance(part, Relay):
        return word("wire-relay-high" if part.active_high else "wire-relay-low", language)
    if role == "motion":
        return word("wire-motion", language)
    if isinstance(part, Input):
        return word("wire-contact" if part.pull_up else "wire-contact-up", language)
    if part is None:
        return word("wire-shift", language)
    if role in ("lamp", "infrared_lamp", "approach_light"):
        return word("wire-lamp", language)
    return "" if role == "buzzer" else word("wire-led", language)


def _nearest_ground(pin: int) -> int:
    grounds = [at for at, what in enumerate(HEADER, start=1) if what is Supply.GROUND]
    return min(grounds, key=lambda ground: abs(ground - pin))


def drawn(board: Board, language: Language, width: int = 60) -> list[str]:
    """The header as it lies with its USB ports below: a pin with a wire is filled and named."""
    side = (max(NARROWEST, min(width, WIDEST)) - 10) // 2
    names = {physical(gpio): part_name(role, language) for role, gpio in board.pins()}
    lines = []
    for left in range(1, len(HEADER), 2):
        right = left + 1
        dots = "".join("●" if pin in names else "○" for pin in (left, right))
        inner = _padded(_label(left, names), side, right=True)
        lines.append(f"{inner} {left:2} {dots} {right:<2} {_label(right, names)}")
    return [_cut(line, max(NARROWEST, min(width, WIDEST))) for line in lines]


def _label(pin: int, names: dict[int | None, str]) -> str:
    what = HEADER[pin - 1]
    if pin in names:
        return f"{names[pin]}"
    return str(what) if isinstance(what, Supply) else "·"


def _padded(text: str, width: int, *, right: bool = False) -> str:
    text = _cut(text, width)
    space = " " * (width - cells(text))
    return space + text if right else text + space


def _cut(text: str, width: int) -> str:
    while cells(text) > width:
        text = text[:-1]
    return text


def told(board: Board, language: Language, width: int = 60) -> list[str]:
    """The wires as a list: part, physical pin, GPIO, ground; what belongs to it on the same line where it fits."""
    lines = []
    for wire in wires(board, language):
        place = f"{wire.pin:2}" if wire.pin is not None else "--"
        ground = f"GND {wire.ground}" if wire.ground else ""
        head = f"{_padded(wire.part, 16)} {place}  GPIO{wire.gpio:<2}  {ground:6}"
        if cells(head) + 2 + cells(wire.note) <= width:
            lines.append(f"{head}  {wire.note}".rstrip())
        else:
            lines += [head.rstrip(), _cut(f"    {wire.note}", max(NARROWEST, width))]
    return lines
