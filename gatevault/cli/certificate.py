"""`gatevault certificate verify`: anywhere, without the device, with the key that was kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatevault.cli.output import DEFAULT, Json, State, answer, plain_errors, say
from gatevault.core import control
from gatevault.core.errors import StateError, UsageError
from gatevault.core.jcs import MAX_INTEGER
from gatevault.service.client import ask
from gatevault.vault.signed import verify

certificate = typer.Typer(no_args_is_help=True, help="What the device signed: receipts, deletion certificates.")


@certificate.callback()
def certificates() -> None:
    """What the device signed for a person to keep: consent receipts and deletion certificates."""


@certificate.command("verify")
def certificate_verify(
    file: Annotated[Path, typer.Argument(help="JSON: a certificate, a receipt, or a resident's whole export.")],
    key: Annotated[
        str | None, typer.Option(metavar="GVK1-…", help="The key of receipts that was kept; else the device's own.")
    ] = None,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Check signatures against the device's public key. Exit 0 only where all hold."""
    with plain_errors(as_json):
        try:
            data = file.read_bytes()
        except OSError as error:
            raise UsageError(f"{file} cannot be read ({error.strerror}): name the file that was kept.") from None
        found = verify(data, _device_key(state) if key is None else key)
    body = {"ok": all(each["ok"] for each in found), "signed": found}
    answer(body, as_json)
    if not body["ok"]:
        raise typer.Exit(1)


def _device_key(state: Path) -> str:
    key: str | None = ask(state, control.LedgerExport(MAX_INTEGER), say).get("receipts_key")
    if key is None:
        raise StateError("The registry is not there, and its key with it: give the key that was kept, with --key.")
    return key
