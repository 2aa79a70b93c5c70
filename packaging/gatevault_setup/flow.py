"""Install, upgrade, roll back: in an order that leaves the earlier release running whatever fails.

    1 the bundle is whole; the machine fits; the state is of a format that the release reads
    2 the ledger verifies, by the release that runs
    3 the release is unpacked beside the others, and shows that it can be run
    4 the gate is stopped (its relay released); files of the system and `current` are changed
    5 the gate is started, and must be as well as it was before; else 4 and 5 are done with the release before

The state is never put back with the program. A purge, a withdrawal or a rotation may have come in between, and an
older vault.db or ring over a newer one would bring back what a person had erased; it would also be a rollback of
the ledger, which auditors are told to look for. For the same reason no copy of the state is kept: it would outlive
every later erasure. A release reads the formats that its manifest names; a state that was brought to a later one
is not given back to it.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from gatevault_setup.bundle import Manifest, verify
from gatevault_setup.errors import Refused
from gatevault_setup.machine import Machine
from gatevault_setup.releases import HOME, Releases
from gatevault_setup.state import HEALTHY_S, STATE, Health, State
from gatevault_setup.system import DROP_INS, System

NEXT: Final = f"""\
What to do next, at the gate:
  sudo gatevault provision        wiring, key, first admin: it asks for each
  sudo gatevault-setup --start    start it, now and at each boot
  sudo gatevault doctor           what is well, what is not, and what to do
People who command the gate without sudo: sudo adduser NAME gatevault-admin
To remove it again: sudo gatevault-setup --uninstall. The state will lie in {STATE}."""


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Setup:
    """One machine, and what may be done to it."""

    def __init__(self, root: Path, patience: float = HEALTHY_S) -> None:
        """`patience`: how many seconds a started gate has to be well."""
        self.patience = patience
        self.machine = Machine(root)
        self.releases = Releases(self.machine)
        self.system = System(self.machine)
        self.state = State(self.machine)

    # --- install and upgrade -----------------------------------------------------------------

    def install(self, bundle: Path) -> None:
        """Install the bundle, or go over to it. Refused: nothing was changed, or the release before runs again."""
        manifest = Manifest.read(bundle)
        python = self.machine.python()
        manifest.wheels(python)
        self.machine.check(manifest.arch, 2 * manifest.unpacked(python))
        say(f"GateVault {manifest.version} ({manifest.commit[:12]}) for {manifest.arch}, Python {python}")
        verify(bundle, manifest)
        say(f"  the bundle is whole: {len(manifest.files)} files")
        self.state.check_format(manifest)
        with self.alone():
            before = self.releases.linked("current")
            lasting = before if before and self._runs(before) else None
            if lasting is not None:
                self._check_ledger(lasting)
            name = self.releases.unpack(bundle, manifest)
            try:
                self._try_out(name)
                if lasting is None:
                    self._check_ledger(name)
            except Refused:
                if name != before:
                    self.releases.drop(name)
                raise
            say(f"  unpacked into {HOME}/releases/{name}")
            if name == before:
                self.system.place(self.releases.folder(name), self._providers())
                self.system.make_users()
                self.system.reload()
                say("  this release was installed already: its files are in place again, nothing was restarted")
                return
            self._go_over(name, before)
            self.releases.prune()
        self._tell_what_next(python)

    def _check_ledger(self, name: str) -> None:
        if self.state.device is not None:
            say("  " + self.state.check_ledger(self.releases.program(name)))

    def _runs(self, name: str) -> bool:
        """Whether a release can be run: not after Debian's own Python went to its next version."""
        return self.machine.runs_here and self.machine.run([self.releases.program(name), "--help"]).returncode == 0

    def _try_out(self, name: str) -> None:
        """The program begins, and every library that it brings loads. Refused."""
        if not self.machine.runs_here:
            say("  not tried out: the programs of this image do not run on this processor")
            return
        python = f"{HOME}/releases/{name}/bin/python"
        try:
            self.machine.need([python, "-P", "-c", f"import {', '.join(_LIBRARIES)}"])
            self.machine.need([self.releases.program(name), "--help"])
        except Refused as error:
            raise Refused(f"The release does not run on this machine, so nothing was changed: {error}") from None

    def _go_over(self, name: str, before: str | None) -> None:
        """Steps 4 and 5. Refused, with the release before in place again, where the new one is not well."""
        health = Health.now(self.state, self.system, self.releases.program(before) if before else None)
        wanted = before is None or health.before is not None or self.system.enabled()
        starts = wanted and self.state.device is not None
        try:
            self._activate(name, stop=starts)
            if wanted:
                self.system.enable()
        except (Refused, OSError) as error:
            if before is None:
                raise Refused(
                    f"The release could not be put in place: {error} Mend that, and run it again."
                ) from None
            self._back(before, name, str(error), health, starts=starts)
        problem = self._start(name, health) if starts else None
        if problem is not None and before is not None and health.before is not None:
            self._back(before, name, problem, health, starts=starts)
        self.releases.remember(before)
        if problem is not None:
            raise Refused(
                f"The release is in place, but {problem}; nor did the gate run before. See `gatevault doctor` and "
                "`journalctl -u gatevault`."
            )
        say(f"  {HOME}/current is {name}" + (", and the gate runs" if starts and self.machine.booted else ""))

    def _activate(self, name: str, *, stop: bool) -> None:
        if stop:
            self.system.stop()
        self.system.place(self.releases.folder(name), self._providers())
        self.system.make_users()
        self.releases.switch(name)
        self.system.reload()

    def _start(self, name: str, health: Health) -> str | None:
        if not self.machine.booted:
            return None
        self.system.start()
        return health.wait(self.releases.program(name), self.patience)

    def _back(self, before: str, name: str, problem: str, health: Health, *, starts: bool) -> NoReturn:
        """To the release before, with the state as it is now. Raises Refused, which tells how that went."""
        try:
            self.state.check_format(self.releases.manifest(before))
            self._activate(before, stop=starts)
            self.patience = max(self.patience, HEALTHY_S)  # it was well before: it may take its time
            still = self._start(before, health) if starts else None
        except (Refused, OSError) as error:
            still = str(error)
        if still is not None:
            raise Refused(
                f"{name} was not well ({problem}), and the release before could not be brought back ({still}): see "
                "`journalctl -u gatevault`. Open the gate by its own key until then."
            )
        if name != self.releases.linked("previous"):
            self.releases.drop(name)
        raise Refused(
            f"{name} was not well ({problem}): {before} is in place again, with the state as it is now. What was "
            "erased meanwhile stays erased."
        )

    # --- roll back ---------------------------------------------------------------------------

    def roll_back(self) -> None:
        """Go back to the release before, by hand. Refused as `install`."""
        current, before = self.releases.linked("current"), self.releases.linked("previous")
        if current is None or before is None or before == current:
            raise Refused("There is no release before this one to go back to. Nothing was changed.")
        with self.alone():
            self.state.check_format(self.releases.manifest(before))
            self._try_out(before)
            self._check_ledger(before)
            self._go_over(before, current)

    # --- start, and the key provider's drop-ins ----------------------------------------------

    def start(self) -> None:
        """Start the gate, now and at each boot, with what its key provider needs. Refused."""
        current = self.releases.linked("current")
        if current is None or self.state.device is None:
            raise Refused("There is nothing to start: install first, then make a state (`gatevault provision`).")
        with self.alone():
            self.system.place(self.releases.folder(current), self._providers())
            self.system.make_users()
            self.system.reload()
            self.system.enable()
            problem = self._start(current, Health(self.state, self.system, None))
        if problem is not None:
            raise Refused(
                f"The gate was started, but {problem}: see `journalctl -u gatevault` and `gatevault doctor`."
            )
        say(
            "The gate runs, and starts at each boot."
            if self.machine.booted
            else "The gate starts at the next boot."
        )

    def keys(self, provider: str) -> None:
        """Give the daemon's unit what a key provider needs, besides what the state's present one does. Refused."""
        current = self.releases.linked("current")
        if current is None:
            raise Refused("GateVault is not installed here: run ./install of a bundle first.")
        if provider == "tpm2" and not self.machine.path("/usr/bin/tpm2_unseal").exists():
            raise Refused("tpm2-tools are not installed: apt install tpm2-tools first. Nothing was changed.")
        with self.alone():
            self.system.place(self.releases.folder(current), {provider, *self._providers()})
            self.system.make_users()
            self.system.reload()
        what = (
            f"gatevault.service.d/{DROP_INS[provider]} is in place"
            if provider in DROP_INS
            else "no drop-in is needed"
        )
        say(f"For keys of {provider}, {what}. It counts from the next start: systemctl restart gatevault.service")

    def _providers(self) -> set[str]:
        provider = self.state.provider
        return set() if provider is None else {provider}

    # --- the rest ----------------------------------------------------------------------------

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One installer at a time. Refused."""
        self.releases.home.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.releases.home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise Refused("Another installer is at work on this machine: wait for it.") from None
        finally:
            os.close(handle)

    def _tell_what_next(self, python: str) -> None:
        if not self._lgpio_is_there(python):
            say(
                "  lgpio is missing, without which no pin moves: apt install python3-lgpio (Raspberry Pi OS has it)"
            )
        if self.state.device is None:
            say(NEXT)

    def _lgpio_is_there(self, python: str) -> bool:
        site = f"{HOME}/current/lib/python{python}/site-packages/lgpio.py"
        path = self.machine.path(site)
        if path.is_symlink():
            path = self.machine.path(str(path.readlink()))
        return path.is_file()


_LIBRARIES: Final = (
    "cv2", "dlib", "gpiod", "gpiozero", "msgspec", "nacl.bindings", "numpy", "onnx", "onnxruntime", "rich", "segno",
    "sqlite3", "typer",
)  # fmt: skip
