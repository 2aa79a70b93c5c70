"""Symbols of parts. Each is drawn away from the header: `Pen` mirrors those on the left, but never their words."""

from __future__ import annotations

from dataclasses import dataclass

from gatevault.core.drawing.canvas import INK, Canvas, Point


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws from a terminal at (x, y): `right` tells whether away from the header is to the right."""

    canvas: Canvas
    x: float
    y: float
    right: bool
    ink: str = INK

    def at(self, away: float, down: float = 0) -> Point:
        return (self.x + (away if self.right else -away), self.y + down)

    def moved(self, away: float, down: float) -> Pen:
        x, y = self.at(away, down)
        return Pen(self.canvas, x, y, self.right, self.ink)

    def line(self, *points: Point, width: float = 1.6, dashed: bool = False) -> None:
        """Through these points, each (away, down)."""
        self.canvas.lines(*(self.at(*point) for point in points), width=width, dashed=dashed)

    def box(self, away: float, down: float, width: float, height: float, fill: str = "#fff") -> None:
        x, y = self.at(away if self.right else away + width, down)
        self.canvas.box(x, y, width, height, fill=fill)

    def circle(self, away: float, down: float, radius: float, fill: str = "#fff") -> None:
        self.canvas.circle(*self.at(away, down), radius, fill=fill)

    def words(self, away: float, down: float, words: str, *, size: float = 11, middle: bool = False) -> None:
        anchor = "middle" if middle else "start" if self.right else "end"
        self.canvas.text(*self.at(away, down), words, size=size, anchor=anchor)


def ground(pen: Pen, words: str) -> None:
    """Ground, hanging from the pen's point; `words` beside it tell which pin."""
    pen.line((0, 0), (0, 8))
    for half, down in ((9, 8), (6, 12), (3, 16)):
        pen.line((-half, down), (half, down))
    pen.words(13, 15, words)


def resistor(pen: Pen, words: str) -> None:
    """From the pen's point, 36 long."""
    pen.box(0, -6, 36, 12)
    pen.words(18, -9, words, size=10, middle=True)


def led(pen: Pen) -> None:
    """A diode that shines, anode at the pen's point, 18 long."""
    pen.canvas.area(pen.at(0, -8), pen.at(0, 8), pen.at(16, 0), fill="#fff")
    pen.line((16, -8), (16, 8), width=2.2)
    for away in (4, 11):
        pen.line((away, -11), (away + 6, -18))
        pen.line((away + 2, -18), (away + 6, -18), (away + 6, -14))


def diode(pen: Pen) -> None:
    """Upright, anode below at the pen's point, 18 high."""
    pen.canvas.area(pen.at(-8, 0), pen.at(8, 0), pen.at(0, -16), fill="#fff")
    pen.line((-8, -16), (8, -16), width=2.2)


def contact(pen: Pen, *, closed: bool = False) -> None:
    """A switch from the pen's point, 40 long: open, or closed by its rest."""
    pen.line((4, 0), (36, 0 if closed else -13), width=2.2)
    if closed:
        pen.line((34, -6), (34, 6))
    for away in (4, 36):
        pen.circle(away, 0, 3)


def coil(pen: Pen, words: str) -> None:
    """A relay's coil from the pen's point downwards, 40 high."""
    pen.box(-11, 0, 22, 40)
    pen.line((-11, 34), (11, 6))
    pen.words(16, 24, words, size=10)


def transistor(pen: Pen) -> None:
    """An NPN whose base is at the pen's point; collector up and emitter down, both 26 away and 22 off."""
    pen.circle(20, 0, 17)
    pen.line((0, 0), (14, 0))
    pen.line((14, -11), (14, 11), width=2.6)
    pen.line((14, -5), (26, -13), (26, -22))
    pen.line((14, 5), (26, 13), (26, 22))
    pen.canvas.area(pen.at(26, 13), pen.at(19, 12), pen.at(22, 6))


def buzzer(pen: Pen) -> None:
    """From the pen's point, 26 long."""
    pen.circle(13, 0, 13)
    pen.line((6, 4), (6, -4), (11, -4), (17, -9), (17, 9), (11, 4), (6, 4))
