"""Commands about what time it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from gatevault.cli.output import DEFAULT, Json, State, answer, plain_errors, say
from gatevault.core import control
from gatevault.core.consent import moment, stamp
from gatevault.core.errors import UsageError
from gatevault.service.client import ask
from gatevault.service.clock import set_system_clock

clock = typer.Typer(no_args_is_help=True, help="What time it is, where no battery or time server tells.")


@clock.command("set")
def clock_set(
    time: Annotated[str, typer.Argument(metavar="TIME", help="2026-11-26T15:00, local time; or with Z or +08:00.")],
    far: Annotated[
        bool, typer.Option("--far", help="It is right, though more than 31 days after the last time known.")
    ] = False,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Tell the gate what time it is; faces come on again. As root, a gate's system clock is set as well."""
    with plain_errors(as_json):
        told = ask(state, control.ClockSet(_utc(time), far), say)
        told["system_clock"] = _system(told.pop("bench"), told["to"])
    answer(told, as_json)


@clock.command("show")
def clock_show(state: State = DEFAULT, as_json: Json = False) -> None:
    """What time the gate believes it is, and why."""
    with plain_errors(as_json):
        part = ask(state, control.Status(), say)["clock"]
    answer(part, as_json)


def _utc(time: str) -> str:
    """RFC 3339, UTC, of an ISO 8601 time, which is local where it has no zone. UsageError."""
    try:
        return stamp(datetime.fromisoformat(time).astimezone(UTC))
    except (ValueError, OverflowError):
        raise UsageError(f"{time!r} is no time like 2026-11-26T15:00: nothing was changed.") from None


def _system(bench: bool, to: str) -> str:
    if bench:
        return "left as it is: this is a bench"
    if set_system_clock(moment(to)):
        return "set"
    return "left as it is, for only root may set it: the gate forgets this time when it restarts"
