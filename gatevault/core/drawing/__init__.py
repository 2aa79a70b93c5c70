"""Wiring drawings made from a board profile, so that the two cannot differ: values in, SVG out.

`sheet(board, language)` is one A4 page: the header as seen from above with a wire to each part, the lock's circuit,
and every wire as a list. `python -m gatevault.lab.drawings` writes them to `hardware/drawings`.
"""

from gatevault.core.drawing.sheet import sheet
from gatevault.core.drawing.words import Language

__all__ = ["Language", "sheet"]
