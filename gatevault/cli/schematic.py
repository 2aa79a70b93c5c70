"""The camera's aim in the terminal: a frame, a box, and the words for what to do next."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self

import msgspec
from rich.live import Live
from rich.text import Text

from gatevault.cli.output import people
from gatevault.core.aiming import Sighting, drawn
from gatevault.core.provisioning.words import Language, word


class Schematic(contextlib.AbstractContextManager["Schematic"]):
    """Shows each `Sighting` in place of the one before. On no terminal, a line each."""

    def __init__(self, language: Language = Language.EN, *, quiet: bool = False) -> None:
        self._language = language
        self._quiet = quiet
        self._live = Live(console=people, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if not self._quiet and people.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, text: str) -> None:
        """A progress of `control.Aim`, or a sentence of another command."""
        try:
            sighting = msgspec.json.decode(text, type=Sighting)
        except msgspec.DecodeError:
            people.print(text, markup=False, soft_wrap=True)
            return
        if self._quiet:
            return
        if self._live.is_started:
            lines = [*drawn(sighting), *self.told(sighting)]
            self._live.update(Text("\n".join(lines)), refresh=True)
        else:
            people.print("  ".join(self.told(sighting)), markup=False, soft_wrap=True)

    def told(self, sighting: Sighting) -> list[str]:
        """Numbers, then what to do."""
        exposure = "-" if sighting.exposure is None else f"{sighting.exposure} %"
        numbers = word(
            "aim-numbers", self._language, width=sighting.width, light=f"{sighting.light} %", exposure=exposure
        )
        return [numbers, "> " + word(f"aim-{sighting.advice}", self._language)]
