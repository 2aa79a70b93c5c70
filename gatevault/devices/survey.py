"""Who holds which line of a gpiochip, without touching a line: what `gpioinfo` shows."""

from __future__ import annotations

from typing import NamedTuple

from gatevault.core.errors import DeviceError


class Line(NamedTuple):
    """One line as the kernel tells of it."""

    used: bool
    consumer: str
    """Who holds it, in its own words; empty where nobody does."""


class Chip(NamedTuple):
    """A gpiochip: its driver's name for it, and its lines by number."""

    label: str
    lines: tuple[Line, ...]


def survey(path: str) -> Chip:
    """The lines of a chip. OSError where it is not there or not open to this user; DeviceError without gpiod."""
    try:
        import gpiod
    except ImportError as error:
        raise DeviceError(
            "gpiod, which asks the kernel about lines, is not there: pip install 'gpiod>=2.5'"
        ) from error
    with gpiod.Chip(path) as chip:
        about = chip.get_info()
        found = (chip.get_line_info(number) for number in range(about.num_lines))
        return Chip(about.label, tuple(Line(line.used, line.consumer or "") for line in found))
