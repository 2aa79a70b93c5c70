"""What a release puts into the system: users, directories, udev rules, units, and two commands on the PATH.

All of it goes below /usr/local, so that what an admin writes below /etc wins, and goes away again by the same list.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from gatevault_setup.errors import Refused
from gatevault_setup.machine import Machine
from gatevault_setup.releases import HOME, point

UNITS: Final = "/usr/local/lib/systemd/system"
PLACES: Final = {
    "systemd": UNITS,
    "sysusers.d": "/usr/local/lib/sysusers.d",
    "tmpfiles.d": "/usr/local/lib/tmpfiles.d",
    "udev": "/usr/local/lib/udev/rules.d",
}
LINKS: Final = {
    "/usr/local/bin/gatevault": f"{HOME}/bin/gatevault",
    "/usr/local/sbin/gatevault-setup": f"{HOME}/current/install",
}
TARGET: Final = "gatevault.target"
DAEMON: Final = "gatevault.service"
VISION: Final = "gatevault-vision.service"
DROP_INS: Final = {"systemd-credential": "credential.conf", "tpm2": "tpm2.conf"}
"""Which drop-in of the daemon's unit a key provider needs."""

_ALWAYS: Final = "state.conf"
_NOT_LOADED: Final = 5
"""systemctl's status for a unit that it does not know."""

_SUBSYSTEMS: Final = ("gpio", "video4linux", "media", "dma_heap", "tpmrm", "input", "tty")
"""Those that the rules are about."""

_DROP_IN_FOLDERS: Final = tuple(f"{UNITS}/{unit}.d" for unit in (DAEMON, VISION))


class System:
    """The files of the system, and its service manager."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    # --- files -------------------------------------------------------------------------------

    def place(self, release: Path, providers: Iterable[str]) -> None:
        """Put a release's files in place of what another had there. OSError."""
        wanted = dict(self._wanted(release, providers))
        for path in self._there():
            if path not in wanted:
                path.unlink()
        for path, source in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f".{path.name}.new")
            shutil.copyfile(source, fresh)
            fresh.chmod(0o644)
            fresh.replace(path)
        for link, target in LINKS.items():
            self.machine.path(link).parent.mkdir(parents=True, exist_ok=True)
            point(self.machine.path(link), target)

    def remove(self) -> None:
        """Take away all that `place` put there."""
        for path in self._there():
            path.unlink()
        for link, target in LINKS.items():
            path = self.machine.path(link)
            if path.is_symlink() and str(path.readlink()) == target:
                path.unlink()
        for folder in map(self.machine.path, _DROP_IN_FOLDERS):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def _wanted(self, release: Path, providers: Iterable[str]) -> Iterator[tuple[Path, Path]]:
        for part, place in PLACES.items():
            for source in sorted((release / "system" / part).iterdir()):
                yield self.machine.path(place) / source.name, source
        daemon, _ = _DROP_IN_FOLDERS
        wanted = [(folder, _ALWAYS) for folder in _DROP_IN_FOLDERS]
        wanted += [(daemon, DROP_INS[provider]) for provider in sorted(set(providers) & DROP_INS.keys())]
        for folder, name in wanted:
            yield self.machine.path(folder) / name, release / "system" / "drop-ins" / name

    def _there(self) -> list[Path]:
        """Files of ours, by their names: no other program's begin so."""
        found = [
            file
            for place in PLACES.values()
            for pattern in ("gatevault*", "[0-9][0-9]-gatevault*")
            for file in self.machine.path(place).glob(pattern)
        ]
        found += (file for folder in _DROP_IN_FOLDERS for file in self.machine.path(folder).glob("*.conf"))
        return sorted(file for file in found if file.is_file())

    # --- users, directories, devices ---------------------------------------------------------

    def make_users(self) -> None:
        """Users, groups, directories, by sysusers.d and tmpfiles.d; then udev's rules, where udev runs. Refused."""
        self._from_here("systemd-sysusers")
        self._from_here("systemd-tmpfiles", "--create")
        self._reload_udev()
        if self.machine.booted and shutil.which("udevadm"):
            asked = [f"--subsystem-match={name}" for name in _SUBSYSTEMS]
            self.machine.need(["udevadm", "trigger", "--action=change", *asked])

    def _from_here(self, program: str, *more: str) -> None:
        """One of systemd's tools on a root: this machine's own tool, since the image's may not run here.

        By its file's name alone it looks into every folder below that root, so that an admin's in /etc wins.
        """
        if shutil.which(program) is None:
            raise Refused(f"{program} is not on this machine: it is part of systemd, which a gate needs.")
        where = [] if self.machine.here else [f"--root={self.machine.root}"]
        Machine(Path("/")).need([program, *where, *more, "gatevault.conf"])

    # --- the service manager -----------------------------------------------------------------

    def reload(self) -> None:
        """Have systemd and udev read their files again."""
        if self.machine.booted:
            self.machine.need(["systemctl", "daemon-reload"])
            self._reload_udev()

    def _reload_udev(self) -> None:
        if self.machine.booted and shutil.which("udevadm"):
            self.machine.need(["udevadm", "control", "--reload"])

    def enable(self) -> None:
        """Start at each boot from now on."""
        where = [] if self.machine.booted else [f"--root={self.machine.root}"]
        Machine(Path("/")).need(["systemctl", *where, "enable", "--quiet", TARGET, DAEMON, VISION])

    def enabled(self) -> bool:
        where = [] if self.machine.booted else [f"--root={self.machine.root}"]
        return Machine(Path("/")).run(["systemctl", *where, "is-enabled", TARGET]).returncode == 0

    def disable(self) -> None:
        where = [] if self.machine.booted else [f"--root={self.machine.root}"]
        Machine(Path("/")).run(["systemctl", *where, "disable", "--quiet", TARGET, DAEMON, VISION])

    def stop(self) -> None:
        """Stop the gate, and wait: the relay is released by then. Refused where systemd does not say so."""
        if self.machine.booted:
            done = self.machine.run(["systemctl", "stop", TARGET, DAEMON, VISION])
            if done.returncode not in (0, _NOT_LOADED):
                raise Refused(f"The gate does not stop: {done.stderr.strip() or done.returncode}.")

    def start(self) -> None:
        """Begin to start it, and do not wait: `state.Health` does."""
        if self.machine.booted:
            self.machine.run(["systemctl", "reset-failed", DAEMON, VISION])
            self.machine.need(["systemctl", "start", "--no-block", TARGET, DAEMON, VISION])

    def active(self) -> bool:
        """Whether the daemon has said that it is ready."""
        return (
            self.machine.booted and self.machine.run(["systemctl", "is-active", "--quiet", DAEMON]).returncode == 0
        )

    def main_pid(self) -> str:
        """The daemon's process, `0` for none."""
        return self._shown("MainPID")

    def restarts(self) -> int:
        """How often systemd started the daemon again since `start`, because it had ended."""
        told = self._shown("NRestarts")
        return int(told) if told.isdigit() else 0

    def _shown(self, name: str) -> str:
        return self.machine.run(["systemctl", "show", f"--property={name}", "--value", DAEMON]).stdout.strip()

    def group_is_there(self, name: str) -> bool:
        groups = self.machine.path("/etc/group").read_text(encoding="utf-8", errors="replace")
        return any(line.split(":")[0] == name for line in groups.splitlines())
