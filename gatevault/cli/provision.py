"""`gatevault provision`: from an installed package to a working gate."""

from __future__ import annotations

import getpass
import signal
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from gatevault.cli.output import DEFAULT, Json, State, answer, people, plain_errors, say
from gatevault.cli.site import hashed
from gatevault.cli.terminal import Terminal
from gatevault.cli.vault import Typed
from gatevault.core.errors import ConfigError, StateError, UsageError
from gatevault.core.passphrase import MIN_CHARACTERS, MIN_DISTINCT, is_strong, typed
from gatevault.core.provisioning.answers import read_answers
from gatevault.core.provisioning.questions import questions
from gatevault.core.provisioning.words import Language, word
from gatevault.service.provision.flow import Wizard, handover, left_behind
from gatevault.service.provision.making import is_made, usable_boards
from gatevault.service.provision.talk import FileTalk, Talk
from gatevault.service.state import StatePaths, read_device

_LONGEST = 64 * 1024
"""Bytes of an answer file; a sensible one has 2 KB."""


def provision(
    bench: Annotated[bool, typer.Option("--bench", help="A bench: mock pins, pictures as cameras.")] = False,
    language: Annotated[Language, typer.Option("--lang", help="The wizard's language.")] = Language.EN,
    answers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A TOML file with every answer; nothing is asked then.")
    ] = None,
    end: Annotated[bool, typer.Option("--handover", help="End the installer: their key counts no more.")] = False,
    stdin: Typed = False,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Set up a gate: board, wires, tests, key, settings, records, handover sheet. May be ended and run again."""
    with plain_errors(as_json), _interruptible(state, language):
        body = handover(state, _quiet(language)) if end else _wizard(state, bench, language, answers, stdin).run()
    if as_json:  # people were told as it went
        answer(body, as_json)


def _wizard(state: Path, bench: bool, language: Language, file: Path | None, stdin: bool) -> Wizard:
    talk: Talk
    if file is not None:
        made = is_made(state)
        bench = read_device(StatePaths(state)).bench if made else bench
        known = questions(usable_boards(bench)[0], bench=bench)
        talk = FileTalk(read_answers(_toml(file), known, made=made), language, say)
    elif sys.stdin.isatty():
        talk = Terminal(language)
    else:
        raise UsageError("There is no terminal to ask at: give the answers with --answers FILE.")

    def passphrase(provider: str) -> memoryview | None:
        return _passphrase(language, stdin) if provider == "passphrase" else None

    return Wizard(state, talk, bench, passphrase, hashed, only_file=file is not None)


def _quiet(language: Language) -> Talk:
    """Nobody is asked anything; what is done is told."""
    return FileTalk({}, language, say)


def _toml(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _LONGEST:
            raise ConfigError(f"{file} is longer than {_LONGEST} bytes: that is no answer file. Nothing was done.")
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}). Nothing was done.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file} is no TOML: {error}. Nothing was done.") from None


def _passphrase(language: Language, stdin: bool) -> memoryview:
    """A passphrase for the vault: from standard input, or typed twice until it will do. UsageError."""
    weak = f"{MIN_CHARACTERS} characters, {MIN_DISTINCT} of them different: four random words do"
    if stdin:
        first = typed(sys.stdin.readline().rstrip("\n"))
        if not is_strong(first):
            raise UsageError(f"The passphrase is too weak: at least {weak}. Nothing was made.")
        return first
    if not sys.stdin.isatty():
        raise UsageError("There is no terminal to type the passphrase at: give it with --passphrase-stdin.")
    while True:
        try:
            first = typed(getpass.getpass("Passphrase: "))
        except UsageError as error:
            people.print(word("again", language, why=error))
            continue
        if not is_strong(first):
            people.print(word("again", language, why=weak))
        elif typed(getpass.getpass("The same again: ")) == first:
            return first
        else:
            people.print(word("again", language, why="the two differ"))


@contextmanager
def _interruptible(state: Path, language: Language) -> Iterator[None]:
    """A hang-up of the phone's ssh ends as Ctrl-C does: in order, with the relay released."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except KeyboardInterrupt:
        left = word(left_behind(state), language, root=state)
        raise StateError(word("interrupted", language, left=left)) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
