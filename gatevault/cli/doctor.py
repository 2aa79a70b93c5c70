"""`gatevault doctor` as people see it: on a phone 60 columns wide, or as plain lines in a pipe."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from gatevault.cli.output import DEFAULT, Json, State, answer, plain_errors
from gatevault.service.doctor import Verdict, examine

_STYLES: Final = {
    Verdict.OK: "green",
    Verdict.ADVICE: "cyan",
    Verdict.UNKNOWN: "magenta",
    Verdict.WARNING: "yellow",
    Verdict.PROBLEM: "bold red",
}
_INDENT: Final = (0, 0, 0, 2)


def doctor(state: State = DEFAULT, as_json: Json = False) -> None:
    """Check what can be checked, and say what to do. Exit 0 only where all is well."""
    with plain_errors(as_json):
        body = examine(state)
    if as_json:
        answer(body, as_json)
    else:
        console = Console(highlight=False)
        show(body, console if console.is_terminal else None)
    if not body["ok"]:
        raise typer.Exit(1)


def show(body: dict[str, Any], console: Console | None) -> None:
    """Worst last, where a terminal ends. Without a console: a line for each finding, none of them wrapped."""
    order = list(Verdict)
    findings = sorted(body["findings"], key=lambda finding: order.index(Verdict(finding["verdict"])))
    if console is not None:
        _wrapped(findings, console)
        console.print(Text(_summary(body), style="bold"))
        return
    for finding in findings:
        lines = [f"{finding['verdict']:8} {finding['check']:12} {finding['what']}".rstrip()]
        lines += [f"{'':8} {name}: {finding[name]}" for name in ("why", "fix") if finding[name]]
        sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.write(_summary(body) + "\n")


def _wrapped(findings: Sequence[dict[str, Any]], console: Console) -> None:
    well = [finding["check"] for finding in findings if finding["verdict"] == Verdict.OK]
    console.print(Text("ok  ", style=_STYLES[Verdict.OK]) + Text(", ".join(dict.fromkeys(well)), style="dim"))
    for finding in findings:
        verdict = Verdict(finding["verdict"])
        if verdict is Verdict.OK:
            continue
        console.print(Text(f"\n{verdict.value}  ", style=_STYLES[verdict]) + Text(finding["check"], style="bold"))
        console.print(Padding(Text(finding["what"]), _INDENT, expand=False))
        for name in ("why", "fix"):
            if finding[name]:
                console.print(Padding(Text(f"{name}  ", style="dim") + Text(finding[name]), _INDENT, expand=False))
    console.print()


def _counted(count: int, verdict: Verdict) -> str:
    return (
        f"{count} {verdict}s"
        if count > 1 and verdict in (Verdict.PROBLEM, Verdict.WARNING)
        else f"{count} {verdict}"
    )


def _summary(body: dict[str, Any]) -> str:
    counts = Counter(finding["verdict"] for finding in body["findings"] if finding["verdict"] != Verdict.OK)
    told = ", ".join(_counted(count, verdict) for verdict in reversed(Verdict) if (count := counts[verdict.value]))
    return f"{'all is well' if body['ok'] else 'not all is well'} ({body['seconds']} s){': ' if told else ''}{told}"
