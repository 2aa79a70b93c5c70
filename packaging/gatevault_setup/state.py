"""The gate's state, as the installer may see it: its format, its key provider, its ledger, and how it is.

Nothing here writes to it. What needs to understand it asks the program, as the state's own user.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gatevault_setup.bundle import Manifest
from gatevault_setup.errors import Refused
from gatevault_setup.machine import Machine
from gatevault_setup.system import System

STATE: Final = "/var/lib/gatevault"
HEALTHY_S: Final = 90.0
"""A Pi with ten thousand residents may need half a minute; the unit's own limit is 60 s."""

SETTLED_S: Final = 5.0
"""It must still be the same process after that."""

RESTARTS: Final = 3
"""So often systemd starts a daemon again that ended before it is given up: one that finds no TPM yet ends once."""

_WELL: Final = ("ok", "unlocked")
_NOT_OF_A_RELEASE: Final = ("clock", "readers")
"""Parts that may change while we look, whatever the program does: a time source, somebody's plug."""


@dataclass(frozen=True, slots=True)
class State:
    """The state directory of a machine, if it has one."""

    machine: Machine

    @property
    def folder(self) -> Path:
        return self.machine.path(STATE)

    @property
    def device(self) -> dict[str, Any] | None:
        """`device.json`; None where no state was made yet. Refused where it is damaged."""
        try:
            body = json.loads((self.folder / "device.json").read_bytes())
            if not isinstance(body["format"], int) or not isinstance(body["device"], str):
                raise TypeError("a value of another kind")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Refused(
                f"{self.folder}/device.json is damaged ({error}): restore it from a backup first."
            ) from None
        return dict(body)

    @property
    def provider(self) -> str | None:
        """The key provider that the vault is sealed with; None where it cannot be told."""
        try:
            return str(json.loads((self.folder / "keys" / "vault.ring").read_bytes())["provider"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def check_format(self, manifest: Manifest) -> None:
        """Refused where that program does not read this state: one of a later version, or of one too early."""
        device = self.device
        if device is None or device["format"] in manifest.state_formats:
            return
        found, known, version = device["format"], manifest.state_formats, manifest.version
        if found > max(known):
            raise Refused(
                f"The state is of format {found}, and GateVault {version} reads up to {max(known)}: it would be a "
                "step back to a program that does not understand it. Take a bundle of the version that made it, or "
                "of a later one."
            )
        raise Refused(
            f"The state is of format {found}, and GateVault {version} reads from {min(known)} on: install a "
            "version in between first."
        )

    def check_ledger(self, program: str) -> str:
        """Have the ledger verified by the daemon, or where none runs by the program itself; what was found.

        Refused where it does not verify: an upgrade over a broken ledger would hide when it was broken.
        """
        body = self.ask(program, "ledger", "verify")
        if body.get("error") == "daemon-down":
            body = self.ask(program, "ledger", "verify", "--offline")
        if body.get("ok") is True:
            return f"the ledger verifies ({body['entries']} entries)"
        why = body.get("message") or "; ".join(str(item.get("problem")) for item in body.get("problems", [])[:3])
        raise Refused(
            f"The ledger does not verify ({why or 'no answer'}): an upgrade would hide when and by what it was "
            f"broken. Keep a copy of {STATE}, see `gatevault ledger verify`, and call an auditor. Nothing was "
            "changed."
        )

    def ask(self, program: str, *words: str) -> dict[str, Any]:
        """What a command answers with --json, run as the state's own user; `{}` where it answers none."""
        command = [program, *words, "--state", STATE, "--json"]
        done = self.machine.run(command, owner=self.folder.stat())
        try:
            body = json.loads(done.stdout)
        except ValueError:
            return {"message": done.stderr.strip().splitlines()[-1]} if done.stderr.strip() else {}
        return body if isinstance(body, dict) else {}


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the daemon is as well as it was before."""

    state: State
    system: System
    before: frozenset[str] | None
    """Parts that were well; None where the daemon did not answer."""

    @classmethod
    def now(cls, state: State, system: System, program: str | None) -> Health:
        """How it is at this moment, by a program that is installed."""
        parts = well(state.ask(program, "status")) if program and system.active() else None
        return cls(state, system, parts)

    def wait(self, program: str, seconds: float) -> str | None:
        """None once the daemon runs and no part that was well is worse; else what is wrong after that time.

        Sooner where the daemon ends at each start: the gate is away meanwhile.
        """
        until = time.monotonic() + seconds
        while True:
            problem = self._problem(program)
            if problem is None:
                process = self.system.main_pid()
                time.sleep(SETTLED_S)
                if self.system.main_pid() == process and self._problem(program) is None:
                    return None
                problem = "the daemon does not keep running"
            if self.system.restarts() >= RESTARTS:
                return f"the daemon ended {RESTARTS} times and more"
            if time.monotonic() >= until:
                return problem
            time.sleep(1.0)

    def _problem(self, program: str) -> str | None:
        if not self.system.active():
            return "the daemon did not say that it is ready"
        parts = well(self.state.ask(program, "status"))
        if parts is None:
            return "the daemon does not answer `gatevault status`"
        worse = (self.before or frozenset()) - parts
        if self.state.provider == "passphrase":
            worse -= {"vault"}  # it waits for its passphrase after each start
        return f"worse than before: {', '.join(sorted(worse))}" if worse else None


def well(status: dict[str, Any]) -> frozenset[str] | None:
    """The parts of an answer of `status` that are well; None where it is none."""
    if "health" not in status:
        return None
    return frozenset(_well(status))


def _well(status: dict[str, Any]) -> Iterator[str]:
    for name, part in status.items():
        if isinstance(part, dict) and name not in _NOT_OF_A_RELEASE and part.get("state") in _WELL:
            yield name
