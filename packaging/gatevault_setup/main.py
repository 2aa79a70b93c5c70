"""The installer's command line."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from gatevault_setup.errors import Refused
from gatevault_setup.flow import Setup
from gatevault_setup.removal import uninstall
from gatevault_setup.state import HEALTHY_S

PROVIDERS = ("file", "passphrase", "systemd-credential", "tpm2")


def main(bundle: Path, arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 refused or failed, 2 wrong usage."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.destroy_vault and not given.uninstall:
        parser.error("--destroy-vault goes with --uninstall")
    if not (given.uninstall or given.start or given.rollback or given.keys or (bundle / "wheels").is_dir()):
        parser.error("say what to do: this is no bundle, so there is nothing here to install from")
    if os.geteuid() != 0:
        sys.stderr.write("install: only root can do that: type sudo before it.\n")
        return 1
    os.umask(0o022)
    setup = Setup(given.root.resolve(), given.patience)
    try:
        if given.uninstall:
            uninstall(setup, destroy=given.destroy_vault, confirmed=given.confirm)
        elif given.start:
            setup.start()
        elif given.rollback:
            setup.roll_back()
        elif given.keys:
            setup.keys(given.keys)
        else:
            setup.install(bundle)
    except Refused as error:
        sys.stderr.write(f"install: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"install: {error.filename or 'a file'}: {error.strerror}. Mend that, and run it again.\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="install",
        description="Install or upgrade GateVault from this bundle, without a network. State is kept.",
    )
    what = parser.add_mutually_exclusive_group()
    help_ = "start the gate, now and at each boot, once it has a state"
    what.add_argument("--start", action="store_true", help=help_)
    help_ = "go back to the release before; the state stays as it is"
    what.add_argument("--rollback", action="store_true", help=help_)
    what.add_argument("--uninstall", action="store_true", help="remove the program; it says what stays")
    what.add_argument("--keys", choices=PROVIDERS, help="give the unit what this key provider needs")
    help_ = "with --uninstall: destroy the vault's key before"
    parser.add_argument("--destroy-vault", action="store_true", help=help_)
    help_ = "with --destroy-vault: the device's id, else it is asked for"
    parser.add_argument("--confirm", metavar="DEVICE", help=help_)
    help_ = "how long a started gate may take to be well (%(default)s)"
    parser.add_argument("--patience", metavar="SECONDS", type=float, default=HEALTHY_S, help=help_)
    help_ = "work on an image in this folder"
    parser.add_argument("--root", metavar="DIR", type=Path, default=Path("/"), help=help_)
    return parser
