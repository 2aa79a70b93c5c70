"""The `gatevault` command. Each command builds one message, asks the daemon, prints the answer."""

from __future__ import annotations

from typing import Annotated

import typer

from gatevault.cli import lab, people, vault
from gatevault.cli.backup import backup
from gatevault.cli.certificate import certificate
from gatevault.cli.clock import clock
from gatevault.cli.doctor import doctor
from gatevault.cli.ledger import ledger
from gatevault.cli.models import models
from gatevault.cli.output import DEFAULT, Json, State, answer, do, plain_errors
from gatevault.cli.provision import provision
from gatevault.cli.site import absolute, installer, site
from gatevault.core import control
from gatevault.core.liveness import Tier
from gatevault.service.making import make_state
from gatevault.service.release import release_relay
from gatevault.service.state import KeyOptions

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An on-device face-template vault for access gates.",
)
door = typer.Typer(no_args_is_help=True, help="Hold the door open, or lock it.")
app.add_typer(people.resident, name="resident")
app.add_typer(people.card, name="card")
app.add_typer(people.consent, name="consent")
app.add_typer(vault.vault, name="vault")
app.add_typer(vault.key, name="key")
app.add_typer(backup, name="backup")
app.add_typer(certificate, name="certificate")
app.add_typer(models, name="models")
app.add_typer(door, name="door")
app.add_typer(ledger, name="ledger")
app.add_typer(clock, name="clock")
app.command()(doctor)
app.add_typer(site, name="site")
app.add_typer(installer, name="installer")
app.command()(provision)
lab.register(app)


@app.command()
def init(
    bench: Annotated[
        bool, typer.Option("--bench", help="Mock pins and pictures as cameras; never a gate.")
    ] = False,
    keys: Annotated[vault.Keys, typer.Option(help="Where the key of the templates lives.")] = vault.Keys.FILE,
    name: Annotated[str, typer.Option(help="The gate's name, as its notice tells it.")] = "gate",
    board: Annotated[str | None, typer.Option(help="The board profile, for a real gate.")] = None,
    pcrs: vault.Pcrs = None,
    tpm_plain: vault.PlainTpm = False,
    tcti: Annotated[str | None, typer.Option(help="tpm2: how the TPM is reached, if not /dev/tpmrm0.")] = None,
    stdin: vault.Typed = False,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Make the state: keys, stores, ledger."""
    with plain_errors(as_json):
        options = KeyOptions(vault.new_passphrase(keys, stdin), pcrs, not tpm_plain)
        device = make_state(state, bench=bench, keys=keys.value, name=name, board=board, options=options, tcti=tcti)
        answer({"state": str(state), "device": device.device, "bench": bench, "keys": keys.value}, as_json)


@app.command()
def run(state: State = DEFAULT, as_json: Json = False) -> None:
    """The daemon, in the foreground until SIGTERM."""
    from gatevault.service.daemon import run as serve  # loads GPIO and SQLite: not for every command

    with plain_errors(as_json):
        serve(state)


@app.command()
def status(state: State = DEFAULT, as_json: Json = False) -> None:
    """The health of each part."""
    do(state, as_json, control.Status())


@app.command()
def enrol(
    resident: str,
    camera: Annotated[str | None, typer.Option(help="On a bench: file:, dir: or v4l2: URI.")] = None,
    tap: Annotated[
        str | None,
        typer.Option(metavar="NUMBER", help="On a bench: the card that a holder-key template opens with."),
    ] = None,
    another: Annotated[
        bool,
        typer.Option(
            "--another-person",
            help="They resemble a resident, and you saw that they are two: both then use their cards.",
        ),
    ] = False,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Take captures of a resident who has consented, and seal them."""
    with plain_errors(as_json):
        resident = people.resident_id(resident)
    do(state, as_json, control.Enrol(resident, absolute(camera), tap, another))


@app.command()
def purge(resident: str, state: State = DEFAULT, as_json: Json = False) -> None:
    """Destroy a resident's template; the consent stays."""
    people.about(state, as_json, control.Purge, resident)


@app.command("walk-up")
def walk_up(
    camera: Annotated[str | None, typer.Option(help="file:, dir: or v4l2: URI; else the configured one.")] = None,
    tier: Annotated[Tier | None, typer.Option(help="Check liveness so, whatever config.toml says.")] = None,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Bench only: act as the presence sensor. A recorded presentation is `--camera file:attack.npz`."""
    do(state, as_json, control.WalkUp(absolute(camera), tier))


@app.command()
def tap(number: str, state: State = DEFAULT, as_json: Json = False) -> None:
    """Bench only: act as a card reader."""
    do(state, as_json, control.Tap(number))


@app.command("relay-release", hidden=True)
def relay_release(state: State = DEFAULT, as_json: Json = False) -> None:
    """Drive the relay to released: what systemd runs after the daemon, however it ended."""
    with plain_errors(as_json):
        release_relay(state)


@door.command("unlock")
def door_unlock(state: State = DEFAULT, as_json: Json = False) -> None:
    """Hold the door open until `door lock`, or until the daemon ends."""
    do(state, as_json, control.DoorUnlock())


@door.command("lock")
def door_lock(state: State = DEFAULT, as_json: Json = False) -> None:
    """End `door unlock`."""
    do(state, as_json, control.DoorLock())


def main() -> None:
    """Entry point of the `gatevault` command."""
    app()
