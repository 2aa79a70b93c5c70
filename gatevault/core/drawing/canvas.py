"""A page that SVG elements are put on. Units: quarters of a millimetre of an A4 sheet."""

from __future__ import annotations

from html import escape
from typing import Final

WIDTH: Final = 840
HEIGHT: Final = 1188

INK: Final = "#111"
FAINT: Final = "#777"

Point = tuple[float, float]


class Canvas:
    """Collects elements; `svg` gives the document."""

    def __init__(self, title: str, height: float = HEIGHT) -> None:
        self.height = height
        self._title = title
        self._elements: list[str] = []

    def lines(self, *points: Point, ink: str = INK, width: float = 1.6, dashed: bool = False) -> None:
        """An open line through these points."""
        way = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        stroke = f'fill="none" stroke="{ink}" stroke-width="{_n(width)}" stroke-linejoin="round"'
        self._add(f'<polyline points="{way}" {stroke}{dash}/>')

    def area(self, *points: Point, fill: str = INK) -> None:
        """A filled shape."""
        way = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._add(f'<polygon points="{way}" fill="{fill}" stroke="{INK}" stroke-width="1.2"/>')

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str = "none",
        ink: str = INK,
        round_: float = 0,
    ) -> None:
        """A rectangle by its upper left corner."""
        size = f'width="{_n(width)}" height="{_n(height)}" rx="{_n(round_)}"'
        self._add(f'<rect x="{_n(x)}" y="{_n(y)}" {size} fill="{fill}" stroke="{ink}" stroke-width="1.4"/>')

    def circle(self, x: float, y: float, radius: float, *, fill: str = "none", width: float = 1.4) -> None:
        stroke = f'stroke="{INK}" stroke-width="{_n(width)}"'
        self._add(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" fill="{fill}" {stroke}/>')

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 12,
        anchor: str = "start",
        bold: bool = False,
        ink: str = INK,
    ) -> None:
        """One line of words whose baseline begins, ends (`end`) or lies around (`middle`) that point."""
        weight = ' font-weight="bold"' if bold else ""
        self._add(
            f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" text-anchor="{anchor}"{weight} fill="{ink}">'
            f"{escape(words)}</text>"
        )

    def svg(self) -> str:
        """The whole document."""
        fonts = (
            "'Noto Sans', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', 'WenQuanYi Micro Hei', sans-serif"
        )
        return "\n".join(
            [
                '<svg xmlns="http://www.w3.org/2000/svg" width="210mm" '
                f'height="{_n(self.height / 4)}mm" viewBox="0 0 {WIDTH} {_n(self.height)}" font-family="{fonts}">',
                f"<title>{escape(self._title)}</title>",
                f'<rect width="{WIDTH}" height="{_n(self.height)}" fill="#fff"/>',
                *self._elements,
                "</svg>\n",
            ]
        )

    def _add(self, element: str) -> None:
        self._elements.append(element)


def _n(value: float) -> str:
    """A number as short as it can be, so that the same drawing is the same bytes everywhere."""
    return f"{value:.1f}".removesuffix(".0")
