"""Commands about this place: what must be recorded before faces count, and who may set the gate up."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer

from gatevault.cli.output import DEFAULT, Json, State, answer, do, plain_errors, say
from gatevault.cli.schematic import Schematic
from gatevault.core import control
from gatevault.core.errors import GateVaultError, UsageError
from gatevault.core.site import SiteKind, read_record
from gatevault.service.client import ask
from gatevault.service.installer_key import key_file, signed
from gatevault.vault.installer import destroy_installer_key, make_installer_key

site = typer.Typer(no_args_is_help=True, help="Impact assessment and sign: without both, faces are off.")
record = typer.Typer(no_args_is_help=True, help="Record one of them; in place of an earlier one.")
installer = typer.Typer(no_args_is_help=True, help="Who sets the gate up: admitted, and ended at the handover.")
site.add_typer(record, name="record")

KeyFile = Annotated[
    Path | None,
    typer.Option("--installer-key", metavar="FILE", help="The installer's key, if not the one on the device."),
]
Date = Annotated[str, typer.Option(metavar="YYYY-MM-DD")]

C = TypeVar("C", control.Aim, control.PartTest, control.SiteRecord)


@site.command("show")
def site_show(state: State = DEFAULT, as_json: Json = False) -> None:
    """What is recorded, and whether faces are on."""
    do(state, as_json, control.SiteShow())


@record.command("assessment")
def record_assessment(
    by: Annotated[str, typer.Option(help="Who made it: a person or an organisation.")],
    date: Date,
    document: Annotated[str, typer.Option(help="Its SHA-256, where it is filed, or file:PATH to be hashed here.")],
    key: KeyFile = None,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """The impact assessment that was made before faces are looked at."""
    with plain_errors(as_json):
        fields = {"by": by, "date": date, "document": hashed(document)}
        command = _record(SiteKind.ASSESSMENT, fields, key)
    do(state, as_json, command)


@record.command("sign")
def record_sign(
    text: Annotated[str, typer.Option(help="What the sign says.")],
    date: Date,
    where: Annotated[str, typer.Option(help="Where it hangs.")],
    key: KeyFile = None,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """The sign at the gate."""
    with plain_errors(as_json):
        command = _record(SiteKind.SIGN, {"text": text, "date": date, "where": where}, key)
    do(state, as_json, command)


def _record(kind: SiteKind, fields: dict[str, str], key: Path | None) -> control.SiteRecord:
    """By an admin, unless an installer's key is named. UsageError names the field."""
    try:
        read_record(kind, fields)
    except ValueError as error:
        raise UsageError(f"That is no record of the {kind}: {error}. Nothing was changed.") from None
    command = msgspec.convert({"t": "site-record", "kind": kind.value, **fields}, control.SiteRecord)
    return signed(command, key) if key is not None else command


@site.command("revoke")
def site_revoke(kind: SiteKind, state: State = DEFAULT, as_json: Json = False) -> None:
    """Take a record back: faces are off from this moment, cards work."""
    do(state, as_json, control.SiteRevoke(kind))


def hashed(document: str) -> str:
    """A document's reference, or the SHA-256 of the file that `file:PATH` names. UsageError."""
    kind, colon, place = document.partition(":")
    if not colon or kind != "file":
        return document
    try:
        return hashlib.sha256(Path(place).read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"{place} cannot be read ({error.strerror}): name the document otherwise.") from None


@installer.command("admit")
def installer_admit(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where their key is written, mode 0600.")],
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """By an admin: make an installer's key, in place of any other. The ledger tells."""
    with plain_errors(as_json):
        public = make_installer_key(out)
        try:
            body = ask(state, control.InstallerAdmit(public), say)
        except GateVaultError:
            with contextlib.suppress(GateVaultError):
                destroy_installer_key(out)
            raise
    answer({**body, "key": str(out)}, as_json)


@installer.command("end")
def installer_end(state: State = DEFAULT, as_json: Json = False) -> None:
    """The handover: no installer's key counts from now on. Also `gatevault provision --handover`."""
    do(state, as_json, control.InstallerEnd())


@installer.command("aim")
def installer_aim(
    seconds: Annotated[int, typer.Option(min=1, max=60, help="How long the camera looks.")] = 60,
    camera: Annotated[str | None, typer.Option(help="On a bench: file:, dir: or v4l2: URI.")] = None,
    key: KeyFile = None,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Aim the camera by a schematic of box, size and light; no picture is shown."""
    with plain_errors(as_json), Schematic(quiet=as_json) as schematic:
        body = ask(state, _signed(control.Aim(seconds, absolute(camera)), state, key), schematic.show)
    answer(body, as_json)


@installer.command("test")
def installer_test(
    part: Annotated[str, typer.Argument(help="relay (one pulse: the gate opens) or lights.")],
    key: KeyFile = None,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Drive a part of the running gate."""
    with plain_errors(as_json):
        if part not in ("relay", "lights"):
            raise UsageError(f"There is no test of {part!r}: relay or lights. Contacts: see `gatevault status`.")
        command = _signed(control.PartTest(part), state, key)
    do(state, as_json, command)


def _signed(command: C, state: Path, key: Path | None) -> C:
    """Signed where there is a key; else as it is, and the daemon says why it refuses."""
    path = key_file(state, key)
    return signed(command, path) if key is not None or path.exists() else command


def absolute(camera: str | None) -> str | None:
    """The daemon runs elsewhere: a bench picture's path is made absolute here."""
    kind, colon, place = (camera or "").partition(":")
    if camera is None or not colon or kind not in ("file", "dir"):
        return camera
    return f"{kind}:{Path(place).absolute()}"
