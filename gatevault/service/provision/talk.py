"""Whom the wizard asks: a person at a terminal (`cli.terminal`), or an answer file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, Protocol

from gatevault.core.provisioning.questions import Question
from gatevault.core.provisioning.words import Language, word


class Verdict(StrEnum):
    """What became of a part's test."""

    WORKS = "works"
    BROKEN = "broken"
    SKIP = "skip"
    AGAIN = "again"
    """Not kept: the test is made once more."""


class Talk(Protocol):
    """Sentences are named as in `core.provisioning.words`."""

    @property
    def language(self) -> Language: ...
    @property
    def width(self) -> int:
        """Columns of the terminal."""

    def say(self, name: str, /, **values: object) -> None: ...
    def show(self, lines: Sequence[str]) -> None:
        """Lines as they are: a drawing."""

    def ask(self, question: Question, check: Callable[[Any], None] | None = None) -> Any:
        """An answer that the question takes. `check` raises ValueError for one that does not fit this place."""

    def wants(self, key: str, name: str, /, **values: object) -> bool:
        """Whether an optional step is made; `key` is what an answer file says of it."""

    def judged(self, part: str, name: str) -> Verdict:
        """What a person saw or heard of a part that was driven."""

    def yes(self, name: str) -> bool | None:
        """A plain question about what is there; None where nobody can say."""

    def watched(self, seconds: float) -> bool:
        """Wait; True as soon as somebody says that it is enough."""

    def progress(self, text: str) -> None:
        """What the daemon says while a command runs: a `core.aiming.Sighting`, or a sentence."""


WATCH_S: Final = 60.0
"""How long a part is watched at most."""


class FileTalk:
    """Answers as an answer file has them, checked before (`core.provisioning.answers`)."""

    def __init__(self, answers: Mapping[str, Any], language: Language, tell: Callable[[str], None]) -> None:
        """`tell` prints one line."""
        self._answers = answers
        self._language = language
        self._tell = tell

    @property
    def language(self) -> Language:
        return self._language

    @property
    def width(self) -> int:
        return 80

    def say(self, name: str, /, **values: object) -> None:
        self._tell(word(name, self.language, **values))

    def show(self, lines: Sequence[str]) -> None:
        """A drawing is for a person."""

    def ask(self, question: Question, check: Callable[[Any], None] | None = None) -> Any:
        """The file's answer. ValueError where it does not fit this place."""
        answer = self._answers[question.key]
        if check is not None:
            check(answer)
        return answer

    def wants(self, key: str, name: str, /, **values: object) -> bool:
        answer = self._answers.get(key, "skip")
        return answer not in ("skip", 0, "", None, False)

    def judged(self, part: str, name: str) -> Verdict:
        return Verdict(self._answers[f"tests.{part}"])

    def yes(self, name: str) -> bool | None:
        return None

    def watched(self, seconds: float) -> bool:
        time.sleep(seconds)
        return False

    def progress(self, text: str) -> None:
        """Numbers in passing are for a person: the step's end tells them."""
