"""The disk of a gate: the Debian root, GateVault as its installer puts it there, and what the tests need."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.packaging.variants import variant
from tests.vm import portrait
from tests.vm.gate import DAEMON, GRANTED, LAMP, LIGHT, NOTES, REFUSED, RELAY, SLOW, VISION
from tests.vm.root import Root, run

TOP: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).resolve().parent

LGPIO: Final = "lgpio==0.2.2.0"
"""The driver of GPIO pins. Raspberry Pi OS has python3-lgpio, Debian 12 has not: its wheel takes that place."""

WATCHED: Final = (RELAY, LIGHT, GRANTED, REFUSED, LAMP)
DISK_MB: Final = 4_096

NEWER: Final = "0.2.0"
SICK: Final = "0.3.0"
"""Versions of two more bundles that lie in /root: one that is well, one whose daemon ends at its start."""

_CHANGES: Final = {
    NEWER: {"gatevault/more.py": b""},
    SICK: {"gatevault/service/daemon.py": b"def run(root):\n    raise SystemExit(1)\n"},
}

UNIT: Final = """\
[Unit]
Description={what}
DefaultDependencies=no
After=local-fs.target systemd-udevd.service systemd-modules-load.service
Before={before}

[Service]
{service}

[Install]
WantedBy=sysinit.target
"""

FILES: Final = {
    "etc/hostname": "gate\n",
    "etc/fstab": "/dev/vda / ext4 defaults,noatime 0 1\n",
    "etc/modules-load.d/vm.conf": "uinput\nvivid\n",
    # A camera whose picture is what is written to its output (see test_camera.py).
    "etc/modprobe.d/vm.conf": "options vivid n_devs=1 node_types=0x101 num_inputs=1 input_types=0x03 "
    "num_outputs=1 output_types=0x01\n",
    # What hardware/udev/60-gatevault.rules tells to write for a reader; this one is not on USB.
    "etc/udev/rules.d/61-gatevault-site.rules": 'SUBSYSTEM=="input", KERNEL=="event[0-9]*", '
    'ATTRS{id/vendor}=="ffff", ATTRS{id/product}=="0035", '
    'GROUP="gatevault", MODE="0660", SYMLINK+="gatevault/reader0"\n',
    "etc/systemd/system/vm-agent.service": UNIT.format(
        what="What the tests tell this machine",
        before="multi-user.target",
        service="ExecStart=/usr/bin/python3 -u /opt/vm/agent.py\nRestart=always",
    ),
    # From before the daemon's start, so that the relay's line is known at every moment of a boot.
    "etc/systemd/system/vm-watch.service": UNIT.format(
        what="Notes each change of the lines",
        before="multi-user.target",
        service=f"ExecStart=/usr/bin/python3 -u /opt/vm/watch.py {NOTES} {' '.join(map(str, WATCHED))}",
    ).replace("[Service]", "Requires=vm-chip.service\nAfter=vm-chip.service\n\n[Service]"),
    "etc/systemd/system/vm-reader.service": UNIT.format(
        what="A USB reader that types",
        before="multi-user.target",
        service="ExecStart=/usr/bin/python3 -u /opt/vm/wedge.py /run/vm-reader",
    ),
    "etc/systemd/system/vm-cli.service": UNIT.format(
        what="Runs gatevault's commands",
        before="multi-user.target",
        service="ExecStart=/opt/gatevault/bin/python -P -u /opt/vm/cli.py /run/vm-cli\nWorkingDirectory=/",
    ),
    f"etc/systemd/system/{DAEMON}.d/vm-slow.conf": SLOW,
    f"etc/systemd/system/{VISION}.d/vm-slow.conf": SLOW,
    "etc/systemd/system/vm-chip.service": UNIT.format(
        what="The simulated GPIO chip, there as early as a Pi's",
        before="sysinit.target",
        service="Type=oneshot\nExecStart=/bin/sh /opt/vm/chip.sh",
    ),
}
NO_USE: Final = ("systemd-timesyncd", "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_reap", "getty@tty1")


class Image:
    """A root with GateVault in it, made into a file of ext4 by `make`."""

    def __init__(self, root: Root, folder: Path) -> None:
        self.tree, self.disk = folder / "tree", folder / "disk.img"
        run("cp", "-a", root.base, self.tree)
        for name, text in FILES.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        shutil.copytree(HERE / "guest", self.tree / "opt/vm", ignore=shutil.ignore_patterns("__pycache__"))
        portrait.write(self.tree / "opt/vm/face.bgr")
        self.chroot("systemctl", "enable", "vm-agent", "vm-chip", "vm-watch", "vm-reader", "vm-cli")
        self.chroot("systemctl", "mask", *NO_USE)
        self.chroot("systemctl", "set-default", "multi-user.target")
        self._lgpio()

    def _lgpio(self) -> None:
        target = self.tree / "usr/lib/python3/dist-packages"
        options = ["--no-deps", "--only-binary", ":all:", "--python-version", "3.11"]
        options += ["--python-platform", "x86_64-manylinux_2_36", "--target", str(target)]
        run(TOP / ".venv/bin/uv", "pip", "install", "--quiet", *options, LGPIO)

    def chroot(self, *command: str) -> str:
        """Run a program of the root within it; what it said."""
        words = ["chroot", str(self.tree), *command]
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError(
                f"{' '.join(words)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}"
            )
        return done.stdout + done.stderr

    def make(self) -> Path:
        """The disk, of this tree as it is."""
        run("mke2fs", "-q", "-t", "ext4", "-d", self.tree, "-L", "gate", self.disk, f"{DISK_MB}M")
        shutil.rmtree(self.tree)
        return self.disk


def install(image: Image, bundle: Path, work: Path) -> str:
    """GateVault into the root by its own installer, from its own bundle; what the installer said.

    Two other versions are laid there to upgrade to.
    """
    run("tar", "-xzf", bundle, "-C", work)
    (unpacked,) = (folder for folder in work.glob("gatevault-*") if folder.is_dir())
    command = ["/usr/bin/env", "python3", str(unpacked / "install"), "--root", str(image.tree)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"./install --root refused:\n{done.stdout}{done.stderr}")
    for version, changes in _CHANGES.items():
        shutil.move(variant(unpacked, version, changes), image.tree / "root" / version)
    boards = image.tree / "etc/gatevault/boards"
    boards.mkdir(parents=True)
    shutil.copy(HERE / "vm.toml", boards)
    return done.stdout


def make_bundle() -> Path:
    """`make bundle`, for this root's processor and Python."""
    run("make", "bundle", "ARCH=x86_64", "PYTHON=3.11", cwd=TOP)
    return max((TOP / "dist").glob("gatevault-*-x86_64-py311.tar.gz"), key=lambda path: path.stat().st_mtime)
