"""Taking GateVault away: the program always, the vault's key where that is asked for, the state never."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from gatevault_setup.errors import Refused
from gatevault_setup.flow import Setup, say
from gatevault_setup.releases import HOME
from gatevault_setup.state import STATE


def uninstall(setup: Setup, *, destroy: bool, confirmed: str | None) -> None:
    """Remove the program. With `destroy`, first destroy the vault's key; `confirmed` is the device's id, else it is
    asked for. Refused: the gate runs as before, but where its vault was destroyed already."""
    current = setup.releases.linked("current")
    device = setup.state.device
    if current is None and not setup.releases.home.exists():
        raise Refused("GateVault is not installed here. Nothing was changed.")
    if destroy:
        if device is None or current is None:
            raise Refused(f"There is no vault in {STATE} that could be destroyed. Nothing was changed.")
        _agree(device["device"], confirmed)
    with setup.alone():
        setup.system.stop()
        if destroy and device is not None and current is not None:
            _destroy(setup, setup.releases.program(current), device["device"])
        setup.system.disable()
        setup.system.remove()
        setup.system.reload()
        shutil.rmtree(setup.releases.home)
    say(f"GateVault is removed: its units, rules, commands and {HOME}. The gate's relay is released.")
    _tell_what_stays(setup, destroyed=destroy)


def _agree(device: str, confirmed: str | None) -> None:
    """The device's id, given or typed, as one types a name to delete what has it. Refused."""
    if confirmed is None and sys.stdin.isatty():
        say(f"This destroys every face template of this gate, for ever. Its id is {device}: type it to go on.")
        confirmed = sys.stdin.readline().strip()
    if confirmed != device:
        raise Refused(
            f"The vault was not destroyed: that needs the device's id ({device}), typed or given with --confirm. "
            "Nothing was changed."
        )


def _destroy(setup: Setup, program: str, device: str) -> None:
    """By the program itself, as root: a credential and a TPM's index are not the daemon's user's to remove."""
    statement = _free_name(setup.machine.path("/root"), f"gatevault-destroyed-{device}")
    shown = f"/{statement.relative_to(setup.machine.root)}"
    done = setup.machine.run([program, "vault", "destroy", device, "--statement", shown, "--state", STATE])
    if done.returncode:
        setup.system.start()
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Refused(
            f"The vault was not destroyed, and nothing was removed: {said[-1] if said else 'no reason was given'}"
        )
    say(done.stdout.rstrip())
    say(f"The signed statement is in {shown}: keep it, and the key printed with it, away from this card.")


def _free_name(folder: Path, name: str) -> Path:
    """A file's name that nothing has yet."""
    path, number = folder / f"{name}.json", 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}.json"
    return path


def _tell_what_stays(setup: Setup, *, destroyed: bool) -> None:
    folder = setup.state.folder
    if folder.is_dir():
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        vault = "without the vault" if destroyed else "with the vault and its key"
        say(f"It leaves {STATE} ({size >> 10} KiB, {vault}): names, consents, cards, the ledger, the house key.")
        say(f"  Installed again, the gate goes on with it. To erase it: rm -r {STATE} (flash keeps old pages: see")
        say("  docs/threat-model.md).")
    if not destroyed and setup.machine.path("/etc/credstore.encrypted/gatevault.vault-key").exists():
        say("It leaves the sealed key /etc/credstore.encrypted/gatevault.vault-key.")
    say("It leaves the users gatevault and gatevault-vision and the group gatevault-admin, who own those files.")
