"""Commands about people: residents, cards, consent."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gatevault.cli.output import DEFAULT, Json, State, do, plain_errors, say
from gatevault.core import control
from gatevault.core.consent import KeyMode
from gatevault.core.errors import UsageError
from gatevault.service.client import ask

resident = typer.Typer(no_args_is_help=True, help="Residents, one at a time.")
card = typer.Typer(no_args_is_help=True, help="Cards of residents.")
consent = typer.Typer(no_args_is_help=True, help="Consent: given by the resident's own card, withdrawn by it.")


class Language(StrEnum):
    """The languages that the notice is in."""

    ZH = "zh"
    EN = "en"


def resident_id(text: str) -> str:
    """A pseudonym as `resident add` gave it. UsageError."""
    if not re.fullmatch(r"r-[0-9a-f]{16}", text):
        raise UsageError(f"{text!r} is not a resident's pseudonym: those look like r-0123456789abcdef.")
    return text


def about(state: Path, as_json: bool, kind: Callable[[str], control.Command], resident: str) -> None:
    """Ask the daemon for what concerns one resident alone."""
    with plain_errors(as_json):
        command = kind(resident_id(resident))
    do(state, as_json, command)


@resident.command("add")
def resident_add(
    name: str,
    born: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="Under 14 the face stays off.")] = None,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Add a resident; the answer is a random pseudonym."""
    with plain_errors(as_json):
        if not 1 <= len(name) <= 120:
            raise UsageError("A name has 1 to 120 characters.")
        if born is not None and not re.fullmatch(r"(19|20)[0-9]{2}-(0[1-9]|1[0-2])", born):
            raise UsageError(f"{born!r} is not a month of birth: write it as YYYY-MM.")
    do(state, as_json, control.ResidentAdd(name, born))


@resident.command("show")
def resident_show(resident: str, state: State = DEFAULT, as_json: Json = False) -> None:
    """What an admin may see of one resident; that it was seen is recorded."""
    about(state, as_json, control.ResidentShow, resident)


@resident.command("export")
def resident_export(resident: str, state: State = DEFAULT, as_json: Json = False) -> None:
    """All that is held on one resident, for that resident."""
    about(state, as_json, control.ResidentExport, resident)


@resident.command("remove")
def resident_remove(resident: str, state: State = DEFAULT, as_json: Json = False) -> None:
    """Take name, cards, receipts and template."""
    about(state, as_json, control.ResidentRemove, resident)


@card.command("add")
def card_add(resident: str, number: str, state: State = DEFAULT, as_json: Json = False) -> None:
    """Give a resident a card."""
    with plain_errors(as_json):
        command = control.CardAdd(resident_id(resident), number)
    do(state, as_json, command)


@card.command("remove")
def card_remove(number: str, state: State = DEFAULT, as_json: Json = False) -> None:
    """Take a card from its resident."""
    do(state, as_json, control.CardRemove(number))


@consent.command("give")
def consent_give(
    resident: str,
    notice: Annotated[Language, typer.Option(help="The language of the notice to show.")],
    tap: Annotated[str | None, typer.Option(metavar="NUMBER", help="On a bench: stands for the card.")] = None,
    holder_key: Annotated[
        bool, typer.Option("--holder-key", help="The template opens with the secret on this card alone, 1:1.")
    ] = False,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Show the notice, then wait for the resident's own card at the reader."""
    with plain_errors(as_json):
        who = resident_id(resident)
        shown = ask(state, control.Notice(notice.value), say)
        say(shown["text"])
    mode = KeyMode.HOLDER if holder_key else KeyMode.DEVICE
    do(state, as_json, control.ConsentGive(who, notice.value, shown["sha256"], tap, mode))


@consent.command("withdraw")
def consent_withdraw(resident: str, state: State = DEFAULT, as_json: Json = False) -> None:
    """End a consent and destroy the template (a resident's card can: five taps in ten seconds)."""
    about(state, as_json, control.ConsentWithdraw, resident)


@consent.command("show")
def consent_show(resident: str, state: State = DEFAULT, as_json: Json = False) -> None:
    """The latest receipt, and whether it lives."""
    about(state, as_json, control.ConsentShow, resident)
