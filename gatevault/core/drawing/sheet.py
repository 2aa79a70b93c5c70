"""The sheet: where header, parts, wires, the lock's circuit and the list stand."""

from __future__ import annotations

from typing import Final

from gatevault.core.board import Board, PrivacyLight
from gatevault.core.drawing.canvas import FAINT, HEIGHT, INK, WIDTH, Canvas
from gatevault.core.drawing.lock import lock_circuits
from gatevault.core.drawing.parts import PIN_STEP, Block, Rails, blocks
from gatevault.core.drawing.symbols import Pen
from gatevault.core.drawing.words import Language, Words
from gatevault.core.header import HEADER, Supply, physical
from gatevault.core.wiring import findings

TOP: Final = 148
STEP: Final = 27
COLUMNS: Final = (398.0, 442.0)
LABELS: Final = (320.0, 520.0)
"""Where the wires begin, beside the names of the pins."""

EDGES: Final = (236.0, 604.0)
"""Where the blocks of the parts end, towards the header."""

BLOCK_WIDTH: Final = 220
TRACK: Final = 9.0
GAP: Final = 7.0
FIRST: Final = 100.0
"""Between blocks, and where the first may begin."""

LOCK_Y: Final = 752
LIST_Y: Final = 978
ROW: Final = 15


def sheet(board: Board, language: Language) -> str:
    """One board as SVG: an A4 page, longer where there are more parts than beside the header is room for.

    ValueError for a board that is on no Pi's header.
    """
    words = Words(language)
    sides: tuple[list[Block], list[Block]] = ([], [])
    for block in blocks(board, words):
        sides[_number(block.pins[0]) % 2 == 0].append(block)
    longer = max(0.0, *(_room(side) - (LOCK_Y - FIRST) for side in sides))
    canvas = Canvas(f"GateVault · {words.say('title')} · {board.name}", HEIGHT + longer)
    _head(canvas, board, words)
    rails = Rails()
    used = {_number(pin): block.colour for side in sides for block in side for pin in block.pins}
    rows: list[tuple[int, str, str, str]] = []
    for right in (False, True):
        rows += _side(canvas, sorted(sides[right], key=lambda b: _number(b.pins[0])), right, rails, words, longer)
    _header(canvas, used, rails, words)
    lock_circuits(canvas, LOCK_Y + longer, board, words)
    _list(canvas, sorted(rows), words, LIST_Y + longer)
    _foot(canvas, board, words)
    return canvas.svg()


def _number(bcm: int) -> int:
    number = physical(bcm)
    if number is None:
        raise ValueError(f"GPIO {bcm} is not on the header: this board cannot be drawn")
    return number


def _row_y(number: int) -> float:
    return TOP + (number - 1) // 2 * STEP


def _head(canvas: Canvas, board: Board, words: Words) -> None:
    canvas.text(16, 40, f"GateVault · {words.say('title')} · {board.name}", size=22, bold=True)
    canvas.text(16, 62, board.description, size=13)
    canvas.text(
        16, 82, f"{words.say('above')}; {words.say('numbers')}; {words.say('ground_at')}", size=12, ink=FAINT
    )


def _header(canvas: Canvas, used: dict[int, str], rails: Rails, words: Words) -> None:
    bottom = TOP + 19 * STEP
    canvas.box(376, TOP - 20, 88, bottom - TOP + 40, ink=INK, round_=8)
    canvas.text(388, TOP - 27, words.say("board"), size=10, anchor="middle", ink=FAINT)
    canvas.text(452, TOP - 27, words.say("edge"), size=10, anchor="middle", ink=FAINT)
    for number, what in enumerate(HEADER, start=1):
        x, y = COLUMNS[number % 2 == 0], _row_y(number)
        taken = number in used or number in rails.used
        if number == 1:
            canvas.box(x - 12, y - 12, 24, 24)
        fill = "#fff"
        if number in used:
            fill = "#ffe08a"
        elif number in rails.used:
            fill = "#d9d9d9"
        canvas.circle(x, y, 10, fill=fill, width=2.4 if taken else 0.8)
        canvas.text(x, y + 4, str(number), size=10.5, anchor="middle", bold=taken, ink=INK if taken else FAINT)
        name = f"GPIO {what}" if not isinstance(what, Supply) else what.value
        place = (370.0, "end") if number % 2 else (470.0, "start")
        canvas.text(place[0], y + 4, name, size=11, anchor=place[1], bold=taken, ink=INK if taken else FAINT)
    canvas.text(420, bottom + 36, "USB ▼", size=11, anchor="middle", ink=FAINT)


def _side(
    canvas: Canvas, side: list[Block], right: bool, rails: Rails, words: Words, longer: float
) -> list[tuple[int, str, str, str]]:
    """Draw the blocks of one side and their wires; the rows of the list that they make."""
    places = _places(side, LOCK_Y + longer - GAP)
    edge, label = EDGES[right], LABELS[right]
    away = 1 if right else -1
    ends = [
        (_number(pin), place + block.above + PIN_STEP * index, block)
        for block, place in zip(side, places, strict=True)
        for index, pin in enumerate(block.pins)
    ]
    step = min(TRACK, abs(edge - label) / (len(ends) + 1))
    for index, (number, end, block) in enumerate(ends):
        start = _row_y(number)
        if (
            number % 2 == 0
        ) is not right:  # a reader's second pin in the other column: between two rows to this side
            x, start = COLUMNS[not right], start + STEP / 2
            canvas.lines((x, start - 3), (x, start), (label, start), ink=block.colour, width=2.6)
        # Going down, a lower wire turns nearer to the header; going up, an upper one: so none crosses another.
        track = edge - away * step * (index + 1) if end >= start else label + away * step * (index + 1)
        way = ((label, start), (track, start), (track, end), (edge, end))
        canvas.lines(*way, ink=block.colour, width=2.6, dashed=not block.wired)
    rows = []
    for block, place in zip(side, places, strict=True):
        rows += _block(canvas, block, place, right, rails, words)
    return rows


def _room(side: list[Block]) -> float:
    return sum(block.height + GAP for block in side) + GAP


def _places(side: list[Block], last: float) -> list[float]:
    """Upper edges: as near to their pins as they can be without touching, all above `last`."""
    places: list[float] = []
    for index, block in enumerate(side):
        least = places[-1] + side[index - 1].height + GAP if places else FIRST
        most = last - sum(later.height + GAP for later in side[index:])
        places.append(max(least, min(most, _row_y(_number(block.pins[0])) - block.above)))
    return places


def _block(
    canvas: Canvas, block: Block, place: float, right: bool, rails: Rails, words: Words
) -> list[tuple[int, str, str, str]]:
    edge = EDGES[right]
    canvas.box(edge if right else edge - BLOCK_WIDTH, place, BLOCK_WIDTH, block.height, ink=block.colour, round_=5)
    x, anchor = (edge + 8, "start") if right else (edge - 8, "end")
    numbers = " ".join(f"{_number(pin)}" for pin in block.pins)
    canvas.text(x, place + 16, f"{block.title} · {words.say('pin')} {numbers}", size=11.5, anchor=anchor, bold=True)
    others = block.draw(Pen(canvas, edge, place + block.above, right), rails)
    rows = []
    for index, (pin, terminal) in enumerate(zip(block.pins, block.terminals, strict=True)):
        extra = "; ".join(others) if index == len(block.pins) - 1 else ""
        part = f"{block.title.partition(':')[0]} {terminal}".rstrip()
        rows.append((_number(pin), f"GPIO {pin}", part, extra))
    return rows


def _list(canvas: Canvas, rows: list[tuple[int, str, str, str]], words: Words, top: float) -> None:
    canvas.text(16, top, words.say("wires"), size=13, bold=True)
    half = (len(rows) + 1) // 2
    for index, (number, gpio, part, extra) in enumerate(rows):
        x, y = (16, 428)[index >= half], top + 18 + index % half * ROW
        canvas.text(x + 18, y, str(number), size=11.5, anchor="end", bold=True)
        canvas.text(x + 26, y, gpio, size=11.5)
        canvas.text(x + 82, y, f"{part}" + (f" · {extra}" if extra else ""), size=11)


def _foot(canvas: Canvas, board: Board, words: Words) -> None:
    notes = [f"{words.say('boot')} {doubt.cure} {words.say('pull')}" for doubt in findings(board) if doubt.cure]
    if board.privacy_light is PrivacyLight.CAMERA_SUPPLY:
        notes.append(words.say("camera_supply"))
    notes.append(words.say("not_certified"))
    notes.append(f"{words.say('made_from')} hardware/boards/{board.name}.toml; {words.say('untried')}")
    for index, note in enumerate(reversed(notes)):
        bold = index >= 2
        canvas.text(16, canvas.height - 14 - 16 * index, note, size=11, bold=bold, ink=INK if bold else FAINT)
    rule = canvas.height - 14 - 16 * len(notes)
    canvas.lines((16, rule), (WIDTH - 16, rule), width=0.8)
