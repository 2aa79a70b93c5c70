"""What commands print: one JSON object, or lines for people; errors in one line, and an exit status."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gatevault.core import control
from gatevault.core.errors import GateVaultError
from gatevault.service.client import ask
from gatevault.service.state import DEFAULT_STATE

State = Annotated[
    Path,
    # An admin commands a gate through its socket, and may not read its state: not typer's to check.
    typer.Option("--state", metavar="DIR", envvar="GATEVAULT_STATE", help="The state directory.", readable=False),
]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object on standard output.")]
DEFAULT = Path(os.environ.get("GATEVAULT_STATE", DEFAULT_STATE))

people = Console(stderr=True, highlight=False)


@contextmanager
def plain_errors(as_json: bool) -> Iterator[None]:
    """Say what went wrong in one line, and exit with the error's own status."""
    try:
        yield
    except GateVaultError as error:
        print(f"gatevault: {error}", file=sys.stderr)  # noqa: T201
        if as_json:
            answer({"error": error.code, "message": str(error)}, as_json)
        raise typer.Exit(error.exit_status) from None


def answer(body: dict[str, Any], as_json: bool) -> None:
    """The command's answer, on standard output."""
    if as_json:
        sys.stdout.write(json.dumps(body, ensure_ascii=False) + "\n")
    else:
        for line in _lines(body):
            sys.stdout.write(line + "\n")


def do(state: Path, as_json: bool, command: control.Command) -> dict[str, Any]:
    """Ask the daemon and print its answer."""
    with plain_errors(as_json):
        body = ask(state, command, say)
    answer(body, as_json)
    return body


def say(text: str) -> None:
    """A message for the person at the terminal."""
    people.print(text, markup=False, soft_wrap=True)


def _lines(value: object, depth: int = 0) -> Iterator[str]:
    pad = "  " * depth
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        if isinstance(item, dict | list) and item:
            yield f"{pad}{name}:"
            yield from _lines(item, depth + 1)
        else:
            yield f"{pad}{name}: {_word(item)}"


def _word(value: object) -> str:
    if value is None or value in ({}, []):
        return "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
