"""A board's parts as blocks of the sheet: what each is called, which pins it has, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from gatevault.core.board import Board, Driver, Input, Output, Presence, Relay, Wiegand
from gatevault.core.drawing import symbols
from gatevault.core.drawing.symbols import Pen
from gatevault.core.drawing.words import Words
from gatevault.core.header import HEADER, Supply, physical

COLOURS: Final = {
    "relay": "#d55e00",
    "reader": "#009e73",
    "input": "#0072b2",
    "light": "#b07a00",
    "buzzer": "#a04c80",
}
"""Of wires (after Okabe and Ito, darkened for paper): they help, and the numbers at both ends carry the meaning."""

PIN_STEP: Final = 26
"""Between a block's terminals."""


@dataclass(slots=True)
class Rails:
    """Gives each part a ground pin of its own, the nearest one, for as long as there are such."""

    free: list[int] = field(default_factory=lambda: _pins_of(Supply.GROUND))
    used: set[int] = field(default_factory=set)

    def ground(self, near: int) -> int:
        choice = min(self.free or _pins_of(Supply.GROUND), key=lambda pin: (abs(pin - near), pin))
        if choice in self.free:
            self.free.remove(choice)
        self.used.add(choice)
        return choice

    def supply(self, kind: Supply) -> int:
        choice = _pins_of(kind)[0]
        self.used.add(choice)
        return choice


@dataclass(frozen=True, slots=True)
class Block:
    """One part on the sheet. `draw` gets a pen at its first terminal and the words for pins of the header."""

    role: str
    title: str
    colour: str
    pins: tuple[int, ...]
    """BCM numbers, one a terminal."""
    terminals: tuple[str, ...]
    below: float
    """Room below the last terminal."""
    draw: Callable[[Pen, Rails], list[str]]
    """Draws the part, and tells in words of each further wire to the header."""
    wired: bool = True
    above: float = 40
    """Room from the block's upper edge to its first terminal."""

    @property
    def height(self) -> float:
        return self.above + PIN_STEP * (len(self.pins) - 1) + self.below


def blocks(board: Board, words: Words) -> Iterator[Block]:
    """Every part of the board as a block."""
    for role, part in board.parts():
        title = words.role(role)
        if isinstance(part, Relay):
            yield _relay(part, title, words)
        elif isinstance(part, Output):
            yield _output(role, part, title, words)
        else:
            yield _input(role, part, title, words)
    for reader in board.wiegand:
        yield _reader(reader, words)


def _pins_of(kind: Supply) -> list[int]:
    return [number for number, what in enumerate(HEADER, 1) if what is kind]


def _ground(pen: Pen, rails: Rails, near: int, words: Words) -> str:
    pin = rails.ground(physical(near) or 1)
    symbols.ground(pen, f"{words.say('gnd')} {pin}")
    return f"{words.say('gnd')} {pin}"


def _output(role: str, part: Output, title: str, words: Words) -> Block:
    if role in ("lamp", "infrared_lamp", "approach_light"):
        return Block(role, title, COLOURS["light"], (part.pin,), ("EN",), 50, _lamp(part, words))
    if role == "buzzer":
        return Block(role, title, COLOURS["buzzer"], (part.pin,), ("+",), 32, _buzzer(part, words))

    def draw(pen: Pen, rails: Rails) -> list[str]:
        pen.line((0, 0), (16, 0))
        symbols.resistor(pen.moved(16, 0), "330 Ω")
        pen.line((52, 0), (66, 0))
        symbols.led(pen.moved(66, 0))
        pen.line((82, 0), (104, 0))
        return [_ground(pen.moved(104, 0), rails, part.pin, words)]

    return Block(role, title, COLOURS["light"], (part.pin,), ("330 Ω → LED +",), 26, draw)


def _buzzer(part: Output, words: Words) -> Callable[[Pen, Rails], list[str]]:
    def draw(pen: Pen, rails: Rails) -> list[str]:
        pen.line((0, 0), (28, 0))
        symbols.buzzer(pen.moved(28, 0))
        pen.line((54, 0), (104, 0))
        told = _ground(pen.moved(104, 0), rails, part.pin, words)
        pen.words(8, 28, words.say("active"), size=10)
        return [told]

    return draw


def _lamp(part: Output, words: Words) -> Callable[[Pen, Rails], list[str]]:
    def draw(pen: Pen, rails: Rails) -> list[str]:
        pen.line((0, 0), (42, 0))
        pen.line((12, 0), (12, 6))
        pen.box(7, 6, 10, 18)
        pen.words(22, 20, "10 kΩ", size=10)
        told = _ground(pen.moved(12, 24), rails, part.pin, words)
        pen.box(68, -14, 64, 30)
        pen.line((42, 0), (68, 0))
        pen.words(100, 0, words.say("driver"), middle=True)
        pen.words(100, 12, "EN", size=9, middle=True)
        pen.line((132, 0), (146, 0))
        symbols.led(pen.moved(146, 0))
        pen.line((162, 0), (176, 0), (176, 22), (120, 22), (120, 16))
        pen.words(126, 40, f"+ {words.say('own_supply')}", size=10, middle=True)
        return [f"{told} (10 kΩ)"]

    return draw


def _input(role: str, part: Input, title: str, words: Words) -> Block:
    if isinstance(part, Presence):
        title = words.asks(part.asks)
    if role == "motion":
        return Block(role, title, COLOURS["input"], (part.pin,), ("OUT",), 34, _motion(part, words))
    notes = {"rex": "seen_only", "dps": "closed_shut", "tamper": "closed_housing"}
    held = isinstance(part, Presence) and part.hold_ms > 0
    note = words.say(notes.get(role, "closed_there" if held else "closed_pressed"))

    def draw(pen: Pen, rails: Rails) -> list[str]:
        pen.line((0, 0), (26, 0))
        symbols.contact(pen.moved(26, 0))
        pen.line((66, 0), (104, 0))
        pen.words(8, 28, note, size=10)
        if part.pull_up:
            return [_ground(pen.moved(104, 0), rails, part.pin, words)]
        pin = rails.supply(Supply.V3_3)
        pen.words(108, 4, f"3V3 {pin}")
        return [f"3V3 {pin}"]

    return Block(role, title, COLOURS["input"], (part.pin,), ("",), 34, draw)


def _motion(part: Input, words: Words) -> Callable[[Pen, Rails], list[str]]:
    def draw(pen: Pen, rails: Rails) -> list[str]:
        five = rails.supply(Supply.V5)
        pen.line((0, 0), (30, 0))
        pen.box(30, -14, 44, 28)
        pen.words(52, 4, "PIR", middle=True)
        pen.line((74, -6), (96, -6))
        pen.words(100, -2, f"5V {five}")
        pen.line((74, 6), (104, 6))
        told = _ground(pen.moved(104, 6), rails, part.pin, words)
        return [f"5V {five}", told]

    return draw


def _relay(part: Relay, title: str, words: Words) -> Block:
    level = words.say("high" if part.active_high else "low")
    draw = {Driver.HAT: _hat, Driver.MODULE: _module, Driver.TRANSISTOR: _transistor}[part.driver](part, words)
    below = {Driver.HAT: 42, Driver.MODULE: 70, Driver.TRANSISTOR: 86}[part.driver]
    above = 108 if part.driver is Driver.TRANSISTOR else 46
    terminal = {Driver.HAT: words.say("on_hat"), Driver.MODULE: "IN1", Driver.TRANSISTOR: "1 kΩ → B"}[part.driver]
    name = f"{title}: {level}"
    wired = part.driver is not Driver.HAT
    return Block("relay", name, COLOURS["relay"], (part.pin,), (terminal,), below, draw, wired, above)


def _hat(part: Relay, words: Words) -> Callable[[Pen, Rails], list[str]]:
    def draw(pen: Pen, rails: Rails) -> list[str]:
        pen.box(12, -14, 180, 46)
        pen.words(102, 4, words.say("on_hat"), middle=True)
        pen.words(102, 22, words.say("contacts"), middle=True)
        return []

    return draw


def _module(part: Relay, words: Words) -> Callable[[Pen, Rails], list[str]]:
    """A low-active module's opto-coupler is fed by 3.3 V and sunk by the pin; it shares no ground with us."""

    def draw(pen: Pen, rails: Rails) -> list[str]:
        kind = Supply.V5 if part.active_high else Supply.V3_3
        supply = f"{kind.value} {rails.supply(kind)}"
        told = [f"VCC ← {supply}"]
        pen.line((0, 0), (92, 0))
        pen.line((70, 20), (92, 20))
        pen.canvas.text(*pen.at(66, 24), supply, size=11, anchor="end" if pen.right else "start")
        if part.active_high:
            pen.line((30, 40), (92, 40))
            told.append(_ground(pen.moved(30, 40), rails, part.pin, words))
        pen.box(92, -14, 112, 74)
        terminals = ("IN1", "VCC", "GND") if part.active_high else ("IN1", "VCC")
        for index, terminal in enumerate(terminals):
            pen.words(98, 4 + 20 * index, terminal)
        if not part.active_high:
            for down, said in ((40, "JD-VCC"), (54, "GND")):
                pen.words(98, down + 1, said, size=10)
            pen.canvas.text(*pen.at(86, 48), words.say("own_5v"), size=10, anchor="end" if pen.right else "start")
        for index, name in enumerate(("COM", "NO", "NC")):
            pen.canvas.text(*pen.at(199, 2 + 14 * index), name, size=10, anchor="end" if pen.right else "start")
        return told

    return draw


def _transistor(part: Relay, words: Words) -> Callable[[Pen, Rails], list[str]]:
    def draw(pen: Pen, rails: Rails) -> list[str]:
        five = rails.supply(Supply.V5)
        pen.line((0, 0), (12, 0))
        symbols.resistor(pen.moved(12, 0), "1 kΩ")
        pen.line((48, 0), (80, 0))
        pen.line((60, 0), (60, 14))
        pen.box(55, 14, 10, 20)
        pen.canvas.text(*pen.at(50, 30), "10 kΩ", size=10, anchor="end" if pen.right else "start")
        pen.line((60, 34), (60, 46), (106, 46))
        symbols.transistor(pen.moved(80, 0))
        pen.line((106, 22), (106, 52))
        told = _ground(pen.moved(106, 52), rails, part.pin, words)
        symbols.coil(pen.moved(106, -66), "")
        pen.line((106, -26), (106, -22))
        pen.line((106, -66), (106, -76), (136, -76), (136, -54))
        symbols.diode(pen.moved(136, -38))
        pen.line((136, -38), (136, -24), (106, -24))
        pen.words(148, -42, "1N4007", size=10)
        pen.words(142, -72, f"5V {five}")
        pen.words(128, 6, "BC337", size=10)
        return [f"+ ← 5V {five}", told]

    return draw


def _reader(reader: Wiegand, words: Words) -> Block:
    lines = sorted(((reader.d0, "D0"), (reader.d1, "D1")), key=lambda line: physical(line[0]) or 0)

    def draw(pen: Pen, rails: Rails) -> list[str]:
        three, five = rails.supply(Supply.V3_3), rails.supply(Supply.V5)
        pen.box(26, -16, 64, 88)
        pen.words(58, -21, words.say("shifter"), size=10, middle=True)
        pen.box(142, -16, 62, 88)
        pen.words(173, 30, words.say("reader"), middle=True)
        for index, (_, wire) in enumerate(lines):
            down = PIN_STEP * index
            pen.line((0, down), (26, down))
            pen.line((90, down), (142, down))
            pen.words(116, down - 3, wire, size=10, middle=True)
            pen.words(58, down + 4, "3.3 | 5 V" if pen.right else "5 | 3.3 V", size=10, middle=True)
        pen.words(31, 48, f"LV 3V3 {three}", size=9.5)
        pen.words(31, 64, f"HV 5V {five}", size=9.5)
        pen.line((142, 52), (116, 52), (116, 74))
        told = _ground(pen.moved(116, 74), rails, reader.d0, words)
        return [f"LV ← 3V3 {three}", f"HV ← 5V {five}", told]

    title = f"{words.role('wiegand')} {reader.name}"
    pins, terminals = zip(*lines, strict=True)
    return Block(reader.name, title, COLOURS["reader"], pins, terminals, 72, draw, above=56)
