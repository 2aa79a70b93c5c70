"""A person at a terminal, whom the wizard asks: a phone's ssh of 40 columns will do."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.text import Text

from gatevault.cli.output import people
from gatevault.cli.schematic import Schematic
from gatevault.core.errors import UsageError
from gatevault.core.provisioning.questions import NEEDED, AnswerError, Question
from gatevault.core.provisioning.words import Language, word
from gatevault.service.provision.talk import Verdict

_YES = ("y", "yes", "j", "是", "对", "")
_NO = ("n", "no", "否", "不")
_AGAIN = ("a", "again", "重来", "再")


class Terminal:
    """Asks until an answer is taken, and says why one is not. UsageError where the terminal ends."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._schematic: Schematic | None = None

    @property
    def language(self) -> Language:
        return self._language

    @property
    def width(self) -> int:
        return people.width

    def say(self, name: str, /, **values: object) -> None:
        self._end_drawing()
        style = {"title": "bold", "step": "bold", "relay-inverted": "bold red", "contact-inverted": "red"}.get(name)
        people.print(Text(word(name, self.language, **values), style=style or ""))

    def show(self, lines: Sequence[str]) -> None:
        for line in lines:
            people.print(line, markup=False, highlight=False, no_wrap=True, overflow="crop")

    def ask(self, question: Question, check: Callable[[Any], None] | None = None) -> Any:
        self._end_drawing()
        text = question.asks[self.language is Language.ZH]
        for number, option in enumerate(question.options, start=1):
            people.print(f"  {number}  {option}", markup=False)
        shown = "" if question.default in (NEEDED, "", ()) else f" [{_told(question.default)}]"
        while True:
            typed = self._line(f"{text}{shown}: ")
            if not typed and question.default is not NEEDED:
                answer = question.default
            else:
                if question.options and typed.isdigit() and 1 <= int(typed) <= len(question.options):
                    typed = question.options[int(typed) - 1]
                try:
                    answer = question.read(typed)
                except ValueError as error:
                    self.say("again", why=self._why(error))
                    self.say("allowed", allowed=question.allowed)
                    continue
            if self._fits(answer, check):
                return answer

    def _why(self, error: ValueError) -> str:
        return error.chinese if self._language is Language.ZH and isinstance(error, AnswerError) else str(error)

    def _fits(self, answer: Any, check: Callable[[Any], None] | None) -> bool:
        """Whether an answer fits this place, or is wanted all the same."""
        if check is None:
            return True
        try:
            check(answer)
        except ValueError as error:
            self.say("again", why=self._why(error))
            return self._yes(word("anyway", self.language), default=False)
        return True

    def wants(self, key: str, name: str, /, **values: object) -> bool:
        return self._yes(word(name, self.language, **values), default=True)

    def judged(self, part: str, name: str) -> Verdict:
        while True:
            typed = self._line(f"{word(name, self.language)} ({word('yes-no-again', self.language)}): ").lower()
            if typed in _AGAIN:
                return Verdict.AGAIN
            if typed in _YES[:-1]:
                return Verdict.WORKS
            if typed in _NO:
                return Verdict.BROKEN

    def yes(self, name: str) -> bool | None:
        return self._yes(word(name, self.language), default=None)

    def _yes(self, text: str, *, default: bool | None) -> bool:
        hint = {True: "Y/n", False: "y/N", None: "y/n"}[default]
        while True:
            typed = self._line(f"{text} ({hint}): ").lower()
            if not typed and default is not None:
                return default
            if typed in _YES[:-1]:
                return True
            if typed in _NO:
                return False

    def watched(self, seconds: float) -> bool:
        """True once Enter was pressed."""
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        if not ready:
            return False
        if not os.read(sys.stdin.fileno(), 1024):
            raise UsageError("The terminal ended: nothing more can be asked.")
        return True

    def progress(self, text: str) -> None:
        if self._schematic is None:
            self._schematic = Schematic(self.language)
            self._schematic.__enter__()
        self._schematic.show(text)

    def _end_drawing(self) -> None:
        if self._schematic is not None:
            self._schematic.__exit__(None, None, None)
            self._schematic = None

    def _line(self, prompt: str) -> str:
        self._end_drawing()
        people.print(Text(prompt, style="cyan"), end="")
        people.file.flush()
        line = sys.stdin.readline()
        if not line:
            raise UsageError("The terminal ended: nothing more can be asked. Scripts use --answers FILE.")
        return line.strip()


def _told(default: object) -> str:
    if isinstance(default, bool):
        return "y" if default else "n"
    return ", ".join(default) if isinstance(default, tuple) else str(default)
