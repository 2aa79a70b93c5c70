"""The lock's circuit, past all software: a strike that is locked without power, and a magnet that is open."""

from __future__ import annotations

from gatevault.core.board import Board
from gatevault.core.drawing import symbols
from gatevault.core.drawing.canvas import Canvas
from gatevault.core.drawing.symbols import Pen
from gatevault.core.drawing.words import Words
from gatevault.core.header import physical

WIDTH = 396
HEIGHT = 204


def lock_circuits(canvas: Canvas, y: float, board: Board, words: Words) -> None:
    """Both circuits side by side, from `y` down."""
    _circuit(canvas, 16, y, words, safe=False)
    _circuit(canvas, 428, y, words, safe=True)
    if board.rex is not None:
        where = f"{words.say('pin')} {physical(board.rex.pin)} (GPIO {board.rex.pin}) + {words.say('gnd')}"
        to = f"{words.say('second_pole')} {where}"
        canvas.text(428 + WIDTH - 10, y + HEIGHT - 28, to, size=11, anchor="end")


def _circuit(canvas: Canvas, x: float, y: float, words: Words, *, safe: bool) -> None:
    canvas.box(x, y, WIDTH, HEIGHT, round_=6)
    canvas.text(x + 10, y + 20, words.say("safe" if safe else "secure"), size=13, bold=True)
    pen = Pen(canvas, x + 14, y + 80, True)
    pen.circle(4, 0, 4)
    pen.words(0, -10, "+", size=14)
    pen.words(0, 20, "12 V", size=11)
    pen.line((8, 0), (24, 0))
    pen.box(24, -5, 30, 10)
    pen.line((24, 0), (54, 0))
    pen.words(39, -10, words.say("fuse"), size=10, middle=True)
    along = 54.0
    for key in ("fire", "exit") if safe else ():
        pen.line((along, 0), (along + 14, 0))
        symbols.contact(pen.moved(along + 14, 0), closed=True)
        pen.words(along + 34, -14, words.say(key), size=10, middle=True)
        along += 54
    relay = 176.0
    pen.line((along, 0), (relay, 0))
    pen.canvas.box(*pen.at(relay - 6, -34), 84, 62)
    pen.words(relay + 36, -39, words.role("relay"), size=11, middle=True)
    pen.circle(relay + 10, 0, 3)
    pen.words(relay + 2, 14, "COM", size=10)
    used = 14 if safe else -16
    pen.line((relay + 10, 0), (relay + 54, 12), width=2.4)
    for down, name in ((-16, "NO"), (14, "NC")):
        pen.circle(relay + 58, down, 3)
        pen.words(relay + 40, down - 4 if down < 0 else down + 11, name, size=10)
    corner = 318.0
    pen.line((relay + 61, used), (relay + 96, used), (relay + 96, 0), (corner, 0), (corner, 14))
    pen.box(corner - 22, 14, 44, 34)
    pen.words(corner, 35, words.say("magnet" if safe else "strike"), size=11, middle=True)
    pen.line((corner, 0), (corner + 40, 0), (corner + 40, 22))
    symbols.diode(pen.moved(corner + 40, 38))
    pen.line((corner + 40, 38), (corner + 40, 62), (corner, 62), (corner, 48))
    pen.line((corner, 62), (corner, 78), (8, 78))
    pen.circle(4, 78, 4)
    pen.words(0, 98, f"−  {words.say('lock_supply')}", size=11)
    pen.canvas.text(*pen.at(376, -8), words.say("diode"), size=10, anchor="end")
    canvas.text(
        x + WIDTH - 10, y + HEIGHT - 10, words.say("safe_note" if safe else "secure_note"), size=11, anchor="end"
    )
