"""Commands about backups: the recovery key, making one, restoring one."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from gatevault.cli.output import DEFAULT, Json, State, answer, plain_errors, say
from gatevault.cli.vault import Keys, Pcrs, PlainTpm, Typed, new_passphrase
from gatevault.core import control
from gatevault.core.errors import BackupError, UsageError
from gatevault.service.client import ask
from gatevault.service.restore import restore as restore_state
from gatevault.service.state import KeyOptions
from gatevault.vault.backup import new_recovery_key
from gatevault.vault.files import replace

backup = typer.Typer(no_args_is_help=True, help="Everything but templates, sealed to a recovery key.")


@backup.command("new-key")
def new_key(
    file: Annotated[Path, typer.Argument(help="Where its private half goes: a stick in a safe, not this device.")],
    as_json: Json = False,
) -> None:
    """Make a recovery key; the answer is its public half, which backups are made for."""
    with plain_errors(as_json):
        answer({"recovery_key": new_recovery_key(file), "private": str(file)}, as_json)


@backup.command("make")
def make(
    out: Annotated[Path, typer.Argument(help="A file that must not be there yet.")],
    to: Annotated[
        str | None,
        typer.Option(metavar="gvr1-…", help="The public half of the recovery key, unless config.toml names it."),
    ] = None,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Back up residents, consents, cards, configuration and ledger; no templates."""
    with plain_errors(as_json):
        if out.exists():
            raise UsageError(f"{out} is there already: choose another name. Nothing was changed.")
        if to is not None and not re.fullmatch("gvr1-[0-9a-f]{64}", to):
            raise UsageError("A recovery key's public half is written gvr1- and 64 hexadecimal digits.")
        made = ask(state, control.BackupMake(to), say)
        data = fetch(state, made)
        try:
            replace(out, data)
        except OSError as error:
            raise BackupError(f"{out} cannot be written ({error.strerror}): no backup was kept.") from None
        answer({"backup": str(out), **made}, as_json)


@backup.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    recovery_key: Annotated[Path, typer.Option("--key", help="The private half of its recovery key.")],
    later: Annotated[
        Path | None, typer.Option(help="A ledger exported after the backup: what was withdrawn since is honoured.")
    ] = None,
    nothing_later: Annotated[
        bool, typer.Option("--nothing-later", help="There is no later ledger: every consent ends.")
    ] = False,
    keys: Annotated[Keys, typer.Option(help="Where the key of the new templates lives.")] = Keys.FILE,
    pcrs: Pcrs = None,
    tpm_plain: PlainTpm = False,
    stdin: Typed = False,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Make a new state from a backup. Everybody enrols anew, for no template is in it."""
    with plain_errors(as_json):
        if (later is None) is not nothing_later:
            raise UsageError(
                "Give --later LEDGER, exported from the device after the backup, so that later withdrawals and "
                "removals are honoured; or --nothing-later, where there is none: every consent then ends, and who "
                "was removed since is back."
            )
        options = KeyOptions(new_passphrase(keys, stdin), pcrs, not tpm_plain)
        raw, bundle = _read(file), None if later is None else _read(later)
        body: dict[str, Any] = restore_state(state, raw, recovery_key, bundle, keys=keys.value, options=options)
        answer(body, as_json)


def fetch(state: Path, made: dict[str, Any]) -> bytes:
    """The backup that `BackupMake` answered with, page by page. BackupError where it did not come whole."""
    data = bytearray()
    while len(data) < made["bytes"]:
        data += ask(state, control.BackupPage(made["sha256"], len(data)), say)["data"]
    if hashlib.sha256(data).hexdigest() != made["sha256"]:
        raise BackupError("The backup did not come whole: begin again with `gatevault backup make`.")
    return bytes(data)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BackupError(f"{path} cannot be read ({error.strerror}): nothing was restored.") from None
