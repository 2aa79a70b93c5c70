"""The disk of a gate: the Debian root, GateVault as its installer puts it there, and what the tests need."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.vm.root import Root, run

TOP: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).resolve().parent

LGPIO: Final = "lgpio==0.2.2.0"
"""The driver of GPIO pins. Raspberry Pi OS has it as python3-lgpio, Debian 12 has not: its wheel takes that place."""

DISK_MB: Final = 3_072

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
    # A camera whose picture is what is written to its output, 640 pixels wide (see test_camera.py).
    "etc/modprobe.d/vm.conf": "options vivid n_devs=1 node_types=0x101 num_inputs=1 input_types=0x03 "
    "num_outputs=1 output_types=0x01\n",
    # What hardware/udev/60-gatevault.rules tells an installer to write for the reader in hand; this one is not on USB.
    "etc/udev/rules.d/70-reader.rules": 'SUBSYSTEM=="input", KERNEL=="event[0-9]*", ATTRS{id/vendor}=="ffff", '
    'ATTRS{id/product}=="0035", GROUP="gatevault", MODE="0660", SYMLINK+="gatevault/reader0"\n',
    "etc/systemd/system/vm-agent.service": UNIT.format(
        what="What the tests tell this machine",
        before="multi-user.target",
        service="ExecStart=/usr/bin/python3 -u /opt/vm/agent.py\nRestart=always",
    ),
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
        self.chroot("systemctl", "enable", "vm-agent", "vm-chip")
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
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
        return done.stdout + done.stderr

    def make(self) -> Path:
        """The disk, of this tree as it is."""
        run("mke2fs", "-q", "-t", "ext4", "-d", self.tree, "-L", "gate", self.disk, f"{DISK_MB}M")
        shutil.rmtree(self.tree)
        return self.disk


def install_standin(image: Image) -> None:
    tree = image.tree
    run("chroot", tree, "python3", "-m", "venv", "--without-pip", "--system-site-packages", "/opt/gatevault")
    site = tree / "opt/gatevault/lib/python3.11/site-packages"
    req = tree / "opt/req.txt"
    uv = TOP / ".venv/bin/uv"
    run(uv, "export", "--no-dev", "--locked", "--no-hashes", "--no-emit-project", "-q", "-o", req, cwd=TOP)
    run(uv, "build", "--quiet", "--wheel", "--out-dir", tree / "opt/dist", cwd=TOP)
    wheel = next((tree / "opt/dist").glob("*.whl"))
    options = ["--no-deps", "--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_36", "--target", site]
    run(uv, "pip", "install", "-q", *options, "-r", req, wheel, cwd=TOP)
    run("chroot", tree, "python3", "-m", "compileall", "-q", "/opt/gatevault/lib")
    shutil.copy("/tmp/prof.toml", site / "gatevault/_hardware/boards/vm.toml")
    prog = tree / "opt/gatevault/bin/gatevault"
    prog.write_text("#!/opt/gatevault/bin/python\nfrom gatevault.cli.app import main\nmain()\n")
    prog.chmod(0o755)
    for source, target in (
        ("systemd/sysusers.d/gatevault.conf", "usr/lib/sysusers.d"),
        ("systemd/tmpfiles.d/gatevault.conf", "usr/lib/tmpfiles.d"),
        ("hardware/udev/60-gatevault.rules", "etc/udev/rules.d"),
    ):
        shutil.copy(TOP / source, tree / target)
    for unit in ("gatevault.service", "gatevault-vision.service", "gatevault.target", "gatevault-key.service"):
        shutil.copy(TOP / "systemd" / unit, tree / "etc/systemd/system")
    image.chroot("systemd-sysusers")
