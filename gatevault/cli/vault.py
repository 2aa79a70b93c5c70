"""Commands about the vault and its keys."""

from __future__ import annotations

import getpass
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gatevault.cli.output import DEFAULT, Json, State, answer, do, plain_errors, say
from gatevault.core import control
from gatevault.core.errors import UsageError
from gatevault.core.passphrase import typed
from gatevault.service.client import ask
from gatevault.service.destruction import destroy_vault, keep

vault = typer.Typer(no_args_is_help=True, help="The sealed templates: lock, unlock, check.")
key = typer.Typer(no_args_is_help=True, help="Where the key of the templates lives.")

Typed = Annotated[
    bool, typer.Option("--passphrase-stdin", help="Read the passphrase from standard input, not the terminal.")
]
Pcrs = Annotated[
    str | None, typer.Option(metavar="BANK:N,N", help="tpm2: open only with these PCRs as now (sha256:0,2,7).")
]
PlainTpm = Annotated[
    bool,
    typer.Option("--tpm-plain", help="tpm2: keep no index in the TPM; an old image of the card then opens again."),
]


class Keys(StrEnum):
    """Where the vault's secret may live."""

    FILE = "file"
    PASSPHRASE = "passphrase"  # noqa: S105
    SYSTEMD_CREDENTIAL = "systemd-credential"
    TPM2 = "tpm2"


def new_passphrase(keys: Keys, stdin: bool) -> memoryview | None:
    """A passphrase typed twice, where the provider asks for one. UsageError."""
    if keys is not Keys.PASSPHRASE:
        return None
    first = typed_passphrase(stdin)
    if not stdin and typed(getpass.getpass("The same again: ")) != first:
        raise UsageError("The two passphrases differ: nothing was changed.")
    return first


def typed_passphrase(stdin: bool) -> memoryview:
    """A passphrase from the terminal, unseen, or the first line of standard input. UsageError without one."""
    if not stdin and not sys.stdin.isatty():
        raise UsageError("There is no terminal to type the passphrase at: give it with --passphrase-stdin.")
    text = sys.stdin.readline().rstrip("\n") if stdin else getpass.getpass("Passphrase of the vault: ")
    if not text:
        raise UsageError("No passphrase was given: nothing was changed.")
    return typed(text)


@vault.command("lock")
def vault_lock(state: State = DEFAULT, as_json: Json = False) -> None:
    """Overwrite gallery and keys: faces are off until `vault unlock`, cards work."""
    do(state, as_json, control.VaultLock())


@vault.command("unlock")
def vault_unlock(stdin: Typed = False, state: State = DEFAULT, as_json: Json = False) -> None:
    """Open the vault; asks for the passphrase where its key is one."""
    with plain_errors(as_json):
        asks = ask(state, control.KeyShow(), say)["provider"] == Keys.PASSPHRASE
        command = control.VaultUnlock(typed_passphrase(stdin) if asks else None)
    do(state, as_json, command)


@vault.command("check")
def vault_check(state: State = DEFAULT, as_json: Json = False) -> None:
    """Open every record, compare the stores, look for remains. Exit 0 only where all is well."""
    if not do(state, as_json, control.VaultCheck())["ok"]:
        raise typer.Exit(1)


@vault.command("destroy")
def vault_destroy(
    device: Annotated[str, typer.Argument(help="The device's id, as `status` tells it: it says that you mean it.")],
    statement: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the signed statement to this file.")
    ] = None,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Destroy the key of every template, and the templates, for ever. The daemon must be stopped."""
    with plain_errors(as_json):
        body = destroy_vault(state, device)
        answer(body, as_json)
        if statement is not None:
            keep(statement, json.dumps(body, ensure_ascii=False, indent=1) + "\n")


@key.command("show")
def key_show(state: State = DEFAULT, as_json: Json = False) -> None:
    """Where the vault's secret is, and what a thief of the card gets."""
    do(state, as_json, control.KeyShow())


@key.command("rotate")
def key_rotate(state: State = DEFAULT, as_json: Json = False) -> None:
    """Wrap every record under fresh keys: older copies of vault.db do not open with today's."""
    do(state, as_json, control.KeyRotate())


@key.command("move")
def key_move(
    to: Annotated[Keys, typer.Option(help="The provider that makes the new secret.")],
    pcrs: Pcrs = None,
    tpm_plain: PlainTpm = False,
    stdin: Typed = False,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Rotate under a secret of another provider; the one before forgets its own."""
    with plain_errors(as_json):
        command = control.KeyMove(to.value, new_passphrase(to, stdin), pcrs, not tpm_plain)
    do(state, as_json, command)
